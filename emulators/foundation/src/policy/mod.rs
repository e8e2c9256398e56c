//! The policy server: container-to-container policies and a copy of the security groups.
//!
//! Source: `policy-server/handlers` and `policy-server/api` of `cf-networking-release`.

pub(crate) mod external;
pub(crate) mod internal;

use serde_json::{Value, json};

use crate::model::World;
use crate::truth::Policy;
use crate::web::Reply;

fn failure(status: u16, text: &str) -> Reply {
    Reply::json(status, &json!({"error": text}))
}

fn not_found() -> Reply {
    Reply::text(404, "404 page not found\n")
}

/// Ids of a list parameter: absent is no filter, empty matches nothing. Values are not trimmed.
fn ids(text: Option<String>) -> Option<Vec<String>> {
    text.map(|text| text.split(',').map(str::to_owned).collect())
}

fn selected(world: &World, ids: Option<Vec<String>>) -> Vec<&Policy> {
    let wanted = |policy: &&Policy| {
        ids.as_ref()
            .is_none_or(|ids| ids.contains(&policy.source) || ids.contains(&policy.destination))
    };
    world.policies.all.iter().filter(wanted).collect()
}

fn tag(world: &World, id: &str) -> String {
    format!(
        "{:04X}",
        world.policies.tags.get(id).map_or(0, |(number, _)| *number)
    )
}

/// One policy in the form of a version; tags go to cells only. Version 0 cannot say ranges.
fn render(world: &World, policy: &Policy, v0: bool, tagged: bool) -> Option<Value> {
    let mut source = json!({"id": policy.source});
    let mut destination = json!({"id": policy.destination, "protocol": policy.protocol});
    if tagged {
        source["tag"] = json!(tag(world, &policy.source));
        destination["tag"] = json!(tag(world, &policy.destination));
    }
    if v0 {
        if policy.start != policy.end {
            return None;
        }
        destination["port"] = json!(policy.start);
    }
    if !v0 || tagged {
        destination["ports"] = json!({"start": policy.start, "end": policy.end});
    }
    Some(json!({"source": source, "destination": destination}))
}
