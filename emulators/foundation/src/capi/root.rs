//! Discovery: the root, the v3 root, and both info documents. None needs a token.

use serde_json::{Value, json};

use super::Call;
use crate::options::Age;
use crate::web::Reply;

/// API versions of an age: v3, v2.
fn versions(age: Age) -> (&'static str, &'static str) {
    match age {
        Age::Newest => ("3.228.0", "2.293.0"),
        Age::Y2019 => ("3.78.0", "2.143.0"),
        Age::Older => ("3.63.0", "2.128.0"),
    }
}

pub(super) fn root(call: &Call<'_>) -> Reply {
    let (v3, v2) = versions(call.world.age);
    let uaa = call.shared.endpoints.get().map(|at| at.uaa.clone());
    let uaa = json!({"href": uaa});
    let mut links = json!({
        "self": call.link(""),
        "network_policy_v0": call.link("/networking/v0/external"),
        "network_policy_v1": call.link("/networking/v1/external"),
        "cloud_controller_v3": {"href": format!("{}/v3", call.external), "meta": {"version": v3}},
        "uaa": uaa, "login": uaa,
        "app_ssh": null, "routing": null, "credhub": null, "logging": null, "log_cache": null, "log_stream": null,
    });
    if call.world.v2 {
        links["cloud_controller_v2"] =
            json!({"href": format!("{}/v2", call.external), "meta": {"version": v2}});
    }
    Reply::json(200, &json!({"links": links}))
}

pub(super) fn v3(call: &Call<'_>) -> Reply {
    let names = [
        "organizations",
        "spaces",
        "apps",
        "processes",
        "tasks",
        "security_groups",
        "isolation_segments",
        "audit_events",
        "jobs",
    ];
    let names = names
        .iter()
        .filter(|name| call.world.age.is_newest() || **name != "security_groups");
    let mut links: serde_json::Map<String, Value> = names
        .map(|name| ((*name).to_owned(), call.link(&format!("/v3/{name}"))))
        .collect();
    links.insert("self".to_owned(), call.link("/v3"));
    Reply::json(200, &json!({"links": links}))
}

pub(super) fn v3_info(call: &Call<'_>) -> Reply {
    Reply::json(
        200,
        &json!({
            "build": "", "cli_version": {"minimum": "", "recommended": ""}, "custom": {}, "description": "emulated foundation",
            "name": "foundation", "version": 0, "osbapi_version": "2.15",
            "rate_limits": {"enabled": false, "general_limit": 2000, "reset_interval_in_minutes": 60},
            "links": {"self": call.link("/v3/info"), "support": {"href": ""}},
        }),
    )
}

pub(super) fn v2_info(call: &Call<'_>) -> Reply {
    let uaa = call.shared.endpoints.get().map(|at| at.uaa.clone());
    let (version, support) = if call.world.v2 {
        (versions(call.world.age).1, "")
    } else {
        ("", "CAPI V2 is disabled")
    };
    Reply::json(
        200,
        &json!({
            "name": "foundation", "build": "", "support": support, "version": 0, "description": "emulated foundation",
            "authorization_endpoint": uaa, "token_endpoint": uaa, "api_version": version, "osbapi_version": "2.15",
        }),
    )
}
