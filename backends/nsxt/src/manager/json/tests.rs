//! What is written reads back the same, and what others or the server add does not disturb.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use ncp_core::dialect::RowKey;
use ncp_core::digest::Digest;
use ncp_core::id::{GroupId, PolicyId, PoolName, ProjectId, WorkloadId};
use ncp_core::intent::{Action, Direction, EgressAddress, EgressOwner, Tier};
use ncp_core::net::{Mac, PortRange, Service};
use ncp_core::topology::{ObjectKey, PlatformSection, SectionKey};
use serde_json::json;

use super::*;
use crate::manager::body::{Apart, PeerSet, RuleBody, Target, Translated};
use crate::manager::names::{Environment, Limits, NodeMatch};
use crate::manager::part::Part;
use crate::manager::resolve::in_order;

type Key = RowKey<Part>;

fn env() -> Environment {
    Environment {
        cluster: "c1".into(),
        tier0: "t0".into(),
        overlay_zone: "tz".into(),
        container_blocks: vec![],
        routed_blocks: vec![],
        external_pools: vec![],
        top_marker: None,
        bottom_marker: None,
        no_masquerade: vec![],
        subnet_prefix: 24,
        node_match: NodeMatch::default(),
        limits: Limits::default(),
    }
}

fn id(text: &str) -> Handle {
    Handle::Id(text.into())
}

fn org() -> ProjectId {
    ProjectId::new("org")
}

fn rule(
    direction: Direction,
    peers: PeerSet<Handle>,
    services: Vec<Service>,
    action: Action,
) -> Body<Handle> {
    Body::Rule(RuleBody {
        section: id("section"),
        direction,
        peers,
        services: in_order(services),
        action,
        log: action == Action::Allow,
        applied_to: vec![Target::Switch(id("switch"))],
    })
}

fn rule_key_of(n: u64) -> Key {
    let policy = SectionKey::Policy(PolicyId::new("p"));
    RowKey::new(ObjectKey::Rule(policy, Digest(n)), Part::Rule(n as u8))
}

fn port() -> (Key, Body<Handle>) {
    let body = Body::Port {
        name: "c1-web-0".into(),
        switch: id("switch"),
        parent: Handle::Vif("vif".into()),
        profile: id("profile"),
        vlan: 17,
        address: "10.1.0.5".parse().unwrap(),
        mac: Mac([2, 0x50, 10, 1, 0, 5]),
        app: "w1".into(),
        project: org(),
        groups: [GroupId::new("a"), GroupId::new("space:b:running")].into(),
        labels: vec![("app".into(), "web".into()), ("app".into(), "web2".into())].into(),
        after: Apart(vec![]),
    };
    (
        RowKey::new(ObjectKey::Port(WorkloadId::new("w1")), Part::Port),
        body,
    )
}

