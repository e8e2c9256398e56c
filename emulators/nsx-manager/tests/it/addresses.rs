//! Blocks, pools, and addresses that ports draw (E8, E12).

use serde_json::{Value, json};

use crate::client::world;

#[tokio::test]
async fn a_pool_gives_each_address_once() {
    let world = world().await;
    let client = &world.client;
    let body = json!({ "subnets": [{ "cidr": "203.0.113.0/24",
        "allocation_ranges": [{ "start": "203.0.113.4", "end": "203.0.113.5" }] }] });
    let pool = client.post("pools/ip-pools", body).await.id();
    let path = format!("pools/ip-pools/{pool}");
    let allocate = async |wanted: Value| {
        client
            .post(
                &format!("{path}?action=ALLOCATE"),
                json!({ "allocation_id": wanted }),
            )
            .await
    };
    let release = async |ip: &str| {
        client
            .post(&format!("{path}?action=RELEASE"), json!({ "allocation_id": ip }))
            .await
    };
    let first = allocate(Value::Null).await;
    assert_eq!(
        (first.status, first.body),
        (200, json!({ "allocation_id": "203.0.113.4" }))
    );
    assert_eq!(allocate(json!("203.0.113.4")).await.code(), 5141);
    assert_eq!(allocate(json!("203.0.113.9")).await.code(), 5110);
    assert_eq!(allocate(json!("203.0.113.5")).await.status, 200);
    let exhausted = allocate(Value::Null).await;
    assert_eq!((exhausted.status, exhausted.code()), (400, 5109));
    let read = client.get(&path).await.body;
    assert_eq!(
        read["pool_usage"],
        json!({ "total_ids": 2, "allocated_ids": 2, "free_ids": 0 })
    );
    assert_eq!(
        client.get(&format!("{path}/allocations")).await.body["result_count"],
        2
    );
    let mut shrunk = read.clone();
    shrunk["subnets"][0]["allocation_ranges"][0]["end"] = json!("203.0.113.4");
    assert_eq!(client.put(&path, shrunk).await.code(), 5602);
    assert_eq!(client.delete(&path).await.status, 400);
    let released = release("203.0.113.4").await;
    assert_eq!((released.status, released.body), (200, Value::Null));
    assert_eq!(release("203.0.113.4").await.status, 400);
    assert_eq!(allocate(Value::Null).await.body["allocation_id"], "203.0.113.4");
    assert_eq!(client.delete(&format!("{path}?force=true")).await.status, 200);
}

#[tokio::test]
async fn a_block_is_carved_until_it_is_full() {
    let world = world().await;
    let client = &world.client;
    let block = client
        .post("pools/ip-blocks", json!({ "cidr": "10.9.0.0/24" }))
        .await
        .id();
    let carve = |size: u32| client.post("pools/ip-subnets", json!({ "block_id": block, "size": size }));
    let first = carve(64).await;
    assert_eq!(first.body["cidr"], "10.9.0.0/26");
    assert_eq!(
        first.body["allocation_ranges"],
        json!([{ "start": "10.9.0.0", "end": "10.9.0.63" }])
    );
    assert_eq!(carve(128).await.body["cidr"], "10.9.0.128/25");
    assert_eq!(carve(100).await.status, 400);
    assert_eq!(carve(64).await.body["cidr"], "10.9.0.64/26");
    assert_eq!(carve(1).await.status, 409);
    assert_eq!(
        client.delete(&format!("pools/ip-blocks/{block}")).await.status,
        400
    );
    let path = format!("pools/ip-subnets/{}", first.id());
    let out = client.post(&format!("{path}?action=ALLOCATE"), json!({})).await;
    assert_eq!(out.body["allocation_id"], "10.9.0.0");
    assert_eq!(client.delete(&path).await.status, 400);
    assert_eq!(
        client
            .post(&format!("{path}?action=RELEASE"), out.body)
            .await
            .status,
        200
    );
    assert_eq!(client.delete(&path).await.status, 200);
    assert_eq!(
        client
            .get(&format!("pools/ip-subnets?block_id={block}"))
            .await
            .results()
            .len(),
        2
    );
}

#[tokio::test]
async fn a_port_draws_addresses_and_gives_them_back() {
    let world = world().await;
    let client = &world.client;
    let pool = client
        .post(
            "pools/ip-pools",
            json!({ "subnets": [{ "cidr": "10.16.8.0/24",
        "allocation_ranges": [{ "start": "10.16.8.2", "end": "10.16.8.3" }] }] }),
        )
        .await
        .id();
    let mac_pool = client.get("pools/mac-pools").await.results()[0]["id"].clone();
    let mut body = world.switch_body("drawing");
    body["ip_pool_id"] = json!(pool);
    body["mac_pool_id"] = mac_pool;
    let switch = client.post("logical-switches", body).await.id();
    let mut port = world.port_body(&switch, "drawn", 5, &[]);
    port["address_bindings"] = json!([]);
    port["attachment"]["context"]["allocate_addresses"] = json!("Both");
    let made = client.post("logical-ports", port.clone()).await;
    assert_eq!(made.body["address_bindings"][0]["ip_address"], "10.16.8.2");
    assert!(
        made.body["address_bindings"][0]["mac_address"]
            .as_str()
            .unwrap()
            .starts_with("04:50:56")
    );
    assert_eq!(client.delete(&format!("pools/ip-pools/{pool}")).await.status, 400);
    assert_eq!(
        client.get(&format!("pools/ip-pools/{pool}")).await.body["pool_usage"]["allocated_ids"],
        1
    );
    assert_eq!(
        client
            .delete(&format!("logical-ports/{}?detach=true", made.id()))
            .await
            .status,
        200
    );
    assert_eq!(
        client.get(&format!("pools/ip-pools/{pool}")).await.body["pool_usage"]["allocated_ids"],
        0
    );
}
