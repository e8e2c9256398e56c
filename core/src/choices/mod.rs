//! Choices: what this cluster owns alone and so may pick by itself: VLANs below a machine's port, how
//! many subnets a project has, addresses in them.
//!
//! A third state beside what is wanted and what is seen. It has no store: it is read back from the
//! ports that stand. A value is reserved the moment a port is compiled with it, and free again only
//! after the far end confirmed the port's removal and a hold time has passed, since routers outside
//! prune routes late and a VLAN is a container's identity on its machine.

mod caps;
mod pool;
mod projects;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use rustc_hash::FxHashMap;

use crate::digest;
use crate::id::{NodeId, ProjectId, WorkloadId};
use crate::intent::{EgressAddress, Workload};
use crate::settings::Settings;
use crate::time::Time;

pub use caps::{Capped, Load};
pub use pool::choose;
pub use projects::{ProjectChoice, SubnetChoice};

use caps::Admission;
use pool::Taken;

/// The VLANs a container may have towards its machine.
const VLANS: std::ops::RangeInclusive<u32> = 1..=4093;

/// Where a container's port stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortChoice {
    /// Below which machine; empty for a port that stands below one that could not be told.
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

#[derive(Debug)]
struct Placed {
    choice: PortChoice,
    /// The far end has shown the port standing so.
    stood: bool,
}

/// What a port lacks to be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// An address.
    Address,
    /// A VLAN: the machine has none free (NCP00013).
    Vlan,
}

/// What placing a port did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placing {
    /// What it lacks.
    pub lack: Option<Lack>,
    /// It has a place that it did not have before.
    pub placed: bool,
    /// Its project wants other subnets than before.
    pub subnets: bool,
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

/// How long an address without users is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Linger {
    Until(Time),
    Over,
}

/// What has been chosen.
#[derive(Debug, Default)]
pub struct Choices {
    projects: FxHashMap<ProjectId, ProjectChoice>,
    vlans: FxHashMap<NodeId, Taken>,
    ports: FxHashMap<WorkloadId, Placed>,
    /// Places chosen under an earlier leadership, taken again if nobody has them.
    former: FxHashMap<WorkloadId, PortChoice>,
    egress: FxHashMap<EgressAddress, EgressState>,
    /// Addresses whose last user is gone.
    lingering: FxHashMap<EgressAddress, Linger>,
    waiting: FxHashMap<WorkloadId, ProjectId>,
    without_vlan: BTreeSet<WorkloadId>,
    caps: Admission,
}

/// Stands for the machine of a port that can't be told yet.
fn no_node() -> NodeId {
    NodeId::new("")
}

impl Choices {
    /// Where the container's port stands, if that has been chosen.
    pub fn port(&self, workload: &WorkloadId) -> Option<&PortChoice> {
        self.ports.get(workload).map(|p| &p.choice)
    }

    /// What has been chosen for a project whose network has been made.
    pub fn project(&self, project: &ProjectId) -> Option<&ProjectChoice> {
        self.projects.get(project).filter(|p| p.active)
    }

    /// The projects whose network has been made.
    pub fn projects(&self) -> impl Iterator<Item = (&ProjectId, &ProjectChoice)> {
        self.projects.iter().filter(|(_, p)| p.active)
    }

    /// How far a translated address is.
    pub fn egress(&self, address: &EgressAddress) -> EgressState {
        self.egress.get(address).copied().unwrap_or(EgressState::Pending)
    }

    /// Whether an address without users is kept.
    pub fn egress_kept(&self, address: &EgressAddress) -> bool {
        matches!(self.lingering.get(address), Some(Linger::Until(_)))
    }

    /// The addresses kept without users.
    pub fn egress_lingering(&self) -> impl Iterator<Item = &EgressAddress> {
        let kept = self.lingering.iter().filter(|(_, l)| **l != Linger::Over);
        kept.map(|(address, _)| address)
    }

    /// Keeps an address that has no user, for a while and once; `true` if that is news.
    pub fn linger(&mut self, address: &EgressAddress, until: Time) -> bool {
        let news = !self.lingering.contains_key(address);
        if news {
            self.lingering.insert(address.clone(), Linger::Until(until));
        }
        news
    }

    /// An address has users again, or is gone.
    pub fn stop_lingering(&mut self, address: &EgressAddress) {
        self.lingering.remove(address);
    }

    /// Ends the keeping of addresses whose time is over, and names them.
    pub fn lingered(&mut self, now: Time) -> Vec<EgressAddress> {
        let mut over: Vec<EgressAddress> = Vec::new();
        for (address, linger) in &mut self.lingering {
            if matches!(linger, Linger::Until(time) if *time <= now) {
                *linger = Linger::Over;
                over.push(address.clone());
            }
        }
        over.sort_unstable();
        over
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
        let choice = self.projects.entry(project.clone()).or_default();
        !std::mem::replace(&mut choice.active, true)
    }

    /// The project's network is gone.
    pub fn deactivate(&mut self, project: &ProjectId) {
        if let Some(choice) = self.projects.get_mut(project) {
            choice.deactivate();
        }
    }

