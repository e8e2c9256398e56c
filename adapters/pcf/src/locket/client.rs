//! Calls to Locket: gRPC over mutual TLS, each with a deadline, any instance as good as another.
//!
//! All Locket instances share one database, so a call that one of them doesn't take is repeated at the
//! next within the same deadline; with the same owner that is idempotent. Keep-alive pings while idle are
//! off: Go servers answer them with a refusal, and the periodic refresh shows a dead connection anyway.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use diego_wire::locket::locket_client::LocketClient as Wire;
use diego_wire::locket::{FetchRequest, LockRequest, ReleaseRequest, Resource, TYPE_LOCK, TypeCode};
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::lease::Outcome;
use crate::tls::TlsMaterial;

/// How to reach Locket.
#[derive(Clone, Debug)]
pub struct LocketOptions {
    /// `host:port` of each instance, or one name that resolves to all.
    pub addresses: Vec<String>,
    /// Name that the servers' certificates must have.
    pub server_name: String,
    /// Certificates; `None` speaks plainly, for tests.
    pub tls: Option<TlsMaterial>,
}

/// Why Locket can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocketError {
    /// No address is configured.
    #[error("no address of Locket is configured")]
    NoAddress,
    /// An address can't be used.
    #[error("Locket's address {address:?} or its certificates can't be used")]
    Address {
        /// What was configured.
        address: String,
        /// What is wrong.
        #[source]
        source: tonic::transport::Error,
    },
    /// A call failed, at the last of the addresses.
    #[error("Locket answered {:?} ({})", .0.code(), .0.message())]
    Call(Box<Status>),
    /// No instance answered in time.
    #[error("Locket didn't answer within {0:?}")]
    Timeout(Duration),
}

impl LocketError {
    /// The guide's code: Locket belongs to the BBS's side of Diego.
    pub fn code(&self) -> &'static str {
        crate::codes::BBS_CONNECTION
    }
}

/// The lock as this contender asks for it.
#[derive(Clone, Debug)]
pub struct LockClaim {
    /// Name of the lock, distinct from those of the platform's own components.
    pub key: String,
    /// Who asks; unique per process, the same for all its calls.
    pub owner: String,
    /// What others read: the epoch.
    pub value: String,
}

/// The holder of a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Owner as given in its claims.
    pub owner: String,
    /// Value of its last claim.
    pub value: String,
}

/// A lock service, as the runner needs it.
pub trait Locks: Send + Sync {
    /// Takes or refreshes the lock.
    fn lock(
        &self,
        claim: &LockClaim,
        ttl: Duration,
        limit: Duration,
    ) -> impl Future<Output = Result<Outcome, LocketError>> + Send;
    /// Gives the lock back; fine when it isn't held.
    fn release(
        &self,
        claim: &LockClaim,
        limit: Duration,
    ) -> impl Future<Output = Result<(), LocketError>> + Send;
    /// Who holds the lock.
    fn fetch(
        &self,
        key: &str,
        limit: Duration,
    ) -> impl Future<Output = Result<Option<Holder>, LocketError>> + Send;
}

/// A client of Locket. Clones share connections.
#[derive(Clone, Debug)]
pub struct LocketClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    channels: Vec<Channel>,
    first: AtomicUsize,
}

impl LocketClient {
    /// Prepares a client; connections are made when needed. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`LocketError`] when an address or the certificates can't be used.
    pub fn new(options: &LocketOptions) -> Result<Self, LocketError> {
        if options.addresses.is_empty() {
            return Err(LocketError::NoAddress);
        }
        let channels = options
            .addresses
            .iter()
            .map(|address| {
                channel(address, options).map_err(|source| LocketError::Address {
                    address: address.clone(),
                    source,
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(Inner {
            channels,
            first: AtomicUsize::new(0),
        })))
    }

    /// Tries the instances in turn, beginning with the one that answered last.
    async fn call<T, F>(
        &self,
        limit: Duration,
        call: impl Fn(Wire<Channel>, Duration) -> F,
    ) -> Result<T, LocketError>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let (count, deadline) = (self.0.channels.len(), Instant::now() + limit);
        let first = self.0.first.load(Ordering::Relaxed);
        let mut last = LocketError::Timeout(limit);
        for nth in 0..count {
            let at = (first + nth) % count;
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(count - nth).unwrap_or(1);
            let wire = Wire::new(self.0.channels[at].clone());
            last = match tokio::time::timeout(share, call(wire, share)).await {
                Ok(Ok(answer)) => {
                    self.0.first.store(at, Ordering::Relaxed);
                    return Ok(answer);
                }
                Ok(Err(status)) if is_answer(&status) => {
                    self.0.first.store(at, Ordering::Relaxed);
                    return Err(LocketError::Call(Box::new(status)));
                }
                Ok(Err(status)) => LocketError::Call(Box::new(status)),
                Err(_) => LocketError::Timeout(share),
            };
        }
        Err(last)
    }
}

/// Whether another instance would say the same.
fn is_answer(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::AlreadyExists | Code::InvalidArgument | Code::NotFound
    )
}

fn channel(address: &str, options: &LocketOptions) -> Result<Channel, tonic::transport::Error> {
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let mut endpoint =
        Endpoint::from_shared(format!("{scheme}://{address}"))?.connect_timeout(Duration::from_secs(5));
    if let Some(tls) = &options.tls {
        endpoint = endpoint.tls_config(tls.tonic(&options.server_name))?;
    }
    Ok(endpoint.connect_lazy())
}

/// Older servers look at the text and newer ones at the number; both must be there and agree.
fn resource(claim: &LockClaim) -> Option<Resource> {
    Some(Resource {
        key: claim.key.clone(),
        owner: claim.owner.clone(),
        value: claim.value.clone(),
        r#type: TYPE_LOCK.to_owned(),
        type_code: TypeCode::Lock.into(),
    })
}

fn within<T>(message: T, limit: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(limit);
    request
}

impl Locks for LocketClient {
    async fn lock(&self, claim: &LockClaim, ttl: Duration, limit: Duration) -> Result<Outcome, LocketError> {
        let message = LockRequest {
            resource: resource(claim),
            ttl_in_seconds: i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX),
        };
        let answer = self
            .call(limit, |mut wire, share| {
                let request = within(message.clone(), share);
                async move { wire.lock(request).await }
            })
            .await;
        match answer {
            Ok(_) => Ok(Outcome::Granted),
            Err(LocketError::Call(status)) if status.code() == Code::AlreadyExists => Ok(Outcome::Taken),
            Err(error) => Err(error),
        }
    }

    async fn release(&self, claim: &LockClaim, limit: Duration) -> Result<(), LocketError> {
        let message = ReleaseRequest {
            resource: resource(claim),
        };
        let answer = self
            .call(limit, |mut wire, share| {
                let request = within(message.clone(), share);
                async move { wire.release(request).await }
            })
            .await;
        match answer {
            Err(LocketError::Call(status)) if status.code() == Code::AlreadyExists => Ok(()),
            other => other.map(|_| ()),
        }
    }

    async fn fetch(&self, key: &str, limit: Duration) -> Result<Option<Holder>, LocketError> {
        let message = FetchRequest { key: key.to_owned() };
        let answer = self
            .call(limit, |mut wire, share| {
                let request = within(message.clone(), share);
                async move { wire.fetch(request).await }
            })
            .await;
        match answer {
            Ok(answer) => Ok(answer.into_inner().resource.map(|resource| Holder {
                owner: resource.owner,
                value: resource.value,
            })),
            Err(LocketError::Call(status)) if status.code() == Code::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
