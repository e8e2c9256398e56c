//! Scenarios across crates, over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod counts;
mod crash;
