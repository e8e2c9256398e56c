//! The whole controller over real sockets: emulated managers, an emulated foundation, this machine.
//!
//! What runs is what operators run, except that the emulators share the two cores with it.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use foundation_emulator::{CellSpec, Scenario};
use ncp::config::Config;
use ncp::sandbox::{self, Sandbox, SandboxError};
use ncp::wiring::{Controller, ControllerError, Mode, Pace, Running};
use nsx_manager_emulator::LogMode;
use tokio_util::sync::CancellationToken;

use crate::table::Table;

/// What the managers allow.
const RATE: u32 = 100;
const ORGS: usize = 10;
const CELLS: usize = 50;
const INSTANCES_OF_APP: usize = 5;
/// Starts of single instances that are timed.
const STARTS: u64 = 300;
const PATIENCE: Duration = Duration::from_secs(1_800);

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Controller(#[from] ControllerError),
    #[error("the foundation: {0}")]
    Foundation(String),
    #[error("the configuration: {0}")]
    Config(String),
    #[error("{0} did not happen within {PATIENCE:?}")]
    Late(&'static str),
}

/// Runs all of it on a foundation of so many instances.
pub(crate) fn measure(instances: usize, table: &mut Table) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|e| Failure::Config(e.to_string()))?;
    runtime.block_on(async {
        let bench = Bench::start(instances).await?;
        bench.cold_start(table).await?;
        bench.again(table).await?;
        bench.single_starts(table).await?;
        bench.sandbox.stop().await;
        Ok(())
    })
}

struct Bench {
    sandbox: Sandbox,
    limited: Config,
    instances: usize,
}

/// A running controller, to be stopped.
struct Life {
    running: Running,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), ControllerError>>,
}

/// Listings far apart: single events are what is timed.
fn pace() -> Pace {
    Pace {
        resync: Duration::from_secs(60),
        ..sandbox::pace()
    }
}

impl Bench {
    async fn start(instances: usize) -> Result<Bench, Failure> {
        let options = sandbox::Options {
            scenario: Some(scenario(instances)?),
            ..sandbox::Options::default()
        };
        let sandbox = Sandbox::start(options).await?;
        let claimed = || sandbox.foundation.world().running().count() == instances;
        await_that("the start of all instances", claimed).await?;
        let limited = limited(sandbox.folder())?;
        Ok(Bench {
            sandbox,
            limited,
            instances,
        })
    }

    async fn life(config: &Config) -> Result<Life, Failure> {
        let stop = CancellationToken::new();
        let (running, life) = Controller::new(config, &pace(), Mode::Write)
            .await?
            .start(stop.clone());
        let task = tokio::spawn(life);
        Ok(Life { running, stop, task })
    }

    /// Every instance's port, from an empty network, at an allowed rate.
    async fn cold_start(&self, table: &mut Table) -> Result<(), Failure> {
        let managers = &self.sandbox.managers;
        managers.log().set_mode(LogMode::Counts);
        managers.faults().set_rate_limit(Some(RATE));
        managers.log().clear();
        let start = Instant::now();
        let life = Self::life(&self.limited).await?;
        life.converged(self.instances).await?;
        let took = start.elapsed().as_secs_f64();
        let counts = managers.log().counts();
        life.end().await?;
        let allowed = counts.total as f64 / f64::from(RATE);
        let name = format!("{} instances from nothing at {RATE} requests/s", self.instances);
        table.push(format!("{name}: requests"), counts.total as f64, "", None);
        table.push(format!("{name}: refused (429)"), refused(&counts), "", Some(0.0));
        table.push(format!("{name}: what the count allows"), allowed, "s", None);
        table.push(format!("{name}: time"), took, "s", Some(allowed * 1.1));
        for (route, count) in &counts.routes {
            table.push(format!("requests from nothing: {route}"), *count as f64, "", None);
        }
        Ok(())
    }

    /// A controller that remembers nothing starts over the network that stands.
    async fn again(&self, table: &mut Table) -> Result<(), Failure> {
        let managers = &self.sandbox.managers;
        managers.faults().set_rate_limit(None);
        managers.log().clear();
        let start = Instant::now();
        let life = Self::life(&self.sandbox.config).await?;
        life.converged(self.instances).await?;
        let took = start.elapsed().as_secs_f64();
        let counts = managers.log().counts();
        life.end().await?;
        let name = format!("cold restart over {} ports", self.instances);
        table.push(format!("{name}: time, no limit on the rate"), took, "s", None);
        table.push(format!("{name}: requests"), counts.total as f64, "", None);
        table.push(format!("{name}: writes"), counts.writes as f64, "", Some(0.0));
        for (route, count) in &counts.routes {
            table.push(
                format!("requests of the restart: {route}"),
                *count as f64,
                "",
                None,
            );
        }
        Ok(())
    }

