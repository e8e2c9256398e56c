//! No write starts after its deadline, and one that ran out of time on the way is uncertain.

use std::future::pending;
use std::num::NonZeroU32;
use std::time::Duration;

use ncp_nsxt::transport::{
    Api, Class, Deadline, NoObserver, NotSent, Request, TransportError, Trust, WireError,
};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::manager::{Manager, Reply, api, ok, options, until};

fn assert_fenced(error: &TransportError) {
    assert_eq!(error.class(), Class::NeverSent);
    assert!(
        matches!(
            error,
            TransportError::NeverSent {
                reason: NotSent::DeadlinePassed,
                ..
            }
        ),
        "{error:?}"
    );
}

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_write_after_its_deadline_never_leaves() {
    let manager = Manager::start(|_| ok()).await;
    let api = api(&[manager.url()]);
    api.get("/node", &[]).await.unwrap();
    let passed = Deadline::at(Instant::now());
    assert_fenced(
        &api.post("/logical-ports", &[], Some(&json!({})), passed)
            .await
            .unwrap_err(),
    );
    assert_fenced(
        &api.put("/logical-ports/1", &[], &json!({}), passed)
            .await
            .unwrap_err(),
    );
    assert_fenced(&api.delete("/logical-ports/1", &[], passed).await.unwrap_err());
    assert_eq!(manager.lines(), ["GET /api/v1/node"]);
    assert_eq!(api.counters().writes, 0);
}

#[tokio::test]
async fn a_deadline_that_passes_while_waiting_for_a_slot_keeps_the_write_in() {
    let manager = Manager::start_async(|_| pending::<Reply>()).await;
    let mut options = options(&[manager.url()]);
    options.concurrent_connections = 1;
    let api = Api::new(options, Box::new(NoObserver)).unwrap();
    let blocking = tokio::spawn({
        let api = api.clone();
        async move { api.get("/node", &[]).await.map(drop) }
    });
    until("the blocking call", || manager.log().len() == 1).await;
    let error = api
        .delete("/logical-ports/1", &[], Deadline::after(SHORT))
        .await
        .unwrap_err();
    assert_fenced(&error);
    blocking.abort();
    assert!(blocking.await.is_err());
    assert_eq!(manager.log().len(), 1);
    until("the slot of the aborted call", || api.credits() == 1).await;
}

#[tokio::test]
async fn a_deadline_that_passes_while_waiting_for_a_credit_keeps_the_write_in() {
    let manager = Manager::start(|_| ok()).await;
    let mut options = options(&[manager.url()]);
    options.max_api_rate = NonZeroU32::new(1);
    let api = Api::new(options, Box::new(NoObserver)).unwrap();
    api.get("/node", &[]).await.unwrap();
    assert_fenced(
        &api.delete("/logical-ports/1", &[], Deadline::after(SHORT))
            .await
            .unwrap_err(),
    );
    assert_eq!(manager.log().len(), 1);
}

#[tokio::test]
async fn a_deadline_that_passes_during_a_slow_connect_keeps_the_write_in() {
    // Accepts TCP in its backlog, but never answers the TLS handshake.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = options(&[format!("https://{}", silent.local_addr().unwrap())]);
    options.trust = Trust::Insecure;
    let api = Api::new(options, Box::new(NoObserver)).unwrap();
    let fence = Deadline::after(SHORT);
    assert_fenced(
        &api.post("/logical-ports", &[], Some(&json!({})), fence)
            .await
            .unwrap_err(),
    );
    assert!(
        api.status().endpoints[0].up,
        "a deadline of ours says nothing of the manager"
    );
}

#[tokio::test]
async fn a_write_whose_answer_is_late_is_uncertain() {
    let manager = Manager::start_async(|_| pending::<Reply>()).await;
    let api = api(&[manager.url()]);
    let error = api
        .delete("/logical-ports/1", &[], Deadline::after(SHORT))
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Uncertain);
    assert!(
        matches!(
            error,
            TransportError::Uncertain {
                source: WireError::DeadlineReached,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(manager.log().len(), 1);
    assert!(api.status().endpoints[0].up);
}

#[tokio::test]
async fn a_silent_manager_is_given_up_after_the_read_timeout() {
    let (silent, alive) = (
        Manager::start_async(|_| pending::<Reply>()).await,
        Manager::start(|_| ok()).await,
    );
    let mut options = options(&[silent.url(), alive.url()]);
    options.http_read_timeout = SHORT;
    let api = Api::new(options, Box::new(NoObserver)).unwrap();
    api.send(&Request::reading_post(
        "/firewall/sections/1?action=list_with_rules",
        None,
    ))
    .await
    .unwrap();
    assert_eq!((silent.log().len(), alive.log().len()), (1, 1));
    assert!(!api.status().endpoints[0].up);
}