/// Every body that is written, but for claims and members.
fn all() -> Vec<(Key, Body<Handle>)> {
    let router = |part| RowKey::new(ObjectKey::Router(org()), part);
    let switch = |part| RowKey::new(ObjectKey::Switch(org(), 0), part);
    let allow = |part| {
        RowKey::new(
            ObjectKey::Section(SectionKey::Platform(PlatformSection::Allow)),
            part,
        )
    };
    let ports = |range: &[(u16, u16)]| {
        range
            .iter()
            .map(|(a, b)| PortRange::new(*a, *b).unwrap())
            .collect()
    };
    let addresses = || {
        vec![
            Target::Address("10.0.0.1-10.0.0.9".into()),
            Target::Address("10.9.0.0/16".into()),
        ]
    };
    let name = || "n".into();
    vec![
        (
            router(Part::Router),
            Body::Router {
                name: name(),
                project: org(),
            },
        ),
        (router(Part::LinkTier0), Body::LinkTier0 { name: name() }),
        (
            router(Part::LinkTier1),
            Body::LinkTier1 {
                name: name(),
                router: id("r"),
                peer: id("p"),
            },
        ),
        (
            router(Part::Advertisement),
            Body::Advertisement { router: id("r") },
        ),
        (
            RowKey::new(ObjectKey::Subnet(org(), 0), Part::IpSubnet),
            Body::IpSubnet {
                routed: true,
                project: org(),
            },
        ),
        (
            switch(Part::Switch),
            Body::Switch {
                name: name(),
                project: org(),
            },
        ),
        (
            switch(Part::GatewayPort),
            Body::GatewayPort {
                name: name(),
                switch: id("s"),
            },
        ),
        (
            switch(Part::Downlink),
            Body::Downlink {
                name: name(),
                router: id("r"),
                port: id("p"),
                subnet: id("n"),
                cidr: "10.1.0.0/24".parse().unwrap(),
            },
        ),
        port(),
        (
            RowKey::new(ObjectKey::WorkloadNat(WorkloadId::new("w")), Part::Nat),
            Body::Nat {
                name: name(),
                priority: 512,
                source: "10.1.0.5/32".parse().unwrap(),
                destination: None,
                translated: Translated::Claim {
                    claim: id("set"),
                    address: Some("192.0.2.9".parse().unwrap()),
                },
            },
        ),
        (
            RowKey::new(ObjectKey::SubnetNat(org(), 0), Part::NoNat(3)),
            Body::Nat {
                name: name(),
                priority: 256,
                source: "10.1.0.0/24".parse().unwrap(),
                destination: Some("172.16.0.0/12".parse().unwrap()),
                translated: Translated::Untranslated,
            },
        ),
        (
            RowKey::new(ObjectKey::Group(GroupId::new("g")), Part::Group),
            Body::Group {
                name: name(),
                group: GroupId::new("g"),
            },
        ),
        (
            RowKey::new(ObjectKey::Union(PolicyId::new("p")), Part::Group),
            Body::Union { name: name() },
        ),
        (allow(Part::ClusterGroup), Body::ClusterGroup { name: name() }),
        (allow(Part::SpoofGuard), Body::SpoofGuard { name: name() }),
        (
            allow(Part::Section),
            Body::Section {
                name: name(),
                tier: Tier::Allow,
                logs: true,
                anchor: Apart(None),
                applied_to: vec![Target::Group(id("g"))],
            },
        ),
        (
            rule_key_of(1),
            rule(
                Direction::In,
                PeerSet::Of(vec![Target::Group(id("g"))]),
                vec![
                    Service::Udp(ports(&[(53, 53)])),
                    Service::Tcp(ports(&[(8000, 8010), (80, 80)])),
                ],
                Action::Allow,
            ),
        ),
        (
            rule_key_of(2),
            rule(
                Direction::Out,
                PeerSet::Of(addresses()),
                vec![
                    Service::Icmp4 {
                        kind: Some(8),
                        code: None,
                    },
                    Service::Icmp4 {
                        kind: None,
                        code: None,
                    },
                    Service::Protocol(132),
                ],
                Action::Allow,
            ),
        ),
        (
            rule_key_of(3),
            rule(
                Direction::Out,
                PeerSet::NoneOf(addresses()),
                vec![Service::Tcp(vec![])],
                Action::Reject,
            ),
        ),
        (
            rule_key_of(4),
            rule(Direction::In, PeerSet::Any, vec![], Action::Drop),
        ),
    ]
}

fn parent(body: &Body<Handle>) -> Option<Handle> {
    match body {
        Body::Rule(rule) => Some(rule.section.clone()),
        Body::Advertisement { router } => Some(router.clone()),
        _ => None,
    }
}

fn read(key: &Key, body: &Body<Handle>, object: &Value) -> Decoded {
    decode(&env(), key, parent(body).as_ref(), object)
}

#[test]
fn every_body_reads_back_what_was_written() {
    for (key, body) in all() {
        let decoded = read(&key, &body, &bare(encode(&env(), &key, &body)));
        assert!(!decoded.deviates, "{key}: {decoded:?}");
        assert_eq!(decoded.body, body, "{key}");
        assert_eq!(decoded.seen(id("x")).digest, digest::of(&body), "{key}");
    }
}

#[test]
fn nulls_and_fields_of_the_server_do_not_disturb_the_digest() {
    for (key, body) in all() {
        let mut object = encode(&env(), &key, &body);
        let fields = object.as_object_mut().unwrap();
        for (field, value) in [
            ("_revision", json!(7)),
            ("is_default", json!(false)),
            ("later_field", json!({"a": 1})),
        ] {
            fields.insert(field.into(), value);
        }
        if let Some(tags) = fields
            .get_mut("tags")
            .filter(|_| key.part != Part::Port)
            .and_then(Value::as_array_mut)
        {
            tags.reverse();
            tags.push(json!({ "scope": "of/others", "tag": "x" }));
        }
        let decoded = read(&key, &body, &object);
        assert_eq!(decoded.seen(id("x")).digest, digest::of(&body), "{key}");
    }
}

#[test]
fn what_is_not_as_written_deviates() {
    let spoil = |part: Part, at: usize, field: &str, value: Value| {
        let (key, body) = all().into_iter().filter(|(k, _)| k.part == part).nth(at).unwrap();
        let mut object = bare(encode(&env(), &key, &body));
        object[field] = value;
        assert_ne!(
            read(&key, &body, &object).seen(id("x")).digest,
            digest::of(&body),
            "{part} {field}"
        );
    };
    let reference = json!([{ "target_type": "NSGroup", "target_id": "other" }]);
    spoil(Part::Rule(4), 0, "disabled", json!(true));
    spoil(Part::Rule(4), 0, "sources", reference.clone());
    spoil(Part::Rule(4), 0, "destinations", reference);
    spoil(Part::Rule(4), 0, "ip_protocol", json!("IPV4"));
    spoil(Part::Rule(4), 0, "direction", json!("IN_OUT"));
    spoil(
        Part::Rule(4),
        0,
        "services",
        json!([{ "target_type": "NSService", "target_id": "x" }]),
    );
    spoil(Part::Rule(3), 0, "destinations_excluded", json!(false));
    spoil(Part::Nat, 0, "enabled", json!(false));
    spoil(Part::Port, 0, "admin_state", json!("DOWN"));
    spoil(Part::Port, 0, "address_bindings", json!([]));
    spoil(Part::Port, 0, "switching_profile_ids", json!([]));
    spoil(Part::Advertisement, 0, "enabled", json!(false));
    spoil(Part::ClusterGroup, 0, "membership_criteria", json!([]));
    spoil(Part::SpoofGuard, 0, "white_list_providers", json!([]));
}

