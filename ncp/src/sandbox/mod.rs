//! The sandbox: emulated managers, an emulated foundation, and the controller between them, over real
//! sockets on this machine.
//!
//! What runs is what operators run: a configuration file is written and loaded, and the controller is
//! made from it. Only the timings are short, so that changes show within seconds.

mod config;
mod folder;
mod outcome;
mod show;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use foundation_emulator::foundation::StartError;
use foundation_emulator::{CellSpec, Foundation, Scenario};
use nsx_manager_emulator::{Emulator, ExternalPool, Fixture};
use tokio_util::sync::CancellationToken;

use crate::admin::{AdminError, Doors};
use crate::config::{Config, Mistakes};
use crate::daemon::{live, with_front};
use crate::wiring::{Controller, ControllerError, Mode, Pace, PlanError, Running, plan};

pub use outcome::Outcome;

use folder::Folder;

/// What a sandbox is made with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The foundation's content; the built-in one if absent.
    pub scenario: Option<Scenario>,
    /// Where the managers' state is kept; in memory if absent.
    pub state: Option<PathBuf>,
    /// Port of the foundation's control API; any if 0.
    pub control_port: u16,
}

/// Emulators with a configuration file for them.
#[derive(Debug)]
pub struct Sandbox {
    /// The managers.
    pub managers: Emulator,
    /// The foundation.
    pub foundation: Foundation,
    /// The configuration that the file holds.
    pub config: Config,
    folder: Folder,
    started: Instant,
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The emulated managers.
    #[error("the emulated NSX managers can't be started")]
    Managers(#[from] nsx_manager_emulator::EmulatorError),
    /// The emulated foundation.
    #[error("the emulated foundation can't be started")]
    Foundation(#[from] foundation_emulator::foundation::StartError),
    /// The scenario.
    #[error("the scenario can't be used: {0}")]
    Scenario(#[from] foundation_emulator::scenario::ScenarioError),
    /// The control API's port.
    #[error("port {port} can't be used ({source}); name a free one with --control-port, or leave it out")]
    Port {
        /// Which.
        port: u16,
        /// What the system says.
        source: std::io::Error,
    },
    /// The admin API.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A folder or file.
    #[error("{what} can't be written")]
    File {
        /// Which.
        what: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file that was written for the emulators.
    #[error("{0}")]
    Config(Mistakes),
    /// The controller.
    #[error(transparent)]
    Controller(#[from] ControllerError),
    /// The second look.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// The timings of a sandbox.
pub fn pace() -> Pace {
    Pace {
        resync: Duration::from_secs(2),
        capi: Some(Duration::from_secs(1)),
        policies: Some(Duration::from_secs(1)),
        departure: Duration::from_secs(2),
        settle: Duration::from_millis(200),
        capi_full: Duration::from_secs(10),
        ..Pace::default()
    }
}

impl Sandbox {
    /// Starts the emulators and writes the configuration.
    ///
    /// # Errors
    /// If an emulator can't be started or a file not be written.
    pub async fn start(options: Options) -> Result<Sandbox, SandboxError> {
        let started = Instant::now();
        let scenario = match options.scenario {
            Some(scenario) => scenario,
            None => Scenario::built_in()?,
        };
        let folder = Folder::open(options.state.as_deref())?;
        let mut cells: Vec<String> = (0..3).map(|n| format!("diego-cell-{n}")).collect();
        let foundation = Foundation::start(foundation_emulator::Options {
            cells: cells.iter().map(CellSpec::new).collect(),
            control_port: options.control_port,
            ..foundation_emulator::Options::default()
        })
        .await
        .map_err(|error| match error {
            StartError::Listen(source) if options.control_port != 0 => SandboxError::Port {
                port: options.control_port,
                source,
            },
            other => other.into(),
        })?;
        foundation.load(&scenario)?;
        cells.extend(scenario.cells.iter().map(|cell| cell.id.clone()));
        let managers = Emulator::start(config::managers(options.state.as_deref())).await?;
        managers.fixture(&fixture(cells))?;
        let config = config::write(folder.path(), &managers, &foundation)?;
        Ok(Sandbox {
            managers,
            foundation,
            config,
            folder,
            started,
        })
    }

    /// A controller for this sandbox.
    ///
    /// # Errors
    /// If it can't be made.
    pub async fn controller(&self) -> Result<Controller, ControllerError> {
        Controller::new(&self.config, &pace(), Mode::Write).await
    }

    /// Runs a controller until the network is as the foundation calls for, shows progress, then looks at
    /// everything a second time.
    ///
    /// # Errors
    /// If the controller can't be made or ends.
    pub async fn converge(&self, limit: Duration, progress: bool) -> Result<Outcome, SandboxError> {
        let stop = CancellationToken::new();
        let (running, life) = self.controller().await?.start(stop.clone());
        let watch = async {
            let converged = self.await_convergence(&running, limit, progress).await;
            let outcome = Outcome::of(&running, converged, self.started.elapsed());
            stop.cancel();
            outcome
        };
        let (mut outcome, life) = tokio::join!(watch, life);
        life?;
        outcome.converged = outcome.converged && self.agrees().await?;
        Ok(outcome)
    }

    /// Runs a controller with its admin API until `stop`, showing what happens.
    ///
    /// # Errors
    /// If the controller can't be made or ends.
    pub async fn serve(&self, stop: CancellationToken) -> Result<(), SandboxError> {
        let doors = Doors::open(&self.config.ncp.admin_socket, None).await?;
        let work = async |front| {
            let controller = self.controller().await?;
            let show = async |running: Running| self.show(&running).await;
            live(controller, front, stop, show).await
        };
        Ok(with_front(doors, work).await?)
    }

    /// Shows what happens, for ever.
    async fn show(&self, running: &Running) {
        if self.await_convergence(running, LIMIT, true).await {
            show::made(&self.managers, &self.foundation, running, self.started.elapsed());
        } else {
            show::stuck(running, LIMIT);
        }
        show::next(self.folder.path(), &self.foundation);
        show::changes(running).await;
    }

    async fn await_convergence(&self, running: &Running, limit: Duration, progress: bool) -> bool {
        let mut reports = running.reports.clone();
        let mut line = String::new();
        let wait = async {
            loop {
                let report = reports.borrow_and_update().clone();
                if progress {
                    show::progress(&report, running, &mut line);
                }
                if report.read_all() && report.converged() {
                    return true;
                }
                if reports.changed().await.is_err() {
                    return false;
                }
            }
        };
        tokio::time::timeout(limit, wait).await.unwrap_or(false)
    }

    /// A second, full look by a controller that remembers nothing and writes nothing.
    async fn agrees(&self) -> Result<bool, SandboxError> {
        Ok(plan(&self.config, &pace(), LIMIT).await?.steps.is_empty())
    }

    /// Where the configuration file and the admin API's socket are.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Stops the emulators; the folder goes with them unless it was named.
    pub async fn stop(self) {
        self.foundation.stop().await;
        self.managers.stop().await;
    }
}

/// What an operator would have prepared: a pool for organizations, and one for the app that names its own.
fn fixture(cells: Vec<String>) -> Fixture {
    let mut fixture = Fixture {
        cluster: config::CLUSTER.to_owned(),
        cells: 0,
        named_cells: cells,
        ..Fixture::default()
    };
    let mut own = ExternalPool::of("payments-pool", "203.0.113");
    own.tags
        .push(("ncp/owner".to_owned(), format!("cluster:{}", config::CLUSTER)));
    fixture.pools.push(own);
    fixture
}

/// How long a sandbox may take to converge.
pub const LIMIT: Duration = Duration::from_secs(120);
