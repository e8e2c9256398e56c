//! Full records of desired LRPs: which are asked for, and when.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::{APPS, About, BbsSync, Pending, Request};
use crate::bbs::record::{Desired, Facts, Info, Tag};
use crate::bbs::register::Mark;
use crate::ids::{Handle, ProcessGuid};

impl BbsSync {
    pub(super) fn learn(&mut self, desired: Desired, mark: Mark) {
        let Desired { process, tag, facts } = desired;
        if self.desired_gone.contains_key(&tag.epoch) && !tag.epoch.is_empty() {
            return;
        }
        let newer = |(held, _, _): &(Tag, Option<Arc<Facts>>, Mark)| {
            held.epoch.is_empty() || held.epoch != tag.epoch || held.index < tag.index
        };
        if self.desired.get(&process).is_none_or(newer) {
            self.desired.insert(process.clone(), (tag, facts, mark));
        }
        self.urgent.remove(&process);
        self.unavailable.remove(&process);
        let handles: Vec<Handle> = self.register.handles_of(&process).collect();
        self.refresh_all(handles);
    }

    pub(super) fn unlearn(&mut self, gone: &Info, mark: Mark) {
        if !gone.tag.epoch.is_empty() {
            self.desired_gone.insert(gone.tag.epoch.clone(), mark);
        }
        let same = |(held, _, _): &(Tag, Option<Arc<Facts>>, Mark)| {
            held.epoch == gone.tag.epoch || gone.tag.epoch.is_empty()
        };
        if self.desired.get(&gone.process).is_some_and(same) {
            self.desired.remove(&gone.process);
        }
    }

    /// Full records are read only for keys not known, or known under another epoch.
    pub(super) fn compare(&mut self, infos: Vec<Info>, asked: Mark) {
        let mut listed: HashMap<ProcessGuid, Tag> =
            infos.into_iter().map(|info| (info.process, info.tag)).collect();
        if self.fresh.contains(APPS) {
            self.desired
                .retain(|process, (_, _, mark)| *mark >= asked || listed.contains_key(process));
        }
        self.desired_gone.retain(|_, mark| *mark >= asked);
        listed.retain(|process, tag| {
            let known = self
                .desired
                .get(process)
                .is_some_and(|(held, _, _)| held.epoch == tag.epoch);
            !known && !self.desired_gone.contains_key(&tag.epoch)
        });
        let mut wanted: Vec<ProcessGuid> = listed.into_keys().collect();
        wanted.sort_unstable();
        self.wanted = wanted.into();
    }

    pub(super) fn reading_records(&self) -> bool {
        let reading = |pending: &Pending| matches!(pending.about, About::Records { .. });
        !self.wanted.is_empty() || !self.urgent.is_empty() || self.pending.values().any(reading)
    }

    /// One batch at a time for the bulk, and one for what a waiting container needs.
    pub(super) fn ask_records(&mut self, now: Duration) {
        if now < self.records_until {
            return;
        }
        for urgent in [true, false] {
            if self.can_ask_records(urgent) {
                let asked = self.next_batch(urgent);
                self.ask(Request::Desired(asked.clone()), About::Records { asked, urgent });
            }
        }
    }

    pub(super) fn can_ask_records(&self, urgent: bool) -> bool {
        let busy = |pending: &Pending| matches!(pending.about, About::Records { urgent: held, .. } if held == urgent);
        let none = if urgent {
            self.urgent.is_empty()
        } else {
            self.wanted.is_empty()
        };
        !none && !self.pending.values().any(busy)
    }

    pub(super) fn next_batch(&mut self, urgent: bool) -> Vec<ProcessGuid> {
        let size = self.options.batch.max(1);
        if !urgent {
            let size = size.min(self.wanted.len());
            return self.wanted.drain(..size).collect();
        }
        let batch: Vec<ProcessGuid> = self.urgent.iter().take(size).cloned().collect();
        batch.iter().for_each(|process| {
            self.urgent.remove(process);
        });
        batch
    }

    pub(super) fn records(&mut self, asked: Vec<ProcessGuid>, found: Vec<Desired>, mark: Mark) {
        for desired in found {
            if !self.learned_since(&desired, mark) {
                self.learn(desired, mark);
            }
        }
        for process in asked {
            if !self.desired.contains_key(&process) {
                self.unavailable.insert(process.clone());
                let handles: Vec<Handle> = self.register.handles_of(&process).collect();
                self.refresh_all(handles);
            }
        }
    }

    /// Whether an event told of another row under the key after the question: the answer is older.
    pub(super) fn learned_since(&self, desired: &Desired, asked: Mark) -> bool {
        self.desired
            .get(&desired.process)
            .is_some_and(|(held, _, mark)| held.epoch != desired.tag.epoch && *mark >= asked)
    }
}
