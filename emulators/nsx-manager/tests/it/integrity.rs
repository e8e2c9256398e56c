//! Defaults, revisions, references, delete constraints (E4, E5, E7, E9, E12, E15).

use nsx_manager_emulator::Version;
use serde_json::{Value, json};

use crate::client::{tags, world, world_of};

#[tokio::test]
async fn absent_fields_come_back_with_defaults_and_read_only_ones_are_ignored() {
    let world = world().await;
    let mut body = world.switch_body("s");
    body["_revision"] = json!(7);
    body["id"] = json!("mine");
    body["vlan"] = Value::Null;
    body["no_such_field"] = json!(1);
    body["_create_user"] = json!("mallory");
    let made = world.client.post("logical-switches", body).await.body;
    assert_eq!(made["_revision"], 0);
    assert_ne!(made["id"], "mine");
    assert_eq!(made["_create_user"], "admin");
    assert_eq!(made["address_bindings"], json!([]));
    assert!(made.get("no_such_field").is_none() && made.get("vlan").is_none());
    assert_eq!(made["switching_profile_ids"].as_array().unwrap().len(), 6);
    assert!(made["vni"].as_u64().unwrap() > 0);
    assert!(made.get("hybrid").is_none(), "a field of 2.5");
    let unnamed = world.client.post("ip-sets", json!({})).await.body;
    assert_eq!(unnamed["display_name"], unnamed["id"]);
    let tagged = world
        .client
        .post("ip-sets", json!({ "tags": [{ "scope": "only" }] }))
        .await
        .body;
    assert_eq!(tagged["tags"], json!([{ "scope": "only", "tag": "" }]));
}

#[tokio::test]
async fn a_release_knows_its_own_fields() {
    let world = world_of(Version::V2_5).await;
    let made = world
        .client
        .post("logical-switches", world.switch_body("s"))
        .await
        .body;
    assert_eq!(made["hybrid"], false);
}

#[tokio::test]
async fn a_change_needs_the_present_revision_and_resets_what_it_leaves_out() {
    let world = world().await;
    let client = &world.client;
    let made = client
        .post(
            "ip-sets",
            json!({ "display_name": "s", "ip_addresses": ["10.0.0.1"], "description": "d" }),
        )
        .await;
    let path = format!("ip-sets/{}", made.id());
    let missing = client.put(&path, json!({ "display_name": "s" })).await;
    assert_eq!(
        (missing.status, missing.body["httpStatus"].as_str().unwrap()),
        (412, "PRECONDITION_FAILED")
    );
    let changed = client
        .put(&path, json!({ "display_name": "t", "_revision": 0 }))
        .await;
    assert_eq!(
        (changed.status, changed.body["_revision"].as_i64()),
        (200, Some(1))
    );
    assert_eq!(changed.body["ip_addresses"], json!([]));
    assert!(changed.body.get("description").is_none());
    assert_eq!(client.put(&path, made.body.clone()).await.status, 412);
}

