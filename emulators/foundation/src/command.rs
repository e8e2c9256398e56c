//! One instruction as a value: what the control API takes, the command line sends, and tests may use.

use std::collections::BTreeMap;
use std::time::Duration;

use diego_wire::locket::Resource;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::faults::{Fault, LocketFaults, PolicyFaults, StreamFaults};
use crate::model::World;
use crate::model::apps::{AppSpec, ProcessSpec};
use crate::model::error::WorldError;
use crate::model::objects::{Lifecycle, Phase};
use crate::model::security_groups::Via;
use crate::options::CellSpec;
use crate::truth::Policy;

/// An instruction. Apps are named by guid, `org/space/app`, `space/app`, or a name only one has; spaces
/// likewise; the rest by guid or name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, clap::Subcommand)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Command {
    /// Make an organization.
    CreateOrg {
        /// Its name.
        name: String,
    },
    /// Make a space.
    CreateSpace {
        /// Its organization.
        org: String,
        /// Its name.
        name: String,
    },
    /// Rename an organization.
    RenameOrg {
        /// The organization.
        org: String,
        /// Its new name.
        name: String,
    },
    /// Rename a space.
    RenameSpace {
        /// The space.
        space: String,
        /// Its new name.
        name: String,
    },
    /// Delete an organization with all that is in it.
    DeleteOrg {
        /// The organization.
        org: String,
    },
    /// Delete a space with all that is in it.
    DeleteSpace {
        /// The space.
        space: String,
    },
    /// Make an isolation segment.
    CreateSegment {
        /// Its name.
        name: String,
    },
    /// Put a space into an isolation segment.
    AssignSegment {
        /// The space.
        space: String,
        /// The segment; none takes the space out.
        segment: Option<String>,
    },
    /// Make an app and start it.
    Push {
        /// Its space.
        space: String,
        /// Its name.
        name: String,
        /// Instances of its web process.
        #[arg(long, default_value_t = 1)]
        #[serde(default = "one")]
        instances: i32,
        /// A variable, NAME=VALUE; may be repeated.
        #[arg(long = "env", value_parser = assignment)]
        #[serde(default)]
        env: Vec<(String, String)>,
        /// How it becomes a container.
        #[arg(long, value_enum, default_value_t)]
        #[serde(default)]
        lifecycle: Lifecycle,
        /// Instances of a worker process beside it.
        #[arg(long)]
        #[serde(default)]
        workers: Option<i32>,
        /// Stage it first.
        #[arg(long)]
        #[serde(default)]
        staged: bool,
    },
    /// Change the number of instances.
    Scale {
        /// The app.
        app: String,
        /// Wanted instances.
        instances: i32,
        /// The type of its process.
        #[arg(long, default_value = "web")]
        #[serde(default = "web")]
        process: String,
    },
    /// Start a stopped app.
    Start {
        /// The app.
        app: String,
    },
    /// Stop an app.
    Stop {
        /// The app.
        app: String,
    },
    /// Start an app under a new version.
    Restart {
        /// The app.
        app: String,
    },
    /// Stage an app again and start it under a new version.
    Restage {
        /// The app.
        app: String,
    },
    /// Replace an app's web process by a rolling deployment.
    Deploy {
        /// The app.
        app: String,
    },
    /// Delete an app.
    Delete {
        /// The app.
        app: String,
    },
    /// Rename an app.
    RenameApp {
        /// The app.
        app: String,
        /// Its new name.
        name: String,
    },
    /// Set a variable of an app; containers see it at their next start.
    SetEnv {
        /// The app.
        app: String,
        /// Name of the variable.
        name: String,
        /// Its value; none unsets it.
        value: Option<String>,
    },
    /// Set a variable of all apps.
    SetEnvGroup {
        /// For instances and tasks, or for staging.
        #[arg(value_enum)]
        phase: Phase,
        /// Name of the variable.
        name: String,
        /// Its value; none unsets it.
        value: Option<String>,
    },
    /// Let an instance crash.
    Crash {
        /// The app.
        app: String,
        /// Its index.
        #[arg(default_value_t = 0)]
        #[serde(default)]
        index: i32,
        /// The reason given.
        #[arg(long, default_value = "APP/PROC/WEB: Exited with status 1")]
        #[serde(default = "reason")]
        reason: String,
    },
    /// Let a CRASHED instance be wanted again.
    RestartCrashed {
        /// The app.
        app: String,
        /// Its index.
        #[arg(default_value_t = 0)]
        #[serde(default)]
        index: i32,
    },
    /// Restart one instance.
    RestartInstance {
        /// The app.
        app: String,
        /// Its index.
        #[arg(default_value_t = 0)]
        #[serde(default)]
        index: i32,
    },
    /// Change an instance's readiness.
    SetRoutable {
        /// The app.
        app: String,
        /// Its index.
        index: i32,
        /// Ready or not.
        #[arg(action = clap::ArgAction::Set)]
        routable: bool,
    },
    /// Add a cell.
    AddCell {
        /// Its id.
        id: String,
        /// An isolation segment it belongs to; may be repeated.
        #[arg(long = "tag")]
        #[serde(default)]
        tags: Vec<String>,
        /// Containers it can hold.
        #[arg(long, default_value_t = 250)]
        #[serde(default = "capacity")]
        containers: usize,
    },
    /// Drain a cell.
    Evacuate {
        /// The cell.
        cell: String,
    },
    /// Let a cell's presence lapse.
    LoseCell {
        /// The cell.
        cell: String,
    },
    /// Let a lost or drained cell come back.
    ReturnCell {
        /// The cell.
        cell: String,
    },
    /// Keep new instances unclaimed, or place them again.
    HoldPlacement {
        /// Hold or release.
        #[arg(action = clap::ArgAction::Set)]
        hold: bool,
    },
    /// Run a command of an app as a task.
    RunTask {
        /// The app.
        app: String,
        /// The command.
        run: String,
        /// The task's name.
        #[arg(long)]
        #[serde(default)]
        name: Option<String>,
    },
    /// End a task.
    FinishTask {
        /// Its guid.
        task: String,
        /// Why it failed, if it did.
        #[arg(long)]
        #[serde(default)]
        failure: Option<String>,
    },
    /// Begin to stage an app.
    Stage {
        /// The app.
        app: String,
    },
    /// End staging; the app starts under a new version.
    FinishStaging {
        /// The build's guid.
        build: String,
    },
    /// Make a security group.
    CreateSecurityGroup {
        /// Its name.
        name: String,
        /// Its rules, a JSON array.
        #[arg(value_parser = rules)]
        rules: Rules,
    },
    /// Replace a security group's rules. They are stored as they are, odd ones too.
    UpdateSecurityGroup {
        /// The group.
        group: String,
        /// Its rules, a JSON array.
        #[arg(value_parser = rules)]
        rules: Rules,
    },
    /// Delete a security group.
    DeleteSecurityGroup {
        /// The group.
        group: String,
    },
    /// Bind a security group to a space.
    BindSecurityGroup {
        /// The group.
        group: String,
        /// The space.
        space: String,
        /// For instances and tasks, or for staging.
        #[arg(long, value_enum, default_value_t)]
        #[serde(default)]
        phase: Phase,
    },
    /// Unbind a security group from a space.
    UnbindSecurityGroup {
        /// The group.
        group: String,
        /// The space.
        space: String,
        /// For instances and tasks, or for staging.
        #[arg(long, value_enum, default_value_t)]
        #[serde(default)]
        phase: Phase,
    },
    /// Put a security group into a global set, or take it out.
    SetGlobalSecurityGroup {
        /// The group.
        group: String,
        /// For instances and tasks, or for staging.
        #[arg(value_enum)]
        phase: Phase,
        /// In or out.
        #[arg(action = clap::ArgAction::Set)]
        enabled: bool,
    },
    /// Let one app dial another.
    AddNetworkPolicy(#[command(flatten)] PolicySpec),
    /// No longer let one app dial another.
    RemoveNetworkPolicy(#[command(flatten)] PolicySpec),
    /// Move the policies' change token without a change, or backwards by so many seconds.
    MovePolicyToken {
        /// Seconds backwards; 0 moves forwards.
        #[arg(default_value_t = 0)]
        #[serde(default)]
        backwards: i64,
    },
    /// Stop declaring a domain complete, at once.
    ExpireDomain {
        /// Its name.
        domain: String,
    },
    /// Let Cloud Controller keep its domains complete, or let them lapse.
    SyncDomains {
        /// Whether it does.
        #[arg(action = clap::ArgAction::Set)]
        synced: bool,
    },
    /// Give a lock to another owner.
    SeizeLock {
        /// Its key.
        key: String,
        /// The new owner.
        #[arg(default_value = "somebody-else")]
        owner: String,
        /// Seconds it is held.
        #[arg(long, default_value_t = 15)]
        #[serde(default = "ttl")]
        ttl: u64,
    },
    /// Free a lock whoever holds it.
    FreeLock {
        /// Its key.
        key: String,
    },
    /// Make all tokens invalid.
    RevokeTokens,
    /// Arm a fault of requests.
    #[command(skip)]
    ArmFault(Fault),
    /// Set the faults of event streams.
    #[command(skip)]
    StreamFaults(StreamFaults),
    /// Set the faults of Locket.
    #[command(skip)]
    LocketFaults(LocketFaults),
    /// Set the faults of the policy server.
    #[command(skip)]
    PolicyFaults(PolicyFaults),
    /// Disarm all faults.
    ClearFaults,
    /// Forget the request log.
    ClearRequests,
}

/// Rules of a security group.
pub type Rules = Vec<Value>;

/// A policy as people write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct PolicySpec {
    /// The app that dials.
    #[serde(rename = "from")]
    pub source: String,
    /// The app that is dialled.
    #[serde(rename = "to")]
    pub destination: String,
    /// tcp or udp.
    #[arg(long, default_value = "tcp")]
    #[serde(default = "tcp")]
    pub protocol: String,
    /// A port, or a range as 8080-8090.
    #[arg(long, default_value = "8080")]
    #[serde(default = "port")]
    pub ports: String,
}

