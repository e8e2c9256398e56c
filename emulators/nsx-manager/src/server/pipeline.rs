//! The way of one request: faults, login, limits, the call itself, the log.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::auth;
use super::limits::Running;
use super::manager::Node;
use crate::api::{self, Answer, ApiError, Call, Payload, Query, ROOT};
use crate::faults::{Effect, Traits};
use crate::kinds::Kind;
use crate::kinds::seed::HTTP_SERVICE;
use crate::log::{Entry, is_write};
use crate::store::now_ms;

/// Largest body taken.
const BODY: usize = 32 * 1024 * 1024;

/// Why a connection ends without an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cut {
    /// Reset at once.
    #[error("the connection is reset")]
    Reset,
    /// The request didn't arrive whole.
    #[error("the request broke off")]
    Broken,
}

/// A request that has arrived whole.
struct Arrived {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Bytes,
    started: Instant,
    time: i64,
    write: bool,
}

/// What a request came to.
struct Outcome {
    status: StatusCode,
    kind: &'static str,
    body: Bytes,
    headers: HeaderMap,
    user: String,
    applied: bool,
    /// Done, but its answer is held back.
    held: bool,
}

/// Answers a request, or says how its connection ends.
pub(crate) async fn serve(
    node: Arc<Node>,
    certificate: Option<Arc<str>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Cut> {
    let arrived = arrive(request).await?;
    node.thawed().await?;
    let traits = Traits {
        method: &arrived.method,
        path: &arrived.path,
        body: &arrived.body,
        write: arrived.write,
        manager: node.index,
    };
    let effects = node.shared.faults.hits(traits);
    before(&node, &arrived, &effects).await?;
    let outcome = loop {
        // The freeze may have come while the request was delayed, or between this and the lock of the store.
        node.thawed().await?;
        if let Some(outcome) = act(&node, &arrived, certificate.as_deref(), &effects) {
            break outcome;
        }
    };
    let cut = outcome.held || effects.contains(&Effect::ResetAfter);
    log(&node, &arrived, &outcome, !cut);
    if outcome.held {
        node.hang().await;
    }
    if cut {
        return Err(Cut::Reset);
    }
    respond(&arrived, outcome)
}

async fn arrive(request: Request<Incoming>) -> Result<Arrived, Cut> {
    let (parts, body) = request.into_parts();
    let (started, time) = (Instant::now(), now_ms());
    let body = Limited::new(body, BODY)
        .collect()
        .await
        .map_err(|_| Cut::Broken)?
        .to_bytes();
    let (path, query) = (
        parts.uri.path().to_owned(),
        parts.uri.query().unwrap_or("").to_owned(),
    );
    let write = is_write(&parts.method, &path, &query);
    Ok(Arrived {
        method: parts.method,
        path,
        query,
        headers: parts.headers,
        body,
        started,
        time,
        write,
    })
}

/// The effects that come before anything is done.
async fn before(node: &Node, arrived: &Arrived, effects: &[Effect]) -> Result<(), Cut> {
    let latency = node.shared.faults.latency();
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    for effect in effects {
        match effect {
            Effect::Delay(millis) => tokio::time::sleep(Duration::from_millis(*millis)).await,
            Effect::Hang => node.hang().await,
            Effect::ExpireSession => node.sessions.expire(&arrived.headers),
            Effect::ResetBefore => {
                log_cut(node, arrived);
                return Err(Cut::Reset);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Does what the request asks for, unless an effect or a check keeps it from it; `None` if the managers froze.
fn act(node: &Node, arrived: &Arrived, certificate: Option<&str>, effects: &[Effect]) -> Option<Outcome> {
    let refused = effects.iter().find_map(|effect| match effect {
        Effect::Status(status, code) => Some(injected(*status, *code)),
        _ => None,
    });
    let mut outcome = match refused {
        Some(refusal) => Outcome::of(refusal.into(), ""),
        None => admitted(node, arrived, certificate, effects)?,
    };
    for effect in effects {
        if let Effect::StatusAfter(status, code) = effect {
            let (kind, body) = Answer::from(injected(*status, *code)).into_bytes();
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            outcome = Outcome {
                status,
                kind,
                body,
                ..outcome
            };
        }
    }
    Some(outcome)
}

fn injected(status: u16, code: u32) -> ApiError {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    ApiError::new(status, code, "The manager was told to fail.")
}

impl Outcome {
    fn of(answer: Answer, user: &str) -> Self {
        let (status, applied) = (answer.status, answer.status.is_success());
        let (kind, body) = answer.into_bytes();
        Outcome {
            status,
            kind,
            body,
            headers: HeaderMap::new(),
            user: user.to_owned(),
            applied,
            held: false,
        }
    }
}

fn admitted(
    node: &Node,
    arrived: &Arrived,
    certificate: Option<&str>,
    effects: &[Effect],
) -> Option<Outcome> {
    if let Some(outcome) = session_call(node, arrived) {
        return Some(outcome);
    }
    let user = match auth::caller(&node.shared, &node.sessions, &arrived.headers, certificate) {
        Ok(user) => user,
        Err(refusal) => return Some(Outcome::of(refusal.into(), "")),
    };
    let _running = match limited(node, &user) {
        Ok(running) => running,
        Err(refusal) => return Some(Outcome::of(refusal.into(), &user)),
    };
    let Some(path) = arrived.path.strip_prefix(ROOT) else {
        return Some(Outcome::of(ApiError::no_such_call(&arrived.path).into(), &user));
    };
    let call = call(node, arrived, path, &user, effects);
    let (answer, held) = {
        let mut store = node.shared.store();
        if node.shared.faults.is_frozen() {
            return None;
        }
        let answer = api::answer(&mut store, &call);
        (answer, node.shared.faults.count(arrived.write))
    };
    Some(Outcome {
        held,
        ..Outcome::of(answer, &user)
    })
}

fn call<'a>(node: &Node, arrived: &'a Arrived, path: &'a str, user: &'a str, effects: &[Effect]) -> Call<'a> {
    let stale = effects.iter().find_map(|effect| {
        if let Effect::Stale(writes) = effect {
            Some(*writes)
        } else {
            None
        }
    });
    Call {
        method: &arrived.method,
        path,
        query: Query::parse(&arrived.query),
        body: &arrived.body,
        user,
        overwrite: arrived
            .headers
            .get("x-allow-overwrite")
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true")),
        page_limit: node.shared.page_limit,
        stale: stale.unwrap_or_else(|| node.shared.faults.stale()),
    }
}

/// The limits in force: those of the faults, else those set by `PUT /node/services/http`.
fn limited(node: &Node, user: &str) -> api::Result<Running> {
    let (rate, at_once) = node.shared.faults.limits();
    let set = |name: &str| {
        let store = node.shared.store();
        let service = store.view().get(Kind::HttpService, HTTP_SERVICE)?;
        let value = service.body.get("service_properties")?.get(name)?.as_u64()?;
        u32::try_from(value).ok()
    };
    let rate = rate.or_else(|| set("client_api_rate_limit"));
    let at_once = at_once.or_else(|| set("client_api_concurrency_limit"));
    node.limits.enter(user, rate, at_once)
}

/// Making and ending sessions, which need no login.
fn session_call(node: &Node, arrived: &Arrived) -> Option<Outcome> {
    match (arrived.method.as_str(), arrived.path.as_str()) {
        ("POST", "/api/session/create") => Some(match node.sessions.create(&node.shared, &arrived.body) {
            Ok(login) => {
                let mut outcome = Outcome::of(Answer::ok(Payload::Empty), "");
                let cookie = format!("JSESSIONID={}; Path=/; Secure; HttpOnly", login.id);
                insert(&mut outcome.headers, SET_COOKIE.as_str(), &cookie);
                insert(&mut outcome.headers, "x-xsrf-token", &login.token);
                outcome
            }
            Err(refusal) => Outcome::of(refusal.into(), ""),
        }),
        ("POST" | "GET", "/api/session/destroy") => {
            node.sessions.destroy(&arrived.headers);
            Some(Outcome::of(Answer::empty(), ""))
        }
        _ => None,
    }
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) {
    let name = http::HeaderName::from_bytes(name.as_bytes());
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}

fn respond(arrived: &Arrived, outcome: Outcome) -> Result<Response<Full<Bytes>>, Cut> {
    let mut response = Response::new(Full::new(outcome.body));
    *response.status_mut() = outcome.status;
    *response.headers_mut() = outcome.headers;
    if outcome.status != StatusCode::NO_CONTENT {
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(outcome.kind));
    }
    insert(response.headers_mut(), DATE.as_str(), &http_date());
    if let Some(id) = arrived.headers.get("x-nsx-requestid") {
        response.headers_mut().insert("x-nsx-requestid", id.clone());
    }
    Ok(response)
}

fn http_date() -> String {
    let now = OffsetDateTime::now_utc();
    let format = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    now.format(format).unwrap_or_default()
}

fn log(node: &Node, arrived: &Arrived, outcome: &Outcome, answered: bool) {
    node.shared.log.add(Entry {
        user: outcome.user.clone(),
        status: answered.then_some(outcome.status.as_u16()),
        answer: outcome.body.clone(),
        applied: outcome.applied,
        ..entry(node, arrived)
    });
}

fn log_cut(node: &Node, arrived: &Arrived) {
    node.shared.log.add(entry(node, arrived));
}

fn entry(node: &Node, arrived: &Arrived) -> Entry {
    // A login's body is the one place where a secret could get into the log.
    let secret = arrived.path == "/api/session/create";
    Entry {
        number: 0,
        time: arrived.time,
        manager: node.index,
        user: String::new(),
        method: arrived.method.to_string(),
        path: arrived.path.clone(),
        query: arrived.query.clone(),
        request: if secret {
            Bytes::new()
        } else {
            arrived.body.clone()
        },
        status: None,
        answer: Bytes::new(),
        took: arrived.started.elapsed(),
        write: arrived.write,
        applied: false,
    }
}
