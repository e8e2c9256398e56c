//! The fence of a write: the moment after which it must not be started.

use std::time::Duration;

use tokio::time::Instant;

/// A point on the monotonic clock after which a write must not be started any more.
///
/// It is the end of the leadership under which the write was decided, less a margin. NSX has no fencing token, so
/// this is all the protection there is against a former leader: a request whose first byte left in time may still
/// take effect later, and the next leader repairs what it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline at this instant.
    pub fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// The deadline this long from now.
    pub fn after(time_left: Duration) -> Self {
        Self(Instant::now() + time_left)
    }

    /// The instant itself.
    pub fn instant(self) -> Instant {
        self.0
    }

    /// Whether no time is left.
    pub fn has_passed(self) -> bool {
        Instant::now() >= self.0
    }
}
