//! Compile: one topology object from the index and the choices, purely.
//!
//! The law that everything else leans on: compiling what an event touched leaves the same objects as
//! compiling everything from scratch, for any history, up to choices.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::choices::{Choices, EgressState, ProjectChoice};
use crate::digest::{self, Digest};
use crate::event::ScopeKind;
use crate::id::{GroupId, PolicyId, ProjectId, WorkloadId};
use crate::index::{Index, PolicyEntry};
use crate::intent::{
    Action, AppliedTo, Direction, EgressAddress, EgressOwner, Peers, ProjectEgress, Rule, Tier,
    WorkloadEgress,
};
use crate::net::{Service, mac_of};
use crate::settings::Settings;
use crate::topology::{
    Applied, Object, ObjectKey, PlatformSection, Pool, Port, Router, Section, SectionKey, SectionRule,
    Subnet, SubnetNat, Switch, Union, WorkloadNat,
};

/// The group of workloads whose outside traffic is held back because their own egress is refused.
pub const HELD_GROUP: &str = "egress-held";

/// What compiling a key gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Compiled {
    /// Nothing of that key is wanted.
    Absent,
    /// This is.
    Object(Object),
    /// Something of that key is wanted but can't be said yet; what stands, stands.
    Waits(Wait),
}

/// What an object waits for before it can even be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub enum Wait {
    /// An address or VLAN for a port.
    Place,
    /// The network of a subnet.
    Cidr,
    /// The workload's own translated address.
    Egress,
}

/// What compiling reads.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// What the platform says.
    pub index: &'a Index,
    /// What has been chosen.
    pub choices: &'a Choices,
    /// What the operator decided.
    pub settings: &'a Settings,
}

/// Compiles one key.
pub fn compile(key: &ObjectKey, cx: Context<'_>) -> Compiled {
    match key {
        ObjectKey::Router(p) => cx.router(p),
        ObjectKey::Subnet(p, n) => cx.subnet(p, *n),
        ObjectKey::Switch(p, n) => cx.switch(p, *n),
        ObjectKey::SubnetNat(p, n) => cx.subnet_nat(p, *n),
        ObjectKey::Node(n) => present(cx.index.node_load(n) > 0, || Object::Node(n.clone())),
        ObjectKey::Pool(p) => present(cx.index.derived().pool_used(p) || cx.pool_lingers(p), || {
            Object::Pool(Pool { name: p.clone() })
        }),
        ObjectKey::Port(w) => cx.port(w),
        ObjectKey::Address(a) => present(cx.address_wanted(a), || Object::Address((**a).clone())),
        ObjectKey::WorkloadNat(w) => cx.workload_nat(w),
        ObjectKey::Group(g) => present(cx.group_wanted(g), || Object::Group(g.clone())),
        ObjectKey::Member(g, w) => {
            let member = cx.group_wanted(g) && cx.groups_of(w).contains(g) && cx.choices.port(w).is_some();
            present(member, || Object::Member(g.clone(), w.clone()))
        }
        ObjectKey::Union(p) => cx.union(p),
        ObjectKey::UnionMember(p, g) => {
            let named =
                |e: &PolicyEntry| matches!(&e.policy.applied_to, AppliedTo::Groups(all) if all.contains(g));
            let member = cx.index.policy(p).is_some_and(named);
            present(member, || Object::UnionMember(p.clone(), g.clone()))
        }
        ObjectKey::Section(s) => cx.section(s),
        ObjectKey::Rule(s, d) => cx.rule(s, *d),
    }
}

fn present(is: bool, object: impl FnOnce() -> Object) -> Compiled {
    if is {
        Compiled::Object(object())
    } else {
        Compiled::Absent
    }
}

impl<'a> Context<'a> {
    /// Whether the project's network is wanted: made at its first workload, kept until the project is
    /// deleted, since partners allow-list its addresses.
    pub fn project_wanted(&self, project: &ProjectId) -> bool {
        if self.choices.project(project).is_none() {
            return false;
        }
        self.index.project(project).is_some()
            || self.index.derived().project_in_use(project)
            || self
                .index
                .trusted(&self.settings.scopes, ScopeKind::Projects)
                .is_err()
    }

    fn project_name(&self, project: &ProjectId) -> Arc<str> {
        match self.index.project(project) {
            Some(known) => known.name.clone(),
            None => project.to_string().into(),
        }
    }

    fn project_egress(&self, project: &ProjectId) -> ProjectEgress {
        if !self.settings.translate {
            return ProjectEgress::Routed;
        }
        self.index
            .project(project)
            .map(|p| p.egress.clone())
            .unwrap_or_default()
    }

    /// The address that the project's traffic is translated to.
    pub fn project_address(&self, project: &ProjectId) -> Option<EgressAddress> {
        project_address(project, &self.project_egress(project))
    }

