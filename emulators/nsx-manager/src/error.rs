//! What can go wrong with the emulator itself, as opposed to what it answers its clients.

use std::net::SocketAddr;
use std::path::PathBuf;

/// A failure to start the emulator, to keep its state, or to fill it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmulatorError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}; choose another address or port 0")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Cause.
        source: std::io::Error,
    },
    /// The state file can't be opened or isn't one of ours.
    #[error("cannot open the state {path:?}; remove the file or name another")]
    Open {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: diesel::ConnectionError,
    },
    /// SQLite refused a statement.
    #[error("cannot read or write the state; is the disk full, or the file of another program?")]
    State(#[from] diesel::result::Error),
    /// A stored object is no JSON, or of a kind this release doesn't know.
    #[error("the state holds an unreadable object {id} of kind {kind}; remove the file")]
    Corrupt {
        /// Kind as stored.
        kind: String,
        /// Object id.
        id: String,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// A TLS configuration was refused.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// The verifier for client certificates could not be built.
    #[error("cannot set up the verification of client certificates")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// The manager's own rules refused an object of a fixture.
    #[error("the fixture was refused: {0}")]
    Fixture(String),
    /// A manager index beyond those started.
    #[error("there is no manager {index}; {count} were started")]
    NoManager {
        /// Index asked for.
        index: usize,
        /// Managers started.
        count: usize,
    },
}
