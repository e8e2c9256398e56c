//! Order, revisions and whole-section calls of the distributed firewall (E4, E10, E14).

use nsx_manager_emulator::Version;
use serde_json::{Value, json};

use crate::client::{World, world, world_of};

fn section(name: &str) -> Value {
    json!({ "display_name": name, "section_type": "LAYER3", "stateful": true })
}

fn rule(name: &str) -> Value {
    json!({ "display_name": name, "action": "ALLOW" })
}

async fn create(world: &World, name: &str, place: &str) -> crate::client::Answer {
    world
        .client
        .post(&format!("firewall/sections?{place}"), section(name))
        .await
}

#[tokio::test]
async fn sections_go_where_they_are_told_and_the_default_stays_last() {
    let world = world().await;
    let (top, bottom) = (&world.made.top_section, &world.made.bottom_section);
    create(&world, "a", &format!("operation=insert_after&id={top}"))
        .await
        .id();
    create(&world, "b", &format!("operation=insert_before&id={bottom}"))
        .await
        .id();
    create(&world, "first", "").await.id();
    create(&world, "last", "operation=insert_bottom").await.id();
    let list = world.client.get("firewall/sections").await;
    let (marker, end) = ("top_firewall_section_marker", "bottom_firewall_section_marker");
    assert_eq!(
        list.names(),
        ["first", marker, "a", "b", end, "last", "Default Layer3 Section"]
    );
    let default = list.results()[6]["id"].as_str().unwrap();
    assert_eq!(
        create(&world, "x", &format!("operation=insert_after&id={default}"))
            .await
            .status,
        400
    );
    assert_eq!(create(&world, "x", "operation=insert_before").await.status, 400);
    assert_eq!(
        create(&world, "x", "operation=insert_before&id=gone")
            .await
            .status,
        404
    );
    assert_eq!(
        world
            .client
            .delete(&format!("firewall/sections/{default}"))
            .await
            .status,
        400
    );
    let mut moved = list.results()[5].clone();
    let path = format!(
        "firewall/sections/{}?action=revise&operation=insert_top",
        moved["id"].as_str().unwrap()
    );
    assert_eq!(world.client.post(&path, moved.clone()).await.status, 200);
    assert_eq!(world.client.get("firewall/sections").await.names()[0], "last");
    moved["display_name"] = json!("stale");
    assert_eq!(world.client.post(&path, moved).await.status, 409);
}

#[tokio::test]
async fn many_inserts_between_two_neighbours_keep_the_order() {
    let world = world().await;
    let mut wanted = vec!["top_firewall_section_marker".to_owned()];
    for at in 0..45 {
        let name = format!("s{at}");
        create(
            &world,
            &name,
            &format!("operation=insert_before&id={}", world.made.bottom_section),
        )
        .await
        .id();
        wanted.push(name);
    }
    wanted.extend([
        "bottom_firewall_section_marker".to_owned(),
        "Default Layer3 Section".to_owned(),
    ]);
    assert_eq!(world.client.get("firewall/sections").await.names(), wanted);
}

#[tokio::test]
async fn a_rule_raises_its_sections_revision_and_must_know_it() {
    let world = world().await;
    let client = &world.client;
    let made = create(&world, "s", "").await.id();
    let rules = format!("firewall/sections/{made}/rules");
    let missing = client.post(&rules, rule("r")).await;
    assert_eq!(
        missing.status, 412,
        "since 2.4 a rule carries the section's revision"
    );
    let with = |name: &str, revision: i64| {
        let mut body = rule(name);
        body["_revision"] = json!(revision);
        body
    };
    let first = client.post(&rules, with("one", 0)).await;
    assert_eq!((first.status, first.body["_revision"].as_i64()), (200, Some(1)));
    assert_eq!(client.post(&rules, with("two", 0)).await.status, 409);
    let second = client
        .post(
            &format!("{rules}?operation=insert_after&id={}", first.id()),
            with("two", 1),
        )
        .await;
    assert_eq!(
        client
            .post(&format!("{rules}?operation=insert_top"), with("zero", 2))
            .await
            .status,
        200
    );
    assert_eq!(client.get(&rules).await.names(), ["zero", "one", "two"]);
    let section = client.get(&format!("firewall/sections/{made}")).await.body;
    assert_eq!(
        (section["_revision"].as_i64(), section["rule_count"].as_i64()),
        (Some(3), Some(3))
    );
    let read = client.get(&format!("{rules}/{}", second.id())).await.body;
    assert_eq!(
        (read["section_id"].clone(), read["direction"].clone()),
        (json!(made), json!("IN_OUT"))
    );
    assert_eq!(
        client
            .put(&format!("{rules}/{}", second.id()), second.body.clone())
            .await
            .status,
        409
    );
    let mut changed = read.clone();
    changed["action"] = json!("DROP");
    let moved = client
        .post(
            &format!("{rules}/{}?action=revise&operation=insert_top", second.id()),
            changed,
        )
        .await;
    assert_eq!((moved.status, moved.body["action"].as_str()), (200, Some("DROP")));
    assert_eq!(client.get(&rules).await.names(), ["two", "zero", "one"]);
    assert_eq!(
        client.delete(&format!("{rules}/{}", first.id())).await.status,
        200
    );
    assert_eq!(
        client.get(&format!("firewall/rules/{}", first.id())).await.status,
        404
    );
    assert_eq!(
        client.delete(&format!("firewall/sections/{made}")).await.status,
        400
    );
    assert_eq!(
        client
            .delete(&format!("firewall/sections/{made}?cascade=true"))
            .await
            .status,
        200
    );
    assert_eq!(client.get(&rules).await.status, 404);
}

