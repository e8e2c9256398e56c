//! Lists, searches, and objects found by name.

use futures::TryStreamExt;
use ncp_nsxt::transport::{Class, Query, ResolveError, ResolveKind, TransportError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::manager::{Manager, Reply, Seen, api, ok, refuse};

#[derive(Debug, Deserialize, PartialEq)]
struct Item {
    id: u32,
}

fn query(seen: &Seen, name: &str) -> Option<String> {
    let url = url::Url::parse(&format!("http://x{}", seen.target)).unwrap();
    url.query_pairs()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

fn page(ids: std::ops::Range<u32>, cursor: Option<&str>) -> Reply {
    let results: Vec<_> = ids.map(|id| json!({"id": id, "unknown": true})).collect();
    Reply::Json(
        200,
        json!({"results": results, "result_count": 5, "cursor": cursor}),
    )
}

#[tokio::test]
async fn cursors_are_followed_to_the_end_and_filters_stay() {
    let manager = Manager::start(|seen| match query(seen, "cursor").as_deref() {
        None => page(0..2, Some("0036 a/b+c")),
        Some("0036 a/b+c") => page(2..4, Some("last")),
        // How some old lists say that there is no more.
        _ => page(4..5, Some("00000004")),
    })
    .await;
    let api = api(&[manager.url()]);
    let mut pages = api.list::<Item>("/logical-ports", &[("logical_switch_id", "s")]);
    assert_eq!(
        pages.next().await.unwrap().unwrap(),
        [Item { id: 0 }, Item { id: 1 }]
    );
    let rest: Vec<Item> = pages.into_stream().try_collect().await.unwrap();
    assert_eq!(rest.iter().map(|item| item.id).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(manager.log().len(), 3);
    for seen in manager.log() {
        assert_eq!(query(&seen, "logical_switch_id").as_deref(), Some("s"));
        assert_eq!(query(&seen, "page_size").as_deref(), Some("1000"));
    }
}

#[tokio::test]
async fn a_page_too_large_is_asked_for_at_half_the_size() {
    let manager = Manager::start(
        |seen| match query(seen, "page_size").unwrap().parse::<u32>().unwrap() {
            size if size > 300 => refuse(400, 60576),
            _ => page(0..5, None),
        },
    )
    .await;
    let items = api(&[manager.url()]).list::<Item>("/x", &[]).all().await.unwrap();
    assert_eq!(items.len(), 5);
    let sizes: Vec<_> = manager
        .log()
        .iter()
        .map(|seen| query(seen, "page_size").unwrap())
        .collect();
    assert_eq!(sizes, ["1000", "500", "250"]);
}

#[tokio::test]
async fn a_list_that_never_ends_is_ended() {
    let manager = Manager::start(|_| page(0..1, Some("x"))).await;
    let error = api(&[manager.url()])
        .list::<Item>("/x", &[])
        .all()
        .await
        .unwrap_err();
    assert!(matches!(error, TransportError::EndlessList { .. }), "{error:?}");
    assert_eq!(manager.log().len(), 2);
}

#[tokio::test]
async fn a_truncated_page_is_an_error_and_can_be_asked_for_again() {
    let first = std::sync::atomic::AtomicBool::new(true);
    let manager = Manager::start(
        move |_| match first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            true => Reply::With(200, Vec::new(), r#"{"results":[{"id":0},{"id""#.into()),
            false => page(0..1, None),
        },
    )
    .await;
    let api = api(&[manager.url()]);
    let mut pages = api.list::<Item>("/x", &[]);
    assert_eq!(pages.next().await.unwrap_err().class(), Class::Uncertain);
    assert_eq!(pages.next().await.unwrap().unwrap().len(), 1);
    assert!(pages.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_search_goes_by_offsets_on_the_path_of_the_version() {
    for (version, path) in [("2.4.0", "/api/v1/search?"), ("3.1.0", "/api/v1/search/query?")] {
        let manager = Manager::start(move |seen| match seen.target.as_str() {
            "/api/v1/node/version" => Reply::Json(200, json!({"product_version": version})),
            _ if query(seen, "cursor").is_none() => page(0..3, Some("3")),
            _ => page(3..5, Some("5")),
        })
        .await;
        let search = Query::of_type("LogicalPort").tagged("ncp/cluster", "c 1");
        let found = api(&[manager.url()])
            .search::<Item>(&search)
            .await
            .unwrap()
            .all()
            .await
            .unwrap();
        assert_eq!(found.len(), 5);
        let log = manager.log();
        assert_eq!(log.len(), 3);
        assert!(log[1].target.starts_with(path), "{}", log[1].target);
        assert!(
            log[1]
                .target
                .contains(r"tags.scope:ncp%5C/cluster%20AND%20tags.tag:c%5C%201"),
            "{}",
            log[1].target
        );
    }
}

const ID: &str = "f2a3cbb2-6b0f-4a52-9a1a-3f1f3a1e2a01";

async fn inventory() -> Manager {
    Manager::start(|seen| {
        let router =
            |id: &str, name: &str, kind: &str| json!({"id": id, "display_name": name, "router_type": kind});
        if seen.target == format!("/api/v1/logical-routers/{ID}") {
            return Reply::Json(200, router(ID, "t0", "TIER0"));
        }
        if seen.target.starts_with("/api/v1/logical-routers?") {
            assert_eq!(query(seen, "router_type").as_deref(), Some("TIER0"));
            return match query(seen, "cursor") {
                None => Reply::Json(
                    200,
                    json!({"cursor": "n", "results":
                    [router("b", "twice", "TIER0"), router("x", "other", "TIER0")]}),
                ),
                // Objects may be seen again on a later page.
                Some(_) => Reply::Json(
                    200,
                    json!({"results": [router("x", "other", "TIER0"),
                    router("a", "twice", "TIER0"), router("c", "late", "TIER0")]}),
                ),
            };
        }
        if seen.target.starts_with("/api/v1/pools/ip-pools?") {
            ok()
        } else {
            refuse(404, 600)
        }
    })
    .await
}

#[tokio::test]
async fn options_name_objects_by_id_or_by_a_unique_name() {
    let manager = inventory().await;
    let api = api(&[manager.url()]);
    let found = api.resolve(ResolveKind::Tier0Router, ID).await.unwrap();
    assert_eq!(
        (found.id.as_str(), &found.body["display_name"]),
        (ID, &Value::from("t0"))
    );
    assert_eq!(manager.log().len(), 1);
    assert_eq!(
        api.resolve(ResolveKind::Tier0Router, "late").await.unwrap().id,
        "c"
    );
    assert_eq!(
        api.resolve(ResolveKind::Tier0Router, "other").await.unwrap().id,
        "x"
    );
}

#[tokio::test]
async fn absence_and_ambiguity_are_told_apart_with_their_codes() {
    let manager = inventory().await;
    let api = api(&[manager.url()]);
    let error = api.resolve(ResolveKind::Tier0Router, "twice").await.unwrap_err();
    assert!(
        matches!(&error, ResolveError::Ambiguous { ids, .. } if ids[..] == ["a", "b"]),
        "{error}"
    );
    assert_eq!(error.code(), "NCP00075");
    let error = api.resolve(ResolveKind::IpPool, "nowhere").await.unwrap_err();
    assert!(matches!(error, ResolveError::NotFound { .. }), "{error}");
    assert_eq!(error.code(), "NCP00069");
    let unknown = "00000000-0000-4000-8000-000000000000";
    assert_eq!(
        api.resolve(ResolveKind::IpPool, unknown)
            .await
            .unwrap_err()
            .code(),
        "NCP00069"
    );
    let address = manager.stop().await;
    let error = api.resolve(ResolveKind::IpPool, "nowhere").await.unwrap_err();
    assert_eq!(error.code(), "NCP00009", "{error} at {address}");
}
