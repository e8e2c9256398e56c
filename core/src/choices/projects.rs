//! A project's subnets and the addresses in them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::offsets;
use super::pool::{Taken, choose};
use crate::id::WorkloadId;
use crate::net::capacity_of;
use crate::settings::Settings;
use crate::time::Time;

/// What has been chosen for one project.
#[derive(Debug, Default)]
pub struct ProjectChoice {
    subnets: BTreeMap<u16, SubnetChoice>,
    waiting: BTreeSet<WorkloadId>,
}

/// One subnet of a project.
#[derive(Debug, Default)]
pub struct SubnetChoice {
    cidr: Option<Ipv4Net>,
    taken: Taken,
    empty_since: Option<Time>,
    given_up: bool,
}

impl SubnetChoice {
    /// The network, once the far end has said it.
    pub fn cidr(&self) -> Option<Ipv4Net> {
        self.cidr
    }

    /// Whether the subnet is wanted, or waits to be taken down.
    pub fn wanted(&self) -> bool {
        !self.given_up
    }
}

impl ProjectChoice {
    /// The subnets, by index.
    pub fn subnets(&self) -> impl Iterator<Item = (u16, &SubnetChoice)> {
        self.subnets.iter().map(|(n, s)| (*n, s))
    }

    /// The n-th subnet.
    pub fn subnet(&self, index: u16) -> Option<&SubnetChoice> {
        self.subnets.get(&index)
    }

    /// How many workloads wait for an address.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn free_address(&self, key: u64, now: Time) -> Option<(u16, Ipv4Addr)> {
        self.subnets
            .iter()
            .filter(|(_, s)| s.wanted())
            .find_map(|(n, subnet)| {
                let cidr = subnet.cidr?;
                let (first, last) = offsets(cidr);
                let offset = choose(key, first, last, |v| !subnet.taken.is_taken(v, now))?;
                Some((*n, Ipv4Addr::from(u32::from(cidr.network()) + offset)))
            })
    }

    pub(super) fn take(&mut self, workload: &WorkloadId, index: u16, address: Ipv4Addr) {
        self.waiting.remove(workload);
        if let Some(subnet) = self.subnets.get_mut(&index)
            && let Some(cidr) = subnet.cidr
        {
            subnet.empty_since = None;
            subnet.taken.take(u32::from(address) - u32::from(cidr.network()));
        }
    }

    /// Whether the address is one of the subnet's and nobody's.
    pub(super) fn may_take(&self, index: u16, address: Ipv4Addr) -> bool {
        let Some(subnet) = self.subnets.get(&index) else {
            return false;
        };
        let Some(cidr) = subnet.cidr else { return false };
        let (first, last) = offsets(cidr);
        cidr.contains(&address) && {
            let offset = u32::from(address) - u32::from(cidr.network());
            (first..=last).contains(&offset) && !subnet.taken.is_used(offset)
        }
    }

    pub(super) fn give_back(&mut self, index: u16, address: Ipv4Addr, now: Time, settings: &Settings) {
        if let Some(subnet) = self.subnets.get_mut(&index)
            && let Some(cidr) = subnet.cidr
        {
            let offset = u32::from(address) - u32::from(cidr.network());
            subnet.taken.rest(offset, now + settings.address_hold);
            if subnet.taken.used() == 0 {
                subnet.empty_since = Some(now);
            }
        }
    }

    /// Notes who waits and asks for as many further subnets as those who wait will fill.
    pub(super) fn wait(&mut self, workload: &WorkloadId, settings: &Settings) {
        self.waiting.insert(workload.clone());
        let coming = self
            .subnets
            .values()
            .filter(|s| s.wanted() && s.cidr.is_none())
            .count();
        let room = coming * capacity_of(settings.subnet_prefix) as usize;
        if self.waiting.len() > room {
            // A subnet on its way out is kept before another is asked for.
            if let Some(subnet) = self.subnets.values_mut().find(|s| s.given_up) {
                subnet.given_up = false;
                return;
            }
            let free = (0..u16::MAX).find(|n| !self.subnets.contains_key(n));
            self.subnets.entry(free.unwrap_or(u16::MAX)).or_default();
        }
    }

    pub(super) fn stop_waiting(&mut self, workload: &WorkloadId) {
        self.waiting.remove(workload);
    }

    /// `None` if that was known; else those who waited.
    pub(super) fn subnet_known(&mut self, index: u16, cidr: Ipv4Net) -> Option<Vec<WorkloadId>> {
        let subnet = self.subnets.entry(index).or_default();
        if subnet.cidr == Some(cidr) {
            return None;
        }
        subnet.cidr = Some(cidr);
        Some(self.waiting.iter().cloned().collect())
    }

    pub(super) fn subnet_gone(&mut self, index: u16) {
        if let Some(subnet) = self.subnets.get_mut(&index) {
            if subnet.given_up {
                self.subnets.remove(&index);
            } else {
                // Taken from under us: it will be made again, perhaps elsewhere.
                subnet.cidr = None;
                subnet.taken = Taken::default();
            }
        }
    }

    pub(super) fn give_up(&mut self, now: Time, settings: &Settings) -> Vec<u16> {
        let mut given = Vec::new();
        let mut wanted = self.subnets.values().filter(|s| s.wanted()).count();
        let room = self
            .subnets
            .values_mut()
            .filter(|s| s.wanted())
            .any(|s| s.has_room(now));
        for (index, subnet) in self.subnets.iter_mut().rev() {
            let empty = subnet
                .empty_since
                .is_some_and(|since| now.since(since) >= settings.subnet_hold);
            if wanted > 1 && room && empty && subnet.wanted() && subnet.taken.occupied(now) == 0 {
                subnet.given_up = true;
                wanted -= 1;
                given.push(*index);
            }
        }
        given
    }
}

impl SubnetChoice {
    fn has_room(&mut self, now: Time) -> bool {
        let Some(cidr) = self.cidr else { return false };
        let (first, last) = offsets(cidr);
        self.taken.used() > 0 && self.taken.occupied(now) < (last - first + 1) as usize
    }
}
