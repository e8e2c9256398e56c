//! The arena of rows.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::Sight;
use crate::dialect::{Attributes, Dialect, Failure, RowKey};
use crate::digest::Digest;
use crate::time::Time;
use crate::topology::ObjectKey;

/// A row's place in the arena. Never printed, never ordered by in output.
pub(crate) type RowId = u32;

pub(super) struct Row<D: Dialect> {
    pub(super) key: RowKey<D::Part>,
    /// The next part of the same object.
    sibling: Option<RowId>,
    pub(super) want: Option<Want>,
    pub(super) sight: Sight<D>,
    pub(super) retry: Option<Box<Retry>>,
    /// Rows that the wanted value refers to.
    pub(super) want_refs: Box<[RowId]>,
    /// Rows that the standing one refers to, as far as known.
    pub(super) seen_refs: Box<[RowId]>,
    /// Rows whose wanted value refers to this one.
    pub(super) wanted_by: BTreeSet<RowId>,
    /// How many standing rows refer to this one.
    pub(super) used_by: u32,
    /// When its change or removal first was due.
    pub(super) due: Option<Time>,
    /// The last sweep that showed it.
    pub(super) swept: u32,
    /// When it was last written.
    pub(super) written: Time,
    /// What it was when it last was seen standing, while that is in doubt.
    pub(super) known: Option<Box<Known<D>>>,
    pub(super) queued: bool,
    pub(super) flight: bool,
    /// What it refers to changed while its operation was under way.
    pub(super) moved: bool,
    /// Its removal is under way: nothing may come to rely on it.
    pub(super) leaving: bool,
    pub(super) reading: bool,
    pub(super) settled: bool,
    /// What the counts hold of this row.
    pub(super) tally: Tally,
}

/// The far end's name for a row, and what it said of it.
pub(super) struct Known<D: Dialect> {
    pub(super) handle: D::Handle,
    pub(super) attributes: Attributes,
}

/// What the counts hold of a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) unsettled: bool,
    pub(super) addition: bool,
    pub(super) change: bool,
    pub(super) port: bool,
    pub(super) retiring: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    pub(super) fingerprint: Digest,
}

#[derive(Clone, Debug)]
pub(super) struct Retry {
    pub(super) at: Time,
    pub(super) attempts: u32,
    pub(super) failure: Failure,
}

pub(super) struct Rows<D: Dialect> {
    slots: Vec<Option<Row<D>>>,
    free: Vec<RowId>,
    heads: FxHashMap<ObjectKey, RowId>,
}

impl<D: Dialect> Default for Rows<D> {
    fn default() -> Self {
        Rows {
            slots: Vec::new(),
            free: Vec::new(),
            heads: FxHashMap::default(),
        }
    }
}

impl<D: Dialect> Rows<D> {
    pub(super) fn get(&self, id: RowId) -> Option<&Row<D>> {
        self.slots.get(id as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: RowId) -> Option<&mut Row<D>> {
        self.slots.get_mut(id as usize)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (RowId, &Row<D>)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(i, r)| r.as_ref().map(|r| (i as RowId, r)))
    }

    pub(super) fn ids(&self) -> Vec<RowId> {
        self.iter().map(|(id, _)| id).collect()
    }

    pub(super) fn find(&self, key: &RowKey<D::Part>) -> Option<RowId> {
        self.of(&key.object)
            .find(|id| self.get(*id).is_some_and(|r| r.key.part == key.part))
    }

    /// The rows of an object.
    pub(super) fn of(&self, object: &ObjectKey) -> impl Iterator<Item = RowId> {
        let mut next = self.heads.get(object).copied();
        std::iter::from_fn(move || {
            let id = next?;
            next = self.get(id)?.sibling;
            Some(id)
        })
    }

    pub(super) fn make(&mut self, key: RowKey<D::Part>, sight: Sight<D>) -> RowId {
        let sibling = self.heads.get(&key.object).copied();
        let object = key.object.clone();
        let row = Row {
            key,
            sibling,
            want: None,
            sight,
            retry: None,
            want_refs: Box::default(),
            seen_refs: Box::default(),
            wanted_by: BTreeSet::new(),
            used_by: 0,
            due: None,
            swept: 0,
            written: Time(0),
            known: None,
            queued: false,
            flight: false,
            moved: false,
            leaving: false,
            reading: false,
            settled: true,
            tally: Tally::default(),
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.slots[id as usize] = Some(row);
                id
            }
            None => {
                self.slots.push(Some(row));
                (self.slots.len() - 1) as RowId
            }
        };
        self.heads.insert(object, id);
        id
    }

    pub(super) fn drop_row(&mut self, id: RowId) {
        let Some(row) = self.slots.get_mut(id as usize).and_then(Option::take) else {
            return;
        };
        self.free.push(id);
        let mut at = self.heads.get(&row.key.object).copied();
        if at == Some(id) {
            match row.sibling {
                Some(next) => self.heads.insert(row.key.object, next),
                None => self.heads.remove(&row.key.object),
            };
            return;
        }
        while let Some(before) = at.and_then(|i| self.get_mut(i)) {
            if before.sibling == Some(id) {
                before.sibling = row.sibling;
                return;
            }
            at = before.sibling;
        }
    }
}
