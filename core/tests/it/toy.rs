//! Two toy dialects over the same objects: one whose far end makes the ids and takes single calls, one
//! whose ids are made here and whose rows ride in one batch with what they refer to.

use std::fmt;
use std::sync::Arc;

use ncp_core::dialect::{Batch, Change, Dialect, Failure, Needs, Ref, Resolve, RowKey, Seen, Step};
use ncp_core::digest::{self, Digest};
use ncp_core::intent::Peers;
use ncp_core::topology::{Applied, Kind, Object, ObjectKey};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Server-made ids, single calls, rules of a section in a lane, groups by mark, paged lists.
    Served,
    /// Client-made ids, closed batches, members as rows, one whole listing.
    Closed,
}

pub(crate) const STYLES: [Style; 2] = [Style::Served, Style::Closed];

#[derive(Clone, Debug)]
pub(crate) struct Toy(pub(crate) Style);

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Handle(pub(crate) Arc<str>);

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) type Key = RowKey<u8>;

/// A row: its object, what the far end shows of its references, and what must merely stand before it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) object: Object,
    shown: Vec<Ref<u8>>,
    before: Vec<Ref<u8>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Put {
        handle: Option<Handle>,
        content: Object,
        refs: Vec<Handle>,
        digest: Digest,
    },
    Delete(Handle),
}

/// What the far end keeps of an object: not what only orders its making.
pub(crate) fn content(object: &Object) -> Object {
    match object {
        Object::Port(port) => {
            let mut port = port.clone();
            port.denies = [Digest(0); 2];
            port.own_nat = false;
            Object::Port(port)
        }
        other => other.clone(),
    }
}

fn standing(object: ObjectKey, part: u8) -> Ref<u8> {
    let key = RowKey::new(object, part);
    let needs = Needs::Handle;
    Ref { key, needs }
}

fn saying(object: ObjectKey, needs: Needs) -> Ref<u8> {
    let key = RowKey::new(object, 0);
    Ref { key, needs }
}

fn applied_refs(applied: &Applied) -> Vec<Ref<u8>> {
    match applied {
        Applied::PerRule | Applied::Cluster => vec![],
        Applied::Group(g) => vec![standing(ObjectKey::Group(g.clone()), 0)],
        Applied::Union(p) => vec![standing(ObjectKey::Union(p.clone()), 0)],
        Applied::Switch(p, n) => vec![standing(ObjectKey::Switch(p.clone(), *n), 0)],
    }
}

fn shown_refs(object: &Object, part: u8) -> Vec<Ref<u8>> {
    let router = |p: &ncp_core::id::ProjectId, part| standing(ObjectKey::Router(p.clone()), part);
    match object {
        Object::Router(r) if part == 1 => vec![router(&r.project, 0)],
        Object::Router(_) | Object::Subnet(_) | Object::Node(_) | Object::Pool(_) => vec![],
        Object::Group(_) | Object::Union(_) => vec![],
        Object::Switch(s) => vec![
            router(&s.project, 1),
            saying(ObjectKey::Subnet(s.project.clone(), s.index), Needs::Cidr),
        ],
        Object::Port(p) => vec![
            standing(ObjectKey::Switch(p.project.clone(), p.switch), 0),
            standing(ObjectKey::Node(p.node.clone()), 0),
        ],
        Object::Address(a) => {
            let pool = a.pool.iter().cloned().map(ObjectKey::Pool);
            pool.map(|key| standing(key, 0)).collect()
        }
        Object::SubnetNat(n) => vec![
            router(&n.project, 0),
            standing(ObjectKey::Subnet(n.project.clone(), n.index), 0),
            saying(ObjectKey::address(n.address.clone()), Needs::Address),
        ],
        Object::WorkloadNat(n) => vec![
            router(&n.project, 0),
            saying(ObjectKey::address(n.address.clone()), Needs::Address),
        ],
        Object::Member(g, w) => vec![
            standing(ObjectKey::Group(g.clone()), 0),
            standing(ObjectKey::Port(w.clone()), 0),
        ],
        Object::UnionMember(p, g) => vec![
            standing(ObjectKey::Union(p.clone()), 0),
            standing(ObjectKey::Group(g.clone()), 0),
        ],
        Object::Section(s) => applied_refs(&s.applied_to),
        Object::Rule(r) => {
            let mut refs = vec![standing(ObjectKey::Section(r.section.clone()), 0)];
            refs.extend(applied_refs(&r.applied_to));
            if let Peers::Groups(groups) = &r.rule.peers {
                refs.extend(groups.iter().map(|g| standing(ObjectKey::Group(g.clone()), 0)));
            }
            refs
        }
    }
}

fn before(object: &Object) -> Vec<Ref<u8>> {
    let Object::Port(port) = object else {
        return vec![];
    };
    let mut refs: Vec<Ref<u8>> = port.deny_keys().into_iter().map(|key| standing(key, 0)).collect();
    if port.own_nat {
        refs.push(standing(ObjectKey::WorkloadNat(port.workload.clone()), 0));
    }
    refs
}

