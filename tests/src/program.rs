//! The built program.

use std::path::PathBuf;

/// The `ncp` program beside the test's own binary.
///
/// Cargo tells the path of a program only to tests of its own package. Test binaries are in `deps/` below the
/// folder of the programs; `cargo test` of the workspace has built it, `cargo test -p ncp-tests` alone has
/// not, hence the message.
pub fn ncp() -> PathBuf {
    let me = std::env::current_exe().expect("the test's own path");
    let program = me
        .parent()
        .and_then(|deps| deps.parent())
        .map(|dir| dir.join("ncp"));
    let program = program.expect("below a target folder");
    assert!(
        program.is_file(),
        "{} is not there; build it with `cargo build -p ncp`",
        program.display()
    );
    program
}
