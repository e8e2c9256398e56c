//! Security groups of v2. Writes here do not move the change token.

use http::Method;
use serde_json::{Value, json};

use super::error::ApiError;
use super::v2::{list, object, space};
use super::{Answer, Call};
use crate::model::objects::{Phase, SecurityGroup};
use crate::model::security_groups::Via;
use crate::web::Reply;

/// Relations with more members are only linked.
const MAX_INLINED: usize = 50;

fn render(call: &Call<'_>, group: &SecurityGroup) -> Value {
    let guid = &group.meta.guid;
    let mut entity = json!({
        "name": group.meta.name, "rules": group.rules,
        "running_default": group.running_default, "staging_default": group.staging_default,
        "spaces_url": format!("/v2/security_groups/{guid}/spaces"),
        "staging_spaces_url": format!("/v2/security_groups/{guid}/staging_spaces"),
    });
    let depth = call.request.parameter("inline-relations-depth");
    if depth.is_some_and(|depth| depth != "0") {
        for (key, phase) in [("spaces", Phase::Running), ("staging_spaces", Phase::Staging)] {
            if group.spaces(phase).len() <= MAX_INLINED {
                entity[key] = json!(bound(call, group, phase));
            }
        }
    }
    object("security_groups", &group.meta, entity)
}

fn bound(call: &Call<'_>, group: &SecurityGroup, phase: Phase) -> Vec<Value> {
    group
        .spaces(phase)
        .iter()
        .filter_map(|guid| call.world.spaces.get(guid))
        .map(space)
        .collect()
}

fn phase(kind: &str) -> Result<Phase, ApiError> {
    match kind {
        "spaces" | "security_groups" | "running_security_groups" => Ok(Phase::Running),
        "staging_spaces" | "staging_security_groups" => Ok(Phase::Staging),
        _ => Err(ApiError::unknown_request()),
    }
}

/// Groups in force for a space.
pub(super) fn of_space(call: &Call<'_>, space: &str, kind: &str) -> Answer {
    let phase = phase(kind)?;
    call.world
        .spaces
        .get(space)
        .ok_or_else(|| ApiError::not_found("Space"))?;
    list(
        call,
        call.world
            .effective(space, phase)
            .into_iter()
            .map(|group| render(call, group))
            .collect(),
    )
}

/// Global sets.
pub(super) fn config(call: &mut Call<'_>, kind: &str, path: &[&str]) -> Answer {
    let phase = phase(kind)?;
    match (&call.request.method, path) {
        (&Method::GET, []) => {
            let groups = call
                .world
                .security_groups
                .iter()
                .filter(|group| group.is_default(phase));
            list(call, groups.map(|group| render(call, group)).collect())
        }
        (&Method::PUT, [guid]) => {
            call.world.set_global(guid, phase, true, Via::V2)?;
            one(call, guid, 200)
        }
        (&Method::DELETE, [guid]) => {
            call.world.set_global(guid, phase, false, Via::V2)?;
            Ok(Reply::empty(204))
        }
        _ => Err(ApiError::unknown_request()),
    }
}

pub(super) fn route(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let method = call.request.method.clone();
    if let [guid, ..] = path
        && call.world.security_groups.get(guid).is_none()
    {
        return Err(ApiError::not_found("Security group"));
    }
    match (method, path) {
        (Method::GET, []) => list(
            call,
            call.world
                .security_groups
                .iter()
                .map(|group| render(call, group))
                .collect(),
        ),
        (Method::GET, [guid]) => one(call, guid, 200),
        (Method::POST, []) => create(call),
        (Method::PUT, [guid]) => {
            let body = call.body()?;
            let rules = body["rules"].as_array().cloned();
            call.world
                .update_security_group(guid, body["name"].as_str(), rules, Via::V2)?;
            one(call, guid, 201)
        }
        (Method::DELETE, [guid]) => {
            call.world.delete_security_group(guid, Via::V2)?;
            Ok(Reply::empty(204))
        }
        (Method::GET, [guid, kind]) => {
            let phase = phase(kind)?;
            let group = call.world.security_group(guid)?;
            list(call, bound(call, group, phase))
        }
        (Method::PUT, [guid, kind, space]) => {
            call.world.bind(guid, space, phase(kind)?, Via::V2)?;
            one(call, guid, 201)
        }
        (Method::DELETE, [guid, kind, space]) => {
            call.world.unbind(guid, space, phase(kind)?, Via::V2)?;
            Ok(Reply::empty(204))
        }
        _ => Err(ApiError::unknown_request()),
    }
}

fn one(call: &Call<'_>, guid: &str, status: u16) -> Answer {
    let group = call
        .world
        .security_groups
        .get(guid)
        .ok_or_else(|| ApiError::not_found("Security group"))?;
    Ok(Reply::json(status, &render(call, group)))
}

/// The validator of the day allowed more; what comes by v2 is stored as it comes.
fn create(call: &mut Call<'_>) -> Answer {
    let body = call.body()?;
    let rules = body["rules"].as_array().cloned().unwrap_or_default();
    let guid = call
        .world
        .create_security_group(super::text(&body, "name")?, rules, Via::V2)?;
    for space in body["space_guids"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        call.world.bind(&guid, space, Phase::Running, Via::V2)?;
    }
    one(call, &guid, 201)
}
