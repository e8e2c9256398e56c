//! UAA: tokens for clients and users. Source: UAA's API documentation, `TokenEndpointDocs.java`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use crate::model::World;
use crate::model::tokens::Principal;
use crate::shared::Shared;
use crate::web::{Reply, Request};

/// Answers requests to UAA.
pub(crate) fn handle(shared: &Shared, request: &Request) -> Reply {
    let mut world = shared.world();
    match (&request.method, request.segments().as_slice()) {
        (&Method::POST, ["oauth", "token"]) => token(&mut world, request),
        (&Method::POST, ["check_token"]) => check(&world, request),
        (&Method::GET, ["info" | "login"] | []) => Reply::json(
            200,
            &json!({
                "app": {"version": "77.20.0"},
                "links": {"uaa": shared.endpoints.get().map(|at| at.uaa.clone()), "login": shared.endpoints.get().map(|at| at.uaa.clone())},
                "zone_name": "uaa", "prompts": {"username": ["text", "Email"], "password": ["password", "Password"]},
            }),
        ),
        (&Method::GET, ["token_keys"]) => Reply::json(200, &json!({"keys": []})),
        _ => Reply::text(404, "Not Found"),
    }
}

fn refused(status: u16, error: &str, description: &str) -> Reply {
    Reply::json(status, &json!({"error": error, "error_description": description}))
}

/// Client id and secret: from the header, else from the body.
fn client(world: &World, request: &Request, form: &[(String, String)]) -> Option<Principal> {
    let (id, secret) =
        basic(request).or_else(|| Some((field(form, "client_id")?, field(form, "client_secret")?)))?;
    world
        .tokens
        .clients
        .iter()
        .find(|client| client.name == id && client.secret == secret)
        .cloned()
}

fn basic(request: &Request) -> Option<(String, String)> {
    let (scheme, coded) = request.header("authorization")?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(coded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

fn field(form: &[(String, String)], name: &str) -> Option<String> {
    form.iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.clone())
}

fn token(world: &mut World, request: &Request) -> Reply {
    let form = request.form();
    let Some(client) = client(world, request, &form) else {
        let error = if world.age.is_newest() {
            "invalid_client"
        } else {
            "unauthorized"
        };
        return refused(401, error, "Bad credentials");
    };
    match field(&form, "grant_type").as_deref() {
        Some("client_credentials") => issue(world, &client, None),
        Some("password") => {
            let (name, password) = (field(&form, "username"), field(&form, "password"));
            let mut users = world.tokens.users.iter();
            let user = users
                .find(|user| Some(&user.name) == name.as_ref() && Some(&user.secret) == password.as_ref());
            match user.cloned() {
                Some(user) => issue(world, &client, Some(&user)),
                None => refused(401, "unauthorized", "Bad credentials"),
            }
        }
        Some("refresh_token") => {
            let known = field(&form, "refresh_token").and_then(|token| world.tokens.refreshed(&token));
            let user = known
                .filter(|(id, _)| *id == client.name)
                .and_then(|(_, name)| world.tokens.users.iter().find(|user| user.name == name).cloned());
            match user {
                Some(user) => issue(world, &client, Some(&user)),
                None => refused(401, "invalid_token", "Invalid refresh token"),
            }
        }
        _ => refused(400, "invalid_request", "Missing or unsupported grant type"),
    }
}

fn issue(world: &mut World, client: &Principal, user: Option<&Principal>) -> Reply {
    let scopes = user.map_or_else(|| client.scopes.clone(), |user| user.scopes.clone());
    let (id, now) = (world.guid(), world.clock.seconds());
    let token = world.tokens.issue(&client.name, user, scopes.clone(), now, &id);
    let mut body = json!({
        "access_token": token, "token_type": "bearer", "expires_in": world.tokens.lifetime.as_secs(),
        "scope": scopes.join(" "), "jti": id,
    });
    if let Some(user) = user {
        body["refresh_token"] = Value::String(world.tokens.issue_refresh(&client.name, &user.name, &id));
    }
    Reply::json(200, &body)
}

fn check(world: &World, request: &Request) -> Reply {
    let form = request.form();
    let Some(client) = client(world, request, &form) else {
        return refused(401, "unauthorized", "Bad credentials");
    };
    if !client.scopes.iter().any(|scope| scope == "uaa.resource") {
        return refused(403, "access_denied", "Access is denied");
    }
    let token = field(&form, "token").unwrap_or_default();
    match world.tokens.valid(&token) {
        None => refused(
            400,
            "invalid_token",
            "The token expired, was revoked, or the token ID is incorrect.",
        ),
        Some(known) => Reply::json(
            200,
            &json!({
                "client_id": known.client, "user_name": known.user, "scope": known.scopes, "exp": known.expires_at,
                "sub": known.user.as_ref().unwrap_or(&known.client), "aud": ["cloud_controller", "network"],
            }),
        ),
    }
}
