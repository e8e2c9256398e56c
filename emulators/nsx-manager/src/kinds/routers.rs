//! Logical routers with their advertisement, static routes and NAT rules.

use std::sync::Arc;

use serde_json::{Value, json};

use super::formats::Format;
use super::schema::{Schema, Type, choice, field, flag, int, list, text};
use super::services::ELEMENT;
use super::{Filter, Kind, Plain, Rules, Spec};
use crate::api::crud;
use crate::api::error::{ApiError, Result};
use crate::api::query::Query;
use crate::options::Version;
use crate::store::{Body, Object, Tx, items, string, text as text_of};

pub(super) const MODULE: &str = "nsx-routing";

const POOL: &Schema = &[
    text("allocation_pool_type").required(),
    choice("allocation_size", &["SMALL", "MEDIUM", "LARGE"]),
];

const ALLOCATION: &Schema = &[
    field("allocation_pool", Type::Object(POOL)),
    flag("enable_standby_relocation", false).since(Version::V2_5),
];

const ADVANCED: &Schema = &[
    text("transport_zone_id"),
    list("external_transit_networks", &Type::Of(Format::Cidr), 10).or_empty(),
    field("internal_transit_network", Type::Of(Format::Ipv4Cidr)).or("169.254.0.0/28"),
    list("ha_vip_configs", &Type::Any, 2),
];

const ROUTER: &Schema = &[
    choice("router_type", &["TIER0", "TIER1"]).once(),
    choice("high_availability_mode", &["ACTIVE_ACTIVE", "ACTIVE_STANDBY"]),
    text("edge_cluster_id"),
    list("edge_cluster_member_indices", &Type::Int(0, 9), 10),
    int("preferred_edge_cluster_member_index", 0, 9),
    choice("failover_mode", &["PREEMPTIVE", "NON_PREEMPTIVE"]),
    field("allocation_profile", Type::Object(ALLOCATION)),
    field("advanced_config", Type::Object(ADVANCED)),
    list("firewall_sections", &Type::Any, 1000).read_only().or_empty(),
];

const ADVERTISEMENT: &Schema = &[
    text("logical_router_id").read_only(),
    flag("enabled", false),
    flag("advertise_nsx_connected_routes", false),
    flag("advertise_nat_routes", false),
    flag("advertise_static_routes", false),
    flag("advertise_lb_vip", false),
    flag("advertise_lb_snat_ip", false),
    flag("advertise_dns_forwarder", false).since(Version::V2_5),
    flag("advertise_ipsec_local_ip", false).since(Version::V2_5),
];

const ROUTE_TYPES: &[&str] = &[
    "ANY",
    "STATIC",
    "NSX_CONNECTED",
    "T1_NAT",
    "T1_LB_VIP",
    "T1_LB_SNAT",
];

const RULE_FILTER: &Schema = &[
    choice("prefix_operator", &["GE", "EQ"]).or("GE").required(),
    field("match_route_types", Type::List(&Type::Enum(ROUTE_TYPES), 1, 10)).required(),
];

const ADVERTISE_RULE: &Schema = &[
    field("display_name", Type::Text(255)),
    field("description", Type::Text(1024)),
    list("networks", &Type::Of(Format::Cidr), 1000).required(),
    choice("action", &["ALLOW", "DENY"]).or("ALLOW"),
    field("rule_filter", Type::Object(RULE_FILTER)),
];

const ADVERTISE_RULES: &Schema = &[
    text("logical_router_id").read_only(),
    list("rules", &Type::Object(ADVERTISE_RULE), 1000).or_empty(),
];

const HOP: &Schema = &[
    field("ip_address", Type::Of(Format::Ip)),
    int("administrative_distance", 1, 255).or_int(1),
    field("logical_router_port_id", Type::Object(super::REFERENCE)),
];

const STATIC_ROUTE: &Schema = &[
    text("logical_router_id").read_only(),
    field("network", Type::Of(Format::Cidr)).required(),
    field("next_hops", Type::List(&Type::Object(HOP), 1, 8)).required(),
];

