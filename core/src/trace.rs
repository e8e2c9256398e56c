//! A trace: why a flow passes or doesn't, for whoever asks why something can't connect.
//!
//! Of each end it says which tiers were asked and what they answered, which rule decided and what
//! platform's object that rule came from, and where the flow is denied, which allows came nearest.

use std::fmt;

use serde::Serialize;

use crate::intent::{Action, Direction, Peers, Rule, Tier};
use crate::net::{PortRange, Service};
use crate::verdict::{Decider, Decision, Fit, Flow, Heard, Judge, Side, decide};

/// At most how many near misses are told, and how many items of a long list.
const MOST: usize = 5;

/// Why a flow passes or doesn't.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// The flow.
    pub flow: Flow,
    /// Whether it passes.
    pub allowed: bool,
    /// Outward at the source, then inward at the destination.
    pub hops: [Hop; 2],
}

/// What happened at one end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// Which end.
    pub side: Side,
    /// Whether the flow passes here.
    pub passes: bool,
    /// The decision in words.
    pub decision: String,
    /// The rule that decided, if one did.
    pub by: Option<RuleLine>,
    /// The tiers that were asked, from the top, up to the one that decided.
    pub asked: Vec<Asked>,
    /// Where a rule denied: allows for this end that came nearest.
    pub nearest: Vec<Miss>,
}

/// A tier that was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Which.
    pub tier: Tier,
    /// How many of its rules apply to this end, in this direction.
    pub rules: usize,
    /// How many of those cover the flow.
    pub covering: usize,
}

/// An allow that does not cover the flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Miss {
    /// Why not.
    pub fit: Fit,
    /// The rule.
    pub rule: RuleLine,
}

/// A rule and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleLine {
    /// The section's key.
    pub section: String,
    /// The platform's object, or the section's name.
    pub origin: String,
    /// What the rule says.
    pub says: String,
}

/// Asks why.
pub fn trace(judge: &impl Judge, flow: &Flow) -> Trace {
    let hops = Side::BOTH.map(|side| hop(judge, flow, side));
    let allowed = hops.iter().all(|hop| hop.passes);
    let flow = flow.clone();
    Trace { flow, allowed, hops }
}

fn hop(judge: &impl Judge, flow: &Flow, side: Side) -> Hop {
    let heard = judge.heard(flow, side);
    let (decision, heard) = match heard {
        Ok(heard) => (decide(&heard, flow), heard),
        Err(decision) => (decision, Vec::new()),
    };
    let by = match &decision {
        Decision::Rule(_, by) => Some(line(by)),
        _ => None,
    };
    let denied = by.is_some() && !decision.passes();
    Hop {
        side,
        passes: decision.passes(),
        asked: asked(&heard, &decision),
        nearest: if denied { nearest(&heard) } else { Vec::new() },
        decision: decision.to_string(),
        by,
    }
}

fn asked(heard: &[Heard], decision: &Decision) -> Vec<Asked> {
    let last = match decision {
        Decision::Rule(tier, _) => *tier,
        _ => Tier::Default,
    };
    let mut tiers: std::collections::BTreeMap<Tier, Asked> = Default::default();
    for h in heard.iter().filter(|h| h.tier <= last) {
        let entry = tiers.entry(h.tier).or_insert(Asked {
            tier: h.tier,
            rules: 0,
            covering: 0,
        });
        entry.rules += 1;
        entry.covering += usize::from(h.fit == Fit::Covers);
    }
    tiers.into_values().collect()
}

/// Right peer and wrong service first: most often a port is missing from a rule.
fn nearest(heard: &[Heard]) -> Vec<Miss> {
    let mut misses: Vec<&Heard> = heard
        .iter()
        .filter(|h| h.by.rule.action == Action::Allow && h.fit != Fit::Covers)
        .collect();
    misses.sort_by_key(|h| (h.fit, &h.by.section, &h.by.rule));
    let told = misses.into_iter().take(MOST);
    told.map(|h| Miss {
        fit: h.fit,
        rule: line(&h.by),
    })
    .collect()
}

