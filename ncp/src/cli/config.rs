//! `ncp config`: the sample file and the reference page.

use super::Exit;
use crate::config;
use clap::{Args, Subcommand};
use std::io::Write;

/// Arguments of `ncp config`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A file with every option and its default, to start from
    Sample,
    /// The reference page, docs/configuration.md
    Doc,
}

/// Prints it.
pub(super) fn run(arguments: &Arguments) -> Exit {
    let text = match arguments.what {
        What::Sample => config::sample(),
        What::Doc => config::markdown(),
    };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => Exit::Done,
        Err(_) => Exit::Failed,
    }
}
