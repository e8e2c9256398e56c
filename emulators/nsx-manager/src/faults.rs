//! What can be made to go wrong while the emulator runs.
//!
//! [`Faults`] is a handle that tests and the control API share with the server. General switches (latency,
//! limits, stale lists) act on every request; an [`Injection`] acts on the requests that match it; a
//! [`StopPoint`] freezes the manager after so many requests, so that a client can be killed at exactly that
//! point.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// What happens to a request that an [`Injection`] matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Answer this status and `error_code`; nothing is changed.
    Status(u16, u32),
    /// Do what was asked, then answer this status and `error_code` all the same.
    StatusAfter(u16, u32),
    /// Reset the connection; nothing is changed.
    ResetBefore,
    /// Do what was asked, then reset the connection without an answer.
    ResetAfter,
    /// Answer so many milliseconds late.
    Delay(u64),
    /// Never answer, and change nothing.
    Hang,
    /// Answer a list as it was so many writes ago.
    Stale(usize),
    /// Forget the caller's session first.
    ExpireSession,
}

/// Which requests an injection acts on, and how often.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Matcher {
    /// Only this method.
    pub method: Option<String>,
    /// Only paths with this in them, e.g. `/logical-ports`.
    pub path: Option<String>,
    /// Only bodies with this in them.
    pub body: Option<String>,
    /// Only requests that change state.
    pub writes: bool,
    /// Only requests to this manager.
    pub manager: Option<usize>,
    /// Let so many matching requests pass first: `n - 1` hits the n-th.
    pub skip: u64,
    /// Then hit so many; 0 for all.
    pub times: u64,
}

impl Matcher {
    /// Any request, for ever.
    pub fn any() -> Self {
        Self::default()
    }

    /// Requests of a method to paths with `path` in them.
    pub fn on(method: Method, path: &str) -> Self {
        Matcher {
            method: Some(method.to_string()),
            path: Some(path.to_owned()),
            ..Self::default()
        }
    }

    /// Requests that change state.
    pub fn writes() -> Self {
        Matcher {
            writes: true,
            ..Self::default()
        }
    }

    /// The `n`-th match (from 1), and no other.
    pub fn nth(self, n: u64) -> Self {
        Matcher {
            skip: n.saturating_sub(1),
            times: 1,
            ..self
        }
    }

    /// The first match, and no other.
    pub fn once(self) -> Self {
        self.nth(1)
    }
}

/// A matcher and its effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injection {
    /// Which requests.
    pub when: Matcher,
    /// What happens to them.
    pub effect: Effect,
}

/// Which requests a [`Faults::stop_after`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Every request.
    Requests,
    /// Requests that change state.
    Writes,
}

/// What the client of the last counted request sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopPoint {
    /// The request is done and answered; later ones hang.
    Answered,
    /// The request is done, but not answered.
    Unanswered,
}

/// A pending stop: wait for it, kill the client, then [`Faults::resume`].
#[derive(Debug)]
pub struct Stop {
    reached: watch::Receiver<bool>,
}

impl Stop {
    /// Waits until the last counted request is done.
    pub async fn reached(&mut self) {
        // The sender lives in the faults; if the emulator is gone there is nothing left to wait for.
        let _ = self.reached.wait_for(|reached| *reached).await;
    }

    /// Whether the last counted request is done.
    pub fn is_reached(&self) -> bool {
        *self.reached.borrow()
    }
}

#[derive(Debug)]
struct Countdown {
    counted: Counted,
    left: u64,
    point: StopPoint,
    reached: watch::Sender<bool>,
}

#[derive(Debug)]
struct Armed {
    id: u64,
    seen: u64,
    injection: Injection,
}

#[derive(Debug, Default)]
struct Switches {
    latency: Duration,
    rate: Option<u32>,
    concurrency: Option<u32>,
    stale: usize,
    armed: Vec<Armed>,
    stop: Option<Countdown>,
}

/// The switches of one emulator; clones share them.
#[derive(Debug, Clone)]
pub struct Faults {
    switches: Arc<Mutex<Switches>>,
    next: Arc<AtomicU64>,
    frozen: Arc<watch::Sender<bool>>,
    pub(crate) sessions: Arc<AtomicU64>,
}

impl Default for Faults {
    fn default() -> Self {
        Faults {
            switches: Arc::default(),
            next: Arc::default(),
            frozen: Arc::new(watch::Sender::new(false)),
            sessions: Arc::default(),
        }
    }
}

/// What a request is judged by when faults are chosen for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traits<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) write: bool,
    pub(crate) manager: usize,
}

impl Faults {
    fn lock(&self) -> MutexGuard<'_, Switches> {
        self.switches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a delay to every answer.
    pub fn set_latency(&self, latency: Duration) {
        self.lock().latency = latency;
    }

    /// Answers 429 beyond so many requests per second of one client at one manager; `None` for the limit of
    /// `/node/services/http`, which is off at first.
    pub fn set_rate_limit(&self, per_second: Option<u32>) {
        self.lock().rate = per_second;
    }

