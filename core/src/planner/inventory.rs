//! Sweeps: the first look at everything that bears our marks, and the slow search for drift.
//!
//! A page sweep is not a snapshot (rows shift between pages), so it proves presence, never absence,
//! unless it was one answer. What a drift sweep finds different is doubted and read by itself.

use std::collections::VecDeque;

use rustc_hash::FxHashSet;

use super::rows::RowId;
use super::{News, Planner, Sight, Source};
use crate::dialect::{Dialect, ReadRequest, RowKey, Seen};
use crate::time::Time;

/// How many lists are paged through at once.
const PARALLEL: usize = 4;

/// After so many failures a list is begun anew: its cursor may be what does not work any more.
const PATIENCE: u32 = 3;

#[derive(Debug)]
pub(super) struct Inventory<D: Dialect> {
    pending: VecDeque<(D::Collection, Option<D::Cursor>)>,
    in_flight: usize,
    /// Lists that took more than one answer: they prove presence alone.
    paged: FxHashSet<D::Collection>,
    complete: bool,
    generation: u32,
    drift: Option<Drift<D::Collection>>,
    next_drift: usize,
    /// Pages that did not come, one after the other.
    failures: u32,
}

#[derive(Debug)]
struct Drift<C> {
    collection: C,
    started: Time,
}

impl<D: Dialect> Default for Inventory<D> {
    fn default() -> Self {
        Inventory {
            pending: VecDeque::new(),
            in_flight: 0,
            paged: FxHashSet::default(),
            complete: false,
            generation: 0,
            drift: None,
            next_drift: 0,
            failures: 0,
        }
    }
}

impl<D: Dialect> Inventory<D> {
    /// Whether what this list did not show is absent.
    pub(super) fn proves_absence(&self, list: Option<D::Collection>) -> bool {
        self.complete && list.is_some_and(|list| !self.paged.contains(&list))
    }
}

impl<D: Dialect> Planner<D> {
    /// A leadership begins: what was under way is in doubt, and everything is looked at.
    pub(crate) fn begin_inventory(&mut self, epoch: u64, source: &impl Source<D>) {
        self.doubt_flights(source);
        self.epoch = epoch;
        let inventory = &mut self.inventory;
        inventory.generation += 1;
        inventory.pending = self
            .dialect
            .collections()
            .into_iter()
            .map(|c| (c, None))
            .collect();
        inventory.in_flight = 0;
        inventory.paged.clear();
        inventory.complete = false;
        inventory.drift = None;
        self.twins.clear();
    }

    /// A leadership ended: every step under way is in doubt, and its answer is no longer listened to.
    pub(crate) fn doubt_flights(&mut self, source: &impl Source<D>) {
        let mut steps: Vec<_> = self.flights.keys().copied().collect();
        steps.sort_unstable();
        for step in steps {
            if let Some(flight) = self.land(step, source) {
                self.doubt(flight.row, source);
            }
        }
        for id in self.rows.ids() {
            if let Some(row) = self.rows.get_mut(id)
                && std::mem::take(&mut row.reading)
            {
                self.reads.insert(id);
            }
        }
    }

    /// Whether everything has been looked at under this leadership.
    pub fn inventory_complete(&self) -> bool {
        self.inventory.complete
    }

    /// The next page to ask for.
    pub(crate) fn next_sweep(&mut self) -> Option<ReadRequest<D>> {
        if self.inventory.in_flight >= PARALLEL {
            return None;
        }
        let (collection, cursor) = self.inventory.pending.pop_front()?;
        self.inventory.in_flight += 1;
        Some(ReadRequest::Sweep(collection, cursor))
    }

    /// Starts looking for drift in the next list, if none is being looked at.
    pub(crate) fn begin_drift(&mut self, now: Time) {
        let collections = self.dialect.collections();
        if !self.inventory.complete || self.inventory.drift.is_some() || collections.is_empty() {
            return;
        }
        let at = self.inventory.next_drift % collections.len();
        if at == 0 {
            self.look_at_unlisted();
        }
        self.inventory.next_drift = at + 1;
        self.inventory.generation += 1;
        self.inventory.drift = Some(Drift {
            collection: collections[at],
            started: now,
        });
        self.inventory.pending.push_back((collections[at], None));
    }

    /// Rows that no list shows (pools, with some far ends machines) are read by themselves.
    fn look_at_unlisted(&mut self) {
        let unlisted = self.rows.iter().filter(|(_, r)| {
            matches!(r.sight, Sight::Present(..)) && self.dialect.collection(&r.key).is_none()
        });
        self.reads.extend(unlisted.map(|(id, _)| id));
    }

    /// A page that did not come is asked for again.
    pub(crate) fn sweep_failed(&mut self, collection: D::Collection, cursor: Option<D::Cursor>) {
        let inventory = &mut self.inventory;
        inventory.in_flight = inventory.in_flight.saturating_sub(1);
        inventory.failures += 1;
        let cursor = cursor.filter(|_| !inventory.failures.is_multiple_of(PATIENCE));
        inventory.pending.push_front((collection, cursor));
    }

