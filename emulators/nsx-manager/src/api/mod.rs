//! The manager API: which call a request is, and what it is answered.
//!
//! Everything here is synchronous and works on the [`Store`] alone. Connections, logins, limits and faults are
//! the server's business; by the time a [`Call`] gets here it will be answered.

pub(crate) mod crud;
pub(crate) mod error;
mod fabric;
mod firewall;
mod groups;
mod list;
mod pools;
pub(crate) mod query;
mod routing;
mod search;
mod state;
mod system;

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;

pub(crate) use self::error::{ApiError, Result};
pub(crate) use self::list::Page;
pub(crate) use self::query::Query;
use crate::kinds::{self, Kind, Spec};
use crate::store::{Body, Object, Store};

/// Below this lie all calls of the manager API.
pub(crate) const ROOT: &str = "/api/v1/";

/// A request that was let in.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) method: &'a Method,
    /// Path below [`ROOT`].
    pub(crate) path: &'a str,
    pub(crate) query: Query,
    pub(crate) body: &'a [u8],
    pub(crate) user: &'a str,
    /// The client sent `X-Allow-Overwrite: true`.
    pub(crate) overwrite: bool,
    /// Largest page of any list.
    pub(crate) page_limit: Option<usize>,
    /// Lists are as they were so many writes ago.
    pub(crate) stale: usize,
}

impl Call<'_> {
    /// The body as a JSON object.
    pub(crate) fn json(&self) -> Result<Body> {
        match serde_json::from_slice(self.body) {
            Ok(Value::Object(body)) => Ok(body),
            Ok(_) => Err(ApiError::invalid("The body must be a JSON object.")),
            Err(fault) => Err(ApiError::invalid(format!("The body is no JSON: {fault}"))),
        }
    }

    /// The `action` of the query.
    pub(crate) fn action(&self) -> &str {
        self.query.get("action").unwrap_or("")
    }

    pub(crate) fn unknown<T>(&self) -> Result<T> {
        Err(ApiError::no_such_call(&format!("{ROOT}{}", self.path)))
    }

    pub(crate) fn not_allowed<T>(&self) -> Result<T> {
        let message = format!("{} is not allowed on {ROOT}{}.", self.method, self.path);
        Err(ApiError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            error::INVALID,
            message,
        ))
    }
}

/// An answer to a call.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) payload: Payload,
}

/// The body of an answer; made into bytes after the store is let go.
#[derive(Debug)]
pub(crate) enum Payload {
    Empty,
    Json(Value),
    Object(Arc<Object>),
    Page(Page),
}

impl Answer {
    pub(crate) fn ok(payload: Payload) -> Self {
        Answer {
            status: StatusCode::OK,
            payload,
        }
    }

    pub(crate) fn empty() -> Self {
        Self::ok(Payload::Empty)
    }

    pub(crate) fn json(value: Value) -> Self {
        Self::ok(Payload::Json(value))
    }

    pub(crate) fn object(object: Arc<Object>) -> Self {
        Self::ok(Payload::Object(object))
    }

    pub(crate) fn created(object: Arc<Object>) -> Self {
        Answer {
            status: StatusCode::CREATED,
            payload: Payload::Object(object),
        }
    }

    /// Content type and bytes of the body.
    pub(crate) fn into_bytes(self) -> (&'static str, Bytes) {
        let json = "application/json";
        let text = match self.payload {
            Payload::Empty => return (json, Bytes::new()),
            Payload::Json(value) => serde_json::to_vec(&value),
            Payload::Object(object) => serde_json::to_vec(&object.body),
            Payload::Page(page) => page.to_vec(),
        };
        (json, text.unwrap_or_default().into())
    }
}

impl From<ApiError> for Answer {
    fn from(refusal: ApiError) -> Self {
        Answer {
            status: refusal.status,
            payload: Payload::Json(refusal.body()),
        }
    }
}

impl From<crate::EmulatorError> for ApiError {
    fn from(fault: crate::EmulatorError) -> Self {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, 100, fault.to_string())
    }
}

