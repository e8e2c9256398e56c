//! Turning decisions into batches and reads.

use std::cmp::Reverse;

use super::decide::{Blocked, Decision};
use super::rows::RowId;
use super::{Flight, Planner, Sight, Source};
use crate::dialect::{Asked, Batch, Dialect, ReadRequest, RowKey, Step, StepId, Verb};
use crate::time::Time;

/// How many rows one read request asks for at most.
const READ_ROWS: usize = 32;

impl<D: Dialect> Planner<D> {
    /// The next batch that can go; none if nothing can. If nothing may be written, what could go is
    /// held until the gates are looked at again.
    pub(crate) fn next_batch(
        &mut self,
        now: Time,
        may_write: bool,
        source: &impl Source<D>,
    ) -> Option<Batch<D>> {
        loop {
            self.wake_after_additions(source);
            let id = self.queues.pop()?;
            let Some(row) = self.rows.get_mut(id) else {
                continue;
            };
            row.queued = false;
            if row.flight || row.reading {
                continue;
            }
            if row.settled {
                self.drop_if_idle(id);
                continue;
            }
            if matches!(row.sight, Sight::Present(..)) {
                row.due.get_or_insert(now);
            }
            match self.decide(id, now, source, None) {
                Decision::Step(..) | Decision::RetireTwin(_) if !may_write => self.gated.push(id),
                Decision::Step(verb, op) => return Some(self.launch(id, verb, op, now, source)),
                Decision::RetireTwin(op) => {
                    let steps = vec![self.fly(id, Verb::Retire, op, true)];
                    return Some(Batch { steps });
                }
                Decision::Settled => self.settle(id),
                Decision::Read => {
                    self.reads.insert(id);
                }
                Decision::Blocked(blocked) => self.block(id, blocked, now, source),
            }
        }
    }

    /// When the last addition, or the last change, of those under way stands, what waited for that
    /// looks again.
    fn wake_after_additions(&mut self, source: &impl Source<D>) {
        if std::mem::take(&mut self.additions_over) {
            for held in std::mem::take(&mut self.after_additions) {
                self.enqueue(held, source);
            }
        }
    }

    /// The next rows to read.
    pub(crate) fn next_read(&mut self) -> Option<ReadRequest<D>> {
        let mut asked = Vec::new();
        while asked.len() < READ_ROWS
            && let Some(id) = self.reads.pop_first()
        {
            let Some(row) = self.rows.get_mut(id) else {
                continue;
            };
            if row.flight || row.reading {
                continue;
            }
            row.reading = true;
            let handle = match &row.sight {
                // What others make may have been made anew under the same name.
                Sight::Present(seen, _) if !self.dialect.looked_for(&row.key) => Some(seen.handle.clone()),
                _ => None,
            };
            let key = row.key.clone();
            asked.push(Asked {
                key,
                handle,
                refs: self.standing_refs(id),
            });
        }
        (!asked.is_empty()).then_some(ReadRequest::Rows(asked))
    }

    fn standing_refs(&self, id: RowId) -> Vec<(RowKey<D::Part>, D::Handle)> {
        let Some(row) = self.rows.get(id) else {
            return Vec::new();
        };
        let mut ids: Vec<RowId> = row.want_refs.iter().chain(&row.seen_refs).copied().collect();
        ids.sort_unstable();
        ids.dedup();
        let rows = ids.into_iter().filter_map(|id| self.rows.get(id));
        rows.filter_map(|r| match &r.sight {
            Sight::Present(seen, _) => Some((r.key.clone(), seen.handle.clone())),
            _ => None,
        })
        .collect()
    }

    /// The keys of the rows that this one is seen to refer to.
    pub(crate) fn refs_of(&self, key: &RowKey<D::Part>) -> Vec<RowKey<D::Part>> {
        let Some(row) = self.rows.find(key).and_then(|id| self.rows.get(id)) else {
            return Vec::new();
        };
        row.seen_refs
            .iter()
            .filter_map(|id| self.rows.get(*id))
            .map(|r| r.key.clone())
            .collect()
    }

    /// Whether a row waits for its turn.
    pub(crate) fn has_work(&self) -> bool {
        !self.queues.is_empty()
    }

    /// Whether a row waits to be read.
    pub(crate) fn has_reads(&self) -> bool {
        !self.reads.is_empty()
    }

    pub(super) fn settle(&mut self, id: RowId) {
        self.recount(id, |row| {
            row.settled = true;
            row.retry = None;
            row.due = None;
        });
        self.drop_if_idle(id);
    }

    fn block(&mut self, id: RowId, blocked: Blocked<D::Part>, now: Time, source: &impl Source<D>) {
        match blocked {
            Blocked::Until(at) => {
                self.timers.push(Reverse((at, id)));
                if self.counts.additions + self.counts.changes > 0 {
                    self.after_additions.push(id);
                }
            }
            Blocked::Gate(_) => self.gated.push(id),
            Blocked::Lane(lane) => self.lanes.entry(lane).or_default().parked.push(id),
            Blocked::Refused(failure) => self.fail(id, failure, now, source),
            // Woken by what they wait for.
            Blocked::Flight | Blocked::On(_) | Blocked::Users(_) | Blocked::Unsaid => {}
        }
    }

