//! `ncp run`: the daemon.

use std::sync::Arc;

use clap::Args;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{ConfigFile, Exit, check};
use crate::admin::{self, Doors, Inside, PlanRequest};
use crate::config::Config;
use crate::driver::{Order, Report};
use crate::logging::{self, Source};
use crate::telemetry::{PlanPage, Snapshot};
use crate::wiring::{Controller, ControllerError, Mode, Pace, Running};

/// Arguments of `ncp run`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Read and decide everything, write nothing, and take no lock
    #[arg(long)]
    observe_only: bool,
}

/// Runs until SIGTERM or SIGINT; a second signal ends at once.
pub(super) fn run(arguments: &Arguments) -> Exit {
    let config = match check::load(&arguments.config.path) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    if let Err(error) = logging::start(Source::controller(), &config.logs, &config.coe, &config.k8s) {
        eprintln!("{error}");
        return Exit::Failed;
    }
    let mode = if arguments.observe_only {
        Mode::Observe
    } else {
        Mode::Write
    };
    super::block_on(serve(&config, mode))
}

async fn serve(config: &Config, mode: Mode) -> Exit {
    let stop = CancellationToken::new();
    tokio::spawn(signals(stop.clone()));
    let made = tokio::select! {
        made = make(config, mode) => made,
        () = stop.cancelled() => return Exit::Done,
    };
    let controller = match made {
        Ok(controller) => controller,
        Err(error) => return failed(&error),
    };
    let doors = match Doors::open(&config.ncp.admin_socket, admin_address(config)).await {
        Ok(doors) => doors,
        Err(error) => {
            tracing::error!(code = "NCP03002", error = %error, "admin API can't be served");
            return Exit::Failed;
        }
    };
    let (running, life) = controller.start(stop.clone());
    let ended = tokio::join!(life, look_inside(running, doors, stop)).0;
    match ended {
        Ok(()) => Exit::Done,
        Err(error) => failed(&error),
    }
}

/// Makes the controller, waiting for managers that do not answer yet.
async fn make(config: &Config, mode: Mode) -> Result<Controller, ControllerError> {
    let mut wait = std::time::Duration::from_secs(1);
    loop {
        match Controller::new(config, &Pace::default(), mode).await {
            Err(ControllerError::Network(error)) if error.is_passing() => {
                tracing::error!(code = "NCP00009", error = %error, "waiting for an NSX manager");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(std::time::Duration::from_secs(30));
            }
            made => return made,
        }
    }
}

fn failed(error: &ControllerError) -> Exit {
    tracing::error!(code = "NCP00002", error = %error, "controller ended");
    eprintln!("{error}");
    Exit::Failed
}

fn admin_address(config: &Config) -> Option<std::net::SocketAddr> {
    config
        .ncp
        .admin_address
        .as_ref()
        .and_then(crate::config::Address::socket)
}

/// Serves the admin API over a running controller until told to stop.
pub(crate) async fn look_inside(running: Running, doors: Doors, stop: CancellationToken) {
    let (to_snapshot, snapshot) = watch::channel(Arc::new(Snapshot::default()));
    let (plan, asked) = mpsc::channel(4);
    let serve = admin::serve(doors, Inside { snapshot, plan }, stop.clone());
    let reports = running.reports.clone();
    let orders = running.orders.clone();
    let (served, (), ()) = tokio::join!(
        serve,
        publish(running, reports, to_snapshot, stop.clone()),
        answer_plans(orders, asked, stop)
    );
    if let Err(error) = served {
        tracing::error!(code = "NCP03003", error = %error, "admin API ended");
    }
}

async fn publish(
    running: Running,
    mut reports: watch::Receiver<Arc<Report>>,
    to: watch::Sender<Arc<Snapshot>>,
    stop: CancellationToken,
) {
    loop {
        let report = reports.borrow_and_update().clone();
        drop(to.send(Arc::new(running.snapshot(&report))));
        tokio::select! {
            changed = reports.changed() => if changed.is_err() { return },
            // Health of the far ends moves without the engine.
            () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn answer_plans(
    orders: mpsc::Sender<Order>,
    mut asked: mpsc::Receiver<PlanRequest>,
    stop: CancellationToken,
) {
    loop {
        let reply = tokio::select! {
            Some(reply) = asked.recv() => reply,
            () = stop.cancelled() => return,
            else => return,
        };
        let (to, plan) = oneshot::channel();
        if orders.send(Order::Plan(to)).await.is_err() {
            return;
        }
        if let Ok(plan) = plan.await {
            // Whoever asked may have gone.
            drop(reply.send(page(&plan)));
        }
    }
}

/// A plan for people and machines.
pub(super) fn page(plan: &ncp_core::engine::Plan) -> PlanPage {
    PlanPage {
        changes: plan.steps.len() as u64,
        text: plan.to_string(),
        json: serde_json::to_value(plan).unwrap_or_default(),
    }
}

pub(super) async fn signals(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    for first in [true, false] {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        if first {
            tracing::info!("stopping; a second signal ends at once");
            stop.cancel();
        }
    }
    std::process::exit(KILLED);
}

/// Exit status after a second signal (128 + SIGINT).
const KILLED: i32 = 130;