const NAT_ACTIONS: &[&str] = &["SNAT", "DNAT", "REFLEXIVE", "NO_SNAT", "NO_DNAT", "NO_NAT"];

const NAT: &Schema = &[
    text("logical_router_id").read_only(),
    choice("action", NAT_ACTIONS).required(),
    field("match_source_network", Type::Of(Format::Addresses)),
    field("match_destination_network", Type::Of(Format::Addresses)),
    field("match_service", ELEMENT),
    field("translated_network", Type::Of(Format::Addresses)),
    field("translated_ports", Type::Of(Format::Ports)),
    int("rule_priority", 0, i32::MAX as i64).or_int(1024),
    flag("enabled", true),
    flag("logging", false),
    flag("nat_pass", true),
    choice(
        "firewall_match",
        &["MATCH_EXTERNAL_ADDRESS", "MATCH_INTERNAL_ADDRESS", "BYPASS"],
    )
    .since(Version::V2_5),
    list("applied_tos", &Type::Object(super::REFERENCE), 1),
];

pub(super) const SPECS: &[Spec] = &[
    Spec::new(
        Kind::LogicalRouter,
        "logical-routers",
        MODULE,
        &[("LogicalRouter", ROUTER)],
        &Routers,
    ),
    Spec::new(
        Kind::AdvertisementConfig,
        "",
        MODULE,
        &[("AdvertisementConfig", ADVERTISEMENT)],
        &Plain,
    ),
    Spec::new(
        Kind::AdvertiseRuleList,
        "",
        MODULE,
        &[("AdvertiseRuleList", ADVERTISE_RULES)],
        &Plain,
    ),
    Spec::new(
        Kind::StaticRoute,
        "",
        MODULE,
        &[("StaticRoute", STATIC_ROUTE)],
        &Routes,
    ),
    Spec::new(Kind::NatRule, "", MODULE, &[("NatRule", NAT)], &Nat),
];

/// Kinds that lie below a router and go with it.
const BELOW: &[Kind] = &[
    Kind::NatRule,
    Kind::StaticRoute,
    Kind::AdvertisementConfig,
    Kind::AdvertiseRuleList,
];

struct Routers;

impl Rules for Routers {
    fn check(&self, tx: &mut Tx<'_>, body: &mut Body, _: Option<&Object>) -> Result<()> {
        let edge = text_of(body, "edge_cluster_id").to_owned();
        if !edge.is_empty() {
            tx.referent(Kind::EdgeCluster, &edge)?;
        }
        let tier0 = text_of(body, "router_type") == "TIER0";
        let preset = if tier0 { "ACTIVE_ACTIVE" } else { "ACTIVE_STANDBY" };
        body.entry("high_availability_mode")
            .or_insert_with(|| json!(preset));
        let standby = text_of(body, "high_availability_mode") == "ACTIVE_STANDBY";
        if !standby && (!tier0 || body.contains_key("failover_mode")) {
            return Err(
                ApiError::invalid("This needs high_availability_mode ACTIVE_STANDBY.").module(MODULE),
            );
        }
        if standby {
            body.entry("failover_mode")
                .or_insert_with(|| json!("NON_PREEMPTIVE"));
        }
        body.entry("advanced_config").or_insert_with(|| advanced(tier0));
        Ok(())
    }

    fn stored(&self, tx: &mut Tx<'_>, object: &Arc<Object>, old: Option<&Object>) -> Result<()> {
        if old.is_none() && object.text("router_type") == "TIER1" {
            for kind in [Kind::AdvertisementConfig, Kind::AdvertiseRuleList] {
                crud::create(tx, kind, below(&object.id), Some(&object.id))?;
            }
        }
        Ok(())
    }

    fn release(&self, tx: &mut Tx<'_>, object: &Arc<Object>, query: &Query) -> Result<()> {
        let ports: Vec<_> = tx
            .view()
            .referrers(Kind::LogicalRouterPort, &object.id)
            .cloned()
            .collect();
        let force = query.flag("force");
        if !force && !ports.is_empty() {
            return Err(ApiError::in_use(&object.id, "router ports exist on it").module(MODULE));
        }
        for port in ports
            .iter()
            .filter(|port| port.text("logical_router_id") == object.id.as_ref())
        {
            crud::delete(tx, Kind::LogicalRouterPort, &port.id, query)?;
        }
        for kind in BELOW {
            tx.children(*kind, &object.id)
                .iter()
                .for_each(|child| tx.remove(*kind, &child.id));
        }
        Ok(())
    }

