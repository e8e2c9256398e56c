//! Carrying out [`Command`]s.

use std::collections::BTreeMap;
use std::time::Duration;

use diego_wire::locket::Resource;
use serde_json::{Value, json};

use super::World;
use super::apps::{AppSpec, ProcessSpec};
use super::error::WorldError;
use super::objects::Phase;
use super::security_groups::Via;
use crate::command::{Command, PolicySpec};
use crate::faults::{LocketFaults, PolicyFaults, StreamFaults};
use crate::options::CellSpec;
use crate::truth::Policy;

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
            Command::SetDelays(delays) => self.delays = delays,
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
