//! A Cloud Foundry foundation in one process, as a network controller sees it.
//!
//! It speaks the real protocols on loopback sockets (UAA, Cloud Controller, Diego's BBS and Locket, the
//! policy server), keeps one consistent world behind them, and lets tests, people and programs drive that
//! world and make it misbehave. It exists because the controller's hardest cases (evacuation, suspect
//! cells, lost streams, listings that shift while paged) are rare on a real platform and need to be
//! ordinary here.
//!
//! - [`foundation`]: [`Foundation`], to start and stop one; [`drive`]: what can be done with it;
//! - [`options`]: how it is shaped; [`scenario`]: what is on it;
//! - [`command`]: one instruction as a value; [`control`] takes them over HTTP, [`cli`] sends them;
//! - [`faults`]: what goes wrong and when; [`requests`]: who asked what;
//! - [`truth`]: what a controller should find out;
//! - inside: `model` (the world, without sockets), one module for each service, `serve` and `tls`.

pub mod cli;
pub mod command;
pub mod control;
pub mod drive;
pub mod faults;
pub mod foundation;
pub mod options;
pub mod requests;
pub mod scenario;
pub mod truth;

mod bbs;
mod capi;
mod http1;
mod locket;
mod model;
mod policy;
mod serve;
mod shared;
mod tls;
mod uaa;
mod web;

pub use command::{Command, PolicySpec};
pub use faults::{Fault, FaultKind, LocketFaults, PolicyFaults, Service, StreamFaults};
pub use foundation::{Certificates, Credentials, Endpoints, FailOver, Foundation, StartError};
pub use model::apps::{AppSpec, ProcessSpec};
pub use model::error::WorldError;
pub use model::objects::{Lifecycle, Phase};
pub use model::table::Guid;
pub use options::{Age, CellSpec, Delays, Options};
pub use scenario::Scenario;
pub use truth::Truth;
