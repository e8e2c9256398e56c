//! Apps and their processes as Cloud Controller handles them, down to what it asks of Diego.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::World;
use super::diego::Slot;
use super::error::WorldError;
use super::objects::{App, Lifecycle, Process};
use super::recipe;
use super::table::Guid;

/// A further process of an app, beside `web`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessSpec {
    /// Its type, such as `worker`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Wanted instances.
    #[serde(default = "one")]
    pub instances: i32,
    /// Names of side-cars.
    #[serde(default)]
    pub sidecars: Vec<String>,
}

fn one() -> i32 {
    1
}

/// An app to be pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AppSpec {
    /// Its name.
    pub name: String,
    /// Its space: guid, `org/space`, or a name that only one space has.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub space: String,
    /// Wanted instances of its `web` process.
    pub instances: i32,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// How it becomes a container.
    pub lifecycle: Lifecycle,
    /// Side-cars of its `web` process.
    pub sidecars: Vec<String>,
    /// Processes beside `web`; each has a guid of its own.
    pub processes: Vec<ProcessSpec>,
    /// Left stopped.
    pub stopped: bool,
    /// Whether it is staged first, in a container of its own.
    pub staged: bool,
    /// Commands that run as tasks once it is there.
    pub tasks: Vec<String>,
}

impl Default for AppSpec {
    /// One instance of a buildpack app, to be started; it has neither name nor space.
    fn default() -> Self {
        Self {
            name: String::new(),
            space: String::new(),
            instances: one(),
            env: BTreeMap::new(),
            lifecycle: Lifecycle::default(),
            sidecars: Vec::new(),
            processes: Vec::new(),
            stopped: false,
            staged: false,
            tasks: Vec::new(),
        }
    }
}

impl AppSpec {
    /// A started app of so many instances.
    pub fn new(space: impl Into<String>, name: impl Into<String>, instances: i32) -> Self {
        Self {
            space: space.into(),
            name: name.into(),
            instances,
            ..Self::default()
        }
    }

    /// The same with a variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }
}

impl World {
    /// Finds an app by guid, `org/space/app`, `space/app`, or a name that only one has.
    pub(crate) fn app(&self, text: &str) -> Result<&App, WorldError> {
        if let Some(app) = self.apps.get(text) {
            return Ok(app);
        }
        let (space, name) = match text.rsplit_once('/') {
            Some((space, name)) => (Some(self.space(space)?.meta.guid.as_str()), name),
            None => (None, text),
        };
        if let Some(space) = space {
            let guid = self.app_names.get(&(space.to_owned(), name.to_owned()));
            return guid
                .and_then(|guid| self.apps.get(guid))
                .ok_or_else(|| WorldError::not_found("app", text));
        }
        let mut found = self.apps.iter().filter(|app| app.meta.name == name);
        match (found.next(), found.next()) {
            (Some(app), None) => Ok(app),
            (None, _) => Err(WorldError::not_found("app", text)),
            _ => Err(WorldError::Ambiguous {
                kind: "app",
                name: text.to_owned(),
            }),
        }
    }

    pub(crate) fn apps_of(&self, space: &str) -> Vec<Guid> {
        self.apps
            .iter()
            .filter(|app| app.space == space)
            .map(|app| app.meta.guid.clone())
            .collect()
    }

    pub(crate) fn processes_of(&self, app: &str) -> Vec<Guid> {
        self.apps
            .get(app)
            .map(|app| app.processes.clone())
            .unwrap_or_default()
    }

    /// Makes an app without starting it; its `web` process has the app's guid.
    pub(crate) fn create_app(&mut self, spec: &AppSpec) -> Result<Guid, WorldError> {
        let space = self.space(&spec.space)?.meta.guid.clone();
        let name = (space.clone(), spec.name.clone());
        if self.app_names.contains_key(&name) {
            return Err(WorldError::exists("app", &spec.name));
        }
        let meta = self.meta(&spec.name);
        let guid = meta.guid.clone();
        self.app_names.insert(name, guid.clone());
        self.apps.insert(App {
            meta,
            space,
            started: false,
            lifecycle: spec.lifecycle,
            env: spec.env.clone(),
            processes: Vec::new(),
            ssh: true,
            task_count: 0,
        });
        self.create_process(&guid, guid.clone(), "web", spec.instances, spec.sidecars.clone());
        for process in &spec.processes {
            let own = self.guid();
            self.create_process(
                &guid,
                own,
                &process.kind,
                process.instances,
                process.sidecars.clone(),
            );
        }
        self.note_app("audit.app.create", &guid, json!({}));
        Ok(guid)
    }

