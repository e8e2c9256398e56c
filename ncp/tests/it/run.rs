//! `ncp run` as an operator runs it: the binary, its signals, its socket.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use http::Method;
use ncp::admin::client::{self, ClientError};
use ncp::sandbox::{Options, Sandbox};
use ncp::telemetry::{Confirmed, Role, Snapshot};
use nsx_manager_emulator::{Effect, Matcher};
use tokio_util::sync::CancellationToken;

use crate::cli::{ncp, text};

/// Longest that anything here may take; far more than it does.
const LIMIT: Duration = Duration::from_secs(60);

/// A controller in a process of its own, ended with the test.
struct Daemon(Child);

impl Daemon {
    fn start(config: &Path, more: &[&str]) -> Daemon {
        let daemon = Command::new(env!("CARGO_BIN_EXE_ncp"))
            .args(["run", "--config", config.to_str().unwrap()])
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Daemon(daemon)
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([name, &self.0.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    async fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < LIMIT, "the controller goes on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.0.kill();
        self.0.wait().unwrap();
    }
}

/// The first status that is so.
async fn status(socket: &Path, what: &str, is: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let begun = Instant::now();
    let mut last = None;
    while begun.elapsed() < LIMIT {
        match client::ask::<Snapshot>(socket, Method::GET, "/status").await {
            Ok(snapshot) if is(&snapshot) => return snapshot,
            Ok(snapshot) => last = Some(snapshot),
            Err(ClientError::Unreachable { .. }) => {}
            Err(error) => panic!("{what}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} never came; last: {last:#?}");
}

fn leads(snapshot: &Snapshot) -> bool {
    snapshot.role == Role::Leader && snapshot.converged && !snapshot.objects.is_empty()
}

async fn sandbox() -> (Sandbox, std::path::PathBuf) {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let socket = sandbox.config.ncp.admin_socket.clone();
    (sandbox, socket)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_converges_and_gives_its_lock_back() {
    let (sandbox, socket) = sandbox().await;
    let mut daemon = Daemon::start(&sandbox.config.file, &[]);
    let now = status(&socket, "convergence", leads).await;
    assert_eq!(now.leader.unwrap().id, now.id);
    let names: Vec<_> = now.watchers.iter().map(|w| (w.name.as_str(), w.up)).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(names.iter().all(|(_, up)| *up), "{names:?}");
    assert!(now.watchers.iter().any(|w| w.events_total > 0));
    assert!(
        now.scopes.iter().filter(|s| s.complete).count() > 3,
        "{:#?}",
        now.scopes
    );
    let ports = now.objects["port"];
    let containers = sandbox.foundation.world().containers.len() as u64;
    assert_eq!(
        (ports.desired, ports.present, ports.waiting),
        (containers, containers, 0)
    );
    assert!(now.peers.iter().all(|peer| peer.healthy), "{:?}", now.peers);

    // Nothing is held back, and a second controller stands by until the lock is given back.
    let config = sandbox.config.file.to_str().unwrap();
    let said = ncp(&["confirm", "--config", config]);
    assert_eq!(text(&said.stdout), "nothing is held back\n");
    let busy = ncp(&["run", "--config", config]);
    assert_eq!(busy.status.code(), Some(1));
    assert!(
        text(&busy.stderr).contains("another controller serves"),
        "{}",
        text(&busy.stderr)
    );

    daemon.signal("-TERM");
    assert_eq!(daemon.ended().await.code(), Some(0));
    assert!(!socket.exists());
    let findings = ncp::check::reach(&sandbox.config).await;
    assert!(
        findings.iter().any(|f| f.text.ends_with("is free")),
        "{findings:#?}"
    );

    // Over an unchanged network a restart writes nothing.
    let writes = sandbox.managers.log().counts().writes;
    let _again = Daemon::start(&sandbox.config.file, &[]);
    status(&socket, "convergence", leads).await;
    assert_eq!(sandbox.managers.log().counts().writes, writes);
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observer_writes_nothing() {
    let (sandbox, socket) = sandbox().await;
    let _daemon = Daemon::start(&sandbox.config.file, &["--observe-only"]);
    let listed = |s: &Snapshot| s.ready && s.unsettled > 0 && s.objects.contains_key("router");
    let now = status(&socket, "a plan", |s| s.role == Role::Observer && listed(s)).await;
    assert!(!now.converged);
    assert_eq!(now.traffic.writes, 0);
    assert_eq!(sandbox.managers.log().writes().len(), 0);
    let refused = ncp(&["confirm", "--config", sandbox.config.file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("does not lead (observer)"),
        "{}",
        text(&refused.stderr)
    );
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn managers_that_are_down_are_waited_for() {
    let (sandbox, socket) = sandbox().await;
    for manager in 0..3 {
        sandbox.managers.kill(manager).await.unwrap();
    }
    let _daemon = Daemon::start(&sandbox.config.file, &[]);
    let down = |s: &Snapshot| s.peers.iter().any(|p| p.code.as_deref() == Some("NCP00009"));
    let waiting = status(&socket, "waiting", down).await;
    assert_eq!(waiting.role, Role::Starting);
    for manager in 0..3 {
        sandbox.managers.revive(manager).await.unwrap();
    }
    status(&socket, "convergence", leads).await;
    sandbox.stop().await;
}

/// A controller whose requests are never answered, with a second to drain.
async fn draining() -> (Sandbox, Daemon) {
    let (sandbox, socket) = sandbox().await;
    let file = &sandbox.config.file;
    let short = format!("{}drain_timeout = 1\n", std::fs::read_to_string(file).unwrap());
    std::fs::write(file, short).unwrap();
    sandbox.managers.faults().inject(Matcher::writes(), Effect::Hang);
    let daemon = Daemon::start(file, &[]);
    status(&socket, "a request under way", |s| {
        s.role == Role::Leader && s.in_flight > 0
    })
    .await;
    (sandbox, daemon)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_ends_at_its_limit() {
    let (sandbox, mut daemon) = draining().await;
    let begun = Instant::now();
    daemon.signal("-TERM");
    assert_eq!(daemon.ended().await.code(), Some(1));
    assert!(begun.elapsed() >= Duration::from_secs(1));
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once() {
    let (sandbox, mut daemon) = draining().await;
    daemon.signal("-TERM");
    let socket = &sandbox.config.ncp.admin_socket;
    status(socket, "draining", |s| s.role == Role::Draining).await;
    daemon.signal("-INT");
    assert_eq!(daemon.ended().await.code(), Some(130));
    sandbox.stop().await;
}

/// More than a fifth of all ports: only the operator's word lets them go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_removal_waits_for_the_operator() {
    let (sandbox, socket) = sandbox().await;
    sandbox
        .foundation
        .scale("retail/production/storefront", 70)
        .unwrap();
    let stop = CancellationToken::new();
    let served = sandbox.serve(stop.clone());
    let work = async {
        let full = status(&socket, "convergence", leads).await;
        let all = full.objects["port"].present;
        let stood = logical_ports(&sandbox);
        sandbox
            .foundation
            .scale("retail/production/storefront", 1)
            .unwrap();
        let held = status(&socket, "the brake", |s| {
            s.brake
                .as_ref()
                .is_some_and(|b| b.contains("ports") && b.contains("waits for your word"))
        })
        .await;
        assert_eq!(logical_ports(&sandbox), stood);
        assert!(!held.converged);
        let released: Confirmed = client::ask(&socket, Method::POST, "/confirm").await.unwrap();
        assert_eq!(released.released.len(), 1, "{released:?}");
        let after = status(&socket, "convergence", |s| {
            leads(s) && s.objects["port"].present < all
        })
        .await;
        assert_eq!(after.objects["port"].present, all - 69);
        stop.cancel();
    };
    let (served, ()) = tokio::join!(served, work);
    served.unwrap();
    sandbox.stop().await;
}

fn logical_ports(sandbox: &Sandbox) -> usize {
    sandbox.managers.inventory().list("LogicalPort").len()
}
