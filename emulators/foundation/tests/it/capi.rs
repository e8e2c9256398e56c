//! Cloud Controller and UAA: pages, filters, errors, change token, faults.

use std::time::Duration;

use foundation_emulator::{Age, Command, Fault, FaultKind, Foundation, Options, Phase, Service};
use serde_json::{Value, json};

use crate::client::{foundation, get, http, names, token, with_space};

async fn with_orgs(count: usize) -> (Foundation, String) {
    let foundation = foundation().await;
    for number in 0..count {
        foundation.create_org(&format!("org-{number}")).unwrap();
    }
    let token = token(&foundation).await;
    (foundation, token)
}

/// The path of a link: clients must call their own endpoint, not the link's host.
fn rebased(link: &Value) -> Option<String> {
    let url = reqwest::Url::parse(link["href"].as_str()?).unwrap();
    assert_eq!(url.host_str(), Some("api.sys.foundation.test"));
    Some(format!("{}?{}", url.path(), url.query().unwrap_or_default()))
}

async fn all(foundation: &Foundation, token: &str, path: &str) -> Vec<String> {
    let (mut seen, mut next) = (Vec::new(), Some(path.to_owned()));
    while let Some(path) = next {
        let (status, body) = get(foundation, token, &path).await;
        assert_eq!(status, 200);
        seen.extend(names(&body).into_iter().map(str::to_owned));
        next = rebased(&body["pagination"]["next"]);
    }
    seen
}

#[tokio::test]
async fn pages_are_complete_and_in_order() {
    let (foundation, token) = with_orgs(7).await;
    let (_, body) = get(&foundation, &token, "/v3/organizations?per_page=3&page=3").await;
    assert_eq!(body["pagination"]["total_results"], 7);
    assert_eq!(body["pagination"]["total_pages"], 3);
    assert_eq!(body["pagination"]["next"], Value::Null);
    let seen = all(&foundation, &token, "/v3/organizations?per_page=3").await;
    assert_eq!(
        seen,
        (0..7).map(|number| format!("org-{number}")).collect::<Vec<_>>()
    );
    let (_, body) = get(&foundation, &token, "/v3/organizations?page=9").await;
    assert_eq!(
        (
            &body["pagination"]["total_results"],
            &body["pagination"]["total_pages"]
        ),
        (&json!(0), &json!(1))
    );
    let (status, _) = get(&foundation, &token, "/v3/organizations?per_page=5001").await;
    assert_eq!(status, 400);
    let (_, body) = get(&foundation, &token, "/v3/organizations?order_by=-name&per_page=1").await;
    assert_eq!(names(&body), ["org-6"]);
}

