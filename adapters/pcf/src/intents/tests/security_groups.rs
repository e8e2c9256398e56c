//! Security groups (R-PCF-11, L-33): outward allows of the groups they are bound to.

use std::collections::BTreeSet;

use ncp_core::code::Code;
use ncp_core::intent::{Action, AppliedTo, Direction, Peers, Rule, Tier};
use ncp_core::net::{PortRange, Service};
use serde_json::{Value, json};

use super::*;

fn rules(rules: Value) -> Vec<Rule> {
    let mut platform = Platform::new();
    platform.security_groups(&[group("g", rules)]);
    platform.policy("asg:g").rules.to_vec()
}

/// The only rule that this one becomes: its destinations as text, and its services.
fn one(rule: Value) -> (Vec<String>, Vec<Service>) {
    let rules = rules(json!([rule]));
    assert_eq!(rules.len(), 1);
    assert_eq!(
        (rules[0].direction, rules[0].action),
        (Direction::Out, Action::Allow)
    );
    let Peers::Cidrs(to) = &rules[0].peers else {
        panic!("a security group names addresses only: {:?}", rules[0].peers);
    };
    (
        to.iter().map(ToString::to_string).collect(),
        rules[0].services.clone(),
    )
}

fn services(rule: Value) -> Vec<Service> {
    one(rule).1
}

fn applied(group: SecurityGroup) -> BTreeSet<String> {
    let mut platform = Platform::new();
    platform.security_groups(&[group]);
    match &platform.policy("asg:g").applied_to {
        AppliedTo::Groups(groups) => groups.iter().map(ToString::to_string).collect(),
        AppliedTo::Group(one) => panic!("bindings are a set, not {one}"),
    }
}

#[test]
fn a_group_applies_to_what_it_is_bound_to_and_to_nothing_else() {
    let bound = |change: fn(&mut SecurityGroup)| {
        let mut group = group("g", json!([]));
        change(&mut group);
        applied(group).into_iter().collect::<Vec<_>>()
    };
    assert!(bound(|_| ()).is_empty(), "a group bound nowhere selects nobody");
    assert_eq!(
        bound(|g| g.running_spaces = vec!["s".into()]),
        ["space:s:running"]
    );
    assert_eq!(
        bound(|g| g.staging_spaces = vec!["s".into()]),
        ["space:s:staging"]
    );
    assert_eq!(bound(|g| g.running_default = true), ["global:running"]);
    assert_eq!(bound(|g| g.staging_default = true), ["global:staging"]);
    let everything = bound(|g| {
        g.running_spaces = vec!["a".into(), "b".into()];
        g.staging_spaces = vec!["a".into()];
        (g.running_default, g.staging_default) = (true, true);
    });
    assert_eq!(
        everything,
        [
            "global:running",
            "global:staging",
            "space:a:running",
            "space:a:staging",
            "space:b:running"
        ]
    );
}

#[test]
fn its_policy_is_an_allow_that_bears_the_groups_name() {
    let mut platform = Platform::new();
    let mut group = group("g", json!([]));
    group.name = "dns".to_owned();
    platform.security_groups(std::slice::from_ref(&group));
    let policy = platform.policy("asg:g");
    assert_eq!((policy.tier, &*policy.name), (Tier::Allow, "dns"));
    assert_eq!(&*policy.origin.kind, "security group");
    group.name = "dns-2".to_owned();
    platform.security_groups(&[group]);
    assert_eq!(
        &*platform.policy("asg:g").name,
        "dns-2",
        "the id stays, the name follows"
    );
}

#[test]
fn destinations_of_all_forms() {
    let to = |destination: &str| one(json!({"protocol": "all", "destination": destination}));
    for (given, expected) in [
        ("10.0.11.7", vec!["10.0.11.7"]),
        ("198.51.100.47/24", vec!["198.51.100.0/24"]),
        ("10.0.1.1-10.0.1.9", vec!["10.0.1.1-10.0.1.9"]),
        ("10.0.1.4-10.0.1.4", vec!["10.0.1.4"]),
        ("0.0.0.0/0", vec!["0.0.0.0/0"]),
        ("2001:db8::/32", vec!["2001:db8::/32"]),
        (
            "10.0.0.1, 10.1.0.0/16,10.2.0.1-10.2.0.9,2001:db8::1",
            vec!["10.0.0.1", "10.1.0.0/16", "2001:db8::1", "10.2.0.1-10.2.0.9"],
        ),
    ] {
        assert_eq!(to(given), (expected.map_string(), vec![]), "{given}");
    }
}

trait MapString {
    fn map_string(self) -> Vec<String>;
}

impl MapString for Vec<&str> {
    fn map_string(self) -> Vec<String> {
        self.into_iter().map(str::to_owned).collect()
    }
}

