//! The command line over the control API, on the built-in scenario.

use clap::Parser;
use foundation_emulator::cli::{self, Cli, CliError};
use foundation_emulator::{Foundation, Scenario};

use crate::client::foundation;

async fn run(foundation: &Foundation, words: &[&str]) -> Result<String, CliError> {
    let control = &foundation.endpoints().control;
    let words: Vec<&str> = ["foundation", "--control", control]
        .iter()
        .chain(words)
        .copied()
        .collect();
    let mut out = Vec::new();
    cli::run(&Cli::try_parse_from(words).unwrap(), &mut out).await?;
    Ok(String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn a_day_in_the_life() {
    let foundation = foundation().await;
    let rules = r#"[{"protocol":"tcp","destination":"10.0.0.1","ports":"443"}]"#;
    let lines: [&[&str]; 18] = [
        &["create-org", "o"],
        &["create-space", "o", "s"],
        &["create-security-group", "g", rules],
        &["bind-security-group", "g", "o/s"],
        &[
            "push",
            "o/s",
            "a",
            "--instances",
            "3",
            "--env",
            "NCP_SNAT_POOL=p",
            "--workers",
            "1",
        ],
        &["scale", "a", "2"],
        &["crash", "a", "1"],
        &["restage", "a"],
        &["restart", "a"],
        &["stop", "a"],
        &["start", "a"],
        &["run-task", "a", "bin/x", "--name", "x"],
        &[
            "add-network-policy",
            "a",
            "a",
            "--protocol",
            "udp",
            "--ports",
            "7-9",
        ],
        &["update-security-group", "g", "[]"],
        &["unbind-security-group", "g", "s"],
        &["evacuate", "diego-cell-0"],
        &["set-routable", "a", "0", "false"],
        &["fail-over"],
    ];
    for line in lines {
        let answer = run(&foundation, line).await;
        assert!(answer.is_ok(), "{line:?}: {answer:?}");
    }
    let world = foundation.world();
    assert_eq!(world.containers.len(), 4, "two of web, one worker, one task");
    assert!(
        world
            .containers
            .iter()
            .all(|container| container.snat_pool.as_deref() == Some("p"))
    );
    assert_eq!(world.policies.len(), 1);
    assert!(
        run(&foundation, &["status"])
            .await
            .unwrap()
            .contains("app  o/s/a")
    );
    assert!(
        run(&foundation, &["requests"])
            .await
            .unwrap()
            .contains("POST /commands")
    );
    run(
        &foundation,
        &[
            "remove-network-policy",
            "a",
            "a",
            "--protocol",
            "udp",
            "--ports",
            "7-9",
        ],
    )
    .await
    .unwrap();
    run(&foundation, &["delete", "a"]).await.unwrap();
    assert_eq!(foundation.world().desired, 0);
}

#[tokio::test]
async fn refusals_say_what_is_missing() {
    let foundation = foundation().await;
    let error = run(&foundation, &["scale", "nobody", "2"]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no app nobody; `status` lists what there is"
    );
    foundation.create_org("o").unwrap();
    let error = run(&foundation, &["create-org", "o"]).await.unwrap_err();
    assert!(error.to_string().contains("exists already"));
}

#[tokio::test]
async fn the_built_in_foundation_is_believable() {
    let foundation = foundation().await;
    foundation.load(&Scenario::built_in().unwrap()).unwrap();
    let world = foundation.world();
    assert!(world.orgs.len() >= 4 && world.spaces.len() >= 8);
    let running = world.running().count();
    assert!((36..80).contains(&running), "{running} containers run");
    assert_eq!(
        world
            .containers
            .iter()
            .filter(|container| container.snat_pool.is_some())
            .count(),
        3
    );
    assert!(
        world
            .security_groups
            .iter()
            .any(|group| group.name == "public_networks" && group.running_default)
    );
    let cards: Vec<_> = world
        .containers
        .iter()
        .filter(|container| container.cell == "diego-cell-pci")
        .collect();
    assert_eq!(
        cards.len(),
        5,
        "the segment's containers are on the segment's cell"
    );
}