    fn router(&self, project: &ProjectId) -> Compiled {
        present(self.project_wanted(project), || {
            let egress = self.project_egress(project);
            Object::Router(Router {
                project: project.clone(),
                name: self.project_name(project),
                egress,
            })
        })
    }

    fn subnet_wanted(&self, project: &ProjectId, index: u16) -> bool {
        let choice = self.choices.project(project).and_then(|c| c.subnet(index));
        choice.is_some_and(|s| s.wanted()) && self.project_wanted(project)
    }

    fn subnet(&self, project: &ProjectId, index: u16) -> Compiled {
        present(self.subnet_wanted(project, index), || {
            let routed = self.project_egress(project) == ProjectEgress::Routed;
            Object::Subnet(Subnet {
                project: project.clone(),
                index,
                routed,
            })
        })
    }

    fn cidr(&self, project: &ProjectId, index: u16) -> Option<ipnet::Ipv4Net> {
        self.choices.project(project)?.subnet(index)?.cidr()
    }

    fn switch(&self, project: &ProjectId, index: u16) -> Compiled {
        if !self.subnet_wanted(project, index) {
            return Compiled::Absent;
        }
        let Some(cidr) = self.cidr(project, index) else {
            return Compiled::Waits(Wait::Cidr);
        };
        let name = self.project_name(project);
        Compiled::Object(Object::Switch(Switch {
            project: project.clone(),
            index,
            name,
            cidr,
        }))
    }

    fn subnet_nat(&self, project: &ProjectId, index: u16) -> Compiled {
        if !self.subnet_wanted(project, index) {
            return Compiled::Absent;
        }
        let Some(address) = self.project_address(project) else {
            return Compiled::Absent;
        };
        let Some(source) = self.cidr(project, index) else {
            return Compiled::Waits(Wait::Cidr);
        };
        Compiled::Object(Object::SubnetNat(SubnetNat {
            project: project.clone(),
            index,
            source,
            address,
        }))
    }

    fn address_wanted(&self, address: &EgressAddress) -> bool {
        match &address.owner {
            EgressOwner::Project(p) => {
                self.project_wanted(p) && self.project_address(p).as_ref() == Some(address)
            }
            EgressOwner::Group(..) => {
                let used = self.index.derived().egress_users(address).next().is_some();
                (used && self.settings.translate && !self.choices.is_over_cap(address))
                    || self.choices.egress_kept(address)
            }
        }
    }

    fn pool_lingers(&self, pool: &crate::id::PoolName) -> bool {
        let named = |a: &EgressAddress| a.pool.as_ref() == Some(pool);
        self.choices.egress_lingering().any(named)
    }

    fn egress_of(&self, workload: &WorkloadEgress) -> Option<EgressState> {
        match workload {
            WorkloadEgress::Own(address) if self.settings.translate => Some(self.choices.egress(address)),
            _ => None,
        }
    }

    /// The groups that a workload's port belongs to.
    pub fn groups_of(&self, workload: &WorkloadId) -> Vec<GroupId> {
        let Some(w) = self.index.workload(workload) else {
            return Vec::new();
        };
        let mut groups = w.groups.to_vec();
        if self.egress_of(&w.egress) == Some(EgressState::Refused) && !self.settings.egress_fallback {
            groups.push(GroupId::new(HELD_GROUP));
        }
        groups
    }

    fn port(&self, id: &WorkloadId) -> Compiled {
        let Some(workload) = self.index.workload(id) else {
            return Compiled::Absent;
        };
        let egress = self.egress_of(&workload.egress);
        if egress == Some(EgressState::Pending) {
            return Compiled::Waits(Wait::Egress);
        }
        let Some(place) = self.choices.port(id) else {
            return Compiled::Waits(Wait::Place);
        };
        let Some(cidr) = self.cidr(&place.project, place.switch) else {
            return Compiled::Waits(Wait::Cidr);
        };
        Compiled::Object(Object::Port(Port {
            workload: id.clone(),
            project: place.project.clone(),
            node: place.node.clone(),
            switch: place.switch,
            vlan: place.vlan,
            address: place.address,
            prefix: cidr.prefix_len(),
            mac: mac_of(place.address),
            groups: self.groups_of(id).into(),
            own_nat: matches!(egress, Some(EgressState::Ready(_))),
            denies: default_denies(self.settings).map(|rule| isolation_digest(place.switch, &rule)),
            labels: workload.labels.clone(),
            name: workload
                .origin
                .name
                .clone()
                .unwrap_or_else(|| id.to_string().into()),
        }))
    }

