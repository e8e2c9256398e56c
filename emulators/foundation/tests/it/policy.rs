//! The policy server: forms, tokens and quirks.

use foundation_emulator::{Command, Phase, PolicyFaults, PolicySpec};
use serde_json::{Value, json};

use crate::client::{app, foundation, http, with_space};

fn policy(source: &str, destination: &str, ports: &str) -> PolicySpec {
    PolicySpec {
        source: source.into(),
        destination: destination.into(),
        protocol: "tcp".into(),
        ports: ports.into(),
    }
}

#[tokio::test]
async fn policies_are_a_set_with_tags() {
    let foundation = with_space().await;
    let (a, b) = (
        foundation.push(&app("a", 0)).unwrap(),
        foundation.push(&app("b", 0)).unwrap(),
    );
    foundation
        .add_network_policy(&policy("a", "b", "8080-8090"))
        .unwrap();
    foundation
        .add_network_policy(&policy("a", "b", "8080-8090"))
        .unwrap();
    let url = format!(
        "{}/networking/v1/internal/policies",
        foundation.endpoints().policy_internal
    );
    let list = async |query: &str| {
        http()
            .get(format!("{url}{query}"))
            .send()
            .await
            .unwrap()
            .json::<Value>()
            .await
            .unwrap()
    };
    let wanted = json!({"total_policies": 1, "policies": [{
        "source": {"id": a, "tag": "0001"},
        "destination": {"id": b, "tag": "0002", "protocol": "tcp", "ports": {"start": 8080, "end": 8090}},
    }]});
    assert_eq!(list("").await, wanted);
    assert_eq!(list(&format!("?id={b},nobody")).await, wanted);
    assert_eq!(
        list("?id=").await["total_policies"],
        0,
        "an empty parameter matches nothing"
    );
    assert_eq!(
        list(&format!("?id=nobody&id={b}")).await["total_policies"],
        0,
        "only the first counts"
    );
    foundation.set_policy_faults(PolicyFaults {
        duplicates: true,
        legacy_egress: true,
        ..Default::default()
    });
    assert_eq!(
        (
            list("").await["total_policies"].clone(),
            list("").await["total_egress_policies"].clone()
        ),
        (json!(2), json!(0))
    );
}

#[tokio::test]
async fn the_token_moves_with_every_write_and_may_be_absent() {
    let foundation = with_space().await;
    foundation.push(&app("a", 0)).unwrap();
    let url = format!(
        "{}/networking/v1/internal/policies_last_updated",
        foundation.endpoints().policy_internal
    );
    let read = async || {
        http()
            .get(&url)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
            .parse::<i64>()
            .unwrap()
    };
    let first = read().await;
    assert_eq!(first, read().await);
    foundation.remove_network_policy(&policy("a", "a", "1")).unwrap();
    let second = read().await;
    assert!(second > first, "even when nothing changed");
    foundation
        .apply(Command::MovePolicyToken { backwards: 10 })
        .unwrap();
    assert!(read().await < first, "a restored database moves it back");
    foundation.set_policy_faults(PolicyFaults {
        no_change_tokens: true,
        ..Default::default()
    });
    assert_eq!(http().get(&url).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn security_groups_come_as_text_and_only_global_or_asked_ones() {
    let foundation = with_space().await;
    foundation
        .create_security_group(
            "global",
            vec![json!({"protocol": "all", "destination": "10.0.0.0/8"})],
        )
        .unwrap();
    foundation
        .set_global_security_group("global", Phase::Staging, true)
        .unwrap();
    foundation.create_security_group("bound", Vec::new()).unwrap();
    foundation
        .bind_security_group("bound", "s", Phase::Running)
        .unwrap();
    let space = foundation.world().spaces[0].guid.clone();
    let url = format!(
        "{}/networking/v1/internal/security_groups",
        foundation.endpoints().policy_internal
    );
    let list = async |query: String| {
        http()
            .get(format!("{url}{query}"))
            .send()
            .await
            .unwrap()
            .json::<Value>()
            .await
            .unwrap()
    };
    let names = |body: &Value| -> Vec<String> {
        body["security_groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let body = list(String::new()).await;
    assert_eq!(names(&body), ["global"]);
    let rules: Value = serde_json::from_str(body["security_groups"][0]["rules"].as_str().unwrap()).unwrap();
    assert_eq!(
        rules[0].as_object().unwrap().len(),
        7,
        "absent keys are filled in"
    );
    assert_eq!(
        names(&list(format!("?space_guids={space}&per_page=1")).await).len(),
        2,
        "per_page is unknown"
    );
    let first = list(format!("?space_guids={space}&limit=1")).await;
    assert_eq!(names(&first), ["global"]);
    let second = list(format!("?space_guids={space}&limit=1&from={}", first["next"])).await;
    assert_eq!(
        (names(&second), &second["next"]),
        (vec!["bound".to_owned()], &json!(0))
    );
    assert_eq!(
        http()
            .get(format!("{url}?limit=x"))
            .send()
            .await
            .unwrap()
            .status(),
        500
    );
}

#[tokio::test]
async fn the_external_api_wants_a_scope_and_valid_policies() {
    let foundation = foundation().await;
    let token = crate::client::token(&foundation).await;
    let base = format!(
        "{}/networking/v1/external/policies",
        foundation.endpoints().policy_external
    );
    let refused = http().get(&base).send().await.unwrap();
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["www-authenticate"]),
        (401, &"Bearer".parse().unwrap())
    );
    let post = async |path: &str, body: Value| {
        let response = http()
            .post(format!("{base}{path}"))
            .bearer_auth(&token)
            .json(&body)
            .send()
            .await
            .unwrap();
        (
            response.status().as_u16(),
            response.json::<Value>().await.unwrap(),
        )
    };
    let one = |start: u32, end: u32| json!({"policies": [{"source": {"id": "x"}, "destination": {"id": "y", "protocol": "udp", "ports": {"start": start, "end": end}}}]});
    assert_eq!(post("", one(1, 2)).await, (200, json!({})));
    assert_eq!(foundation.world().policies.len(), 1);
    for bad in [one(0, 2), one(3, 2), one(1, 65536), json!({"policies": []})] {
        let (status, body) = post("", bad).await;
        assert_eq!(status, 400);
        assert!(
            body["error"]
                .as_str()
                .unwrap()
                .starts_with("mapper: validate policies: ")
        );
    }
    assert_eq!(
        post("/delete", one(5, 5)).await,
        (200, json!({})),
        "deleting what is not there succeeds"
    );
    assert_eq!(
        post("/cleanup", json!({})).await.1["total_policies"],
        1,
        "neither end is an app"
    );
    assert_eq!(foundation.world().policies.len(), 0);
    let url = format!(
        "{}/networking/v9/external/policies",
        foundation.endpoints().policy_external
    );
    assert_eq!(http().get(url).send().await.unwrap().status(), 406);
}
