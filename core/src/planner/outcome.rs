//! Taking in what became of steps and reads of single rows.

use std::cmp::Reverse;
use std::time::Duration;

use super::rows::{Known, Retry, Row, RowId};
use super::{News, Planner, Sight, Source};
use crate::code::{Code, Disposition};
use crate::dialect::{Dialect, Failure, Outcome, RowKey, Seen, StepId, Verb};
use crate::digest::{self, Digest};
use crate::time::Time;
use crate::topology::Kind;

impl<D: Dialect> Planner<D> {
    /// Takes in what became of a step. Late answers of an earlier leadership are ignored. Returns a
    /// failure of the far end as a whole.
    pub(crate) fn done(
        &mut self,
        step: StepId,
        outcome: Outcome<D>,
        now: Time,
        source: &impl Source<D>,
    ) -> Option<Failure> {
        let flight = self.land(step, source)?;
        let id = flight.row;
        if let Some(row) = self.rows.get_mut(id) {
            row.written = now;
        }
        if flight.twin {
            return self.twin_done(id, outcome, now, source);
        }
        let retire = flight.verb == Verb::Retire;
        match outcome {
            Outcome::Done(seen) => {
                self.end_backoff(id);
                self.stood(id, seen, now, source);
                self.written(id, flight.fingerprint, source);
            }
            Outcome::Gone if retire => {
                self.end_backoff(id);
                self.gone(id, source);
            }
            Outcome::Gone | Outcome::Stale | Outcome::Uncertain => self.doubt(id, source),
            Outcome::Refused(failure) => {
                self.fail(id, failure, now, source);
                match retire {
                    true => self.wake_dependents(id, false, source),
                    false => self.look_at_refs(id),
                }
            }
            Outcome::NotSent(failure) => {
                self.enqueue(id, source);
                if retire {
                    self.wake_dependents(id, false, source);
                }
                return Some(failure);
            }
        }
        None
    }

    fn twin_done(
        &mut self,
        id: RowId,
        outcome: Outcome<D>,
        now: Time,
        source: &impl Source<D>,
    ) -> Option<Failure> {
        match outcome {
            Outcome::Gone | Outcome::Done(_) => {
                if let Some(twins) = self.twins.get_mut(&id) {
                    twins.remove(0);
                    if twins.is_empty() {
                        self.twins.remove(&id);
                    }
                }
                self.enqueue(id, source);
            }
            Outcome::Stale | Outcome::Uncertain => {
                self.twins.remove(&id);
                self.doubt(id, source);
            }
            Outcome::Refused(failure) => self.fail(id, failure, now, source),
            Outcome::NotSent(failure) => {
                self.enqueue(id, source);
                return Some(failure);
            }
        }
        None
    }

    /// Takes in the answer to a read of single rows.
    pub(crate) fn rows_read(
        &mut self,
        asked: &[RowKey<D::Part>],
        items: Vec<(RowKey<D::Part>, Seen<D>)>,
        absent: Vec<RowKey<D::Part>>,
        refused: Vec<(RowKey<D::Part>, Failure)>,
        now: Time,
        source: &impl Source<D>,
    ) {
        for (id, mut found) in self.by_row(items) {
            self.end_read(id);
            let seen = found.swap_remove(self.rightful(id, &found));
            self.twins.remove(&id);
            if !found.is_empty() {
                self.twins.insert(id, found);
            }
            self.stands(id, seen, now, source);
        }
        for key in absent {
            let Some(id) = self.rows.find(&key) else { continue };
            self.end_read(id);
            self.twins.remove(&id);
            self.gone(id, source);
            if self.dialect.looked_for(&key) && self.rows.get(id).is_some_and(|r| r.want.is_some()) {
                self.fail(id, not_found(&key), now, source);
            }
        }
        for (key, failure) in refused {
            let Some(id) = self.rows.find(&key) else { continue };
            self.end_read(id);
            self.fail(id, failure, now, source);
        }
        // What was not answered is asked again.
        let silent = asked.iter().filter_map(|key| self.rows.find(key));
        let silent: Vec<RowId> = silent
            .filter(|id| self.rows.get(*id).is_some_and(|r| r.reading))
            .collect();
        for id in silent {
            self.end_read(id);
            self.reads.insert(id);
        }
    }

    /// What was found, together for each row, in the order in which it came.
    fn by_row(&mut self, items: Vec<(RowKey<D::Part>, Seen<D>)>) -> Vec<(RowId, Vec<Seen<D>>)> {
        let mut rows: Vec<(RowId, Vec<Seen<D>>)> = Vec::new();
        for (key, seen) in items {
            let id = self.row_id(key);
            match rows.iter_mut().find(|(known, _)| *known == id) {
                Some((_, found)) => found.push(seen),
                None => rows.push((id, vec![seen])),
            }
        }
        rows
    }

