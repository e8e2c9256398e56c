//! Sweeps, twins, and what others put into our objects.

use std::collections::BTreeMap;
use std::time::Duration;

use ncp_core::code::Code;
use ncp_core::dialect::{FarEnd, Outcome, ReadOutcome, ReadRequest, RowKey};
use ncp_core::id::{GroupId, NodeId, PoolName};
use ncp_core::topology::{Object, ObjectKey};
use ncp_nsxt::manager::{Collection, Handle, NodeMatch, NodeTag, Part, resolve_environment};
use ncp_nsxt::transport::Deadline;
use nsx_manager_emulator::{Fixture, Options as Emulated};
use serde_json::{Value, json};

use super::world::{Key, World, named};
use super::writes::build;

fn expected(world: &World) -> BTreeMap<Key, ncp_core::digest::Digest> {
    let stands = world
        .stands
        .0
        .iter()
        .filter(|(k, _)| !matches!(k.part, Part::Parent | Part::Pool));
    stands.map(|(k, seen)| (k.clone(), seen.digest)).collect()
}

fn without_machines(
    swept: BTreeMap<Key, ncp_core::digest::Digest>,
) -> BTreeMap<Key, ncp_core::digest::Digest> {
    swept
        .into_iter()
        .filter(|(k, _)| k.part != Part::Parent)
        .collect()
}

#[tokio::test]
async fn a_sweep_shows_everything_that_is_ours_and_nothing_else() {
    let mut world = World::start().await;
    build(&mut world).await;
    let (all, whole) = world.sweep().await;
    assert!(whole, "each list was one answer");
    let machines = all.iter().filter(|(k, _)| k.part == Part::Parent).count();
    assert_eq!(machines, 3);
    assert_eq!(without_machines(World::swept(all)), expected(&world));
}

#[tokio::test]
async fn small_pages_show_the_same_and_prove_no_absence() {
    let options = Emulated {
        page_limit: Some(2),
        ..Emulated::default()
    };
    let mut world = World::with(Fixture::default(), options).await;
    build(&mut world).await;
    let (all, whole) = world.sweep().await;
    assert!(!whole);
    assert_eq!(without_machines(World::swept(all)), expected(&world));
    for key in world.stands.0.keys() {
        assert!(world.read(key, None).await.is_some(), "{key}");
    }
}

#[tokio::test]
async fn a_pages_size_is_obeyed() {
    let mut world = World::start().await;
    world.far_end = world.far_end.with_page_size(1);
    let first = world
        .far_end
        .read(ReadRequest::Sweep(Collection::Ports, None))
        .await;
    assert!(matches!(first, ReadOutcome::Chunk { next: Some(_), .. }));
    assert_eq!(
        world.emulator.log().entries(0).last().unwrap().query,
        "page_size=1"
    );
}

