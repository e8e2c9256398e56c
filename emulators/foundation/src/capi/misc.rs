//! Isolation segments, audit events, jobs and environment variable groups.

use http::Method;
use serde_json::{Value, json};

use super::error::ApiError;
use super::list::{Listed, list, nothing};
use super::{Answer, Call, base, metadata, text, to_many};
use crate::model::World;
use crate::model::clock::rfc3339;
use crate::model::objects::{AuditEvent, Job, Segment};
use crate::model::table::Row;
use crate::web::Reply;

impl Listed for Segment {
    const FILTERS: &'static [&'static str] = &["names", "organization_guids", "label_selector"];

    fn name(&self) -> &str {
        &self.meta.name
    }
    fn times(&self) -> (i64, i64) {
        (self.meta.created, self.meta.updated)
    }
    fn passes(&self, _: &World, filter: &str, values: &[&str]) -> bool {
        match filter {
            "names" => values.contains(&self.meta.name.as_str()),
            _ => values.iter().any(|org| self.orgs.contains(*org)),
        }
    }
    fn render(&self, call: &Call<'_>) -> Value {
        let path = format!("/v3/isolation_segments/{}", self.meta.guid);
        let mut body = base(&self.meta);
        body["metadata"] = metadata(&self.meta);
        body["links"] =
            json!({"self": call.link(&path), "organizations": call.link(&format!("{path}/organizations"))});
        body
    }
    fn delete(world: &mut World, guid: &str) {
        world.segments.remove(guid);
    }
}

impl Row for AuditEvent {
    fn guid(&self) -> &str {
        &self.guid
    }
}

impl Listed for AuditEvent {
    const FILTERS: &'static [&'static str] = &["types", "target_guids", "space_guids", "organization_guids"];

    fn times(&self) -> (i64, i64) {
        (self.at, self.at)
    }
    fn passes(&self, _: &World, filter: &str, values: &[&str]) -> bool {
        let is = |guid: &Option<String>| guid.as_deref().is_some_and(|guid| values.contains(&guid));
        match filter {
            "types" => values.contains(&self.kind),
            "target_guids" => values.contains(&self.target.0.as_str()),
            "target_guids[not]" => !values.contains(&self.target.0.as_str()),
            "space_guids" => is(&self.space),
            _ => is(&self.org),
        }
    }
    fn render(&self, call: &Call<'_>) -> Value {
        let at = |guid: &Option<String>| guid.as_ref().map(|guid| json!({"guid": guid}));
        json!({
            "guid": self.guid, "created_at": rfc3339(self.at), "updated_at": rfc3339(self.at), "type": self.kind,
            "actor": {"guid": self.actor, "type": "user", "name": self.actor},
            "target": {"guid": self.target.0, "type": self.target.1, "name": self.target.2},
            "data": self.data, "space": at(&self.space), "organization": at(&self.org),
            "links": {"self": call.link(&format!("/v3/audit_events/{}", self.guid))},
        })
    }
    fn delete(world: &mut World, guid: &str) {
        world.audit.retain(|event| event.guid != guid);
    }
}

pub(super) fn segments(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let find = |world: &World, guid: &str| {
        world
            .segments
            .get(guid)
            .cloned()
            .ok_or_else(|| ApiError::not_found("Isolation segment"))
    };
    match (&call.request.method, path) {
        (&Method::GET, []) => list::<Segment>(call, |world| world.segments.iter().collect(), nothing),
        (&Method::POST, []) => {
            let body = call.body()?;
            let guid = call.world.create_segment(text(&body, "name")?)?;
            Ok(Reply::json(201, &find(call.world, &guid)?.render(call)))
        }
        (&Method::GET, [guid]) => Ok(Reply::json(200, &find(call.world, guid)?.render(call))),
        (&Method::GET, [guid, "relationships", "spaces"]) => {
            let segment = find(call.world, guid)?;
            let spaces = call
                .world
                .spaces
                .iter()
                .filter(|space| space.segment.as_ref() == Some(&segment.meta.guid));
            Ok(Reply::json(200, &to_many(spaces.map(|space| &space.meta.guid))))
        }
        (&Method::GET, [guid, "relationships", "organizations"]) => {
            Ok(Reply::json(200, &to_many(&find(call.world, guid)?.orgs)))
        }
        _ => Err(ApiError::unknown_request()),
    }
}

pub(super) fn audit_events(call: &mut Call<'_>, path: &[&str]) -> Answer {
    match (&call.request.method, path) {
        (&Method::GET, []) => list::<AuditEvent>(call, |world| world.audit.iter().collect(), nothing),
        (&Method::GET, [guid]) => {
            let event = call.world.audit.iter().find(|event| event.guid == *guid);
            Ok(Reply::json(
                200,
                &event.ok_or_else(|| ApiError::not_found("Event"))?.render(call),
            ))
        }
        _ => Err(ApiError::unknown_request()),
    }
}

/// Notes an operation that is done already, so that clients that wait for it are satisfied.
pub(super) fn new_job(world: &mut World, operation: &str) -> String {
    let (guid, at) = (world.guid(), world.clock.seconds());
    world.jobs.insert(Job {
        guid: guid.clone(),
        operation: operation.to_owned(),
        at,
    });
    guid
}

pub(super) fn job(call: &Call<'_>, guid: &str) -> Answer {
    let job = call
        .world
        .jobs
        .get(guid)
        .ok_or_else(|| ApiError::not_found("Job"))?;
    Ok(Reply::json(
        200,
        &json!({
            "guid": job.guid, "created_at": rfc3339(job.at), "updated_at": rfc3339(job.at), "operation": job.operation,
            "state": "COMPLETE", "errors": [], "warnings": [],
            "links": {"self": call.link(&format!("/v3/jobs/{}", job.guid))},
        }),
    ))
}

pub(super) fn env_group(call: &mut Call<'_>, name: &str) -> Answer {
    let patch = if call.request.method == Method::PATCH {
        Some(call.body()?)
    } else {
        None
    };
    let group = match name {
        "running" => &mut call.world.env_groups.running,
        "staging" => &mut call.world.env_groups.staging,
        _ => return Err(ApiError::not_found("Environment variable group")),
    };
    for (key, value) in patch.iter().filter_map(|body| body["var"].as_object()).flatten() {
        match value.as_str() {
            Some(text) => _ = group.insert(key.clone(), text.to_owned()),
            None => _ = group.remove(key),
        }
    }
    let links = json!({"self": format!("{}/v3/environment_variable_groups/{name}", call.external)});
    Ok(Reply::json(
        200,
        &json!({"name": name, "updated_at": null, "var": group, "links": links}),
    ))
}
