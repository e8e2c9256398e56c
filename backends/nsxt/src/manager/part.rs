//! What the rows of the manager API are called.

use std::fmt;

use ncp_core::id::{GroupId, Name, NodeId, PolicyId};
use ncp_core::topology::ObjectKey;
use serde::Serialize;

/// Which NSX object of a topology object a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Part {
    /// The tier-1 router.
    Router,
    /// Its link port on the tier-0.
    LinkTier0,
    /// Its link port on the tier-1.
    LinkTier1,
    /// What it advertises.
    Advertisement,
    /// A subnet of an IP block.
    IpSubnet,
    /// A switch.
    Switch,
    /// The switch's port towards the router.
    GatewayPort,
    /// The router's port towards the switch.
    Downlink,
    /// The port that a machine's interface hangs on; made by the operator or the platform.
    Parent,
    /// An IP pool; made by the operator.
    Pool,
    /// A container's port.
    Port,
    /// An address taken from a pool, written down on an IP set of ours.
    Claim,
    /// A NAT rule on the tier-0.
    Nat,
    /// A rule that lets flows to the n-th range pass untranslated.
    NoNat(u8),
    /// An NSGroup.
    Group,
    /// A member of an NSGroup.
    Member,
    /// The NSGroup of every port of this cluster's switches.
    ClusterGroup,
    /// The spoof-guard profile of this cluster.
    SpoofGuard,
    /// A firewall section.
    Section,
    /// A firewall rule; the n-th of those that one rule takes within NSX's limits.
    Rule(u8),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Router => f.write_str("router"),
            Part::LinkTier0 => f.write_str("link-tier0"),
            Part::LinkTier1 => f.write_str("link-tier1"),
            Part::Advertisement => f.write_str("advertisement"),
            Part::IpSubnet => f.write_str("ip-subnet"),
            Part::Switch => f.write_str("switch"),
            Part::GatewayPort => f.write_str("gateway-port"),
            Part::Downlink => f.write_str("downlink"),
            Part::Parent => f.write_str("parent"),
            Part::Pool => f.write_str("pool"),
            Part::Port => f.write_str("port"),
            Part::Claim => f.write_str("claim"),
            Part::Nat => f.write_str("nat"),
            Part::Group => f.write_str("group"),
            Part::Member => f.write_str("member"),
            Part::ClusterGroup => f.write_str("cluster-group"),
            Part::SpoofGuard => f.write_str("spoof-guard"),
            Part::Section => f.write_str("section"),
            Part::Rule(0) => f.write_str("rule"),
            Part::Rule(n) => write!(f, "rule-{n}"),
            Part::NoNat(n) => write!(f, "no-nat-{n}"),
        }
    }
}

impl Part {
    /// Reads what [`Part`] prints.
    pub fn parse(text: &str) -> Option<Part> {
        const FIXED: [Part; 19] = [
            Part::Router,
            Part::LinkTier0,
            Part::LinkTier1,
            Part::Advertisement,
            Part::IpSubnet,
            Part::Switch,
            Part::GatewayPort,
            Part::Downlink,
            Part::Parent,
            Part::Pool,
            Part::Port,
            Part::Claim,
            Part::Nat,
            Part::Group,
            Part::Member,
            Part::ClusterGroup,
            Part::SpoofGuard,
            Part::Section,
            Part::Rule(0),
        ];
        let fixed = FIXED.into_iter().find(|part| part.to_string() == text);
        let counted = || {
            let rule = text.strip_prefix("rule-").map(|n| n.parse().map(Part::Rule));
            rule.or_else(|| text.strip_prefix("no-nat-").map(|n| n.parse().map(Part::NoNat)))?
                .ok()
        };
        fixed.or_else(counted)
    }
}

