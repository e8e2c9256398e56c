//! The `ncp` program.

use std::process::ExitCode;

/// A cold start makes and drops some ten million small values.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ncp::cli::main(std::env::args_os()).into()
}
