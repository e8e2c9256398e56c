//! One HTTP/1.1 connection to a manager, used by one call at a time.
//!
//! Between `hyper` and the socket sits a [`Gate`]. It counts the bytes of the present request that were handed to
//! the socket (or to TLS), which is what tells a call that was never sent from one that may have been applied, and
//! it refuses the *first* byte once the fence of the call has passed. Both are decided under one lock, so that a
//! call that was given up cannot start afterwards.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::address::ManagerAddress;
use super::error::WireError;

/// More than a page of a thousand large objects; guards memory against a peer that never ends.
const LARGEST_ANSWER: usize = 64 << 20;
/// Managers close connections after 30 idle seconds (`connection_timeout`); stay clear of that moment.
const IDLE_LIFE: Duration = Duration::from_secs(20);

/// Whatever a connection runs over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A whole answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why there is no answer.
pub(super) enum Failure {
    /// The fence passed before the first byte.
    Fenced,
    /// Not a byte was sent.
    NothingSent(WireError),
    /// Something was sent, and then the connection failed or time ran out.
    Cut(WireError),
}

/// How to reach a manager.
pub(super) struct Dial {
    pub(super) address: ManagerAddress,
    pub(super) tls: Option<(TlsConnector, ServerName<'static>)>,
    pub(super) connect_timeout: Duration,
    pub(super) read_timeout: Duration,
}

impl Dial {
    /// Opens a connection within `http_timeout`, and before the fence.
    pub(super) async fn open(&self, fence: Option<Instant>) -> Result<Connection, Failure> {
        let limit = Instant::now() + self.connect_timeout;
        let until = fence.map_or(limit, |fence| fence.min(limit));
        match timeout_at(until, self.connect()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(Failure::NothingSent(error)),
            Err(_) if until < limit => Err(Failure::Fenced),
            Err(_) => Err(Failure::NothingSent(WireError::ConnectTimeout(
                self.connect_timeout,
            ))),
        }
    }

    async fn connect(&self) -> Result<Connection, WireError> {
        let (host, port) = (self.address.host(), self.address.port());
        let tcp = TcpStream::connect((host.as_str(), port))
            .await
            .map_err(WireError::Tcp)?;
        tcp.set_nodelay(true).map_err(WireError::Tcp)?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(tcp),
            Some((connector, name)) => Box::new(
                connector
                    .connect(name.clone(), tcp)
                    .await
                    .map_err(WireError::Tls)?,
            ),
        };
        let gate = Arc::new(Gate::default());
        let io = TokioIo::new(GatedStream {
            stream,
            gate: gate.clone(),
        });
        let (sender, driver) = http1::handshake(io).await.map_err(WireError::Broken)?;
        let driver = Driver(tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::trace!(%error, "connection to a manager ended");
            }
        }));
        Ok(Connection {
            sender,
            gate,
            _driver: driver,
            fresh: true,
            idle_since: Instant::now(),
        })
    }
}

/// An open connection. Dropping it closes the socket, also in the middle of a call.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    gate: Arc<Gate>,
    _driver: Driver,
    fresh: bool,
    idle_since: Instant,
}

