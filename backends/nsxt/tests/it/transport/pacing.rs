//! Slots, credits, and what refusals do to the pace.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ncp_nsxt::transport::{Api, Class, NoObserver};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::manager::{Manager, Reply, api, in_time, ok, options, refuse, until};

#[tokio::test]
async fn no_more_calls_than_slots_are_under_way_at_a_manager() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let release = Arc::new(Semaphore::new(0));
    let manager = Manager::start_async({
        let (now, most, release) = (now.clone(), most.clone(), release.clone());
        move |_| {
            let (now, most, release) = (now.clone(), most.clone(), release.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                release.acquire().await.unwrap().forget();
                now.fetch_sub(1, Ordering::SeqCst);
                ok()
            }
        }
    })
    .await;
    let mut options = options(&[manager.url()]);
    options.concurrent_connections = 3;
    let api = Api::new(options, Box::new(NoObserver)).unwrap();
    assert_eq!(api.credits(), 3);
    let mut calls = JoinSet::new();
    for _ in 0..12 {
        let api = api.clone();
        calls.spawn(async move { api.get("/node", &[]).await.map(drop) });
    }
    until("three calls under way", || now.load(Ordering::SeqCst) == 3).await;
    assert_eq!((api.credits(), api.status().endpoints[0].in_flight), (0, 3));
    release.add_permits(12);
    api.credit().await;
    while let Some(call) = calls.join_next().await {
        call.unwrap().unwrap();
    }
    assert_eq!(most.load(Ordering::SeqCst), 3);
    assert_eq!(api.credits(), 3);
}

#[tokio::test]
async fn the_managers_own_limit_is_taken_over_under_the_configured_cap() {
    let manager = |limit: u64| {
        Manager::start(move |_| {
            let properties = json!({"client_api_rate_limit": limit, "client_api_concurrency_limit": 40});
            Reply::Json(
                200,
                json!({"healthy": true, "product_version": "2.4.0",
                                    "service_name": "http", "service_properties": properties}),
            )
        })
    };
    let (slow, fast) = (manager(40).await, manager(400).await);
    let mut options = options(&[slow.url(), fast.url()]);
    options.max_api_rate = NonZeroU32::new(200);
    let api = Api::new(options, Box::new(NoObserver)).unwrap();
    let rates: Vec<_> = api
        .start()
        .await
        .endpoints
        .iter()
        .map(|one| one.rate.round())
        .collect();
    assert_eq!(rates, [38.0, 190.0]);
}

#[tokio::test]
async fn a_throttled_read_is_repeated_and_a_throttled_write_is_handed_back() {
    let left = Arc::new(AtomicUsize::new(2));
    let manager = Manager::start({
        let left = left.clone();
        move |_| match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Reply::With(429, Vec::new(), "slow down".into()),
            Err(_) => ok(),
        }
    })
    .await;
    let api = api(&[manager.url()]);
    let before = api.status().endpoints[0].rate;
    api.get("/node", &[]).await.unwrap();
    assert!(api.status().endpoints[0].rate < before * 0.6);
    left.store(1, Ordering::SeqCst);
    let error = api.put("/node", &[], &json!({}), in_time()).await.unwrap_err();
    assert_eq!(error.class(), Class::Throttled { retry_after: None });
    assert_eq!(manager.log().len(), 4);
}

#[tokio::test]
async fn retry_after_stops_the_credits() {
    let manager =
        Manager::start(|_| Reply::With(503, vec![("retry-after", "30".into())], String::new())).await;
    let api = api(&[manager.url()]);
    let error = api.put("/node", &[], &json!({}), in_time()).await.unwrap_err();
    let class = Class::Unavailable {
        retry_after: Some(std::time::Duration::from_secs(30)),
    };
    assert_eq!(error.class(), class);
    assert_eq!(api.credits(), 0);
}

#[tokio::test]
async fn refusals_that_are_not_about_the_rate_leave_the_pace_alone() {
    let manager = Manager::start(|_| refuse(400, 500030)).await;
    let api = api(&[manager.url()]);
    let before = api.status().endpoints[0].rate;
    assert_eq!(
        api.delete("/x", &[], in_time()).await.unwrap_err().class(),
        Class::InUse
    );
    assert_eq!(api.status().endpoints[0].rate, before);
}
