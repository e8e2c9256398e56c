//! A far end in memory that judges: it carves subnets, claims addresses, refuses what would dangle.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use ncp_core::code::{Code, Disposition};
use ncp_core::dialect::{
    Asked, Attributes, Batch, Failure, Outcome, ReadOutcome, ReadRequest, RowKey, Seen, Step, StepId,
};
use ncp_core::digest::Digest;
use ncp_core::id::{NodeId, PoolName};
use ncp_core::topology::{Kind, Object, ObjectKey};

use crate::toy::{Handle, Key, Op, Style, Toy};
use ncp_core::dialect::Dialect;

/// Something that stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    /// Our mark; `None` for what others made.
    pub(crate) key: Option<Key>,
    pub(crate) content: Option<Object>,
    pub(crate) refs: Vec<Handle>,
    pub(crate) attributes: Attributes,
    pub(crate) digest: Digest,
}

/// What the far end has.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) style: Style,
    pub(crate) items: BTreeMap<Handle, Item>,
    pub(crate) nodes: BTreeMap<NodeId, Handle>,
    pub(crate) pools: BTreeMap<PoolName, u32>,
    pub(crate) default_pool: u32,
    pub(crate) blocks: u32,
    pub(crate) prefix: u8,
    pub(crate) page: usize,
    /// Rows that are refused, by key.
    pub(crate) refuses: BTreeSet<ObjectKey>,
    made: u64,
    /// Puts and deletes that took effect.
    pub(crate) writes: u64,
}

fn failure(disposition: Disposition, message: String) -> Failure {
    Failure {
        code: Code::FirewallUpdateFailed,
        message: message.into(),
        disposition,
    }
}

impl World {
    pub(crate) fn new(style: Style) -> World {
        World {
            style,
            items: BTreeMap::new(),
            nodes: BTreeMap::new(),
            pools: BTreeMap::new(),
            default_pool: 64,
            blocks: 64,
            prefix: 29,
            page: 3,
            refuses: BTreeSet::new(),
            made: 0,
            writes: 0,
        }
    }

    /// A machine joins, or is made anew under the same name.
    pub(crate) fn add_node(&mut self, node: &NodeId) {
        self.made += 1;
        let handle = Handle(format!("vif-{:06}", self.made).into());
        self.nodes.insert(node.clone(), handle);
    }

    /// An object of someone else's.
    pub(crate) fn add_foreign(&mut self, name: &str) {
        let item = Item {
            key: None,
            content: None,
            refs: vec![],
            attributes: Attributes::default(),
            digest: Digest(1),
        };
        self.items.insert(Handle(name.into()), item);
    }

    /// The items that bear our marks.
    pub(crate) fn ours(&self) -> impl Iterator<Item = (&Handle, &Key, &Item)> {
        self.items
            .iter()
            .filter_map(|(h, i)| i.key.as_ref().map(|k| (h, k, i)))
    }

    /// The objects that stand with all their parts.
    pub(crate) fn objects(&self) -> Vec<Object> {
        let mut parts: BTreeMap<&ObjectKey, (usize, &Object)> = BTreeMap::new();
        for (_, key, item) in self.ours() {
            let Some(content) = &item.content else { continue };
            parts.entry(&key.object).or_insert((0, content)).0 += 1;
        }
        let whole = parts
            .into_iter()
            .filter(|(k, (n, _))| k.kind() != Kind::Router || *n > 1);
        whole.map(|(_, (_, object))| object.clone()).collect()
    }

    fn exists(&self, handle: &Handle) -> bool {
        self.items.contains_key(handle) || self.nodes.values().any(|h| h == handle) || self.is_pool(handle)
    }

    fn pool_handle(pool: &PoolName) -> Handle {
        Handle(format!("pool-{pool}").into())
    }

    fn is_pool(&self, handle: &Handle) -> bool {
        self.pools.keys().any(|p| World::pool_handle(p) == *handle)
    }

    pub(crate) fn users(&self, handle: &Handle) -> usize {
        self.items.values().filter(|i| i.refs.contains(handle)).count()
    }