impl Toy {
    fn closed(&self) -> bool {
        self.0 == Style::Closed
    }

    fn handle_of(&self, key: &Key, resolve: &dyn Resolve<Toy>) -> Option<Handle> {
        // What others made has a name of theirs; everything else has one of ours.
        if self.closed() && !self.looked_for(key) {
            return Some(Handle(key.to_string().into()));
        }
        resolve.handle(key).cloned()
    }

    fn resolved(&self, row: &Row, resolve: &dyn Resolve<Toy>) -> Option<(Vec<Handle>, Digest)> {
        let mut handles = Vec::new();
        let mut said = Vec::new();
        for r in &row.shown {
            handles.push(self.handle_of(&r.key, resolve)?);
            if r.needs == Needs::Address {
                said.push(resolve.attributes(&r.key)?.address?);
            }
        }
        let digest = far_digest(&content(&row.object), &handles);
        Some((handles, digest::of(&(digest, said))))
    }
}

fn far_digest(content: &Object, refs: &[Handle]) -> Digest {
    digest::of(&(content, refs))
}

impl Dialect for Toy {
    type Part = u8;
    type Row = Row;
    type Handle = Handle;
    type Op = Op;
    type Collection = u8;
    type Cursor = usize;

    fn collections(&self) -> Vec<u8> {
        match self.0 {
            Style::Served => vec![0, 1, 2],
            Style::Closed => vec![0],
        }
    }

    fn collection(&self, key: &Key) -> Option<u8> {
        match (self.0, key.object.kind()) {
            (_, Kind::Pool) | (Style::Closed, Kind::Node) => None,
            (Style::Closed, _) => Some(0),
            (Style::Served, Kind::Port | Kind::Node) => Some(1),
            (Style::Served, Kind::Group | Kind::Union | Kind::UnionMember | Kind::Section | Kind::Rule) => {
                Some(2)
            }
            (Style::Served, _) => Some(0),
        }
    }

    fn render(&self, object: &Object) -> Result<Vec<(u8, Row)>, Failure> {
        let parts: &[u8] = match object {
            Object::Router(_) => &[0, 1],
            _ => &[0],
        };
        let row = |part: &u8| {
            let row = Row {
                object: object.clone(),
                shown: shown_refs(object, *part),
                before: before(object),
            };
            (*part, row)
        };
        Ok(parts.iter().map(row).collect())
    }

    fn refs(&self, row: &Row) -> Vec<Ref<u8>> {
        row.shown.iter().chain(&row.before).cloned().collect()
    }

    fn fingerprint(&self, row: &Row) -> Digest {
        digest::of(&row.object)
    }

    fn digest(&self, row: &Row, resolve: &dyn Resolve<Toy>) -> Option<Digest> {
        self.resolved(row, resolve).map(|(_, digest)| digest)
    }

    fn looked_for(&self, key: &Key) -> bool {
        matches!(key.object.kind(), Kind::Node | Kind::Pool)
    }

    fn members_are_rows(&self) -> bool {
        self.closed()
    }

    fn lane(&self, key: &Key) -> Option<ObjectKey> {
        match &key.object {
            ObjectKey::Rule(section, _) if !self.closed() => Some(ObjectKey::Section(section.clone())),
            ObjectKey::Section(_) if !self.closed() => Some(key.object.clone()),
            _ => None,
        }
    }

    fn rides(&self, _: &Key, on: &Key) -> bool {
        self.closed() && !self.looked_for(on)
    }

    fn ensure(
        &self,
        key: &Key,
        row: &Row,
        seen: Option<&Seen<Toy>>,
        resolve: &dyn Resolve<Toy>,
    ) -> Change<Toy> {
        let fixed = matches!(key.object.kind(), Kind::Nat | Kind::Member);
        if seen.is_some() && fixed && !self.closed() {
            return Change::Replace;
        }
        let Some((refs, digest)) = self.resolved(row, resolve) else {
            panic!("{key} is written before all that it refers to is known");
        };
        let handle = match seen {
            Some(seen) => Some(seen.handle.clone()),
            None => self.closed().then(|| Handle(key.to_string().into())),
        };
        Change::Op(Op::Put {
            handle,
            content: content(&row.object),
            refs,
            digest,
        })
    }

    fn retire(&self, _: &Key, seen: &Seen<Toy>) -> Op {
        Op::Delete(seen.handle.clone())
    }

    fn batch(&self, ready: Vec<Step<Toy>>) -> Vec<Batch<Toy>> {
        match self.0 {
            Style::Served => ready
                .into_iter()
                .map(|step| Batch { steps: vec![step] })
                .collect(),
            Style::Closed => vec![Batch { steps: ready }],
        }
    }

    fn batch_room(&self, _: Kind) -> usize {
        match self.0 {
            Style::Served => 2,
            Style::Closed => 8,
        }
    }
}
