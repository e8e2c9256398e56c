//! The leader's lease as arithmetic: no socket, no clock.
//!
//! Locket gives no fencing token and never says how much time is left, so a holder must stop by its own
//! clock: from the *start* of the last call that worked, less a margin. Locket starts counting later than
//! that, so the holder always stops first. A call without an answer may have been applied; it counts as
//! nothing, except that the lock is then given back on a clean stop.
//!
//! Each time leadership begins anew it has a higher epoch. Locket doesn't count, so the epoch is the wall
//! clock in milliseconds, or one more than the highest epoch seen in the lock's value, whichever is more.

use std::time::Duration;

/// Timings of the lease. The guide's `[ha]`: `master_timeout`, `heartbeat_period`, `update_timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimings {
    /// How long a refresh lasts at Locket (`master_timeout`); whole seconds.
    pub ttl: Duration,
    /// Between the starts of two calls (`heartbeat_period`).
    pub period: Duration,
    /// Limit for one call (`update_timeout`).
    pub timeout: Duration,
    /// How much earlier than Locket the holder considers the lease over.
    pub margin: Duration,
}

impl Default for LeaseTimings {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(9),
            period: Duration::from_secs(3),
            timeout: Duration::from_secs(3),
            margin: Duration::from_millis(500),
        }
    }
}

/// Longest pause between the calls of a standby.
const STANDBY_PERIOD: Duration = Duration::from_millis(1500);

/// Leadership and its end. Nothing may be started at or after the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Higher than that of every leadership before.
    pub epoch: u64,
    /// On the clock of the one who asked.
    pub deadline: Duration,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The lock is ours.
    Granted,
    /// The lock is another's.
    Taken,
    /// No answer, or one that says nothing about the lock.
    Unknown,
}

/// The lease of one contender.
#[derive(Clone, Debug)]
pub struct Lease {
    timings: LeaseTimings,
    held: Option<Fence>,
    /// Start of the call under way and the epoch it proposes.
    call: Option<(Duration, u64)>,
    next: Duration,
    highest_epoch: u64,
    may_be_ours: bool,
}

impl Lease {
    /// A contender that has asked for nothing yet.
    pub fn new(timings: LeaseTimings) -> Self {
        Self {
            timings,
            held: None,
            call: None,
            next: Duration::ZERO,
            highest_epoch: 0,
            may_be_ours: false,
        }
    }

    /// The leadership that holds now.
    pub fn fence(&self, now: Duration) -> Option<Fence> {
        self.held.filter(|fence| now < fence.deadline)
    }

    /// When the next call is due.
    pub fn next_call(&self) -> Duration {
        self.next
    }

    /// A call starts now. The result is the epoch it is to carry; `wall` is Unix time in milliseconds.
    pub fn begin(&mut self, now: Duration, wall: u64) -> u64 {
        let epoch = match self.fence(now) {
            Some(fence) => fence.epoch,
            None => wall.max(self.highest_epoch + 1),
        };
        self.call = Some((now, epoch));
        self.next = now + self.timings.period;
        // From here on Locket may hold the lock in our name.
        self.may_be_ours = true;
        epoch
    }

    /// The call under way ended.
    pub fn end(&mut self, now: Duration, outcome: Outcome) {
        let Some((started, epoch)) = self.call.take() else {
            return;
        };
        match outcome {
            Outcome::Granted => self.granted(now, started, epoch),
            Outcome::Taken => {
                self.held = None;
                self.may_be_ours = false;
                // Often enough to follow a clean stop within two seconds.
                self.next = started + self.timings.period.min(STANDBY_PERIOD);
            }
            // What was held still holds until its own deadline.
            Outcome::Unknown => {}
        }
        if self.fence(now).is_none() {
            self.held = None;
        }
    }

    fn granted(&mut self, now: Duration, started: Duration, epoch: u64) {
        let continued = self.held.is_none_or(|held| held.epoch != epoch) || self.fence(now).is_some();
        let deadline = (started + self.timings.ttl).saturating_sub(self.timings.margin);
        self.highest_epoch = self.highest_epoch.max(epoch);
        if continued && now < deadline {
            self.held = Some(Fence { epoch, deadline });
        } else {
            // Too late to be used, or the leadership it was to prolong is over: begin anew at once.
            self.held = None;
            self.next = now;
        }
    }

    /// The epoch in another holder's value.
    pub fn saw_epoch(&mut self, epoch: u64) {
        self.highest_epoch = self.highest_epoch.max(epoch);
    }

