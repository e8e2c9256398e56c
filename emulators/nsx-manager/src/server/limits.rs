//! Requests per second and at once, per client and manager (nsx-mp-api §1.5).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use crate::api::error::INVALID;
use crate::api::{ApiError, Result};

const WINDOW: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Client {
    /// Tokens left in the bucket.
    tokens: f64,
    filled: Instant,
    running: u32,
}

/// What each client of one manager has used up.
#[derive(Debug, Default)]
pub(crate) struct Limits(Mutex<HashMap<String, Client>>);

/// A request under way; counts as such until dropped.
#[derive(Debug)]
pub(crate) struct Running {
    limits: Arc<Limits>,
    client: String,
}

impl Limits {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Client>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a request of the client in, or refuses it. A bucket of one second's requests is refilled steadily.
    pub(crate) fn enter(
        self: &Arc<Self>,
        client: &str,
        per_second: Option<u32>,
        at_once: Option<u32>,
    ) -> Result<Running> {
        let now = Instant::now();
        let mut clients = self.lock();
        let rate = f64::from(per_second.unwrap_or(0));
        let entry = clients.entry(client.to_owned()).or_insert(Client {
            tokens: rate,
            filled: now,
            running: 0,
        });
        if at_once.is_some_and(|most| most > 0 && entry.running >= most) {
            return Err(refused(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many requests at once",
            ));
        }
        if per_second.is_some_and(|rate| rate > 0) {
            let passed = now.duration_since(entry.filled).min(WINDOW).as_secs_f64();
            entry.tokens = (entry.tokens + passed * rate).min(rate);
            entry.filled = now;
            if entry.tokens < 1.0 {
                return Err(refused(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too many requests per second",
                ));
            }
            entry.tokens -= 1.0;
        }
        entry.running += 1;
        Ok(Running {
            limits: self.clone(),
            client: client.to_owned(),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(client) = self.limits.lock().get_mut(&self.client) {
            client.running = client.running.saturating_sub(1);
        }
    }
}

fn refused(status: StatusCode, why: &str) -> ApiError {
    ApiError::new(status, INVALID, format!("The client sends {why}."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_gets_its_rate_and_no_more() {
        let limits = Arc::new(Limits::default());
        let sent = |count: usize| {
            (0..count)
                .filter(|_| limits.enter("a", Some(10), None).is_ok())
                .count()
        };
        assert_eq!(sent(25), 10);
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(sent(25), 5);
        assert!(limits.enter("b", Some(10), None).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_counts_until_it_is_done() {
        let limits = Arc::new(Limits::default());
        let first = limits.enter("a", None, Some(1)).unwrap();
        assert_eq!(
            limits.enter("a", None, Some(1)).unwrap_err().status,
            StatusCode::SERVICE_UNAVAILABLE
        );
        drop(first);
        assert!(limits.enter("a", None, Some(1)).is_ok());
    }
}
