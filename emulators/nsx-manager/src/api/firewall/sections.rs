//! Sections: one ordered list a layer.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{at_revision, not_locked, raise, shown_with_rules};
use crate::api::error::SYSTEM_OWNED;
use crate::api::list::{self, Listing};
use crate::api::{Answer, ApiError, Call, Payload, Result, crud};
use crate::kinds::firewall::{MODULE, Place, not_default, place};
use crate::kinds::{self, Kind};
use crate::options::Version;
use crate::store::{Body, Object, Store, Tx, items, text};

pub(super) fn collection(store: &mut Store, call: &Call<'_>) -> Result<Answer> {
    match (call.method.as_str(), call.action()) {
        ("GET", _) => match kinds::spec(Kind::FirewallSection) {
            Some(spec) => {
                let filter = spec.rules.filter(&call.query)?;
                list::filtered(
                    store,
                    call,
                    Kind::FirewallSection,
                    Listing::read(call, spec.page)?,
                    &filter,
                )
            }
            None => call.unknown(),
        },
        ("POST", "") => store
            .transact::<_, ApiError>(call.user, |tx| create(tx, call))
            .map(Answer::created),
        ("POST", "create_with_rules") => {
            let shown = store.transact::<_, ApiError>(call.user, |tx| create_with_rules(tx, call))?;
            Ok(Answer {
                status: StatusCode::CREATED,
                payload: Payload::Json(shown),
            })
        }
        _ => call.not_allowed(),
    }
}

pub(super) fn member(store: &mut Store, call: &Call<'_>, id: &str) -> Result<Answer> {
    match (call.method.as_str(), call.action()) {
        ("GET", _) => crate::api::read(store, Kind::FirewallSection, id),
        ("PUT", _) => store
            .transact::<_, ApiError>(call.user, |tx| update(tx, call, id))
            .map(Answer::object),
        ("DELETE", _) => store.transact::<_, ApiError>(call.user, |tx| delete(tx, call, id)),
        ("POST", "list_with_rules") => {
            let section = store.view().get(Kind::FirewallSection, id);
            let section = section.ok_or_else(|| ApiError::not_found("FirewallSection", id))?;
            Ok(Answer::json(shown_with_rules(store.view(), section)))
        }
        ("POST", "revise") => store
            .transact::<_, ApiError>(call.user, |tx| revise(tx, call, id))
            .map(Answer::object),
        ("POST", "update_with_rules" | "revise_with_rules") => store
            .transact::<_, ApiError>(call.user, |tx| with_rules(tx, call, id))
            .map(Answer::json),
        ("POST", action @ ("lock" | "unlock")) => store
            .transact::<_, ApiError>(call.user, |tx| lock(tx, call, id, action == "lock"))
            .map(Answer::object),
        _ => call.not_allowed(),
    }
}

pub(super) fn state(store: &mut Store, call: &Call<'_>, id: &str) -> Result<Answer> {
    if call.method != Method::GET {
        return call.not_allowed();
    }
    crate::api::read(store, Kind::FirewallSection, id)?;
    let revision = store
        .view()
        .get(Kind::FirewallSection, id)
        .map_or(0, |section| section.revision());
    let realized = store.realized().get(Kind::FirewallSection, id);
    let done = realized.is_some_and(|section| section.revision() == revision);
    let state = if done { "success" } else { "in_progress" };
    let mut shown = json!({ "state": state, "revision_desired": revision, "details": [] });
    if store.version >= Version::V2_5 {
        shown["pending_change_list"] = json!([]);
    }
    Ok(Answer::json(shown))
}

/// The sections of a layer, in order.
fn siblings(tx: &Tx<'_>, layer: &str, without: &str) -> Vec<Arc<Object>> {
    let sections = tx.view().list(Kind::FirewallSection, None);
    sections
        .filter(|one| one.text("section_type") == layer && one.id.as_ref() != without)
        .cloned()
        .collect()
}

fn create(tx: &mut Tx<'_>, call: &Call<'_>) -> Result<Arc<Object>> {
    let body = call.json()?;
    let siblings = siblings(tx, text(&body, "section_type"), "");
    let seq = place(tx, &siblings, Place::read(&call.query)?.unwrap_or(Place::Top))?;
    crud::create_at(tx, Kind::FirewallSection, body, |new| new.seq(seq))
}

fn create_with_rules(tx: &mut Tx<'_>, call: &Call<'_>) -> Result<Value> {
    let rules = rules_of(&call.json()?)?;
    let section = create(tx, call)?;
    for (at, rule) in rules.into_iter().enumerate() {
        super::rules::create(tx, &section, rule, place_nth(at))?;
    }
    let count = tx.view().children(Kind::FirewallRule, &section.id).count();
    let section = tx.touch(&section, |body| {
        drop(body.insert("rule_count".into(), json!(count)))
    });
    Ok(shown_with_rules(tx.view(), &section))
}

fn place_nth(at: usize) -> i64 {
    i64::try_from(at).unwrap_or(0) << 32
}

fn rules_of(body: &Body) -> Result<Vec<Body>> {
    let missing = || ApiError::invalid("rules is required.").module(MODULE);
    let rules = body.get("rules").and_then(Value::as_array).ok_or_else(missing)?;
    if rules.len() > super::RULES {
        return Err(
            ApiError::invalid(format!("rules holds at most {} elements.", super::RULES)).module(MODULE),
        );
    }
    rules
        .iter()
        .map(|rule| rule.as_object().cloned().ok_or_else(missing))
        .collect()
}

