//! A controller: adapter, engine, far end and driver, together.

use std::sync::Arc;

use ncp_core::adapter::{Adapter, AdapterError, EventSink, Stopping};
use ncp_core::dialect::Fence;
use ncp_core::engine::Engine;
use ncp_core::event::Event;
use ncp_pcf::adapter::PcfAdapter;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::network::{Network, NetworkError};
use super::{Pace, platform, settings};
use crate::config::Config;
use crate::driver::{Clock, Driver, DriverError, Inputs, Order, Report};

/// Whether the network is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Write,
    /// Everything is read and decided, and nothing written.
    Observe,
}

/// A controller that has been made and not started.
pub struct Controller {
    adapter: Arc<PcfAdapter>,
    network: Arc<Network>,
    engine: Engine<ncp_nsxt::manager::Manager>,
    clock: Clock,
    mode: Mode,
    drain: std::time::Duration,
    /// This process, as the lock knows it.
    pub owner: String,
}

/// Why a controller can't start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControllerError {
    /// The platform's clients.
    #[error(transparent)]
    Platform(#[from] AdapterError),
    /// The managers.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The driver.
    #[error(transparent)]
    Driver(#[from] DriverError),
}

/// Handles of a running controller.
#[derive(Clone, Debug)]
pub struct Running {
    /// How the engine is doing.
    pub reports: watch::Receiver<Arc<Report>>,
    /// For what operators ask.
    pub orders: mpsc::Sender<Order>,
    /// The platform's side.
    pub adapter: Arc<PcfAdapter>,
    /// The network's side.
    pub network: Arc<Network>,
    /// Whether it leads.
    pub fence: watch::Receiver<Option<Fence>>,
    /// Whether it writes.
    pub mode: Mode,
    /// This process, as the lock knows it.
    pub owner: String,
}

impl Controller {
    /// Makes a controller. The managers must answer, since nothing can be said before the operator's
    /// objects are known; the platform need not.
    ///
    /// # Errors
    /// If files, options or the operator's objects can't be used.
    pub async fn new(config: &Config, pace: &Pace, mode: Mode) -> Result<Controller, ControllerError> {
        let clock = Clock::start();
        let owner = uuid::Uuid::new_v4().to_string();
        let adapter = Arc::new(platform::adapter(config, pace, &owner, clock, mode)?);
        let api = Network::client(config)?;
        let (network, manager) = Network::connect(config, api, clock).await?;
        let mut engine = Engine::new(manager, settings::settings(config, pace));
        if mode == Mode::Observe {
            engine.observe_only();
        }
        let drain = config.ncp.drain_timeout.get();
        Ok(Controller {
            adapter,
            network: Arc::new(network),
            engine,
            clock,
            mode,
            drain,
            owner,
        })
    }

    /// Starts; the future is the controller's life, and ends when `stop` is cancelled.
    pub fn start(
        self,
        stop: CancellationToken,
    ) -> (Running, impl Future<Output = Result<(), ControllerError>> + Send) {
        let driver = Driver::new(self.engine, self.network.clone(), self.clock, self.drain);
        let (to_events, events) = mpsc::channel(EVENTS);
        let (to_fence, fence) = watch::channel(None);
        let (orders, order) = mpsc::channel(ORDERS);
        let running = Running {
            reports: driver.reports(),
            orders,
            adapter: self.adapter.clone(),
            network: self.network.clone(),
            fence: fence.clone(),
            mode: self.mode,
            owner: self.owner,
        };
        let inputs = Inputs {
            events,
            fence,
            orders: order,
            stop: stop.clone(),
        };
        let life = live(
            driver,
            inputs,
            self.adapter,
            self.network,
            Wires {
                to_events,
                to_fence,
                stop,
            },
        );
        (running, life)
    }
}

struct Wires {
    to_events: mpsc::Sender<Event>,
    to_fence: watch::Sender<Option<Fence>>,
    stop: CancellationToken,
}

async fn live(
    driver: Driver<ncp_nsxt::manager::Manager, Network>,
    inputs: Inputs,
    adapter: Arc<PcfAdapter>,
    network: Arc<Network>,
    wires: Wires,
) -> Result<(), ControllerError> {
    // The lock outlives the driver's drain: what is still under way is under our own fence.
    let released = CancellationToken::new();
    let follow = |fence| {
        wires.to_fence.send_replace(fence);
    };
    let lead = adapter.lead(follow, released.cancelled());
    let work = async {
        let watches = adapter.run(Sink(wires.to_events));
        let drive = driver.run(inputs);
        tokio::pin!(drive);
        let ended = tokio::select! {
            ended = &mut drive => ended.map_err(ControllerError::from),
            watches = watches => {
                wires.stop.cancel();
                let drained = drive.await.map_err(ControllerError::from);
                watches.map_err(ControllerError::from).and(drained)
            }
        };
        released.cancel();
        ended
    };
    let idle = async {
        tokio::select! {
            () = network.api().keep_alive() => {}
            () = released.cancelled() => {}
        }
    };
    let (lead, work, ()) = tokio::join!(lead, work, idle);
    work.and(lead.map_err(ControllerError::from))
}

#[derive(Clone)]
struct Sink(mpsc::Sender<Event>);

impl EventSink for Sink {
    async fn send(&mut self, event: Event) -> Result<(), Stopping> {
        self.0.send(event).await.map_err(|_| Stopping)
    }
}

/// Events that wait for the engine at most; then the adapter waits.
const EVENTS: usize = 8192;
const ORDERS: usize = 16;
