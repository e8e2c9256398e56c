//! The planner: what is wanted minus what is seen, row by row, for any dialect.
//!
//! It resolves references, keeps what can't go yet waiting and says for what, orders (a referent
//! before what refers to it, and in reverse when removing), and hands ready steps to the dialect to be
//! batched. It holds digests, not values: a row is compiled again when it is needed.
//!
//! What is known of a row ([`Sight`]) decides what may be done with it. *Uncertain* leads only to a
//! read. *Absent* comes only from a read by id or narrow filter, or from a listing that was one answer.

mod decide;
mod inventory;
mod outcome;
mod queue;
mod rows;
mod wants;
mod work;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::dialect::{Attributes, Dialect, Failure, Needs, Resolve, RowKey, Seen, StepId, Verb};
use crate::digest::Digest;
use crate::time::Time;
use crate::topology::{Kind, ObjectKey};

pub(crate) use decide::Pending;
pub use decide::{Blocked, Decision, Gate};
pub use queue::Class;
pub(crate) use rows::RowId;

use inventory::Inventory;
use queue::Queues;
use rows::Rows;

/// What is known of a row at the far end.
#[derive(Clone, Debug, PartialEq)]
pub enum Sight<D: Dialect> {
    /// Nothing yet.
    Unread,
    /// It is not there.
    Absent,
    /// It stands so; read or written under this leadership.
    Present(Seen<D>, u64),
    /// An answer was lost, or someone changed it: only a read tells.
    Uncertain,
}

/// How many of a row's references are worth searching before a table is asked.
const NEAR: usize = 8;

/// Something about a row that the engine acts on.
#[derive(Clone, Debug)]
pub enum News<P> {
    /// A row stands, with these attributes.
    Stands(RowKey<P>, Attributes),
    /// A row is certainly gone.
    Gone(RowKey<P>),
    /// A row can't be had.
    Refused(RowKey<P>, Failure),
}

/// What the planner needs from the engine while deciding.
pub trait Source<D: Dialect> {
    /// The row as it is wanted now; `None` if it can't be said at the moment.
    fn row(&self, key: &RowKey<D::Part>) -> Option<D::Row>;
    /// Whether an object is wanted but can't be said now; what stands of it stays.
    fn unsaid(&self, key: &ObjectKey) -> bool;
    /// Whether what an object is to be is but a guess, good enough to make it and not to change it.
    fn unsure(&self, key: &ObjectKey) -> bool;
    /// Whether the rows of an object may be removed now, if it is not wanted.
    fn gate(&self, key: &ObjectKey) -> Gate;
    /// A number by which work of one class is shared out fairly: the same for one project.
    fn share(&self, key: &ObjectKey) -> u64;
}

/// Timing that the planner obeys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) settle: Duration,
    pub(crate) removal_wait: Duration,
    pub(crate) seed: u64,
}

/// Wanted minus seen.
pub struct Planner<D: Dialect> {
    dialect: Arc<D>,
    rows: Rows<D>,
    queues: Queues,
    reads: BTreeSet<RowId>,
    lanes: FxHashMap<ObjectKey, Lane>,
    flights: FxHashMap<StepId, Flight>,
    twins: FxHashMap<RowId, Vec<Seen<D>>>,
    timers: BinaryHeap<Reverse<(Time, RowId)>>,
    gated: Vec<RowId>,
    /// What waits for additions and changes to take effect.
    after_additions: Vec<RowId>,
    additions_over: bool,
    news: VecDeque<News<D::Part>>,
    inventory: Inventory<D>,
    epoch: u64,
    next_step: u64,
    counts: Counts,
    routers_retiring: FxHashMap<ObjectKey, usize>,
    last_addition: Time,
    timing: Timing,
}

#[derive(Debug, Default)]
struct Lane {
    in_flight: usize,
    parked: Vec<RowId>,
}

#[derive(Debug)]
struct Flight {
    row: RowId,
    lane: Option<ObjectKey>,
    verb: Verb,
    twin: bool,
    /// As what it was wanted when this began.
    fingerprint: Option<Digest>,
}

