//! The v2 calls of a client of 2019. Source: the v2 documentation of `cloud_controller_ng`.

use std::collections::BTreeMap;

use diego_wire::lrp;
use http::Method;
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::{Answer, Call, v2_groups};
use crate::model::World;
use crate::model::apps::AppSpec;
use crate::model::clock::rfc3339;
use crate::model::objects::{App, AuditEvent, Meta, Org, Space};
use crate::web::Reply;

const MAX_PER_PAGE: usize = 100;

pub(super) fn route(call: &mut Call<'_>, path: &[&str]) -> Answer {
    match path {
        ["organizations", rest @ ..] => organizations(call, rest),
        [
            "spaces",
            space,
            kind @ ("security_groups" | "staging_security_groups"),
        ] => v2_groups::of_space(call, space, kind),
        ["spaces", rest @ ..] => spaces(call, rest),
        ["apps", rest @ ..] => apps(call, rest),
        ["security_groups", rest @ ..] => v2_groups::route(call, rest),
        ["config", kind, rest @ ..] => v2_groups::config(call, kind, rest),
        ["events"] => list(call, call.world.audit.iter().map(event).collect()),
        _ => Err(ApiError::unknown_request()),
    }
}

/// The envelope of every v2 object.
pub(super) fn object(kind: &str, meta: &Meta, entity: Value) -> Value {
    json!({
        "metadata": {
            "guid": meta.guid, "url": format!("/v2/{kind}/{}", meta.guid),
            "created_at": rfc3339(meta.created), "updated_at": rfc3339(meta.updated),
        },
        "entity": entity,
    })
}

/// Answers a list: filters of `q=field:value`, `q=field IN a,b`, `q=field>value`, then a page.
pub(super) fn list(call: &Call<'_>, mut rows: Vec<Value>) -> Answer {
    let parameters = call.request.query();
    for (_, text) in parameters.iter().filter(|(key, _)| key == "q") {
        rows.retain(|row| passes(row, text));
    }
    if call.is_emptied() {
        rows.clear();
    }
    if parameters
        .iter()
        .any(|(key, value)| key == "order-direction" && value == "desc")
    {
        rows.reverse();
    }
    let number = |name: &str, default: usize| match parameters.iter().find(|(key, _)| key == name) {
        None => Ok(default),
        Some((_, value)) => value
            .parse()
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| ApiError::bad_parameter(format!("{name} must be a positive number"))),
    };
    let (page, size) = (number("page", 1)?, number("results-per-page", 50)?);
    if size > MAX_PER_PAGE {
        return Err(ApiError::bad_parameter("results_per_page must be <= 100"));
    }
    let (total, pages) = (rows.len(), rows.len().div_ceil(size).max(1));
    let url = |page: usize| {
        let kept = parameters
            .iter()
            .filter(|(key, _)| key != "page" && key != "results-per-page");
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        kept.for_each(|(key, value)| _ = text.append_pair(key, value));
        text.append_pair("page", &page.to_string())
            .append_pair("results-per-page", &size.to_string());
        format!("{}?{}", call.request.path, text.finish())
    };
    let resources: Vec<Value> = rows.into_iter().skip((page - 1) * size).take(size).collect();
    Ok(Reply::json(
        200,
        &json!({
            "total_results": total, "total_pages": pages,
            "prev_url": (page > 1).then(|| url(page - 1)), "next_url": (page < pages).then(|| url(page + 1)),
            "resources": resources,
        }),
    ))
}

