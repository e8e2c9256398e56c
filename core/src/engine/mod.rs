//! The engine: the index, the choices and the planner as one state machine without input or output.
//!
//! One owner, no locks: [`Engine::feed`] takes what the platform says, [`Engine::done`] and
//! [`Engine::read`] take what the far end answered, [`Engine::poll`] says what to send next and when to
//! ask again. The daemon's driver is the only place where it meets sockets and clocks; tests drive it
//! with a simulated clock.

/// The engine's other fields as the planner's [`source::View`], so that the planner can be borrowed
/// apart from them.
macro_rules! view {
    ($engine:ident) => {
        $crate::engine::source::View::<D>::new(
            &$engine.index,
            &$engine.choices,
            &$engine.settings,
            &*$engine.dialect,
            &$engine.brake,
        )
    };
}

mod brake;
mod news;
mod plan;
mod refresh;
mod report;
mod source;

use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::choices::Choices;
use crate::compile::Context;
use crate::dialect::{Batch, Dialect, Failure, Fence, Outcome, ReadOutcome, ReadRequest, StepId};
use crate::event::Event;
use crate::index::{Dirty, Index};
use crate::planner::{Counts, Planner, Timing};
use crate::settings::Settings;
use crate::time::Time;
use crate::topology::ObjectKey;

pub use brake::BrakeStatus;
pub use plan::{Plan, PlanStep, PlanVerb};
pub use report::{KindStatus, Status};

use brake::Brake;

/// Names a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReadId(pub u64);

/// What the driver is to do.
#[derive(Clone, Debug)]
pub enum Effect<D: Dialect> {
    /// Send this, as this leader.
    Write(Batch<D>, Fence),
    /// Read this.
    Read(ReadId, ReadRequest<D>),
}

/// What to do now, and when to ask again if nothing happens meanwhile.
#[derive(Clone, Debug)]
pub struct Poll<D: Dialect> {
    /// What to do.
    pub effects: Vec<Effect<D>>,
    /// When to poll again at the latest.
    pub wake: Option<Time>,
}

/// See the module.
pub struct Engine<D: Dialect> {
    settings: Settings,
    dialect: Arc<D>,
    index: Index,
    choices: Choices,
    planner: Planner<D>,
    dirty: Dirty,
    /// Everything is to be compiled again.
    everything: bool,
    refused: FxHashMap<ObjectKey, Failure>,
    fence: Option<Fence>,
    writing: bool,
    far_end: FarEndHealth,
    reads: FxHashMap<ReadId, ReadRequest<D>>,
    next_read: u64,
    brake: Brake,
    gates_moved: bool,
    next_drift: Time,
    next_tidy: Time,
    /// The time of the present call.
    clock: Time,
}

/// A far end that fails as a whole is left alone once, not once a row.
#[derive(Debug, Default)]
struct FarEndHealth {
    paused_until: Time,
    failures: u32,
    last: Option<Failure>,
}

/// How often holds and empty subnets are looked at.
const TIDY: Duration = Duration::from_secs(5);

impl<D: Dialect> Engine<D> {
    /// An engine that has heard and seen nothing.
    pub fn new(dialect: D, settings: Settings) -> Engine<D> {
        let dialect = Arc::new(dialect);
        let timing = Timing {
            settle: settings.settle,
            removal_wait: settings.removal_wait,
            seed: settings.seed,
        };
        Engine {
            index: Index::new(dialect.members_are_rows()),
            choices: Choices::default(),
            planner: Planner::new(dialect.clone(), timing),
            dirty: Vec::new(),
            everything: true,
            refused: FxHashMap::default(),
            fence: None,
            writing: true,
            far_end: FarEndHealth::default(),
            reads: FxHashMap::default(),
            next_read: 0,
            brake: Brake::default(),
            gates_moved: false,
            next_drift: Time(0),
            next_tidy: Time(0),
            clock: Time(0),
            settings,
            dialect,
        }
    }

    /// Never write, whatever is decided: for plans and for watching.
    pub fn observe_only(&mut self) {
        self.writing = false;
    }

    /// Takes in what the platform says.
    pub fn feed(&mut self, event: Event, now: Time) {
        self.gates_moved |= matches!(event, Event::End { .. } | Event::Trust { .. });
        self.index.feed(event, now, &self.settings, &mut self.dirty);
        if self.fence.is_none() {
            // A leadership begins with everything; a standby keeps no list of its own.
            self.dirty.clear();
            self.everything = true;
        }
    }

    /// Takes in a leadership gained, prolonged or lost.
    pub fn lead(&mut self, fence: Option<Fence>, now: Time) {
        let before = self.fence.map(|f| f.epoch);
        let lapsed = self.fence.is_some_and(|f| f.deadline <= now);
        self.fence = fence;
        let view = view!(self);
        match fence {
            Some(f) if before != Some(f.epoch) => {
                self.reads.clear();
                self.planner.begin_inventory(f.epoch, &view);
                self.choices.restart(now, &self.settings);
                self.refused.clear();
                self.brake = Brake::default();
                self.everything = true;
                self.next_drift = now + self.settings.drift_interval;
            }
            // What was held while the deadline was past may go again.
            Some(_) => self.gates_moved |= lapsed,
            None if before.is_some() => {
                self.reads.clear();
                self.planner.doubt_flights(&view);
            }
            None => {}
        }
    }

