//! What a run came to, as one JSON object.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::wiring::Running;

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// What is wanted agrees with a second, full look at the managers after the last write.
    pub converged: bool,
    /// Network objects that stand, by kind.
    pub objects: BTreeMap<String, usize>,
    /// Requests that changed something.
    pub writes: u64,
    /// All requests to the managers, by method.
    pub requests: BTreeMap<String, u64>,
    /// From start to convergence.
    pub seconds: f64,
    /// What is wrong with single objects.
    pub conditions: Vec<String>,
}

impl Outcome {
    pub(super) fn of(running: &Running, converged: bool, took: Duration) -> Outcome {
        let report = running.reports.borrow().clone();
        let counters = running.network.counters();
        let kinds = report.status.iter().flat_map(|s| &s.objects);
        Outcome {
            converged,
            objects: kinds
                .map(|(kind, count)| (format!("{kind:?}").to_lowercase(), *count))
                .collect(),
            writes: counters.writes,
            requests: counters.by_method,
            seconds: took.as_secs_f64(),
            conditions: report
                .conditions
                .iter()
                .map(|c| format!("{} {}: {}", c.code, c.code.name(), c.message))
                .collect(),
        }
    }
}
