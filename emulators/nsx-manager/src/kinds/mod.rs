//! The kinds of objects: where they live, what they may hold, and the rules that tie them together.
//!
//! [`Spec`] is the table that makes create, read, list, update and delete the same code for all kinds; [`Rules`]
//! is what a kind adds: checks against other objects, what the server fills in, what stops a delete.

pub(crate) mod fabric;
pub(crate) mod firewall;
pub(crate) mod formats;
pub(crate) mod groups;
pub(crate) mod pools;
pub(crate) mod router_ports;
pub(crate) mod routers;
mod schema;
pub(crate) mod seed;
mod services;
pub(crate) mod switching;
mod transport;
mod trust;

use std::sync::Arc;

pub(crate) use self::schema::{Schema, judge};
use crate::api::error::{ApiError, Result};
use crate::api::query::Query;
use crate::store::{Body, Object, Term, Tx, View};

macro_rules! kinds {
    ($($kind:ident),* $(,)?) => {
        /// A kind of object.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Kind { $($kind),* }

        impl Kind {
            /// Every kind.
            pub(crate) const ALL: &'static [Kind] = &[$(Kind::$kind),*];

            /// The name in the state and in messages; for most kinds the resource type.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Kind::$kind => stringify!($kind)),* }
            }
        }
    };
}

kinds! {
    TransportZone, EdgeCluster, LogicalRouter, AdvertisementConfig, AdvertiseRuleList, StaticRoute, NatRule,
    LogicalSwitch, LogicalPort, LogicalRouterPort, SwitchingProfile, MacPool, IpBlock, IpBlockSubnet, IpPool,
    AllocationIpAddress, IPSet, NSGroup, NSService, NSServiceGroup, FirewallSection, FirewallRule, ExcludeList,
    FirewallStatus, VirtualMachine, VirtualNetworkInterface, PrincipalIdentity, HttpService,
}

