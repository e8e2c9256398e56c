//! What the driver tells the rest of the program.

use ncp_core::condition::Condition;
use ncp_core::dialect::Dialect;
use ncp_core::engine::{Engine, Status};

/// How the engine is doing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Its status; none yet if absent.
    pub status: Option<Status>,
    /// What is wrong, by the platform's object.
    pub conditions: Vec<Condition>,
}

impl Report {
    pub(super) fn of<D: Dialect>(engine: &Engine<D>) -> Report {
        Report {
            status: Some(engine.status()),
            conditions: engine.conditions(),
        }
    }

    /// Everything has been looked at and is as wanted.
    pub fn converged(&self) -> bool {
        self.status.as_ref().is_some_and(|s| s.converged)
    }
}
