//! The index: what the platform says now, and which topology keys a change of that touches.
//!
//! An event changes the index and marks keys dirty, nothing else. Values that are equal dirty nothing.
//! Listings are mark and sweep ([`scopes`]); a container's record outlives its removal until the
//! container itself is known to be gone ([`departure`]).

mod departure;
mod derived;
mod scopes;

#[cfg(test)]
mod tests;

use rustc_hash::FxHashMap;

use crate::event::Event;
use crate::id::{GroupId, NodeId, PolicyId, ProjectId, WorkloadId};
use crate::intent::{Defect, Fact, FactKey, Node, Origin, Project, Workload};
use crate::settings::Settings;
use crate::time::Time;
use crate::topology::ObjectKey;

pub use departure::Departing;
pub use derived::PolicyEntry;
pub use scopes::{ScopeId, ScopeStatus};

use derived::Derived;
use scopes::Scopes;

/// Keys to compile again. Order and repeats don't matter: whoever drains it sorts.
pub type Dirty = Vec<ObjectKey>;

/// What the platform says now.
#[derive(Debug, Default)]
pub struct Index {
    nodes: FxHashMap<NodeId, Held<Node>>,
    projects: FxHashMap<ProjectId, Held<Project>>,
    workloads: FxHashMap<WorkloadId, Held<WorkloadEntry>>,
    policies: FxHashMap<PolicyId, Held<PolicyEntry>>,
    reports: FxHashMap<Origin, Vec<Defect>>,
    scopes: Scopes,
    derived: Derived,
}

#[derive(Debug)]
struct Held<T> {
    value: T,
    scope: ScopeId,
    mark: u64,
}

#[derive(Debug)]
struct WorkloadEntry {
    workload: Workload,
    departing: Option<Departing>,
    /// The node has said that the container is gone.
    departed: bool,
}

impl Index {
    /// An index that also keeps each group's members, if the backend's groups list them.
    pub fn new(keep_members: bool) -> Index {
        Index {
            derived: Derived::new(keep_members),
            ..Index::default()
        }
    }

    /// Takes one event in; pushes the keys it touches.
    pub fn feed(&mut self, event: Event, now: Time, settings: &Settings, dirty: &mut Dirty) {
        match event {
            Event::Begin { scope, generation } => self.scopes.begin(scope, generation),
            Event::Upsert { scope, fact } => {
                let id = self.scopes.id(&scope);
                let mark = self.scopes.mark(id);
                self.upsert(id, mark, fact, dirty);
            }
            Event::Remove { scope, key } => {
                let id = self.scopes.id(&scope);
                self.remove(id, &key, now, settings, dirty);
            }
            Event::End { scope, generation } => self.end(&scope, generation, now, settings, dirty),
            Event::Trust { scope, trusted } => {
                let id = self.scopes.id(&scope);
                self.scopes.trust(id, trusted);
            }
            Event::Departed { workload } => self.departed(&workload, dirty),
            Event::Report { origin, defects } => {
                if defects.is_empty() {
                    self.reports.remove(&origin);
                } else {
                    self.reports.insert(origin, defects);
                }
            }
        }
    }

    /// The tenant, if a source named it.
    pub fn project(&self, id: &ProjectId) -> Option<&Project> {
        self.projects.get(id).map(|h| &h.value)
    }

    /// The container, until it is gone.
    pub fn workload(&self, id: &WorkloadId) -> Option<&Workload> {
        self.workloads.get(id).map(|h| &h.value.workload)
    }

    /// The policy, with its rules keyed.
    pub fn policy(&self, id: &PolicyId) -> Option<&PolicyEntry> {
        self.policies.get(id).map(|h| &h.value)
    }

    /// All containers.
    pub fn workloads(&self) -> impl Iterator<Item = &Workload> {
        self.workloads.values().map(|h| &h.value.workload)
    }

    /// All policies.
    pub fn policies(&self) -> impl Iterator<Item = &PolicyEntry> {
        self.policies.values().map(|h| &h.value)
    }

    /// The machine, if a source named it.
    pub fn node(&self, id: &NodeId) -> Option<&Node> {
        self.nodes.get(id).map(|h| &h.value)
    }

    /// All tenants that a source named.
    pub fn projects(&self) -> impl Iterator<Item = &Project> {
        self.projects.values().map(|h| &h.value)
    }

