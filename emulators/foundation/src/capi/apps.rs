//! Apps and their environment.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde_json::{Value, json};

use super::error::ApiError;
use super::list::{Listed, list, nothing};
use super::{Answer, Call, base, merge_metadata, metadata, text, to_one};
use crate::model::World;
use crate::model::apps::AppSpec;
use crate::model::objects::{App, Lifecycle};
use crate::web::Reply;

impl Listed for App {
    const FILTERS: &'static [&'static str] = &[
        "names",
        "space_guids",
        "organization_guids",
        "stacks",
        "lifecycle_type",
        "label_selector",
        "include",
    ];

    fn name(&self) -> &str {
        &self.meta.name
    }
    fn state(&self) -> &str {
        if self.started { "STARTED" } else { "STOPPED" }
    }
    fn times(&self) -> (i64, i64) {
        (self.meta.created, self.meta.updated)
    }
    fn labels(&self) -> Option<&BTreeMap<String, Option<String>>> {
        Some(&self.meta.labels)
    }
    fn passes(&self, world: &World, filter: &str, values: &[&str]) -> bool {
        match filter {
            "names" => values.contains(&self.meta.name.as_str()),
            "space_guids" => values.contains(&self.space.as_str()),
            "organization_guids" => world
                .spaces
                .get(&self.space)
                .is_some_and(|space| values.contains(&space.org.as_str())),
            "lifecycle_type" => values.contains(&self.lifecycle.name()),
            _ => values.contains(&"cflinuxfs4"),
        }
    }
    fn render(&self, call: &Call<'_>) -> Value {
        let guid = &self.meta.guid;
        let path = |tail: &str| call.link(&format!("/v3/apps/{guid}{tail}"));
        let action = |name: &str| call.action(&format!("/v3/apps/{guid}/actions/{name}"));
        let mut body = base(&self.meta);
        body["state"] = json!(self.state());
        body["lifecycle"] =
            json!({"type": self.lifecycle.name(), "data": {"buildpacks": [], "stack": "cflinuxfs4"}});
        body["relationships"] =
            json!({"space": {"data": {"guid": self.space}}, "current_droplet": {"data": {"guid": guid}}});
        body["metadata"] = metadata(&self.meta);
        body["links"] = json!({
            "self": path(""), "environment_variables": path("/environment_variables"),
            "space": call.link(&format!("/v3/spaces/{}", self.space)), "processes": path("/processes"),
            "tasks": path("/tasks"), "start": action("start"), "stop": action("stop"),
        });
        body
    }
    fn delete(world: &mut World, guid: &str) {
        let _ = world.delete_app(guid);
    }
}

/// `include=space` and `include=space.organization`.
fn included(call: &Call<'_>, page: &[&App], include: &str) -> Result<Value, ApiError> {
    if !include
        .split(',')
        .all(|name| ["space", "org", "space.organization"].contains(&name))
    {
        return nothing(call, page, include);
    }
    let spaces: BTreeSet<&str> = page.iter().map(|app| app.space.as_str()).collect();
    let spaces: Vec<_> = spaces
        .into_iter()
        .filter_map(|guid| call.world.spaces.get(guid))
        .collect();
    let mut body = json!({"spaces": spaces.iter().map(|space| space.render(call)).collect::<Vec<_>>()});
    if include != "space" {
        let orgs: BTreeSet<&str> = spaces.iter().map(|space| space.org.as_str()).collect();
        let orgs = orgs.into_iter().filter_map(|guid| call.world.orgs.get(guid));
        body["organizations"] = orgs.map(|org| org.render(call)).collect();
    }
    Ok(body)
}

