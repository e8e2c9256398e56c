//! Topology: what the network must be, in words that both an NSX and an OVN engineer know.
//!
//! Keys derive from intents, never from a backend's id, so a restart invents nothing. An aggregate is
//! a head and elements with keys of their own (a section and its rules, a union of groups and its
//! members), so that one change in a group of 100,000 costs one element.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::Digest;
use crate::id::{GroupId, Name, NodeId, PolicyId, PoolName, ProjectId, WorkloadId};
use crate::intent::{EgressAddress, EgressOwner, ProjectEgress, Rule, Tier};
use crate::net::Mac;

/// The key of an [`Object`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKey {
    /// A project's router.
    Router(ProjectId),
    /// The n-th subnet of a project, cut from the container blocks.
    Subnet(ProjectId, u16),
    /// The n-th switch of a project, which carries its n-th subnet.
    Switch(ProjectId, u16),
    /// The port of the network that a machine hangs on; made by others, only looked for.
    Node(NodeId),
    /// An address pool made by others; only looked for.
    Pool(PoolName),
    /// A container's port.
    Port(WorkloadId),
    /// A translated address, claimed from a pool. Boxed: the rarest key would be the largest.
    Address(Box<EgressAddress>),
    /// The translation of a project's n-th subnet.
    SubnetNat(ProjectId, u16),
    /// The translation of one workload.
    WorkloadNat(WorkloadId),
    /// A group of workloads' ports.
    Group(GroupId),
    /// Membership of a workload in a group; only for backends whose groups don't select by mark.
    Member(GroupId, WorkloadId),
    /// The union of groups that a policy is applied to.
    Union(PolicyId),
    /// A group in a union.
    UnionMember(PolicyId, GroupId),
    /// A firewall section.
    Section(SectionKey),
    /// A rule, by its section and the digest of its meaning.
    Rule(SectionKey, Digest),
}

/// Which firewall section.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SectionKey {
    /// The platform's own rules of a tier that concern all containers.
    Platform(PlatformSection),
    /// A policy's.
    Policy(PolicyId),
    /// A project's default denies, one pair for each of its switches.
    Isolation(ProjectId),
}

/// The platform's own sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PlatformSection {
    /// Holds back outside traffic of workloads whose egress is refused.
    Hold,
    /// Container to container outward, and the platform's routers inward.
    Allow,
}

/// A thing of the network.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Object {
    /// See [`ObjectKey::Router`].
    Router(Router),
    /// See [`ObjectKey::Subnet`].
    Subnet(Subnet),
    /// See [`ObjectKey::Switch`].
    Switch(Switch),
    /// See [`ObjectKey::Node`].
    Node(NodeId),
    /// See [`ObjectKey::Pool`].
    Pool(Pool),
    /// See [`ObjectKey::Port`].
    Port(Port),
    /// See [`ObjectKey::Address`].
    Address(EgressAddress),
    /// See [`ObjectKey::SubnetNat`].
    SubnetNat(SubnetNat),
    /// See [`ObjectKey::WorkloadNat`].
    WorkloadNat(WorkloadNat),
    /// See [`ObjectKey::Group`].
    Group(GroupId),
    /// See [`ObjectKey::Member`].
    Member(GroupId, WorkloadId),
    /// See [`ObjectKey::Union`].
    Union(Union),
    /// See [`ObjectKey::UnionMember`].
    UnionMember(PolicyId, GroupId),
    /// See [`ObjectKey::Section`].
    Section(Section),
    /// See [`ObjectKey::Rule`].
    Rule(SectionRule),
}

/// A project's router, linked to the operator's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Router {
    /// Whose.
    pub project: ProjectId,
    /// The project's display name, or its id while the name is unknown.
    pub name: Arc<str>,
    /// Its addresses are routable: advertise them (`Routed`), or only the translated ones.
    pub egress: ProjectEgress,
}

/// A project's n-th subnet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subnet {
    /// Whose.
    pub project: ProjectId,
    /// Which.
    pub index: u16,
    /// Cut from the blocks for routable addresses.
    pub routed: bool,
}

/// A project's n-th switch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Switch {
    /// Whose.
    pub project: ProjectId,
    /// Which.
    pub index: u16,
    /// The project's display name, or its id.
    pub name: Arc<str>,
    /// The subnet it carries.
    pub cidr: Ipv4Net,
}

/// A pool made by others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pool {
    /// As the user wrote it.
    pub name: PoolName,
}