    /// All machines that a source named.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().map(|h| &h.value)
    }

    /// What adapters reported wrong, by object.
    pub fn reports(&self) -> impl Iterator<Item = (&Origin, &[Defect])> {
        self.reports.iter().map(|(o, d)| (o, d.as_slice()))
    }

    /// The facts as they are, for an oracle.
    pub fn facts(&self) -> Vec<Fact> {
        let mut facts: Vec<Fact> = Vec::new();
        facts.extend(self.nodes.values().map(|h| Fact::Node(h.value.clone())));
        facts.extend(self.projects.values().map(|h| Fact::Project(h.value.clone())));
        facts.extend(
            self.workloads
                .values()
                .map(|h| Fact::Workload(h.value.workload.clone())),
        );
        facts.extend(
            self.policies
                .values()
                .map(|h| Fact::Policy(h.value.policy.clone())),
        );
        facts.sort_by_key(Fact::key);
        facts
    }

    /// How many containers run on a machine.
    pub fn node_load(&self, node: &NodeId) -> u32 {
        self.derived.node_load(node)
    }

    /// The containers of a tenant.
    pub fn project_workloads(&self, project: &ProjectId) -> impl Iterator<Item = &WorkloadId> {
        self.derived.project_workloads(project)
    }

    /// Whether any policy refers to the group.
    pub fn group_used(&self, group: &GroupId) -> bool {
        self.derived.group_used(group)
    }

    /// See [`Derived`].
    pub fn derived(&self) -> &Derived {
        &self.derived
    }

    fn upsert(&mut self, scope: ScopeId, mark: u64, fact: Fact, dirty: &mut Dirty) {
        match fact {
            Fact::Node(node) => {
                dirty.push(ObjectKey::Node(node.id.clone()));
                self.nodes.insert(
                    node.id.clone(),
                    Held {
                        value: node,
                        scope,
                        mark,
                    },
                );
            }
            Fact::Project(project) => self.upsert_project(scope, mark, project, dirty),
            Fact::Workload(workload) => self.upsert_workload(scope, mark, workload, dirty),
            Fact::Policy(policy) => {
                if let Some(held) = self.policies.get_mut(&policy.id) {
                    held.scope = scope;
                    held.mark = mark;
                    if held.value.policy == policy {
                        return;
                    }
                }
                let id = policy.id.clone();
                let new = PolicyEntry::new(policy);
                let old = self.policies.get(&id).map(|h| &h.value);
                self.derived.policy_changed(old, Some(&new), dirty);
                self.policies.insert(
                    id,
                    Held {
                        value: new,
                        scope,
                        mark,
                    },
                );
            }
        }
    }

    fn upsert_project(&mut self, scope: ScopeId, mark: u64, project: Project, dirty: &mut Dirty) {
        if let Some(held) = self.projects.get_mut(&project.id) {
            held.scope = scope;
            held.mark = mark;
            if held.value == project {
                return;
            }
        }
        let id = project.id.clone();
        let value = project.clone();
        let old = self.projects.insert(id, Held { value, scope, mark });
        let old = old.map(|held| held.value);
        self.derived.project_changed(old.as_ref(), Some(&project), dirty);
    }

    fn upsert_workload(&mut self, scope: ScopeId, mark: u64, workload: Workload, dirty: &mut Dirty) {
        let old = match self.workloads.get_mut(&workload.id) {
            None => None,
            Some(held) => {
                held.scope = scope;
                held.mark = mark;
                held.value.departing = None;
                if held.value.workload == workload {
                    return;
                }
                held.value.departed = false;
                Some(std::mem::replace(&mut held.value.workload, workload.clone()))
            }
        };
        self.derived
            .workload_changed(old.as_ref(), Some(&workload), dirty);
        if old.is_none() {
            let id = workload.id.clone();
            let value = WorkloadEntry {
                workload,
                departing: None,
                departed: false,
            };
            self.workloads.insert(id, Held { value, scope, mark });
        }
    }

    fn remove(&mut self, scope: ScopeId, key: &FactKey, now: Time, settings: &Settings, dirty: &mut Dirty) {
        match key {
            FactKey::Node(id) if self.nodes.get(id).is_some_and(|h| h.scope == scope) => {
                self.nodes.remove(id);
                dirty.push(ObjectKey::Node(id.clone()));
            }
            FactKey::Project(id) if self.projects.get(id).is_some_and(|h| h.scope == scope) => {
                if let Some(held) = self.projects.remove(id) {
                    self.derived.project_changed(Some(&held.value), None, dirty);
                }
            }
            FactKey::Policy(id) if self.policies.get(id).is_some_and(|h| h.scope == scope) => {
                if let Some(held) = self.policies.remove(id) {
                    self.derived.policy_changed(Some(&held.value), None, dirty);
                }
            }
            FactKey::Workload(id) if self.workloads.get(id).is_some_and(|h| h.scope == scope) => {
                self.depart(id, now, settings, dirty);
            }
            _ => {}
        }
    }
}
