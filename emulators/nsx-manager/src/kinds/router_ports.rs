//! Router ports: links between tiers and downlinks to switches, whose far ends the server fills in.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::formats::{Format, mac_text};
use super::routers::MODULE;
use super::schema::{Field, Schema, Type, choice, field, flag, int, list, text};
use super::{Filter, Kind, REFERENCE, Rules, Spec, invalidate};
use crate::api::error::{ApiError, Result};
use crate::api::query::Query;
use crate::store::{Body, Object, Term, Tx, items, string, text as text_of};

const SUBNET: &Schema = &[
    field("ip_addresses", Type::List(&Type::Of(Format::Ip), 1, 1)).required(),
    int("prefix_length", 1, 32).required(),
];

const ROUTER: Field = text("logical_router_id").once();
const MAC: Field = text("mac_address").read_only();
const BINDINGS: Field = list("service_bindings", &Type::Any, 10).or_empty();
const SUBNETS: Field = field("subnets", Type::List(&Type::Object(SUBNET), 1, 1)).required();
const SWITCH_PORT: Field = field("linked_logical_switch_port_id", Type::Object(REFERENCE));
const URPF: Field = choice("urpf_mode", &["STRICT", "NONE"]).or("STRICT");
const MEMBER_INDEX: Field = list("edge_cluster_member_index", &Type::Int(0, 9), 10);

const TIER0_LINK: &Schema = &[
    ROUTER,
    MAC,
    BINDINGS,
    text("linked_logical_router_port_id").read_only(),
    list("subnets", &Type::Any, 1).read_only(),
];
const TIER1_LINK: &Schema = &[
    ROUTER,
    MAC,
    BINDINGS,
    field("linked_logical_router_port_id", Type::Object(REFERENCE)),
    list("subnets", &Type::Any, 1).read_only(),
];
const DOWNLINK: &Schema = &[ROUTER, MAC, BINDINGS, SWITCH_PORT, SUBNETS, URPF];
const CENTRALIZED: &Schema = &[
    ROUTER,
    MAC,
    BINDINGS,
    SWITCH_PORT,
    SUBNETS,
    URPF,
    flag("enable_netx", false),
];
const UPLINK: &Schema = &[
    ROUTER,
    MAC,
    BINDINGS,
    SWITCH_PORT,
    SUBNETS,
    URPF,
    MEMBER_INDEX.required(),
    int("mtu", 64, 9000),
];
const LOOPBACK: &Schema = &[ROUTER, BINDINGS, SUBNETS, MEMBER_INDEX.required()];

const T0_LINK: &str = "LogicalRouterLinkPortOnTIER0";
const T1_LINK: &str = "LogicalRouterLinkPortOnTIER1";

pub(super) const SPECS: &[Spec] = &[Spec::new(
    Kind::LogicalRouterPort,
    "logical-router-ports",
    MODULE,
    &[
        (T0_LINK, TIER0_LINK),
        (T1_LINK, TIER1_LINK),
        ("LogicalRouterDownLinkPort", DOWNLINK),
        ("LogicalRouterCentralizedServicePort", CENTRALIZED),
        ("LogicalRouterUpLinkPort", UPLINK),
        ("LogicalRouterLoopbackPort", LOOPBACK),
    ],
    &RouterPorts,
)];

struct RouterPorts;

impl Rules for RouterPorts {
    fn check(&self, tx: &mut Tx<'_>, body: &mut Body, old: Option<&Object>) -> Result<()> {
        let router = tx.referent(Kind::LogicalRouter, text_of(body, "logical_router_id"))?;
        fits_tier(text_of(body, "resource_type"), router.text("router_type"))?;
        no_overlap(tx, body, old)?;
        free_peer(tx, body, old)?;
        free_switch_port(tx, body, old)?;
        if old.is_none() {
            let number = tx.number();
            let mac = mac_text(0x0250_5600_0000 + u64::try_from(number).unwrap_or(0) % 0x100_0000);
            body.insert("mac_address".into(), json!(mac));
        }
        Ok(())
    }

