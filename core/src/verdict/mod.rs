//! Verdicts: may this flow pass? Asked of two representations that must agree.
//!
//! [`Oracle`] answers from the intents, by the platform's own rules, and knows nothing of sections and
//! groups. [`TopologyView`] answers from the network's objects that stand at some moment, as a network
//! engine would. Neither calls the compiler, so where they differ the compiler is wrong; and where the
//! view strays between two states of the intents, a plan is ([`invariant5`]).
//!
//! A flow is judged at both ends: outward at its source, inward at its destination, and passes only if
//! both let it. Within an end the tiers are asked from the top; the first that has a matching rule
//! decides. The operator's own rules are not modelled: they are not ours to know.

mod addresses;
mod flow;
mod invariant;
mod oracle;
mod referents;
mod split;
mod view;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod random;
#[cfg(test)]
mod worlds;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::intent::{Action, Origin, Rule, Tier};
use crate::topology::SectionKey;

pub use addresses::{covers, overlaps, subtract};
pub use flow::{End, Flow, InvalidPacket, Packet, Side};
pub use invariant::{Violation, invariant5};
pub use oracle::{Oracle, PlatformRules};
pub use referents::{Absence, REFERENTS, Referent};

pub use split::{RuleLimits, fits, split};
pub use view::{Membership, TopologyView};

/// Something that can be asked for verdicts.
pub trait Judge {
    /// Every rule that is evaluated at this end of the flow, fitting or not, or the verdict of an end
    /// where none is.
    fn heard(&self, flow: &Flow, side: Side) -> Result<Vec<Heard>, Decision>;

    /// Whether the flow passes, and why.
    fn verdict(&self, flow: &Flow) -> Verdict {
        let decide = |side| match self.heard(flow, side) {
            Ok(heard) => decide(&heard, flow),
            Err(decision) => decision,
        };
        Verdict::new(decide(Side::Source), decide(Side::Destination))
    }
}

/// A rule that was asked at one end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The tier it is asked in.
    pub tier: Tier,
    /// Whether its section stands before those of its tier that don't log.
    pub logs: bool,
    /// The rule.
    pub by: Decider,
    /// Whether it covers the flow.
    pub fit: Fit,
}

/// Whether a rule covers a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// It does.
    Covers,
    /// The other end is among its peers, but the packet is none of its services.
    OtherService,
    /// The other end is none of its peers.
    OtherPeer,
}

impl Fit {
    fn of(peer: bool, service: bool) -> Fit {
        match (peer, service) {
            (true, true) => Fit::Covers,
            (true, false) => Fit::OtherService,
            (false, _) => Fit::OtherPeer,
        }
    }
}

/// The rule that decided, and what it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decider {
    /// The section it stands in (or would: the oracle knows none).
    pub section: SectionKey,
    /// The section's name for people.
    pub name: Arc<str>,
    /// The platform's object behind it; `None` for the platform's own rules, and in a view.
    pub origin: Option<Origin>,
    /// The rule.
    pub rule: Arc<Rule>,
}

/// What was decided at one end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The end is not one of our containers; nothing is asked here.
    Outside,
    /// A rule decided.
    Rule(Tier, Decider),
    /// No such container, or it has no port: nothing reaches or leaves it.
    NoPort,
    /// The container has no address of the flow's family, and its port refuses others' addresses.
    NoAddress,
    /// No rule decided, so the network engine's own default would: it admits.
    Open,
}

impl Decision {
    /// Whether the flow passes this end.
    pub fn passes(&self) -> bool {
        match self {
            Decision::Outside | Decision::Open => true,
            Decision::Rule(_, by) => by.rule.action == Action::Allow,
            Decision::NoPort | Decision::NoAddress => false,
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Decision::Outside => f.write_str("pass: not a container of this cluster"),
            Decision::NoPort => f.write_str("deny: the container has no port"),
            Decision::NoAddress => f.write_str("deny: the container has no IPv6 address"),
            Decision::Open => f.write_str("OPEN: no rule decides, not even a deny"),
            Decision::Rule(tier, by) => {
                write!(f, "{:?}: {:?} tier, {}", by.rule.action, tier, by.name)
            }
        }
    }
}

/// Whether a flow passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// It does: both ends let it.
    pub allowed: bool,
    /// What was decided outward, at the source.
    pub at_source: Decision,
    /// What was decided inward, at the destination.
    pub at_destination: Decision,
}

impl Verdict {
    fn new(at_source: Decision, at_destination: Decision) -> Verdict {
        Verdict {
            allowed: at_source.passes() && at_destination.passes(),
            at_source,
            at_destination,
        }
    }

    /// The decision at this side.
    pub fn at(&self, side: Side) -> &Decision {
        match side {
            Side::Source => &self.at_source,
            Side::Destination => &self.at_destination,
        }
    }

    /// The first side at which nothing decides.
    pub fn open(&self) -> Option<Side> {
        Side::BOTH
            .into_iter()
            .find(|side| *self.at(*side) == Decision::Open)
    }
}

/// The first tier with a rule that covers the flow decides. Within a tier all rules have one action; if
/// ever they had not, a deny wins, and of equals the one an engine meets first, logging sections ahead.
pub(crate) fn decide(heard: &[Heard], flow: &Flow) -> Decision {
    let decider = heard
        .iter()
        .filter(|h| h.fit == Fit::Covers)
        .min_by(|a, b| rank(a).cmp(&rank(b)));
    match decider {
        None => Decision::Open,
        // Rules may well admit the family; the port's address bindings do not.
        Some(h) if flow.is_ipv6() && h.by.rule.action == Action::Allow => Decision::NoAddress,
        Some(h) => Decision::Rule(h.tier, h.by.clone()),
    }
}

fn rank(h: &Heard) -> impl Ord + '_ {
    let rule = &h.by.rule;
    (
        h.tier,
        rule.action == Action::Allow,
        !h.logs,
        &h.by.section,
        !rule.log,
        rule,
    )
}
