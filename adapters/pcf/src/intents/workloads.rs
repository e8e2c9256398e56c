//! Containers: workloads that keep what they were made with.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ncp_core::code::Code;
use ncp_core::event::Event;
use ncp_core::id::{NodeId, PoolName, ProjectId, WorkloadId};
use ncp_core::intent::{
    Defect, EgressAddress, EgressOwner, Fact, FactKey, Node, Origin, Workload, WorkloadEgress,
};

use super::groups::{Life, app_group, global_group, space_group};
use super::{origin, workload_scope};
use crate::bbs::record::{Cell, Container, Facts, Kind, SnatPool};
use crate::bbs::sync::{Output, Scope};
use crate::ids::Handle;

/// What each live container was made with: its record may go, or be renamed, before it does.
#[derive(Debug, Default)]
pub(super) struct Workloads {
    known: HashMap<Handle, Workload>,
    /// Containers of which nobody can say whose they are: while there is one, absence of a workload
    /// from its scope means nothing.
    strangers: BTreeSet<(Scope, Handle)>,
    /// Scopes whose last listing meant something.
    vouched: BTreeSet<Scope>,
}

impl Workloads {
    pub(super) fn map(&mut self, output: Output) -> Vec<Event> {
        match output {
            Output::Ask(..) | Output::Silent(_) => Vec::new(),
            Output::Begin(scope, generation) => {
                vec![Event::Begin {
                    scope: workload_scope(scope),
                    generation,
                }]
            }
            Output::Cell(cell) => vec![node(&cell)],
            Output::Upsert(container) => self.upsert(&container),
            Output::Remove(scope, handle) => self.remove(scope, &handle),
            Output::End {
                scope,
                generation,
                complete,
            } => self.end(scope, generation, complete),
        }
    }

    fn upsert(&mut self, container: &Container) -> Vec<Event> {
        let scope = Scope::from(container.kind);
        let known = self.known.get(&container.handle).cloned();
        match known.map(Ok).unwrap_or_else(|| place(container)) {
            Ok(workload) => {
                self.known.insert(container.handle.clone(), workload.clone());
                let mut events = vec![Event::Upsert {
                    scope: workload_scope(scope),
                    fact: Fact::Workload(workload),
                }];
                events.extend(self.no_stranger(scope, &container.handle));
                events
            }
            Err(defect) => {
                self.strangers.insert((scope, container.handle.clone()));
                let report = Event::Report {
                    origin: stranger(scope, &container.handle),
                    defects: vec![defect],
                };
                vec![report, self.trust(scope)]
            }
        }
    }

    /// The container is known now, or gone.
    fn no_stranger(&mut self, scope: Scope, handle: &Handle) -> Vec<Event> {
        if !self.strangers.remove(&(scope, handle.clone())) {
            return Vec::new();
        }
        let report = Event::Report {
            origin: stranger(scope, handle),
            defects: Vec::new(),
        };
        vec![report, self.trust(scope)]
    }

    fn remove(&mut self, scope: Scope, handle: &Handle) -> Vec<Event> {
        self.known.remove(handle);
        let id = WorkloadId::new(handle.as_str());
        let mut events = vec![Event::Remove {
            scope: workload_scope(scope),
            key: FactKey::Workload(id),
        }];
        events.extend(self.no_stranger(scope, handle));
        events
    }

    fn end(&mut self, scope: Scope, generation: u64, complete: bool) -> Vec<Event> {
        if !complete {
            // What the listing lacked may still exist, so the sweep is left out.
            self.vouched.remove(&scope);
            return vec![self.trust(scope)];
        }
        self.vouched.insert(scope);
        vec![
            self.trust(scope),
            Event::End {
                scope: workload_scope(scope),
                generation,
            },
        ]
    }

    fn trust(&self, scope: Scope) -> Event {
        let strange = self.strangers.iter().any(|(of, _)| *of == scope);
        Event::Trust {
            scope: workload_scope(scope),
            trusted: self.vouched.contains(&scope) && !strange,
        }
    }
}

