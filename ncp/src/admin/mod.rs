//! The admin API: how operators, probes and scrapers look into a running controller.
//!
//! | path | answer |
//! | --- | --- |
//! | `/healthz` | 200 while the controller works, 503 when its driver has ended |
//! | `/readyz` | 200 once everything has been read, 503 before |
//! | `/status` | the [`Snapshot`](crate::telemetry::Snapshot) as JSON |
//! | `/metrics` | metrics in Prometheus' text format |
//! | `/plan` | what is to change; text, or JSON with `?format=json` |
//! | `POST /confirm` | lets go what the brakes hold back; answers what that was, as JSON |
//!
//! It is served on a Unix socket that only its owner may open and, where configured, on a loopback
//! address. It has no login: whoever may open the socket may read and confirm. Everybody on the machine
//! can reach a loopback address, so nothing can be confirmed there.

pub mod client;
mod listen;
mod routes;

pub use listen::{AdminError, Doors};
pub use routes::{Ask, Inside, all, reading};

use std::io;
use tokio_util::sync::CancellationToken;

/// Serves until `stop` is cancelled; requests that have begun are answered.
///
/// # Errors
/// If a socket fails.
pub async fn serve(doors: Doors, inside: Inside, stop: CancellationToken) -> io::Result<()> {
    let socket = axum::serve(doors.socket.listener, all(inside.clone()))
        .with_graceful_shutdown(stop.clone().cancelled_owned());
    match doors.tcp {
        Some(tcp) => {
            let tcp = axum::serve(tcp, reading(inside)).with_graceful_shutdown(stop.cancelled_owned());
            tokio::try_join!(socket.into_future(), tcp.into_future()).map(drop)
        }
        None => socket.await,
    }
}