    /// Applies a batch; a closed one as a whole or not at all.
    pub(crate) fn write(&mut self, batch: &Batch<Toy>) -> Vec<(StepId, Outcome<Toy>)> {
        let saved = (self.style == Style::Closed).then(|| self.clone());
        let mut outcomes = Vec::new();
        for step in &batch.steps {
            let outcome = self.apply(step);
            let refused = matches!(outcome, Outcome::Refused(_) | Outcome::Stale);
            outcomes.push((step.id, outcome));
            if let Some(saved) = saved.as_ref().filter(|_| refused) {
                *self = saved.clone();
                let at = outcomes.len() - 1;
                outcomes[..at].iter_mut().for_each(|(_, o)| *o = Outcome::Stale);
                let rest = &batch.steps[outcomes.len()..];
                outcomes.extend(rest.iter().map(|s| (s.id, Outcome::Stale)));
                return outcomes;
            }
        }
        outcomes
    }

    fn apply(&mut self, step: &Step<Toy>) -> Outcome<Toy> {
        match &step.op {
            Op::Delete(handle) => self.delete(handle),
            Op::Put {
                handle,
                content,
                refs,
                digest,
            } => {
                if self.refuses.contains(&step.key.object) {
                    let why = failure(Disposition::NeedsOperator, format!("{} is unwelcome", step.key));
                    return Outcome::Refused(why);
                }
                if let Some(gone) = refs.iter().find(|r| !self.exists(r)) {
                    let why = failure(Disposition::RetryLater, format!("{}: no {gone:?}", step.key));
                    return Outcome::Refused(why);
                }
                let standing = handle.as_ref().and_then(|h| self.items.get(h));
                match (handle, standing) {
                    (Some(handle), Some(item)) => {
                        if item.key.as_ref() != Some(&step.key) {
                            return Outcome::Stale;
                        }
                        let attributes = self.attributes_of(content, Some(item.attributes));
                        self.put(handle.clone(), &step.key, content, refs, *digest, attributes)
                    }
                    (Some(_), None) if self.style == Style::Served => Outcome::Gone,
                    _ => self.create(handle.clone(), &step.key, content, refs, *digest),
                }
            }
        }
    }

    fn create(
        &mut self,
        handle: Option<Handle>,
        key: &Key,
        content: &Object,
        refs: &[Handle],
        digest: Digest,
    ) -> Outcome<Toy> {
        let attributes = match content {
            Object::Subnet(_) => match self.carve() {
                Some(cidr) => Attributes {
                    cidr: Some(cidr),
                    ..Attributes::default()
                },
                None => return Outcome::Refused(failure(Disposition::RetryLater, "block is full".into())),
            },
            Object::Address(a) => match self.claim(a.pool.as_ref()) {
                Some(address) => Attributes {
                    address: Some(address),
                    ..Attributes::default()
                },
                None => return Outcome::Refused(failure(Disposition::NeedsOperator, "pool is empty".into())),
            },
            _ => self.attributes_of(content, None),
        };
        self.made += 1;
        let handle = handle.unwrap_or_else(|| Handle(format!("id-{:06}", self.made).into()));
        self.put(handle, key, content, refs, digest, attributes)
    }

    fn attributes_of(&self, content: &Object, old: Option<Attributes>) -> Attributes {
        match content {
            Object::Port(p) => Attributes {
                address: Some(p.address),
                vlan: Some(p.vlan),
                cidr: None,
            },
            _ => old.unwrap_or_default(),
        }
    }

    fn put(
        &mut self,
        handle: Handle,
        key: &Key,
        content: &Object,
        refs: &[Handle],
        digest: Digest,
        attributes: Attributes,
    ) -> Outcome<Toy> {
        let item = Item {
            key: Some(key.clone()),
            content: Some(content.clone()),
            refs: refs.to_vec(),
            attributes,
            digest,
        };
        self.writes += 1;
        let seen = seen(&handle, &item);
        self.items.insert(handle, item);
        Outcome::Done(seen)
    }

    fn delete(&mut self, handle: &Handle) -> Outcome<Toy> {
        if !self.items.contains_key(handle) {
            return Outcome::Gone;
        }
        match self.users(handle) {
            0 => {
                self.writes += 1;
                self.items.remove(handle);
                Outcome::Gone
            }
            n => Outcome::Refused(failure(
                Disposition::ObserveThenRetry,
                format!("{handle:?} has {n} users"),
            )),
        }
    }

    fn carve(&self) -> Option<Ipv4Net> {
        let used: BTreeSet<Ipv4Net> = self.items.values().filter_map(|i| i.attributes.cidr).collect();
        let size = 1u32 << (32 - self.prefix);
        let base = u32::from(Ipv4Addr::new(10, 255, 0, 0));
        (0..self.blocks)
            .filter_map(|n| Ipv4Net::new(Ipv4Addr::from(base + n * size), self.prefix).ok())
            .find(|net| !used.contains(net))
    }

