//! From what the far end said to choices and dirty keys.

use super::Engine;
use super::source::named_by_project;
use crate::choices::{EgressState, PortChoice};
use crate::compile::{HELD_GROUP, default_denies, isolation_digest};
use crate::dialect::{Attributes, Dialect, Failure, RowKey};
use crate::id::{GroupId, NodeId, ProjectId, WorkloadId};
use crate::intent::EgressAddress;
use crate::planner::News;
use crate::time::Time;
use crate::topology::{ObjectKey, SectionKey};

impl<D: Dialect> Engine<D> {
    pub(super) fn take_news(&mut self, now: Time) {
        let mut all = Vec::new();
        while let Some(news) = self.planner.next_news() {
            all.push(news);
        }
        // Subnets before the ports in them; keys give one order for one input.
        all.sort_by_cached_key(rank);
        for news in all {
            match news {
                News::Stands(key, attributes) => self.stands(&key, attributes, now),
                News::Gone(key) => self.gone(&key.object, now),
                News::Refused(key, failure) => self.was_refused(&key.object, &failure),
            }
        }
    }

    fn stands(&mut self, key: &RowKey<D::Part>, attributes: Attributes, now: Time) {
        match &key.object {
            ObjectKey::Router(project) if self.choices.activate(project) => {
                self.dirty.push(ObjectKey::Router(project.clone()));
            }
            ObjectKey::Subnet(project, n) => {
                if let Some(cidr) = attributes.cidr
                    && let Some(ports) = self.choices.subnet_known(project, *n, cidr, now, &self.settings)
                {
                    self.touch_subnet(project, *n);
                    self.dirty.extend(ports.into_iter().map(ObjectKey::Port));
                }
            }
            ObjectKey::Address(address) => {
                self.choices.keep(address);
                if let Some(ip) = attributes.address
                    && self.choices.set_egress(address, EgressState::Ready(ip))
                {
                    self.touch_users(address);
                    self.dirty.push(key.object.clone());
                }
            }
            ObjectKey::Port(workload) => self.restore(key, workload, attributes, now),
            _ => {}
        }
    }

    /// A port that stands keeps its place.
    fn restore(&mut self, key: &RowKey<D::Part>, workload: &WorkloadId, attributes: Attributes, now: Time) {
        let refs = self.planner.refs_of(key);
        let switch = refs.iter().find_map(|r| match &r.object {
            ObjectKey::Switch(p, n) => Some((p.clone(), *n)),
            _ => None,
        });
        let node = refs.iter().find_map(|r| match &r.object {
            ObjectKey::Node(n) => Some(n.clone()),
            _ => None,
        });
        let node = node.or_else(|| self.index.workload(workload).map(|w| w.node.clone()));
        let (Some((project, switch)), Some(vlan), Some(address)) =
            (switch, attributes.vlan, attributes.address)
        else {
            return self.dirty.push(key.object.clone());
        };
        let choice = PortChoice {
            node: node.unwrap_or_else(|| NodeId::new("")),
            project,
            switch,
            vlan,
            address,
        };
        let as_chosen = self.choices.port(workload) == Some(&choice);
        self.choices.restore(workload, choice, now, &self.settings);
        if !as_chosen {
            self.dirty.push(key.object.clone());
            self.touch_placed(workload);
        }
    }

    /// What hangs on a workload's place besides its port.
    pub(super) fn touch_placed(&mut self, workload: &WorkloadId) {
        self.dirty.push(ObjectKey::WorkloadNat(workload.clone()));
        if self.dialect.members_are_rows() {
            let groups = self.context().groups_of(workload);
            let member = |g| ObjectKey::Member(g, workload.clone());
            self.dirty.extend(groups.into_iter().map(member));
        }
    }

    /// A port's place is free: the last one of a subnet lets its default denies go.
    pub(super) fn freed(&mut self, choice: &PortChoice) {
        let project = self.choices.project(&choice.project);
        let subnet = project.and_then(|p| p.subnet(choice.switch));
        if subnet.is_some_and(|s| !s.in_use()) {
            self.touch_subnet(&choice.project.clone(), choice.switch);
        }
    }

    fn touch_subnet(&mut self, project: &ProjectId, n: u16) {
        self.dirty.push(ObjectKey::Subnet(project.clone(), n));
        self.dirty.push(ObjectKey::Switch(project.clone(), n));
        self.dirty.push(ObjectKey::SubnetNat(project.clone(), n));
        let isolation = SectionKey::Isolation(project.clone());
        let denies = default_denies(&self.settings);
        self.dirty.extend(
            denies
                .iter()
                .map(|r| ObjectKey::Rule(isolation.clone(), isolation_digest(n, r))),
        );
        self.dirty.push(ObjectKey::Section(isolation));
    }

    pub(super) fn touch_users(&mut self, address: &EgressAddress) {
        let users: Vec<WorkloadId> = self.index.derived().egress_users(address).cloned().collect();
        for user in users {
            self.touch_placed(&user);
            if self.dialect.members_are_rows() {
                let held = GroupId::new(HELD_GROUP);
                self.dirty.push(ObjectKey::Member(held, user.clone()));
            }
            self.dirty.push(ObjectKey::Port(user));
        }
    }

    fn gone(&mut self, key: &ObjectKey, now: Time) {
        if let Some(project) = named_by_project(key) {
            // What was kept on a guess need not be any longer.
            self.dirty.push(ObjectKey::Router(project.clone()));
        }
        match key {
            ObjectKey::Port(workload) if self.index.workload(workload).is_none() => {
                if let Some(choice) = self.choices.release(workload, now, &self.settings) {
                    self.freed(&choice);
                }
            }
            ObjectKey::Subnet(project, n) => {
                self.choices.subnet_gone(project, *n);
                self.touch_subnet(project, *n);
            }
            ObjectKey::Router(project) if !self.context().project_wanted(project) => {
                self.choices.deactivate(project);
            }
            ObjectKey::Address(address) => {
                self.choices.stop_lingering(address);
                if self.choices.set_egress(address, EgressState::Pending) {
                    self.touch_users(address);
                }
                self.dirty.push(key.clone());
            }
            _ => {}
        }
    }

    fn was_refused(&mut self, key: &ObjectKey, _failure: &Failure) {
        let refused: Vec<EgressAddress> = match key {
            ObjectKey::Address(address) => vec![(**address).clone()],
            ObjectKey::Pool(pool) => {
                let named = |a: &&EgressAddress| a.pool.as_ref() == Some(pool);
                self.index
                    .derived()
                    .egress_addresses()
                    .filter(named)
                    .cloned()
                    .collect()
            }
            _ => return,
        };
        for address in refused {
            // One that is held stays as it is: only the change is held back.
            if self.choices.egress(&address) == EgressState::Pending
                && self.choices.set_egress(&address, EgressState::Refused)
            {
                self.touch_users(&address);
            }
        }
    }
}

fn rank<P: Ord + Clone>(news: &News<P>) -> (u8, RowKey<P>) {
    let key = match news {
        News::Stands(key, _) | News::Gone(key) | News::Refused(key, _) => key.clone(),
    };
    let order = match key.object {
        ObjectKey::Router(_) => 0,
        ObjectKey::Subnet(..) => 1,
        ObjectKey::Port(_) => 3,
        _ => 2,
    };
    (order, key)
}
