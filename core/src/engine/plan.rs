//! The plan that people see: everything that is not as wanted, why, and what it waits for.

use std::fmt;

use serde::Serialize;

use super::Engine;
use crate::compile::{Compiled, Wait, compile, keys_from_scratch};
use crate::dialect::{Dialect, Verb};
use crate::planner::{Blocked, Decision, Gate, Pending, Sight};
use crate::time::Time;
use crate::topology::{Kind, ObjectKey};

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

/// The apply order, on one screen: what is made goes from referents to what refers to them, what is
/// removed the other way, after it.
fn apply_order(step: &PlanStep) -> (bool, i16, &ObjectKey, &str) {
    let rank = i16::from(rank(step.object.kind()));
    match step.verb {
        PlanVerb::Make | PlanVerb::Change => (false, rank, &step.object, &step.part),
        PlanVerb::Remove | PlanVerb::Look => (true, -rank, &step.object, &step.part),
    }
}

impl<D: Dialect> Engine<D> {
    /// The total difference, computed afresh: also the oracle of the incremental one.
    pub fn plan(&self, now: Time) -> Plan {
        let view = view!(self);
        let rows = self.planner.decisions(now, &view);
        let mut steps: Vec<PlanStep> = rows.filter_map(|row| self.step(row)).collect();
        if self.planner.inventory_complete() {
            let keys = keys_from_scratch(self.context(), self.dialect.members_are_rows());
            steps.extend(keys.into_iter().filter_map(|key| self.unsaid(key)));
        }
        steps.sort_by(|a, b| apply_order(a).cmp(&apply_order(b)));
        Plan { steps }
    }

    fn step(&self, row: Pending<'_, D>) -> Option<PlanStep> {
        let Pending {
            key, wanted, sight, ..
        } = row;
        let unsaid = matches!(row.decision, Decision::Blocked(Blocked::Unsaid));
        let (verb, mut waits) = describe(row.decision, wanted, sight)?;
        if unsaid {
            waits = self.lacks(&key.object).or(waits);
        }
        Some(PlanStep {
            verb,
            object: key.object.clone(),
            part: key.part.to_string(),
            why: self.why(&key.object, wanted),
            waits,
        })
    }

    /// What is wanted and has no row yet, since it can't be said.
    fn unsaid(&self, object: ObjectKey) -> Option<PlanStep> {
        let lacks = self.lacks(&object).filter(|_| !self.planner.has_rows(&object))?;
        Some(PlanStep {
            verb: PlanVerb::Make,
            why: self.why(&object, true),
            object,
            part: String::new(),
            waits: Some(lacks),
        })
    }

    fn lacks(&self, object: &ObjectKey) -> Option<String> {
        if let Some(failure) = self.refused.get(object) {
            return Some(failure.to_string());
        }
        match compile(object, self.context()) {
            Compiled::Waits(Wait::Place) => Some("an address and a VLAN".to_owned()),
            Compiled::Waits(Wait::Cidr) => Some("the network of its subnet".to_owned()),
            Compiled::Waits(Wait::Egress) => Some("its own translated address".to_owned()),
            Compiled::Object(_) if self.keeps(object) => Some("its project's record".to_owned()),
            Compiled::Absent | Compiled::Object(_) => None,
        }
    }

    fn why(&self, object: &ObjectKey, wanted: bool) -> String {
        let origin = self.origin(object);
        let name = origin.name.unwrap_or_else(|| origin.id.to_string().into());
        match wanted {
            true => format!("for {} {name}", origin.kind),
            false => format!("nothing asks for it any more ({} {name})", origin.kind),
        }
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
        Blocked::Unsaid => "what it is to be".to_owned(),
        Blocked::Refused(failure) => failure.to_string(),
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
            write!(f, "{sign} {}", step.object)?;
            if !step.part.is_empty() {
                write!(f, " ({})", step.part)?;
            }
            write!(f, ": {}", step.why)?;
            match &step.waits {
                Some(waits) => writeln!(f, "; waits for {waits}")?,
                None => writeln!(f)?,
            }
        }
        writeln!(f, "{} changes", self.steps.len())
    }
}