    /// Gives the workload's port its place, once.
    pub fn place(&mut self, workload: &Workload, now: Time, settings: &Settings) -> Placing {
        if self.stays(workload, now, settings) {
            return Placing::default();
        }
        if let Some(choice) = self.former.remove(&workload.id)
            && self.may_take_again(&choice, workload, settings)
        {
            self.take(&workload.id, choice, false);
            return Placing {
                placed: true,
                ..Placing::default()
            };
        }
        let key = digest::of(&(settings.seed, &workload.id)).0;
        let project = self.projects.entry(workload.project.clone()).or_default();
        let Some((switch, address, revived)) = project.free_address(key, now) else {
            let subnets = project.wait(&workload.id, now, settings);
            self.waiting.insert(workload.id.clone(), workload.project.clone());
            return Placing {
                lack: Some(Lack::Address),
                subnets,
                ..Placing::default()
            };
        };
        let Some(vlan) = self.free_vlan(&workload.node, key, now, settings) else {
            self.without_vlan.insert(workload.id.clone());
            return Placing {
                lack: Some(Lack::Vlan),
                subnets: revived,
                ..Placing::default()
            };
        };
        let choice = PortChoice {
            node: workload.node.clone(),
            project: workload.project.clone(),
            switch,
            vlan,
            address,
        };
        self.take(&workload.id, choice, false);
        Placing {
            placed: true,
            subnets: revived,
            lack: None,
        }
    }

    /// Whether the workload has a place that still fits it.
    fn stays(&mut self, workload: &Workload, now: Time, settings: &Settings) -> bool {
        let Some(placed) = self.ports.get_mut(&workload.id) else {
            return false;
        };
        let choice = &mut placed.choice;
        let vlan = u32::from(choice.vlan);
        if choice.project == workload.project && choice.node == workload.node {
            return true;
        }
        let vlans = self.vlans.entry(workload.node.clone()).or_default();
        if choice.project == workload.project && choice.node == no_node() && !vlans.is_used(vlan) {
            // Now its machine can be told.
            vlans.take(vlan);
            choice.node = workload.node.clone();
            if let Some(unknown) = self.vlans.get_mut(&no_node()) {
                unknown.rest(vlan, now);
            }
            return true;
        }
        self.release(&workload.id, now, settings);
        false
    }

    fn free_vlan(&mut self, node: &NodeId, key: u64, now: Time, settings: &Settings) -> Option<u16> {
        let reserved = &settings.reserved_vlans;
        let [here, anywhere] = [node, &no_node()].map(|n| self.vlans.get(n));
        let free = |v: u32| {
            !here.is_some_and(|t| t.is_taken(v, now))
                && !anywhere.is_some_and(|t| t.is_used(v))
                && !reserved.contains(&(v as u16))
        };
        choose(key, *VLANS.start(), *VLANS.end(), free).map(|v| v as u16)
    }

    fn take(&mut self, workload: &WorkloadId, choice: PortChoice, stood: bool) {
        let vlans = self.vlans.entry(choice.node.clone()).or_default();
        vlans.take(u32::from(choice.vlan));
        let project = self.projects.entry(choice.project.clone()).or_default();
        project.take(workload, choice.switch, choice.address);
        self.waiting.remove(workload);
        self.without_vlan.remove(workload);
        self.former.remove(workload);
        self.ports.insert(workload.clone(), Placed { choice, stood });
    }

    /// Takes back what a standing port shows. A port that has been seen standing keeps its place, so
    /// what someone changed is changed back; a place chosen before the port was seen gives way. `false`
    /// if another port has what it shows, and then the port gets, or keeps, another place.
    pub fn restore(
        &mut self,
        workload: &WorkloadId,
        choice: PortChoice,
        now: Time,
        settings: &Settings,
    ) -> bool {
        if let Some(placed) = self.ports.get_mut(workload) {
            let known = placed.choice.clone();
            let same = PortChoice {
                node: known.node.clone(),
                ..choice.clone()
            };
            placed.stood |= known == same;
            if placed.stood {
                return known == same;
            }
            // What was never written down need not rest.
            self.free(workload, now, now, now);
            if !self.may_take(&choice, settings) {
                self.take(workload, known, false);
                return false;
            }
        } else if !self.may_take(&choice, settings) {
            return false;
        }
        self.activate(&choice.project.clone());
        self.take(workload, choice, true);
        true
    }

    fn may_take_again(&self, choice: &PortChoice, workload: &Workload, settings: &Settings) -> bool {
        let project = self.projects.get(&choice.project);
        let subnet = project.and_then(|p| p.subnet(choice.switch));
        choice.node == workload.node
            && choice.project == workload.project
            && subnet.is_some_and(|s| s.wanted() && s.cidr().is_some())
            && self.may_take(choice, settings)
    }

    fn may_take(&self, choice: &PortChoice, settings: &Settings) -> bool {
        let vlan = u32::from(choice.vlan);
        let vlan_free = VLANS.contains(&vlan)
            && !settings.reserved_vlans.contains(&choice.vlan)
            && !self.vlans.get(&choice.node).is_some_and(|t| t.is_used(vlan));
        let project = self.projects.get(&choice.project);
        vlan_free && project.is_none_or(|p| p.may_take(choice.switch, choice.address))
    }

