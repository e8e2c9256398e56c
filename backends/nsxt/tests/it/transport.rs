//! The transport against managers whose answers the test decides.

mod failover;
mod fence;
mod lists;
mod pacing;
mod sessions;
mod tls;
