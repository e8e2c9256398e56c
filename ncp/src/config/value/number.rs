//! Numbers with bounds. The bounds are part of the type, so that no caller sees a value out of them
//! and the reference page can't state others.

use super::{Value, Wrong};
use std::time::Duration;

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Whole<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Whole<MIN, MAX> {
    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl<const MIN: u64, const MAX: u64> Value for Whole<MIN, MAX> {
    fn kind() -> String {
        format!("whole number {}", bounds(MIN, MAX))
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        number(text, MIN, MAX, "a whole number").map(Self)
    }
}

/// A time of `MIN` to `MAX` whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Seconds<MIN, MAX> {
    /// The time.
    pub fn get(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl<const MIN: u64, const MAX: u64> Value for Seconds<MIN, MAX> {
    fn kind() -> String {
        format!("seconds, {}", bounds(MIN, MAX))
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        number(text, MIN, MAX, "a whole number of seconds").map(Self)
    }
}

fn bounds(min: u64, max: u64) -> String {
    if max == u64::MAX {
        format!("from {min}")
    } else {
        format!("from {min} to {max}")
    }
}

fn number(text: &str, min: u64, max: u64, what: &str) -> Result<u64, Wrong> {
    match text.parse::<u64>() {
        Ok(n) if (min..=max).contains(&n) => Ok(n),
        Ok(n) => Err(Wrong::new(
            format!("{n} is out of bounds"),
            format!("write {what} {}", bounds(min, max)),
        )),
        Err(_) => Err(Wrong::new(
            format!("{text:?} is not {what}"),
            format!("write {what} {} and nothing else on the line", bounds(min, max)),
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bounds_are_kept() {
        // R-IPAM-05: less than 31.
        type Prefix = Whole<1, 30>;
        assert_eq!(Prefix::parse("30").unwrap().get(), 30);
        for text in ["31", "0", "-1", "2.5", "24 # comment", ""] {
            assert!(Prefix::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(
            Seconds::<1, 60>::parse("9").unwrap().get(),
            Duration::from_secs(9)
        );
    }
}
