//! What people see: the plan, status, conditions.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::brake::BrakeStatus;
use super::source::View;
use super::{Engine, Failure};
use crate::choices::{Capped, Load};
use crate::code::Code;
use crate::compile::{Compiled, compile, keys_from_scratch};
use crate::condition::Condition;
use crate::dialect::{Dialect, RowKey, Verb};
use crate::digest::Digest;
use crate::id::Name;
use crate::index::ScopeStatus;
use crate::intent::{EgressOwner, Origin};
use crate::planner::{Blocked, Decision, Gate, Sight};
use crate::time::Time;
use crate::topology::{Kind, ObjectKey, PlatformSection, SectionKey};

/// The total difference between what is wanted and what is seen: a value, in the order in which it
/// would be applied as far as that is known.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// What would be done.
    pub steps: Vec<PlanStep>,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanStep {
    /// Make, change, remove, or look.
    pub verb: PlanVerb,
    /// The network object.
    pub object: ObjectKey,
    /// Which part of it.
    pub part: String,
    /// Why it is there.
    pub why: String,
    /// What it waits for, if it can't go at once.
    pub waits: Option<String>,
}

/// What a step of a plan does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PlanVerb {
    /// Make what is not there.
    Make,
    /// Change what is there.
    Change,
    /// Remove what is not wanted.
    Remove,
    /// Look at what is in doubt.
    Look,
}

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
    /// Each source's scopes.
    pub scopes: Vec<ScopeStatus>,
    /// What the brake holds back.
    pub brake: Option<BrakeStatus>,
    /// Containers whose record is gone and which may still run.
    pub departing: usize,
    /// The last failure of the far end as a whole, while it lasts.
    pub far_end: Option<Failure>,
}

/// The order of kinds when making; removing goes the other way. Tiers follow from section keys.
fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Node | Kind::Pool => 0,
        Kind::Group => 1,
        Kind::Union => 2,
        Kind::UnionMember | Kind::Member => 3,
        Kind::Section => 4,
        Kind::Router => 5,
        Kind::Subnet => 6,
        Kind::Switch => 7,
        Kind::Rule => 8,
        Kind::Address => 9,
        Kind::Nat => 10,
        Kind::Port => 11,
    }
}

impl<D: Dialect> Engine<D> {
    /// The total difference, computed afresh: also the oracle of the incremental one.
    pub fn plan(&self, now: Time) -> Plan {
        let view = view!(self);
        let mut steps = self.planner.plan(now, &view);
        steps.sort_by(|a, b| apply_order(a).cmp(&apply_order(b)));
        Plan { steps }
    }

