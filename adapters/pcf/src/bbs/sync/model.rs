//! A model of the BBS for tests: a table of rows, and the events each change of it emits (BBS documents,
//! event sequences of the instance stream).

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::{Answer, Request, Stream};
use crate::bbs::record::*;
use crate::ids::{CellId, Handle, ProcessGuid};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One row of the model's table of instances.
#[derive(Clone, Debug)]
pub(super) struct ModelRow {
    pub(super) actual: Actual,
}

/// A BBS as far as its clients can tell: a table, and events emitted after each change.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) rows: BTreeMap<(u8, i32, Presence), ModelRow>,
    pub(super) desired: BTreeMap<u8, Desired>,
    pub(super) tasks: BTreeMap<u8, TaskRow>,
    drawn: u32,
    clock: i64,
    pub(super) emitted: Vec<(Stream, Event)>,
}

#[derive(Clone, Debug)]
pub(super) enum Op {
    Desire(u8),
    Undesire(u8),
    Want(u8, i32),
    Claim(u8, i32, u8),
    Start(u8, i32),
    Crash(u8, i32),
    Stop(u8, i32, Presence),
    Evacuate(u8, i32),
    Suspect(u8, i32),
    Return(u8, i32),
    RunTask(u8),
    EndTask(u8),
}

pub(super) fn process(p: u8) -> ProcessGuid {
    format!("process-{p}").into()
}

pub(super) fn facts(p: u8) -> Arc<Facts> {
    Arc::new(Facts {
        app: Some(format!("app-{p}").into()),
        policy_group: Some(format!("app-{p}").into()),
        space: "space".into(),
        org: "org".into(),
        names: Names::default(),
        snat: SnatPool::Named(format!("pool-{p}").into()),
        ports: vec![8080],
        log_guid: "log".into(),
    })
}

impl Model {
    pub(super) fn draw(&mut self, what: &str) -> String {
        self.drawn += 1;
        format!("{what}-{}", self.drawn)
    }

    pub(super) fn tag(&mut self) -> Tag {
        Tag {
            epoch: self.draw("epoch").into(),
            index: 0,
        }
    }

    pub(super) fn emit(&mut self, stream: Stream, event: Event) {
        self.emitted.push((stream, event));
    }

    pub(super) fn created(&mut self, actual: &Actual) {
        self.emit(Stream::Lrps, Event::Actual(Box::new(actual.clone()), None));
    }

    pub(super) fn changed(&mut self, actual: &Actual, before: Presence) {
        self.emit(
            Stream::Lrps,
            Event::Actual(Box::new(actual.clone()), Some(before)),
        );
    }

    pub(super) fn gone(&mut self, actual: &Actual) {
        self.emit(Stream::Lrps, Event::ActualGone(Box::new(actual.clone())));
    }

    pub(super) fn fresh_row(&mut self, p: u8, index: i32) -> Actual {
        Actual {
            process: process(p),
            index,
            tag: self.tag(),
            presence: Presence::Ordinary,
            container: None,
            running: false,
            since: self.clock,
            fallback: None,
        }
    }

    pub(super) fn row(&self, p: u8, index: i32, presence: Presence) -> Option<Actual> {
        self.rows.get(&(p, index, presence)).map(|row| row.actual.clone())
    }

    pub(super) fn set(&mut self, p: u8, actual: &Actual) {
        let key = (p, actual.index, actual.presence);
        self.rows.insert(
            key,
            ModelRow {
                actual: actual.clone(),
            },
        );
    }

    pub(super) fn apply(&mut self, op: &Op) {
        self.clock += 1;
        match *op {
            Op::Desire(p) => self.desire(p),
            Op::Undesire(p) => {
                if let Some(gone) = self.desired.remove(&p) {
                    let info = Info {
                        process: gone.process,
                        tag: gone.tag,
                    };
                    self.emit(Stream::Lrps, Event::DesiredGone(info));
                }
            }
            Op::Want(p, index) => {
                if self.row(p, index, Presence::Ordinary).is_none() {
                    let row = self.fresh_row(p, index);
                    self.set(p, &row);
                    self.created(&row);
                }
            }
            Op::Claim(p, index, cell) => {
                let handle: Handle = self.draw("container").into();
                self.edit(p, index, |row| {
                    row.container.is_none().then(|| {
                        row.container = Some((handle, CellId::from(format!("cell-{cell}"))));
                    })
                });
            }
            Op::Start(p, index) => {
                self.edit(p, index, |row| {
                    (row.container.is_some() && !row.running).then(|| row.running = true)
                });
                self.supersede(p, index);
            }
            Op::Crash(p, index) => self.crash(p, index),
            Op::Stop(p, index, presence) => {
                if let Some(row) = self.row(p, index, presence) {
                    self.rows.remove(&(p, index, presence));
                    self.gone(&row);
                    // Retiring reports the order to stop, too.
                    if self.clock % 3 == 0 {
                        self.gone(&row);
                    }
                }
            }
            Op::Evacuate(p, index) => self.evacuate(p, index),
            Op::Suspect(p, index) => self.suspect(p, index),
            Op::Return(p, index) => self.come_back(p, index),
            Op::RunTask(t) => self.task(t, Stage::Running),
            Op::EndTask(t) => self.task(t, Stage::Over),
        }
    }

    pub(super) fn desire(&mut self, p: u8) {
        let desired = match self.desired.get(&p) {
            Some(held) => Desired {
                tag: Tag {
                    index: held.tag.index + 1,
                    ..held.tag.clone()
                },
                ..held.clone()
            },
            None => Desired {
                process: process(p),
                tag: self.tag(),
                facts: Some(facts(p)),
            },
        };
        self.desired.insert(p, desired.clone());
        self.emit(Stream::Lrps, Event::Desired(desired));
    }

