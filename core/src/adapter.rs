//! What a platform is to the daemon: an [`Adapter`].
//!
//! An adapter runs its watches and sends scoped [`Event`]s; it names no backend. It is told conditions
//! by origin and reconciles them with what its platform shows (where the platform has a place for
//! them), and it offers a lock by which one of several controllers becomes the writer.

use std::future::Future;

use serde::Serialize;

use crate::condition::Condition;
use crate::dialect::Fence;
use crate::event::Event;

/// Where an adapter sends its events. A full sink makes the adapter wait, never drop.
pub trait EventSink: Send {
    /// Hands one event over; `Err` when the daemon is stopping.
    fn send(&mut self, event: Event) -> impl Future<Output = Result<(), Stopping>> + Send;
}

/// The daemon is stopping; the adapter returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the controller is stopping")]
pub struct Stopping;

/// A platform adapter.
pub trait Adapter: Send + Sync {
    /// Runs the watches until the sink says stop. Returns early only when a watch can't go on.
    fn run<S: EventSink + Clone + Send + Sync + 'static>(
        &self,
        sink: S,
    ) -> impl Future<Output = Result<(), AdapterError>> + Send;

    /// Present conditions, all of them, whenever they change: state, not news.
    fn conditions(&self, conditions: Vec<Condition>) -> impl Future<Output = ()> + Send;

    /// Follows the leader lock: calls `changed` with the present fence at every gain, refresh and loss,
    /// until `stop` is done; then gives the lock up and returns.
    fn lead<F, T>(&self, changed: F, stop: T) -> impl Future<Output = Result<(), AdapterError>> + Send
    where
        F: FnMut(Option<Fence>) + Send,
        T: Future<Output = ()> + Send;

    /// Each watch, for status.
    fn watchers(&self) -> Vec<WatcherStatus>;
}

/// How one watch is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WatcherStatus {
    /// Its name, as in `get ncp-watcher <name>`.
    pub name: String,
    /// Whether the source answers.
    pub healthy: bool,
    /// Why not, with what to do.
    pub reason: Option<String>,
    /// Events taken since the adapter started.
    pub events: u64,
    /// How often it began anew.
    pub restarts: u64,
}

/// An adapter that can't go on.
#[derive(Debug, thiserror::Error)]
#[error("{code} {}: {message}", code.name())]
pub struct AdapterError {
    /// The guide's code.
    pub code: crate::code::Code,
    /// What exactly.
    pub message: String,
}
