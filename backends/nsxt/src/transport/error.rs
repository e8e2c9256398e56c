//! Errors of the transport. Each says whether anything can have reached the manager.

use std::fmt;
use std::io;
use std::time::Duration;

use http::Method;

use super::address::ManagerAddress;
use super::classify::{Class, Refusal};

/// Which call an error is about, for people; the query is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallName {
    /// HTTP method.
    pub method: Method,
    /// Path as the caller gave it.
    pub path: String,
}

impl fmt::Display for CallName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.method, self.path)
    }
}

/// A call that did not succeed. [`TransportError::class`] tells what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// Not a byte of the request left this machine.
    #[error("{call} was not sent")]
    NeverSent {
        /// The call.
        call: CallName,
        /// Why not.
        #[source]
        reason: NotSent,
    },
    /// The request was sent at least in part and there is no usable answer: it may have been applied.
    #[error(
        "{call}: {manager} gave no usable answer, the call may have been applied; read before repeating it"
    )]
    Uncertain {
        /// The call.
        call: CallName,
        /// The manager it was sent to.
        manager: ManagerAddress,
        /// What happened.
        #[source]
        source: WireError,
    },
    /// The manager answered with something other than success.
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
    /// The manager reported success with a body that can't be read. A write *has* been applied.
    #[error("{call} succeeded, but the body of the answer is not what the API promises")]
    Unreadable {
        /// The call.
        call: CallName,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A list whose cursor does not move on; following it would never end.
    #[error("{call}: the manager keeps answering with the same cursor")]
    EndlessList {
        /// The call.
        call: CallName,
    },
}

impl TransportError {
    /// What this failure means for the caller.
    pub fn class(&self) -> Class {
        match self {
            Self::NeverSent { reason, .. } => reason.class(),
            Self::Uncertain { .. } | Self::Unreadable { .. } => Class::Uncertain,
            Self::Refused(refusal) => refusal.class(),
            Self::EndlessList { .. } => Class::Permanent,
        }
    }

    /// The manager's answer, if there was one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::NeverSent {
                reason: NotSent::SessionRefused(refusal),
                ..
            } => Some(refusal),
            _ => None,
        }
    }
}

/// Why a request was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotSent {
    /// The fence: leadership may have passed to another controller.
    #[error("not started: leadership deadline passed")]
    DeadlinePassed,
    /// No connection to the manager.
    #[error("no connection to {manager}")]
    Connect {
        /// The manager.
        manager: ManagerAddress,
        /// What happened.
        #[source]
        source: WireError,
    },
    /// The manager would not open a session.
    #[error("no session; check nsx_api_user and nsx_api_password")]
    SessionRefused(#[source] Box<Refusal>),
    /// Credentials were refused a short while ago; trying them again soon would lock the account.
    #[error("credentials were refused; they are tried again in {} s, so that the account is not locked", .retry_in.as_secs())]
    CredentialsHeld {
        /// Time until the next attempt.
        retry_in: Duration,
    },
    /// The call can't be written as an HTTP request.
    #[error("the request can't be built")]
    Malformed(#[source] http::Error),
}

impl NotSent {
    fn class(&self) -> Class {
        match self {
            Self::DeadlinePassed | Self::Connect { .. } => Class::NeverSent,
            Self::SessionRefused(refusal) => match refusal.class() {
                Class::Throttled { retry_after } => Class::Throttled { retry_after },
                Class::Unavailable { retry_after } => Class::Unavailable { retry_after },
                _ => Class::Unauthenticated,
            },
            Self::CredentialsHeld { .. } => Class::Unauthenticated,
            Self::Malformed(_) => Class::Permanent,
        }
    }
}

/// Trouble below HTTP, or with an answer that broke off.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// Name resolution or TCP failed.
    #[error("TCP connection failed")]
    Tcp(#[source] io::Error),
    /// The TLS handshake failed, most often because the certificate isn't trusted (`ca_file`, `insecure`).
    #[error("TLS handshake failed (see ca_file and insecure)")]
    Tls(#[source] io::Error),
    /// `http_timeout` ran out.
    #[error("no connection within {} s (http_timeout)", .0.as_secs())]
    ConnectTimeout(Duration),
    /// `http_read_timeout` ran out.
    #[error("no answer within {} s (http_read_timeout)", .0.as_secs())]
    ReadTimeout(Duration),
    /// The time left to a write ran out while its answer was awaited.
    #[error("no answer before the leadership deadline")]
    DeadlineReached,
    /// The connection broke or the peer doesn't speak HTTP.
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
    /// The answer is larger than anything the API sends.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// Options that can't work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// `nsx_api_managers` is empty.
    #[error("nsx_api_managers names no manager")]
    NoManagers,
    /// The same manager twice would count its limits twice.
    #[error("nsx_api_managers names {0} twice")]
    ManagerTwice(ManagerAddress),
    /// `concurrent_connections` is 0.
    #[error("concurrent_connections must be at least 1")]
    NoConnections,
    /// Neither one bundle nor one for each manager.
    #[error("ca_file lists {bundles} bundles for {managers} managers; give one for all or one for each")]
    BundleCount {
        /// Number of managers.
        managers: usize,
        /// Number of bundles.
        bundles: usize,
    },
    /// A PEM file without a usable certificate.
    #[error("{file} holds no usable certificate: {problem}")]
    Certificate {
        /// Name of the file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// The private key can't be used. Says nothing of its content.
    #[error("the private key of the client certificate {file} can't be used: {problem}")]
    PrivateKey {
        /// Name of the certificate's file.
        file: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// No root certificate in the operating system.
    #[error("the system has no root certificates; set ca_file")]
    NoSystemRoots,
    /// A host name that TLS can't check.
    #[error("{0} is not a name that a certificate can be checked against")]
    ServerName(ManagerAddress),
    /// User name or password can't be put into a header.
    #[error("user name or password hold characters that can't be sent")]
    Credentials,
    /// TLS set-up failed.
    #[error("TLS can't be set up")]
    Tls(#[source] rustls::Error),
}
