//! Every row made, changed and removed.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::Method;
use ncp_core::code::Code;
use ncp_core::compile::HELD_GROUP;
use ncp_core::dialect::{Fence, Outcome, RowKey, Verb};
use ncp_core::id::{GroupId, NodeId, PolicyId, PoolName, ProjectId, WorkloadId};
use ncp_core::intent::{Action, Direction, EgressAddress, EgressOwner, Peers, ProjectEgress, Rule, Tier};
use ncp_core::net::{PortRange, Service, mac_of};
use ncp_core::time::Time;
use ncp_core::topology::{
    Applied, Object, ObjectKey, PlatformSection, Pool, Port, Router, Section, SectionKey, SectionRule,
    Subnet, SubnetNat, Switch, Union, WorkloadNat,
};
use ncp_nsxt::manager::{Handle, Op, Part};
use nsx_manager_emulator::{Effect, Fixture, Matcher, Version};
use serde_json::json;

use super::world::{World, conforms, fence};

pub(super) fn org() -> ProjectId {
    ProjectId::new("org")
}

fn policy() -> PolicyId {
    PolicyId::new("asg")
}

fn space() -> GroupId {
    GroupId::new("space")
}

pub(super) fn section(key: SectionKey, tier: Tier, applied_to: Applied) -> Object {
    Object::Section(Section {
        key,
        tier,
        name: "s".into(),
        applied_to,
        logs: false,
    })
}

pub(super) fn rule(section: SectionKey, rule: Rule, applied_to: Applied) -> Object {
    let digest = rule.digest();
    Object::Rule(SectionRule {
        section,
        digest,
        rule: Arc::new(rule),
        applied_to,
    })
}

pub(super) fn allow(peers: Peers, services: Vec<Service>) -> Rule {
    Rule {
        direction: Direction::Out,
        peers,
        services,
        action: Action::Allow,
        log: false,
    }
}

pub(super) fn platform() -> [Object; 3] {
    let held = GroupId::new(HELD_GROUP);
    [
        Object::Group(held.clone()),
        section(
            SectionKey::Platform(PlatformSection::Hold),
            Tier::Hold,
            Applied::Group(held),
        ),
        section(
            SectionKey::Platform(PlatformSection::Allow),
            Tier::Allow,
            Applied::PerRule,
        ),
    ]
}

pub(super) fn policy_section() -> Object {
    section(
        SectionKey::Policy(policy()),
        Tier::Allow,
        Applied::Union(policy()),
    )
}

pub(super) fn policy_rules() -> Vec<Object> {
    let key = || SectionKey::Policy(policy());
    let range = |a, b| PortRange::new(a, b).unwrap();
    let cidrs = |text: &str| Peers::Cidrs([ncp_core::net::Cidr::net(text.parse().unwrap())].into());
    let logged = Rule {
        log: true,
        ..allow(
            cidrs("203.0.113.0/24"),
            vec![Service::Icmp4 {
                kind: Some(8),
                code: Some(0),
            }],
        )
    };
    vec![
        rule(
            key(),
            allow(
                cidrs("198.51.100.0/24"),
                vec![Service::Tcp(vec![range(80, 80), range(8000, 8010)])],
            ),
            Applied::PerRule,
        ),
        rule(
            key(),
            allow(
                Peers::Any,
                vec![Service::Udp(vec![range(53, 53)]), Service::Protocol(132)],
            ),
            Applied::PerRule,
        ),
        rule(
            key(),
            allow(Peers::Groups(BTreeSet::from([space()])), vec![]),
            Applied::PerRule,
        ),
        rule(key(), logged, Applied::PerRule),
    ]
}

fn denies() -> Vec<Rule> {
    let deny = |direction| Rule {
        direction,
        peers: Peers::Any,
        services: vec![],
        action: Action::Drop,
        log: false,
    };
    vec![deny(Direction::In), deny(Direction::Out)]
}

pub(super) fn egress(pool: Option<&str>) -> EgressAddress {
    let owner = match pool {
        None => EgressOwner::Project(org()),
        Some(_) => EgressOwner::Group(org(), GroupId::new("app")),
    };
    EgressAddress {
        owner,
        pool: pool.map(PoolName::new),
    }
}

