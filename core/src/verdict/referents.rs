//! What each kind of network object does when something it refers to is missing or can't be used.
//!
//! One rule behind the table: doubt never opens traffic. What does not stand yet waits; what stands stays
//! as it is, except that withdrawn allows go; what can't be understood denies. `docs/referents.md` is
//! generated from here.

use serde::Serialize;

use crate::topology::Kind;

/// What a missing or invalid referent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Absence {
    /// Traffic that the referent would have admitted is denied.
    Denies,
    /// The object is not written; one that stands stays as it was.
    HoldsBack,
    /// The object is written without it, since it bears on no verdict.
    PassesThrough,
}

/// One thing that a kind of object refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Referent {
    /// What refers.
    pub of: Kind,
    /// What is referred to.
    pub to: &'static str,
    /// What its absence does.
    pub absence: Absence,
    /// What that means for traffic, and for what stands.
    pub effect: &'static str,
}

const fn row(of: Kind, to: &'static str, absence: Absence, effect: &'static str) -> Referent {
    Referent {
        of,
        to,
        absence,
        effect,
    }
}

use Absence::{Denies, HoldsBack, PassesThrough};

/// The table; see the module.
#[rustfmt::skip]
pub const REFERENTS: &[Referent] = &[
    row(Kind::Router, "the operator's router above it", HoldsBack, "The project has no network yet: its containers wait without a port. A link that stands stays."),
    row(Kind::Router, "the project's own record", PassesThrough, "The project's id stands in for its name; a workload that names the project is enough."),
    row(Kind::Subnet, "room in a container block", HoldsBack, "A further subnet waits. Containers that have an address keep it; new ones wait without a port."),
    row(Kind::Switch, "its router, or its subnet's network", HoldsBack, "The switch waits, and with it the ports that would hang on it."),
    row(Kind::Node, "the machine's port, missing or not unique", HoldsBack, "Containers of that machine wait without a port; ports below a port that stands stay."),
    row(Kind::Pool, "the pool made by others: missing, not unique, or not owned", HoldsBack, "No address is claimed from it; addresses claimed before stay in use."),
    row(Kind::Port, "its switch, or its machine's port", HoldsBack, "The container has no port: nothing reaches or leaves it."),
    row(Kind::Port, "the default denies of its switch", HoldsBack, "A port never stands where nothing would deny."),
    row(Kind::Port, "its own translation, still awaited", HoldsBack, "The container has no port, so nothing leaves under an address that is not its own."),
    row(Kind::Port, "its own translation, refused", Denies, "The port stands as a member of `egress-held`: outside traffic is dropped, traffic between containers goes on. By option it uses its project's address instead."),
    row(Kind::Port, "a group it belongs to", Denies, "The rules of a group that does not stand do not reach the port; the default denies do."),
    row(Kind::Address, "its pool, or a free address there", HoldsBack, "A change is held back and the former address kept; a first claim waits."),
    row(Kind::Nat, "a subnet's network, or its project's address", HoldsBack, "The translation waits, one that stands stays. The firewall's verdict does not depend on it, and container networks that are translated are not advertised."),
    row(Kind::Nat, "a workload's own address", HoldsBack, "The translation waits, and the workload's port with it."),
    row(Kind::Group, "any member", Denies, "An empty group is nobody: rules from or to it match nothing."),
    row(Kind::Member, "its group, or its port", HoldsBack, "The workload is no member yet: the group's allows are not its own."),
    row(Kind::Union, "any group", Denies, "An empty union applies to nobody: the policy admits nothing."),
    row(Kind::UnionMember, "its union, or its group", HoldsBack, "The policy does not apply to the group's members yet: its allows are not theirs."),
    row(Kind::Section, "the group or union it is applied to", HoldsBack, "The section and its rules wait. It is never written as applied to everything."),
    row(Kind::Rule, "its section", HoldsBack, "The rule waits: an allow is missing. Default denies stand before any port of their switch."),
    row(Kind::Rule, "a group among its peers", HoldsBack, "The rule waits: an allow is missing. It is never written with fewer peers that would read as any."),
    row(Kind::Rule, "any peer", Denies, "A rule that names nobody matches nothing and is not written, since an empty list reads as any."),
    row(Kind::Rule, "a part that can't be understood", Denies, "The rule is absent and reported on the platform's object; the policy's other rules stand."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_says_what_a_missing_referent_does() {
        use Kind::*;
        let said: BTreeSet<Kind> = REFERENTS.iter().map(|r| r.of).collect();
        let all = [
            Router,
            Subnet,
            Switch,
            Node,
            Pool,
            Port,
            Address,
            Nat,
            Group,
            Member,
            Union,
            UnionMember,
            Section,
            Rule,
        ];
        assert_eq!(said, BTreeSet::from(all));
    }

    #[test]
    fn only_what_bears_on_no_verdict_passes_through() {
        let passing: Vec<Kind> = REFERENTS
            .iter()
            .filter(|r| r.absence == Absence::PassesThrough)
            .map(|r| r.of)
            .collect();
        let firewall = [
            Kind::Port,
            Kind::Group,
            Kind::Member,
            Kind::Union,
            Kind::UnionMember,
            Kind::Section,
            Kind::Rule,
        ];
        assert!(!passing.iter().any(|kind| firewall.contains(kind)), "{passing:?}");
    }
}
