//! The internal API: mutual TLS is all the authentication there is; the version in the path is ignored by
//! newer servers.

use http::Method;
use serde_json::{Value, json};

use super::{failure, ids, not_found, render, selected};
use crate::model::World;
use crate::model::objects::SecurityGroup;
use crate::options::Age;
use crate::shared::Shared;
use crate::web::{Reply, Request};

/// Answers requests of cells and controllers.
pub(crate) fn handle(shared: &Shared, request: &Request) -> Reply {
    let mut world = shared.world();
    let segments = request.segments();
    let ["networking", version, "internal", what] = segments.as_slice() else {
        return not_found();
    };
    let (newest, tokens) = (world.age.is_newest(), !world.policy_faults.no_change_tokens);
    match (&request.method, *what) {
        (&Method::GET, "policies") => policies(&world, request, version),
        (&Method::PUT, "tags") => tags(&mut world, request),
        (&Method::GET, "policies_last_updated") if newest && tokens => number(world.policies.updated),
        (&Method::GET, "security_groups_last_updated") if newest && tokens => number(world.bindings.token),
        (&Method::GET, "security_groups") if newest => groups(&mut world, request),
        _ => not_found(),
    }
}

/// A bare integer, which is no object and beyond what doubles hold.
fn number(value: i64) -> Reply {
    Reply::text(200, value.to_string())
}

fn policies(world: &World, request: &Request, version: &str) -> Reply {
    if world.age == Age::Older && !["v0", "v1"].contains(&version) {
        return failure(406, "api version not supported");
    }
    let v0 = version == "v0" && world.age == Age::Older;
    let mut found = selected(world, ids(request.parameter("id")));
    if world.policy_faults.duplicates {
        found = found.iter().flat_map(|policy| [*policy, *policy]).collect();
    }
    let policies: Vec<Value> = found
        .into_iter()
        .filter_map(|policy| render(world, policy, v0, true))
        .collect();
    let mut body = json!({"total_policies": policies.len(), "policies": policies});
    if world.policy_faults.legacy_egress {
        body["total_egress_policies"] = json!(0);
        body["egress_policies"] = json!([]);
    }
    Reply::json(200, &body)
}

/// Peers write the keys in any case.
fn tags(world: &mut World, request: &Request) -> Reply {
    let body = request.json();
    let field = |name: &str| {
        let object = body.as_ref()?.as_object()?;
        object
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))?
            .1
            .as_str()
            .map(str::to_owned)
    };
    let Some((id, kind)) = field("id").zip(field("type")) else {
        return failure(400, "failed parsing request body");
    };
    let (number, known) = world.policies.tag(&id, &kind);
    if known != kind {
        return failure(500, "database create failed");
    }
    Reply::json(
        200,
        &json!({"id": id, "tag": format!("{number:04X}"), "type": kind}),
    )
}

/// Global groups and those bound to the asked spaces; there is no request for all.
fn groups(world: &mut World, request: &Request) -> Reply {
    let page = |name: &str| {
        request
            .parameter(name)
            .map(|text| text.parse::<u64>())
            .transpose()
    };
    let (Ok(limit), Ok(from)) = (page("limit"), page("from")) else {
        return failure(500, "database read failed");
    };
    let spaces = ids(request.parameter("space_guids")).unwrap_or_default();
    let wanted = |group: &SecurityGroup| {
        group.running_default
            || group.staging_default
            || spaces
                .iter()
                .any(|space| group.running_spaces.contains(space) || group.staging_spaces.contains(space))
    };
    let rows = world.copied_security_groups().iter();
    let rows: Vec<_> = rows
        .filter(|(row, group)| *row >= from.unwrap_or(0) && wanted(group))
        .collect();
    let size = limit
        .filter(|limit| *limit > 0)
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(rows.len());
    let next = rows.get(size).map_or(0, |(row, _)| *row);
    let groups: Vec<Value> = rows
        .into_iter()
        .take(size)
        .map(|(_, group)| group_body(group))
        .collect();
    Reply::json(200, &json!({"next": next, "security_groups": groups}))
}

fn group_body(group: &SecurityGroup) -> Value {
    let rules: Vec<Value> = group.rules.iter().map(full_rule).collect();
    json!({
        "guid": group.meta.guid, "name": group.meta.name, "rules": Value::Array(rules).to_string(),
        "staging_default": group.staging_default, "running_default": group.running_default,
        "staging_space_guids": group.staging_spaces, "running_space_guids": group.running_spaces,
    })
}

/// All seven keys, whatever was stored.
fn full_rule(rule: &Value) -> Value {
    let text = |key: &str| rule[key].as_str().unwrap_or_default();
    let number = |key: &str| rule[key].as_i64().unwrap_or_default();
    json!({
        "protocol": text("protocol"), "destination": text("destination"), "ports": text("ports"),
        "type": number("type"), "code": number("code"), "description": text("description"),
        "log": rule["log"].as_bool().unwrap_or_default(),
    })
}
