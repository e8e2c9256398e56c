//! Rows as NSX's JSON, and back. Pure: no call is made here.
//!
//! [`encode()`] writes the fields that this product manages, and `null` for those that must not be set, so
//! that it can be laid over what was read ([`overlay`]); fields that NSX adds or that a later version
//! knows are thus kept. [`decode()`] reads the same fields back. What it reads never fails to be a body:
//! a field that is not as this product would have written it makes the object *deviate*, so that its
//! digest differs from every wanted one and the planner writes it again.

mod decode;
mod encode;
mod firewall;

use std::net::Ipv4Addr;

use ncp_core::dialect::Attributes;
use ncp_core::dialect::Seen;
use ncp_core::digest;
use ncp_core::id::Name;
use serde_json::{Map, Value};

use super::body::Body;
use super::dialect::Manager;
use super::part::Handle;
use super::tags::{Tag, is_structural};

pub(super) use decode::decode;
pub(super) use encode::{Claimed, attachment_id, encode, encode_claim};
pub(super) use firewall::rule_key;

/// An object as it was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Decoded {
    /// What is managed of it.
    pub(super) body: Body<Handle>,
    /// What only NSX can say.
    pub(super) attributes: Attributes,
    /// Something that is managed is not as any wanted row would have it.
    pub(super) deviates: bool,
}

impl Decoded {
    fn exact(body: Body<Handle>) -> Decoded {
        Decoded {
            body,
            attributes: Attributes::default(),
            deviates: false,
        }
    }

    fn unless(mut self, as_written: bool) -> Decoded {
        self.deviates |= !as_written;
        self
    }

    /// As the planner keeps it.
    pub(super) fn seen(self, handle: Handle) -> Seen<Manager> {
        let mut seen = Manager::seen(handle, &self.body, self.attributes);
        if self.deviates {
            seen.digest = digest::of(&("deviates", seen.digest));
        }
        seen
    }
}

/// A field's text; empty where it is absent, `null` or not a text.
pub(super) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

/// The object's id.
pub(super) fn id(object: &Value) -> Name {
    Name::new(text(object, "id"))
}

/// A field's list; empty where it is absent or `null`.
pub(super) fn list<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object[field].as_array().map_or(&[], Vec::as_slice)
}

/// The object's tags.
pub(super) fn tags(object: &Value) -> Vec<Tag> {
    list(object, "tags")
        .iter()
        .map(|tag| Tag::new(text(tag, "scope"), text(tag, "tag")))
        .collect()
}

/// The value of the tag of this scope.
pub(super) fn tagged<'a>(tags: &'a [Tag], scope: &str) -> Option<&'a str> {
    tags.iter().find(|t| t.scope == scope).map(|t| t.tag.as_str())
}

fn flag(object: &Value, field: &str, default: bool) -> bool {
    object[field].as_bool().unwrap_or(default)
}

fn address(text: &str) -> Option<Ipv4Addr> {
    text.parse().ok()
}

/// The id in a handle, as it is written into a body.
pub(super) fn id_text(handle: &Handle) -> String {
    match handle {
        Handle::Id(id) | Handle::Vif(id) | Handle::Advertisement(id) | Handle::Nat(id) => id.to_string(),
        Handle::Rule { rule, .. } => rule.to_string(),
        Handle::Member { member, .. } => member.to_string(),
        Handle::Riding => String::new(),
    }
}

/// The body of a create: `null` says nothing there.
pub(super) fn bare(encoded: Value) -> Value {
    match encoded {
        Value::Object(fields) => Value::Object(fields.into_iter().filter(|(_, v)| !v.is_null()).collect()),
        other => other,
    }
}

/// Lays the managed fields over an object that was read. Tags of others stay, except on a container's
/// port (`all_tags`), whose tags are all managed.
pub(super) fn overlay(read: &Value, encoded: Value, all_tags: bool) -> Value {
    let mut merged = read.as_object().cloned().unwrap_or_default();
    let Value::Object(fields) = encoded else {
        return Value::Object(merged);
    };
    for (field, value) in fields {
        match field.as_str() {
            "tags" if !all_tags => keep_tags(&mut merged, value),
            "switching_profile_ids" => replace_profiles(&mut merged, value),
            _ if value.is_null() => {
                merged.remove(&field);
            }
            _ => {
                merged.insert(field, value);
            }
        }
    }
    Value::Object(merged)
}

fn keep_tags(merged: &mut Map<String, Value>, ours: Value) {
    let others = merged.remove("tags").unwrap_or_default();
    let others = others.as_array().cloned().unwrap_or_default();
    let mut all: Vec<Value> = ours.as_array().cloned().unwrap_or_default();
    all.extend(others.into_iter().filter(|t| !is_structural(text(t, "scope"))));
    merged.insert("tags".into(), Value::Array(all));
}

/// One profile of each type: ours takes the place of one of its type.
fn replace_profiles(merged: &mut Map<String, Value>, ours: Value) {
    let mut all: Vec<Value> = ours.as_array().cloned().unwrap_or_default();
    let others = merged.remove("switching_profile_ids").unwrap_or_default();
    for other in others.as_array().into_iter().flatten() {
        if all.iter().all(|p| p["key"] != other["key"]) {
            all.push(other.clone());
        }
    }
    merged.insert("switching_profile_ids".into(), Value::Array(all));
}

#[cfg(test)]
mod tests;
