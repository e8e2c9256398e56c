//! What people see: status and conditions.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::brake::BrakeStatus;
use super::{Engine, Failure};
use crate::choices::{Capped, Load};
use crate::code::Code;
use crate::compile::{Compiled, compile, keys_from_scratch};
use crate::condition::Condition;
use crate::dialect::{Dialect, RowKey};
use crate::digest::Digest;
use crate::id::Name;
use crate::index::ScopeStatus;
use crate::intent::{EgressOwner, Origin, Project, ProjectEgress};
use crate::planner::Sight;
use crate::topology::{Kind, ObjectKey, PlatformSection, SectionKey};

/// How the engine is doing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// Everything that bears our marks has been looked at.
    pub observed: bool,
    /// All is as wanted.
    pub converged: bool,
    /// Nothing waits to be decided on: what is not as wanted is under way or waits for something.
    pub decided: bool,
    /// Rows that are not as wanted.
    pub unsettled: usize,
    /// Steps under way.
    pub in_flight: usize,
    /// Objects that stand, by kind.
    pub objects: BTreeMap<Kind, usize>,
    /// Objects that are wanted, by kind, and how far they are.
    pub kinds: BTreeMap<Kind, KindStatus>,
    /// Each source's scopes.
    pub scopes: Vec<ScopeStatus>,
    /// What the brake holds back.
    pub brake: Option<BrakeStatus>,
    /// Containers whose record is gone and which may still run.
    pub departing: usize,
    /// The last failure of the far end as a whole, while it lasts.
    pub far_end: Option<Failure>,
}

/// How far the wanted objects of one kind are. Each is counted once, in whatever number of rows it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KindStatus {
    /// Wanted.
    pub desired: usize,
    /// A row of it stands at least.
    pub present: usize,
    /// A row of it is missing, and has not failed.
    pub waiting: usize,
    /// Refused, or a row of it failed and is tried again.
    pub failed: usize,
}

/// What the rows of one wanted object come to.
#[derive(Default)]
struct ObjectStatus {
    present: bool,
    missing: bool,
    failed: bool,
}

impl<D: Dialect> Engine<D> {
    /// How the engine is doing.
    pub fn status(&self) -> Status {
        let kinds = self.kinds();
        let standing = kinds.iter().filter(|(_, k)| k.present > 0);
        let objects = standing.map(|(kind, k)| (*kind, k.present)).collect();
        Status {
            observed: self.planner.inventory_complete(),
            converged: self.settled(),
            decided: self.dirty.is_empty()
                && self.reads.is_empty()
                && !self.planner.has_reads()
                && !self.planner.has_work(),
            unsettled: self.planner.counts().unsettled,
            in_flight: self.planner.in_flight(),
            objects,
            kinds,
            scopes: self.index.scope_status(),
            brake: self.brake.status().cloned(),
            departing: self.index.departing(),
            far_end: self.far_end.last.clone(),
        }
    }

    fn kinds(&self) -> BTreeMap<Kind, KindStatus> {
        let mut objects: FxHashMap<&ObjectKey, ObjectStatus> = FxHashMap::default();
        for (key, want, sight) in self.planner.each_row() {
            if want.is_some() {
                let object = objects.entry(&key.object).or_default();
                let stands = matches!(sight, Sight::Present(..));
                object.present |= stands;
                object.missing |= !stands;
            }
        }
        for (key, _) in self.planner.failures() {
            if let Some(object) = objects.get_mut(&key.object) {
                object.failed = true;
            }
        }
        for key in self.refused.keys() {
            objects.entry(key).or_default().failed = true;
        }
        let mut kinds: BTreeMap<Kind, KindStatus> = BTreeMap::new();
        for (key, object) in objects {
            let kind = kinds.entry(key.kind()).or_default();
            kind.desired += 1;
            kind.present += usize::from(object.present);
            kind.failed += usize::from(object.failed);
            kind.waiting += usize::from(object.missing && !object.failed);
        }
        kinds
    }

    /// The operator confirms what the brakes hold back.
    pub fn confirm(&mut self) {
        self.brake.confirm();
        self.index.confirm_sweeps();
        self.gates_moved = true;
    }

    /// What is wrong now, by the platform's object.
    pub fn conditions(&self) -> Vec<Condition> {
        let mut all = Vec::new();
        for (origin, defects) in self.index.reports() {
            all.extend(
                defects
                    .iter()
                    .map(|d| condition(origin.clone(), d.code, d.message.to_string())),
            );
        }
        for entry in self.index.policies() {
            let origin = &entry.policy.origin;
            let defects = entry.policy.defects.iter();
            all.extend(defects.map(|d| condition(origin.clone(), d.code, d.message.to_string())));
        }
        let rows = self
            .planner
            .failures()
            .map(|(key, failure)| (&key.object, failure));
        for (key, failure) in rows.chain(&self.refused) {
            let message = about(key, failure);
            let concerned = self.concerned(key).into_iter();
            all.extend(concerned.map(|origin| condition(origin, failure.code, message.clone())));
        }
        all.extend(self.over_caps());
        all.sort();
        all.dedup();
        all
    }

