//! Containers as they are given out, and contradictions between their rows.

use std::sync::Arc;
use std::time::Duration;

use super::{About, BbsSync, Mode, Output, Request};
use crate::bbs::extract::task_container;
use crate::bbs::record::{Container, Facts, Kind, SnatPool};
use crate::bbs::register::Row;
use crate::ids::Handle;

impl BbsSync {
    pub(super) fn ask_places(&mut self, now: Duration) {
        let overdue = self.register.overdue(now, self.options.grace);
        if overdue.is_empty() {
            return;
        }
        self.stats.doubts += overdue.len() as u64;
        if overdue.len() > self.options.max_doubts {
            self.hurry(now);
            return;
        }
        for (process, index) in overdue {
            let place = (process.clone(), index);
            self.ask(Request::Place(process, index), About::Place(place));
        }
    }

    pub(super) fn refresh_all(&mut self, handles: impl IntoIterator<Item = Handle>) {
        for handle in handles {
            self.refresh(handle);
        }
    }

    /// Compares what is known of a container with what was given out.
    pub(super) fn refresh(&mut self, handle: Handle) {
        let container = match (self.tasks.get(&handle), self.register.best(&handle)) {
            (Some(task), _) => Some(task_container(task)),
            (None, Some(row)) => {
                let Some(facts) = self.facts_for(row) else {
                    if self.mode == Mode::Leading {
                        self.urgent.insert(row.actual.process.clone());
                    }
                    return;
                };
                Some(instance(row, facts))
            }
            (None, None) => None,
        };
        match container {
            None => {
                if let Some(gone) = self.containers.remove(&handle) {
                    self.out.push(Output::Remove(gone.kind.into(), handle));
                }
            }
            Some(container) if self.containers.get(&handle) == Some(&container) => {}
            Some(container) => {
                self.register.forget_fallback(&handle);
                self.containers.insert(handle, container.clone());
                self.out.push(Output::Upsert(container));
            }
        }
    }

    /// What a container was given when it was first seen stays. `None`: not known yet.
    #[allow(clippy::option_option)]
    pub(super) fn facts_for(&self, row: &Row) -> Option<Option<Arc<Facts>>> {
        let given = self.containers.get(&row.handle).and_then(|of| of.facts.clone());
        let makeshift = |facts: &Arc<Facts>| facts.snat == SnatPool::Unknown;
        if given.as_ref().is_some_and(|facts| !makeshift(facts)) {
            return Some(given);
        }
        if let Some((_, Some(facts), _)) = self.desired.get(&row.actual.process) {
            return Some(Some(facts.clone()));
        }
        if given.is_some() || self.desired.contains_key(&row.actual.process) {
            return Some(given);
        }
        self.unavailable
            .contains(&row.actual.process)
            .then(|| row.actual.fallback.clone())
    }
}

fn instance(row: &Row, facts: Option<Arc<Facts>>) -> Container {
    Container {
        handle: row.handle.clone(),
        kind: Kind::App,
        cell: row.cell.clone(),
        process: Some((row.actual.process.clone(), row.actual.index)),
        presence: row.actual.presence,
        running: row.actual.running,
        since: row.actual.since,
        facts,
    }
}
