//! What can be made to go wrong (E13).

use std::time::Duration;

use nsx_manager_emulator::{Counted, Effect, Matcher, Options, StopPoint};
use reqwest::Method;
use serde_json::json;

use crate::client::{Client, World, world, world_with};

fn set(name: &str) -> serde_json::Value {
    json!({ "display_name": name })
}

async fn count(world: &World) -> usize {
    world.emulator.inventory().list("IPSet").len()
}

#[tokio::test]
async fn the_nth_request_fails_as_told() {
    let world = world().await;
    world.emulator.faults().inject(
        Matcher::on(Method::POST, "/ip-sets").nth(2),
        Effect::Status(503, 98),
    );
    assert_eq!(world.client.post("ip-sets", set("a")).await.status, 201);
    let failed = world.client.post("ip-sets", set("b")).await;
    assert_eq!((failed.status, failed.code()), (503, 98));
    assert_eq!(world.client.post("ip-sets", set("c")).await.status, 201);
    let names: Vec<_> = world
        .emulator
        .inventory()
        .list("IPSet")
        .iter()
        .map(|one| one["display_name"].clone())
        .collect();
    assert_eq!(names, ["c1-addresses", "a", "c"]);
}

#[tokio::test]
async fn a_reset_comes_before_the_write_or_after_it() {
    let world = world().await;
    let before = count(&world).await;
    let post = || {
        world
            .client
            .send(world.client.request(Method::POST, "ip-sets", Some(&set("x"))))
    };
    world
        .emulator
        .faults()
        .inject(Matcher::writes().once(), Effect::ResetBefore);
    assert!(post().await.is_err());
    assert_eq!(count(&world).await, before);
    world
        .emulator
        .faults()
        .inject(Matcher::writes().once(), Effect::ResetAfter);
    assert!(post().await.is_err());
    assert_eq!(count(&world).await, before + 1);
    let log = world.emulator.log().writes();
    assert_eq!(
        log.iter()
            .map(|entry| (entry.status, entry.applied))
            .collect::<Vec<_>>(),
        [(None, false), (None, true)]
    );
    world
        .emulator
        .faults()
        .inject(Matcher::writes().once(), Effect::StatusAfter(500, 98));
    assert_eq!(post().await.unwrap().status, 500);
    assert_eq!(count(&world).await, before + 2);
}

/// Whether a burst is refused at some point; only a machine slower than the limit wouldn't see it.
async fn refused(world: &World) -> bool {
    for _ in 0..100 {
        match world.client.get("node").await.status {
            200 => {}
            status => return status == 429,
        }
    }
    false
}

#[tokio::test]
async fn rates_and_concurrency_are_limited_per_client() {
    let world = world().await;
    world.emulator.faults().set_rate_limit(Some(3));
    assert!(refused(&world).await);
    world.emulator.faults().set_rate_limit(None);
    assert_eq!(world.client.get("node").await.status, 200);
    let limits = json!({ "service_properties": { "client_api_rate_limit": 1 } });
    assert_eq!(world.client.put("node/services/http", limits).await.status, 202);
    assert!(refused(&world).await);
}

#[tokio::test]
async fn lists_can_be_stale() {
    let world = world().await;
    let first = world.client.post("ip-sets", set("first")).await.id();
    world.client.post("ip-sets", set("second")).await;
    world.client.delete(&format!("ip-sets/{first}")).await;
    world.emulator.faults().set_stale_lists(2);
    assert_eq!(
        world.client.get("ip-sets").await.names(),
        ["c1-addresses", "first"]
    );
    world.emulator.faults().set_stale_lists(0);
    assert_eq!(
        world.client.get("ip-sets").await.names(),
        ["c1-addresses", "second"]
    );
    world
        .emulator
        .faults()
        .inject(Matcher::on(Method::GET, "/ip-sets").once(), Effect::Stale(1));
    assert_eq!(
        world.client.get("ip-sets").await.names(),
        ["c1-addresses", "first", "second"]
    );
}

#[tokio::test]
async fn a_dead_manager_refuses_and_comes_back_on_its_port() {
    let world = world_with(Options {
        managers: 3,
        ..Options::default()
    })
    .await;
    let clients: Vec<Client> = world.emulator.urls().iter().map(|url| Client::to(url)).collect();
    clients[1].post("ip-sets", set("shared")).await;
    assert_eq!(clients[2].get("ip-sets").await.names().len(), 2);
    world.emulator.kill(1).await.unwrap();
    let refused = clients[1]
        .send(clients[1].request(Method::GET, "node", None))
        .await
        .unwrap_err();
    assert!(refused.is_connect(), "{refused:?}");
    assert_eq!(clients[0].get("node").await.status, 200);
    world.emulator.revive(1).await.unwrap();
    assert_eq!(clients[1].get("node").await.status, 200);
    assert!(world.emulator.kill(3).await.is_err());
    world.emulator.stop().await;
}

