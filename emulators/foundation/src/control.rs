//! The control API: plain HTTP on the loopback interface, JSON in and out.
//!
//! `POST /commands` takes one [`Command`]; `GET /status` gives the ground truth; `GET /requests` the counts
//! of requests; `GET /endpoints` the URLs; `POST /fail-over?mode=clean|abrupt` moves the BBS.

use http::Method;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::bbs::pool::FailOverOrder;
use crate::command::Command;
use crate::foundation::FailOver;
use crate::model::error::WorldError;
use crate::shared::Shared;
use crate::web::{Reply, Request};

/// Answers requests to the control API.
pub(crate) fn handle(shared: &Shared, request: &Request) -> Reply {
    match (&request.method, request.path.as_str()) {
        (&Method::POST, "/commands") => command(shared, request),
        (&Method::POST, "/fail-over") => fail_over(shared, request),
        (&Method::GET, "/status") => Reply::json(200, &json!(shared.world().truth())),
        (&Method::GET, "/endpoints") => Reply::json(200, &json!(shared.endpoints.get())),
        (&Method::GET, "/requests") => requests(shared),
        _ => Reply::json(
            404,
            &json!({"error": "there is no such path; see the crate's `control` module"}),
        ),
    }
}

fn command(shared: &Shared, request: &Request) -> Reply {
    match serde_json::from_slice::<Command>(&request.body) {
        Err(error) => Reply::json(400, &json!({"error": format!("not a command: {error}")})),
        Ok(command) => match shared.world().apply(command) {
            Ok(answer) => Reply::json(200, &answer),
            Err(error) => {
                let status = if matches!(error, WorldError::NotFound { .. }) {
                    404
                } else {
                    409
                };
                Reply::json(status, &json!({"error": error.to_string()}))
            }
        },
    }
}

/// Accepted, not done: the ports move a moment later.
fn fail_over(shared: &Shared, request: &Request) -> Reply {
    let mode = if request.parameter("mode").as_deref() == Some("abrupt") {
        FailOver::Abrupt
    } else {
        FailOver::Clean
    };
    let (done, _) = oneshot::channel();
    match shared.fail_over.send(FailOverOrder { mode, done }) {
        Ok(()) => Reply::json(202, &json!({})),
        Err(_) => Reply::json(503, &json!({"error": "the foundation is stopping"})),
    }
}

fn requests(shared: &Shared) -> Reply {
    let world = shared.world();
    let counts = world.requests.counts().iter();
    let counts: Vec<Value> = counts
        .map(|((service, pattern), count)| json!({"service": service, "request": pattern, "count": count}))
        .collect();
    Reply::json(200, &json!(counts))
}