    fn stored(&self, tx: &mut Tx<'_>, object: &Arc<Object>, old: Option<&Object>) -> Result<()> {
        if let Some(old) = old {
            unlink(tx, old, object);
        }
        link_tiers(tx, object);
        attach(tx, object);
        Ok(())
    }

    fn release(&self, tx: &mut Tx<'_>, object: &Arc<Object>, query: &Query) -> Result<()> {
        let force = query.flag("force");
        if !force
            && object.text("resource_type") == T0_LINK
            && tx.referred(Kind::LogicalRouterPort, &object.id)
        {
            return Err(ApiError::in_use(&object.id, "a tier-1 port is linked to it").module(MODULE));
        }
        if !force && tx.referred(Kind::NatRule, &object.id) {
            return Err(ApiError::in_use(&object.id, "a NAT rule is applied to it").module(MODULE));
        }
        detach_ends(tx, object);
        invalidate(tx, &object.id);
        Ok(())
    }

    fn filter(&self, query: &Query) -> Result<Filter> {
        let router = query.get("logical_router_id").map(str::to_owned);
        let filter = Filter::all()
            .with(router.as_ref().map(|router| Term::Ref(router.as_str().into())))
            .equal(query, "logical_router_id", "logical_router_id")
            .equal(query, "resource_type", "resource_type");
        let Some(switch) = query.get("logical_switch_id").map(str::to_owned) else {
            return Ok(filter);
        };
        Ok(filter.and(move |view, port| {
            let switch_port = view.get(Kind::LogicalPort, switch_port_of(&port.body));
            switch_port.is_some_and(|switch_port| switch_port.text("logical_switch_id") == switch)
        }))
    }
}

/// The switch port that a downlink names.
pub(crate) fn switch_port_of(body: &Body) -> &str {
    body.get("linked_logical_switch_port_id")
        .map_or("", |port| string(port, "target_id"))
}

/// The tier-0 port that a tier-1 link names.
pub(crate) fn tier0_port_of(body: &Body) -> &str {
    body.get("linked_logical_router_port_id")
        .map_or("", |port| string(port, "target_id"))
}

fn fits_tier(port: &str, tier: &str) -> Result<()> {
    let wanted = match port {
        T0_LINK | "LogicalRouterUpLinkPort" => "TIER0",
        T1_LINK => "TIER1",
        _ => tier,
    };
    if wanted == tier {
        return Ok(());
    }
    Err(ApiError::invalid(format!("A {port} goes on a {wanted} router.")).module(MODULE))
}

fn networks(body: &Body) -> impl Iterator<Item = IpNet> {
    items(body, "subnets").iter().filter_map(|subnet| {
        let address = subnet.get("ip_addresses")?.get(0)?.as_str()?.parse().ok()?;
        let length = u8::try_from(subnet.get("prefix_length")?.as_u64()?).ok()?;
        IpNet::new(address, length).ok()
    })
}

fn no_overlap(tx: &Tx<'_>, body: &Body, old: Option<&Object>) -> Result<()> {
    let router = text_of(body, "logical_router_id");
    for port in tx
        .view()
        .referrers(Kind::LogicalRouterPort, router)
        .filter(|port| old.is_none_or(|old| old.id != port.id))
    {
        let clash = networks(body).find(|ours| {
            networks(&port.body)
                .any(|theirs| ours.contains(&theirs.network()) || theirs.contains(&ours.network()))
        });
        if let Some(network) = clash {
            let message = format!(
                "The subnet {network} overlaps with that of router port {}.",
                port.id
            );
            return Err(ApiError::bad(crate::api::error::OVERLAP, message).module(MODULE));
        }
    }
    Ok(())
}

fn free_peer(tx: &Tx<'_>, body: &Body, old: Option<&Object>) -> Result<()> {
    let peer = tier0_port_of(body);
    if peer.is_empty() || text_of(body, "resource_type") != T1_LINK {
        return Ok(());
    }
    let peer = tx.referent(Kind::LogicalRouterPort, peer)?;
    let linked = peer.text("linked_logical_router_port_id");
    let own = old.map_or("", |old| &old.id);
    if peer.text("resource_type") != T0_LINK || !(linked.is_empty() || linked == own) {
        let message = format!("The router port {} is no free tier-0 link port.", peer.id);
        return Err(ApiError::bad(crate::api::error::CLASH, message).module(MODULE));
    }
    Ok(())
}

