//! From what NSX shows to rows.

use std::sync::Arc;

use ipnet::Ipv4Net;
use ncp_core::dialect::{Attributes, RowKey};
use ncp_core::id::{GroupId, Name, ProjectId};
use ncp_core::net::{Mac, gateway_of};
use ncp_core::topology::ObjectKey;
use serde_json::Value;

use super::encode::Claimed;
use super::firewall::{read_rule, read_section};
use super::{Decoded, address, flag, list, tagged, tags, text};
use crate::manager::body::{Apart, Body, Translated};
use crate::manager::names::Environment;
use crate::manager::part::{Handle, Part};
use crate::manager::tags::{self as scopes, Tag, is_structural};

/// Reads an object that bears this row's marks. `parent` is the handle of what it stands in, for rows
/// that only their place names: a rule's section, a member's group, an advertisement's router.
pub(in crate::manager) fn decode(
    env: &Environment,
    key: &RowKey<Part>,
    parent: Option<&Handle>,
    object: &Value,
) -> Decoded {
    let name: Arc<str> = text(object, "display_name").into();
    let parent = || parent.cloned().unwrap_or(Handle::Riding);
    let by_id = |field: &str| Handle::Id(Name::new(text(object, field)));
    let target = |field: &str| Handle::Id(Name::new(text(&object[field], "target_id")));
    let tags = tags(object);
    let project = || ProjectId::new(tagged(&tags, scopes::PROJECT).unwrap_or_default());
    let up = text(object, "admin_state") == "UP";
    match key.part {
        Part::Router => Decoded::exact(Body::Router {
            name,
            project: project(),
        }),
        Part::LinkTier0 => Decoded::exact(Body::LinkTier0 { name }),
        Part::LinkTier1 => Decoded::exact(Body::LinkTier1 {
            name,
            router: by_id("logical_router_id"),
            peer: target("linked_logical_router_port_id"),
        }),
        Part::Advertisement => Decoded::exact(Body::Advertisement { router: parent() })
            .unless(flag(object, "enabled", false) && flag(object, "advertise_nsx_connected_routes", false)),
        Part::IpSubnet => ip_subnet(project(), &tags, object),
        Part::Switch => Decoded::exact(Body::Switch {
            name,
            project: project(),
        })
        .unless(up),
        Part::GatewayPort => Decoded::exact(Body::GatewayPort {
            name,
            switch: by_id("logical_switch_id"),
        })
        .unless(up),
        Part::Downlink => downlink(name, &tags, object),
        Part::Port => port(env, key, &tags, object).unless(up),
        Part::Claim => claim(key, project(), object),
        Part::Nat | Part::NoNat(_) => nat(name, &tags, object),
        Part::Group => group(env, key, name, object),
        Part::ClusterGroup => Decoded::exact(Body::ClusterGroup { name }).unless(
            list(object, "members").is_empty()
                && criterion(object, "LogicalSwitch", scopes::CLUSTER) == Some(&env.cluster),
        ),
        Part::SpoofGuard => {
            let providers = list(object, "white_list_providers");
            Decoded::exact(Body::SpoofGuard { name })
                .unless(providers.len() == 1 && providers[0] == "LPORT_BINDINGS")
        }
        Part::Section => read_section(object),
        Part::Rule(_) => read_rule(&parent(), object),
        Part::Member => Decoded::exact(Body::Member {
            group: parent(),
            member: by_id("value"),
        }),
        Part::Parent | Part::Pool => Decoded::exact(Body::Found),
    }
}

fn ip_subnet(project: ProjectId, tags: &[Tag], object: &Value) -> Decoded {
    let routed = tagged(tags, scopes::ROUTED) == Some("true");
    let mut decoded = Decoded::exact(Body::IpSubnet { routed, project });
    decoded.attributes.cidr = text(object, "cidr").parse().ok();
    decoded
}

