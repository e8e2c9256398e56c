//! From rows to the bodies of creates and updates.

use std::net::Ipv4Addr;

use ncp_core::dialect::RowKey;
use ncp_core::net::gateway_of;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::firewall::{rule, section};
use super::id_text;
use crate::manager::body::{Body, Translated};
use crate::manager::names::Environment;
use crate::manager::part::{Handle, Part};
use crate::manager::tags::{self, Tag};

type Key = RowKey<Part>;

/// The managed fields of a row; `null` where a field must not be set.
///
/// Claims are written by [`encode_claim`], members and advertisements by calls of their own.
pub(in crate::manager) fn encode(env: &Environment, key: &Key, body: &Body<Handle>) -> Value {
    let owned = |more: Vec<Tag>| json!([env.owner_tags(key), more].concat());
    match body {
        Body::Router { name, project } => json!({
            "resource_type": "LogicalRouter", "display_name": name, "router_type": "TIER1",
            "tags": owned(vec![Tag::new(tags::PROJECT, project.to_string())]),
        }),
        Body::LinkTier0 { name } => json!({
            "resource_type": "LogicalRouterLinkPortOnTIER0", "display_name": name,
            "logical_router_id": env.tier0, "tags": owned(vec![]),
        }),
        Body::LinkTier1 { name, router, peer } => json!({
            "resource_type": "LogicalRouterLinkPortOnTIER1", "display_name": name,
            "logical_router_id": id_text(router),
            "linked_logical_router_port_id": { "target_id": id_text(peer) },
            "tags": owned(vec![]),
        }),
        Body::Advertisement { .. } => json!({ "enabled": true, "advertise_nsx_connected_routes": true }),
        Body::IpSubnet { routed, project } => json!({
            "resource_type": "IpBlockSubnet", "size": 1u64 << (32 - u32::from(env.subnet_prefix.min(32))),
            "tags": owned(vec![
                Tag::new(tags::PROJECT, project.to_string()),
                Tag::new(tags::ROUTED, routed.to_string()),
            ]),
        }),
        Body::Switch { name, project } => json!({
            "resource_type": "LogicalSwitch", "display_name": name, "transport_zone_id": env.overlay_zone,
            "admin_state": "UP", "replication_mode": "MTEP",
            "tags": owned(vec![Tag::new(tags::PROJECT, project.to_string())]),
        }),
        Body::GatewayPort { name, switch } => json!({
            "resource_type": "LogicalPort", "display_name": name, "logical_switch_id": id_text(switch),
            "admin_state": "UP", "tags": owned(vec![]),
        }),
        Body::Downlink {
            name,
            router,
            port,
            subnet,
            cidr,
        } => json!({
            "resource_type": "LogicalRouterDownLinkPort", "display_name": name,
            "logical_router_id": id_text(router),
            "linked_logical_switch_port_id": { "target_type": "LogicalPort", "target_id": id_text(port) },
            "subnets": [{ "ip_addresses": [gateway_of(*cidr)], "prefix_length": cidr.prefix_len() }],
            "tags": owned(vec![Tag::new(tags::SUBNET, id_text(subnet))]),
        }),
        Body::Port { .. } => port(env, key, body),
        Body::Nat { .. } => nat(env, key, body),
        Body::Group { name, group } => json!({
            "resource_type": "NSGroup", "display_name": name,
            "membership_criteria": [tag_criterion("LogicalPort", tags::GROUP, &env.group_tag(group))],
            "tags": owned(vec![]),
        }),
        Body::Union { name } => json!({
            "resource_type": "NSGroup", "display_name": name, "membership_criteria": null, "tags": owned(vec![]),
        }),
        Body::ClusterGroup { name } => json!({
            "resource_type": "NSGroup", "display_name": name,
            "membership_criteria": [tag_criterion("LogicalSwitch", tags::CLUSTER, &env.cluster)],
            "tags": owned(vec![]),
        }),
        Body::SpoofGuard { name } => json!({
            "resource_type": "SpoofGuardSwitchingProfile", "display_name": name,
            "white_list_providers": ["LPORT_BINDINGS"], "tags": owned(vec![]),
        }),
        Body::Section { .. } => section(env, key, body),
        Body::Rule(body) => rule(env, key, body),
        Body::Member { member, .. } => json!({ "members": [{
            "resource_type": "NSGroupSimpleExpression", "target_type": "NSGroup", "target_property": "id",
            "op": "EQUALS", "value": id_text(member),
        }] }),
        Body::Claim { .. } | Body::Found => Value::Null,
    }
}

