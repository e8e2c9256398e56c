//! A small platform: who may exist, and what the adapter says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ncp_core::event::{Event, Scope, ScopeKind};
use ncp_core::id::{GroupId, Name, NodeId, PolicyId, PoolName, ProjectId, WorkloadId};
use ncp_core::intent::{
    Action, AppliedTo, Direction, EgressAddress, EgressOwner, Fact, FactKey, Node, Origin, Peers, Policy,
    Project, ProjectEgress, Rule, Tier, Workload, WorkloadEgress,
};
use ncp_core::net::{Cidr, CidrSet, PortRange, Service};
use proptest::prelude::*;

pub(crate) const PROJECTS: u8 = 3;
pub(crate) const NODES: u8 = 2;
pub(crate) const GROUPS: u8 = 4;
pub(crate) const WORKLOADS: u8 = 10;
pub(crate) const POLICIES: u8 = 4;

pub(crate) fn origin(kind: &str, id: &str) -> Origin {
    Origin {
        kind: kind.into(),
        id: Name::new(id),
        name: Some(id.into()),
    }
}

pub(crate) fn project_id(n: u8) -> ProjectId {
    ProjectId::new(&format!("p{}", n % PROJECTS))
}

pub(crate) fn node_id(n: u8) -> NodeId {
    NodeId::new(&format!("n{}", n % NODES))
}

pub(crate) fn group_id(n: u8) -> GroupId {
    GroupId::new(&format!("g{}", n % GROUPS))
}

pub(crate) fn workload_id(n: u8) -> WorkloadId {
    WorkloadId::new(&format!("w{}", n % WORKLOADS))
}

pub(crate) fn node(n: u8) -> Fact {
    let id = node_id(n);
    let origin = origin("cell", &id.to_string());
    Fact::Node(Node { id, origin })
}

pub(crate) fn project(n: u8, egress: ProjectEgress) -> Fact {
    let id = project_id(n);
    let origin = origin("org", &id.to_string());
    Fact::Project(Project {
        name: format!("org {id}").into(),
        id,
        egress,
        eager: false,
        origin,
    })
}

/// A workload; what it needs follows from its number, as it stays the same for a container's life.
pub(crate) fn workload(n: u8) -> Workload {
    let n = n % WORKLOADS;
    let id = workload_id(n);
    let groups: BTreeSet<GroupId> = [group_id(n), group_id(n / 3)].into();
    Workload {
        origin: origin("instance", &id.to_string()),
        id,
        project: project_id(n / 4),
        node: node_id(n),
        groups: groups.into_iter().collect(),
        egress: match n {
            3 => own_egress(n, Some("pool-a")),
            5 => own_egress(n, Some("pool-b")),
            6 => own_egress(n, None),
            _ => WorkloadEgress::Project,
        },
        labels: Arc::from([]),
    }
}

fn own_egress(n: u8, pool: Option<&str>) -> WorkloadEgress {
    WorkloadEgress::Own(EgressAddress {
        owner: EgressOwner::Group(project_id(n / 4), group_id(n)),
        pool: pool.map(PoolName::new),
    })
}

/// A policy; its tier and the kind of what it is applied to follow from its number.
pub(crate) fn policy(n: u8, groups: u8, rules: &[RuleSeed]) -> Fact {
    let n = n % POLICIES;
    let id = PolicyId::new(&format!("policy-{n}"));
    let applied: BTreeSet<GroupId> = (0..GROUPS)
        .filter(|g| groups & (1 << g) != 0)
        .map(group_id)
        .collect();
    let applied_to = match n {
        0 | 1 => AppliedTo::Groups(Arc::new(applied)),
        _ => AppliedTo::Group(group_id(groups)),
    };
    let tier = if n == 3 { Tier::Baseline } else { Tier::Allow };
    Fact::Policy(Policy {
        name: format!("policy {n}").into(),
        origin: origin("policy", &id.to_string()),
        id,
        tier,
        applied_to,
        rules: rules.iter().map(RuleSeed::rule).collect(),
        defects: Arc::from([]),
    })
}

/// From which a rule follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RuleSeed(pub(crate) u8);

