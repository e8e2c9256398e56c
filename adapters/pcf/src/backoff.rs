//! Waiting times between attempts, computed and not drawn.
//!
//! The jitter comes from a seed, so that the clients of one foundation spread although all of them lose
//! their streams in the same second, and a test still sees the same delays each time.

use std::time::Duration;

/// Exponential back-off between two bounds, with up to half of each delay taken off by jitter.
#[derive(Clone, Debug)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    seed: u64,
    attempt: u32,
}

impl Backoff {
    /// A back-off from `min`, doubling up to `max`. A `max` below `min` counts as `min`.
    pub fn new(min: Duration, max: Duration, seed: u64) -> Self {
        Self {
            min,
            max: max.max(min),
            seed,
            attempt: 0,
        }
    }

    /// The delay before the next attempt; each call counts one failure.
    pub fn next_delay(&mut self) -> Duration {
        let delay = delay(self.min, self.max, self.attempt, self.seed);
        self.attempt = self.attempt.saturating_add(1);
        delay
    }

    /// Like [`next_delay`](Self::next_delay), but no shorter than what the server asked for.
    pub fn next_delay_at_least(&mut self, asked: Option<Duration>) -> Duration {
        self.next_delay().max(asked.unwrap_or_default())
    }

    /// Something worked: the next failure starts from the shortest delay.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

fn delay(min: Duration, max: Duration, attempt: u32, seed: u64) -> Duration {
    let full = min.saturating_mul(1u32 << attempt.min(20)).min(max);
    full.mul_f64(1.0 - fraction(seed, u64::from(attempt)) / 2.0)
        .max(min.min(full))
}

/// `period` moved by up to a tenth either way, so that pollers that started together drift apart.
pub fn jittered(period: Duration, seed: u64, round: u64) -> Duration {
    period.mul_f64(0.9 + fraction(seed, round) / 5.0)
}

/// A number in `[0, 1)` that depends on both arguments in all its bits (SplitMix64's finalizer).
fn fraction(seed: u64, step: u64) -> f64 {
    let mut z = seed.wrapping_add(step.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    (z >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn delays_stay_within_bounds_and_never_panic(
            min in 1u64..10_000, max in 1u64..600_000, seed: u64, failures in 1usize..80,
        ) {
            let (min, max) = (Duration::from_millis(min), Duration::from_millis(max));
            let mut backoff = Backoff::new(min, max, seed);
            for _ in 0..failures {
                let delay = backoff.next_delay();
                prop_assert!(delay >= min && delay <= max.max(min));
            }
        }

        #[test]
        fn jitter_moves_a_period_by_a_tenth_at_most(seed: u64, round: u64) {
            let moved = jittered(Duration::from_secs(100), seed, round);
            prop_assert!(moved >= Duration::from_secs(90) && moved <= Duration::from_secs(110));
        }
    }

    #[test]
    fn a_success_starts_over_and_the_server_may_ask_for_more() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60), 7);
        let first = backoff.next_delay();
        for _ in 0..5 {
            backoff.next_delay();
        }
        assert!(backoff.next_delay() > first);
        backoff.reset();
        assert_eq!(backoff.next_delay(), first);
        let asked = Duration::from_secs(300);
        assert_eq!(backoff.next_delay_at_least(Some(asked)), asked);
    }
}
