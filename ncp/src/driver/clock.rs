//! The clock that the engine, the fence, the leader lock and the far end share.

use std::time::Duration;

use ncp_core::time::Time;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// Milliseconds on a clock that never goes back.
///
/// One copy is shared by everybody who compares times, so that a fence means the same to whoever sets
/// and whoever checks it. The program's runs on while the machine is suspended (`CLOCK_BOOTTIME`),
/// as the lock's expiry does at Locket: a controller that was asleep past its deadline must see that
/// when it wakes. Tokio's timers stand still meanwhile, so they only say when to look at this clock again.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Source);

#[derive(Clone, Copy, Debug)]
enum Source {
    /// The machine's, since this reading of it.
    Machine(Duration),
    /// Tokio's, since this moment.
    Runtime(Instant),
}

impl Clock {
    /// The machine's clock.
    pub fn start() -> Clock {
        Clock(Source::Machine(boot_time()))
    }

    /// The runtime's clock, which tests pause and move.
    pub fn of_runtime() -> Clock {
        Clock(Source::Runtime(Instant::now()))
    }

    /// Now. The first times are a day in, so that they may be compared with earlier ones.
    pub fn now(&self) -> Time {
        let passed = match self.0 {
            Source::Machine(start) => boot_time().saturating_sub(start),
            Source::Runtime(start) => start.elapsed(),
        };
        Time(0) + DAY + passed
    }

    /// Waits until then, a bounded time at once: after a suspension the clock has moved and the timer
    /// has not.
    pub async fn until(&self, time: Time) {
        loop {
            let left = time.since(self.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(STEP)).await;
        }
    }
}

/// Time since the machine was started, suspensions included.
fn boot_time() -> Duration {
    // Both parts are in range by the contract of the call.
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const STEP: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_runtimes_clock_follows_its_time_and_the_machines_does_not() {
        let (runtime, machine) = (Clock::of_runtime(), Clock::start());
        let (then, real) = (runtime.now(), machine.now());
        runtime.until(then + Duration::from_secs(3600)).await;
        assert_eq!(runtime.now().since(then), Duration::from_secs(3600));
        assert!(machine.now().since(real) < Duration::from_secs(3600));
    }

    #[tokio::test]
    async fn waiting_never_ends_early() {
        let clock = Clock::start();
        let then = clock.now() + Duration::from_millis(5);
        clock.until(then).await;
        assert!(clock.now() >= then);
    }
}