    /// One instance more, again and again: from the platform's event to the first request.
    async fn single_starts(&self, table: &mut Table) -> Result<(), Failure> {
        let (managers, foundation) = (&self.sandbox.managers, &self.sandbox.foundation);
        let life = Self::life(&self.sandbox.config).await?;
        life.converged(self.instances).await?;
        foundation.set_delays(foundation_emulator::Delays {
            claim: Duration::ZERO,
            ..foundation_emulator::Delays::default()
        });
        managers.log().set_mode(LogMode::Full(64));
        let mut spans = Vec::new();
        for n in 0..STARTS {
            managers.log().clear();
            let app = app_name(n as usize % ORGS, 0);
            let instances = INSTANCES_OF_APP as i32 + 1 + (n as usize / ORGS) as i32;
            let event = wall();
            foundation
                .scale(&app, instances)
                .map_err(|e| Failure::Foundation(e.to_string()))?;
            let came = || managers.log().writes().first().map(|entry| entry.time);
            await_that("the first request", || came().is_some()).await?;
            // The log has whole milliseconds, cut off.
            let arrived = came().unwrap_or_default() as f64 + 1.0;
            spans.push(arrived - event);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        life.end().await?;
        spans.sort_by(f64::total_cmp);
        let at = |percent: usize| spans[(spans.len() - 1) * percent / 100];
        let name = "BBS event to first request";
        table.push(format!("{name}, p50"), at(50), "ms", None);
        table.push(format!("{name}, p99"), at(99), "ms", Some(10.0));
        table.push(format!("{name}, max"), at(100), "ms", None);
        Ok(())
    }
}

impl Life {
    async fn converged(&self, ports: usize) -> Result<(), Failure> {
        let mut reports = self.running.reports.clone();
        let done = reports.wait_for(|report| {
            let stand =
                |s: &ncp_core::engine::Status| s.objects.get(&ncp_core::topology::Kind::Port).copied();
            report.read_all() && report.converged() && report.status.as_ref().and_then(stand) == Some(ports)
        });
        match tokio::time::timeout(PATIENCE, done).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Failure::Late("convergence")),
        }
    }

    async fn end(self) -> Result<(), Failure> {
        self.stop.cancel();
        match self.task.await {
            Ok(ended) => Ok(ended?),
            Err(_) => Err(Failure::Late("the controller's end")),
        }
    }
}

fn refused(counts: &nsx_manager_emulator::Counts) -> f64 {
    counts.statuses.get(&429).copied().unwrap_or(0) as f64
}

fn wall() -> f64 {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    wall.as_secs_f64() * 1e3
}

async fn await_that(what: &'static str, holds: impl Fn() -> bool) -> Result<(), Failure> {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .map_err(|_| Failure::Late(what))
}

/// The sandbox's configuration with one manager and its rate.
fn limited(folder: &Path) -> Result<Config, Failure> {
    let unusable = |e: std::io::Error| Failure::Config(e.to_string());
    let text = std::fs::read_to_string(folder.join("ncp.ini")).map_err(unusable)?;
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        match line.split_once(", ") {
            Some((first, _)) if line.starts_with("nsx_api_managers") => {
                lines.push(first.to_owned());
                lines.push(format!("max_api_rate = {RATE}"));
            }
            _ => lines.push(line.to_owned()),
        }
    }
    let file = folder.join("limited.ini");
    std::fs::write(&file, lines.join("\n")).map_err(unusable)?;
    Config::load(&file).map_err(|e| Failure::Config(e.to_string()))
}

fn app_name(org: usize, n: usize) -> String {
    format!("app-{org}-{n}")
}

fn scenario(instances: usize) -> Result<Scenario, Failure> {
    let mut scenario = Scenario::built_in().map_err(|e| Failure::Foundation(e.to_string()))?;
    scenario.cells = (0..CELLS)
        .map(|n| CellSpec {
            containers: instances,
            ..CellSpec::new(format!("bench-cell-{n}"))
        })
        .collect();
    scenario.segments = Vec::new();
    scenario.policies = Vec::new();
    scenario.security_groups.retain(|group| !group.global.is_empty());
    scenario.orgs = (0..ORGS).map(|org| organization(org, instances / ORGS)).collect();
    Ok(scenario)
}

fn organization(org: usize, instances: usize) -> foundation_emulator::scenario::OrgSpec {
    let apps = (0..instances / INSTANCES_OF_APP).map(|n| foundation_emulator::AppSpec {
        name: app_name(org, n),
        instances: INSTANCES_OF_APP as i32,
        ..foundation_emulator::AppSpec::default()
    });
    foundation_emulator::scenario::OrgSpec {
        name: format!("org-{org}"),
        spaces: vec![foundation_emulator::scenario::SpaceSpec {
            name: format!("space-{org}"),
            segment: None,
            apps: apps.collect(),
        }],
    }
}
