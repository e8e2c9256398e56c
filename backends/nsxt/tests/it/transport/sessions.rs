//! Sessions: one for each manager, renewed once, and an account that is not locked by stubbornness.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use ncp_nsxt::transport::{Api, Auth, Class, NoObserver, NotSent, TransportError};
use serde_json::json;

use crate::manager::{Manager, Reply, Seen, in_time, ok, options, refuse};

const CREATE: &str = "POST /api/session/create";

fn with_session(urls: &[String]) -> Api {
    let mut options = options(urls);
    options.auth = Auth::Session {
        user: "admin".into(),
        password: "s3cret".to_owned().into(),
    };
    Api::new(options, Box::new(NoObserver)).unwrap()
}

/// Opens sessions named `<name><n>` and accepts only the last one.
async fn manager(name: &'static str, sessions: Arc<AtomicUsize>) -> Manager {
    Manager::start(move |seen| {
        if seen.target == "/api/session/create" {
            let number = sessions.fetch_add(1, Ordering::SeqCst) + 1;
            let cookie = format!("JSESSIONID={name}{number}; Path=/; Secure; HttpOnly");
            let headers = vec![
                ("set-cookie", cookie),
                ("x-xsrf-token", format!("x{name}{number}")),
            ];
            return Reply::With(200, headers, String::new());
        }
        let current = format!("{name}{}", sessions.load(Ordering::SeqCst));
        if seen.header("cookie") != format!("JSESSIONID={current}") {
            Reply::With(401, Vec::new(), "<html>log in</html>".into())
        } else if seen.header("x-xsrf-token") != format!("x{current}") {
            refuse(403, 98)
        } else {
            ok()
        }
    })
    .await
}

fn creates(manager: &Manager) -> Vec<Seen> {
    manager
        .log()
        .into_iter()
        .filter(|seen| seen.line() == CREATE)
        .collect()
}

#[tokio::test]
async fn each_manager_has_a_session_of_its_own() {
    let one = manager("a", Arc::default()).await;
    let two = manager("b", Arc::default()).await;
    let api = with_session(&[one.url(), two.url()]);
    for _ in 0..6 {
        api.get("/node", &[]).await.unwrap();
    }
    for manager in [&one, &two] {
        let made = creates(manager);
        assert_eq!(made.len(), 1);
        assert_eq!(made[0].body, "j_username=admin&j_password=s3cret");
        assert_eq!(
            made[0].header("content-type"),
            "application/x-www-form-urlencoded"
        );
        assert_eq!(manager.log().len(), 4);
    }
}

#[tokio::test]
async fn a_session_that_many_calls_find_stale_is_renewed_once() {
    let sessions = Arc::new(AtomicUsize::new(0));
    let manager = manager("a", sessions.clone()).await;
    let api = with_session(&[manager.url()]);
    api.get("/node", &[]).await.unwrap();
    // As if another client had made a session that takes the place of ours.
    sessions.fetch_add(1, Ordering::SeqCst);
    let body = json!({});
    let calls = (0..8).map(|_| api.put("/node", &[], &body, in_time()));
    for result in join_all(calls).await {
        result.unwrap();
    }
    assert_eq!(creates(&manager).len(), 2);
}

#[tokio::test]
async fn a_call_refused_with_a_fresh_session_too_is_not_tried_again() {
    let manager = Manager::start(|seen| {
        if seen.target == "/api/session/create" {
            Reply::With(
                200,
                vec![("set-cookie", "JSESSIONID=a; Path=/".into())],
                String::new(),
            )
        } else {
            refuse(403, 98)
        }
    })
    .await;
    let error = with_session(&[manager.url()])
        .get("/node", &[])
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Unauthenticated);
    assert_eq!(manager.log().len(), 4, "{:?}", manager.lines());
}

#[tokio::test]
async fn wrong_credentials_are_not_hammered() {
    let manager = Manager::start(|_| refuse(403, 403)).await;
    let api = with_session(&[manager.url()]);
    let first = api.delete("/logical-ports/1", &[], in_time()).await.unwrap_err();
    assert_eq!(first.class(), Class::Unauthenticated);
    assert!(matches!(
        first,
        TransportError::NeverSent {
            reason: NotSent::SessionRefused(_),
            ..
        }
    ));
    let second = api.get("/node", &[]).await.unwrap_err();
    assert!(matches!(
        second,
        TransportError::NeverSent {
            reason: NotSent::CredentialsHeld { .. },
            ..
        }
    ));
    assert_eq!(manager.lines(), [CREATE]);
    for shown in [format!("{first:?} {first}"), format!("{second:?} {second}")] {
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

#[tokio::test]
async fn basic_credentials_go_with_each_call_and_are_not_hammered_either() {
    let manager = Manager::start(|seen| {
        if seen.target.ends_with("/node") {
            ok()
        } else {
            refuse(401, 0)
        }
    })
    .await;
    let api = crate::manager::api(&[manager.url()]);
    api.get("/node", &[]).await.unwrap();
    assert_eq!(manager.log()[0].header("authorization"), "Basic YWRtaW46cHc=");
    assert_eq!(
        api.get("/locked", &[]).await.unwrap_err().class(),
        Class::Unauthenticated
    );
    assert_eq!(
        api.get("/locked", &[]).await.unwrap_err().class(),
        Class::Unauthenticated
    );
    assert_eq!(manager.log().len(), 2);
}
