//! The synchronization with the BBS as a state machine: no socket, no clock.
//!
//! ```text
//!  open both streams ─▶ domains ─▶ cells ─▶ light list ─▶ full records ─▶ instances ─▶ missing ─▶ tasks ─▶ idle
//!        ▲                                                (only unknown)               records           │
//!        └──────────── a stream ended, went silent, or lost an event ◀── period ─────────────────────────┘
//! ```
//!
//! Events act at once, during a listing too, because a container that was just placed can't wait for a
//! hundred thousand records; the [`register`](crate::bbs::register) joins the listing with what events said
//! meanwhile. Nothing is dropped because a stream broke: only a Removed event, or absence from a listing
//! asked for after the streams were open, of a domain that its owner vouches for, removes anything.

mod containers;
mod cycle;
#[cfg(test)]
mod model;
mod records;
mod streams;
#[cfg(test)]
mod tests;
mod types;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub use types::{Answer, Input, Mode, Output, Request, Scope, Stream, SyncOptions, SyncStats, Ticket};

use super::record::{Container, Facts, Tag};
use super::register::{Mark, Place, Register};
use super::tasks::Tasks;
use crate::backoff::Backoff;
use crate::ids::{Handle, ProcessGuid};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Streams,
    Domains,
    Cells,
    Infos,
    Records,
    Actuals,
    Missing,
    Tasks,
    Idle { until: Duration },
    Failed { until: Duration },
}

#[derive(Clone, Copy, Debug)]
enum StreamState {
    Closed { until: Duration },
    Opening(Ticket),
    Open(Ticket),
}

/// What a question was about, and when it was asked.
#[derive(Debug)]
struct Pending {
    mark: Mark,
    about: About,
}

#[derive(Debug)]
enum About {
    Stream(Stream),
    Step,
    Records { asked: Vec<ProcessGuid>, urgent: bool },
    Place(Place),
}

#[derive(Debug)]
struct Subscription {
    state: StreamState,
    backoff: Backoff,
    /// Events since the last complete listing.
    events: u64,
    /// Whether a whole cycle ended while it was open.
    settled: bool,
}

/// The machine.
#[derive(Debug)]
pub struct BbsSync {
    options: SyncOptions,
    mode: Mode,
    step: Step,
    current: Option<Ticket>,
    /// Another cycle is due right after this one.
    again: bool,
    lrps: Subscription,
    tasks_stream: Subscription,
    backoff: Backoff,
    tickets: u64,
    pending: HashMap<Ticket, Pending>,
    mark: Mark,
    generation: u64,
    fresh: BTreeSet<String>,
    desired: HashMap<ProcessGuid, (Tag, Option<Arc<Facts>>, Mark)>,
    desired_gone: HashMap<Arc<str>, Mark>,
    /// Asked for and not there.
    unavailable: BTreeSet<ProcessGuid>,
    urgent: BTreeSet<ProcessGuid>,
    wanted: VecDeque<ProcessGuid>,
    records_until: Duration,
    register: Register,
    tasks: Tasks,
    containers: BTreeMap<Handle, Container>,
    stats: SyncStats,
    out: Vec<Output>,
}

const APPS: &str = diego_wire::lrp::DOMAIN_APPS;
const TASKS: &str = diego_wire::lrp::DOMAIN_TASKS;

impl BbsSync {
    /// A machine that knows nothing.
    pub fn new(options: SyncOptions, mode: Mode) -> Self {
        let seed = options.seed;
        let backoff = |salt| Backoff::new(Duration::from_millis(250), Duration::from_secs(15), seed ^ salt);
        let closed = |salt| Subscription {
            state: StreamState::Closed {
                until: Duration::ZERO,
            },
            backoff: backoff(salt),
            events: 0,
            settled: false,
        };
        Self {
            mode,
            step: Step::Streams,
            current: None,
            again: false,
            lrps: closed(1),
            tasks_stream: closed(2),
            backoff: backoff(3),
            tickets: 0,
            pending: HashMap::new(),
            mark: 0,
            generation: 0,
            fresh: BTreeSet::new(),
            desired: HashMap::new(),
            desired_gone: HashMap::new(),
            unavailable: BTreeSet::new(),
            urgent: BTreeSet::new(),
            wanted: VecDeque::new(),
            records_until: Duration::ZERO,
            register: Register::default(),
            tasks: Tasks::default(),
            containers: BTreeMap::new(),
            stats: SyncStats::default(),
            out: Vec::new(),
            options,
        }
    }

    /// Takes an input in; `now` counts from any fixed moment. The first call starts the machine.
    pub fn feed(&mut self, now: Duration, input: Input) -> Vec<Output> {
        match input {
            Input::Answer(ticket, answer) => self.answered(now, ticket, answer),
            Input::Failed(ticket) => self.failed(now, ticket),
            Input::Event(ticket, event) => self.event(now, ticket, event),
            Input::Lost(ticket) | Input::Ended(ticket) => self.ended(now, ticket),
            Input::Mode(mode) => self.change_mode(now, mode),
            Input::Tick => {}
        }
        self.advance(now);
        std::mem::take(&mut self.out)
    }

    /// When the machine wants a [`Input::Tick`] at the latest.
    pub fn wake(&self) -> Option<Duration> {
        let stream = |of: &Subscription| match of.state {
            StreamState::Closed { until } => Some(until),
            StreamState::Opening(_) | StreamState::Open(_) => None,
        };
        let step = match self.step {
            Step::Idle { until } | Step::Failed { until } => Some(until),
            _ => None,
        };
        let streams = [stream(&self.lrps), stream(&self.tasks_stream)];
        // While a stream is closed nothing else is asked.
        if !self.streams_open() {
            return streams.into_iter().flatten().min();
        }
        let waiting = [true, false]
            .into_iter()
            .any(|urgent| self.can_ask_records(urgent));
        let records = waiting.then_some(self.records_until);
        let doubts = self.register.next_overdue(self.options.grace);
        [step, records, doubts].into_iter().flatten().min()
    }

    /// Figures for status.
    pub fn stats(&self) -> SyncStats {
        SyncStats {
            instances: self.register.len() as u64,
            desired: self.desired.len() as u64,
            containers: self.containers.len() as u64,
            ..self.stats
        }
    }

    /// Whether both streams are open and the last cycle worked.
    pub fn is_synchronized(&self) -> bool {
        matches!(self.step, Step::Idle { .. }) && self.streams_open()
    }

    /// Containers given out, in order of their handles.
    pub fn containers(&self) -> impl Iterator<Item = &Container> {
        self.containers.values()
    }
}
