//! Several BBS addresses of which one is active: only the active one listens, as only the holder of the
//! lock opens its port. A passive one refuses connections.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::serve;
use crate::foundation::FailOver;
use crate::serve::{Site, Stop, accept};

/// An order to fail over; the answer is the index of the new active address.
pub(crate) struct FailOverOrder {
    pub mode: FailOver,
    pub done: oneshot::Sender<io::Result<usize>>,
}

impl std::fmt::Debug for FailOverOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FailOverOrder").field(&self.mode).finish()
    }
}

/// The process that is active.
struct Active {
    stop: Stop,
    drain: CancellationToken,
    accepting: JoinHandle<()>,
}

/// All addresses, each bound, one of them listening.
pub(crate) struct Pool {
    site: Site,
    tls: Option<TlsAcceptor>,
    pub addresses: Vec<SocketAddr>,
    bound: Vec<Option<TcpSocket>>,
    index: usize,
    active: Option<Active>,
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

impl Pool {
    /// Binds so many addresses and opens the first.
    pub(crate) fn new(site: Site, tls: Option<TlsAcceptor>, count: usize) -> io::Result<Self> {
        let sockets = (0..count.max(1))
            .map(|_| bind(SocketAddr::from(([127, 0, 0, 1], 0))))
            .collect::<io::Result<Vec<_>>>()?;
        let addresses = sockets
            .iter()
            .map(TcpSocket::local_addr)
            .collect::<io::Result<_>>()?;
        let bound = sockets.into_iter().map(Some).collect();
        let mut pool = Self {
            site,
            tls,
            addresses,
            bound,
            index: 0,
            active: None,
        };
        pool.open()?;
        Ok(pool)
    }

    fn open(&mut self) -> io::Result<()> {
        let socket = match self.bound[self.index].take() {
            Some(socket) => socket,
            None => bind(self.addresses[self.index])?,
        };
        let listener: TcpListener = socket.listen(1024)?;
        let (stop, drain, site) = (Stop::default(), CancellationToken::new(), self.site.clone());
        let draining = drain.clone();
        let accepting = tokio::spawn(accept(listener, self.tls.clone(), stop.clone(), move |stream| {
            let (site, draining) = (site.clone(), draining.clone());
            async move { serve(&site, stream, &draining).await }
        }));
        self.active = Some(Active {
            stop,
            drain,
            accepting,
        });
        Ok(())
    }

    /// Closes the active address: its streams end, its connections close, its port refuses.
    async fn close(&mut self, mode: FailOver) -> io::Result<()> {
        let Some(active) = self.active.take() else {
            return Ok(());
        };
        active.stop.listen.cancel();
        match mode {
            FailOver::Clean => self.site.shared.world().diego.hubs.close(),
            // Hubs that closed first would end the streams in good order.
            FailOver::Abrupt => active.stop.connections.cancel(),
        }
        active.drain.cancel();
        // A task that only waits for connections ends as soon as it is told to.
        let _ = active.accepting.await;
        self.bound[self.index] = Some(bind(self.addresses[self.index])?);
        Ok(())
    }

    async fn fail_over(&mut self, mode: FailOver) -> io::Result<usize> {
        self.close(mode).await?;
        self.index = (self.index + 1) % self.addresses.len();
        self.open()?;
        Ok(self.index)
    }

    /// Carries out orders until the foundation stops.
    pub(crate) async fn run(
        mut self,
        mut orders: mpsc::UnboundedReceiver<FailOverOrder>,
        stop: CancellationToken,
    ) {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                order = orders.recv() => {
                    let Some(order) = order else { break };
                    let index = self.fail_over(order.mode).await;
                    // Whoever ordered may not wait for the answer.
                    let _ = order.done.send(index);
                }
            }
        }
        if let Some(active) = self.active.take() {
            active.stop.listen.cancel();
            active.stop.connections.cancel();
        }
    }
}
