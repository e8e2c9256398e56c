//! The adapter: its watches, its mapping, its lock.

use std::sync::{Arc, Mutex, PoisonError};

use ncp_core::adapter::{Adapter, AdapterError, EventSink, Stopping, WatcherStatus};
use ncp_core::code::Code;
use ncp_core::condition::Condition;
use ncp_core::dialect::Fence;
use ncp_core::time::Time;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::bbs::sync::{Mode, SyncOptions};
use crate::bbs::{BbsClient, BbsOptions, BbsWatch};
use crate::capi::{CapiClient, CapiOptions, CapiWatch, WatchOptions};
use crate::http::PeerOptions;
use crate::intents::Mapper;
use crate::locket::{Clock, Contender, HolderView, LeaseTimings, LocketClient, LocketOptions};
use crate::policy_server::{PolicyClient, PolicyWatch, PolicyWatchOptions};
use crate::status::{Health, SourceStatus, StatusCell, chain};

/// What the adapter is made with.
#[derive(Clone, Debug)]
pub struct PcfOptions {
    /// Diego's BBS.
    pub bbs: BbsOptions,
    /// How it is followed.
    pub sync: SyncOptions,
    /// Cloud Controller and UAA.
    pub capi: CapiOptions,
    /// How it is polled.
    pub capi_watch: WatchOptions,
    /// The policy server's internal API.
    pub policy_server: PeerOptions,
    /// How it is polled.
    pub policy_watch: PolicyWatchOptions,
    /// Locket; `None`: this is the only controller, and leads.
    pub lock: Option<LockOptions>,
    /// Make every organization's network at once.
    pub eager_orgs: bool,
}

/// The leader lock.
#[derive(Clone, Debug)]
pub struct LockOptions {
    /// Where it is.
    pub locket: LocketOptions,
    /// Its timings, from `[ha]`.
    pub timings: LeaseTimings,
    /// Its name.
    pub key: String,
    /// This process; unique.
    pub owner: String,
}

/// Cloud Foundry, watched.
pub struct PcfAdapter {
    eager_orgs: bool,
    clock: Arc<dyn Clock>,
    mode: watch::Sender<Mode>,
    /// Taken by the one call of [`Adapter::run`].
    watches: Mutex<Option<Watches>>,
    /// Taken by the one call of [`Adapter::lead`].
    contender: Mutex<Option<Contender<LocketClient>>>,
    cells: Vec<StatusCell>,
    holder: Option<HolderView>,
}

struct Watches {
    bbs: BbsWatch,
    capi: CapiWatch,
    policies: PolicyWatch,
}

impl PcfAdapter {
    /// An adapter that has asked nothing yet. `clock` is the one that fences are read on.
    ///
    /// # Errors
    /// If certificates or addresses can't be used.
    pub fn new(options: PcfOptions, clock: Arc<dyn Clock>) -> Result<PcfAdapter, AdapterError> {
        let bbs = BbsClient::new(options.bbs).map_err(|e| refused(Code::PcfBbsConnectionFailed, &e))?;
        let capi = CapiClient::new(options.capi).map_err(|e| refused(Code::PcfCapiConnectionFailed, &e))?;
        let policies = PolicyClient::new(options.policy_server)
            .map_err(|e| refused(Code::PcfPolicyServerConnectionFailed, &e))?;
        let watches = Watches {
            bbs: BbsWatch::new(bbs, options.sync),
            capi: CapiWatch::new(capi, options.capi_watch),
            policies: PolicyWatch::new(policies, options.policy_watch),
        };
        let contender = options
            .lock
            .as_ref()
            .map(|lock| contend(lock, &clock))
            .transpose()?;
        let mut cells = vec![
            watches.bbs.status(),
            watches.capi.status(),
            watches.policies.status(),
        ];
        cells.extend(contender.as_ref().map(Contender::status));
        let holder = contender.as_ref().map(Contender::holder);
        let (mode, _) = watch::channel(Mode::Standby);
        Ok(PcfAdapter {
            eager_orgs: options.eager_orgs,
            clock,
            mode,
            watches: Mutex::new(Some(watches)),
            contender: Mutex::new(contender),
            cells,
            holder,
        })
    }

    /// Who holds the lock, as last seen; `None` without a lock.
    pub fn holder(&self) -> Option<HolderView> {
        self.holder.clone()
    }

    /// Each source with all that it says of itself.
    pub fn sources(&self) -> Vec<SourceStatus> {
        self.cells.iter().map(StatusCell::snapshot).collect()
    }
}

impl std::fmt::Debug for PcfAdapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PcfAdapter")
            .field("cells", &self.cells)
            .finish_non_exhaustive()
    }
}

