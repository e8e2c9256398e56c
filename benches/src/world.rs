//! Worlds: a foundation of a given size, as facts. One generator, seeded; sizes skewed as in life: a
//! few large orgs, spaces and apps, many small ones; most security groups with a handful of rules.

use std::collections::BTreeSet;
use std::sync::Arc;

use ncp_core::event::{Event, Scope, ScopeKind};
use ncp_core::id::{GroupId, Name, NodeId, PolicyId, ProjectId, WorkloadId};
use ncp_core::intent::{
    Action, AppliedTo, Direction, Fact, Origin, Peers, Policy, Project, ProjectEgress, Rule, Tier, Workload,
    WorkloadEgress,
};
use ncp_core::net::{Cidr, PortRange, Service};

use crate::random::Random;

/// How large.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) cells: usize,
    pub(crate) orgs: usize,
    pub(crate) spaces: usize,
    pub(crate) apps: usize,
    pub(crate) instances: usize,
    pub(crate) security_groups: usize,
    pub(crate) policies: usize,
}

/// The foundation of the first figure.
pub(crate) const FOUNDATION: Size = Size {
    cells: 1_000,
    orgs: 900,
    spaces: 4_500,
    apps: 30_000,
    instances: 100_000,
    security_groups: 13_500,
    policies: 60_000,
};

/// A world: its facts, and what single changes are made of.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) projects: Vec<Project>,
    pub(crate) workloads: Vec<Workload>,
    pub(crate) policies: Vec<Policy>,
}

struct App {
    guid: String,
    org: usize,
    space: String,
}

pub(crate) fn scopes() -> [Scope; 3] {
    [
        Scope::new("capi", ScopeKind::Projects, ""),
        Scope::new("bbs", ScopeKind::Workloads, "cf-apps"),
        Scope::new("capi", ScopeKind::Policies, ""),
    ]
}

fn origin(kind: &str, id: &str) -> Origin {
    Origin {
        kind: kind.into(),
        id: Name::new(id),
        name: None,
    }
}

impl World {
    pub(crate) fn make(size: Size, seed: u64) -> World {
        let mut random = Random::new(seed);
        let orgs: Vec<String> = (0..size.orgs).map(|_| random.guid()).collect();
        let spaces: Vec<(usize, String)> = (0..size.spaces)
            .map(|_| (random.skewed(size.orgs), random.guid()))
            .collect();
        let apps: Vec<App> = (0..size.apps)
            .map(|_| {
                let (org, space) = &spaces[random.skewed(size.spaces)];
                App {
                    guid: random.guid(),
                    org: *org,
                    space: space.clone(),
                }
            })
            .collect();
        let workloads = workloads(&size, &orgs, &apps, &mut random);
        let mut policies = security_groups(&size, &spaces, &mut random);
        policies.extend(app_policies(&size, &apps, &mut random));
        let projects = orgs.iter().map(|guid| project(guid)).collect();
        World {
            projects,
            workloads,
            policies,
        }
    }

    /// The listings of all three scopes.
    pub(crate) fn events(&self) -> Vec<Event> {
        let [projects, workloads, policies] = scopes();
        let facts: [(Scope, Vec<Fact>); 3] = [
            (
                projects,
                self.projects.iter().cloned().map(Fact::Project).collect(),
            ),
            (
                workloads,
                self.workloads.iter().cloned().map(Fact::Workload).collect(),
            ),
            (
                policies,
                self.policies.iter().cloned().map(Fact::Policy).collect(),
            ),
        ];
        let mut events = Vec::new();
        for (scope, facts) in facts {
            events.push(Event::Begin {
                scope: scope.clone(),
                generation: 1,
            });
            events.extend(facts.into_iter().map(|fact| Event::Upsert {
                scope: scope.clone(),
                fact,
            }));
            events.push(Event::End { scope, generation: 1 });
        }
        events
    }
}

fn project(guid: &str) -> Project {
    Project {
        id: ProjectId::new(guid),
        name: guid[..8].into(),
        egress: ProjectEgress::Translated,
        eager: false,
        origin: origin("org", guid),
    }
}

fn groups(app: &App) -> Box<[GroupId]> {
    let mut groups = [
        GroupId::new(&format!("space:{}:running", app.space)),
        GroupId::new("global:running"),
        GroupId::new(&format!("app:{}", app.guid)),
    ];
    groups.sort();
    groups.into()
}

fn workloads(size: &Size, orgs: &[String], apps: &[App], random: &mut Random) -> Vec<Workload> {
    // Each app has one instance; the rest go where many are already.
    (0..size.instances)
        .map(|i| {
            let app = if i < apps.len() {
                i
            } else {
                random.skewed(apps.len())
            };
            workload(&apps[app], &orgs[apps[app].org], i % size.cells, random)
        })
        .collect()
}

