//! The clock that the engine, the fence and the far end share.

use std::time::Duration;

use ncp_core::time::Time;
use tokio::time::Instant;

/// Milliseconds since the process began to count, on tokio's monotonic clock.
///
/// One copy is shared by everybody who compares times, so that a fence means the same to whoever sets
/// and whoever checks it. Tests pause it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts a day in, so that times may be compared with earlier ones.
    pub fn start() -> Clock {
        Clock {
            start: Instant::now(),
        }
    }

    /// Now.
    pub fn now(&self) -> Time {
        Time(DAY + self.start.elapsed().as_millis() as u64)
    }

    /// The instant of a time.
    pub fn instant(&self, time: Time) -> Instant {
        self.start + Duration::from_millis(time.0.saturating_sub(DAY))
    }

    /// The time of an instant.
    pub fn time(&self, instant: Instant) -> Time {
        Time(DAY + instant.saturating_duration_since(self.start).as_millis() as u64)
    }

    /// Waits until then.
    pub async fn until(&self, time: Time) {
        // Half a millisecond more, since times are cut to whole ones.
        tokio::time::sleep_until(self.instant(time) + Duration::from_micros(500)).await;
    }
}

const DAY: u64 = 24 * 60 * 60 * 1000;
