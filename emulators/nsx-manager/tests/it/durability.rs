//! State that outlives its emulator, and states that can be compared.

use nsx_manager_emulator::{Emulator, Fixture, Options, State};
use serde_json::json;

use crate::client::{Client, world, world_with};

/// A directory that goes with its test.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nsx-emulator-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_state_file_brings_everything_back() {
    let scratch = Scratch::new("state");
    let options = || Options {
        state: State::File(scratch.0.join("nsx.sqlite")),
        ..Options::default()
    };
    let world = world_with(options()).await;
    let switch = world.switch("kept").await;
    world.port(&switch, "cif", 2, &[("a", "b")]).await;
    let lost = world.switch("lost").await;
    assert_eq!(
        world
            .client
            .delete(&format!("logical-switches/{lost}"))
            .await
            .status,
        200
    );
    let before = world.emulator.inventory().dump();
    let made = world.made.clone();
    world.emulator.stop().await;

    let emulator = Emulator::start(options()).await.unwrap();
    assert_eq!(emulator.inventory().dump(), before);
    assert_eq!(emulator.fixture(&Fixture::default()).unwrap().cells, made.cells);
    assert_eq!(emulator.inventory().dump(), before);
    let client = Client::to(&emulator.urls()[0]);
    assert_eq!(
        client
            .get("logical-ports?attachment_id=cif")
            .await
            .results()
            .len(),
        1
    );
    let rules = format!("logical-routers/{}/nat/rules", made.tier0);
    let rule =
        json!({ "action": "SNAT", "match_source_network": "10.0.0.1", "translated_network": "192.0.2.9" });
    assert!(client.post(&rules, rule).await.id().parse::<u64>().unwrap() > 1000);
}

#[tokio::test]
async fn states_compare_whatever_their_ids_and_order() {
    let (one, two) = (world().await, world().await);
    for (world, names) in [(&one, ["a", "b"]), (&two, ["b", "a"])] {
        for name in names {
            let switch = world.switch(name).await;
            world
                .port(
                    &switch,
                    &format!("cif-{name}"),
                    name.as_bytes()[0],
                    &[("x", "1"), ("y", "2")],
                )
                .await;
        }
    }
    assert_ne!(one.emulator.inventory().dump(), two.emulator.inventory().dump());
    assert_eq!(
        one.emulator.inventory().canonical(),
        two.emulator.inventory().canonical()
    );
    two.switch("c").await;
    assert_ne!(
        one.emulator.inventory().canonical(),
        two.emulator.inventory().canonical()
    );
}

#[tokio::test]
async fn a_refused_request_leaves_no_trace() {
    let world = world().await;
    let before = world.emulator.inventory().dump();
    let body = json!({ "display_name": "s", "section_type": "LAYER3", "stateful": true, "rules": [
        { "display_name": "fine", "action": "ALLOW" },
        { "display_name": "bad", "action": "ALLOW", "sources": [{ "target_type": "NSGroup", "target_id": "gone" }] },
    ] });
    assert_eq!(
        world
            .client
            .post("firewall/sections?action=create_with_rules", body)
            .await
            .status,
        404
    );
    assert_eq!(world.emulator.inventory().dump(), before);
}
