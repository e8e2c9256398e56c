//! From topology objects to rows.

use std::borrow::Cow;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use ncp_core::code::Code;
use ncp_core::compile::HELD_GROUP;
use ncp_core::dialect::{Failure, RowKey};
use ncp_core::digest::Digest;
use ncp_core::id::{GroupId, ProjectId};
use ncp_core::intent::{EgressAddress, EgressOwner, Peers, Rule, Tier};
use ncp_core::net::{Cidr, Service};
use ncp_core::topology::{
    Applied, Object, ObjectKey, PlatformSection, Port, Section, SectionKey, SectionRule, SubnetNat, Switch,
    WorkloadNat,
};
use ncp_core::verdict::{RuleLimits, fits, split};

use super::body::{Apart, Body, PeerSet, RuleBody, Target, Translated};
use super::names::Environment;
use super::part::Part;
use super::tags::is_structural;

pub(super) type Key = RowKey<Part>;
pub(super) type Wanted = Body<Key>;

/// NAT priorities: the lower wins, so a workload's own comes before its project's (R-SNAT-34).
/// What passes untranslated comes before both.
const UNTRANSLATED_PRIORITY: u32 = 256;
const WORKLOAD_PRIORITY: u32 = 512;
const PROJECT_PRIORITY: u32 = 1024;

pub(super) fn key(object: ObjectKey, part: Part) -> Key {
    RowKey::new(object, part)
}

fn platform(part: Part) -> Key {
    key(
        ObjectKey::Section(SectionKey::Platform(PlatformSection::Allow)),
        part,
    )
}

fn router(project: &ProjectId, part: Part) -> Key {
    key(ObjectKey::Router(project.clone()), part)
}

fn switch(project: &ProjectId, index: u16, part: Part) -> Key {
    key(ObjectKey::Switch(project.clone(), index), part)
}

fn group(group: &GroupId) -> Key {
    key(ObjectKey::Group(group.clone()), Part::Group)
}

fn section(of: &SectionKey) -> Key {
    key(ObjectKey::Section(of.clone()), Part::Section)
}

fn claimed(address: &EgressAddress) -> Translated<Key> {
    Translated::Claim {
        claim: key(ObjectKey::address(address.clone()), Part::Claim),
        address: None,
    }
}

/// The key of the spoof-guard profile that every container's port uses.
pub(super) fn spoof_guard() -> Key {
    platform(Part::SpoofGuard)
}

impl Environment {
    pub(super) fn render(&self, object: &Object) -> Result<Vec<(Part, Wanted)>, Failure> {
        Ok(match object {
            Object::Router(x) => self.router_rows(&x.project, &x.name),
            Object::Subnet(x) => {
                vec![(
                    Part::IpSubnet,
                    Body::IpSubnet {
                        routed: x.routed,
                        project: x.project.clone(),
                    },
                )]
            }
            Object::Switch(x) => self.switch_rows(x),
            Object::Node(_) => vec![(Part::Parent, Body::Found)],
            Object::Pool(_) => vec![(Part::Pool, Body::Found)],
            Object::Port(x) => vec![(Part::Port, self.port(x)?)],
            Object::Address(x) => vec![(Part::Claim, claim_body(x))],
            Object::SubnetNat(x) => self.subnet_nat(x),
            Object::WorkloadNat(x) => vec![(Part::Nat, self.workload_nat(x))],
            Object::Group(x) => {
                vec![(
                    Part::Group,
                    Body::Group {
                        name: self.name(x),
                        group: x.clone(),
                    },
                )]
            }
            Object::Member(..) => Vec::new(),
            Object::Union(x) => {
                vec![(
                    Part::Group,
                    Body::Union {
                        name: self.name(format_args!("{}-{}", x.policy, x.name)),
                    },
                )]
            }
            Object::UnionMember(policy, member) => {
                let union = key(ObjectKey::Union(policy.clone()), Part::Group);
                vec![(
                    Part::Member,
                    Body::Member {
                        group: union,
                        member: group(member),
                    },
                )]
            }
            Object::Section(x) => self.section_rows(x),
            Object::Rule(x) => self.rule_rows(x)?,
        })
    }

    fn router_rows(&self, project: &ProjectId, name: &str) -> Vec<(Part, Wanted)> {
        let name: Arc<str> = self.name(name);
        let own = router(project, Part::Router);
        vec![
            (
                Part::Router,
                Body::Router {
                    name: name.clone(),
                    project: project.clone(),
                },
            ),
            (Part::LinkTier0, Body::LinkTier0 { name: name.clone() }),
            (
                Part::LinkTier1,
                Body::LinkTier1 {
                    name,
                    router: own.clone(),
                    peer: router(project, Part::LinkTier0),
                },
            ),
            (Part::Advertisement, Body::Advertisement { router: own }),
        ]
    }