    fn create_process(&mut self, app: &str, guid: Guid, kind: &str, instances: i32, sidecars: Vec<String>) {
        let (version, now) = (self.guid(), self.clock.seconds());
        if let Some(app) = self.apps.get_mut(app) {
            app.processes.push(guid.clone());
        }
        self.processes.insert(Process {
            guid,
            app: app.to_owned(),
            kind: kind.to_owned(),
            instances,
            memory_mb: 256,
            disk_mb: 1024,
            ports: if kind == "web" { vec![8080] } else { Vec::new() },
            sidecars,
            version,
            created: now,
            updated: now,
        });
    }

    /// Makes and starts an app.
    pub(crate) fn push(&mut self, spec: &AppSpec) -> Result<Guid, WorldError> {
        let guid = self.create_app(spec)?;
        match (spec.stopped, spec.staged) {
            (true, _) => {}
            (false, true) => _ = self.restage(&guid)?,
            (false, false) => self.start(&guid)?,
        }
        for command in &spec.tasks {
            self.run_task(&guid, None, command)?;
        }
        Ok(guid)
    }

    fn mark(&mut self, app: &str, started: bool) {
        let now = self.clock.seconds();
        if let Some(app) = self.apps.get_mut(app) {
            app.started = started;
            app.meta.updated = now;
        }
    }

    pub(crate) fn start(&mut self, app: &str) -> Result<(), WorldError> {
        let (guid, started) = {
            let app = self.app(app)?;
            (app.meta.guid.clone(), app.started)
        };
        if started {
            return Ok(());
        }
        self.mark(&guid, true);
        self.note_app("audit.app.start", &guid, json!({}));
        self.desire_app(&guid)
    }

    pub(crate) fn stop_app(&mut self, app: &str) -> Result<(), WorldError> {
        let guid = self.app(app)?.meta.guid.clone();
        self.mark(&guid, false);
        self.note_app("audit.app.stop", &guid, json!({}));
        self.undesire_app(&guid);
        Ok(())
    }

    /// Starts an app under a new version of every process.
    pub(crate) fn restart(&mut self, app: &str) -> Result<(), WorldError> {
        let guid = self.app(app)?.meta.guid.clone();
        self.undesire_app(&guid);
        self.mark(&guid, true);
        self.note_app("audit.app.restart", &guid, json!({}));
        self.desire_app(&guid)
    }

    /// Each desire draws a new version, as every start does.
    fn desire_app(&mut self, app: &str) -> Result<(), WorldError> {
        for process in self.processes_of(app) {
            self.new_version(&process);
            let desired = recipe::process(self, &process)?;
            self.desire(desired);
        }
        Ok(())
    }

    fn new_version(&mut self, process: &str) {
        let version = self.guid();
        if let Some(process) = self.processes.get_mut(process) {
            process.version = version;
        }
    }

    fn undesire_app(&mut self, app: &str) {
        for process in self.processes_of(app) {
            if let Some(guid) = self.processes.get(&process).map(Process::process_guid) {
                self.remove_desired(&guid);
            }
        }
    }

    /// A rolling deployment: a fresh `web` process with a guid of its own runs before the old one goes.
    pub(crate) fn deploy(&mut self, app: &str) -> Result<(), WorldError> {
        let guid = self.app(app)?.meta.guid.clone();
        let web = self.web(&guid)?;
        let (old, instances, sidecars) = (web.process_guid(), web.instances, web.sidecars.clone());
        let (old_row, fresh) = (web.guid.clone(), self.guid());
        self.processes.remove(&old_row);
        if let Some(app) = self.apps.get_mut(&guid) {
            app.processes.retain(|process| *process != old_row);
        }
        self.create_process(&guid, fresh.clone(), "web", instances, sidecars);
        self.mark(&guid, true);
        let desired = recipe::process(self, &fresh)?;
        self.desire(desired);
        self.remove_desired(&old);
        Ok(())
    }

    /// The `web` process of an app.
    pub(crate) fn web(&self, app: &str) -> Result<&Process, WorldError> {
        self.process(app, "web")
    }

    /// A process of an app by its type.
    pub(crate) fn process(&self, app: &str, kind: &str) -> Result<&Process, WorldError> {
        let mut of_app = self
            .app(app)?
            .processes
            .iter()
            .filter_map(|guid| self.processes.get(guid));
        of_app
            .find(|process| process.kind == kind)
            .ok_or_else(|| WorldError::not_found("process", kind))
    }

