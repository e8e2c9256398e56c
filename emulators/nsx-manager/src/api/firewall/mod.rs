//! The distributed firewall's calls.
//!
//! A section and its rules have one revision: a change of any rule raises it, a rule shows its section's, and a
//! lost race is a 409 (nsx-mp-api §1.9).

mod rules;
mod sections;
mod singletons;

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Answer, ApiError, Call, Result};
use crate::kinds::Kind;
use crate::kinds::firewall::MODULE;
use crate::store::{Body, Object, Store, Tx, View};

/// Rules that a section may hold to be handled by the API.
const RULES: usize = 1000;

pub(super) fn dispatch(store: &mut Store, call: &Call<'_>, rest: &[&str]) -> Result<Answer> {
    match rest {
        ["sections"] => sections::collection(store, call),
        ["sections", section] => sections::member(store, call, section),
        ["sections", section, "state"] => sections::state(store, call, section),
        ["sections", section, "rules"] => rules::collection(store, call, section),
        ["sections", section, "rules", rule] => rules::member(store, call, section, rule),
        ["rules", rule] => rules::by_id(store, call, rule),
        ["rules", rule, "state"] => rules::state(store, call, rule),
        ["excludelist"] => singletons::exclude_list(store, call),
        ["status", rest @ ..] => singletons::status(store, call, rest),
        _ => call.unknown(),
    }
}

/// Common fields that a rule, which is embedded in its section, has not.
const HIDDEN: &[&str] = &[
    "_create_time",
    "_create_user",
    "_last_modified_time",
    "_last_modified_user",
    "_protection",
    "_system_owned",
    "tags",
];

/// A rule as clients see it: at its section's revision.
fn shown_rule(view: &View, rule: &Object) -> Value {
    let section = rule
        .parent
        .as_deref()
        .and_then(|section| view.get(Kind::FirewallSection, section));
    let mut body = rule.body.clone();
    body.insert(
        "_revision".into(),
        json!(section.map_or(0, |section| section.revision())),
    );
    HIDDEN.iter().for_each(|field| drop(body.remove(*field)));
    Value::Object(body)
}

/// A section with its rules, in order.
fn shown_with_rules(view: &View, section: &Object) -> Value {
    let mut body = section.body.clone();
    let rules = view
        .children(Kind::FirewallRule, &section.id)
        .map(|rule| shown_rule(view, rule));
    body.insert("rules".into(), Value::Array(rules.collect()));
    Value::Object(body)
}

/// Refuses a request that isn't based on the section's present revision.
fn at_revision(section: &Object, body: &Body) -> Result<()> {
    let current = section.revision();
    match body.get("_revision").and_then(Value::as_i64) {
        Some(sent) if sent == current => Ok(()),
        Some(sent) => Err(ApiError::conflict(&section.id, sent, current).module(MODULE)),
        None => Err(ApiError::stale(&section.id, None, current).module(MODULE)),
    }
}

/// Raises the section's revision after a change of its rules.
fn raise(tx: &mut Tx<'_>, section: &str) -> Result<Arc<Object>> {
    let section = tx.get(Kind::FirewallSection, section)?;
    let count = tx.view().children(Kind::FirewallRule, &section.id).count();
    if count > RULES {
        return Err(ApiError::invalid(format!("A section holds at most {RULES} rules.")).module(MODULE));
    }
    let mut body = section.body.clone();
    body.insert("rule_count".into(), json!(count));
    Ok(tx.update(&section, body))
}

/// Refuses a change of a section that somebody else locked.
fn not_locked(tx: &Tx<'_>, section: &Object) -> Result<()> {
    if section.flag("locked") && section.text("lock_modified_by") != tx.user {
        let message = format!(
            "The section {} is locked by {}.",
            section.id,
            section.text("lock_modified_by")
        );
        return Err(ApiError::new(http::StatusCode::LOCKED, super::error::CLASH, message).module(MODULE));
    }
    Ok(())
}
