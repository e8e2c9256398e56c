//! What is wanted: taking in the rows of an object, and the references between rows.

use super::rows::{RowId, Want};
use super::{News, Planner, Sight, Source};
use crate::dialect::{Dialect, RowKey};
use crate::topology::{Kind, ObjectKey};

impl<D: Dialect> Planner<D> {
    /// These are the rows wanted of this object, and no others.
    pub(crate) fn want(&mut self, object: &ObjectKey, rows: Vec<(D::Part, D::Row)>, source: &impl Source<D>) {
        let standing: Vec<RowId> = self.rows.of(object).collect();
        for id in standing.iter().copied() {
            let gone = self
                .rows
                .get(id)
                .is_some_and(|r| !rows.iter().any(|(part, _)| *part == r.key.part));
            if gone {
                self.unwant(id, source);
            }
        }
        for (part, row) in rows {
            let known = |id: &RowId| {
                self.rows
                    .get(*id)
                    .is_some_and(|r| r.key.part == part && r.key.object == *object)
            };
            let id = match standing.iter().copied().find(known) {
                Some(id) => id,
                None => self.row_id(RowKey::new(object.clone(), part)),
            };
            self.want_row(id, &row, source);
        }
    }

    fn want_row(&mut self, id: RowId, value: &D::Row, source: &impl Source<D>) {
        let fingerprint = self.dialect.fingerprint(value);
        let Some(row) = self.rows.get_mut(id) else { return };
        if row.want.is_some_and(|w| w.fingerprint == fingerprint) {
            // It may have waited to be said.
            if !row.settled {
                self.enqueue(id, source);
            }
            return;
        }
        row.retry = None;
        row.share = Some(source.share(&row.key.object));
        self.set_want(id, Some(Want { fingerprint }));
        let refs = self.dialect.refs(value);
        let ids = refs.into_iter().map(|r| self.row_id(r.key)).collect();
        self.set_want_refs(id, ids);
        self.enqueue(id, source);
    }

    fn unwant(&mut self, id: RowId, source: &impl Source<D>) {
        let Some(row) = self.rows.get(id) else { return };
        if row.want.is_none() {
            // It may have been kept, since it could not be told whether it was wanted.
            if !row.settled {
                self.enqueue(id, source);
            }
            return;
        }
        self.set_want(id, None);
        self.set_want_refs(id, Box::default());
        if let Some(row) = self.rows.get_mut(id) {
            row.retry = None;
        }
        self.enqueue(id, source);
    }

    /// The row of this key, made if there is none.
    pub(super) fn row_id(&mut self, key: RowKey<D::Part>) -> RowId {
        match self.rows.find(&key) {
            Some(id) => id,
            None => self.make_row(key),
        }
    }

    fn make_row(&mut self, key: RowKey<D::Part>) -> RowId {
        // What a whole listing did not show is absent; what others make is looked for each time.
        let list = self.dialect.collection(&key);
        let known = self.inventory.proves_absence(list) && !self.dialect.looked_for(&key);
        let sight = if known { Sight::Absent } else { Sight::Unread };
        self.rows.make(key, sight)
    }

    fn set_want_refs(&mut self, id: RowId, new: Box<[RowId]>) {
        let Some(row) = self.rows.get_mut(id) else { return };
        let old = std::mem::take(&mut row.want_refs);
        for referent in &old {
            if let Some(r) = self.rows.get_mut(*referent) {
                r.wanted_by.remove(&id);
            }
        }
        for referent in &new {
            if let Some(r) = self.rows.get_mut(*referent) {
                r.wanted_by.insert(id);
            }
        }
        if let Some(row) = self.rows.get_mut(id) {
            row.want_refs = new;
        }
        for referent in old {
            self.drop_if_idle(referent);
        }
    }

    fn set_want(&mut self, id: RowId, want: Option<Want>) {
        let Some(row) = self.rows.get_mut(id) else { return };
        row.want = want;
        self.recount(id, |row| row.settled = false);
    }

    /// Changes a row and keeps the counts right.
    pub(super) fn recount(&mut self, id: RowId, change: impl FnOnce(&mut super::rows::Row<D>)) {
        let Some(row) = self.rows.get_mut(id) else { return };
        let before = row.tally;
        change(row);
        let kind = row.key.object.kind();
        let (port, stands) = (kind == Kind::Port, matches!(row.sight, Sight::Present(..)));
        let after = super::rows::Tally {
            unsettled: !row.settled,
            addition: !row.settled && row.want.is_some() && !stands && Self::is_firewall(kind),
            change: !row.settled && row.want.is_some() && stands && Self::bears(kind),
            port: port && stands,
            retiring: row.want.is_none() && stands,
        };
        row.tally = after;
        let counts = &mut self.counts;
        let was = *counts;
        step(&mut counts.unsettled, before.unsettled, after.unsettled);
        step(&mut counts.additions, before.addition, after.addition);
        step(&mut counts.changes, before.change, after.change);
        self.additions_over |= was.additions > 0 && counts.additions == 0;
        self.additions_over |= was.changes > 0 && counts.changes == 0;
        step(&mut counts.ports, before.port, after.port);
        step(
            &mut counts.ports_retiring,
            before.port && before.retiring,
            after.port && after.retiring,
        );
        if kind == Kind::Router && before.retiring != after.retiring {
            // A router may be several rows.
            let rows = self.routers_retiring.entry(row.key.object.clone()).or_default();
            step(rows, before.retiring, after.retiring);
            if *rows == 0 {
                self.routers_retiring.remove(&row.key.object);
            }
            counts.routers_retiring = self.routers_retiring.len();
        }
    }

    /// Forgets a row that nobody wants, that does not stand and that nothing refers to.
    pub(super) fn drop_if_idle(&mut self, id: RowId) {
        let Some(row) = self.rows.get(id) else { return };
        let idle = row.want.is_none()
            && matches!(row.sight, Sight::Absent | Sight::Unread)
            && row.wanted_by.is_empty()
            && row.used_by == 0
            && !row.queued
            && !row.flight
            && !row.reading;
        if idle {
            if row.key.object.kind() == Kind::Port {
                // It may never have stood; its place is free all the same.
                self.news.push_back(News::Gone(row.key.clone()));
            }
            self.recount(id, |row| row.settled = true);
            self.twins.remove(&id);
            self.rows.drop_row(id);
        }
    }
}

fn step(count: &mut usize, before: bool, after: bool) {
    *count = *count + usize::from(after) - usize::from(before);
}
