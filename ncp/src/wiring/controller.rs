//! A controller: adapter, engine, far end and driver, together.

use std::sync::Arc;

use ncp_core::adapter::{Adapter, AdapterError, EventSink, Stopping};
use ncp_core::dialect::Fence;
use ncp_core::engine::Engine;
use ncp_core::event::Event;
use ncp_nsxt::transport::Api;
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

/// Clients made from a configuration; nothing has been asked yet.
pub struct Preparation {
    adapter: Arc<PcfAdapter>,
    api: Api,
    clock: Clock,
    mode: Mode,
    /// This process, as the lock knows it.
    pub owner: String,
}

/// A controller that has been made and not started.
pub struct Controller {
    adapter: Arc<PcfAdapter>,
    network: Arc<Network>,
    engine: Engine<ncp_nsxt::manager::Manager>,
    clock: Clock,
    mode: Mode,
    drain: std::time::Duration,
    owner: String,
}

/// Why a controller can't start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControllerError {
    /// The platform's clients can't be made of the configuration.
    #[error("{0}; {next}", next = .0.code.next_step())]
    Clients(#[source] AdapterError),
    /// The managers.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The platform's watches.
    #[error(transparent)]
    Platform(#[from] AdapterError),
    /// The driver.
    #[error(transparent)]
    Driver(#[from] DriverError),
}

impl ControllerError {
    /// Whether the configuration, or what it names, must be mended before a start can succeed.
    pub fn is_configuration(&self) -> bool {
        match self {
            ControllerError::Clients(_) => true,
            ControllerError::Network(error) => !error.is_passing(),
            ControllerError::Platform(_) | ControllerError::Driver(_) => false,
        }
    }
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

impl Preparation {
    /// Clients for this configuration.
    ///
    /// # Errors
    /// If files or options can't be used; all of these are for the operator to mend.
    pub fn new(config: &Config, pace: &Pace, mode: Mode) -> Result<Preparation, ControllerError> {
        let clock = Clock::start();
        let owner = owner();
        let adapter =
            platform::adapter(config, pace, &owner, clock, mode).map_err(ControllerError::Clients)?;
        Ok(Preparation {
            adapter: Arc::new(adapter),
            api: Network::client(config)?,
            clock,
            mode,
            owner,
        })
    }

    /// The managers' client, for its health.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The controller. The managers must answer, since nothing can be said before the operator's objects
    /// are known; the platform need not. May be tried again: the client remembers credentials that were
    /// refused, so that trying does not lock the account.
    ///
    /// # Errors
    /// All that is wrong with the operator's objects, or that no manager answers.
    pub async fn controller(&self, config: &Config, pace: &Pace) -> Result<Controller, ControllerError> {
        let (network, manager) = Network::connect(config, self.api.clone(), self.clock).await?;
        let mut engine = Engine::new(manager, settings::settings(config, pace));
        if self.mode == Mode::Observe {
            engine.observe_only();
        }
        Ok(Controller {
            adapter: self.adapter.clone(),
            network: Arc::new(network),
            engine,
            clock: self.clock,
            mode: self.mode,
            drain: config.ncp.drain_timeout.get(),
            owner: self.owner.clone(),
        })
    }
}

/// Unique, and telling an operator on which machine to look.
fn owner() -> String {
    let machine = rustix::system::uname();
    format!(
        "{}-{}",
        machine.nodename().to_string_lossy(),
        uuid::Uuid::new_v4()
    )
}

impl Controller {
    /// A controller of managers that answer.
    ///
    /// # Errors
    /// If files, options or the operator's objects can't be used.
    pub async fn new(config: &Config, pace: &Pace, mode: Mode) -> Result<Controller, ControllerError> {
        Preparation::new(config, pace, mode)?
            .controller(config, pace)
            .await
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
