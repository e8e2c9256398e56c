//! A project's subnets and the addresses in them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::pool::{Taken, choose};
use crate::id::WorkloadId;
use crate::net::{capacity_of, gateway_of};
use crate::settings::Settings;
use crate::time::Time;

/// What has been chosen for one project.
#[derive(Debug, Default)]
pub struct ProjectChoice {
    pub(super) active: bool,
    subnets: BTreeMap<u16, SubnetChoice>,
    waiting: BTreeSet<WorkloadId>,
}

/// One subnet of a project.
#[derive(Debug, Default)]
pub struct SubnetChoice {
    cidr: Option<Ipv4Net>,
    /// Addresses, as numbers.
    taken: Taken,
    /// Since when it has had no port; set while it has none.
    empty_since: Option<Time>,
    asked: bool,
}

impl SubnetChoice {
    /// The network, once the far end has said it.
    pub fn cidr(&self) -> Option<Ipv4Net> {
        self.cidr
    }

    /// Whether the subnet is wanted, or waits to be taken down.
    pub fn wanted(&self) -> bool {
        self.asked || self.in_use()
    }

    /// Whether a port stands, or is to stand, in it.
    pub fn in_use(&self) -> bool {
        self.taken.used() > 0
    }

    fn free(&self, key: u64, now: Time) -> Option<Ipv4Addr> {
        let (first, last) = addresses(self.cidr?);
        if self.taken.used() as u32 > last - first {
            return None;
        }
        choose(key, first, last, |v| !self.taken.is_taken(v, now)).map(Ipv4Addr::from)
    }

    fn room(&mut self, now: Time) -> usize {
        let Some(cidr) = self.cidr else { return 0 };
        let (first, last) = addresses(cidr);
        ((last - first + 1) as usize).saturating_sub(self.taken.occupied(now))
    }
}

