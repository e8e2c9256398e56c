//! Choices: what this cluster owns alone and so may pick by itself: VLANs below a machine's port, how
//! many subnets a project has, addresses in them.
//!
//! A third state beside what is wanted and what is seen. It has no store: it is read back from the
//! ports that stand. A value is reserved the moment a port is compiled with it, and free again only
//! after the far end confirmed the port's removal and a hold time has passed, since routers outside
//! prune routes late and a VLAN is a container's identity on its machine.

mod pool;
mod projects;

#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use rustc_hash::FxHashMap;

use crate::digest;
use crate::id::{NodeId, ProjectId, WorkloadId};
use crate::intent::{EgressAddress, Workload};
use crate::net::gateway_of;
use crate::settings::Settings;
use crate::time::Time;

pub use pool::choose;
pub use projects::{ProjectChoice, SubnetChoice};

use pool::Taken;

/// The VLANs a container may have towards its machine.
const VLANS: std::ops::RangeInclusive<u32> = 1..=4093;

/// Where a container's port stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortChoice {
    /// Below which machine.
    pub node: NodeId,
    /// In whose network.
    pub project: ProjectId,
    /// On which of the project's switches.
    pub switch: u16,
    /// With which VLAN.
    pub vlan: u16,
    /// With which address.
    pub address: Ipv4Addr,
}

/// What a port lacks to be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// An address; a further subnet has been asked for.
    Address,
    /// A VLAN: the machine has none free (NCP00013).
    Vlan,
}

/// How far a translated address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EgressState {
    /// Asked for.
    Pending,
    /// Held.
    Ready(Ipv4Addr),
    /// Refused; tried again later.
    Refused,
}

/// What has been chosen.
#[derive(Debug, Default)]
pub struct Choices {
    projects: FxHashMap<ProjectId, ProjectChoice>,
    vlans: FxHashMap<NodeId, Taken>,
    ports: FxHashMap<WorkloadId, PortChoice>,
    egress: FxHashMap<EgressAddress, EgressState>,
    /// Addresses whose last user is gone but which are kept for a while.
    egress_until: FxHashMap<EgressAddress, Time>,
    waiting: FxHashMap<WorkloadId, ProjectId>,
}

impl Choices {
    /// Where the container's port stands, if that has been chosen.
    pub fn port(&self, workload: &WorkloadId) -> Option<&PortChoice> {
        self.ports.get(workload)
    }

    /// What has been chosen for a project whose network has been made.
    pub fn project(&self, project: &ProjectId) -> Option<&ProjectChoice> {
        self.projects.get(project)
    }

    /// The projects whose network has been made.
    pub fn projects(&self) -> impl Iterator<Item = (&ProjectId, &ProjectChoice)> {
        self.projects.iter()
    }

    /// How far a translated address is.
    pub fn egress(&self, address: &EgressAddress) -> EgressState {
        self.egress.get(address).copied().unwrap_or(EgressState::Pending)
    }

    /// Until when an address without users is kept.
    pub fn egress_kept(&self, address: &EgressAddress) -> Option<Time> {
        self.egress_until.get(address).copied()
    }

    /// The addresses kept without users.
    pub fn egress_lingering(&self) -> impl Iterator<Item = &EgressAddress> {
        self.egress_until.keys()
    }

    /// Keeps an address that lost its last user, or (`None`) no longer.
    pub fn keep_egress(&mut self, address: &EgressAddress, until: Option<Time>) {
        match until {
            Some(time) => self.egress_until.insert(address.clone(), time),
            None => self.egress_until.remove(address),
        };
    }

    /// Notes how far an address is; `true` if that is news.
    pub fn set_egress(&mut self, address: &EgressAddress, state: EgressState) -> bool {
        let old = match state {
            EgressState::Pending => self.egress.remove(address),
            _ => self.egress.insert(address.clone(), state),
        };
        old.unwrap_or(EgressState::Pending) != state
    }

    /// The project's network is wanted from now on; `true` if that is news.
    pub fn activate(&mut self, project: &ProjectId) -> bool {
        if self.projects.contains_key(project) {
            return false;
        }
        self.projects.insert(project.clone(), ProjectChoice::default());
        true
    }

    /// The project's network is gone.
    pub fn deactivate(&mut self, project: &ProjectId) {
        self.projects.remove(project);
    }

