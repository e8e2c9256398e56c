//! How fast one manager may be asked: a state machine over a time that is passed in.
//!
//! NSX counts requests per second for each user on each manager and answers 429 or 503 beyond the limit. The
//! limit is usually known, so there is no slow start: from the first call on, credits grow at 95 % of it, in a
//! bucket so small that no window of one second ever holds more than the limit itself. Only when the manager
//! refuses all the same (another client of the same user, a lower limit than believed) the rate is cut in half;
//! then it grows again by a fixed step each second.
//!
//! A refusal tells about the rate at which *its* request was sent. Whatever was in flight at a cut was sent at the
//! old rate, and its refusals are no news: they cut nothing. So there is one halving in a round trip, however many
//! calls were in flight.
//!
//! Times are durations since any fixed start, so that tests can play years in a moment.

use std::time::Duration;

/// Share of the limit that is used.
const SHARE: f64 = 0.95;
/// Bucket size as a share of the limit. With [`SHARE`] this stays below the limit in any window of a second.
const BURST: f64 = 0.04;
/// Growth after a cut, each second, as a share of the ceiling: from one half back to the whole in ten seconds.
const GROWTH: f64 = 0.05;
/// The slowest pace, in requests per second.
const FLOOR: f64 = 0.5;
/// The longest pause taken from a `Retry-After`; a wrong header must not stop the controller for hours.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Credits are sums of fractions; this much is forgiven so that a wake-up at the promised time finds its credit.
const ROUNDING: f64 = 1e-6;

/// Proof that a call was counted, and when. Needed to judge its refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    taken: Duration,
}

/// Pace of the calls to one manager.
#[derive(Clone, Debug)]
pub struct Pace {
    limit: f64,
    rate: f64,
    credits: f64,
    seen: Duration,
    last_cut: Option<Duration>,
    paused_until: Duration,
}

impl Pace {
    /// A pace for a limit of so many requests per second (at least 1), with a full bucket.
    pub fn new(limit: u32, now: Duration) -> Self {
        let limit = f64::from(limit.max(1));
        let rate = limit * SHARE;
        let mut pace = Self {
            limit,
            rate,
            credits: 0.0,
            seen: now,
            last_cut: None,
            paused_until: now,
        };
        pace.credits = pace.bucket();
        pace
    }

    /// Takes over another limit, for example the one that the manager reports.
    pub fn set_limit(&mut self, limit: u32, now: Duration) {
        self.advance(now);
        self.limit = f64::from(limit.max(1));
        if self.last_cut.is_none() {
            self.rate = self.ceiling();
        }
        self.rate = self.rate.min(self.ceiling());
        self.credits = self.credits.min(self.bucket());
    }

    /// Requests per second at which credits grow now.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// How many calls may start now.
    pub fn credits(&mut self, now: Duration) -> usize {
        self.advance(now);
        if now < self.paused_until {
            return 0;
        }
        // Truncation is meant: only whole credits count, and the bucket is small.
        (self.credits + ROUNDING) as usize
    }

    /// Takes one credit for a call that starts now.
    pub fn take(&mut self, now: Duration) -> Option<Ticket> {
        if self.credits(now) == 0 {
            return None;
        }
        self.credits = (self.credits - 1.0).max(0.0);
        Some(Ticket { taken: now })
    }

    /// Gives back the credit of a call that was not sent after all.
    pub fn give_back(&mut self) {
        self.credits = (self.credits + 1.0).min(self.bucket());
    }

    /// The earliest time at which a credit is there, if nobody takes one before.
    pub fn next_credit(&mut self, now: Duration) -> Duration {
        self.advance(now);
        let missing = (1.0 - ROUNDING - self.credits).max(0.0);
        let start = self.seen.max(self.paused_until);
        // Rounded up, so that whoever wakes then isn't too early by a fraction.
        start + Duration::from_secs_f64(missing / self.rate) + Duration::from_nanos(1)
    }

    /// The manager refused the call of this ticket for its rate (429, 503).
    pub fn refused(&mut self, ticket: Ticket, now: Duration, retry_after: Option<Duration>) {
        self.advance(now);
        if let Some(pause) = retry_after {
            self.paused_until = self.paused_until.max(now + pause.min(LONGEST_PAUSE));
        }
        if self.last_cut.is_some_and(|cut| ticket.taken <= cut) {
            return;
        }
        self.last_cut = Some(now);
        self.rate = (self.rate / 2.0).max(FLOOR);
        self.credits = 0.0;
    }

    fn ceiling(&self) -> f64 {
        self.limit * SHARE
    }

    fn bucket(&self) -> f64 {
        (self.limit * BURST).max(1.0)
    }

    /// Brings rate and credits up to `now`. A time in the past changes nothing.
    fn advance(&mut self, now: Duration) {
        let from = self.seen.max(self.paused_until);
        self.seen = self.seen.max(now);
        let elapsed = now.saturating_sub(from).as_secs_f64();
        if elapsed <= 0.0 {
            return;
        }
        let start = self.rate;
        self.rate = (start + self.limit * GROWTH * elapsed)
            .min(self.ceiling())
            .max(FLOOR);
        self.credits = (self.credits + elapsed * (start + self.rate) / 2.0).min(self.bucket());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1_000);

