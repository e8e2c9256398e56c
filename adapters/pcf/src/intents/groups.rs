//! Security groups: policies of outward allows.
//!
//! A group's rules apply to the running containers of the spaces it is bound to for running, to the
//! staging containers of those it is bound to for staging, and to all of either kind where it is a
//! global default. It never opens traffic between containers: its rules look outward only, and the
//! destination's own rules decide there (cf-networking-release, "Dynamic ASGs").

use std::collections::BTreeSet;
use std::sync::Arc;

use ncp_core::code::Code;
use ncp_core::id::{GroupId, PolicyId};
use ncp_core::intent::{Action, AppliedTo, Defect, Direction, Peers, Policy, Rule, Tier};
use ncp_core::net::{AddressRange, Cidr, PortRange, Service};

use super::origin;
use crate::capi::SecurityGroup;
use crate::grammar::{self, Destination, EgressRule, IcmpMatch, RuleSet, Traffic};
use crate::ids::{AppGuid, SpaceGuid};

/// Whether a container runs an app or a task, or stages one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Running,
    Staging,
}

impl Life {
    fn word(self) -> &'static str {
        match self {
            Life::Running => "running",
            Life::Staging => "staging",
        }
    }
}

/// The containers of a space in one part of their life.
pub(super) fn space_group(space: &SpaceGuid, life: Life) -> GroupId {
    GroupId::new(&format!("space:{}:{}", space.as_str(), life.word()))
}

/// All containers in one part of their life.
pub(super) fn global_group(life: Life) -> GroupId {
    GroupId::new(&format!("global:{}", life.word()))
}

/// The containers of an app, whichever part of their life.
pub(super) fn app_group(app: &AppGuid) -> GroupId {
    GroupId::new(&format!("app:{}", app.as_str()))
}

pub(super) fn policy(group: &SecurityGroup) -> Policy {
    Policy {
        id: PolicyId::new(&format!("asg:{}", group.guid.as_str())),
        name: group.name.as_str().into(),
        tier: Tier::Allow,
        applied_to: AppliedTo::Groups(Arc::new(bindings(group))),
        rules: group.rules.rules.iter().map(|(_, rule)| egress(rule)).collect(),
        defects: defects(&group.rules),
        origin: origin("security group", group.guid.as_str(), Some(&group.name)),
    }
}

fn bindings(group: &SecurityGroup) -> BTreeSet<GroupId> {
    let mut bound: BTreeSet<GroupId> = BTreeSet::new();
    bound.extend(group.running_spaces.iter().map(|s| space_group(s, Life::Running)));
    bound.extend(group.staging_spaces.iter().map(|s| space_group(s, Life::Staging)));
    bound.extend(group.running_default.then(|| global_group(Life::Running)));
    bound.extend(group.staging_default.then(|| global_group(Life::Staging)));
    bound
}

fn defects(rules: &RuleSet) -> Arc<[Defect]> {
    let defect = |(index, error): &(usize, grammar::RuleError)| Defect {
        code: Code::parse(error.code()).unwrap_or(Code::PcfPolicyProcessingFailed),
        message: format!("rule {index} allows nothing: {error}").into(),
    };
    rules.refused.iter().map(defect).collect()
}

fn egress(rule: &EgressRule) -> Rule {
    Rule {
        direction: Direction::Out,
        peers: Peers::Cidrs(rule.destinations.iter().map(destination).collect()),
        services: service(&rule.traffic).into_iter().collect(),
        action: Action::Allow,
        log: rule.log,
    }
}

fn destination(to: &Destination) -> Cidr {
    match to {
        Destination::Address(address) => Cidr::host(*address),
        Destination::Network(net) => Cidr::net(*net),
        Destination::Range(range) => match AddressRange::new(range.first(), range.last()) {
            Some(range) => Cidr::Range(range),
            // The grammar's ranges are of one family and in order; the first address is the least.
            None => Cidr::host(range.first()),
        },
    }
}

fn service(traffic: &Traffic) -> Option<Service> {
    match traffic {
        Traffic::All => None,
        Traffic::Tcp(ports) => Some(Service::Tcp(port_ranges(ports))),
        Traffic::Udp(ports) => Some(Service::Udp(port_ranges(ports))),
        Traffic::Icmp(IcmpMatch { kind, code }) => Some(Service::Icmp4 {
            kind: *kind,
            code: *code,
        }),
        Traffic::Icmpv6(IcmpMatch { kind, code }) => Some(Service::Icmp6 {
            kind: *kind,
            code: *code,
        }),
    }
}

fn port_ranges(ports: &[grammar::PortRange]) -> Vec<PortRange> {
    ports
        .iter()
        .filter_map(|p| PortRange::new(p.first(), p.last()))
        .collect()
}
