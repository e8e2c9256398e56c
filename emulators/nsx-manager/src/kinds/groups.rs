//! NSGroups and IP sets.

use std::sync::Arc;

use serde_json::{Value, json};

use super::formats::Format;
use super::schema::{Field, Schema, Type, choice, field, int, list, text};
use super::{Filter, Kind, Rules, Spec, invalidate};
use crate::api::error::{ApiError, MEMBER, Result};
use crate::api::query::Query;
use crate::options::Version;
use crate::store::{Body, Object, Tx, items, string, text as text_of};

pub(crate) const MODULE: &str = "nsx-manager-groups";

const MEMBER_TYPES: &[&str] = &[
    "NSGroup",
    "IPSet",
    "MACSet",
    "LogicalSwitch",
    "LogicalPort",
    "VirtualMachine",
    "DirectoryGroup",
];

const OPS: Field = choice(
    "op",
    &["EQUALS", "CONTAINS", "STARTSWITH", "ENDSWITH", "NOTEQUALS"],
)
.required();

const SIMPLE: &Schema = &[
    choice("target_type", MEMBER_TYPES).required(),
    text("target_property").required(),
    OPS,
    text("value").required(),
];

const TAG: &Schema = &[
    choice(
        "target_type",
        &["LogicalSwitch", "LogicalPort", "VirtualMachine", "IPSet"],
    )
    .required(),
    field("scope", Type::Text(128)),
    choice("scope_op", &["EQUALS"]).or("EQUALS"),
    field("tag", Type::Text(256)),
    choice("tag_op", &["EQUALS", "CONTAINS", "STARTSWITH", "ENDSWITH"]).or("EQUALS"),
];

const SIMPLE_TYPE: (&str, &Schema) = ("NSGroupSimpleExpression", SIMPLE);
const TAG_TYPE: (&str, &Schema) = ("NSGroupTagExpression", TAG);

const INNER: Type = Type::Variant("resource_type", &[SIMPLE_TYPE, TAG_TYPE]);
const COMPLEX: &Schema = &[field("expressions", Type::List(&INNER, 2, 5)).required()];
const CRITERION: Type = Type::Variant(
    "resource_type",
    &[SIMPLE_TYPE, TAG_TYPE, ("NSGroupComplexExpression", COMPLEX)],
);

/// A list of members by id, as a group holds it and as member calls send it.
pub(crate) const MEMBERS: Field = list("members", &Type::Variant("resource_type", &[SIMPLE_TYPE]), 500);

const GROUP: &Schema = &[
    MEMBERS.or_empty(),
    list("membership_criteria", &CRITERION, 5).or_empty(),
    int("member_count", 0, 500).read_only(),
];

const IP_SET: &Schema = &[list("ip_addresses", &Type::Of(Format::Addresses), 4000).or_empty()];

pub(super) const SPECS: &[Spec] = &[
    // The documents say 1000 for every list; groups come in fifties.
    Spec::new(Kind::NSGroup, "ns-groups", MODULE, &[("NSGroup", GROUP)], &Groups).page(50),
    Spec::new(Kind::IPSet, "ip-sets", MODULE, &[("IPSet", IP_SET)], &IpSets),
];

fn refuse<T>(message: impl Into<String>) -> Result<T> {
    Err(ApiError::invalid(message).module(MODULE))
}

struct Groups;

impl Rules for Groups {
    fn check(&self, tx: &mut Tx<'_>, body: &mut Body, old: Option<&Object>) -> Result<()> {
        for member in items(body, "members") {
            member_exists(tx, member, old)?;
        }
        for criterion in items(body, "membership_criteria") {
            criterion_fits(criterion, tx.version)?;
        }
        let count = items(body, "members").len();
        body.insert("member_count".into(), json!(count));
        Ok(())
    }

    fn release(&self, tx: &mut Tx<'_>, object: &Arc<Object>, query: &Query) -> Result<()> {
        held(tx, &object.id, query)
    }

    fn filter(&self, query: &Query) -> Result<Filter> {
        let Some(types) = query.get("member_types") else {
            return Ok(Filter::all());
        };
        let types: Vec<String> = types.split(',').map(str::to_owned).collect();
        Ok(Filter::all().and(move |_, group| {
            let mut members = group
                .items("members")
                .iter()
                .chain(group.items("membership_criteria"));
            members.any(|member| types.iter().any(|wanted| wanted == string(member, "target_type")))
        }))
    }
}

/// Refuses to delete a group or an IP set that groups or rules name, unless forced.
fn held(tx: &mut Tx<'_>, id: &str, query: &Query) -> Result<()> {
    if !query.flag("force") {
        let users = [
            (Kind::NSGroup, "it is a member of an NSGroup"),
            (Kind::FirewallRule, "a firewall rule refers to it"),
            (Kind::FirewallSection, "a firewall section is applied to it"),
            (Kind::ExcludeList, "it is in the exclude list"),
        ];
        if let Some((_, why)) = users.iter().find(|(kind, _)| tx.referred(*kind, id)) {
            return Err(ApiError::in_use(id, why).module(MODULE));
        }
    }
    drop_members(tx, id);
    invalidate(tx, id);
    Ok(())
}