pub(crate) fn labelled(app: &str) -> Arc<[(Arc<str>, Arc<str>)]> {
    [("ncp/app".into(), app.into())].into()
}

fn workload(app: &App, org: &str, cell: usize, random: &mut Random) -> Workload {
    let guid = random.guid();
    Workload {
        id: WorkloadId::new(&guid),
        project: ProjectId::new(org),
        node: NodeId::new(&format!("cell-{cell}")),
        groups: groups(app),
        egress: WorkloadEgress::Project,
        labels: labelled(&app.guid),
        origin: origin("app instance", &guid),
    }
}

fn security_groups(size: &Size, spaces: &[(usize, String)], random: &mut Random) -> Vec<Policy> {
    (0..size.security_groups)
        .map(|i| {
            let guid = random.guid();
            let bindings = 1 + random.skewed(8);
            let bound: BTreeSet<GroupId> = (0..bindings)
                .map(|_| {
                    GroupId::new(&format!(
                        "space:{}:running",
                        spaces[random.skewed(spaces.len())].1
                    ))
                })
                .collect();
            let rules = 1 + random.skewed(12);
            Policy {
                id: PolicyId::new(&format!("asg:{guid}")),
                name: format!("asg-{i}").into(),
                tier: Tier::Allow,
                applied_to: AppliedTo::Groups(Arc::new(bound)),
                rules: (0..rules).map(|_| egress_rule(random)).collect(),
                defects: [].into(),
                origin: origin("security group", &guid),
            }
        })
        .collect()
}

fn egress_rule(random: &mut Random) -> Rule {
    let net = std::net::Ipv4Addr::from(0x0a00_0000 | (random.next() as u32 & 0x00ff_ff00));
    let cidr = Cidr::net(ipnet::IpNet::V4(ipnet::Ipv4Net::new_assert(net, 24)));
    let port = PortRange::one(1 + random.below(60_000) as u16);
    Rule {
        direction: Direction::Out,
        peers: Peers::Cidrs(BTreeSet::from([cidr])),
        services: vec![Service::Tcp(vec![port])],
        action: Action::Allow,
        log: false,
    }
}

fn app_policies(size: &Size, apps: &[App], random: &mut Random) -> Vec<Policy> {
    let mut by_destination: Vec<BTreeSet<Rule>> = vec![BTreeSet::new(); apps.len()];
    let mut made = 0;
    while made < size.policies {
        let (from, to) = (random.below(apps.len()), random.skewed(apps.len()));
        if by_destination[to].insert(ingress_rule(&apps[from].guid, 8080 + random.below(20) as u16)) {
            made += 1;
        }
    }
    let named = by_destination
        .into_iter()
        .enumerate()
        .filter(|(_, rules)| !rules.is_empty());
    named
        .map(|(to, rules)| app_policy(&apps[to].guid, rules))
        .collect()
}

fn ingress_rule(from: &str, port: u16) -> Rule {
    Rule {
        direction: Direction::In,
        peers: Peers::Groups(BTreeSet::from([GroupId::new(&format!("app:{from}"))])),
        services: vec![Service::Tcp(vec![PortRange::one(port)])],
        action: Action::Allow,
        log: false,
    }
}

fn app_policy(app: &str, rules: BTreeSet<Rule>) -> Policy {
    Policy {
        id: PolicyId::new(&format!("c2c:{app}")),
        name: app.into(),
        tier: Tier::Allow,
        applied_to: AppliedTo::Group(GroupId::new(&format!("app:{app}"))),
        rules: rules.into_iter().collect(),
        defects: [].into(),
        origin: origin("app", app),
    }
}

/// 25,000 groups of four workloads with three policies each: the shape of Antrea's own benchmark of
/// its policy controller (`BenchmarkInitXLargeScaleWithSmallNamespaces`).
pub(crate) fn many_small_groups(groups: usize, workloads: usize, policies: usize, seed: u64) -> World {
    let mut random = Random::new(seed);
    let mut world = World {
        projects: Vec::new(),
        workloads: Vec::new(),
        policies: Vec::new(),
    };
    let org = random.guid();
    let orgs: Vec<String> = (0..groups / 100).map(|_| random.guid()).collect();
    for g in 0..groups {
        let app = App {
            guid: random.guid(),
            org: g % orgs.len(),
            space: org.clone(),
        };
        for i in 0..workloads {
            world.workloads.push(workload(
                &app,
                &orgs[app.org],
                (g * workloads + i) % 1000,
                &mut random,
            ));
        }
        for p in 0..policies {
            let rules = BTreeSet::from([ingress_rule(&app.guid, 8000 + p as u16)]);
            let mut policy = app_policy(&app.guid, rules);
            policy.id = PolicyId::new(&format!("c2c:{}:{p}", app.guid));
            world.policies.push(policy);
        }
    }
    world.projects = orgs.iter().map(|guid| project(guid)).collect();
    world
}
