//! What to do about one row now. Pure: the plan that people see and the work that is sent come from
//! the same function.

use serde::Serialize;

use super::rows::{Row, RowId};
use super::{Near, Planner, Sight, Source};
use crate::dialect::{Change, Dialect, Failure, Needs, Ref, RowKey, Seen, Verb};
use crate::time::Time;
use crate::topology::ObjectKey;

/// What to do about a row.
#[derive(Clone, Debug)]
pub enum Decision<D: Dialect> {
    /// Nothing: it is as wanted.
    Settled,
    /// Look at it first.
    Read,
    /// This.
    Step(Verb, D::Op),
    /// Remove a second object that bears the row's mark: left by a lost answer.
    RetireTwin(D::Op),
    /// Something, but not now.
    Blocked(Blocked<D::Part>),
}

/// What a row waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum Blocked<P> {
    /// Its own operation or read, which is under way.
    Flight,
    /// Rows that must stand first.
    On(Vec<RowKey<P>>),
    /// Rows that still refer to it; how many.
    Users(u32),
    /// A point in time: back-off after a failure, or what takes something from a flow and lets additions
    /// take effect.
    Until(Time),
    /// A gate.
    Gate(Gate),
    /// Another operation of its lane.
    Lane(ObjectKey),
    /// It can't be said at the moment (an address, a claim is missing).
    Unsaid,
    /// The dialect refuses it.
    Refused(Failure),
}

/// Whether rows may be removed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Gate {
    /// Yes.
    Open,
    /// Not while absence in this scope means nothing.
    Untrusted(String),
    /// Not while a change this large is unconfirmed.
    Brake(String),
}

/// A row and what to do about it.
pub(crate) struct Pending<'a, D: Dialect> {
    pub(crate) key: &'a RowKey<D::Part>,
    pub(crate) wanted: bool,
    pub(crate) sight: &'a Sight<D>,
    pub(crate) decision: Decision<D>,
}