fn free_switch_port(tx: &Tx<'_>, body: &Body, old: Option<&Object>) -> Result<()> {
    let port = switch_port_of(body);
    if port.is_empty() {
        return Ok(());
    }
    let port = tx.referent(Kind::LogicalPort, port)?;
    let attached = port
        .body
        .get("attachment")
        .map_or("", |attachment| string(attachment, "id"));
    if !(attached.is_empty() || old.is_some_and(|old| attached == old.id.as_ref())) {
        let message = format!("The logical port {} is already attached.", port.id);
        return Err(ApiError::bad(crate::api::error::CLASH, message).module(MODULE));
    }
    Ok(())
}

/// Fills in both ends of a link between tiers: the string at the tier-0 port, and a /31 of the transit network.
fn link_tiers(tx: &mut Tx<'_>, object: &Arc<Object>) {
    let peer = tier0_port_of(&object.body).to_owned();
    let Some(peer) = tx.view().get(Kind::LogicalRouterPort, &peer).cloned() else {
        return;
    };
    if object.text("resource_type") != T1_LINK
        || peer.text("linked_logical_router_port_id") == object.id.as_ref()
    {
        return;
    }
    let (upper, lower) = transit(object.uid);
    tx.touch(object, |body| drop(body.insert("subnets".into(), subnet(lower))));
    tx.touch(&peer, |body| {
        body.insert("subnets".into(), subnet(upper));
        body.insert("linked_logical_router_port_id".into(), json!(object.id.as_ref()));
    });
}

fn subnet(address: Ipv4Addr) -> Value {
    json!([{ "ip_addresses": [address.to_string()], "prefix_length": 31 }])
}

/// The pair of addresses of 100.64.0.0/10 that belongs to the n-th object.
fn transit(number: i64) -> (Ipv4Addr, Ipv4Addr) {
    let pair = u32::try_from(number.rem_euclid(1 << 21)).unwrap_or(0) * 2;
    let first = u32::from(Ipv4Addr::new(100, 64, 0, 0)) + pair;
    (Ipv4Addr::from(first), Ipv4Addr::from(first + 1))
}

fn attach(tx: &mut Tx<'_>, object: &Arc<Object>) {
    let Some(port) = tx
        .view()
        .get(Kind::LogicalPort, switch_port_of(&object.body))
        .cloned()
    else {
        return;
    };
    let attachment = json!({ "attachment_type": "LOGICALROUTER", "id": object.id.as_ref() });
    if port.body.get("attachment") == Some(&attachment) {
        return;
    }
    let mut body = port.body.clone();
    body.insert("attachment".into(), attachment);
    tx.update(&port, body);
}

/// After a change: lets go of what the port no longer names.
fn unlink(tx: &mut Tx<'_>, old: &Object, new: &Object) {
    if switch_port_of(&old.body) != switch_port_of(&new.body)
        || tier0_port_of(&old.body) != tier0_port_of(&new.body)
    {
        detach_ends(tx, old);
    }
}

fn detach_ends(tx: &mut Tx<'_>, object: &Object) {
    let port = tx
        .view()
        .get(Kind::LogicalPort, switch_port_of(&object.body))
        .cloned();
    let ours = |port: &Arc<Object>| {
        port.body
            .get("attachment")
            .is_some_and(|attachment| string(attachment, "id") == object.id.as_ref())
    };
    if let Some(port) = port.filter(ours) {
        let mut body = port.body.clone();
        body.remove("attachment");
        tx.update(&port, body);
    }
    if let Some(peer) = tx
        .view()
        .get(Kind::LogicalRouterPort, tier0_port_of(&object.body))
        .cloned()
    {
        tx.touch(&peer, |body| {
            body.remove("linked_logical_router_port_id");
            body.remove("subnets");
        });
    }
}