/// Counts that status, brakes and gates read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that are not as wanted.
    pub unsettled: usize,
    /// Firewall rows that are wanted and do not stand yet.
    pub additions: usize,
    /// Firewall rows and ports that stand and are not as wanted.
    pub changes: usize,
    /// Ports that stand.
    pub ports: usize,
    /// Ports that stand and are not wanted.
    pub ports_retiring: usize,
    /// Routers that stand and are not wanted.
    pub routers_retiring: usize,
}

impl<D: Dialect> Planner<D> {
    pub(crate) fn new(dialect: Arc<D>, timing: Timing) -> Planner<D> {
        Planner {
            dialect,
            rows: Rows::default(),
            queues: Queues::default(),
            reads: BTreeSet::new(),
            lanes: FxHashMap::default(),
            flights: FxHashMap::default(),
            twins: FxHashMap::default(),
            timers: BinaryHeap::new(),
            gated: Vec::new(),
            after_additions: Vec::new(),
            additions_over: false,
            news: VecDeque::new(),
            inventory: Inventory::default(),
            epoch: 0,
            next_step: 0,
            counts: Counts::default(),
            routers_retiring: FxHashMap::default(),
            last_addition: Time(0),
            timing,
        }
    }

    /// The dialect.
    pub fn dialect(&self) -> &D {
        &self.dialect
    }

    /// Present counts.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Steps under way.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Takes the oldest piece of news.
    pub(crate) fn next_news(&mut self) -> Option<News<D::Part>> {
        self.news.pop_front()
    }

    /// Whether there is news that nobody has taken.
    pub(crate) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// When something that waits for time is due.
    pub(crate) fn wake(&self) -> Option<Time> {
        self.timers.peek().map(|Reverse((time, _))| *time)
    }

    /// Puts what was due by now back into the queues.
    pub(crate) fn ring(&mut self, now: Time, source: &impl Source<D>) {
        while let Some(Reverse((time, id))) = self.timers.peek().copied() {
            if time > now {
                break;
            }
            self.timers.pop();
            self.enqueue(id, source);
        }
    }

    /// Looks again at everything that a gate held back.
    pub(crate) fn open_gates(&mut self, source: &impl Source<D>) {
        for id in std::mem::take(&mut self.gated) {
            self.enqueue(id, source);
        }
    }

    /// Every row: its key, the fingerprint it is wanted with, and what is seen.
    pub fn each_row(&self) -> impl Iterator<Item = (&RowKey<D::Part>, Option<Digest>, &Sight<D>)> {
        self.rows
            .iter()
            .map(|(_, r)| (&r.key, r.want.as_ref().map(|w| w.fingerprint), &r.sight))
    }

    /// The objects of which a row is wanted; some more than once.
    pub(crate) fn wanted_objects(&self) -> impl Iterator<Item = &ObjectKey> {
        let wanted = self.rows.iter().filter(|(_, r)| r.want.is_some());
        wanted.map(|(_, r)| &r.key.object)
    }

    /// Whether the object has a row, wanted or not.
    pub(crate) fn has_rows(&self, object: &ObjectKey) -> bool {
        self.rows.of(object).next().is_some()
    }

    /// Whether a row of the object stands, as far as known.
    pub(crate) fn may_stand(&self, object: &ObjectKey) -> bool {
        let mut rows = self.rows.of(object).filter_map(|id| self.rows.get(id));
        rows.any(|row| matches!(row.sight, Sight::Present(..) | Sight::Uncertain))
    }

    /// Whether no row of the object stands, may stand, or is being made.
    pub(crate) fn stands_nowhere(&self, object: &ObjectKey) -> bool {
        self.rows
            .of(object)
            .filter_map(|id| self.rows.get(id))
            .all(|row| !row.flight && matches!(row.sight, Sight::Absent | Sight::Unread))
    }

    /// What failed last for each row that is being tried again.
    pub fn failures(&self) -> impl Iterator<Item = (&RowKey<D::Part>, &Failure)> {
        self.rows
            .iter()
            .filter_map(|(_, r)| r.retry.as_ref().map(|f| (&r.key, &f.failure)))
    }