fn one() -> i32 {
    1
}
fn web() -> String {
    "web".to_owned()
}
fn reason() -> String {
    "APP/PROC/WEB: Exited with status 1".to_owned()
}
fn capacity() -> usize {
    250
}
fn ttl() -> u64 {
    15
}
fn tcp() -> String {
    "tcp".to_owned()
}
fn port() -> String {
    "8080".to_owned()
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("{text} is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

fn rules(text: &str) -> Result<Rules, String> {
    serde_json::from_str(text).map_err(|error| format!("rules must be a JSON array: {error}"))
}

impl World {
    /// Carries out an instruction; the answer has the guid of what was made.
    pub(crate) fn apply(&mut self, command: Command) -> Result<Value, WorldError> {
        let guid = match command {
            Command::CreateOrg { name } => Some(self.create_org(&name)?),
            Command::CreateSpace { org, name } => Some(self.create_space(&org, &name)?),
            Command::CreateSegment { name } => Some(self.create_segment(&name)?),
            Command::Push {
                space,
                name,
                instances,
                env,
                lifecycle,
                workers,
                staged,
            } => {
                let worker = workers.map(|instances| ProcessSpec {
                    kind: "worker".to_owned(),
                    instances,
                    sidecars: Vec::new(),
                });
                let processes = worker.into_iter().collect();
                let env = env.into_iter().collect();
                Some(self.push(&AppSpec {
                    name,
                    space,
                    instances,
                    env,
                    lifecycle,
                    processes,
                    staged,
                    ..AppSpec::default()
                })?)
            }
            Command::Restage { app } => Some(self.restage(&app)?),
            Command::RunTask { app, run, name } => Some(self.run_task(&app, name.as_deref(), &run)?),
            Command::Stage { app } => Some(self.stage(&app)?),
            Command::CreateSecurityGroup { name, rules } => {
                Some(self.create_security_group(&name, rules, Via::V3)?)
            }
            other => {
                self.apply_unnamed(other)?;
                None
            }
        };
        Ok(guid.map_or_else(|| json!({}), |guid| json!({"guid": guid})))
    }

    /// Instructions that make nothing with a guid.
    fn apply_unnamed(&mut self, command: Command) -> Result<(), WorldError> {
        match command {
            Command::RenameOrg { org, name } => self.rename_org(&org, &name),
            Command::RenameSpace { space, name } => self.rename_space(&space, &name),
            Command::DeleteOrg { org } => self.delete_org(&org),
            Command::DeleteSpace { space } => self.delete_space(&space),
            Command::AssignSegment { space, segment } => self.assign_segment(&space, segment.as_deref()),
            Command::Scale {
                app,
                instances,
                process,
            } => self.scale(&app, &process, instances),
            Command::Start { app } => self.start(&app),
            Command::Stop { app } => self.stop_app(&app),
            Command::Restart { app } => self.restart(&app),
            Command::Deploy { app } => self.deploy(&app),
            Command::Delete { app } => self.delete_app(&app),
            Command::RenameApp { app, name } => self.rename_app(&app, &name),
            Command::SetEnv { app, name, value } => self.set_env(&app, &[(name, value)].into()),
            Command::SetEnvGroup { phase, name, value } => {
                self.set_env_group(phase, name, value);
                Ok(())
            }
            Command::CreateSecurityGroup { .. } => Ok(()),
            Command::UpdateSecurityGroup { group, rules } => {
                self.update_security_group(&group, None, Some(rules), Via::V3)
            }
            Command::DeleteSecurityGroup { group } => self.delete_security_group(&group, Via::V3),
            Command::BindSecurityGroup { group, space, phase } => self.bind(&group, &space, phase, Via::V3),
            Command::UnbindSecurityGroup { group, space, phase } => {
                self.unbind(&group, &space, phase, Via::V3)
            }
            Command::SetGlobalSecurityGroup {
                group,
                phase,
                enabled,
            } => self.set_global(&group, phase, enabled, Via::V3),
            Command::AddNetworkPolicy(spec) => {
                let policy = self.policy(&spec)?;
                self.add_policies(vec![policy]);
                Ok(())
            }
            Command::RemoveNetworkPolicy(spec) => {
                let policy = self.policy(&spec)?;
                self.remove_policies(vec![policy]);
                Ok(())
            }
            other => self.apply_to_diego(other),
        }
    }

    /// Instructions about containers and cells.
    fn apply_to_diego(&mut self, command: Command) -> Result<(), WorldError> {
        match command {
            Command::Crash { app, index, reason } => {
                let slot = self.slot(&app, index)?;
                self.crash(&slot, reason.as_bytes())
            }
            Command::RestartCrashed { app, index } => {
                let slot = self.slot(&app, index)?;
                self.restart_crashed(&slot)
            }
            Command::RestartInstance { app, index } => {
                let slot = self.slot(&app, index)?;
                self.retire(&slot)
            }
            Command::SetRoutable { app, index, routable } => {
                let slot = self.slot(&app, index)?;
                self.set_routable(&slot, routable);
                Ok(())
            }
            Command::AddCell { id, tags, containers } => {
                self.add_cell(&CellSpec {
                    placement_tags: tags,
                    containers,
                    ..CellSpec::new(id)
                });
                Ok(())
            }
            Command::Evacuate { cell } => self.evacuate(&cell),
            Command::LoseCell { cell } => self.lose_cell(&cell),
            Command::ReturnCell { cell } => self.return_cell(&cell),
            Command::FinishTask { task, failure } => self.finish_task(&task, failure.as_deref()),
            Command::FinishStaging { build } => {
                self.staged(&build);
                Ok(())
            }
            other => {
                self.apply_switch(other);
                Ok(())
            }
        }
    }

    /// Switches and faults; they cannot fail.
    fn apply_switch(&mut self, command: Command) {
        match command {
            Command::HoldPlacement { hold } => self.hold_placement(hold),
            Command::MovePolicyToken { backwards } => {
                self.policies.updated = self.clock.nanos() - backwards.saturating_mul(1_000_000_000);
            }
            Command::ExpireDomain { domain } => self.diego.expire_domain(&domain),
            Command::SyncDomains { synced } => self.diego.set_synced(synced),
            Command::SeizeLock { key, owner, ttl } => {
                let resource = Resource {
                    key,
                    owner,
                    type_code: 1,
                    r#type: "lock".to_owned(),
                    ..Default::default()
                };
                self.locks.seize(resource, Duration::from_secs(ttl));
            }
            Command::FreeLock { key } => self.locks.drop_key(&key),
            Command::RevokeTokens => self.tokens.revoke_all(),
            Command::ArmFault(fault) => self.faults.arm(fault),
            Command::StreamFaults(faults) => self.diego.hubs.faults = faults,
            Command::LocketFaults(faults) => self.locket_faults = faults,
            Command::PolicyFaults(faults) => self.policy_faults = faults,
            Command::ClearFaults => self.clear_faults(),
            Command::ClearRequests => self.requests.clear(),
            _ => {}
        }
    }

    /// Sets or unsets a variable of all apps.
    pub(crate) fn set_env_group(&mut self, phase: Phase, name: String, value: Option<String>) {
        let group: &mut BTreeMap<_, _> = match phase {
            Phase::Running => &mut self.env_groups.running,
            Phase::Staging => &mut self.env_groups.staging,
        };
        match value {
            Some(value) => _ = group.insert(name, value),
            None => _ = group.remove(&name),
        }
    }

    /// Keeps new instances unclaimed, or places what waits.
    pub(crate) fn hold_placement(&mut self, hold: bool) {
        self.diego.hold_placement = hold;
        self.place_waiting();
    }

    pub(crate) fn clear_faults(&mut self) {
        self.faults.clear();
        self.diego.hubs.faults = StreamFaults::default();
        self.locket_faults = LocketFaults::default();
        self.policy_faults = PolicyFaults::default();
    }

    /// Reads a policy; apps that are not there count by the guid that is given.
    pub(crate) fn policy(&self, spec: &PolicySpec) -> Result<Policy, WorldError> {
        let end = |text: &str| match self.app(text) {
            Ok(app) => Ok(app.meta.guid.clone()),
            Err(_) if uuid::Uuid::try_parse(text).is_ok() => Ok(text.to_owned()),
            Err(error) => Err(error),
        };
        let (start, last) = spec.ports.split_once('-').unwrap_or((&spec.ports, &spec.ports));
        let ports = start
            .parse()
            .ok()
            .zip(last.parse().ok())
            .filter(|(start, last): &(u16, u16)| *start > 0 && start <= last);
        let (start, last) = ports.ok_or_else(|| {
            WorldError::conflict(format!("{} is neither a port nor a range of ports", spec.ports))
        })?;
        if !["tcp", "udp"].contains(&spec.protocol.as_str()) {
            return Err(WorldError::conflict(format!(
                "{} is neither tcp nor udp",
                spec.protocol
            )));
        }
        Ok(Policy {
            source: end(&spec.source)?,
            destination: end(&spec.destination)?,
            protocol: spec.protocol.clone(),
            start,
            end: last,
        })
    }
}
