//! Cloud Controller: v3, the v2 calls of 2019-era clients, and the internal endpoint of cells.
//!
//! Source: the CAPI v3 documentation and the controllers and messages of `cloud_controller_ng`. Links
//! are built from the external address whatever host was called. Writes are those that drive a network:
//! every app counts as having a droplet.

mod apps;
mod error;
mod list;
mod misc;
mod organizations;
mod processes;
mod root;
mod security_groups;
mod v2;
mod v2_groups;

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use crate::faults::FaultKind;
use crate::model::World;
use crate::model::clock::{rfc3339, token};
use crate::model::objects::Meta;
use crate::policy;
use crate::shared::Shared;
use crate::web::{Reply, Request};
use error::ApiError;

type Answer = Result<Reply, ApiError>;

/// A request with what is needed to answer it.
pub(crate) struct Call<'a> {
    world: &'a mut World,
    request: &'a Request,
    /// Base of links.
    external: &'a str,
    shared: &'a Shared,
}

/// Answers requests to Cloud Controller, and those the router sends to the policy server by path.
pub(crate) fn handle(shared: &Shared, request: &Request) -> Reply {
    if request.path.starts_with("/networking") {
        return policy::external::handle(shared, request);
    }
    let mut world = shared.world();
    let mut call = Call {
        world: &mut world,
        request,
        external: shared.external(),
        shared,
    };
    let v2 = request.path.starts_with("/v2");
    route(&mut call).unwrap_or_else(|error| error.reply(v2))
}

/// Answers requests to the mutual TLS port; no token is asked for.
pub(crate) fn handle_internal(shared: &Shared, request: &Request) -> Reply {
    let world = shared.world();
    let known = world.age.is_newest() && request.path == "/internal/v4/asg_latest_update";
    match (&request.method, known) {
        (&Method::GET, true) => Reply::json(200, &json!({"last_update": token(world.bindings.token)})),
        _ => ApiError::unknown_request().reply(false),
    }
}

fn route(call: &mut Call<'_>) -> Answer {
    let request = call.request;
    let segments = request.segments();
    match segments.as_slice() {
        [] => Ok(root::root(call)),
        ["v3"] => Ok(root::v3(call)),
        ["v3", "info"] => Ok(root::v3_info(call)),
        ["v2", "info"] => Ok(root::v2_info(call)),
        ["healthz"] => Ok(Reply::text(200, "OK")),
        ["v3", rest @ ..] => {
            call.authorize()?;
            v3(call, rest)
        }
        ["v2", rest @ ..] if call.world.v2 => {
            call.authorize()?;
            v2::route(call, rest)
        }
        _ => Err(ApiError::unknown_request()),
    }
}

fn v3(call: &mut Call<'_>, path: &[&str]) -> Answer {
    match path {
        ["organizations", rest @ ..] => organizations::organizations(call, rest),
        [
            "spaces",
            space,
            kind @ ("running_security_groups" | "staging_security_groups"),
        ] => security_groups::of_space(call, space, kind),
        ["spaces", rest @ ..] => organizations::spaces(call, rest),
        ["apps", app, "tasks", rest @ ..] => processes::app_tasks(call, app, rest),
        ["apps", app, "processes", rest @ ..] => processes::of_app(call, app, rest),
        ["apps", rest @ ..] => apps::route(call, rest),
        ["processes", rest @ ..] => processes::route(call, rest),
        ["tasks", rest @ ..] => processes::tasks(call, rest),
        ["security_groups", rest @ ..] if call.world.age.is_newest() => security_groups::route(call, rest),
        ["isolation_segments", rest @ ..] => misc::segments(call, rest),
        ["audit_events", rest @ ..] => misc::audit_events(call, rest),
        ["jobs", job] => misc::job(call, job),
        ["environment_variable_groups", name] => misc::env_group(call, name),
        _ => Err(ApiError::unknown_request()),
    }
}

