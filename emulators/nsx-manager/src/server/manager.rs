//! One manager node: its listener, its connections, its life and death.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::auth::Sessions;
use super::limits::Limits;
use super::pipeline::{self, Cut};
use crate::error::EmulatorError;

/// Time after which an idle connection is closed.
const IDLE: Duration = Duration::from_secs(30);

/// What the connections of one manager share.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) sessions: Sessions,
    pub(crate) limits: Arc<Limits>,
    hanging: AtomicBool,
}

impl Node {
    /// Never comes back; the connection's own end is what ends it.
    pub(crate) async fn hang(&self) {
        std::future::pending::<()>().await;
    }

    /// Waits while the managers are frozen; what waited is cut, since its client may be gone.
    pub(crate) async fn thawed(&self) -> Result<(), Cut> {
        if self.hanging.load(Ordering::Relaxed) {
            self.hang().await;
        }
        let mut frozen = self.shared.faults.frozen();
        if !*frozen.borrow() {
            return Ok(());
        }
        // The sender lives as long as the node.
        let _ = frozen.wait_for(|frozen| !frozen).await;
        Err(Cut::Reset)
    }
}

/// A manager that listens, or is dead and keeps its port.
#[derive(Debug)]
pub(crate) struct Manager {
    pub(crate) address: SocketAddr,
    node: Arc<Node>,
    tls: Option<Arc<ServerConfig>>,
    life: Mutex<Life>,
}

#[derive(Debug)]
enum Life {
    Up(CancellationToken, tokio::task::JoinHandle<()>),
    /// Bound but not listening: clients are refused, and nobody else gets the port.
    Down(Option<TcpSocket>),
}

impl Manager {
    /// Starts a manager on the address.
    pub(crate) async fn start(
        index: usize,
        address: SocketAddr,
        shared: Arc<Shared>,
        tls: Option<Arc<ServerConfig>>,
    ) -> Result<Self, EmulatorError> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| EmulatorError::Listen { address, source })?;
        let address = listener
            .local_addr()
            .map_err(|source| EmulatorError::Listen { address, source })?;
        let node = Arc::new(Node {
            index,
            shared,
            sessions: Sessions::default(),
            limits: Arc::default(),
            hanging: AtomicBool::new(false),
        });
        let life = Mutex::new(up(&node, listener, tls.clone()));
        Ok(Manager {
            address,
            node,
            tls,
            life,
        })
    }

    fn swap(&self, life: Life) -> Life {
        std::mem::replace(
            &mut *self.life.lock().unwrap_or_else(PoisonError::into_inner),
            life,
        )
    }

    /// Closes the listener and resets every connection. Requests under way are lost.
    pub(crate) async fn kill(&self) {
        match self.swap(Life::Down(None)) {
            Life::Up(token, task) => {
                token.cancel();
                // It ends at the cancellation; it can't have panicked.
                let _ = task.await;
            }
            Life::Down(socket) => return drop(self.swap(Life::Down(socket))),
        }
        self.swap(Life::Down(hold(self.address)));
    }

    /// Listens again on the same port.
    pub(crate) async fn revive(&self) -> Result<(), EmulatorError> {
        let fault = |source| EmulatorError::Listen {
            address: self.address,
            source,
        };
        let listener = match self.swap(Life::Down(None)) {
            up @ Life::Up(..) => {
                self.swap(up);
                return Ok(());
            }
            Life::Down(Some(socket)) => socket.listen(1024).map_err(fault)?,
            Life::Down(None) => TcpListener::bind(self.address).await.map_err(fault)?,
        };
        self.swap(up(&self.node, listener, self.tls.clone()));
        Ok(())
    }

    /// Accepts and reads, but answers nothing, or stops doing so.
    pub(crate) fn set_hanging(&self, hanging: bool) {
        self.node.hanging.store(hanging, Ordering::Relaxed);
    }

    /// Whether it listens.
    pub(crate) fn is_up(&self) -> bool {
        matches!(
            *self.life.lock().unwrap_or_else(PoisonError::into_inner),
            Life::Up(..)
        )
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        if let Life::Up(token, _) = self.swap(Life::Down(None)) {
            token.cancel();
        }
    }
}

fn hold(address: SocketAddr) -> Option<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }
    .ok()?;
    socket.set_reuseaddr(true).ok()?;
    socket.bind(address).ok()?;
    Some(socket)
}

fn up(node: &Arc<Node>, listener: TcpListener, tls: Option<Arc<ServerConfig>>) -> Life {
    let token = CancellationToken::new();
    let task = tokio::spawn(accept(node.clone(), listener, tls, token.clone()));
    Life::Up(token, task)
}

async fn accept(
    node: Arc<Node>,
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    token: CancellationToken,
) {
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let connection = connection(node.clone(), stream, tls.clone());
                    let token = token.clone();
                    tokio::spawn(async move { token.run_until_cancelled(connection).await });
                }
                Err(fault) => {
                    tracing::warn!(%fault, "cannot accept a connection");
                    tokio::task::yield_now().await;
                }
            }
        }
    };
    token.run_until_cancelled(accepting).await;
}

async fn connection(node: Arc<Node>, stream: TcpStream, tls: Option<Arc<ServerConfig>>) {
    // It only fails on a connection that is gone already.
    let _ = stream.set_nodelay(true);
    match tls {
        None => http(node, None, stream).await,
        Some(config) => {
            let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else {
                return;
            };
            let peer = stream
                .get_ref()
                .1
                .peer_certificates()
                .and_then(|chain| chain.first());
            let name = peer.and_then(|certificate| node.shared.identities.name(certificate));
            http(node, name.map(Into::into), stream).await;
        }
    }
}

/// A stream with a socket below.
trait Socket: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin {
    fn tcp(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Socket for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// A connection that is reset when it is dropped, unless it came to its end by itself.
struct Line<S: Socket> {
    io: TokioIo<S>,
    ended: bool,
}

impl<S: Socket> Drop for Line<S> {
    fn drop(&mut self) {
        if !self.ended {
            // It only fails on a connection that is gone already.
            let _ = self.io.inner().tcp().set_zero_linger();
        }
    }
}

async fn http<S: Socket>(node: Arc<Node>, certificate: Option<Arc<str>>, stream: S) {
    let mut line = Line {
        io: TokioIo::new(stream),
        ended: false,
    };
    let service = service_fn(move |request| pipeline::serve(node.clone(), certificate.clone(), request));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .half_close(false)
        .serve_connection(&mut line.io, service)
        .await;
    match served {
        Ok(()) => line.ended = true,
        Err(fault) => tracing::debug!(%fault, "a connection ended"),
    }
}
