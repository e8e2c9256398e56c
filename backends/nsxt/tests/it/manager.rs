//! A manager whose answers a test decides: HTTP over a real socket, any handler, a log of what arrived.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use ncp_nsxt::transport::{Api, Auth, Deadline, NoObserver, Options, Trust};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// What to answer.
pub(crate) enum Reply {
    Json(u16, Value),
    With(u16, Vec<(&'static str, String)>, String),
    /// Close the connection after the request was read.
    Cut,
}

pub(crate) fn ok() -> Reply {
    Reply::Json(200, json!({}))
}

pub(crate) fn refuse(status: u16, code: u64) -> Reply {
    Reply::Json(status, json!({"error_code": code, "error_message": "no"}))
}

type Answering = Pin<Box<dyn Future<Output = Reply> + Send>>;
type Handler = Arc<dyn Fn(Seen) -> Answering + Send + Sync>;

/// A running manager; stops, with all its connections, when dropped.
pub(crate) struct Manager {
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Manager {
    /// One that answers at once.
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_async(move |seen| std::future::ready(answer(&seen))).await
    }

    /// One whose answers may take their time.
    pub(crate) async fn start_async<F>(answer: impl Fn(Seen) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |seen| Box::pin(answer(seen)));
        Self::launch(SocketAddr::from(([127, 0, 0, 1], 0)), handler, None).await
    }

    /// One that speaks TLS.
    pub(crate) async fn start_tls(
        acceptor: TlsAcceptor,
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let handler: Handler = Arc::new(move |seen| Box::pin(std::future::ready(answer(&seen))));
        Self::launch(SocketAddr::from(([127, 0, 0, 1], 0)), handler, Some(acceptor)).await
    }

    /// One that comes back at the address of another that was stopped.
    pub(crate) async fn restart(
        address: SocketAddr,
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let handler: Handler = Arc::new(move |seen| Box::pin(std::future::ready(answer(&seen))));
        Self::launch(address, handler, None).await
    }

    async fn launch(address: SocketAddr, handler: Handler, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(accept(listener, handler, tls, log.clone()));
        Self { address, log, task }
    }

    /// Closes the listener and all connections, and waits until they are closed.
    pub(crate) async fn stop(mut self) -> SocketAddr {
        self.task.abort();
        let _ = (&mut self.task).await;
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn log(&self) -> Vec<Seen> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.log().iter().map(Seen::line).collect()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    handler: Handler,
    tls: Option<TlsAcceptor>,
    log: Arc<Mutex<Vec<Seen>>>,
) {
    // Aborting the accepting task drops the set and with it every connection.
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let (handler, log, tls) = (handler.clone(), log.clone(), tls.clone());
        connections.spawn(async move {
            match tls {
                None => serve(socket, handler, log).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(socket).await {
                        serve(stream, handler, log).await;
                    }
                }
            }
        });
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    handler: Handler,
    log: Arc<Mutex<Vec<Seen>>>,
) {
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let (handler, log) = (handler.clone(), log.clone());
        async move {
            let (head, body) = request.into_parts();
            let body = body
                .collect()
                .await
                .map_err(|error| error.to_string())?
                .to_bytes();
            let seen = Seen {
                method: head.method.to_string(),
                target: head.uri.path_and_query().unwrap().to_string(),
                headers: head.headers,
                body: String::from_utf8(body.to_vec()).unwrap(),
            };
            log.lock().unwrap().push(seen.clone());
            match handler(seen).await {
                Reply::Json(status, value) => Ok(respond(status, Vec::new(), value.to_string())),
                Reply::With(status, headers, body) => Ok(respond(status, headers, body)),
                Reply::Cut => Err("cut".to_owned()),
            }
        }
    });
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn respond(status: u16, headers: Vec<(&'static str, String)>, body: String) -> http::Response<Full<Bytes>> {
    let mut response = http::Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Full::new(Bytes::from(body))).unwrap()
}

/// Options for managers at these URLs, with Basic authentication and a pace that no test meets by chance.
pub(crate) fn options(urls: &[String]) -> Options {
    let managers = urls.iter().map(|url| url.parse().unwrap()).collect();
    let auth = Auth::Basic {
        user: "admin".into(),
        password: "pw".to_owned().into(),
    };
    let mut options = Options::new(managers, auth, Trust::System);
    options.max_api_rate = std::num::NonZeroU32::new(10_000);
    options
}

pub(crate) fn api(urls: &[String]) -> Api {
    Api::new(options(urls), Box::new(NoObserver)).unwrap()
}

/// A deadline that no test reaches.
pub(crate) fn in_time() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

/// Fails the test if `wanted` doesn't come true soon; yields between looks.
pub(crate) async fn until(what: &str, wanted: impl Fn() -> bool) {
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    while !wanted() {
        assert!(tokio::time::Instant::now() < end, "waited in vain for {what}");
        tokio::task::yield_now().await;
    }
}
