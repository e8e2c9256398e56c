//! What was asked and answered.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::options::LogMode;

/// A request and its answer.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Number of the request, from 1.
    pub number: u64,
    /// Milliseconds since 1970 at which it came.
    pub time: i64,
    /// Manager that took it.
    pub manager: usize,
    /// Who asked; empty before a login.
    pub user: String,
    /// Method.
    pub method: String,
    /// Whole path.
    pub path: String,
    /// Query without the question mark.
    pub query: String,
    /// Body of the request.
    #[serde(serialize_with = "body")]
    pub request: Bytes,
    /// Status sent, or `None` if the connection was cut.
    pub status: Option<u16>,
    /// Body of the answer, sent or cut.
    #[serde(serialize_with = "body")]
    pub answer: Bytes,
    /// Time it took.
    #[serde(serialize_with = "micros")]
    pub took: Duration,
    /// Whether it asks for a change of state.
    pub write: bool,
    /// Whether it had its effect: it got to the objects and was not refused.
    pub applied: bool,
}

fn body<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => value.serialize(to),
        Err(_) => String::from_utf8_lossy(bytes).serialize(to),
    }
}

fn micros<S: Serializer>(took: &Duration, to: S) -> Result<S::Ok, S::Error> {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX).serialize(to)
}

/// How many requests there were.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All.
    pub total: u64,
    /// Those that ask for a change of state.
    pub writes: u64,
    /// By method.
    pub methods: BTreeMap<String, u64>,
    /// By method and path, ids replaced by `*`, `?action=` kept.
    pub routes: BTreeMap<String, u64>,
    /// By status sent; cut ones under 0.
    pub statuses: BTreeMap<u16, u64>,
}

#[derive(Debug)]
struct Inner {
    mode: LogMode,
    ring: VecDeque<Entry>,
    counts: Counts,
}

/// The log of one emulator; clones share it.
#[derive(Debug, Clone)]
pub struct RequestLog(Arc<Mutex<Inner>>);

impl RequestLog {
    pub(crate) fn new(mode: LogMode) -> Self {
        RequestLog(Arc::new(Mutex::new(Inner {
            mode,
            ring: VecDeque::new(),
            counts: Counts::default(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counters since the start or the last [`RequestLog::clear`].
    pub fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }

    /// The remembered entries with numbers above `after`; pass the last number seen to read on.
    pub fn entries(&self, after: u64) -> Vec<Entry> {
        self.lock()
            .ring
            .iter()
            .filter(|entry| entry.number > after)
            .cloned()
            .collect()
    }

    /// The remembered entries that ask for a change of state.
    pub fn writes(&self) -> Vec<Entry> {
        self.lock()
            .ring
            .iter()
            .filter(|entry| entry.write)
            .cloned()
            .collect()
    }

    /// Changes what is remembered from now on.
    pub fn set_mode(&self, mode: LogMode) {
        self.lock().mode = mode;
    }

    /// Forgets all entries and sets the counters to zero.
    pub fn clear(&self) {
        let mut inner = self.lock();
        inner.ring.clear();
        inner.counts = Counts::default();
    }

    pub(crate) fn add(&self, mut entry: Entry) {
        let mut inner = self.lock();
        let counts = &mut inner.counts;
        counts.total += 1;
        counts.writes += u64::from(entry.write);
        *counts.methods.entry(entry.method.clone()).or_default() += 1;
        *counts.routes.entry(route(&entry)).or_default() += 1;
        *counts.statuses.entry(entry.status.unwrap_or(0)).or_default() += 1;
        entry.number = counts.total;
        if let LogMode::Full(room) = inner.mode {
            while inner.ring.len() >= room.max(1) {
                inner.ring.pop_front();
            }
            inner.ring.push_back(entry);
        }
    }
}

/// `POST /logical-ports/*`, so that calls can be counted by kind.
fn route(entry: &Entry) -> String {
    let path = entry.path.strip_prefix("/api/v1").unwrap_or(&entry.path);
    let masked: Vec<&str> = path
        .split('/')
        .map(|part| if is_id(part) { "*" } else { part })
        .collect();
    let action = entry.query.split('&').find(|pair| pair.starts_with("action="));
    let action = action.map_or(String::new(), |action| format!("?{action}"));
    format!("{} {}{action}", entry.method, masked.join("/"))
}

fn is_id(part: &str) -> bool {
    part.len() == 36 && part.matches('-').count() == 4
        || !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a request asks for a change of state. Reads by POST and session calls don't.
pub fn is_write(method: &Method, path: &str, query: &str) -> bool {
    let reads = ["action=list_with_rules", "action=check_if_exists"];
    match *method {
        Method::GET | Method::HEAD | Method::OPTIONS => false,
        Method::POST => {
            !path.starts_with("/api/session/") && !query.split('&').any(|pair| reads.contains(&pair))
        }
        _ => true,
    }
}
