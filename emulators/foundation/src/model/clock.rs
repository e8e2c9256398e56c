//! One clock for all time stamps: wall time at start, moved by tokio's clock, so that tests that advance
//! tokio's time see tokens expire and domains lapse.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

/// Time of this foundation.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    started: Instant,
    epoch: Duration,
    last_nanos: std::cell::Cell<i64>,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            started: Instant::now(),
            epoch,
            last_nanos: std::cell::Cell::new(0),
        }
    }

    fn now(&self) -> Duration {
        self.epoch + self.started.elapsed()
    }

    /// Seconds since the epoch, the granularity of Cloud Controller.
    pub(crate) fn seconds(&self) -> i64 {
        i64::try_from(self.now().as_secs()).unwrap_or(i64::MAX)
    }

    /// Nanoseconds since the epoch in microsecond steps, never the same twice.
    pub(crate) fn nanos(&self) -> i64 {
        let now = i64::try_from(self.now().as_micros())
            .unwrap_or(i64::MAX / 1000)
            .saturating_mul(1000);
        let next = now.max(self.last_nanos.get() + 1000);
        self.last_nanos.set(next);
        next
    }
}

/// `2026-01-02T03:04:05Z`.
pub(crate) fn rfc3339(seconds: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(&Rfc3339).unwrap_or_default()
}

/// Reads exactly `YYYY-MM-DDThh:mm:ssZ`; fractions of seconds are refused.
pub(crate) fn parse_rfc3339(text: &str) -> Option<i64> {
    if text.len() != "2026-01-02T03:04:05Z".len() || !text.ends_with('Z') {
        return None;
    }
    OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .map(OffsetDateTime::unix_timestamp)
}

/// `2026-01-02T03:04:05.123456000+00:00`, the form of the change token of security groups.
pub(crate) fn token(nanos: i64) -> String {
    let whole = rfc3339(nanos.div_euclid(1_000_000_000));
    format!(
        "{}.{:09}+00:00",
        whole.trim_end_matches('Z'),
        nanos.rem_euclid(1_000_000_000)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        assert_eq!(rfc3339(1_767_323_045), "2026-01-02T03:04:05Z");
        assert_eq!(parse_rfc3339("2026-01-02T03:04:05Z"), Some(1_767_323_045));
        assert_eq!(parse_rfc3339("2026-01-02T03:04:05.5Z"), None);
        assert_eq!(
            token(1_767_323_045_123_456_000),
            "2026-01-02T03:04:05.123456000+00:00"
        );
        assert_eq!(token(0), "1970-01-01T00:00:00.000000000+00:00");
    }

    #[test]
    fn nanos_never_repeat() {
        let clock = Clock::new();
        let (first, second) = (clock.nanos(), clock.nanos());
        assert!(second > first);
    }
}