impl Call<'_> {
    /// Reading takes a reading scope, writing the admin's.
    fn authorize(&self) -> Result<(), ApiError> {
        let Some(token) = self.request.bearer() else {
            return Err(ApiError::not_authenticated());
        };
        let token = self
            .world
            .tokens
            .valid(token)
            .ok_or_else(ApiError::invalid_token)?;
        let has = |scope: &str| token.scopes.iter().any(|known| known == scope);
        let reads = has("cloud_controller.admin_read_only") || has("cloud_controller.global_auditor");
        let writes = has("cloud_controller.admin");
        let allowed = if self.request.method == Method::GET {
            reads || writes
        } else {
            writes
        };
        if allowed {
            Ok(())
        } else {
            Err(ApiError::not_authorized())
        }
    }

    /// Variables are secrets: auditors without the right to read them are refused.
    fn authorize_secrets(&self) -> Result<(), ApiError> {
        let token = self
            .request
            .bearer()
            .and_then(|token| self.world.tokens.valid(token));
        let scopes = token.map(|token| token.scopes.as_slice()).unwrap_or_default();
        let allowed = ["cloud_controller.admin", "cloud_controller.admin_read_only"];
        let may = scopes.iter().any(|scope| allowed.contains(&scope.as_str()));
        if may {
            Ok(())
        } else {
            Err(ApiError::not_authorized())
        }
    }

    fn body(&self) -> Result<Value, ApiError> {
        self.request
            .json()
            .filter(Value::is_object)
            .ok_or_else(ApiError::unparsable)
    }

    fn link(&self, path: &str) -> Value {
        json!({"href": format!("{}{path}", self.external)})
    }

    fn action(&self, path: &str) -> Value {
        json!({"href": format!("{}{path}", self.external), "method": "POST"})
    }

    /// Answers 202 with the job that stands for work already done.
    fn accepted(&mut self, operation: &str) -> Reply {
        let job = misc::new_job(self.world, operation);
        Reply::empty(202).header("Location", format!("{}/v3/jobs/{job}", self.external))
    }

    fn is_emptied(&self) -> bool {
        self.request.fault == Some(FaultKind::EmptyList)
    }
}

/// The fields every v3 object begins with.
fn base(meta: &Meta) -> Value {
    json!({
        "guid": meta.guid, "name": meta.name,
        "created_at": rfc3339(meta.created), "updated_at": rfc3339(meta.updated),
    })
}

fn metadata(meta: &Meta) -> Value {
    json!({"labels": meta.labels, "annotations": meta.annotations})
}

/// Merges `metadata` of a PATCH: null deletes.
fn merge_metadata(meta: &mut Meta, body: &Value) {
    let merge = |into: &mut BTreeMap<String, Option<String>>, from: &Value| {
        for (key, value) in from.as_object().into_iter().flatten() {
            match value.as_str() {
                Some(text) => _ = into.insert(key.clone(), Some(text.to_owned())),
                None => _ = into.remove(key),
            }
        }
    };
    merge(&mut meta.labels, &body["metadata"]["labels"]);
    merge(&mut meta.annotations, &body["metadata"]["annotations"]);
}

fn text<'a>(body: &'a Value, key: &str) -> Result<&'a str, ApiError> {
    body[key].as_str().filter(|text| !text.is_empty()).ok_or_else(|| {
        ApiError::unprocessable(format!(
            "{} must be a string, {0} is too short (minimum is 1 character)",
            capital(key)
        ))
    })
}

fn capital(key: &str) -> String {
    let mut letters = key.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

fn to_one(body: &Value, name: &str) -> Result<String, ApiError> {
    let guid = body["relationships"][name]["data"]["guid"].as_str();
    guid.map(str::to_owned)
        .ok_or_else(|| ApiError::unprocessable(format!("Relationships {name} must be provided")))
}

fn guids_of(data: &Value) -> Vec<String> {
    data.as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| item["guid"].as_str())
        .map(str::to_owned)
        .collect()
}

fn to_many<'a>(guids: impl IntoIterator<Item = &'a String>) -> Value {
    let data: Vec<_> = guids.into_iter().map(|guid| json!({"guid": guid})).collect();
    json!({"data": data})
}
