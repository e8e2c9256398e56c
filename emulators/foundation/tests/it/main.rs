//! The emulator over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bbs;
mod capi;
mod cli;
mod client;
mod evacuation;
mod failover;
mod locket;
mod policy;
mod streams;
mod tls;