fn downlink(name: Arc<str>, tags: &[Tag], object: &Value) -> Decoded {
    let subnets = list(object, "subnets");
    let subnet = subnets.first().unwrap_or(&Value::Null);
    let gateway = list(subnet, "ip_addresses").first().and_then(Value::as_str);
    let gateway = gateway.and_then(address);
    let length = subnet["prefix_length"].as_u64().unwrap_or(0).min(32) as u8;
    let cidr = gateway
        .and_then(|a| Ipv4Net::new(a, length).ok())
        .unwrap_or_default()
        .trunc();
    let id = |text: &str| Handle::Id(Name::new(text));
    Decoded::exact(Body::Downlink {
        name,
        router: id(text(object, "logical_router_id")),
        port: id(text(&object["linked_logical_switch_port_id"], "target_id")),
        subnet: id(tagged(tags, scopes::SUBNET).unwrap_or_default()),
        cidr,
    })
    .unless(subnets.len() == 1 && cidr.prefix_len() < 31 && gateway == Some(gateway_of(cidr)))
}

fn port(env: &Environment, key: &RowKey<Part>, tags: &[Tag], object: &Value) -> Decoded {
    let attachment = &object["attachment"];
    let context = &attachment["context"];
    let profiles = list(object, "switching_profile_ids").iter();
    let profile = profiles
        .filter(|p| p["key"] == "SpoofGuardSwitchingProfile")
        .map(|p| text(p, "value"))
        .next()
        .unwrap_or_default();
    let bindings = list(object, "address_bindings");
    let binding = bindings.first().unwrap_or(&Value::Null);
    let (ip, mac) = (
        address(text(binding, "ip_address")),
        mac(text(binding, "mac_address")),
    );
    let (groups, strangers) = groups(env, tags);
    let mut labels: Vec<(Arc<str>, Arc<str>)> = tags
        .iter()
        .filter(|t| !is_structural(&t.scope))
        .map(|t| (t.scope.as_str().into(), t.tag.as_str().into()))
        .collect();
    labels.sort();
    labels.dedup();
    let vlan = context["traffic_tag"]
        .as_u64()
        .and_then(|tag| u16::try_from(tag).ok());
    let as_written = text(context, "vif_type") == "CHILD"
        && text(attachment, "id") == super::attachment_id(env, key)
        && bindings.len() == 1
        && ip.is_some()
        && mac.is_some()
        && vlan.is_some()
        && !strangers;
    Decoded::exact(Body::Port {
        name: text(object, "display_name").into(),
        switch: Handle::Id(text(object, "logical_switch_id").into()),
        parent: Handle::Vif(text(context, "parent_vif_id").into()),
        profile: Handle::Id(profile.into()),
        vlan: vlan.unwrap_or_default(),
        address: ip.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED),
        mac: mac.unwrap_or(Mac([0; 6])),
        app: text(context, "app_id").into(),
        project: ProjectId::new(tagged(tags, scopes::PROJECT).unwrap_or_default()),
        groups,
        labels: labels.into(),
        after: Apart(Vec::new()),
    })
    .unless(as_written)
}

/// The groups of a port's tags, in order, and whether there are tags of groups that are not ours.
fn groups(env: &Environment, tags: &[Tag]) -> (Box<[GroupId]>, bool) {
    let all = tags.iter().filter(|t| t.scope == scopes::GROUP);
    let known: Vec<Option<GroupId>> = all.map(|t| env.group_of_tag(&t.tag)).collect();
    let strangers = known.iter().any(Option::is_none);
    let mut groups: Vec<GroupId> = known.into_iter().flatten().collect();
    groups.sort();
    (groups.into(), strangers)
}

