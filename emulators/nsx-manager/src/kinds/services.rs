//! Services: protocols and ports as rules and translations name them.

use std::sync::Arc;

use super::formats::Format;
use super::schema::{Schema, Type, choice, field, flag, int, list, text};
use super::{Filter, Kind, REFERENCE, Rules, Spec, invalidate};
use crate::api::error::{ApiError, Result};
use crate::api::query::Query;
use crate::store::{Body, Object, Tx, items, string};

const MODULE: &str = "firewall";

const PORTS: Type = Type::Of(Format::Ports);

const L4: &Schema = &[
    choice("l4_protocol", &["TCP", "UDP"]).required(),
    list("destination_ports", &PORTS, 15).or_empty(),
    list("source_ports", &PORTS, 15).or_empty(),
];
const ICMP: &Schema = &[
    choice("protocol", &["ICMPv4", "ICMPv6"]).required(),
    int("icmp_type", 0, 255),
    int("icmp_code", 0, 255),
];
const IP: &Schema = &[int("protocol_number", 0, 255).required()];
const ALGS: &[&str] = &[
    "ORACLE_TNS",
    "FTP",
    "SUN_RPC_TCP",
    "SUN_RPC_UDP",
    "MS_RPC_TCP",
    "MS_RPC_UDP",
    "NBNS_BROADCAST",
    "NBDG_BROADCAST",
    "TFTP",
];
const ALG: &Schema = &[
    choice("alg", ALGS).required(),
    list("destination_ports", &PORTS, 15).or_empty(),
    list("source_ports", &PORTS, 15).or_empty(),
];
const ETHER: &Schema = &[int("ether_type", 0, 65535).required()];
const IGMP: &Schema = &[];

/// An NSServiceElement.
pub(super) const ELEMENT: Type = Type::Variant(
    "resource_type",
    &[
        ("L4PortSetNSService", L4),
        ("ICMPTypeNSService", ICMP),
        ("IPProtocolNSService", IP),
        ("ALGTypeNSService", ALG),
        ("EtherTypeNSService", ETHER),
        ("IGMPTypeNSService", IGMP),
    ],
);

const SERVICE: &Schema = &[
    field("nsservice_element", ELEMENT).required(),
    flag("default_service", false).read_only(),
];

const SERVICE_GROUP: &Schema = &[
    list("members", &Type::Object(REFERENCE), 50).required(),
    flag("default_service", false).read_only(),
    text("service_type").read_only(),
];

pub(super) const SPECS: &[Spec] = &[
    Spec::new(
        Kind::NSService,
        "ns-services",
        MODULE,
        &[("NSService", SERVICE)],
        &Services,
    ),
    Spec::new(
        Kind::NSServiceGroup,
        "ns-service-groups",
        MODULE,
        &[("NSServiceGroup", SERVICE_GROUP)],
        &Services,
    ),
];

struct Services;

impl Rules for Services {
    fn check(&self, tx: &mut Tx<'_>, body: &mut Body, _: Option<&Object>) -> Result<()> {
        for member in items(body, "members") {
            tx.referent(Kind::NSService, string(member, "target_id"))?;
        }
        Ok(())
    }

    fn release(&self, tx: &mut Tx<'_>, object: &Arc<Object>, query: &Query) -> Result<()> {
        let users = [Kind::FirewallRule, Kind::NSServiceGroup];
        if !query.flag("force") && users.iter().any(|kind| tx.referred(*kind, &object.id)) {
            return Err(
                ApiError::in_use(&object.id, "a rule or a service group refers to it").module(MODULE),
            );
        }
        invalidate(tx, &object.id);
        Ok(())
    }

    fn filter(&self, query: &Query) -> Result<Filter> {
        let Some(wanted) = query.get("default_service").map(|text| text == "true") else {
            return Ok(Filter::all());
        };
        Ok(Filter::all().and(move |_, service| service.flag("default_service") == wanted))
    }
}
