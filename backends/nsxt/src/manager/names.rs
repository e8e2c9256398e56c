//! What the dialect knows of the manager: the operator's objects, resolved, and NSX's limits.

use std::fmt::Display;
use std::sync::Arc;

use ipnet::Ipv4Net;
use ncp_core::id::Name;

/// The operator's objects, resolved to ids before anything is rendered.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The cluster's name: prefix of display names, and the mark of ownership (R-CFG-03).
    pub cluster: String,
    /// The tier-0 router that projects' routers hang on.
    pub tier0: Name,
    /// The overlay transport zone.
    pub overlay_zone: Name,
    /// Blocks that projects' subnets are cut from, in order of use.
    pub container_blocks: Vec<Block>,
    /// Blocks for projects that are not translated; empty: the same.
    pub routed_blocks: Vec<Block>,
    /// Pools for projects' translated addresses, in order of use.
    pub external_pools: Vec<Name>,
    /// The section below which ours stand.
    pub top_marker: Option<Name>,
    /// The section above which ours stand.
    pub bottom_marker: Option<Name>,
    /// Ranges that container traffic reaches untranslated.
    pub no_masquerade: Vec<Ipv4Net>,
    /// Prefix length of projects' subnets.
    pub subnet_prefix: u8,
    /// How a machine's port is found.
    pub node_match: NodeMatch,
    /// NSX's limits.
    pub limits: Limits,
}

/// An IP block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its id.
    pub id: Name,
    /// Its network.
    pub cidr: Ipv4Net,
}

/// How a machine's port is found: where it is configured, there; else by the first way that finds one.
///
/// The order matters for a machine with several interfaces. The platform marks the ports of all of them,
/// an operator the one that containers are to use; the way that names one goes first then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeMatch {
    /// Interfaces of machines that no tag tells.
    pub fixed: std::collections::BTreeMap<String, Name>,
    /// The ways, in the order in which they are tried.
    pub ways: Vec<NodeTag>,
}

/// By which tag a machine's port is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeTag {
    /// `ncp/node_name`, together with `ncp/cluster` (R-RES-06).
    NodeName,
    /// A tag of this scope that the platform itself puts on the port, such as `bosh/id`.
    Scope(String),
}

impl NodeMatch {
    /// By `ncp/node_name` alone.
    pub fn by_name() -> NodeMatch {
        NodeMatch {
            fixed: std::collections::BTreeMap::new(),
            ways: vec![NodeTag::NodeName],
        }
    }
}

/// NSX's limits (the published definitions, 2.3 to 2.5).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Tags on one object.
    pub tags: usize,
    /// Characters of a tag's scope.
    pub scope: usize,
    /// Characters of a tag.
    pub tag: usize,
    /// Characters of a display name.
    pub name: usize,
    /// Sources, destinations or services of one rule.
    pub references: usize,
    /// Ports of one service.
    pub ports: usize,
    /// Rules of one section.
    pub rules: usize,
    /// Members of one group by id.
    pub members: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            tags: 30,
            scope: 128,
            tag: 256,
            name: 255,
            references: 128,
            ports: 15,
            rules: 1000,
            members: 500,
        }
    }
}

impl Environment {
    /// Every network that containers have addresses of, whichever kind.
    pub fn container_networks(&self) -> Vec<Ipv4Net> {
        let mut all: Vec<Ipv4Net> = self
            .container_blocks
            .iter()
            .chain(&self.routed_blocks)
            .map(|b| b.cidr)
            .collect();
        all.sort();
        all.dedup();
        all
    }

    /// The blocks that a project's subnets are cut from, in order of use.
    pub fn blocks(&self, routed: bool) -> &[Block] {
        if routed && !self.routed_blocks.is_empty() {
            &self.routed_blocks
        } else {
            &self.container_blocks
        }
    }

    /// A display name within NSX's limit; a longer one is cut and told apart by a hash.
    pub fn name(&self, rest: impl Display) -> Arc<str> {
        let name = format!("{}-{rest}", self.cluster);
        match name.len() <= self.limits.name {
            true => name.into(),
            false => shorten(&name, self.limits.name).into(),
        }
    }
}

/// `text` within `limit` bytes; a longer one is cut and told apart by a stable hash (L-30).
pub fn shorten(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let hash = ncp_core::digest::of(text).to_string();
    let mut cut = limit.saturating_sub(hash.len() + 1);
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}-{hash}", &text[..cut])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_to_the_limit_and_told_apart() {
        let (a, b) = ("ä".repeat(200), "ä".repeat(201));
        assert!(shorten(&a, 256).len() <= 256);
        assert_ne!(shorten(&a, 256), shorten(&b, 256));
        assert_eq!(shorten("short", 256), "short");
    }
}
