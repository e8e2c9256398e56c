//! Driving a foundation: one method for each thing an operator, a developer or bad luck does.
//!
//! All are synchronous and return when the world has changed, so a test or a benchmark can build thousands
//! of instances in a moment; only moving the BBS has to wait for ports.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering;

use serde_json::Value;
use tokio::sync::oneshot;

use crate::bbs::pool::FailOverOrder;
use crate::command::{Command, PolicySpec};
use crate::faults::{Fault, LocketFaults, PolicyFaults, Service, StreamFaults};
use crate::foundation::{FailOver, Foundation};
use crate::model::apps::AppSpec;
use crate::model::error::WorldError;
use crate::model::hub::Channel;
use crate::model::objects::Phase;
use crate::model::security_groups::Via;
use crate::model::table::Guid;
use crate::options::{CellSpec, Delays};
use crate::requests::RequestEntry;
use crate::scenario::{Scenario, ScenarioError};

impl Foundation {
    /// Adds what a scenario lists.
    ///
    /// # Errors
    /// [`ScenarioError::World`] at the first thing that cannot be made; what came before it stays.
    pub fn load(&self, scenario: &Scenario) -> Result<(), ScenarioError> {
        Ok(self.shared.world().load(scenario)?)
    }

    /// Carries out an instruction; the answer has the `guid` of what was made.
    ///
    /// # Errors
    /// [`WorldError`] when a name is unknown, taken or ambiguous, or a state forbids it.
    pub fn apply(&self, command: Command) -> Result<Value, WorldError> {
        self.shared.world().apply(command)
    }

    /// Makes an organization.
    ///
    /// # Errors
    /// The name is taken.
    pub fn create_org(&self, name: &str) -> Result<Guid, WorldError> {
        self.shared.world().create_org(name)
    }

    /// Makes a space.
    ///
    /// # Errors
    /// The organization is unknown, or the name taken in it.
    pub fn create_space(&self, org: &str, name: &str) -> Result<Guid, WorldError> {
        self.shared.world().create_space(org, name)
    }

    /// Makes an app and, unless told otherwise, starts it.
    ///
    /// # Errors
    /// The space is unknown, or the name taken in it.
    pub fn push(&self, app: &AppSpec) -> Result<Guid, WorldError> {
        self.shared.world().push(app)
    }

    /// Changes the number of instances of an app's `web` process.
    ///
    /// # Errors
    /// The app is unknown.
    pub fn scale(&self, app: &str, instances: i32) -> Result<(), WorldError> {
        self.shared.world().scale(app, "web", instances)
    }

    /// Starts a stopped app.
    ///
    /// # Errors
    /// The app is unknown.
    pub fn start_app(&self, app: &str) -> Result<(), WorldError> {
        self.shared.world().start(app)
    }

    /// Stops an app.
    ///
    /// # Errors
    /// The app is unknown.
    pub fn stop_app(&self, app: &str) -> Result<(), WorldError> {
        self.shared.world().stop_app(app)
    }

    /// Starts an app under a new version.
    ///
    /// # Errors
    /// The app is unknown.
    pub fn restart(&self, app: &str) -> Result<(), WorldError> {
        self.shared.world().restart(app)
    }

    /// Stages an app again, then starts it under a new version; returns the build guid.
    ///
    /// # Errors
    /// The app is unknown.
    pub fn restage(&self, app: &str) -> Result<Guid, WorldError> {
        self.shared.world().restage(app)
    }

    /// Replaces an app's `web` process by a fresh one, as a rolling deployment does.
    ///
    /// # Errors
    /// The app is unknown.
    pub fn deploy(&self, app: &str) -> Result<(), WorldError> {
        self.shared.world().deploy(app)
    }

    /// Deletes an app.
    ///
    /// # Errors
    /// The app is unknown.
    pub fn delete_app(&self, app: &str) -> Result<(), WorldError> {
        self.shared.world().delete_app(app)
    }