impl Kind {
    /// The kind of this name.
    pub(crate) fn named(name: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// A ResourceReference: which object, of which type.
const REFERENCE: &Schema = &[
    schema::field("target_id", schema::Type::Text(64)),
    schema::field("target_type", schema::Type::Text(255)),
    schema::field("target_display_name", schema::Type::Text(255)),
    schema::flag("is_valid", true).read_only(),
];

/// What narrows a list down.
pub(crate) struct Filter {
    /// An index that holds all candidates.
    pub(crate) term: Option<Term>,
    keep: Option<Keep>,
}

type Keep = Box<dyn Fn(&View, &Object) -> bool>;

impl Filter {
    /// Everything.
    pub(crate) fn all() -> Self {
        Filter {
            term: None,
            keep: None,
        }
    }

    /// The objects with the term.
    pub(crate) fn with(mut self, term: Option<Term>) -> Self {
        match (self.term.take(), term) {
            (Some(first), Some(second)) => self.term(first).and(move |_, object| has(object, &second)),
            (first, second) => Filter {
                term: first.or(second),
                ..self
            },
        }
    }

    fn term(self, term: Term) -> Self {
        Filter {
            term: Some(term),
            ..self
        }
    }

    /// Only those that also pass the test.
    pub(crate) fn and(mut self, test: impl Fn(&View, &Object) -> bool + 'static) -> Self {
        self.keep = Some(match self.keep.take() {
            Some(before) => Box::new(move |view, object| before(view, object) && test(view, object)),
            None => Box::new(test),
        });
        self
    }

    /// Only those whose text field has the value of the query's parameter, if that is given.
    pub(crate) fn equal(self, query: &Query, name: &str, field: &'static str) -> Self {
        match query.get(name).map(str::to_owned) {
            Some(wanted) => self.and(move |_, object| object.text(field) == wanted),
            None => self,
        }
    }

    /// Whether there is nothing to test beyond the index.
    pub(crate) fn is_exact(&self) -> bool {
        self.keep.is_none()
    }

    /// Whether a candidate of the index passes.
    pub(crate) fn passes(&self, view: &View, object: &Object) -> bool {
        self.keep.as_ref().is_none_or(|keep| keep(view, object))
    }

    /// Whether an object that may not be in the index passes.
    pub(crate) fn admits(&self, view: &View, object: &Object) -> bool {
        self.term.as_ref().is_none_or(|term| has(object, term)) && self.passes(view, object)
    }
}

fn has(object: &Object, term: &Term) -> bool {
    crate::store::terms(object).contains(term)
}

/// What a kind adds to create, list, update and delete.
pub(crate) trait Rules: Sync {
    /// Judges a body against other objects and fills in what the server knows at once.
    fn check(&self, tx: &mut Tx<'_>, body: &mut Body, old: Option<&Object>) -> Result<()> {
        let _ = (tx, body, old);
        Ok(())
    }

    /// Changes other objects after one was stored.
    fn stored(&self, tx: &mut Tx<'_>, object: &Arc<Object>, old: Option<&Object>) -> Result<()> {
        let _ = (tx, object, old);
        Ok(())
    }

    /// Refuses a delete, or does what it brings with it.
    fn release(&self, tx: &mut Tx<'_>, object: &Arc<Object>, query: &Query) -> Result<()> {
        let _ = (tx, object, query);
        Ok(())
    }

    /// The list filters of the query.
    fn filter(&self, query: &Query) -> Result<Filter> {
        let _ = query;
        Ok(Filter::all())
    }
}

/// A kind without rules of its own.
struct Plain;

impl Rules for Plain {}

/// How a kind is served.
pub(crate) struct Spec {
    pub(crate) kind: Kind,
    /// Path below `/api/v1`.
    pub(crate) path: &'static str,
    /// Service that errors name.
    pub(crate) module: &'static str,
    /// Fields per `resource_type`; the first one is the default where only one is possible.
    pub(crate) schemas: &'static [(&'static str, &'static Schema)],
    pub(crate) rules: &'static dyn Rules,
    pub(crate) writable: bool,
    /// Largest page of the list.
    pub(crate) page: usize,
}

impl Spec {
    const fn new(
        kind: Kind,
        path: &'static str,
        module: &'static str,
        schemas: &'static [(&'static str, &'static Schema)],
        rules: &'static dyn Rules,
    ) -> Spec {
        Spec {
            kind,
            path,
            module,
            schemas,
            rules,
            writable: true,
            page: 1000,
        }
    }

    const fn read_only(self) -> Spec {
        Spec {
            writable: false,
            ..self
        }
    }

    const fn page(self, page: usize) -> Spec {
        Spec { page, ..self }
    }

    /// The fields that the body's `resource_type` asks for, with that type written into the body.
    pub(crate) fn schema(&self, body: &mut Body) -> Result<&'static Schema> {
        let sent = body
            .get("resource_type")
            .and_then(serde_json::Value::as_str)
            .unwrap_or("");
        let found = match self.schemas {
            [only] => Some(only),
            several => several.iter().find(|(name, _)| *name == sent),
        };
        let (name, schema) = found.ok_or_else(|| {
            ApiError::invalid(format!("The resource_type `{sent}` is none of /{}.", self.path))
                .module(self.module)
        })?;
        body.insert("resource_type".into(), serde_json::json!(name));
        Ok(schema)
    }
}

/// Every kind that is served by the common code.
static SPECS: &[&[Spec]] = &[
    transport::SPECS,
    routers::SPECS,
    router_ports::SPECS,
    switching::SPECS,
    pools::SPECS,
    groups::SPECS,
    services::SPECS,
    firewall::SPECS,
    fabric::SPECS,
    trust::SPECS,
];

/// How the kind is served.
pub(crate) fn spec(kind: Kind) -> Option<&'static Spec> {
    SPECS.iter().copied().flatten().find(|spec| spec.kind == kind)
}

/// The kind whose collection has this path. Kinds below another object have none.
pub(crate) fn at(path: &str) -> Option<&'static Spec> {
    SPECS
        .iter()
        .copied()
        .flatten()
        .find(|spec| !path.is_empty() && spec.path == path)
}

/// Notes in every object that refers to the id that its target is gone.
pub(crate) fn invalidate(tx: &mut Tx<'_>, id: &str) {
    let users: Vec<_> = tx.view().with_any(&Term::Ref(id.into())).cloned().collect();
    for user in users {
        tx.touch(&user, |body| body.values_mut().for_each(|value| mark(value, id)));
    }
}

fn mark(value: &mut serde_json::Value, id: &str) {
    match value {
        serde_json::Value::Array(values) => values.iter_mut().for_each(|value| mark(value, id)),
        serde_json::Value::Object(fields) => {
            if fields.get("target_id").and_then(serde_json::Value::as_str) == Some(id) {
                fields.insert("is_valid".into(), serde_json::Value::Bool(false));
            }
            fields.values_mut().for_each(|value| mark(value, id));
        }
        _ => {}
    }
}
