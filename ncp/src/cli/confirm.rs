//! `ncp confirm`: the operator's word for what the brakes hold back.

use std::path::PathBuf;

use clap::Args;
use http::Method;

use super::{ConfigFile, Exit, check};
use crate::admin::client;
use crate::telemetry::Confirmed;

/// Arguments of `ncp confirm`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Admin socket of the controller; the configuration's if absent
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// Asks the controller on this machine, which must be the leader.
pub(super) fn run(arguments: &Arguments) -> Exit {
    let socket = match &arguments.socket {
        Some(socket) => socket.clone(),
        None => match check::load(&arguments.config.path) {
            Ok(config) => config.ncp.admin_socket,
            Err(exit) => return exit,
        },
    };
    super::block_on(async {
        match client::ask::<Confirmed>(&socket, Method::POST, "/confirm").await {
            Ok(confirmed) => say(&confirmed),
            Err(error) => {
                eprintln!("{error}");
                Exit::Failed
            }
        }
    })
}

fn say(confirmed: &Confirmed) -> Exit {
    if confirmed.released.is_empty() {
        println!("nothing is held back");
    }
    for released in &confirmed.released {
        println!("let go: {released}");
    }
    Exit::Done
}
