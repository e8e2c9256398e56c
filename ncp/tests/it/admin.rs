//! The admin API over its real sockets.

use crate::dir::Dir;
use ncp::admin::{AdminError, Ask, Doors, Inside, serve};
use ncp::telemetry::{Confirmed, Leader, PlanPage, Role, Snapshot};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// A served API and the ends that a driver would hold.
struct Served {
    dir: Dir,
    snapshot: watch::Sender<Arc<Snapshot>>,
    asked: mpsc::Receiver<Ask>,
    address: std::net::SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

async fn served() -> Served {
    let dir = Dir::new();
    let doors = Doors::open(&dir.path("run/ncp.sock"), Some("127.0.0.1:0".parse().unwrap()))
        .await
        .unwrap();
    let (snapshot, seen) = watch::channel(Arc::new(Snapshot::default()));
    let (ask, asked) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let address = doors.address().unwrap();
    let task = tokio::spawn(serve(doors, Inside { snapshot: seen, ask }, stop.clone()));
    Served {
        dir,
        snapshot,
        asked,
        address,
        stop,
        task,
    }
}

/// Status and body of one request, by hand: the client side of HTTP is not what is tested.
async fn ask(stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> (u16, String) {
    send(stream, "GET", path).await
}

async fn send(mut stream: impl AsyncRead + AsyncWrite + Unpin, method: &str, path: &str) -> (u16, String) {
    let request = format!("{method} {path} HTTP/1.1\r\nhost: ncp\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

impl Served {
    async fn get(&self, path: &str) -> (u16, String) {
        ask(
            UnixStream::connect(self.dir.path("run/ncp.sock")).await.unwrap(),
            path,
        )
        .await
    }
}

#[tokio::test]
async fn pages_follow_the_snapshot() {
    let served = served().await;
    assert_eq!(served.get("/healthz").await.0, 200);
    assert_eq!(served.get("/readyz").await.0, 503);
    let now = Snapshot {
        role: Role::Leader,
        ready: true,
        version: "9.9".into(),
        ..Snapshot::default()
    };
    served.snapshot.send(Arc::new(now.clone())).unwrap();
    assert_eq!(served.get("/readyz").await.0, 200);
    let (_, status) = served.get("/status").await;
    assert_eq!(serde_json::from_str::<Snapshot>(&status).unwrap(), now);
    let over_tcp = ask(TcpStream::connect(served.address).await.unwrap(), "/metrics").await;
    assert_eq!(over_tcp, served.get("/metrics").await);
    assert!(over_tcp.1.contains("ncp_role{role=\"leader\"} 1\n"));
    assert_eq!(served.get("/nothing").await.0, 404);
}

#[tokio::test]
async fn a_plan_is_made_when_asked_for() {
    let mut served = served().await;
    let mut asked = std::mem::replace(&mut served.asked, mpsc::channel(1).1);
    let driver = tokio::spawn(async move {
        for _ in 0..2 {
            let page = PlanPage {
                changes: 1,
                text: "one step\n".into(),
                json: serde_json::json!([1]),
            };
            match asked.recv().await.unwrap() {
                Ask::Plan(reply) => reply.send(page).unwrap(),
                other => panic!("{other:?}"),
            }
        }
        // The third is dropped unanswered, as by a driver that has read nothing yet.
        asked.recv().await.unwrap();
    });
    assert_eq!(served.get("/plan").await, (200, "one step\n".into()));
    let (_, json) = served.get("/plan?format=json").await;
    assert_eq!(serde_json::from_str::<PlanPage>(&json).unwrap().changes, 1);
    assert_eq!(served.get("/plan").await.0, 503);
    driver.await.unwrap();
}

#[tokio::test]
async fn a_driver_that_ended_is_not_healthy() {
    let served = served().await;
    let Served {
        dir, snapshot, asked, ..
    } = served;
    drop((snapshot, asked));
    for path in ["/healthz", "/plan"] {
        let stream = UnixStream::connect(dir.path("run/ncp.sock")).await.unwrap();
        assert_eq!(ask(stream, path).await.0, 503, "{path}");
    }
}

#[tokio::test]
async fn the_socket_is_its_owners_and_goes_with_the_server() {
    let served = served().await;
    let path = served.dir.path("run/ncp.sock");
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let second = Doors::open(&path, None).await.unwrap_err();
    assert!(matches!(second, AdminError::Busy { .. }), "{second}");
    served.stop.cancel();
    served.task.await.unwrap().unwrap();
    assert!(!path.exists());
    // What a killed controller leaves is no hindrance.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    Doors::open(&path, None).await.unwrap();
}

#[tokio::test]
async fn addresses_of_others_are_refused() {
    let dir = Dir::new();
    let refused = Doors::open(&dir.path("s"), Some("0.0.0.0:0".parse().unwrap()))
        .await
        .unwrap_err();
    assert!(matches!(refused, AdminError::Public { .. }), "{refused}");
}

#[tokio::test]
async fn only_a_leader_is_given_the_operators_word_and_only_through_its_socket() {
    let mut served = served().await;
    let socket = served.dir.path("run/ncp.sock");
    let confirm = async || send(UnixStream::connect(&socket).await.unwrap(), "POST", "/confirm").await;
    let standby = Snapshot {
        role: Role::Standby,
        leader: Some(Leader { id: "other".into() }),
        ..Snapshot::default()
    };
    served.snapshot.send(Arc::new(standby)).unwrap();
    let (status, said) = confirm().await;
    assert_eq!(status, 409);
    assert!(said.contains("ask other"), "{said}");

    let leader = Snapshot {
        role: Role::Leader,
        ..Snapshot::default()
    };
    served.snapshot.send(Arc::new(leader)).unwrap();
    let over_tcp = TcpStream::connect(served.address).await.unwrap();
    assert_eq!(send(over_tcp, "POST", "/confirm").await.0, 404);
    let mut asked = std::mem::replace(&mut served.asked, mpsc::channel(1).1);
    let driver = async {
        match asked.recv().await.unwrap() {
            Ask::Confirm(reply) => reply
                .send(Confirmed {
                    released: vec!["60 ports".into()],
                })
                .unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let ((status, said), ()) = tokio::join!(confirm(), driver);
    assert_eq!(status, 200);
    assert!(said.contains("60 ports"), "{said}");
}
