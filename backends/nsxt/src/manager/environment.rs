//! The operator's names become ids, and each thing wrong with them is said at once.

use std::fmt;

use ipnet::Ipv4Net;
use ncp_core::code::Code;
use ncp_core::dialect::Failure;
use ncp_core::id::Name;
use serde_json::Value;

use super::json::{id, text};
use super::names::{Block, Environment, Limits, NodeMatch};
use crate::transport::{Api, ResolveError, ResolveKind, Resolved, TransportError};

/// The operator's objects as the configuration names them, by display name or UUID (R-RES-01).
#[derive(Clone, Debug)]
pub struct Named {
    /// The cluster's name.
    pub cluster: String,
    /// `tier0_router`.
    pub tier0: String,
    /// `overlay_tz`; the tier-0's own if absent (R-RES-03).
    pub overlay_zone: Option<String>,
    /// `container_ip_blocks`, in order of use.
    pub container_blocks: Vec<String>,
    /// `no_snat_ip_blocks`, in order of use.
    pub routed_blocks: Vec<String>,
    /// `external_ip_pools`, in order of use.
    pub external_pools: Vec<String>,
    /// `top_firewall_section_marker`.
    pub top_marker: Option<String>,
    /// `bottom_firewall_section_marker`.
    pub bottom_marker: Option<String>,
    /// Ranges that container traffic reaches untranslated.
    pub no_masquerade: Vec<Ipv4Net>,
    /// `subnet_prefix`.
    pub subnet_prefix: u8,
    /// How a machine's port is recognised.
    pub node_match: NodeMatch,
    /// Whether projects' addresses are translated, for which the tier-0 needs an edge cluster and a pool.
    pub translate: bool,
}

/// Everything that is wrong with the operator's objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentError(pub Vec<Failure>);

impl fmt::Display for EnvironmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, failure) in self.0.iter().enumerate() {
            let line = if i > 0 { "\n" } else { "" };
            write!(f, "{line}{failure}; {}", failure.code.next_step())?;
        }
        Ok(())
    }
}

impl std::error::Error for EnvironmentError {}

impl EnvironmentError {
    /// Whether a later attempt may succeed without a change of the configuration or of NSX.
    pub fn is_passing(&self) -> bool {
        self.0.iter().all(|f| f.code == Code::NsxConnectionFailed)
    }
}

/// Finds the operator's objects and checks that each fits its purpose. Changes nothing.
///
/// # Errors
/// All that is wrong, each with its code, the option and what was found.
pub async fn resolve_environment(api: &Api, named: &Named) -> Result<Environment, EnvironmentError> {
    let mut finder = Finder {
        api,
        problems: Vec::new(),
    };
    let (tier0, zone) = finder.tier0(named).await;
    let container_blocks = finder
        .blocks(
            "container_ip_blocks",
            &named.container_blocks,
            named.subnet_prefix,
        )
        .await;
    let routed_blocks = finder
        .blocks("no_snat_ip_blocks", &named.routed_blocks, named.subnet_prefix)
        .await;
    let external_pools = finder.pools(&named.external_pools).await;
    let (top_marker, bottom_marker) = finder.markers(named).await;
    if named.container_blocks.is_empty() {
        finder.problem(Code::InvalidConfiguration, "container_ip_blocks names no block");
    }
    if named.translate && named.external_pools.is_empty() {
        finder.problem(
            Code::InvalidConfiguration,
            "external_ip_pools names no pool, and addresses are to be translated",
        );
    }
    match (tier0, zone, finder.problems.is_empty()) {
        (Some(tier0), Some(overlay_zone), true) => Ok(Environment {
            cluster: named.cluster.clone(),
            tier0,
            overlay_zone,
            container_blocks,
            routed_blocks,
            external_pools,
            top_marker,
            bottom_marker,
            no_masquerade: named.no_masquerade.clone(),
            subnet_prefix: named.subnet_prefix,
            node_match: named.node_match.clone(),
            limits: Limits::default(),
        }),
        _ => Err(EnvironmentError(finder.problems)),
    }
}

struct Finder<'a> {
    api: &'a Api,
    problems: Vec<Failure>,
}

