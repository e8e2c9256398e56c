//! Single rows, by id or by a narrow list, such that absence is certain.
//!
//! A search may find, but what it does not find may stand all the same (the index lags); whatever is to
//! be taken for absent is looked for in a list.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::{self, StreamExt};
use ncp_core::code::Code;
use ncp_core::dialect::{Asked, Attributes, Failure, ReadOutcome, RowKey};
use ncp_core::id::{Name, NodeId};
use ncp_core::topology::{ObjectKey, SectionKey};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::sweep::{Item, any_rule_key, machine_item, member_seen};
use super::write::handle_id;
use super::{NsxFarEnd, paths};
use crate::manager::body::Body;
use crate::manager::dialect::Manager;
use crate::manager::json::{attachment_id, decode, id, list, tags, text};
use crate::manager::names::NodeTag;
use crate::manager::part::{Handle, Part};
use crate::manager::tags::{Marks, NODE, owner_of};
use crate::transport::{Class, Query, ResolveError, ResolveKind, TransportError};

type Key = RowKey<Part>;

/// How many rows of one request are looked for at a time.
const AT_ONCE: usize = 8;

/// What was found of a row.
enum Found {
    /// These; none: it is certainly not there.
    Items(Vec<Item>),
    Refused(Failure),
}

/// Lists that several rows of one request are looked for in; each is read once.
#[derive(Default)]
struct Lists(Mutex<HashMap<String, Arc<OnceCell<Vec<Value>>>>>);

impl Lists {
    fn cell(&self, name: String) -> Arc<OnceCell<Vec<Value>>> {
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cells.entry(name).or_default().clone()
    }
}

