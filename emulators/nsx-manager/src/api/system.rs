//! The manager about itself: node, version, health, cluster, schemas, HTTP limits.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Answer, ApiError, Call, Payload, Result};
use crate::kinds::{Kind, seed::HTTP_SERVICE};
use crate::options::Version;
use crate::store::{Store, now_ms};

pub(super) fn dispatch(store: &mut Store, call: &Call<'_>, segments: &[&str]) -> Result<Answer> {
    if let ["node", "services", "http"] | ["cluster", "api-service"] = segments {
        return http_service(store, call);
    }
    if call.method != Method::GET {
        return call.unknown();
    }
    match segments {
        ["node"] => Ok(Answer::json(node(store.version))),
        ["node", "version"] => Ok(Answer::json(versions(store.version))),
        ["operational", "application", "status"] if store.version < Version::V2_4 => {
            Ok(Answer::json(json!({ "application_status": "WORKING" })))
        }
        ["reverse-proxy", "node", "health"] if store.version >= Version::V2_4 => Ok(Answer::json(
            json!({ "healthy": true, "components_health": "POLICY:UP, SEARCH:UP, MANAGER:UP, UI:UP" }),
        )),
        ["cluster", "status"] => Ok(Answer::json(cluster())),
        ["spec", "vmware", "types", "Tag"] => Ok(Answer::json(tag_schema())),
        ["spec", "vmware", "types", "ManagedResource"] => {
            let tags = json!({ "type": "array", "maxItems": 30 });
            Ok(Answer::json(
                json!({ "id": "ManagedResource", "properties": { "tags": tags } }),
            ))
        }
        _ => call.unknown(),
    }
}

fn node(version: Version) -> Value {
    json!({
        "node_uuid": "4220d5ec-7a5b-4fd0-9bd1-2d5a1d6a3c01",
        "hostname": "nsx-manager",
        "node_version": version.product(),
        "product_version": version.product(),
        "kernel_version": "4.4.0-116-generic",
        "system_time": now_ms(),
        "timezone": "Etc/UTC",
        "export_type": "RESTRICTED",
    })
}

fn versions(version: Version) -> Value {
    json!({ "node_version": version.product(), "product_version": version.product() })
}

fn cluster() -> Value {
    json!({
        "cluster_id": "9e8f0ba1-9c14-4f4f-8f5c-2f9a3c1f7f10",
        "mgmt_cluster_status": { "status": "STABLE", "online_nodes": [], "offline_nodes": [] },
        "control_cluster_status": { "status": "STABLE" },
    })
}

fn tag_schema() -> Value {
    let text = |longest: u32| json!({ "type": "string", "maxLength": longest });
    json!({ "id": "Tag", "properties": { "scope": text(128), "tag": text(256) } })
}

/// The limits of the API, which clients may read and an administrator sets; 0 is off.
fn http_service(store: &mut Store, call: &Call<'_>) -> Result<Answer> {
    let shown = |body: &crate::store::Body| json!({ "service_name": body.get("service_name"), "service_properties": body.get("service_properties") });
    let stored = super::read(store, Kind::HttpService, HTTP_SERVICE)?;
    let Payload::Object(stored) = stored.payload else {
        return call.unknown();
    };
    match *call.method {
        Method::GET => Ok(Answer::json(shown(&stored.body))),
        Method::PUT => {
            let sent = call.json()?;
            let Some(Value::Object(sent)) = sent.get("service_properties") else {
                return Err(ApiError::invalid("service_properties is required."));
            };
            let changed = store.transact::<_, ApiError>(call.user, |tx| {
                Ok(tx.touch(&stored, |body| {
                    if let Some(Value::Object(known)) = body.get_mut("service_properties") {
                        known.extend(sent.clone());
                    }
                }))
            })?;
            Ok(Answer {
                status: StatusCode::ACCEPTED,
                payload: Payload::Json(shown(&changed.body)),
            })
        }
        _ => call.not_allowed(),
    }
}
