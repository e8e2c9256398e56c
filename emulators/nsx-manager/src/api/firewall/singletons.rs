//! The exclude list and the firewall's switch.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use crate::api::error::MEMBER;
use crate::api::{Answer, ApiError, Call, Result, crud};
use crate::kinds::Kind;
use crate::kinds::firewall::MODULE;
use crate::kinds::seed::{EXCLUDE_LIST, FIREWALL_STATUS};
use crate::store::{Body, Object, Store, items, string, text};

pub(super) fn exclude_list(store: &mut Store, call: &Call<'_>) -> Result<Answer> {
    match (call.method.as_str(), call.action()) {
        ("GET", _) => crate::api::read(store, Kind::ExcludeList, EXCLUDE_LIST),
        ("PUT", _) => {
            let body = call.json()?;
            let replace = |tx: &mut crate::store::Tx<'_>| {
                crud::replace(tx, Kind::ExcludeList, EXCLUDE_LIST, body, call.overwrite)
            };
            store
                .transact::<_, ApiError>(call.user, replace)
                .map(Answer::object)
        }
        ("POST", "check_if_exists") => {
            let list = store.view().get(Kind::ExcludeList, EXCLUDE_LIST).cloned();
            let id = call.query.get("object_id").unwrap_or("");
            let found = list.as_ref().and_then(|list| find(list, id));
            found
                .map(|found| Answer::json(found.clone()))
                .ok_or_else(|| ApiError::not_found("member", id))
        }
        ("POST", action @ ("add_member" | "remove_member")) => change(store, call, action == "add_member"),
        _ => call.not_allowed(),
    }
}

fn find<'a>(list: &'a Object, id: &str) -> Option<&'a Value> {
    list.items("members")
        .iter()
        .find(|member| string(member, "target_id") == id)
}

fn change(store: &mut Store, call: &Call<'_>, add: bool) -> Result<Answer> {
    let sent = if add { call.json()? } else { Body::new() };
    let id = if add {
        text(&sent, "target_id")
    } else {
        call.query.get("object_id").unwrap_or("")
    };
    let shown = store.transact::<_, ApiError>(call.user, |tx| {
        let list = tx.get(Kind::ExcludeList, EXCLUDE_LIST)?;
        let known = find(&list, id).cloned();
        if known.is_some() == add {
            return Err(
                ApiError::bad(MEMBER, format!("The member {id} is already there, or not there."))
                    .module(MODULE),
            );
        }
        let mut members = items(&list.body, "members").to_vec();
        members.retain(|member| string(member, "target_id") != id);
        members.extend(add.then(|| Value::Object(sent.clone())));
        let changed: Arc<Object> = crud::change(tx, &list, with_members(&list.body, members))?;
        Ok(known
            .or_else(|| find(&changed, id).cloned())
            .unwrap_or(Value::Null))
    })?;
    Ok(Answer::json(shown))
}

fn with_members(body: &Body, members: Vec<Value>) -> Body {
    let mut body = body.clone();
    body.insert("members".into(), Value::Array(members));
    body
}

pub(super) fn status(store: &mut Store, call: &Call<'_>, rest: &[&str]) -> Result<Answer> {
    let stored = crate::api::read(store, Kind::FirewallStatus, FIREWALL_STATUS)?;
    match (call.method, rest) {
        (&Method::GET, []) => {
            let all: Vec<Value> = store
                .view()
                .list(Kind::FirewallStatus, None)
                .map(|one| Value::Object(one.body.clone()))
                .collect();
            Ok(Answer::json(json!({ "result_count": all.len(), "results": all })))
        }
        (&Method::GET, [FIREWALL_STATUS]) => Ok(stored),
        (&Method::PUT, [FIREWALL_STATUS]) => {
            let body = call.json()?;
            let replace = |tx: &mut crate::store::Tx<'_>| {
                crud::replace(tx, Kind::FirewallStatus, FIREWALL_STATUS, body, call.overwrite)
            };
            store
                .transact::<_, ApiError>(call.user, replace)
                .map(Answer::object)
        }
        _ => call.unknown(),
    }
}
