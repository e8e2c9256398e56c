//! Where to connect and how to prove who one is: the sections' loose options made into values that
//! can't be half right.
//!
//! The clients take these and need not ask whether a key came with its certificate.

use super::value::{Address, Manager, WebUrl};
use secrecy::SecretString;
use std::path::PathBuf;

/// A client certificate with its key; both files hold PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// File of the certificate.
    pub cert: PathBuf,
    /// File of its key.
    pub key: PathBuf,
}

/// By what a server's certificate is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The system's CA certificates.
    System,
    /// The CA certificates of a file.
    File(PathBuf),
    /// Not at all. Only for managers, only by `insecure`.
    Anyone,
}

/// How to log in at a manager.
#[derive(Debug, Clone)]
pub enum Login {
    /// As a principal identity.
    Certificate(Identity),
    /// As a user.
    Password {
        /// User name.
        user: String,
        /// Password.
        password: SecretString,
    },
}

/// The managers, each with its trust.
#[derive(Debug, Clone)]
pub struct Managers {
    /// Address and trust, in the file's order; never empty.
    pub list: Vec<(Manager, Trust)>,
    /// How to log in, the same for all.
    pub login: Login,
}

/// Mutual TLS: whom to trust and who one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MutualTls {
    /// File with the CA certificates of the server.
    pub ca: PathBuf,
    /// Who one is.
    pub identity: Identity,
}

/// Web endpoint with a server certificate only.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where.
    pub url: WebUrl,
    /// By what its certificate is judged.
    pub trust: Trust,
}

/// Web endpoints of one server, with mutual TLS.
#[derive(Debug, Clone)]
pub struct MutualEndpoint {
    /// Where; never empty.
    pub urls: Vec<WebUrl>,
    /// Absent for endpoints on this machine that need none.
    pub tls: Option<MutualTls>,
}

/// Locket.
#[derive(Debug, Clone)]
pub struct Locket {
    /// Where; never empty.
    pub addresses: Vec<Address>,
    /// Absent for servers on this machine that need none.
    pub tls: Option<MutualTls>,
    /// Name of the lock.
    pub key: String,
}

/// All of a Cloud Foundry foundation that one connects to.
#[derive(Debug, Clone)]
pub struct Foundation {
    /// UAA.
    pub uaa: Endpoint,
    /// Client at UAA.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
    /// Cloud Controller.
    pub capi: Endpoint,
    /// Cloud Controller's internal endpoint, where configured.
    pub capi_internal: Option<MutualEndpoint>,
    /// The BBS.
    pub bbs: MutualEndpoint,
    /// The policy server.
    pub policy_server: MutualEndpoint,
    /// Locket.
    pub locket: Locket,
}