fn id(world: &World, key: &Key) -> String {
    match &world.stands.0[key].handle {
        Handle::Id(id) => id.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn post(world: &World, path: &str, body: Value) -> Value {
    let deadline = Deadline::after(Duration::from_secs(60));
    world
        .api
        .post(path, &[], Some(&body), deadline)
        .await
        .unwrap()
        .value()
        .unwrap()
}

#[tokio::test]
async fn a_twin_is_told() {
    let mut world = World::start().await;
    let object = Object::Group(GroupId::new("g"));
    world.ensure(object.clone()).await;
    let (key, _) = world.rows(&object).pop().unwrap();
    let mut twin = world
        .api
        .get(&format!("/ns-groups/{}", id(&world, &key)), &[])
        .await
        .unwrap()
        .value()
        .unwrap();
    twin.as_object_mut()
        .unwrap()
        .retain(|field, _| !field.starts_with('_') && field != "id");
    post(&world, "/ns-groups", twin).await;
    let ReadOutcome::Chunk { items, .. } = world.read_all(&key, None).await else {
        panic!()
    };
    assert_eq!(items.len(), 2);
    assert_ne!(items[0].1.handle, items[1].1.handle);
}

#[tokio::test]
async fn foreign_rules_and_members_get_keys_that_nobody_wants_and_can_be_removed() {
    let mut world = World::start().await;
    build(&mut world).await;
    let known = expected(&world);
    let section = world
        .stands
        .0
        .keys()
        .find(|k| k.part == Part::Section && k.object.to_string().contains("policy"))
        .unwrap()
        .clone();
    let path = format!("/firewall/sections/{}", id(&world, &section));
    let revision = world.api.get(&path, &[]).await.unwrap().value().unwrap()["_revision"].clone();
    post(
        &world,
        &format!("{path}/rules"),
        json!({ "display_name": "mine", "action": "ALLOW", "_revision": revision }),
    )
    .await;
    let set = post(
        &world,
        "/ip-sets",
        json!({ "display_name": "theirs", "ip_addresses": ["10.0.0.1"] }),
    )
    .await;
    let union = world
        .stands
        .0
        .keys()
        .find(|k| matches!(k.object, ObjectKey::Union(_)))
        .unwrap()
        .clone();
    let member = json!({ "members": [{ "resource_type": "NSGroupSimpleExpression", "target_type": "IPSet",
        "target_property": "id", "op": "EQUALS", "value": set["id"] }] });
    post(
        &world,
        &format!("/ns-groups/{}?action=ADD_MEMBERS", id(&world, &union)),
        member,
    )
    .await;
    let (all, _) = world.sweep().await;
    let strangers: Vec<_> = all
        .into_iter()
        .filter(|(k, _)| k.part != Part::Parent && !known.contains_key(k))
        .collect();
    assert_eq!(strangers.len(), 2, "{strangers:?}");
    for (key, seen) in strangers {
        world.stands.0.insert(key.clone(), seen);
        assert!(matches!(world.remove(&key).await, Outcome::Gone), "{key}");
        world.stands.0.remove(&key);
    }
    assert_eq!(without_machines(World::swept(world.sweep().await.0)), known);
    assert!(
        world
            .emulator
            .inventory()
            .get("IPSet", set["id"].as_str().unwrap())
            .is_some()
    );
}

#[tokio::test]
async fn unreadable_and_foreign_marks_are_left_alone() {
    let world = World::start().await;
    let tags = |cluster: &str, key: &str| json!([{ "scope": "ncp/cluster", "tag": cluster }, { "scope": "ncp/key", "tag": key }]);
    for tags in [
        tags("c1", "later-kind/x#part"),
        tags("c2", "group/x#group"),
        tags("c1", "router/x#router"),
    ] {
        post(&world, "/ns-groups", json!({ "display_name": "g", "tags": tags })).await;
    }
    let (all, _) = world.sweep().await;
    assert!(all.iter().all(|(k, _)| k.part == Part::Parent), "{all:?}");
}

#[tokio::test]
async fn machines_are_found_or_refused_with_a_code() {
    let world = World::start().await;
    let key = |name: &str| RowKey::new(ObjectKey::Node(NodeId::new(name)), Part::Parent);
    let seen = world.read(&key("cell-2"), None).await.unwrap();
    assert_eq!(seen.handle, Handle::Vif(world.made.cells[1].vif.as_str().into()));
    assert!(world.read(&key("cell-9"), None).await.is_none());
    let port = json!({ "logical_switch_id": world.made.cell_switch, "admin_state": "UP", "attachment": { "id": "second" },
        "tags": [{ "scope": "ncp/node_name", "tag": "cell-2" }, { "scope": "ncp/cluster", "tag": "c1" }] });
    post(&world, "/logical-ports", port).await;
    let ReadOutcome::Chunk { refused, .. } = world.read_all(&key("cell-2"), None).await else {
        panic!()
    };
    assert_eq!(refused[0].1.code, Code::InvalidNodeLogicalSwitchPort);
    let swept = World::swept(world.sweep().await.0);
    assert!(swept.contains_key(&key("cell-1")) && !swept.contains_key(&key("cell-2")));
}

/// The platform marks every interface of a machine; the operator's tag on one of them goes before.
#[tokio::test]
async fn ways_to_a_machine_are_tried_in_order() {
    let World {
        emulator, made, api, ..
    } = World::start().await;
    let mut given = named("c1");
    given.node_match = NodeMatch {
        fixed: [("cell-3".to_owned(), "configured".into())].into(),
        ways: vec![NodeTag::NodeName, NodeTag::Scope("bosh/id".into())],
    };
    let environment = resolve_environment(&api, &given).await.unwrap();
    let world = World::over(emulator, made, api, environment);
    for (vif, machine) in [
        ("other-nic", "cell-2"),
        ("tagged-by-bosh", "cell-9"),
        ("third", "cell-3"),
    ] {
        let port = json!({ "logical_switch_id": world.made.cell_switch, "admin_state": "UP",
            "attachment": { "id": vif }, "tags": [{ "scope": "bosh/id", "tag": machine }] });
        post(&world, "/logical-ports", port).await;
    }
    let key = |name: &str| RowKey::new(ObjectKey::Node(NodeId::new(name)), Part::Parent);
    let second = Handle::Vif(world.made.cells[1].vif.as_str().into());
    let ninth = Handle::Vif("tagged-by-bosh".into());
    let configured = Handle::Vif("configured".into());
    for (machine, vif) in [("cell-2", &second), ("cell-9", &ninth), ("cell-3", &configured)] {
        let read = world.read(&key(machine), None).await.unwrap();
        assert_eq!(read.handle, *vif, "{machine}");
    }
    let swept: BTreeMap<_, _> = world.sweep().await.0.into_iter().collect();
    assert_eq!(swept[&key("cell-2")].handle, second);
    assert_eq!(swept[&key("cell-9")].handle, ninth);
    assert!(!swept.contains_key(&key("cell-3")));
}

#[tokio::test]
async fn a_machine_that_the_index_does_not_show_is_found_in_the_list() {
    let options = Emulated {
        search_lag: Duration::from_secs(3600),
        ..Emulated::default()
    };
    let world = World::with(Fixture::default(), options).await;
    let key = RowKey::new(ObjectKey::Node(NodeId::new("cell-2")), Part::Parent);
    assert!(world.read(&key, None).await.is_some());
}

#[tokio::test]
async fn pools_are_found_by_name_or_id_or_refused_with_a_code() {
    let world = World::start().await;
    let key = |name: &str| RowKey::new(ObjectKey::Pool(PoolName::new(name)), Part::Pool);
    let by_name = world.read(&key("snat-pool-two"), None).await.unwrap();
    let by_id = world.read(&key(&world.made.pools[1]), None).await.unwrap();
    assert_eq!(by_name.handle, by_id.handle);
    assert!(world.read(&key("no-such-pool"), None).await.is_none());
    let pool = json!({ "display_name": "snat-pool", "subnets": [] });
    post(&world, "/pools/ip-pools", pool).await;
    let ReadOutcome::Chunk { refused, .. } = world.read_all(&key("snat-pool"), None).await else {
        panic!()
    };
    assert_eq!(refused[0].1.code, Code::IpPoolNotUnique);
}
