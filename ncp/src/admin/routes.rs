//! What is answered to whom asks.

use crate::telemetry::{Exposition, PlanPage, Snapshot, metrics};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// How long the engine may take to make a plan.
const PLAN: Duration = Duration::from_secs(30);

/// Asks the driver for the plan as of now.
pub type PlanRequest = oneshot::Sender<PlanPage>;

/// What the API looks at.
#[derive(Debug, Clone)]
pub struct Inside {
    /// The driver's latest snapshot.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// Where to ask for a plan.
    pub plan: mpsc::Sender<PlanRequest>,
}

/// The routes of the API.
pub fn router(inside: Inside) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/status", get(status))
        .route("/metrics", get(scrape))
        .route("/plan", get(plan))
        .with_state(inside)
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
    let (answer, page) = oneshot::channel();
    if inside.plan.send(answer).await.is_err() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the driver has ended\n").into_response();
    }
    match (timeout(PLAN, page).await, query.format) {
        (Ok(Ok(page)), Format::Text) => page.text.into_response(),
        (Ok(Ok(page)), Format::Json) => Json(page).into_response(),
        (Ok(Err(_)), _) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "there is no plan before the first reading\n",
        )
            .into_response(),
        (Err(_), _) => (
            StatusCode::GATEWAY_TIMEOUT,
            "the plan takes too long; try again\n",
        )
            .into_response(),
    }
}