/// A project with a container in it, as far as the world of the far end goes.
pub(super) async fn build(world: &mut World) {
    for object in platform() {
        world.ensure(object).await;
    }
    world
        .ensure(Object::Router(Router {
            project: org(),
            name: "org".into(),
            egress: ProjectEgress::Translated,
        }))
        .await;
    world
        .ensure(Object::Subnet(Subnet {
            project: org(),
            index: 0,
            routed: false,
        }))
        .await;
    let subnet = RowKey::new(ObjectKey::Subnet(org(), 0), Part::IpSubnet);
    let cidr = world.stands.0[&subnet]
        .attributes
        .cidr
        .expect("NSX says the network");
    world
        .ensure(Object::Switch(Switch {
            project: org(),
            index: 0,
            name: "org".into(),
            cidr,
        }))
        .await;
    let isolation = SectionKey::Isolation(org());
    world
        .ensure(section(isolation.clone(), Tier::Default, Applied::PerRule))
        .await;
    for deny in denies() {
        world
            .ensure(rule(isolation.clone(), deny, Applied::Switch(org(), 0)))
            .await;
    }
    world.ensure(Object::Group(space())).await;
    world
        .ensure(Object::Union(Union {
            policy: policy(),
            name: "asg".into(),
        }))
        .await;
    world.ensure(Object::UnionMember(policy(), space())).await;
    let outcomes = world.ensure_together(&policy_section(), &policy_rules()).await;
    assert!(
        outcomes.iter().all(|o| matches!(o, Outcome::Done(_))),
        "{outcomes:?}"
    );
    world.ensure(Object::Node(NodeId::new("cell-1"))).await;
    world
        .ensure(Object::Pool(Pool {
            name: PoolName::new("snat-pool-two"),
        }))
        .await;
    for address in [egress(None), egress(Some("snat-pool-two"))] {
        world.ensure(Object::Address(address)).await;
    }
    world
        .ensure(Object::SubnetNat(SubnetNat {
            project: org(),
            index: 0,
            source: cidr,
            address: egress(None),
        }))
        .await;
    let address = cidr.hosts().nth(4).unwrap();
    world
        .ensure(Object::WorkloadNat(WorkloadNat {
            workload: WorkloadId::new("w1"),
            project: org(),
            source: address,
            address: egress(Some("snat-pool-two")),
        }))
        .await;
    world.ensure(port(address, &["space"])).await;
}

pub(super) fn port(address: std::net::Ipv4Addr, groups: &[&str]) -> Object {
    let isolation = denies();
    Object::Port(Port {
        workload: WorkloadId::new("w1"),
        project: org(),
        node: NodeId::new("cell-1"),
        switch: 0,
        vlan: 7,
        address,
        prefix: 24,
        mac: mac_of(address),
        groups: groups.iter().map(|g| GroupId::new(g)).collect(),
        own_nat: true,
        denies: [isolation[0].digest(), isolation[1].digest()],
        labels: vec![("app".into(), "web".into())].into(),
        name: "web-0".into(),
    })
}

pub(super) fn port_key() -> super::world::Key {
    RowKey::new(ObjectKey::Port(WorkloadId::new("w1")), Part::Port)
}

#[tokio::test]
async fn every_row_is_made_read_back_and_removed() {
    for (version, file) in [
        (Version::V2_3, "nsx-manager-api-2.3.0.json"),
        (Version::V2_4, "nsx-manager-api-2.5.1.json"),
        (Version::V2_5, "nsx-manager-api-2.5.1.json"),
    ] {
        let mut world = World::with(Fixture::default(), World::version(version)).await;
        let before = world.emulator.inventory().counts();
        build(&mut world).await;
        let mut keys: Vec<_> = world.stands.0.keys().cloned().collect();
        keys.sort();
        for key in &keys {
            let known = &world.stands.0[key];
            for handle in [Some(known.handle.clone()), None] {
                let read = world
                    .read(key, handle)
                    .await
                    .unwrap_or_else(|| panic!("{key} is there"));
                assert_eq!(
                    (&read.handle, read.digest, read.attributes),
                    (&known.handle, known.digest, known.attributes),
                    "{key}"
                );
            }
        }
        tear_down(&mut world).await;
        assert_eq!(world.emulator.inventory().counts(), before, "{version}");
        assert!(world.allocated().is_empty());
        conforms(&world.emulator, file);
    }
}

/// Removes everything, what refers before what it refers to.
async fn tear_down(world: &mut World) {
    while !world.stands.0.is_empty() {
        let used: Vec<Handle> = world
            .stands
            .0
            .values()
            .flat_map(|s| s.refs.iter().cloned())
            .collect();
        let free: Vec<_> = world
            .stands
            .0
            .iter()
            .filter(|(_, s)| !used.contains(&s.handle))
            .map(|(k, _)| k.clone())
            .collect();
        assert!(!free.is_empty(), "no circle");
        for key in free {
            if !matches!(key.part, Part::Parent | Part::Pool) {
                let outcome = world.remove(&key).await;
                assert!(matches!(outcome, Outcome::Gone), "{key}: {outcome:?}");
                let again = world.remove(&key).await;
                assert!(matches!(again, Outcome::Gone), "removing twice {key}: {again:?}");
                assert!(
                    world.read(&key, None).await.is_none() || key.part == Part::Advertisement,
                    "{key} is gone"
                );
            }
            world.stands.0.remove(&key);
        }
    }
}