#[tokio::test]
async fn unknown_parameters_are_400_or_422() {
    let (foundation, token) = with_orgs(0).await;
    for (path, status, code) in [
        ("organizations", 400, 10005),
        ("apps", 400, 10005),
        ("security_groups", 422, 10008),
    ] {
        let (seen, body) = get(&foundation, &token, &format!("/v3/{path}?colour=red")).await;
        assert_eq!(
            (seen, &body["errors"][0]["code"]),
            (status, &json!(code)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn updated_ats_count_whole_seconds() {
    let (foundation, token) = with_orgs(2).await;
    let (_, body) = get(&foundation, &token, "/v3/organizations").await;
    let at = body["resources"][1]["updated_at"].as_str().unwrap().to_owned();
    let (_, body) = get(
        &foundation,
        &token,
        &format!("/v3/organizations?updated_ats[gte]={at}"),
    )
    .await;
    assert!(names(&body).contains(&"org-1"));
    let (_, body) = get(
        &foundation,
        &token,
        &format!("/v3/organizations?updated_ats[gt]={at}"),
    )
    .await;
    assert!(!names(&body).contains(&"org-1"));
    let (status, _) = get(
        &foundation,
        &token,
        "/v3/organizations?updated_ats=2026-01-01T00:00:00.5Z",
    )
    .await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_deletion_between_pages_hides_a_row() {
    let (foundation, token) = with_orgs(4).await;
    foundation.arm(Fault::once(
        Service::Capi,
        "/v3/organizations",
        FaultKind::DeleteBetweenPages,
    ));
    let seen = all(&foundation, &token, "/v3/organizations?per_page=2").await;
    assert_eq!(
        seen,
        ["org-0", "org-1", "org-3"],
        "org-2 moved to the page that was read already"
    );
}

#[tokio::test]
async fn faults_have_cloud_controllers_form() {
    let (foundation, token) = with_orgs(3).await;
    let cases = [
        (FaultKind::InvalidToken, 401, 1000),
        (FaultKind::Forbidden, 403, 10003),
        (FaultKind::RateLimited(7), 429, 10013),
        (FaultKind::ServerError, 500, 10001),
        (FaultKind::Unavailable, 503, 10015),
    ];
    for (kind, status, code) in cases {
        foundation.arm(Fault::once(Service::Capi, "/v3/spaces", kind));
        let (seen, body) = get(&foundation, &token, "/v3/spaces").await;
        assert_eq!(
            (seen, &body["errors"][0]["code"]),
            (status, &json!(code)),
            "{kind:?}"
        );
    }
    let url = format!("{}/v3/organizations", foundation.endpoints().capi);
    let send = || http().get(&url).bearer_auth(&token).send();
    foundation.arm(Fault::once(Service::Capi, "", FaultKind::RateLimited(7)));
    let limited = send().await.unwrap();
    assert_eq!(
        (
            &limited.headers()["retry-after"],
            &limited.headers()["content-type"]
        ),
        (&"7".parse().unwrap(), &"text/plain".parse().unwrap())
    );
    foundation.arm(Fault::once(Service::Capi, "", FaultKind::Truncated(20)));
    assert!(
        send().await.unwrap().bytes().await.is_err(),
        "a cut body is no body"
    );
    foundation.arm(Fault::once(Service::Capi, "", FaultKind::Reset));
    assert!(send().await.is_err());
    foundation.arm(Fault::once(Service::Capi, "", FaultKind::EmptyList));
    assert_eq!(
        send().await.unwrap().json::<Value>().await.unwrap()["pagination"]["total_results"],
        0
    );
    assert_eq!(
        send().await.unwrap().json::<Value>().await.unwrap()["pagination"]["total_results"],
        3
    );
    foundation.arm(Fault::once(Service::Uaa, "/oauth/token", FaultKind::NotFound));
    let lost = http()
        .post(format!("{}/oauth/token", foundation.endpoints().uaa))
        .send()
        .await
        .unwrap();
    assert_eq!(lost.status(), 404);
}

#[tokio::test]
async fn tokens_are_needed_expire_and_are_revoked() {
    let options = Options {
        token_lifetime: Duration::from_secs(60),
        ..Options::default()
    };
    let foundation = Foundation::start(options).await.unwrap();
    let code = async |token: &str| get(&foundation, token, "/v3/spaces").await.1["errors"][0]["code"].clone();
    let url = format!("{}/v3/spaces", foundation.endpoints().capi);
    let anonymous: Value = http().get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(anonymous["errors"][0]["code"], 10002);
    assert_eq!(code("nonsense").await, 1000);
    let one = token(&foundation).await;
    assert_eq!(one.split('.').count(), 3, "shaped like a JWT");
    assert_eq!(code(&one).await, Value::Null);
    foundation.apply(Command::RevokeTokens).unwrap();
    assert_eq!(code(&one).await, 1000);
    let two = token(&foundation).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    assert_eq!(code(&two).await, 1000);
}

#[tokio::test]
async fn bindings_move_the_token_but_not_the_group() {
    let foundation = with_space().await;
    let token = token(&foundation).await;
    foundation.create_security_group("g", Vec::new()).unwrap();
    let change = async || {
        let url = format!(
            "{}/internal/v4/asg_latest_update",
            foundation.endpoints().capi_internal
        );
        http()
            .get(url)
            .send()
            .await
            .unwrap()
            .json::<Value>()
            .await
            .unwrap()["last_update"]
            .clone()
    };
    let (_, before) = get(&foundation, &token, "/v3/security_groups").await;
    let first = change().await;
    foundation.bind_security_group("g", "s", Phase::Running).unwrap();
    let second = change().await;
    let (_, after) = get(&foundation, &token, "/v3/security_groups").await;
    assert_ne!(first, second);
    assert_eq!(
        before["resources"][0]["updated_at"],
        after["resources"][0]["updated_at"]
    );
    assert_eq!(
        after["resources"][0]["relationships"]["running_spaces"]["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let space = foundation.world().spaces[0].guid.clone();
    let (_, effective) = get(
        &foundation,
        &token,
        &format!("/v3/spaces/{space}/running_security_groups"),
    )
    .await;
    assert_eq!(names(&effective), ["g"]);
    foundation.apply(Command::DeleteSpace { space }).unwrap();
    assert_eq!(
        change().await,
        second,
        "a deleted space drops its bindings in silence"
    );
}

#[tokio::test]
async fn a_platform_of_2019_has_v2_and_no_v3_security_groups() {
    let foundation = Foundation::start(Options {
        age: Age::Y2019,
        ..Options::default()
    })
    .await
    .unwrap();
    foundation.create_org("o").unwrap();
    foundation.create_space("o", "s").unwrap();
    foundation
        .create_security_group("g", vec![json!({"protocol": "all", "destination": "10.0.0.0/8"})])
        .unwrap();
    foundation.bind_security_group("g", "s", Phase::Running).unwrap();
    let token = token(&foundation).await;
    let root: Value = http()
        .get(&foundation.endpoints().capi)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(root["links"]["cloud_controller_v2"]["meta"]["version"].is_string());
    assert_eq!(get(&foundation, &token, "/v3/security_groups").await.0, 404);
    let (_, groups) = get(
        &foundation,
        &token,
        "/v2/security_groups?inline-relations-depth=1&results-per-page=100",
    )
    .await;
    assert_eq!(
        groups["resources"][0]["entity"]["spaces"][0]["entity"]["name"],
        "s"
    );
    let (status, _) = get(&foundation, &token, "/v2/spaces?results-per-page=101").await;
    assert_eq!(status, 400);
    let (_, spaces) = get(&foundation, &token, "/v2/spaces?q=name:s").await;
    assert_eq!(spaces["total_results"], 1);
    let url = format!(
        "{}/internal/v4/asg_latest_update",
        foundation.endpoints().capi_internal
    );
    assert_eq!(http().get(url).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn reading_an_environment_leaves_an_audit_event_and_requests_are_counted() {
    let foundation = with_space().await;
    let app = foundation
        .push(&crate::client::app("a", 0).env("K", "v"))
        .unwrap();
    let token = token(&foundation).await;
    foundation.clear_requests();
    let (_, env) = get(
        &foundation,
        &token,
        &format!("/v3/apps/{app}/environment_variables"),
    )
    .await;
    assert_eq!(env["var"], json!({"K": "v"}));
    let (_, events) = get(
        &foundation,
        &token,
        "/v3/audit_events?types=audit.app.environment_variables.show",
    )
    .await;
    assert_eq!(events["resources"].as_array().unwrap().len(), 1);
    let counts = foundation.request_counts();
    assert_eq!(
        counts[&(
            Service::Capi,
            "GET /v3/apps/:guid/environment_variables".to_owned()
        )],
        1
    );
    assert_eq!(foundation.requests().len(), 2);
}
