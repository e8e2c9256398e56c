//! The distributed firewall's sections, rules, exclude list and status: fields and references.
//!
//! Their calls differ from the common ones, so they live in `api::firewall`; the order of lists is here.

use std::sync::Arc;

use serde_json::{Value, json};

use super::formats::{Format, fits};
use super::schema::{Schema, Type, choice, field, flag, int, list, text};
use super::services::ELEMENT;
use super::{Filter, Kind, Plain, REFERENCE, Rules, Spec};
use crate::api::error::{ApiError, CLASH, Result, SYSTEM_OWNED};
use crate::api::query::Query;
use crate::options::Version;
use crate::store::{Body, Object, Tx, string, text as text_of};

pub(crate) const MODULE: &str = "firewall";

const REF: Type = Type::Object(REFERENCE);

const SECTION: &Schema = &[
    choice("section_type", &["LAYER3", "LAYER2", "L3REDIRECT"]).once(),
    field("stateful", Type::Bool).once(),
    list("applied_tos", &REF, 128),
    flag("is_default", false).read_only(),
    flag("autoplumbed", false).read_only(),
    text("enforced_on").read_only().or("VIF"),
    flag("locked", false).read_only(),
    text("lock_modified_by").read_only(),
    int("lock_modified_time", 0, i64::MAX).read_only(),
    text("comments").read_only(),
    int("rule_count", 0, i64::MAX).read_only().or_int(0),
    flag("tcp_strict", false).since(Version::V2_5),
];

const SERVICE: &Schema = &[
    field("target_id", Type::Text(64)),
    field("target_type", Type::Text(255)),
    field("target_display_name", Type::Text(255)),
    flag("is_valid", true).read_only(),
    field("service", ELEMENT),
];

const RULE: &Schema = &[
    choice("action", &["ALLOW", "DROP", "REJECT"]).required(),
    list("sources", &REF, 128),
    list("destinations", &REF, 128),
    list("services", &Type::Object(SERVICE), 128),
    list("applied_tos", &REF, 128),
    flag("sources_excluded", false),
    flag("destinations_excluded", false),
    choice("direction", &["IN_OUT", "IN", "OUT"]).or("IN_OUT"),
    choice("ip_protocol", &["IPV4_IPV6", "IPV4", "IPV6"]).or("IPV4_IPV6"),
    flag("logged", false),
    flag("disabled", false),
    field("rule_tag", Type::Text(32)),
    field("notes", Type::Text(2048)),
    text("section_id").read_only(),
    flag("is_default", false).read_only(),
];

const EXCLUDE_LIST: &Schema = &[list("members", &REF, 1000).or_empty()];

const STATUS: &Schema = &[
    choice("context", &["transport_nodes", "logical_routers"]).required(),
    choice("global_status", &["ENABLED", "DISABLED"]).required(),
    list("target_statuses", &Type::Any, 1000).or_empty(),
];

pub(super) const SPECS: &[Spec] = &[
    Spec::new(
        Kind::FirewallSection,
        "firewall/sections",
        MODULE,
        &[("FirewallSection", SECTION)],
        &Sections,
    ),
    Spec::new(
        Kind::FirewallRule,
        "",
        MODULE,
        &[("FirewallRule", RULE)],
        &FirewallRules,
    ),
    Spec::new(
        Kind::ExcludeList,
        "",
        MODULE,
        &[("ExcludeList", EXCLUDE_LIST)],
        &Excluded,
    ),
    Spec::new(
        Kind::FirewallStatus,
        "",
        MODULE,
        &[("FirewallStatus", STATUS)],
        &Plain,
    ),
];

const PORTS_AND_GROUPS: &[&str] = &["NSGroup", "LogicalSwitch", "LogicalPort"];
const APPLICABLE: &[&str] = &["NSGroup", "LogicalSwitch", "LogicalPort", "LogicalRouter"];
const PEERS: &[&str] = &[
    "NSGroup",
    "IPSet",
    "LogicalSwitch",
    "LogicalPort",
    "IPv4Address",
    "IPv6Address",
    "VirtualMachine",
];
const SERVICES: &[&str] = &["NSService", "NSServiceGroup"];

