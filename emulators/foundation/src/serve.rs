//! Sockets: accepts connections, plain or TLS, and answers requests through one function per service.
//!
//! Faults that concern any service act here: refusals, delays, cut bodies, dead connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::faults::{FaultKind, Service};
use crate::http1::{self, Connection};
use crate::requests::RequestEntry;
use crate::shared::Shared;
use crate::web::{Reply, Request};

/// A service: what it answers to a request.
pub(crate) type Handler = fn(&Shared, &Request) -> Reply;

/// A connection of either kind.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// What becomes of a request.
pub(crate) enum Outcome {
    Answer(Reply),
    /// The body ends after so many bytes, and the connection with it.
    Truncated(Reply, usize),
    /// The connection is cut without an answer.
    Reset,
}

/// When a server stops accepting, and when it drops its connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    pub listen: CancellationToken,
    pub connections: CancellationToken,
}

impl Stop {
    /// One moment for both.
    pub(crate) fn at_once(token: &CancellationToken) -> Self {
        Self {
            listen: token.clone(),
            connections: token.clone(),
        }
    }
}

/// Accepts connections until stopped and hands each to `serve`.
pub(crate) async fn accept<F, R>(listener: TcpListener, tls: Option<TlsAcceptor>, stop: Stop, serve: F)
where
    F: Fn(Box<dyn Wire>) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    loop {
        let accepted = tokio::select! {
            () = stop.listen.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, usually: let others close some.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let (tls, stop, serve) = (tls.clone(), stop.connections.clone(), serve.clone());
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = handle(stream, tls, serve) => {}
            }
        });
    }
}

async fn handle<F, R>(stream: TcpStream, tls: Option<TlsAcceptor>, serve: F)
where
    F: Fn(Box<dyn Wire>) -> R,
    R: Future<Output = ()>,
{
    // Small answers must not wait for acknowledgements; without the option they are merely slower.
    let _ = stream.set_nodelay(true);
    match tls {
        None => serve(Box::new(stream)).await,
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => serve(Box::new(stream)).await,
            Err(error) => tracing::debug!(%error, "refused a handshake"),
        },
    }
}

/// A service on a listener.
#[derive(Clone)]
pub(crate) struct Site {
    pub shared: Arc<Shared>,
    pub service: Service,
    pub handler: Handler,
}

/// Serves HTTP/1.1 on a listener until stopped.
pub(crate) async fn http(site: Site, listener: TcpListener, tls: Option<TlsAcceptor>, stop: Stop) {
    accept(listener, tls, stop, move |stream| {
        let site = site.clone();
        async move {
            if let Err(error) = requests(&site, &mut BufReader::new(stream)).await {
                tracing::debug!(%error, "a connection ended early");
            }
        }
    })
    .await;
}

async fn requests(site: &Site, connection: &mut Connection) -> io::Result<()> {
    while let Some(request) = http1::read(connection).await? {
        let keep = http1::keeps_alive(&request);
        if !respond(site, connection, request).await? || !keep {
            break;
        }
    }
    connection.get_mut().shutdown().await
}

/// Answers one request; `false` when the connection is of no use any more.
pub(crate) async fn respond(site: &Site, connection: &mut Connection, request: Request) -> io::Result<bool> {
    let head_only = request.method == http::Method::HEAD;
    match answer(site, request).await {
        Outcome::Answer(reply) => http1::write(connection.get_mut(), &reply, None, head_only)
            .await
            .map(|()| true),
        Outcome::Truncated(reply, cut) => http1::write(connection.get_mut(), &reply, Some(cut), head_only)
            .await
            .map(|()| false),
        Outcome::Reset => Ok(false),
    }
}

async fn answer(site: &Site, mut request: Request) -> Outcome {
    let fault = site.shared.world().faults.take(site.service, &request.target());
    let v2 = request.path.starts_with("/v2");
    let outcome = match fault {
        None => Outcome::Answer((site.handler)(&site.shared, &request)),
        Some(FaultKind::Slow(time)) => {
            tokio::time::sleep(time).await;
            Outcome::Answer((site.handler)(&site.shared, &request))
        }
        Some(FaultKind::Truncated(cut)) => Outcome::Truncated((site.handler)(&site.shared, &request), cut),
        Some(FaultKind::Reset) => Outcome::Reset,
        Some(FaultKind::RevokeTokens) => {
            site.shared.world().tokens.revoke_all();
            Outcome::Answer((site.handler)(&site.shared, &request))
        }
        Some(kind @ (FaultKind::EmptyList | FaultKind::DeleteBetweenPages | FaultKind::PartialList)) => {
            request.fault = Some(kind);
            Outcome::Answer((site.handler)(&site.shared, &request))
        }
        Some(kind) => Outcome::Answer(refusal(kind, v2)),
    };
    note(site, &request, &outcome);
    outcome
}

fn note(site: &Site, request: &Request, outcome: &Outcome) {
    let status = match outcome {
        Outcome::Answer(reply) | Outcome::Truncated(reply, _) => reply.status,
        Outcome::Reset => 0,
    };
    let entry = RequestEntry {
        service: site.service,
        method: request.method.to_string(),
        path: request.target(),
        status,
    };
    site.shared.world().requests.note(entry);
}

/// An error in the form of Cloud Controller, v2 or v3.
pub(crate) fn error(status: u16, code: u32, title: &str, detail: &str, v2: bool) -> Reply {
    let body = if v2 {
        json!({"code": code, "error_code": title, "description": detail})
    } else {
        json!({"errors": [{"code": code, "title": title, "detail": detail}]})
    };
    Reply::json(status, &body)
}

fn refusal(kind: FaultKind, v2: bool) -> Reply {
    match kind {
        FaultKind::InvalidToken => error(401, 1000, "CF-InvalidAuthToken", "Invalid Auth Token", v2),
        FaultKind::Forbidden => error(
            403,
            10003,
            "CF-NotAuthorized",
            "You are not authorized to perform the requested action",
            v2,
        ),
        FaultKind::NotFound => error(404, 10000, "CF-NotFound", "Unknown request", v2),
        FaultKind::RateLimited(seconds) => {
            let reply = error(429, 10013, "CF-RateLimitExceeded", "Rate Limit Exceeded", v2);
            Reply {
                content_type: "text/plain",
                ..reply
            }
            .header("Retry-After", seconds.to_string())
        }
        FaultKind::RateLimitedHtml => Reply::new(
            429,
            "text/html",
            "<html><head><title>429 Too Many Requests</title></head></html>",
        ),
        FaultKind::Unavailable => error(
            503,
            10015,
            "CF-ServiceUnavailable",
            "Database connection unavailable",
            v2,
        ),
        FaultKind::NotReady => Reply::empty(503),
        // The kinds that serve the request are handled before.
        _ => error(500, 10001, "UnknownError", "An unknown error occurred.", v2),
    }
}
