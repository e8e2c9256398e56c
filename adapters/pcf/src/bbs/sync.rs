//! The synchronization with the BBS as a state machine: no socket, no clock.
//!
//! ```text
//!  open both streams ─▶ domains ─▶ cells ─▶ light list ─▶ full records ─▶ instances ─▶ missing ─▶ tasks ─▶ idle
//!        ▲                                                (only unknown)               records           │
//!        └──────────── a stream ended, went silent, or lost an event ◀── period ─────────────────────────┘
//! ```
//!
//! Events act at once, during a listing too, because a container that was just placed can't wait for a
//! hundred thousand records; the [`register`](super::register) joins the listing with what events said
//! meanwhile. Nothing is dropped because a stream broke: only a Removed event, or absence from a listing
//! asked for after the streams were open, of a domain that its owner vouches for, removes anything.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::extract::task_container;
use super::record::{Actual, Cell, Container, Desired, Event, Facts, Info, Kind, SnatPool, Tag, TaskRow};
use super::register::{Mark, Merged, Place, Register, Row};
use super::tasks::Tasks;
use crate::backoff::{Backoff, jittered};
use crate::ids::{Handle, ProcessGuid};

/// Timings and sizes.
#[derive(Clone, Debug)]
pub struct SyncOptions {
    /// Between complete listings while leading.
    pub resync: Duration,
    /// Between complete listings while standing by.
    pub standby_resync: Duration,
    /// Full records asked for at once.
    pub batch: usize,
    /// How long a contradiction may wait for the event that resolves it.
    pub grace: Duration,
    /// More contradictions than this at once are settled by a complete listing.
    pub max_doubts: usize,
    /// Spreads several clients in time.
    pub seed: u64,
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self {
            resync: Duration::from_secs(60),
            standby_resync: Duration::from_secs(300),
            batch: 250,
            grace: Duration::from_millis(500),
            max_doubts: 64,
            seed: 0,
        }
    }
}

/// Whether this process acts on what it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything is read.
    Leading,
    /// The streams are followed; full records are read only when leadership comes.
    Standby,
}

/// One of the two event streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// Desired LRPs and instances.
    Lrps,
    /// Tasks.
    Tasks,
}

/// What is asked of the BBS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Subscribe; an earlier subscription of the same stream is given up.
    Open(Stream),
    /// Which domains are vouched for.
    Domains,
    /// Cells that are present.
    Cells,
    /// Keys and versions of all desired LRPs.
    Infos,
    /// Full records of these.
    Desired(Vec<ProcessGuid>),
    /// All instances.
    Actuals,
    /// The instances of one place.
    Place(ProcessGuid, i32),
    /// All tasks.
    Tasks,
}

/// Tells an answer's question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What the BBS answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// To [`Request::Open`]: subscribed.
    Opened,
    /// To [`Request::Domains`].
    Domains(Vec<String>),
    /// To [`Request::Cells`].
    Cells(Vec<Cell>),
    /// To [`Request::Infos`].
    Infos(Vec<Info>),
    /// To [`Request::Desired`]; what doesn't exist is missing.
    Desired(Vec<Desired>),
    /// To [`Request::Actuals`] and [`Request::Place`].
    Actuals(Vec<Actual>),
    /// To [`Request::Tasks`].
    Tasks(Vec<TaskRow>),
}

/// What happens to the machine.
#[derive(Clone, Debug)]
pub enum Input {
    /// An answer.
    Answer(Ticket, Answer),
    /// No answer.
    Failed(Ticket),
    /// An event of the stream that was opened under this ticket.
    Event(Ticket, Event),
    /// That stream lost an event: it couldn't be decoded.
    Lost(Ticket),
    /// That stream ended.
    Ended(Ticket),
    /// Leadership came or went.
    Mode(Mode),
    /// Time passed.
    Tick,
}

/// A set whose members are listed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Cells.
    Cells,
    /// App instances.
    Instances,
    /// App tasks.
    Tasks,
    /// Staging containers.
    Staging,
}

