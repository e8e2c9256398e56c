//! Scenarios across crates, over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod counts;
mod platform;
mod platform_changes;
mod platform_failures;
mod platform_pools;
mod verdicts;
