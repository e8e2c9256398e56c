//! Drives a running foundation emulator: see [`foundation_emulator::cli`].

use std::error::Error;
use std::io;
use std::process::ExitCode;

use clap::Parser;
use foundation_emulator::cli::{self, Cli};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match cli::run(&Cli::parse(), &mut io::stdout()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("foundation: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}
