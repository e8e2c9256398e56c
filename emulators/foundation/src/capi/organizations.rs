//! Organizations and spaces.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use super::error::ApiError;
use super::list::{Listed, list, nothing};
use super::{Answer, Call, base, merge_metadata, metadata, text, to_one};
use crate::model::World;
use crate::model::objects::{Org, Space};
use crate::web::Reply;

impl Listed for Org {
    const FILTERS: &'static [&'static str] = &["names", "label_selector"];

    fn name(&self) -> &str {
        &self.meta.name
    }
    fn times(&self) -> (i64, i64) {
        (self.meta.created, self.meta.updated)
    }
    fn labels(&self) -> Option<&BTreeMap<String, Option<String>>> {
        Some(&self.meta.labels)
    }
    fn passes(&self, _: &World, _: &str, values: &[&str]) -> bool {
        values.contains(&self.meta.name.as_str())
    }
    fn render(&self, call: &Call<'_>) -> Value {
        let mut body = base(&self.meta);
        body["suspended"] = json!(self.suspended);
        body["relationships"] = json!({"quota": {"data": {"guid": "d9a0b7a4-0000-4000-8000-000000000001"}}});
        body["metadata"] = metadata(&self.meta);
        body["links"] = json!({"self": call.link(&format!("/v3/organizations/{}", self.meta.guid))});
        body
    }
    fn delete(world: &mut World, guid: &str) {
        // Only a row that is gone already could not be deleted.
        let _ = world.delete_org(guid);
    }
}

impl Listed for Space {
    const FILTERS: &'static [&'static str] = &["names", "organization_guids", "label_selector", "include"];

    fn name(&self) -> &str {
        &self.meta.name
    }
    fn times(&self) -> (i64, i64) {
        (self.meta.created, self.meta.updated)
    }
    fn labels(&self) -> Option<&BTreeMap<String, Option<String>>> {
        Some(&self.meta.labels)
    }
    fn passes(&self, _: &World, filter: &str, values: &[&str]) -> bool {
        let field = if filter == "names" {
            &self.meta.name
        } else {
            &self.org
        };
        values.contains(&field.as_str())
    }
    fn render(&self, call: &Call<'_>) -> Value {
        let mut body = base(&self.meta);
        body["relationships"] =
            json!({"organization": {"data": {"guid": self.org}}, "quota": {"data": null}});
        body["metadata"] = metadata(&self.meta);
        body["links"] = json!({
            "self": call.link(&format!("/v3/spaces/{}", self.meta.guid)),
            "organization": call.link(&format!("/v3/organizations/{}", self.org)),
        });
        body
    }
    fn delete(world: &mut World, guid: &str) {
        let _ = world.delete_space(guid);
    }
}

/// `include=organization`: each organization of the page once.
fn included_orgs(call: &Call<'_>, page: &[&Space], include: &str) -> Result<Value, ApiError> {
    if include != "organization" && include != "org" {
        return nothing(call, page, include);
    }
    let guids: std::collections::BTreeSet<&str> = page.iter().map(|space| space.org.as_str()).collect();
    let orgs: Vec<Value> = guids
        .into_iter()
        .filter_map(|guid| call.world.orgs.get(guid))
        .map(|org| org.render(call))
        .collect();
    Ok(json!({"organizations": orgs}))
}

