//! Who wants to know of each request: a hook, and the counters that the program itself reports.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode};

use super::address::ManagerAddress;

/// One request that was put on the wire, sessions and probes included.
#[derive(Clone, Copy, Debug)]
pub struct RequestRecord<'a> {
    /// The manager it was sent to.
    pub manager: &'a ManagerAddress,
    /// HTTP method.
    pub method: &'a Method,
    /// Path without query.
    pub path: &'a str,
    /// Whether the request was meant to change something.
    pub write: bool,
    /// Status of the answer; `None` when there was none.
    pub status: Option<StatusCode>,
    /// From the first byte to the last byte of the answer, or to the failure.
    pub latency: Duration,
}

/// Hears of each request that was sent. Called on the path of the request, so it must return at once.
pub trait RequestObserver: Send + Sync {
    /// A request ended, with an answer or without.
    fn finished(&self, record: &RequestRecord<'_>);
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl RequestObserver for NoObserver {
    fn finished(&self, _record: &RequestRecord<'_>) {}
}

/// What was sent so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests by method.
    pub by_method: BTreeMap<String, u64>,
    /// Answers by status.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests meant to change something.
    pub writes: u64,
    /// Requests without an answer.
    pub unanswered: u64,
    /// Sum of all latencies.
    pub total_latency: Duration,
    /// The longest latency.
    pub longest_latency: Duration,
}

impl Counters {
    /// All requests.
    pub fn requests(&self) -> u64 {
        self.by_method.values().sum()
    }

    fn add(&mut self, record: &RequestRecord<'_>) {
        *self.by_method.entry(record.method.to_string()).or_default() += 1;
        self.writes += u64::from(record.write);
        match record.status {
            Some(status) => *self.by_status.entry(status.as_u16()).or_default() += 1,
            None => self.unanswered += 1,
        }
        self.total_latency += record.latency;
        self.longest_latency = self.longest_latency.max(record.latency);
    }
}

/// The counters and the hook together.
pub(super) struct Observers {
    counters: Mutex<Counters>,
    hook: Box<dyn RequestObserver>,
}

impl Observers {
    pub(super) fn new(hook: Box<dyn RequestObserver>) -> Self {
        Self {
            counters: Mutex::default(),
            hook,
        }
    }

    pub(super) fn finished(&self, record: &RequestRecord<'_>) {
        self.counters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(record);
        self.hook.finished(record);
    }

    pub(super) fn counters(&self) -> Counters {
        self.counters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