    fn workload_nat(&self, id: &WorkloadId) -> Compiled {
        let Some(workload) = self.index.workload(id) else {
            return Compiled::Absent;
        };
        let WorkloadEgress::Own(address) = &workload.egress else {
            return Compiled::Absent;
        };
        match self.egress_of(&workload.egress) {
            None | Some(EgressState::Refused) => Compiled::Absent,
            Some(EgressState::Pending) => Compiled::Waits(Wait::Egress),
            Some(EgressState::Ready(_)) => match self.choices.port(id) {
                None => Compiled::Waits(Wait::Place),
                Some(place) => Compiled::Object(Object::WorkloadNat(WorkloadNat {
                    workload: id.clone(),
                    project: place.project.clone(),
                    source: place.address,
                    address: address.clone(),
                })),
            },
        }
    }

    fn group_wanted(&self, group: &GroupId) -> bool {
        self.index.group_used(group) || *group == GroupId::new(HELD_GROUP)
    }

    fn union(&self, policy: &PolicyId) -> Compiled {
        match self.index.policy(policy) {
            Some(entry) if matches!(entry.policy.applied_to, AppliedTo::Groups(_)) => {
                let name = entry.policy.name.clone();
                Compiled::Object(Object::Union(Union {
                    policy: policy.clone(),
                    name,
                }))
            }
            _ => Compiled::Absent,
        }
    }

    fn section(&self, key: &SectionKey) -> Compiled {
        let section = |tier, name: Arc<str>, applied_to, logs| {
            Compiled::Object(Object::Section(Section {
                key: key.clone(),
                tier,
                name,
                applied_to,
                logs,
            }))
        };
        match key {
            SectionKey::Platform(PlatformSection::Hold) => {
                let held = Applied::Group(GroupId::new(HELD_GROUP));
                section(Tier::Hold, "egress held back".into(), held, false)
            }
            SectionKey::Platform(PlatformSection::Allow) => {
                section(Tier::Allow, "platform".into(), Applied::Cluster, false)
            }
            SectionKey::Isolation(p) if self.isolation_wanted(p) => {
                section(Tier::Default, self.project_name(p), Applied::PerRule, false)
            }
            SectionKey::Isolation(_) => Compiled::Absent,
            SectionKey::Policy(id) => match self.index.policy(id) {
                None => Compiled::Absent,
                Some(PolicyEntry { policy, .. }) => {
                    let applied = match &policy.applied_to {
                        AppliedTo::Group(group) => Applied::Group(group.clone()),
                        AppliedTo::Groups(_) => Applied::Union(id.clone()),
                    };
                    let logs = policy.rules.iter().any(|r| r.log);
                    section(policy.tier, policy.name.clone(), applied, logs)
                }
            },
        }
    }

    fn rule(&self, section: &SectionKey, digest: Digest) -> Compiled {
        let found = match section {
            SectionKey::Platform(which) => platform_rules(*which, self.settings)
                .into_iter()
                .find(|r| r.digest() == digest)
                .map(|rule| (Arc::new(rule), Applied::PerRule)),
            SectionKey::Isolation(p) => self
                .isolation_rule(p, digest)
                .map(|(rule, at)| (Arc::new(rule), at)),
            SectionKey::Policy(id) => self
                .index
                .policy(id)
                .and_then(|e| e.rule(digest))
                .map(|rule| (rule.clone(), Applied::PerRule)),
        };
        match found {
            None => Compiled::Absent,
            Some((rule, applied_to)) => Compiled::Object(Object::Rule(SectionRule {
                section: section.clone(),
                digest,
                rule,
                applied_to,
            })),
        }
    }

    /// Default denies outlive everything else of a project, up to its last port.
    fn isolation_wanted(&self, project: &ProjectId) -> bool {
        let in_use = |c: &ProjectChoice| c.subnets().any(|(_, s)| s.in_use());
        self.project_wanted(project) || self.choices.project(project).is_some_and(in_use)
    }

    fn isolation_rule(&self, project: &ProjectId, digest: Digest) -> Option<(Rule, Applied)> {
        let choice = self.choices.project(project)?;
        choice
            .subnets()
            .filter(|(n, s)| s.in_use() || (s.cidr().is_some() && self.subnet_wanted(project, *n)))
            .find_map(|(n, _)| {
                let mut rules = default_denies(self.settings).into_iter();
                let rule = rules.find(|rule| isolation_digest(n, rule) == digest)?;
                Some((rule, Applied::Switch(project.clone(), n)))
            })
    }
}

/// The address that a project with this egress is translated to.
pub fn project_address(project: &ProjectId, egress: &ProjectEgress) -> Option<EgressAddress> {
    let pool = match egress {
        ProjectEgress::Routed => return None,
        ProjectEgress::Translated => None,
        ProjectEgress::Pool(pool) => Some(pool.clone()),
    };
    let owner = EgressOwner::Project(project.clone());
    Some(EgressAddress { owner, pool })
}

