//! Locket: locks over gRPC. Source: `handlers/handler.go` and `db/lock_db.go` of `locket`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use diego_wire::locket::locket_server::{Locket, LocketServer};
use diego_wire::locket::{
    FetchAllRequest, FetchAllResponse, FetchRequest, FetchResponse, LockRequest, LockResponse,
    ReleaseRequest, ReleaseResponse,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status};

use crate::faults::Service;
use crate::model::World;
use crate::model::locks::{self, Refusal};
use crate::requests::RequestEntry;
use crate::serve::{Stop, Wire, accept};
use crate::shared::Shared;

struct Handler(Arc<Shared>);

fn status(refusal: Refusal) -> Status {
    match refusal {
        Refusal::Collision => Status::already_exists("lock-collision"),
        Refusal::InvalidType => Status::not_found("invalid-type"),
        Refusal::InvalidTtl => Status::invalid_argument("invalid-ttl"),
        Refusal::InvalidOwner => Status::invalid_argument("invalid-owner"),
        Refusal::NotFound => Status::not_found("resource-not-found"),
    }
}

impl Handler {
    /// Does the work, then answers as far as the armed faults allow.
    async fn answer<T>(
        &self,
        call: &str,
        work: impl FnOnce(&mut World) -> Result<T, Refusal>,
    ) -> Result<Response<T>, Status> {
        let (result, faults) = {
            let mut world = self.0.world();
            world.requests.note(RequestEntry {
                service: Service::Locket,
                method: "gRPC".to_owned(),
                path: format!("/models.Locket/{call}"),
                status: 200,
            });
            let faults = world.locket_faults;
            if faults.down {
                return Err(Status::unavailable("database is unreachable"));
            }
            world.locket_faults.lose_answers = faults.lose_answers.saturating_sub(1);
            (work(&mut world), faults)
        };
        if faults.lose_answers > 0 {
            std::future::pending::<()>().await;
        }
        if !faults.slow.is_zero() {
            tokio::time::sleep(faults.slow).await;
        }
        result.map(Response::new).map_err(status)
    }
}

/// The real server dereferences the resource whatever happens, and answers that it broke.
fn missing() -> Status {
    Status::unknown("runtime error: invalid memory address or nil pointer dereference")
}

#[tonic::async_trait]
impl Locket for Handler {
    async fn lock(&self, request: Request<LockRequest>) -> Result<Response<LockResponse>, Status> {
        let request = request.into_inner();
        let resource = request.resource.ok_or_else(missing)?;
        self.answer("Lock", |world| {
            let text_counts = !world.age.is_newest();
            world
                .locks
                .lock(resource, request.ttl_in_seconds, text_counts)
                .map(|()| LockResponse {})
        })
        .await
    }

    async fn fetch(&self, request: Request<FetchRequest>) -> Result<Response<FetchResponse>, Status> {
        let key = request.into_inner().key;
        self.answer("Fetch", |world| {
            world.locks.fetch(&key).map(|found| FetchResponse {
                resource: Some(found),
            })
        })
        .await
    }

    async fn release(&self, request: Request<ReleaseRequest>) -> Result<Response<ReleaseResponse>, Status> {
        let resource = request.into_inner().resource.ok_or_else(missing)?;
        self.answer("Release", |world| {
            world.locks.release(&resource).map(|()| ReleaseResponse {})
        })
        .await
    }

    async fn fetch_all(
        &self,
        request: Request<FetchAllRequest>,
    ) -> Result<Response<FetchAllResponse>, Status> {
        let request = request.into_inner();
        self.answer("FetchAll", |world| {
            let code = locks::type_code(request.type_code, &request.r#type, !world.age.is_newest())?;
            world
                .locks
                .fetch_all(code)
                .map(|resources| FetchAllResponse { resources })
        })
        .await
    }
}

/// A connection as tonic wants it.
struct Stream(Box<dyn Wire>);

impl Connected for Stream {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Serves gRPC on a listener until stopped.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    stop: CancellationToken,
) {
    let (sender, receiver) = mpsc::channel(16);
    let accepting = accept(listener, tls, Stop::at_once(&stop), move |stream| {
        let sender = sender.clone();
        // The receiver goes away only with the server.
        async move { _ = sender.send(io::Result::Ok(Stream(stream))).await }
    });
    let server = tonic::transport::Server::builder()
        .add_service(LocketServer::new(Handler(shared)))
        .serve_with_incoming(ReceiverStream::new(receiver));
    tokio::select! {
        () = accepting => {}
        served = server => if let Err(error) = served {
            tracing::error!(%error, "Locket stopped serving");
        },
    }
}