impl NsxFarEnd {
    pub(super) async fn rows(
        &self,
        asked: Vec<Asked<Manager>>,
    ) -> Result<ReadOutcome<Manager>, TransportError> {
        let lists = Lists::default();
        let looks: Vec<_> = asked.into_iter().map(|one| self.look_for(one, &lists)).collect();
        let found: Vec<_> = stream::iter(looks).buffered(AT_ONCE).collect().await;
        let (mut items, mut absent, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for found in found {
            match found? {
                (key, Found::Items(found)) if found.is_empty() => absent.push(key),
                (_, Found::Items(found)) => items.extend(found),
                (key, Found::Refused(failure)) => refused.push((key, failure)),
            }
        }
        Ok(ReadOutcome::Chunk {
            items,
            absent,
            refused,
            next: None,
            whole: false,
        })
    }

    async fn look_for(&self, asked: Asked<Manager>, lists: &Lists) -> Result<(Key, Found), TransportError> {
        let found = self.look(&asked, lists).await?;
        Ok((asked.key, found))
    }

    async fn look(&self, asked: &Asked<Manager>, lists: &Lists) -> Result<Found, TransportError> {
        let key = &asked.key;
        match (&key.object, key.part) {
            (ObjectKey::Node(node), _) => self.look_machine(node, lists).await,
            (ObjectKey::Pool(pool), _) => self.look_pool(key, &pool.to_string()).await,
            (ObjectKey::Router(_), Part::Advertisement) => self.look_advertisement(asked, lists).await,
            (ObjectKey::UnionMember(..), _) => self.look_member(asked, lists).await,
            (ObjectKey::Rule(section, _), _) => self.look_rule(asked, section, lists).await,
            _ => match &asked.handle {
                Some(handle) => self.look_by_id(key, handle).await,
                None => self.look_in_list(asked, lists).await,
            },
        }
    }

    async fn look_by_id(&self, key: &Key, handle: &Handle) -> Result<Found, TransportError> {
        let read = self
            .get(&paths::object(self.env(), key.part, handle))
            .await?
            .into_iter();
        Ok(Found::Items(
            read.filter(|o| self.is(key, o))
                .map(|o| self.item(key.clone(), &o))
                .collect(),
        ))
    }

    fn is(&self, key: &Key, object: &Value) -> bool {
        matches!(owner_of(&tags(object), &self.env().cluster), Marks::Ours(of) if of == *key)
    }

    /// Looks through the narrowest list that must show the row if it stands.
    async fn look_in_list(&self, asked: &Asked<Manager>, lists: &Lists) -> Result<Found, TransportError> {
        let key = &asked.key;
        let of = |part: Part| asked.refs.iter().find(|(k, _)| k.part == part);
        let id_of = |part: Part| of(part).map(|(_, handle)| handle_id(handle).to_string());
        let filter: Vec<(&str, String)> = match key.part {
            Part::Port => vec![("attachment_id", attachment_id(self.env(), key))],
            Part::GatewayPort => id_of(Part::Switch)
                .map(|id| ("logical_switch_id", id))
                .into_iter()
                .collect(),
            Part::LinkTier1 | Part::Downlink => id_of(Part::Router)
                .map(|id| ("logical_router_id", id))
                .into_iter()
                .collect(),
            Part::LinkTier0 => vec![("logical_router_id", self.env().tier0.to_string())],
            Part::Router => vec![("router_type", "TIER1".into())],
            Part::Switch => vec![("transport_zone_id", self.env().overlay_zone.to_string())],
            Part::SpoofGuard => vec![("switching_profile_type", "SpoofGuardSwitchingProfile".into())],
            _ => vec![],
        };
        let path = paths::list(self.env(), key.part);
        let objects = self.cached(lists, &path, &filter).await?;
        let mine = objects.iter().filter(|o| self.is(key, o));
        Ok(Found::Items(mine.map(|o| self.item(key.clone(), o)).collect()))
    }

    async fn cached(
        &self,
        lists: &Lists,
        path: &str,
        filter: &[(&str, String)],
    ) -> Result<Vec<Value>, TransportError> {
        let cell = lists.cell(format!("{path}?{filter:?}"));
        let filter: Vec<(&str, &str)> = filter.iter().map(|(k, v)| (*k, v.as_str())).collect();
        cell.get_or_try_init(|| self.whole(path, &filter)).await.cloned()
    }

    async fn look_advertisement(
        &self,
        asked: &Asked<Manager>,
        lists: &Lists,
    ) -> Result<Found, TransportError> {
        let router = RowKey::new(asked.key.object.clone(), Part::Router);
        let id = self.parent(asked, router, lists).await?;
        let found = match id {
            Some(id) => self.advertisement(&asked.key.object, &id).await?,
            None => None,
        };
        Ok(Found::Items(found.into_iter().collect()))
    }

    async fn look_member(&self, asked: &Asked<Manager>, lists: &Lists) -> Result<Found, TransportError> {
        let ObjectKey::UnionMember(policy, group) = &asked.key.object else {
            return Ok(Found::Items(Vec::new()));
        };
        let (union, member) = match &asked.handle {
            Some(Handle::Member { group, member }) => (Some(group.clone()), Some(member.clone())),
            _ => {
                let union = RowKey::new(ObjectKey::Union(policy.clone()), Part::Group);
                let member = RowKey::new(ObjectKey::Group(group.clone()), Part::Group);
                let union = self.parent(asked, union, lists).await?;
                (union, self.parent(asked, member, lists).await?)
            }
        };
        let (Some(union), Some(member)) = (union, member) else {
            return Ok(Found::Items(Vec::new()));
        };
        let handle = Handle::Id(union.clone());
        let read = self.get(&paths::object(self.env(), Part::Group, &handle)).await?;
        let text_of = member.to_string();
        let stands = read.is_some_and(|g| list(&g, "members").iter().any(|m| text(m, "value") == text_of));
        let item = stands.then(|| (asked.key.clone(), member_seen(&union, &member)));
        Ok(Found::Items(item.into_iter().collect()))
    }

    async fn look_rule(
        &self,
        asked: &Asked<Manager>,
        section: &SectionKey,
        lists: &Lists,
    ) -> Result<Found, TransportError> {
        if let Some(handle @ Handle::Rule { section: parent, .. }) = &asked.handle {
            let read = self
                .get(&paths::object(self.env(), asked.key.part, handle))
                .await?;
            let item = read.map(|rule| {
                let parent = Handle::Id(parent.clone());
                let seen = decode(self.env(), &asked.key, Some(&parent), &rule).seen(handle.clone());
                (asked.key.clone(), seen)
            });
            return Ok(Found::Items(item.into_iter().collect()));
        }
        let key = RowKey::new(ObjectKey::Section(section.clone()), Part::Section);
        let Some(id) = self.parent(asked, key, lists).await? else {
            return Ok(Found::Items(Vec::new()));
        };
        let rules = match self.cached(lists, &paths::rules(&id), &[]).await {
            Ok(rules) => rules,
            Err(error) if error.class() == Class::Gone => Vec::new(),
            Err(error) => return Err(error),
        };
        let mine = rules.iter().filter(|r| any_rule_key(section, r) == asked.key);
        Ok(Found::Items(mine.map(|r| self.rule(section, &id, r)).collect()))
    }

    /// The id of the object that a row without marks of its own stands in, or names.
    async fn parent(
        &self,
        asked: &Asked<Manager>,
        key: Key,
        lists: &Lists,
    ) -> Result<Option<Name>, TransportError> {
        if let Some((_, handle)) = asked.refs.iter().find(|(k, _)| *k == key) {
            return Ok(Some(handle_id(handle)));
        }
        let parent = Asked {
            key,
            handle: None,
            refs: Vec::new(),
        };
        Ok(match self.look_in_list(&parent, lists).await? {
            Found::Items(items) => items.first().map(|(_, seen)| handle_id(&seen.handle)),
            Found::Refused(_) => None,
        })
    }

    async fn look_machine(&self, node: &NodeId, lists: &Lists) -> Result<Found, TransportError> {
        if let Some(vif) = self.env().node_match.fixed.get(&node.to_string()) {
            return Ok(Found::Items(vec![machine_item(node, vif)]));
        }
        for rank in 0..self.env().node_match.ways.len() {
            let vifs = self.vifs_of(node, rank, lists).await?;
            return Ok(match vifs.as_slice() {
                [] => continue,
                [Some(vif)] => Found::Items(vec![machine_item(node, vif)]),
                [None] => Found::Refused(unusable(node, "its port has no VIF attached".into())),
                several => Found::Refused(unusable(
                    node,
                    format!("{} ports are marked as its own", several.len()),
                )),
            });
        }
        Ok(Found::Items(Vec::new()))
    }

    /// The interfaces of the ports that one way tells to be this machine's.
    async fn vifs_of(
        &self,
        node: &NodeId,
        rank: usize,
        lists: &Lists,
    ) -> Result<Vec<Option<Name>>, TransportError> {
        let scope = match &self.env().node_match.ways[rank] {
            NodeTag::NodeName => NODE,
            NodeTag::Scope(scope) => scope,
        };
        let mut ports = self.search_ports(scope, &node.to_string()).await?;
        if ports.is_empty() {
            let filter = [("attachment_type", "VIF".to_owned())];
            ports = self.cached(lists, "/logical-ports", &filter).await?;
        }
        let mut vifs: Vec<Option<Name>> = ports
            .iter()
            .flat_map(|p| self.machines_of(p))
            .filter(|m| m.node == *node && m.rank == rank)
            .map(|m| m.vif)
            .collect();
        vifs.sort();
        vifs.dedup();
        Ok(vifs)
    }

    /// Ports with a tag, as they stand now and not as the index has them.
    async fn search_ports(&self, scope: &str, tag: &str) -> Result<Vec<Value>, TransportError> {
        let query = Query::of_type("LogicalPort").tagged(scope, tag);
        let hits: Vec<Value> = match self.api.search(&query).await?.all().await {
            Ok(hits) => hits,
            Err(error) if matches!(error.class(), Class::SearchBusy | Class::Gone | Class::Permanent) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        let mut ports = Vec::with_capacity(hits.len());
        for hit in &hits {
            let handle = Handle::Id(id(hit));
            ports.extend(self.get(&paths::object(self.env(), Part::Port, &handle)).await?);
        }
        Ok(ports)
    }

    async fn look_pool(&self, key: &Key, name: &str) -> Result<Found, TransportError> {
        match self.api.resolve(ResolveKind::IpPool, name).await {
            Ok(pool) => {
                let handle = Handle::Id(Name::new(&pool.id));
                let seen = Manager::seen(handle, &Body::Found, Attributes::default());
                Ok(Found::Items(vec![(key.clone(), seen)]))
            }
            Err(ResolveError::Transport { source, .. }) => Err(source),
            Err(ResolveError::NotFound { .. }) => Ok(Found::Items(Vec::new())),
            Err(error) => {
                let code = Code::parse(error.code()).unwrap_or(Code::IpPoolNotFound);
                Ok(Found::Refused(Failure::new(code, error.to_string())))
            }
        }
    }
}

fn unusable(node: &NodeId, why: String) -> Failure {
    Failure::new(
        Code::InvalidNodeLogicalSwitchPort,
        format!("machine {node}: {why}"),
    )
}