/// What a switch refuses that nothing above admitted: both directions, both families.
pub fn default_denies(settings: &Settings) -> [Rule; 2] {
    [Direction::In, Direction::Out].map(|direction| Rule {
        direction,
        peers: Peers::Any,
        services: Vec::new(),
        action: settings.deny,
        log: settings.log_dropped,
    })
}

/// The key of a default deny: its meaning and its switch's index.
pub fn isolation_digest(index: u16, rule: &Rule) -> Digest {
    digest::of(&(index, rule))
}

/// The platform's own rules.
pub fn platform_rules(section: PlatformSection, settings: &Settings) -> Vec<Rule> {
    let rule = |direction, peers, services, action| Rule {
        direction,
        peers,
        services,
        action,
        log: false,
    };
    match section {
        PlatformSection::Hold => vec![rule(Direction::Out, Peers::Outside, Vec::new(), Action::Drop)],
        PlatformSection::Allow => {
            let mut rules = vec![rule(Direction::Out, Peers::Containers, Vec::new(), Action::Allow)];
            if !settings.platform_sources.is_empty() {
                let sources = Peers::Cidrs(settings.platform_sources.clone());
                rules.push(rule(
                    Direction::In,
                    sources,
                    vec![Service::Tcp(Vec::new())],
                    Action::Allow,
                ));
            }
            rules
        }
    }
}

/// Every key that is wanted now, from scratch: what an incremental history must have led to.
pub fn keys_from_scratch(cx: Context<'_>, members_are_rows: bool) -> BTreeSet<ObjectKey> {
    let mut keys = Vec::new();
    push_all_keys(cx, members_are_rows, &mut keys);
    keys.into_iter().collect()
}

/// Pushes every key that is wanted now; some more than once, in no order.
pub(crate) fn push_all_keys(cx: Context<'_>, members_are_rows: bool, keys: &mut Vec<ObjectKey>) {
    for which in [PlatformSection::Hold, PlatformSection::Allow] {
        let section = SectionKey::Platform(which);
        keys.extend(
            platform_rules(which, cx.settings)
                .iter()
                .map(|r| ObjectKey::Rule(section.clone(), r.digest())),
        );
        keys.push(ObjectKey::Section(section));
    }
    keys.push(ObjectKey::Group(GroupId::new(HELD_GROUP)));
    for (project, choice) in cx.choices.projects() {
        keys.extend(project_keys(project, choice.subnets().map(|(n, _)| n), cx));
    }
    for w in cx.index.workloads() {
        keys.push(ObjectKey::Port(w.id.clone()));
        if w.egress != WorkloadEgress::Project {
            keys.push(ObjectKey::WorkloadNat(w.id.clone()));
        }
        if members_are_rows {
            keys.extend(
                cx.groups_of(&w.id)
                    .iter()
                    .map(|g| ObjectKey::Member(g.clone(), w.id.clone())),
            );
        }
    }
    let derived = cx.index.derived();
    keys.extend(derived.nodes().cloned().map(ObjectKey::Node));
    keys.extend(
        derived
            .egress_addresses()
            .chain(cx.choices.egress_lingering())
            .cloned()
            .map(ObjectKey::address),
    );
    keys.extend(derived.pools().cloned().map(ObjectKey::Pool));
    keys.extend(
        cx.choices
            .egress_lingering()
            .filter_map(|a| a.pool.clone())
            .map(ObjectKey::Pool),
    );
    keys.extend(derived.groups().cloned().map(ObjectKey::Group));
    for entry in cx.index.policies() {
        let id = &entry.policy.id;
        let section = SectionKey::Policy(id.clone());
        if let AppliedTo::Groups(groups) = &entry.policy.applied_to {
            keys.push(ObjectKey::Union(id.clone()));
            let member = |g: &GroupId| ObjectKey::UnionMember(id.clone(), g.clone());
            keys.extend(groups.iter().map(member));
        }
        keys.extend(entry.digests().map(|d| ObjectKey::Rule(section.clone(), d)));
        keys.push(ObjectKey::Section(section));
    }
}

/// The keys that depend on one project and its subnets.
pub fn project_keys(
    project: &ProjectId,
    subnets: impl Iterator<Item = u16>,
    cx: Context<'_>,
) -> Vec<ObjectKey> {
    let isolation = SectionKey::Isolation(project.clone());
    let mut keys = vec![
        ObjectKey::Router(project.clone()),
        ObjectKey::Section(isolation.clone()),
    ];
    for n in subnets {
        keys.push(ObjectKey::Subnet(project.clone(), n));
        keys.push(ObjectKey::Switch(project.clone(), n));
        keys.push(ObjectKey::SubnetNat(project.clone(), n));
        let denies = default_denies(cx.settings);
        keys.extend(
            denies
                .iter()
                .map(|r| ObjectKey::Rule(isolation.clone(), isolation_digest(n, r))),
        );
    }
    keys.extend(cx.project_address(project).map(ObjectKey::address));
    keys
}
