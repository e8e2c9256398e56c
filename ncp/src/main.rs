//! The `ncp` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    ncp::cli::main(std::env::args_os()).into()
}
