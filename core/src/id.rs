//! Ids: one newtype a kind, so that two of them cannot be swapped.
//!
//! An id is a [`Name`]: sixteen bytes where the text is a UUID (nearly all of Cloud Foundry's), a
//! shared string elsewhere. That keeps a key at 24 bytes without an arena that every holder would
//! need to print it, and makes clones free of allocation.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
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

#[derive(Clone)]
enum Repr {
    /// Both halves, most significant byte first: they compare as the text does, two words at a time.
    Uuid(u64, u64),
    Text(Arc<str>),
}

impl PartialEq for Repr {
    fn eq(&self, other: &Repr) -> bool {
        match (self, other) {
            (Repr::Uuid(a, b), Repr::Uuid(c, d)) => a == c && b == d,
            // Names are cloned far more often than made, so two equal texts are mostly one.
            (Repr::Text(a), Repr::Text(b)) => Arc::ptr_eq(a, b) || a == b,
            _ => false,
        }
    }
}

impl Eq for Repr {}

impl PartialOrd for Repr {
    fn partial_cmp(&self, other: &Repr) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Repr {
    fn cmp(&self, other: &Repr) -> Ordering {
        match (self, other) {
            (Repr::Uuid(a, b), Repr::Uuid(c, d)) => (a, b).cmp(&(c, d)),
            (Repr::Text(a), Repr::Text(b)) if Arc::ptr_eq(a, b) => Ordering::Equal,
            (Repr::Text(a), Repr::Text(b)) => a.cmp(b),
            (Repr::Uuid(..), Repr::Text(_)) => Ordering::Less,
            (Repr::Text(_), Repr::Uuid(..)) => Ordering::Greater,
        }
    }
}

impl Hash for Repr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Repr::Uuid(a, b) => {
                state.write_u64(*a);
                state.write_u64(*b);
            }
            Repr::Text(text) => text.hash(state),
        }
    }
}

impl Name {
    /// Takes any text; see [`NAME_MAX`] for what becomes of a long one.
    pub fn new(text: &str) -> Name {
        if let Some(bits) = parse_uuid(text) {
            return Name::uuid(bits);
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

    /// The name whose text is this UUID.
    pub fn uuid(bits: u128) -> Name {
        Name(Repr::Uuid((bits >> 64) as u64, bits as u64))
    }

    /// The form used inside a printed key: `~` and `/` escaped.
    pub fn escaped(&self) -> String {
        match &self.0 {
            Repr::Uuid(..) => self.to_string(),
            Repr::Text(text) => text.replace('~', "~0").replace('/', "~1"),
        }
    }

    /// Reads [`Name::escaped`] back.
    pub fn unescape(text: &str) -> Name {
        Name::new(&text.replace("~1", "/").replace("~0", "~"))
    }
}

fn parse_uuid(text: &str) -> Option<u128> {
    let bytes = text.as_bytes();
    if bytes.len() != 36 {
        return None;
    }
    let mut bits = 0;
    for (i, b) in bytes.iter().enumerate() {
        if HYPHENS.contains(&i) {
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
        bits = bits << 4 | u128::from(nibble);
    }
    Some(bits)
}

/// Where a UUID's text has its hyphens.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Text(text) => f.write_str(text),
            Repr::Uuid(high, low) => {
                let mut text = [b'-'; 36];
                let places = (0..text.len()).filter(|i| !HYPHENS.contains(i));
                for (n, at) in places.enumerate() {
                    let word = if n < 16 { high } else { low };
                    text[at] = b"0123456789abcdef"[(word >> (60 - 4 * (n % 16)) & 0xf) as usize];
                }
                // Hex digits and hyphens are ASCII.
                f.write_str(std::str::from_utf8(&text).unwrap_or_default())
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
        assert!(matches!(name.0, Repr::Uuid(..)));
        assert_eq!(name.to_string(), text);
    }

    #[test]
    fn uuids_compare_as_their_texts_do() {
        let texts = [
            "00000000-0000-4000-8000-0000000000ff",
            "0b2c1d3e-1111-4222-8333-444455556666",
            "0b2c1d3e-1111-4222-8333-444455556667",
            "f0000000-0000-4000-8000-000000000000",
        ];
        assert!(texts.windows(2).all(|w| Name::new(w[0]) < Name::new(w[1])));
        assert!(Name::new(texts[3]) < Name::new("a text"));
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
