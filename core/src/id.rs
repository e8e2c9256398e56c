//! Ids: one newtype a kind, so that two of them cannot be swapped.
//!
//! An id is a [`Name`]: sixteen bytes where the text is a UUID (nearly all of Cloud Foundry's), a
//! shared string elsewhere. That keeps a key at 24 bytes without an arena that every holder would
//! need to print it, and makes clones free of allocation.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest text a [`Name`] keeps; longer ones are cut and given a stable hash, so that a key fits
/// every backend's marks (an NSX tag holds 256 characters; a rule's key holds two names).
pub const NAME_MAX: usize = 80;

/// The text of an id: a UUID, packed, or any other text, shared.
///
/// `/` separates the parts of a printed key and so is written `~1` (and `~` as `~0`, as in RFC 6901).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Repr);

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Repr {
    Uuid([u8; 16]),
    Text(Arc<str>),
}

impl Name {
    /// Takes any text; see [`NAME_MAX`] for what becomes of a long one.
    pub fn new(text: &str) -> Name {
        if let Some(bytes) = parse_uuid(text) {
            return Name(Repr::Uuid(bytes));
        }
        if text.len() <= NAME_MAX {
            return Name(Repr::Text(text.into()));
        }
        let mut cut = NAME_MAX - 17;
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        let hash = crate::digest::of(text);
        Name(Repr::Text(format!("{}-{hash}", &text[..cut]).into()))
    }

    /// The form used inside a printed key: `~` and `/` escaped.
    pub fn escaped(&self) -> String {
        self.to_string().replace('~', "~0").replace('/', "~1")
    }

    /// Reads [`Name::escaped`] back.
    pub fn unescape(text: &str) -> Name {
        Name::new(&text.replace("~1", "/").replace("~0", "~"))
    }
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    if bytes.len() != 36 {
        return None;
    }
    let mut out = [0u8; 16];
    let mut at = 0;
    for (i, b) in bytes.iter().enumerate() {
        if matches!(i, 8 | 13 | 18 | 23) {
            if *b != b'-' {
                return None;
            }
            continue;
        }
        let nibble = match b {
            b'0'..=b'9' => b - b'0',
            // Capital hex stays text: packing it would change what prints.
            b'a'..=b'f' => b - b'a' + 10,
            _ => return None,
        };
        out[at / 2] |= nibble << (4 * (1 - at % 2));
        at += 1;
    }
    Some(out)
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Text(text) => f.write_str(text),
            Repr::Uuid(bytes) => {
                for (i, b) in bytes.iter().enumerate() {
                    if matches!(i, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{b:02x}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Name {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Name::new(text))
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Name {
        Name::new(text)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Name::new(&String::deserialize(d)?))
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $id:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $id(pub Name);

        impl $id {
            /// The id of this text.
            pub fn new(text: &str) -> $id {
                $id(Name::new(text))
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}

ids! {
    /// A machine that runs containers.
    NodeId;
    /// A tenant of the platform with a network of its own.
    ProjectId;
    /// A named set of workloads.
    GroupId;
    /// One container, by the handle the platform gives it.
    WorkloadId;
    /// One policy: a set of rules applied to groups.
    PolicyId;
    /// An address pool of the network, by name or id as the user wrote it.
    PoolName;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_packed_and_prints_as_it_was() {
        let text = "0b2c1d3e-1111-4222-8333-444455556666";
        let name = Name::new(text);
        assert!(matches!(name.0, Repr::Uuid(_)));
        assert_eq!(name.to_string(), text);
    }

    #[test]
    fn a_capital_uuid_stays_text() {
        let text = "0B2C1D3E-1111-4222-8333-444455556666";
        assert_eq!(Name::new(text).to_string(), text);
    }

    #[test]
    fn a_long_name_is_cut_with_a_hash_that_tells_it_apart() {
        let a = Name::new(&"x".repeat(200));
        let b = Name::new(&"x".repeat(201));
        assert_ne!(a, b);
        assert!(a.to_string().len() <= NAME_MAX);
    }

    #[test]
    fn escaping_is_undone() {
        for text in ["a/b", "a~1b", "~/~", "plain"] {
            assert_eq!(Name::unescape(&Name::new(text).escaped()), Name::new(text));
        }
    }

    #[test]
    fn a_name_takes_24_bytes() {
        assert_eq!(size_of::<Name>(), 24);
    }
}