impl<D: Dialect> Planner<D> {
    /// What to do about each row now, for a plan.
    pub(crate) fn decisions(
        &self,
        now: Time,
        source: &impl Source<D>,
    ) -> impl Iterator<Item = Pending<'_, D>> {
        self.rows.iter().map(move |(id, row)| Pending {
            key: &row.key,
            wanted: row.want.is_some(),
            sight: &row.sight,
            decision: self.decide(id, now, source, None),
        })
    }

    /// What to do about this row now; `riding` names a row that is being made in the same batch.
    pub(super) fn decide(
        &self,
        id: RowId,
        now: Time,
        source: &impl Source<D>,
        riding: Option<RowId>,
    ) -> Decision<D> {
        let Some(row) = self.rows.get(id) else {
            return Decision::Settled;
        };
        if row.flight || row.reading {
            return Decision::Blocked(Blocked::Flight);
        }
        if let Some(retry) = &row.retry
            && now < retry.at
        {
            return Decision::Blocked(Blocked::Until(retry.at));
        }
        let looked_for = self.dialect.looked_for(&row.key);
        let twin = self.twins.get(&id).and_then(|t| t.first());
        match (&row.want, &row.sight) {
            (_, Sight::Uncertain) | (Some(_), Sight::Unread) => Decision::Read,
            (None, Sight::Absent | Sight::Unread) => Decision::Settled,
            (Some(_), Sight::Present(..)) | (None, Sight::Present(..)) if looked_for => Decision::Settled,
            (Some(_), Sight::Absent) if looked_for => Decision::Read,
            (_, Sight::Present(..)) if let Some(twin) = twin => {
                self.in_lane(row, Decision::RetireTwin(self.dialect.retire(&row.key, twin)))
            }
            (Some(_), Sight::Absent) => self.ensure(row, None, now, source, riding),
            (Some(_), Sight::Present(seen, epoch)) => match self.ensure(row, Some(seen), now, source, riding)
            {
                Decision::Step(..) if *epoch < self.epoch => Decision::Read,
                decision => decision,
            },
            (None, Sight::Present(seen, epoch)) => self.retire(row, seen, *epoch, now, source),
        }
    }

    fn ensure(
        &self,
        row: &Row<D>,
        seen: Option<&Seen<D>>,
        now: Time,
        source: &impl Source<D>,
        riding: Option<RowId>,
    ) -> Decision<D> {
        // Cheaper than saying the row: what it refers to must stand.
        let absent = self.absent(row, riding);
        if !absent.is_empty() {
            return Decision::Blocked(Blocked::On(absent));
        }
        if seen.is_some() && source.unsure(&row.key.object) {
            return Decision::Blocked(Blocked::Unsaid);
        }
        let Some(value) = source.row(&row.key) else {
            return Decision::Blocked(Blocked::Unsaid);
        };
        let near = Near {
            planner: self,
            refs: &row.want_refs,
        };
        let missing = self.missing(&value, &near, riding);
        if !missing.is_empty() {
            return Decision::Blocked(Blocked::On(missing));
        }
        if let Some(seen) = seen
            && self.dialect.digest(&value, &near) == Some(seen.digest)
        {
            return Decision::Settled;
        }
        if seen.is_some()
            && Self::bears(row.key.object.kind())
            && let Some(at) = self.after(self.counts.additions, row, now)
        {
            return Decision::Blocked(Blocked::Until(at));
        }
        match self.dialect.ensure(&row.key, &value, seen, &near) {
            Change::Op(op) => self.in_lane(row, Decision::Step(Verb::Ensure, op)),
            Change::Refused(failure) => Decision::Blocked(Blocked::Refused(failure)),
            Change::Replace => match seen {
                Some(_) if row.used_by > 0 => Decision::Blocked(Blocked::Users(row.used_by)),
                Some(seen) => self.in_lane(
                    row,
                    Decision::Step(Verb::Retire, self.dialect.retire(&row.key, seen)),
                ),
                None => Decision::Blocked(Blocked::Unsaid),
            },
        }
    }

    fn absent(&self, row: &Row<D>, riding: Option<RowId>) -> Vec<RowKey<D::Part>> {
        let others = row.want_refs.iter().filter(|id| Some(**id) != riding);
        let rows = others.filter_map(|id| self.rows.get(*id));
        let absent = rows.filter(|r| !matches!(r.sight, Sight::Present(..)));
        absent.map(|r| r.key.clone()).collect()
    }

    fn missing(&self, value: &D::Row, near: &Near<'_, D>, riding: Option<RowId>) -> Vec<RowKey<D::Part>> {
        let on = riding.and_then(|id| self.rows.get(id)).map(|r| &r.key);
        let refs = self.dialect.refs(value).into_iter();
        // What only the far end can say of a row is not known before it has answered for it.
        let rides = |r: &Ref<D::Part>| Some(&r.key) == on && r.needs == Needs::Handle;
        refs.filter(|r| !rides(r) && !near.satisfies(&r.key, r.needs))
            .map(|r| r.key)
            .collect()
    }

    fn retire(
        &self,
        row: &Row<D>,
        seen: &Seen<D>,
        epoch: u64,
        now: Time,
        source: &impl Source<D>,
    ) -> Decision<D> {
        let kind = row.key.object.kind();
        if source.unsaid(&row.key.object) {
            return Decision::Blocked(Blocked::Unsaid);
        }
        let gate = source.gate(&row.key.object);
        if gate != Gate::Open {
            return Decision::Blocked(Blocked::Gate(gate));
        }
        if row.used_by > 0 {
            return Decision::Blocked(Blocked::Users(row.used_by));
        }
        if epoch < self.epoch {
            return Decision::Read;
        }
        let others = self.counts.additions + self.counts.changes;
        if Self::is_firewall(kind)
            && let Some(at) = self.after(others, row, now)
        {
            return Decision::Blocked(Blocked::Until(at));
        }
        self.in_lane(
            row,
            Decision::Step(Verb::Retire, self.dialect.retire(&row.key, seen)),
        )
    }

    /// When what may take something from a flow may go, if not now: after `others` of the same change
    /// have taken effect, or a bound has passed. Additions go first, then changes of what stands, then
    /// removals, so that a flow allowed before and after is allowed between.
    fn after(&self, others: usize, row: &Row<D>, now: Time) -> Option<Time> {
        let bound = row.due.unwrap_or(now) + self.timing.removal_wait;
        let at = match others {
            0 => bound.min(self.last_addition + self.timing.settle),
            _ => bound,
        };
        (now < at).then_some(at)
    }

    fn in_lane(&self, row: &Row<D>, decision: Decision<D>) -> Decision<D> {
        match self.dialect.lane(&row.key) {
            Some(lane) if self.lanes.get(&lane).is_some_and(|l| l.in_flight > 0) => {
                Decision::Blocked(Blocked::Lane(lane))
            }
            _ => decision,
        }
    }
}
