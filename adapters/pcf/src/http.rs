//! One far end spoken to over HTTP, and what can go wrong with a request to it.
//!
//! Diego's DNS names resolve to every machine of the job, the passive ones too, so each connection tries
//! all addresses: those the resolver gives for a name, and those of a configured list, in turn. After a
//! failure [`Peer::reconnect`] forgets the pooled connections and starts with another address; otherwise a
//! far end that accepts connections but answers nothing useful would be asked again and again.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use url::Url;

use crate::tls::{TlsError, TlsMaterial};

/// Where a far end is and how to connect to it.
#[derive(Clone, Debug)]
pub struct PeerOptions {
    /// Base URL; its host is the name that the server's certificate must have.
    pub url: Url,
    /// `host:port` of each instance; empty: what the URL's host resolves to.
    pub addresses: Vec<String>,
    /// Certificates; `None` for the system's CAs and no client certificate.
    pub tls: Option<TlsMaterial>,
    /// Limit for one connection, shared by all addresses.
    pub connect_timeout: Duration,
}

impl PeerOptions {
    /// A far end at the URL, with defaults for the rest.
    pub fn new(url: Url) -> Self {
        Self {
            url,
            addresses: Vec::new(),
            tls: None,
            connect_timeout: Duration::from_secs(5),
        }
    }
}

/// One far end. Clones share connections.
#[derive(Clone, Debug)]
pub struct Peer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: PeerOptions,
    base: Url,
    book: Option<Arc<AddressBook>>,
    client: RwLock<reqwest::Client>,
}

impl Peer {
    /// Prepares a far end; nothing is sent yet.
    ///
    /// # Errors
    /// [`TlsError`] when the certificates can't be used.
    pub fn new(options: PeerOptions) -> Result<Self, TlsError> {
        let book = (!options.addresses.is_empty()).then(|| Arc::new(AddressBook::new(&options.addresses)));
        let mut base = options.url.clone();
        if book.is_some() {
            // An explicit port in the URL would override the ports of the list.
            let _ = base.set_port(None);
        }
        let client = build(&options, book.clone())?;
        Ok(Self(Arc::new(Inner {
            options,
            base,
            book,
            client: RwLock::new(client),
        })))
    }

    /// The URL of a path with query on this far end, whatever host a server's own link names.
    pub(crate) fn url(&self, path_and_query: &str) -> Url {
        let (path, query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path_and_query, None),
        };
        let mut url = self.0.base.clone();
        url.set_path(&format!("{}{path}", self.0.base.path().trim_end_matches('/')));
        url.set_query(query);
        url
    }

    /// The client of the moment, for one request.
    pub(crate) fn client(&self) -> reqwest::Client {
        self.0
            .client
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Forgets pooled connections and begins with the next address from now on.
    pub(crate) fn reconnect(&self) {
        if let Some(book) = &self.0.book {
            book.rotate();
        }
        // It was built from the same options before, so it can be built again.
        if let Ok(client) = build(&self.0.options, self.0.book.clone()) {
            *self.0.client.write().unwrap_or_else(PoisonError::into_inner) = client;
        }
    }

    /// Sends a GET and reads the whole answer.
    pub(crate) async fn get(&self, path: &str, limit: Duration) -> Result<Bytes, HttpError> {
        let request = self.client().get(self.url(path)).timeout(limit);
        let answer = send(request, path).await?;
        body(answer, path).await
    }
}

fn build(options: &PeerOptions, book: Option<Arc<AddressBook>>) -> Result<reqwest::Client, TlsError> {
    let mut builder = reqwest::Client::builder()
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(options.connect_timeout)
        .tcp_keepalive(Duration::from_secs(30));
    if let Some(book) = book {
        builder = builder.dns_resolver(book);
    }
    if let Some(tls) = &options.tls {
        builder = tls.apply(builder)?;
    }
    builder.build().map_err(TlsError::Unusable)
}

/// A configured list of instances, resolved on each connect and tried from a moving start.
#[derive(Debug)]
struct AddressBook {
    addresses: Vec<String>,
    start: AtomicUsize,
}

impl AddressBook {
    fn new(addresses: &[String]) -> Self {
        Self {
            addresses: addresses.to_vec(),
            start: AtomicUsize::new(0),
        }
    }

    fn rotate(&self) {
        self.start.fetch_add(1, Ordering::Relaxed);
    }

    fn in_turn(&self) -> Vec<String> {
        let mut addresses = self.addresses.clone();
        let start = self.start.load(Ordering::Relaxed) % addresses.len().max(1);
        addresses.rotate_left(start);
        addresses
    }
}

