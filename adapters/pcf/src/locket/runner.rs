//! Runs the lease against a lock service and publishes who leads.
//!
//! The fence is withdrawn by this process's own clock, in the middle of a call too, whatever Locket says
//! or doesn't say. The clock is given from outside, because it must run on while the machine is suspended.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::{Holder, LockClaim, LocketError, Locks};
use super::lease::{Fence, Lease, LeaseTimings, Outcome};
use crate::status::{StatusCell, chain};

/// A clock for fences: it never goes back and doesn't stop while the machine is suspended
/// (`CLOCK_BOOTTIME` on Linux).
pub trait Clock: Send + Sync {
    /// Time since any fixed moment.
    fn now(&self) -> Duration;
    /// Unix time in milliseconds, for new epochs.
    fn wall_millis(&self) -> u64;
}

/// Tokio's clock, which tests can move. It stops during suspension, so a daemon should bring a better one.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock(Instant);

impl Default for TokioClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn wall_millis(&self) -> u64 {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)
    }
}

/// A contender for a lock.
pub struct Contender<L> {
    locks: L,
    key: String,
    owner: String,
    timings: LeaseTimings,
    clock: Arc<dyn Clock>,
    status: StatusCell,
    holder: Arc<Mutex<Option<Holder>>>,
}

impl<L> std::fmt::Debug for Contender<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contender")
            .field("key", &self.key)
            .field("owner", &self.owner)
            .field("timings", &self.timings)
            .finish_non_exhaustive()
    }
}

/// The holder of the lock as last seen, for status.
#[derive(Clone, Debug)]
pub struct HolderView(Arc<Mutex<Option<Holder>>>);

impl HolderView {
    /// Who held the lock when it was last looked at; this contender included.
    pub fn get(&self) -> Option<Holder> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<L: Locks> Contender<L> {
    /// A contender that hasn't begun. `owner` must be unique per process.
    pub fn new(locks: L, key: String, owner: String, timings: LeaseTimings, clock: Arc<dyn Clock>) -> Self {
        let status = StatusCell::new("locket");
        status.set_interval(timings.period);
        Self {
            locks,
            key,
            owner,
            timings,
            clock,
            status,
            holder: Arc::default(),
        }
    }

    /// Where the lock service's health can be read.
    pub fn status(&self) -> StatusCell {
        self.status.clone()
    }

    /// Where the present holder can be read.
    pub fn holder(&self) -> HolderView {
        HolderView(self.holder.clone())
    }

    /// Contends until cancelled, then gives the lock back.
    pub async fn run(self, leadership: watch::Sender<Option<Fence>>, stop: CancellationToken) {
        let mut lease = Lease::new(self.timings);
        let _ = stop
            .run_until_cancelled(self.contend(&mut lease, &leadership))
            .await;
        publish(&leadership, None);
        if lease.may_be_ours() {
            let claim = self.claim(0);
            if let Err(error) = self.locks.release(&claim, self.timings.timeout).await {
                tracing::warn!(
                    error = chain(&error),
                    "lock not given back; others wait for its expiry"
                );
            }
        }
    }

    async fn contend(&self, lease: &mut Lease, leadership: &watch::Sender<Option<Fence>>) {
        loop {
            self.rest(lease, leadership).await;
            let claim = self.claim(lease.begin(self.clock.now(), self.clock.wall_millis()));
            let call = self.locks.lock(&claim, self.timings.ttl, self.timings.timeout);
            let answer = self.withdrawing(lease, leadership, call).await;
            let outcome = self.judge(answer);
            lease.end(self.clock.now(), outcome);
            publish(leadership, lease.fence(self.clock.now()));
            match outcome {
                Outcome::Granted => self.note_holder(Some(Holder {
                    owner: claim.owner,
                    value: claim.value,
                })),
                Outcome::Taken => self.look(lease).await,
                Outcome::Unknown => {}
            }
        }
    }

    /// Waits until the next call is due.
    async fn rest(&self, lease: &Lease, leadership: &watch::Sender<Option<Fence>>) {
        let wait = lease.next_call().saturating_sub(self.clock.now());
        self.withdrawing(lease, leadership, tokio::time::sleep(wait))
            .await;
    }

    /// Does something while watching the deadline.
    async fn withdrawing<T>(
        &self,
        lease: &Lease,
        leadership: &watch::Sender<Option<Fence>>,
        work: impl Future<Output = T>,
    ) -> T {
        tokio::pin!(work);
        loop {
            let now = self.clock.now();
            let Some(fence) = lease.fence(now) else {
                publish(leadership, None);
                return work.await;
            };
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(fence.deadline - now) => {}
            }
        }
    }

    fn judge(&self, answer: Result<Outcome, LocketError>) -> Outcome {
        match answer {
            Ok(outcome) => {
                self.status.succeeded();
                outcome
            }
            Err(error) => {
                self.status.failed(error.code(), chain(&error));
                Outcome::Unknown
            }
        }
    }

    /// Reads who leads, for status and for the epoch to top.
    async fn look(&self, lease: &mut Lease) {
        if let Ok(holder) = self.locks.fetch(&self.key, self.timings.timeout).await {
            let epoch = holder.as_ref().and_then(|holder| holder.value.parse().ok());
            lease.saw_epoch(epoch.unwrap_or_default());
            self.note_holder(holder);
        }
    }

