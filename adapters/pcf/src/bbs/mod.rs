//! The BBS, Diego's record of what runs where.
//!
//! - [`record`]: what is kept of Diego's records; [`extract`]: how it is taken from them;
//! - `register`, `tasks`: how events and listings change what is known;
//! - [`sync`]: the protocol of streams and listings, without sockets or clock;
//! - `client`, `watch`: the sockets, and the driver that runs the protocol over them.

mod client;
pub mod extract;
pub mod record;
mod register;
pub mod sync;
mod tasks;
mod watch;

#[cfg(test)]
mod extract_tests;

pub use client::{BbsClient, BbsError, BbsOptions, LOWEST_DIEGO};
pub use watch::{BbsUpdates, BbsWatch};
