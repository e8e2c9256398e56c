//! What an emulator is started with.
//!
//! Everything here is fixed for the life of an emulator; what can be switched while it runs is in
//! [`crate::Faults`].

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The release whose manager API is spoken; it decides which fields and calls are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Version {
    /// NSX-T 2.3: one manager, rule creation without the section's revision.
    V2_3,
    /// NSX-T 2.4: three managers, rule creation carries the section's revision.
    #[default]
    V2_4,
    /// NSX-T 2.5.
    V2_5,
}

impl Version {
    /// The text of `product_version` in `GET /node/version`.
    pub fn product(self) -> &'static str {
        match self {
            Version::V2_3 => "2.3.0.0.0.10085405",
            Version::V2_4 => "2.4.0.0.0.12456646",
            Version::V2_5 => "2.5.1.0.0.15314288",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::V2_3 => "2.3",
            Version::V2_4 => "2.4",
            Version::V2_5 => "2.5",
        })
    }
}

/// A version text that names none of the spoken releases.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no spoken release; use 2.3, 2.4 or 2.5")]
pub struct UnknownVersion(String);

impl FromStr for Version {
    type Err = UnknownVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "2.3" => Ok(Version::V2_3),
            "2.4" => Ok(Version::V2_4),
            "2.5" => Ok(Version::V2_5),
            other => Err(UnknownVersion(other.to_owned())),
        }
    }
}

/// Whether the managers speak HTTPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tls {
    /// Plain HTTP on loopback.
    #[default]
    Off,
    /// HTTPS with a certificate of the emulator's own authority.
    On {
        /// Accept client certificates that [`crate::Emulator::issue_client`] made as a login.
        client_auth: bool,
    },
}

/// Where the objects are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum State {
    /// In memory, gone at the end.
    #[default]
    Memory,
    /// In this SQLite file, made when missing and loaded at the start.
    File(PathBuf),
}

/// The one account that may log in.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password; never shown.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl Default for Credentials {
    fn default() -> Self {
        Credentials {
            username: "admin".to_owned(),
            password: "VMware1!VMware1!".to_owned(),
        }
    }
}

/// How much of each request is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogMode {
    /// The last `n` requests and answers with their bodies.
    Full(usize),
    /// Only the counters; for runs of many requests.
    Counts,
}

/// What an emulator is started with; `Options::default()` is a single plain 2.4 manager in memory.
#[derive(Debug, Clone)]
pub struct Options {
    /// Spoken release.
    pub version: Version,
    /// HTTP or HTTPS.
    pub tls: Tls,
    /// Number of manager nodes; all serve the same objects, each has sessions and limits of its own.
    pub managers: usize,
    /// Address of the first manager; the others take the following ports (all free ones when the port is 0).
    pub listen: SocketAddr,
    /// Address of the control API, if wanted.
    pub control: Option<SocketAddr>,
    /// Where objects are kept.
    pub state: State,
    /// The account.
    pub credentials: Credentials,
    /// Time between storing an object and its effect on hosts.
    pub realization_lag: Duration,
    /// Time between storing an object and finding it by search.
    pub search_lag: Duration,
    /// Largest page of any list, below NSX's own limits; makes clients page.
    pub page_limit: Option<usize>,
    /// What the request log keeps.
    pub log: LogMode,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            version: Version::default(),
            tls: Tls::default(),
            managers: 1,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            control: None,
            state: State::default(),
            credentials: Credentials::default(),
            realization_lag: Duration::ZERO,
            search_lag: Duration::ZERO,
            page_limit: None,
            log: LogMode::Full(100_000),
        }
    }
}