/// A container's port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Port {
    /// The container.
    pub workload: WorkloadId,
    /// Whose network.
    pub project: ProjectId,
    /// Below which machine's port.
    pub node: NodeId,
    /// On which of the project's switches.
    pub switch: u16,
    /// The VLAN towards the machine.
    pub vlan: u16,
    /// Its address.
    pub address: Ipv4Addr,
    /// The prefix length of its subnet.
    pub prefix: u8,
    /// Its Ethernet address.
    pub mac: Mac,
    /// The groups it belongs to.
    pub groups: Box<[GroupId]>,
    /// Its own translation must stand before it.
    pub own_nat: bool,
    /// The default denies of its switch, which must stand before it (see [`Port::deny_keys`]).
    pub denies: [Digest; 2],
    /// Descriptive pairs for people.
    pub labels: Arc<[(Arc<str>, Arc<str>)]>,
    /// The platform's display name of the container.
    pub name: Arc<str>,
}

impl Port {
    /// The keys of the rules without which nothing would deny: they stand before the port does.
    pub fn deny_keys(&self) -> [ObjectKey; 2] {
        let section = SectionKey::Isolation(self.project.clone());
        self.denies.map(|digest| ObjectKey::Rule(section.clone(), digest))
    }
}

/// The translation of a subnet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SubnetNat {
    /// Whose.
    pub project: ProjectId,
    /// Which subnet.
    pub index: u16,
    /// The subnet.
    pub source: Ipv4Net,
    /// The translated address.
    pub address: EgressAddress,
}

/// The translation of one workload; before that of its subnet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkloadNat {
    /// The container.
    pub workload: WorkloadId,
    /// Whose network.
    pub project: ProjectId,
    /// The container's address.
    pub source: Ipv4Addr,
    /// The translated address.
    pub address: EgressAddress,
}

/// The union of the groups a policy is applied to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Union {
    /// Which policy's.
    pub policy: PolicyId,
    /// The policy's display name.
    pub name: Arc<str>,
}

/// A firewall section.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Section {
    /// Which.
    pub key: SectionKey,
    /// Where it stands.
    pub tier: Tier,
    /// Its display name.
    pub name: Arc<str>,
    /// Whose ports its rules are evaluated on.
    pub applied_to: Applied,
    /// It holds rules that log, so it stands before those of its tier that don't.
    pub logs: bool,
}

/// Whose ports a section or rule is evaluated on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Applied {
    /// As each rule says.
    PerRule,
    /// The members of a group.
    Group(GroupId),
    /// The members of a policy's union.
    Union(PolicyId),
    /// Every container of this cluster.
    Cluster,
    /// Every port of one switch.
    Switch(ProjectId, u16),
}

/// A rule in its section.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SectionRule {
    /// The section.
    pub section: SectionKey,
    /// The digest of [`SectionRule::rule`] and [`SectionRule::applied_to`]; the rule's key.
    pub digest: Digest,
    /// What it says.
    pub rule: Arc<Rule>,
    /// Where the section leaves that to its rules: whose ports.
    pub applied_to: Applied,
}

impl Object {
    /// The key of this object.
    pub fn key(&self) -> ObjectKey {
        match self {
            Object::Router(x) => ObjectKey::Router(x.project.clone()),
            Object::Subnet(x) => ObjectKey::Subnet(x.project.clone(), x.index),
            Object::Switch(x) => ObjectKey::Switch(x.project.clone(), x.index),
            Object::Node(x) => ObjectKey::Node(x.clone()),
            Object::Pool(x) => ObjectKey::Pool(x.name.clone()),
            Object::Port(x) => ObjectKey::Port(x.workload.clone()),
            Object::Address(x) => ObjectKey::address(x.clone()),
            Object::SubnetNat(x) => ObjectKey::SubnetNat(x.project.clone(), x.index),
            Object::WorkloadNat(x) => ObjectKey::WorkloadNat(x.workload.clone()),
            Object::Group(x) => ObjectKey::Group(x.clone()),
            Object::Member(g, w) => ObjectKey::Member(g.clone(), w.clone()),
            Object::Union(x) => ObjectKey::Union(x.policy.clone()),
            Object::UnionMember(p, g) => ObjectKey::UnionMember(p.clone(), g.clone()),
            Object::Section(x) => ObjectKey::Section(x.key.clone()),
            Object::Rule(x) => ObjectKey::Rule(x.section.clone(), x.digest),
        }
    }
}