    fn switch_rows(&self, x: &Switch) -> Vec<(Part, Wanted)> {
        let name: Arc<str> = self.name(format_args!("{}-{}", x.name, x.index));
        let own = |part| switch(&x.project, x.index, part);
        vec![
            (
                Part::Switch,
                Body::Switch {
                    name: name.clone(),
                    project: x.project.clone(),
                },
            ),
            (
                Part::GatewayPort,
                Body::GatewayPort {
                    name: name.clone(),
                    switch: own(Part::Switch),
                },
            ),
            (
                Part::Downlink,
                Body::Downlink {
                    name,
                    router: router(&x.project, Part::Router),
                    port: own(Part::GatewayPort),
                    subnet: key(ObjectKey::Subnet(x.project.clone(), x.index), Part::IpSubnet),
                    cidr: x.cidr,
                },
            ),
        ]
    }

    fn port(&self, x: &Port) -> Result<Wanted, Failure> {
        // Marks, project, and one tag a group come first; labels are cut to what is left.
        let room = self.limits.tags.saturating_sub(4 + x.groups.len());
        if x.groups.len() + 4 > self.limits.tags {
            let message = format!(
                "{} is in {} groups, more than a port has tags for",
                x.workload,
                x.groups.len()
            );
            return Err(Failure::new(Code::InvalidNsxTag, message));
        }
        let mut labels: Vec<_> = x
            .labels
            .iter()
            .filter(|(k, v)| !v.is_empty() && !is_structural(k))
            .map(|(k, v)| self.label(k, v))
            .collect();
        labels.truncate(room);
        labels.sort();
        labels.dedup();
        let mut groups = x.groups.clone();
        groups.sort();
        Ok(Body::Port {
            name: self.name(&x.name),
            switch: switch(&x.project, x.switch, Part::Switch),
            parent: key(ObjectKey::Node(x.node.clone()), Part::Parent),
            profile: spoof_guard(),
            vlan: x.vlan,
            address: x.address,
            mac: x.mac,
            app: x.workload.0.clone(),
            project: x.project.clone(),
            groups,
            labels: labels.into(),
            after: Apart(port_guards(x)),
        })
    }

    fn subnet_nat(&self, x: &SubnetNat) -> Vec<(Part, Wanted)> {
        let name: Arc<str> = self.name(format_args!("{}-{}", x.project, x.index));
        let rule = |priority, destination, translated| Body::Nat {
            name: name.clone(),
            priority,
            source: x.source,
            destination,
            translated,
        };
        let mut rows = vec![(Part::Nat, rule(PROJECT_PRIORITY, None, claimed(&x.address)))];
        for (i, range) in self.no_masquerade.iter().take(usize::from(u8::MAX)).enumerate() {
            let pass = rule(UNTRANSLATED_PRIORITY, Some(*range), Translated::Untranslated);
            rows.push((Part::NoNat(i as u8), pass));
        }
        rows
    }

    fn workload_nat(&self, x: &WorkloadNat) -> Wanted {
        Body::Nat {
            name: self.name(&x.workload),
            priority: WORKLOAD_PRIORITY,
            source: Ipv4Net::from(x.source),
            destination: None,
            translated: claimed(&x.address),
        }
    }

    fn section_rows(&self, x: &Section) -> Vec<(Part, Wanted)> {
        let applied_to = applied(&x.applied_to);
        let body = Body::Section {
            name: self.name(format_args!("{}-{}", tier_name(x.tier), x.name)),
            tier: x.tier,
            logs: x.logs,
            anchor: Apart(anchor(x)),
            applied_to,
        };
        let mut rows = vec![(Part::Section, body)];
        if x.key == SectionKey::Platform(PlatformSection::Allow) {
            // What every container needs hangs on the section that every cluster has.
            rows.push((
                Part::ClusterGroup,
                Body::ClusterGroup {
                    name: self.name("containers"),
                },
            ));
            rows.push((
                Part::SpoofGuard,
                Body::SpoofGuard {
                    name: self.name("spoof-guard"),
                },
            ));
        }
        rows
    }

    fn rule_rows(&self, x: &SectionRule) -> Result<Vec<(Part, Wanted)>, Failure> {
        let limits = RuleLimits {
            peers: self.limits.references,
            services: self.limits.references,
            ports: self.limits.ports,
        };
        // Containers have IPv4 addresses alone, so what only IPv6 could match is nothing; a deny
        // covers both families.
        let Some(rule) = ipv4_only(&x.rule) else {
            return Ok(Vec::new());
        };
        let parts = match fits(&rule, limits) {
            true => vec![rule],
            false => split(&rule, limits).into_iter().map(Cow::Owned).collect(),
        };
        if parts.len() > usize::from(u8::MAX) {
            let message = format!(
                "rule {} takes {} NSX rules; write it as fewer",
                x.digest,
                parts.len()
            );
            return Err(Failure::new(Code::FirewallCreationFailed, message));
        }
        let body = |rule: &Rule| {
            Body::Rule(RuleBody {
                section: section(&x.section),
                direction: rule.direction,
                peers: self.peers(&rule.peers),
                services: rule.services.clone(),
                action: rule.action,
                log: rule.log,
                applied_to: applied(&x.applied_to),
            })
        };
        let bodies = parts.iter().enumerate();
        Ok(bodies
            .map(|(i, rule)| (Part::Rule(i as u8), body(rule)))
            // Written down, an empty list would mean everything.
            .filter(|(_, body)| !matches!(body, Body::Rule(r) if r.peers == PeerSet::Of(Vec::new())))
            .collect())
    }