    /// Takes in a page.
    pub(crate) fn swept(
        &mut self,
        collection: D::Collection,
        items: Vec<(RowKey<D::Part>, Seen<D>)>,
        next: Option<D::Cursor>,
        whole: bool,
        source: &impl Source<D>,
    ) {
        self.inventory.in_flight = self.inventory.in_flight.saturating_sub(1);
        self.inventory.failures = 0;
        let started = self.inventory.drift.as_ref().map(|d| d.started);
        for (key, seen) in items {
            match started {
                None => self.take_stock(key, seen),
                Some(started) => self.compare(key, &seen, started, source),
            }
        }
        match next {
            Some(cursor) => {
                self.inventory.pending.push_front((collection, Some(cursor)));
                return;
            }
            None if !whole && started.is_none() => {
                self.inventory.paged.insert(collection);
            }
            None => {}
        }
        if self.inventory.in_flight == 0 && self.inventory.pending.is_empty() {
            match self.inventory.drift.take() {
                None => self.finish(source),
                Some(drift) => self.miss(&drift, source),
            }
        }
    }

    fn take_stock(&mut self, key: RowKey<D::Part>, seen: Seen<D>) {
        let generation = self.inventory.generation;
        let epoch = self.epoch;
        let id = self.row_id(key);
        let Some(row) = self.rows.get_mut(id) else { return };
        let again = row.swept == generation;
        row.swept = generation;
        match &row.sight {
            Sight::Present(known, _) if again && known.handle != seen.handle => {
                let twins = self.twins.entry(id).or_default();
                if twins.iter().all(|t| t.handle != seen.handle) {
                    twins.push(seen);
                }
            }
            _ => self.note(id, seen, epoch),
        }
    }

    fn note(&mut self, id: RowId, seen: Seen<D>, epoch: u64) {
        self.rows.unname(id);
        self.rows.name(&seen.handle, id);
        self.recount(id, |row| {
            row.sight = Sight::Present(seen, epoch);
            row.known = None;
            row.settled = false;
        });
    }

    fn finish(&mut self, source: &impl Source<D>) {
        self.inventory.complete = true;
        self.choose_among_twins();
        let ids = self.rows.ids();
        for id in &ids {
            self.miss_in_first_look(*id);
        }
        for id in &ids {
            let Some(row) = self.rows.get(*id) else { continue };
            if let Sight::Present(seen, _) = &row.sight {
                let news = News::Stands(row.key.clone(), seen.attributes);
                let refs = self.referents(*id, &seen.refs);
                self.tell(news);
                self.set_seen_refs(*id, refs, source);
            }
        }
        for id in ids {
            self.recount(id, |row| row.settled = false);
            self.enqueue(id, source);
        }
    }

    /// A row begins the leadership without users; one that was not shown is absent, or in doubt.
    fn miss_in_first_look(&mut self, id: RowId) {
        let generation = self.inventory.generation;
        let Some(row) = self.rows.get_mut(id) else { return };
        let whole = self.inventory.proves_absence(self.dialect.collection(&row.key));
        row.used_by = 0;
        row.seen_refs = Box::default();
        if row.swept == generation {
            return;
        }
        let known = matches!(row.sight, Sight::Present(..) | Sight::Uncertain);
        match (whole && !self.dialect.looked_for(&row.key), known) {
            (true, _) => {
                let key = row.key.clone();
                self.make_uncertain(id);
                self.recount(id, |row| row.sight = Sight::Absent);
                if known {
                    self.tell(News::Gone(key));
                }
            }
            (false, true) => self.make_uncertain(id),
            (false, false) => self.recount(id, |row| row.sight = Sight::Unread),
        }
    }

    /// Of objects that bear one row's mark the one that others refer to is the row.
    fn choose_among_twins(&mut self) {
        if self.twins.is_empty() {
            return;
        }
        let mut used: FxHashSet<D::Handle> = FxHashSet::default();
        for (_, row) in self.rows.iter() {
            if let Sight::Present(seen, _) = &row.sight {
                used.extend(seen.refs.iter().cloned());
            }
        }
        let mut ids: Vec<_> = self.twins.keys().copied().collect();
        ids.sort_unstable();
        let epoch = self.epoch;
        for id in ids {
            let Some(row) = self.rows.get(id) else { continue };
            let Sight::Present(seen, _) = &row.sight else {
                continue;
            };
            let Some(twins) = self.twins.get_mut(&id).filter(|_| !used.contains(&seen.handle)) else {
                continue;
            };
            if let Some(twin) = twins.iter_mut().find(|t| used.contains(&t.handle)) {
                let rightful = std::mem::replace(twin, seen.clone());
                self.note(id, rightful, epoch);
            }
        }
    }

    fn compare(&mut self, key: RowKey<D::Part>, seen: &Seen<D>, started: Time, source: &impl Source<D>) {
        let generation = self.inventory.generation;
        let id = self.row_id(key);
        let Some(row) = self.rows.get_mut(id) else { return };
        row.swept = generation;
        // A page may have been made before our own write took effect.
        if row.flight || row.reading || row.written >= started {
            return;
        }
        let same = matches!(&row.sight, Sight::Present(known, _)
            if known.handle == seen.handle && known.digest == seen.digest);
        if !same {
            self.doubt(id, source);
        }
    }

    fn miss(&mut self, drift: &Drift<D::Collection>, source: &impl Source<D>) {
        let generation = self.inventory.generation;
        for id in self.rows.ids() {
            let Some(row) = self.rows.get(id) else { continue };
            let here = self.dialect.collection(&row.key) == Some(drift.collection);
            let missed = here && row.swept != generation && matches!(row.sight, Sight::Present(..));
            if missed && !row.flight && !row.reading && row.written < drift.started {
                self.doubt(id, source);
            }
        }
    }
}
