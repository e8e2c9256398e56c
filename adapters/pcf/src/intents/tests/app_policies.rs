//! Container-to-container policies: one policy a destination app, inward.

use ncp_core::code::Code;
use ncp_core::intent::{Action, AppliedTo, Direction, Peers};
use ncp_core::net::{PortRange, Service};

use super::*;
use crate::policy_server::BadPolicy;

fn peers(policy: &Policy) -> Vec<String> {
    let mut all = Vec::new();
    for rule in policy.rules.iter() {
        let Peers::Groups(groups) = &rule.peers else {
            panic!("a policy names apps only: {:?}", rule.peers);
        };
        all.extend(groups.iter().map(ToString::to_string));
    }
    all.sort();
    all
}

#[test]
fn policies_of_one_destination_are_its_inward_allows() {
    let mut platform = Platform::new();
    platform.policies(&[allow("a", "d", 80), allow("b", "d", 80), allow("a", "e", 80)]);
    let policy = platform.policy("c2c:d");
    assert_eq!(policy.applied_to, AppliedTo::Group(group_id("app:d")));
    assert_eq!(peers(policy), ["app:a", "app:b"]);
    for rule in policy.rules.iter() {
        assert_eq!(
            (rule.direction, rule.action, rule.log),
            (Direction::In, Action::Allow, false)
        );
        assert_eq!(rule.services, [Service::Tcp(vec![PortRange::one(80)])]);
    }
    assert_eq!(peers(platform.policy("c2c:e")), ["app:a"]);
}

#[test]
fn both_protocols_and_port_ranges() {
    let mut platform = Platform::new();
    let udp = AppPolicy {
        protocol: PolicyProtocol::Udp,
        last_port: 90,
        ..allow("a", "d", 80)
    };
    platform.policies(&[udp]);
    let service = &platform.policy("c2c:d").rules[0].services;
    assert_eq!(*service, [Service::Udp(vec![PortRange::new(80, 90).unwrap()])]);
}

#[test]
fn an_app_may_be_allowed_to_dial_itself_and_isn_t_otherwise() {
    let mut platform = Platform::new();
    platform.policies(&[]);
    assert!(platform.index.policy(&PolicyId::new("c2c:a")).is_none());
    platform.policies(&[allow("a", "a", 7946)]);
    let policy = platform.policy("c2c:a");
    assert_eq!(policy.applied_to, AppliedTo::Group(group_id("app:a")));
    assert_eq!(peers(policy), ["app:a"]);
}

#[test]
fn a_policy_listed_twice_is_one_rule() {
    let mut platform = Platform::new();
    platform.policies(&[allow("a", "d", 80), allow("a", "d", 80)]);
    assert_eq!(platform.policy("c2c:d").rules.len(), 1);
}

#[test]
fn a_destination_without_policies_is_gone() {
    let mut platform = Platform::new();
    platform.policies(&[allow("a", "d", 80), allow("a", "e", 80)]);
    platform.policies(&[allow("a", "e", 80)]);
    assert!(platform.index.policy(&PolicyId::new("c2c:d")).is_none());
    assert!(
        !platform.index.group_used(&group_id("app:d")),
        "its group isn't needed any more"
    );
    assert!(platform.index.group_used(&group_id("app:a")));
}

#[test]
fn what_can_t_be_understood_is_reported_until_it_is_gone() {
    let mut platform = Platform::new();
    let bad = BadPolicy {
        index: 1,
        source_app: "a".to_owned(),
        destination: "d".to_owned(),
        problem: "has an unknown protocol",
    };
    let listing = |refused| PolicyListing {
        generation: 1,
        policies: vec![allow("a", "d", 80)],
        refused,
        emptied: None,
    };
    let events = platform.mapper.policy_server(&listing(vec![bad]));
    platform.feed(events);
    let reported = platform.reported("policies");
    assert_eq!(reported.len(), 1);
    assert_eq!(reported[0].code, Code::PcfPolicyProcessingFailed);
    assert!(
        reported[0].message.contains("a -> d allows nothing"),
        "{}",
        reported[0].message
    );
    assert_eq!(platform.policy("c2c:d").rules.len(), 1, "the others stand");

    let events = platform.mapper.policy_server(&listing(vec![]));
    platform.feed(events);
    assert!(platform.reported("policies").is_empty());
}
