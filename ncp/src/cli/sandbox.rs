//! `ncp sandbox`: everything on this machine.

use std::path::PathBuf;

use clap::Args;
use foundation_emulator::Scenario;
use tokio_util::sync::CancellationToken;

use super::Exit;
use crate::sandbox::{LIMIT, Options, Outcome, Sandbox, SandboxError};

/// Arguments of `ncp sandbox`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Converge once, look a second time, and end
    #[arg(long)]
    once: bool,
    /// Print one JSON object (with --once)
    #[arg(long, requires = "once")]
    json: bool,
    /// Another foundation, as YAML
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Keep the managers' state in this folder between runs
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Port of the foundation's control API; any free one by default
    #[arg(long, default_value_t = 0)]
    control_port: u16,
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    let scenario = match arguments.scenario.as_deref().map(read).transpose() {
        Ok(scenario) => scenario,
        Err(message) => {
            eprintln!("{message}");
            return Exit::Configuration;
        }
    };
    let options = Options {
        scenario,
        state: arguments.state.clone(),
        control_port: arguments.control_port,
    };
    super::block_on(async {
        match sandbox(options, arguments).await {
            Ok(exit) => exit,
            Err(error) => {
                eprintln!("{}", ncp_pcf::status::chain(&error));
                Exit::Failed
            }
        }
    })
}

fn read(file: &std::path::Path) -> Result<Scenario, String> {
    let text = std::fs::read_to_string(file).map_err(|e| {
        format!(
            "NCP00001 {}: {e}; name a YAML file with --scenario",
            file.display()
        )
    })?;
    Scenario::from_yaml(&text)
        .map_err(|e| format!("NCP00001 {}: {}", file.display(), ncp_pcf::status::chain(&e)))
}

async fn sandbox(options: Options, arguments: &Arguments) -> Result<Exit, SandboxError> {
    let quiet = arguments.json;
    let stop = CancellationToken::new();
    tokio::spawn(super::run::signals(stop.clone()));
    if !quiet {
        println!("Starting three emulated NSX managers and an emulated foundation ...");
    }
    let sandbox = Sandbox::start(options).await?;
    let ended = if arguments.once {
        stop.run_until_cancelled(sandbox.converge(LIMIT, !quiet))
            .await
            .map(|ended| ended.map(Some))
    } else {
        Some(sandbox.serve(stop).await.map(|()| None))
    };
    sandbox.stop().await;
    match ended.transpose()? {
        // Stopped by the user, as is right for one that runs until then.
        Some(None) => Ok(Exit::Done),
        None => Ok(Exit::Failed),
        Some(Some(outcome)) => {
            print(&outcome, quiet);
            Ok(if outcome.converged {
                Exit::Done
            } else {
                Exit::Failed
            })
        }
    }
}

fn print(outcome: &Outcome, json: bool) {
    // Numbers, strings and maps of them always serialize.
    let text = serde_json::to_string_pretty(outcome).unwrap_or_default();
    if json {
        println!("{text}");
    } else {
        println!("converged: {}\n{text}", outcome.converged);
    }
}
