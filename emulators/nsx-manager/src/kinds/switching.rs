//! Logical switches, logical ports, and the switching profiles bound to them.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::formats::Format;
use super::pools;
use super::schema::{Schema, Type, choice, field, flag, int, list, text};
use super::{Filter, Kind, Rules, Spec, invalidate};
use crate::api::crud;
use crate::api::error::{ApiError, CLASH, Result};
use crate::api::query::Query;
use crate::options::Version;
use crate::store::{Body, Object, Term, Tx, View, items, string, text as text_of};

const MODULE: &str = "nsx-switching";

const BINDING: &Schema = &[
    field("ip_address", Type::Of(Format::Addresses)),
    field("mac_address", Type::Of(Format::Mac)),
    int("vlan", 0, 4095),
];

const PROFILE_TYPES: &[&str] = &[
    "QosSwitchingProfile",
    "PortMirroringSwitchingProfile",
    "IpDiscoverySwitchingProfile",
    "SpoofGuardSwitchingProfile",
    "SwitchSecuritySwitchingProfile",
    "MacManagementSwitchingProfile",
];

const BOUND_PROFILE: &Schema = &[choice("key", PROFILE_TYPES), text("value").required()];

const SWITCH: &Schema = &[
    text("transport_zone_id").once(),
    choice("admin_state", &["UP", "DOWN"]).required(),
    choice("replication_mode", &["MTEP", "SOURCE"]),
    int("vlan", 0, 4094),
    field("vlan_trunk_spec", Type::Any),
    int("vni", 0, 16_777_215),
    text("ip_pool_id"),
    text("mac_pool_id"),
    list("address_bindings", &Type::Object(BINDING), 100).or_empty(),
    list("switching_profile_ids", &Type::Object(BOUND_PROFILE), 10).or_empty(),
    text("uplink_teaming_policy_name"),
    list("extra_configs", &Type::Any, 100),
    flag("hybrid", false).since(Version::V2_5),
];

const VIF: &Schema = &[
    choice("vif_type", &["PARENT", "CHILD", "INDEPENDENT"]).required(),
    text("parent_vif_id"),
    int("traffic_tag", 0, 4095),
    text("app_id"),
    text("transport_node_uuid"),
    choice("allocate_addresses", &["IpPool", "MacPool", "Both", "None"]),
];

const OTHER_CONTEXT: &Schema = &[choice(
    "allocate_addresses",
    &["IpPool", "MacPool", "Both", "None"],
)];

const CONTEXTS: &[(&str, &Schema)] = &[
    ("VifAttachmentContext", VIF),
    ("AttachmentContext", OTHER_CONTEXT),
];

const ATTACHMENT_TYPES: &[&str] = &[
    "VIF",
    "LOGICALROUTER",
    "BRIDGEENDPOINT",
    "DHCP_SERVICE",
    "METADATA_PROXY",
    "L2VPN_SESSION",
];

const ATTACHMENT: &Schema = &[
    text("id").required(),
    choice("attachment_type", ATTACHMENT_TYPES).or("VIF"),
    field("context", Type::Variant("resource_type", CONTEXTS)),
];

const PORT: &Schema = &[
    text("logical_switch_id").once(),
    choice("admin_state", &["UP", "DOWN"]).required(),
    field("attachment", Type::Object(ATTACHMENT)),
    list("address_bindings", &Type::Object(BINDING), 512).or_empty(),
    choice("init_state", &["UNBLOCKED_VLAN"]),
    list("switching_profile_ids", &Type::Object(BOUND_PROFILE), 10).or_empty(),
    list("ignore_address_bindings", &Type::Object(BINDING), 16)
        .or_empty()
        .since(Version::V2_5),
    list("extra_configs", &Type::Any, 100),
];

const SPOOF_GUARD: &Schema = &[list(
    "white_list_providers",
    &Type::Enum(&["LPORT_BINDINGS", "LSWITCH_BINDINGS"]),
    2,
)
.required()];
const SWITCH_SECURITY: &Schema = &[
    flag("block_non_ip_traffic", false),
    field("bpdu_filter", Type::Any),
    field("dhcp_filter", Type::Any),
    field("rate_limits", Type::Any),
    flag("ra_guard_enabled", true).since(Version::V2_5),
];
const IP_DISCOVERY: &Schema = &[
    flag("arp_snooping_enabled", true),
    int("arp_bindings_limit", 1, 128).or_int(1),
    flag("dhcp_snooping_enabled", true),
    flag("vm_tools_enabled", true),
];
const MAC_MANAGEMENT: &Schema = &[
    flag("mac_change_allowed", false),
    field("mac_learning", Type::Any),
];
const QOS: &Schema = &[
    int("class_of_service", 0, 7).or_int(0),
    field("dscp", Type::Any),
    list("shaper_configuration", &Type::Any, 3).or_empty(),
];
const MIRRORING: &Schema = &[
    list("destinations", &Type::Of(Format::Ip), 3),
    choice("direction", &["INGRESS", "EGRESS", "BIDIRECTIONAL"]),
    int("key", 0, u32::MAX as i64),
    int("snap_length", 60, 65535),
];

