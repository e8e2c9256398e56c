//! Container-to-container policies and their tags.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::clock::Clock;
use super::table::Guid;

/// One policy: it has no identity beyond what it says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Policy {
    /// App that dials.
    pub source: Guid,
    /// App that is dialled.
    pub destination: Guid,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// First port.
    pub start: u16,
    /// Last port.
    pub end: u16,
}

/// The policies, the tags of the apps in them, and the change token.
#[derive(Debug)]
pub(crate) struct Policies {
    pub all: BTreeSet<Policy>,
    /// Number and type of each app in a policy; numbers of apps without policies are given out again.
    pub tags: BTreeMap<Guid, (u32, String)>,
    uses: BTreeMap<Guid, usize>,
    /// Numbers given back, and the lowest never given out.
    free: BTreeSet<u32>,
    next: u32,
    /// Nanoseconds.
    pub updated: i64,
}

impl Policies {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self {
            all: BTreeSet::new(),
            tags: BTreeMap::new(),
            uses: BTreeMap::new(),
            free: BTreeSet::new(),
            next: 1,
            updated: clock.nanos(),
        }
    }

    /// Adds policies; the token moves even if nothing is new.
    pub(crate) fn add(&mut self, policies: impl IntoIterator<Item = Policy>, clock: &Clock) {
        for policy in policies {
            if !self.all.contains(&policy) {
                self.using(&policy.source);
                self.using(&policy.destination);
                self.all.insert(policy);
            }
        }
        self.updated = clock.nanos();
    }

    /// Removes policies; the token moves even if none was there.
    pub(crate) fn remove<'a>(&mut self, policies: impl IntoIterator<Item = &'a Policy>, clock: &Clock) {
        for policy in policies {
            if self.all.remove(policy) {
                self.leaving(&policy.source);
                self.leaving(&policy.destination);
            }
        }
        self.updated = clock.nanos();
    }

    fn using(&mut self, app: &str) {
        *self.uses.entry(app.to_owned()).or_default() += 1;
        self.tag(app, "app");
    }

    fn leaving(&mut self, app: &str) {
        if let Some(uses) = self.uses.get_mut(app) {
            *uses -= 1;
            if *uses == 0 {
                self.uses.remove(app);
                self.free.extend(self.tags.remove(app).map(|(number, _)| number));
            }
        }
    }

    /// The number of a group, the lowest free one if it has none.
    pub(crate) fn tag(&mut self, id: &str, kind: &str) -> (u32, String) {
        if let Some(tag) = self.tags.get(id) {
            return tag.clone();
        }
        let free = self.free.pop_first().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        });
        self.tags.insert(id.to_owned(), (free, kind.to_owned()));
        (free, kind.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(source: &str, destination: &str) -> Policy {
        Policy {
            source: source.into(),
            destination: destination.into(),
            protocol: "tcp".into(),
            start: 1,
            end: 1,
        }
    }

    #[test]
    fn tags_are_given_out_again_and_the_token_always_moves() {
        let clock = Clock::new();
        let mut policies = Policies::new(&clock);
        policies.add([policy("a", "b")], &clock);
        assert_eq!((policies.tags["a"].0, policies.tags["b"].0), (1, 2));
        policies.remove(&[policy("a", "b")], &clock);
        let before = policies.updated;
        policies.remove(&[policy("a", "b")], &clock);
        assert!(policies.updated > before);
        policies.add([policy("c", "c")], &clock);
        assert_eq!(policies.tags["c"].0, 1);
    }
}
