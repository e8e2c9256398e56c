//! Event streams: subscribed before the headers leave, one chunk per event, silent when idle.
//!
//! Source: `handlers/events_handlers.go` of `bbs`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use diego_wire::bbs::EventsByCellId;
use diego_wire::{routes, sse};
use http::Method;
use prost::Message;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::faults::StreamFaults;
use crate::http1::{self, Connection};
use crate::model::hub::{Channel, Published, Subscription};
use crate::requests::RequestEntry;
use crate::serve::Site;
use crate::web::{Reply, Request};

/// Which stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Instances,
    Tasks,
    Groups,
}

impl Kind {
    /// The deprecated group streams are `GET`, with a body all the same.
    pub(super) fn method(self) -> Method {
        if self == Self::Groups {
            Method::GET
        } else {
            Method::POST
        }
    }
}

pub(super) fn kind(path: &str) -> Option<Kind> {
    match path {
        routes::LRP_INSTANCE_EVENTS | routes::LRP_INSTANCE_EVENTS_R0 => Some(Kind::Instances),
        routes::TASK_EVENTS | routes::TASK_EVENTS_R0 => Some(Kind::Tasks),
        routes::GROUP_EVENTS | routes::GROUP_EVENTS_R0 => Some(Kind::Groups),
        _ => None,
    }
}

/// A subscription that is complete, and what it filters.
pub(super) struct Stream {
    first: Subscription,
    second: Option<Subscription>,
    cell: String,
    faults: StreamFaults,
}

/// Subscribes if the request asks for a stream that can be opened; all else is answered as a plain request.
pub(super) fn open(site: &Site, request: &Request) -> Option<Stream> {
    let kind = kind(&request.path)?;
    let mut world = site.shared.world();
    let refused = site.shared.warming.load(Ordering::Relaxed)
        || !super::is_served(&request.path, world.age)
        || request.method != kind.method();
    if refused || world.faults.take(site.service, &request.path).is_some() {
        return None;
    }
    let cell = match kind {
        Kind::Tasks => String::new(),
        _ => EventsByCellId::decode(request.body.clone()).ok()?.cell_id,
    };
    let hubs = &mut world.diego.hubs;
    let (first, second) = match kind {
        Kind::Tasks => (hubs.subscribe(Channel::Tasks), None),
        Kind::Instances => (
            hubs.subscribe(Channel::Desired),
            Some(hubs.subscribe(Channel::Instances)),
        ),
        Kind::Groups => (
            hubs.subscribe(Channel::Desired),
            Some(hubs.subscribe(Channel::Groups)),
        ),
    };
    let faults = hubs.faults.clone();
    let (first, second) = match second {
        Some(second) if faults.instances_first => (second, Some(first)),
        second => (first, second),
    };
    let entry = RequestEntry {
        service: site.service,
        method: request.method.to_string(),
        path: request.target(),
        status: 200,
    };
    world.requests.note(entry);
    Some(Stream {
        first,
        second,
        cell,
        faults,
    })
}

/// Sends events until a hub lets go of the stream, the client closes, or a fault ends it.
pub(super) async fn run(site: &Site, connection: &mut Connection, mut stream: Stream) -> io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(connection);
    let head = Reply::new(200, routes::EVENT_STREAM, Vec::new())
        .header("Cache-Control", "no-cache, no-store, must-revalidate")
        .header("Connection", "keep-alive");
    http1::write_chunked_head(&mut writer, &head).await?;
    if stream.faults.silent {
        closed(&mut reader).await;
        return Ok(());
    }
    tracing::debug!(service = ?site.service, "a stream begins");
    tokio::select! {
        sent = send(&mut writer, &mut stream) => sent?,
        () = closed(&mut reader) => {}
    }
    http1::write_chunk(&mut writer, b"").await?;
    writer.shutdown().await
}

async fn send(writer: &mut (impl AsyncWrite + Unpin), stream: &mut Stream) -> io::Result<()> {
    let mut id = 0;
    while stream.faults.end_after.is_none_or(|end| id < end) {
        let Some(event) = next(stream).await else { break };
        let filtered =
            !stream.cell.is_empty() && event.cell.as_ref().is_some_and(|cell| *cell != stream.cell);
        if !filtered {
            http1::write_chunk(writer, &sse::encode(id, event.name, &event.payload)).await?;
            id += 1;
        }
    }
    Ok(())
}

/// The next event of either hub; `None` as soon as one of them has ended.
async fn next(stream: &mut Stream) -> Option<Arc<Published>> {
    match &mut stream.second {
        None => stream.first.recv().await,
        Some(second) => tokio::select! {
            biased;
            event = stream.first.recv() => event,
            event = second.recv() => event,
        },
    }
}

/// Until the client closes its side. What it sends besides is ignored.
async fn closed(reader: &mut (impl AsyncRead + Unpin)) {
    let mut bytes = [0; 64];
    while reader.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
}
