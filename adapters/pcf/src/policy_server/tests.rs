//! Sets as they arrive, and the loop over a server whose state the test sets.

#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::status::StatusCell;
use crate::testing::{Script, Server};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

fn one(source: &str, protocol: &str, start: u32, end: u32) -> String {
    format!(
        r#"{{"source":{{"id":"{source}","tag":"0001"}},"destination":{{"id":"b","tag":"0002","protocol":"{protocol}","ports":{{"start":{start},"end":{end}}}}}}}"#
    )
}

fn set(total: usize, policies: &[String]) -> Script {
    let list = policies.join(",");
    Script::json(
        200,
        &format!(r#"{{"total_policies":{total},"policies":[{list}],"total_egress_policies":0}}"#),
    )
}

async fn listed(script: Script) -> Result<(Vec<AppPolicy>, Vec<BadPolicy>), PolicyServerError> {
    let server = Server::start(vec![script]).await;
    PolicyClient::new(PeerOptions::new(server.url().clone()))
        .unwrap()
        .policies()
        .await
}

#[tokio::test]
async fn a_bad_policy_is_refused_alone_and_doubles_count_once() {
    let items = [
        one("c", "udp", 53, 53),
        one("a", "tcp", 8080, 8090),
        one("a", "tcp", 8080, 8090),
        one("a", "sctp", 1, 1),
        one("a", "tcp", 9, 8),
        one("a", "tcp", 1, 70000),
        one("", "tcp", 1, 2),
        "17".to_owned(),
    ];
    let (policies, refused) = listed(set(8, &items)).await.unwrap();
    let seen: Vec<_> = policies
        .iter()
        .map(|of| (of.source.as_str(), of.first_port, of.last_port))
        .collect();
    assert_eq!(seen, [("a", 8080, 8090), ("c", 53, 53)]);
    let indexes: Vec<_> = refused.iter().map(|bad| bad.index).collect();
    assert_eq!(indexes, [3, 4, 5, 6, 7]);
    assert!(refused.iter().all(|bad| bad.code() == "NCP06021"));
}

#[tokio::test]
async fn incomplete_answers_are_errors_and_never_sets() {
    let short = listed(set(2, &[one("a", "tcp", 1, 1)])).await.expect_err("short");
    assert!(matches!(
        short,
        PolicyServerError::Count {
            announced: 2,
            sent: 1
        }
    ));
    assert_eq!(short.code(), "NCP06020");
    assert!(
        listed(set(1, &[one("a", "tcp", 1, 1)]).truncated(5))
            .await
            .is_err()
    );
    assert!(
        listed(Script::json(500, r#"{"error":"database read failed"}"#))
            .await
            .is_err()
    );
    assert!(listed(Script::json(404, "404 page not found")).await.is_err());
}

/// A policy server whose state the test sets.
#[derive(Default)]
struct World {
    token: Option<i64>,
    sets: Vec<Script>,
    down: bool,
}

struct Running {
    world: Arc<Mutex<World>>,
    listings: mpsc::Receiver<PolicyListing>,
    status: StatusCell,
    server: Server,
    tokens: Arc<AtomicUsize>,
    _stop: tokio_util::sync::DropGuard,
}

async fn running(world: World) -> Running {
    let (world, tokens) = (Arc::new(Mutex::new(world)), Arc::new(AtomicUsize::new(0)));
    let (held, counted) = (world.clone(), tokens.clone());
    let server = Server::answering(move |request| {
        let mut world = held.lock().unwrap();
        if world.down {
            return None;
        }
        if request.contains("last_updated") {
            counted.fetch_add(1, Ordering::SeqCst);
            return Some(match world.token {
                Some(token) => Script::json(200, &token.to_string()),
                None => Script::json(404, "404 page not found"),
            });
        }
        let next = if world.sets.len() > 1 {
            world.sets.remove(0)
        } else {
            world.sets[0].clone()
        };
        Some(next)
    })
    .await;
    let options = PolicyWatchOptions {
        interval: Duration::from_millis(2),
        tokenless_interval: Duration::from_millis(2),
        confirm_after: Duration::from_millis(1),
        ..Default::default()
    };
    let client = PolicyClient::new(PeerOptions::new(server.url().clone())).unwrap();
    let watch = PolicyWatch::new(client, options);
    let (status, stop) = (watch.status(), CancellationToken::new());
    let (updates, listings) = mpsc::channel(1);
    tokio::spawn(watch.run(updates, stop.clone()));
    Running {
        world,
        listings,
        status,
        server,
        tokens,
        _stop: stop.drop_guard(),
    }
}

impl Running {
    async fn next(&mut self) -> PolicyListing {
        let next = tokio::time::timeout(Duration::from_secs(10), self.listings.recv());
        next.await.expect("a listing in time").expect("the loop runs")
    }

    /// Until the loop looked at the token twice more.
    async fn looked(&self) {
        let until = self.tokens.load(Ordering::SeqCst) + 2;
        while self.tokens.load(Ordering::SeqCst) < until {
            tokio::task::yield_now().await;
        }
    }

    fn reads(&self) -> usize {
        self.server
            .targets()
            .iter()
            .filter(|target| target.ends_with("/policies"))
            .count()
    }
}

#[tokio::test]
async fn the_set_is_read_when_the_token_differs_and_not_otherwise() {
    let mut running = running(World {
        token: Some(7),
        sets: vec![set(1, &[one("a", "tcp", 1, 1)])],
        down: false,
    })
    .await;
    assert_eq!(running.next().await.policies.len(), 1);
    running.looked().await;
    assert_eq!(running.reads(), 1);
    running.world.lock().unwrap().token = Some(6);
    assert_eq!(
        running.next().await.generation,
        2,
        "backwards is a difference, too"
    );
    assert_eq!(running.reads(), 2);
}

#[tokio::test]
async fn without_a_token_the_set_is_read_each_time() {
    let mut running = running(World {
        token: None,
        sets: vec![set(0, &[])],
        down: false,
    })
    .await;
    assert_eq!(
        running.next().await.emptied,
        None,
        "empty from the start is no surprise"
    );
    assert_eq!(running.next().await.generation, 2);
}

#[tokio::test]
async fn a_set_that_became_empty_is_read_a_second_time() {
    let full = set(1, &[one("a", "tcp", 1, 1)]);
    let mut running = running(World {
        token: Some(1),
        sets: vec![full.clone(), set(0, &[]), full, set(0, &[])],
        down: false,
    })
    .await;
    assert_eq!(running.next().await.policies.len(), 1);
    running.world.lock().unwrap().token = Some(2);
    let second = running.next().await;
    assert_eq!(
        (second.policies.len(), second.emptied),
        (1, None),
        "the second read was full"
    );
    running.world.lock().unwrap().token = Some(3);
    let third = running.next().await;
    assert_eq!((third.policies.len(), third.emptied), (0, Some(1)), "empty twice");
}

#[tokio::test]
async fn a_read_that_fails_leaves_the_token_unremembered() {
    let full = set(1, &[one("a", "tcp", 1, 1)]);
    let broken = Script::json(500, r#"{"error":"database read failed"}"#);
    let mut running = running(World {
        token: Some(1),
        sets: vec![full.clone(), broken, full],
        down: false,
    })
    .await;
    running.next().await;
    running.world.lock().unwrap().token = Some(2);
    assert_eq!(
        running.next().await.generation,
        2,
        "read again without a further move"
    );
    assert_eq!(running.status.snapshot().health, crate::status::Health::Healthy);
}