#[tokio::test]
async fn bodies_are_judged() {
    let world = world().await;
    let client = &world.client;
    let switch = world.switch("s").await;
    let mut no_state = world.port_body(&switch, "p", 2, &[]);
    no_state.as_object_mut().unwrap().remove("admin_state");
    let mut no_tag = world.port_body(&switch, "p", 2, &[]);
    no_tag["attachment"]["context"]
        .as_object_mut()
        .unwrap()
        .remove("traffic_tag");
    let many: Vec<Value> = (0..31)
        .map(|at| json!({ "scope": format!("s{at}"), "tag": "t" }))
        .collect();
    for (path, body) in [
        ("logical-ports", no_state),
        ("logical-ports", no_tag),
        (
            "logical-ports",
            json!({ "logical_switch_id": switch, "admin_state": "SIDEWAYS" }),
        ),
        ("ip-sets", json!({ "tags": many })),
        ("ip-sets", json!({ "tags": tags(&[(&"s".repeat(129), "t")]) })),
        ("ip-sets", json!({ "tags": tags(&[("s", &"t".repeat(257))]) })),
        ("ip-sets", json!({ "ip_addresses": ["not an address"] })),
        ("ip-sets", json!({ "display_name": "n".repeat(256) })),
        ("pools/ip-blocks", json!({ "cidr": "fd00::/64" })),
        ("logical-routers", json!({ "router_type": "TIER2" })),
        (
            "logical-router-ports",
            json!({ "resource_type": "LogicalRouterSidePort" }),
        ),
        (
            "ns-groups",
            json!({ "members": [{ "resource_type": "NSGroupTagExpression", "target_type": "LogicalPort" }] }),
        ),
        (
            "logical-switches",
            json!({ "transport_zone_id": world.made.transport_zone, "admin_state": "UP" }),
        ),
    ] {
        let refused = client.post(path, body.clone()).await;
        assert_eq!(refused.status, 400, "{path} {body}");
        assert_eq!(refused.body["httpStatus"], "BAD_REQUEST");
    }
    let lost = client
        .post(
            "logical-ports",
            json!({ "logical_switch_id": "gone", "admin_state": "UP" }),
        )
        .await;
    assert_eq!((lost.status, lost.code()), (404, 202));
}

#[tokio::test]
async fn a_port_is_deleted_detached_or_by_force() {
    let world = world().await;
    let client = &world.client;
    let switch = world.switch("s").await;
    let port = world.port(&switch, "cif-1", 2, &[]).await;
    let twin = client
        .post("logical-ports", world.port_body(&switch, "cif-1", 3, &[]))
        .await;
    assert_eq!(twin.status, 400);
    assert_eq!(client.delete(&format!("logical-ports/{port}")).await.status, 400);
    let mut body = client.get(&format!("logical-ports/{port}")).await.body;
    body["attachment"] = Value::Null;
    assert!(
        client
            .put(&format!("logical-ports/{port}"), body)
            .await
            .body
            .get("attachment")
            .is_none()
    );
    let group = world.group("g", &[]).await;
    let member = json!({ "members": [{ "resource_type": "NSGroupSimpleExpression", "target_type": "LogicalPort",
        "target_property": "id", "op": "EQUALS", "value": port }] });
    assert_eq!(
        client
            .post(&format!("ns-groups/{group}?action=ADD_MEMBERS"), member.clone())
            .await
            .status,
        200
    );
    assert_eq!(
        client
            .post(&format!("ns-groups/{group}?action=ADD_MEMBERS"), member)
            .await
            .status,
        400
    );
    assert_eq!(client.delete(&format!("logical-ports/{port}")).await.status, 400);
    assert_eq!(
        client.delete(&format!("logical-switches/{switch}")).await.status,
        400
    );
    assert_eq!(
        client
            .delete(&format!("logical-ports/{port}?detach=true"))
            .await
            .status,
        200
    );
    assert_eq!(
        client.delete(&format!("logical-switches/{switch}")).await.status,
        200
    );
}

#[tokio::test]
async fn a_switch_goes_with_its_ports_when_asked() {
    let world = world().await;
    let client = &world.client;
    let switch = world.switch("s").await;
    let port = world.port(&switch, "cif-1", 2, &[]).await;
    let path = format!("logical-switches/{switch}");
    assert_eq!(client.delete(&path).await.status, 400);
    assert_eq!(
        client.delete(&format!("{path}?cascade=true")).await.status,
        400,
        "an attached port stays"
    );
    assert_eq!(
        client
            .delete(&format!("{path}?cascade=true&detach=true"))
            .await
            .status,
        200
    );
    assert_eq!(client.get(&format!("logical-ports/{port}")).await.status, 404);
}

