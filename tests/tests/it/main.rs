//! Scenarios across crates, over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod contract;
mod counts;
mod crash;
mod foreign;
mod leadership;
mod nsx_failures;
mod platform;
mod platform_changes;
mod platform_failures;
mod platform_pools;
mod program;
mod stories;
mod verdicts;