/// The task that moves the connection's bytes; it lives no longer than the connection.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// Whether no call has been answered on it yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Whether it may be used for another call.
    pub(super) fn is_usable(&self) -> bool {
        !self.sender.is_closed() && self.idle_since.elapsed() < IDLE_LIFE
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn exchange(
        &mut self,
        request: http::Request<Full<Bytes>>,
        fence: Option<Instant>,
        silence: Duration,
    ) -> Result<Answer, Failure> {
        self.gate.arm(fence);
        let until = || {
            let limit = Instant::now() + silence;
            fence.map_or(limit, |fence| fence.min(limit))
        };
        let result = match timeout_at(until(), self.send(request)).await {
            Ok(Ok(response)) => Self::collect(response, until).await,
            Ok(Err(error)) => Err(Trouble::Broken(error)),
            Err(_) => Err(Trouble::Silence),
        };
        self.fresh = false;
        self.idle_since = Instant::now();
        result.map_err(|trouble| self.failure(trouble, fence, silence))
    }

    async fn send(
        &mut self,
        request: http::Request<Full<Bytes>>,
    ) -> Result<http::Response<Incoming>, hyper::Error> {
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }

    /// Reads the body. An error answer whose body breaks off is still an answer: its status says enough.
    async fn collect(
        response: http::Response<Incoming>,
        until: impl Fn() -> Instant,
    ) -> Result<Answer, Trouble> {
        let (head, mut body) = response.into_parts();
        let mut bytes = BytesMut::new();
        let trouble = loop {
            match timeout_at(until(), body.frame()).await {
                Ok(None) => break None,
                Ok(Some(Ok(frame))) => {
                    if let Some(data) = frame.data_ref() {
                        bytes.extend_from_slice(data);
                    }
                    if bytes.len() > LARGEST_ANSWER {
                        break Some(Trouble::TooLarge);
                    }
                }
                Ok(Some(Err(error))) => break Some(Trouble::Broken(error)),
                Err(_) => break Some(Trouble::Silence),
            }
        };
        match trouble {
            Some(trouble) if head.status.is_success() => Err(trouble),
            _ => Ok(Answer {
                status: head.status,
                headers: head.headers,
                body: bytes.freeze(),
            }),
        }
    }

    fn failure(&self, trouble: Trouble, fence: Option<Instant>, silence: Duration) -> Failure {
        let at_gate = self.gate.shut();
        let error = match trouble {
            Trouble::Broken(error) => WireError::Broken(error),
            Trouble::TooLarge => WireError::TooLarge(LARGEST_ANSWER),
            Trouble::Silence if fence.is_some_and(|fence| Instant::now() >= fence) => {
                WireError::DeadlineReached
            }
            Trouble::Silence => WireError::ReadTimeout(silence),
        };
        match (
            at_gate.sent,
            at_gate.fenced || matches!(error, WireError::DeadlineReached),
        ) {
            (0, true) => Failure::Fenced,
            (0, false) => Failure::NothingSent(error),
            _ => Failure::Cut(error),
        }
    }
}

/// What went wrong during an exchange, before it is known how much was sent.
enum Trouble {
    Broken(hyper::Error),
    Silence,
    TooLarge,
}

/// Counts what is sent and keeps late requests in.
#[derive(Default)]
struct Gate(Mutex<AtGate>);

#[derive(Clone, Copy, Default)]
struct AtGate {
    sent: u64,
    fence: Option<Instant>,
    fenced: bool,
    shut: bool,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, AtGate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the next request.
    fn arm(&self, fence: Option<Instant>) {
        *self.lock() = AtGate {
            fence,
            ..AtGate::default()
        };
    }

    /// Nothing that hasn't begun begins after this; tells what has been sent.
    fn shut(&self) -> AtGate {
        let mut at_gate = self.lock();
        at_gate.shut = true;
        *at_gate
    }
}

impl AtGate {
    /// Whether the first byte may still go.
    fn admits(&mut self) -> bool {
        if self.sent > 0 {
            return true;
        }
        self.fenced |= self.fence.is_some_and(|fence| Instant::now() >= fence);
        !self.shut && !self.fenced
    }
}

/// A stream behind a gate.
struct GatedStream {
    stream: Box<dyn Stream>,
    gate: Arc<Gate>,
}

impl AsyncRead for GatedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for GatedStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // Held across the write, which doesn't block: what `shut` reports must not change afterwards.
        let mut at_gate = this.gate.lock();
        if !at_gate.admits() {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the fence has passed",
            )));
        }
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = written {
            at_gate.sent += count as u64;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn gated() -> (GatedStream, Arc<Gate>, tokio::io::DuplexStream) {
        let (near, far) = tokio::io::duplex(1024);
        let gate = Arc::new(Gate::default());
        (
            GatedStream {
                stream: Box::new(near),
                gate: gate.clone(),
            },
            gate,
            far,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_byte_is_refused_at_the_deadline_and_later_ones_are_not() {
        let (mut stream, gate, _far) = gated();
        gate.arm(Some(Instant::now() + Duration::from_secs(1)));
        stream.write_all(b"in time").await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        stream.write_all(b" rest").await.unwrap();
        assert_eq!(gate.shut().sent, 12);

        gate.arm(Some(Instant::now()));
        assert!(stream.write_all(b"late").await.is_err());
        let at_gate = gate.shut();
        assert!(at_gate.fenced && at_gate.sent == 0);
    }

    #[tokio::test]
    async fn a_request_that_was_given_up_cannot_start() {
        let (mut stream, gate, _far) = gated();
        gate.arm(None);
        assert_eq!(gate.shut().sent, 0);
        assert!(stream.write_all(b"late").await.is_err());
    }
}
