//! One stored object, the place it has in its list, and the terms under which it is found.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::kinds::Kind;

/// A JSON object.
pub(crate) type Body = Map<String, Value>;

/// A stored object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    pub(crate) id: Arc<str>,
    /// The section of a rule, the router of a NAT rule, the pool of an allocation.
    pub(crate) parent: Option<Arc<str>>,
    /// Place in the list of its kind: creation order, except for firewall sections and rules.
    pub(crate) seq: i64,
    /// Number of the creation; breaks ties of `seq` and names rules.
    pub(crate) uid: i64,
    pub(crate) body: Body,
}

impl Object {
    /// `_revision` of the stored body.
    pub(crate) fn revision(&self) -> i64 {
        self.body.get("_revision").and_then(Value::as_i64).unwrap_or(0)
    }

    /// A text field of the body, empty when absent.
    pub(crate) fn text(&self, field: &str) -> &str {
        text(&self.body, field)
    }

    /// A flag of the body, false when absent.
    pub(crate) fn flag(&self, field: &str) -> bool {
        self.body.get(field).and_then(Value::as_bool).unwrap_or(false)
    }

    /// The elements of a list field, none when absent.
    pub(crate) fn items(&self, field: &str) -> &[Value] {
        items(&self.body, field)
    }

    /// Scope and tag of each tag.
    pub(crate) fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        self.items("tags")
            .iter()
            .map(|tag| (string(tag, "scope"), string(tag, "tag")))
    }

    pub(crate) fn pos(&self) -> Pos {
        Pos {
            kind: self.kind,
            seq: self.seq,
            uid: self.uid,
        }
    }
}

/// Where an object stands in the listing of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Pos {
    pub(crate) kind: Kind,
    pub(crate) seq: i64,
    pub(crate) uid: i64,
}

/// A property by which objects are found without reading them all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Term {
    /// Names this id in a reference field.
    Ref(Box<str>),
    /// Lies below this object.
    Parent(Box<str>),
    /// Port with this attachment id.
    Attachment(Box<str>),
    /// Container port below this parent VIF.
    ParentVif(Box<str>),
    /// Carries a tag of this scope (lower case, as search compares).
    Scope(Box<str>),
    /// Carries this tag under any scope (lower case).
    Tag(Box<str>),
    /// `resource_type` (lower case).
    Type(Box<str>),
}

/// Fields whose text is the id of another object.
const REFERENCES: &[&str] = &[
    "block_id",
    "edge_cluster_id",
    "ip_pool_id",
    "linked_logical_router_port_id",
    "logical_router_id",
    "logical_switch_id",
    "mac_pool_id",
    "target_id",
    "transport_zone_id",
    "value",
];

/// All terms of an object.
pub(crate) fn terms(object: &Object) -> Vec<Term> {
    let mut found = Vec::with_capacity(16);
    references(&object.body, &mut |id| found.push(Term::Ref(id.into())));
    found.extend(
        object
            .parent
            .iter()
            .map(|parent| Term::Parent(parent.as_ref().into())),
    );
    if let Some(attachment) = object.body.get("attachment").and_then(Value::as_object) {
        found.push(Term::Attachment(text(attachment, "id").into()));
        let parent = attachment
            .get("context")
            .and_then(|context| context.get("parent_vif_id"));
        found.extend(
            parent
                .and_then(Value::as_str)
                .map(|parent| Term::ParentVif(parent.into())),
        );
    }
    for (scope, tag) in object.tags() {
        found.push(Term::Scope(scope.to_lowercase().into()));
        found.push(Term::Tag(tag.to_lowercase().into()));
    }
    found.push(Term::Type(object.text("resource_type").to_lowercase().into()));
    found
}

/// Calls `each` for every id that the body refers to, at any depth.
fn references(body: &Body, each: &mut dyn FnMut(&str)) {
    for (name, value) in body {
        match value {
            Value::String(id) if REFERENCES.contains(&name.as_str()) => each(id),
            Value::Array(values) if name != "tags" => {
                values
                    .iter()
                    .filter_map(Value::as_object)
                    .for_each(|inner| references(inner, each));
            }
            Value::Object(inner) => references(inner, each),
            _ => {}
        }
    }
}

/// A text field, empty when absent.
pub(crate) fn text<'a>(body: &'a Body, field: &str) -> &'a str {
    body.get(field).and_then(Value::as_str).unwrap_or("")
}

/// A list field, empty when absent.
pub(crate) fn items<'a>(body: &'a Body, field: &str) -> &'a [Value] {
    body.get(field)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// A text field of a JSON value, empty when absent.
pub(crate) fn string<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or("")
}
