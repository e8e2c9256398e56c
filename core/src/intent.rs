//! Intents: what the platform wants, in words of neither a platform nor a network engine.
//!
//! An adapter translates its platform's objects into [`Fact`]s; [`crate::compile`] joins them into
//! the network. Constructors parse, so a fact that exists is well formed; what could not be parsed
//! arrives as a [`Defect`] on the object that carries it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::digest::{self, Digest};
use crate::id::{GroupId, Name, NodeId, PolicyId, PoolName, ProjectId, WorkloadId};
use crate::net::{CidrSet, Service};

/// The platform's object that something came from, in the platform's own words: what an operator or
/// developer is told about it, and where its status goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// The platform's word for the kind, such as `org`, `security group`, `Pod`.
    pub kind: Arc<str>,
    /// The platform's id.
    pub id: Name,
    /// The platform's display name where it is known; it may change.
    pub name: Option<Arc<str>>,
}

/// One thing an adapter has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A machine that runs containers.
    Node(Node),
    /// A tenant.
    Project(Project),
    /// A container.
    Workload(Workload),
    /// A set of rules.
    Policy(Policy),
}

/// The key of a [`Fact`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FactKey {
    /// See [`Node`].
    Node(NodeId),
    /// See [`Project`].
    Project(ProjectId),
    /// See [`Workload`].
    Workload(WorkloadId),
    /// See [`Policy`].
    Policy(PolicyId),
}

impl Fact {
    /// The key of this fact.
    pub fn key(&self) -> FactKey {
        match self {
            Fact::Node(x) => FactKey::Node(x.id.clone()),
            Fact::Project(x) => FactKey::Project(x.id.clone()),
            Fact::Workload(x) => FactKey::Workload(x.id.clone()),
            Fact::Policy(x) => FactKey::Policy(x.id.clone()),
        }
    }
}

/// A machine that runs containers. Which port of the network it hangs on, the backend finds out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The platform's id of the machine.
    pub id: NodeId,
    /// Where it came from.
    pub origin: Origin,
}

/// A tenant with a network of its own (organization, namespace).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The tenant's id.
    pub id: ProjectId,
    /// Its display name.
    pub name: Arc<str>,
    /// How its traffic leaves the container network.
    pub egress: ProjectEgress,
    /// Make its network now instead of at its first workload.
    pub eager: bool,
    /// Where it came from.
    pub origin: Origin,
}

/// How a project's traffic leaves the container network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum ProjectEgress {
    /// Translated to an address of the project's own, from the default pools.
    #[default]
    Translated,
    /// Translated to an address of the project's own, from this pool.
    Pool(PoolName),
    /// Not translated: its addresses are routable.
    Routed,
}

/// A container. Everything it needs is copied onto it when it is claimed and stays until the
/// container is gone, whatever its parent record does meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// The container's handle.
    pub id: WorkloadId,
    /// The tenant whose network it joins.
    pub project: ProjectId,
    /// The machine it runs on.
    pub node: NodeId,
    /// The groups it belongs to, in order, without repeats.
    pub groups: Box<[GroupId]>,
    /// How its traffic leaves the container network.
    pub egress: WorkloadEgress,
    /// Descriptive pairs for people who look at the port in the network engine.
    pub labels: Arc<[(Arc<str>, Arc<str>)]>,
    /// Where it came from.
    pub origin: Origin,
}

/// How a workload's traffic leaves the container network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WorkloadEgress {
    /// As its project's.
    #[default]
    Project,
    /// Translated to the address that `owner` holds in `pool`; wins over the project's (R-SNAT-34).
    Own(EgressAddress),
}

/// One translated address: who shares it, and the pool it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EgressAddress {
    /// Who shares the address.
    pub owner: EgressOwner,
    /// The pool it comes from; `None` for the backend's default pools.
    pub pool: Option<PoolName>,
}

/// Who shares a translated address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EgressOwner {
    /// All of a project that has none nearer.
    Project(ProjectId),
    /// The workloads of one group (an app) of a project.
    Group(ProjectId, GroupId),
}

/// A set of rules of one tier, applied to groups. Rules of one policy do not depend on each other's
/// order: all of them have the tier's one kind of verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The policy's id.
    pub id: PolicyId,
    /// Its display name.
    pub name: Arc<str>,
    /// Where it stands among the tiers.
    pub tier: Tier,
    /// Whose ports it is evaluated on.
    pub applied_to: AppliedTo,
    /// Its rules; equal ones are one.
    pub rules: Arc<[Rule]>,
    /// What could not be understood of it: absent from `rules`, reported on the origin.
    pub defects: Arc<[Defect]>,
    /// Where it came from.
    pub origin: Origin,
}

/// Part of an object that could not be understood.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Defect {
    /// The guide's code.
    pub code: Code,
    /// Which part, what is wrong, what to write instead.
    pub message: Arc<str>,
}

/// Whose ports a policy is evaluated on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AppliedTo {
    /// The members of one group.
    Group(GroupId),
    /// The members of any of these groups; binding one more is one element, not a new policy.
    Groups(Arc<BTreeSet<GroupId>>),
}

impl AppliedTo {
    /// The groups named.
    pub fn groups(&self) -> Box<dyn Iterator<Item = &GroupId> + '_> {
        match self {
            AppliedTo::Group(one) => Box::new(std::iter::once(one)),
            AppliedTo::Groups(many) => Box::new(many.iter()),
        }
    }
}

/// Where a section stands. Each tier holds rules of one action, and rules never jump tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tier {
    /// The operator's own rules, above the top marker; never written by this product.
    Operator,
    /// Outside traffic of workloads whose own egress is refused: held back before any allow.
    Hold,
    /// Allows from policies and from the platform itself.
    Allow,
    /// Denies that keep what a policy selects apart from the rest.
    Isolation,
    /// Allows below isolation (a project's inner traffic).
    Baseline,
    /// What nothing above admitted.
    Default,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rule {
    /// Seen from the workload's port.
    pub direction: Direction,
    /// The other end.
    pub peers: Peers,
    /// What is matched above the address; none listed means everything.
    pub services: Vec<Service>,
    /// The verdict.
    pub action: Action,
    /// Whether flows that it decides are logged.
    pub log: bool,
}

impl Rule {
    /// The digest of the rule's meaning; with its section, the rule's key.
    pub fn digest(&self) -> Digest {
        digest::of(self)
    }
}

/// Seen from the workload's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Direction {
    /// Towards the workload.
    In,
    /// From the workload.
    Out,
}

/// The other end of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Peers {
    /// Anything.
    Any,
    /// The members of any of these groups.
    Groups(BTreeSet<GroupId>),
    /// Addresses.
    Cidrs(CidrSet),
    /// Every container of the container blocks, whichever cluster's.
    Containers,
    /// Everything but the container blocks.
    Outside,
}

/// A rule's verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Action {
    /// Let pass.
    Allow,
    /// Discard silently.
    Drop,
    /// Refuse with an answer.
    Reject,
}