#[test]
fn protocols_and_ports_of_all_forms() {
    let range = |first, last| PortRange::new(first, last).unwrap();
    let ports = |protocol: &str, ports: &str| {
        services(json!({"protocol": protocol, "destination": "10.0.0.1", "ports": ports}))
    };
    assert_eq!(ports("tcp", "443"), [Service::Tcp(vec![range(443, 443)])]);
    let list = Service::Tcp(vec![range(1521, 1521), range(1526, 1526)]);
    assert_eq!(ports("tcp", "1521,1526"), [list]);
    assert_eq!(ports("udp", "8080-8090"), [Service::Udp(vec![range(8080, 8090)])]);
    let all = json!({"protocol": "all", "destination": "10.0.0.1"});
    assert_eq!(services(all), [], "none listed means every protocol");
}

#[test]
fn icmp_any_is_minus_one_or_255() {
    let icmp = |protocol: &str, to: &str, kind: i64, code: i64| {
        services(json!({"protocol": protocol, "destination": to, "type": kind, "code": code}))
    };
    let any = Service::Icmp4 {
        kind: None,
        code: None,
    };
    for wildcard in [-1, 255] {
        assert_eq!(
            icmp("icmp", "10.0.0.0/8", wildcard, wildcard),
            std::slice::from_ref(&any)
        );
    }
    let echo = Service::Icmp4 {
        kind: Some(8),
        code: Some(0),
    };
    assert_eq!(icmp("icmp", "10.0.0.0/8", 8, 0), [echo]);
    let unreachable = Service::Icmp6 {
        kind: Some(1),
        code: None,
    };
    assert_eq!(icmp("icmpv6", "2001:db8::/32", 1, -1), [unreachable]);
}

#[test]
fn log_is_the_rules_own() {
    let logged = rules(json!([
        {"protocol": "tcp", "destination": "10.0.0.1", "ports": "80", "log": true},
        {"protocol": "tcp", "destination": "10.0.0.2", "ports": "80"},
    ]));
    assert_eq!(logged.iter().map(|r| r.log).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_bad_rule_is_reported_on_its_group_and_lost_alone() {
    let mut platform = Platform::new();
    let good = json!({"protocol": "tcp", "destination": "10.0.0.1", "ports": "80"});
    let bad = json!({"protocol": "tcp", "destination": "10.0.0.0/255.0.0.0", "ports": "80"});
    platform.security_groups(&[group("g", json!([bad, good, "odd"])), group("h", json!([good]))]);
    let policy = platform.policy("asg:g");
    assert_eq!(policy.rules.len(), 1);
    assert_eq!(policy.defects.len(), 2);
    assert!(
        policy
            .defects
            .iter()
            .all(|d| d.code == Code::PcfPolicyProcessingFailed)
    );
    assert!(
        policy.defects[0].message.starts_with("rule 0 allows nothing: "),
        "{}",
        policy.defects[0].message
    );
    assert!(policy.defects[0].message.contains("write the prefix length"));
    assert!(platform.policy("asg:h").defects.is_empty());

    platform.security_groups(&[group("g", json!([good])), group("h", json!([good]))]);
    assert!(
        platform.policy("asg:g").defects.is_empty(),
        "mended, no longer reported"
    );
}

#[test]
fn nothing_that_is_refused_turns_into_something_wider() {
    // No rule's services may come out empty but that of `all`: empty means every protocol and port.
    for bad in [
        json!({"protocol": "tcp", "destination": "10.0.0.1", "ports": ""}),
        json!({"protocol": "tcp", "destination": "10.0.0.1"}),
        json!({"protocol": "tcp", "destination": "10.0.0.1", "ports": "0-0"}),
        json!({"protocol": "udp", "destination": "10.0.0.1", "ports": "90-80"}),
        json!({"protocol": "icmp", "destination": "10.0.0.1"}),
        json!({"protocol": "all", "destination": ""}),
    ] {
        assert_eq!(rules(json!([bad])), [], "{bad}");
    }
}

#[test]
fn binding_one_space_more_leaves_the_rules_as_they_are() {
    let mut platform = Platform::new();
    let rule = json!([{"protocol": "all", "destination": "10.0.0.0/8"}]);
    let mut group = group("g", rule);
    platform.security_groups(std::slice::from_ref(&group));
    let before = platform.policy("asg:g").rules.clone();
    group.running_spaces = vec!["s".into()];
    platform.security_groups(&[group]);
    let policy = platform.policy("asg:g");
    assert_eq!(policy.rules, before);
    assert_eq!(policy.applied_to.groups().count(), 1);
}

#[test]
fn a_group_that_is_no_longer_listed_allows_nothing() {
    let mut platform = Platform::new();
    platform.security_groups(&[group("g", json!([])), group("h", json!([]))]);
    platform.security_groups(&[group("h", json!([]))]);
    assert!(platform.index.policy(&PolicyId::new("asg:g")).is_none());
    assert!(platform.index.policy(&PolicyId::new("asg:h")).is_some());
}
