//! Scopes: which part of which source is complete, and what a complete listing no longer mentions.

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::{Dirty, Held, Index};
use crate::digest::{self, Digest};
use crate::event::{Scope, ScopeKind};
use crate::intent::FactKey;
use crate::settings::{Brakes, Settings};
use crate::time::Time;

/// A scope's number inside one index.
pub type ScopeId = u16;

#[derive(Debug, Default)]
pub(super) struct Scopes {
    ids: FxHashMap<Scope, ScopeId>,
    states: Vec<State>,
}

#[derive(Debug)]
struct State {
    scope: Scope,
    open: Option<u64>,
    last: u64,
    complete: bool,
    trusted: bool,
    ended: Time,
    held: Option<Hold>,
    confirmed: bool,
}

/// A sweep that looked like a mistake of the source.
#[derive(Debug)]
struct Hold {
    missing: Digest,
    count: usize,
}

/// A scope, for status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScopeStatus {
    /// The scope, printed.
    pub scope: String,
    /// It has been listed whole.
    pub complete: bool,
    /// Absence in it means something now.
    pub trusted: bool,
    /// Facts whose removal waits for a second equal listing or the operator's word.
    pub held: usize,
}

impl Scopes {
    pub(super) fn id(&mut self, scope: &Scope) -> ScopeId {
        if let Some(id) = self.ids.get(scope) {
            return *id;
        }
        let id = self.states.len() as ScopeId;
        self.ids.insert(scope.clone(), id);
        self.states.push(State {
            scope: scope.clone(),
            open: None,
            last: 0,
            complete: false,
            trusted: true,
            ended: Time(0),
            held: None,
            confirmed: false,
        });
        id
    }

    pub(super) fn begin(&mut self, scope: Scope, generation: u64) {
        let id = self.id(&scope);
        self.states[usize::from(id)].open = Some(generation);
    }

    /// The mark that a fact said now carries: it is fresh for the open listing, if one is.
    pub(super) fn mark(&self, id: ScopeId) -> u64 {
        let state = &self.states[usize::from(id)];
        state.open.unwrap_or(state.last)
    }

    pub(super) fn trust(&mut self, id: ScopeId, trusted: bool) {
        self.states[usize::from(id)].trusted = trusted;
    }

    fn known(&self, scope: &Scope) -> Option<&State> {
        self.ids.get(scope).map(|id| &self.states[usize::from(*id)])
    }
}

impl Index {
    /// Whether absence among all scopes of this kind, `expected` or heard of, means anything now; names
    /// the first one that stands in the way.
    pub fn trusted(&self, expected: &[Scope], kind: ScopeKind) -> Result<(), Scope> {
        let heard_of = self.scopes.states.iter().map(|s| &s.scope);
        let good = |scope: &Scope| self.scopes.known(scope).is_some_and(|s| s.complete && s.trusted);
        let mut scopes = expected.iter().chain(heard_of).filter(|s| s.kind == kind);
        match scopes.find(|s| !good(s)) {
            Some(scope) => Err(scope.clone()),
            None => Ok(()),
        }
    }

    /// When the scopes of this kind were last all listed whole: the oldest of their last ends.
    pub fn listed_at(&self, kind: ScopeKind) -> Time {
        let ends = self
            .scopes
            .states
            .iter()
            .filter(|s| s.scope.kind == kind)
            .map(|s| s.ended);
        ends.min().unwrap_or_default()
    }

    /// Each scope, for status.
    pub fn scope_status(&self) -> Vec<ScopeStatus> {
        let mut all: Vec<ScopeStatus> = self.scopes.states.iter().map(State::status).collect();
        all.sort_by(|a, b| a.scope.cmp(&b.scope));
        all
    }

    /// The operator's word: the next complete listing of any held scope is taken as it is.
    pub fn confirm_sweeps(&mut self) {
        for state in &mut self.scopes.states {
            state.confirmed |= state.held.is_some();
        }
    }

    pub(super) fn end(
        &mut self,
        scope: &Scope,
        generation: u64,
        now: Time,
        settings: &Settings,
        dirty: &mut Dirty,
    ) {
        let id = self.scopes.id(scope);
        let state = &mut self.scopes.states[usize::from(id)];
        if state.open != Some(generation) {
            return; // A listing that a later one abandoned.
        }
        state.open = None;
        if !state.trusted {
            return; // What it lacks means nothing.
        }
        state.last = generation;
        state.complete = true;
        state.ended = now;
        let (missing, total) = self.unmentioned(id, scope.kind, generation);
        if self.scopes.states[usize::from(id)].admits(&missing, total, &settings.brakes) {
            for key in &missing {
                self.remove(id, key, now, settings, dirty);
            }
        }
        self.count_departures(id, now, settings, dirty);
    }

    fn unmentioned(&self, id: ScopeId, kind: ScopeKind, generation: u64) -> (Vec<FactKey>, usize) {
        match kind {
            ScopeKind::Nodes => stale(
                &self.nodes,
                id,
                generation,
                |k| FactKey::Node(k.clone()),
                |_| true,
            ),
            ScopeKind::Projects => stale(
                &self.projects,
                id,
                generation,
                |k| FactKey::Project(k.clone()),
                |_| true,
            ),
            ScopeKind::Policies => stale(
                &self.policies,
                id,
                generation,
                |k| FactKey::Policy(k.clone()),
                |_| true,
            ),
            ScopeKind::Workloads => stale(
                &self.workloads,
                id,
                generation,
                |k| FactKey::Workload(k.clone()),
                |entry| entry.departing.is_none(),
            ),
        }
    }
}

fn stale<K, T>(
    all: &FxHashMap<K, Held<T>>,
    id: ScopeId,
    generation: u64,
    key: impl Fn(&K) -> FactKey,
    counts: impl Fn(&T) -> bool,
) -> (Vec<FactKey>, usize) {
    let mut missing = Vec::new();
    let mut total = 0;
    for (k, held) in all.iter().filter(|(_, h)| h.scope == id && counts(&h.value)) {
        total += 1;
        if held.mark != generation {
            missing.push(key(k));
        }
    }
    missing.sort_unstable();
    (missing, total)
}

impl State {
    /// Whether a listing that no longer mentions these may be believed at once.
    fn admits(&mut self, missing: &[FactKey], total: usize, brakes: &Brakes) -> bool {
        let limit = brakes.sweep_floor.max(total * brakes.sweep_percent / 100);
        if missing.len() <= limit {
            self.held = None;
            return true;
        }
        let digest = digest::of(missing);
        let second = self.held.as_ref().is_some_and(|h| h.missing == digest);
        if second || std::mem::take(&mut self.confirmed) {
            self.held = None;
            return true;
        }
        self.held = Some(Hold {
            missing: digest,
            count: missing.len(),
        });
        false
    }

    fn status(&self) -> ScopeStatus {
        ScopeStatus {
            scope: self.scope.to_string(),
            complete: self.complete,
            trusted: self.trusted,
            held: self.held.as_ref().map_or(0, |h| h.count),
        }
    }
}