    /// How the engine is doing.
    pub fn status(&self) -> Status {
        let mut objects: BTreeMap<Kind, usize> = BTreeMap::new();
        let mut last = None;
        let mut standing: Vec<&ObjectKey> = self
            .planner
            .each_row()
            .filter(|(_, want, sight)| want.is_some() && matches!(sight, Sight::Present(..)))
            .map(|(key, _, _)| &key.object)
            .collect();
        standing.sort_unstable();
        for key in standing {
            if last != Some(key) {
                *objects.entry(key.kind()).or_default() += 1;
            }
            last = Some(key);
        }
        Status {
            observed: self.planner.inventory_complete(),
            converged: self.settled(),
            decided: self.dirty.is_empty() && self.reads.is_empty() && !self.planner.has_reads(),
            unsettled: self.planner.counts().unsettled,
            in_flight: self.planner.in_flight(),
            objects,
            scopes: self.index.scope_status(),
            brake: self.brake.status().cloned(),
            departing: self.index.departing(),
            far_end: self.far_end.last.clone(),
        }
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
            all.push(condition(
                self.origin(key),
                failure.code,
                format!("{key}: {}", failure.message),
            ));
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
            let key = ObjectKey::Address(address.clone());
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

    /// Every row wanted, with its fingerprint, compiled from scratch. Keys that wait have what stands.
    pub fn wanted_from_scratch(&self) -> BTreeMap<RowKey<D::Part>, Digest> {
        let mut rows = BTreeMap::new();
        for key in keys_from_scratch(self.context(), self.dialect.members_are_rows()) {
            if let Compiled::Object(object) = compile(&key, self.context()) {
                for (part, row) in self.dialect.render(&object).unwrap_or_default() {
                    rows.insert(RowKey::new(key.clone(), part), self.dialect.fingerprint(&row));
                }
            }
        }
        rows
    }
}

impl<D: Dialect> crate::planner::Planner<D> {
    fn plan(&self, now: Time, view: &View<'_, D>) -> Vec<PlanStep> {
        let mut steps = Vec::new();
        for (id, row) in self.rows_by_id() {
            let (key, wanted, sight) = row;
            let decision = self.decision(id, now, view);
            if let Some((verb, waits)) = describe(decision, wanted, sight) {
                let why = if wanted {
                    "wanted, and not so"
                } else {
                    "not wanted any more"
                };
                steps.push(PlanStep {
                    verb,
                    object: key.object.clone(),
                    part: key.part.to_string(),
                    why: why.to_owned(),
                    waits,
                });
            }
        }
        steps
    }
}

fn describe<D: Dialect>(
    decision: Decision<D>,
    wanted: bool,
    sight: &Sight<D>,
) -> Option<(PlanVerb, Option<String>)> {
    let verb = match (wanted, sight) {
        (true, Sight::Present(..)) => PlanVerb::Change,
        (true, _) => PlanVerb::Make,
        (false, _) => PlanVerb::Remove,
    };
    match decision {
        Decision::Settled => None,
        Decision::Read => Some((if wanted { verb } else { PlanVerb::Look }, None)),
        Decision::Step(Verb::Retire, _) if !wanted => Some((PlanVerb::Remove, None)),
        Decision::Step(..) => Some((verb, None)),
        Decision::RetireTwin(_) => Some((PlanVerb::Remove, None)),
        Decision::Blocked(blocked) => Some((verb, Some(waits(&blocked)))),
    }
}

fn waits<P: fmt::Display>(blocked: &Blocked<P>) -> String {
    match blocked {
        Blocked::Flight => "its own operation under way".to_owned(),
        Blocked::On(keys) => keys
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
        Blocked::Users(n) => format!("{n} objects that refer to it"),
        Blocked::Until(time) => format!("time {}", time.0),
        Blocked::Gate(Gate::Open) => String::new(),
        Blocked::Gate(Gate::Untrusted(scope)) => format!("a complete listing of {scope}"),
        Blocked::Gate(Gate::Brake(why)) => why.clone(),
        Blocked::Lane(lane) => format!("another operation on {lane}"),
        Blocked::Unsaid => "an address".to_owned(),
        Blocked::Refused(failure) => failure.to_string(),
    }
}

/// The apply order, on one screen: what is made goes from referents to what refers to them, what is
/// removed the other way, after it.
fn apply_order(step: &PlanStep) -> (bool, i16, &ObjectKey, &str) {
    let rank = i16::from(rank(step.object.kind()));
    match step.verb {
        PlanVerb::Make | PlanVerb::Change => (false, rank, &step.object, &step.part),
        PlanVerb::Remove | PlanVerb::Look => (true, -rank, &step.object, &step.part),
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            let sign = match step.verb {
                PlanVerb::Make => '+',
                PlanVerb::Change => '~',
                PlanVerb::Remove => '-',
                PlanVerb::Look => '?',
            };
            write!(f, "{sign} {} ({}): {}", step.object, step.part, step.why)?;
            match &step.waits {
                Some(waits) => writeln!(f, "; waits for {waits}")?,
                None => writeln!(f)?,
            }
        }
        writeln!(f, "{} changes", self.steps.len())
    }
}

fn condition(origin: Origin, code: Code, message: String) -> Condition {
    Condition {
        origin,
        code,
        message,
    }
}