fn line(by: &Decider) -> RuleLine {
    let origin = match &by.origin {
        Some(origin) => match &origin.name {
            Some(name) => format!("{} {name} ({})", origin.kind, origin.id),
            None => format!("{} {}", origin.kind, origin.id),
        },
        None => by.name.to_string(),
    };
    RuleLine {
        section: by.section.to_string(),
        origin,
        says: describe(&by.rule),
    }
}

/// A rule in a line.
pub fn describe(rule: &Rule) -> String {
    let way = match rule.direction {
        Direction::In => "from",
        Direction::Out => "to",
    };
    let what = match rule.services.as_slice() {
        [] => "everything".to_owned(),
        services => few(services.iter().map(service)),
    };
    let action = match rule.action {
        Action::Allow => "allow",
        Action::Drop => "drop",
        Action::Reject => "reject",
    };
    let log = if rule.log { ", logged" } else { "" };
    format!("{action} {what} {way} {}{log}", peers(&rule.peers))
}

fn peers(peers: &Peers) -> String {
    match peers {
        Peers::Any => "anywhere".into(),
        Peers::Containers => "the container blocks".into(),
        Peers::Outside => "outside the container blocks".into(),
        Peers::Groups(groups) if groups.is_empty() => "nobody".into(),
        Peers::Cidrs(cidrs) if cidrs.is_empty() => "nowhere".into(),
        Peers::Groups(groups) => few(groups.iter()),
        Peers::Cidrs(cidrs) => few(cidrs.iter()),
    }
}

fn service(service: &Service) -> String {
    let ports = |word: &str, ports: &[PortRange]| match ports {
        [] => word.to_owned(),
        some => format!("{word}/{}", few(some.iter())),
    };
    let icmp = |word: &str, kind: &Option<u8>, code: &Option<u8>| match (kind, code) {
        (None, None) => word.to_owned(),
        (kind, code) => {
            let number = |n: &Option<u8>| n.map_or("any".to_owned(), |n| n.to_string());
            format!("{word}/{}/{}", number(kind), number(code))
        }
    };
    match service {
        Service::Tcp(list) => ports("tcp", list),
        Service::Udp(list) => ports("udp", list),
        Service::Icmp4 { kind, code } => icmp("icmp", kind, code),
        Service::Icmp6 { kind, code } => icmp("icmp6", kind, code),
        Service::Protocol(number) => format!("protocol/{number}"),
    }
}

fn few<T: ToString>(items: impl ExactSizeIterator<Item = T>) -> String {
    let more = items.len().saturating_sub(MOST);
    let text: Vec<String> = items.take(MOST).map(|item| item.to_string()).collect();
    match more {
        0 => text.join(","),
        n => format!("{} and {n} more", text.join(",")),
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.allowed { "allowed" } else { "denied" };
        writeln!(f, "{}: {verdict}", self.flow)?;
        for hop in &self.hops {
            writeln!(f, "{} {}", hop.place(), self.flow.end(hop.side))?;
            write!(f, "{hop}")?;
        }
        Ok(())
    }
}

impl Hop {
    fn place(&self) -> &'static str {
        match self.side {
            Side::Source => "outward, at the source",
            Side::Destination => "inward, at the destination",
        }
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for asked in &self.asked {
            let Asked {
                tier,
                rules,
                covering,
            } = asked;
            let tier = format!("{tier:?}").to_lowercase();
            writeln!(f, "  {tier:<10} {rules} rules apply, {covering} cover it")?;
        }
        match &self.by {
            Some(by) => writeln!(f, "  => {} by {} [{}]", by.says, by.origin, by.section)?,
            None => writeln!(f, "  => {}", self.decision)?,
        }
        for miss in &self.nearest {
            let why = match miss.fit {
                Fit::OtherService => "other service",
                Fit::OtherPeer | Fit::Covers => "other peer",
            };
            writeln!(
                f,
                "  not covered ({why}): {} by {}",
                miss.rule.says, miss.rule.origin
            )?;
        }
        Ok(())
    }
}
