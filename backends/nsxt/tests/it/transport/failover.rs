//! Several managers: spread, failure, recovery, redirects, and what may be repeated.

use std::sync::atomic::{AtomicUsize, Ordering};

use ncp_nsxt::transport::{Class, ClusterHealth, NotSent, TransportError};
use serde_json::json;
use tokio::net::TcpListener;

use crate::manager::{Manager, Reply, api, in_time, ok, options, refuse};

fn healthy(seen: &crate::manager::Seen) -> Reply {
    match seen.target.as_str() {
        "/api/v1/reverse-proxy/node/health" => Reply::Json(200, json!({"healthy": true})),
        "/api/v1/node/version" => Reply::Json(200, json!({"product_version": "2.4.1.0.0.1"})),
        "/api/v1/node/services/http" => refuse(403, 401),
        _ => ok(),
    }
}

/// An address where nothing listens.
async fn dead() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn calls_are_spread_and_survive_the_loss_of_a_manager() {
    let (one, two) = (Manager::start(healthy).await, Manager::start(healthy).await);
    let api = api(&[one.url(), two.url()]);
    assert_eq!(api.start().await.health, ClusterHealth::Green);
    let before = (one.log().len(), two.log().len());
    for _ in 0..10 {
        api.get("/logical-ports", &[]).await.unwrap();
    }
    assert_eq!((one.log().len() - before.0, two.log().len() - before.1), (5, 5));

    let address = one.stop().await;
    for _ in 0..4 {
        api.get("/logical-ports", &[]).await.unwrap();
    }
    api.post("/logical-ports", &[], Some(&json!({})), in_time())
        .await
        .unwrap();
    let status = api.status();
    assert_eq!(status.health, ClusterHealth::Orange);
    assert!(!status.endpoints[0].up && status.endpoints[0].last_error.is_some());

    let back = Manager::restart(address, healthy).await;
    api.probe_silent().await;
    assert_eq!(api.status().health, ClusterHealth::Green);
    assert_eq!(back.lines(), ["GET /api/v1/reverse-proxy/node/health"]);
}

