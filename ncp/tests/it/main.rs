//! The daemon from outside: its binary, its sockets, and the shape of the workspace around it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod admin;
mod boundaries;
mod check;
mod cli;
#[path = "../../src/testing.rs"]
mod dir;
mod log;
mod run;
