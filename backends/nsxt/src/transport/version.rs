//! The version of a manager, on which a few paths depend.

use std::fmt;

/// Product version of a manager, cut to three numbers as its clients do (`2.4.0.0.0.12456646` → `2.4.0`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number.
    pub patch: u32,
}

impl Version {
    /// Reads a dotted version; numbers that are left out count as 0.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().split('.').map(|part| part.parse::<u32>().ok());
        let major = numbers.next()??;
        let mut next = || numbers.next().flatten().unwrap_or(0);
        Some(Self {
            major,
            minor: next(),
            patch: next(),
        })
    }

    /// Whether this is at least `major.minor`.
    pub fn at_least(self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) >= (major, minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_long_form_is_cut_to_three_numbers() {
        let version = Version::parse("2.4.0.0.0.12456646").unwrap();
        assert_eq!(version.to_string(), "2.4.0");
        assert!(version.at_least(2, 4) && !version.at_least(2, 5) && !version.at_least(3, 0));
        assert_eq!(
            Version::parse("3"),
            Some(Version {
                major: 3,
                minor: 0,
                patch: 0
            })
        );
        assert_eq!(Version::parse("latest"), None);
    }
}
