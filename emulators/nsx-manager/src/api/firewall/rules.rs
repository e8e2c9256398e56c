//! Rules: ordered within their section.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::sections::{changing, takes_rules};
use super::{at_revision, shown_rule};
use crate::api::list::Listing;
use crate::api::{Answer, ApiError, Call, Result, crud};
use crate::kinds::Kind;
use crate::kinds::firewall::{MODULE, Place, not_default, place};
use crate::options::Version;
use crate::store::{Body, Object, Store, Tx, items, text};

pub(super) fn collection(store: &mut Store, call: &Call<'_>, section: &str) -> Result<Answer> {
    match (call.method.as_str(), call.action()) {
        ("GET", _) => {
            crate::api::read(store, Kind::FirewallSection, section)?;
            let view = store.view();
            let rules = view
                .children(Kind::FirewallRule, section)
                .map(|rule| shown_rule(view, rule));
            Listing::read(call, 1000)?.values(rules.collect())
        }
        ("POST", "") => {
            let rule = call.json()?;
            let mut made =
                store.transact::<_, ApiError>(call.user, |tx| add(tx, call, section, vec![rule]))?;
            made.pop()
                .map_or_else(|| call.unknown(), |rule| Ok(Answer::json(rule)))
        }
        ("POST", "create_multiple") => {
            let rules = items(&call.json()?, "rules")
                .iter()
                .filter_map(Value::as_object)
                .cloned()
                .collect();
            let made = store.transact::<_, ApiError>(call.user, |tx| add(tx, call, section, rules))?;
            Ok(Answer::json(json!({ "rules": made })))
        }
        _ => call.not_allowed(),
    }
}

pub(super) fn member(store: &mut Store, call: &Call<'_>, section: &str, id: &str) -> Result<Answer> {
    let rule = store
        .view()
        .get(Kind::FirewallRule, id)
        .filter(|rule| rule.parent.as_deref() == Some(section));
    let rule = rule
        .cloned()
        .ok_or_else(|| ApiError::not_found("FirewallRule", id))?;
    match (call.method.as_str(), call.action()) {
        ("GET", _) => Ok(Answer::json(shown_rule(store.view(), &rule))),
        ("PUT", _) => store
            .transact::<_, ApiError>(call.user, |tx| update(tx, call, &rule, false))
            .map(Answer::json),
        ("POST", "revise") => store
            .transact::<_, ApiError>(call.user, |tx| update(tx, call, &rule, true))
            .map(Answer::json),
        ("DELETE", _) => store.transact::<_, ApiError>(call.user, |tx| {
            changing(tx, call, section, |tx, _| {
                not_default(&rule, "deleted")?;
                tx.remove(Kind::FirewallRule, &rule.id);
                Ok(Answer::empty())
            })
        }),
        _ => call.not_allowed(),
    }
}

pub(super) fn by_id(store: &mut Store, call: &Call<'_>, id: &str) -> Result<Answer> {
    let rule = store
        .view()
        .get(Kind::FirewallRule, id)
        .ok_or_else(|| ApiError::not_found("FirewallRule", id))?;
    match *call.method {
        Method::GET => Ok(Answer::json(shown_rule(store.view(), rule))),
        _ => call.not_allowed(),
    }
}

pub(super) fn state(store: &mut Store, call: &Call<'_>, id: &str) -> Result<Answer> {
    let wanted = store.view().get(Kind::FirewallRule, id).cloned();
    let wanted = wanted.ok_or_else(|| ApiError::not_found("FirewallRule", id))?;
    if call.method != Method::GET {
        return call.not_allowed();
    }
    let done = store
        .realized()
        .get(Kind::FirewallRule, id)
        .is_some_and(|rule| rule.revision() == wanted.revision());
    let state = if done { "success" } else { "in_progress" };
    Ok(Answer::json(
        json!({ "state": state, "revision_desired": wanted.revision(), "details": [] }),
    ))
}

/// Stores a new rule in a section at a place of its list.
pub(super) fn create(tx: &mut Tx<'_>, section: &Object, rule: Body, seq: i64) -> Result<Arc<Object>> {
    let number = tx.number().to_string();
    let rule = crud::create_at(tx, Kind::FirewallRule, rule, |new| {
        new.id(number).parent(&section.id).seq(seq)
    })?;
    Ok(tx.touch(&rule, |body| {
        drop(body.insert("section_id".into(), json!(section.id.as_ref())))
    }))
}

/// Stores a rule of a whole list: an own one by its id, or a new one.
pub(super) fn put(tx: &mut Tx<'_>, section: &Object, rule: Body, seq: i64) -> Result<()> {
    let known = tx.view().get(Kind::FirewallRule, text(&rule, "id")).cloned();
    match known.filter(|known| known.parent.as_deref() == Some(section.id.as_ref())) {
        Some(known) if known.flag("is_default") => crud::change(tx, &known, rule).map(drop),
        Some(known) => {
            let known = crud::change(tx, &known, rule)?;
            tx.place(&known, seq);
            Ok(())
        }
        None => create(tx, section, rule, seq).map(drop),
    }
}

fn add(tx: &mut Tx<'_>, call: &Call<'_>, section: &str, rules: Vec<Body>) -> Result<Vec<Value>> {
    let made = changing(tx, call, section, |tx, section| {
        takes_rules(section)?;
        if tx.version >= Version::V2_4 {
            rules.iter().try_for_each(|rule| at_revision(section, rule))?;
        }
        let first = Place::read(&call.query)?.unwrap_or(Place::Top);
        let mut made: Vec<Arc<str>> = Vec::with_capacity(rules.len());
        for rule in rules {
            let siblings = tx.children(Kind::FirewallRule, &section.id);
            let at = made.last().map_or(first, |last| Place::After(last));
            let seq = place(tx, &siblings, at)?;
            made.push(create(tx, section, rule, seq)?.id.clone());
        }
        Ok(made)
    })?;
    made.iter()
        .map(|id| Ok(shown_rule(tx.view(), &*tx.get(Kind::FirewallRule, id)?)))
        .collect()
}

fn update(tx: &mut Tx<'_>, call: &Call<'_>, rule: &Arc<Object>, moving: bool) -> Result<Value> {
    let body = call.json()?;
    let section = rule
        .parent
        .clone()
        .ok_or_else(|| ApiError::not_found("FirewallSection", ""))?;
    changing(tx, call, &section, |tx, section| {
        at_revision(section, &body)?;
        let changed = crud::change(tx, rule, body)?;
        let wanted = if moving { Place::read(&call.query)? } else { None };
        if let Some(wanted) = wanted {
            not_default(rule, "moved")?;
            let siblings: Vec<_> = tx
                .children(Kind::FirewallRule, &section.id)
                .into_iter()
                .filter(|one| one.id != rule.id)
                .collect();
            let seq = place(tx, &siblings, wanted)?;
            tx.place(&changed, seq);
        }
        Ok(())
    })?;
    let rule = tx
        .get(Kind::FirewallRule, &rule.id)
        .map_err(|refusal| refusal.module(MODULE))?;
    Ok(shown_rule(tx.view(), &rule))
}