#[test]
fn a_port_bears_marks_groups_and_labels_as_tags() {
    let (key, body) = port();
    let object = encode(&env(), &key, &body);
    let tags = tags(&object);
    for (scope, tag) in [
        ("ncp/cluster", "c1"),
        ("ncp/key", "port/w1#port"),
        ("ncp/project", "org"),
        ("ncp/group", "c1/a"),
        ("app", "web2"),
    ] {
        assert!(tags.contains(&Tag::new(scope, tag)), "{scope} {tag}");
    }
    assert!(uuid::Uuid::parse_str(text(&object["attachment"], "id")).is_ok());
    let other = RowKey::new(ObjectKey::Port(WorkloadId::new("w2")), Part::Port);
    assert_ne!(attachment_id(&env(), &key), attachment_id(&env(), &other));
}

#[test]
fn an_update_keeps_what_it_does_not_know() {
    let read = json!({
        "id": "s", "_revision": 3, "vni": 70000, "display_name": "old", "replication_mode": "MTEP",
        "tags": [{ "scope": "ncp/project", "tag": "old" }, { "scope": "team", "tag": "net" }],
        "membership_criteria": [1],
        "switching_profile_ids": [{ "key": "QosSwitchingProfile", "value": "q" }, { "key": "SpoofGuardSwitchingProfile", "value": "o" }],
    });
    let wanted = json!({
        "display_name": "new", "membership_criteria": null, "tags": [{ "scope": "ncp/project", "tag": "new" }],
        "switching_profile_ids": [{ "key": "SpoofGuardSwitchingProfile", "value": "n" }],
    });
    let merged = overlay(&read, wanted.clone(), false);
    assert_eq!(
        (&merged["vni"], &merged["_revision"], &merged["display_name"]),
        (&json!(70000), &json!(3), &json!("new"))
    );
    assert!(merged.get("membership_criteria").is_none());
    assert_eq!(
        merged["tags"],
        json!([{ "scope": "ncp/project", "tag": "new" }, { "scope": "team", "tag": "net" }])
    );
    let profiles = json!([{ "key": "SpoofGuardSwitchingProfile", "value": "n" }, { "key": "QosSwitchingProfile", "value": "q" }]);
    assert_eq!(merged["switching_profile_ids"], profiles);
    assert_eq!(
        overlay(&read, wanted.clone(), true)["tags"],
        wanted["tags"],
        "all tags of a port are managed"
    );
}

#[test]
fn a_claim_says_how_far_it_has_come() {
    let address = EgressAddress {
        owner: EgressOwner::Project(org()),
        pool: Some(PoolName::new("p")),
    };
    let key = RowKey::new(ObjectKey::address(address), Part::Claim);
    let body = Body::Claim {
        pool: Some(id("pool")),
        project: org(),
    };
    let mut claimed = Claimed {
        pool: "pool".into(),
        address: "192.0.2.7".parse().unwrap(),
        state: Claimed::HELD.into(),
        suspects: vec!["192.0.2.8".parse().unwrap()],
    };
    let object = encode_claim(&env(), &key, &org(), &claimed);
    assert_eq!(Claimed::read(&object).as_ref(), Some(&claimed));
    let held = decode(&env(), &key, None, &object);
    assert_eq!(
        (held.attributes.address, held.body.clone()),
        (Some(claimed.address), body.clone())
    );
    assert_eq!(held.seen(id("x")).digest, digest::of(&body));
    claimed.state = Claimed::PENDING.into();
    let pending = decode(&env(), &key, None, &encode_claim(&env(), &key, &org(), &claimed));
    assert_eq!(pending.attributes.address, None);
    assert_ne!(pending.seen(id("x")).digest, digest::of(&body));
}

#[test]
fn a_rule_is_known_by_its_notes() {
    let section = SectionKey::Policy(PolicyId::new("p"));
    for (key, body) in all().into_iter().filter(|(k, _)| matches!(k.part, Part::Rule(_))) {
        assert_eq!(rule_key(&section, &encode(&env(), &key, &body)), Some(key));
    }
    for notes in ["", "ncp:zz#rule", "ncp:00#router", "mine", "ncp:00"] {
        assert_eq!(rule_key(&section, &json!({ "notes": notes })), None, "{notes}");
    }
}
