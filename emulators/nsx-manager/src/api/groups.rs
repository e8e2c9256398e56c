//! Groups and IP sets beyond the common calls: member actions, effective members.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::list::Listing;
use super::{Answer, ApiError, Call, Payload, Result, crud};
use crate::kinds::{Kind, groups, judge};
use crate::options::Version;
use crate::store::{Object, Store, items, text};
use crate::verdict::members;

/// Adds members to a group or removes them.
pub(super) fn members(store: &mut Store, call: &Call<'_>, group: &str) -> Result<Answer> {
    let add = match call.action() {
        "ADD_MEMBERS" => true,
        "REMOVE_MEMBERS" => false,
        _ => return call.not_allowed(),
    };
    let body = judge(&[groups::MEMBERS.required()], &call.json()?, None, store.version)?;
    let group = store.transact::<_, ApiError>(call.user, |tx| {
        let group = tx.get(Kind::NSGroup, group)?;
        crud::may_change(&group, call.overwrite)?;
        groups::change_members(tx, &group, items(&body, "members"), add)
    })?;
    Ok(Answer::object(group))
}

/// Reads the effective members of a group, as far as they are realized.
pub(super) fn read(store: &mut Store, call: &Call<'_>, group: &str, rest: &[&str]) -> Result<Answer> {
    if call.method != Method::GET {
        return call.not_allowed();
    }
    let stored = store.view().get(Kind::NSGroup, group).cloned();
    let stored = stored.ok_or_else(|| ApiError::not_found("NSGroup", group))?;
    let listing = Listing::read(call, 1000)?;
    match rest {
        ["member-types"] => {
            let types = member_types(&stored);
            Ok(Answer::json(
                json!({ "result_count": types.len(), "results": types }),
            ))
        }
        ["service-associations"] => listing.values(associations(store, group)),
        [effective] => {
            let realized = store.realized();
            let rows = match *effective {
                "effective-logical-port-members" => references(members::ports(realized, group)),
                "effective-logical-switch-members" => references(members::switches(realized, group)),
                "effective-ip-address-members" => members::addresses(realized, group)
                    .into_iter()
                    .map(Value::String)
                    .collect(),
                "effective-virtual-machine-members" => Vec::new(),
                _ => return call.unknown(),
            };
            listing.values(rows)
        }
        _ => call.unknown(),
    }
}

fn references(objects: Vec<std::sync::Arc<Object>>) -> Vec<Value> {
    objects.iter().map(|object| reference(object)).collect()
}

fn reference(object: &Object) -> Value {
    json!({
        "target_id": object.id.as_ref(),
        "target_display_name": object.text("display_name"),
        "target_type": object.text("resource_type"),
        "is_valid": true,
    })
}

fn member_types(group: &Object) -> Vec<Value> {
    let all = group
        .items("members")
        .iter()
        .chain(group.items("membership_criteria"));
    let inner = all.flat_map(
        |member| match member.get("expressions").and_then(Value::as_array) {
            Some(inner) => inner.as_slice(),
            None => std::slice::from_ref(member),
        },
    );
    let mut types: Vec<Value> = inner.filter_map(|one| one.get("target_type").cloned()).collect();
    types.sort_by_key(|name| name.to_string());
    types.dedup();
    types
}

fn associations(store: &Store, group: &str) -> Vec<Value> {
    let view = store.view();
    let rules = view
        .referrers(Kind::FirewallRule, group)
        .chain(view.referrers(Kind::FirewallSection, group));
    rules.map(|rule| reference(rule)).collect()
}

/// `add_ip`, `remove_ip` and the members of an IP set, all since 2.5.
pub(super) fn addresses(store: &mut Store, call: &Call<'_>, set: &str, rest: &[&str]) -> Result<Answer> {
    let found = store
        .view()
        .get(Kind::IPSet, set)
        .cloned()
        .ok_or_else(|| ApiError::not_found("IPSet", set))?;
    if store.version < Version::V2_5 {
        return call.not_allowed();
    }
    if rest == ["members"] && call.method == Method::GET {
        let rows = found
            .items("ip_addresses")
            .iter()
            .map(|address| json!({ "ip_address": address }));
        return Listing::read(call, 1000)?.values(rows.collect());
    }
    let add = match (rest, call.action()) {
        ([], "add_ip") => true,
        ([], "remove_ip") => false,
        _ => return call.unknown(),
    };
    let body = call.json()?;
    let change =
        |tx: &mut crate::store::Tx<'_>| groups::change_addresses(tx, &found, text(&body, "ip_address"), add);
    store.transact::<_, ApiError>(call.user, change)?;
    let payload = Payload::Json(json!({ "ip_address": text(&body, "ip_address") }));
    Ok(Answer {
        status: StatusCode::CREATED,
        payload,
    })
}