    fn claim(&self, pool: Option<&PoolName>) -> Option<Ipv4Addr> {
        let (room, third) = match pool {
            None => (self.default_pool, 1),
            Some(name) => (
                *self.pools.get(name)?,
                10 + self.pools.keys().position(|p| p == name)? as u8,
            ),
        };
        let used: BTreeSet<Ipv4Addr> = self
            .ours()
            .filter(|(_, k, _)| k.object.kind() == Kind::Address)
            .filter_map(|(_, _, i)| i.attributes.address)
            .collect();
        (0..room)
            .map(|n| Ipv4Addr::new(172, 16, third, n as u8 + 1))
            .find(|a| !used.contains(a))
    }

    /// Answers a read.
    pub(crate) fn read(&self, request: &ReadRequest<Toy>) -> ReadOutcome<Toy> {
        match request {
            ReadRequest::Sweep(collection, cursor) => self.sweep(*collection, cursor.unwrap_or(0)),
            ReadRequest::Rows(asked) => self.rows(asked),
        }
    }

    fn sweep(&self, collection: u8, from: usize) -> ReadOutcome<Toy> {
        let toy = Toy(self.style);
        let mut all: Vec<(Key, Seen<Toy>)> = self
            .ours()
            .filter(|(_, key, _)| toy.collection(key) == Some(collection))
            .map(|(handle, key, item)| (key.clone(), seen(handle, item)))
            .collect();
        if self.style == Style::Served && collection == 1 {
            let node = |(n, h): (&NodeId, &Handle)| (RowKey::new(ObjectKey::Node(n.clone()), 0), bare(h));
            all.extend(self.nodes.iter().map(node));
        }
        let page = match self.style {
            Style::Served => self.page,
            Style::Closed => usize::MAX,
        };
        let items: Vec<_> = all.iter().skip(from).take(page).cloned().collect();
        let next = (from + items.len() < all.len()).then_some(from + items.len());
        ReadOutcome::Chunk {
            items,
            absent: vec![],
            refused: vec![],
            whole: self.style == Style::Closed,
            next,
        }
    }

    fn rows(&self, asked: &[Asked<Toy>]) -> ReadOutcome<Toy> {
        let (mut items, mut absent) = (vec![], vec![]);
        for ask in asked {
            let found = self.find(ask);
            if found.is_empty() {
                absent.push(ask.key.clone());
            }
            items.extend(found.into_iter().map(|seen| (ask.key.clone(), seen)));
        }
        ReadOutcome::Chunk {
            items,
            absent,
            refused: vec![],
            next: None,
            whole: false,
        }
    }

    fn find(&self, ask: &Asked<Toy>) -> Vec<Seen<Toy>> {
        match &ask.key.object {
            ObjectKey::Node(n) => self.nodes.get(n).map(bare).into_iter().collect(),
            ObjectKey::Pool(p) if self.pools.contains_key(p) => vec![bare(&World::pool_handle(p))],
            ObjectKey::Pool(_) => vec![],
            _ => {
                let ours = self.ours().filter(|(_, key, _)| **key == ask.key);
                ours.map(|(handle, _, item)| seen(handle, item)).collect()
            }
        }
    }

    /// Someone else deletes what nothing refers to, or changes what stands.
    pub(crate) fn meddle(&mut self, pick: u64) -> Option<Key> {
        let mine: Vec<Handle> = self.ours().map(|(h, _, _)| h.clone()).collect();
        let handle = mine.get(pick as usize / 2 % mine.len().max(1))?.clone();
        let item = self.items.get_mut(&handle)?;
        let key = item.key.clone();
        if pick.is_multiple_of(2) {
            item.digest = Digest(pick);
            if let Some(vlan) = &mut item.attributes.vlan {
                *vlan = vlan.wrapping_add(1);
            }
        } else if self.users(&handle) == 0 {
            self.items.remove(&handle);
        }
        key
    }
}

fn seen(handle: &Handle, item: &Item) -> Seen<Toy> {
    Seen {
        handle: handle.clone(),
        digest: item.digest,
        refs: item.refs.clone().into(),
        attributes: item.attributes,
    }
}

fn bare(handle: &Handle) -> Seen<Toy> {
    Seen {
        handle: handle.clone(),
        digest: Digest(0),
        refs: Box::default(),
        attributes: Attributes::default(),
    }
}
