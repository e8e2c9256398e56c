//! The poll loop: the change token often, the set when it moved.
//!
//! A set that lacks apps which the one before named as destinations is read a second time in the next
//! round: whoever takes a large loss for a mistake waits for a second, equal set, and policies that were
//! withdrawn must not stay in force meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{PolicyClient, PolicyListing, PolicyServerError};
use crate::backoff::{Backoff, jittered};
use crate::ids::AppGuid;
use crate::status::{StatusCell, chain};

/// Intervals of the poll loop.
#[derive(Clone, Debug)]
pub struct PolicyWatchOptions {
    /// Between looks at the change token; 1–5 s.
    pub interval: Duration,
    /// Between reads of the set that nothing asked for.
    pub full_interval: Duration,
    /// Between reads of the set on servers without a change token.
    pub tokenless_interval: Duration,
    /// Before a set that became empty is read again.
    pub confirm_after: Duration,
    /// Spreads the pollers of several instances.
    pub seed: u64,
}

impl Default for PolicyWatchOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(2),
            full_interval: Duration::from_secs(300),
            tokenless_interval: Duration::from_secs(5),
            confirm_after: Duration::from_secs(3),
            seed: 0,
        }
    }
}

/// The poll loop.
#[derive(Debug)]
pub struct PolicyWatch {
    client: PolicyClient,
    options: PolicyWatchOptions,
    status: StatusCell,
    token: Option<i64>,
    read_at: Option<Instant>,
    generation: u64,
    count: usize,
    destinations: BTreeSet<AppGuid>,
}

impl PolicyWatch {
    /// A loop over this client.
    pub fn new(client: PolicyClient, options: PolicyWatchOptions) -> Self {
        let status = StatusCell::new("policy-server");
        status.set_interval(options.interval);
        Self {
            client,
            options,
            status,
            token: None,
            read_at: None,
            generation: 0,
            count: 0,
            destinations: BTreeSet::new(),
        }
    }

    /// Where the loop's health can be read.
    pub fn status(&self) -> StatusCell {
        self.status.clone()
    }

    /// Polls until cancelled or until nobody receives.
    pub async fn run(mut self, updates: mpsc::Sender<PolicyListing>, stop: CancellationToken) {
        let _ = stop.run_until_cancelled(self.rounds(&updates)).await;
    }

    async fn rounds(&mut self, updates: &mpsc::Sender<PolicyListing>) {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30), self.options.seed);
        for round in 0.. {
            let wait = match self.round(updates).await {
                Ok(true) => {
                    self.status.succeeded();
                    backoff.reset();
                    jittered(self.options.interval, self.options.seed, round)
                }
                Ok(false) => return,
                Err(error) => {
                    self.status.failed(error.code(), chain(&error));
                    backoff.next_delay_at_least(error.retry_after())
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// One look at the token, and at the set if need be. `false`: the receiver is gone.
    async fn round(&mut self, updates: &mpsc::Sender<PolicyListing>) -> Result<bool, PolicyServerError> {
        let token = self.client.last_updated().await?;
        if !self.is_due(token) {
            return Ok(true);
        }
        let (mut policies, mut refused) = self.client.policies().await?;
        if self.count > 0 && policies.is_empty() {
            tokio::time::sleep(self.options.confirm_after).await;
            (policies, refused) = self.client.policies().await?;
        }
        let emptied = (self.count > 0 && policies.is_empty()).then_some(self.count);
        let count = policies.len();
        let destinations = policies.iter().map(|policy| policy.destination.clone()).collect();
        let listing = PolicyListing {
            generation: self.generation + 1,
            policies,
            refused,
            emptied,
        };
        if updates.send(listing).await.is_err() {
            return Ok(false);
        }
        self.took(token, count, destinations);
        Ok(true)
    }

    fn is_due(&self, token: Option<i64>) -> bool {
        let Some(read_at) = self.read_at else {
            return true;
        };
        let floor = match token {
            Some(_) if token != self.token => return true,
            Some(_) => self.options.full_interval,
            None => self.options.tokenless_interval,
        };
        read_at.elapsed() >= floor
    }

    /// Remembers what was handed on. The token was read before the set: a change in between moves it
    /// again.
    fn took(&mut self, token: Option<i64>, count: usize, destinations: BTreeSet<AppGuid>) {
        let lost = !self.destinations.is_subset(&destinations);
        self.destinations = destinations;
        self.token = token;
        self.read_at = (!lost).then(Instant::now);
        self.generation += 1;
        self.count = count;
        self.status.processed(1);
        self.status.set_count("policies", count as u64);
    }
}
