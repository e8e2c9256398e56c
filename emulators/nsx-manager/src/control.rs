//! The control API: faults, log and state over HTTP, on a loopback address of its own.
//!
//! | Call | What |
//! | --- | --- |
//! | `GET /urls` | addresses of the managers |
//! | `GET /log?after=N` | requests and answers with numbers above N |
//! | `GET /counts`, `DELETE /log` | counters; forget all |
//! | `GET /inventory`, `GET /inventory/canonical` | all objects |
//! | `POST /faults` `{"when": {…}, "effect": …}` → `{"id"}`, `DELETE /faults/{id}`, `DELETE /faults` | injections |
//! | `PUT /settings` | `latency_ms`, `rate_limit`, `concurrency_limit`, `stale_lists`, `realization_lag_ms`, `search_lag_ms` |
//! | `POST /sessions/expire`, `POST /realize` | at once |
//! | `POST /managers/{i}/{kill,revive,hang,unhang}` | one manager |
//! | `PUT /protection/{kind}/{id}/{value}` | `_protection` of an object |

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::emulator::Running;
use crate::error::EmulatorError;
use crate::faults::Injection;
use crate::inventory::Inventory;
use crate::log::{Counts, Entry};

/// A running control API; ends when dropped.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) address: SocketAddr,
    token: CancellationToken,
}

impl Drop for Control {
    fn drop(&mut self) {
        self.token.cancel();
    }
}

impl Control {
    pub(crate) async fn start(address: SocketAddr, running: Arc<Running>) -> Result<Self, EmulatorError> {
        let fault = |source| EmulatorError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        let token = CancellationToken::new();
        let ended = token.clone();
        tokio::spawn(async move {
            let serving = axum::serve(listener, router(running)).into_future();
            if let Some(Err(fault)) = ended.run_until_cancelled(serving).await {
                tracing::warn!(%fault, "the control API ended");
            }
        });
        Ok(Control { address, token })
    }
}

fn router(running: Arc<Running>) -> Router {
    Router::new()
        .route("/urls", get(urls))
        .route("/log", get(log).delete(clear_log))
        .route("/counts", get(counts))
        .route("/inventory", get(inventory))
        .route("/inventory/canonical", get(canonical))
        .route("/faults", post(inject).delete(clear_faults))
        .route("/faults/{id}", delete(remove_fault))
        .route("/settings", put(settings))
        .route("/sessions/expire", post(expire_sessions))
        .route("/realize", post(realize))
        .route("/managers/{index}/{what}", post(manager))
        .route("/protection/{kind}/{id}/{value}", put(protection))
        .with_state(running)
}

type Handle = State<Arc<Running>>;

async fn urls(State(running): Handle) -> Json<Value> {
    let up = running
        .managers
        .iter()
        .map(|manager| json!({ "address": manager.address, "up": manager.is_up() }));
    Json(Value::Array(up.collect()))
}

#[derive(Debug, Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn log(State(running): Handle, Query(from): Query<After>) -> Json<Vec<Entry>> {
    Json(running.shared.log.entries(from.after))
}

async fn clear_log(State(running): Handle) {
    running.shared.log.clear();
}

async fn counts(State(running): Handle) -> Json<Counts> {
    Json(running.shared.log.counts())
}

async fn inventory(State(running): Handle) -> Json<Value> {
    Json(Inventory::of(&running.shared).dump())
}

async fn canonical(State(running): Handle) -> Json<Value> {
    Json(Inventory::of(&running.shared).canonical())
}

async fn inject(State(running): Handle, Json(injection): Json<Injection>) -> Json<Value> {
    Json(json!({ "id": running.shared.faults.inject(injection.when, injection.effect) }))
}

async fn clear_faults(State(running): Handle) {
    running.shared.faults.clear();
}

async fn remove_fault(State(running): Handle, Path(id): Path<u64>) {
    running.shared.faults.remove(id);
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    latency_ms: Option<u64>,
    rate_limit: Option<u32>,
    concurrency_limit: Option<u32>,
    stale_lists: Option<usize>,
    realization_lag_ms: Option<u64>,
    search_lag_ms: Option<u64>,
}

async fn settings(State(running): Handle, Json(set): Json<Settings>) {
    let faults = &running.shared.faults;
    if let Some(millis) = set.latency_ms {
        faults.set_latency(Duration::from_millis(millis));
    }
    if let Some(rate) = set.rate_limit {
        faults.set_rate_limit(Some(rate).filter(|rate| *rate > 0));
    }
    if let Some(at_once) = set.concurrency_limit {
        faults.set_concurrency_limit(Some(at_once).filter(|at_once| *at_once > 0));
    }
    if let Some(writes) = set.stale_lists {
        faults.set_stale_lists(writes);
    }
    if let Some(millis) = set.realization_lag_ms {
        running
            .shared
            .store()
            .set_realization_lag(Duration::from_millis(millis));
    }
    if let Some(millis) = set.search_lag_ms {
        running
            .shared
            .store()
            .set_search_lag(Duration::from_millis(millis));
    }
}

async fn expire_sessions(State(running): Handle) {
    running.shared.faults.expire_sessions();
}

async fn realize(State(running): Handle) {
    running.shared.store().realize_all();
}

type Refused = (StatusCode, String);

fn refused(fault: EmulatorError) -> Refused {
    (StatusCode::BAD_REQUEST, fault.to_string())
}

async fn manager(State(running): Handle, Path((index, what)): Path<(usize, String)>) -> Result<(), Refused> {
    let manager = running.manager(index).map_err(refused)?;
    match what.as_str() {
        "kill" => manager.kill().await,
        "revive" => manager.revive().await.map_err(refused)?,
        "hang" => manager.set_hanging(true),
        "unhang" => manager.set_hanging(false),
        other => {
            return Err((
                StatusCode::NOT_FOUND,
                format!("`{other}` is none of kill, revive, hang, unhang"),
            ));
        }
    }
    Ok(())
}

async fn protection(
    State(running): Handle,
    Path((kind, id, value)): Path<(String, String, String)>,
) -> Result<(), Refused> {
    let found = running.shared.protect(&kind, &id, &value).map_err(refused)?;
    if found {
        Ok(())
    } else {
        Err((StatusCode::NOT_FOUND, format!("there is no {kind} {id}")))
    }
}