#[tokio::test]
async fn the_server_fills_in_the_far_ends_of_links() {
    let world = world().await;
    let client = &world.client;
    let tier1 = world.router("c1-org").await;
    let (upper, lower) = world.link(&tier1).await;
    let above = client.get(&format!("logical-router-ports/{upper}")).await.body;
    let below = client.get(&format!("logical-router-ports/{lower}")).await.body;
    assert_eq!(above["linked_logical_router_port_id"], json!(lower));
    let transit = below["subnets"][0]["ip_addresses"][0].as_str().unwrap();
    assert!(transit.starts_with("100.") && below["subnets"][0]["prefix_length"] == 31);

    let switch = world.switch("s").await;
    let (far, downlink) = world.downlink(&tier1, &switch).await;
    let attached = client.get(&format!("logical-ports/{far}")).await.body;
    assert_eq!(
        attached["attachment"],
        json!({ "attachment_type": "LOGICALROUTER", "id": downlink })
    );
    assert_eq!(
        client
            .get(&format!("logical-router-ports?logical_switch_id={switch}"))
            .await
            .results()
            .len(),
        1
    );
    assert_eq!(
        client
            .get(&format!("logical-router-ports?logical_router_id={tier1}"))
            .await
            .results()
            .len(),
        2
    );

    assert_eq!(client.delete(&format!("logical-ports/{far}")).await.status, 400);
    assert_eq!(
        client
            .delete(&format!("logical-router-ports/{upper}"))
            .await
            .status,
        400
    );
    assert_eq!(
        client.delete(&format!("logical-routers/{tier1}")).await.status,
        400
    );
    assert_eq!(
        client
            .delete(&format!("logical-router-ports/{downlink}"))
            .await
            .status,
        200
    );
    assert!(
        client
            .get(&format!("logical-ports/{far}"))
            .await
            .body
            .get("attachment")
            .is_none()
    );
    assert_eq!(
        client
            .delete(&format!("logical-router-ports/{lower}"))
            .await
            .status,
        200
    );
    assert_eq!(
        client
            .delete(&format!("logical-router-ports/{upper}"))
            .await
            .status,
        200
    );
    assert_eq!(
        client.delete(&format!("logical-routers/{tier1}")).await.status,
        200
    );
}

#[tokio::test]
async fn a_router_goes_by_force_with_all_below() {
    let world = world().await;
    let tier1 = world.router("c1-org").await;
    let (upper, _) = world.link(&tier1).await;
    let switch = world.switch("s").await;
    let (far, _) = world.downlink(&tier1, &switch).await;
    let advertisement = format!("logical-routers/{tier1}/routing/advertisement");
    let read = world.client.get(&advertisement).await.body;
    assert_eq!(
        (read["_revision"].as_i64(), read["enabled"].as_bool()),
        (Some(0), Some(false))
    );
    let mut body = read.clone();
    body["enabled"] = json!(true);
    assert_eq!(world.client.put(&advertisement, body).await.body["_revision"], 1);
    assert_eq!(world.client.put(&advertisement, read).await.status, 412);
    assert_eq!(
        world
            .client
            .delete(&format!("logical-routers/{tier1}?force=true"))
            .await
            .status,
        200
    );
    assert_eq!(world.client.get(&advertisement).await.status, 404);
    let above = world
        .client
        .get(&format!("logical-router-ports/{upper}"))
        .await
        .body;
    assert!(above.get("linked_logical_router_port_id").is_none());
    assert!(
        world
            .client
            .get(&format!("logical-ports/{far}"))
            .await
            .body
            .get("attachment")
            .is_none()
    );
}