impl RuleSeed {
    fn rule(&self) -> Rule {
        let n = self.0;
        let outside = CidrSet::from([Cidr::net("192.168.0.0/24".parse().unwrap())]);
        Rule {
            direction: if n & 1 == 0 { Direction::In } else { Direction::Out },
            peers: match (n >> 1) % 5 {
                0 => Peers::Any,
                1 => Peers::Cidrs(outside),
                2 => Peers::Containers,
                _ => Peers::Groups([group_id(n >> 4), group_id(n >> 6)].into()),
            },
            services: match (n >> 4) % 3 {
                0 => vec![],
                1 => vec![Service::Tcp(vec![PortRange::one(80)])],
                _ => vec![Service::Udp(vec![])],
            },
            action: Action::Allow,
            log: n > 240,
        }
    }
}

pub(crate) fn scopes() -> Vec<Scope> {
    vec![
        Scope::new("bbs", ScopeKind::Nodes, ""),
        Scope::new("capi", ScopeKind::Projects, ""),
        Scope::new("bbs", ScopeKind::Workloads, "apps"),
        Scope::new("bbs", ScopeKind::Workloads, "tasks"),
        Scope::new("capi", ScopeKind::Policies, ""),
    ]
}

/// The scope that says a fact.
pub(crate) fn scope_of(key: &FactKey) -> usize {
    match key {
        FactKey::Node(_) => 0,
        FactKey::Project(_) => 1,
        FactKey::Workload(w) if *w < workload_id(7) => 2,
        FactKey::Workload(_) => 3,
        FactKey::Policy(_) => 4,
    }
}

/// What is true of the platform, and the listings given of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Platform {
    pub(crate) facts: BTreeMap<FactKey, Fact>,
    generation: u64,
}

impl Platform {
    /// Something is so; the event that says it.
    pub(crate) fn say(&mut self, fact: Fact) -> Event {
        let key = fact.key();
        let scope = scopes()[scope_of(&key)].clone();
        self.facts.insert(key, fact.clone());
        Event::Upsert { scope, fact }
    }

    /// Something is no longer so.
    pub(crate) fn unsay(&mut self, key: FactKey) -> Event {
        let scope = scopes()[scope_of(&key)].clone();
        self.facts.remove(&key);
        Event::Remove { scope, key }
    }

    /// A listing of one scope.
    pub(crate) fn list(&mut self, scope: usize) -> Vec<Event> {
        self.generation += 1;
        let generation = self.generation;
        let name = || scopes()[scope].clone();
        let mut events = vec![Event::Begin {
            scope: name(),
            generation,
        }];
        let facts = self.facts.iter().filter(|(k, _)| scope_of(k) == scope);
        events.extend(facts.map(|(_, fact)| Event::Upsert {
            scope: name(),
            fact: fact.clone(),
        }));
        events.push(Event::End {
            scope: name(),
            generation,
        });
        events
    }

    pub(crate) fn list_all(&mut self) -> Vec<Event> {
        (0..scopes().len()).flat_map(|s| self.list(s)).collect()
    }
}

/// A change of the platform.
#[derive(Clone)]
pub(crate) enum Change {
    Say(Fact),
    Unsay(FactKey),
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Change::Say(Fact::Policy(p)) => write!(f, "Say({:?} {:?} {:?})", p.id, p.applied_to, p.rules),
            Change::Say(Fact::Project(p)) => write!(f, "Say({:?} {:?})", p.id, p.egress),
            Change::Say(fact) => write!(f, "Say({:?})", fact.key()),
            Change::Unsay(key) => write!(f, "Unsay({key:?})"),
        }
    }
}

pub(crate) fn some_rules() -> impl Strategy<Value = Vec<RuleSeed>> {
    proptest::collection::vec(any::<u8>().prop_map(RuleSeed), 0..4)
}

pub(crate) fn some_egress() -> impl Strategy<Value = ProjectEgress> {
    prop_oneof![
        4 => Just(ProjectEgress::Translated),
        1 => Just(ProjectEgress::Routed),
        1 => Just(ProjectEgress::Pool(PoolName::new("pool-a"))),
        1 => Just(ProjectEgress::Pool(PoolName::new("pool-c"))),
    ]
}

pub(crate) fn some_fact() -> impl Strategy<Value = Fact> {
    prop_oneof![
        1 => (0..NODES).prop_map(node),
        2 => ((0..PROJECTS), some_egress()).prop_map(|(n, e)| project(n, e)),
        6 => (0..WORKLOADS).prop_map(|n| Fact::Workload(workload(n))),
        4 => ((0..POLICIES), any::<u8>(), some_rules()).prop_map(|(n, g, r)| policy(n, g, &r)),
    ]
}

pub(crate) fn some_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => some_fact().prop_map(Change::Say),
        2 => some_fact().prop_map(|f| Change::Unsay(f.key())),
    ]
}
