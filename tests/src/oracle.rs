//! What the network does to flows, held against what Cloud Foundry's objects call for.
//!
//! The facts are made from the foundation's ground truth by code of its own, not by the adapter, and judged by
//! the core's oracle, which knows nothing of sections; the network is judged by the emulated managers from what
//! is realized there. Three representations that share no code must agree on every flow.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use foundation_emulator::Truth;
use foundation_emulator::truth::{ContainerTruth, GroupTruth, Kind, Policy as AppPolicy};
use ipnet::IpNet;
use ncp_core::id::{GroupId, Name, NodeId, PolicyId, ProjectId, WorkloadId};
use ncp_core::intent::{
    Action, AppliedTo, Direction, Fact, Origin, Peers, Policy, Rule, Tier, Workload, WorkloadEgress,
};
use ncp_core::net::{AddressRange, Cidr, PortRange, Service};
use ncp_core::verdict::{End, Flow, Judge, Oracle, Packet, PlatformRules};
use nsx_manager_emulator as nsx;
use serde_json::Value;

use crate::rig::Rig;

/// Addresses that flows go to and come from, beside the containers: inside and outside of every security
/// group of the scenarios, and the platform's.
const OUTSIDE: [&str; 8] = [
    "198.18.0.1",
    "10.20.30.9",
    "10.20.30.40",
    "10.20.31.1",
    "10.66.1.3",
    "8.8.8.8",
    "10.0.4.7",
    "10.0.5.7",
];
const PACKETS: [Packet; 7] = [
    Packet::Tcp(8080),
    Packet::Tcp(8443),
    Packet::Tcp(1521),
    Packet::Tcp(2222),
    Packet::Udp(53),
    Packet::Udp(7946),
    Packet::Icmp4(8, 0),
];

