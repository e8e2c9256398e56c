//! Several BBS addresses, of which one is active.

use diego_wire::routes::{ACTUAL_LRPS, LRP_INSTANCE_EVENTS};
use foundation_emulator::FailOver;

use crate::client::{Events, app, http, with_space};

async fn answers(url: &str) -> bool {
    http()
        .post(format!("{url}{ACTUAL_LRPS}"))
        .send()
        .await
        .is_ok_and(|response| response.status() == 200)
}

#[tokio::test]
async fn only_the_active_one_listens() {
    let foundation = with_space().await;
    let bbs = foundation.endpoints().bbs.clone();
    assert!(answers(&bbs[0]).await && !answers(&bbs[1]).await);
    assert_eq!(foundation.fail_over(FailOver::Clean).await.unwrap(), 1);
    assert!(!answers(&bbs[0]).await && answers(&bbs[1]).await);
    assert_eq!(foundation.fail_over(FailOver::Abrupt).await.unwrap(), 0);
    assert!(answers(&bbs[0]).await && !answers(&bbs[1]).await);
}

#[tokio::test]
async fn a_clean_stop_ends_streams_cleanly() {
    let foundation = with_space().await;
    let mut events = Events::open(&foundation, LRP_INSTANCE_EVENTS).await;
    foundation.push(&app("a", 1)).unwrap();
    foundation.fail_over(FailOver::Clean).await.unwrap();
    assert_eq!(events.take(4).await.len(), 4, "what was queued still comes");
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_crash_cuts_streams() {
    let foundation = with_space().await;
    let events = Events::open(&foundation, LRP_INSTANCE_EVENTS).await;
    foundation.fail_over(FailOver::Abrupt).await.unwrap();
    assert!(events.breaks().await);
}

#[tokio::test]
async fn the_next_one_knows_the_records_and_no_events() {
    let foundation = with_space().await;
    foundation.push(&app("a", 2)).unwrap();
    foundation.fail_over(FailOver::Abrupt).await.unwrap();
    foundation.fail_over(FailOver::Abrupt).await.unwrap();
    let mut events = Events::open(&foundation, LRP_INSTANCE_EVENTS).await;
    assert_eq!(crate::client::actual(&foundation).await.len(), 2);
    foundation.crash("a", 0).unwrap();
    assert_eq!(
        events.take(1).await,
        ["crashed 1"],
        "the first thing heard is the first thing after"
    );
}
