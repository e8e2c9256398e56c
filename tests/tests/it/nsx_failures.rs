//! Managers that refuse, fail, lose answers, are slow, stale, or gone: the end is always the same, and status
//! says meanwhile what is wrong.

use std::time::Duration;

use ncp::wiring::Pace;
use ncp_core::code::Code;
use ncp_tests::network::{assert_same, assert_sound, assert_untouched, foreign, shape};
use ncp_tests::oracle::assert_verdicts;
use ncp_tests::rig::pace;
use ncp_tests::{Live, Rig, Setup};
use nsx_manager_emulator::{Effect, Matcher};

use crate::stories::{CHANGE, everything};

/// Every kind of write that the story makes: method and part of the path.
const KINDS: [(&str, &str); 22] = [
    ("POST", "/firewall/sections"),
    ("POST", "/rules"),
    ("POST", "/rules?"),
    ("POST", "/ip-sets"),
    ("POST", "/logical-ports"),
    ("POST", "/logical-router-ports"),
    ("POST", "/logical-routers"),
    ("POST", "/nat/rules"),
    ("POST", "/logical-switches"),
    ("POST", "/ns-groups"),
    ("POST", "/ns-groups/"),
    ("POST", "/pools/ip-pools/"),
    ("POST", "/pools/ip-subnets"),
    ("POST", "/switching-profiles"),
    ("PUT", "/ip-sets/"),
    ("PUT", "/routing/advertisement"),
    ("DELETE", "/logical-ports/"),
    ("DELETE", "/nat/rules/"),
    ("DELETE", "/rules/"),
    ("DELETE", "/firewall/sections/"),
    ("DELETE", "/ns-groups/"),
    ("DELETE", "/ip-sets/"),
];

/// Does the story while the first write of every kind meets the effect, and holds the end against the
/// undisturbed one.
async fn each_write_meets(effect: Effect) {
    let like = CHANGE.undisturbed().await;
    let rig = Rig::with(Setup::default()).await;
    let others = foreign(&rig.managers.inventory());
    let before = rig.last();
    for (method, path) in KINDS {
        let when = Matcher {
            method: Some(method.to_owned()),
            path: Some(path.to_owned()),
            writes: true,
            ..Matcher::any()
        };
        rig.managers.faults().inject(when.once(), effect.clone());
    }
    let live = rig.settled().await;
    everything(&rig);
    live.settle().await;
    let hit = rig
        .managers
        .log()
        .entries(before)
        .iter()
        .filter(|entry| entry.write && bad(entry.status))
        .count();
    assert!(hit >= 15, "only {hit} writes met {effect:?}");
    let inventory = rig.managers.inventory();
    let what = format!("{effect:?}");
    assert_same(&what, &like.shape, &shape(&inventory));
    assert_sound(&what, &inventory);
    assert_untouched(&what, &others, &inventory);
    end(rig, live).await;
}

/// Answered with an error, or not at all.
fn bad(status: Option<u16>) -> bool {
    status.is_none_or(|status| status >= 400)
}

async fn end(rig: Rig, live: Live) {
    assert_verdicts(&rig);
    live.stop().await.unwrap();
    rig.stop().await;
}

macro_rules! each_write {
    ($($name:ident: $effect:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            each_write_meets($effect).await;
        }
    )*};
}

