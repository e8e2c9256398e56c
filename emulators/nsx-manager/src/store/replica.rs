//! A copy of the store that learns of changes later than clients do: what hosts have realized, and what the
//! search index has seen.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::view::View;
use super::{Change, apply};

/// When a change gets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    At(Instant),
    /// Not before [`Replica::flush`].
    Never,
}

/// A view that lags behind another. Without a lag it keeps nothing and the other one is read instead.
#[derive(Debug, Default)]
pub(crate) struct Replica {
    lag: Duration,
    view: Option<View>,
    waiting: BTreeMap<(Due, u64), Change>,
    next: u64,
}

impl Replica {
    pub(crate) fn new(lag: Duration) -> Self {
        Replica {
            lag,
            ..Replica::default()
        }
    }

    /// Sets the lag of later changes. Waiting changes come no later than the new lag from now, so that an
    /// older state of an object never overtakes a newer one.
    pub(crate) fn set_lag(&mut self, lag: Duration, now: Instant) {
        self.lag = lag;
        let latest = due(now, lag);
        for ((due, number), change) in std::mem::take(&mut self.waiting) {
            self.waiting.insert((due.min(latest), number), change);
        }
    }

    /// Whether the next change starts a lag, for which [`Replica::follow`] needs the view of before it.
    pub(crate) fn must_copy(&mut self, now: Instant) -> bool {
        self.catch_up(now);
        self.view.is_none() && !self.lag.is_zero()
    }

    /// Takes note of changes; `source` is the view of before them when [`Replica::must_copy`] says so.
    pub(crate) fn follow(&mut self, source: &View, changes: &[Change], now: Instant) {
        self.catch_up(now);
        if self.lag.is_zero() && self.view.is_none() {
            return;
        }
        self.view.get_or_insert_with(|| source.clone());
        for change in changes {
            self.waiting
                .insert((due(now, self.lag), self.next), change.clone());
            self.next += 1;
        }
    }

    /// Lets every waiting change through at once.
    pub(crate) fn flush(&mut self) {
        if let Some(view) = &mut self.view {
            std::mem::take(&mut self.waiting)
                .into_values()
                .for_each(|change| apply(view, change));
        }
    }

    /// What is known by now.
    pub(crate) fn read<'a>(&'a mut self, source: &'a View, now: Instant) -> &'a View {
        self.catch_up(now);
        self.view.as_ref().unwrap_or(source)
    }

    fn catch_up(&mut self, now: Instant) {
        let Some(view) = &mut self.view else { return };
        while let Some(entry) = self.waiting.first_entry() {
            match entry.key().0 {
                Due::At(due) if due <= now => apply(view, entry.remove()),
                _ => break,
            }
        }
        if self.waiting.is_empty() && self.lag.is_zero() {
            self.view = None;
        }
    }
}

/// A lag beyond the clock's range is one that never ends.
fn due(now: Instant, lag: Duration) -> Due {
    now.checked_add(lag).map_or(Due::Never, Due::At)
}
