//! The program as people and pipelines run it: `ncp sandbox`, `ncp plan`, `ncp run`.

use ncp_tests::program::{Program, run};
use ncp_tests::rig::{Folder, SMALL};
use ncp_tests::{Rig, Setup, until};
use serde_json::Value;

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(bytes)))
}

fn text(path: &std::path::Path) -> String {
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_converges_once_and_writes_nothing_over_its_own_state() {
    let folder = Folder::new();
    let state = text(folder.path());
    let first = run(&["sandbox", "--once", "--json", "--state", &state]).await;
    assert_eq!(first.status.code(), Some(0), "{first:?}");
    let outcome = json(&first.stdout);
    assert_eq!(outcome["converged"], true);
    assert!(outcome["writes"].as_u64().unwrap() > 100, "{outcome}");
    assert_eq!(outcome["objects"]["port"], 43, "{outcome}");
    assert!(outcome["requests"]["POST"].as_u64().unwrap() > 100, "{outcome}");
    assert!(outcome["seconds"].as_f64().unwrap() > 0.0, "{outcome}");
    assert_eq!(outcome["conditions"].as_array().unwrap().len(), 0, "{outcome}");
    let second = run(&["sandbox", "--once", "--json", "--state", &state]).await;
    assert_eq!(second.status.code(), Some(0), "{second:?}");
    let again = json(&second.stdout);
    assert_eq!(again["writes"], 0, "{again}");
    assert_eq!(again["objects"], outcome["objects"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scenario_of_ones_own_is_taken_and_a_bad_one_explained() {
    let folder = Folder::new();
    let good = folder.path().join("good.yml");
    std::fs::write(&good, SMALL.replace("own-pool", "payments-pool")).unwrap();
    let taken = run(&["sandbox", "--once", "--json", "--scenario", &text(&good)]).await;
    assert_eq!(taken.status.code(), Some(0), "{taken:?}");
    assert_eq!(json(&taken.stdout)["objects"]["port"], 5);
    let bad = folder.path().join("bad.yml");
    std::fs::write(&bad, "orgs:\n  - name: a\n    spaaces: []\n").unwrap();
    let refused = run(&["sandbox", "--once", "--json", "--scenario", &text(&bad)]).await;
    assert_eq!(refused.status.code(), Some(78), "{refused:?}");
    let said = String::from_utf8(refused.stderr).unwrap();
    for part in ["NCP00001", "bad.yml", "spaaces", "line 3"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let absent = run(&["sandbox", "--once", "--scenario", "/nowhere.yml"]).await;
    assert_eq!(absent.status.code(), Some(78), "{absent:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plan_says_what_would_change_and_changes_nothing() {
    let rig = Rig::with(Setup::default()).await;
    let file = text(&rig.file());
    let before = rig.managers.log().counts().writes;
    let empty = run(&["plan", "--json", "--config", &file]).await;
    assert_eq!(empty.status.code(), Some(2), "{empty:?}");
    let steps = json(&empty.stdout)["steps"].as_array().unwrap().len();
    assert!(steps > 40, "{steps} steps");
    let words = run(&["plan", "--config", &file]).await;
    assert_eq!(words.status.code(), Some(2));
    let lines = String::from_utf8_lossy(&words.stdout);
    let made = lines.lines().filter(|line| line.starts_with("+ "));
    assert_eq!(
        made.count(),
        steps,
        "one line for each step of the same plan: {lines}"
    );
    assert_eq!(
        rig.managers.log().counts().writes,
        before,
        "a plan writes nothing"
    );
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observing_writes_nothing_and_ends_on_sigterm() {
    let rig = Rig::with(Setup::default()).await;
    let file = text(&rig.file());
    let observer = Program::start(&["run", "--observe-only", "--config", &file]);
    until("the observer at the managers", || {
        rig.managers.log().counts().total > 15
    })
    .await;
    let socket = rig.folder.path().join("ncp.sock");
    until("its admin API", || socket.exists()).await;
    observer.signal("TERM").await;
    assert_eq!(observer.ended().await, Some(0));
    assert_eq!(rig.managers.log().counts().writes, 0);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_in_the_middle_of_a_plan_waits_for_what_was_sent() {
    let rig = Rig::with(Setup {
        nsx: "max_api_rate = 20".to_owned(),
        ..Setup::default()
    })
    .await;
    rig.managers
        .faults()
        .set_latency(std::time::Duration::from_millis(100));
    let program = Program::start(&["run", "--config", &text(&rig.file())]);
    until("a plan under way", || rig.managers.log().counts().writes > 10).await;
    program.signal("TERM").await;
    assert_eq!(program.ended().await, Some(0));
    let cut = rig
        .managers
        .log()
        .entries(0)
        .into_iter()
        .filter(|e| e.write && e.status.is_none())
        .count();
    assert_eq!(cut, 0, "each write was waited for");
    rig.managers.faults().clear();
    let live = rig.settled().await;
    ncp_tests::network::assert_sound("drained", &rig.managers.inventory());
    ncp_tests::oracle::assert_verdicts(&rig);
    live.stop().await.unwrap();
    rig.stop().await;
}