/// The section, if the caller may change it and has seen its present state.
fn changeable(tx: &Tx<'_>, call: &Call<'_>, id: &str, body: &Body) -> Result<Arc<Object>> {
    let section = tx.get(Kind::FirewallSection, id)?;
    crud::may_change(&section, call.overwrite)?;
    not_locked(tx, &section)?;
    at_revision(&section, body)?;
    Ok(section)
}

fn update(tx: &mut Tx<'_>, call: &Call<'_>, id: &str) -> Result<Arc<Object>> {
    let body = call.json()?;
    let section = changeable(tx, call, id, &body)?;
    crud::change(tx, &section, body)
}

fn revise(tx: &mut Tx<'_>, call: &Call<'_>, id: &str) -> Result<Arc<Object>> {
    update(tx, call, id)?;
    move_to(tx, call, id)?;
    tx.get(Kind::FirewallSection, id)
}

fn move_to(tx: &mut Tx<'_>, call: &Call<'_>, id: &str) -> Result<()> {
    let Some(wanted) = Place::read(&call.query)? else {
        return Ok(());
    };
    let section = tx.get(Kind::FirewallSection, id)?;
    not_default(&section, "moved")?;
    let siblings = siblings(tx, section.text("section_type"), id);
    let seq = place(tx, &siblings, wanted)?;
    tx.place(&section, seq);
    Ok(())
}

/// Changes the section and replaces its rules: those with an id are kept, those without are made, others go.
fn with_rules(tx: &mut Tx<'_>, call: &Call<'_>, id: &str) -> Result<Value> {
    let body = call.json()?;
    let rules = rules_of(&body)?;
    let section = changeable(tx, call, id, &body)?;
    let stay: BTreeSet<String> = rules.iter().map(|rule| text(rule, "id").to_owned()).collect();
    for rule in tx
        .children(Kind::FirewallRule, id)
        .iter()
        .filter(|rule| !stay.contains(rule.id.as_ref()))
    {
        not_default(rule, "deleted")?;
        tx.remove(Kind::FirewallRule, &rule.id);
    }
    for (at, rule) in rules.into_iter().enumerate() {
        super::rules::put(tx, &section, rule, place_nth(at))?;
    }
    let section = crud::change(tx, &section, body)?;
    let count = tx.view().children(Kind::FirewallRule, id).count();
    tx.touch(&section, |body| {
        drop(body.insert("rule_count".into(), json!(count)))
    });
    move_to(tx, call, id)?;
    let section = tx.get(Kind::FirewallSection, id)?;
    Ok(shown_with_rules(tx.view(), &section))
}

fn lock(tx: &mut Tx<'_>, call: &Call<'_>, id: &str, locked: bool) -> Result<Arc<Object>> {
    let mut sent = call.json()?;
    let comments = text(&sent, "comments").to_owned();
    if !(4..=4096).contains(&comments.chars().count()) {
        return Err(ApiError::invalid("comments must be a text of 4 to 4096 characters.").module(MODULE));
    }
    if let Some(revision) = sent.remove("section_revision") {
        sent.insert("_revision".into(), revision);
    }
    let section = changeable(tx, call, id, &sent)?;
    let (now, user) = (crate::store::now_ms(), tx.user.to_owned());
    let mut body = section.body.clone();
    for (field, value) in [
        ("locked", json!(locked)),
        ("comments", json!(comments)),
        ("lock_modified_by", json!(user)),
        ("lock_modified_time", json!(now)),
    ] {
        body.insert(field.into(), value);
    }
    Ok(tx.update(&section, body))
}

fn delete(tx: &mut Tx<'_>, call: &Call<'_>, id: &str) -> Result<Answer> {
    let section = tx.get(Kind::FirewallSection, id)?;
    not_default(&section, "deleted")?;
    crud::may_change(&section, call.overwrite)?;
    not_locked(tx, &section)?;
    let rules = tx.children(Kind::FirewallRule, id);
    if !rules.is_empty() && !call.query.flag("cascade") {
        return Err(ApiError::in_use(id, "it holds rules").module(MODULE));
    }
    rules
        .iter()
        .for_each(|rule| tx.remove(Kind::FirewallRule, &rule.id));
    tx.remove(Kind::FirewallSection, id);
    Ok(Answer::empty())
}

/// Raises the revision of a section after `change` of its rules.
pub(super) fn changing<T>(
    tx: &mut Tx<'_>,
    call: &Call<'_>,
    id: &str,
    change: impl FnOnce(&mut Tx<'_>, &Arc<Object>) -> Result<T>,
) -> Result<T> {
    let section = tx.get(Kind::FirewallSection, id)?;
    crud::may_change(&section, call.overwrite)?;
    not_locked(tx, &section)?;
    let made = change(tx, &section)?;
    raise(tx, id)?;
    Ok(made)
}

/// Refuses rules in a default section, which holds its one rule alone.
pub(super) fn takes_rules(section: &Object) -> Result<()> {
    if section.flag("is_default") && items(&section.body, "rules").is_empty() {
        let message = format!("The default section {} takes no further rules.", section.id);
        return Err(ApiError::bad(SYSTEM_OWNED, message).module(MODULE));
    }
    Ok(())
}
