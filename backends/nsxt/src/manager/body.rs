//! What this product manages of an NSX object; `R` is how it names other objects.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use ncp_core::id::{GroupId, Name, ProjectId};
use ncp_core::intent::{Action, Direction, Tier};
use ncp_core::net::{Mac, Service};

/// The managed part of an NSX object. Marks of ownership are not in it: they follow from the key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Body<R> {
    /// A tier-1 router without edge cluster: distributed, no services of its own.
    Router {
        /// Display name.
        name: Arc<str>,
        /// Whose.
        project: ProjectId,
    },
    /// The tier-0's end of a link.
    LinkTier0 {
        /// Display name.
        name: Arc<str>,
    },
    /// The tier-1's end of a link.
    LinkTier1 {
        /// Display name.
        name: Arc<str>,
        /// The tier-1.
        router: R,
        /// The other end.
        peer: R,
    },
    /// What a tier-1 advertises: its connected networks, which routers outside dial.
    Advertisement {
        /// The tier-1.
        router: R,
    },
    /// A subnet of a block; it can't be changed, and its network is NSX's choice.
    IpSubnet {
        /// From the blocks for untranslated projects.
        routed: bool,
        /// Whose.
        project: ProjectId,
    },
    /// A switch.
    Switch {
        /// Display name.
        name: Arc<str>,
        /// Whose.
        project: ProjectId,
    },
    /// The switch's port towards the router; NSX fills in its attachment.
    GatewayPort {
        /// Display name.
        name: Arc<str>,
        /// The switch.
        switch: R,
    },
    /// The router's port towards the switch, with the gateway's address.
    Downlink {
        /// Display name.
        name: Arc<str>,
        /// The tier-1.
        router: R,
        /// The switch's port.
        port: R,
        /// The subnet, which must not be given back to its block while the router serves it.
        subnet: R,
        /// Its network.
        cidr: Ipv4Net,
    },
    /// A container's port.
    Port {
        /// Display name.
        name: Arc<str>,
        /// The switch.
        switch: R,
        /// The machine's interface.
        parent: R,
        /// The spoof-guard profile.
        profile: R,
        /// The VLAN towards the machine.
        vlan: u16,
        /// The container's address.
        address: Ipv4Addr,
        /// Its Ethernet address.
        mac: Mac,
        /// The container's handle, by which the machine's side finds it.
        app: Name,
        /// Whose.
        project: ProjectId,
        /// The groups it belongs to, in order.
        groups: Box<[GroupId]>,
        /// Descriptive pairs, in order.
        labels: Arc<[(Arc<str>, Arc<str>)]>,
        /// What must stand before it without being named by it: its switch's default denies, so that
        /// it is denied before it is anything else, and its own translation.
        after: Apart<Vec<R>>,
    },
    /// An IP set that says which address we hold in which pool.
    Claim {
        /// The pool, if one was named.
        pool: Option<R>,
        /// Whose project may draw from an owned pool.
        project: ProjectId,
    },
    /// A NAT rule.
    Nat {
        /// Display name.
        name: Arc<str>,
        /// Lower wins.
        priority: u32,
        /// Source.
        source: Ipv4Net,
        /// Destination; any if absent.
        destination: Option<Ipv4Net>,
        /// Translated address.
        translated: Translated<R>,
    },
    /// A group of the ports that bear a tag.
    Group {
        /// Display name.
        name: Arc<str>,
        /// The group.
        group: GroupId,
    },
    /// A group with members.
    Union {
        /// Display name.
        name: Arc<str>,
    },
    /// A group in a group.
    Member {
        /// The group.
        group: R,
        /// The member.
        member: R,
    },
    /// The group of this cluster's switches.
    ClusterGroup {
        /// Display name.
        name: Arc<str>,
    },
    /// The spoof-guard profile: only a port's own bindings pass.
    SpoofGuard {
        /// Display name.
        name: Arc<str>,
    },
    /// A firewall section.
    Section {
        /// Display name.
        name: Arc<str>,
        /// Where it stands.
        tier: Tier,
        /// It stands among those that log.
        logs: bool,
        /// The section after which it is put. Not compared: operators move sections about.
        anchor: Apart<Option<R>>,
        /// Whose ports; empty: as each rule says.
        applied_to: Vec<Target<R>>,
    },
    /// A firewall rule.
    Rule(RuleBody<R>),
    /// Made by others: a machine's port, a pool.
    Found,
}

/// Something that matters when an object is made and is not part of what it then is.
#[derive(Clone, Debug)]
pub struct Apart<T>(pub T);

impl<T> PartialEq for Apart<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl<T> Eq for Apart<T> {}
impl<T> std::hash::Hash for Apart<T> {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

/// A translated address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Translated<R> {
    /// That which this claim holds. The rule names the claim besides the address, so that the address
    /// is not given back while flows are translated to it.
    Claim {
        /// The claim.
        claim: R,
        /// The address, once it is known.
        address: Option<Ipv4Addr>,
    },
    /// None: the flow passes untranslated.
    Untranslated,
}

/// A firewall rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RuleBody<R> {
    /// The section.
    pub section: R,
    /// Seen from the port.
    pub direction: Direction,
    /// The other end.
    pub peers: PeerSet<R>,
    /// What is matched above the address; none: everything.
    pub services: Vec<Service>,
    /// The verdict.
    pub action: Action,
    /// Whether it logs.
    pub log: bool,
    /// Whose ports, where the section leaves that to its rules.
    pub applied_to: Vec<Target<R>>,
}

/// The other end of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PeerSet<R> {
    /// Anything.
    Any,
    /// Any of these, in order.
    Of(Vec<Target<R>>),
    /// None of these.
    NoneOf(Vec<Target<R>>),
}

/// What a firewall reference points at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target<R> {
    /// A group.
    Group(R),
    /// A switch.
    Switch(R),
    /// An address, network or range, as NSX writes it.
    Address(Arc<str>),
}
