//! The fence of a write: the moment after which it must not be started.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// A moment after which a write must not be started any more.
///
/// It is the end of the leadership under which the write was decided, less a margin. NSX has no fencing token, so
/// this is all the protection there is against a former leader: a request whose first byte left in time may still
/// take effect later, and the next leader repairs what it did.
///
/// It is kept on two clocks, and has passed when either says so: tokio's, by which calls are waited for and which
/// tests move, and the machine's, which runs on while the machine is suspended. A call that was asleep in a queue
/// past the end of its leadership finds the first one hardly moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline {
    instant: Instant,
    boot_time: Duration,
}

impl Deadline {
    /// The deadline at this instant.
    pub fn at(instant: Instant) -> Self {
        Self {
            instant,
            boot_time: boot_time() + instant.saturating_duration_since(Instant::now()),
        }
    }

    /// The deadline this long from now.
    pub fn after(time_left: Duration) -> Self {
        // A leadership without end must stay one on both clocks.
        let time_left = time_left.min(FAR);
        Self {
            instant: Instant::now() + time_left,
            boot_time: boot_time() + time_left,
        }
    }

    /// The instant itself.
    pub fn instant(self) -> Instant {
        self.instant
    }

    /// Whether no time is left.
    pub fn has_passed(self) -> bool {
        Instant::now() >= self.instant || boot_time() >= self.boot_time
    }
}

/// Time since the machine was started, suspensions included.
fn boot_time() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Longer than any process lives, and short enough for any clock.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