    /// Answers 503 beyond so many requests of one client at once at one manager; `None` as above.
    pub fn set_concurrency_limit(&self, at_once: Option<u32>) {
        self.lock().concurrency = at_once;
    }

    /// Answers every list as it was so many writes ago.
    pub fn set_stale_lists(&self, writes: usize) {
        self.lock().stale = writes;
    }

    /// Forgets all sessions.
    pub fn expire_sessions(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    /// Arms an injection and returns its number.
    pub fn inject(&self, when: Matcher, effect: Effect) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.lock().armed.push(Armed {
            id,
            seen: 0,
            injection: Injection { when, effect },
        });
        id
    }

    /// Disarms an injection.
    pub fn remove(&self, id: u64) {
        self.lock().armed.retain(|armed| armed.id != id);
    }

    /// Switches everything off and lets a frozen manager go on.
    pub fn clear(&self) {
        *self.lock() = Switches::default();
        self.resume();
    }

    /// Freezes the managers after so many further requests: later ones hang and change nothing until
    /// [`Faults::resume`]. `left` of 0 freezes at once.
    pub fn stop_after(&self, left: u64, counted: Counted, point: StopPoint) -> Stop {
        let (reached, receiver) = watch::channel(left == 0);
        self.frozen.send_replace(left == 0);
        self.lock().stop = (left > 0).then_some(Countdown {
            counted,
            left,
            point,
            reached,
        });
        Stop { reached: receiver }
    }

    /// Lets the managers go on. Requests that hang are cut without having had an effect.
    pub fn resume(&self) {
        self.lock().stop = None;
        self.frozen.send_replace(false);
    }

    pub(crate) fn frozen(&self) -> watch::Receiver<bool> {
        self.frozen.subscribe()
    }

    pub(crate) fn is_frozen(&self) -> bool {
        *self.frozen.borrow()
    }

    pub(crate) fn latency(&self) -> Duration {
        self.lock().latency
    }

    pub(crate) fn limits(&self) -> (Option<u32>, Option<u32>) {
        let switches = self.lock();
        (switches.rate, switches.concurrency)
    }

    pub(crate) fn stale(&self) -> usize {
        self.lock().stale
    }

    /// The effects of the injections that hit this request.
    pub(crate) fn hits(&self, request: Traits<'_>) -> Vec<Effect> {
        let mut switches = self.lock();
        let mut effects = Vec::new();
        for armed in &mut switches.armed {
            if !matches(&armed.injection.when, request) {
                continue;
            }
            armed.seen += 1;
            let when = &armed.injection.when;
            let hit = armed.seen > when.skip && (when.times == 0 || armed.seen <= when.skip + when.times);
            effects.extend(hit.then(|| armed.injection.effect.clone()));
        }
        effects
    }

    /// Counts a request that was just done; says whether its answer is to be held back.
    ///
    /// Must be called while the store is locked, so that no later request gets in between.
    pub(crate) fn count(&self, write: bool) -> bool {
        let mut switches = self.lock();
        let Some(stop) = &mut switches.stop else {
            return false;
        };
        if stop.counted == Counted::Writes && !write {
            return false;
        }
        stop.left -= 1;
        if stop.left > 0 {
            return false;
        }
        let held = stop.point == StopPoint::Unanswered;
        self.frozen.send_replace(true);
        stop.reached.send_replace(true);
        switches.stop = None;
        held
    }
}

fn matches(when: &Matcher, request: Traits<'_>) -> bool {
    when.method
        .as_ref()
        .is_none_or(|method| method.eq_ignore_ascii_case(request.method.as_str()))
        && when
            .path
            .as_ref()
            .is_none_or(|path| request.path.contains(path.as_str()))
        && when.manager.is_none_or(|manager| manager == request.manager)
        && (!when.writes || request.write)
        && when
            .body
            .as_ref()
            .is_none_or(|text| String::from_utf8_lossy(request.body).contains(text.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &Method) -> Traits<'_> {
        Traits {
            method,
            path: "/api/v1/logical-ports",
            body: b"{}",
            write: method == Method::POST,
            manager: 0,
        }
    }

    #[test]
    fn the_nth_match_is_hit_and_no_other() {
        let faults = Faults::default();
        faults.inject(
            Matcher::on(Method::POST, "/logical-ports").nth(2),
            Effect::ResetAfter,
        );
        assert_eq!(faults.hits(request(&Method::POST)), []);
        assert_eq!(faults.hits(request(&Method::GET)), []);
        assert_eq!(faults.hits(request(&Method::POST)), [Effect::ResetAfter]);
        assert_eq!(faults.hits(request(&Method::POST)), []);
    }

    #[test]
    fn a_stop_counts_what_it_is_told_to() {
        let faults = Faults::default();
        let stop = faults.stop_after(2, Counted::Writes, StopPoint::Unanswered);
        assert!(!faults.count(true));
        assert!(!faults.count(false));
        assert!(!stop.is_reached());
        assert!(faults.count(true));
        assert!(stop.is_reached());
        assert!(*faults.frozen().borrow());
    }
}