/// The addresses of a subnet that containers may have: all but network, gateway, broadcast.
fn addresses(cidr: Ipv4Net) -> (u32, u32) {
    (u32::from(gateway_of(cidr)) + 1, u32::from(cidr.broadcast()) - 1)
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

    /// A free address; one in a subnet that was about to be given back revives it, and then the last
    /// value is `true`.
    pub(super) fn free_address(&mut self, key: u64, now: Time) -> Option<(u16, Ipv4Addr, bool)> {
        for wanted in [true, false] {
            let mut subnets = self.subnets.iter_mut().filter(|(_, s)| s.wanted() == wanted);
            let found = subnets.find_map(|(n, s)| Some((*n, s.free(key, now)?, s)));
            if let Some((n, address, subnet)) = found {
                subnet.asked = true;
                return Some((n, address, !wanted));
            }
        }
        None
    }

    pub(super) fn take(&mut self, workload: &WorkloadId, index: u16, address: Ipv4Addr) {
        self.waiting.remove(workload);
        let subnet = self.subnets.entry(index).or_default();
        subnet.empty_since = None;
        subnet.taken.take(address.into());
    }

    /// Whether the address is nobody's and, if that is known, one of the subnet's.
    pub(super) fn may_take(&self, index: u16, address: Ipv4Addr) -> bool {
        let Some(subnet) = self.subnets.get(&index) else {
            return true;
        };
        let value = u32::from(address);
        let valid = subnet.cidr.is_none_or(|cidr| {
            let (first, last) = addresses(cidr);
            (first..=last).contains(&value)
        });
        valid && !subnet.taken.is_used(value)
    }

    pub(super) fn give_back(&mut self, index: u16, address: Ipv4Addr, now: Time, until: Time) {
        if let Some(subnet) = self.subnets.get_mut(&index) {
            subnet.taken.rest(address.into(), until);
            if !subnet.in_use() {
                subnet.empty_since = Some(now);
            }
        }
    }

    /// Notes who waits and asks for as many further subnets as those who wait will fill; `true` if
    /// one more was asked for.
    pub(super) fn wait(&mut self, workload: &WorkloadId, now: Time, settings: &Settings) -> bool {
        self.waiting.insert(workload.clone());
        let coming = self
            .subnets
            .values()
            .filter(|s| s.asked && s.cidr.is_none())
            .count();
        if self.waiting.len() <= coming * capacity_of(settings.subnet_prefix) as usize {
            return false;
        }
        let unasked = |n: &u16| {
            self.subnets
                .get(n)
                .is_none_or(|s| !s.wanted() && s.cidr.is_none())
        };
        let Some(index) = (0..u16::MAX).find(unasked) else {
            return false;
        };
        let subnet = self.subnets.entry(index).or_default();
        subnet.asked = true;
        subnet.empty_since = Some(now);
        true
    }

    pub(super) fn stop_waiting(&mut self, workload: &WorkloadId) {
        self.waiting.remove(workload);
    }

    /// Whether that is news. What was taken outside the network must be placed elsewhere.
    pub(super) fn subnet_known(&mut self, index: u16, cidr: Ipv4Net, now: Time) -> bool {
        let subnet = self.subnets.entry(index).or_default();
        if subnet.cidr == Some(cidr) {
            return false;
        }
        subnet.cidr = Some(cidr);
        subnet.asked = true;
        if !subnet.in_use() {
            subnet.empty_since.get_or_insert(now);
        }
        true
    }

    pub(super) fn is_stray(&self, index: u16, address: Ipv4Addr) -> bool {
        let cidr = self.subnets.get(&index).and_then(|s| s.cidr);
        cidr.is_some_and(|cidr| {
            let (first, last) = addresses(cidr);
            !(first..=last).contains(&u32::from(address))
        })
    }

    /// Those who wait and now have room; the first so many by key.
    pub(super) fn may_go(&mut self, now: Time) -> Vec<WorkloadId> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let room = self.subnets.values_mut().map(|s| s.room(now)).sum();
        self.waiting.iter().take(room).cloned().collect()
    }

    /// The subnet is gone; if that was not meant, it is made again, perhaps elsewhere.
    pub(super) fn subnet_gone(&mut self, index: u16) {
        if let Some(subnet) = self.subnets.get_mut(&index) {
            subnet.cidr = None;
            subnet.asked &= self.active;
        }
    }

    /// The project's network is gone but for subnets that still stand.
    pub(super) fn deactivate(&mut self) {
        self.active = false;
        for subnet in self.subnets.values_mut().filter(|s| s.cidr.is_none()) {
            subnet.asked = false;
        }
    }

    /// Whether nothing is known of it any more, not even what rests.
    pub(super) fn is_forgotten(&mut self, now: Time) -> bool {
        if self.active {
            return false;
        }
        self.subnets
            .retain(|_, s| s.cidr.is_some() || s.taken.occupied(now) > 0);
        self.subnets.is_empty() && self.waiting.is_empty()
    }

    /// Gives up subnets that have been empty for long enough, while another one has room.
    pub(super) fn give_up(&mut self, now: Time, settings: &Settings) -> Vec<u16> {
        let mut given = Vec::new();
        if !self.waiting.is_empty() {
            return given;
        }
        let mut roomy = self
            .subnets
            .values_mut()
            .filter_map(|s| (s.wanted() && s.room(now) > 0).then_some(()))
            .count();
        for (index, subnet) in self.subnets.iter_mut().rev() {
            let since = subnet.empty_since.filter(|_| subnet.wanted() && !subnet.in_use());
            let empty = since.is_some_and(|since| now.since(since) >= settings.subnet_hold);
            let others = roomy - usize::from(subnet.wanted() && subnet.room(now) > 0);
            if empty && others > 0 && subnet.taken.occupied(now) == 0 {
                subnet.asked = false;
                roomy = others;
                given.push(*index);
            }
        }
        given
    }

    /// Forgets all but what rests: another leader may have changed everything meanwhile.
    pub(super) fn restart(&mut self, now: Time, settings: &Settings) {
        self.active = false;
        self.waiting.clear();
        for subnet in self.subnets.values_mut() {
            subnet.cidr = None;
            subnet.asked = false;
            subnet.empty_since = None;
            subnet.taken.rest_all(now + settings.address_hold);
        }
    }
}