    /// Takes in what became of a step.
    pub fn done(&mut self, step: StepId, outcome: Outcome<D>, now: Time) {
        let answered = !matches!(outcome, Outcome::NotSent(_) | Outcome::Uncertain);
        let view = view!(self);
        match self.planner.done(step, outcome, now, &view) {
            Some(failure) => self.far_end.failed(failure, now),
            None if answered => self.far_end = FarEndHealth::default(),
            None => {}
        }
    }

    /// Takes in what was read.
    pub fn read(&mut self, id: ReadId, outcome: ReadOutcome<D>, now: Time) {
        let Some(request) = self.reads.remove(&id) else {
            return;
        };
        let view = view!(self);
        match (request, outcome) {
            (
                ReadRequest::Sweep(collection, _),
                ReadOutcome::Chunk {
                    items, next, whole, ..
                },
            ) => {
                self.planner.swept(collection, items, next, whole, &view);
            }
            (
                ReadRequest::Rows(asked),
                ReadOutcome::Chunk {
                    items,
                    absent,
                    refused,
                    ..
                },
            ) => {
                let asked: Vec<_> = asked.into_iter().map(|a| a.key).collect();
                self.planner.rows_read(&asked, items, absent, refused, now, &view);
            }
            (ReadRequest::Sweep(collection, cursor), ReadOutcome::Failed(failure)) => {
                self.planner.sweep_failed(collection, cursor);
                self.far_end.failed(failure, now);
            }
            (ReadRequest::Rows(asked), ReadOutcome::Failed(failure)) => {
                let keys: Vec<_> = asked.into_iter().map(|a| a.key).collect();
                self.planner.read_failed(&keys);
                self.far_end.failed(failure, now);
            }
        }
    }

    /// What to do now, for at most `credits` requests.
    pub fn poll(&mut self, now: Time, credits: usize) -> Poll<D> {
        let mut effects = Vec::new();
        if self.fence.is_some() && now >= self.far_end.paused_until {
            self.tidy(now);
            self.refresh(now);
            self.collect(now, credits, &mut effects);
        }
        Poll {
            effects,
            wake: self.wake(now),
        }
    }

    fn collect(&mut self, now: Time, credits: usize, effects: &mut Vec<Effect<D>>) {
        while effects.len() < credits
            && let Some(request) = self.planner.next_sweep()
        {
            effects.push(self.reading(request));
        }
        if !self.planner.inventory_complete() {
            return;
        }
        let Some(fence) = self.fence else { return };
        let may_write = self.writing && now < fence.deadline;
        loop {
            // Reads and writes take turns, so that neither starves the other.
            if effects.len() < credits
                && let Some(request) = self.planner.next_read()
            {
                effects.push(self.reading(request));
            }
            if effects.len() >= credits {
                return;
            }
            let view = view!(self);
            match self.planner.next_batch(now, may_write, &view) {
                Some(batch) => effects.push(Effect::Write(batch, fence)),
                None if !self.planner.has_reads() => return,
                None => {}
            }
        }
    }

    fn reading(&mut self, request: ReadRequest<D>) -> Effect<D> {
        self.next_read += 1;
        let id = ReadId(self.next_read);
        self.reads.insert(id, request.clone());
        Effect::Read(id, request)
    }

    fn wake(&self, now: Time) -> Option<Time> {
        self.fence?;
        if now < self.far_end.paused_until {
            return Some(self.far_end.paused_until);
        }
        let planner = self.planner.wake().filter(|_| self.planner.inventory_complete());
        let times = [planner, Some(self.next_tidy), Some(self.next_drift)];
        times.into_iter().flatten().min()
    }

    /// What compiling reads.
    pub fn context(&self) -> Context<'_> {
        Context {
            index: &self.index,
            choices: &self.choices,
            settings: &self.settings,
        }
    }

    /// What the platform says.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// What has been chosen.
    pub fn choices(&self) -> &Choices {
        &self.choices
    }

    /// Wanted minus seen.
    pub fn planner(&self) -> &Planner<D> {
        &self.planner
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Present counts.
    pub fn counts(&self) -> Counts {
        self.planner.counts()
    }

    /// What the platform said and what the far end showed has all been taken in.
    pub fn up_to_date(&self) -> bool {
        self.planner.inventory_complete()
            && self.dirty.is_empty()
            && !self.everything
            && !self.gates_moved
            && !self.planner.has_news()
    }

    /// Everything is looked at, and all of it is as wanted.
    pub fn settled(&self) -> bool {
        self.up_to_date()
            && self.refused.is_empty()
            && self.choices.waiting() == 0
            && self.planner.counts().unsettled == 0
            && self.planner.in_flight() == 0
    }
}

impl FarEndHealth {
    fn failed(&mut self, failure: Failure, now: Time) {
        // Many answers to one outage arrive together and count as one.
        if now >= self.paused_until {
            self.failures += 1;
            let span = Duration::from_millis(100u64 << self.failures.min(7));
            self.paused_until = now + span.min(Duration::from_secs(10));
        }
        self.last = Some(failure);
    }
}
