//! Small worlds for tests, and a compiler for them so plain that it can be read against the documents.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::{Oracle, PlatformRules};
use crate::digest::{self, Digest};
use crate::id::{GroupId, Name, NodeId, PolicyId, ProjectId, WorkloadId};
use crate::intent::{
    Action, AppliedTo, Direction, Fact, Origin, Peers, Policy, Rule, Tier, Workload, WorkloadEgress,
};
use crate::net::{Cidr, CidrSet, Service, mac_of};
use crate::topology::{Applied, Object, PlatformSection, Port, Section, SectionKey, SectionRule, Union};

pub(super) const HELD: &str = "egress-held";

/// Everything that bears on verdicts.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub platform: PlatformRules,
    /// Each with its place: (switch, address).
    pub workloads: Vec<(Workload, u16, Ipv4Addr)>,
    pub policies: Vec<Policy>,
    pub held: BTreeSet<WorkloadId>,
}

pub(super) fn net(text: &str) -> Cidr {
    Cidr::net(text.parse().unwrap())
}

pub(super) fn origin(kind: &str, id: &str) -> Origin {
    Origin {
        kind: kind.into(),
        id: Name::new(id),
        name: Some(format!("name of {id}").into()),
    }
}

pub(super) fn platform() -> PlatformRules {
    PlatformRules {
        container_blocks: CidrSet::from([net("10.255.0.0/16")]),
        platform_sources: CidrSet::from([net("10.0.1.0/24")]),
        deny: Action::Drop,
    }
}

pub(super) fn workload(id: &str, project: &str, groups: &[&str]) -> Workload {
    Workload {
        id: WorkloadId::new(id),
        project: ProjectId::new(project),
        node: NodeId::new("cell"),
        groups: groups.iter().map(|g| GroupId::new(g)).collect(),
        egress: WorkloadEgress::Project,
        labels: Arc::from([]),
        origin: origin("instance", id),
    }
}

pub(super) fn policy(id: &str, applied_to: &[&str], rules: Vec<Rule>) -> Policy {
    let groups = applied_to.iter().map(|g| GroupId::new(g)).collect();
    Policy {
        id: PolicyId::new(id),
        name: format!("name of {id}").into(),
        tier: Tier::Allow,
        applied_to: AppliedTo::Groups(Arc::new(groups)),
        rules: rules.into(),
        defects: Arc::from([]),
        origin: origin("security group", id),
    }
}

pub(super) fn rule(direction: Direction, peers: Peers, services: Vec<Service>) -> Rule {
    Rule {
        direction,
        peers,
        services,
        action: Action::Allow,
        log: false,
    }
}

impl World {
    pub(super) fn oracle(&self) -> Oracle {
        let workloads = self.workloads.iter().map(|(w, ..)| Fact::Workload(w.clone()));
        let policies = self.policies.iter().cloned().map(Fact::Policy);
        let mut oracle = Oracle::new(workloads.chain(policies).collect(), self.platform.clone());
        for (w, _, address) in &self.workloads {
            oracle.place(w.id.clone(), *address);
        }
        self.held.iter().cloned().for_each(|w| oracle.hold(w));
        oracle
    }

    /// Every object of this world that bears on verdicts.
    pub(super) fn objects(&self) -> Vec<Object> {
        let mut all = self.platform_sections();
        for (w, switch, address) in &self.workloads {
            let mut groups = w.groups.to_vec();
            groups.extend(self.held.contains(&w.id).then(|| GroupId::new(HELD)));
            all.extend(self.isolation(&w.project, *switch));
            all.extend(groups.iter().map(|g| Object::Member(g.clone(), w.id.clone())));
            all.push(port(w, groups, *switch, *address));
        }
        for policy in &self.policies {
            all.extend(policy_objects(policy));
        }
        let named: BTreeSet<GroupId> = self.groups();
        all.extend(named.into_iter().map(Object::Group));
        all
    }