/// What an object is for; budgets are shared and plans are counted by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// Routers.
    Router,
    /// Subnets.
    Subnet,
    /// Switches.
    Switch,
    /// Machines' ports.
    Node,
    /// Pools.
    Pool,
    /// Containers' ports.
    Port,
    /// Translated addresses.
    Address,
    /// Translations, of subnets and of workloads.
    Nat,
    /// Groups.
    Group,
    /// Members of groups.
    Member,
    /// Unions of groups.
    Union,
    /// Members of unions.
    UnionMember,
    /// Sections.
    Section,
    /// Rules.
    Rule,
}

impl ObjectKey {
    /// The key of a translated address.
    pub fn address(address: EgressAddress) -> ObjectKey {
        ObjectKey::Address(Box::new(address))
    }

    /// The kind of the object.
    pub fn kind(&self) -> Kind {
        match self {
            ObjectKey::Router(_) => Kind::Router,
            ObjectKey::Subnet(..) => Kind::Subnet,
            ObjectKey::Switch(..) => Kind::Switch,
            ObjectKey::Node(_) => Kind::Node,
            ObjectKey::Pool(_) => Kind::Pool,
            ObjectKey::Port(_) => Kind::Port,
            ObjectKey::Address(_) => Kind::Address,
            ObjectKey::SubnetNat(..) | ObjectKey::WorkloadNat(_) => Kind::Nat,
            ObjectKey::Group(_) => Kind::Group,
            ObjectKey::Member(..) => Kind::Member,
            ObjectKey::Union(_) => Kind::Union,
            ObjectKey::UnionMember(..) => Kind::UnionMember,
            ObjectKey::Section(_) => Kind::Section,
            ObjectKey::Rule(..) => Kind::Rule,
        }
    }
}

impl fmt::Display for SectionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SectionKey::Platform(PlatformSection::Hold) => f.write_str("platform/hold"),
            SectionKey::Platform(PlatformSection::Allow) => f.write_str("platform/allow"),
            SectionKey::Policy(p) => write!(f, "policy/{}", p.0.escaped()),
            SectionKey::Isolation(p) => write!(f, "isolation/{}", p.0.escaped()),
        }
    }
}

impl fmt::Debug for SectionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectKey::Router(p) => write!(f, "router/{}", p.0.escaped()),
            ObjectKey::Subnet(p, n) => write!(f, "subnet/{}/{n}", p.0.escaped()),
            ObjectKey::Switch(p, n) => write!(f, "switch/{}/{n}", p.0.escaped()),
            ObjectKey::Node(n) => write!(f, "node/{}", n.0.escaped()),
            ObjectKey::Pool(p) => write!(f, "pool/{}", p.0.escaped()),
            ObjectKey::Port(w) => write!(f, "port/{}", w.0.escaped()),
            ObjectKey::Address(a) => {
                match &a.owner {
                    EgressOwner::Project(p) => write!(f, "address/project/{}", p.0.escaped())?,
                    EgressOwner::Group(p, g) => {
                        write!(f, "address/group/{}/{}", p.0.escaped(), g.0.escaped())?
                    }
                }
                match &a.pool {
                    Some(pool) => write!(f, "/{}", pool.0.escaped()),
                    None => Ok(()),
                }
            }
            ObjectKey::SubnetNat(p, n) => write!(f, "subnet-nat/{}/{n}", p.0.escaped()),
            ObjectKey::WorkloadNat(w) => write!(f, "nat/{}", w.0.escaped()),
            ObjectKey::Group(g) => write!(f, "group/{}", g.0.escaped()),
            ObjectKey::Member(g, w) => write!(f, "member/{}/{}", g.0.escaped(), w.0.escaped()),
            ObjectKey::Union(p) => write!(f, "union/{}", p.0.escaped()),
            ObjectKey::UnionMember(p, g) => write!(f, "union-member/{}/{}", p.0.escaped(), g.0.escaped()),
            ObjectKey::Section(s) => write!(f, "section/{s}"),
            ObjectKey::Rule(s, d) => write!(f, "rule/{s}/{d}"),
        }
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not the key of a network object")]
pub struct InvalidKey(pub String);

impl FromStr for SectionKey {
    type Err = InvalidKey;
    fn from_str(text: &str) -> Result<SectionKey, InvalidKey> {
        match text.split_once('/') {
            Some(("platform", "hold")) => Ok(SectionKey::Platform(PlatformSection::Hold)),
            Some(("platform", "allow")) => Ok(SectionKey::Platform(PlatformSection::Allow)),
            Some(("policy", p)) => Ok(SectionKey::Policy(PolicyId(Name::unescape(p)))),
            Some(("isolation", p)) => Ok(SectionKey::Isolation(ProjectId(Name::unescape(p)))),
            _ => Err(InvalidKey(text.to_owned())),
        }
    }
}

