//! Picking a free value.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::time::Time;

/// The first free value of `first..=last` from the place that `key` points at, going round once.
///
/// Starting at a hash instead of the bottom keeps a value from being handed on at once, spreads
/// concurrent choosers, and makes the choice depend on the key more than on history.
pub fn choose(key: u64, first: u32, last: u32, free: impl Fn(u32) -> bool) -> Option<u32> {
    if first > last {
        return None;
    }
    let count = u64::from(last - first) + 1;
    let start = key % count;
    (0..count)
        .map(|i| first + ((start + i) % count) as u32)
        .find(|value| free(*value))
}

/// Which values are used or resting.
#[derive(Debug, Default)]
pub(super) struct Taken {
    used: FxHashSet<u32>,
    resting: FxHashMap<u32, Time>,
}

impl Taken {
    pub(super) fn is_used(&self, value: u32) -> bool {
        self.used.contains(&value)
    }

    pub(super) fn is_taken(&self, value: u32, now: Time) -> bool {
        self.used.contains(&value) || self.resting.get(&value).is_some_and(|until| now < *until)
    }

    pub(super) fn take(&mut self, value: u32) {
        self.used.insert(value);
        self.resting.remove(&value);
    }

    pub(super) fn rest(&mut self, value: u32, until: Time) {
        if self.used.remove(&value) {
            self.resting.insert(value, until);
        }
    }

    /// Everything used rests.
    pub(super) fn rest_all(&mut self, until: Time) {
        for value in std::mem::take(&mut self.used) {
            self.resting.insert(value, until);
        }
    }

    pub(super) fn used(&self) -> usize {
        self.used.len()
    }

    /// Values used or resting.
    pub(super) fn occupied(&mut self, now: Time) -> usize {
        self.resting.retain(|_, until| now < *until);
        self.used.len() + self.resting.len()
    }
}
