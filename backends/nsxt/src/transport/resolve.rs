//! Objects that the configuration names by name or by UUID.

use std::fmt;

use serde_json::Value;

use super::api::Api;
use super::classify::Class;
use super::error::TransportError;
use super::request::{Request, escape_segment};

/// Kinds of objects that options name; NCP uses but never changes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResolveKind {
    /// `tier0_router`.
    Tier0Router,
    /// `overlay_tz`.
    TransportZone,
    /// The tier-0's edge cluster, or one that is named.
    EdgeCluster,
    /// `container_ip_blocks`, `no_snat_ip_blocks`.
    IpBlock,
    /// `external_ip_pools`, `external_ip_pools_lb`, and pools named by apps and orgs.
    IpPool,
    /// `top_firewall_section_marker`, `bottom_firewall_section_marker`.
    FirewallSection,
    /// `lb_service`.
    LoadBalancerService,
    /// Spoof guard and other switching profiles.
    SwitchingProfile,
    /// A group made by the operator.
    NsGroup,
}

impl ResolveKind {
    /// Path of the list below `/api/v1`.
    pub fn path(self) -> &'static str {
        match self {
            Self::Tier0Router => "/logical-routers",
            Self::TransportZone => "/transport-zones",
            Self::EdgeCluster => "/edge-clusters",
            Self::IpBlock => "/pools/ip-blocks",
            Self::IpPool => "/pools/ip-pools",
            Self::FirewallSection => "/firewall/sections",
            Self::LoadBalancerService => "/loadbalancer/services",
            Self::SwitchingProfile => "/switching-profiles",
            Self::NsGroup => "/ns-groups",
        }
    }

    fn filter(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Tier0Router => &[("router_type", "TIER0")],
            _ => &[],
        }
    }

    /// Whether an object that was fetched by id is of this kind; the path alone does not tell routers apart.
    fn admits(self, body: &Value) -> bool {
        self.filter().iter().all(|(field, value)| body[*field] == **value)
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Tier0Router => "tier-0 router",
            Self::TransportZone => "transport zone",
            Self::EdgeCluster => "edge cluster",
            Self::IpBlock => "IP block",
            Self::IpPool => "IP pool",
            Self::FirewallSection => "firewall section",
            Self::LoadBalancerService => "load balancer service",
            Self::SwitchingProfile => "switching profile",
            Self::NsGroup => "NSGroup",
        }
    }
}

impl fmt::Display for ResolveKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.noun())
    }
}

/// An object that was found.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Its id.
    pub id: String,
    /// All of it.
    pub body: Value,
}

/// A name that leads to no object, or to several.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// Nothing has this name or id.
    #[error("there is no {kind} with the name or id \"{given}\"; create it or correct the option")]
    NotFound {
        /// Kind looked for.
        kind: ResolveKind,
        /// What the option says.
        given: String,
    },
    /// Several have this name.
    #[error("{} of kind {kind} are named \"{given}\"; give the UUID instead, one of: {}", .ids.len(), .ids.join(", "))]
    Ambiguous {
        /// Kind looked for.
        kind: ResolveKind,
        /// What the option says.
        given: String,
        /// All that have the name, in order.
        ids: Vec<String>,
    },
    /// It could not be found out.
    #[error("the {kind} \"{given}\" could not be looked up")]
    Transport {
        /// Kind looked for.
        kind: ResolveKind,
        /// What the option says.
        given: String,
        /// Why.
        #[source]
        source: TransportError,
    },
}

impl ResolveError {
    /// The guide's error code: absence and ambiguity of pools have codes of their own, other objects that the
    /// configuration names fall under "NSX configuration validation failed", and an unreachable manager under
    /// "NSX connection failed".
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound {
                kind: ResolveKind::IpPool,
                ..
            } => "NCP00069",
            Self::NotFound {
                kind: ResolveKind::EdgeCluster,
                ..
            } => "NCP00070",
            Self::Ambiguous {
                kind: ResolveKind::IpPool,
                ..
            } => "NCP00088",
            Self::NotFound { .. } | Self::Ambiguous { .. } => "NCP00075",
            Self::Transport { .. } => "NCP00009",
        }
    }
}

impl Api {
    /// Finds the object of this kind by id or by display name. An id wins over a name.
    pub async fn resolve(&self, kind: ResolveKind, given: &str) -> Result<Resolved, ResolveError> {
        let failed = |source| ResolveError::Transport {
            kind,
            given: given.to_owned(),
            source,
        };
        if uuid::Uuid::parse_str(given).is_ok()
            && let Some(found) = self.by_id(kind, given).await.map_err(failed)?
        {
            return Ok(found);
        }
        let mut found = self.by_name(kind, given).await.map_err(failed)?;
        match (found.pop(), found.is_empty()) {
            (None, _) => Err(ResolveError::NotFound {
                kind,
                given: given.to_owned(),
            }),
            (Some(only), true) => Ok(only),
            (Some(last), false) => {
                let mut ids: Vec<_> = found.into_iter().chain([last]).map(|one| one.id).collect();
                ids.sort();
                Err(ResolveError::Ambiguous {
                    kind,
                    given: given.to_owned(),
                    ids,
                })
            }
        }
    }

    async fn by_id(&self, kind: ResolveKind, id: &str) -> Result<Option<Resolved>, TransportError> {
        let path = format!("{}/{}", kind.path(), escape_segment(id));
        match self.send(&Request::get(path)).await {
            Ok(response) => {
                let body: Value = response.json()?;
                Ok(kind.admits(&body).then(|| Resolved {
                    id: id_of(&body, id),
                    body,
                }))
            }
            Err(error) if error.class() == Class::Gone => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All objects with exactly this name. A page may repeat an object, so ids are counted once.
    async fn by_name(&self, kind: ResolveKind, name: &str) -> Result<Vec<Resolved>, TransportError> {
        let mut pages = self.list::<Value>(kind.path(), kind.filter());
        let mut found: Vec<Resolved> = Vec::new();
        while let Some(page) = pages.next().await? {
            for body in page {
                let id = id_of(&body, "");
                if body["display_name"] == name && found.iter().all(|one| one.id != id) {
                    found.push(Resolved { id, body });
                }
            }
        }
        Ok(found)
    }
}

fn id_of(body: &Value, otherwise: &str) -> String {
    body["id"].as_str().unwrap_or(otherwise).to_owned()
}
