//! Random worlds for property tests, small enough that every flow among their ends can be asked.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::worlds::{World, net, platform, policy, rule, workload};
use super::{End, Flow, Packet};
use crate::id::GroupId;
use crate::intent::{Action, AppliedTo, Direction, Peers, Policy, Rule, Tier, Workload};
use crate::net::{AddressRange, Cidr, CidrSet, PortRange, Service};

const GROUPS: [&str; 4] = ["g0", "g1", "g2", "g3"];

fn some_groups() -> impl Strategy<Value = BTreeSet<&'static str>> {
    proptest::sample::subsequence(GROUPS.to_vec(), 0..=3).prop_map(|g| g.into_iter().collect())
}

fn some_cidrs() -> impl Strategy<Value = CidrSet> {
    let range = AddressRange::new([192, 168, 0, 1].into(), [192, 168, 0, 9].into()).unwrap();
    let choices = vec![
        net("0.0.0.0/0"),
        net("192.168.0.0/24"),
        net("10.0.1.7/32"),
        net("10.255.0.0/24"),
        net("10.255.1.2/32"),
        net("::/0"),
        net("2001:db8::/32"),
        Cidr::Range(range),
    ];
    proptest::sample::subsequence(choices, 0..=4).prop_map(|c| c.into_iter().collect())
}

fn some_peers() -> impl Strategy<Value = Peers> {
    prop_oneof![
        1 => Just(Peers::Any),
        1 => Just(Peers::Containers),
        1 => Just(Peers::Outside),
        4 => some_cidrs().prop_map(Peers::Cidrs),
        4 => some_groups().prop_map(|g| Peers::Groups(g.into_iter().map(GroupId::new).collect())),
    ]
}

fn some_services() -> impl Strategy<Value = Vec<Service>> {
    let web = || {
        vec![
            PortRange::one(80),
            PortRange::new(8000, 8100).unwrap(),
            PortRange::one(443),
        ]
    };
    let choices = vec![
        Service::Tcp(vec![]),
        Service::Tcp(web()),
        Service::Udp(vec![PortRange::one(53)]),
        Service::Icmp4 {
            kind: Some(8),
            code: None,
        },
        Service::Icmp6 {
            kind: None,
            code: None,
        },
        Service::Protocol(47),
    ];
    proptest::sample::subsequence(choices, 0..=3)
}

pub(super) fn some_rule() -> impl Strategy<Value = Rule> {
    let direction = prop_oneof![Just(Direction::In), Just(Direction::Out)];
    (direction, some_peers(), some_services(), any::<bool>()).prop_map(|(direction, peers, services, log)| {
        Rule {
            log,
            ..rule(direction, peers, services)
        }
    })
}

fn some_policy(tiers: Vec<Tier>) -> impl Strategy<Value = (BTreeSet<&'static str>, bool, Vec<Rule>, Tier)> {
    let rules = proptest::collection::vec(some_rule(), 0..4);
    (
        some_groups(),
        any::<bool>(),
        rules,
        proptest::sample::select(tiers),
    )
}

fn build_policy(n: usize, parts: (BTreeSet<&'static str>, bool, Vec<Rule>, Tier)) -> Policy {
    let (groups, single, mut rules, tier) = parts;
    let denies = tier == Tier::Isolation;
    rules
        .iter_mut()
        .filter(|_| denies)
        .for_each(|r| r.action = Action::Reject);
    let names: Vec<&str> = groups.into_iter().collect();
    let mut policy = Policy {
        tier,
        ..policy(&format!("p{n}"), &names, rules)
    };
    if let (true, Some(first)) = (single, names.first()) {
        policy.applied_to = AppliedTo::Group(GroupId::new(first));
    }
    policy
}

fn some_workload(n: usize) -> impl Strategy<Value = (Workload, u16, Ipv4Addr, bool)> {
    (0u8..2, 0u16..2, some_groups(), proptest::bool::weighted(0.2)).prop_map(
        move |(org, switch, groups, held)| {
            let groups: Vec<&str> = groups.into_iter().collect();
            let address = Ipv4Addr::new(10, 255, org, n as u8 + 2);
            (
                workload(&format!("w{n}"), &format!("org{org}"), &groups),
                switch,
                address,
                held,
            )
        },
    )
}

/// A world of up to four workloads and four policies of these tiers.
pub(super) fn some_world(tiers: Vec<Tier>) -> impl Strategy<Value = World> {
    let workloads = (
        some_workload(0),
        some_workload(1),
        some_workload(2),
        some_workload(3),
    );
    (workloads, proptest::collection::vec(some_policy(tiers), 0..4)).prop_map(|((a, b, c, d), policies)| {
        let all = [a, b, c, d];
        World {
            platform: platform(),
            held: all.iter().filter(|w| w.3).map(|w| w.0.id.clone()).collect(),
            workloads: all
                .into_iter()
                .map(|(w, switch, address, _)| (w, switch, address))
                .collect(),
            policies: policies
                .into_iter()
                .enumerate()
                .map(|(n, p)| build_policy(n, p))
                .collect(),
        }
    })
}

/// Flows between workloads by id (one of them unknown) and addresses of every sort that is told apart.
pub(super) fn flows() -> Vec<Flow> {
    let ids = ["w0", "w1", "w2", "w3", "nobody"];
    let addresses = [
        "192.168.0.5",
        "192.168.0.200",
        "10.0.1.7",
        "10.255.9.9",
        "10.255.0.2",
        "2001:db8::1",
        "fe80::1",
    ];
    let ends: Vec<End> = ids
        .into_iter()
        .chain(addresses)
        .map(|text| text.parse().unwrap())
        .collect();
    let packets = [
        Packet::Tcp(80),
        Packet::Tcp(22),
        Packet::Udp(53),
        Packet::Icmp4(8, 0),
        Packet::Icmp6(135, 0),
        Packet::Protocol(47),
    ];
    let pairs = ends.iter().flat_map(|from| ends.iter().map(move |to| (from, to)));
    pairs
        .flat_map(|(from, to)| packets.map(|packet| Flow::new(from.clone(), to.clone(), packet)))
        .collect()
}
