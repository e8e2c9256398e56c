//! The syslog daemon of this machine. A line is an RFC 5424 message already, short of its priority.

use std::io;
use std::os::unix::net::UnixDatagram;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Facility "system daemons" (RFC 5424, table 1), shifted to its place.
const FACILITY: u8 = 3 << 3;

/// A way to the daemon. Messages are sent to its path each time, so that it may be restarted.
pub(super) struct Syslog {
    socket: UnixDatagram,
    path: &'static str,
}

impl Syslog {
    /// Where the daemon listens.
    pub(super) const SOCKET: &'static str = "/dev/log";

    /// Makes sure that somebody listens.
    pub(super) fn connect() -> io::Result<Self> {
        Self::to(Self::SOCKET)
    }

    fn to(path: &'static str) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        let socket = UnixDatagram::unbound()?;
        // A daemon that doesn't read must not stop the controller.
        socket.set_nonblocking(true)?;
        Ok(Self { socket, path })
    }
}

impl<'w> MakeWriter<'w> for Syslog {
    type Writer = Message<'w>;

    fn make_writer(&'w self) -> Message<'w> {
        Message {
            syslog: self,
            severity: 6,
        }
    }

    fn make_writer_for(&'w self, meta: &Metadata<'_>) -> Message<'w> {
        Message {
            syslog: self,
            severity: severity(*meta.level()),
        }
    }
}

/// RFC 5424, table 2.
fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// One line on its way; the formatter writes each in one piece.
pub(super) struct Message<'w> {
    syslog: &'w Syslog,
    severity: u8,
}

impl io::Write for Message<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut message = format!("<{}>", FACILITY | self.severity).into_bytes();
        message.extend_from_slice(line.trim_ascii_end());
        self.syslog.socket.send_to(&message, self.syslog.path)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::Dir;
    use std::io::Write;

    #[test]
    fn a_line_becomes_a_message() {
        let dir = Dir::new();
        let path: &'static str = Box::leak(dir.path("log").to_str().unwrap().to_owned().into_boxed_str());
        let daemon = UnixDatagram::bind(path).unwrap();
        let syslog = Syslog::to(path).unwrap();
        Message {
            syslog: &syslog,
            severity: severity(Level::ERROR),
        }
        .write_all(b"1 text\n")
        .unwrap();
        let mut got = [0; 64];
        let len = daemon.recv(&mut got).unwrap();
        assert_eq!(&got[..len], b"<27>1 text");
    }
}