pub(super) fn organizations(call: &mut Call<'_>, path: &[&str]) -> Answer {
    match (&call.request.method, path) {
        (&Method::GET, []) => list::<Org>(call, |world| world.orgs.iter().collect(), nothing),
        (&Method::POST, []) => {
            let body = call.body()?;
            let guid = call.world.create_org(text(&body, "name")?)?;
            if let Some(org) = call.world.orgs.get_mut(&guid) {
                merge_metadata(&mut org.meta, &body);
                org.suspended = body["suspended"].as_bool().unwrap_or_default();
            }
            org(call, &guid, 201)
        }
        (&Method::GET, [guid]) => org(call, guid, 200),
        (&Method::PATCH, [guid]) => {
            let body = call.body()?;
            org(call, guid, 200)?;
            patch_org(call, guid, &body)?;
            org(call, guid, 200)
        }
        (&Method::DELETE, [guid]) => {
            org(call, guid, 200)?;
            call.world.delete_org(guid)?;
            Ok(call.accepted("organization.delete"))
        }
        (&Method::GET, [guid, "relationships", "default_isolation_segment"]) => {
            let org = call
                .world
                .orgs
                .get(guid)
                .ok_or_else(|| ApiError::not_found("Organization"))?;
            Ok(Reply::json(200, &to_one_segment(org.segment.as_deref())))
        }
        _ => Err(ApiError::unknown_request()),
    }
}

fn org(call: &Call<'_>, guid: &str, status: u16) -> Answer {
    let org = call
        .world
        .orgs
        .get(guid)
        .ok_or_else(|| ApiError::not_found("Organization"))?;
    Ok(Reply::json(status, &org.render(call)))
}

fn patch_org(call: &mut Call<'_>, guid: &str, body: &Value) -> Result<(), ApiError> {
    let name = body["name"].as_str().map(str::to_owned);
    let name = name
        .or_else(|| call.world.orgs.get(guid).map(|org| org.meta.name.clone()))
        .unwrap_or_default();
    call.world.rename_org(guid, &name)?;
    if let Some(org) = call.world.orgs.get_mut(guid) {
        merge_metadata(&mut org.meta, body);
        org.suspended = body["suspended"].as_bool().unwrap_or(org.suspended);
    }
    Ok(())
}

pub(super) fn spaces(call: &mut Call<'_>, path: &[&str]) -> Answer {
    match (&call.request.method, path) {
        (&Method::GET, []) => list::<Space>(call, |world| world.spaces.iter().collect(), included_orgs),
        (&Method::POST, []) => {
            let body = call.body()?;
            let org = to_one(&body, "organization")?;
            let guid = call.world.create_space(&org, text(&body, "name")?)?;
            if let Some(space) = call.world.spaces.get_mut(&guid) {
                merge_metadata(&mut space.meta, &body);
            }
            space(call, &guid, 201)
        }
        (&Method::GET, [guid]) => space(call, guid, 200),
        (&Method::PATCH, [guid]) => {
            let body = call.body()?;
            space(call, guid, 200)?;
            let name = body["name"].as_str().map(str::to_owned);
            let name = name.or_else(|| call.world.spaces.get(guid).map(|space| space.meta.name.clone()));
            call.world.rename_space(guid, &name.unwrap_or_default())?;
            if let Some(space) = call.world.spaces.get_mut(guid) {
                merge_metadata(&mut space.meta, &body);
            }
            space(call, guid, 200)
        }
        (&Method::DELETE, [guid]) => {
            space(call, guid, 200)?;
            call.world.delete_space(guid)?;
            Ok(call.accepted("space.delete"))
        }
        (&Method::GET, [guid, "relationships", "isolation_segment"]) => {
            let space = call
                .world
                .spaces
                .get(guid)
                .ok_or_else(|| ApiError::not_found("Space"))?;
            Ok(Reply::json(200, &to_one_segment(space.segment.as_deref())))
        }
        (&Method::PATCH, [guid, "relationships", "isolation_segment"]) => {
            let body = call.body()?;
            let segment = body["data"]["guid"].as_str();
            call.world.assign_segment(guid, segment)?;
            Ok(Reply::json(200, &to_one_segment(segment)))
        }
        _ => Err(ApiError::unknown_request()),
    }
}

fn space(call: &Call<'_>, guid: &str, status: u16) -> Answer {
    let space = call
        .world
        .spaces
        .get(guid)
        .ok_or_else(|| ApiError::not_found("Space"))?;
    Ok(Reply::json(status, &space.render(call)))
}

fn to_one_segment(guid: Option<&str>) -> Value {
    json!({"data": guid.map(|guid| json!({"guid": guid}))})
}