fn tag_criterion(target: &str, scope: &str, tag: &str) -> Value {
    json!({
        "resource_type": "NSGroupTagExpression", "target_type": target,
        "scope": scope, "scope_op": "EQUALS", "tag": tag, "tag_op": "EQUALS",
    })
}

/// A container's port. Its VLAN stands in the attachment alone: it is taken off at the machine's port,
/// so the frames that the binding is held against have none (NSX-T API guide, VifAttachmentContext).
fn port(env: &Environment, key: &Key, body: &Body<Handle>) -> Value {
    let Body::Port {
        name,
        switch,
        parent,
        profile,
        vlan,
        address,
        mac,
        app,
        project,
        groups,
        labels,
        ..
    } = body
    else {
        return Value::Null;
    };
    let mut tags = env.owner_tags(key);
    tags.push(Tag::new(tags::PROJECT, project.to_string()));
    tags.extend(groups.iter().map(|g| Tag::new(tags::GROUP, env.group_tag(g))));
    tags.extend(labels.iter().map(|(scope, tag)| Tag::new(&**scope, &**tag)));
    json!({
        "resource_type": "LogicalPort", "display_name": name, "logical_switch_id": id_text(switch),
        "admin_state": "UP",
        "attachment": {
            "attachment_type": "VIF", "id": attachment_id(env, key),
            "context": {
                "resource_type": "VifAttachmentContext", "vif_type": "CHILD",
                "parent_vif_id": id_text(parent), "traffic_tag": vlan, "app_id": app,
            },
        },
        "address_bindings": [{ "ip_address": address, "mac_address": mac.to_string() }],
        "switching_profile_ids": [{ "key": "SpoofGuardSwitchingProfile", "value": id_text(profile) }],
        "tags": tags,
    })
}

/// The attachment id of a container's port: follows from the cluster and the row, so that NSX, where an
/// attachment id can be on one port only, refuses a second port for one container.
pub(in crate::manager) fn attachment_id(env: &Environment, key: &Key) -> String {
    let digest = Sha256::digest(format!("{}/{}", env.cluster, tags::key_text(key)));
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

fn nat(env: &Environment, key: &Key, body: &Body<Handle>) -> Value {
    let Body::Nat {
        name,
        priority,
        source,
        destination,
        translated,
    } = body
    else {
        return Value::Null;
    };
    let mut tags = env.owner_tags(key);
    let (action, network) = match translated {
        Translated::Claim { claim, address } => {
            tags.push(Tag::new(tags::CLAIM_ID, id_text(claim)));
            ("SNAT", address.map(|a| a.to_string()))
        }
        Translated::Untranslated => ("NO_SNAT", None),
    };
    json!({
        "resource_type": "NatRule", "display_name": name, "action": action, "rule_priority": priority,
        "match_source_network": network_text(*source),
        "match_destination_network": destination.map(network_text),
        "translated_network": network, "enabled": true, "tags": tags,
    })
}

/// A network as NSX writes it: a single address without its length.
fn network_text(net: ipnet::Ipv4Net) -> String {
    if net.prefix_len() == 32 {
        net.addr().to_string()
    } else {
        net.to_string()
    }
}

/// How far a claim has come, as its IP set says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::manager) struct Claimed {
    /// Id of the pool.
    pub(in crate::manager) pool: String,
    /// The address that is, or is to be, allocated there.
    pub(in crate::manager) address: Ipv4Addr,
    /// `pending`, `held` or `releasing`.
    pub(in crate::manager) state: String,
    /// Addresses that may be ours and that nobody uses.
    pub(in crate::manager) suspects: Vec<Ipv4Addr>,
}

/// The IP set of a claim.
pub(in crate::manager) fn encode_claim(
    env: &Environment,
    key: &Key,
    project: &ncp_core::id::ProjectId,
    claimed: &Claimed,
) -> Value {
    let mut tags = env.owner_tags(key);
    tags.push(Tag::new(tags::PROJECT, project.to_string()));
    tags.push(Tag::new(tags::POOL, &claimed.pool));
    tags.push(Tag::new(tags::CLAIM, &claimed.state));
    tags.extend(
        claimed
            .suspects
            .iter()
            .map(|a| Tag::new(tags::SUSPECT, a.to_string())),
    );
    json!({
        "resource_type": "IPSet", "display_name": env.name(format_args!("snat-{project}")),
        "ip_addresses": [claimed.address], "tags": tags,
    })
}