#[tokio::test]
async fn what_was_changed_behind_our_back_is_written_again() {
    let mut world = World::start().await;
    build(&mut world).await;
    let handle = |world: &World, key: &super::world::Key| match &world.stands.0[key].handle {
        Handle::Id(id) => id.to_string(),
        other => panic!("{other:?}"),
    };
    let group = RowKey::new(ObjectKey::Group(space()), Part::Group);
    let port = port_key();
    for (key, path) in [(&group, "/ns-groups"), (&port, "/logical-ports")] {
        let path = format!("{path}/{}", handle(&world, key));
        world
            .meddle(&path, |object| {
                object["display_name"] = json!("renamed");
                object["description"] = json!("by hand");
            })
            .await;
        let seen = world.read(key, None).await.unwrap();
        assert_ne!(seen.digest, world.stands.0[key].digest, "{key}");
        let known = world.stands.0.insert(key.clone(), seen).unwrap();
        let object = if key == &group {
            Object::Group(space())
        } else {
            self::port(known.attributes.address.unwrap(), &["space"])
        };
        world.ensure(object).await;
        assert_eq!(world.stands.0[key].digest, known.digest);
        let now = world.api.get(&path, &[]).await.unwrap().value().unwrap();
        assert_eq!(now["description"], "by hand", "what is not managed is kept");
    }
}

#[tokio::test]
async fn a_port_joins_a_group_with_one_write() {
    let mut world = World::start().await;
    build(&mut world).await;
    let address = world.stands.0[&port_key()].attributes.address.unwrap();
    world.emulator.log().clear();
    world.ensure(port(address, &["space", "other"])).await;
    assert_eq!(world.emulator.log().writes().len(), 1);
}

#[tokio::test]
async fn a_stale_revision_is_read_and_tried_again() {
    let mut world = World::start().await;
    build(&mut world).await;
    let address = world.stands.0[&port_key()].attributes.address.unwrap();
    world.emulator.faults().inject(
        Matcher::on(Method::PUT, "/logical-ports").once(),
        Effect::Status(412, 604),
    );
    world.ensure(port(address, &["other"])).await;
    world.emulator.faults().inject(
        Matcher::on(Method::POST, "/rules").once(),
        Effect::Status(409, 604),
    );
    let late = rule(
        SectionKey::Policy(policy()),
        allow(Peers::Any, vec![Service::Protocol(47)]),
        Applied::PerRule,
    );
    let (key, row) = world.rows(&late).pop().unwrap();
    assert!(matches!(world.ensure_row(&key, &row).await, Outcome::Stale));
    assert!(matches!(world.ensure_row(&key, &row).await, Outcome::Done(_)));
}

#[tokio::test]
async fn sections_stand_between_the_markers_in_order() {
    let mut world = World::start().await;
    build(&mut world).await;
    let sections = world.emulator.inventory().list("FirewallSection");
    let names: Vec<&str> = sections
        .iter()
        .map(|s| s["display_name"].as_str().unwrap())
        .collect();
    let expected = [
        "top_firewall_section_marker",
        "c1-hold-s",
        "c1-allow-s",
        "c1-allow-s",
        "c1-deny-s",
        "bottom_firewall_section_marker",
    ];
    assert_eq!(&names[..6], &expected, "R-FW-03");
    let ours = world.stands.0[&RowKey::new(ObjectKey::Section(SectionKey::Policy(policy())), Part::Section)]
        .handle
        .clone();
    let Handle::Id(id) = ours else { panic!() };
    let rules = world.emulator.inventory().below("FirewallRule", &id.to_string());
    assert!(
        rules[0]["logged"].as_bool().unwrap() && !rules[1]["logged"].as_bool().unwrap(),
        "those that log come first"
    );
}