each_write! {
    each_write_meets_too_many_requests: Effect::Status(429, 102);
    each_write_meets_unavailable: Effect::Status(503, 98);
    each_write_meets_a_conflict: Effect::Status(409, 98);
    each_write_meets_a_stale_revision: Effect::Status(412, 206);
    each_write_meets_a_service_that_is_down: Effect::Status(500, 98);
    each_write_meets_an_internal_error: Effect::Status(500, 1);
    each_write_is_done_and_answered_with_an_error: Effect::StatusAfter(500, 1);
    each_write_is_cut_before_it_is_done: Effect::ResetBefore;
    each_write_is_done_and_cut_before_the_answer: Effect::ResetAfter;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_managers_dead() {
    let like = CHANGE.undisturbed().await;
    let rig = three(String::new()).await;
    rig.managers.kill(0).await.unwrap();
    let live = rig.settled().await;
    rig.managers.revive(0).await.unwrap();
    rig.managers.kill(1).await.unwrap();
    everything(&rig);
    live.settle().await;
    assert_same("one dead", &like.shape, &shape(&rig.managers.inventory()));
    end(rig, live).await;
}

async fn three(nsx: String) -> Rig {
    Rig::with(Setup {
        managers: 3,
        nsx,
        ..Setup::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_managers_dead_for_a_while() {
    let like = CHANGE.undisturbed().await;
    let rig = three("http_timeout = 1\nhttp_retries = 0".to_owned()).await;
    let live = rig.settled().await;
    for manager in 0..3 {
        rig.managers.kill(manager).await.unwrap();
    }
    everything(&rig);
    let report = live
        .until("the far end's failure in the report", |report| {
            report
                .status
                .as_ref()
                .is_some_and(|status| status.far_end.is_some())
        })
        .await;
    assert!(!report.converged());
    let running = live.running().await;
    ncp_tests::until("an unhealthy peer in the status", || {
        let snapshot = running.snapshot(&report, false);
        let nsx = snapshot.peers.iter().find(|peer| peer.name == "nsx").unwrap();
        !nsx.healthy && nsx.code.as_deref() == Some("NCP00009")
    })
    .await;
    for manager in 0..3 {
        rig.managers.revive(manager).await.unwrap();
    }
    live.settle().await;
    assert_same("all dead", &like.shape, &shape(&rig.managers.inventory()));
    assert_eq!(
        live.report().await.status.unwrap().far_end,
        None,
        "over, and so out of the status"
    );
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_expire_in_the_middle() {
    let like = CHANGE.undisturbed().await;
    let rig = Rig::with(Setup::default()).await;
    rig.managers.faults().inject(
        Matcher {
            skip: 20,
            times: 1,
            ..Matcher::any()
        },
        Effect::ExpireSession,
    );
    let live = rig.settled().await;
    rig.managers.faults().expire_sessions();
    everything(&rig);
    live.settle().await;
    assert_same("expired", &like.shape, &shape(&rig.managers.inventory()));
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_slow_lists_stale_and_pages_small() {
    let like = CHANGE.undisturbed().await;
    let rig = Rig::with(Setup {
        page_limit: Some(3),
        pace: Pace {
            drift: Duration::from_millis(100),
            ..pace()
        },
        ..Setup::default()
    })
    .await;
    rig.managers.faults().set_latency(Duration::from_millis(30));
    let live = rig.settled().await;
    live.kill().await;
    // The next one sees lists as they were before the last writes, for a while: without further writes the
    // emulator's lists would never catch up. What it makes twice, if anything, it takes back once it sees both.
    rig.managers.faults().set_stale_lists(15);
    let before = rig.managers.log().counts().writes;
    let live = rig.live();
    everything(&rig);
    ncp_tests::until("work done by stale lists", || {
        rig.managers.log().counts().writes > before + 15
    })
    .await;
    rig.managers.faults().clear();
    ncp_tests::until("sound again", || {
        ncp_tests::network::unsound(&rig.managers.inventory()).is_empty()
    })
    .await;
    live.settle().await;
    let inventory = rig.managers.inventory();
    assert_same("stale", &like.shape, &shape(&inventory));
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configured_rate_is_never_exceeded() {
    let like = CHANGE.undisturbed().await;
    let rig = Rig::with(Setup {
        nsx: "max_api_rate = 50".to_owned(),
        ..Setup::default()
    })
    .await;
    rig.managers.faults().set_rate_limit(Some(50));
    let live = rig.settled().await;
    everything(&rig);
    live.settle().await;
    assert_same("paced", &like.shape, &shape(&rig.managers.inventory()));
    let refused = rig.managers.log().counts().statuses.get(&429).copied();
    assert_eq!(refused, None, "requests above the rate");
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_that_nobody_told_is_found_out() {
    let like = CHANGE.undisturbed().await;
    let rig = Rig::with(Setup::default()).await;
    rig.managers.faults().set_rate_limit(Some(30));
    let live = rig.settled().await;
    everything(&rig);
    live.settle().await;
    assert_same("limited", &like.shape, &shape(&rig.managers.inventory()));
    let statuses = rig.managers.log().counts().statuses;
    let refused = statuses.get(&429).copied().unwrap_or_default();
    println!("refused at a rate of 30/s: {refused}");
    assert!(refused < 60, "{statuses:?}");
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_object_holds_back_itself_alone_and_says_so() {
    let rig = Rig::with(Setup::default()).await;
    let live = rig.settled().await;
    let refused = rig.managers.faults().inject(
        Matcher {
            body: Some("acme-web/2".to_owned()),
            ..Matcher::writes()
        },
        Effect::Status(400, 8402),
    );
    rig.foundation.scale("web", 3).unwrap();
    rig.foundation.scale("api", 2).unwrap();
    let report = live
        .until("a condition of the refused instance", |report| {
            report
                .conditions
                .iter()
                .any(|c| c.origin.name.as_deref() == Some("web/2"))
        })
        .await;
    let condition = report
        .conditions
        .iter()
        .find(|c| c.origin.name.as_deref() == Some("web/2"))
        .unwrap();
    assert_ne!(condition.code, Code::InvalidState, "{condition:?}");
    println!("{condition:?}");
    ncp_tests::until("the other app's instance", || {
        rig.managers
            .inventory()
            .named("LogicalPort", "acme-api/1")
            .is_some()
    })
    .await;
    rig.managers.faults().remove(refused);
    live.settle().await;
    assert!(live.report().await.conditions.is_empty());
    end(rig, live).await;
}
