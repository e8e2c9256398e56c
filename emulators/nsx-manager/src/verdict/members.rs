//! Who belongs to a group: membership follows from tags, names and nested groups, as hosts have realized them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;

use crate::kinds::Kind;
use crate::kinds::formats;
use crate::kinds::groups::{member_ids, property};
use crate::store::{Object, Term, View, string};

/// Whether the port is a member of the group.
pub(crate) fn has_port(view: &View, group: &str, port: &Object) -> bool {
    family(view, group).iter().any(|group| port_in(view, group, port))
}

/// Whether an IP set of the group holds the address.
pub(crate) fn has_address(view: &View, group: &str, address: IpAddr) -> bool {
    sets(view, group).iter().any(|set| set_has(set, address))
}

/// Whether the IP set holds the address.
pub(crate) fn set_has(set: &Object, address: IpAddr) -> bool {
    set.items("ip_addresses")
        .iter()
        .any(|text| covers(text.as_str().unwrap_or(""), address))
}

/// Whether an address, a network or a range holds the address.
pub(crate) fn covers(text: &str, address: IpAddr) -> bool {
    formats::addresses(text)
        .is_some_and(|range| range.start().is_ipv4() == address.is_ipv4() && range.contains(&address))
}

/// The effective ports of a group, in list order.
pub(crate) fn ports(view: &View, group: &str) -> Vec<Arc<Object>> {
    let family = family(view, group);
    let candidates = view.list(Kind::LogicalPort, None);
    candidates
        .filter(|port| family.iter().any(|group| port_in(view, group, port)))
        .cloned()
        .collect()
}

/// The effective switches of a group, in list order.
pub(crate) fn switches(view: &View, group: &str) -> Vec<Arc<Object>> {
    let family = family(view, group);
    let candidates = view.list(Kind::LogicalSwitch, None);
    candidates
        .filter(|switch| family.iter().any(|group| matches(group, "LogicalSwitch", switch)))
        .cloned()
        .collect()
}

/// The addresses that a group stands for: its IP sets, and the bindings of its ports.
pub(crate) fn addresses(view: &View, group: &str) -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut all: BTreeSet<String> = BTreeSet::new();
    for set in sets(view, group) {
        all.extend(set.items("ip_addresses").iter().filter_map(text));
    }
    for port in ports(view, group) {
        all.extend(
            port.items("address_bindings")
                .iter()
                .filter_map(|binding| binding.get("ip_address"))
                .filter_map(text),
        );
    }
    all
}

/// The group and all groups nested in it; a circle ends where it began.
fn family(view: &View, group: &str) -> Vec<Arc<Object>> {
    let mut found: Vec<Arc<Object>> = view.get(Kind::NSGroup, group).cloned().into_iter().collect();
    let mut next = 0;
    while let Some(group) = found.get(next).cloned() {
        for nested in member_ids(&group, "NSGroup").filter_map(|id| view.get(Kind::NSGroup, id)) {
            if !found.iter().any(|known| known.id == nested.id) {
                found.push(nested.clone());
            }
        }
        next += 1;
    }
    found
}

fn sets(view: &View, group: &str) -> Vec<Arc<Object>> {
    let mut found = Vec::new();
    for group in family(view, group) {
        found.extend(
            member_ids(&group, "IPSet")
                .filter_map(|id| view.get(Kind::IPSet, id))
                .cloned(),
        );
        let by_tag = group
            .items("membership_criteria")
            .iter()
            .any(|criterion| target(criterion) == "IPSet");
        if by_tag {
            found.extend(
                view.list(Kind::IPSet, None)
                    .filter(|set| matches(&group, "IPSet", set))
                    .cloned(),
            );
        }
    }
    found
}

/// A port belongs to a group by itself or by its switch.
fn port_in(view: &View, group: &Object, port: &Object) -> bool {
    if matches(group, "LogicalPort", port) {
        return true;
    }
    let switch = view.get(Kind::LogicalSwitch, port.text("logical_switch_id"));
    switch.is_some_and(|switch| matches(group, "LogicalSwitch", switch))
}

/// Whether the object, of the type named, is a member by id or by a criterion; nesting apart.
fn matches(group: &Object, of: &str, object: &Object) -> bool {
    member_ids(group, of).any(|id| id == object.id.as_ref())
        || group
            .items("membership_criteria")
            .iter()
            .any(|criterion| target(criterion) == of && meets(criterion, object))
}

fn target(criterion: &Value) -> &str {
    string(
        criterion
            .get("expressions")
            .and_then(|inner| inner.get(0))
            .unwrap_or(criterion),
        "target_type",
    )
}

fn meets(criterion: &Value, object: &Object) -> bool {
    match string(criterion, "resource_type") {
        "NSGroupComplexExpression" => {
            let inner = criterion.get("expressions").and_then(Value::as_array);
            inner.into_iter().flatten().all(|one| meets(one, object))
        }
        "NSGroupTagExpression" => tagged(criterion, object),
        _ => {
            let value = property(&object.body, string(criterion, "target_property"));
            compares(string(criterion, "op"), value, string(criterion, "value"))
        }
    }
}

/// An absent scope or tag stands for any.
fn tagged(criterion: &Value, object: &Object) -> bool {
    let (scope, tag) = (
        criterion.get("scope").and_then(Value::as_str),
        criterion.get("tag").and_then(Value::as_str),
    );
    let op = string(criterion, "tag_op");
    object.tags().any(|(known_scope, known_tag)| {
        scope.is_none_or(|scope| scope == known_scope) && tag.is_none_or(|tag| compares(op, known_tag, tag))
    })
}

fn compares(op: &str, value: &str, wanted: &str) -> bool {
    match op {
        "CONTAINS" => value.contains(wanted),
        "STARTSWITH" => value.starts_with(wanted),
        "ENDSWITH" => value.ends_with(wanted),
        "NOTEQUALS" => value != wanted,
        _ => value == wanted,
    }
}

/// The port with this attachment id or this id.
pub(crate) fn find_port<'a>(view: &'a View, name: &str) -> Option<&'a Arc<Object>> {
    let attached = view
        .with(Kind::LogicalPort, &Term::Attachment(name.into()), None)
        .next();
    attached.or_else(|| view.get(Kind::LogicalPort, name))
}
