//! Ownership, as tags: rendered and read back here and nowhere else.
//!
//! Every object of ours carries `ncp/cluster`, `ncp/version` and `ncp/key`; the last is the row's key,
//! by which a process that remembers nothing knows it. An object without all of them is not ours.

use std::sync::Arc;

use ncp_core::dialect::RowKey;
use ncp_core::id::GroupId;
use serde::{Deserialize, Serialize};

use super::names::{Environment, shorten};
use super::part::Part;

/// The version of the marks' meaning (not the product's).
pub(super) const VERSION: &str = "2.0.0";

/// Scope of the cluster's name (R-IPAM-09, R-RES-06).
pub(super) const CLUSTER: &str = "ncp/cluster";
/// Scope of [`VERSION`].
pub(super) const MARKS: &str = "ncp/version";
/// Scope of a row's key.
pub(super) const KEY: &str = "ncp/key";
/// Scope of a project's id.
pub(super) const PROJECT: &str = "ncp/project";
/// Scope of a group that a port belongs to.
pub(super) const GROUP: &str = "ncp/group";

/// Scope of whether a subnet was cut for a project that is not translated.
pub(super) const ROUTED: &str = "ncp/routed";
/// Scope of the id of the subnet that a router's port serves.
pub(super) const SUBNET: &str = "ncp/subnet_id";
/// Scope of the tier that a firewall section stands in.
pub(super) const TIER: &str = "ncp/tier";
/// Scope of whether a firewall section stands among those that log.
pub(super) const LOGS: &str = "ncp/logs";
/// Scope of the id of the pool that a claimed address comes from.
pub(super) const POOL: &str = "ncp/extpoolid";
/// Scope of how far a claim has come.
pub(super) const CLAIM: &str = "ncp/claim";
/// Scope of the id of the claim whose address a NAT rule translates to.
pub(super) const CLAIM_ID: &str = "ncp/claim_id";
/// Scope of an address that is taken and may be ours: an answer was lost. Nobody uses it.
pub(super) const SUSPECT: &str = "ncp/suspect";
/// Scope by which an operator says whom a pool is for (R-SNAT-01).
pub(super) const OWNER: &str = "ncp/owner";
/// Scope by which a machine's port is recognised (R-RES-06).
pub(super) const NODE: &str = "ncp/node_name";

/// A tag of NSX's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tag {
    /// Its scope.
    #[serde(default)]
    pub scope: String,
    /// Its value.
    #[serde(default)]
    pub tag: String,
}

impl Tag {
    /// A tag.
    pub fn new(scope: impl Into<String>, tag: impl Into<String>) -> Tag {
        Tag {
            scope: scope.into(),
            tag: tag.into(),
        }
    }
}

/// Whose an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marks {
    /// This cluster's, and this row.
    Ours(RowKey<Part>),
    /// This cluster's by its mark, but the key can't be read: made by a newer version, or by hand.
    Unreadable(String),
    /// Somebody else's: hands off.
    Foreign,
}

impl Environment {
    /// The tags that make an object ours.
    pub fn owner_tags(&self, key: &RowKey<Part>) -> Vec<Tag> {
        vec![
            Tag::new(CLUSTER, self.cluster.clone()),
            Tag::new(MARKS, VERSION),
            Tag::new(KEY, key_text(key)),
        ]
    }

    /// The value of a group's tag on a port, unique among clusters on one NSX.
    pub fn group_tag(&self, group: &GroupId) -> String {
        shorten(&format!("{}/{group}", self.cluster), self.limits.tag)
    }

    /// The group of a port's tag, if it is one of this cluster's.
    pub fn group_of_tag(&self, tag: &str) -> Option<GroupId> {
        tag.strip_prefix(&self.cluster)?
            .strip_prefix('/')
            .map(GroupId::new)
    }

    /// A descriptive pair within NSX's limits.
    pub fn label(&self, key: &str, value: &str) -> (Arc<str>, Arc<str>) {
        (
            shorten(key, self.limits.scope).into(),
            shorten(value, self.limits.tag).into(),
        )
    }
}

/// Who owns an object that bears these tags.
pub fn owner_of(tags: &[Tag], cluster: &str) -> Marks {
    if !tags.iter().any(|t| t.scope == CLUSTER && t.tag == cluster) {
        return Marks::Foreign;
    }
    let Some(key) = tags.iter().find(|t| t.scope == KEY) else {
        return Marks::Foreign;
    };
    match parse_key(&key.tag) {
        Some(key) => Marks::Ours(key),
        None => Marks::Unreadable(key.tag.clone()),
    }
}

pub(super) fn key_text(key: &RowKey<Part>) -> String {
    format!("{}#{}", key.object, key.part)
}

fn parse_key(text: &str) -> Option<RowKey<Part>> {
    let (object, part) = text.rsplit_once('#')?;
    Some(RowKey::new(object.parse().ok()?, Part::parse(part)?))
}

/// Scopes that ownership and structure use; what is not among them on a port is a label.
pub(super) fn is_structural(scope: &str) -> bool {
    matches!(
        scope,
        CLUSTER
            | MARKS
            | KEY
            | PROJECT
            | GROUP
            | ROUTED
            | SUBNET
            | TIER
            | LOGS
            | POOL
            | CLAIM
            | CLAIM_ID
            | SUSPECT
            | OWNER
            | NODE
    )
}