    /// Sets a variable of an app, or unsets it; containers see it at their next start.
    ///
    /// # Errors
    /// The app is unknown.
    pub fn set_env(&self, app: &str, name: &str, value: Option<&str>) -> Result<(), WorldError> {
        self.shared
            .world()
            .set_env(app, &[(name.to_owned(), value.map(str::to_owned))].into())
    }

    /// Sets a variable of all apps, or unsets it.
    pub fn set_env_group(&self, phase: Phase, name: &str, value: Option<&str>) {
        self.shared
            .world()
            .set_env_group(phase, name.to_owned(), value.map(str::to_owned));
    }

    /// Lets an instance of an app's `web` process crash.
    ///
    /// # Errors
    /// The app is unknown, or the instance has no container.
    pub fn crash(&self, app: &str, index: i32) -> Result<(), WorldError> {
        let mut world = self.shared.world();
        let slot = world.slot(app, index)?;
        world.crash(&slot, b"APP/PROC/WEB: Exited with status 1")
    }

    /// Drains a cell.
    ///
    /// # Errors
    /// The cell is unknown.
    pub fn evacuate(&self, cell: &str) -> Result<(), WorldError> {
        self.shared.world().evacuate(cell)
    }

    /// Lets a cell's presence lapse.
    ///
    /// # Errors
    /// The cell is unknown.
    pub fn lose_cell(&self, cell: &str) -> Result<(), WorldError> {
        self.shared.world().lose_cell(cell)
    }

    /// Lets a lost or drained cell come back.
    ///
    /// # Errors
    /// The cell is unknown.
    pub fn return_cell(&self, cell: &str) -> Result<(), WorldError> {
        self.shared.world().return_cell(cell)
    }

    /// Adds a cell.
    pub fn add_cell(&self, cell: &CellSpec) {
        self.shared.world().add_cell(cell);
    }

    /// Keeps new instances unclaimed, or places what waits.
    pub fn hold_placement(&self, hold: bool) {
        self.shared.world().hold_placement(hold);
    }

    /// Changes how long steps of a container's life take from now on.
    pub fn set_delays(&self, delays: Delays) {
        self.shared.world().delays = delays;
    }

    /// Runs a command of an app as a task; returns its guid, the container's handle.
    ///
    /// # Errors
    /// The app is unknown.
    pub fn run_task(&self, app: &str, command: &str) -> Result<Guid, WorldError> {
        self.shared.world().run_task(app, None, command)
    }

    /// Ends a task.
    ///
    /// # Errors
    /// The task is unknown.
    pub fn finish_task(&self, task: &str, failure: Option<&str>) -> Result<(), WorldError> {
        self.shared.world().finish_task(task, failure)
    }

    /// Begins to stage an app; returns the build guid, the container's handle.
    ///
    /// # Errors
    /// The app is unknown.
    pub fn stage(&self, app: &str) -> Result<Guid, WorldError> {
        self.shared.world().stage(app)
    }

    /// Ends staging; the app starts under a new version.
    pub fn finish_staging(&self, build: &str) {
        self.shared.world().staged(build);
    }

    /// Makes a security group; rules are stored as they are, odd ones too.
    ///
    /// # Errors
    /// The name is taken.
    pub fn create_security_group(&self, name: &str, rules: Vec<Value>) -> Result<Guid, WorldError> {
        self.shared.world().create_security_group(name, rules, Via::V3)
    }

    /// Replaces the rules of a security group.
    ///
    /// # Errors
    /// The group is unknown.
    pub fn update_security_group(&self, group: &str, rules: Vec<Value>) -> Result<(), WorldError> {
        self.shared
            .world()
            .update_security_group(group, None, Some(rules), Via::V3)
    }

    /// Deletes a security group.
    ///
    /// # Errors
    /// The group is unknown.
    pub fn delete_security_group(&self, group: &str) -> Result<(), WorldError> {
        self.shared.world().delete_security_group(group, Via::V3)
    }