pub(super) const SPECS: &[Spec] = &[
    Spec::new(
        Kind::LogicalSwitch,
        "logical-switches",
        MODULE,
        &[("LogicalSwitch", SWITCH)],
        &Switches,
    ),
    Spec::new(
        Kind::LogicalPort,
        "logical-ports",
        MODULE,
        &[("LogicalPort", PORT)],
        &Ports,
    ),
    Spec::new(
        Kind::SwitchingProfile,
        "switching-profiles",
        MODULE,
        &[
            ("SpoofGuardSwitchingProfile", SPOOF_GUARD),
            ("SwitchSecuritySwitchingProfile", SWITCH_SECURITY),
            ("IpDiscoverySwitchingProfile", IP_DISCOVERY),
            ("MacManagementSwitchingProfile", MAC_MANAGEMENT),
            ("QosSwitchingProfile", QOS),
            ("PortMirroringSwitchingProfile", MIRRORING),
        ],
        &Profiles,
    ),
];

fn refuse<T>(message: impl Into<String>) -> Result<T> {
    Err(ApiError::invalid(message).module(MODULE))
}

struct Switches;

impl Rules for Switches {
    fn check(&self, tx: &mut Tx<'_>, body: &mut Body, old: Option<&Object>) -> Result<()> {
        let zone = tx.referent(Kind::TransportZone, text_of(body, "transport_zone_id"))?;
        if zone.text("transport_type") == "OVERLAY" {
            overlay(tx, body, old)?;
        } else if !body.contains_key("vlan") && !body.contains_key("vlan_trunk_spec") {
            return refuse("A switch of a VLAN zone needs a vlan.");
        }
        for (field, kind) in [("ip_pool_id", Kind::IpPool), ("mac_pool_id", Kind::MacPool)] {
            if body.contains_key(field) {
                tx.referent(kind, text_of(body, field))?;
            }
        }
        bind_profiles(tx, body)
    }

    fn release(&self, tx: &mut Tx<'_>, object: &Arc<Object>, query: &Query) -> Result<()> {
        let (cascade, detach) = (query.flag("cascade"), query.flag("detach"));
        if !detach && in_group(tx, &object.id) {
            return Err(ApiError::in_use(&object.id, "it is a member of an NSGroup").module(MODULE));
        }
        let ports: Vec<_> = tx
            .view()
            .referrers(Kind::LogicalPort, &object.id)
            .cloned()
            .collect();
        let stays = ports.iter().any(|port| port.body.contains_key("attachment"));
        if !detach && !ports.is_empty() && (!cascade || stays) {
            return Err(ApiError::in_use(&object.id, "ports exist on it").module(MODULE));
        }
        for port in ports {
            crud::delete(tx, Kind::LogicalPort, &port.id, query)?;
        }
        invalidate(tx, &object.id);
        Ok(())
    }

    fn filter(&self, query: &Query) -> Result<Filter> {
        let zone = query.get("transport_zone_id").map(|zone| Term::Ref(zone.into()));
        let profile = query
            .get("switching_profile_id")
            .map(|profile| Term::Ref(profile.into()));
        let mut filter = Filter::all().with(zone).with(profile).equal(
            query,
            "uplink_teaming_policy_name",
            "uplink_teaming_policy_name",
        );
        for name in ["vlan", "vni"] {
            if let Some(wanted) = query.number(name)? {
                filter = filter.and(move |_, switch| switch.body.get(name) == Some(&json!(wanted)));
            }
        }
        let Some(wanted) = query.get("transport_type").map(str::to_owned) else {
            return Ok(filter);
        };
        Ok(filter.and(move |view, switch| {
            let zone = view.get(Kind::TransportZone, switch.text("transport_zone_id"));
            zone.is_some_and(|zone| zone.text("transport_type") == wanted)
        }))
    }
}

fn overlay(tx: &mut Tx<'_>, body: &mut Body, old: Option<&Object>) -> Result<()> {
    if !body.contains_key("replication_mode") {
        return refuse("A switch of an overlay zone needs a replication_mode.");
    }
    if body.contains_key("vlan") {
        return refuse("A switch of an overlay zone has no vlan.");
    }
    match old.and_then(|old| old.body.get("vni")) {
        Some(vni) => drop(body.insert("vni".into(), vni.clone())),
        None => {
            let number = tx.number();
            body.entry("vni")
                .or_insert_with(|| json!(65_536 + number.rem_euclid(16_000_000)));
        }
    }
    Ok(())
}

