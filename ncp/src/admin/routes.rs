//! What is answered to whom asks.

use crate::telemetry::{Confirmed, Exposition, PlanPage, Role, Snapshot, metrics};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// How long the engine may take to answer.
const LIMIT: Duration = Duration::from_secs(30);

/// What the API asks of the driver.
#[derive(Debug)]
pub enum Ask {
    /// The plan as of now.
    Plan(oneshot::Sender<PlanPage>),
    /// The operator's word for what the brakes hold back.
    Confirm(oneshot::Sender<Confirmed>),
}

/// What the API looks at.
#[derive(Debug, Clone)]
pub struct Inside {
    /// The driver's latest snapshot.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// Where to ask.
    pub ask: mpsc::Sender<Ask>,
}

/// The routes that only read.
pub fn reading(inside: Inside) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/status", get(status))
        .route("/metrics", get(scrape))
        .route("/plan", get(plan))
        .with_state(inside)
}

/// All routes, for whoever may open the socket.
pub fn all(inside: Inside) -> Router {
    let orders = Router::new()
        .route("/confirm", post(confirm))
        .with_state(inside.clone());
    reading(inside).merge(orders)
}

async fn health(State(inside): State<Inside>) -> Response {
    // The driver holds the other end, so its end is seen here whatever the last snapshot said.
    match inside.snapshot.has_changed() {
        Ok(_) => "ok\n".into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the driver has ended\n").into_response(),
    }
}

async fn ready(State(inside): State<Inside>) -> Response {
    if inside.snapshot.borrow().ready {
        "ready\n".into_response()
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "not everything has been read yet\n",
        )
            .into_response()
    }
}

async fn status(State(inside): State<Inside>) -> Json<Arc<Snapshot>> {
    Json(Arc::clone(&inside.snapshot.borrow()))
}

async fn scrape(State(inside): State<Inside>) -> Response {
    let page = metrics(&inside.snapshot.borrow());
    ([(header::CONTENT_TYPE, Exposition::CONTENT_TYPE)], page).into_response()
}

#[derive(Debug, Deserialize)]
struct PlanQuery {
    #[serde(default)]
    format: Format,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Text,
    Json,
}

async fn plan(State(inside): State<Inside>, Query(query): Query<PlanQuery>) -> Response {
    match (asked(&inside, Ask::Plan).await, query.format) {
        (Ok(page), Format::Text) => page.text.into_response(),
        (Ok(page), Format::Json) => Json(page).into_response(),
        (Err(refused), _) => refused,
    }
}

/// Only a leader has brakes to let go.
async fn confirm(State(inside): State<Inside>) -> Response {
    let (role, leader) = {
        let snapshot = inside.snapshot.borrow();
        (snapshot.role, snapshot.leader.clone())
    };
    if role != Role::Leader {
        let who = leader.map_or("the one that does".to_owned(), |leader| leader.id);
        let text = format!("this controller does not lead ({}); ask {who}\n", role.as_str());
        return (StatusCode::CONFLICT, text).into_response();
    }
    match asked(&inside, Ask::Confirm).await {
        Ok(confirmed) => Json(confirmed).into_response(),
        Err(refused) => refused,
    }
}

async fn asked<T>(inside: &Inside, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Response> {
    let (to, answer) = oneshot::channel();
    let gone = (StatusCode::SERVICE_UNAVAILABLE, "the driver has ended\n");
    if inside.ask.send(ask(to)).await.is_err() {
        return Err(gone.into_response());
    }
    match timeout(LIMIT, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err((
            StatusCode::SERVICE_UNAVAILABLE,
            "there is nothing to ask before the first reading\n",
        )
            .into_response()),
        Err(_) => Err((StatusCode::GATEWAY_TIMEOUT, "the engine is busy; try again\n").into_response()),
    }
}