/// Holds every flow among the containers, and between them and some outside addresses, against the oracle.
/// Returns how many were judged, and how many pass.
///
/// # Panics
/// With the flows that differ.
pub fn assert_verdicts(rig: &Rig) -> (usize, usize) {
    let truth = rig.foundation.world();
    let oracle = oracle(rig, &truth);
    let ports = ports_by_handle(rig);
    let (mut judged, mut passed, mut wrong) = (0, 0, Vec::new());
    for flow in flows(&truth) {
        let wanted = oracle.verdict(&flow);
        let found = rig.managers.verdict(&translate(&flow, &ports));
        judged += 1;
        passed += usize::from(found.allowed());
        if wanted.allowed != found.allowed() {
            wrong.push(format!("{flow}: wanted {wanted:?}\n  found {found:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {judged} flows differ, among them\n{}",
        wrong.len(),
        wrong[..wrong.len().min(5)].join("\n")
    );
    (judged, passed)
}

/// Every flow among the containers, and between them and some outside addresses.
pub fn flows(truth: &Truth) -> Vec<Flow> {
    let mut ends: Vec<End> = truth.containers.iter().map(|c| End::Workload(id(c))).collect();
    ends.extend(
        OUTSIDE
            .iter()
            .map(|a| End::Address(a.parse().expect("an address"))),
    );
    let mut flows = Vec::new();
    for from in &ends {
        for to in ends.iter().filter(|to| *to != from && !both_outside(from, to)) {
            flows.extend(PACKETS.map(|packet| Flow::new(from.clone(), to.clone(), packet)));
        }
    }
    flows
}

fn both_outside(a: &End, b: &End) -> bool {
    matches!((a, b), (End::Address(_), End::Address(_)))
}

fn id(container: &ContainerTruth) -> WorkloadId {
    WorkloadId::new(&container.container)
}

/// What the rig's configuration says of the platform.
pub fn platform() -> PlatformRules {
    let net = |text: &str| Cidr::net(text.parse::<IpNet>().expect("a network"));
    PlatformRules {
        container_blocks: [net("10.16.0.0/14")].into(),
        platform_sources: [net("10.0.4.0/24")].into(),
        deny: Action::Reject,
    }
}

/// What the foundation's ground truth calls for.
pub fn facts(truth: &Truth) -> Vec<Fact> {
    let mut facts: Vec<Fact> = truth
        .containers
        .iter()
        .map(|c| Fact::Workload(workload(c)))
        .collect();
    facts.extend(
        truth
            .security_groups
            .iter()
            .map(|g| Fact::Policy(security_group(g))),
    );
    let apps: BTreeSet<&str> = truth.policies.iter().map(|p| p.destination.as_str()).collect();
    facts.extend(
        apps.iter()
            .map(|app| Fact::Policy(app_policy(app, &truth.policies))),
    );
    facts
}

/// The judge of the foundation's ground truth, with the addresses that containers have got.
pub fn oracle(rig: &Rig, truth: &Truth) -> Oracle {
    let mut oracle = Oracle::new(facts(truth), platform());
    let inventory = rig.managers.inventory();
    for port in inventory.list("LogicalPort") {
        let handle = port["attachment"]["context"]["app_id"].as_str();
        let address = port["address_bindings"][0]["ip_address"].as_str();
        if let (Some(handle), Some(address)) = (handle, address) {
            let address: Ipv4Addr = address.parse().expect("an address");
            oracle.place(WorkloadId::new(handle), address);
        }
    }
    oracle
}

fn origin() -> Origin {
    Origin {
        kind: "test".into(),
        id: Name::new("test"),
        name: None,
    }
}

fn phase(kind: Kind) -> &'static str {
    if kind == Kind::Staging {
        "staging"
    } else {
        "running"
    }
}

fn workload(of: &ContainerTruth) -> Workload {
    let phase = phase(of.kind);
    let mut groups = vec![
        GroupId::new(&format!("all/{phase}")),
        GroupId::new(&format!("app/{}", of.app)),
        GroupId::new(&format!("space/{}/{phase}", of.space)),
    ];
    groups.sort();
    Workload {
        id: id(of),
        project: ProjectId::new(&of.org),
        node: NodeId::new(&of.cell),
        groups: groups.into(),
        egress: WorkloadEgress::Project,
        labels: Arc::from([]),
        origin: origin(),
    }
}

fn security_group(group: &GroupTruth) -> Policy {
    let mut spaces: BTreeSet<GroupId> = BTreeSet::new();
    for (phase, everywhere, bound) in [
        ("running", group.running_default, &group.running_spaces),
        ("staging", group.staging_default, &group.staging_spaces),
    ] {
        spaces.extend(everywhere.then(|| GroupId::new(&format!("all/{phase}"))));
        spaces.extend(
            bound
                .iter()
                .map(|space| GroupId::new(&format!("space/{space}/{phase}"))),
        );
    }
    policy(
        &group.guid,
        AppliedTo::Groups(Arc::new(spaces)),
        group.rules.iter().map(outward).collect(),
    )
}

fn policy(id: &str, applied_to: AppliedTo, rules: Vec<Rule>) -> Policy {
    Policy {
        id: PolicyId::new(id),
        name: id.into(),
        tier: Tier::Allow,
        applied_to,
        rules: rules.into(),
        defects: Arc::from([]),
        origin: origin(),
    }
}

fn app_policy(destination: &str, all: &[AppPolicy]) -> Policy {
    let rule = |policy: &AppPolicy| {
        let ports = vec![PortRange::new(policy.start, policy.end).expect("ports in order")];
        Rule {
            direction: Direction::In,
            peers: Peers::Groups([GroupId::new(&format!("app/{}", policy.source))].into()),
            services: vec![match policy.protocol.as_str() {
                "udp" => Service::Udp(ports),
                _ => Service::Tcp(ports),
            }],
            action: Action::Allow,
            log: false,
        }
    };
    let group = GroupId::new(&format!("app/{destination}"));
    let rules = all.iter().filter(|p| p.destination == destination).map(rule);
    policy(
        &format!("to {destination}"),
        AppliedTo::Group(group),
        rules.collect(),
    )
}

/// A rule of a security group, in the plain notation that the scenarios use.
fn outward(rule: &Value) -> Rule {
    let text = |name: &str| rule[name].as_str().unwrap_or_default();
    let ports = || {
        text("ports")
            .split(',')
            .filter(|p| !p.is_empty())
            .map(ports)
            .collect()
    };
    let number = |name: &str| rule[name].as_i64().and_then(|n| u8::try_from(n).ok());
    let services = match text("protocol") {
        "tcp" => vec![Service::Tcp(ports())],
        "udp" => vec![Service::Udp(ports())],
        "icmp" => vec![Service::Icmp4 {
            kind: number("type"),
            code: number("code"),
        }],
        _ => Vec::new(),
    };
    Rule {
        direction: Direction::Out,
        peers: Peers::Cidrs(text("destination").split(',').map(addresses).collect()),
        services,
        action: Action::Allow,
        log: rule["log"] == true,
    }
}

fn ports(text: &str) -> PortRange {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.trim().parse().expect("a port");
    PortRange::new(port(first), port(last)).expect("ports in order")
}

fn addresses(text: &str) -> Cidr {
    let address = |text: &str| text.trim().parse::<IpAddr>().expect("an address");
    match text.split_once('-') {
        Some((first, last)) => {
            Cidr::Range(AddressRange::new(address(first), address(last)).expect("addresses in order"))
        }
        None => match text.trim().parse::<IpNet>() {
            Ok(net) => Cidr::net(net),
            Err(_) => Cidr::host(address(text)),
        },
    }
}

/// Port ids by container.
pub fn ports_by_handle(rig: &Rig) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let ports = rig.managers.inventory().list("LogicalPort").into_iter();
    ports
        .filter_map(|port| {
            Some((
                text(&port["attachment"]["context"]["app_id"])?,
                text(&port["id"])?,
            ))
        })
        .collect()
}

/// A flow in the managers' words.
pub fn translate(flow: &Flow, ports: &BTreeMap<String, String>) -> nsx::Flow {
    let port = |id: &WorkloadId| ports.get(&id.to_string()).cloned().unwrap_or_default();
    let end = |end: &End| match end {
        End::Workload(id) => nsx::End::Port(port(id)),
        End::Address(address) => nsx::End::Outside(*address),
    };
    nsx::Flow {
        from: end(&flow.from),
        to: end(&flow.to),
        protocol: match flow.packet {
            Packet::Tcp(port) => nsx::Protocol::Tcp(port),
            Packet::Udp(port) => nsx::Protocol::Udp(port),
            Packet::Icmp4(kind, code) | Packet::Icmp6(kind, code) => nsx::Protocol::Icmp(kind, code),
            Packet::Protocol(number) => nsx::Protocol::Other(number),
        },
    }
}
