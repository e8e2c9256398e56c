//! States of the managers: compared up to choices, and what must hold in any of them.

use std::collections::{BTreeMap, BTreeSet};

use nsx_manager_emulator::Inventory;
use serde_json::{Map, Value};

use crate::rig::CLUSTER;

/// Kinds that an operator prepares; their addresses are no choices.
const PREPARED: [&str; 2] = ["IpPool", "IpBlock"];
/// The block and the pools that choices come from.
const CHOSEN: [&str; 4] = ["10.16.", "10.17.", "192.0.2.", "203.0.113."];
/// Tiers from the top, as sections bear them.
const TIERS: [&str; 5] = ["hold", "allow", "isolation", "baseline", "default"];

/// Everything that stands, without what may differ between two runs towards the same: times, revisions,
/// server-made ids, and the values that are chosen or claimed (addresses, VLANs). Order is left out; what of it
/// matters is in [`unsound`].
pub fn shape(inventory: &Inventory) -> Value {
    let Value::Object(kinds) = inventory.canonical() else {
        panic!("an inventory is an object");
    };
    let plain = |(kind, bodies): (String, Value)| {
        let Value::Array(mut bodies) = bodies else {
            panic!("a kind is a list");
        };
        if !PREPARED.contains(&kind.as_str()) {
            bodies.iter_mut().for_each(forget_choices);
        }
        bodies.sort_by_cached_key(Value::to_string);
        (kind, Value::Array(bodies))
    };
    Value::Object(kinds.into_iter().map(plain).collect())
}

fn forget_choices(value: &mut Value) {
    match value {
        Value::String(text) => *text = masked(text),
        Value::Array(values) => values.iter_mut().for_each(forget_choices),
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match name.as_str() {
                    "traffic_tag" | "mac_address" => *value = Value::from("*"),
                    _ => forget_choices(value),
                }
                if let ("members", Value::Array(members)) = (name.as_str(), value) {
                    members.sort_by_cached_key(Value::to_string);
                }
            }
        }
        _ => {}
    }
}

/// A text with chosen addresses as `*`.
fn masked(text: &str) -> String {
    let start = CHOSEN.iter().filter_map(|net| text.find(net)).min();
    let Some(start) = start.filter(|_| text != "10.16.0.0/14") else {
        return text.to_owned();
    };
    let (before, rest) = text.split_at(start);
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '/'));
    format!("{before}*{}", end.map_or("", |end| &rest[end..]))
}

/// The differences between two shapes, a line each; none if they are equal.
pub fn differences(left: &Value, right: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let kinds = |of: &Value| of.as_object().cloned().unwrap_or_default();
    let (left, right) = (kinds(left), kinds(right));
    let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    for kind in names {
        let (l, r) = (count(&left, kind), count(&right, kind));
        for (body, n) in &l {
            let other = r.get(body).copied().unwrap_or_default();
            if *n > other {
                lines.push(format!("- {kind} {}x {body}", n - other));
            }
        }
        for (body, n) in &r {
            let other = l.get(body).copied().unwrap_or_default();
            if *n > other {
                lines.push(format!("+ {kind} {}x {body}", n - other));
            }
        }
    }
    lines
}

fn count(kinds: &Map<String, Value>, kind: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for body in kinds.get(kind).and_then(Value::as_array).into_iter().flatten() {
        *counts.entry(body.to_string()).or_default() += 1;
    }
    counts
}

/// Holds two shapes equal.
///
/// # Panics
/// With the differences.
pub fn assert_same(what: &str, left: &Value, right: &Value) {
    let lines = differences(left, right);
    assert!(
        lines.is_empty(),
        "{what}: - wanted, + found\n{}",
        lines.join("\n")
    );
}

/// What is wrong with a state that is as wanted, a line each: objects doubled, choices not unique, addresses
/// taken from pools and used by nobody, suspects, sections out of their tiers' order.
pub fn unsound(inventory: &Inventory) -> Vec<String> {
    let mut lines = doubled_keys(inventory);
    lines.extend(doubled_choices(inventory));
    lines.extend(leaked_addresses(inventory));
    lines.extend(misplaced_sections(inventory));
    lines
}

/// Holds a state sound.
///
/// # Panics
/// With what is wrong.
pub fn assert_sound(what: &str, inventory: &Inventory) {
    let lines = unsound(inventory);
    assert!(lines.is_empty(), "{what}:\n{}", lines.join("\n"));
}

/// The bodies of a kind that bear this cluster's marks.
pub fn own(inventory: &Inventory, kind: &str) -> Vec<Value> {
    let mut all = inventory.tagged(kind, "ncp/cluster", CLUSTER);
    all.retain(|body| tag(body, "ncp/key").is_some());
    all
}

/// The value of an object's tag.
pub fn tag<'a>(body: &'a Value, scope: &str) -> Option<&'a str> {
    let tags = body["tags"].as_array()?;
    tags.iter().find(|t| t["scope"] == scope)?["tag"].as_str()
}