/// Checks the profiles that the body binds and adds the system's for the types it leaves out.
fn bind_profiles(tx: &Tx<'_>, body: &mut Body) -> Result<()> {
    let mut bound = check_profiles(tx, body)?;
    let types: BTreeSet<String> = bound
        .iter()
        .map(|entry| string(entry, "key").to_owned())
        .collect();
    let defaults = tx
        .view()
        .list(Kind::SwitchingProfile, None)
        .filter(|profile| profile.flag("_system_owned"));
    for profile in defaults.filter(|profile| !types.contains(profile.text("resource_type"))) {
        bound.push(json!({ "key": profile.text("resource_type"), "value": profile.id.as_ref() }));
    }
    body.insert("switching_profile_ids".into(), Value::Array(bound));
    Ok(())
}

fn check_profiles(tx: &Tx<'_>, body: &Body) -> Result<Vec<Value>> {
    let mut seen = BTreeSet::new();
    let mut bound = Vec::new();
    for entry in items(body, "switching_profile_ids") {
        let profile = tx.referent(Kind::SwitchingProfile, string(entry, "value"))?;
        let (key, of) = (string(entry, "key"), profile.text("resource_type"));
        if !(key.is_empty() || key == of) || !seen.insert(of.to_owned()) {
            return refuse(format!(
                "The profile {} is a {of}; one of each type can be bound.",
                profile.id
            ));
        }
        bound.push(json!({ "key": of, "value": profile.id.as_ref() }));
    }
    Ok(bound)
}

pub(super) fn in_group(tx: &Tx<'_>, id: &str) -> bool {
    tx.referred(Kind::NSGroup, id)
}

struct Ports;

impl Rules for Ports {
    fn check(&self, tx: &mut Tx<'_>, body: &mut Body, old: Option<&Object>) -> Result<()> {
        let switch = tx.referent(Kind::LogicalSwitch, text_of(body, "logical_switch_id"))?;
        let mut bound = check_profiles(tx, body)?;
        fill_from_switch(&mut bound, &switch);
        body.insert("switching_profile_ids".into(), Value::Array(bound));
        let Some(attachment) = body.get("attachment") else {
            return Ok(());
        };
        let id = string(attachment, "id");
        let taken = tx
            .view()
            .with(Kind::LogicalPort, &Term::Attachment(id.into()), None);
        if let Some(other) = taken
            .into_iter()
            .find(|other| old.is_none_or(|old| old.id != other.id))
        {
            let message = format!("The attachment {id} is already on port {}.", other.id);
            return Err(ApiError::bad(CLASH, message).module(MODULE));
        }
        context(attachment.get("context").unwrap_or(&Value::Null), &switch)
    }

    fn stored(&self, tx: &mut Tx<'_>, object: &Arc<Object>, old: Option<&Object>) -> Result<()> {
        let (before, now) = (
            old.map_or("", |old| allocates(&old.body)),
            allocates(&object.body),
        );
        if !before.is_empty() && now.is_empty() {
            pools::release_for(tx, &object.id);
        }
        if before.is_empty() && !now.is_empty() {
            draw_addresses(tx, object, now)?;
        }
        Ok(())
    }

    fn release(&self, tx: &mut Tx<'_>, object: &Arc<Object>, query: &Query) -> Result<()> {
        let forced = query.flag("detach");
        if !forced && object.body.contains_key("attachment") {
            return Err(ApiError::in_use(&object.id, "it is attached").module(MODULE));
        }
        if !forced && in_group(tx, &object.id) {
            return Err(ApiError::in_use(&object.id, "it is a member of an NSGroup").module(MODULE));
        }
        pools::release_for(tx, &object.id);
        invalidate(tx, &object.id);
        Ok(())
    }

    fn filter(&self, query: &Query) -> Result<Filter> {
        let term = |name: &str, of: fn(Box<str>) -> Term| query.get(name).map(|value| of(value.into()));
        let mut filter = Filter::all()
            .with(term("attachment_id", Term::Attachment))
            .with(term("parent_vif_id", Term::ParentVif))
            .with(term("logical_switch_id", Term::Ref))
            .with(term("switching_profile_id", Term::Ref));
        if query.flag("container_ports_only") {
            filter = filter.and(|_, port| vif(&port.body, "vif_type") == "CHILD");
        }
        if let Some(wanted) = query.get("attachment_type").map(str::to_owned) {
            filter = filter.and(move |_, port| match port.body.get("attachment") {
                Some(attachment) => string(attachment, "attachment_type") == wanted,
                None => wanted == "NONE",
            });
        }
        let Some(zone) = query.get("transport_zone_id").map(str::to_owned) else {
            return Ok(filter);
        };
        Ok(filter.and(move |view, port| {
            let switch = view.get(Kind::LogicalSwitch, port.text("logical_switch_id"));
            switch.is_some_and(|switch| switch.text("transport_zone_id") == zone)
        }))
    }
}