#[tokio::test]
async fn nat_rules_fit_their_router() {
    let world = world().await;
    let rules = format!("logical-routers/{}/nat/rules", world.made.tier0);
    let snat = json!({ "action": "SNAT", "match_source_network": "10.16.0.0/24", "translated_network": "192.0.2.10" });
    let made = world.client.post(&rules, snat.clone()).await;
    assert_eq!(
        (
            made.status,
            made.body["rule_priority"].as_i64(),
            made.body["enabled"].as_bool()
        ),
        (201, Some(1024), Some(true))
    );
    assert!(made.id().parse::<u32>().is_ok());
    for wrong in [
        json!({ "action": "SNAT", "match_source_network": "10.16.0.0/24" }),
        json!({ "action": "NO_SNAT", "translated_network": "192.0.2.10" }),
        json!({ "action": "SNAT", "match_source_network": "10.0.0.1-10.0.0.9", "translated_network": "192.0.2.10" }),
        json!({ "action": "REFLEXIVE", "match_source_network": "10.1.0.0/24", "translated_network": "192.0.2.0/24" }),
    ] {
        assert_eq!(
            world.client.post(&rules, wrong.clone()).await.status,
            400,
            "{wrong}"
        );
    }
    let tier1 = world.router("t1").await;
    assert_eq!(
        world
            .client
            .post(&format!("logical-routers/{tier1}/nat/rules"), snat)
            .await
            .status,
        400
    );
    assert_eq!(
        world
            .client
            .delete(&format!("{rules}/{}", made.id()))
            .await
            .status,
        200
    );
    assert!(world.client.get(&rules).await.results().is_empty());
}

#[tokio::test]
async fn groups_have_their_effective_members() {
    let world = world().await;
    let client = &world.client;
    let switch = world.switch("s").await;
    let one = world.port(&switch, "one", 2, &[("space", "a")]).await;
    let two = world.port(&switch, "two", 3, &[("space", "b")]).await;
    let inner = world.group("inner", &[("space", "a")]).await;
    let member = |of: &str, id: &str| json!({ "resource_type": "NSGroupSimpleExpression", "target_type": of, "target_property": "id", "op": "EQUALS", "value": id });
    let outer = json!({ "display_name": "outer", "members": [member("NSGroup", &inner), member("LogicalPort", &two)] });
    let outer = client.post("ns-groups", outer).await;
    assert_eq!(outer.body["member_count"], 2);
    let effective = client
        .get(&format!(
            "ns-groups/{}/effective-logical-port-members",
            outer.id()
        ))
        .await;
    let mut ids: Vec<&str> = effective
        .results()
        .iter()
        .map(|one| one["target_id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    let mut wanted = [one.as_str(), two.as_str()];
    wanted.sort_unstable();
    assert_eq!(ids, wanted);
    let addresses = client
        .get(&format!("ns-groups/{inner}/effective-ip-address-members"))
        .await;
    assert_eq!(addresses.results(), &[json!("10.16.0.2")]);
    assert_eq!(client.delete(&format!("ns-groups/{inner}")).await.status, 400);
    assert_eq!(
        client
            .delete(&format!("ns-groups/{inner}?force=true"))
            .await
            .status,
        200
    );
    assert_eq!(
        client.get(&format!("ns-groups/{}", outer.id())).await.body["member_count"],
        1
    );
}

#[tokio::test]
async fn system_objects_and_protected_ones_stay() {
    let world = world().await;
    let client = &world.client;
    let all = client.get("switching-profiles?include_system_owned=true").await;
    let system = all
        .results()
        .iter()
        .find(|one| one["_system_owned"] == true)
        .unwrap();
    assert!(
        client
            .get("switching-profiles")
            .await
            .results()
            .iter()
            .all(|one| one["_system_owned"] == false)
    );
    assert_eq!(
        client
            .delete(&format!("switching-profiles/{}", system["id"].as_str().unwrap()))
            .await
            .status,
        400
    );
    let switch = world.switch("s").await;
    assert!(
        world
            .emulator
            .protect("LogicalSwitch", &switch, "REQUIRE_OVERRIDE")
            .unwrap()
    );
    let path = format!("logical-switches/{switch}");
    assert_eq!(client.delete(&path).await.status, 403);
    let request = client
        .request(reqwest::Method::DELETE, &path, None)
        .header("X-Allow-Overwrite", "true");
    assert_eq!(client.send(request).await.unwrap().status, 200);
}