    fn launch(&mut self, id: RowId, verb: Verb, op: D::Op, now: Time, source: &impl Source<D>) -> Batch<D> {
        let mut steps = vec![self.fly(id, verb, op, false)];
        let kind = self.rows.get(id).map(|r| r.key.object.kind());
        let room = kind.map_or(1, |k| self.dialect.batch_room(k));
        if verb == Verb::Ensure && room > 1 {
            for mate in self.mates(id) {
                if steps.len() >= room {
                    break;
                }
                if let Some(step) = self.join(mate, id, now, source) {
                    steps.push(step);
                }
            }
        }
        // What does not go with the first step goes by itself, later: it may ride on that step, or
        // wait for its lane.
        let mut batches = self.dialect.batch(steps).into_iter();
        let first = batches.next().unwrap_or(Batch { steps: Vec::new() });
        for step in batches.flat_map(|batch| batch.steps) {
            self.recall(step.id, source);
        }
        first
    }

    /// Rows that might go in one batch with this one: those that ride on it, and those of its lane.
    fn mates(&self, id: RowId) -> Vec<RowId> {
        let Some(row) = self.rows.get(id) else {
            return Vec::new();
        };
        let mut mates: Vec<RowId> = row.wanted_by.iter().copied().collect();
        if let Some(lane) = self.dialect.lane(&row.key)
            && lane != row.key.object
        {
            let heads = self.rows.of(&lane).filter_map(|head| self.rows.get(head));
            mates.extend(
                heads
                    .flat_map(|head| head.wanted_by.iter().copied())
                    .filter(|m| *m != id),
            );
        }
        mates.sort_unstable_by(|a, b| {
            self.rows
                .get(*a)
                .map(|r| &r.key)
                .cmp(&self.rows.get(*b).map(|r| &r.key))
        });
        mates
    }

    fn join(&mut self, mate: RowId, first: RowId, now: Time, source: &impl Source<D>) -> Option<Step<D>> {
        let (row, on) = (self.rows.get(mate)?, self.rows.get(first)?);
        if row.flight
            || row.reading
            || row.settled
            || row.want.is_none()
            || !matches!(row.sight, Sight::Absent)
        {
            return None;
        }
        let rides = self.dialect.rides(&row.key, &on.key);
        let lane = self.dialect.lane(&row.key);
        if !rides && (lane.is_none() || lane != self.dialect.lane(&on.key)) {
            return None;
        }
        // The lane counts as free for whoever joins its present batch.
        let held = lane
            .as_ref()
            .and_then(|l| self.lanes.get_mut(l))
            .map(|l| std::mem::take(&mut l.in_flight));
        let decision = self.decide(mate, now, source, rides.then_some(first));
        if let (Some(lane), Some(count)) = (&lane, held)
            && let Some(l) = self.lanes.get_mut(lane)
        {
            l.in_flight = count;
        }
        match decision {
            Decision::Step(Verb::Ensure, op) => Some(self.fly(mate, Verb::Ensure, op, false)),
            _ => None,
        }
    }

    fn fly(&mut self, id: RowId, verb: Verb, op: D::Op, twin: bool) -> Step<D> {
        self.next_step += 1;
        let step = StepId(self.next_step);
        // `id` came out of the arena in the same call, so the row is there.
        let (key, fingerprint) = match self.rows.get_mut(id) {
            Some(row) => {
                row.flight = true;
                row.moved = false;
                let fingerprint = row.want.filter(|_| verb == Verb::Ensure).map(|w| w.fingerprint);
                row.leaving = verb == Verb::Retire && !twin;
                (row.key.clone(), fingerprint)
            }
            None => unreachable!("a row is launched while it stands in the arena"),
        };
        let lane = self.dialect.lane(&key);
        if let Some(lane) = &lane {
            self.lanes.entry(lane.clone()).or_default().in_flight += 1;
        }
        self.flights.insert(
            step,
            Flight {
                row: id,
                lane,
                verb,
                twin,
                fingerprint,
            },
        );
        Step {
            id: step,
            key,
            verb,
            op,
        }
    }

    fn recall(&mut self, step: StepId, source: &impl Source<D>) {
        if let Some(id) = self.land(step, source).map(|f| f.row) {
            self.enqueue(id, source);
        }
    }

    /// Ends a flight: the row may be decided on again, its lane is freed.
    pub(super) fn land(&mut self, step: StepId, source: &impl Source<D>) -> Option<Flight> {
        let flight = self.flights.remove(&step)?;
        if let Some(row) = self.rows.get_mut(flight.row) {
            row.flight = false;
            row.leaving = false;
        }
        if let Some(lane) = &flight.lane
            && let Some(state) = self.lanes.get_mut(lane)
        {
            state.in_flight = state.in_flight.saturating_sub(1);
            if state.in_flight == 0
                && let Some(state) = self.lanes.remove(lane)
            {
                state.parked.into_iter().for_each(|id| self.enqueue(id, source));
            }
        }
        Some(flight)
    }
}
