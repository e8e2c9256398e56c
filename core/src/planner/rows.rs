//! The arena of rows, and two tables into it: by object, and by the far end's name.
//!
//! The tables hold neither keys nor names, which would be a second copy of each, but hashes and places:
//! whoever looks a row up reads the row anyway.

use std::collections::BTreeSet;

use std::hash::{Hash, Hasher};

use hashbrown::HashTable;
use rustc_hash::FxHasher;

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
    /// Among whose rows it takes its turn; see [`Source::share`](super::Source::share).
    pub(super) share: Option<u64>,
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
    /// Pieces that never move: growing one long list would copy all rows each time.
    slots: Vec<Vec<Option<Row<D>>>>,
    free: Vec<RowId>,
    /// The first row of each object; the others follow by [`Row::sibling`].
    heads: HashTable<Place>,
    /// The row that stands under each of the far end's names.
    names: HashTable<Place>,
}

/// How many rows are in one piece of the arena.
const PIECE: usize = 512;

fn piece(id: RowId) -> usize {
    id as usize / PIECE
}

fn within(id: RowId) -> usize {
    id as usize % PIECE
}

/// A row in a table.
#[derive(Clone, Copy)]
struct Place {
    /// Half of the hash: enough to grow the table without reading rows.
    hash: u32,
    id: RowId,
}

impl Place {
    fn new(key: &impl Hash, id: RowId) -> Place {
        let mut hasher = FxHasher::default();
        key.hash(&mut hasher);
        Place {
            hash: hasher.finish() as u32,
            id,
        }
    }

    /// The table's own hash takes its ends from all of it.
    fn spread(&self) -> u64 {
        u64::from(self.hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl<D: Dialect> Default for Rows<D> {
    fn default() -> Self {
        Rows {
            slots: Vec::new(),
            free: Vec::new(),
            heads: HashTable::new(),
            names: HashTable::new(),
        }
    }
}

impl<D: Dialect> Rows<D> {
    pub(super) fn get(&self, id: RowId) -> Option<&Row<D>> {
        self.slots.get(piece(id))?.get(within(id))?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: RowId) -> Option<&mut Row<D>> {
        self.slot(id)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (RowId, &Row<D>)> {
        self.slots
            .iter()
            .flatten()
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
        let mut next = self.head(object);
        std::iter::from_fn(move || {
            let id = next?;
            next = self.get(id)?.sibling;
            Some(id)
        })
    }

    fn head(&self, object: &ObjectKey) -> Option<RowId> {
        let place = Place::new(object, 0);
        let here =
            |p: &Place| p.hash == place.hash && self.get(p.id).is_some_and(|r| r.key.object == *object);
        self.heads.find(place.spread(), here).map(|p| p.id)
    }

    /// The far end's name for a row that stands.
    pub(super) fn handle(&self, id: RowId) -> Option<&D::Handle> {
        match &self.get(id)?.sight {
            Sight::Present(seen, _) => Some(&seen.handle),
            _ => None,
        }
    }

    /// The row that stands under this name.
    pub(super) fn named(&self, handle: &D::Handle) -> Option<RowId> {
        let place = Place::new(handle, 0);
        let here = |p: &Place| p.hash == place.hash && self.handle(p.id) == Some(handle);
        self.names.find(place.spread(), here).map(|p| p.id)
    }

    /// From now on, the row of this name: the caller makes it stand so next.
    pub(super) fn name(&mut self, handle: &D::Handle, id: RowId) {
        let place = Place::new(handle, id);
        match self.named(handle) {
            Some(other) => self.rename(place, other),
            None => {
                self.names.insert_unique(place.spread(), place, Place::spread);
            }
        }
    }

    fn rename(&mut self, place: Place, from: RowId) {
        let here = |p: &Place| p.hash == place.hash && p.id == from;
        if let Some(known) = self.names.find_mut(place.spread(), here) {
            known.id = place.id;
        }
    }

    /// The row is about to lose its name.
    pub(super) fn unname(&mut self, id: RowId) {
        let Some(handle) = self.handle(id) else { return };
        let place = Place::new(handle, id);
        let here = |p: &Place| p.hash == place.hash && p.id == id;
        if let Ok(entry) = self.names.find_entry(place.spread(), here) {
            entry.remove();
        }
    }

    pub(super) fn make(&mut self, key: RowKey<D::Part>, sight: Sight<D>) -> RowId {
        let sibling = self.head(&key.object);
        let mut place = Place::new(&key.object, 0);
        let row = Row {
            key,
            sibling,
            share: None,
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
        let id = self.put(row);
        place.id = id;
        match sibling {
            Some(head) => self.behead(place, head),
            None => {
                self.heads.insert_unique(place.spread(), place, Place::spread);
            }
        }
        id
    }

    fn slot(&mut self, id: RowId) -> Option<&mut Option<Row<D>>> {
        self.slots.get_mut(piece(id))?.get_mut(within(id))
    }

    fn put(&mut self, row: Row<D>) -> RowId {
        if let Some(id) = self.free.pop()
            && let Some(slot) = self.slot(id)
        {
            *slot = Some(row);
            return id;
        }
        let full = |last: &Vec<_>| last.len() == PIECE;
        if self.slots.last().is_none_or(full) {
            self.slots.push(Vec::with_capacity(PIECE));
        }
        let pieces = self.slots.len();
        match self.slots.last_mut() {
            Some(last) => {
                last.push(Some(row));
                ((pieces - 1) * PIECE + last.len() - 1) as RowId
            }
            None => unreachable!("a piece was just added"),
        }
    }

    /// The object's rows begin with another one from now on.
    fn behead(&mut self, place: Place, head: RowId) {
        let here = |p: &Place| p.hash == place.hash && p.id == head;
        if let Some(known) = self.heads.find_mut(place.spread(), here) {
            known.id = place.id;
        }
    }

    pub(super) fn drop_row(&mut self, id: RowId) {
        let Some(row) = self.slot(id).and_then(Option::take) else {
            return;
        };
        self.free.push(id);
        let place = Place::new(&row.key.object, id);
        let here = |p: &Place| p.hash == place.hash && p.id == id;
        if let Ok(mut entry) = self.heads.find_entry(place.spread(), here) {
            match row.sibling {
                Some(next) => entry.get_mut().id = next,
                None => {
                    entry.remove();
                }
            }
            return;
        }
        let mut at = self.head(&row.key.object);
        while let Some(before) = at.and_then(|i| self.get_mut(i)) {
            if before.sibling == Some(id) {
                before.sibling = row.sibling;
                return;
            }
            at = before.sibling;
        }
    }
}