    fn note_holder(&self, holder: Option<Holder>) {
        *self.holder.lock().unwrap_or_else(PoisonError::into_inner) = holder;
    }

    fn claim(&self, epoch: u64) -> LockClaim {
        LockClaim {
            key: self.key.clone(),
            owner: self.owner.clone(),
            value: epoch.to_string(),
        }
    }
}

fn publish(leadership: &watch::Sender<Option<Fence>>, fence: Option<Fence>) {
    leadership.send_if_modified(|held| {
        let led = held.map(|fence| fence.epoch);
        let leads = fence.map(|fence| fence.epoch);
        if led != leads {
            tracing::info!(epoch = leads, "leadership changed");
        }
        let changed = *held != fence;
        *held = fence;
        changed
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    /// Locket in memory, on the test's clock.
    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Table>>);

    #[derive(Default)]
    struct Table {
        row: Option<(Holder, Instant)>,
        /// Calls are applied but never answered.
        mute: bool,
        released: usize,
    }

    impl Locks for Memory {
        async fn lock(
            &self,
            claim: &LockClaim,
            ttl: Duration,
            limit: Duration,
        ) -> Result<Outcome, LocketError> {
            let mute = {
                let mut table = self.0.lock().unwrap();
                let now = Instant::now();
                if let Some((holder, until)) = &table.row
                    && holder.owner != claim.owner
                    && now < *until
                {
                    return Ok(Outcome::Taken);
                }
                let holder = Holder {
                    owner: claim.owner.clone(),
                    value: claim.value.clone(),
                };
                table.row = Some((holder, now + ttl));
                table.mute
            };
            if mute {
                tokio::time::sleep(limit).await;
                return Err(LocketError::Timeout(limit));
            }
            Ok(Outcome::Granted)
        }

        async fn release(&self, claim: &LockClaim, _: Duration) -> Result<(), LocketError> {
            let mut table = self.0.lock().unwrap();
            table.released += 1;
            if table
                .row
                .as_ref()
                .is_some_and(|(holder, _)| holder.owner == claim.owner)
            {
                table.row = None;
            }
            Ok(())
        }

        async fn fetch(&self, _: &str, _: Duration) -> Result<Option<Holder>, LocketError> {
            Ok(self
                .0
                .lock()
                .unwrap()
                .row
                .as_ref()
                .map(|(holder, _)| holder.clone()))
        }
    }

    struct One {
        leadership: watch::Receiver<Option<Fence>>,
        holder: HolderView,
        stop: CancellationToken,
        task: tokio::task::JoinHandle<()>,
    }

    fn start(locket: &Memory, owner: &str) -> One {
        let clock = Arc::new(TokioClock::default());
        let contender = Contender::new(
            locket.clone(),
            "ncp".into(),
            owner.into(),
            LeaseTimings::default(),
            clock,
        );
        let (sender, leadership) = watch::channel(None);
        let (holder, stop) = (contender.holder(), CancellationToken::new());
        let task = tokio::spawn(contender.run(sender, stop.clone()));
        One {
            leadership,
            holder,
            stop,
            task,
        }
    }

    async fn leads(one: &mut One) -> Fence {
        let led = tokio::time::timeout(Duration::from_secs(60), one.leadership.wait_for(Option::is_some));
        led.await.expect("leads in time").unwrap().unwrap()
    }

    async fn follows(one: &mut One) {
        let lost = tokio::time::timeout(Duration::from_secs(60), one.leadership.wait_for(Option::is_none));
        lost.await.expect("lost in time").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_clean_stop_hands_over_within_two_seconds() {
        let locket = Memory::default();
        let mut first = start(&locket, "first");
        let before = leads(&mut first).await;
        let mut second = start(&locket, "second");
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(*second.leadership.borrow(), None);
        assert_eq!(second.holder.get().unwrap().owner, "first");
        first.stop.cancel();
        let stopped = Instant::now();
        let after = leads(&mut second).await;
        assert!(
            stopped.elapsed() <= Duration::from_secs(3),
            "{:?}",
            stopped.elapsed()
        );
        assert!(after.epoch > before.epoch);
        first.task.await.unwrap();
        assert_eq!(locket.0.lock().unwrap().released, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_holder_is_followed_after_its_ttl_and_a_retry() {
        let locket = Memory::default();
        let mut first = start(&locket, "first");
        leads(&mut first).await;
        let mut second = start(&locket, "second");
        first.task.abort();
        let died = Instant::now();
        leads(&mut second).await;
        let took = died.elapsed();
        assert!(
            took >= Duration::from_secs(6) && took <= Duration::from_secs(12),
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_locket_ends_leadership_before_anyone_else_could_have_it() {
        let locket = Memory::default();
        let mut first = start(&locket, "first");
        leads(&mut first).await;
        let fell_silent = Instant::now();
        locket.0.lock().unwrap().mute = true;
        follows(&mut first).await;
        assert!(
            fell_silent.elapsed() <= Duration::from_secs(9),
            "{:?}",
            fell_silent.elapsed()
        );
        locket.0.lock().unwrap().mute = false;
        leads(&mut first).await;
        locket.0.lock().unwrap().mute = true;
        tokio::time::sleep(Duration::from_secs(4)).await;
        first.stop.cancel();
        first.task.await.unwrap();
        assert!(
            locket.0.lock().unwrap().row.is_none(),
            "what may be ours is given back"
        );
    }
}