    fn enqueue(&mut self, id: RowId, source: &impl Source<D>) {
        let Some(row) = self.rows.get(id) else { return };
        if row.queued || row.flight || self.lacks(row) {
            return;
        }
        let Some(row) = self.rows.get_mut(id) else { return };
        row.queued = true;
        let class = queue::class(&row.key.object, row.want.is_some());
        let share = *row.share.get_or_insert_with(|| source.share(&row.key.object));
        self.queues.push(class, share, id);
    }

    /// Whether the row is to be made and something that it refers to does not stand: that one wakes it.
    fn lacks(&self, row: &rows::Row<D>) -> bool {
        let stands = |id: &RowId| self.rows.handle(*id).is_some();
        row.want.is_some() && matches!(row.sight, Sight::Absent) && !row.want_refs.iter().all(stands)
    }

    /// Keeps news for the engine, which acts on what its choices hang on.
    fn tell(&mut self, news: News<D::Part>) {
        let (News::Stands(key, _) | News::Gone(key) | News::Refused(key, _)) = &news;
        use Kind::{Address, Pool, Port, Router, Subnet};
        if matches!(key.object.kind(), Address | Pool | Port | Router | Subnet) {
            self.news.push_back(news);
        }
    }

    /// Whether a change of such a row may take something from a flow: a port bears marks of groups.
    fn bears(kind: Kind) -> bool {
        kind == Kind::Port || Self::is_firewall(kind)
    }

    fn is_firewall(kind: Kind) -> bool {
        use Kind::{Group, Member, Rule, Section, Union, UnionMember};
        matches!(kind, Group | Member | Rule | Section | Union | UnionMember)
    }
}

impl<D: Dialect> Resolve<D> for Planner<D> {
    fn handle(&self, key: &RowKey<D::Part>) -> Option<&D::Handle> {
        match self.sight(key)? {
            Sight::Present(seen, _) => Some(&seen.handle),
            _ => None,
        }
    }

    fn attributes(&self, key: &RowKey<D::Part>) -> Option<&Attributes> {
        match self.sight(key)? {
            Sight::Present(seen, _) => Some(&seen.attributes),
            _ => None,
        }
    }
}

/// Looks among a row's own references first: they are at hand, and mostly what is asked for.
struct Near<'a, D: Dialect> {
    planner: &'a Planner<D>,
    refs: &'a [RowId],
}

impl<'a, D: Dialect> Near<'a, D> {
    fn row(&self, key: &RowKey<D::Part>) -> Option<&'a rows::Row<D>> {
        let rows = &self.planner.rows;
        let near = self.refs.iter().take(NEAR).filter_map(|id| rows.get(*id));
        let mut near = near.filter(|row| row.key == *key);
        near.next().or_else(|| rows.get(rows.find(key)?))
    }

    fn seen(&self, key: &RowKey<D::Part>) -> Option<&'a Seen<D>> {
        match &self.row(key)?.sight {
            Sight::Present(seen, _) => Some(seen),
            _ => None,
        }
    }

    fn satisfies(&self, key: &RowKey<D::Part>, needs: Needs) -> bool {
        if self.row(key).is_some_and(|row| row.leaving) {
            return false;
        }
        match (self.seen(key), needs) {
            (None, _) => false,
            (Some(_), Needs::Handle) => true,
            (Some(seen), Needs::Cidr) => seen.attributes.cidr.is_some(),
            (Some(seen), Needs::Address) => seen.attributes.address.is_some(),
        }
    }
}

impl<D: Dialect> Resolve<D> for Near<'_, D> {
    fn handle(&self, key: &RowKey<D::Part>) -> Option<&D::Handle> {
        self.seen(key).map(|seen| &seen.handle)
    }

    fn attributes(&self, key: &RowKey<D::Part>) -> Option<&Attributes> {
        self.seen(key).map(|seen| &seen.attributes)
    }
}

impl<D: Dialect> Planner<D> {
    /// What is known of a row.
    pub fn sight(&self, key: &RowKey<D::Part>) -> Option<&Sight<D>> {
        let id = self.rows.find(key)?;
        self.rows.get(id).map(|r| &r.sight)
    }
}

impl<D: Dialect> fmt::Debug for Planner<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Planner")
            .field("epoch", &self.epoch)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
