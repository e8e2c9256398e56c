//! Sweeps: everything that bears this cluster's marks, one page a call.
//!
//! After the pages of the list itself come the elements of what bears no marks of its own: the rules of
//! own sections, the advertisement of own routers. Members of unions and machines' ports can be told only
//! when all pages are known, so they come last.
//!
//! A sweep is *whole* if each list was one answer. Elements are read after their parents; they are
//! another list each, and a parent that is made meanwhile is made by the one who holds the fence.

use std::collections::BTreeMap;

use ncp_core::code::Code;
use ncp_core::dialect::{Attributes, ReadOutcome, RowKey, Seen};
use ncp_core::digest;
use ncp_core::id::{GroupId, Name, NodeId};
use ncp_core::topology::{ObjectKey, SectionKey};
use serde_json::Value;

use super::{NsxFarEnd, paths};
use crate::manager::body::Body;
use crate::manager::dialect::Manager;
use crate::manager::json::{decode, id, list, rule_key, tagged, tags, text};
use crate::manager::names::NodeTag;
use crate::manager::part::{Collection, Cursor, Handle, Machine, Part};
use crate::manager::tags::{CLUSTER, Marks, NODE, Tag, owner_of};
use crate::transport::TransportError;

type Key = RowKey<Part>;
pub(super) type Item = (Key, Seen<Manager>);

impl NsxFarEnd {
    /// The next answer's worth of a sweep.
    pub(super) async fn sweep(
        &self,
        collection: Collection,
        mut cursor: Cursor,
    ) -> Result<ReadOutcome<Manager>, TransportError> {
        let mut items = if cursor.listed {
            self.sweep_parent(&mut cursor).await?
        } else {
            self.sweep_page(collection, &mut cursor).await?
        };
        let done = cursor.listed && cursor.parents.is_empty();
        if done {
            items.extend(members(&cursor));
            items.extend(machines(&cursor));
        }
        Ok(ReadOutcome::Chunk {
            items,
            absent: Vec::new(),
            refused: Vec::new(),
            whole: done && !cursor.paged,
            next: (!done).then_some(cursor),
        })
    }

    async fn sweep_page(
        &self,
        collection: Collection,
        cursor: &mut Cursor,
    ) -> Result<Vec<Item>, TransportError> {
        let (path, filter) = paths::swept(self.env(), collection);
        let page = self.page(&path, &filter, cursor.page.as_deref()).await?;
        let next = page.next().filter(|next| Some(next) != cursor.page.as_ref());
        let items = page.results.iter();
        let items = items
            .filter_map(|object| self.own(collection, object, cursor))
            .collect();
        cursor.listed = next.is_none();
        cursor.paged |= next.is_some();
        cursor.page = next;
        Ok(items)
    }

    /// An object of a list, if it is ours; notes what it leads to.
    fn own(&self, collection: Collection, object: &Value, cursor: &mut Cursor) -> Option<Item> {
        let key = match owner_of(&tags(object), &self.env().cluster) {
            Marks::Ours(key) if Collection::of(key.part) == Some(collection) => key,
            Marks::Ours(key) => {
                unreadable(object, &key.to_string());
                return None;
            }
            Marks::Unreadable(key) => {
                unreadable(object, &key);
                return None;
            }
            Marks::Foreign => {
                if collection == Collection::Ports {
                    cursor.machines.extend(self.machines_of(object));
                }
                return None;
            }
        };
        lead_on(&key, object, cursor);
        Some(self.item(key, object))
    }

    /// An own object as a row.
    pub(super) fn item(&self, key: Key, object: &Value) -> Item {
        let handle = paths::handle(key.part, id(object));
        let seen = decode(self.env(), &key, None, object).seen(handle);
        (key, seen)
    }

    /// The machine whose port this is, by each way that tells one.
    pub(super) fn machines_of(&self, port: &Value) -> Vec<Machine> {
        if text(&port["attachment"]["context"], "vif_type") == "CHILD" {
            return Vec::new();
        }
        let tags = tags(port);
        let ours = tags.contains(&Tag::new(CLUSTER, &self.env().cluster));
        let vif = text(&port["attachment"], "id");
        let told = |(rank, way): (usize, &NodeTag)| {
            let node = match way {
                NodeTag::NodeName if ours => tagged(&tags, NODE)?,
                NodeTag::NodeName => return None,
                NodeTag::Scope(scope) => tagged(&tags, scope)?,
            };
            // What is configured goes before whatever the tags say.
            let configured = self.env().node_match.fixed.contains_key(node);
            (!configured).then(|| Machine {
                rank,
                node: NodeId::new(node),
                vif: (!vif.is_empty()).then(|| Name::new(vif)),
            })
        };
        let ways = self.env().node_match.ways.iter().enumerate();
        ways.filter_map(told).collect()
    }

