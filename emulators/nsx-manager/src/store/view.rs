//! A set of objects with its indexes.
//!
//! The store, what is realized and what search has seen are each such a set; they differ in how late they
//! learn of a change. Objects are shared, so copies are cheap.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::object::{Object, Pos, Term, terms};
use crate::kinds::Kind;

/// Objects in list order, by id, and by term.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    rows: BTreeMap<Pos, Arc<Object>>,
    ids: FxHashMap<Kind, FxHashMap<Arc<str>, Pos>>,
    index: FxHashMap<Term, BTreeSet<Pos>>,
}

impl View {
    /// The object of this kind and id.
    pub(crate) fn get(&self, kind: Kind, id: &str) -> Option<&Arc<Object>> {
        self.rows.get(self.ids.get(&kind)?.get(id)?)
    }

    /// Puts the object in place of the one with its id, and returns that.
    pub(crate) fn put(&mut self, object: Arc<Object>) -> Option<Arc<Object>> {
        let old = self.remove(object.kind, &object.id);
        let pos = object.pos();
        for term in terms(&object) {
            self.index.entry(term).or_default().insert(pos);
        }
        self.ids
            .entry(object.kind)
            .or_default()
            .insert(object.id.clone(), pos);
        self.rows.insert(pos, object);
        old
    }

    /// Takes the object out.
    pub(crate) fn remove(&mut self, kind: Kind, id: &str) -> Option<Arc<Object>> {
        let pos = self.ids.get_mut(&kind)?.remove(id)?;
        let object = self.rows.remove(&pos)?;
        for term in terms(&object) {
            if let Some(places) = self.index.get_mut(&term) {
                places.remove(&pos);
                if places.is_empty() {
                    self.index.remove(&term);
                }
            }
        }
        Some(object)
    }

    /// Every object, in the order of kinds and lists.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.rows.values()
    }

    /// The objects of a kind in list order, after `after`.
    pub(crate) fn list(
        &self,
        kind: Kind,
        after: Option<Pos>,
    ) -> impl DoubleEndedIterator<Item = &Arc<Object>> {
        self.rows.range(bounds(kind, after)).map(|(_, object)| object)
    }

    /// Number of objects of a kind.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.ids.get(&kind).map_or(0, FxHashMap::len)
    }

    /// The objects of a kind that have the term, in list order, after `after`.
    pub(crate) fn with<'a>(
        &'a self,
        kind: Kind,
        term: &Term,
        after: Option<Pos>,
    ) -> impl DoubleEndedIterator<Item = &'a Arc<Object>> + use<'a> {
        self.index
            .get(term)
            .into_iter()
            .flat_map(move |places| places.range(bounds(kind, after)))
            .filter_map(|pos| self.rows.get(pos))
    }

    /// The objects of every kind that have the term.
    pub(crate) fn with_any(&self, term: &Term) -> impl Iterator<Item = &Arc<Object>> {
        self.index
            .get(term)
            .into_iter()
            .flatten()
            .filter_map(|pos| self.rows.get(pos))
    }

    /// Number of objects of any kind that have the term.
    pub(crate) fn weight(&self, term: &Term) -> usize {
        self.index.get(term).map_or(0, BTreeSet::len)
    }

    /// The objects of a kind that refer to the id.
    pub(crate) fn referrers<'a>(
        &'a self,
        kind: Kind,
        id: &str,
    ) -> impl DoubleEndedIterator<Item = &'a Arc<Object>> + use<'a> {
        self.with(kind, &Term::Ref(id.into()), None)
    }

    /// The objects of a kind below a parent, in list order.
    pub(crate) fn children<'a>(
        &'a self,
        kind: Kind,
        parent: &str,
    ) -> impl DoubleEndedIterator<Item = &'a Arc<Object>> + use<'a> {
        self.with(kind, &Term::Parent(parent.into()), None)
    }
}

fn bounds(kind: Kind, after: Option<Pos>) -> (Bound<Pos>, Bound<Pos>) {
    let first = Pos {
        kind,
        seq: i64::MIN,
        uid: i64::MIN,
    };
    let last = Pos {
        kind,
        seq: i64::MAX,
        uid: i64::MAX,
    };
    (
        after.map_or(Bound::Included(first), Bound::Excluded),
        Bound::Included(last),
    )
}