    /// Changes the ordinary row within its epoch.
    pub(super) fn edit(&mut self, p: u8, index: i32, change: impl FnOnce(&mut Actual) -> Option<()>) {
        if let Some(mut row) = self.row(p, index, Presence::Ordinary)
            && change(&mut row).is_some()
        {
            row.tag.index += 1;
            row.since = self.clock;
            self.set(p, &row);
            self.changed(&row, Presence::Ordinary);
        }
    }

    /// A replacement that runs ends the evacuating and suspect rows.
    pub(super) fn supersede(&mut self, p: u8, index: i32) {
        if self
            .row(p, index, Presence::Ordinary)
            .is_some_and(|row| row.running)
        {
            for presence in [Presence::Evacuating, Presence::Suspect] {
                if let Some(old) = self.row(p, index, presence) {
                    self.rows.remove(&(p, index, presence));
                    self.gone(&old);
                }
            }
        }
    }

    /// Restarted at once: Created of the same row, then Removed of what it was.
    pub(super) fn crash(&mut self, p: u8, index: i32) {
        if let Some(old) = self
            .row(p, index, Presence::Ordinary)
            .filter(|row| row.container.is_some())
        {
            let mut row = old.clone();
            row.tag.index += 1;
            (row.container, row.running, row.since) = (None, false, self.clock);
            self.set(p, &row);
            self.created(&row);
            self.gone(&old);
        }
    }

    pub(super) fn evacuate(&mut self, p: u8, index: i32) {
        let running = self.row(p, index, Presence::Ordinary).filter(|row| row.running);
        if self.row(p, index, Presence::Evacuating).is_some() {
            return;
        }
        if let Some(old) = running {
            let mut moved = old.clone();
            (moved.tag, moved.presence) = (self.tag(), Presence::Evacuating);
            self.set(p, &moved);
            self.changed(&moved, Presence::Ordinary);
            let mut replacement = old;
            replacement.tag.index += 1;
            (replacement.container, replacement.running) = (None, false);
            self.set(p, &replacement);
            self.created(&replacement);
        }
    }

    pub(super) fn suspect(&mut self, p: u8, index: i32) {
        let running = self.row(p, index, Presence::Ordinary).filter(|row| row.running);
        if self.row(p, index, Presence::Suspect).is_some() {
            return;
        }
        if let Some(mut row) = running {
            self.rows.remove(&(p, index, Presence::Ordinary));
            row.presence = Presence::Suspect;
            self.set(p, &row);
            let replacement = self.fresh_row(p, index);
            self.set(p, &replacement);
            self.changed(&row, Presence::Ordinary);
            self.created(&replacement);
        }
    }

    pub(super) fn come_back(&mut self, p: u8, index: i32) {
        let replaced = self.row(p, index, Presence::Ordinary);
        if replaced.as_ref().is_some_and(|row| row.running) {
            return;
        }
        if let Some(mut row) = self.row(p, index, Presence::Suspect) {
            self.rows.remove(&(p, index, Presence::Suspect));
            row.presence = Presence::Ordinary;
            self.set(p, &row);
            if let Some(replaced) = replaced {
                self.gone(&replaced);
            }
            self.changed(&row, Presence::Suspect);
        }
    }

    pub(super) fn task(&mut self, t: u8, stage: Stage) {
        let over = self.tasks.get(&t).is_some_and(|held| held.stage >= stage);
        if over || (stage == Stage::Over && !self.tasks.contains_key(&t)) {
            return;
        }
        let kind = if t.is_multiple_of(2) {
            Kind::Task
        } else {
            Kind::Staging
        };
        let row = TaskRow {
            handle: format!("task-{t}").into(),
            kind,
            stage,
            cell: "cell-0".into(),
            updated: self.clock,
            facts: Some(facts(t)),
        };
        self.tasks.insert(t, row.clone());
        self.emit(Stream::Tasks, Event::Task(row.clone()));
        if stage == Stage::Over {
            self.emit(Stream::Tasks, Event::TaskGone(row.handle));
        }
    }

    /// Handles of all containers and the cell each is on.
    pub(super) fn truth(&self) -> BTreeMap<Handle, CellId> {
        let instances = self.rows.values().filter_map(|row| row.actual.container.clone());
        let tasks = self.tasks.values().filter(|row| row.stage == Stage::Running);
        instances
            .chain(tasks.map(|row| (row.handle.clone(), row.cell.clone())))
            .collect()
    }

    pub(super) fn answer(&self, request: &Request) -> Answer {
        match request {
            Request::Open(_) => Answer::Opened,
            Request::Domains => Answer::Domains(vec!["cf-apps".into(), "cf-tasks".into()]),
            Request::Cells => Answer::Cells(vec![]),
            Request::Infos => Answer::Infos(
                self.desired
                    .values()
                    .map(|of| Info {
                        process: of.process.clone(),
                        tag: of.tag.clone(),
                    })
                    .collect(),
            ),
            Request::Desired(asked) => Answer::Desired(
                self.desired
                    .values()
                    .filter(|of| asked.contains(&of.process))
                    .cloned()
                    .collect(),
            ),
            Request::Actuals => Answer::Actuals(self.rows.values().map(|row| row.actual.clone()).collect()),
            Request::Place(of, index) => Answer::Actuals(
                self.rows
                    .values()
                    .map(|row| row.actual.clone())
                    .filter(|row| row.process == *of && row.index == *index)
                    .collect(),
            ),
            Request::Tasks => Answer::Tasks(self.tasks.values().cloned().collect()),
        }
    }
}
