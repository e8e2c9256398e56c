//! A client of the admin API's socket, for subcommands.

use std::io;
use std::path::{Path, PathBuf};

use http::Method;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Why a controller could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody answers there.
    #[error("no controller answers at {} ({source}); is it running on this machine, and may this user open the socket?", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It refused.
    #[error("{0}")]
    Refused(String),
    /// The answer is not one of a controller's.
    #[error("what answers at {} is no controller, or one of another version", .0.display())]
    Unreadable(PathBuf),
}

/// One request. HTTP/1.0 in one write: the answer ends with the connection.
///
/// # Errors
/// [`ClientError`] says what to do.
pub async fn ask<T: DeserializeOwned>(socket: &Path, method: Method, path: &str) -> Result<T, ClientError> {
    let unreachable = |source| ClientError::Unreachable {
        socket: socket.to_owned(),
        source,
    };
    let mut stream = UnixStream::connect(socket).await.map_err(unreachable)?;
    let request = format!("{method} {path} HTTP/1.0\r\nhost: ncp\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(unreachable)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(unreachable)?;
    let unreadable = || ClientError::Unreadable(socket.to_owned());
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(unreadable)?;
    match head.split(' ').nth(1) {
        Some("200") => serde_json::from_str(body).map_err(|_| unreadable()),
        Some(_) => Err(ClientError::Refused(body.trim().to_owned())),
        None => Err(unreadable()),
    }
}
