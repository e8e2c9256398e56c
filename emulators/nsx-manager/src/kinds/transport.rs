//! Transport zones and edge clusters: made by the operator, referred to by everything else.

use std::sync::Arc;

use super::schema::{Schema, Type, choice, field, flag, int, list, text};
use super::{Kind, Rules, Spec};
use crate::api::error::{ApiError, Result};
use crate::api::query::Query;
use crate::options::Version;
use crate::store::{Object, Tx};

const NETWORK: &str = "nsx-switching";

const TRANSPORT_ZONE: &Schema = &[
    choice("transport_type", &["OVERLAY", "VLAN"]).once(),
    field("host_switch_name", Type::Text(255)).or("nsxDefaultHostSwitch"),
    choice("host_switch_mode", &["STANDARD", "ENS"]).or("STANDARD"),
    text("host_switch_id").read_only(),
    flag("nested_nsx", false),
    flag("is_default", false).since(Version::V2_5),
];

const MEMBER: &Schema = &[int("member_index", 0, 9), text("transport_node_id").required()];

const EDGE_CLUSTER: &Schema = &[
    list("members", &Type::Object(MEMBER), 10).or_empty(),
    text("member_node_type").read_only().or("EDGE_NODE"),
    text("deployment_type").read_only().or("VIRTUAL_MACHINE"),
];

/// Refuses a delete while objects of some kinds refer to it.
pub(super) struct Held(pub(super) &'static [(Kind, &'static str)]);

impl Rules for Held {
    fn release(&self, tx: &mut Tx<'_>, object: &Arc<Object>, _: &Query) -> Result<()> {
        match self.0.iter().find(|(kind, _)| tx.referred(*kind, &object.id)) {
            Some((_, why)) => Err(ApiError::in_use(&object.id, why)),
            None => Ok(()),
        }
    }
}

pub(super) const SPECS: &[Spec] = &[
    Spec::new(
        Kind::TransportZone,
        "transport-zones",
        NETWORK,
        &[("TransportZone", TRANSPORT_ZONE)],
        &Held(&[(Kind::LogicalSwitch, "logical switches lie in it")]),
    ),
    Spec::new(
        Kind::EdgeCluster,
        "edge-clusters",
        "nsx-fabric",
        &[("EdgeCluster", EDGE_CLUSTER)],
        &Held(&[(Kind::LogicalRouter, "logical routers are placed on it")]),
    ),
];