    /// Binds a security group to a space.
    ///
    /// # Errors
    /// Either is unknown.
    pub fn bind_security_group(&self, group: &str, space: &str, phase: Phase) -> Result<(), WorldError> {
        self.shared.world().bind(group, space, phase, Via::V3)
    }

    /// Unbinds a security group from a space.
    ///
    /// # Errors
    /// Either is unknown.
    pub fn unbind_security_group(&self, group: &str, space: &str, phase: Phase) -> Result<(), WorldError> {
        self.shared.world().unbind(group, space, phase, Via::V3)
    }

    /// Puts a security group into a global set, or takes it out.
    ///
    /// # Errors
    /// The group is unknown.
    pub fn set_global_security_group(
        &self,
        group: &str,
        phase: Phase,
        enabled: bool,
    ) -> Result<(), WorldError> {
        self.shared.world().set_global(group, phase, enabled, Via::V3)
    }

    /// Lets one app dial another.
    ///
    /// # Errors
    /// An app is unknown, or the ports make no sense.
    pub fn add_network_policy(&self, policy: &PolicySpec) -> Result<(), WorldError> {
        let mut world = self.shared.world();
        let policy = world.policy(policy)?;
        world.add_policies(vec![policy]);
        Ok(())
    }

    /// No longer lets one app dial another.
    ///
    /// # Errors
    /// An app is unknown, or the ports make no sense.
    pub fn remove_network_policy(&self, policy: &PolicySpec) -> Result<(), WorldError> {
        let mut world = self.shared.world();
        let policy = world.policy(policy)?;
        world.remove_policies(vec![policy]);
        Ok(())
    }

    /// Arms a fault.
    pub fn arm(&self, fault: Fault) {
        self.shared.world().faults.arm(fault);
    }

    /// Sets the faults of event streams opened or fed from now on.
    pub fn set_stream_faults(&self, faults: StreamFaults) {
        self.shared.world().diego.hubs.faults = faults;
    }

    /// Sets the faults of Locket.
    pub fn set_locket_faults(&self, faults: LocketFaults) {
        self.shared.world().locket_faults = faults;
    }

    /// Sets the faults of the policy server.
    pub fn set_policy_faults(&self, faults: PolicyFaults) {
        self.shared.world().policy_faults = faults;
    }

    /// Disarms all faults.
    pub fn clear_faults(&self) {
        self.shared.world().clear_faults();
    }

    /// The BBS answers 503 to everything, as one that is elected but not ready.
    pub fn set_bbs_warming(&self, warming: bool) {
        self.shared.warming.store(warming, Ordering::Relaxed);
    }

    /// Ends all event streams cleanly; subscribers may come back at once.
    pub fn end_streams(&self) {
        self.shared.world().diego.hubs.close();
    }

    /// Number of streams that listen to instance events.
    pub fn instance_streams(&self) -> usize {
        self.shared.world().diego.hubs.listeners(Channel::Instances)
    }

    /// Makes the next BBS address active and the present one refuse connections; returns its index in
    /// [`Endpoints::bbs`](crate::Endpoints::bbs). The database is kept, events are not.
    ///
    /// # Errors
    /// A port cannot be had again.
    pub async fn fail_over(&self, mode: FailOver) -> io::Result<usize> {
        let (done, index) = oneshot::channel();
        let gone = || io::Error::other("the foundation has stopped");
        self.shared
            .fail_over
            .send(FailOverOrder { mode, done })
            .map_err(|_| gone())?;
        index.await.map_err(|_| gone())?
    }

    /// The latest requests, oldest first.
    pub fn requests(&self) -> Vec<RequestEntry> {
        self.shared.world().requests.entries().cloned().collect()
    }

    /// Number of requests by service and `METHOD path`, guids replaced by `:guid`, without queries.
    pub fn request_counts(&self) -> BTreeMap<(Service, String), u64> {
        self.shared.world().requests.counts().clone()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.shared.world().requests.clear();
    }
}