    fn groups(&self) -> BTreeSet<GroupId> {
        let members = self.workloads.iter().flat_map(|(w, ..)| w.groups.iter());
        let applied = self.policies.iter().flat_map(|p| p.applied_to.groups());
        let rules = self.policies.iter().flat_map(|p| p.rules.iter());
        let peers = rules.flat_map(|r| match &r.peers {
            Peers::Groups(groups) => groups.iter().collect(),
            _ => Vec::new(),
        });
        let held = GroupId::new(HELD);
        members
            .chain(applied)
            .chain(peers)
            .cloned()
            .chain([held])
            .collect()
    }

    fn platform_sections(&self) -> Vec<Object> {
        let hold = SectionKey::Platform(PlatformSection::Hold);
        let allow = SectionKey::Platform(PlatformSection::Allow);
        let deny = Rule {
            action: self.platform.deny,
            ..rule(Direction::Out, Peers::Outside, vec![])
        };
        let sources = Peers::Cidrs(self.platform.platform_sources.clone());
        vec![
            section(&hold, Tier::Hold, Applied::Group(GroupId::new(HELD)), false),
            in_section(&hold, deny, Applied::PerRule),
            section(&allow, Tier::Allow, Applied::Cluster, false),
            in_section(
                &allow,
                rule(Direction::Out, Peers::Containers, vec![]),
                Applied::PerRule,
            ),
            in_section(
                &allow,
                rule(Direction::In, sources, vec![Service::Tcp(vec![])]),
                Applied::PerRule,
            ),
        ]
    }

    fn isolation(&self, project: &ProjectId, switch: u16) -> Vec<Object> {
        let key = SectionKey::Isolation(project.clone());
        let deny = |direction| {
            let rule = Rule {
                action: self.platform.deny,
                ..rule(direction, Peers::Any, vec![])
            };
            in_section(&key, rule, Applied::Switch(project.clone(), switch))
        };
        let head = section(&key, Tier::Default, Applied::PerRule, false);
        vec![head, deny(Direction::In), deny(Direction::Out)]
    }
}

fn policy_objects(policy: &Policy) -> Vec<Object> {
    let key = SectionKey::Policy(policy.id.clone());
    let logs = policy.rules.iter().any(|r| r.log);
    let applied = match &policy.applied_to {
        AppliedTo::Group(group) => Applied::Group(group.clone()),
        AppliedTo::Groups(_) => Applied::Union(policy.id.clone()),
    };
    let mut all = vec![section(&key, policy.tier, applied, logs)];
    if let AppliedTo::Groups(groups) = &policy.applied_to {
        all.push(Object::Union(Union {
            policy: policy.id.clone(),
            name: policy.name.clone(),
        }));
        all.extend(
            groups
                .iter()
                .map(|g| Object::UnionMember(policy.id.clone(), g.clone())),
        );
    }
    all.extend(
        policy
            .rules
            .iter()
            .map(|r| in_section(&key, r.clone(), Applied::PerRule)),
    );
    all
}

fn section(key: &SectionKey, tier: Tier, applied_to: Applied, logs: bool) -> Object {
    Object::Section(Section {
        key: key.clone(),
        tier,
        name: key.to_string().into(),
        applied_to,
        logs,
    })
}

fn in_section(key: &SectionKey, rule: Rule, applied_to: Applied) -> Object {
    let digest = digest::of(&(&rule, &applied_to));
    Object::Rule(SectionRule {
        section: key.clone(),
        digest,
        rule: Arc::new(rule),
        applied_to,
    })
}

fn port(w: &Workload, groups: Vec<GroupId>, switch: u16, address: Ipv4Addr) -> Object {
    Object::Port(Port {
        workload: w.id.clone(),
        project: w.project.clone(),
        node: w.node.clone(),
        switch,
        vlan: 1,
        address,
        prefix: 24,
        mac: mac_of(address),
        groups: groups.into(),
        own_nat: false,
        denies: [Digest(0), Digest(0)],
        labels: w.labels.clone(),
        name: "port".into(),
    })
}
