//! What follows from the facts and is kept up to date with them: counts and reverse lookups, so that a
//! change touches only the keys it must.

use std::cmp::Ordering;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::Dirty;
use crate::compile::{HELD_GROUP, project_address};
use crate::digest::Digest;
use crate::id::{GroupId, NodeId, PoolName, ProjectId, WorkloadId};
use crate::intent::{
    AppliedTo, EgressAddress, Peers, Policy, Project, ProjectEgress, Rule, Workload, WorkloadEgress,
};
use crate::topology::{ObjectKey, SectionKey};

/// A policy with its rules keyed by digest.
#[derive(Debug)]
pub struct PolicyEntry {
    /// The policy.
    pub policy: Policy,
    /// Each rule under the digest of its meaning; sorted, without repeats.
    rules: Box<[(Digest, Arc<Rule>)]>,
}

impl PolicyEntry {
    pub(super) fn new(policy: Policy) -> PolicyEntry {
        let rules = policy.rules.iter();
        let mut rules: Vec<_> = rules
            .map(|rule| (rule.digest(), Arc::new(rule.clone())))
            .collect();
        rules.sort_unstable_by_key(|(digest, _)| *digest);
        rules.dedup_by_key(|(digest, _)| *digest);
        PolicyEntry {
            policy,
            rules: rules.into(),
        }
    }

    /// The rule of this digest.
    pub fn rule(&self, digest: Digest) -> Option<&Arc<Rule>> {
        let at = self.rules.binary_search_by_key(&digest, |(d, _)| *d).ok()?;
        Some(&self.rules[at].1)
    }

    /// The digests of the rules, in order.
    pub fn digests(&self) -> impl Iterator<Item = Digest> + '_ {
        self.rules.iter().map(|(d, _)| *d)
    }

    /// The groups that the policy's rules name as peers; sorted, without repeats.
    fn peers(&self) -> Vec<&GroupId> {
        let peers = self.policy.rules.iter().filter_map(|rule| match &rule.peers {
            Peers::Groups(groups) => Some(groups.iter()),
            _ => None,
        });
        let mut groups: Vec<&GroupId> = peers.flatten().collect();
        groups.sort();
        groups.dedup();
        groups
    }

    /// The groups in the policy's union, in order; a policy applied to one group has none.
    fn union(&self) -> impl Iterator<Item = &GroupId> {
        let groups = match &self.policy.applied_to {
            AppliedTo::Groups(groups) => Some(groups.iter()),
            AppliedTo::Group(_) => None,
        };
        groups.into_iter().flatten()
    }

    /// The one group that the policy is applied to, if it is one.
    fn single(&self) -> Option<&GroupId> {
        match &self.policy.applied_to {
            AppliedTo::Group(group) => Some(group),
            AppliedTo::Groups(_) => None,
        }
    }
}

/// Counts and reverse lookups.
#[derive(Debug, Default)]
pub struct Derived {
    by_project: FxHashMap<ProjectId, FxHashSet<WorkloadId>>,
    node_load: FxHashMap<NodeId, u32>,
    group_uses: FxHashMap<GroupId, u32>,
    egress: FxHashMap<EgressAddress, FxHashSet<WorkloadId>>,
    pools: FxHashMap<PoolName, u32>,
    members: Option<FxHashMap<GroupId, FxHashSet<WorkloadId>>>,
}

impl Derived {
    pub(super) fn new(keep_members: bool) -> Derived {
        Derived {
            members: keep_members.then(FxHashMap::default),
            ..Derived::default()
        }
    }

    pub(super) fn node_load(&self, node: &NodeId) -> u32 {
        self.node_load.get(node).copied().unwrap_or(0)
    }

    pub(super) fn project_workloads(&self, project: &ProjectId) -> impl Iterator<Item = &WorkloadId> {
        self.by_project.get(project).into_iter().flatten()
    }

    pub(super) fn group_used(&self, group: &GroupId) -> bool {
        self.group_uses.contains_key(group)
    }

    /// Whether a tenant has a container.
    pub fn project_in_use(&self, project: &ProjectId) -> bool {
        self.by_project.contains_key(project)
    }

    /// The containers that share a translated address.
    pub fn egress_users(&self, address: &EgressAddress) -> impl Iterator<Item = &WorkloadId> {
        self.egress.get(address).into_iter().flatten()
    }

    /// The translated addresses that containers ask for.
    pub fn egress_addresses(&self) -> impl Iterator<Item = &EgressAddress> {
        self.egress.keys()
    }

