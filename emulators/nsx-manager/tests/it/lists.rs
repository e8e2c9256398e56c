//! Paging, filters and search (E6, E11).

use std::time::Duration;

use nsx_manager_emulator::Options;
use serde_json::json;

use crate::client::{tags, world, world_with};

#[tokio::test]
async fn a_list_is_paged_by_its_cursor() {
    let world = world_with(Options {
        page_limit: Some(2),
        ..Options::default()
    })
    .await;
    let client = &world.client;
    for at in 0..5 {
        assert_eq!(
            client
                .post("ip-sets", json!({ "display_name": format!("set-{at}") }))
                .await
                .status,
            201
        );
    }
    let mut names = Vec::new();
    let mut path = "ip-sets?page_size=1000".to_owned();
    loop {
        let page = client.get(&path).await;
        assert!(page.results().len() <= 2);
        names.extend(page.names().into_iter().map(str::to_owned));
        let Some(cursor) = page.body["cursor"].as_str() else {
            break;
        };
        assert!(!cursor.starts_with("0000"));
        path = format!("ip-sets?page_size=1000&cursor={cursor}");
        if names.len() == 2 {
            // What is gone or comes meanwhile shifts nothing.
            let first = client.get("ip-sets?page_size=1").await.results()[0]["id"]
                .as_str()
                .unwrap()
                .to_owned();
            client.delete(&format!("ip-sets/{first}")).await;
        }
    }
    assert_eq!(
        names,
        ["c1-addresses", "set-0", "set-1", "set-2", "set-3", "set-4"]
    );
    assert_eq!(client.get("ip-sets?cursor=nonsense").await.status, 400);
    assert_eq!(client.get("ip-sets?page_size=1001").await.status, 400);
}

#[tokio::test]
async fn groups_come_in_fifties() {
    let world = world().await;
    for at in 0..60 {
        world.group(&format!("g{at}"), &[]).await;
    }
    let page = world.client.get("ns-groups").await;
    assert_eq!(
        (page.results().len(), page.body["result_count"].as_u64()),
        (50, Some(61))
    );
    assert!(page.body["cursor"].is_string());
}

#[tokio::test]
async fn ports_are_found_by_what_they_are_attached_to() {
    let world = world().await;
    let switch = world.switch("s").await;
    world.port(&switch, "cif-1", 2, &[]).await;
    world.port(&switch, "cif-2", 3, &[]).await;
    let vif = &world.made.cells[0].vif;
    let found = async |filter: String| {
        world
            .client
            .get(&format!("logical-ports?{filter}"))
            .await
            .results()
            .len()
    };
    assert_eq!(found(format!("attachment_id={vif}")).await, 1);
    assert_eq!(
        found(format!("parent_vif_id={vif}&container_ports_only=true")).await,
        2
    );
    assert_eq!(found(format!("logical_switch_id={switch}")).await, 2);
    assert_eq!(
        found(format!("logical_switch_id={switch}&attachment_id=cif-1")).await,
        1
    );
    assert_eq!(found("container_ports_only=true".into()).await, 2);
    assert_eq!(
        found(format!("parent_vif_id={}", world.made.cells[1].vif)).await,
        0
    );
    let only = world
        .client
        .get("logical-ports?attachment_id=cif-1&included_fields=display_name")
        .await;
    assert_eq!(only.results(), &[json!({ "display_name": "cif-1" })]);
}

#[tokio::test]
async fn the_parent_vif_is_found_from_the_machine() {
    let world = world().await;
    let cell = &world.made.cells[1];
    let machines = world
        .client
        .get(&format!("fabric/virtual-machines?display_name={}", cell.name))
        .await;
    let id = machines.results()[0]["external_id"].as_str().unwrap();
    assert_eq!(id, cell.machine);
    let vifs = world.client.get(&format!("fabric/vifs?owner_vm_id={id}")).await;
    let vif = vifs.results()[0]["lport_attachment_id"].as_str().unwrap();
    let ports = world
        .client
        .get(&format!("logical-ports?attachment_id={vif}"))
        .await;
    assert_eq!(ports.results()[0]["id"], json!(cell.port));
}

#[tokio::test]
async fn search_lags_and_holds_scope_and_tag_apart() {
    let world = world().await;
    world.emulator.set_search_lag(Duration::MAX);
    let set = json!({ "display_name": "s", "tags": tags(&[("ncp/project", "a"), ("ncp/pod", "b")]) });
    world.client.post("ip-sets", set).await;
    let query = r"search?query=resource_type:IPSet%20AND%20tags.scope:ncp%5C/project%20AND%20tags.tag:B";
    assert_eq!(world.client.get(query).await.results().len(), 0);
    world.emulator.set_search_lag(Duration::ZERO);
    let found = world.client.get(query).await;
    assert_eq!(
        (found.names(), found.body["cursor"].as_str()),
        (vec!["s"], Some("1"))
    );
    let both = r"search?query=tags.scope:ncp%5C/project%20AND%20tags.scope:ncp%5C/node_name";
    assert_eq!(world.client.get(both).await.results().len(), 0);
    assert_eq!(world.client.get("search?query=(").await.status, 400);
}