    /// The elements of one parent, or a page of them.
    async fn sweep_parent(&self, cursor: &mut Cursor) -> Result<Vec<Item>, TransportError> {
        let Some((key, id)) = cursor.parents.pop() else {
            return Ok(Vec::new());
        };
        let ObjectKey::Section(section) = &key else {
            let found = self.advertisement(&key, &id).await?;
            return Ok(found.into_iter().collect());
        };
        let page = match self.page(&paths::rules(&id), &[], cursor.page.as_deref()).await {
            Ok(page) => page,
            // It has gone since it was listed.
            Err(error) if error.class() == crate::transport::Class::Gone => {
                cursor.page = None;
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        let items = page
            .results
            .iter()
            .map(|rule| self.rule(section, &id, rule))
            .collect();
        cursor.page = page.next().filter(|next| Some(next) != cursor.page.as_ref());
        if cursor.page.is_some() {
            cursor.paged = true;
            cursor.parents.push((key, id));
        }
        Ok(items)
    }

    /// What an own router advertises; nothing, as long as nobody has said that it should.
    pub(super) async fn advertisement(
        &self,
        router: &ObjectKey,
        id: &Name,
    ) -> Result<Option<Item>, TransportError> {
        let handle = Handle::Advertisement(id.clone());
        let path = paths::object(self.env(), Part::Advertisement, &handle);
        let read = self.get(&path).await?;
        Ok(read.filter(|r| r["enabled"].as_bool() == Some(true)).map(|read| {
            let key = RowKey::new(router.clone(), Part::Advertisement);
            let parent = Handle::Id(id.clone());
            let seen = decode(self.env(), &key, Some(&parent), &read).seen(handle);
            (key, seen)
        }))
    }

    /// A rule of an own section. One that this product did not write gets a key of its own, which nobody
    /// wants, and so is removed: it would decide flows in the name of the section.
    pub(super) fn rule(&self, section: &SectionKey, section_id: &Name, rule: &Value) -> Item {
        let parent = Handle::Id(section_id.clone());
        let handle = Handle::Rule {
            section: section_id.clone(),
            rule: id(rule),
        };
        if rule_key(section, rule).is_none() {
            tracing::warn!(
                code = %Code::InvalidState, section = %section_id, rule = text(rule, "id"),
                "a rule that this controller did not write stands in one of its sections; it is removed"
            );
        }
        let key = any_rule_key(section, rule);
        let seen = decode(self.env(), &key, Some(&parent), rule).seen(handle);
        (key, seen)
    }
}

/// The key of a rule in an own section, whoever wrote it.
pub(super) fn any_rule_key(section: &SectionKey, rule: &Value) -> Key {
    rule_key(section, rule).unwrap_or_else(|| {
        let digest = digest::of(&("foreign", text(rule, "id")));
        RowKey::new(ObjectKey::Rule(section.clone(), digest), Part::Rule(0))
    })
}

/// Notes what is still to be read, or to be told at the end, because of this object.
fn lead_on(key: &Key, object: &Value, cursor: &mut Cursor) {
    match (&key.object, key.part) {
        (ObjectKey::Router(_), Part::Router) | (ObjectKey::Section(_), Part::Section) => {
            cursor.parents.push((key.object.clone(), id(object)));
        }
        (ObjectKey::Group(group), Part::Group) => cursor.groups.push((id(object), group.clone())),
        (ObjectKey::Union(policy), Part::Group) => {
            let members = list(object, "members").iter();
            let members = members.map(|m| (policy.clone(), id(object), Name::new(text(m, "value"))));
            cursor.members.extend(members);
        }
        _ => {}
    }
}

/// Members of own unions. One that is not a group of ours gets a key that nobody wants.
fn members(cursor: &Cursor) -> Vec<Item> {
    let groups: BTreeMap<&Name, &GroupId> = cursor.groups.iter().map(|(id, group)| (id, group)).collect();
    let item = |(policy, union, member): &(_, Name, Name)| {
        let group = match groups.get(member) {
            Some(group) => (*group).clone(),
            None => GroupId::new(&format!("foreign:{member}")),
        };
        let key = RowKey::new(ObjectKey::UnionMember(Clone::clone(policy), group), Part::Member);
        (key, member_seen(union, member))
    };
    cursor.members.iter().map(item).collect()
}

/// A member as it stands.
pub(super) fn member_seen(union: &Name, member: &Name) -> Seen<Manager> {
    let handle = Handle::Member {
        group: union.clone(),
        member: member.clone(),
    };
    let body = Body::Member {
        group: Handle::Id(union.clone()),
        member: Handle::Id(member.clone()),
    };
    Manager::seen(handle, &body, Attributes::default())
}

/// Machines' ports, each by the first way that finds one. A machine that several ports claim, or whose port
/// has no interface, is not told: asked for by itself, it is refused with a code.
fn machines(cursor: &Cursor) -> Vec<Item> {
    let mut all: BTreeMap<&NodeId, (usize, Vec<&Option<Name>>)> = BTreeMap::new();
    for machine in &cursor.machines {
        let (rank, vifs) = all.entry(&machine.node).or_insert((machine.rank, Vec::new()));
        if machine.rank < *rank {
            *rank = machine.rank;
            vifs.clear();
        }
        if machine.rank == *rank && !vifs.contains(&&machine.vif) {
            vifs.push(&machine.vif);
        }
    }
    let one = |(node, (_, vifs)): (&NodeId, (usize, Vec<&Option<Name>>))| match vifs.as_slice() {
        [Some(vif)] => Some(machine_item(node, vif)),
        _ => None,
    };
    all.into_iter().filter_map(one).collect()
}

/// A machine's port as a row.
pub(super) fn machine_item(node: &NodeId, vif: &Name) -> Item {
    let key = RowKey::new(ObjectKey::Node(node.clone()), Part::Parent);
    let seen = Manager::seen(Handle::Vif(vif.clone()), &Body::Found, Attributes::default());
    (key, seen)
}

fn unreadable(object: &Value, key: &str) {
    tracing::warn!(
        code = %Code::InvalidNsxTag, id = text(object, "id"), key,
        "the object bears this cluster's marks, which can't be read; it is left alone"
    );
}