fn doubled_keys(inventory: &Inventory) -> Vec<String> {
    let mut keys: BTreeMap<String, usize> = BTreeMap::new();
    for kind in inventory.counts().keys() {
        for body in own(inventory, kind) {
            let key = tag(&body, "ncp/key").unwrap_or_default();
            *keys.entry(format!("{kind} {key}")).or_default() += 1;
        }
    }
    let many = keys.into_iter().filter(|(_, n)| *n > 1);
    many.map(|(key, n)| format!("{n} times: {key}")).collect()
}

fn doubled_choices(inventory: &Inventory) -> Vec<String> {
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let ports = own(inventory, "LogicalPort").into_iter();
    for port in ports.filter(|port| port["attachment"]["context"]["vif_type"] == "CHILD") {
        let (name, context) = (port["display_name"].to_string(), &port["attachment"]["context"]);
        let tag = format!(
            "VLAN {} below {}",
            context["traffic_tag"], context["parent_vif_id"]
        );
        let address = format!("address {}", port["address_bindings"][0]["ip_address"]);
        for value in [tag, address] {
            seen.entry(value).or_default().push(name.clone());
        }
    }
    let many = seen.into_iter().filter(|(_, users)| users.len() > 1);
    many.map(|(value, users)| format!("{value} is used by {}", users.join(", ")))
        .collect()
}

fn leaked_addresses(inventory: &Inventory) -> Vec<String> {
    let allocated = inventory
        .list("AllocationIpAddress")
        .into_iter()
        .map(|a| a["allocation_id"].to_string());
    let mut lines = Vec::new();
    let mut claimed = BTreeSet::new();
    for set in own(inventory, "IPSet")
        .iter()
        .filter(|set| tag(set, "ncp/claim").is_some())
    {
        if tag(set, "ncp/claim") != Some("held") || tag(set, "ncp/suspect").is_some() {
            lines.push(format!("a claim is not held, or has a suspect: {set}"));
        }
        if !claimed.insert(set["ip_addresses"][0].to_string()) {
            lines.push(format!("claimed twice: {}", set["ip_addresses"][0]));
        }
    }
    let allocated: BTreeSet<String> = allocated.collect();
    let lost = allocated
        .difference(&claimed)
        .map(|a| format!("allocated and claimed by nobody: {a}"));
    lines.extend(lost);
    let bare = claimed
        .difference(&allocated)
        .map(|a| format!("claimed and not allocated: {a}"));
    lines.extend(bare);
    lines
}

fn misplaced_sections(inventory: &Inventory) -> Vec<String> {
    let sections = inventory.list("FirewallSection");
    let at = |name: &str| sections.iter().position(|s| s["display_name"] == name);
    let (top, bottom) = (
        at("top_firewall_section_marker"),
        at("bottom_firewall_section_marker"),
    );
    let mut lines = Vec::new();
    let mut last = 0;
    for (place, section) in sections.iter().enumerate() {
        let Some(tier) = tag(section, "ncp/tier") else {
            continue;
        };
        let rank = TIERS.iter().position(|t| *t == tier).unwrap_or(usize::MAX);
        if rank < last || Some(place) < top || Some(place) > bottom {
            lines.push(format!(
                "section {} of {tier} stands out of order",
                section["display_name"]
            ));
        }
        last = rank;
    }
    lines
}

/// Everything that is not this cluster's, as it is stored, with revisions: what the operator has prepared, and
/// what belongs to others.
pub fn foreign(inventory: &Inventory) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for kind in inventory
        .counts()
        .keys()
        .filter(|kind| !UNMARKED.contains(&kind.as_str()))
    {
        for mut body in inventory.list(kind) {
            let ours = tag(&body, "ncp/cluster") == Some(CLUSTER) && tag(&body, "ncp/key").is_some();
            if !ours {
                // The server counts here what others have taken.
                body.as_object_mut().map(|fields| fields.remove("pool_usage"));
                all.insert(format!("{kind} {}", body["id"]), body);
            }
        }
    }
    all
}

/// Kinds that bear no marks and belong to whatever they hang on.
const UNMARKED: [&str; 6] = [
    "AdvertiseRuleList",
    "AdvertisementConfig",
    "AllocationIpAddress",
    "FirewallRule",
    "FirewallStatus",
    "LogicalRouterPort",
];

/// Holds that what is not this cluster's is as it was, to the revision, and that nothing has come that bears
/// no marks.
///
/// # Panics
/// With what differs.
pub fn assert_untouched(what: &str, before: &BTreeMap<String, Value>, inventory: &Inventory) {
    let now = foreign(inventory);
    let keys: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let differ = keys.into_iter().filter(|key| before.get(*key) != now.get(*key));
    let lines: Vec<String> = differ
        .map(|key| format!("{key}\n- {:?}\n+ {:?}", before.get(key), now.get(key)))
        .collect();
    assert!(
        lines.is_empty(),
        "{what}: what is foreign was touched\n{}",
        lines.join("\n")
    );
}