#[tokio::test]
async fn one_bad_rule_holds_back_itself_alone() {
    let mut world = World::start().await;
    for object in platform() {
        world.ensure(object).await;
    }
    world.ensure(Object::Group(space())).await;
    world
        .ensure(Object::Union(Union {
            policy: policy(),
            name: "asg".into(),
        }))
        .await;
    let bad = "203.0.113.0/24";
    world.emulator.faults().inject(
        Matcher {
            body: Some(format!("\"target_id\":\"{bad}\"")),
            ..Matcher::writes()
        },
        Effect::Status(400, 8327),
    );
    let outcomes = world.ensure_together(&policy_section(), &policy_rules()).await;
    let refused: Vec<_> = outcomes
        .iter()
        .filter_map(|o| match o {
            Outcome::Refused(failure) => Some(failure),
            Outcome::Done(_) => None,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((outcomes.len(), refused.len()), (5, 1));
    assert_eq!(refused[0].code, Code::FirewallCreationFailed);
    assert!(refused[0].message.contains("8327"), "{}", refused[0].message);
}

#[tokio::test]
async fn answers_are_classified() {
    let mut world = World::start().await;
    let (key, row) = world.rows(&Object::Group(space())).pop().unwrap();
    let on = || Matcher::on(Method::POST, "/ns-groups").once();
    let faults = world.emulator.faults().clone();
    faults.inject(on(), Effect::Status(503, 0));
    assert!(
        matches!(world.ensure_row(&key, &row).await, Outcome::NotSent(f) if f.code == Code::NsxConnectionFailed)
    );
    faults.inject(on(), Effect::Status(429, 0));
    assert!(matches!(world.ensure_row(&key, &row).await, Outcome::NotSent(_)));
    faults.inject(on(), Effect::ResetBefore);
    assert!(matches!(world.ensure_row(&key, &row).await, Outcome::Uncertain));
    assert!(world.read(&key, None).await.is_none());
    faults.inject(on(), Effect::Status(400, 289));
    assert!(
        matches!(world.ensure_row(&key, &row).await, Outcome::Refused(f) if f.code == Code::NSGroupCreationFailed)
    );
    faults.inject(on(), Effect::ResetAfter);
    assert!(matches!(world.ensure_row(&key, &row).await, Outcome::Uncertain));
    assert!(
        world.read(&key, None).await.is_some(),
        "a lost answer is settled by a read"
    );
}

#[tokio::test]
async fn nothing_is_sent_after_the_fence() {
    let mut world = World::start().await;
    let (key, row) = world.rows(&Object::Group(space())).pop().unwrap();
    let ncp_core::dialect::Change::Op(op) =
        ncp_core::dialect::Dialect::ensure(&world.manager, &key, &row, None, &world.stands)
    else {
        panic!("made")
    };
    world.emulator.log().clear();
    let past = Fence {
        epoch: 1,
        deadline: Time(0),
    };
    assert!(matches!(
        world.write_op(&key, Verb::Ensure, op, past).await,
        Outcome::NotSent(_)
    ));
    assert!(world.emulator.log().writes().is_empty());
}

#[tokio::test]
async fn what_others_made_is_never_removed() {
    let mut world = World::start().await;
    world.ensure(Object::Node(NodeId::new("cell-1"))).await;
    let key = RowKey::new(ObjectKey::Node(NodeId::new("cell-1")), Part::Parent);
    let op = Op::Remove(world.stands.0[&key].handle.clone());
    assert!(matches!(
        world.write_op(&key, Verb::Retire, op, fence()).await,
        Outcome::Refused(_)
    ));
}

#[tokio::test]
async fn a_full_block_gives_way_to_the_next() {
    let blocks = vec!["10.16.0.0/24".to_owned(), "10.17.0.0/24".to_owned()];
    let mut world = World::with(
        Fixture {
            blocks,
            ..Fixture::default()
        },
        World::version(Version::V2_4),
    )
    .await;
    let mut environment = world.manager.environment().clone();
    let second = world
        .api
        .get(&format!("/pools/ip-blocks/{}", world.made.blocks[1]), &[])
        .await
        .unwrap()
        .value()
        .unwrap();
    environment.container_blocks.push(ncp_nsxt::manager::Block {
        id: second["id"].as_str().unwrap().into(),
        cidr: second["cidr"].as_str().unwrap().parse().unwrap(),
    });
    world = World::over(world.emulator, world.made, world.api, environment);
    let subnet = |index| {
        Object::Subnet(Subnet {
            project: org(),
            index,
            routed: false,
        })
    };
    world.ensure(subnet(0)).await;
    world.ensure(subnet(1)).await;
    let cidr = |n| {
        world.stands.0[&RowKey::new(ObjectKey::Subnet(org(), n), Part::IpSubnet)]
            .attributes
            .cidr
            .unwrap()
            .to_string()
    };
    assert_eq!((cidr(0), cidr(1)), ("10.16.0.0/24".into(), "10.17.0.0/24".into()));
    let (key, row) = world.rows(&subnet(2)).pop().unwrap();
    assert!(
        matches!(world.ensure_row(&key, &row).await, Outcome::Refused(f) if f.code == Code::IpBlockExhausted)
    );
}
