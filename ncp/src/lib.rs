//! The controller: configuration, log, metrics, admin API and command line around the engine.
//!
//! ```text
//!  ncp.ini ─▶ config ─┐
//!                     ├─▶ cli ─▶ subcommands
//!            logging ─┤
//!              admin ◀┴ telemetry (snapshots)
//! ```
//!
//! The binary `ncp` is one call of [`cli::main`]. Everything else is a library, so that tests and
//! benchmarks use the same wiring as the program.

pub mod admin;
pub mod check;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod driver;
pub mod logging;
pub mod sandbox;
pub mod telemetry;
pub mod wiring;

#[cfg(test)]
mod testing;
