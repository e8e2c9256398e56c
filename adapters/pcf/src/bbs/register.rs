//! Instances: the rows that have a container, and how events and listings change them.
//!
//! The BBS keys its rows by process, index and presence, and rows come and go under one such key, while
//! events may be late, swapped or doubled. Each row has an identity of its own, though: the epoch drawn when
//! it was created. Keyed by epoch, a row is a register in which the highest index wins and removal is final,
//! so the order in which events arrive doesn't matter:
//!
//! - a row without a container (waiting, crashed) and a removed row are both just "nothing up to index n";
//! - evacuation makes a new row with the same container, which for the container is no change;
//! - a suspect row keeps epoch and index and only moves to another presence;
//! - a new epoch in a place that another row still holds is a *doubt*: usually the other's removal is about
//!   to arrive; if it hasn't after a grace, the place is read from the BBS.
//!
//! A listing is joined with what events said since it was asked for: every touch leaves a mark, and what
//! bears a younger mark than the question is newer than the answer.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::record::{Actual, Presence, Tag};
use crate::ids::{CellId, Handle, ProcessGuid};

/// Counts questions; an answer is older than everything marked after its question.
pub(super) type Mark = u64;

/// An index of a desired LRP, which up to three rows may hold.
pub(super) type Place = (ProcessGuid, i32);

/// Identity of a row. Rows without an epoch (none are known since 2018) are told apart by their place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum RowKey {
    Epoch(Arc<str>),
    Place(Place, Presence),
}

/// A row that has a container.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) actual: Actual,
    pub(super) handle: Handle,
    pub(super) cell: CellId,
    mark: Mark,
}

#[derive(Clone, Debug)]
struct Doubt {
    since: Duration,
    /// The row whose removal is expected; `None` when only a read can tell.
    suspect: Option<(RowKey, Presence)>,
}

#[derive(Debug, Default)]
pub(super) struct Register {
    rows: HashMap<RowKey, Row>,
    nothing_up_to: HashMap<RowKey, (u32, Mark)>,
    by_handle: HashMap<Handle, Vec<RowKey>>,
    by_place: BTreeMap<Place, Vec<RowKey>>,
    doubts: BTreeMap<Place, Doubt>,
}

/// What a listing changed.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// Containers to look at again.
    pub(super) touched: Vec<Handle>,
    /// Rows that differed although no event since the question explains it.
    pub(super) drift: usize,
}

impl Register {
    /// Takes in a Created or Changed event. `before` is the role the row had, for a change.
    pub(super) fn upsert(
        &mut self,
        actual: Actual,
        before: Option<Presence>,
        mark: Mark,
        now: Duration,
    ) -> Vec<Handle> {
        let key = row_key(&actual);
        if self.is_stale(&key, &actual.tag) {
            return Vec::new();
        }
        if let Some(held) = self.rows.get(&key).filter(|_| is_epoch(&key)) {
            let moved = held.actual.presence != actual.presence;
            match actual.tag.index.cmp(&held.actual.tag.index) {
                std::cmp::Ordering::Less => return Vec::new(),
                std::cmp::Ordering::Equal if !moved => {
                    return self.doubt_a_move(held.actual.presence, before, &actual, now);
                }
                std::cmp::Ordering::Equal if before != Some(held.actual.presence) => {
                    return self.doubt(place(&actual), None, now);
                }
                _ => {}
            }
        }
        self.doubt_neighbours(&key, &actual, now);
        self.put(key, actual, mark)
    }

    /// The row is where a change says it moved to, with the same tag: a repetition, or the second of two
    /// moves that arrived first.
    fn doubt_a_move(
        &mut self,
        held: Presence,
        before: Option<Presence>,
        actual: &Actual,
        now: Duration,
    ) -> Vec<Handle> {
        match before {
            Some(before) if before != held => self.doubt(place(actual), None, now),
            _ => Vec::new(),
        }
    }