/// NSX's name for a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Handle {
    /// The object's UUID.
    Id(Name),
    /// The attachment id of a machine's interface.
    Vif(Name),
    /// The advertisement of the router of this id; it has none of its own.
    Advertisement(Name),
    /// A NAT rule's number, on the tier-0.
    Nat(Name),
    /// A firewall rule's number, in its section.
    Rule {
        /// The section's id.
        section: Name,
        /// The rule's number.
        rule: Name,
    },
    /// A member of a group.
    Member {
        /// The group's id.
        group: Name,
        /// The member's id.
        member: Name,
    },
    /// Not made yet: it is made in the same request.
    Riding,
}

/// A list of the manager's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Collection {
    /// `/logical-routers`, with each one's advertisement.
    Routers,
    /// `/logical-router-ports`.
    RouterPorts,
    /// `/pools/ip-subnets`.
    IpSubnets,
    /// `/logical-switches`.
    Switches,
    /// `/logical-ports`: containers', gateways', and machines'.
    Ports,
    /// `/ip-sets`: claims.
    IpSets,
    /// `/logical-routers/<tier-0>/nat/rules`.
    NatRules,
    /// `/ns-groups`, with the members of unions.
    Groups,
    /// `/switching-profiles`.
    Profiles,
    /// `/firewall/sections`, with the rules of our own.
    Sections,
}

impl Collection {
    /// Every list that can show something of ours.
    pub const ALL: [Collection; 10] = [
        Collection::Routers,
        Collection::RouterPorts,
        Collection::IpSubnets,
        Collection::Switches,
        Collection::Ports,
        Collection::IpSets,
        Collection::NatRules,
        Collection::Groups,
        Collection::Profiles,
        Collection::Sections,
    ];

    /// The list that shows rows of this part; pools are only ever asked for by name.
    pub fn of(part: Part) -> Option<Collection> {
        Some(match part {
            Part::Router | Part::Advertisement => Collection::Routers,
            Part::LinkTier0 | Part::LinkTier1 | Part::Downlink => Collection::RouterPorts,
            Part::IpSubnet => Collection::IpSubnets,
            Part::Switch => Collection::Switches,
            Part::GatewayPort | Part::Port | Part::Parent => Collection::Ports,
            Part::Claim => Collection::IpSets,
            Part::Nat | Part::NoNat(_) => Collection::NatRules,
            Part::Group | Part::Member | Part::ClusterGroup => Collection::Groups,
            Part::SpoofGuard => Collection::Profiles,
            Part::Section | Part::Rule(_) => Collection::Sections,
            Part::Pool => return None,
        })
    }
}

/// A port that one way tells to be a machine's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Which way, from 0 in the order in which they are tried.
    pub rank: usize,
    /// The machine.
    pub node: NodeId,
    /// Its interface; none is attached if absent.
    pub vif: Option<Name>,
}

/// Where a sweep goes on: NSX's cursor, and what has to be carried from page to page.
#[derive(Clone, Debug, Default)]
pub struct Cursor {
    /// NSX's cursor for the next page.
    pub page: Option<String>,
    /// The list itself has been read; what is left are elements of parents.
    pub listed: bool,
    /// Parents whose elements are still to be read (own sections, own routers): key and id.
    pub parents: Vec<(ObjectKey, Name)>,
    /// Own groups seen so far: id and key.
    pub groups: Vec<(Name, GroupId)>,
    /// Members of own unions seen so far: the union's policy and id, and the member's id.
    pub members: Vec<(PolicyId, Name, Name)>,
    /// Machines' ports seen so far: the machine, and the attachment id if there is one.
    pub machines: Vec<Machine>,
    /// A list took more than one answer, so what it did not show may be there all the same.
    pub paged: bool,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_part_reads_back_what_it_prints() {
        for part in [
            Part::Router,
            Part::SpoofGuard,
            Part::Rule(0),
            Part::Rule(7),
            Part::NoNat(2),
            Part::IpSubnet,
        ] {
            assert_eq!(Part::parse(&part.to_string()).unwrap(), part);
        }
        assert_eq!(Part::parse("other"), None);
    }
}
