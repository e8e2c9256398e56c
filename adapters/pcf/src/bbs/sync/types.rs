//! What goes into the state machine and what comes out.

use std::time::Duration;

use crate::bbs::record::{Actual, Cell, Container, Desired, Event, Info, Kind, TaskRow};
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
pub struct Ticket(pub(super) u64);

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