    fn peers(&self, peers: &Peers) -> PeerSet<Key> {
        let networks = || {
            self.container_networks()
                .into_iter()
                .map(|net| Target::Address(net.to_string().into()))
                .collect()
        };
        match peers {
            Peers::Any => PeerSet::Any,
            Peers::Groups(groups) => PeerSet::Of(groups.iter().map(|g| Target::Group(group(g))).collect()),
            Peers::Cidrs(cidrs) => PeerSet::Of(
                cidrs
                    .iter()
                    .map(|c| Target::Address(c.to_string().into()))
                    .collect(),
            ),
            Peers::Containers => PeerSet::Of(networks()),
            Peers::Outside => PeerSet::NoneOf(networks()),
        }
    }
}

/// What must stand before a container's port without being named by it.
fn port_guards(x: &Port) -> Vec<Key> {
    let isolation = SectionKey::Isolation(x.project.clone());
    let rule = |d: &Digest| key(ObjectKey::Rule(isolation.clone(), *d), Part::Rule(0));
    let mut guards: Vec<Key> = x.denies.iter().map(rule).collect();
    if x.own_nat {
        guards.push(key(ObjectKey::WorkloadNat(x.workload.clone()), Part::Nat));
    }
    if x.groups.contains(&GroupId::new(HELD_GROUP)) {
        let hold = SectionKey::Platform(PlatformSection::Hold);
        guards.push(key(ObjectKey::Section(hold), Part::Section));
    }
    guards
}

fn claim_body(address: &EgressAddress) -> Wanted {
    let pool = address
        .pool
        .as_ref()
        .map(|p| key(ObjectKey::Pool(p.clone()), Part::Pool));
    let (EgressOwner::Project(project) | EgressOwner::Group(project, _)) = &address.owner;
    Body::Claim {
        pool,
        project: project.clone(),
    }
}

fn applied(to: &Applied) -> Vec<Target<Key>> {
    match to {
        Applied::PerRule => Vec::new(),
        Applied::Group(g) => vec![Target::Group(group(g))],
        Applied::Union(p) => vec![Target::Group(key(ObjectKey::Union(p.clone()), Part::Group))],
        Applied::Cluster => vec![Target::Group(platform(Part::ClusterGroup))],
        Applied::Switch(p, n) => vec![Target::Switch(switch(p, *n, Part::Switch))],
    }
}

/// After which of our sections a new one is put; those of the lowest tier go to the bottom marker.
fn anchor(x: &Section) -> Option<Key> {
    let hold = SectionKey::Platform(PlatformSection::Hold);
    match x.tier {
        Tier::Operator | Tier::Hold | Tier::Isolation | Tier::Baseline | Tier::Default => None,
        Tier::Allow if x.logs || x.key == SectionKey::Platform(PlatformSection::Allow) => {
            Some(section(&hold))
        }
        Tier::Allow => Some(platform(Part::Section)),
    }
}

fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Operator => "operator",
        Tier::Hold => "hold",
        Tier::Allow => "allow",
        Tier::Isolation => "is",
        Tier::Baseline => "base",
        Tier::Default => "deny",
    }
}

/// The rule without what only IPv6 could match; `None` if nothing is left.
fn ipv4_only(rule: &Rule) -> Option<Cow<'_, Rule>> {
    let other = |s: &Service| matches!(s, Service::Icmp6 { .. });
    let any4 = Cidr::Net(IpNet::V4(Ipv4Net::default()));
    let as_it_is = match &rule.peers {
        Peers::Cidrs(cidrs) => cidrs.iter().all(|c| c.is_ipv4() && *c != any4),
        _ => true,
    };
    if as_it_is && !rule.services.iter().any(other) {
        return Some(Cow::Borrowed(rule));
    }
    let mut rule = rule.clone();
    if let Peers::Cidrs(cidrs) = &mut rule.peers {
        cidrs.retain(Cidr::is_ipv4);
        if cidrs.is_empty() {
            return None;
        }
        if cidrs.contains(&any4) {
            rule.peers = Peers::Any;
        }
    }
    let had_services = !rule.services.is_empty();
    rule.services.retain(|s| !other(s));
    (!had_services || !rule.services.is_empty()).then_some(Cow::Owned(rule))
}
