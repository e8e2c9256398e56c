//! Create, change and delete, the same for all kinds: the body is judged by the kind's fields, then by its
//! rules, and stored.

use std::sync::Arc;

use serde_json::{Value, json};

use super::error::{ApiError, NOT_FOUND, Result, SYSTEM_OWNED};
use super::query::Query;
use crate::kinds::{Kind, Spec, judge, spec};
use crate::store::{Body, New, Object, Tx};

/// The spec of a kind that is served; one without is a bug in the table.
fn spec_of(kind: Kind) -> Result<&'static Spec> {
    spec(kind).ok_or_else(|| ApiError::no_such_call(kind.name()))
}

/// Stores a new object.
pub(crate) fn create(tx: &mut Tx<'_>, kind: Kind, body: Body, parent: Option<&str>) -> Result<Arc<Object>> {
    create_at(tx, kind, body, |new| match parent {
        Some(parent) => new.parent(parent),
        None => new,
    })
}

/// Stores a new object with an id, a parent or a place of its own.
pub(crate) fn create_at(
    tx: &mut Tx<'_>,
    kind: Kind,
    mut body: Body,
    place: impl FnOnce(New) -> New,
) -> Result<Arc<Object>> {
    let spec = spec_of(kind)?;
    let schema = spec.schema(&mut body)?;
    let router = body.get("logical_router_id").cloned();
    let mut judged = judge(schema, &body, None, tx.version).map_err(|refusal| refusal.module(spec.module))?;
    if let Some(router) = router {
        judged.entry("logical_router_id").or_insert(router);
    }
    spec.rules.check(tx, &mut judged, None)?;
    let object = tx.create(place(New::of(kind, judged)));
    spec.rules.stored(tx, &object, None)?;
    tx.get(kind, &object.id)
}

/// Replaces an object by what a client sent, if that is based on the present revision.
pub(crate) fn replace(
    tx: &mut Tx<'_>,
    kind: Kind,
    id: &str,
    body: Body,
    overwrite: bool,
) -> Result<Arc<Object>> {
    let old = tx.get(kind, id)?;
    may_change(&old, overwrite)?;
    let sent = body.get("_revision").and_then(Value::as_i64);
    if sent != Some(old.revision()) {
        return Err(ApiError::stale(id, sent, old.revision()));
    }
    change(tx, &old, body)
}

/// Replaces an object whatever its revision.
pub(crate) fn change(tx: &mut Tx<'_>, old: &Arc<Object>, mut body: Body) -> Result<Arc<Object>> {
    let spec = spec_of(old.kind)?;
    body.insert("resource_type".into(), json!(old.text("resource_type")));
    let schema = spec.schema(&mut body)?;
    let judged = judge(schema, &body, Some(&old.body), tx.version);
    let mut judged = judged.map_err(|refusal| refusal.module(spec.module))?;
    spec.rules.check(tx, &mut judged, Some(old))?;
    let object = tx.update(old, judged);
    spec.rules.stored(tx, &object, Some(old))?;
    tx.get(old.kind, &object.id)
}

/// Deletes an object with what belongs to it.
pub(crate) fn delete(tx: &mut Tx<'_>, kind: Kind, id: &str, query: &Query) -> Result<()> {
    let object = tx.get(kind, id)?;
    spec_of(kind)?.rules.release(tx, &object, query)?;
    tx.remove(kind, id);
    Ok(())
}

/// Refuses a change of what belongs to the system or to a protected principal.
pub(crate) fn may_change(object: &Object, overwrite: bool) -> Result<()> {
    if object.flag("_system_owned") {
        let message = format!("The object {} belongs to the system.", object.id);
        return Err(ApiError::bad(SYSTEM_OWNED, message));
    }
    let allowed = match object.text("_protection") {
        "PROTECTED" => false,
        "REQUIRE_OVERRIDE" => overwrite,
        _ => true,
    };
    if allowed {
        return Ok(());
    }
    let message = format!(
        "Principal {} may not change {}.",
        object.text("_create_user"),
        object.id
    );
    Err(ApiError::new(http::StatusCode::FORBIDDEN, NOT_FOUND + 1, message))
}
