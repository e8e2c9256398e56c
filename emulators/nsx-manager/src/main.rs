//! The emulator as a program of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use nsx_manager_emulator::{Emulator, EmulatorError, Fixture, LogMode, Options, State, Tls, Version};

/// An NSX-T Manager that speaks the real manager API and judges what it is sent.
#[derive(Debug, Parser)]
struct Arguments {
    /// Address of the first manager; the others take the following ports.
    #[arg(long, default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// Number of managers.
    #[arg(long, default_value_t = 1)]
    managers: usize,
    /// Release to speak: 2.3, 2.4 or 2.5.
    #[arg(long, default_value = "2.4")]
    version: Version,
    /// File that keeps the objects; without one they are gone at the end.
    #[arg(long)]
    state: Option<PathBuf>,
    /// Speak HTTPS with a certificate of an own authority, which is printed.
    #[arg(long)]
    tls: bool,
    /// Address of the control API.
    #[arg(long)]
    control: Option<SocketAddr>,
    /// Fill an empty manager with what an operator prepares, e.g. `cells=3`.
    #[arg(long, value_name = "cells=N")]
    fixture: Option<Fixture>,
    /// Largest page of any list.
    #[arg(long)]
    page_limit: Option<usize>,
    /// User name of the one account.
    #[arg(long, default_value = "admin")]
    user: String,
    /// Password of the one account.
    #[arg(
        long,
        env = "NSX_EMULATOR_PASSWORD",
        default_value = "VMware1!VMware1!",
        hide_env_values = true
    )]
    password: String,
    /// Count requests, but don't remember them.
    #[arg(long)]
    counts_only: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("nsx-manager-emulator: {fault}");
            let causes = std::iter::successors(std::error::Error::source(&fault), |cause| cause.source());
            causes.for_each(|cause| eprintln!("  because: {cause}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), EmulatorError> {
    let fixture = arguments.fixture.clone();
    let emulator = Emulator::start(options(arguments)).await?;
    if let Some(fixture) = fixture {
        emulator.fixture(&fixture)?;
    }
    for url in emulator.urls() {
        println!("manager {url}");
    }
    if let Some(control) = emulator.control_url() {
        println!("control {control}");
    }
    if let Some(pem) = emulator.ca_pem() {
        print!("{pem}");
    }
    // Without a signal handler the process just ends, and so does the emulator.
    let _ = tokio::signal::ctrl_c().await;
    emulator.stop().await;
    Ok(())
}

fn options(arguments: Arguments) -> Options {
    Options {
        version: arguments.version,
        tls: if arguments.tls {
            Tls::On { client_auth: true }
        } else {
            Tls::Off
        },
        managers: arguments.managers,
        listen: arguments.listen,
        control: arguments.control,
        state: arguments.state.map_or(State::Memory, State::File),
        credentials: nsx_manager_emulator::Credentials {
            username: arguments.user,
            password: arguments.password,
        },
        page_limit: arguments.page_limit,
        log: if arguments.counts_only {
            LogMode::Counts
        } else {
            LogMode::Full(100_000)
        },
        ..Options::default()
    }
}
