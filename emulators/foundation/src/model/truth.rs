//! The ground truth, gathered from the world.

use diego_wire::bbs::{Action, ActualLrp, DesiredLrp, Network, Presence, Task, task};
use diego_wire::lrp;

use super::World;
use super::cells::CellState;
use super::objects::Phase;
use crate::truth::{AppTruth, CellTruth, ContainerTruth, GroupTruth, Kind, OrgTruth, SpaceTruth, Truth};

/// The variable by which an app asks for addresses of its own towards the outside.
const POOL_VARIABLE: &str = "NCP_SNAT_POOL";

fn property(network: Option<&Network>, key: &str) -> String {
    network
        .and_then(|network| network.properties.get(key))
        .cloned()
        .unwrap_or_default()
}

/// The last value of the variable in the first program that has one.
fn pool(action: Option<&Action>) -> Option<String> {
    action?.run_actions().into_iter().find_map(|run| {
        let value = run
            .env
            .iter()
            .rev()
            .find(|variable| variable.name == POOL_VARIABLE)?;
        Some(String::from_utf8_lossy(&value.value).into_owned())
    })
}

impl World {
    /// Everything a controller should find out.
    pub(crate) fn truth(&self) -> Truth {
        Truth {
            orgs: self
                .orgs
                .iter()
                .map(|org| OrgTruth {
                    guid: org.meta.guid.clone(),
                    name: org.meta.name.clone(),
                })
                .collect(),
            spaces: self.space_truth(),
            apps: self.app_truth(),
            containers: self.container_truth(),
            security_groups: self.group_truth(),
            policies: self.policies.all.iter().cloned().collect(),
            cells: self.cell_truth(),
            fresh_domains: self.diego.fresh_domains(),
            desired: self.diego.desired.len(),
        }
    }

    fn space_truth(&self) -> Vec<SpaceTruth> {
        let groups = |space: &str, phase| -> Vec<String> {
            self.effective(space, phase)
                .iter()
                .map(|group| group.meta.guid.clone())
                .collect()
        };
        let spaces = self.spaces.iter();
        spaces
            .map(|space| SpaceTruth {
                guid: space.meta.guid.clone(),
                name: space.meta.name.clone(),
                org: space.org.clone(),
                running_security_groups: groups(&space.meta.guid, Phase::Running),
                staging_security_groups: groups(&space.meta.guid, Phase::Staging),
            })
            .collect()
    }

    fn app_truth(&self) -> Vec<AppTruth> {
        let apps = self.apps.iter();
        apps.map(|app| AppTruth {
            guid: app.meta.guid.clone(),
            name: app.meta.name.clone(),
            space: app.space.clone(),
            started: app.started,
            env: app.env.clone(),
            process_guids: app
                .processes
                .iter()
                .filter_map(|guid| self.processes.get(guid))
                .map(|process| process.process_guid())
                .collect(),
        })
        .collect()
    }

    fn container_truth(&self) -> Vec<ContainerTruth> {
        let instances = self.diego.actual.values().filter_map(|record| {
            let guid = &record.actual_lrp_key.as_ref()?.process_guid;
            instance(record, self.diego.desired.get(guid))
        });
        instances
            .chain(self.diego.tasks.values().filter_map(one_off))
            .collect()
    }

    fn group_truth(&self) -> Vec<GroupTruth> {
        let groups = self.security_groups.iter();
        groups
            .map(|group| GroupTruth {
                guid: group.meta.guid.clone(),
                name: group.meta.name.clone(),
                rules: group.rules.clone(),
                running_default: group.running_default,
                staging_default: group.staging_default,
                running_spaces: group.running_spaces.iter().cloned().collect(),
                staging_spaces: group.staging_spaces.iter().cloned().collect(),
            })
            .collect()
    }

    fn cell_truth(&self) -> Vec<CellTruth> {
        let cells = self.diego.cells.iter();
        cells
            .map(|cell| CellTruth {
                id: cell.spec.id.clone(),
                address: cell.address.clone(),
                state: match cell.state {
                    CellState::Present => "present",
                    CellState::Draining => "draining",
                    CellState::Lost => "lost",
                }
                .to_owned(),
                containers: cell.used,
            })
            .collect()
    }
}

fn instance(record: &ActualLrp, desired: Option<&DesiredLrp>) -> Option<ContainerTruth> {
    let (key, at) = (
        record.actual_lrp_key.as_ref()?,
        record.actual_lrp_instance_key.as_ref()?,
    );
    if at.instance_guid.is_empty() {
        return None;
    }
    let network = desired.and_then(|desired| desired.network.as_ref());
    Some(ContainerTruth {
        container: at.instance_guid.clone(),
        kind: Kind::App,
        process_guid: Some(key.process_guid.clone()),
        index: Some(key.index),
        state: record.state.clone(),
        presence: Presence::try_from(record.presence)
            .unwrap_or_default()
            .as_str_name()
            .to_owned(),
        cell: at.cell_id.clone(),
        address: record
            .actual_lrp_net_info
            .as_ref()
            .map(|net| net.instance_address.clone())
            .filter(|text| !text.is_empty()),
        app: property(network, lrp::APP_ID),
        space: property(network, lrp::SPACE_ID),
        org: property(network, lrp::ORG_ID),
        snat_pool: pool(desired.and_then(|desired| desired.action.as_ref())),
        ports: desired.map(|desired| desired.ports.clone()).unwrap_or_default(),
    })
}

fn one_off(of: &Task) -> Option<ContainerTruth> {
    let definition = of.task_definition.as_ref().filter(|_| !of.cell_id.is_empty())?;
    let network = definition.network.as_ref();
    let staging = of.domain == lrp::DOMAIN_STAGING;
    Some(ContainerTruth {
        container: of.task_guid.clone(),
        kind: if staging { Kind::Staging } else { Kind::Task },
        process_guid: None,
        index: None,
        state: task::State::try_from(of.state)
            .unwrap_or_default()
            .as_str_name()
            .to_owned(),
        presence: Presence::Ordinary.as_str_name().to_owned(),
        cell: of.cell_id.clone(),
        address: None,
        app: property(network, lrp::APP_ID),
        space: property(network, lrp::SPACE_ID),
        org: property(network, lrp::ORG_ID),
        snat_pool: pool(definition.action.as_ref()),
        ports: Vec::new(),
    })
}