/// Checks the references of a list field and fills in the names of their targets.
fn fill(tx: &Tx<'_>, body: &mut Body, field: &str, types: &[&str]) -> Result<()> {
    let Some(Value::Array(references)) = body.get_mut(field) else {
        return Ok(());
    };
    for reference in references
        .iter_mut()
        .filter_map(Value::as_object_mut)
        .filter(|one| !one.contains_key("service"))
    {
        let (of, id) = (
            text_of(reference, "target_type").to_owned(),
            text_of(reference, "target_id").to_owned(),
        );
        if !types.contains(&of.as_str()) {
            let message = format!("{field} can't hold a `{of}`; it holds {}.", types.join(", "));
            return Err(ApiError::invalid(message).module(MODULE));
        }
        let name = target_name(tx, &of, &id)?;
        reference.insert("target_display_name".into(), json!(name));
    }
    Ok(())
}

fn target_name(tx: &Tx<'_>, of: &str, id: &str) -> Result<String> {
    match of {
        "IPv4Address" | "IPv6Address"
            if fits(Format::Addresses, id) && id.contains(':') == (of == "IPv6Address") =>
        {
            Ok(id.to_owned())
        }
        "IPv4Address" | "IPv6Address" => Err(ApiError::invalid(format!("`{id}` is no {of}.")).module(MODULE)),
        _ => {
            let target = tx.referent(Kind::named(of).unwrap_or(Kind::NSGroup), id)?;
            Ok(target.text("display_name").to_owned())
        }
    }
}

struct Sections;

impl Rules for Sections {
    fn check(&self, tx: &mut Tx<'_>, body: &mut Body, old: Option<&Object>) -> Result<()> {
        if let Some(old) = old {
            let count = old.body.get("rule_count").cloned().unwrap_or(json!(0));
            body.insert("rule_count".into(), count);
        }
        fill(tx, body, "applied_tos", APPLICABLE)
    }

    fn filter(&self, query: &Query) -> Result<Filter> {
        let layer = query.get("type").unwrap_or("LAYER3").to_owned();
        let mut filter = Filter::all().and(move |_, section| section.text("section_type") == layer);
        if let Some(id) = query.get("applied_tos").map(str::to_owned) {
            filter = filter.and(move |_, section| names(section, "applied_tos", &id));
        }
        for field in ["sources", "destinations", "services"] {
            let Some(id) = query.get(field).map(str::to_owned) else {
                continue;
            };
            filter = filter.and(move |view, section| {
                view.children(Kind::FirewallRule, &section.id)
                    .any(|rule| names(rule, field, &id))
            });
        }
        Ok(filter)
    }
}

fn names(object: &Object, field: &str, id: &str) -> bool {
    object
        .items(field)
        .iter()
        .any(|reference| string(reference, "target_id") == id)
}

struct FirewallRules;

impl Rules for FirewallRules {
    fn check(&self, tx: &mut Tx<'_>, body: &mut Body, _: Option<&Object>) -> Result<()> {
        fill(tx, body, "sources", PEERS)?;
        fill(tx, body, "destinations", PEERS)?;
        fill(tx, body, "applied_tos", APPLICABLE)?;
        fill(tx, body, "services", SERVICES)
    }
}

struct Excluded;

impl Rules for Excluded {
    fn check(&self, tx: &mut Tx<'_>, body: &mut Body, _: Option<&Object>) -> Result<()> {
        let limit = if tx.version < Version::V2_5 { 100 } else { 1000 };
        if crate::store::items(body, "members").len() > limit {
            return Err(
                ApiError::invalid(format!("The exclude list holds at most {limit} members.")).module(MODULE),
            );
        }
        fill(tx, body, "members", PORTS_AND_GROUPS)
    }
}

