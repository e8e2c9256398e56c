//! The managers together: which of them takes the next call.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::{Either, pending};
use tokio::sync::Notify;
use tokio::time::{sleep_until, timeout_at};

use super::address::ManagerAddress;
use super::deadline::Deadline;
use super::endpoint::{Endpoint, Permit};
use super::error::{NotSent, OptionsError};
use super::observe::Observers;
use super::options::Options;

/// Most addresses that redirects may add; a cluster has three nodes.
const MOST_GUESTS: usize = 8;

/// Health of the managers as a whole, in the words of `get ncp-nsx status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterHealth {
    /// All managers answer.
    Green,
    /// Some managers answer.
    Orange,
    /// None answers.
    Red,
}

impl fmt::Display for ClusterHealth {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Green => "GREEN",
            Self::Orange => "ORANGE",
            Self::Red => "RED",
        })
    }
}

/// State of one manager.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointStatus {
    /// Its address.
    pub manager: ManagerAddress,
    /// Whether it answered last time.
    pub up: bool,
    /// Calls under way.
    pub in_flight: usize,
    /// Requests per second that it is asked at most, at present.
    pub rate: f64,
    /// Why it is down.
    pub last_error: Option<String>,
}

/// State of the managers.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterStatus {
    /// The whole.
    pub health: ClusterHealth,
    /// Each, in configured order.
    pub endpoints: Vec<EndpointStatus>,
}

/// The configured managers and those that redirects named.
pub(super) struct Cluster {
    endpoints: Vec<Arc<Endpoint>>,
    guests: Mutex<Vec<Arc<Endpoint>>>,
    turn: AtomicUsize,
    changed: Arc<Notify>,
    /// Held by the one call that waits for a credit, so that calls start in the order in which they came.
    turnstile: tokio::sync::Mutex<()>,
}

impl Cluster {
    pub(super) fn new(options: &Options, observers: &Arc<Observers>) -> Result<Self, OptionsError> {
        let changed = Arc::new(Notify::new());
        let make = |(index, address): (usize, &ManagerAddress)| {
            let trust = options.trust_of(index);
            Endpoint::new(
                address.clone(),
                trust,
                options,
                changed.clone(),
                observers.clone(),
            )
            .map(Arc::new)
        };
        let endpoints = options
            .managers
            .iter()
            .enumerate()
            .map(make)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            endpoints,
            guests: Mutex::default(),
            turn: AtomicUsize::new(0),
            changed,
            turnstile: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// The endpoint that a redirect names: a configured one, or a further one that trusts what `from` trusts.
    pub(super) fn named(
        &self,
        address: &ManagerAddress,
        from: &Endpoint,
        options: &Options,
    ) -> Option<Arc<Endpoint>> {
        if address.scheme() != from.address().scheme() {
            return None;
        }
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self
            .endpoints
            .iter()
            .chain(guests.iter())
            .find(|one| one.address() == address)
        {
            return Some(known.clone());
        }
        if guests.len() >= MOST_GUESTS {
            return None;
        }
        let guest = Arc::new(from.sibling(address.clone(), options).ok()?);
        guests.push(guest.clone());
        Some(guest)
    }

    /// How many calls may start now, over all managers that answer.
    pub(super) fn credits(&self) -> usize {
        self.candidates(&[]).iter().map(|one| one.credits()).sum()
    }

    /// Waits until at least one call may start; takes nothing.
    pub(super) async fn credit(&self) {
        self.wait(|| self.candidates(&[]), |one| (one.credits() > 0).then_some(()))
            .await;
    }

    /// Waits for a slot and a credit at one of the managers not in `failed`.
    ///
    /// There must be such a manager; see [`Cluster::has_untried`].
    pub(super) async fn admit(
        &self,
        failed: &[ManagerAddress],
        fence: Option<Deadline>,
    ) -> Result<Permit, NotSent> {
        let admission = async {
            let _turn = self.turnstile.lock().await;
            self.wait(|| self.candidates(failed), Endpoint::try_admit).await
        };
        in_time(admission, fence).await
    }

    /// Waits for a slot and a credit at this manager.
    pub(super) async fn admit_at(
        &self,
        endpoint: &Arc<Endpoint>,
        fence: Option<Deadline>,
    ) -> Result<Permit, NotSent> {
        in_time(self.wait(|| vec![endpoint.clone()], Endpoint::try_admit), fence).await
    }

    /// Whether a manager is left that is not in `failed`.
    pub(super) fn has_untried(&self, failed: &[ManagerAddress]) -> bool {
        self.endpoints.iter().any(|one| !failed.contains(one.address()))
    }

    /// The managers that may take a call, next in turn first. If none answers, all are tried: a call is as good a
    /// probe as any, and a single manager is never given up.
    fn candidates(&self, failed: &[ManagerAddress]) -> Vec<Arc<Endpoint>> {
        let mut left: Vec<_> = self
            .endpoints
            .iter()
            .filter(|one| !failed.contains(one.address()))
            .cloned()
            .collect();
        if left.iter().any(|one| one.is_usable()) {
            left.retain(|one| one.is_usable());
        }
        if !left.is_empty() {
            let first = self.turn.load(Ordering::Relaxed) % left.len();
            left.rotate_left(first);
        }
        left
    }

    /// Tries `attempt` on the candidates, again whenever something changed or a credit is due.
    async fn wait<T>(
        &self,
        candidates: impl Fn() -> Vec<Arc<Endpoint>>,
        attempt: impl Fn(&Arc<Endpoint>) -> Option<T>,
    ) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that a change in between is not lost.
            changed.as_mut().enable();
            let candidates = candidates();
            if let Some(found) = candidates.iter().find_map(&attempt) {
                self.turn.fetch_add(1, Ordering::Relaxed);
                return found;
            }
            let due = candidates.iter().filter_map(|one| one.next_credit()).min();
            let due = due.map_or(Either::Left(pending()), |due| Either::Right(sleep_until(due)));
            tokio::select! {
                () = changed => {}
                () = due => {}
            }
        }
    }

    pub(super) fn status(&self) -> ClusterStatus {
        let endpoints: Vec<_> = self.endpoints.iter().map(|one| one.status()).collect();
        let health = match endpoints.iter().filter(|one| one.up).count() {
            0 => ClusterHealth::Red,
            up if up == endpoints.len() => ClusterHealth::Green,
            _ => ClusterHealth::Orange,
        };
        ClusterStatus { health, endpoints }
    }
}

