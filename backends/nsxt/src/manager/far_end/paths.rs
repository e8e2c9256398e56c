//! Where each kind of object is.

use ncp_core::id::Name;

use crate::manager::names::Environment;
use crate::manager::part::{Collection, Handle, Part};
use crate::transport::escape_segment;

/// The list that rows of this part are made in; empty for those that are not made by a POST on a list.
pub(super) fn list(env: &Environment, part: Part) -> String {
    match part {
        Part::Router => "/logical-routers".into(),
        Part::LinkTier0 | Part::LinkTier1 | Part::Downlink => "/logical-router-ports".into(),
        Part::IpSubnet => "/pools/ip-subnets".into(),
        Part::Switch => "/logical-switches".into(),
        Part::GatewayPort | Part::Port | Part::Parent => "/logical-ports".into(),
        Part::Pool => "/pools/ip-pools".into(),
        Part::Claim => "/ip-sets".into(),
        Part::Nat | Part::NoNat(_) => format!(
            "/logical-routers/{}/nat/rules",
            escape_segment(&env.tier0.to_string())
        ),
        Part::Group | Part::ClusterGroup => "/ns-groups".into(),
        Part::SpoofGuard => "/switching-profiles".into(),
        Part::Section => "/firewall/sections".into(),
        Part::Advertisement | Part::Member | Part::Rule(_) => String::new(),
    }
}

/// The object itself.
pub(super) fn object(env: &Environment, part: Part, handle: &Handle) -> String {
    match handle {
        Handle::Advertisement(router) => {
            format!(
                "/logical-routers/{}/routing/advertisement",
                escape_segment(&router.to_string())
            )
        }
        Handle::Rule { section, rule } => format!("{}/{}", rules(section), escape_segment(&rule.to_string())),
        Handle::Member { group, .. } => format!("/ns-groups/{}", escape_segment(&group.to_string())),
        Handle::Id(id) | Handle::Nat(id) | Handle::Vif(id) => {
            format!("{}/{}", list(env, part), escape_segment(&id.to_string()))
        }
        Handle::Riding => list(env, part),
    }
}

/// The rules of a section.
pub(super) fn rules(section: &Name) -> String {
    format!(
        "/firewall/sections/{}/rules",
        escape_segment(&section.to_string())
    )
}

/// The handle of an object of this part with this id.
pub(super) fn handle(part: Part, id: Name) -> Handle {
    match part {
        Part::Nat | Part::NoNat(_) => Handle::Nat(id),
        Part::Advertisement => Handle::Advertisement(id),
        _ => Handle::Id(id),
    }
}

/// The list that a sweep pages through, and its filter.
pub(super) fn swept(
    env: &Environment,
    collection: Collection,
) -> (String, Vec<(&'static str, &'static str)>) {
    let (part, filter) = match collection {
        Collection::Routers => (Part::Router, vec![("router_type", "TIER1")]),
        Collection::RouterPorts => (Part::Downlink, vec![]),
        Collection::IpSubnets => (Part::IpSubnet, vec![]),
        Collection::Switches => (Part::Switch, vec![]),
        Collection::Ports => (Part::Port, vec![]),
        Collection::IpSets => (Part::Claim, vec![]),
        Collection::NatRules => (Part::Nat, vec![]),
        Collection::Groups => (Part::Group, vec![]),
        Collection::Profiles => (
            Part::SpoofGuard,
            vec![("switching_profile_type", "SpoofGuardSwitchingProfile")],
        ),
        Collection::Sections => (Part::Section, vec![]),
    };
    (list(env, part), filter)
}
