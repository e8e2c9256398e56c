//! Everything the managers know, shared by all of them.
//!
//! A request is one transaction ([`Tx`]): it changes the view in place and notes what was there before. If
//! the request is refused, the notes are played back; if not, they become the history from which stale reads
//! are answered, and the changes go to SQLite and to the lagging replicas.

mod database;
mod object;
mod replica;
mod tx;
mod view;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::time::Instant;

pub(crate) use self::database::Database;
pub(crate) use self::object::{Body, Object, Pos, Term, items, string, terms, text};
pub(crate) use self::replica::Replica;
pub(crate) use self::tx::{New, Tx, now_ms};
pub(crate) use self::view::View;
use crate::error::EmulatorError;
use crate::kinds::Kind;
use crate::options::{State, Version};

/// Writes that stale reads can go back.
const HISTORY: usize = 4096;

/// A change of one object.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// It now looks like this.
    Put(Arc<Object>),
    /// It is gone.
    Remove(Kind, Arc<str>),
}

/// Makes the change in the view.
pub(crate) fn apply(view: &mut View, change: Change) {
    match change {
        Change::Put(object) => drop(view.put(object)),
        Change::Remove(kind, id) => drop(view.remove(kind, &id)),
    }
}

/// What an object was before a write; `None` if it wasn't there.
pub(crate) type Before = (Kind, Arc<str>, Option<Arc<Object>>);

/// The objects, their history, and their copies.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) version: Version,
    view: View,
    realized: Replica,
    searched: Replica,
    history: VecDeque<Vec<Before>>,
    database: Database,
    next_uid: i64,
}

impl Store {
    /// Opens the state and reads what is in it.
    pub(crate) fn open(
        state: &State,
        version: Version,
        realization_lag: Duration,
        search_lag: Duration,
    ) -> Result<Self, EmulatorError> {
        let mut database = Database::open(state)?;
        let mut view = View::default();
        for object in database.load()? {
            view.put(Arc::new(object));
        }
        Ok(Store {
            version,
            view,
            realized: Replica::new(realization_lag),
            searched: Replica::new(search_lag),
            history: VecDeque::new(),
            next_uid: database.next_uid(),
            database,
        })
    }

    /// The objects as stored.
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// The objects as far as hosts have realized them.
    pub(crate) fn realized(&mut self) -> &View {
        self.realized.read(&self.view, Instant::now())
    }

    /// The objects as far as the search index has seen them.
    pub(crate) fn searched(&mut self) -> &View {
        self.searched.read(&self.view, Instant::now())
    }

    pub(crate) fn set_realization_lag(&mut self, lag: Duration) {
        self.realized.set_lag(lag, Instant::now());
    }

    pub(crate) fn set_search_lag(&mut self, lag: Duration) {
        self.searched.set_lag(lag, Instant::now());
    }

    pub(crate) fn realize_all(&mut self) {
        self.realized.flush();
    }

    /// What differed `writes` writes ago: per object what it was then.
    pub(crate) fn ago(&self, writes: usize) -> FxHashMap<(Kind, Arc<str>), Option<Arc<Object>>> {
        let mut then = FxHashMap::default();
        for (kind, id, before) in self
            .history
            .iter()
            .rev()
            .take(writes)
            .flat_map(|write| write.iter().rev())
        {
            then.insert((*kind, id.clone()), before.clone());
        }
        then
    }

    /// Runs one request. What it changed is kept if it succeeds and undone if not.
    pub(crate) fn transact<T, E: From<EmulatorError>>(
        &mut self,
        user: &str,
        run: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut tx = Tx::new(&mut self.view, self.version, user, self.next_uid);
        let outcome = run(&mut tx);
        let (undo, next_uid) = tx.finish();
        match outcome {
            Ok(value) => {
                self.keep(undo, next_uid)?;
                Ok(value)
            }
            Err(refusal) => {
                self.undo(undo);
                Err(refusal)
            }
        }
    }

    fn keep(&mut self, undo: Vec<Before>, next_uid: i64) -> Result<(), EmulatorError> {
        if undo.is_empty() {
            return Ok(());
        }
        let changes = self.changes(&undo);
        self.next_uid = next_uid;
        self.database.write(&changes, next_uid)?;
        self.inform_replicas(&undo, &changes);
        self.history.push_back(undo);
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
        Ok(())
    }

    /// The last state of each object touched.
    fn changes(&self, undo: &[Before]) -> Vec<Change> {
        let mut seen = rustc_hash::FxHashSet::default();
        let touched = undo
            .iter()
            .filter(|(kind, id, _)| seen.insert((*kind, id.clone())));
        touched
            .map(|(kind, id, _)| match self.view.get(*kind, id) {
                Some(object) => Change::Put(object.clone()),
                None => Change::Remove(*kind, id.clone()),
            })
            .collect()
    }

    /// A replica that starts to lag now has to copy the view of before the write, so it is rebuilt for them.
    fn inform_replicas(&mut self, undo: &[Before], changes: &[Change]) {
        let now = Instant::now();
        for replica in [&mut self.realized, &mut self.searched] {
            if replica.must_copy(now) {
                let mut before = self.view.clone();
                rewind(&mut before, undo.to_vec());
                replica.follow(&before, changes, now);
            } else {
                replica.follow(&self.view, changes, now);
            }
        }
    }

    fn undo(&mut self, undo: Vec<Before>) {
        rewind(&mut self.view, undo);
    }
}

fn rewind(view: &mut View, undo: Vec<Before>) {
    for (kind, id, before) in undo.into_iter().rev() {
        match before {
            Some(object) => drop(view.put(object)),
            None => drop(view.remove(kind, &id)),
        }
    }
}
