//! What a source says about itself: `get ncp-bbs status` and its siblings, watcher statistics, metrics.
//!
//! A source that fails keeps what it knew, so its health is the only place where the failure shows. The
//! record therefore says since when and why, with the guide's code, and when it last worked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Whether a source works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// No attempt has ended yet.
    Starting,
    /// The last attempt worked.
    Healthy,
    /// The last attempt failed.
    Unhealthy {
        /// Code of the guide's error table.
        code: &'static str,
        /// The failure with its causes, in one line, without secrets.
        why: String,
    },
}

/// A snapshot of one source's state and statistics.
#[derive(Clone, Debug)]
pub struct SourceStatus {
    /// Name of the source or watcher, as status commands print it.
    pub name: &'static str,
    /// Whether it works.
    pub health: Health,
    /// Since when `health` has been what it is.
    pub since: Instant,
    /// When an attempt last succeeded.
    pub last_success: Option<Instant>,
    /// Time between polls or resynchronizations.
    pub interval: Option<Duration>,
    /// Events or listings processed since start.
    pub events: u64,
    /// When the last of them came.
    pub last_event: Option<Instant>,
    /// How often the watcher had to begin again.
    pub restarts: u64,
    /// Further figures by name, such as records held.
    pub counts: BTreeMap<&'static str, u64>,
}

/// Where a source writes its state and others read it.
#[derive(Clone, Debug)]
pub struct StatusCell(Arc<Mutex<SourceStatus>>);

impl StatusCell {
    /// A source that hasn't tried anything yet.
    pub fn new(name: &'static str) -> Self {
        Self(Arc::new(Mutex::new(SourceStatus {
            name,
            health: Health::Starting,
            since: Instant::now(),
            last_success: None,
            interval: None,
            events: 0,
            last_event: None,
            restarts: 0,
            counts: BTreeMap::new(),
        })))
    }

    /// What is known now.
    pub fn snapshot(&self) -> SourceStatus {
        self.lock().clone()
    }

    /// An attempt worked.
    pub fn succeeded(&self) {
        let mut status = self.lock();
        status.last_success = Some(Instant::now());
        change(&mut status, Health::Healthy);
    }

    /// An attempt failed. `why` must hold no secret.
    pub fn failed(&self, code: &'static str, why: String) {
        change(&mut self.lock(), Health::Unhealthy { code, why });
    }

    /// The watcher processed `count` events.
    pub fn processed(&self, count: u64) {
        let mut status = self.lock();
        status.events += count;
        status.last_event = Some(Instant::now());
    }

    /// The watcher had to begin again.
    pub fn restarted(&self) {
        self.lock().restarts += 1;
    }

    /// Sets the interval that status shows.
    pub fn set_interval(&self, interval: Duration) {
        self.lock().interval = Some(interval);
    }

    /// Sets a figure.
    pub fn set_count(&self, name: &'static str, value: u64) {
        self.lock().counts.insert(name, value);
    }

    fn lock(&self) -> MutexGuard<'_, SourceStatus> {
        // Plain data without invariants between its fields: a panic elsewhere can't have spoiled it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `since` moves only when the health does, not when the wording of a failure changes.
fn change(status: &mut SourceStatus, health: Health) {
    if std::mem::discriminant(&status.health) != std::mem::discriminant(&health) {
        status.since = Instant::now();
        tracing::info!(source = status.name, ?health, "source health changed");
    }
    status.health = health;
}

/// An error and its causes in one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn since_is_the_time_of_the_change_and_not_of_its_repetition() {
        let cell = StatusCell::new("bbs");
        let failed = |why: &str| cell.failed("NCP06001", why.to_owned());
        failed("refused");
        let began = cell.snapshot().since;
        tokio::time::advance(Duration::from_secs(5)).await;
        failed("timed out");
        assert_eq!(cell.snapshot().since, began);
        cell.succeeded();
        let status = cell.snapshot();
        assert_eq!(status.health, Health::Healthy);
        assert_eq!(status.since, began + Duration::from_secs(5));
        assert_eq!(status.last_success, Some(status.since));
    }
}
