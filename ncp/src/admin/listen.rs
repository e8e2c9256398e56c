//! Where the admin API is served. Both doors are opened before anything else is started, so that a
//! second controller over the same socket ends with a clear word and not with half a start.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, UnixListener, UnixStream};

/// The admin API can't be served.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Somebody answers there.
    #[error("another controller serves {}; stop it, or set [ncp] admin_socket to another path", path.display())]
    Busy {
        /// The socket.
        path: PathBuf,
    },
    /// The socket can't be made.
    #[error("admin socket {} can't be made; set [ncp] admin_socket to a path that this user may write", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The address can't be listened on.
    #[error("admin address {address} can't be used; set [ncp] admin_address to a free one")]
    Address {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Others could reach the address.
    #[error("admin address {address} is not of this machine alone; use 127.0.0.1 or [::1]")]
    Public {
        /// The address.
        address: SocketAddr,
    },
}

/// Open listeners.
#[derive(Debug)]
pub struct Doors {
    pub(super) socket: Socket,
    pub(super) tcp: Option<TcpListener>,
}

impl Doors {
    /// Opens the Unix socket and, if wanted, a loopback address. Port 0 takes a free one.
    ///
    /// # Errors
    /// [`AdminError`] names the door and what to do.
    pub async fn open(socket: &Path, address: Option<SocketAddr>) -> Result<Self, AdminError> {
        let tcp = match address {
            None => None,
            Some(address) if !address.ip().is_loopback() => return Err(AdminError::Public { address }),
            Some(address) => {
                let listener = TcpListener::bind(address).await;
                Some(listener.map_err(|source| AdminError::Address { address, source })?)
            }
        };
        Ok(Self {
            socket: Socket::open(socket).await?,
            tcp,
        })
    }

    /// The loopback address that was opened.
    pub fn address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref()?.local_addr().ok()
    }
}

/// A Unix socket that is gone from the file system when it is closed.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    _file: SocketFile,
}

impl Socket {
    async fn open(path: &Path) -> Result<Self, AdminError> {
        if UnixStream::connect(path).await.is_ok() {
            return Err(AdminError::Busy {
                path: path.to_owned(),
            });
        }
        Self::replace(path).map_err(|source| AdminError::Socket {
            path: path.to_owned(),
            source,
        })
    }

    /// Makes the socket under another name and renames it when only its owner may open it: nobody can
    /// slip in between, and one that a crashed controller left is replaced.
    fn replace(path: &Path) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut made = path.as_os_str().to_owned();
        made.push(format!(".{}", std::process::id()));
        let made = PathBuf::from(made);
        match fs::remove_file(&made) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&made)?;
        fs::set_permissions(&made, Permissions::from_mode(0o600))?;
        fs::rename(&made, path)?;
        Ok(Self {
            listener,
            _file: SocketFile(path.to_owned()),
        })
    }
}

#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // The next start replaces it if it stays.
        let _stays = fs::remove_file(&self.0);
    }
}
