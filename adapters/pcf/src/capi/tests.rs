#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::http::PeerOptions;
use crate::testing::{Script, Server};
use crate::uaa::ClientCredentials;

const ELSEWHERE: &str = "https://api.public.example";

fn root() -> Script {
    Script::json(
        200,
        &format!(
            r#"{{"links":{{"self":{{"href":"{ELSEWHERE}"}},"cloud_controller_v3":{{"href":"{ELSEWHERE}/v3"}},"uaa":null}}}}"#
        ),
    )
}

fn token() -> Script {
    Script::json(
        200,
        r#"{"access_token":"t","token_type":"bearer","expires_in":1000}"#,
    )
}

fn orgs(total: usize, names: &[&str], next: Option<usize>) -> Script {
    let rows: Vec<_> = names
        .iter()
        .map(|name| {
            format!(r#"{{"guid":"guid-{name}","name":"{name}","updated_at":"2026-01-02T03:04:05Z"}}"#)
        })
        .collect();
    let next = next.map_or("null".to_owned(), |page| {
        format!(r#"{{"href":"{ELSEWHERE}/v3/organizations?page={page}&per_page=2"}}"#)
    });
    Script::json(
        200,
        &format!(
            r#"{{"pagination":{{"total_results":{total},"next":{next}}},"resources":[{}]}}"#,
            rows.join(",")
        ),
    )
}

/// A foundation whose collections answer as the function says: its argument is the request's target.
async fn foundation(answer: impl Fn(&str) -> Option<Script> + Send + Sync + 'static) -> (Server, CapiClient) {
    let server = Server::answering(move |request| {
        let target = request.split(' ').nth(1).unwrap_or_default();
        match target {
            "/" => Some(root()),
            "/oauth/token" => Some(token()),
            other => answer(other),
        }
    })
    .await;
    let peer = PeerOptions::new(server.url().clone());
    let client = ClientCredentials {
        id: "ncp".into(),
        secret: "secret".into(),
    };
    let mut options = CapiOptions::new(peer.clone(), client);
    options.uaa = Some(peer);
    options.per_page = 2;
    let client = CapiClient::new(options).unwrap();
    (server, client)
}

fn names(listed: &Listed<Organization>) -> Vec<&str> {
    listed.items.iter().map(|org| org.name.as_str()).collect()
}

/// Answers a target's n-th request with the n-th script of its list; the last one repeats.
fn in_turn(table: Vec<(&'static str, Vec<Script>)>) -> impl Fn(&str) -> Option<Script> + Send + Sync {
    let table: Vec<_> = table
        .into_iter()
        .map(|(target, scripts)| (target, scripts, AtomicUsize::new(0)))
        .collect();
    move |asked| {
        let (_, scripts, count) = table.iter().find(|(target, ..)| *target == asked)?;
        let nth = count.fetch_add(1, Ordering::SeqCst).min(scripts.len() - 1);
        Some(scripts[nth].clone())
    }
}

const FIRST: &str = "/v3/organizations?per_page=2";
const SECOND: &str = "/v3/organizations?page=2&per_page=2";
const PROBE: &str = "/v3/organizations?per_page=1&page=2";

#[tokio::test]
async fn pages_are_followed_on_our_own_endpoint_and_checked_by_position() {
    let (server, client) = foundation(in_turn(vec![
        (FIRST, vec![orgs(3, &["a", "b"], Some(2))]),
        (SECOND, vec![orgs(3, &["c"], None)]),
        (PROBE, vec![orgs(3, &["b"], Some(3))]),
    ]))
    .await;
    let listed = client.list::<Organization>(false).await.unwrap();
    assert_eq!(names(&listed), ["a", "b", "c"]);
    assert_eq!(listed.watermark, "2026-01-02T03:04:05Z");
    assert_eq!(server.targets(), ["/", "/oauth/token", FIRST, SECOND, PROBE]);
}

#[tokio::test]
async fn a_listing_that_shrinks_while_it_is_paged_is_read_again() {
    let (_server, client) = foundation(in_turn(vec![
        (
            FIRST,
            vec![orgs(4, &["a", "b"], Some(2)), orgs(3, &["b", "c"], Some(2))],
        ),
        (SECOND, vec![orgs(3, &["d"], None)]),
        (PROBE, vec![orgs(3, &["c"], Some(3))]),
    ]))
    .await;
    assert_eq!(
        names(&client.list::<Organization>(false).await.unwrap()),
        ["b", "c", "d"]
    );
}

#[tokio::test]
async fn a_listing_that_never_rests_is_given_up_and_says_so() {
    let (_server, client) = foundation(in_turn(vec![
        (FIRST, vec![orgs(4, &["a", "b"], Some(2))]),
        (SECOND, vec![orgs(3, &["d"], None)]),
    ]))
    .await;
    let error = client.list::<Organization>(false).await.expect_err("unsteady");
    let source = Unsteady::Total { before: 4, now: 3 };
    assert!(matches!(error, CapiError::Unsteady { attempts: 3, source: s, .. } if s == source));
}

#[tokio::test]
async fn a_token_that_expires_between_pages_is_replaced_and_the_page_asked_again() {
    let expired = Script::json(
        401,
        r#"{"errors":[{"code":1000,"title":"CF-InvalidAuthToken","detail":"Invalid Auth Token"}]}"#,
    );
    let (server, client) = foundation(in_turn(vec![
        (FIRST, vec![orgs(3, &["a", "b"], Some(2))]),
        (SECOND, vec![expired.clone(), orgs(3, &["c"], None)]),
        (PROBE, vec![orgs(3, &["b"], Some(3))]),
    ]))
    .await;
    assert_eq!(
        names(&client.list::<Organization>(false).await.unwrap()),
        ["a", "b", "c"]
    );
    let tokens = server
        .targets()
        .iter()
        .filter(|target| *target == "/oauth/token")
        .count();
    assert_eq!(tokens, 2);

    let (server, client) = foundation(in_turn(vec![(FIRST, vec![expired])])).await;
    let error = client
        .list::<Organization>(false)
        .await
        .expect_err("refused twice");
    assert_eq!(error.status(), Some(401));
    assert_eq!(error.code(), "NCP06002");
    assert_eq!(
        server.targets().iter().filter(|target| *target == FIRST).count(),
        2
    );
}

#[tokio::test]
async fn broken_answers_are_errors_and_never_listings() {
    let limited = Script::with(
        429,
        "content-type: text/plain\r\nretry-after: 37\r\n",
        br#"{"errors":[{"code":10013,"title":"CF-RateLimitExceeded","detail":"wait"}]}"#,
    );
    let nginx = Script::with(
        429,
        "content-type: text/html\r\n",
        b"<html>Too Many Requests</html>",
    );
    let down = Script::json(
        503,
        r#"{"errors":[{"code":10015,"title":"CF-ServiceUnavailable","detail":"db"}]}"#,
    );
    let whole = orgs(1, &["a"], None);
    for (what, script) in [
        ("limited", limited),
        ("limited by nginx", nginx),
        ("down", down),
        ("truncated", whole.truncated(10)),
        ("not JSON", Script::json(200, "<html>")),
        ("fewer rows than promised", orgs(2, &["a"], None)),
    ] {
        let (_server, client) = foundation(in_turn(vec![(FIRST, vec![script])])).await;
        let error = client.list::<Organization>(false).await.expect_err(what);
        let asked = (what == "limited").then_some(std::time::Duration::from_secs(37));
        assert_eq!(error.retry_after(), asked, "{what}");
    }
}

#[tokio::test]
async fn bindings_that_v2_does_not_inline_are_followed() {
    let group = r#"{"total_results":1,"next_url":null,"resources":[{"metadata":{"guid":"g"},"entity":{
        "name":"erp","rules":[{"protocol":"all","destination":"10.0.0.0/8"}],"running_default":false,"staging_default":true,
        "spaces_url":"/v2/security_groups/g/spaces","staging_spaces_url":"/v2/security_groups/g/staging_spaces",
        "staging_spaces":[{"metadata":{"guid":"s9"},"entity":{}}]}}]}"#;
    let members = r#"{"total_results":2,"next_url":null,"resources":[
        {"metadata":{"guid":"s2"},"entity":{"name":"x"}},{"metadata":{"guid":"s1"},"entity":{"name":"y"}}]}"#;
    let (_server, client) = foundation(in_turn(vec![
        (
            "/v2/security_groups?results-per-page=100&order-direction=asc&inline-relations-depth=1",
            vec![Script::json(200, group)],
        ),
        (
            "/v2/security_groups/g/spaces?results-per-page=100",
            vec![Script::json(200, members)],
        ),
    ]))
    .await;
    let listed = client.list_legacy::<SecurityGroup>().await.unwrap();
    let group = &listed.items[0];
    let guids = |spaces: &[crate::ids::SpaceGuid]| spaces.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(guids(&group.running_spaces), ["s1", "s2"]);
    assert_eq!(guids(&group.staging_spaces), ["s9"]);
    assert!(group.staging_default && !group.running_default);
    assert_eq!(group.rules.rules.len(), 1);
}