/// Answers a call.
pub(crate) fn answer(store: &mut Store, call: &Call<'_>) -> Answer {
    dispatch(store, call).unwrap_or_else(Answer::from)
}

fn dispatch(store: &mut Store, call: &Call<'_>) -> Result<Answer> {
    let segments: Vec<&str> = call
        .path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    match segments.as_slice() {
        ["search", rest @ ..] => search::search(store, call, rest),
        ["firewall", rest @ ..] => firewall::dispatch(store, call, rest),
        ["logical-routers", router, rest @ ..] if !rest.is_empty() => {
            routing::dispatch(store, call, router, rest)
        }
        ["logical-ports", port, what @ ("state" | "status")] => state::port(store, call, port, what),
        ["logical-switches", switch, "state"] => state::switch(store, call, switch),
        ["pools", "ip-pools", pool, "allocations"] => pools::allocations(store, call, pool),
        ["pools", "ip-pools", pool] if call.method == Method::POST => {
            pools::action(store, call, Kind::IpPool, pool)
        }
        ["pools", "ip-subnets", subnet] if call.method == Method::POST => {
            pools::action(store, call, Kind::IpBlockSubnet, subnet)
        }
        ["pools", "ip-subnets", _] if call.method == Method::PUT => call.not_allowed(),
        ["ns-groups", group, rest @ ..] if !rest.is_empty() => groups::read(store, call, group, rest),
        ["ns-groups", group] if call.method == Method::POST => groups::members(store, call, group),
        ["ip-sets", set, rest @ ..] if call.method == Method::POST || !rest.is_empty() => {
            groups::addresses(store, call, set, rest)
        }
        ["fabric", "virtual-machines"] if call.method == Method::POST => fabric::update_tags(store, call),
        _ => match common(&segments) {
            Some((spec, id)) => object_call(store, call, spec, id),
            None => system::dispatch(store, call, &segments),
        },
    }
}

/// The kind and id that a path of the common form names.
fn common<'a>(segments: &[&'a str]) -> Option<(&'static Spec, Option<&'a str>)> {
    if let Some(spec) = kinds::at(&segments.join("/")) {
        return Some((spec, None));
    }
    let (id, collection) = segments.split_last()?;
    kinds::at(&collection.join("/")).map(|spec| (spec, Some(*id)))
}

fn object_call(store: &mut Store, call: &Call<'_>, spec: &'static Spec, id: Option<&str>) -> Result<Answer> {
    if call.method != Method::GET && !spec.writable {
        return call.not_allowed();
    }
    match (call.method.as_str(), id) {
        ("GET", None) => list::list(store, call, spec),
        ("GET", Some(id)) => read(store, spec.kind, id),
        ("POST", None) => {
            let body = call.json()?;
            let create = |tx: &mut crate::store::Tx<'_>| crud::create(tx, spec.kind, body, None);
            store
                .transact::<_, ApiError>(call.user, create)
                .map(Answer::created)
        }
        ("PUT", Some(id)) => {
            let body = call.json()?;
            let replace =
                |tx: &mut crate::store::Tx<'_>| crud::replace(tx, spec.kind, id, body, call.overwrite);
            store
                .transact::<_, ApiError>(call.user, replace)
                .map(Answer::object)
        }
        ("DELETE", Some(id)) => delete(store, call, spec.kind, id),
        _ => call.not_allowed(),
    }
}

fn read(store: &Store, kind: Kind, id: &str) -> Result<Answer> {
    let object = store.view().get(kind, id).cloned();
    object
        .map(Answer::object)
        .ok_or_else(|| ApiError::not_found(kind.name(), id))
}

fn delete(store: &mut Store, call: &Call<'_>, kind: Kind, id: &str) -> Result<Answer> {
    store.transact::<_, ApiError>(call.user, |tx| {
        crud::may_change(&*tx.get(kind, id)?, call.overwrite)?;
        crud::delete(tx, kind, id, &call.query)?;
        Ok(Answer::empty())
    })
}