    /// The pools that containers and tenants name.
    pub fn pools(&self) -> impl Iterator<Item = &PoolName> {
        self.pools.keys()
    }

    /// Whether a container or tenant names the pool.
    pub fn pool_used(&self, pool: &PoolName) -> bool {
        self.pools.contains_key(pool)
    }

    /// The machines that run containers.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeId> {
        self.node_load.keys()
    }

    /// The groups that policies refer to.
    pub fn groups(&self) -> impl Iterator<Item = &GroupId> {
        self.group_uses.keys()
    }

    /// Members of a group, where they are kept.
    pub fn members(&self, group: &GroupId) -> impl Iterator<Item = &WorkloadId> {
        self.members.iter().filter_map(|m| m.get(group)).flatten()
    }

    pub(super) fn workload_changed(
        &mut self,
        old: Option<&Workload>,
        new: Option<&Workload>,
        dirty: &mut Dirty,
    ) {
        for workload in [old, new].into_iter().flatten() {
            self.touch_workload(workload, dirty);
        }
        if let Some(new) = new {
            self.count(new, dirty);
        }
        if let Some(old) = old {
            let same_project = new.is_some_and(|n| n.project == old.project);
            self.discount(old, same_project, new, dirty);
        }
    }

    fn touch_workload(&self, workload: &Workload, dirty: &mut Dirty) {
        dirty.push(ObjectKey::Port(workload.id.clone()));
        if workload.egress != WorkloadEgress::Project {
            dirty.push(ObjectKey::WorkloadNat(workload.id.clone()));
        }
        if self.members.is_some() {
            let member = |g: &GroupId| ObjectKey::Member(g.clone(), workload.id.clone());
            dirty.extend(workload.groups.iter().filter(|g| self.group_used(g)).map(member));
            if workload.egress != WorkloadEgress::Project {
                dirty.push(member(&GroupId::new(HELD_GROUP)));
            }
        }
    }

    fn count(&mut self, w: &Workload, dirty: &mut Dirty) {
        let members = self.by_project.entry(w.project.clone()).or_default();
        if members.is_empty() {
            dirty.push(ObjectKey::Router(w.project.clone()));
        }
        members.insert(w.id.clone());
        *self.node_load.entry(w.node.clone()).or_insert_with(|| {
            dirty.push(ObjectKey::Node(w.node.clone()));
            0
        }) += 1;
        if let WorkloadEgress::Own(address) = &w.egress {
            let users = self.egress.entry(address.clone()).or_default();
            if users.is_empty() {
                dirty.push(ObjectKey::address(address.clone()));
            }
            users.insert(w.id.clone());
            if let Some(pool) = &address.pool {
                self.count_pool(pool, dirty);
            }
        }
        if let Some(members) = &mut self.members {
            for group in &w.groups {
                members.entry(group.clone()).or_default().insert(w.id.clone());
            }
        }
    }

    fn count_pool(&mut self, pool: &PoolName, dirty: &mut Dirty) {
        *self.pools.entry(pool.clone()).or_insert_with(|| {
            dirty.push(ObjectKey::Pool(pool.clone()));
            0
        }) += 1;
    }

    pub(super) fn project_changed(
        &mut self,
        old: Option<&Project>,
        new: Option<&Project>,
        dirty: &mut Dirty,
    ) {
        if let Some(ProjectEgress::Pool(pool)) = new.map(|p| &p.egress) {
            self.count_pool(pool, dirty);
        }
        if let Some(ProjectEgress::Pool(pool)) = old.map(|p| &p.egress)
            && release(&mut self.pools, pool)
        {
            dirty.push(ObjectKey::Pool(pool.clone()));
        }
        let Some(Project { id, .. }) = new.or(old) else {
            return;
        };
        dirty.push(ObjectKey::Router(id.clone()));
        for side in [old, new] {
            // A tenant that no source names has the default.
            let egress = side.map(|p| p.egress.clone()).unwrap_or_default();
            dirty.extend(project_address(id, &egress).map(ObjectKey::address));
        }
    }

    fn discount(&mut self, w: &Workload, same_project: bool, new: Option<&Workload>, dirty: &mut Dirty) {
        if !same_project && let Some(members) = self.by_project.get_mut(&w.project) {
            members.remove(&w.id);
            if members.is_empty() {
                self.by_project.remove(&w.project);
                dirty.push(ObjectKey::Router(w.project.clone()));
            }
        }
        if release(&mut self.node_load, &w.node) {
            dirty.push(ObjectKey::Node(w.node.clone()));
        }
        if let WorkloadEgress::Own(address) = &w.egress {
            let kept = new.is_some_and(|n| n.egress == w.egress);
            if !kept && let Some(users) = self.egress.get_mut(address) {
                users.remove(&w.id);
                if users.is_empty() {
                    self.egress.remove(address);
                    dirty.push(ObjectKey::address(address.clone()));
                }
            }
            if let Some(pool) = &address.pool
                && release(&mut self.pools, pool)
            {
                dirty.push(ObjectKey::Pool(pool.clone()));
            }
        }
        if let Some(members) = &mut self.members {
            for group in w
                .groups
                .iter()
                .filter(|g| !new.is_some_and(|n| n.groups.contains(g)))
            {
                if let Some(set) = members.get_mut(group) {
                    set.remove(&w.id);
                    if set.is_empty() {
                        members.remove(group);
                    }
                }
            }
        }
    }

    pub(super) fn policy_changed<'a>(
        &mut self,
        old: Option<&'a PolicyEntry>,
        new: Option<&'a PolicyEntry>,
        dirty: &mut Dirty,
    ) {
        let Some(any) = new.or(old) else { return };
        let from = dirty.len();
        let id = &any.policy.id;
        let section = SectionKey::Policy(id.clone());
        dirty.push(ObjectKey::Section(section.clone()));
        let sides = || [old, new].into_iter().flatten();
        if !sides().all(|e| e.single().is_some()) {
            dirty.push(ObjectKey::Union(id.clone()));
        }
        let digests = |e: Option<&'a PolicyEntry>| e.into_iter().flat_map(PolicyEntry::digests);
        let (gone, come) = differences(digests(old), digests(new));
        let same_rules = gone.is_empty() && come.is_empty();
        let rule = |digest| ObjectKey::Rule(section.clone(), digest);
        dirty.extend(gone.into_iter().chain(come).map(rule));
        let union = |e: Option<&'a PolicyEntry>| e.into_iter().flat_map(PolicyEntry::union);
        let (mut gone, mut come) = differences(union(old), union(new));
        let member = |group: &&GroupId| ObjectKey::UnionMember(id.clone(), (*group).clone());
        dirty.extend(gone.iter().chain(&come).map(member));
        // A use is counted for each of the ways in which a policy refers to a group.
        come.extend(new.and_then(PolicyEntry::single));
        gone.extend(old.and_then(PolicyEntry::single));
        if !same_rules {
            come.extend(new.iter().flat_map(|e| e.peers()));
            gone.extend(old.iter().flat_map(|e| e.peers()));
        }
        for group in come {
            *self.group_uses.entry(group.clone()).or_insert_with(|| {
                dirty.push(ObjectKey::Group(group.clone()));
                0
            }) += 1;
        }
        for group in gone {
            if release(&mut self.group_uses, group) {
                dirty.push(ObjectKey::Group(group.clone()));
            }
        }
        self.touch_members(from, dirty);
    }

    /// A group that came into use gets its members, one that went out of use loses them.
    fn touch_members(&self, from: usize, dirty: &mut Dirty) {
        let Some(members) = &self.members else { return };
        let mut more = Vec::new();
        for key in &dirty[from..] {
            if let ObjectKey::Group(group) = key {
                let of = members.get(group).into_iter().flatten();
                more.extend(of.map(|w| ObjectKey::Member(group.clone(), w.clone())));
            }
        }
        dirty.append(&mut more);
    }
}

/// What is only in `old`, and what is only in `new`, of two sorted sequences without repeats.
fn differences<T: Ord>(old: impl Iterator<Item = T>, new: impl Iterator<Item = T>) -> (Vec<T>, Vec<T>) {
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    let (mut old, mut new) = (old.peekable(), new.peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (Some(a), Some(b)) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return (gone, come),
        };
        let (left, right) = (
            old.next_if(|_| order != Ordering::Greater),
            new.next_if(|_| order != Ordering::Less),
        );
        match order {
            Ordering::Less => gone.extend(left),
            Ordering::Greater => come.extend(right),
            Ordering::Equal => {}
        }
    }
}

/// Counts one less; `true` if that was the last.
fn release<K: std::hash::Hash + Eq>(counts: &mut FxHashMap<K, u32>, key: &K) -> bool {
    let Some(count) = counts.get_mut(key) else {
        return false;
    };
    *count -= 1;
    if *count == 0 {
        counts.remove(key);
        return true;
    }
    false
}
