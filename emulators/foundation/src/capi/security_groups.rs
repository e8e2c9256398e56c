//! Security groups of v3.

use http::Method;
use serde_json::{Value, json};

use super::error::ApiError;
use super::list::{Listed, list, nothing};
use super::{Answer, Call, base, guids_of, text, to_many};
use crate::model::World;
use crate::model::objects::{Phase, SecurityGroup};
use crate::model::rules;
use crate::model::security_groups::Via;
use crate::web::Reply;

impl Listed for SecurityGroup {
    const FILTERS: &'static [&'static str] = &[
        "names",
        "globally_enabled_running",
        "globally_enabled_staging",
        "running_space_guids",
        "staging_space_guids",
    ];
    const UNPROCESSABLE: bool = true;

    fn name(&self) -> &str {
        &self.meta.name
    }
    fn times(&self) -> (i64, i64) {
        (self.meta.created, self.meta.updated)
    }
    fn passes(&self, _: &World, filter: &str, values: &[&str]) -> bool {
        let flag = |set: bool| values.contains(&if set { "true" } else { "false" });
        match filter {
            "names" => values.contains(&self.meta.name.as_str()),
            "globally_enabled_running" => flag(self.running_default),
            "globally_enabled_staging" => flag(self.staging_default),
            "running_space_guids" => values.iter().any(|space| self.running_spaces.contains(*space)),
            _ => values.iter().any(|space| self.staging_spaces.contains(*space)),
        }
    }
    fn render(&self, call: &Call<'_>) -> Value {
        let mut body = base(&self.meta);
        body["globally_enabled"] = json!({"running": self.running_default, "staging": self.staging_default});
        body["rules"] = json!(self.rules);
        body["relationships"] = json!({"running_spaces": to_many(&self.running_spaces), "staging_spaces": to_many(&self.staging_spaces)});
        body["links"] = json!({"self": call.link(&format!("/v3/security_groups/{}", self.meta.guid))});
        body
    }
    fn delete(world: &mut World, guid: &str) {
        let _ = world.delete_security_group(guid, Via::V3);
    }
}

/// Groups in force for a space, under the rules of [`SecurityGroup`] lists.
pub(super) fn of_space(call: &mut Call<'_>, space: &str, kind: &str) -> Answer {
    if !call.world.age.is_newest() {
        return Err(ApiError::unknown_request());
    }
    let phase = if kind.starts_with("running") {
        Phase::Running
    } else {
        Phase::Staging
    };
    let space = call
        .world
        .spaces
        .get(space)
        .ok_or_else(|| ApiError::not_found("Space"))?
        .meta
        .guid
        .clone();
    list::<SecurityGroup>(call, move |world| world.effective(&space, phase), nothing)
}

pub(super) fn route(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let method = call.request.method.clone();
    if let [guid, ..] = path
        && call.world.security_groups.get(guid).is_none()
    {
        return Err(ApiError::not_found("Security group"));
    }
    match (method, path) {
        (Method::GET, []) => {
            list::<SecurityGroup>(call, |world| world.security_groups.iter().collect(), nothing)
        }
        (Method::POST, []) => create(call),
        (Method::GET, [guid]) => group(call, guid, 200),
        (Method::PATCH, [guid]) => {
            let body = call.body()?;
            let rules = body["rules"].as_array().map(|rules| check(rules)).transpose()?;
            call.world
                .update_security_group(guid, body["name"].as_str(), rules, Via::V3)?;
            globals(call, guid, &body)?;
            group(call, guid, 200)
        }
        (Method::DELETE, [guid]) => {
            call.world.delete_security_group(guid, Via::V3)?;
            Ok(call.accepted("security_group.delete"))
        }
        (Method::POST, [guid, "relationships", kind]) => {
            let phase = phase(kind)?;
            let spaces = guids_of(&call.body()?["data"]);
            bind(call, guid, &spaces, phase)?;
            let group = call.world.security_group(guid)?;
            let mut body = to_many(group.spaces(phase));
            body["links"] = json!({"self": call.link(&call.request.path)});
            Ok(Reply::json(200, &body))
        }
        (Method::DELETE, [guid, "relationships", kind, space]) => {
            let phase = phase(kind)?;
            call.world.unbind(guid, space, phase, Via::V3)?;
            Ok(Reply::empty(204))
        }
        _ => Err(ApiError::unknown_request()),
    }
}

fn phase(kind: &str) -> Result<Phase, ApiError> {
    match kind {
        "running_spaces" => Ok(Phase::Running),
        "staging_spaces" => Ok(Phase::Staging),
        _ => Err(ApiError::unknown_request()),
    }
}

fn check(rules: &[Value]) -> Result<Vec<Value>, ApiError> {
    match rules::complaints(rules) {
        complaints if complaints.is_empty() => Ok(rules.to_vec()),
        complaints => Err(ApiError::unprocessable(complaints.join(", "))),
    }
}

fn bind(call: &mut Call<'_>, guid: &str, spaces: &[String], phase: Phase) -> Result<(), ApiError> {
    if let Some(missing) = spaces.iter().find(|space| call.world.spaces.get(space).is_none()) {
        return Err(ApiError::unprocessable(format!(
            "{missing} does not exist, or you do not have access to it"
        )));
    }
    spaces
        .iter()
        .try_for_each(|space| call.world.bind(guid, space, phase, Via::V3))?;
    Ok(())
}

fn globals(call: &mut Call<'_>, guid: &str, body: &Value) -> Result<(), ApiError> {
    for (name, phase) in [("running", Phase::Running), ("staging", Phase::Staging)] {
        if let Some(enabled) = body["globally_enabled"][name].as_bool() {
            call.world.set_global(guid, phase, enabled, Via::V3)?;
        }
    }
    Ok(())
}

fn create(call: &mut Call<'_>) -> Answer {
    let body = call.body()?;
    let rules = check(body["rules"].as_array().map(Vec::as_slice).unwrap_or_default())?;
    let guid = call
        .world
        .create_security_group(text(&body, "name")?, rules, Via::V3)?;
    globals(call, &guid, &body)?;
    for (name, phase) in [
        ("running_spaces", Phase::Running),
        ("staging_spaces", Phase::Staging),
    ] {
        bind(
            call,
            &guid,
            &guids_of(&body["relationships"][name]["data"]),
            phase,
        )?;
    }
    group(call, &guid, 201)
}

fn group(call: &Call<'_>, guid: &str, status: u16) -> Answer {
    let group = call
        .world
        .security_groups
        .get(guid)
        .ok_or_else(|| ApiError::not_found("Security group"))?;
    Ok(Reply::json(status, &group.render(call)))
}
