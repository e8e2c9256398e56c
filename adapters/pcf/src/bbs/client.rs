//! Calls to the BBS and its event streams: HTTP/1.1, protobuf bodies, mutual TLS.
//!
//! Success and refusal are both status 200; the answer's `error` tells them apart. Status 404 means an
//! older BBS without this revision of the call, which is then asked for the older one (BBS documents,
//! "Revisioning BBS API endpoints"). A passive BBS refuses connections and a freshly elected one answers
//! 503, so after such a failure the next request begins with another address.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diego_wire::bbs;
use diego_wire::event::{BbsEvent, EventError};
use diego_wire::sse::{Decoder, Frame};
use diego_wire::{lrp, routes};
use http::StatusCode;
use http::header::{ACCEPT, CONTENT_TYPE};
use prost::Message;

use super::extract::{self, Unusable};
use super::record::{Event, Info};
use super::sync::{Answer, Request, Stream};
use crate::http::{HttpError, Peer, PeerOptions, body, send};
use crate::ids::ProcessGuid;
use crate::tls::TlsError;

/// How to reach the BBS.
#[derive(Clone, Debug)]
pub struct BbsOptions {
    /// Addresses, name and certificates.
    pub peer: PeerOptions,
    /// Limit for small calls and for the head of a stream's answer.
    pub timeout: Duration,
    /// Limit for lists, which are unpaged and may be hundreds of megabytes. The BBS throws its work away
    /// when a client leaves early.
    pub list_timeout: Duration,
}

impl BbsOptions {
    /// Options with the usual limits.
    pub fn new(peer: PeerOptions) -> Self {
        Self {
            peer,
            timeout: Duration::from_secs(10),
            list_timeout: Duration::from_secs(120),
        }
    }
}

/// The lowest platform that is followed: before it the BBS had no `.r3` and `.r2` lists side by side, and
/// no events of single instances, only of groups that hide one of two containers (BBS documents,
/// "Actual LRP groups").
pub const LOWEST_DIEGO: &str = "Diego 2.20 (October 2018)";

/// Why a call to the BBS failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BbsError {
    /// Transport, status or body.
    #[error("the BBS gave no usable answer")]
    Http(#[from] HttpError),
    /// The BBS refused.
    #[error("the BBS refused {request}: {message} (type {kind})")]
    Refused {
        /// Path of the request.
        request: &'static str,
        /// `Error.Type` of the BBS.
        kind: i32,
        /// Its text.
        message: String,
    },
    /// The BBS has none of the revisions of a call that this client knows.
    #[error(
        "the BBS has no {request}; the lowest supported platform is {LOWEST_DIEGO}: upgrade the foundation"
    )]
    TooOld {
        /// Path of the newest revision asked for.
        request: String,
    },
    /// An event is lost.
    #[error("an event of the BBS is lost")]
    Event(#[from] EventError),
    /// The stream can't be read on.
    #[error("the event stream of the BBS broke")]
    Framing(#[from] diego_wire::sse::SseError),
    /// The stream ended, as it does when a BBS stops or a client is too slow.
    #[error("the event stream of the BBS ended")]
    Ended,
}

impl BbsError {
    /// The guide's code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Event(_) => crate::codes::EVENT_PROCESSING,
            _ => crate::codes::BBS_CONNECTION,
        }
    }
}

/// A client of the BBS. Clones share connections.
#[derive(Clone, Debug)]
pub struct BbsClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    peer: Peer,
    options: BbsOptions,
    /// The newest revisions were refused before.
    old: AtomicBool,
}

/// Every answer but the ping's has an error in its first field.
trait Reply: Message + Default {
    fn take_error(&mut self) -> Option<bbs::Error>;
}

macro_rules! replies {
    ($($name:ident)*) => { $(
        impl Reply for bbs::$name {
            fn take_error(&mut self) -> Option<bbs::Error> {
                self.error.take()
            }
        }
    )* };
}

replies! {
    DomainsResponse DesiredLrPsResponse DesiredLrpSchedulingInfosResponse ActualLrPsResponse TasksResponse
    CellsResponse
}

