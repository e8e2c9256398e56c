//! `ncp plan`: what would change; changes nothing.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use ncp_core::engine::Plan;

use super::{ConfigFile, Exit, check};
use crate::daemon::page;
use crate::wiring::{Pace, PlanError, plan};

/// Arguments of `ncp plan`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Seconds to wait for the platform's listings and the managers' lists
    #[arg(long, default_value_t = 120)]
    timeout: u64,
}

/// Reads everything once and prints the difference.
pub(super) fn run(arguments: &Arguments) -> Exit {
    let config = match check::load(&arguments.config.path) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let limit = Duration::from_secs(arguments.timeout);
    super::block_on(async {
        match plan(&config, &Pace::default(), limit).await {
            Ok(plan) => print(&plan, arguments.json),
            Err(error) => {
                eprintln!("{error}");
                match error {
                    PlanError::Controller(error) if error.is_configuration() => Exit::Configuration,
                    _ => Exit::Failed,
                }
            }
        }
    })
}

fn print(plan: &Plan, json: bool) -> Exit {
    let page = page(plan);
    let text = if json {
        format!("{:#}\n", page.json)
    } else {
        page.text
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) if plan.steps.is_empty() => Exit::Done,
        Ok(()) => Exit::Changes,
        Err(_) => Exit::Failed,
    }
}
