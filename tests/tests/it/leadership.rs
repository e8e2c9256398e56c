//! Two controllers, one of which leads: nothing is written by the other, and no request is started after a
//! lock is lost, whatever happens to who held it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use foundation_emulator::LocketFaults;
use ncp_tests::network::{assert_same, assert_sound, shape};
use ncp_tests::oracle::assert_verdicts;
use ncp_tests::program::Program;
use ncp_tests::wait::timed;
use ncp_tests::{Ha, Live, Rig, Setup, until};

const HA: Ha = Ha {
    ttl: 4,
    period: 1,
    timeout: 1,
};
/// What a busy machine may add to any time that is measured here.
const SLACK: Duration = Duration::from_secs(2);

/// Two controllers' rig; plans take seconds, at so many writes in one.
async fn rig(rate: u32) -> Rig {
    Rig::with(Setup {
        ha: Some(HA),
        managers: 2,
        nsx: format!("max_api_rate = {rate}"),
        ..Setup::default()
    })
    .await
}

async fn leads(live: &Live) {
    let mut fence = live.running().await.fence;
    let led = tokio::time::timeout(ncp_tests::LIMIT, fence.wait_for(Option::is_some)).await;
    led.expect("leads in time").expect("runs");
}

async fn follows(live: &Live) {
    let mut fence = live.running().await.fence;
    let lost = tokio::time::timeout(ncp_tests::LIMIT, fence.wait_for(Option::is_none)).await;
    lost.expect("lost in time").expect("runs");
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// Writes that came to the managers at or after a time.
fn writes_from(rig: &Rig, time: i64) -> usize {
    rig.managers
        .log()
        .writes()
        .iter()
        .filter(|entry| entry.time >= time)
        .count()
}

fn ports(rig: &Rig) -> usize {
    let ports = rig.managers.inventory().list("LogicalPort");
    ports
        .iter()
        .filter(|port| port["attachment"]["context"]["vif_type"] == "CHILD")
        .count()
}

async fn end(rig: Rig, live: Live) {
    live.settle().await;
    assert_sound("in the end", &rig.managers.inventory());
    assert_verdicts(&rig);
    live.stop().await.unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_writes_nothing_and_takes_over_from_a_clean_stop() {
    let rig = rig(100).await;
    let first = rig.settled().await;
    let second = rig.live();
    second.hear_polled().await;
    rig.foundation.scale("web", 4).unwrap();
    first.settle().await;
    let standby = second.running().await;
    assert!(standby.fence.borrow().is_none());
    assert_eq!(standby.network.counters().writes, 0);
    let before = shape(&rig.managers.inventory());
    let last = rig.last();
    let (stopped, took) = timed(async {
        let stopped = first.stop().await;
        leads(&second).await;
        stopped
    })
    .await;
    stopped.unwrap();
    assert!(took <= Duration::from_secs(2) + SLACK, "{took:?}");
    second.settle().await;
    assert_eq!(
        rig.written_since(last).total(),
        0,
        "a hand-over alone changes nothing"
    );
    assert_same("handed over", &before, &shape(&rig.managers.inventory()));
    end(rig, second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_over_from_a_crash_in_the_middle_of_a_plan() {
    let rig = rig(15).await;
    let first = rig.settled().await;
    let second = rig.live();
    second.hear_polled().await;
    let before = ports(&rig);
    rig.foundation.scale("web", 42).unwrap();
    until("the plan under way", || ports(&rig) >= before + 5).await;
    first.kill().await;
    let ((), took) = timed(leads(&second)).await;
    // The lock's time, five seconds of the lock service, one retry.
    let limit = Duration::from_secs(HA.ttl + 5) + Duration::from_millis(1500);
    assert!(took <= limit + SLACK, "{took:?}");
    assert!(ports(&rig) < before + 40, "there was something left to do");
    second.settle().await;
    assert_eq!(ports(&rig), before + 40);
    end(rig, second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_lost_in_the_middle_of_a_plan_ends_its_writes() {
    let rig = rig(10).await;
    let live = rig.settled().await;
    let before = ports(&rig);
    rig.foundation.scale("web", 82).unwrap();
    until("the plan under way", || ports(&rig) > before).await;
    rig.foundation.set_locket_faults(LocketFaults {
        down: true,
        ..LocketFaults::default()
    });
    follows(&live).await;
    let lost = now();
    let there = ports(&rig);
    assert!(there < before + 80, "there was something left to do");
    // The sources are looked at on and on, and it knows what there is to do.
    live.hear_polled().await;
    live.hear_polled().await;
    // What was sent in the last instant may still arrive.
    assert_eq!(
        writes_from(&rig, lost + 200),
        0,
        "nothing is started without the lock"
    );
    assert!(ports(&rig) <= there + 1);
    rig.foundation.set_locket_faults(LocketFaults::default());
    leads(&live).await;
    end(rig, live).await;
}

/// A configuration for one of two programs: its own admin socket, and one manager, by which its requests can
/// be told from the other's.
fn file_for(rig: &Rig, number: usize) -> String {
    let text = std::fs::read_to_string(rig.file()).unwrap();
    let urls = rig.managers.urls();
    let text = text
        .replace(&urls.join(", "), &urls[number])
        .replace("ncp.sock", &format!("ncp-{number}.sock"))
        .replace(
            "[cf]\n",
            "[cf]\ncapi_poll_interval = 1\npolicy_poll_interval = 1\n",
        );
    let file = rig.folder.path().join(format!("ncp-{number}.ini"));
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_leader_that_thaws_starts_nothing() {
    let rig = rig(10).await;
    let by = |number: usize| {
        rig.managers
            .log()
            .writes()
            .iter()
            .filter(|e| e.manager == number)
            .count()
    };
    let first = Program::start(&["run", "--config", &file_for(&rig, 0)]);
    let wanted = rig.foundation.world().containers.len();
    until("the first at work", || ports(&rig) == wanted).await;
    let second = Program::start(&["run", "--config", &file_for(&rig, 1)]);
    rig.foundation.scale("web", 62).unwrap();
    until("the plan under way", || ports(&rig) > wanted + 3).await;
    first.signal("STOP").await;
    until("the second at work", || by(1) > 3).await;
    let before = by(0);
    assert!(ports(&rig) < wanted + 60, "there is something left to do");
    first.signal("CONT").await;
    until("all done by the second", || ports(&rig) == wanted + 60).await;
    // It had time for two dozen more requests, and what it wanted to do was there to be done.
    assert_eq!(by(0), before, "the thawed one started a write");
    assert_sound("frozen and thawed", &rig.managers.inventory());
    first.signal("TERM").await;
    second.signal("TERM").await;
    assert_eq!(first.ended().await, Some(0));
    assert_eq!(second.ended().await, Some(0));
    rig.stop().await;
}
