//! Tasks and staging: one-off containers.

use diego_wire::bbs::{
    Task, TaskChangedEvent, TaskCreatedEvent, TaskDefinition, TaskRemovedEvent, task::State,
};
use diego_wire::lrp;
use serde_json::json;

use super::World;
use super::diego::Step;
use super::error::WorldError;
use super::hub::Channel;
use super::objects::TaskRow;
use super::recipe;
use super::table::Guid;

impl World {
    /// Runs a command in a container of its own; returns the task guid, which is the container's handle.
    pub(crate) fn run_task(
        &mut self,
        app: &str,
        name: Option<&str>,
        command: &str,
    ) -> Result<Guid, WorldError> {
        let app = self.app(app)?.meta.guid.clone();
        let (guid, now) = (self.guid(), self.clock.seconds());
        let Some(found) = self.apps.get_mut(&app) else {
            return Err(WorldError::not_found("app", &app));
        };
        found.task_count += 1;
        let sequence = found.task_count;
        let definition = recipe::task(self, &app, &guid, command)?;
        let name = name.map_or_else(|| format!("task-{sequence}"), str::to_owned);
        self.tasks.insert(TaskRow {
            guid: guid.clone(),
            app: app.clone(),
            name,
            command: command.to_owned(),
            sequence,
            state: "RUNNING",
            created: now,
            updated: now,
        });
        self.note_app("audit.app.task.create", &app, json!({"task_guid": guid}));
        self.desire_task(&guid, lrp::DOMAIN_TASKS, definition);
        Ok(guid)
    }

    /// A task ends: completed, resolving while Cloud Controller is told, then gone.
    pub(crate) fn finish_task(&mut self, guid: &str, failure: Option<&str>) -> Result<(), WorldError> {
        if !self.diego.tasks.contains_key(guid) {
            return Err(WorldError::not_found("task", guid));
        }
        let now = self.clock.nanos();
        let cell = self
            .diego
            .tasks
            .get(guid)
            .map(|task| task.cell_id.clone())
            .unwrap_or_default();
        self.leave_cell(&cell);
        self.change_task(guid, |task| {
            task.state = State::Completed as i32;
            task.first_completed_at = now;
            task.cell_id = String::new();
            task.failed = failure.is_some();
            task.failure_reason = failure.unwrap_or_default().as_bytes().to_vec();
        });
        self.change_task(guid, |task| task.state = State::Resolving as i32);
        if let Some(task) = self.diego.tasks.remove(guid) {
            self.diego.hubs.publish(
                Channel::Tasks,
                &TaskRemovedEvent { task: Some(task) }.into(),
                None,
            );
        }
        let now = self.clock.seconds();
        if let Some(row) = self.tasks.get_mut(guid) {
            row.state = if failure.is_some() { "FAILED" } else { "SUCCEEDED" };
            row.updated = now;
        }
        Ok(())
    }

    pub(crate) fn desire_task(&mut self, guid: &str, domain: &str, definition: TaskDefinition) {
        let now = self.clock.nanos();
        let task = Task {
            task_definition: Some(definition),
            task_guid: guid.to_owned(),
            domain: domain.to_owned(),
            created_at: now,
            updated_at: now,
            state: State::Pending as i32,
            ..Default::default()
        };
        if !self.diego.hubs.is_idle(Channel::Tasks) {
            let event = TaskCreatedEvent {
                task: Some(task.clone()),
            };
            self.diego.hubs.publish(Channel::Tasks, &event.into(), None);
        }
        self.diego.tasks.insert(guid.to_owned(), task);
        self.later(self.delays.claim, Step::StartTask(guid.to_owned()));
    }

    pub(crate) fn start_task(&mut self, guid: &str) {
        let Some(task) = self
            .diego
            .tasks
            .get(guid)
            .filter(|task| task.state == State::Pending as i32)
        else {
            return;
        };
        let tags = task
            .task_definition
            .as_ref()
            .map(|of| of.placement_tags.clone())
            .unwrap_or_default();
        match self.pick_cell(&tags) {
            Some(cell) => {
                let cell_id = self.diego.cells[cell].spec.id.clone();
                self.change_task(guid, |task| {
                    task.state = State::Running as i32;
                    task.cell_id = cell_id;
                });
            }
            None => self.change_task(guid, |task| {
                task.rejection_count += 1;
                task.rejection_reason = b"found no compatible cell".to_vec();
            }),
        }
    }

    fn change_task(&mut self, guid: &str, change: impl FnOnce(&mut Task)) {
        let now = self.clock.nanos();
        let Some(task) = self.diego.tasks.get_mut(guid) else {
            return;
        };
        let before = task.clone();
        change(task);
        task.updated_at = now;
        let after = task.clone();
        if !self.diego.hubs.is_idle(Channel::Tasks) {
            let event = TaskChangedEvent {
                before: Some(before),
                after: Some(after),
            };
            self.diego.hubs.publish(Channel::Tasks, &event.into(), None);
        }
    }

    pub(crate) fn tasks_on(&self, cell: &str) -> usize {
        self.diego
            .tasks
            .values()
            .filter(|task| task.cell_id == cell)
            .count()
    }

    pub(crate) fn fail_tasks_on(&mut self, cell: &str, reason: &str) {
        let lost = self.diego.tasks.values().filter(|task| task.cell_id == cell);
        let lost: Vec<Guid> = lost.map(|task| task.task_guid.clone()).collect();
        for task in lost {
            // The guid was taken from the table just now.
            let _ = self.finish_task(&task, Some(reason));
        }
    }

    /// Begins staging; the build guid is the task guid.
    pub(crate) fn stage(&mut self, app: &str) -> Result<Guid, WorldError> {
        let app = self.app(app)?.meta.guid.clone();
        let build = self.guid();
        let definition = recipe::staging(self, &app, &build)?;
        self.desire_task(&build, lrp::DOMAIN_STAGING, definition);
        Ok(build)
    }

    /// Staging is done: the task ends, and the app starts under a new version.
    pub(crate) fn staged(&mut self, build: &str) {
        let app = self
            .diego
            .tasks
            .get(build)
            .and_then(|task| task.task_definition.as_ref());
        let Some(app) = app.map(|definition| definition.log_guid.clone()) else {
            return;
        };
        let _ = self.finish_task(build, None);
        let _ = self.restart(&app);
    }

    /// Stages an app again and starts it under a new version.
    pub(crate) fn restage(&mut self, app: &str) -> Result<Guid, WorldError> {
        let app = self.app(app)?.meta.guid.clone();
        self.note_app("audit.app.restage", &app, json!({}));
        let build = self.stage(&app)?;
        self.later(self.delays.stage, Step::Staged(build.clone()));
        Ok(build)
    }
}
