//! An address pool as it stands: what it holds, what is taken, and whom it is for.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use ncp_core::choices::choose;
use ncp_core::id::ProjectId;
use serde_json::Value;

use super::NsxFarEnd;
use crate::manager::json::{list, tags, text};
use crate::manager::tags::{CLUSTER, OWNER, Tag};
use crate::transport::{TransportError, escape_segment};

/// A pool and its allocations.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) name: String,
    ranges: Vec<(u32, u32)>,
    taken: HashSet<Ipv4Addr>,
    tags: Vec<Tag>,
}

impl NsxFarEnd {
    /// Reads a pool; `None` if there is none of this id.
    pub(super) async fn pool(&self, id: &str) -> Result<Option<Pool>, TransportError> {
        let path = format!("/pools/ip-pools/{}", escape_segment(id));
        let Some(object) = self.get(&path).await? else {
            return Ok(None);
        };
        let allocations = self.whole(&format!("{path}/allocations"), &[]).await?;
        Ok(Some(Pool::read(&object, &allocations)))
    }
}

impl Pool {
    fn read(object: &Value, allocations: &[Value]) -> Pool {
        let ranges = list(object, "subnets")
            .iter()
            .flat_map(|s| list(s, "allocation_ranges"));
        let ends = |range: &Value| -> Option<(u32, u32)> {
            let first: Ipv4Addr = text(range, "start").parse().ok()?;
            let last: Ipv4Addr = text(range, "end").parse().ok()?;
            (first <= last).then_some((first.into(), last.into()))
        };
        Pool {
            name: text(object, "display_name").to_owned(),
            ranges: ranges.filter_map(ends).collect(),
            taken: allocations
                .iter()
                .filter_map(|a| text(a, "allocation_id").parse().ok())
                .collect(),
            tags: tags(object),
        }
    }

    /// Whether an address is allocated.
    pub(super) fn is_taken(&self, address: Ipv4Addr) -> bool {
        self.taken.contains(&address)
    }

    /// Notes that an address is allocated after all.
    pub(super) fn take(&mut self, address: Ipv4Addr) {
        self.taken.insert(address);
    }

    /// The first free address from the place that `seed` points at, going round once.
    pub(super) fn candidate(&self, seed: u64, not: &[Ipv4Addr]) -> Option<Ipv4Addr> {
        let count: u64 = self
            .ranges
            .iter()
            .map(|(first, last)| u64::from(last - first) + 1)
            .sum();
        let most = u32::try_from(count.checked_sub(1)?).unwrap_or(u32::MAX);
        let free = |offset: u32| {
            self.nth(offset)
                .is_some_and(|a| !self.is_taken(a) && !not.contains(&a))
        };
        choose(seed, 0, most, free).and_then(|offset| self.nth(offset))
    }

    fn nth(&self, mut offset: u32) -> Option<Ipv4Addr> {
        for (first, last) in &self.ranges {
            match offset.checked_sub(last - first) {
                None | Some(0) => return Some(Ipv4Addr::from(first + offset)),
                Some(beyond) => offset = beyond - 1,
            }
        }
        None
    }

    /// Whether this cluster may draw from the pool for this project. Tags of scope `ncp/owner` name
    /// clusters and projects; what none of them names is open to all (R-SNAT-01 to R-SNAT-06).
    pub(super) fn admits(&self, cluster: &str, project: &ProjectId) -> bool {
        let project = project.to_string();
        let named = |kinds: &[&str], who: &str| {
            let mut owners = self
                .owners()
                .filter_map(|(kind, name)| kinds.contains(&kind).then_some(name))
                .peekable();
            owners.peek().is_none() || owners.any(|name| name == who)
        };
        named(&["cluster"], cluster) && named(&["org", "ns"], &project)
    }

    /// Whether nobody but this cluster draws from the pool: what is allocated there and named by nobody
    /// is this cluster's own, left by a lost answer.
    pub(super) fn is_exclusive(&self, cluster: &str) -> bool {
        let owners = self
            .owners()
            .filter_map(|(kind, name)| (kind == "cluster").then_some(name));
        let marks = self
            .tags
            .iter()
            .filter(|t| t.scope == CLUSTER)
            .map(|t| t.tag.as_str());
        let mut named: Vec<&str> = owners.collect();
        if named.is_empty() {
            named = marks.collect();
        }
        !named.is_empty() && named.iter().all(|name| *name == cluster)
    }

    fn owners(&self) -> impl Iterator<Item = (&str, &str)> {
        let owners = self.tags.iter().filter(|t| t.scope == OWNER);
        owners.filter_map(|t| t.tag.split_once(':'))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pool(tags: &[(&str, &str)], taken: &[&str]) -> Pool {
        let tags: Vec<Value> = tags
            .iter()
            .map(|(s, t)| json!({ "scope": s, "tag": t }))
            .collect();
        let taken: Vec<Value> = taken.iter().map(|a| json!({ "allocation_id": a })).collect();
        let range = |start: &str, end: &str| json!({ "start": start, "end": end });
        let object = json!({ "display_name": "p", "tags": tags, "subnets": [
            { "cidr": "192.0.2.0/24", "allocation_ranges": [range("192.0.2.10", "192.0.2.11")] },
            { "cidr": "198.51.100.0/24", "allocation_ranges": [range("198.51.100.1", "198.51.100.1")] },
        ] });
        Pool::read(&object, &taken)
    }

    #[test]
    fn every_address_of_every_range_is_a_candidate_and_none_else() {
        let mut pool = pool(&[], &["192.0.2.10"]);
        let mut found = Vec::new();
        while let Some(address) = pool.candidate(7, &[]) {
            found.push(address.to_string());
            pool.take(address);
        }
        found.sort();
        assert_eq!(found, ["192.0.2.11", "198.51.100.1"]);
    }

    #[test]
    fn a_suspect_address_is_no_candidate() {
        let pool = pool(&[], &["192.0.2.10", "192.0.2.11"]);
        assert_eq!(pool.candidate(0, &["198.51.100.1".parse().unwrap()]), None);
    }

    #[test]
    fn owner_tags_admit_those_they_name() {
        let org = ProjectId::new("org-a");
        assert!(pool(&[], &[]).admits("c1", &org), "R-SNAT-05");
        assert!(pool(&[("ncp/owner", "org:org-a")], &[]).admits("c1", &org));
        assert!(
            !pool(&[("ncp/owner", "org:org-b")], &[]).admits("c1", &org),
            "R-SNAT-01"
        );
        assert!(!pool(&[("ncp/owner", "cluster:c2")], &[]).admits("c1", &org));
        let both = [
            ("ncp/owner", "cluster:c1"),
            ("ncp/owner", "org:org-b"),
            ("ncp/owner", "org:org-a"),
        ];
        assert!(pool(&both, &[]).admits("c1", &org), "R-SNAT-03");
    }

    #[test]
    fn a_pool_is_exclusive_only_if_it_says_so() {
        assert!(!pool(&[], &[]).is_exclusive("c1"));
        assert!(pool(&[("ncp/cluster", "c1")], &[]).is_exclusive("c1"));
        assert!(!pool(&[("ncp/cluster", "c1"), ("ncp/cluster", "c2")], &[]).is_exclusive("c1"));
        assert!(
            !pool(
                &[
                    ("ncp/cluster", "c1"),
                    ("ncp/owner", "cluster:c1"),
                    ("ncp/owner", "cluster:c2")
                ],
                &[]
            )
            .is_exclusive("c1")
        );
    }
}
