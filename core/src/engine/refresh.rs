//! From dirty keys to wanted rows.

use std::collections::BTreeSet;

use super::{Engine, TIDY};
use crate::choices::{EgressState, Lack};
use crate::code::Code;
use crate::compile::{Compiled, HELD_GROUP, compile, platform_rules, project_keys, push_all_keys};
use crate::dialect::{Dialect, Failure};
use crate::id::{GroupId, ProjectId, WorkloadId};
use crate::intent::{EgressAddress, EgressOwner};
use crate::planner::Source;
use crate::time::Time;
use crate::topology::{ObjectKey, PlatformSection, SectionKey};

impl<D: Dialect> Engine<D> {
    /// Compiles what is dirty until nothing is. Nothing is chosen before everything that stands has
    /// been looked at, or values in use would be given out again.
    pub(super) fn refresh(&mut self, now: Time) {
        if !self.planner.inventory_complete() {
            return;
        }
        if std::mem::take(&mut self.everything) {
            self.touch_everything();
        }
        if self.gates_moved {
            self.touch_unnamed_projects();
        }
        loop {
            self.take_news(now);
            if self.dirty.is_empty() {
                break;
            }
            let mut keys = std::mem::take(&mut self.dirty);
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                self.refresh_key(&key, now);
            }
        }
        let moved = self
            .brake
            .update(self.planner.counts(), &self.index, &self.settings, now);
        let view = view!(self);
        if std::mem::take(&mut self.gates_moved) || moved {
            self.planner.open_gates(&view);
        }
        self.planner.ring(now, &view);
    }

    fn refresh_key(&mut self, key: &ObjectKey, now: Time) {
        match key {
            ObjectKey::Router(project) => self.refresh_project(project),
            ObjectKey::Port(workload) => {
                self.place(workload, now);
                self.compile_key(key);
            }
            ObjectKey::Address(address) => {
                self.linger(address, now);
                self.admit(address);
                self.compile_key(key);
            }
            _ => self.compile_key(key),
        }
    }

    /// Everything that hangs on a project's name, egress, subnets and being wanted.
    fn refresh_project(&mut self, project: &ProjectId) {
        let wanted = self.index.derived().project_in_use(project)
            || self.index.project(project).is_some_and(|p| p.eager);
        if wanted {
            self.choices.activate(project);
        }
        let cx = self.context();
        let subnets: Vec<u16> = cx
            .choices
            .project(project)
            .into_iter()
            .flat_map(|c| c.subnets())
            .map(|(n, _)| n)
            .collect();
        for key in project_keys(project, subnets.into_iter(), cx) {
            self.compile_key(&key);
        }
    }

    fn place(&mut self, id: &WorkloadId, now: Time) {
        let Some(workload) = self.index.workload(id) else {
            self.choices.stop_waiting(id);
            return;
        };
        let project = workload.project.clone();
        let fresh = self.choices.activate(&project);
        let placing = self.choices.place(workload, now, &self.settings);
        if fresh || placing.subnets {
            self.refresh_project(&project);
        }
        if placing.placed {
            self.touch_placed(id);
        }
        if placing.lack == Some(Lack::Vlan) {
            let failure = Failure::new(Code::VlanExhausted, format!("{id}: its machine has no free VLAN"));
            self.refused.insert(ObjectKey::Port(id.clone()), failure);
        }
    }

    /// An app's address outlives its last workload for a while, so that a restart keeps it.
    fn linger(&mut self, address: &EgressAddress, now: Time) {
        let used = self.index.derived().egress_users(address).next().is_some();
        let ready = matches!(self.choices.egress(address), EgressState::Ready(_));
        if used {
            self.choices.stop_lingering(address);
        } else if ready
            && matches!(address.owner, EgressOwner::Group(..))
            && self.choices.linger(address, now + self.settings.egress_hold)
        {
            self.dirty.extend(address.pool.clone().map(ObjectKey::Pool));
        }
    }

    /// Whether an object is left as it stands, since what it is to be can't be said now.
    pub fn keeps(&self, key: &ObjectKey) -> bool {
        let view = view!(self);
        view.unsaid(key) || (view.unsure(key) && self.stands_for(key))
    }

    fn stands_for(&self, key: &ObjectKey) -> bool {
        match key {
            // A project's traffic that is translated already needs no other address on a guess.
            ObjectKey::Address(address) if let EgressOwner::Project(p) = &address.owner => {
                let nat = ObjectKey::SubnetNat(p.clone(), 0);
                [key, &nat].iter().any(|key| self.planner.may_stand(key))
            }
            _ => self.planner.may_stand(key),
        }
    }

    /// Applies the caps to an app's address; one given up lets others in.
    fn admit(&mut self, address: &EgressAddress) {
        let used = self.index.derived().egress_users(address).next().is_some();
        if used && self.settings.translate {
            if self.choices.admit(address, self.settings.egress_caps) {
                self.touch_users(address);
            }
        } else if !matches!(self.choices.egress(address), EgressState::Ready(_)) {
            let others = self.choices.dismiss(address);
            self.dirty
                .extend(others.into_iter().map(|a| ObjectKey::Address(Box::new(a))));
        }
    }

    pub(super) fn compile_key(&mut self, key: &ObjectKey) {
        let cx = self.context();
        let rows = match compile(key, cx) {
            Compiled::Absent => Ok(Vec::new()),
            Compiled::Object(object) => {
                if view!(self).unsure(key) && self.stands_for(key) {
                    return;
                }
                self.dialect.render(&object)
            }
            Compiled::Waits(_) => return,
        };
        let rows = match rows {
            Ok(rows) => rows,
            Err(failure) => {
                // What stands, stands; the change is held back and reported.
                self.refused.insert(key.clone(), failure);
                return;
            }
        };
        self.refused.remove(key);
        let view = view!(self);
        self.planner.want(key, rows, &view);
        if let ObjectKey::Port(workload) = key
            && self.index.workload(workload).is_none()
            && self.planner.stands_nowhere(key)
            && let Some(choice) = self.choices.release(workload, self.clock, &self.settings)
        {
            self.freed(&choice);
        }
    }

    /// All that may be wanted, and all that was: a leadership begins.
    fn touch_everything(&mut self) {
        self.touch_platform();
        let members = self.dialect.members_are_rows();
        let mut dirty = std::mem::take(&mut self.dirty);
        push_all_keys(self.context(), members, &mut dirty);
        self.dirty = dirty;
        let projects = self.index.projects().map(|p| &p.id);
        let used = self.index.workloads().map(|w| &w.project);
        let projects: BTreeSet<&ProjectId> = projects.chain(used).collect();
        self.dirty
            .extend(projects.into_iter().cloned().map(ObjectKey::Router));
        self.dirty.extend(self.planner.wanted_objects().cloned());
    }

    /// Whether a project that no source names is deleted or just not listed yet depends on trust.
    fn touch_unnamed_projects(&mut self) {
        let made = self.choices.projects().map(|(project, _)| project);
        let unnamed = made.filter(|p| self.index.project(p).is_none());
        self.dirty.extend(unnamed.cloned().map(ObjectKey::Router));
    }

    /// The platform's own sections, which hang on nothing but settings.
    pub(super) fn touch_platform(&mut self) {
        for which in [PlatformSection::Hold, PlatformSection::Allow] {
            let section = SectionKey::Platform(which);
            let rules = platform_rules(which, &self.settings);
            self.dirty
                .extend(rules.iter().map(|r| ObjectKey::Rule(section.clone(), r.digest())));
            self.dirty.push(ObjectKey::Section(section));
        }
        self.dirty.push(ObjectKey::Group(GroupId::new(HELD_GROUP)));
    }

    /// What is due by time alone: empty subnets, lingering addresses, the next look for drift.
    pub(super) fn tidy(&mut self, now: Time) {
        self.clock = now;
        if now >= self.next_drift {
            self.next_drift = now + self.settings.drift_interval;
            self.planner.begin_drift(now);
        }
        if now < self.next_tidy {
            return;
        }
        self.next_tidy = now + TIDY;
        for (project, _) in self.choices.give_up_subnets(now, &self.settings) {
            self.dirty.push(ObjectKey::Router(project));
        }
        for address in self.choices.lingered(now) {
            self.dirty.extend(address.pool.clone().map(ObjectKey::Pool));
            self.dirty.push(ObjectKey::address(address));
        }
        let waiting = self.choices.may_be_placed(now).into_iter();
        self.dirty.extend(waiting.map(ObjectKey::Port));
    }
}
