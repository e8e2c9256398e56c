//! The built program as a child process, which can be frozen and thawed.

use std::path::PathBuf;
use std::process::{Output, Stdio};

use tokio::process::{Child, Command};

use crate::wait::LIMIT;

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

/// Runs `ncp` to its end.
pub async fn run(arguments: &[&str]) -> Output {
    let run = Command::new(ncp())
        .args(arguments)
        .env_remove("NCP_CONFIG")
        .kill_on_drop(true)
        .output();
    let ended = tokio::time::timeout(LIMIT, run).await;
    ended.expect("ends in time").expect("can be started")
}

/// A running `ncp`. It is killed when dropped.
#[derive(Debug)]
pub struct Program(Child);

impl Program {
    /// Starts `ncp`.
    pub fn start(arguments: &[&str]) -> Program {
        let child = Command::new(ncp())
            .args(arguments)
            .env_remove("NCP_CONFIG")
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn();
        Program(child.expect("can be started"))
    }

    /// Sends a signal, by its name without `SIG`. `kill` is a program of every POSIX system; the standard
    /// library has no call for it.
    pub async fn signal(&self, name: &str) {
        let id = self.0.id().expect("still runs").to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().await;
        assert!(sent.expect("kill(1) can be started").success(), "{name}");
    }

    /// Waits for its end, and returns its status.
    pub async fn ended(mut self) -> Option<i32> {
        let ended = tokio::time::timeout(LIMIT, self.0.wait()).await;
        ended.expect("ends in time").expect("can be waited for").code()
    }
}