#[tokio::test]
async fn a_write_that_could_not_be_sent_goes_to_the_next_manager() {
    let alive = Manager::start(|_| ok()).await;
    let api = api(&[dead().await, alive.url()]);
    api.post("/logical-ports", &[], Some(&json!({"a": 1})), in_time())
        .await
        .unwrap();
    assert_eq!(alive.log().len(), 1);
    assert_eq!(alive.log()[0].body, r#"{"a":1}"#);
}

#[tokio::test]
async fn with_all_managers_dead_a_write_was_never_sent_and_the_status_is_red() {
    let api = api(&[dead().await, dead().await]);
    let error = api.delete("/logical-ports/1", &[], in_time()).await.unwrap_err();
    assert_eq!(error.class(), Class::NeverSent);
    assert!(
        matches!(
            error,
            TransportError::NeverSent {
                reason: NotSent::Connect { .. },
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(api.status().health, ClusterHealth::Red);
    assert_eq!(api.counters().requests(), 0);
}

#[tokio::test]
async fn a_write_cut_after_it_was_sent_is_uncertain_and_not_repeated() {
    let (one, two) = (
        Manager::start(|_| Reply::Cut).await,
        Manager::start(|_| Reply::Cut).await,
    );
    let api = api(&[one.url(), two.url()]);
    let error = api
        .post("/logical-ports", &[], Some(&json!({})), in_time())
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Uncertain);
    assert_eq!(one.log().len() + two.log().len(), 1);
    assert_eq!((api.counters().writes, api.counters().unanswered), (1, 1));
}

#[tokio::test]
async fn a_read_cut_after_it_was_sent_is_repeated_elsewhere() {
    let (cutting, alive) = (
        Manager::start(|_| Reply::Cut).await,
        Manager::start(|_| ok()).await,
    );
    let api = api(&[cutting.url(), alive.url()]);
    for _ in 0..3 {
        api.get("/logical-ports", &[]).await.unwrap();
    }
    assert_eq!((cutting.log().len(), alive.log().len()), (1, 3));
}

#[tokio::test]
async fn a_single_manager_is_asked_again_but_not_for_ever() {
    let manager = Manager::start(|_| refuse(500, 98)).await;
    let api = api(&[manager.url()]);
    let error = api.get("/node", &[]).await.unwrap_err();
    assert_eq!(error.class(), Class::Unavailable { retry_after: None });
    assert_eq!(manager.log().len(), 4, "the call and http_retries = 3 repeats");
    api.put("/node", &[], &json!({}), in_time()).await.unwrap_err();
    assert_eq!(manager.log().len(), 5, "a refused write is not repeated");
}

/// A manager that closes each connection after its answer without saying so, as one does that restarts.
#[tokio::test]
async fn an_idle_connection_that_was_closed_costs_nothing() {
    let first = Manager::start(|_| ok()).await;
    let api = api(&[first.url()]);
    api.get("/node", &[]).await.unwrap();
    let witness = tokio::net::TcpStream::connect(first.address).await.unwrap();
    let address = first.stop().await;
    // The witness hears of the end after the idle connection was closed too.
    witness.readable().await.unwrap();
    let second = Manager::restart(address, |_| ok()).await;
    api.post("/logical-ports", &[], Some(&json!({})), in_time())
        .await
        .unwrap();
    assert_eq!(second.lines(), ["POST /api/v1/logical-ports"]);
}

#[tokio::test]
async fn a_redirected_write_is_made_once_at_the_other_manager() {
    let target = Manager::start(|_| ok()).await;
    let location = format!("{}/api/v1/logical-ports", target.url());
    let first = Manager::start(move |_| {
        Reply::With(
            307,
            vec![("location", location.clone())],
            "<html>moved</html>".into(),
        )
    })
    .await;
    let api = api(&[first.url()]);
    api.post(
        "/logical-ports",
        &[("x", "a b")],
        Some(&json!({"a": 1})),
        in_time(),
    )
    .await
    .unwrap();
    assert_eq!(target.lines(), ["POST /api/v1/logical-ports?x=a%20b"]);
    assert_eq!(target.log()[0].body, r#"{"a":1}"#);
}

#[tokio::test]
async fn redirects_that_go_round_are_ended() {
    let hits = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = hits.clone();
    let manager = Manager::start(move |seen| {
        counted.fetch_add(1, Ordering::Relaxed);
        let location = format!("http://{}/", seen.header("host"));
        Reply::With(301, vec![("location", location)], String::new())
    })
    .await;
    let error = api(&[manager.url()]).get("/node", &[]).await.unwrap_err();
    assert_eq!(error.refusal().unwrap().status, 301);
    assert_eq!(hits.load(Ordering::Relaxed), 3, "the call and redirects = 2");
}

#[tokio::test]
async fn an_old_manager_is_probed_the_old_way_and_an_unhealthy_one_counts_as_down() {
    let old = Manager::start(|seen| match seen.target.as_str() {
        "/api/v1/operational/application/status" => {
            Reply::Json(200, json!({"application_status": "WORKING"}))
        }
        _ => refuse(404, 0),
    })
    .await;
    let sick = Manager::start(|_| Reply::Json(200, json!({"healthy": false}))).await;
    let api = api(&[old.url(), sick.url()]);
    let status = api.start().await;
    assert_eq!(status.health, ClusterHealth::Orange);
    assert!(status.endpoints[0].up && !status.endpoints[1].up);
}

#[tokio::test]
async fn counters_and_observer_see_each_request() {
    use ncp_nsxt::transport::{Api, RequestObserver, RequestRecord};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<String>>>);
    impl RequestObserver for Log {
        fn finished(&self, record: &RequestRecord<'_>) {
            let line = format!(
                "{} {} {:?} {}",
                record.method, record.path, record.status, record.write
            );
            self.0.lock().unwrap().push(line);
        }
    }

    let manager = Manager::start(|seen| {
        if seen.method == "GET" {
            ok()
        } else {
            refuse(409, 1)
        }
    })
    .await;
    let log = Log::default();
    let api = Api::new(options(&[manager.url()]), Box::new(log.clone())).unwrap();
    api.get("/node", &[("a", "b")]).await.unwrap();
    let error = api.put("/node", &[], &json!({}), in_time()).await.unwrap_err();
    assert_eq!(error.class(), Class::Conflict);
    assert_eq!(
        *log.0.lock().unwrap(),
        ["GET /node Some(200) false", "PUT /node Some(409) true"]
    );
    let counters = api.counters();
    assert_eq!((counters.requests(), counters.writes), (2, 1));
    assert_eq!((counters.by_method["GET"], counters.by_status[&409]), (1, 1));
}
