//! Verdicts that the documents decide, one sentence each.

#![allow(clippy::unwrap_used)]

use super::worlds::{World, net, platform, policy, rule, workload};
use super::{Decision, Flow, Judge, Membership, Side, TopologyView, Violation, invariant5};
use crate::id::{GroupId, WorkloadId};
use crate::intent::{Direction, Peers};
use crate::net::{CidrSet, PortRange, Service};
use crate::topology::{Object, ObjectKey, SectionKey};

fn tcp(port: u16) -> Vec<Service> {
    vec![Service::Tcp(vec![PortRange::one(port)])]
}

fn cidrs(texts: &[&str]) -> Peers {
    Peers::Cidrs(texts.iter().map(|text| net(text)).collect::<CidrSet>())
}

/// Two spaces of one org and an app of another; security groups `dns` and `all`, a policy front → back.
fn foundation() -> World {
    let place = |n: u8| [10, 255, 0, n].into();
    let from_front = Peers::Groups([GroupId::new("app:front")].into());
    let out = Direction::Out;
    World {
        platform: platform(),
        workloads: vec![
            (workload("front", "org", &["space:a", "app:front"]), 0, place(2)),
            (workload("back", "org2", &["space:b", "app:back"]), 0, place(3)),
            (workload("staging", "org", &["space:a:staging"]), 0, place(4)),
            (workload("held", "org", &["space:a"]), 0, place(5)),
        ],
        policies: vec![
            policy(
                "dns",
                &["space:a", "space:b", "space:a:staging"],
                vec![rule(out, cidrs(&["8.8.8.8/32"]), vec![])],
            ),
            policy(
                "all",
                &["space:a"],
                vec![rule(out, cidrs(&["0.0.0.0/0", "::/0"]), tcp(443))],
            ),
            policy(
                "c2c",
                &["app:back"],
                vec![rule(Direction::In, from_front, tcp(8080))],
            ),
        ],
        held: [WorkloadId::new("held")].into(),
    }
}

fn flow(text: &str) -> Flow {
    let [from, _, to, packet] = text.split(' ').collect::<Vec<_>>().try_into().unwrap();
    Flow::new(
        from.parse().unwrap(),
        to.parse().unwrap(),
        packet.parse().unwrap(),
    )
}

#[test]
fn both_judges_decide_as_the_documents_say() {
    let world = foundation();
    let objects = world.objects();
    let view = TopologyView::new(&world.platform.container_blocks, Membership::Marks, &objects);
    for (text, allowed, why) in [
        ("front > 8.8.8.8 udp/53", true, "a security group of its space"),
        ("front > 1.1.1.1 tcp/443", true, "a second one, by port"),
        ("front > 1.1.1.1 tcp/80", false, "no security group has the port"),
        (
            "back > 1.1.1.1 tcp/443",
            false,
            "a group that is not bound to its space",
        ),
        ("staging > 8.8.8.8 udp/53", true, "bound for staging"),
        ("staging > 1.1.1.1 tcp/443", false, "bound for running only"),
        ("front > back tcp/8080", true, "a policy, across orgs"),
        (
            "front > back tcp/443",
            false,
            "a security group never opens container to container",
        ),
        ("front > back udp/8080", false, "a policy has one protocol"),
        ("back > front tcp/8080", false, "a policy is one-way"),
        (
            "front > front tcp/8080",
            false,
            "same-app traffic needs a policy too",
        ),
        (
            "10.0.1.9 > front tcp/8080",
            true,
            "the platform's routers reach every TCP port",
        ),
        ("10.0.1.9 > front udp/8080", false, "but TCP only"),
        ("192.0.2.1 > front tcp/8080", false, "others don't"),
        (
            "10.255.9.9 > back tcp/8080",
            false,
            "nor another cluster's containers",
        ),
        ("front > 10.255.9.9 tcp/8080", true, "which decide for themselves"),
        (
            "front > 10.255.0.3 tcp/8080",
            true,
            "a container may be named by its address",
        ),
        ("front > 10.255.0.3 tcp/443", false, "and is still asked inward"),
        (
            "held > 8.8.8.8 udp/53",
            false,
            "outside is held back while its own egress is refused",
        ),
        ("held > back tcp/9", false, "inward rules are as ever"),
        ("held > 10.255.9.9 tcp/8080", true, "containers are not outside"),
        (
            "front > 2001:db8::1 tcp/443",
            false,
            "no IPv6 address, though a rule names ::/0",
        ),
        (
            "fe80::2 > front icmp6/135/0",
            false,
            "no IPv6 between neighbours either",
        ),
        ("front > gone tcp/80", false, "nothing reaches what has no port"),
        ("gone > 8.8.8.8 udp/53", false, "or leaves it"),
        (
            "192.0.2.1 > 192.0.2.2 tcp/80",
            true,
            "what concerns no container is not ours to decide",
        ),
    ] {
        assert_eq!(
            world.oracle().verdict(&flow(text)).allowed,
            allowed,
            "oracle: {text}: {why}"
        );
        assert_eq!(view.verdict(&flow(text)).allowed, allowed, "view: {text}: {why}");
    }
}