fn mac(text: &str) -> Option<Mac> {
    let mut bytes = [0u8; 6];
    let mut parts = text.split([':', '-']);
    for byte in &mut bytes {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    parts.next().is_none().then_some(Mac(bytes))
}

/// A claim that is not held yet, or no longer, deviates: writing it carries it on.
fn claim(key: &RowKey<Part>, project: ProjectId, object: &Value) -> Decoded {
    let claimed = Claimed::read(object);
    let named = matches!(&key.object, ObjectKey::Address(a) if a.pool.is_some());
    let pool = claimed.as_ref().map(|c| Handle::Id(Name::new(&c.pool)));
    let held = claimed.as_ref().is_some_and(|c| c.state == Claimed::HELD);
    let mut decoded = Decoded::exact(Body::Claim {
        pool: pool.filter(|_| named),
        project,
    })
    .unless(held);
    decoded.attributes = Attributes {
        address: claimed.filter(|_| held).map(|c| c.address),
        ..Attributes::default()
    };
    decoded
}

impl Claimed {
    /// The address is written down, and may be allocated.
    pub(in crate::manager) const PENDING: &str = "pending";
    /// The address is allocated to this claim.
    pub(in crate::manager) const HELD: &str = "held";
    /// The address is being given back.
    pub(in crate::manager) const RELEASING: &str = "releasing";

    /// What an IP set says of a claim; `None` if it says nothing of one.
    pub(in crate::manager) fn read(object: &Value) -> Option<Claimed> {
        let tags = tags(object);
        let suspects = tags.iter().filter(|t| t.scope == scopes::SUSPECT);
        Some(Claimed {
            pool: tagged(&tags, scopes::POOL)?.to_owned(),
            address: address(list(object, "ip_addresses").first()?.as_str()?)?,
            state: tagged(&tags, scopes::CLAIM)?.to_owned(),
            suspects: suspects.filter_map(|t| address(&t.tag)).collect(),
        })
    }
}

fn nat(name: Arc<str>, tags: &[Tag], object: &Value) -> Decoded {
    let network = |field: &str| -> Option<Ipv4Net> {
        let text = text(object, field);
        text.parse().ok().or_else(|| address(text).map(Ipv4Net::from))
    };
    let address = address(text(object, "translated_network").trim_end_matches("/32"));
    let claim = Handle::Id(Name::new(tagged(tags, scopes::CLAIM_ID).unwrap_or_default()));
    let (translated, known) = match text(object, "action") {
        "SNAT" => (Translated::Claim { claim, address }, address.is_some()),
        "NO_SNAT" => (Translated::Untranslated, true),
        _ => (Translated::Untranslated, false),
    };
    let source = network("match_source_network");
    let destination = network("match_destination_network");
    let as_written = known
        && source.is_some()
        && destination.is_some() != text(object, "match_destination_network").is_empty()
        && object["match_service"].is_null()
        && flag(object, "enabled", true);
    Decoded::exact(Body::Nat {
        name,
        priority: object["rule_priority"].as_u64().unwrap_or(1024) as u32,
        source: source.unwrap_or_default(),
        destination,
        translated,
    })
    .unless(as_written)
}

fn group(env: &Environment, key: &RowKey<Part>, name: Arc<str>, object: &Value) -> Decoded {
    if matches!(key.object, ObjectKey::Union(_)) {
        return Decoded::exact(Body::Union { name }).unless(list(object, "membership_criteria").is_empty());
    }
    let group = criterion(object, "LogicalPort", scopes::GROUP).and_then(|tag| env.group_of_tag(tag));
    let as_written = group.is_some() && list(object, "members").is_empty();
    Decoded::exact(Body::Group {
        name,
        group: group.unwrap_or_else(|| GroupId::new("")),
    })
    .unless(as_written)
}

/// The tag that a group selects by, if it selects by one tag of this scope and by nothing else.
fn criterion<'a>(object: &'a Value, target: &str, scope: &str) -> Option<&'a str> {
    let [one] = list(object, "membership_criteria") else {
        return None;
    };
    let fits = one["resource_type"] == "NSGroupTagExpression"
        && one["target_type"] == target
        && one["scope"] == scope
        && matches!(text(one, "tag_op"), "" | "EQUALS");
    one["tag"].as_str().filter(|_| fits)
}