pub(super) fn route(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let method = call.request.method.clone();
    if let [guid, ..] = path
        && call.world.apps.get(guid).is_none()
    {
        return Err(ApiError::not_found("App"));
    }
    match (method, path) {
        (Method::GET, []) => list::<App>(call, |world| world.apps.iter().collect(), included),
        (Method::POST, []) => create(call),
        (Method::GET, [guid]) => app(call, guid, 200),
        (Method::PATCH, [guid]) => patch(call, guid),
        (Method::DELETE, [guid]) => {
            call.world.delete_app(guid)?;
            Ok(call.accepted("app.delete"))
        }
        (Method::POST, [guid, "actions", action]) => {
            match *action {
                "start" => call.world.start(guid)?,
                "stop" => call.world.stop_app(guid)?,
                "restart" => call.world.restart(guid)?,
                _ => return Err(ApiError::unknown_request()),
            }
            app(call, guid, 200)
        }
        (Method::GET, [guid, "env"]) => env(call, guid),
        (Method::GET, [guid, "environment_variables"]) => {
            call.authorize_secrets()?;
            call.world
                .note_app("audit.app.environment_variables.show", guid, json!({}));
            variables(call, guid)
        }
        (Method::PATCH, [guid, "environment_variables"]) => {
            let body = call.body()?;
            let change = body["var"].as_object().into_iter().flatten();
            let change = change.map(|(key, value)| (key.clone(), plain(value))).collect();
            check_names(&change)?;
            call.world.set_env(guid, &change)?;
            variables(call, guid)
        }
        _ => Err(ApiError::unknown_request()),
    }
}

/// Values travel as text whatever they were; null unsets.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn check_names(change: &BTreeMap<String, Option<String>>) -> Result<(), ApiError> {
    let bad = |name: &&String| name.starts_with("VCAP_") || name.starts_with("VMC") || *name == "PORT";
    match change.keys().find(bad) {
        None => Ok(()),
        Some(name) => Err(ApiError::unprocessable(format!(
            "Environment variables cannot set {name}"
        ))),
    }
}

fn app(call: &Call<'_>, guid: &str, status: u16) -> Answer {
    let app = call
        .world
        .apps
        .get(guid)
        .ok_or_else(|| ApiError::not_found("App"))?;
    Ok(Reply::json(status, &app.render(call)))
}

fn create(call: &mut Call<'_>) -> Answer {
    let body = call.body()?;
    let space = to_one(&body, "space")?;
    let env = body["environment_variables"].as_object().into_iter().flatten();
    let env: BTreeMap<String, Option<String>> = env.map(|(key, value)| (key.clone(), plain(value))).collect();
    check_names(&env)?;
    let spec = AppSpec {
        name: text(&body, "name")?.to_owned(),
        space,
        instances: 1,
        env: env
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect(),
        lifecycle: match body["lifecycle"]["type"].as_str() {
            Some("docker") => Lifecycle::Docker,
            Some("cnb") => Lifecycle::Cnb,
            _ => Lifecycle::Buildpack,
        },
        ..AppSpec::default()
    };
    let guid = call.world.create_app(&spec)?;
    if let Some(app) = call.world.apps.get_mut(&guid) {
        merge_metadata(&mut app.meta, &body);
    }
    app(call, &guid, 201)
}

fn patch(call: &mut Call<'_>, guid: &str) -> Answer {
    let body = call.body()?;
    if let Some(name) = body["name"].as_str() {
        call.world.rename_app(guid, name)?;
    } else {
        call.world.set_env(guid, &BTreeMap::new())?;
    }
    if let Some(app) = call.world.apps.get_mut(guid) {
        merge_metadata(&mut app.meta, &body);
    }
    app(call, guid, 200)
}

fn variables(call: &Call<'_>, guid: &str) -> Answer {
    let app = call
        .world
        .apps
        .get(guid)
        .ok_or_else(|| ApiError::not_found("App"))?;
    let links = json!({
        "self": call.link(&format!("/v3/apps/{guid}/environment_variables")),
        "app": call.link(&format!("/v3/apps/{guid}")),
    });
    Ok(Reply::json(200, &json!({"var": app.env, "links": links})))
}

fn env(call: &mut Call<'_>, guid: &str) -> Answer {
    call.authorize_secrets()?;
    call.world.note_app("audit.app.environment.show", guid, json!({}));
    let app = call
        .world
        .apps
        .get(guid)
        .ok_or_else(|| ApiError::not_found("App"))?;
    Ok(Reply::json(
        200,
        &json!({
            "environment_variables": app.env,
            "staging_env_json": call.world.env_groups.staging,
            "running_env_json": call.world.env_groups.running,
            "system_env_json": {"VCAP_SERVICES": {}},
            "application_env_json": {"VCAP_APPLICATION": {"application_id": guid, "application_name": app.meta.name, "space_id": app.space}},
        }),
    ))
}