impl BbsClient {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// [`TlsError`] when the certificates can't be used.
    pub fn new(options: BbsOptions) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(Inner {
            peer: Peer::new(options.peer.clone())?,
            options,
            old: AtomicBool::new(false),
        })))
    }

    /// Whether the active BBS answers.
    ///
    /// # Errors
    /// [`BbsError`] when it doesn't.
    pub async fn ping(&self) -> Result<bool, BbsError> {
        let bytes = self
            .post(routes::PING, Vec::new(), self.0.options.timeout)
            .await?;
        let answer: bbs::PingResponse = decode(&bytes, routes::PING)?;
        Ok(answer.available)
    }

    /// Answers a question of the state machine, streams excepted.
    pub(super) async fn answer(&self, request: &Request) -> Result<(Answer, Vec<Unusable>), BbsError> {
        self.ask(request).await.map_err(too_old)
    }

    async fn ask(&self, request: &Request) -> Result<(Answer, Vec<Unusable>), BbsError> {
        let mut unusable = Vec::new();
        let answer = match request {
            Request::Open(_) => Answer::Opened,
            Request::Domains => Answer::Domains(self.domains().await?),
            Request::Cells => {
                let answer: bbs::CellsResponse = self.small(routes::CELLS, Vec::new()).await?;
                Answer::Cells(answer.cells.into_iter().filter_map(extract::cell).collect())
            }
            Request::Infos => Answer::Infos(self.infos().await?),
            Request::Desired(asked) => {
                let records = self.desired(asked).await?.into_iter();
                Answer::Desired(usable(records.map(extract::desired), &mut unusable))
            }
            Request::Actuals => {
                let records = self
                    .actuals(&bbs::ActualLrPsRequest::default())
                    .await?
                    .into_iter();
                Answer::Actuals(usable(records.map(extract::actual), &mut unusable))
            }
            Request::Place(process, index) => {
                let filter = bbs::ActualLrPsRequest {
                    process_guid: process.as_str().to_owned(),
                    index: Some(*index),
                    ..Default::default()
                };
                let records = self.actuals(&filter).await?.into_iter();
                Answer::Actuals(usable(records.map(extract::actual), &mut unusable))
            }
            Request::Tasks => {
                let paths = [routes::TASKS, routes::TASKS_R2];
                let answer: bbs::TasksResponse = self.newest(paths, Vec::new()).await?;
                Answer::Tasks(usable(answer.tasks.into_iter().map(extract::task), &mut unusable))
            }
        };
        Ok((answer, unusable))
    }

    async fn domains(&self) -> Result<Vec<String>, BbsError> {
        let answer: bbs::DomainsResponse = self.small(routes::DOMAINS, Vec::new()).await?;
        Ok(answer.domains)
    }

    async fn infos(&self) -> Result<Vec<Info>, BbsError> {
        let filter = bbs::DesiredLrPsRequest {
            domain: lrp::DOMAIN_APPS.to_owned(),
            ..Default::default()
        };
        let limit = self.0.options.list_timeout;
        let answer: bbs::DesiredLrpSchedulingInfosResponse = self
            .call(routes::SCHEDULING_INFOS, filter.encode_to_vec(), limit)
            .await?;
        let infos = answer.desired_lrp_scheduling_infos.into_iter();
        Ok(infos.filter_map(extract::info).collect())
    }

    async fn desired(&self, asked: &[ProcessGuid]) -> Result<Vec<bbs::DesiredLrp>, BbsError> {
        // An empty list would mean no filter at all: every record there is.
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let filter = bbs::DesiredLrPsRequest {
            process_guids: asked.iter().map(ToString::to_string).collect(),
            ..Default::default()
        };
        let paths = [routes::DESIRED_LRPS, routes::DESIRED_LRPS_R2];
        let answer: bbs::DesiredLrPsResponse = self.newest(paths, filter.encode_to_vec()).await?;
        Ok(answer.desired_lrps)
    }

    async fn actuals(&self, filter: &bbs::ActualLrPsRequest) -> Result<Vec<bbs::ActualLrp>, BbsError> {
        let filter = bbs::ActualLrPsRequest {
            domain: lrp::DOMAIN_APPS.to_owned(),
            ..filter.clone()
        };
        let limit = self.0.options.list_timeout;
        let answer: bbs::ActualLrPsResponse = self
            .call(routes::ACTUAL_LRPS, filter.encode_to_vec(), limit)
            .await?;
        Ok(answer.actual_lrps)
    }

    async fn newest<A: Reply>(&self, paths: [&'static str; 2], message: Vec<u8>) -> Result<A, BbsError> {
        let limit = self.0.options.list_timeout;
        let [new, old] = paths;
        if !self.0.old.load(Ordering::Relaxed) {
            match self.call(new, message.clone(), limit).await {
                Err(error) if is_unknown(&error) => self.0.old.store(true, Ordering::Relaxed),
                other => return other,
            }
        }
        let answer = self.call(old, message, limit).await;
        if answer.as_ref().is_err_and(is_unknown) {
            // Perhaps a newer BBS took over meanwhile.
            self.0.old.store(false, Ordering::Relaxed);
        }
        answer
    }

    async fn small<A: Reply>(&self, path: &'static str, message: Vec<u8>) -> Result<A, BbsError> {
        self.call(path, message, self.0.options.timeout).await
    }

    async fn call<A: Reply>(
        &self,
        path: &'static str,
        message: Vec<u8>,
        limit: Duration,
    ) -> Result<A, BbsError> {
        let bytes = self.post(path, message, limit).await?;
        let mut answer: A = decode(&bytes, path)?;
        match answer.take_error() {
            None => Ok(answer),
            Some(error) => Err(BbsError::Refused {
                request: path,
                kind: error.r#type,
                message: error.message,
            }),
        }
    }

    async fn post(
        &self,
        path: &'static str,
        message: Vec<u8>,
        limit: Duration,
    ) -> Result<bytes::Bytes, BbsError> {
        let request = self.request(path, message).timeout(limit);
        let answer = async {
            let answer = send(request, path).await?;
            expect_type(&answer, routes::PROTOBUF, path)?;
            body(answer, path).await
        };
        answer.await.map_err(|error| self.note(error))
    }

    fn request(&self, path: &str, message: Vec<u8>) -> reqwest::RequestBuilder {
        self.0
            .peer
            .client()
            .post(self.0.peer.url(path))
            .header(CONTENT_TYPE, routes::PROTOBUF)
            .body(message)
    }

    /// A far end that can't be reached or isn't ready is left for another.
    fn note(&self, error: HttpError) -> BbsError {
        let elsewhere = match &error {
            HttpError::Status { status, .. } => status.is_server_error(),
            HttpError::Connect { .. } | HttpError::Timeout { .. } | HttpError::Truncated { .. } => true,
            _ => false,
        };
        if elsewhere {
            self.0.peer.reconnect();
        }
        error.into()
    }

    /// Subscribes. When this returns, nothing emitted from now on is missed until the stream ends.
    pub(super) async fn open(&self, stream: Stream) -> Result<EventStream, BbsError> {
        let paths = match stream {
            Stream::Lrps => [routes::LRP_INSTANCE_EVENTS, routes::LRP_INSTANCE_EVENTS_R0],
            Stream::Tasks => [routes::TASK_EVENTS, routes::TASK_EVENTS_R0],
        };
        match self.subscribe(paths[0]).await {
            Err(error) if is_unknown(&error) => self.subscribe(paths[1]).await.map_err(too_old),
            other => other,
        }
    }

    async fn subscribe(&self, path: &'static str) -> Result<EventStream, BbsError> {
        let request = self.request(path, Vec::new()).header(ACCEPT, "text/event-stream");
        // Only the head has a limit: an idle stream is silent for as long as nothing happens.
        let answer = tokio::time::timeout(self.0.options.timeout, send(request, path)).await;
        let answer = answer.unwrap_or_else(|_| {
            Err(HttpError::Timeout {
                request: path.to_owned(),
            })
        });
        let response = answer
            .and_then(|answer| expect_type(&answer, "text/event-stream", path).map(|()| answer))
            .map_err(|error| self.note(error))?;
        Ok(EventStream {
            response,
            decoder: Decoder::new(),
            frames: VecDeque::new(),
            path,
        })
    }
}

