//! The verdict by the network's objects that stand at some moment.
//!
//! A strict reading, as an engine has it: a rule counts only with its section, a section only with the
//! group or union it is applied to, a member only with its group and its port. Nothing is inferred
//! from what should stand.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use super::{Decider, Decision, End, Fit, Flow, Heard, Judge, Side};
use crate::id::{GroupId, PolicyId, WorkloadId};
use crate::intent::Peers;
use crate::net::CidrSet;
use crate::topology::{Applied, Object, Port, Section, SectionKey, SectionRule};

/// How a backend's groups know their members ([`crate::dialect::Dialect::members_are_rows`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// By the marks that ports bear.
    Marks,
    /// By rows of their own.
    Rows,
}

/// Judges by what stands.
#[derive(Clone, Debug)]
pub struct TopologyView<'a> {
    container_blocks: &'a CidrSet,
    membership: Membership,
    ports: BTreeMap<&'a WorkloadId, &'a Port>,
    addresses: BTreeMap<Ipv4Addr, &'a WorkloadId>,
    groups: BTreeSet<&'a GroupId>,
    members: BTreeSet<(&'a GroupId, &'a WorkloadId)>,
    unions: BTreeMap<&'a PolicyId, Vec<&'a GroupId>>,
    sections: BTreeMap<&'a SectionKey, &'a Section>,
    rules: Vec<&'a SectionRule>,
}

impl<'a> TopologyView<'a> {
    /// The view of these objects; in any order, kinds that bear on no verdict are passed over.
    pub fn new(
        container_blocks: &'a CidrSet,
        membership: Membership,
        standing: impl IntoIterator<Item = &'a Object>,
    ) -> TopologyView<'a> {
        let mut view = TopologyView {
            container_blocks,
            membership,
            ports: BTreeMap::new(),
            addresses: BTreeMap::new(),
            groups: BTreeSet::new(),
            members: BTreeSet::new(),
            unions: BTreeMap::new(),
            sections: BTreeMap::new(),
            rules: Vec::new(),
        };
        let mut heads = BTreeSet::new();
        for object in standing {
            view.take(object, &mut heads);
        }
        view.unions.retain(|policy, _| heads.contains(policy));
        view
    }

    fn take(&mut self, object: &'a Object, heads: &mut BTreeSet<&'a PolicyId>) {
        match object {
            Object::Port(port) => {
                self.ports.insert(&port.workload, port);
                self.addresses.insert(port.address, &port.workload);
            }
            Object::Group(group) => drop(self.groups.insert(group)),
            Object::Member(group, workload) => drop(self.members.insert((group, workload))),
            Object::Union(union) => drop(heads.insert(&union.policy)),
            Object::UnionMember(policy, group) => self.unions.entry(policy).or_default().push(group),
            Object::Section(section) => drop(self.sections.insert(&section.key, section)),
            Object::Rule(rule) => self.rules.push(rule),
            Object::Router(_)
            | Object::Subnet(_)
            | Object::Switch(_)
            | Object::Node(_)
            | Object::Pool(_)
            | Object::Address(_)
            | Object::SubnetNat(_)
            | Object::WorkloadNat(_) => {}
        }
    }

    /// The workloads that have a port.
    pub fn workloads(&self) -> impl Iterator<Item = &'a WorkloadId> {
        self.ports.keys().copied()
    }

    /// Whether this workload has a port.
    pub fn stands(&self, workload: &WorkloadId) -> bool {
        self.ports.contains_key(workload)
    }

    fn is_member(&self, group: &GroupId, port: &Port) -> bool {
        self.groups.contains(group)
            && match self.membership {
                Membership::Marks => port.groups.contains(group),
                Membership::Rows => self.members.contains(&(group, &port.workload)),
            }
    }

    fn applies(&self, applied: &Applied, port: &Port) -> bool {
        match applied {
            Applied::PerRule => false,
            Applied::Cluster => true,
            Applied::Group(group) => self.is_member(group, port),
            Applied::Union(policy) => match self.unions.get(policy) {
                Some(groups) => groups.iter().any(|group| self.is_member(group, port)),
                None => false,
            },
            Applied::Switch(project, index) => port.project == *project && port.switch == *index,
        }
    }

    fn is_peer(&self, peers: &Peers, other: &Other<'_>) -> bool {
        let within = |cidrs: &CidrSet| {
            let address = other.address();
            address.is_some_and(|a| cidrs.iter().any(|cidr| cidr.contains(a)))
        };
        match peers {
            Peers::Any => true,
            Peers::Cidrs(cidrs) => within(cidrs),
            Peers::Containers => within(self.container_blocks),
            Peers::Outside => !within(self.container_blocks),
            Peers::Groups(groups) => match other {
                Other::Port(port) => groups.iter().any(|group| self.is_member(group, port)),
                Other::Address(_) | Other::NoPort => false,
            },
        }
    }

    fn resolve(&self, end: &End) -> Other<'a> {
        match end {
            End::Workload(id) => self.ports.get(id).map_or(Other::NoPort, |port| Other::Port(port)),
            End::Address(address) => match self.owner(*address) {
                Some(port) => Other::Port(port),
                None => Other::Address(*address),
            },
        }
    }

    fn owner(&self, address: IpAddr) -> Option<&'a Port> {
        let IpAddr::V4(address) = address else {
            return None;
        };
        self.ports.get(self.addresses.get(&address)?).copied()
    }
}

impl Judge for TopologyView<'_> {
    fn heard(&self, flow: &Flow, side: Side) -> Result<Vec<Heard>, Decision> {
        let port = match self.resolve(flow.end(side)) {
            Other::Port(port) => port,
            Other::NoPort => return Err(Decision::NoPort),
            Other::Address(_) => return Err(Decision::Outside),
        };
        let other = self.resolve(flow.end(side.other()));
        let mut heard = Vec::new();
        for rule in self.rules.iter().filter(|r| r.rule.direction == side.direction()) {
            let Some(section) = self.sections.get(&rule.section) else {
                continue;
            };
            // As in NSX, whose section's word wins over its rules'.
            let applied = match &section.applied_to {
                Applied::PerRule => &rule.applied_to,
                of_section => of_section,
            };
            if !self.applies(applied, port) {
                continue;
            }
            let peer = self.is_peer(&rule.rule.peers, &other);
            heard.push(Heard {
                tier: section.tier,
                logs: section.logs,
                by: Decider {
                    section: section.key.clone(),
                    name: section.name.clone(),
                    origin: None,
                    rule: rule.rule.clone(),
                },
                fit: Fit::of(peer, flow.packet.is_any(&rule.rule.services)),
            });
        }
        Ok(heard)
    }
}

/// The other end of a rule.
enum Other<'a> {
    Port(&'a Port),
    Address(IpAddr),
    NoPort,
}

impl Other<'_> {
    fn address(&self) -> Option<IpAddr> {
        match self {
            Other::Port(port) => Some(IpAddr::V4(port.address)),
            Other::Address(address) => Some(*address),
            Other::NoPort => None,
        }
    }
}
