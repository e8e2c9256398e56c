//! The verdict by the intents alone.
//!
//! Written from the platform's documents ("Restricting app container egress traffic", "Container-to-
//! container networking"), not from the compiler: it walks policies, never sections.
//!
//! | outward, at the source | inward, at the destination |
//! | --- | --- |
//! | egress refused: outside is held back | |
//! | to container blocks: allow, decided at the destination | from platform sources: allow all TCP |
//! | outward policies of its groups | inward policies of its groups |
//! | deny | deny |

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::{Decider, Decision, End, Fit, Flow, Heard, Judge, Side};
use crate::id::{GroupId, ProjectId, WorkloadId};
use crate::intent::{Action, Direction, Fact, Peers, Policy, Rule, Tier, Workload};
use crate::net::{CidrSet, Service};
use crate::topology::{PlatformSection, SectionKey};

/// What the operator has configured that bears on verdicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformRules {
    /// Where containers' addresses come from, every cluster's.
    pub container_blocks: CidrSet,
    /// The platform's routers, TCP routers and ssh proxies, which dial containers.
    pub platform_sources: CidrSet,
    /// How denied flows are denied: [`Action::Drop`] or [`Action::Reject`].
    pub deny: Action,
}

/// Judges by the intents.
#[derive(Clone, Debug)]
pub struct Oracle {
    platform: PlatformRules,
    workloads: BTreeMap<WorkloadId, Workload>,
    policies: Vec<Policy>,
    applied: BTreeMap<GroupId, Vec<usize>>,
    held: BTreeSet<WorkloadId>,
    addresses: BTreeMap<WorkloadId, Ipv4Addr>,
    owners: BTreeMap<Ipv4Addr, WorkloadId>,
}

impl Oracle {
    /// The oracle of these facts. A fact said twice counts as said last.
    pub fn new(facts: Vec<Fact>, platform: PlatformRules) -> Oracle {
        let mut workloads = BTreeMap::new();
        let mut policies = BTreeMap::new();
        for fact in facts {
            match fact {
                Fact::Workload(w) => drop(workloads.insert(w.id.clone(), w)),
                Fact::Policy(p) => drop(policies.insert(p.id.clone(), p)),
                Fact::Node(_) | Fact::Project(_) => {}
            }
        }
        let policies: Vec<Policy> = policies.into_values().collect();
        let mut applied: BTreeMap<GroupId, Vec<usize>> = BTreeMap::new();
        for (index, policy) in policies.iter().enumerate() {
            for group in policy.applied_to.groups() {
                applied.entry(group.clone()).or_default().push(index);
            }
        }
        Oracle {
            platform,
            workloads,
            policies,
            applied,
            held: BTreeSet::new(),
            addresses: BTreeMap::new(),
            owners: BTreeMap::new(),
        }
    }

    /// Says that this workload's own egress is refused, which the intents alone don't show.
    pub fn hold(&mut self, workload: WorkloadId) {
        self.held.insert(workload);
    }

    /// Says which address was chosen for a workload: it matters where a rule names addresses of
    /// containers, and lets a flow name the container by its address.
    pub fn place(&mut self, workload: WorkloadId, address: Ipv4Addr) {
        self.owners.insert(address, workload.clone());
        self.addresses.insert(workload, address);
    }

    /// The workloads known.
    pub fn workloads(&self) -> impl Iterator<Item = &WorkloadId> {
        self.workloads.keys()
    }

    /// Who this end is.
    fn resolve<'a>(&'a self, end: &'a End) -> Peer<'a> {
        match end {
            End::Workload(id) => Peer {
                workload: Some(id),
                address: self.addresses.get(id).map(|a| IpAddr::V4(*a)),
            },
            End::Address(address) => Peer {
                workload: match address {
                    IpAddr::V4(v4) => self.owners.get(v4).filter(|id| self.workloads.contains_key(*id)),
                    IpAddr::V6(_) => None,
                },
                address: Some(*address),
            },
        }
    }

    fn is_container(&self, peer: &Peer<'_>) -> bool {
        let known = peer.workload.is_some_and(|id| self.workloads.contains_key(id));
        known || peer.within(&self.platform.container_blocks)
    }