#[test]
fn a_hold_lets_containers_be() {
    let mut world = foundation();
    world.policies[2].applied_to = policy("x", &["app:back", "space:b"], vec![]).applied_to;
    let rules = vec![rule(Direction::In, Peers::Containers, tcp(9))];
    world.policies[2].rules = rules.into();
    assert!(world.oracle().verdict(&flow("held > back tcp/9")).allowed);
}

#[test]
fn a_port_without_the_denies_of_its_switch_is_found_open() {
    let world = foundation();
    let objects = world.objects();
    let isolation = |o: &&Object| !matches!(o.key(), ObjectKey::Section(SectionKey::Isolation(_)));
    let view = TopologyView::new(
        &world.platform.container_blocks,
        Membership::Marks,
        objects.iter().filter(isolation),
    );
    let flow = flow("front > 1.1.1.1 tcp/80");
    assert_eq!(view.verdict(&flow).at_source, Decision::Open);
    let found = invariant5(&world.oracle(), &world.oracle(), &view, &flow);
    assert_eq!(
        found,
        Err(Violation::Open {
            flow,
            side: Side::Source
        })
    );
}

#[test]
fn the_invariant_tells_gap_leak_and_a_lost_port_apart() {
    let world = foundation();
    let oracle = world.oracle();
    let without = |gone: fn(&ObjectKey) -> bool| -> Vec<Object> {
        world.objects().into_iter().filter(|o| !gone(&o.key())).collect()
    };
    let check = |objects: &[Object], text: &str| {
        let view = TopologyView::new(&world.platform.container_blocks, Membership::Marks, objects);
        invariant5(&oracle, &oracle, &view, &flow(text))
    };
    let portless = without(|k| *k == ObjectKey::Port(WorkloadId::new("front")));
    assert!(matches!(
        check(&portless, "front > 8.8.8.8 udp/53"),
        Err(Violation::PortGone { .. })
    ));
    let ruleless = without(|k| matches!(k, ObjectKey::UnionMember(..)));
    assert!(matches!(
        check(&ruleless, "front > 8.8.8.8 udp/53"),
        Err(Violation::Gap { .. })
    ));
    let unheld = without(|k| *k == ObjectKey::Group(GroupId::new("egress-held")));
    assert!(matches!(
        check(&unheld, "held > 8.8.8.8 udp/53"),
        Err(Violation::Leak { .. })
    ));
    assert_eq!(check(&world.objects(), "held > 8.8.8.8 udp/53"), Ok(()));
}

#[test]
fn a_flow_that_changes_may_have_either_verdict_meanwhile() {
    let before = foundation();
    let mut after = before.clone();
    after.policies.clear();
    let view_of = |world: &World, text: &str| {
        let objects = world.objects();
        let now = TopologyView::new(&world.platform.container_blocks, Membership::Rows, &objects);
        invariant5(&before.oracle(), &after.oracle(), &now, &flow(text))
    };
    for world in [&before, &after] {
        assert_eq!(view_of(world, "front > back tcp/8080"), Ok(()));
    }
}

#[test]
fn a_trace_names_the_security_group_that_decides_and_those_that_nearly_do() {
    let oracle = foundation().oracle();
    let allowed = crate::trace::trace(&oracle, &flow("front > 8.8.8.8 udp/53"));
    let by = allowed.hops[0].by.clone().unwrap();
    assert_eq!(by.origin, "security group name of dns (dns)");
    assert_eq!(by.says, "allow everything to 8.8.8.8");
    let denied = crate::trace::trace(&oracle, &flow("front > 1.1.1.1 tcp/80"));
    assert!(!denied.allowed);
    assert_eq!(
        denied.to_string(),
        "front -> 1.1.1.1 tcp/80: denied\n\
         outward, at the source front\n\
         \x20 allow      3 rules apply, 0 cover it\n\
         \x20 default    1 rules apply, 1 cover it\n\
         \x20 => drop everything to anywhere by isolation of org [isolation/org]\n\
         \x20 not covered (other service): allow tcp/443 to 0.0.0.0/0,::/0 by security group name of all (all)\n\
         \x20 not covered (other peer): allow everything to the container blocks by the platform's own allows\n\
         \x20 not covered (other peer): allow everything to 8.8.8.8 by security group name of dns (dns)\n\
         inward, at the destination 1.1.1.1\n\
         \x20 => pass: not a container of this cluster\n"
    );
    let json = serde_json::to_value(&denied).unwrap();
    assert_eq!(json["hops"][0]["nearest"][0]["fit"], "other_service");
    assert_eq!(json["flow"]["packet"], "tcp/80");
}