impl Finder<'_> {
    fn problem(&mut self, code: Code, message: impl Into<String>) {
        let failure = Failure::new(code, message.into());
        if !self.problems.contains(&failure) {
            self.problems.push(failure);
        }
    }

    async fn find(&mut self, option: &str, kind: ResolveKind, given: &str) -> Option<Resolved> {
        match self.api.resolve(kind, given).await {
            Ok(found) => Some(found),
            Err(error) => {
                let ambiguous = matches!(error, ResolveError::Ambiguous { .. });
                let code = match kind {
                    ResolveKind::FirewallSection if ambiguous => Code::MultipleFirewallsFound,
                    _ => Code::parse(error.code()).unwrap_or(Code::InvalidNsxConfiguration),
                };
                let cause = match &error {
                    ResolveError::Transport { source, .. } => {
                        format!(": {}", super::far_end::describe(source))
                    }
                    _ => String::new(),
                };
                self.problem(code, format!("{option}: {error}{cause}"));
                None
            }
        }
    }

    /// The tier-0 and the overlay zone.
    async fn tier0(&mut self, named: &Named) -> (Option<Name>, Option<Name>) {
        let tier0 = self
            .find("tier0_router", ResolveKind::Tier0Router, &named.tier0)
            .await;
        if let Some(tier0) = &tier0 {
            self.check_tier0(named, &tier0.body);
        }
        let zone = match &named.overlay_zone {
            Some(given) => self.zone(given).await,
            None => {
                let own = tier0
                    .as_ref()
                    .map(|t| text(&t.body["advanced_config"], "transport_zone_id"));
                if own == Some("") {
                    let message = format!(
                        "tier0_router \"{}\" names no transport zone; set overlay_tz",
                        named.tier0
                    );
                    self.problem(Code::InvalidNsxConfiguration, message);
                }
                own.filter(|id| !id.is_empty()).map(Name::new)
            }
        };
        (tier0.map(|t| Name::new(&t.id)), zone)
    }

    fn check_tier0(&mut self, named: &Named, tier0: &Value) {
        let mode = text(tier0, "high_availability_mode");
        if mode != "ACTIVE_STANDBY" {
            let message = format!(
                "tier0_router \"{}\" is {}; it must be ACTIVE_STANDBY, else NSX takes no NAT rules",
                named.tier0,
                if mode.is_empty() { "of no HA mode" } else { mode }
            );
            self.problem(Code::InvalidNsxConfiguration, message);
        }
        if named.translate && text(tier0, "edge_cluster_id").is_empty() {
            let message = format!("tier0_router \"{}\" has no edge cluster", named.tier0);
            self.problem(Code::T0EdgeClusterNotFound, message);
        }
    }

    async fn zone(&mut self, given: &str) -> Option<Name> {
        let zone = self.find("overlay_tz", ResolveKind::TransportZone, given).await?;
        let kind = text(&zone.body, "transport_type");
        if kind != "OVERLAY" {
            let message = format!("overlay_tz: \"{given}\" is of type {kind}; it must be OVERLAY");
            self.problem(Code::InvalidNsxConfiguration, message);
        }
        Some(Name::new(&zone.id))
    }

    async fn blocks(&mut self, option: &str, given: &[String], prefix: u8) -> Vec<Block> {
        let mut blocks = Vec::with_capacity(given.len());
        for name in given {
            let Some(found) = self.find(option, ResolveKind::IpBlock, name).await else {
                continue;
            };
            let cidr = text(&found.body, "cidr");
            match cidr.parse::<Ipv4Net>() {
                Ok(net) if net.prefix_len() > prefix => self.problem(
                    Code::InvalidNsxConfiguration,
                    format!("{option}: block \"{name}\" ({net}) is smaller than a subnet of /{prefix}"),
                ),
                Ok(net) => blocks.push(Block {
                    id: Name::new(&found.id),
                    cidr: net.trunc(),
                }),
                Err(_) => self.problem(
                    Code::InvalidNsxConfiguration,
                    format!("{option}: block \"{name}\" has the network \"{cidr}\", which is not IPv4"),
                ),
            }
        }
        blocks
    }

    async fn pools(&mut self, given: &[String]) -> Vec<Name> {
        let mut pools = Vec::with_capacity(given.len());
        for name in given {
            let found = self.find("external_ip_pools", ResolveKind::IpPool, name).await;
            pools.extend(found.map(|pool| Name::new(&pool.id)));
        }
        pools
    }

    /// The marker sections, which must be one each and in order (R-FW-02, R-FW-05).
    async fn markers(&mut self, named: &Named) -> (Option<Name>, Option<Name>) {
        let top = self
            .marker("top_firewall_section_marker", named.top_marker.as_deref())
            .await;
        let bottom = self
            .marker("bottom_firewall_section_marker", named.bottom_marker.as_deref())
            .await;
        if let (Some(top), Some(bottom)) = (&top, &bottom) {
            match self.stands_above(top, bottom).await {
                Ok(true) => {}
                Ok(false) => self.problem(
                    Code::InvalidNsxConfiguration,
                    "bottom_firewall_section_marker must name a section below that of top_firewall_section_marker",
                ),
                Err(error) => {
                    let message = super::far_end::describe(&error);
                    self.problem(Code::NsxConnectionFailed, message);
                }
            }
        }
        (top, bottom)
    }

    async fn marker(&mut self, option: &str, given: Option<&str>) -> Option<Name> {
        let found = self.find(option, ResolveKind::FirewallSection, given?).await?;
        Some(Name::new(&found.id))
    }

    async fn stands_above(&self, top: &Name, bottom: &Name) -> Result<bool, TransportError> {
        let sections = self.api.list::<Value>("/firewall/sections", &[]).all().await?;
        let at = |wanted: &Name| sections.iter().position(|s| id(s) == *wanted);
        Ok(matches!((at(top), at(bottom)), (Some(top), Some(bottom)) if top < bottom))
    }
}