    /// Which of several objects that bear a row's mark is the row: the one it was, since others refer
    /// to that one; the rest were left by lost answers.
    fn rightful(&self, id: RowId, found: &[Seen<D>]) -> usize {
        let Some(row) = self.rows.get(id) else { return 0 };
        let known = match (&row.sight, &row.known) {
            (Sight::Present(seen, _), _) => Some(&seen.handle),
            (_, Some(known)) => Some(&known.handle),
            _ => None,
        };
        let at = |handle: &D::Handle| found.iter().position(|seen| seen.handle == *handle);
        known.and_then(at).unwrap_or(0)
    }

    /// The rows of a read that failed as a whole are read again later.
    pub(crate) fn read_failed(&mut self, keys: &[RowKey<D::Part>]) {
        for key in keys {
            if let Some(id) = self.rows.find(key) {
                self.end_read(id);
                self.reads.insert(id);
            }
        }
    }

    fn end_read(&mut self, id: RowId) {
        if let Some(row) = self.rows.get_mut(id) {
            row.reading = false;
        }
    }

    fn end_backoff(&mut self, id: RowId) {
        if let Some(row) = self.rows.get_mut(id) {
            row.retry = None;
        }
    }

    /// The row was found to stand so.
    fn stands(&mut self, id: RowId, seen: Seen<D>, now: Time, source: &impl Source<D>) {
        self.stood(id, seen, now, source);
        self.enqueue(id, source);
    }

    fn stood(&mut self, id: RowId, seen: Seen<D>, now: Time, source: &impl Source<D>) {
        let Some(row) = self.rows.get(id) else { return };
        let (key, attributes) = (row.key.clone(), seen.attributes);
        let stood = matches!(row.sight, Sight::Present(..));
        let same = match (&row.sight, &row.known) {
            (Sight::Present(old, _), _) => old.handle == seen.handle && old.attributes == attributes,
            (_, Some(old)) => old.handle == seen.handle && old.attributes == attributes,
            _ => false,
        };
        self.forget_handle(id);
        self.rows.name(&seen.handle, id);
        let refs = self.referents(id, &seen.refs);
        self.set_seen_refs(id, refs, source);
        let epoch = self.epoch;
        self.recount(id, |row| {
            row.sight = Sight::Present(seen, epoch);
            row.known = None;
            row.settled = false;
        });
        let kind = key.object.kind();
        if Self::is_firewall(kind) || (kind == Kind::Port && stood) {
            self.last_addition = now;
        }
        if !(stood && same) {
            self.tell(News::Stands(key, attributes));
            self.wake_dependents(id, !same, source);
        }
    }

    /// The rows of these handles; mostly they are those that the wanted value refers to.
    pub(super) fn referents(&self, id: RowId, handles: &[D::Handle]) -> Box<[RowId]> {
        let wanted = self.rows.get(id).map_or(&[][..], |row| &row.want_refs);
        let near = &wanted[..wanted.len().min(super::NEAR)];
        let one = |handle: &D::Handle| {
            let named = |id: &&RowId| self.rows.handle(**id) == Some(handle);
            near.iter()
                .find(named)
                .copied()
                .or_else(|| self.rows.named(handle))
        };
        handles.iter().filter_map(one).collect()
    }

    /// What was just written is as wanted, unless that, or what it refers to, has changed since.
    fn written(&mut self, id: RowId, fingerprint: Option<Digest>, source: &impl Source<D>) {
        let same = |row: &Row<D>| !row.moved && row.want.map(|w| w.fingerprint) == fingerprint;
        if fingerprint.is_some() && self.rows.get(id).is_some_and(same) && !self.twins.contains_key(&id) {
            self.settle(id);
        } else {
            self.enqueue(id, source);
        }
    }

    /// The row is certainly not there.
    pub(super) fn gone(&mut self, id: RowId, source: &impl Source<D>) {
        let Some(row) = self.rows.get(id) else { return };
        let key = row.key.clone();
        let doubted = matches!(row.sight, Sight::Uncertain);
        let stood = matches!(row.sight, Sight::Present(..)) || row.known.is_some();
        self.forget_handle(id);
        self.set_seen_refs(id, Box::default(), source);
        self.recount(id, |row| {
            row.sight = Sight::Absent;
            row.known = None;
            row.settled = false;
            row.due = None;
        });
        if stood || doubted {
            self.tell(News::Gone(key));
            self.wake_dependents(id, stood, source);
        }
        self.enqueue(id, source);
    }

    /// Only a read tells what the row is now.
    pub(super) fn doubt(&mut self, id: RowId, source: &impl Source<D>) {
        self.make_uncertain(id);
        self.enqueue(id, source);
    }

