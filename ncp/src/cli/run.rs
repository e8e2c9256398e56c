//! `ncp run`: the daemon.

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{ConfigFile, Exit, check};
use crate::config::Config;
use crate::daemon::{self, DaemonError};
use crate::logging::{self, Source};
use crate::wiring::{Mode, Pace};

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
    for notice in &config.notices {
        tracing::warn!("{}", notice.at(&config.file));
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
    match daemon::serve(config, &Pace::default(), mode, stop).await {
        Ok(()) => Exit::Done,
        Err(error) => failed(&error),
    }
}

/// Said twice: to the log, and to whoever started the program by hand.
fn failed(error: &DaemonError) -> Exit {
    tracing::error!(error = %error, "the controller ended");
    eprintln!("{error}");
    if error.is_configuration() {
        Exit::Configuration
    } else {
        Exit::Failed
    }
}

/// Cancels `stop` at the first signal and ends the process at the second.
#[expect(
    clippy::disallowed_methods,
    reason = "a second signal asks for the end at once, whatever is left undone"
)]
pub(super) async fn signals(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!("signals can't be handled; the first one ends the program");
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