/// Where an element goes in an ordered list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    Top,
    Bottom,
    Before(&'a str),
    After(&'a str),
}

impl<'a> Place<'a> {
    /// Reads `operation` and `id` of the query; `None` when no operation is given.
    pub(crate) fn read(query: &'a Query) -> Result<Option<Place<'a>>> {
        let anchor = || {
            query
                .get("id")
                .ok_or_else(|| ApiError::invalid("The operation needs an anchor in `id`.").module(MODULE))
        };
        Ok(Some(match query.get("operation") {
            None => return Ok(None),
            Some("insert_top") => Place::Top,
            Some("insert_bottom") => Place::Bottom,
            Some("insert_before") => Place::Before(anchor()?),
            Some("insert_after") => Place::After(anchor()?),
            Some(other) => {
                return Err(ApiError::invalid(format!("`{other}` is no operation.")).module(MODULE));
            }
        }))
    }
}

/// Room between neighbours; halved by each insert between the same two.
const GAP: i64 = 1 << 32;

/// The sequence number for a place among siblings in order; renumbers them when there is no room left.
///
/// A default element stays last: nothing goes behind it.
pub(crate) fn place(tx: &mut Tx<'_>, siblings: &[Arc<Object>], place: Place<'_>) -> Result<i64> {
    let movable = siblings.iter().take_while(|one| !one.flag("is_default")).count();
    let find = |anchor: &str| {
        let at = siblings.iter().position(|one| one.id.as_ref() == anchor);
        at.ok_or_else(|| ApiError::no_referent("anchor", anchor).module(MODULE))
    };
    let at = match place {
        Place::Top => 0,
        Place::Bottom => movable,
        Place::Before(anchor) => find(anchor)?,
        Place::After(anchor) => find(anchor)? + 1,
    };
    if at > movable {
        let message = "Nothing can be inserted after the default section.";
        return Err(ApiError::bad(CLASH, message).module(MODULE));
    }
    let before = at.checked_sub(1).map(|at| siblings[at].seq);
    let after = siblings.get(at).map(|one| one.seq);
    Ok(match between(before, after) {
        Some(seq) => seq,
        None => renumber(tx, siblings, at),
    })
}

fn between(before: Option<i64>, after: Option<i64>) -> Option<i64> {
    match (before, after) {
        (None, None) => Some(0),
        (Some(before), None) => before.checked_add(GAP),
        (None, Some(after)) => after.checked_sub(GAP),
        (Some(before), Some(after)) => {
            let middle = before + (after - before) / 2;
            (middle > before && middle < after).then_some(middle)
        }
    }
}

fn renumber(tx: &mut Tx<'_>, siblings: &[Arc<Object>], gap_at: usize) -> i64 {
    let mut seq = 0;
    let mut free = 0;
    for (at, sibling) in siblings.iter().enumerate() {
        if at == gap_at {
            free = seq;
            seq += GAP;
        }
        tx.place(sibling, seq);
        seq += GAP;
    }
    if gap_at == siblings.len() { seq } else { free }
}

/// Refuses what can't be done to the default section or a default rule.
pub(crate) fn not_default(object: &Object, what: &str) -> Result<()> {
    if object.flag("is_default") {
        let message = format!(
            "The default {} {} cannot be {what}.",
            object.kind.name(),
            object.id
        );
        return Err(ApiError::bad(SYSTEM_OWNED, message).module(MODULE));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_between_neighbours_until_there_is_not() {
        assert_eq!(between(None, None), Some(0));
        assert_eq!(between(Some(0), None), Some(GAP));
        assert_eq!(between(None, Some(0)), Some(-GAP));
        assert_eq!(between(Some(0), Some(GAP)), Some(GAP / 2));
        assert_eq!(between(Some(7), Some(8)), None);
    }
}
