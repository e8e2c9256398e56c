//! Reading the objects from a test: typed enough to find things, JSON for the rest.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::emulator::Emulator;
use crate::kinds::Kind;
use crate::server::Shared;
use crate::store::{Object, View};

/// Fields that differ between two runs that did the same: times, revisions, and what the server draws.
const VOLATILE: &[&str] = &[
    "_create_time",
    "_last_modified_time",
    "_create_user",
    "_last_modified_user",
    "_revision",
    "_protection",
    "vni",
    "lock_modified_time",
    "target_display_name",
];

/// Fields of router ports that the server draws.
const DRAWN: &[&str] = &["mac_address", "subnets"];

/// A copy of all objects at one moment.
#[derive(Debug, Clone)]
pub struct Inventory {
    view: View,
}

/// Kinds that a freshly installed manager has, or that only exist with another object.
const HIDDEN: &[Kind] = &[Kind::HttpService, Kind::ExcludeList, Kind::FirewallStatus];

impl Inventory {
    pub(crate) fn of(shared: &Shared) -> Self {
        Inventory {
            view: shared.store().view().clone(),
        }
    }

    /// The bodies of a kind in list order, such as `LogicalPort`; none for an unknown name.
    pub fn list(&self, kind: &str) -> Vec<Value> {
        let objects = Kind::named(kind)
            .into_iter()
            .flat_map(|kind| self.view.list(kind, None));
        objects.map(|object| Value::Object(object.body.clone())).collect()
    }

    /// The body of the object of a kind with this id.
    pub fn get(&self, kind: &str, id: &str) -> Option<Value> {
        self.view
            .get(Kind::named(kind)?, id)
            .map(|object| Value::Object(object.body.clone()))
    }

    /// The first object of a kind with this display name.
    pub fn named(&self, kind: &str, name: &str) -> Option<Value> {
        self.list(kind)
            .into_iter()
            .find(|body| body["display_name"] == name)
    }

    /// The objects of a kind that carry the tag.
    pub fn tagged(&self, kind: &str, scope: &str, tag: &str) -> Vec<Value> {
        let carries = |body: &Value| {
            let tags = body["tags"].as_array();
            tags.into_iter()
                .flatten()
                .any(|one| one["scope"] == scope && one["tag"] == tag)
        };
        self.list(kind).into_iter().filter(carries).collect()
    }

    /// Objects below a parent, such as the `NatRule`s of a router or the `FirewallRule`s of a section, in order.
    pub fn below(&self, kind: &str, parent: &str) -> Vec<Value> {
        let objects = Kind::named(kind)
            .into_iter()
            .flat_map(|kind| self.view.children(kind, parent));
        objects.map(|object| Value::Object(object.body.clone())).collect()
    }

    /// Number of objects per kind.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let counts = Kind::ALL
            .iter()
            .map(|kind| (kind.name().to_owned(), self.view.count(*kind)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// Every object as it is stored, per kind, in list order.
    pub fn dump(&self) -> Value {
        let kinds = Kind::ALL.iter().filter(|kind| self.view.count(**kind) > 0);
        Value::Object(
            kinds
                .map(|kind| (kind.name().to_owned(), Value::Array(self.list(kind.name()))))
                .collect(),
        )
    }

    /// The state in a form that two runs with the same result share: without times, revisions and drawn values,
    /// ids replaced by names, sorted where order means nothing. Sections and rules keep their order.
    pub fn canonical(&self) -> Value {
        let labels = self.labels();
        let mut kinds = Map::new();
        for kind in Kind::ALL
            .iter()
            .filter(|kind| !HIDDEN.contains(kind) && self.view.count(**kind) > 0)
        {
            let mut bodies: Vec<Value> = self
                .view
                .list(*kind, None)
                .map(|object| plain(object, &labels))
                .collect();
            if !matches!(kind, Kind::FirewallSection | Kind::FirewallRule) {
                bodies.sort_by_cached_key(Value::to_string);
            } else if *kind == Kind::FirewallRule {
                bodies = self.ordered_rules(&labels);
            }
            kinds.insert(kind.name().to_owned(), Value::Array(bodies));
        }
        Value::Object(kinds)
    }

    fn ordered_rules(&self, labels: &BTreeMap<String, String>) -> Vec<Value> {
        let sections = self.view.list(Kind::FirewallSection, None);
        sections
            .flat_map(|section| self.view.children(Kind::FirewallRule, &section.id))
            .map(|rule| plain(rule, labels))
            .collect()
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let label = |object: &Object| {
            let name = object.text("display_name");
            let unnamed = name.is_empty() || name == object.id.as_ref();
            let parent = object.parent.as_deref().unwrap_or("");
            let parent = self.view.all().find(|other| other.id.as_ref() == parent);
            let parent = parent.map_or(String::new(), |parent| {
                format!("{}/", parent.text("display_name"))
            });
            let name = if unnamed { object.text("cidr") } else { name };
            format!("{parent}{}:{name}", object.kind.name())
        };
        let named = self
            .view
            .all()
            .filter(|object| object.id.len() == 36 || object.parent.is_some());
        named
            .map(|object| (object.id.to_string(), label(object)))
            .collect()
    }
}

/// An object without what differs between runs.
fn plain(object: &Object, labels: &BTreeMap<String, String>) -> Value {
    let mut body = object.body.clone();
    for field in VOLATILE {
        body.remove(*field);
    }
    if object.kind == Kind::LogicalRouterPort {
        body.remove("mac_address");
        if object.text("resource_type").contains("LinkPort") {
            DRAWN.iter().for_each(|field| drop(body.remove(*field)));
        }
    }
    if body.get("display_name").and_then(Value::as_str) == Some(&object.id) {
        body.remove("display_name");
    }
    let mut value = Value::Object(body);
    rename(&mut value, labels);
    if let Some(label) = labels.get(object.id.as_ref()) {
        value["id"] = json!(label);
    }
    sort_tags(&mut value);
    value
}

/// Replaces ids by labels and drops volatile fields at any depth.
fn rename(value: &mut Value, labels: &BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            if let Some(label) = labels.get(text.as_str()).filter(|_| text.len() == 36) {
                text.clone_from(label);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| rename(value, labels)),
        Value::Object(fields) => {
            fields.retain(|name, _| !VOLATILE.contains(&name.as_str()));
            fields.values_mut().for_each(|value| rename(value, labels));
        }
        _ => {}
    }
}

fn sort_tags(value: &mut Value) {
    if let Some(tags) = value.get_mut("tags").and_then(Value::as_array_mut) {
        tags.sort_by_cached_key(Value::to_string);
    }
}

impl Emulator {
    /// A copy of all objects as they are stored now.
    pub fn inventory(&self) -> Inventory {
        Inventory::of(self.shared())
    }
}