    /// Gives the workload's port its place, once; what it lacks otherwise.
    pub fn place(&mut self, workload: &Workload, now: Time, settings: &Settings) -> Result<(), Lack> {
        if self.ports.contains_key(&workload.id) {
            return Ok(());
        }
        let key = digest::of(&(settings.seed, &workload.id)).0;
        let project = self.projects.entry(workload.project.clone()).or_default();
        let Some((switch, address)) = project.free_address(key, now) else {
            project.wait(&workload.id, settings);
            self.waiting.insert(workload.id.clone(), workload.project.clone());
            return Err(Lack::Address);
        };
        let vlans = self.vlans.entry(workload.node.clone()).or_default();
        let free = |v: u32| !vlans.is_taken(v, now) && !settings.reserved_vlans.contains(&(v as u16));
        let Some(vlan) = choose(key, *VLANS.start(), *VLANS.end(), free) else {
            return Err(Lack::Vlan);
        };
        vlans.take(vlan);
        project.take(&workload.id, switch, address);
        self.waiting.remove(&workload.id);
        let choice = PortChoice {
            node: workload.node.clone(),
            project: workload.project.clone(),
            switch,
            vlan: vlan as u16,
            address,
        };
        self.ports.insert(workload.id.clone(), choice);
        Ok(())
    }

    /// Takes back what a standing port shows; `false` if another port has it already, and then the
    /// port gets another place.
    pub fn restore(&mut self, workload: &WorkloadId, choice: PortChoice, settings: &Settings) -> bool {
        let valid_vlan =
            VLANS.contains(&u32::from(choice.vlan)) && !settings.reserved_vlans.contains(&choice.vlan);
        let vlans = self.vlans.entry(choice.node.clone()).or_default();
        let project = self.projects.entry(choice.project.clone()).or_default();
        let vlan = u32::from(choice.vlan);
        if !valid_vlan || vlans.is_used(vlan) || !project.may_take(choice.switch, choice.address) {
            return false;
        }
        vlans.take(vlan);
        project.take(workload, choice.switch, choice.address);
        self.ports.insert(workload.clone(), choice);
        true
    }

    /// The far end confirmed that the port is gone: its values rest, then are free.
    pub fn release(&mut self, workload: &WorkloadId, now: Time, settings: &Settings) -> Option<PortChoice> {
        let choice = self.ports.remove(workload)?;
        if let Some(vlans) = self.vlans.get_mut(&choice.node) {
            vlans.rest(u32::from(choice.vlan), now + settings.vlan_hold);
        }
        if let Some(project) = self.projects.get_mut(&choice.project) {
            project.give_back(choice.switch, choice.address, now, settings);
        }
        Some(choice)
    }

    /// A workload that waited for an address no longer does.
    pub fn stop_waiting(&mut self, workload: &WorkloadId) {
        if let Some(project) = self.waiting.remove(workload)
            && let Some(choice) = self.projects.get_mut(&project)
        {
            choice.stop_waiting(workload);
        }
    }

    /// The far end said which network a subnet got; the workloads that waited.
    pub fn subnet_known(
        &mut self,
        project: &ProjectId,
        index: u16,
        cidr: Ipv4Net,
    ) -> Option<Vec<WorkloadId>> {
        self.projects
            .entry(project.clone())
            .or_default()
            .subnet_known(index, cidr)
    }

    /// The far end confirmed that a subnet is gone.
    pub fn subnet_gone(&mut self, project: &ProjectId, index: u16) {
        if let Some(choice) = self.projects.get_mut(project) {
            choice.subnet_gone(index);
        }
    }

    /// Gives up further subnets that have been empty for long enough.
    pub fn give_up_subnets(&mut self, now: Time, settings: &Settings) -> Vec<(ProjectId, u16)> {
        let mut given = Vec::new();
        for (id, project) in &mut self.projects {
            given.extend(
                project
                    .give_up(now, settings)
                    .into_iter()
                    .map(|n| (id.clone(), n)),
            );
        }
        given.sort();
        given
    }

    /// VLANs in use below a machine, for status.
    pub fn vlans_used(&self, node: &NodeId) -> usize {
        self.vlans.get(node).map_or(0, Taken::used)
    }
}

/// The addresses of a subnet that containers may have, as offsets: all but network, gateway, broadcast.
fn offsets(cidr: Ipv4Net) -> (u32, u32) {
    let base = u32::from(cidr.network());
    (
        u32::from(gateway_of(cidr)) - base + 1,
        u32::from(cidr.broadcast()) - base - 1,
    )
}