impl From<Kind> for Scope {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::App => Self::Instances,
            Kind::Task => Self::Tasks,
            Kind::Staging => Self::Staging,
        }
    }
}

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this and report under the ticket.
    Ask(Ticket, Request),
    /// A listing of the scope begins.
    Begin(Scope, u64),
    /// A container is new or changed.
    Upsert(Container),
    /// A container's record is gone.
    Remove(Scope, Handle),
    /// A cell is present.
    Cell(Cell),
    /// The listing is at its end. Not `complete`: what it lacked may still exist.
    End {
        /// What was listed.
        scope: Scope,
        /// Which listing.
        generation: u64,
        /// Whether absence means anything.
        complete: bool,
    },
    /// A stream was silent although things changed: it is opened anew.
    Silent(Stream),
}

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

/// Figures for status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncStats {
    /// Rows of instances with a container.
    pub instances: u64,
    /// Desired LRPs known in full.
    pub desired: u64,
    /// Containers given out.
    pub containers: u64,
    /// Complete cycles.
    pub cycles: u64,
    /// Rows that only a listing told of, in all cycles but the first.
    pub drift: u64,
    /// Contradictions that had to be read.
    pub doubts: u64,
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

    // Streams.

    fn subscription(&mut self, stream: Stream) -> &mut Subscription {
        match stream {
            Stream::Lrps => &mut self.lrps,
            Stream::Tasks => &mut self.tasks_stream,
        }
    }

    fn streams_open(&self) -> bool {
        let open = |of: &Subscription| matches!(of.state, StreamState::Open(_));
        open(&self.lrps) && open(&self.tasks_stream)
    }

    fn stream_of(&self, ticket: Ticket) -> Option<Stream> {
        let is = |of: &Subscription| match of.state {
            StreamState::Opening(held) | StreamState::Open(held) => held == ticket,
            StreamState::Closed { .. } => false,
        };
        if is(&self.lrps) {
            Some(Stream::Lrps)
        } else if is(&self.tasks_stream) {
            Some(Stream::Tasks)
        } else {
            None
        }
    }

    fn ended(&mut self, now: Duration, ticket: Ticket) {
        self.pending.remove(&ticket);
        if let Some(stream) = self.stream_of(ticket) {
            self.close(now, stream);
        }
    }

    /// What was read since can't be joined with a stream that has a gap: the cycle starts over.
    fn close(&mut self, now: Duration, stream: Stream) {
        let subscription = self.subscription(stream);
        let wait = subscription.backoff.next_delay();
        subscription.state = StreamState::Closed { until: now + wait };
        subscription.settled = false;
        self.current = None;
        self.step = Step::Streams;
    }

    fn open_streams(&mut self, now: Duration) {
        for stream in [Stream::Lrps, Stream::Tasks] {
            let StreamState::Closed { until } = self.subscription(stream).state else {
                continue;
            };
            if until <= now {
                let ticket = self.ask(Request::Open(stream), About::Stream(stream));
                self.subscription(stream).state = StreamState::Opening(ticket);
            }
        }
    }

    fn event(&mut self, now: Duration, ticket: Ticket, event: Event) {
        let Some(stream) = self.stream_of(ticket) else {
            return;
        };
        self.subscription(stream).events += 1;
        let mark = self.mark;
        match event {
            Event::Desired(desired) => self.learn(desired, mark),
            Event::DesiredGone(info) => self.unlearn(&info, mark),
            Event::Actual(actual, before) => {
                let touched = self.register.upsert(*actual, before, mark, now);
                self.refresh_all(touched);
            }
            Event::ActualGone(actual) => {
                let touched = self.register.remove(&actual, mark);
                self.refresh_all(touched);
            }
            Event::Task(row) => {
                let touched = self.tasks.upsert(row, mark);
                self.refresh_all(touched);
            }
            Event::TaskGone(handle) => {
                let touched = self.tasks.remove(&handle, mark);
                self.refresh_all(touched);
            }
        }
    }

    // Questions and answers.

    fn ask(&mut self, request: Request, about: About) -> Ticket {
        self.tickets += 1;
        self.mark += 1;
        let ticket = Ticket(self.tickets);
        let pending = Pending {
            mark: self.mark,
            about,
        };
        self.pending.insert(ticket, pending);
        self.out.push(Output::Ask(ticket, request));
        ticket
    }

    fn answered(&mut self, now: Duration, ticket: Ticket, answer: Answer) {
        let Some(pending) = self.pending.remove(&ticket) else {
            return;
        };
        match (pending.about, answer) {
            (About::Stream(stream), Answer::Opened) => self.opened(stream, ticket),
            (About::Records { asked, .. }, Answer::Desired(found)) => {
                self.records(asked, found, pending.mark)
            }
            (About::Place(place), Answer::Actuals(rows)) => {
                let keep = !self.fresh.contains(APPS);
                let merged = self.register.merge_place(&place, rows, pending.mark, keep);
                self.refresh_all(merged.touched);
            }
            (About::Step, answer) if self.current == Some(ticket) => {
                self.current = None;
                self.step_answered(now, answer, pending.mark);
            }
            _ => {}
        }
    }

    fn opened(&mut self, stream: Stream, ticket: Ticket) {
        let subscription = self.subscription(stream);
        if matches!(subscription.state, StreamState::Opening(held) if held == ticket) {
            subscription.state = StreamState::Open(ticket);
            subscription.events = 0;
        }
    }

    fn failed(&mut self, now: Duration, ticket: Ticket) {
        let Some(pending) = self.pending.remove(&ticket) else {
            return;
        };
        match pending.about {
            About::Stream(stream) => {
                if self.stream_of(ticket) == Some(stream) {
                    self.close(now, stream);
                }
            }
            About::Step if self.current == Some(ticket) => self.fail_cycle(now),
            About::Step => {}
            About::Records { asked, urgent } => {
                self.records_until = now + self.backoff.next_delay();
                if urgent {
                    self.urgent.extend(asked);
                } else {
                    self.wanted.extend(asked);
                }
            }
            // A complete listing settles what the small one would have.
            About::Place(_) => self.hurry(now),
        }
    }

    fn fail_cycle(&mut self, now: Duration) {
        self.current = None;
        self.step = Step::Failed {
            until: now + self.backoff.next_delay(),
        };
    }

    /// The next cycle begins now, or right after the one under way.
    fn hurry(&mut self, now: Duration) {
        match &mut self.step {
            Step::Idle { until } => *until = now,
            _ => self.again = true,
        }
    }

    fn change_mode(&mut self, now: Duration, mode: Mode) {
        if self.mode != mode && mode == Mode::Leading {
            self.hurry(now);
        }
        self.mode = mode;
    }

    // The cycle.

    fn advance(&mut self, now: Duration) {
        self.open_streams(now);
        if !self.streams_open() {
            return;
        }
        self.ask_places(now);
        self.ask_records(now);
        while self.current.is_none() {
            let next = match self.step {
                Step::Idle { until } | Step::Failed { until } if now < until => return,
                Step::Streams | Step::Idle { .. } | Step::Failed { .. } => Step::Domains,
                Step::Records | Step::Missing if self.reading_records() => return,
                Step::Records => Step::Actuals,
                Step::Missing => {
                    self.list_containers(Scope::Instances);
                    Step::Tasks
                }
                step => step,
            };
            self.enter(next);
        }
    }

    fn enter(&mut self, step: Step) {
        self.step = step;
        let request = match step {
            Step::Domains => Request::Domains,
            Step::Cells => Request::Cells,
            Step::Infos => Request::Infos,
            Step::Actuals => Request::Actuals,
            Step::Tasks => Request::Tasks,
            Step::Streams | Step::Records | Step::Missing | Step::Idle { .. } | Step::Failed { .. } => return,
        };
        self.current = Some(self.ask(request, About::Step));
    }

    fn step_answered(&mut self, now: Duration, answer: Answer, asked: Mark) {
        match (self.step, answer) {
            (Step::Domains, Answer::Domains(fresh)) => {
                self.fresh = fresh.into_iter().collect();
                self.unavailable.clear();
                self.step = Step::Cells;
            }
            (Step::Cells, Answer::Cells(cells)) => {
                self.list_cells(cells);
                self.step = match self.mode {
                    Mode::Leading => Step::Infos,
                    Mode::Standby => Step::Actuals,
                };
            }
            (Step::Infos, Answer::Infos(infos)) => {
                self.compare(infos, asked);
                self.step = Step::Records;
                self.ask_records(now);
            }
            (Step::Actuals, Answer::Actuals(rows)) => self.took_actuals(now, rows, asked),
            (Step::Tasks, Answer::Tasks(rows)) => self.took_tasks(now, rows, asked),
            _ => self.fail_cycle(now),
        }
    }

    fn took_actuals(&mut self, now: Duration, mut rows: Vec<Actual>, asked: Mark) {
        for row in &mut rows {
            if self.desired.contains_key(&row.process) {
                row.fallback = None;
            }
        }
        let keep = !self.fresh.contains(APPS);
        let merged = self.register.merge_all(rows, asked, keep);
        let silent = self.note_drift(&merged, Stream::Lrps);
        self.refresh_all(merged.touched);
        // Those that couldn't be given out before, as after coming to lead.
        let unplaced: Vec<Handle> = self
            .register
            .handles()
            .into_iter()
            .filter(|handle| !self.containers.contains_key(handle))
            .collect();
        self.refresh_all(unplaced);
        self.step = Step::Missing;
        self.ask_records(now);
        if silent {
            self.out.push(Output::Silent(Stream::Lrps));
            self.close(now, Stream::Lrps);
        }
    }

    fn took_tasks(&mut self, now: Duration, rows: Vec<TaskRow>, asked: Mark) {
        let stale: &[Kind] = if self.fresh.contains(TASKS) {
            &[]
        } else {
            &[Kind::Task]
        };
        let merged = self.tasks.merge(rows, asked, stale);
        let silent = self.note_drift(&merged, Stream::Tasks);
        self.refresh_all(merged.touched);
        self.list_containers(Scope::Tasks);
        self.list_containers(Scope::Staging);
        self.end_cycle(now);
        if silent {
            self.out.push(Output::Silent(Stream::Tasks));
            self.close(now, Stream::Tasks);
        }
    }

    /// A listing that knows more than a stream that said nothing since the last one: half-open connections
    /// look like this, since an idle stream sends nothing at all.
    fn note_drift(&mut self, merged: &Merged, stream: Stream) -> bool {
        let first = self.stats.cycles == 0;
        if !first {
            self.stats.drift += merged.drift as u64;
        }
        let events = std::mem::take(&mut self.subscription(stream).events);
        merged.drift > 0 && events == 0 && self.subscription(stream).settled
    }

    fn end_cycle(&mut self, now: Duration) {
        self.stats.cycles += 1;
        self.backoff.reset();
        self.lrps.settle();
        self.tasks_stream.settle();
        let period = match self.mode {
            Mode::Leading => self.options.resync,
            Mode::Standby => self.options.standby_resync,
        };
        let wait = if std::mem::take(&mut self.again) {
            Duration::ZERO
        } else {
            jittered(period, self.options.seed, self.stats.cycles)
        };
        self.step = Step::Idle { until: now + wait };
    }

    fn list_cells(&mut self, mut cells: Vec<Cell>) {
        cells.sort_unstable();
        let generation = self.begin(Scope::Cells);
        self.out.extend(cells.into_iter().map(Output::Cell));
        self.end(Scope::Cells, generation, true);
    }

    fn list_containers(&mut self, scope: Scope) {
        let generation = self.begin(scope);
        let members = self
            .containers
            .values()
            .filter(|of| Scope::from(of.kind) == scope);
        self.out.extend(members.cloned().map(Output::Upsert));
        let complete = match scope {
            // A standby gives out only what it happens to know.
            Scope::Instances => self.mode == Mode::Leading && self.fresh.contains(APPS),
            Scope::Tasks => self.fresh.contains(TASKS),
            // Nobody ever vouches for the staging domain; its tasks are short and its lists complete.
            Scope::Staging | Scope::Cells => true,
        };
        self.end(scope, generation, complete);
    }

    fn begin(&mut self, scope: Scope) -> u64 {
        self.generation += 1;
        self.out.push(Output::Begin(scope, self.generation));
        self.generation
    }

    fn end(&mut self, scope: Scope, generation: u64, complete: bool) {
        self.out.push(Output::End {
            scope,
            generation,
            complete,
        });
    }

    // Desired LRPs.

    fn learn(&mut self, desired: Desired, mark: Mark) {
        let Desired { process, tag, facts } = desired;
        if self.desired_gone.contains_key(&tag.epoch) && !tag.epoch.is_empty() {
            return;
        }
        let newer = |(held, _, _): &(Tag, Option<Arc<Facts>>, Mark)| {
            held.epoch.is_empty() || held.epoch != tag.epoch || held.index < tag.index
        };
        if self.desired.get(&process).is_none_or(newer) {
            self.desired.insert(process.clone(), (tag, facts, mark));
        }
        self.urgent.remove(&process);
        self.unavailable.remove(&process);
        let handles: Vec<Handle> = self.register.handles_of(&process).collect();
        self.refresh_all(handles);
    }

    fn unlearn(&mut self, gone: &Info, mark: Mark) {
        if !gone.tag.epoch.is_empty() {
            self.desired_gone.insert(gone.tag.epoch.clone(), mark);
        }
        let same = |(held, _, _): &(Tag, Option<Arc<Facts>>, Mark)| {
            held.epoch == gone.tag.epoch || gone.tag.epoch.is_empty()
        };
        if self.desired.get(&gone.process).is_some_and(same) {
            self.desired.remove(&gone.process);
        }
    }

    /// Full records are read only for keys not known, or known under another epoch.
    fn compare(&mut self, infos: Vec<Info>, asked: Mark) {
        let mut listed: HashMap<ProcessGuid, Tag> =
            infos.into_iter().map(|info| (info.process, info.tag)).collect();
        if self.fresh.contains(APPS) {
            self.desired
                .retain(|process, (_, _, mark)| *mark >= asked || listed.contains_key(process));
        }
        self.desired_gone.retain(|_, mark| *mark >= asked);
        listed.retain(|process, tag| {
            let known = self
                .desired
                .get(process)
                .is_some_and(|(held, _, _)| held.epoch == tag.epoch);
            !known && !self.desired_gone.contains_key(&tag.epoch)
        });
        let mut wanted: Vec<ProcessGuid> = listed.into_keys().collect();
        wanted.sort_unstable();
        self.wanted = wanted.into();
    }

    fn reading_records(&self) -> bool {
        let reading = |pending: &Pending| matches!(pending.about, About::Records { .. });
        !self.wanted.is_empty() || !self.urgent.is_empty() || self.pending.values().any(reading)
    }

    /// One batch at a time for the bulk, and one for what a waiting container needs.
    fn ask_records(&mut self, now: Duration) {
        if now < self.records_until {
            return;
        }
        for urgent in [true, false] {
            if self.can_ask_records(urgent) {
                let asked = self.next_batch(urgent);
                self.ask(Request::Desired(asked.clone()), About::Records { asked, urgent });
            }
        }
    }

    fn can_ask_records(&self, urgent: bool) -> bool {
        let busy = |pending: &Pending| matches!(pending.about, About::Records { urgent: held, .. } if held == urgent);
        let none = if urgent {
            self.urgent.is_empty()
        } else {
            self.wanted.is_empty()
        };
        !none && !self.pending.values().any(busy)
    }

    fn next_batch(&mut self, urgent: bool) -> Vec<ProcessGuid> {
        let size = self.options.batch.max(1);
        if !urgent {
            let size = size.min(self.wanted.len());
            return self.wanted.drain(..size).collect();
        }
        let batch: Vec<ProcessGuid> = self.urgent.iter().take(size).cloned().collect();
        batch.iter().for_each(|process| {
            self.urgent.remove(process);
        });
        batch
    }

    fn records(&mut self, asked: Vec<ProcessGuid>, found: Vec<Desired>, mark: Mark) {
        for desired in found {
            if !self.learned_since(&desired, mark) {
                self.learn(desired, mark);
            }
        }
        for process in asked {
            if !self.desired.contains_key(&process) {
                self.unavailable.insert(process.clone());
                let handles: Vec<Handle> = self.register.handles_of(&process).collect();
                self.refresh_all(handles);
            }
        }
    }

    /// Whether an event told of another row under the key after the question: the answer is older.
    fn learned_since(&self, desired: &Desired, asked: Mark) -> bool {
        self.desired
            .get(&desired.process)
            .is_some_and(|(held, _, mark)| held.epoch != desired.tag.epoch && *mark >= asked)
    }

    // Contradictions.

    fn ask_places(&mut self, now: Duration) {
        let overdue = self.register.overdue(now, self.options.grace);
        if overdue.is_empty() {
            return;
        }
        self.stats.doubts += overdue.len() as u64;
        if overdue.len() > self.options.max_doubts {
            self.hurry(now);
            return;
        }
        for (process, index) in overdue {
            let place = (process.clone(), index);
            self.ask(Request::Place(process, index), About::Place(place));
        }
    }

    // Containers.

    fn refresh_all(&mut self, handles: impl IntoIterator<Item = Handle>) {
        for handle in handles {
            self.refresh(handle);
        }
    }

    /// Compares what is known of a container with what was given out.
    fn refresh(&mut self, handle: Handle) {
        let container = match (self.tasks.get(&handle), self.register.best(&handle)) {
            (Some(task), _) => Some(task_container(task)),
            (None, Some(row)) => {
                let Some(facts) = self.facts_for(row) else {
                    if self.mode == Mode::Leading {
                        self.urgent.insert(row.actual.process.clone());
                    }
                    return;
                };
                Some(instance(row, facts))
            }
            (None, None) => None,
        };
        match container {
            None => {
                if let Some(gone) = self.containers.remove(&handle) {
                    self.out.push(Output::Remove(gone.kind.into(), handle));
                }
            }
            Some(container) if self.containers.get(&handle) == Some(&container) => {}
            Some(container) => {
                self.register.forget_fallback(&handle);
                self.containers.insert(handle, container.clone());
                self.out.push(Output::Upsert(container));
            }
        }
    }

    /// What a container was given when it was first seen stays. `None`: not known yet.
    #[allow(clippy::option_option)]
    fn facts_for(&self, row: &Row) -> Option<Option<Arc<Facts>>> {
        let given = self.containers.get(&row.handle).and_then(|of| of.facts.clone());
        let makeshift = |facts: &Arc<Facts>| facts.snat == SnatPool::Unknown;
        if given.as_ref().is_some_and(|facts| !makeshift(facts)) {
            return Some(given);
        }
        if let Some((_, Some(facts), _)) = self.desired.get(&row.actual.process) {
            return Some(Some(facts.clone()));
        }
        if given.is_some() || self.desired.contains_key(&row.actual.process) {
            return Some(given);
        }
        self.unavailable
            .contains(&row.actual.process)
            .then(|| row.actual.fallback.clone())
    }
}

impl Subscription {
    /// A cycle ended with the stream open.
    fn settle(&mut self) {
        if matches!(self.state, StreamState::Open(_)) {
            self.backoff.reset();
            self.settled = true;
        }
    }
}

fn instance(row: &Row, facts: Option<Arc<Facts>>) -> Container {
    Container {
        handle: row.handle.clone(),
        kind: Kind::App,
        cell: row.cell.clone(),
        process: Some((row.actual.process.clone(), row.actual.index)),
        presence: row.actual.presence,
        running: row.actual.running,
        since: row.actual.since,
        facts,
    }
}