    fn filter(&self, query: &Query) -> Result<Filter> {
        Ok(Filter::all().equal(query, "router_type", "router_type"))
    }
}

fn below(router: &str) -> Body {
    Body::from_iter([("logical_router_id".to_owned(), json!(router))])
}

fn advanced(tier0: bool) -> Value {
    let outside: &[&str] = if tier0 { &["100.64.0.0/10"] } else { &[] };
    json!({ "external_transit_networks": outside, "internal_transit_network": "169.254.0.0/28" })
}

struct Routes;

impl Rules for Routes {
    fn check(&self, tx: &mut Tx<'_>, body: &mut Body, _: Option<&Object>) -> Result<()> {
        for hop in items(body, "next_hops") {
            let port = hop
                .get("logical_router_port_id")
                .map_or("", |port| string(port, "target_id"));
            if !port.is_empty() {
                tx.referent(Kind::LogicalRouterPort, port)?;
            }
        }
        Ok(())
    }
}

struct Nat;

impl Rules for Nat {
    fn check(&self, tx: &mut Tx<'_>, body: &mut Body, old: Option<&Object>) -> Result<()> {
        let router = tx.get(Kind::LogicalRouter, text_of(body, "logical_router_id"))?;
        nat_fields(body)?;
        nat_on(tx, &router, body, old)?;
        for port in items(body, "applied_tos") {
            let port = tx.referent(Kind::LogicalRouterPort, string(port, "target_id"))?;
            if port.text("logical_router_id") != router.id.as_ref() {
                return refuse("applied_tos must name a port of the rule's router.");
            }
        }
        Ok(())
    }
}

fn refuse(message: &str) -> Result<()> {
    Err(ApiError::invalid(message).module(MODULE))
}

/// Which fields go with which action.
fn nat_fields(body: &Body) -> Result<()> {
    let action = text_of(body, "action");
    let translated = body.contains_key("translated_network");
    if action.starts_with("NO_") && (translated || body.contains_key("translated_ports")) {
        return refuse("NO_* rules translate nothing.");
    }
    if !action.starts_with("NO_") && !translated {
        return refuse("translated_network is required.");
    }
    if action != "DNAT" && body.contains_key("translated_ports") {
        return refuse("translated_ports goes with DNAT alone.");
    }
    if action == "DNAT" && !body.contains_key("match_destination_network") {
        return refuse("DNAT needs match_destination_network.");
    }
    if ["match_source_network", "match_destination_network"]
        .iter()
        .any(|field| text_of(body, field).contains('-'))
    {
        return refuse("A match network is one address or one CIDR, no range.");
    }
    Ok(())
}

/// What the router must be for the action.
fn nat_on(tx: &Tx<'_>, router: &Object, body: &Body, old: Option<&Object>) -> Result<()> {
    let stateful = text_of(body, "action") != "REFLEXIVE";
    if stateful && router.text("high_availability_mode") != "ACTIVE_STANDBY" {
        return refuse("Stateful NAT needs an ACTIVE_STANDBY router.");
    }
    if router.text("edge_cluster_id").is_empty() {
        return refuse("NAT needs a router that is placed on an edge cluster.");
    }
    let mut others = tx
        .view()
        .children(Kind::NatRule, &router.id)
        .filter(|rule| old.is_none_or(|old| old.id != rule.id));
    if others
        .next()
        .is_some_and(|other| (other.text("action") != "REFLEXIVE") != stateful)
    {
        return refuse("A router holds stateful or stateless NAT rules, not both.");
    }
    Ok(())
}

/// An id for a NAT rule or a static route: a small number.
pub(crate) fn new_number(tx: &mut Tx<'_>) -> String {
    tx.number().to_string()
}
