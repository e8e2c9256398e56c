//! Locket over gRPC.

use diego_wire::locket::locket_client::LocketClient;
use diego_wire::locket::{
    FetchAllRequest, FetchRequest, LockRequest, ReleaseRequest, Resource, TYPE_LOCK, TypeCode,
};
use foundation_emulator::{Command, Foundation, LocketFaults};
use tonic::Code;
use tonic::transport::Channel;

use crate::client::foundation;

async fn connect(foundation: &Foundation) -> LocketClient<Channel> {
    LocketClient::connect(foundation.endpoints().locket.clone())
        .await
        .unwrap()
}

fn resource(owner: &str) -> Option<Resource> {
    Some(Resource {
        key: "ncp".into(),
        owner: owner.into(),
        r#type: TYPE_LOCK.into(),
        type_code: TypeCode::Lock as i32,
        ..Default::default()
    })
}

fn lock(owner: &str) -> LockRequest {
    LockRequest {
        resource: resource(owner),
        ttl_in_seconds: 15,
    }
}

#[tokio::test]
async fn one_holds_the_other_waits() {
    let foundation = foundation().await;
    let mut client = connect(&foundation).await;
    client.lock(lock("a")).await.unwrap();
    client.lock(lock("a")).await.unwrap();
    let refused = client.lock(lock("b")).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::AlreadyExists, "lock-collision")
    );
    let held = client
        .fetch(FetchRequest { key: "ncp".into() })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(held.resource.unwrap().owner, "a");
    let all = FetchAllRequest {
        type_code: TypeCode::Lock as i32,
        ..Default::default()
    };
    assert_eq!(
        client.fetch_all(all).await.unwrap().into_inner().resources.len(),
        1
    );
    client
        .release(ReleaseRequest {
            resource: resource("a"),
        })
        .await
        .unwrap();
    client
        .release(ReleaseRequest {
            resource: resource("a"),
        })
        .await
        .unwrap();
    client.lock(lock("b")).await.unwrap();
}

#[tokio::test]
async fn refusals_have_lockets_words() {
    let foundation = foundation().await;
    let mut client = connect(&foundation).await;
    let untyped = Some(Resource {
        type_code: 0,
        ..resource("a").unwrap()
    });
    let refused = client
        .lock(LockRequest {
            resource: untyped,
            ttl_in_seconds: 15,
        })
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::NotFound, "invalid-type"),
        "only the code counts now"
    );
    let refused = client
        .lock(LockRequest {
            ttl_in_seconds: 0,
            ..lock("a")
        })
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::InvalidArgument, "invalid-ttl")
    );
    let refused = client.lock(lock("")).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::InvalidArgument, "invalid-owner")
    );
    let refused = client
        .fetch(FetchRequest { key: "ncp".into() })
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::NotFound, "resource-not-found")
    );
}

#[tokio::test]
async fn a_lost_answer_may_have_been_applied() {
    let foundation = foundation().await;
    let mut client = connect(&foundation).await;
    foundation.set_locket_faults(LocketFaults {
        lose_answers: 1,
        ..Default::default()
    });
    let mut waiting = client.clone();
    let applied = async {
        while foundation.request_counts().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = waiting.lock(lock("a")) => panic!("answered {answer:?}"),
        () = applied => {}
    }
    assert_eq!(
        client.lock(lock("b")).await.unwrap_err().code(),
        Code::AlreadyExists
    );
    client.lock(lock("a")).await.unwrap();
    foundation
        .apply(Command::SeizeLock {
            key: "ncp".into(),
            owner: "other".into(),
            ttl: 15,
        })
        .unwrap();
    assert_eq!(
        client.lock(lock("a")).await.unwrap_err().code(),
        Code::AlreadyExists
    );
    foundation.apply(Command::FreeLock { key: "ncp".into() }).unwrap();
    client.lock(lock("a")).await.unwrap();
    foundation.set_locket_faults(LocketFaults {
        down: true,
        ..Default::default()
    });
    assert_eq!(
        client.lock(lock("a")).await.unwrap_err().code(),
        Code::Unavailable
    );
}