    fn at(millis: u64) -> Duration {
        START + Duration::from_millis(millis)
    }

    /// Takes every credit as soon as it is there; gives the times.
    fn saturate(pace: &mut Pace, from: Duration, until: Duration) -> Vec<Ticket> {
        let mut taken = Vec::new();
        let mut now = from;
        while now < until {
            match pace.take(now) {
                Some(ticket) => taken.push(ticket),
                None => now = pace.next_credit(now),
            }
        }
        taken
    }

    #[test]
    fn two_seconds_of_load_reach_95_percent_and_never_more_than_the_limit() {
        for limit in [1, 2, 5, 10, 19, 25, 40, 100, 1_000] {
            let taken = saturate(&mut Pace::new(limit, START), at(0), at(2_000));
            assert!(
                taken.len() as f64 >= f64::from(limit) * 2.0 * 0.95,
                "{limit}: {}",
                taken.len()
            );
            for (first, one) in taken.iter().enumerate() {
                let end = one.taken + Duration::from_secs(1);
                let within = taken[first..]
                    .iter()
                    .take_while(|other| other.taken < end)
                    .count();
                assert!(
                    within <= limit as usize,
                    "{within} in a second at a limit of {limit}"
                );
            }
        }
    }

    #[test]
    fn an_idle_minute_saves_no_burst() {
        let mut pace = Pace::new(100, START);
        assert_eq!(pace.credits(at(60_000)), 4);
    }

    #[test]
    fn many_refusals_of_one_round_trip_halve_once() {
        let mut pace = Pace::new(100, START);
        let sent = saturate(&mut pace, at(0), at(500));
        for ticket in &sent {
            pace.refused(*ticket, at(500), None);
        }
        assert!((pace.rate() - 47.5).abs() < 0.01, "{}", pace.rate());
        let late = saturate(&mut pace, at(500), at(600));
        pace.refused(sent[0], at(600), None);
        assert!(
            pace.rate() > 47.0,
            "a late refusal of the old rate cut again: {}",
            pace.rate()
        );
        pace.refused(late[0], at(600), None);
        assert!(
            pace.rate() < 25.0,
            "a refusal at the new rate must cut: {}",
            pace.rate()
        );
    }

    #[test]
    fn the_rate_grows_back_steadily_and_stops_at_the_ceiling() {
        let mut pace = Pace::new(100, START);
        let ticket = pace.take(at(0)).unwrap();
        pace.refused(ticket, at(0), None);
        pace.credits(at(1_000));
        assert!((pace.rate() - 52.5).abs() < 0.01, "{}", pace.rate());
        pace.credits(at(60_000));
        assert!((pace.rate() - 95.0).abs() < 0.01, "{}", pace.rate());
    }

    #[test]
    fn steady_refusals_never_stop_it_for_good() {
        let mut pace = Pace::new(100, START);
        let mut now = at(0);
        for _ in 0..100 {
            now = pace.next_credit(now);
            let ticket = pace.take(now).expect("a credit at the promised time");
            pace.refused(ticket, now + Duration::from_millis(1), None);
        }
        assert!(pace.rate() >= FLOOR);
    }

    #[test]
    fn retry_after_is_obeyed_within_reason() {
        let mut pace = Pace::new(100, START);
        let ticket = pace.take(at(0)).unwrap();
        pace.refused(ticket, at(0), Some(Duration::from_secs(7)));
        assert_eq!(pace.credits(at(6_999)), 0);
        let next = pace.next_credit(at(6_999));
        assert!(next >= at(7_000) && next < at(7_100), "{next:?}");
        assert!(pace.take(next).is_some());
        let ticket = pace.take(at(60_000)).unwrap();
        pace.refused(ticket, at(60_000), Some(Duration::from_secs(1_000_000)));
        assert!(pace.next_credit(at(60_000)) <= at(60_000) + LONGEST_PAUSE + Duration::from_secs(1));
    }

    #[test]
    fn a_reported_limit_is_taken_over_at_once_unless_a_cut_taught_better() {
        let mut pace = Pace::new(100, START);
        pace.set_limit(40, at(0));
        assert!((pace.rate() - 38.0).abs() < 0.01);
        let ticket = pace.take(at(0)).unwrap();
        pace.refused(ticket, at(0), None);
        pace.set_limit(100, at(0));
        assert!(pace.rate() < 20.0);
    }

    #[test]
    fn time_that_goes_backwards_makes_no_credits() {
        let mut pace = Pace::new(10, START);
        assert!(pace.take(at(0)).is_some());
        assert_eq!(pace.credits(at(0) - Duration::from_secs(500)), 0);
        assert_eq!(pace.credits(at(0)), 0);
    }
}