/// The profiles that the port takes over from its switch.
fn fill_from_switch(bound: &mut Vec<Value>, switch: &Object) {
    for inherited in switch.items("switching_profile_ids") {
        if !bound
            .iter()
            .any(|entry| string(entry, "key") == string(inherited, "key"))
        {
            bound.push(inherited.clone());
        }
    }
}

/// What an attachment's context needs.
fn context(context: &Value, switch: &Object) -> Result<()> {
    let child = string(context, "vif_type") == "CHILD";
    if child && (string(context, "parent_vif_id").is_empty() || context.get("traffic_tag").is_none()) {
        return refuse("A CHILD vif needs parent_vif_id and traffic_tag.");
    }
    let allocate = string(context, "allocate_addresses");
    if matches!(allocate, "IpPool" | "Both") && switch.text("ip_pool_id").is_empty() {
        return refuse("allocate_addresses needs a switch with an ip_pool_id.");
    }
    if matches!(allocate, "MacPool" | "Both") && switch.text("mac_pool_id").is_empty() {
        return refuse("allocate_addresses needs a switch with a mac_pool_id.");
    }
    Ok(())
}

/// A field of the port's VIF context, empty when there is none.
pub(crate) fn vif<'a>(body: &'a Body, field: &str) -> &'a str {
    let context = body
        .get("attachment")
        .and_then(|attachment| attachment.get("context"));
    context.map_or("", |context| string(context, field))
}

/// Which pools the port draws from: `IpPool`, `MacPool`, `Both`, or empty.
fn allocates(body: &Body) -> &str {
    Some(vif(body, "allocate_addresses"))
        .filter(|pools| *pools != "None")
        .unwrap_or("")
}

fn draw_addresses(tx: &mut Tx<'_>, port: &Arc<Object>, from: &str) -> Result<()> {
    let switch = tx.referent(Kind::LogicalSwitch, port.text("logical_switch_id"))?;
    let mut binding = Body::new();
    if matches!(from, "IpPool" | "Both") {
        let address = pools::draw(tx, Kind::IpPool, switch.text("ip_pool_id"), None, Some(&port.id))?;
        binding.insert("ip_address".into(), json!(address));
    }
    if matches!(from, "MacPool" | "Both") {
        let address = pools::draw_mac(tx, switch.text("mac_pool_id"), &port.id)?;
        binding.insert("mac_address".into(), json!(address));
    }
    tx.touch(port, |body| {
        match body.entry("address_bindings").or_insert_with(|| json!([])) {
            Value::Array(bindings) => bindings.push(Value::Object(binding)),
            other => *other = json!([binding]),
        }
    });
    Ok(())
}

struct Profiles;

impl Rules for Profiles {
    fn release(&self, tx: &mut Tx<'_>, object: &Arc<Object>, query: &Query) -> Result<()> {
        let users: Vec<_> = users(tx.view(), &object.id);
        if !users.is_empty() && !query.flag("unbind") {
            return Err(ApiError::in_use(&object.id, "switches or ports are bound to it").module(MODULE));
        }
        let key = object.text("resource_type");
        let system = tx
            .view()
            .list(Kind::SwitchingProfile, None)
            .find(|profile| profile.flag("_system_owned") && profile.text("resource_type") == key);
        let system = system.map_or(String::new(), |profile| profile.id.to_string());
        for user in users {
            let mut body = user.body.clone();
            let bound = body
                .get_mut("switching_profile_ids")
                .and_then(Value::as_array_mut);
            for entry in bound
                .into_iter()
                .flatten()
                .filter(|entry| string(entry, "value") == object.id.as_ref())
            {
                *entry = json!({ "key": key, "value": system });
            }
            tx.update(&user, body);
        }
        Ok(())
    }

    fn filter(&self, query: &Query) -> Result<Filter> {
        let filter = Filter::all().equal(query, "switching_profile_type", "resource_type");
        let all = query.flag("include_system_owned");
        Ok(filter.and(move |_, profile| all || !profile.flag("_system_owned")))
    }
}

fn users(view: &View, id: &str) -> Vec<Arc<Object>> {
    [Kind::LogicalSwitch, Kind::LogicalPort]
        .iter()
        .flat_map(|kind| view.referrers(*kind, id))
        .cloned()
        .collect()
}