    pub(super) fn make_uncertain(&mut self, id: RowId) {
        self.forget_handle(id);
        self.recount(id, |row| {
            let sight = std::mem::replace(&mut row.sight, Sight::Uncertain);
            if let Sight::Present(seen, _) = sight {
                let (handle, attributes) = (seen.handle, seen.attributes);
                row.known = Some(Box::new(Known { handle, attributes }));
            }
            row.settled = false;
        });
    }

    /// A refusal may come from what it refers to having changed behind our back (a machine made anew, a
    /// section removed by hand): look at that, without doubting it.
    fn look_at_refs(&mut self, id: RowId) {
        let refs = self.rows.get(id).map(|row| row.want_refs.clone());
        for referent in refs.unwrap_or_default() {
            let stands = |r: &Row<D>| matches!(r.sight, Sight::Present(..)) && !r.flight && !r.reading;
            if self.rows.get(referent).is_some_and(stands) {
                self.reads.insert(referent);
            }
        }
    }

    /// It can't be done now; again after a while.
    pub(super) fn fail(&mut self, id: RowId, failure: Failure, now: Time, source: &impl Source<D>) {
        let Some(row) = self.rows.get_mut(id) else { return };
        let attempts = row.retry.as_ref().map_or(0, |r| r.attempts) + 1;
        let seed = digest::of(&(self.timing.seed, &row.key, attempts)).0;
        let at = now + backoff(failure.disposition, attempts, seed);
        let key = row.key.clone();
        let doubtful = failure.disposition == Disposition::ObserveThenRetry;
        row.retry = Some(Box::new(Retry {
            at,
            attempts,
            failure: failure.clone(),
        }));
        if doubtful && matches!(row.sight, Sight::Present(..)) {
            self.doubt(id, source);
        }
        self.recount(id, |row| row.settled = false);
        self.timers.push(Reverse((at, id)));
        self.tell(News::Refused(key, failure));
    }

    fn forget_handle(&mut self, id: RowId) {
        self.rows.unname(id);
    }

    pub(super) fn set_seen_refs(&mut self, id: RowId, new: Box<[RowId]>, source: &impl Source<D>) {
        if self.rows.get(id).is_none() {
            return;
        }
        for referent in &new {
            if let Some(r) = self.rows.get_mut(*referent) {
                r.used_by += 1;
            }
        }
        let Some(row) = self.rows.get_mut(id) else { return };
        let old = std::mem::replace(&mut row.seen_refs, new);
        for referent in old {
            let Some(r) = self.rows.get_mut(referent) else {
                continue;
            };
            r.used_by = r.used_by.saturating_sub(1);
            if r.used_by == 0 {
                // Its removal, or its replacement, may have waited for this.
                self.enqueue(referent, source);
            }
        }
    }

    /// What refers to this row looks again; a changed referent also ends its back-off.
    fn wake_dependents(&mut self, id: RowId, changed: bool, source: &impl Source<D>) {
        let Some(row) = self.rows.get(id).filter(|row| !row.wanted_by.is_empty()) else {
            return;
        };
        let dependents: Vec<RowId> = row.wanted_by.iter().copied().collect();
        for dependent in dependents {
            self.recount(dependent, |row| {
                if changed {
                    row.retry = None;
                }
                row.settled = false;
                row.moved |= row.flight;
            });
            self.enqueue(dependent, source);
        }
    }
}

fn not_found<P: std::fmt::Display>(key: &RowKey<P>) -> Failure {
    match key.object.kind() {
        Kind::Node => Failure::new(
            Code::NodeTagNotFound,
            format!("{key}: no port of the network is marked as this machine's"),
        ),
        _ => Failure::new(Code::IpPoolNotFound, format!("{key}: there is no such pool")),
    }
}

/// How long until another try: doubling, bounded, spread by a seed so that the same input gives the
/// same plan.
fn backoff(disposition: Disposition, attempts: u32, seed: u64) -> Duration {
    let (first, most) = match disposition {
        Disposition::ObserveThenRetry => (100, 10_000),
        Disposition::RetryLater => (500, 60_000),
        Disposition::NeedsOperator => (5_000, 300_000),
        Disposition::Bug => (60_000, 600_000),
    };
    let doubled = (first << attempts.saturating_sub(1).min(16)).min(most);
    Duration::from_millis(doubled * 3 / 4 + seed % (doubled / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_stays_bounded_and_repeats_for_a_seed() {
        for disposition in [
            Disposition::RetryLater,
            Disposition::NeedsOperator,
            Disposition::Bug,
        ] {
            let spans: Vec<Duration> = (1..20).map(|n| backoff(disposition, n, 7)).collect();
            assert!(spans.windows(2).all(|w| w[0] <= w[1]));
            assert!(spans[18] <= Duration::from_millis(900_000));
        }
        assert_eq!(
            backoff(Disposition::RetryLater, 3, 42),
            backoff(Disposition::RetryLater, 3, 42)
        );
    }
}
