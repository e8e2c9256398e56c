//! [`Manager`]: the manager API as the planner knows it.

use std::hash::{Hash, Hasher};

use ncp_core::dialect::{
    Attributes, Batch, Change, Dialect, Failure, Ref, Resolve, RowKey, Seen, Step, Verb,
};
use ncp_core::digest::{self, Digest, Stable};
use ncp_core::topology::{Kind, Object, ObjectKey};

use super::body::Body;
use super::names::Environment;
use super::part::{Collection, Handle, Part};
use super::render::Wanted;
use super::resolve::{each_ref, refs, resolve};

/// One operation on the manager.
#[derive(Clone, Debug)]
pub enum Op {
    /// Make it.
    Make(Body<Handle>),
    /// Change it to this.
    Change(Handle, Body<Handle>),
    /// Remove it.
    Remove(Handle),
}

/// The manager API as a dialect.
#[derive(Clone, Debug)]
pub struct Manager {
    environment: Environment,
}

impl Manager {
    /// The dialect of a manager whose objects have been resolved.
    pub fn new(environment: Environment) -> Manager {
        Manager { environment }
    }

    /// What it knows of the manager.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// A body that was read or just written, as the planner keeps it.
    pub fn seen(handle: Handle, body: &Body<Handle>, attributes: Attributes) -> Seen<Manager> {
        let mut refs = Vec::new();
        each_ref(body, &mut |handle: &Handle, _| refs.push(handle.clone()));
        let attributes = match body {
            Body::Port { vlan, address, .. } => Attributes {
                vlan: Some(*vlan),
                address: Some(*address),
                ..attributes
            },
            _ => attributes,
        };
        Seen {
            handle,
            digest: digest::of(body),
            refs: refs.into(),
            attributes,
        }
    }
}

impl Dialect for Manager {
    type Part = Part;
    type Row = Wanted;
    type Handle = Handle;
    type Op = Op;
    type Collection = Collection;
    type Cursor = super::part::Cursor;

    fn collections(&self) -> Vec<Collection> {
        Collection::ALL.to_vec()
    }

    fn collection(&self, key: &RowKey<Part>) -> Option<Collection> {
        Collection::of(key.part)
    }

    fn render(&self, object: &Object) -> Result<Vec<(Part, Wanted)>, Failure> {
        self.environment.render(object)
    }

    fn refs(&self, row: &Wanted) -> Vec<Ref<Part>> {
        refs(row)
    }

    fn fingerprint(&self, row: &Wanted) -> Digest {
        // With what must stand before it, which the body's own hash leaves out.
        let mut hasher = Stable::default();
        row.hash(&mut hasher);
        each_ref(row, &mut |key, _| key.hash(&mut hasher));
        Digest(hasher.finish())
    }

    fn digest(&self, row: &Wanted, rows: &dyn Resolve<Manager>) -> Option<Digest> {
        let body = resolve(row, rows);
        let mut known = true;
        each_ref(&body, &mut |handle: &Handle, _| {
            known &= *handle != Handle::Riding
        });
        known.then(|| digest::of(&body))
    }

    fn looked_for(&self, key: &RowKey<Part>) -> bool {
        matches!(key.part, Part::Parent | Part::Pool)
    }

    fn members_are_rows(&self) -> bool {
        false // Groups select ports by tag.
    }

    fn lane(&self, key: &RowKey<Part>) -> Option<ObjectKey> {
        match (&key.object, key.part) {
            (ObjectKey::Section(section), Part::Section) | (ObjectKey::Rule(section, _), _) => {
                Some(ObjectKey::Section(section.clone()))
            }
            _ => None,
        }
    }

    fn rides(&self, key: &RowKey<Part>, on: &RowKey<Part>) -> bool {
        matches!((&key.object, &on.object, on.part),
            (ObjectKey::Rule(of, _), ObjectKey::Section(section), Part::Section) if of == section)
    }

    fn ensure(
        &self,
        key: &RowKey<Part>,
        row: &Wanted,
        seen: Option<&Seen<Manager>>,
        rows: &dyn Resolve<Manager>,
    ) -> Change<Manager> {
        let body = resolve(row, rows);
        let Some(seen) = seen else {
            return Change::Op(Op::Make(body));
        };
        let fixed = match &body {
            Body::IpSubnet { .. } => None,
            Body::Port { switch, .. } | Body::GatewayPort { switch, .. } => Some(vec![switch]),
            Body::LinkTier1 { router, peer, .. } => Some(vec![router, peer]),
            Body::Downlink { router, port, .. } => Some(vec![router, port]),
            Body::Member { group, member } => Some(vec![group, member]),
            _ => Some(Vec::new()),
        };
        match fixed {
            Some(fixed) if fixed.iter().all(|handle| seen.refs.contains(handle)) => {
                Change::Op(Op::Change(seen.handle.clone(), body))
            }
            _ => {
                tracing::debug!(object = %key, "can't be changed in place");
                Change::Replace
            }
        }
    }

    fn retire(&self, _key: &RowKey<Part>, seen: &Seen<Manager>) -> Op {
        Op::Remove(seen.handle.clone())
    }

    fn batch(&self, ready: Vec<Step<Manager>>) -> Vec<Batch<Manager>> {
        let mut batches: Vec<Batch<Manager>> = Vec::new();
        for step in ready {
            match batches.last_mut() {
                Some(batch) if joins(batch, &step, self.environment.limits.rules) => batch.steps.push(step),
                _ => batches.push(Batch { steps: vec![step] }),
            }
        }
        batches
    }

    fn batch_room(&self, kind: Kind) -> usize {
        match kind {
            Kind::Section | Kind::Rule => self.environment.limits.rules,
            _ => 1,
        }
    }
}

/// A section is made with its rules in one call, and rules of one section are added in one call;
/// rules that log go to its top and so in a call of their own.
fn joins(batch: &Batch<Manager>, step: &Step<Manager>, most: usize) -> bool {
    let (Some(first), Op::Make(Body::Rule(rule))) = (batch.steps.first(), &step.op) else {
        return false;
    };
    if step.verb != Verb::Ensure || batch.steps.len() >= most {
        return false;
    }
    match &first.op {
        Op::Make(Body::Section { .. }) => rule.section == Handle::Riding,
        Op::Make(Body::Rule(other)) => other.section == rule.section && other.log == rule.log,
        _ => false,
    }
}