#[tokio::test]
async fn a_hanging_manager_answers_nothing() {
    let world = world().await;
    world.emulator.hang(0, true).unwrap();
    let request = world
        .client
        .request(Method::GET, "node", None)
        .timeout(Duration::from_millis(100));
    assert!(world.client.send(request).await.unwrap_err().is_timeout());
    world.emulator.hang(0, false).unwrap();
    assert_eq!(world.client.get("node").await.status, 200);
}

#[tokio::test]
async fn the_managers_stop_after_the_nth_write() {
    for (point, answered) in [(StopPoint::Answered, true), (StopPoint::Unanswered, false)] {
        let world = world().await;
        let before = count(&world).await;
        let mut stop = world.emulator.faults().stop_after(2, Counted::Writes, point);
        assert_eq!(world.client.post("ip-sets", set("one")).await.status, 201);
        assert_eq!(world.client.get("ip-sets").await.status, 200);
        let client = Client::to(&world.client.base);
        let writer = tokio::spawn(async move {
            let second = client
                .send(client.request(Method::POST, "ip-sets", Some(&set("two"))))
                .await;
            let third = client
                .send(client.request(Method::POST, "ip-sets", Some(&set("three"))))
                .await;
            (second.is_ok(), third.is_ok())
        });
        stop.reached().await;
        if answered {
            // The client may be cut down here, or live on and see its next request cut.
            world.emulator.faults().resume();
            assert!(writer.await.unwrap().0);
            assert!(count(&world).await >= before + 2);
        } else {
            assert_eq!(count(&world).await, before + 2);
            writer.abort();
            world.emulator.faults().resume();
        }
        assert_eq!(world.client.get("ip-sets").await.status, 200);
    }
}

#[tokio::test]
async fn a_frozen_manager_applies_nothing() {
    let world = world().await;
    let stop = world
        .emulator
        .faults()
        .stop_after(0, Counted::Requests, StopPoint::Answered);
    assert!(stop.is_reached());
    let before = count(&world).await;
    let request = world
        .client
        .request(Method::POST, "ip-sets", Some(&set("x")))
        .timeout(Duration::from_millis(100));
    assert!(world.client.send(request).await.is_err());
    world.emulator.faults().resume();
    assert_eq!(world.client.get("ip-sets").await.status, 200);
    assert_eq!(count(&world).await, before);
}

#[tokio::test]
async fn everything_is_counted() {
    let world = world().await;
    let section = json!({ "display_name": "s", "section_type": "LAYER3", "stateful": true });
    let section = world.client.post("firewall/sections", section).await.id();
    world
        .client
        .post(
            &format!("firewall/sections/{section}?action=list_with_rules"),
            json!({}),
        )
        .await;
    world.client.get("node").await;
    world
        .client
        .delete("ip-sets/00000000-0000-0000-0000-000000000000")
        .await;
    let counts = world.emulator.log().counts();
    assert_eq!((counts.total, counts.writes), (4, 2));
    assert_eq!(
        counts.routes["POST /firewall/sections/*?action=list_with_rules"],
        1
    );
    assert_eq!(counts.routes["DELETE /ip-sets/*"], 1);
    assert_eq!(counts.methods["POST"], 2);
    let entries = world.emulator.log().entries(3);
    assert_eq!(
        (entries[0].number, entries[0].user.as_str(), entries[0].status),
        (4, "admin", Some(404))
    );
}

#[tokio::test]
async fn the_control_api_does_the_same() {
    let options = Options {
        control: Some("127.0.0.1:0".parse().unwrap()),
        ..Options::default()
    };
    let world = world_with(options).await;
    let control = world.emulator.control_url().unwrap();
    let http = reqwest::Client::new();
    let injection = json!({ "when": { "method": "GET", "path": "/node", "times": 1 }, "effect": { "status": [500, 98] } });
    let made = http
        .post(format!("{control}/faults"))
        .json(&injection)
        .send()
        .await
        .unwrap();
    assert!(made.json::<serde_json::Value>().await.unwrap()["id"].is_number());
    assert_eq!(world.client.get("node").await.status, 500);
    assert_eq!(world.client.get("node").await.status, 200);
    let log: Vec<serde_json::Value> = http
        .get(format!("{control}/log?after=1"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!((log.len(), log[0]["status"].as_u64()), (1, Some(200)));
    assert_eq!(
        http.post(format!("{control}/managers/0/kill"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    assert!(
        world
            .client
            .send(world.client.request(Method::GET, "node", None))
            .await
            .is_err()
    );
    assert_eq!(
        http.post(format!("{control}/managers/0/revive"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(world.client.get("node").await.status, 200);
    let inventory: serde_json::Value = http
        .get(format!("{control}/inventory"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(inventory["LogicalRouter"][0]["display_name"], "tier0");
}
