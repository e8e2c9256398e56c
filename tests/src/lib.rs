//! Everything together: the emulated foundation, the emulated managers and the controller between them,
//! over real sockets. This is the rig that the scenarios in `tests/it` are written with.
//!
//! - [`rig`]: [`Rig`], the emulators with a configuration for them; what was written meanwhile
//! - [`live`]: [`Live`], a controller that can be stopped, killed and waited for
//! - [`wait`]: waiting for a condition, with a deadline and without a fixed sleep
//! - [`network`]: two states of the managers compared, up to choices; what must hold in any state
//! - [`oracle`]: what the network does to flows against what Cloud Foundry's objects call for
//! - [`program`]: the built program as a child process
//!
//! A rig fails by panicking, since it is only ever part of a test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

pub mod live;
pub mod network;
pub mod oracle;
pub mod program;
pub mod rig;
pub mod wait;

pub use live::Live;
pub use rig::{Ha, Rig, Setup, Written};
pub use wait::{LIMIT, until};