fn passes(row: &Value, filter: &str) -> bool {
    let field = |name: &str| match &row["entity"][name] {
        Value::Null => row["metadata"][name].as_str().map(str::to_owned),
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    if let Some((name, values)) = filter.split_once(" IN ") {
        return field(name).is_some_and(|value| values.split(',').any(|wanted| wanted == value));
    }
    if let Some((name, value)) = filter.split_once(">=") {
        return field(name).is_some_and(|found| found.as_str() >= value);
    }
    if let Some((name, value)) = filter.split_once('>') {
        return field(name).is_some_and(|found| found.as_str() > value);
    }
    filter
        .split_once(':')
        .is_none_or(|(name, value)| field(name).as_deref() == Some(value))
}

pub(super) fn org(org: &Org) -> Value {
    let guid = &org.meta.guid;
    let status = if org.suspended { "suspended" } else { "active" };
    object(
        "organizations",
        &org.meta,
        json!({
            "name": org.meta.name, "status": status, "default_isolation_segment_guid": org.segment,
            "spaces_url": format!("/v2/organizations/{guid}/spaces"),
        }),
    )
}

pub(super) fn space(space: &Space) -> Value {
    let guid = &space.meta.guid;
    object(
        "spaces",
        &space.meta,
        json!({
            "name": space.meta.name, "organization_guid": space.org, "isolation_segment_guid": space.segment,
            "organization_url": format!("/v2/organizations/{}", space.org), "apps_url": format!("/v2/spaces/{guid}/apps"),
            "security_groups_url": format!("/v2/spaces/{guid}/security_groups"),
            "staging_security_groups_url": format!("/v2/spaces/{guid}/staging_security_groups"),
        }),
    )
}

fn app(world: &World, app: &App) -> Value {
    let guid = &app.meta.guid;
    let web = world.web(guid).ok();
    object(
        "apps",
        &app.meta,
        json!({
            "name": app.meta.name, "space_guid": app.space, "state": if app.started { "STARTED" } else { "STOPPED" },
            "instances": web.map_or(0, |web| web.instances), "memory": web.map_or(0, |web| web.memory_mb),
            "disk_quota": web.map_or(0, |web| web.disk_mb), "version": web.map(|web| web.version.clone()),
            "ports": web.map(|web| web.ports.clone()), "environment_json": app.env, "package_state": "STAGED", "diego": true,
            "enable_ssh": app.ssh, "stack_guid": "c1f24ff0-0000-4000-8000-000000000001",
            "space_url": format!("/v2/spaces/{}", app.space), "events_url": format!("/v2/apps/{guid}/events"),
        }),
    )
}

fn event(event: &AuditEvent) -> Value {
    let meta = Meta {
        guid: event.guid.clone(),
        created: event.at,
        updated: event.at,
        ..Meta::default()
    };
    object(
        "events",
        &meta,
        json!({
            "type": event.kind, "actor": event.actor, "actee": event.target.0, "actee_type": event.target.1,
            "actee_name": event.target.2, "timestamp": rfc3339(event.at), "metadata": event.data,
            "space_guid": event.space, "organization_guid": event.org,
        }),
    )
}

fn organizations(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let find = |world: &World, guid: &str| {
        world
            .orgs
            .get(guid)
            .map(org)
            .ok_or_else(|| ApiError::not_found("Organization"))
    };
    match (&call.request.method, path) {
        (&Method::GET, []) => list(call, call.world.orgs.iter().map(org).collect()),
        (&Method::GET, [guid]) => Ok(Reply::json(200, &find(call.world, guid)?)),
        (&Method::GET, [guid, "spaces"]) => list(
            call,
            call.world
                .spaces
                .iter()
                .filter(|space| space.org == *guid)
                .map(space)
                .collect(),
        ),
        (&Method::POST, []) => {
            let body = call.body()?;
            let guid = call.world.create_org(super::text(&body, "name")?)?;
            Ok(Reply::json(201, &find(call.world, &guid)?))
        }
        (&Method::PUT, [guid]) => {
            let body = call.body()?;
            call.world.rename_org(guid, super::text(&body, "name")?)?;
            Ok(Reply::json(201, &find(call.world, guid)?))
        }
        (&Method::DELETE, [guid]) => {
            find(call.world, guid)?;
            call.world.delete_org(guid)?;
            Ok(Reply::empty(204))
        }
        _ => Err(ApiError::unknown_request()),
    }
}

fn spaces(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let find = |world: &World, guid: &str| {
        world
            .spaces
            .get(guid)
            .map(space)
            .ok_or_else(|| ApiError::not_found("Space"))
    };
    match (&call.request.method, path) {
        (&Method::GET, []) => list(call, call.world.spaces.iter().map(space).collect()),
        (&Method::GET, [guid]) => Ok(Reply::json(200, &find(call.world, guid)?)),
        (&Method::GET, [guid, "apps"]) => {
            let rows = call.world.apps.iter().filter(|row| row.space == *guid);
            list(call, rows.map(|row| app(call.world, row)).collect())
        }
        (&Method::POST, []) => {
            let body = call.body()?;
            let guid = call.world.create_space(
                super::text(&body, "organization_guid")?,
                super::text(&body, "name")?,
            )?;
            Ok(Reply::json(201, &find(call.world, &guid)?))
        }
        (&Method::PUT, [guid]) => {
            let body = call.body()?;
            call.world.rename_space(guid, super::text(&body, "name")?)?;
            Ok(Reply::json(201, &find(call.world, guid)?))
        }
        (&Method::DELETE, [guid]) => {
            find(call.world, guid)?;
            call.world.delete_space(guid)?;
            Ok(Reply::empty(204))
        }
        _ => Err(ApiError::unknown_request()),
    }
}

fn apps(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let method = call.request.method.clone();
    if let [guid, ..] = path
        && call.world.apps.get(guid).is_none()
    {
        return Err(ApiError::not_found("App"));
    }
    match (method, path) {
        (Method::GET, []) => list(
            call,
            call.world.apps.iter().map(|row| app(call.world, row)).collect(),
        ),
        (Method::GET, [guid]) => one(call, guid, 200),
        (Method::POST, []) => create(call),
        (Method::PUT, [guid]) => update(call, guid),
        (Method::DELETE, [guid]) => {
            call.world.delete_app(guid)?;
            Ok(Reply::empty(204))
        }
        (Method::GET, [guid, "summary"]) => {
            let app = call
                .world
                .apps
                .get(guid)
                .ok_or_else(|| ApiError::not_found("App"))?;
            let mut body = self::app(call.world, app)["entity"].take();
            body["guid"] = json!(guid);
            body["running_instances"] = json!(instances(call.world, guid).len());
            Ok(Reply::json(200, &body))
        }
        (Method::GET, [guid, "instances" | "stats"]) => {
            Ok(Reply::json(200, &Value::Object(instances(call.world, guid))))
        }
        (Method::GET, [guid, "env"]) => env(call, guid),
        (Method::POST, [guid, "restage"]) => {
            call.world.restage(guid)?;
            one(call, guid, 201)
        }
        (Method::DELETE, [guid, "instances", index]) => {
            let index = index.parse().map_err(|_| ApiError::not_found("Instance"))?;
            let slot = call.world.slot(guid, index)?;
            call.world.retire(&slot)?;
            Ok(Reply::empty(204))
        }
        _ => Err(ApiError::unknown_request()),
    }
}

fn one(call: &Call<'_>, guid: &str, status: u16) -> Answer {
    let app = call
        .world
        .apps
        .get(guid)
        .ok_or_else(|| ApiError::not_found("App"))?;
    Ok(Reply::json(status, &self::app(call.world, app)))
}

fn variables(body: &Value) -> Option<BTreeMap<String, String>> {
    let object = body["environment_json"].as_object()?;
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Some(
        object
            .iter()
            .map(|(key, value)| (key.clone(), text(value)))
            .collect(),
    )
}

fn number(body: &Value, key: &str) -> Option<i32> {
    body[key].as_i64().and_then(|value| i32::try_from(value).ok())
}

fn create(call: &mut Call<'_>) -> Answer {
    let body = call.body()?;
    let spec = AppSpec {
        name: super::text(&body, "name")?.to_owned(),
        space: super::text(&body, "space_guid")?.to_owned(),
        instances: number(&body, "instances").unwrap_or(1),
        env: variables(&body).unwrap_or_default(),
        ..AppSpec::default()
    };
    let guid = call.world.create_app(&spec)?;
    resize(call, &guid, &body)?;
    if body["state"] == "STARTED" {
        call.world.start(&guid)?;
    }
    one(call, &guid, 201)
}

fn resize(call: &mut Call<'_>, guid: &str, body: &Value) -> Result<(), ApiError> {
    if number(body, "memory").or(number(body, "disk_quota")).is_some() {
        let web = call.world.web(guid)?.guid.clone();
        call.world
            .resize(&web, number(body, "memory"), number(body, "disk_quota"))?;
    }
    Ok(())
}

/// `environment_json` replaces the whole environment.
fn update(call: &mut Call<'_>, guid: &str) -> Answer {
    let body = call.body()?;
    if let Some(wanted) = variables(&body) {
        let old = call
            .world
            .apps
            .get(guid)
            .map(|app| app.env.clone())
            .unwrap_or_default();
        let mut change: BTreeMap<String, Option<String>> = old.into_keys().map(|key| (key, None)).collect();
        change.extend(wanted.into_iter().map(|(key, value)| (key, Some(value))));
        call.world.set_env(guid, &change)?;
    }
    if let Some(name) = body["name"].as_str() {
        call.world.rename_app(guid, name)?;
    }
    resize(call, guid, &body)?;
    if let Some(instances) = number(&body, "instances") {
        call.world.scale(guid, "web", instances)?;
    }
    match body["state"].as_str() {
        Some("STARTED") => call.world.start(guid)?,
        Some("STOPPED") => call.world.stop_app(guid)?,
        _ => {}
    }
    one(call, guid, 201)
}

fn instances(world: &World, guid: &str) -> Map<String, Value> {
    let Ok(web) = world.web(guid) else {
        return Map::new();
    };
    let records = world.diego.records(&web.process_guid());
    records
        .map(|(key, record)| {
            let state = if record.state == lrp::RUNNING {
                "RUNNING"
            } else {
                "STARTING"
            };
            (
                key.1.to_string(),
                json!({"state": state, "since": record.since / 1_000_000_000, "uptime": 1}),
            )
        })
        .collect()
}

fn env(call: &mut Call<'_>, guid: &str) -> Answer {
    call.authorize_secrets()?;
    let app = call
        .world
        .apps
        .get(guid)
        .ok_or_else(|| ApiError::not_found("App"))?;
    Ok(Reply::json(
        200,
        &json!({
            "environment_json": app.env, "staging_env_json": call.world.env_groups.staging,
            "running_env_json": call.world.env_groups.running, "system_env_json": {"VCAP_SERVICES": {}},
            "application_env_json": {"VCAP_APPLICATION": {"application_id": guid, "application_name": app.meta.name}},
        }),
    ))
}