    /// Caps on apps' own addresses: who is kept from one, and which are nearly used up.
    fn over_caps(&self) -> Vec<Condition> {
        let code = Code::SnatProcessFailed;
        let over = self.choices.over_cap().map(|address| {
            let key = ObjectKey::Address(Box::new(address.clone()));
            let message =
                format!("{key}: the cap on addresses of apps is reached; raise it or let others go");
            condition(self.origin(&key), code, message)
        });
        let loads = self.choices.cap_loads(self.settings.egress_caps).into_iter();
        let near = loads.filter(Load::alarms).map(|load| {
            let (origin, what) = match &load.capped {
                Capped::Pool(Some(pool)) => (self.origin(&ObjectKey::Pool(pool.clone())), "from the pool"),
                Capped::Pool(None) => (
                    self.origin(&ObjectKey::Section(SectionKey::Platform(PlatformSection::Allow))),
                    "from the default pools",
                ),
                Capped::Project(project) => (self.origin(&ObjectKey::Router(project.clone())), "here"),
            };
            let message = format!("apps hold {} of at most {} addresses {what}", load.held, load.cap);
            condition(origin, code, message)
        });
        over.chain(near).collect()
    }

    /// The platform's objects that are told of a network object's failure. A pool is made by others; those
    /// who named it are told.
    fn concerned(&self, key: &ObjectKey) -> Vec<Origin> {
        let ObjectKey::Pool(pool) = key else {
            return vec![self.origin(key)];
        };
        let addresses = self.index.derived().egress_addresses();
        let apps = addresses
            .filter(|a| a.pool.as_ref() == Some(pool))
            .map(|a| ObjectKey::Address(Box::new(a.clone())));
        let named = |p: &&Project| matches!(&p.egress, ProjectEgress::Pool(named) if named == pool);
        let projects = self.index.projects().filter(named);
        let projects = projects.map(|p| ObjectKey::Router(p.id.clone()));
        let users: Vec<Origin> = apps.chain(projects).map(|key| self.origin(&key)).collect();
        if users.is_empty() {
            return vec![self.origin(key)];
        }
        users
    }

    /// The platform's object that a network object exists for.
    pub fn origin(&self, key: &ObjectKey) -> Origin {
        let index = &self.index;
        let other = |kind: &str, id: &Name| Origin {
            kind: kind.into(),
            id: id.clone(),
            name: None,
        };
        match key {
            ObjectKey::Port(w) | ObjectKey::WorkloadNat(w) | ObjectKey::Member(_, w) => index
                .workload(w)
                .map_or_else(|| other("container", &w.0), |w| w.origin.clone()),
            ObjectKey::Router(p)
            | ObjectKey::Subnet(p, _)
            | ObjectKey::Switch(p, _)
            | ObjectKey::SubnetNat(p, _)
            | ObjectKey::Section(SectionKey::Isolation(p))
            | ObjectKey::Rule(SectionKey::Isolation(p), _) => index
                .project(p)
                .map_or_else(|| other("project", &p.0), |p| p.origin.clone()),
            ObjectKey::Address(a) => match &a.owner {
                EgressOwner::Project(p) => self.origin(&ObjectKey::Router(p.clone())),
                EgressOwner::Group(_, g) => {
                    let user = index
                        .derived()
                        .egress_users(a)
                        .min()
                        .and_then(|w| index.workload(w));
                    user.map_or_else(|| other("group", &g.0), |w| w.origin.clone())
                }
            },
            ObjectKey::Union(p)
            | ObjectKey::UnionMember(p, _)
            | ObjectKey::Section(SectionKey::Policy(p))
            | ObjectKey::Rule(SectionKey::Policy(p), _) => index
                .policy(p)
                .map_or_else(|| other("policy", &p.0), |e| e.policy.origin.clone()),
            ObjectKey::Node(n) => {
                let node = index.node(n);
                node.map_or_else(|| other("node", &n.0), |x| x.origin.clone())
            }
            ObjectKey::Pool(p) => other("pool", &p.0),
            ObjectKey::Group(g) => other("group", &g.0),
            ObjectKey::Section(SectionKey::Platform(_)) | ObjectKey::Rule(SectionKey::Platform(_), _) => {
                other("platform", &Name::new("network"))
            }
        }
    }

    /// Every row wanted, with its fingerprint, as the incremental history left it.
    pub fn wanted(&self) -> BTreeMap<RowKey<D::Part>, Digest> {
        self.planner
            .each_row()
            .filter_map(|(key, want, _)| Some((key.clone(), want?)))
            .collect()
    }

    /// Every row wanted, with its fingerprint, compiled from scratch; but for objects that are kept as
    /// they stand (see [`Engine::keeps`]).
    pub fn wanted_from_scratch(&self) -> BTreeMap<RowKey<D::Part>, Digest> {
        let mut rows = BTreeMap::new();
        for key in keys_from_scratch(self.context(), self.dialect.members_are_rows()) {
            if let Compiled::Object(object) = compile(&key, self.context())
                && !self.keeps(&key)
            {
                for (part, row) in self.dialect.render(&object).unwrap_or_default() {
                    rows.insert(RowKey::new(key.clone(), part), self.dialect.fingerprint(&row));
                }
            }
        }
        rows
    }
}

/// What is said of a failure; most far ends name the object themselves.
fn about(key: &ObjectKey, failure: &Failure) -> String {
    let key = key.to_string();
    if failure.message.starts_with(&key) {
        return failure.message.to_string();
    }
    format!("{key}: {}", failure.message)
}

fn condition(origin: Origin, code: Code, message: String) -> Condition {
    Condition {
        origin,
        code,
        message,
    }
}