impl Resolve for AddressBook {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses = self.in_turn();
        Box::pin(async move {
            let mut found: Vec<SocketAddr> = Vec::new();
            let mut failed = None;
            for address in addresses {
                match tokio::net::lookup_host(&address).await {
                    Ok(resolved) => found.extend(resolved),
                    Err(error) => failed = Some(error),
                }
            }
            match failed {
                Some(error) if found.is_empty() => Err(error.into()),
                _ => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}

/// Why a request brought no usable answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// No connection, or no answer on it.
    #[error("{request} got no connection; check address, certificates and that the server runs")]
    Connect {
        /// Path of the request.
        request: String,
        /// What went wrong.
        #[source]
        source: reqwest::Error,
    },
    /// Nothing within the time allowed.
    #[error("{request} was not answered in time")]
    Timeout {
        /// Path of the request.
        request: String,
    },
    /// The answer broke off.
    #[error("the answer to {request} broke off")]
    Truncated {
        /// Path of the request.
        request: String,
        /// What went wrong.
        #[source]
        source: reqwest::Error,
    },
    /// The answer is larger than this client accepts.
    #[error("the answer to {request} exceeds {MAX_BODY} bytes")]
    TooLarge {
        /// Path of the request.
        request: String,
    },
    /// Another status than 200.
    #[error("{request} was answered {status}{}", Excerpt(body))]
    Status {
        /// Path of the request.
        request: String,
        /// The status.
        status: StatusCode,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
        /// The body, for the protocol's own error format.
        body: Bytes,
    },
    /// The answer isn't what the protocol says.
    #[error("the answer to {request} can't be read")]
    Unreadable {
        /// Path of the request.
        request: String,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl HttpError {
    /// The status, if the server gave one other than 200.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// How long the server asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(crate) fn transport(error: reqwest::Error, request: &str) -> Self {
        let request = without_query(request);
        let source = error.without_url();
        match source {
            source if source.is_timeout() => Self::Timeout { request },
            source if source.is_body() || source.is_decode() => Self::Truncated { request, source },
            source => Self::Connect { request, source },
        }
    }

    pub(crate) fn unreadable(
        request: &str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Unreadable {
            request: without_query(request),
            source: source.into(),
        }
    }
}

/// The start of a body in an error message, on one line.
struct Excerpt<'a>(&'a Bytes);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.0[..self.0.len().min(200)]);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() {
            Ok(())
        } else {
            write!(f, " ({line})")
        }
    }
}

fn without_query(path: &str) -> String {
    path.split('?').next().unwrap_or(path).to_owned()
}

/// Largest body accepted. The largest list known, all instances of a foundation with 250,000, is half.
pub const MAX_BODY: usize = 512 << 20;

/// Sends a request and takes any status but 200 as a failure.
pub(crate) async fn send(
    request: reqwest::RequestBuilder,
    path: &str,
) -> Result<reqwest::Response, HttpError> {
    let answer = request
        .send()
        .await
        .map_err(|error| HttpError::transport(error, path))?;
    if answer.status() == StatusCode::OK {
        return Ok(answer);
    }
    let (status, retry_after) = (answer.status(), retry_after(answer.headers()));
    let body = body(answer, path).await.unwrap_or_default();
    Err(HttpError::Status {
        request: without_query(path),
        status,
        retry_after,
        body,
    })
}

/// Reads a body to its end; one that breaks off or is too large is a failure.
pub(crate) async fn body(mut answer: reqwest::Response, path: &str) -> Result<Bytes, HttpError> {
    let too_large = || HttpError::TooLarge {
        request: without_query(path),
    };
    let announced = answer.content_length().unwrap_or_default();
    if announced > MAX_BODY as u64 {
        return Err(too_large());
    }
    let mut all = BytesMut::with_capacity(announced.min(64 << 20) as usize);
    while let Some(chunk) = answer.chunk().await.map_err(|error| broke_off(error, path))? {
        if all.len() + chunk.len() > MAX_BODY {
            return Err(too_large());
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.freeze())
}

fn broke_off(error: reqwest::Error, path: &str) -> HttpError {
    match HttpError::transport(error, path) {
        HttpError::Connect { request, source } => HttpError::Truncated { request, source },
        other => other,
    }
}

/// Parses a JSON body.
pub(crate) fn json<T: serde::de::DeserializeOwned>(body: &[u8], path: &str) -> Result<T, HttpError> {
    serde_json::from_slice(body).map_err(|error| HttpError::unreadable(path, error))
}

/// `Retry-After` as whole seconds, or as a date, which is taken relative to the server's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let asked = text(RETRY_AFTER)?;
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    }
    let date = |text: &str| OffsetDateTime::parse(text, &Rfc2822).ok();
    let wait = date(asked)? - date(text(DATE)?)?;
    Some(Duration::try_from(wait).unwrap_or_default().min(MAX_RETRY_AFTER))
}

/// Longest wait a server may ask for: a limiter's whole period is an hour.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn asked(retry: &str, date: Option<&str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        retry_after(&headers)
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_by_the_servers_clock() {
        assert_eq!(asked("17", None), Some(Duration::from_secs(17)));
        assert_eq!(asked(" 17 ", None), Some(Duration::from_secs(17)));
        assert_eq!(asked("99999999", None), Some(MAX_RETRY_AFTER));
        let (now, later) = ("Wed, 25 Nov 2026 02:00:00 GMT", "Wed, 25 Nov 2026 02:01:30 GMT");
        assert_eq!(asked(later, Some(now)), Some(Duration::from_secs(90)));
        assert_eq!(asked(now, Some(later)), Some(Duration::ZERO), "already past");
        assert_eq!(asked(later, None), None, "no clock to compare with");
        assert_eq!(asked("soon", Some(now)), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn links_to_another_host_stay_on_this_far_end() {
        let peer = Peer::new(PeerOptions::new(Url::parse("https://cc.internal:9024/").unwrap())).unwrap();
        assert_eq!(
            peer.url("/v3/spaces?page=2&per_page=5000").as_str(),
            "https://cc.internal:9024/v3/spaces?page=2&per_page=5000"
        );
        let mut options = PeerOptions::new(Url::parse("https://bbs.service.cf.internal:8889").unwrap());
        options.addresses = vec!["10.0.0.1:8889".into(), "10.0.0.2:8889".into()];
        let peer = Peer::new(options).unwrap();
        assert_eq!(
            peer.url("/v1/ping").as_str(),
            "https://bbs.service.cf.internal/v1/ping"
        );
    }

    #[test]
    fn a_reconnect_begins_with_the_next_address() {
        let book = AddressBook::new(&["a:1".into(), "b:2".into(), "c:3".into()]);
        assert_eq!(book.in_turn(), ["a:1", "b:2", "c:3"]);
        book.rotate();
        assert_eq!(book.in_turn(), ["b:2", "c:3", "a:1"]);
    }
}