#[tokio::test]
async fn an_older_release_wants_no_revision_with_a_new_rule() {
    let world = world_of(Version::V2_3).await;
    let made = create(&world, "s", "").await.id();
    assert_eq!(
        world
            .client
            .post(&format!("firewall/sections/{made}/rules"), rule("r"))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_section_is_made_and_replaced_with_its_rules() {
    let world = world().await;
    let client = &world.client;
    let mut body = section("s");
    body["rules"] = json!([rule("a"), rule("b")]);
    let made = client
        .post("firewall/sections?action=create_with_rules", body)
        .await;
    assert_eq!(
        (made.status, made.body["rules"][1]["display_name"].as_str()),
        (201, Some("b"))
    );
    let path = format!("firewall/sections/{}", made.id());
    let read = client
        .post(&format!("{path}?action=list_with_rules"), json!({}))
        .await;
    assert_eq!(
        (read.status, read.body["rules"].as_array().map(Vec::len)),
        (200, Some(2))
    );
    let mut body = read.body.clone();
    let kept = body["rules"][1].clone();
    body["rules"] = json!([rule("new"), kept]);
    let changed = client
        .post(&format!("{path}?action=update_with_rules"), body)
        .await;
    assert_eq!(changed.status, 200);
    assert_eq!(changed.body["rules"][1]["id"], kept["id"]);
    assert_eq!(client.get(&format!("{path}/rules")).await.names(), ["new", "b"]);
    assert_eq!(
        client
            .post(&format!("{path}?action=update_with_rules"), read.body)
            .await
            .status,
        409
    );
    let revision = client.get(&path).await.body["_revision"].clone();
    let several = |revision: &Value| {
        let one = json!({ "display_name": "x", "action": "DROP", "_revision": revision });
        json!({ "rules": [one, { "display_name": "y", "action": "DROP", "_revision": revision }] })
    };
    let path = format!("{path}/rules?action=create_multiple&operation=insert_bottom");
    assert_eq!(client.post(&path, several(&revision)).await.status, 200);
    assert_eq!(
        client.get(path.split('?').next().unwrap()).await.names(),
        ["new", "b", "x", "y"]
    );
}

#[tokio::test]
async fn references_are_checked_and_marked_when_their_target_goes() {
    let world = world().await;
    let client = &world.client;
    let group = world.group("g", &[("a", "b")]).await;
    let mut body = section("s");
    body["applied_tos"] = json!([{ "target_type": "NSGroup", "target_id": "gone" }]);
    assert_eq!(client.post("firewall/sections", body.clone()).await.status, 404);
    body["applied_tos"] = json!([{ "target_type": "IPSet", "target_id": group }]);
    assert_eq!(client.post("firewall/sections", body.clone()).await.status, 400);
    body["applied_tos"] = json!([{ "target_type": "NSGroup", "target_id": group }]);
    let made = client.post("firewall/sections", body).await;
    assert_eq!(made.body["applied_tos"][0]["target_display_name"], "g");
    assert_eq!(client.delete(&format!("ns-groups/{group}")).await.status, 400);
    assert_eq!(
        client
            .delete(&format!("ns-groups/{group}?force=true"))
            .await
            .status,
        200
    );
    let left = client.get(&format!("firewall/sections/{}", made.id())).await.body;
    assert_eq!(left["applied_tos"][0]["is_valid"], false);
}

#[tokio::test]
async fn the_exclude_list_takes_members() {
    let world = world().await;
    let client = &world.client;
    let member = json!({ "target_type": "LogicalPort", "target_id": world.made.cells[0].port });
    assert_eq!(
        client
            .post("firewall/excludelist?action=add_member", member.clone())
            .await
            .status,
        200
    );
    assert_eq!(
        client
            .post("firewall/excludelist?action=add_member", member)
            .await
            .status,
        400
    );
    let query = format!("object_id={}", world.made.cells[0].port);
    assert_eq!(
        client
            .post(
                &format!("firewall/excludelist?action=check_if_exists&{query}"),
                json!({})
            )
            .await
            .status,
        200
    );
    assert_eq!(
        client
            .post(
                &format!("firewall/excludelist?action=remove_member&{query}"),
                json!({})
            )
            .await
            .status,
        200
    );
    assert_eq!(
        client.get("firewall/excludelist").await.body["members"],
        json!([])
    );
}