impl FromStr for ObjectKey {
    type Err = InvalidKey;
    fn from_str(text: &str) -> Result<ObjectKey, InvalidKey> {
        parse_key(text).ok_or_else(|| InvalidKey(text.to_owned()))
    }
}

fn parse_key(text: &str) -> Option<ObjectKey> {
    let (kind, rest) = text.split_once('/')?;
    let name = |t: &str| Name::unescape(t);
    let indexed = |t: &str| {
        let (p, n) = t.rsplit_once('/')?;
        Some((ProjectId(name(p)), n.parse::<u16>().ok()?))
    };
    Some(match kind {
        "router" => ObjectKey::Router(ProjectId(name(rest))),
        "subnet" => indexed(rest).map(|(p, n)| ObjectKey::Subnet(p, n))?,
        "switch" => indexed(rest).map(|(p, n)| ObjectKey::Switch(p, n))?,
        "node" => ObjectKey::Node(NodeId(name(rest))),
        "pool" => ObjectKey::Pool(PoolName(name(rest))),
        "port" => ObjectKey::Port(WorkloadId(name(rest))),
        "address" => ObjectKey::address(parse_address(rest)?),
        "subnet-nat" => indexed(rest).map(|(p, n)| ObjectKey::SubnetNat(p, n))?,
        "nat" => ObjectKey::WorkloadNat(WorkloadId(name(rest))),
        "group" => ObjectKey::Group(GroupId(name(rest))),
        "member" => {
            let (g, w) = rest.split_once('/')?;
            ObjectKey::Member(GroupId(name(g)), WorkloadId(name(w)))
        }
        "union" => ObjectKey::Union(PolicyId(name(rest))),
        "union-member" => {
            let (p, g) = rest.split_once('/')?;
            ObjectKey::UnionMember(PolicyId(name(p)), GroupId(name(g)))
        }
        "section" => ObjectKey::Section(rest.parse().ok()?),
        "rule" => {
            let (s, d) = rest.rsplit_once('/')?;
            ObjectKey::Rule(s.parse().ok()?, d.parse().ok()?)
        }
        _ => return None,
    })
}

fn parse_address(text: &str) -> Option<EgressAddress> {
    let mut parts = text.split('/');
    let owner = match parts.next()? {
        "project" => EgressOwner::Project(ProjectId(Name::unescape(parts.next()?))),
        "group" => {
            let project = ProjectId(Name::unescape(parts.next()?));
            EgressOwner::Group(project, GroupId(Name::unescape(parts.next()?)))
        }
        _ => return None,
    };
    let pool = parts.next().map(|p| PoolName(Name::unescape(p)));
    parts.next().is_none().then_some(EgressAddress { owner, pool })
}

impl Serialize for ObjectKey {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ObjectKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_key_reads_back_what_it_prints() {
        let p = || ProjectId::new("org/1~x");
        let g = || GroupId::new("space:0b2c1d3e-1111-4222-8333-444455556666:running");
        let w = || WorkloadId::new("0b2c1d3e-1111-4222-8333-444455556666");
        let pool = || PoolName::new("pool one");
        for key in [
            ObjectKey::Router(p()),
            ObjectKey::Subnet(p(), 3),
            ObjectKey::Switch(p(), 0),
            ObjectKey::Node(NodeId::new("cell/0")),
            ObjectKey::Pool(pool()),
            ObjectKey::Port(w()),
            ObjectKey::address(EgressAddress {
                owner: EgressOwner::Project(p()),
                pool: None,
            }),
            ObjectKey::address(EgressAddress {
                owner: EgressOwner::Group(p(), g()),
                pool: Some(pool()),
            }),
            ObjectKey::SubnetNat(p(), 1),
            ObjectKey::WorkloadNat(w()),
            ObjectKey::Group(g()),
            ObjectKey::Member(g(), w()),
            ObjectKey::Union(PolicyId::new("asg:1")),
            ObjectKey::UnionMember(PolicyId::new("asg:1"), g()),
            ObjectKey::Section(SectionKey::Platform(PlatformSection::Hold)),
            ObjectKey::Section(SectionKey::Policy(PolicyId::new("a/b"))),
            ObjectKey::Rule(SectionKey::Isolation(p()), Digest(7)),
        ] {
            assert_eq!(key.to_string().parse::<ObjectKey>().unwrap(), key);
        }
    }
}
