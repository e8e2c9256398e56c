//! The external API: people and their tools, with tokens of UAA.

use http::Method;
use serde_json::{Value, json};

use super::{failure, ids, not_found, render, selected};
use crate::model::World;
use crate::shared::Shared;
use crate::truth::Policy;
use crate::web::{Reply, Request};

const ADMIN: &str = "network.admin";
const WRITE: &str = "network.write";

/// Answers requests of people.
pub(crate) fn handle(shared: &Shared, request: &Request) -> Reply {
    let mut world = shared.world();
    let segments = request.segments();
    let (version, path) = match segments.as_slice() {
        ["networking", version, "external", path @ ..] => (*version, path),
        [] | ["networking"] | ["health"] => return Reply::text(200, "Network policy server, up"),
        _ => return not_found(),
    };
    if !["v0", "v1"].contains(&version) {
        return failure(406, "api version not supported");
    }
    let needs = if path == ["policies"] || path == ["policies", "delete"] {
        &[ADMIN, WRITE][..]
    } else {
        &[ADMIN][..]
    };
    if let Err(refusal) = authorize(&world, request, needs) {
        return refusal;
    }
    match (&request.method, path) {
        (&Method::GET, ["policies"]) => policies(&world, request, version == "v0"),
        (&Method::POST, ["policies"]) => change(&mut world, request, version == "v0", World::add_policies),
        (&Method::POST, ["policies", "delete"]) => {
            change(&mut world, request, version == "v0", World::remove_policies)
        }
        (&Method::POST, ["policies", "cleanup"]) => cleanup(&mut world),
        (&Method::GET, ["tags"]) => tags(&world),
        (&Method::GET, ["whoami"]) => Reply::json(200, &json!({"subject": subject(&world, request)})),
        _ => not_found(),
    }
}

fn authorize(world: &World, request: &Request, needs: &[&str]) -> Result<(), Reply> {
    let unauthorized = |text: &str| failure(401, text).header("WWW-Authenticate", "Bearer");
    let token = request
        .bearer()
        .ok_or_else(|| unauthorized("authenticator: missing authorization header"))?;
    let token = world
        .tokens
        .valid(token)
        .ok_or_else(|| unauthorized("authenticator: failed to verify token with uaa"))?;
    if token.scopes.iter().any(|scope| needs.contains(&scope.as_str())) {
        Ok(())
    } else {
        Err(failure(
            403,
            &format!(
                "authenticator: provided scopes {:?} do not include allowed scopes {needs:?}",
                token.scopes
            ),
        ))
    }
}

fn subject(world: &World, request: &Request) -> String {
    let token = request.bearer().and_then(|token| world.tokens.valid(token));
    token
        .map(|token| token.user.clone().unwrap_or_else(|| token.client.clone()))
        .unwrap_or_default()
}

/// `id` wins over `source_id` and `dest_id`, which hold together.
fn policies(world: &World, request: &Request, v0: bool) -> Reply {
    let id = ids(request.parameter("id"));
    let (source, destination) = (
        ids(request.parameter("source_id")),
        ids(request.parameter("dest_id")),
    );
    let all = id.is_some();
    let found = selected(world, id).into_iter().filter(|policy| {
        let within =
            |ids: &Option<Vec<String>>, guid: &String| ids.as_ref().is_none_or(|ids| ids.contains(guid));
        all || (within(&source, &policy.source) && within(&destination, &policy.destination))
    });
    let policies: Vec<Value> = found
        .filter_map(|policy| render(world, policy, v0, false))
        .collect();
    Reply::json(
        200,
        &json!({"total_policies": policies.len(), "policies": policies}),
    )
}

fn change(world: &mut World, request: &Request, v0: bool, apply: fn(&mut World, Vec<Policy>)) -> Reply {
    let Some(body) = request.json() else {
        return failure(400, "mapper: unmarshal json: invalid body");
    };
    let listed = body["policies"].as_array().map(Vec::as_slice).unwrap_or_default();
    if listed.is_empty() {
        return failure(400, "mapper: validate policies: missing policies");
    }
    match listed
        .iter()
        .map(|policy| read(policy, v0))
        .collect::<Result<Vec<_>, _>>()
    {
        Ok(policies) => {
            apply(world, policies);
            Reply::json(200, &json!({}))
        }
        Err(what) => failure(400, &format!("mapper: validate policies: {what}")),
    }
}

fn read(policy: &Value, v0: bool) -> Result<Policy, String> {
    let guid = |end: &str| {
        policy[end]["id"]
            .as_str()
            .filter(|id| !id.is_empty())
            .map(str::to_owned)
    };
    let source = guid("source").ok_or("missing source id")?;
    let destination = guid("destination").ok_or("missing destination id")?;
    let to = &policy["destination"];
    let protocol = to["protocol"]
        .as_str()
        .filter(|name| ["tcp", "udp"].contains(name));
    let protocol = protocol
        .ok_or("invalid destination protocol, specify either udp or tcp")?
        .to_owned();
    let port = |value: &Value| {
        value
            .as_u64()
            .and_then(|port| u16::try_from(port).ok())
            .filter(|port| *port > 0)
    };
    let (start, end) = if v0 {
        (port(&to["port"]), port(&to["port"]))
    } else {
        (port(&to["ports"]["start"]), port(&to["ports"]["end"]))
    };
    let (start, end) = start
        .zip(end)
        .filter(|(start, end)| start <= end)
        .ok_or("invalid port range")?;
    if !policy["source"]["tag"].is_null() || !to["tag"].is_null() {
        return Err("tags may not be specified".to_owned());
    }
    Ok(Policy {
        source,
        destination,
        protocol,
        start,
        end,
    })
}

/// Removes policies with an end that no longer exists.
fn cleanup(world: &mut World) -> Reply {
    let gone = |guid: &str| world.apps.get(guid).is_none();
    let stale: Vec<Policy> = world
        .policies
        .all
        .iter()
        .filter(|policy| gone(&policy.source) || gone(&policy.destination))
        .cloned()
        .collect();
    let rendered: Vec<Value> = stale
        .iter()
        .filter_map(|policy| render(world, policy, false, false))
        .collect();
    if !stale.is_empty() {
        world.remove_policies(stale);
    }
    Reply::json(
        200,
        &json!({"total_policies": rendered.len(), "policies": rendered}),
    )
}

fn tags(world: &World) -> Reply {
    let tags = world.policies.tags.iter();
    let tags: Vec<Value> = tags
        .map(|(id, (number, kind))| json!({"id": id, "tag": format!("{number:04X}"), "type": kind}))
        .collect();
    Reply::json(200, &json!({"tags": tags}))
}

impl World {
    /// Adds policies; each exists once.
    pub(crate) fn add_policies(&mut self, policies: Vec<Policy>) {
        self.policies.add(policies, &self.clock);
    }

    /// Removes policies, those that are not there included.
    pub(crate) fn remove_policies(&mut self, policies: Vec<Policy>) {
        self.policies.remove(&policies, &self.clock);
    }
}