    /// Where an instance of an app's `web` process is recorded.
    pub(crate) fn slot(&self, app: &str, index: i32) -> Result<Slot, WorldError> {
        Ok((self.web(app)?.process_guid(), index))
    }

    pub(crate) fn scale(&mut self, app: &str, kind: &str, instances: i32) -> Result<(), WorldError> {
        let (guid, app) = {
            let process = self.process(app, kind)?;
            (process.guid.clone(), process.app.clone())
        };
        let now = self.clock.seconds();
        let Some(process) = self.processes.get_mut(&guid) else {
            return Ok(());
        };
        process.instances = instances;
        process.updated = now;
        let process_guid = process.process_guid();
        self.note_app(
            "audit.app.process.scale",
            &app,
            json!({"request": {"instances": instances}}),
        );
        self.update_desired(&process_guid, |desired| {
            desired.instances = instances;
            desired.annotation = now.to_string();
        });
        Ok(())
    }

    /// Changes memory, which takes a new version at once if the app is started.
    pub(crate) fn resize(
        &mut self,
        process: &str,
        memory_mb: Option<i32>,
        disk_mb: Option<i32>,
    ) -> Result<(), WorldError> {
        let missing = || WorldError::not_found("process", process);
        let found = self.processes.get_mut(process).ok_or_else(missing)?;
        let old = found.process_guid();
        found.memory_mb = memory_mb.unwrap_or(found.memory_mb);
        found.disk_mb = disk_mb.unwrap_or(found.disk_mb);
        if self.diego.desired.contains_key(&old) {
            self.new_version(process);
            self.remove_desired(&old);
            let desired = recipe::process(self, process)?;
            self.desire(desired);
        }
        Ok(())
    }

    /// Sets or unsets variables; running containers keep what they were started with.
    pub(crate) fn set_env(
        &mut self,
        app: &str,
        change: &BTreeMap<String, Option<String>>,
    ) -> Result<(), WorldError> {
        let guid = self.app(app)?.meta.guid.clone();
        let now = self.clock.seconds();
        if let Some(app) = self.apps.get_mut(&guid) {
            for (name, value) in change {
                match value {
                    Some(value) => _ = app.env.insert(name.clone(), value.clone()),
                    None => _ = app.env.remove(name),
                }
            }
            app.meta.updated = now;
        }
        self.note_app(
            "audit.app.update",
            &guid,
            json!({"request": {"environment_variables": "[PRIVATE DATA HIDDEN]"}}),
        );
        Ok(())
    }

    /// Renames an app; newer platforms carry the name into the running record's metric tags.
    pub(crate) fn rename_app(&mut self, app: &str, name: &str) -> Result<(), WorldError> {
        let guid = self.app(app)?.meta.guid.clone();
        let now = self.clock.seconds();
        if let Some(app) = self.apps.get_mut(&guid) {
            let old = std::mem::replace(&mut app.meta.name, name.to_owned());
            app.meta.updated = now;
            let space = app.space.clone();
            self.app_names.remove(&(space.clone(), old));
            self.app_names.insert((space, name.to_owned()), guid.clone());
        }
        self.note_app("audit.app.update", &guid, json!({"request": {"name": name}}));
        if !self.age.is_newest() {
            return Ok(());
        }
        for process in self.processes_of(&guid) {
            if let Some(process_guid) = self.processes.get(&process).map(Process::process_guid) {
                self.update_desired(&process_guid, |desired| {
                    desired
                        .metric_tags
                        .insert("app_name".to_owned(), recipe::fixed(name));
                });
            }
        }
        Ok(())
    }

    pub(crate) fn delete_app(&mut self, app: &str) -> Result<(), WorldError> {
        let guid = self.app(app)?.meta.guid.clone();
        self.note_app("audit.app.delete-request", &guid, json!({}));
        self.undesire_app(&guid);
        let tasks = self.diego.tasks.values().filter(|task| {
            task.task_definition
                .as_ref()
                .is_some_and(|definition| definition.log_guid == guid)
        });
        let tasks: Vec<Guid> = tasks.map(|task| task.task_guid.clone()).collect();
        for task in tasks {
            self.finish_task(&task, Some("task was cancelled"))?;
        }
        for process in self.processes_of(&guid) {
            self.processes.remove(&process);
        }
        if let Some(app) = self.apps.remove(&guid) {
            self.app_names.remove(&(app.space, app.meta.name));
        }
        Ok(())
    }
}
