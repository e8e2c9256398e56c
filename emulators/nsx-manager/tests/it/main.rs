//! The emulator over real sockets, by a client as plain as possible.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod addresses;
mod client;
mod conformance;
mod durability;
mod faults;
mod firewall;
mod integrity;
mod lists;
mod protocol;
mod scale;
mod verdicts;
