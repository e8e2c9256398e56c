//! Source translation on the way out: a port's switch, its tier-1 router, the tier-0 router above.

use std::net::IpAddr;
use std::sync::Arc;

use super::{End, know, members};
use crate::kinds::Kind;
use crate::kinds::formats;
use crate::kinds::router_ports::{switch_port_of, tier0_port_of};
use crate::store::{Object, View};

/// The translated source, or `None` if no rule translates it.
pub(super) fn snat(view: &View, from: &End, to: Option<IpAddr>) -> Option<IpAddr> {
    let known = know(view, from);
    let address = known.address?;
    let routers = match &known.port {
        Some(port) => path(view, port),
        None => view
            .list(Kind::LogicalRouter, None)
            .filter(|router| router.text("router_type") == "TIER0")
            .cloned()
            .collect(),
    };
    let seen = routers
        .iter()
        .fold(address, |seen, router| at_router(view, router, seen, to));
    (seen != address).then_some(seen)
}

/// The routers that a port's packets pass on their way out, nearest first.
fn path(view: &View, port: &Object) -> Vec<Arc<Object>> {
    let on_switch = view.referrers(Kind::LogicalPort, port.text("logical_switch_id"));
    let mut downlinks = on_switch.filter_map(|other| {
        view.referrers(Kind::LogicalRouterPort, &other.id)
            .find(|downlink| switch_port_of(&downlink.body) == other.id.as_ref())
    });
    let first = downlinks.next().and_then(|downlink| router_of(view, downlink));
    let Some(first) = first else { return Vec::new() };
    let mut routers = vec![first.clone()];
    let mut links = view.referrers(Kind::LogicalRouterPort, &first.id);
    let upper = links.find_map(|link| view.get(Kind::LogicalRouterPort, tier0_port_of(&link.body)));
    routers.extend(upper.and_then(|upper| router_of(view, upper)));
    routers
}

fn router_of(view: &View, port: &Object) -> Option<Arc<Object>> {
    view.get(Kind::LogicalRouter, port.text("logical_router_id"))
        .cloned()
}

/// The source after one router: the rule of the lowest priority number that matches decides.
fn at_router(view: &View, router: &Object, source: IpAddr, to: Option<IpAddr>) -> IpAddr {
    let holds = |rule: &Object, field: &str, address: Option<IpAddr>| {
        let network = rule.text(field);
        network.is_empty() || address.is_some_and(|address| members::covers(network, address))
    };
    let rule = view
        .children(Kind::NatRule, &router.id)
        .filter(|rule| {
            rule.flag("enabled") && matches!(rule.text("action"), "SNAT" | "NO_SNAT" | "REFLEXIVE")
        })
        .filter(|rule| holds(rule, "match_source_network", Some(source)))
        .filter(|rule| holds(rule, "match_destination_network", to))
        .min_by_key(|rule| {
            rule.body
                .get("rule_priority")
                .and_then(serde_json::Value::as_i64)
                .unwrap_or(1024)
        });
    let translated = rule.and_then(|rule| formats::addresses(rule.text("translated_network")));
    translated.map_or(source, |range| *range.start())
}