    /// Takes in a Removed event. One about an older state of the row is skipped: crash and restart remove
    /// the old instance after its row was already put to new use.
    pub(super) fn remove(&mut self, actual: &Actual, mark: Mark) -> Vec<Handle> {
        let key = row_key(actual);
        if self.is_stale(&key, &actual.tag) {
            return Vec::new();
        }
        let newer = |held: &Row| is_epoch(&key) && held.actual.tag.index > actual.tag.index;
        if self.rows.get(&key).is_some_and(newer) {
            return Vec::new();
        }
        self.bury(key, actual.tag.index, mark)
    }

    /// Joins a complete listing. `keep_absent`: rows the listing lacks stay, because nobody vouches for its
    /// completeness.
    pub(super) fn merge_all(&mut self, listed: Vec<Actual>, asked: Mark, keep_absent: bool) -> Merged {
        let candidates: Vec<RowKey> = self.rows.keys().cloned().collect();
        self.nothing_up_to.retain(|_, (_, mark)| *mark >= asked);
        self.merge(listed, candidates, asked, keep_absent)
    }

    /// Joins the rows of one place.
    pub(super) fn merge_place(
        &mut self,
        place: &Place,
        listed: Vec<Actual>,
        asked: Mark,
        keep_absent: bool,
    ) -> Merged {
        let candidates = self.by_place.get(place).cloned().unwrap_or_default();
        self.doubts.remove(place);
        self.merge(listed, candidates, asked, keep_absent)
    }

    fn merge(
        &mut self,
        listed: Vec<Actual>,
        candidates: Vec<RowKey>,
        asked: Mark,
        keep_absent: bool,
    ) -> Merged {
        let mut merged = Merged::default();
        let mut present = HashSet::with_capacity(listed.len());
        for actual in listed {
            let key = row_key(&actual);
            present.insert(key.clone());
            self.merge_row(key, actual, asked, &mut merged);
        }
        if keep_absent {
            return merged;
        }
        for key in candidates {
            let absent = self
                .rows
                .get(&key)
                .filter(|row| row.mark < asked && !present.contains(&key));
            if let Some(index) = absent.map(|row| row.actual.tag.index) {
                merged.drift += 1;
                merged.touched.extend(self.bury(key, index, asked));
            }
        }
        merged
    }

    fn merge_row(&mut self, key: RowKey, actual: Actual, asked: Mark, merged: &mut Merged) {
        if let Some((index, mark)) = self.nothing_up_to.get(&key) {
            if *mark >= asked && actual.tag.index <= *index {
                return;
            }
            // Stopping was announced but the row lives on: the order to stop had failed.
            self.nothing_up_to.remove(&key);
        }
        match self.rows.get_mut(&key) {
            Some(held) if held.mark >= asked && held.actual.tag.index >= actual.tag.index => {}
            Some(held) if held.actual == actual => held.mark = asked,
            Some(held) => {
                // The same state told in full: only listings carry the metric tags.
                let told = held.actual.tag == actual.tag && held.actual.presence == actual.presence;
                merged.drift += usize::from(!told);
                merged.touched.extend(self.put(key, actual, asked));
            }
            None => {
                merged.drift += usize::from(actual.container.is_some());
                merged.touched.extend(self.put(key, actual, asked));
            }
        }
    }

    /// The row to describe a container by: the one that says most about the present.
    pub(super) fn best(&self, handle: &Handle) -> Option<&Row> {
        let rows = self.by_handle.get(handle)?.iter();
        rows.filter_map(|key| self.rows.get(key))
            .max_by_key(|row| (row.actual.since, row.actual.presence, row.actual.tag.index))
    }

