//! One request's changes.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::object::{Body, Object};
use super::view::View;
use super::{Before, Pos};
use crate::api::error::{ApiError, Result};
use crate::kinds::Kind;
use crate::options::Version;

/// A view being changed by one request.
#[derive(Debug)]
pub(crate) struct Tx<'a> {
    view: &'a mut View,
    undo: Vec<Before>,
    next_uid: i64,
    pub(crate) version: Version,
    pub(crate) user: &'a str,
}

impl<'a> Tx<'a> {
    pub(super) fn new(view: &'a mut View, version: Version, user: &'a str, next_uid: i64) -> Self {
        Tx {
            view,
            undo: Vec::new(),
            next_uid,
            version,
            user,
        }
    }

    pub(super) fn finish(self) -> (Vec<Before>, i64) {
        (self.undo, self.next_uid)
    }

    /// The objects as this request sees them.
    pub(crate) fn view(&self) -> &View {
        self.view
    }

    /// A number never given before.
    pub(crate) fn number(&mut self) -> i64 {
        self.next_uid += 1;
        self.next_uid
    }

    /// The object, or the error that says it isn't there.
    pub(crate) fn get(&self, kind: Kind, id: &str) -> Result<Arc<Object>> {
        self.view
            .get(kind, id)
            .cloned()
            .ok_or_else(|| ApiError::not_found(kind.name(), id))
    }

    /// The object that a body names, or the error that says it isn't there.
    pub(crate) fn referent(&self, kind: Kind, id: &str) -> Result<Arc<Object>> {
        self.view
            .get(kind, id)
            .cloned()
            .ok_or_else(|| ApiError::no_referent(kind.name(), id))
    }

    /// Whether an object of this kind refers to the id.
    pub(crate) fn referred(&self, kind: Kind, id: &str) -> bool {
        self.view.referrers(kind, id).next().is_some()
    }

    /// The objects of a kind below a parent, as a copy that survives changes.
    pub(crate) fn children(&self, kind: Kind, parent: &str) -> Vec<Arc<Object>> {
        self.view.children(kind, parent).cloned().collect()
    }

    /// Stores the object as it is.
    pub(crate) fn put(&mut self, object: Object) -> Arc<Object> {
        let object = Arc::new(object);
        let before = self.view.put(object.clone());
        self.undo.push((object.kind, object.id.clone(), before));
        object
    }

    /// Takes the object out.
    pub(crate) fn remove(&mut self, kind: Kind, id: &str) {
        if let Some(old) = self.view.remove(kind, id) {
            self.undo.push((kind, old.id.clone(), Some(old)));
        }
    }

    /// Stores a new object: gives it its common fields and its place.
    pub(crate) fn create(&mut self, new: New) -> Arc<Object> {
        let uid = self.number();
        let id: Arc<str> = new.id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()).into();
        let mut body = new.body;
        stamp_new(&mut body, &id, self.user);
        let seq = new.seq.unwrap_or(uid);
        self.put(Object {
            kind: new.kind,
            id,
            parent: new.parent,
            seq,
            uid,
            body,
        })
    }

    /// Stores an object that others report, which has none of the common fields.
    pub(crate) fn report(&mut self, kind: Kind, id: &str, body: Body) {
        let uid = self.number();
        self.put(Object {
            kind,
            id: id.into(),
            parent: None,
            seq: uid,
            uid,
            body,
        });
    }

    /// Stores a changed body: raises the revision.
    pub(crate) fn update(&mut self, old: &Object, body: Body) -> Arc<Object> {
        let mut object = Object { body, ..old.clone() };
        for field in [
            "id",
            "_create_time",
            "_create_user",
            "_system_owned",
            "_protection",
        ] {
            copy(&old.body, &mut object.body, field);
        }
        object.body.insert("_revision".into(), json!(old.revision() + 1));
        object.body.insert("_last_modified_time".into(), json!(now_ms()));
        object.body.insert("_last_modified_user".into(), json!(self.user));
        object
            .body
            .entry("display_name")
            .or_insert_with(|| json!(old.id.as_ref()));
        self.put(object)
    }

    /// Stores fields that the server itself keeps, without a new revision.
    pub(crate) fn touch(&mut self, old: &Object, edit: impl FnOnce(&mut Body)) -> Arc<Object> {
        let mut object = old.clone();
        edit(&mut object.body);
        self.put(object)
    }

    /// Moves the object to another place in its list.
    pub(crate) fn place(&mut self, old: &Object, seq: i64) -> Pos {
        self.put(Object { seq, ..old.clone() }).pos()
    }
}

/// An object about to be created.
#[derive(Debug)]
pub(crate) struct New {
    kind: Kind,
    body: Body,
    id: Option<String>,
    parent: Option<Arc<str>>,
    seq: Option<i64>,
}

impl New {
    /// With a server-made UUID, at the end of its list.
    pub(crate) fn of(kind: Kind, body: Body) -> Self {
        New {
            kind,
            body,
            id: None,
            parent: None,
            seq: None,
        }
    }

    pub(crate) fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    pub(crate) fn parent(mut self, parent: &str) -> Self {
        self.parent = Some(parent.into());
        self
    }

    pub(crate) fn seq(mut self, seq: i64) -> Self {
        self.seq = Some(seq);
        self
    }
}

fn stamp_new(body: &mut Body, id: &str, user: &str) {
    let now = now_ms();
    body.insert("id".into(), json!(id));
    body.entry("display_name").or_insert_with(|| json!(id));
    for field in ["_create_time", "_last_modified_time"] {
        body.insert(field.into(), json!(now));
    }
    for field in ["_create_user", "_last_modified_user"] {
        body.insert(field.into(), json!(user));
    }
    body.entry("_system_owned").or_insert(Value::Bool(false));
    body.entry("_protection")
        .or_insert_with(|| json!("NOT_PROTECTED"));
    body.insert("_revision".into(), json!(0));
}

fn copy(from: &Body, to: &mut Body, field: &str) {
    if let Some(value) = from.get(field) {
        to.insert(field.into(), value.clone());
    }
}

/// Milliseconds since 1970, as NSX stamps objects.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