impl Adapter for PcfAdapter {
    async fn run<S: EventSink + Clone + Send + Sync + 'static>(
        &self,
        mut sink: S,
    ) -> Result<(), AdapterError> {
        let Some(watches) = take(&self.watches) else {
            return Err(ran_before());
        };
        let (to_bbs, mut bbs) = mpsc::channel(QUEUE);
        let (to_capi, mut capi) = mpsc::channel(QUEUE);
        let (to_policies, mut policies) = mpsc::channel(QUEUE);
        let stop = CancellationToken::new();
        let map = async {
            let mut mapper = Mapper::new(self.eager_orgs);
            loop {
                let events = tokio::select! {
                    Some(outputs) = bbs.recv() => mapper.bbs(outputs),
                    Some(update) = capi.recv() => mapper.capi(update),
                    Some(listing) = policies.recv() => mapper.policy_server(&listing),
                    else => return,
                };
                for event in events {
                    if let Err(Stopping) = sink.send(event).await {
                        return;
                    }
                }
            }
        };
        // Dropping the others stops them; a watch that ends by itself is a defect and ends the program.
        tokio::select! {
            () = map => Ok(()),
            () = watches.bbs.run(self.mode.subscribe(), to_bbs, stop.clone()) => Err(ended("bbs")),
            () = watches.capi.run(to_capi, stop.clone()) => Err(ended("capi")),
            () = watches.policies.run(to_policies, stop.clone()) => Err(ended("policy-server")),
        }
    }

    async fn conditions(&self, _conditions: Vec<Condition>) {
        // Cloud Foundry has no place to show them; they are in the controller's own status.
    }

    async fn lead<F, T>(&self, mut changed: F, until: T) -> Result<(), AdapterError>
    where
        F: FnMut(Option<Fence>) + Send,
        T: Future<Output = ()> + Send,
    {
        let Some(contender) = take(&self.contender) else {
            // No lock is configured: this is the only controller.
            self.mode.send_replace(Mode::Leading);
            changed(Some(Fence {
                epoch: self.clock.wall_millis(),
                deadline: Time(u64::MAX),
            }));
            until.await;
            changed(None);
            return Ok(());
        };
        let (to_fence, mut fence) = watch::channel(None);
        let stop = CancellationToken::new();
        let contend = contender.run(to_fence, stop.clone());
        let follow = async {
            while fence.changed().await.is_ok() {
                let now = *fence.borrow_and_update();
                let mode = if now.is_some() {
                    Mode::Leading
                } else {
                    Mode::Standby
                };
                self.mode
                    .send_if_modified(|old| std::mem::replace(old, mode) != mode);
                changed(now.map(|f| Fence {
                    epoch: f.epoch,
                    deadline: Time(f.deadline.as_millis() as u64),
                }));
            }
        };
        let ask = async {
            until.await;
            stop.cancel();
        };
        tokio::join!(contend, follow, ask);
        Ok(())
    }

    fn watchers(&self) -> Vec<WatcherStatus> {
        self.cells.iter().map(|cell| watcher(&cell.snapshot())).collect()
    }
}

fn watcher(source: &SourceStatus) -> WatcherStatus {
    let reason = match &source.health {
        Health::Unhealthy { code, why } => Some(format!("{code}: {why}")),
        Health::Starting => Some("has not answered yet".to_owned()),
        Health::Healthy => None,
    };
    WatcherStatus {
        name: source.name.to_owned(),
        healthy: source.health == Health::Healthy,
        reason,
        events: source.events,
        restarts: source.restarts,
    }
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn contend(lock: &LockOptions, clock: &Arc<dyn Clock>) -> Result<Contender<LocketClient>, AdapterError> {
    let client =
        LocketClient::new(&lock.locket).map_err(|e| refused(Code::AdapterApiConnectionFailed, &e))?;
    Ok(Contender::new(
        client,
        lock.key.clone(),
        lock.owner.clone(),
        lock.timings,
        clock.clone(),
    ))
}

fn refused(code: Code, error: &(dyn std::error::Error + 'static)) -> AdapterError {
    AdapterError {
        code,
        message: chain(error),
    }
}

fn ended(watch: &str) -> AdapterError {
    AdapterError {
        code: Code::AdapterWatcherException,
        message: format!("the watch of {watch} ended"),
    }
}

fn ran_before() -> AdapterError {
    AdapterError {
        code: Code::InvalidState,
        message: "an adapter runs once".to_owned(),
    }
}

/// What the watches hand over at most before they wait.
const QUEUE: usize = 256;