fn usable<T>(records: impl Iterator<Item = Result<T, Unusable>>, unusable: &mut Vec<Unusable>) -> Vec<T> {
    records
        .filter_map(|record| record.map_err(|error| unusable.push(error)).ok())
        .collect()
}

fn is_unknown(error: &BbsError) -> bool {
    matches!(error, BbsError::Http(error) if error.status() == Some(StatusCode::NOT_FOUND))
}

/// A call that is still unknown after the older revisions were tried.
fn too_old(error: BbsError) -> BbsError {
    match error {
        BbsError::Http(HttpError::Status { status, request, .. }) if status == StatusCode::NOT_FOUND => {
            BbsError::TooOld { request }
        }
        other => other,
    }
}

fn decode<A: Message + Default>(bytes: &[u8], path: &str) -> Result<A, HttpError> {
    A::decode(bytes).map_err(|error| HttpError::unreadable(path, error))
}

fn expect_type(answer: &reqwest::Response, expected: &str, path: &str) -> Result<(), HttpError> {
    let given = answer
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    if given.is_some_and(|given| given.starts_with(expected)) {
        return Ok(());
    }
    Err(HttpError::unreadable(
        path,
        format!("content type {given:?} instead of {expected}"),
    ))
}

/// An open event stream.
#[derive(Debug)]
pub(super) struct EventStream {
    response: reqwest::Response,
    decoder: Decoder,
    frames: VecDeque<Frame>,
    path: &'static str,
}

/// What an event stream brings.
#[derive(Debug)]
pub(super) enum Item {
    /// An event.
    Event(Event),
    /// An event that is none of ours or unusable.
    Skipped(Unusable),
}

impl EventStream {
    /// The next item. After an error the stream is of no use: it ended or lost something.
    pub(super) async fn next(&mut self) -> Result<Item, BbsError> {
        loop {
            while let Some(frame) = self.frames.pop_front() {
                // Names that aren't known are skipped, as the protocol asks.
                let Some(event) = BbsEvent::from_frame(&frame)? else {
                    continue;
                };
                match extract::event(event) {
                    Ok(Some(event)) => return Ok(Item::Event(event)),
                    Ok(None) => {}
                    Err(unusable) => return Ok(Item::Skipped(unusable)),
                }
            }
            let chunk = self.response.chunk().await;
            match chunk.map_err(|error| HttpError::transport(error, self.path))? {
                Some(piece) => self.frames.extend(self.decoder.push(&piece)?),
                None => return Err(BbsError::Ended),
            }
        }
    }
}
