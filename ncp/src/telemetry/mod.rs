//! What the controller tells of itself: snapshots of its state, and metrics made from them.
//!
//! The driver publishes a [`Snapshot`] through a watch channel; status page, metrics and command line
//! read the same one. Metrics are written when they are scraped, from the snapshot alone, so a gauge
//! can't drift from what it measures and nothing has to be registered.

mod exposition;
mod metrics;
mod snapshot;

pub use exposition::{Exposition, Kind};
pub use metrics::metrics;
pub use snapshot::{
    Condition, Confirmed, Leader, Objects, Peer, PlanPage, Role, Scope, Snapshot, Traffic, Watcher,
};
