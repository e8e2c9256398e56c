//! Processes and tasks.

use diego_wire::lrp;
use http::Method;
use serde_json::{Value, json};

use super::error::ApiError;
use super::list::{Listed, list, nothing};
use super::{Answer, Call};
use crate::model::World;
use crate::model::clock::rfc3339;
use crate::model::objects::{Process, TaskRow};
use crate::web::Reply;

impl Listed for Process {
    const FILTERS: &'static [&'static str] = &[
        "types",
        "space_guids",
        "organization_guids",
        "app_guids",
        "label_selector",
        "embed",
    ];

    fn times(&self) -> (i64, i64) {
        (self.created, self.updated)
    }
    fn passes(&self, world: &World, filter: &str, values: &[&str]) -> bool {
        let space = world
            .apps
            .get(&self.app)
            .and_then(|app| world.spaces.get(&app.space));
        match filter {
            "types" => values.contains(&self.kind.as_str()),
            "app_guids" => values.contains(&self.app.as_str()),
            "space_guids" => space.is_some_and(|space| values.contains(&space.meta.guid.as_str())),
            "organization_guids" => space.is_some_and(|space| values.contains(&space.org.as_str())),
            _ => true,
        }
    }
    fn render(&self, call: &Call<'_>) -> Value {
        let path = |tail: &str| format!("/v3/processes/{}{tail}", self.guid);
        json!({
            "guid": self.guid, "created_at": rfc3339(self.created), "updated_at": rfc3339(self.updated),
            "type": self.kind, "command": "[PRIVATE DATA HIDDEN IN LISTS]", "instances": self.instances,
            "memory_in_mb": self.memory_mb, "disk_in_mb": self.disk_mb, "version": self.version,
            "health_check": {"type": "port", "data": {"timeout": null, "invocation_timeout": null}},
            "relationships": {"app": {"data": {"guid": self.app}}, "revision": null},
            "metadata": {"labels": {}, "annotations": {}},
            "links": {
                "self": call.link(&path("")), "scale": call.action(&path("/actions/scale")),
                "app": call.link(&format!("/v3/apps/{}", self.app)), "stats": call.link(&path("/stats")),
            },
        })
    }
    fn delete(world: &mut World, guid: &str) {
        world.processes.remove(guid);
    }
}

impl Listed for TaskRow {
    const FILTERS: &'static [&'static str] = &[
        "names",
        "states",
        "app_guids",
        "space_guids",
        "organization_guids",
        "sequence_ids",
        "label_selector",
    ];

    fn name(&self) -> &str {
        &self.name
    }
    fn state(&self) -> &str {
        self.state
    }
    fn times(&self) -> (i64, i64) {
        (self.created, self.updated)
    }
    fn passes(&self, _: &World, filter: &str, values: &[&str]) -> bool {
        match filter {
            "names" => values.contains(&self.name.as_str()),
            "states" => values.contains(&self.state),
            "app_guids" => values.contains(&self.app.as_str()),
            _ => true,
        }
    }
    fn render(&self, call: &Call<'_>) -> Value {
        json!({
            "guid": self.guid, "created_at": rfc3339(self.created), "updated_at": rfc3339(self.updated),
            "name": self.name, "command": self.command, "sequence_id": self.sequence, "state": self.state,
            "memory_in_mb": 256, "disk_in_mb": 1024, "result": {"failure_reason": null}, "droplet_guid": self.app,
            "relationships": {"app": {"data": {"guid": self.app}}}, "metadata": {"labels": {}, "annotations": {}},
            "links": {
                "self": call.link(&format!("/v3/tasks/{}", self.guid)),
                "app": call.link(&format!("/v3/apps/{}", self.app)),
                "cancel": call.action(&format!("/v3/tasks/{}/actions/cancel", self.guid)),
            },
        })
    }
    fn delete(world: &mut World, guid: &str) {
        world.tasks.remove(guid);
    }
}

pub(super) fn route(call: &mut Call<'_>, path: &[&str]) -> Answer {
    match (&call.request.method, path) {
        (&Method::GET, []) => list::<Process>(call, |world| world.processes.iter().collect(), nothing),
        (&Method::GET, [guid]) => process(call, guid, 200),
        (&Method::GET, [guid, "stats"]) => stats(call, guid),
        (&Method::POST, [guid, "actions", "scale"]) => scale(call, guid),
        (&Method::PATCH, [guid]) => process(call, guid, 200),
        _ => Err(ApiError::unknown_request()),
    }
}