    /// Whether the lock must be given back for others not to wait for its expiry.
    pub fn may_be_ours(&self) -> bool {
        self.may_be_ours
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TIMINGS: LeaseTimings = LeaseTimings {
        ttl: Duration::from_secs(9),
        period: Duration::from_secs(3),
        timeout: Duration::from_secs(3),
        margin: Duration::from_millis(500),
    };

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_lease_counts_from_the_start_of_the_call() {
        let mut lease = Lease::new(TIMINGS);
        let epoch = lease.begin(at(1000), 77);
        assert_eq!(lease.fence(at(1500)), None, "not before the answer");
        lease.end(at(3900), Outcome::Granted);
        let fence = Fence {
            epoch,
            deadline: at(9500),
        };
        assert_eq!(lease.fence(at(9499)), Some(fence));
        assert_eq!(lease.fence(at(9500)), None);
        assert_eq!(lease.next_call(), at(4000));
    }

    #[test]
    fn one_call_without_an_answer_costs_nothing_two_cost_leadership() {
        let mut lease = Lease::new(TIMINGS);
        let first = lease.begin(at(0), 77);
        lease.end(at(10), Outcome::Granted);
        lease.begin(at(3000), 78);
        lease.end(at(6000), Outcome::Unknown);
        assert_eq!(lease.next_call(), at(6000));
        assert_eq!(lease.begin(at(6000), 79), first, "the same leadership goes on");
        lease.end(at(6010), Outcome::Granted);
        assert_eq!(lease.fence(at(14_000)).map(|fence| fence.epoch), Some(first));

        lease.begin(at(9000), 80);
        lease.end(at(12_000), Outcome::Unknown);
        lease.begin(at(12_000), 81);
        lease.end(at(15_000), Outcome::Unknown);
        assert_eq!(lease.fence(at(15_000)), None);
        assert!(lease.may_be_ours(), "one of them may have been applied");
        assert!(lease.begin(at(15_000), 82) > first, "a leadership of its own");
    }

    #[test]
    fn an_answer_that_comes_after_the_end_begins_nothing() {
        let mut lease = Lease::new(TIMINGS);
        let first = lease.begin(at(0), 77);
        lease.end(at(10), Outcome::Granted);
        lease.begin(at(8000), 78);
        lease.end(at(8600), Outcome::Granted);
        assert_eq!(lease.fence(at(8600)), None, "its leadership had ended meanwhile");
        assert_eq!(lease.next_call(), at(8600), "asked anew at once");
        let second = lease.begin(at(8600), 79);
        lease.end(at(8700), Outcome::Granted);
        assert!(second > first && lease.fence(at(8700)).is_some());
    }

    #[test]
    fn a_collision_ends_leadership_at_once_and_a_later_epoch_tops_what_was_seen() {
        let mut lease = Lease::new(TIMINGS);
        lease.begin(at(0), 77);
        lease.end(at(10), Outcome::Granted);
        lease.begin(at(3000), 78);
        lease.end(at(3010), Outcome::Taken);
        assert_eq!(lease.fence(at(3010)), None);
        assert!(!lease.may_be_ours());
        lease.saw_epoch(1_000_000);
        assert_eq!(
            lease.begin(at(6000), 79),
            1_000_001,
            "a clock that lags doesn't matter"
        );
    }

    /// Locket as contenders see it: one row, kept for the TTL after the call that was applied last.
    #[derive(Default)]
    struct Locket {
        holder: Option<(usize, Duration)>,
    }

    impl Locket {
        fn lock(&mut self, owner: usize, now: Duration) -> Outcome {
            match self.holder {
                Some((held, until)) if held != owner && now < until => Outcome::Taken,
                _ => {
                    self.holder = Some((owner, now + TIMINGS.ttl));
                    Outcome::Granted
                }
            }
        }
    }

    /// A call: after this long it is applied (if ever), after this long the caller learns (if ever).
    #[derive(Clone, Debug)]
    struct Fate {
        applied: Option<u64>,
        answered: Option<u64>,
    }

    fn fate() -> impl Strategy<Value = Fate> {
        let late =
            prop_oneof![3 => (0u64..200).prop_map(Some), 1 => (0u64..3000).prop_map(Some), 1 => Just(None)];
        (late.clone(), late).prop_map(|(applied, answered)| Fate { applied, answered })
    }

    proptest! {
        /// Whatever calls are lost or late, two contenders never lead at once, and epochs only rise.
        #[test]
        fn at_most_one_leads(fates in prop::collection::vec(fate(), 1..80), skew in 0u64..3000) {
            let mut locket = Locket::default();
            let mut leases = [Lease::new(TIMINGS), Lease::new(TIMINGS)];
            // Per contender: when the call is applied, and when its end is known.
            let mut calls: [Option<(Option<Duration>, Duration, Outcome)>; 2] = [None, None];
            let mut fates = fates.into_iter().cycle();
            let mut last_epoch = [0; 2];
            for step in 0u64..3000 {
                let now = at(skew + step * 20);
                for me in 0..2 {
                    if calls[me].is_none() && leases[me].next_call() <= now {
                        leases[me].begin(now, step);
                        let Fate { applied, answered } = fates.next().unwrap_or(Fate { applied: None, answered: None });
                        let applied = applied.map(|after| now + at(after));
                        let answered = answered.map(|after| applied.unwrap_or(now) + at(after));
                        let end = answered.unwrap_or(now + TIMINGS.timeout).min(now + TIMINGS.timeout);
                        calls[me] = Some((applied, end, Outcome::Unknown));
                    }
                    if let Some((applied, end, outcome)) = &mut calls[me] {
                        if applied.is_some_and(|at| at <= now) {
                            *applied = None;
                            *outcome = locket.lock(me, now);
                        }
                        if *end <= now {
                            let (late, outcome) = (*applied, *outcome);
                            leases[me].end(now, outcome);
                            calls[me] = None;
                            // Applied after its caller gave up.
                            if late.is_some() {
                                locket.lock(me, now);
                            }
                        }
                    }
                }
                let leading = [0, 1].map(|me| leases[me].fence(now));
                prop_assert!(leading.iter().flatten().count() < 2, "at {now:?}: {leading:?}");
                for me in 0..2 {
                    if let Some(fence) = leading[me] {
                        prop_assert!(fence.epoch >= last_epoch[me]);
                        last_epoch[me] = fence.epoch;
                    }
                }
            }
        }
    }
}
