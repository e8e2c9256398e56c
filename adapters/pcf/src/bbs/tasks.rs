//! Tasks that run, and how events and listings change them.
//!
//! A task has no modification tag, but its progress is one-way and its guid is never used again: a task
//! that is over or gone stays so, and a task that waits has no container yet and is not worth a record.

use std::collections::{HashMap, HashSet};

use super::record::{Kind, Stage, TaskRow};
use super::register::{Mark, Merged};
use crate::ids::Handle;

#[derive(Debug, Default)]
pub(super) struct Tasks {
    running: HashMap<Handle, (TaskRow, Mark)>,
    over: HashMap<Handle, Mark>,
}

impl Tasks {
    pub(super) fn upsert(&mut self, row: TaskRow, mark: Mark) -> Option<Handle> {
        match row.stage {
            Stage::Waiting => None,
            Stage::Over => self.remove(&row.handle, mark),
            Stage::Running => self.run(row, mark),
        }
    }

    fn run(&mut self, row: TaskRow, mark: Mark) -> Option<Handle> {
        let older = |(held, _): &(TaskRow, Mark)| row.updated < held.updated;
        if self.over.contains_key(&row.handle) || self.running.get(&row.handle).is_some_and(older) {
            return None;
        }
        let handle = row.handle.clone();
        self.running.insert(handle.clone(), (row, mark));
        Some(handle)
    }

    pub(super) fn remove(&mut self, handle: &Handle, mark: Mark) -> Option<Handle> {
        self.over.insert(handle.clone(), mark);
        self.running.remove(handle).map(|_| handle.clone())
    }

    /// Joins a complete listing; tasks of the kinds that `keep_absent` names stay although it lacks them.
    pub(super) fn merge(&mut self, listed: Vec<TaskRow>, asked: Mark, keep_absent: &[Kind]) -> Merged {
        let mut merged = Merged::default();
        self.over.retain(|_, mark| *mark >= asked);
        let mut present = HashSet::with_capacity(listed.len());
        for row in listed {
            let over = row.stage == Stage::Over && !self.over.contains_key(&row.handle);
            let new = row.stage == Stage::Running
                && !self.running.contains_key(&row.handle)
                && !self.over.contains_key(&row.handle);
            if row.stage == Stage::Running {
                present.insert(row.handle.clone());
            }
            let touched = self.upsert(row, asked);
            merged.drift += usize::from(new || (over && touched.is_some()));
            merged.touched.extend(touched);
        }
        let absent: Vec<Handle> = self
            .running
            .iter()
            .filter(|(handle, (row, mark))| {
                *mark < asked && !present.contains(*handle) && !keep_absent.contains(&row.kind)
            })
            .map(|(handle, _)| handle.clone())
            .collect();
        merged.drift += absent.len();
        for handle in absent {
            merged.touched.extend(self.remove(&handle, asked));
        }
        merged
    }

    pub(super) fn get(&self, handle: &Handle) -> Option<&TaskRow> {
        self.running.get(handle).map(|(row, _)| row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(guid: &str, stage: Stage, updated: i64) -> TaskRow {
        TaskRow {
            handle: guid.into(),
            kind: Kind::Task,
            stage,
            cell: "cell".into(),
            updated,
            facts: None,
        }
    }

    #[test]
    fn a_task_that_is_over_never_runs_again_whatever_comes_late() {
        let mut tasks = Tasks::default();
        assert_eq!(tasks.upsert(task("t", Stage::Waiting, 1), 1), None);
        assert!(tasks.upsert(task("t", Stage::Running, 2), 1).is_some());
        assert!(tasks.upsert(task("t", Stage::Over, 3), 1).is_some());
        assert_eq!(tasks.upsert(task("t", Stage::Running, 2), 1), None);
        assert!(tasks.get(&"t".into()).is_none());
        let late = tasks.merge(vec![task("t", Stage::Running, 2)], 1, &[]);
        assert!(
            late.touched.is_empty(),
            "the listing was asked for before the end was reported"
        );
    }

    #[test]
    fn absence_counts_only_for_what_no_event_named_since_the_question() {
        let mut tasks = Tasks::default();
        tasks.upsert(task("old", Stage::Running, 1), 1);
        tasks.upsert(task("new", Stage::Running, 1), 5);
        let merged = tasks.merge(vec![], 5, &[Kind::Task]);
        assert!(merged.touched.is_empty(), "the domain is stale");
        let merged = tasks.merge(vec![], 5, &[]);
        assert_eq!(merged.touched, [Handle::from("old")]);
        assert!(tasks.get(&"new".into()).is_some());
    }
}