/// Takes a deleted object out of the groups that name it.
fn drop_members(tx: &mut Tx<'_>, id: &str) {
    let groups: Vec<_> = tx.view().referrers(Kind::NSGroup, id).cloned().collect();
    for group in groups {
        let mut body = group.body.clone();
        if let Some(members) = body.get_mut("members").and_then(Value::as_array_mut) {
            members.retain(|member| string(member, "value") != id);
            let count = members.len();
            body.insert("member_count".into(), json!(count));
        }
        tx.update(&group, body);
    }
}

fn member_exists(tx: &Tx<'_>, member: &Value, old: Option<&Object>) -> Result<()> {
    let (of, id) = (string(member, "target_type"), string(member, "value"));
    if string(member, "target_property") != "id" || string(member, "op") != "EQUALS" {
        return refuse("A member is named by `id` EQUALS.");
    }
    if old.is_some_and(|old| old.id.as_ref() == id) {
        return refuse("A group can't be a member of itself.");
    }
    match of {
        "VirtualMachine" => refuse("A VirtualMachine can't be a member by id."),
        "MACSet" | "DirectoryGroup" => Ok(()),
        _ => tx
            .referent(Kind::named(of).unwrap_or(Kind::NSGroup), id)
            .map(drop),
    }
}

fn criterion_fits(criterion: &Value, version: Version) -> Result<()> {
    let parts = criterion.get("expressions").and_then(Value::as_array);
    let parts: Vec<&Value> = parts.map_or(vec![criterion], |parts| parts.iter().collect());
    let of = string(parts[0], "target_type");
    if parts.iter().any(|part| string(part, "target_type") != of) {
        return refuse("The expressions of a complex expression have one target_type.");
    }
    for part in parts {
        let (tag, op) = (
            string(part, "resource_type") == "NSGroupTagExpression",
            string(part, "op"),
        );
        if tag && string(part, "scope").is_empty() && string(part, "tag").is_empty() {
            return refuse("A tag expression needs a scope or a tag.");
        }
        let late = matches!(op, "ENDSWITH" | "NOTEQUALS")
            || tag && of == "IPSet"
            || tag && string(part, "tag_op") != "EQUALS";
        if late && version < Version::V2_5 {
            return refuse("This expression is not known to this release.");
        }
    }
    Ok(())
}

/// Adds members to a group, or removes them.
pub(crate) fn change_members(
    tx: &mut Tx<'_>,
    group: &Object,
    members: &[Value],
    add: bool,
) -> Result<Arc<Object>> {
    let mut body = group.body.clone();
    let mut present = items(&body, "members").to_vec();
    for member in members {
        let at = present.iter().position(|known| same_member(known, member));
        match (add, at) {
            (true, None) => {
                member_exists(tx, member, Some(group))?;
                present.push(member.clone());
            }
            (false, Some(at)) => drop(present.remove(at)),
            (true, Some(_)) => {
                return Err(ApiError::bad(MEMBER, "The member is already there.").module(MODULE));
            }
            (false, None) => return Err(ApiError::bad(MEMBER, "There is no such member.").module(MODULE)),
        }
    }
    if present.len() > 500 {
        return refuse("A group has at most 500 members.");
    }
    body.insert("member_count".into(), json!(present.len()));
    body.insert("members".into(), Value::Array(present));
    Ok(tx.update(group, body))
}

fn same_member(one: &Value, other: &Value) -> bool {
    ["target_type", "value"]
        .iter()
        .all(|field| string(one, field) == string(other, field))
}

struct IpSets;

impl Rules for IpSets {
    fn release(&self, tx: &mut Tx<'_>, object: &Arc<Object>, query: &Query) -> Result<()> {
        held(tx, &object.id, query)
    }
}

/// Adds an address to an IP set, or removes it.
pub(crate) fn change_addresses(tx: &mut Tx<'_>, set: &Object, address: &str, add: bool) -> Result<()> {
    let mut addresses = set.items("ip_addresses").to_vec();
    let at = addresses.iter().position(|known| known.as_str() == Some(address));
    match (add, at) {
        (true, None) => addresses.push(json!(address)),
        (false, Some(at)) => drop(addresses.remove(at)),
        _ => {
            return Err(ApiError::bad(
                MEMBER,
                format!("The address {address} is already there, or not there."),
            ));
        }
    }
    let mut body = set.body.clone();
    body.insert("ip_addresses".into(), Value::Array(addresses));
    tx.update(set, body);
    Ok(())
}

/// The ids of a kind that a group names as members.
pub(crate) fn member_ids<'a>(group: &'a Object, of: &'a str) -> impl Iterator<Item = &'a str> {
    let named = group
        .items("members")
        .iter()
        .filter(move |member| string(member, "target_type") == of);
    named.map(|member| string(member, "value"))
}

/// The field of a body, for tests of criteria on names.
pub(crate) fn property<'a>(body: &'a Body, name: &str) -> &'a str {
    text_of(body, if name == "name" { "display_name" } else { name })
}