pub(super) fn of_app(call: &mut Call<'_>, app: &str, path: &[&str]) -> Answer {
    match path {
        [] => {
            let app = app.to_owned();
            list::<Process>(
                call,
                move |world| world.processes.iter().filter(|row| row.app == app).collect(),
                nothing,
            )
        }
        [kind, rest @ ..] => {
            let guid = call.world.process(app, kind)?.guid.clone();
            if let (&Method::DELETE, ["instances", index]) = (&call.request.method, rest) {
                let index = index.parse().map_err(|_| ApiError::not_found("Instance"))?;
                let slot = (call.world.process(app, kind)?.process_guid(), index);
                call.world.retire(&slot)?;
                return Ok(Reply::empty(204));
            }
            let path: Vec<&str> = std::iter::once(guid.as_str())
                .chain(rest.iter().copied())
                .collect();
            route(call, &path)
        }
    }
}

fn process(call: &Call<'_>, guid: &str, status: u16) -> Answer {
    let process = call
        .world
        .processes
        .get(guid)
        .ok_or_else(|| ApiError::not_found("Process"))?;
    Ok(Reply::json(status, &process.render(call)))
}

fn scale(call: &mut Call<'_>, guid: &str) -> Answer {
    let body = call.body()?;
    let found = call
        .world
        .processes
        .get(guid)
        .ok_or_else(|| ApiError::not_found("Process"))?;
    let (app, kind) = (found.app.clone(), found.kind.clone());
    let number = |key: &str| body[key].as_i64().and_then(|value| i32::try_from(value).ok());
    if let Some(instances) = number("instances") {
        if instances < 0 {
            return Err(ApiError::unprocessable(
                "Instances must be greater than or equal to 0",
            ));
        }
        call.world.scale(&app, &kind, instances)?;
    }
    if number("memory_in_mb").or(number("disk_in_mb")).is_some() {
        call.world
            .resize(guid, number("memory_in_mb"), number("disk_in_mb"))?;
    }
    process(call, guid, 202)
}

fn stats(call: &Call<'_>, guid: &str) -> Answer {
    let process = call
        .world
        .processes
        .get(guid)
        .ok_or_else(|| ApiError::not_found("Process"))?;
    let records = call.world.diego.records(&process.process_guid());
    let records = records.map(|(key, record)| {
        let net = record.actual_lrp_net_info.clone().unwrap_or_default();
        let state = match record.state.as_str() {
            lrp::RUNNING => "RUNNING",
            lrp::CRASHED => "CRASHED",
            _ => "STARTING",
        };
        let ports: Vec<Value> = net.ports.iter().map(|port| json!({
            "external": port.host_port, "internal": port.container_port,
            "external_tls_proxy_port": port.host_tls_proxy_port, "internal_tls_proxy_port": port.container_tls_proxy_port,
        })).collect();
        json!({
            "type": process.kind, "index": key.1, "state": state, "host": net.address, "instance_ports": ports,
            "instance_internal_ip": net.instance_address, "uptime": 1, "isolation_segment": null, "details": null,
        })
    });
    Ok(Reply::json(
        200,
        &json!({"resources": records.collect::<Vec<_>>()}),
    ))
}

pub(super) fn app_tasks(call: &mut Call<'_>, app: &str, path: &[&str]) -> Answer {
    match (&call.request.method, path) {
        (&Method::GET, []) => {
            let app = app.to_owned();
            list::<TaskRow>(
                call,
                move |world| world.tasks.iter().filter(|row| row.app == app).collect(),
                nothing,
            )
        }
        (&Method::POST, []) => {
            let body = call.body()?;
            let guid = call.world.run_task(
                app,
                body["name"].as_str(),
                body["command"].as_str().unwrap_or_default(),
            )?;
            task(call, &guid, 202)
        }
        _ => Err(ApiError::unknown_request()),
    }
}

pub(super) fn tasks(call: &mut Call<'_>, path: &[&str]) -> Answer {
    match (&call.request.method, path) {
        (&Method::GET, []) => list::<TaskRow>(call, |world| world.tasks.iter().collect(), nothing),
        (&Method::GET, [guid]) => task(call, guid, 200),
        (&Method::POST, [guid, "actions", "cancel"]) | (&Method::PUT, [guid, "cancel"]) => {
            call.world.finish_task(guid, Some("task was cancelled"))?;
            task(call, guid, 202)
        }
        _ => Err(ApiError::unknown_request()),
    }
}

fn task(call: &Call<'_>, guid: &str, status: u16) -> Answer {
    let task = call
        .world
        .tasks
        .get(guid)
        .ok_or_else(|| ApiError::not_found("Task"))?;
    Ok(Reply::json(status, &task.render(call)))
}
