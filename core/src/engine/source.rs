//! What the planner asks of the engine.

use super::brake::Brake;
use crate::choices::Choices;
use crate::compile::{Compiled, Context, compile};
use crate::dialect::{Dialect, RowKey};
use crate::digest;
use crate::event::{Scope, ScopeKind};
use crate::id::ProjectId;
use crate::index::Index;
use crate::intent::EgressOwner;
use crate::planner::{Gate, Source};
use crate::settings::Settings;
use crate::topology::{Kind, ObjectKey, SectionKey};

pub(super) struct View<'a, D> {
    cx: Context<'a>,
    dialect: &'a D,
    brake: &'a Brake,
}

impl<'a, D: Dialect> View<'a, D> {
    pub(super) fn new(
        index: &'a Index,
        choices: &'a Choices,
        settings: &'a Settings,
        dialect: &'a D,
        brake: &'a Brake,
    ) -> View<'a, D> {
        View {
            cx: Context {
                index,
                choices,
                settings,
            },
            dialect,
            brake,
        }
    }
}

/// The scopes whose completeness the retirement of a kind needs: a dead policy server does not stop
/// ports from being retired, and a stale domain does not stop a rule.
pub(super) fn retirement_needs(kind: Kind) -> &'static [ScopeKind] {
    match kind {
        Kind::Node | Kind::Pool => &[],
        Kind::Port | Kind::Nat | Kind::Member => &[ScopeKind::Workloads],
        Kind::Router | Kind::Subnet | Kind::Switch | Kind::Address => {
            &[ScopeKind::Workloads, ScopeKind::Projects]
        }
        Kind::Group | Kind::Union | Kind::UnionMember | Kind::Section | Kind::Rule => &[ScopeKind::Policies],
    }
}

/// The project whose name and egress an object depends on. While its record has not been heard, they
/// are guessed: a container never waits for it, and what stands is not changed on a guess.
pub(super) fn named_by_project(key: &ObjectKey) -> Option<&ProjectId> {
    match key {
        ObjectKey::Router(p)
        | ObjectKey::Subnet(p, _)
        | ObjectKey::Switch(p, _)
        | ObjectKey::SubnetNat(p, _)
        | ObjectKey::Section(SectionKey::Isolation(p)) => Some(p),
        ObjectKey::Address(a) => match &a.owner {
            EgressOwner::Project(p) => Some(p),
            EgressOwner::Group(..) => None,
        },
        _ => None,
    }
}

impl<D: Dialect> View<'_, D> {
    fn unnamed(&self, key: &ObjectKey) -> bool {
        named_by_project(key).is_some_and(|project| self.cx.index.project(project).is_none())
    }

    fn untrusted(&self, kind: ScopeKind) -> Option<Scope> {
        self.cx.index.trusted(&self.cx.settings.scopes, kind).err()
    }
}

impl<D: Dialect> Source<D> for View<'_, D> {
    fn row(&self, key: &RowKey<D::Part>) -> Option<D::Row> {
        match compile(&key.object, self.cx) {
            Compiled::Object(object) => {
                let rows = self.dialect.render(&object).ok()?;
                rows.into_iter()
                    .find(|(part, _)| *part == key.part)
                    .map(|(_, row)| row)
            }
            Compiled::Absent | Compiled::Waits(_) => None,
        }
    }

    fn unsaid(&self, key: &ObjectKey) -> bool {
        match compile(key, self.cx) {
            Compiled::Absent => false,
            Compiled::Waits(_) => true,
            Compiled::Object(object) => self.dialect.render(&object).is_err(),
        }
    }

    fn unsure(&self, key: &ObjectKey) -> bool {
        self.unnamed(key) && self.untrusted(ScopeKind::Projects).is_some()
    }

    fn gate(&self, key: &ObjectKey) -> Gate {
        let kind = key.kind();
        let guessed = self.unnamed(key).then_some(ScopeKind::Projects);
        let needs = retirement_needs(kind).iter().copied().chain(guessed);
        match needs.into_iter().find_map(|need| self.untrusted(need)) {
            Some(scope) => Gate::Untrusted(scope.to_string()),
            None => self.brake.gate(kind),
        }
    }

    fn share(&self, key: &ObjectKey) -> u64 {
        let of = |name: &crate::id::Name| digest::of(name).0;
        match key {
            ObjectKey::Router(p)
            | ObjectKey::Subnet(p, _)
            | ObjectKey::Switch(p, _)
            | ObjectKey::SubnetNat(p, _)
            | ObjectKey::Section(SectionKey::Isolation(p))
            | ObjectKey::Rule(SectionKey::Isolation(p), _) => of(&p.0),
            ObjectKey::Port(w) | ObjectKey::WorkloadNat(w) | ObjectKey::Member(_, w) => {
                self.cx.index.workload(w).map_or(0, |w| of(&w.project.0))
            }
            ObjectKey::Address(a) => match &a.owner {
                EgressOwner::Project(p) | EgressOwner::Group(p, _) => of(&p.0),
            },
            ObjectKey::Union(p)
            | ObjectKey::UnionMember(p, _)
            | ObjectKey::Section(SectionKey::Policy(p))
            | ObjectKey::Rule(SectionKey::Policy(p), _) => of(&p.0),
            ObjectKey::Node(_)
            | ObjectKey::Pool(_)
            | ObjectKey::Group(_)
            | ObjectKey::Section(SectionKey::Platform(_))
            | ObjectKey::Rule(SectionKey::Platform(_), _) => 0,
        }
    }
}
