//! How many addresses of their own apps may hold.
//!
//! A pool may be named for every app at once (Cloud Foundry's running environment variable group), and
//! one address each would empty it. What an app holds it keeps: caps are applied where what stands is
//! known, so that a restart takes nothing away, and among newcomers in order of their keys.

use std::collections::{BTreeMap, BTreeSet};

use super::{Choices, EgressState};
use crate::id::{PoolName, ProjectId};
use crate::intent::{EgressAddress, EgressOwner};
use crate::settings::EgressCaps;

/// Addresses of apps, against the caps.
#[derive(Debug, Default)]
pub(super) struct Admission {
    admitted: BTreeSet<EgressAddress>,
    over: BTreeSet<EgressAddress>,
    /// How many of the admitted count for each.
    held: BTreeMap<Capped, usize>,
}

impl Admission {
    fn enter(&mut self, address: &EgressAddress) {
        self.over.remove(address);
        if self.admitted.insert(address.clone()) {
            for capped in capped(address) {
                *self.held.entry(capped).or_default() += 1;
            }
        }
    }

    /// `true` if it had been admitted.
    fn leave(&mut self, address: &EgressAddress) -> bool {
        let was = self.admitted.remove(address);
        for capped in capped(address).into_iter().filter(|_| was) {
            if let Some(held) = self.held.get_mut(&capped) {
                *held -= 1;
            }
        }
        self.held.retain(|_, held| *held > 0);
        was
    }

    fn is_full(&self, address: &EgressAddress, caps: EgressCaps) -> bool {
        let held = |capped: &Capped| self.held.get(capped).copied().unwrap_or(0);
        let full = |capped: &Capped| cap_of(capped, caps).is_some_and(|cap| held(capped) >= cap);
        capped(address).iter().any(full)
    }
}

/// What a cap is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capped {
    /// Addresses of one pool; `None` for the default pools.
    Pool(Option<PoolName>),
    /// Addresses of one project's apps.
    Project(ProjectId),
}

/// A cap of which much is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// What it is about.
    pub capped: Capped,
    /// How many addresses are held.
    pub held: usize,
    /// How many may be.
    pub cap: usize,
}

impl Load {
    /// Whether an operator is to be told: from 80 % on.
    pub fn alarms(&self) -> bool {
        self.held * 100 >= self.cap * 80
    }
}

/// What an app's address counts for; nothing, for a project's.
fn capped(address: &EgressAddress) -> Vec<Capped> {
    match &address.owner {
        EgressOwner::Group(project, _) => {
            vec![
                Capped::Pool(address.pool.clone()),
                Capped::Project(project.clone()),
            ]
        }
        EgressOwner::Project(_) => Vec::new(),
    }
}

fn cap_of(capped: &Capped, caps: EgressCaps) -> Option<usize> {
    match capped {
        Capped::Pool(_) => caps.per_pool,
        Capped::Project(_) => caps.per_project,
    }
}

impl Choices {
    /// Lets an app ask for an address, if there is room; `true` if it can't, and that is news.
    pub fn admit(&mut self, address: &EgressAddress, caps: EgressCaps) -> bool {
        if self.caps.admitted.contains(address) {
            return false;
        }
        if !self.caps.is_full(address, caps) {
            self.keep(address);
            return false;
        }
        self.set_egress(address, EgressState::Refused);
        self.caps.over.insert(address.clone())
    }

    /// An app's address stands, or may: it counts from now on.
    pub fn keep(&mut self, address: &EgressAddress) {
        if matches!(address.owner, EgressOwner::Group(..)) {
            self.caps.enter(address);
        }
    }

    /// Nobody asks for the address any more, and it doesn't stand: those who may now have room.
    pub fn dismiss(&mut self, address: &EgressAddress) -> Vec<EgressAddress> {
        if self.caps.over.remove(address) {
            self.set_egress(address, EgressState::Pending);
        }
        if self.caps.leave(address) {
            return self.caps.over.iter().cloned().collect();
        }
        Vec::new()
    }

    /// Whether a cap keeps the app from the address.
    pub fn is_over_cap(&self, address: &EgressAddress) -> bool {
        self.caps.over.contains(address)
    }

    /// The addresses that caps keep apps from, in order.
    pub fn over_cap(&self) -> impl Iterator<Item = &EgressAddress> {
        self.caps.over.iter()
    }

    /// How full each cap is, in order.
    pub fn cap_loads(&self, caps: EgressCaps) -> Vec<Load> {
        let load = |(capped, held): (&Capped, &usize)| {
            Some(Load {
                capped: capped.clone(),
                held: *held,
                cap: cap_of(capped, caps)?,
            })
        };
        self.caps.held.iter().filter_map(load).collect()
    }
}