    fn is_peer(&self, peers: &Peers, other: &Peer<'_>) -> bool {
        match peers {
            Peers::Any => true,
            Peers::Containers => self.is_container(other),
            Peers::Outside => !self.is_container(other),
            Peers::Cidrs(cidrs) => other.within(cidrs),
            Peers::Groups(groups) => other
                .workload
                .and_then(|id| self.workloads.get(id))
                .is_some_and(|w| w.groups.iter().any(|g| groups.contains(g))),
        }
    }

    /// What the platform itself lays down for a workload, from the top.
    fn own_rules(&self, workload: &Workload, side: Side) -> Vec<(Tier, SectionKey, Rule)> {
        let rule = |peers, services, action| Rule {
            direction: side.direction(),
            peers,
            services,
            action,
            log: false,
        };
        let platform = SectionKey::Platform;
        let deny = self.platform.deny;
        let mut rules = Vec::new();
        if side == Side::Source && self.held.contains(&workload.id) {
            let hold = rule(Peers::Outside, vec![], deny);
            rules.push((Tier::Hold, platform(PlatformSection::Hold), hold));
        }
        let allow = match side {
            Side::Source => rule(Peers::Containers, vec![], Action::Allow),
            Side::Destination => rule(
                Peers::Cidrs(self.platform.platform_sources.clone()),
                vec![Service::Tcp(vec![])],
                Action::Allow,
            ),
        };
        rules.push((Tier::Allow, platform(PlatformSection::Allow), allow));
        let isolation = SectionKey::Isolation(workload.project.clone());
        rules.push((Tier::Default, isolation, rule(Peers::Any, vec![], deny)));
        rules
    }

    /// The policies applied to a workload, each once.
    fn policies_of(&self, workload: &Workload) -> impl Iterator<Item = &Policy> {
        let indexes: BTreeSet<usize> = workload
            .groups
            .iter()
            .filter_map(|group| self.applied.get(group))
            .flatten()
            .copied()
            .collect();
        indexes.into_iter().map(|index| &self.policies[index])
    }

    fn policy_rules(&self, workload: &Workload, direction: Direction) -> Vec<Heard> {
        let mut heard = Vec::new();
        for policy in self.policies_of(workload) {
            let logs = policy.rules.iter().any(|rule| rule.log);
            for rule in policy.rules.iter().filter(|rule| rule.direction == direction) {
                heard.push(Heard {
                    tier: policy.tier,
                    logs,
                    by: Decider {
                        section: SectionKey::Policy(policy.id.clone()),
                        name: policy.name.clone(),
                        origin: Some(policy.origin.clone()),
                        rule: Arc::new(rule.clone()),
                    },
                    fit: Fit::OtherPeer,
                });
            }
        }
        heard
    }
}

impl Judge for Oracle {
    fn heard(&self, flow: &Flow, side: Side) -> Result<Vec<Heard>, Decision> {
        let Some(id) = self.resolve(flow.end(side)).workload else {
            return Err(Decision::Outside);
        };
        let workload = self.workloads.get(id).ok_or(Decision::NoPort)?;
        let mut heard = self.policy_rules(workload, side.direction());
        for (tier, section, rule) in self.own_rules(workload, side) {
            heard.push(Heard {
                tier,
                logs: false,
                by: Decider {
                    name: own_name(&section, &workload.project),
                    section,
                    origin: None,
                    rule: Arc::new(rule),
                },
                fit: Fit::OtherPeer,
            });
        }
        let other = self.resolve(flow.end(side.other()));
        for h in &mut heard {
            let rule = &h.by.rule;
            h.fit = Fit::of(
                self.is_peer(&rule.peers, &other),
                flow.packet.is_any(&rule.services),
            );
        }
        Ok(heard)
    }
}

fn own_name(section: &SectionKey, project: &ProjectId) -> Arc<str> {
    match section {
        SectionKey::Platform(PlatformSection::Hold) => "egress refused, outside held back".into(),
        SectionKey::Platform(PlatformSection::Allow) => "the platform's own allows".into(),
        SectionKey::Policy(_) | SectionKey::Isolation(_) => format!("isolation of {project}").into(),
    }
}

/// The other end of a rule.
struct Peer<'a> {
    workload: Option<&'a WorkloadId>,
    address: Option<IpAddr>,
}

impl Peer<'_> {
    fn within(&self, cidrs: &CidrSet) -> bool {
        self.address
            .is_some_and(|a| cidrs.iter().any(|cidr| cidr.contains(a)))
    }
}