    /// The far end confirmed that the port is gone: its values rest, then are free.
    pub fn release(&mut self, workload: &WorkloadId, now: Time, settings: &Settings) -> Option<PortChoice> {
        let (vlan, address) = (now + settings.vlan_hold, now + settings.address_hold);
        self.free(workload, now, vlan, address)
    }

    fn free(&mut self, workload: &WorkloadId, now: Time, vlan: Time, address: Time) -> Option<PortChoice> {
        let choice = self.ports.remove(workload)?.choice;
        if let Some(vlans) = self.vlans.get_mut(&choice.node) {
            vlans.rest(u32::from(choice.vlan), vlan);
        }
        if let Some(project) = self.projects.get_mut(&choice.project) {
            project.give_back(choice.switch, choice.address, now, address);
        }
        Some(choice)
    }

    /// A workload that waited for a place no longer does.
    pub fn stop_waiting(&mut self, workload: &WorkloadId) {
        self.without_vlan.remove(workload);
        if let Some(project) = self.waiting.remove(workload)
            && let Some(choice) = self.projects.get_mut(&project)
        {
            choice.stop_waiting(workload);
        }
    }

    /// How many workloads wait for a place.
    pub fn waiting(&self) -> usize {
        self.waiting.len() + self.without_vlan.len()
    }

    /// Those who wait and might be placed now, since time has freed what they lacked.
    pub fn may_be_placed(&mut self, now: Time) -> Vec<WorkloadId> {
        let mut all: Vec<WorkloadId> = self.without_vlan.iter().cloned().collect();
        for project in self.projects.values_mut() {
            all.extend(project.may_go(now));
        }
        all.sort_unstable();
        all
    }

    /// The far end said which network a subnet got: `None` if that was known, else those who wait for a
    /// place and may find one, and those who have a place in it. What it has no address for is freed.
    pub fn subnet_known(
        &mut self,
        id: &ProjectId,
        index: u16,
        cidr: Ipv4Net,
        now: Time,
        settings: &Settings,
    ) -> Option<Vec<WorkloadId>> {
        let project = self.projects.entry(id.clone()).or_default();
        if !project.subnet_known(index, cidr, now) {
            return None;
        }
        let mut concerned = project.may_go(now);
        if project.subnet(index).is_some_and(SubnetChoice::in_use) {
            let here = self.ports_in(id, index);
            for (workload, stray) in &here {
                if *stray {
                    self.release(workload, now, settings);
                }
            }
            concerned.extend(here.into_iter().map(|(workload, _)| workload));
        }
        Some(concerned)
    }

    /// The ports of a subnet, each with whether the subnet does not have its address.
    fn ports_in(&self, id: &ProjectId, index: u16) -> Vec<(WorkloadId, bool)> {
        let Some(project) = self.projects.get(id) else {
            return Vec::new();
        };
        let here = |p: &Placed| p.choice.project == *id && p.choice.switch == index;
        let ports = self.ports.iter().filter(|(_, p)| here(p));
        let stray = |p: &Placed| project.is_stray(index, p.choice.address);
        ports.map(|(w, p)| (w.clone(), stray(p))).collect()
    }

    /// The far end confirmed that a subnet is gone.
    pub fn subnet_gone(&mut self, project: &ProjectId, index: u16) {
        if let Some(choice) = self.projects.get_mut(project) {
            choice.subnet_gone(index);
        }
    }

    /// Gives up further subnets that have been empty for long enough; also forgets what has rested.
    pub fn give_up_subnets(&mut self, now: Time, settings: &Settings) -> Vec<(ProjectId, u16)> {
        let mut given = Vec::new();
        for (id, project) in &mut self.projects {
            let gone = project.give_up(now, settings).into_iter();
            given.extend(gone.map(|n| (id.clone(), n)));
        }
        given.sort();
        self.vlans.retain(|_, taken| taken.occupied(now) > 0);
        self.projects.retain(|_, project| !project.is_forgotten(now));
        given
    }

    /// Forgets everything but what rests: a leadership begins, and what stands will be shown.
    pub fn restart(&mut self, now: Time, settings: &Settings) {
        for vlans in self.vlans.values_mut() {
            vlans.rest_all(now + settings.vlan_hold);
        }
        for project in self.projects.values_mut() {
            project.restart(now, settings);
        }
        if !self.ports.is_empty() {
            self.former.clear();
        }
        let ports = self.ports.drain();
        self.former
            .extend(ports.map(|(workload, placed)| (workload, placed.choice)));
        self.egress.clear();
        self.lingering.clear();
        self.caps = Admission::default();
        self.waiting.clear();
        self.without_vlan.clear();
    }

    /// VLANs in use below a machine, for status.
    pub fn vlans_used(&self, node: &NodeId) -> usize {
        self.vlans.get(node).map_or(0, Taken::used)
    }
}
