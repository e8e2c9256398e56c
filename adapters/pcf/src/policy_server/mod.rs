//! Container-to-container policies, from the policy server's internal API over mutual TLS.
//!
//! The server has no pages, deltas or order: an answer is the whole set. A change token (one integer) is
//! polled often and the set is read when it moved, and every few minutes regardless. The token is compared
//! for difference, since its order and the order of commits may differ, and it is remembered only after the
//! set read for it was handed on; the platform's own agent remembers too early and so misses changes.

#[cfg(test)]
mod tests;
mod watch;

use std::time::Duration;

pub use watch::{PolicyWatch, PolicyWatchOptions};

use serde::Deserialize;
use serde_json::Value;

use crate::codes;
use crate::http::{HttpError, Peer, PeerOptions, json};
use crate::ids::AppGuid;
use crate::tls::TlsError;

/// Protocol of a policy; there are no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PolicyProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A policy: new connections from any container of one app to any of another. These five values are its
/// whole identity; the tags beside them are recycled and mean nothing here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppPolicy {
    /// The app that connects.
    pub source: AppGuid,
    /// The app that is connected to.
    pub destination: AppGuid,
    /// Protocol.
    pub protocol: PolicyProtocol,
    /// First container port.
    pub first_port: u16,
    /// Last container port, which may be the first.
    pub last_port: u16,
}

/// A policy that can't be understood: it allows nothing, and the others stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy {index} from {source_app:?} to {destination:?} {problem}; delete it and add it again")]
pub struct BadPolicy {
    /// Its place in the answer, from 0.
    pub index: usize,
    /// Its source, where that can be read.
    pub source_app: String,
    /// Its destination, where that can be read.
    pub destination: String,
    /// What is wrong.
    pub problem: &'static str,
}

impl BadPolicy {
    /// The guide's code.
    pub fn code(&self) -> &'static str {
        codes::POLICY_PROCESSING
    }
}

/// The whole set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyListing {
    /// Counts the listings since start, from 1.
    pub generation: u64,
    /// The policies, sorted, each once.
    pub policies: Vec<AppPolicy>,
    /// Policies that can't be understood.
    pub refused: Vec<BadPolicy>,
    /// Set when the set is empty, though it held this many before and a second read said the same.
    pub emptied: Option<usize>,
}

/// Why the policy server gave no set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyServerError {
    /// Transport, status or body.
    #[error("the policy server gave no usable answer")]
    Http(#[from] HttpError),
    /// The set is shorter or longer than it says.
    #[error("the policy server announced {announced} policies and sent {sent}")]
    Count {
        /// `total_policies`.
        announced: usize,
        /// What came.
        sent: usize,
    },
}

impl PolicyServerError {
    /// The guide's code.
    pub fn code(&self) -> &'static str {
        codes::POLICY_SERVER_CONNECTION
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Http(error) => error.retry_after(),
            Self::Count { .. } => None,
        }
    }
}

/// A client of the policy server's internal API.
#[derive(Clone, Debug)]
pub struct PolicyClient {
    peer: Peer,
    timeout: Duration,
}

#[derive(Deserialize)]
struct Answer {
    total_policies: usize,
    policies: Vec<Value>,
}

#[derive(Deserialize)]
struct Item {
    source: End,
    destination: Target,
}

#[derive(Deserialize)]
struct End {
    id: String,
}

#[derive(Deserialize)]
struct Target {
    id: String,
    protocol: String,
    ports: Ports,
}

#[derive(Deserialize)]
struct Ports {
    start: u16,
    end: u16,
}

impl PolicyClient {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// [`TlsError`] when the certificates can't be used.
    pub fn new(peer: PeerOptions) -> Result<Self, TlsError> {
        Ok(Self {
            peer: Peer::new(peer)?,
            timeout: Duration::from_secs(10),
        })
    }

    /// The change token; `None` on servers that have none (before 2023), which means "may have changed".
    ///
    /// # Errors
    /// [`PolicyServerError`] when the server can't be asked.
    pub async fn last_updated(&self) -> Result<Option<i64>, PolicyServerError> {
        const PATH: &str = "/networking/v1/internal/policies_last_updated";
        match self.get(PATH).await {
            Ok(bytes) => Ok(Some(json(&bytes, PATH)?)),
            Err(error) if error.status() == Some(http::StatusCode::NOT_FOUND) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The whole set, sorted, and what of it can't be understood.
    ///
    /// # Errors
    /// [`PolicyServerError`] when the server can't be asked or its answer is incomplete.
    pub async fn policies(&self) -> Result<(Vec<AppPolicy>, Vec<BadPolicy>), PolicyServerError> {
        const PATH: &str = "/networking/v1/internal/policies";
        let answer: Answer = json(&self.get(PATH).await?, PATH)?;
        read(answer)
    }

    async fn get(&self, path: &str) -> Result<bytes::Bytes, HttpError> {
        let answer = self.peer.get(path, self.timeout).await;
        if matches!(answer, Err(HttpError::Connect { .. } | HttpError::Timeout { .. })) {
            self.peer.reconnect();
        }
        answer
    }
}

fn read(answer: Answer) -> Result<(Vec<AppPolicy>, Vec<BadPolicy>), PolicyServerError> {
    let (announced, sent) = (answer.total_policies, answer.policies.len());
    if announced != sent {
        return Err(PolicyServerError::Count { announced, sent });
    }
    let (mut policies, mut refused) = (Vec::with_capacity(sent), Vec::new());
    for (index, value) in answer.policies.iter().enumerate() {
        match policy(value) {
            Ok(policy) => policies.push(policy),
            Err(problem) => refused.push(bad(index, value, problem)),
        }
    }
    policies.sort_unstable();
    policies.dedup();
    Ok((policies, refused))
}

fn policy(value: &Value) -> Result<AppPolicy, &'static str> {
    let item = Item::deserialize(value).map_err(|_| "hasn't the form of a policy")?;
    let ports = item.destination.ports;
    if item.source.id.is_empty() || item.destination.id.is_empty() {
        return Err("names no app");
    }
    if ports.start == 0 || ports.start > ports.end {
        return Err("has no valid port range");
    }
    Ok(AppPolicy {
        source: item.source.id.into(),
        destination: item.destination.id.into(),
        protocol: match item.destination.protocol.as_str() {
            "tcp" => PolicyProtocol::Tcp,
            "udp" => PolicyProtocol::Udp,
            _ => return Err("has a protocol other than tcp and udp"),
        },
        first_port: ports.start,
        last_port: ports.end,
    })
}

fn bad(index: usize, value: &Value, problem: &'static str) -> BadPolicy {
    let id = |end: &str| {
        value[end]["id"]
            .as_str()
            .map(crate::grammar::cut)
            .unwrap_or_default()
    };
    BadPolicy {
        index,
        source_app: id("source"),
        destination: id("destination"),
        problem,
    }
}
