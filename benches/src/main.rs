//! The figures of `docs/performance.md`.
//!
//! `make bench` runs all of them and prints a table and, with `--json FILE`, the numbers. Nothing here
//! passes or fails: tests hold counts, this shows times and memory.

mod answers;
mod engine;
mod random;
mod table;
mod world;

use std::path::PathBuf;

use clap::Parser;

/// As in the `ncp` program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the engine on generated worlds.
#[derive(Debug, Parser)]
struct Arguments {
    /// Also write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Seed of the generated worlds
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let mut table = table::Table::default();
    engine::measure(arguments.seed, &mut table);
    println!("{table}");
    if let Some(file) = arguments.json {
        std::fs::write(file, table.json())?;
    }
    Ok(())
}
