//! What lies below a router: advertisement, static routes, NAT rules, status.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::list::{self, Listing};
use super::{Answer, ApiError, Call, Payload, Result, crud};
use crate::kinds::{Filter, Kind, routers};
use crate::options::Version;
use crate::store::{Body, Object, Store, Term};

pub(super) fn dispatch(store: &mut Store, call: &Call<'_>, router: &str, rest: &[&str]) -> Result<Answer> {
    super::read(store, Kind::LogicalRouter, router)?;
    match rest {
        ["routing", "advertisement"] => singleton(store, call, Kind::AdvertisementConfig, router),
        ["routing", "advertisement", "rules"] => singleton(store, call, Kind::AdvertiseRuleList, router),
        ["routing", "static-routes"] => collection(store, call, Kind::StaticRoute, router),
        ["routing", "static-routes", id] => member(store, call, Kind::StaticRoute, router, id),
        ["nat", "rules"] => collection(store, call, Kind::NatRule, router),
        ["nat", "rules", id] => member(store, call, Kind::NatRule, router, id),
        ["status"] => Ok(Answer::json(
            json!({ "logical_router_id": router, "per_node_status": [] }),
        )),
        _ => call.unknown(),
    }
}

fn singleton(store: &mut Store, call: &Call<'_>, kind: Kind, router: &str) -> Result<Answer> {
    let found = store.view().children(kind, router).next().cloned();
    let found = found.ok_or_else(|| ApiError::not_found(kind.name(), router))?;
    match *call.method {
        Method::GET => Ok(Answer::object(found)),
        Method::PUT => {
            let body = call.json()?;
            let replace =
                |tx: &mut crate::store::Tx<'_>| crud::replace(tx, kind, &found.id, body, call.overwrite);
            store
                .transact::<_, ApiError>(call.user, replace)
                .map(Answer::object)
        }
        _ => call.not_allowed(),
    }
}

fn collection(store: &mut Store, call: &Call<'_>, kind: Kind, router: &str) -> Result<Answer> {
    match (call.method.as_str(), call.action()) {
        ("GET", _) => {
            let filter = Filter::all().with(Some(Term::Parent(router.into())));
            list::filtered(store, call, kind, Listing::read(call, 1000)?, &filter)
        }
        ("POST", "create_multiple") if kind == Kind::NatRule && store.version >= Version::V2_5 => {
            create_multiple(store, call, router)
        }
        ("POST", "") => {
            let body = below(call.json()?, router);
            let create = |tx: &mut crate::store::Tx<'_>| {
                let number = routers::new_number(tx);
                crud::create_at(tx, kind, body, |new| new.id(number).parent(router))
            };
            let object = store.transact::<_, ApiError>(call.user, create)?;
            let status = if kind == Kind::StaticRoute {
                StatusCode::OK
            } else {
                StatusCode::CREATED
            };
            Ok(Answer {
                status,
                payload: Payload::Object(object),
            })
        }
        _ => call.not_allowed(),
    }
}

fn below(mut body: Body, router: &str) -> Body {
    body.insert("logical_router_id".into(), json!(router));
    body
}

fn create_multiple(store: &mut Store, call: &Call<'_>, router: &str) -> Result<Answer> {
    let body = call.json()?;
    let rules: Vec<Body> = crate::store::items(&body, "rules")
        .iter()
        .filter_map(Value::as_object)
        .map(|rule| below(rule.clone(), router))
        .collect();
    let made = store.transact::<_, ApiError>(call.user, |tx| {
        let mut made = Vec::with_capacity(rules.len());
        for rule in rules {
            let number = routers::new_number(tx);
            let rule = crud::create_at(tx, Kind::NatRule, rule, |new| new.id(number).parent(router))?;
            made.push(Value::Object(rule.body.clone()));
        }
        Ok(made)
    })?;
    Ok(Answer {
        status: StatusCode::CREATED,
        payload: Payload::Json(json!({ "rules": made })),
    })
}

fn member(store: &mut Store, call: &Call<'_>, kind: Kind, router: &str, id: &str) -> Result<Answer> {
    let found = store
        .view()
        .get(kind, id)
        .filter(|rule: &&std::sync::Arc<Object>| rule.parent.as_deref() == Some(router));
    let found = found
        .cloned()
        .ok_or_else(|| ApiError::not_found(kind.name(), id))?;
    match *call.method {
        Method::GET => Ok(Answer::object(found)),
        Method::PUT => {
            let body = below(call.json()?, router);
            let replace = |tx: &mut crate::store::Tx<'_>| crud::replace(tx, kind, id, body, call.overwrite);
            store
                .transact::<_, ApiError>(call.user, replace)
                .map(Answer::object)
        }
        Method::DELETE => super::delete(store, call, kind, id),
        _ => call.not_allowed(),
    }
}
