//! The figures of `docs/performance.md`.
//!
//! `make bench` runs all of them and prints a table and, with `--json FILE`, the numbers. Nothing here
//! passes or fails: tests hold counts, this shows times and memory.

mod answers;
mod engine;
mod random;
mod sockets;
mod table;
mod world;

use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use clap::Parser;

use table::Table;

/// As in the `ncp` program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the engine on generated worlds, and the controller over sockets.
#[derive(Debug, Parser)]
struct Arguments {
    /// Also write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Seed of the generated worlds
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// What to measure
    #[arg(long, value_enum, default_value_t = Part::All)]
    part: Part,
    /// Instances of the runs over sockets; the goal is stated for 10000, which take two minutes
    #[arg(long, default_value_t = 1_000)]
    instances: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Everything, the worlds in processes of their own
    All,
    /// The engine alone, on the large foundation
    Foundation,
    /// The engine alone, on many small groups
    Groups,
    /// The controller against the emulators
    Sockets,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut table = Table::default();
    match arguments.part {
        Part::All => {
            // Memory that one world's engine has had would be counted for the next.
            for part in ["foundation", "groups", "sockets"] {
                table.append(of_its_own(arguments, part)?);
            }
        }
        Part::Foundation => engine::foundation(arguments.seed, &mut table),
        Part::Groups => engine::groups(arguments.seed, &mut table),
        Part::Sockets => sockets::measure(arguments.instances, &mut table)?,
    }
    println!("{table}");
    if let Some(file) = &arguments.json {
        std::fs::write(file, table.json())?;
    }
    Ok(())
}

/// One part in a process of its own.
fn of_its_own(arguments: &Arguments, part: &str) -> Result<Table, Box<dyn Error>> {
    let file = std::env::temp_dir().join(format!("ncp-bench-{}-{part}.json", std::process::id()));
    let status = Command::new(std::env::current_exe()?)
        .args(["--part", part, "--seed", &arguments.seed.to_string()])
        .args(["--instances", &arguments.instances.to_string()])
        .arg("--json")
        .arg(&file)
        .stdout(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(format!("{part}: {status}").into());
    }
    let table = serde_json::from_slice(&std::fs::read(&file)?)?;
    std::fs::remove_file(&file)?;
    Ok(table)
}