    /// Containers of a desired LRP.
    pub(super) fn handles_of<'a>(&'a self, process: &ProcessGuid) -> impl Iterator<Item = Handle> + 'a {
        self.by_place
            .range((process.clone(), i32::MIN)..=(process.clone(), i32::MAX))
            .flat_map(|(_, keys)| keys)
            .filter_map(|key| self.rows.get(key))
            .map(|row| row.handle.clone())
    }

    pub(super) fn handles(&self) -> Vec<Handle> {
        self.by_handle.keys().cloned().collect()
    }

    pub(super) fn forget_fallback(&mut self, handle: &Handle) {
        for key in self.by_handle.get(handle).into_iter().flatten() {
            if let Some(row) = self.rows.get_mut(key) {
                row.actual.fallback = None;
            }
        }
    }

    /// Places still in doubt although `grace` has passed; each is given out once.
    pub(super) fn overdue(&mut self, now: Duration, grace: Duration) -> Vec<Place> {
        let due = |doubt: &Doubt| doubt.since + grace <= now;
        let ripe: Vec<Place> = self
            .doubts
            .iter()
            .filter(|(_, doubt)| due(doubt))
            .map(|(place, _)| place.clone())
            .collect();
        let mut overdue = Vec::new();
        for place in ripe {
            let Some(Doubt { suspect, .. }) = self.doubts.remove(&place) else {
                continue;
            };
            let stays = |(key, presence): &(RowKey, Presence)| {
                self.rows
                    .get(key)
                    .is_some_and(|row| row.actual.presence == *presence)
            };
            if suspect.as_ref().is_none_or(stays) {
                overdue.push(place);
            }
        }
        overdue
    }

    /// When the first doubt becomes overdue.
    pub(super) fn next_overdue(&self, grace: Duration) -> Option<Duration> {
        self.doubts.values().map(|doubt| doubt.since + grace).min()
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    fn is_stale(&self, key: &RowKey, tag: &Tag) -> bool {
        is_epoch(key)
            && self
                .nothing_up_to
                .get(key)
                .is_some_and(|(index, _)| tag.index <= *index)
    }

    /// Another row in the same place and role can't live beside this one.
    fn doubt_neighbours(&mut self, key: &RowKey, actual: &Actual, now: Duration) {
        let place = place(actual);
        let neighbours = self.by_place.get(&place).into_iter().flatten();
        let other = neighbours.filter(|other| *other != key).find(|other| {
            let row = self.rows.get(*other);
            row.is_some_and(|row| row.actual.presence == actual.presence)
        });
        if let Some(other) = other.cloned() {
            self.doubt(place, Some((other, actual.presence)), now);
        }
    }

    fn doubt(&mut self, place: Place, suspect: Option<(RowKey, Presence)>, now: Duration) -> Vec<Handle> {
        self.doubts.entry(place).or_insert(Doubt { since: now, suspect });
        Vec::new()
    }

    fn put(&mut self, key: RowKey, actual: Actual, mark: Mark) -> Vec<Handle> {
        let Some((handle, cell)) = actual.container.clone() else {
            return self.bury(key, actual.tag.index, mark);
        };
        let mut touched = self.unlink(&key);
        self.nothing_up_to.remove(&key);
        touched.retain(|other| *other != handle);
        self.by_handle
            .entry(handle.clone())
            .or_default()
            .push(key.clone());
        self.by_place.entry(place(&actual)).or_default().push(key.clone());
        touched.push(handle.clone());
        self.rows.insert(
            key,
            Row {
                actual,
                handle,
                cell,
                mark,
            },
        );
        touched
    }

    fn bury(&mut self, key: RowKey, index: u32, mark: Mark) -> Vec<Handle> {
        let touched = self.unlink(&key);
        if is_epoch(&key) {
            self.nothing_up_to.insert(key, (index, mark));
        }
        touched
    }

    fn unlink(&mut self, key: &RowKey) -> Vec<Handle> {
        let Some(row) = self.rows.remove(key) else {
            return Vec::new();
        };
        let place = place(&row.actual);
        if let Some(keys) = self.by_place.get_mut(&place) {
            keys.retain(|other| other != key);
            if keys.is_empty() {
                self.by_place.remove(&place);
            }
        }
        if let Some(keys) = self.by_handle.get_mut(&row.handle) {
            keys.retain(|other| other != key);
            if keys.is_empty() {
                self.by_handle.remove(&row.handle);
            }
        }
        vec![row.handle]
    }
}

fn row_key(actual: &Actual) -> RowKey {
    if actual.tag.epoch.is_empty() {
        RowKey::Place(place(actual), actual.presence)
    } else {
        RowKey::Epoch(actual.tag.epoch.clone())
    }
}

fn is_epoch(key: &RowKey) -> bool {
    matches!(key, RowKey::Epoch(_))
}

fn place(actual: &Actual) -> Place {
    (actual.process.clone(), actual.index)
}