fn node(cell: &Cell) -> Event {
    let id = cell.id.as_str();
    let node = Node {
        id: NodeId::new(id),
        origin: origin("cell", id, None),
    };
    Event::Upsert {
        scope: workload_scope(Scope::Cells),
        fact: Fact::Node(node),
    }
}

/// The workload that a container not seen before is, or why nobody can say.
fn place(container: &Container) -> Result<Workload, Defect> {
    let defect = |code, message: &str| Defect {
        code,
        message: message.into(),
    };
    match container.facts.as_deref() {
        None => Err(defect(
            Code::PcfUnexpectedEventInstance,
            "its record names no space and organization, so it gets no network; restart the app, or upgrade \
             a platform older than the lowest supported one",
        )),
        Some(facts) if facts.snat == SnatPool::Unknown => Err(defect(
            Code::PcfCacheNotFound,
            "its desired record is gone while it still runs, so its SNAT pool can't be told; what stands of \
             it stays until it ends",
        )),
        Some(facts) => Ok(workload(container, facts)),
    }
}

fn stranger(scope: Scope, handle: &Handle) -> Origin {
    let kind = match scope {
        Scope::Tasks => Kind::Task,
        Scope::Staging => Kind::Staging,
        Scope::Instances | Scope::Cells => Kind::App,
    };
    origin(kind_name(kind), handle.as_str(), None)
}

fn workload(container: &Container, facts: &Facts) -> Workload {
    let life = if container.kind == Kind::Staging {
        Life::Staging
    } else {
        Life::Running
    };
    let mut groups = vec![space_group(&facts.space, life), global_group(life)];
    // Tasks and staging containers share the app's policy group.
    groups.extend(facts.policy_group.as_ref().map(app_group));
    groups.sort();
    let project = ProjectId::new(facts.org.as_str());
    Workload {
        id: WorkloadId::new(container.handle.as_str()),
        egress: egress(container.kind, facts, &project),
        project,
        node: NodeId::new(container.cell.as_str()),
        groups: groups.into(),
        labels: labels(container, facts),
        origin: origin(
            kind_name(container.kind),
            container.handle.as_str(),
            display_name(container, facts).as_deref(),
        ),
    }
}

/// The app's own pool, if its environment names one (R-SNAT-31); staging uses the organization's.
fn egress(kind: Kind, facts: &Facts, project: &ProjectId) -> WorkloadEgress {
    match (&facts.snat, &facts.app) {
        (SnatPool::Named(pool), Some(app)) if kind != Kind::Staging => WorkloadEgress::Own(EgressAddress {
            owner: EgressOwner::Group(project.clone(), app_group(app)),
            pool: Some(PoolName::new(pool)),
        }),
        _ => WorkloadEgress::Project,
    }
}

fn labels(container: &Container, facts: &Facts) -> Arc<[(Arc<str>, Arc<str>)]> {
    let names = &facts.names;
    let app = facts.app.as_ref().map(|app| app.as_str().into());
    let index = container
        .process
        .as_ref()
        .map(|(_, index)| index.to_string().into());
    let pairs: [(&str, Option<Arc<str>>); 6] = [
        ("ncp/app", app),
        ("ncp/app_name", names.app.clone()),
        ("ncp/instance_index", index),
        ("ncp/org_name", names.org.clone()),
        ("ncp/space", Some(facts.space.as_str().into())),
        ("ncp/space_name", names.space.clone()),
    ];
    pairs
        .into_iter()
        .filter_map(|(scope, value)| Some((scope.into(), value?)))
        .collect()
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::App => "app instance",
        Kind::Task => "task",
        Kind::Staging => "staging task",
    }
}

fn display_name(container: &Container, facts: &Facts) -> Option<String> {
    let app = facts.names.app.as_deref()?;
    Some(match (&container.process, container.kind) {
        (Some((_, index)), _) => format!("{app}/{index}"),
        (None, Kind::Staging) => format!("{app}/staging"),
        (None, _) => format!("{app}/task"),
    })
}
