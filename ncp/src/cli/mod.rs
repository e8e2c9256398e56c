//! The command line.
//!
//! One module a subcommand, each with its arguments and a `run` that returns an [`Exit`]. A
//! subcommand appears in `Command` when it does what it says, not before.

mod check;
mod config;
mod confirm;
mod exit;
mod plan;
mod run;
mod sandbox;

pub use exit::Exit;

use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// Where the guide mounts the file (R-NCP-09).
const DEFAULT_FILE: &str = "/etc/nsx-ujo/ncp.ini";

/// Container network controller.
#[derive(Debug, Parser)]
#[command(name = "ncp", version, arg_required_else_help = true, after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what is wrong with the configuration, and with what it names
    Check(check::Arguments),
    /// Print what the configuration may say
    Config(config::Arguments),
    /// Keep the network as the platform's objects call for it
    Run(run::Arguments),
    /// Print what would change, and change nothing
    Plan(plan::Arguments),
    /// Let go what the brakes hold back
    Confirm(confirm::Arguments),
    /// Run against emulated managers and an emulated foundation on this machine
    Sandbox(sandbox::Arguments),
    /// Drive the sandbox's foundation: push, scale, bind security groups, add policies
    Foundation(foundation_emulator::cli::Cli),
}

/// Which configuration to read.
#[derive(Debug, Args)]
struct ConfigFile {
    /// Configuration file
    #[arg(long = "config", value_name = "FILE", env = "NCP_CONFIG", default_value = DEFAULT_FILE)]
    path: PathBuf,
}

/// Runs the command that `arguments` (with the program's name first) ask for.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return exit::explain(&error),
    };
    match cli.command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Config(arguments) => config::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Confirm(arguments) => confirm::run(&arguments),
        Command::Sandbox(arguments) => sandbox::run(&arguments),
        Command::Foundation(cli) => block_on(async {
            match foundation_emulator::cli::run(&cli, &mut std::io::stdout()).await {
                Ok(()) => Exit::Done,
                Err(error) => {
                    eprintln!("{error}");
                    Exit::Failed
                }
            }
        }),
    }
}

/// Runs a subcommand's future to its end.
fn block_on(work: impl Future<Output = Exit>) -> Exit {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => {
            eprintln!("this machine gives no threads or timers: {error}");
            Exit::Failed
        }
    }
}