async fn in_time(
    admission: impl Future<Output = Permit>,
    fence: Option<Deadline>,
) -> Result<Permit, NotSent> {
    match fence {
        None => Ok(admission.await),
        Some(fence) if fence.has_passed() => Err(NotSent::DeadlinePassed),
        Some(fence) => timeout_at(fence.instant(), admission)
            .await
            .map_err(|_| NotSent::DeadlinePassed),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::super::observe::NoObserver;
    use super::super::options::{Auth, Trust};
    use super::*;

    /// Managers that nobody calls; admission needs no sockets.
    fn cluster(managers: usize, rate: u32) -> Cluster {
        let managers = (1..=managers)
            .map(|last| format!("http://127.0.0.{last}").parse().unwrap())
            .collect();
        let auth = Auth::Basic {
            user: "admin".into(),
            password: "pw".to_owned().into(),
        };
        let mut options = Options::new(managers, auth, Trust::System);
        options.max_api_rate = NonZeroU32::new(rate);
        Cluster::new(&options, &Arc::new(Observers::new(Box::new(NoObserver)))).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn load_is_admitted_at_95_percent_of_each_managers_rate() {
        for managers in [1, 3] {
            let cluster = cluster(managers, 100);
            let begun = Instant::now();
            let mut admitted = vec![0; managers];
            while begun.elapsed() < Duration::from_secs(2) {
                let permit = cluster.admit(&[], None).await.unwrap();
                let at = cluster
                    .endpoints
                    .iter()
                    .position(|one| one.address() == permit.endpoint().address());
                admitted[at.unwrap()] += 1;
            }
            assert!(
                admitted.iter().all(|count| (190..=200).contains(count)),
                "{admitted:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_calls_start_in_the_order_in_which_they_came() {
        let cluster = Arc::new(cluster(1, 1));
        drop(cluster.admit(&[], None).await.unwrap());
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = tokio::task::JoinSet::new();
        for number in 0..5 {
            let (cluster, order) = (cluster.clone(), order.clone());
            waiting.spawn(async move {
                let permit = cluster.admit(&[], None).await.unwrap();
                order.lock().unwrap().push(number);
                drop(permit);
            });
        }
        waiting.join_all().await;
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_manager_that_is_down_gets_calls_only_when_all_are() {
        let cluster = cluster(2, 100);
        let down = std::io::Error::other("gone");
        cluster.endpoints[0].mark_down(&down);
        for _ in 0..3 {
            let permit = cluster.admit(&[], None).await.unwrap();
            assert_eq!(permit.endpoint().address(), cluster.endpoints[1].address());
        }
        assert_eq!(cluster.status().health, ClusterHealth::Orange);
        cluster.endpoints[1].mark_down(&down);
        assert_eq!(cluster.status().health, ClusterHealth::Red);
        assert!(cluster.admit(&[], None).await.is_ok());
    }
}
