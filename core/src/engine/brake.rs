//! The brake: a change that takes down much is taken for a mistake of a source until confirmed.

use serde::Serialize;

use crate::event::ScopeKind;
use crate::index::Index;
use crate::planner::{Counts, Gate};
use crate::settings::Settings;
use crate::time::Time;
use crate::topology::Kind;

#[derive(Debug, Default)]
pub(super) struct Brake {
    held: Option<Held>,
    operator_said: bool,
}

#[derive(Debug)]
struct Held {
    since: Time,
    /// How many ports a confirmation was for.
    confirmed: Option<usize>,
    status: BrakeStatus,
}

/// What is held back, for status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BrakeStatus {
    /// Ports that would be retired.
    pub ports: usize,
    /// Routers that would be retired.
    pub routers: usize,
    /// Only the operator's word releases it.
    pub operator: bool,
}

impl Brake {
    /// Looks at the counts again; `true` if the gate moved.
    pub(super) fn update(&mut self, counts: Counts, index: &Index, settings: &Settings, now: Time) -> bool {
        let brakes = settings.brakes;
        let share = |percent: usize| counts.ports * percent / 100;
        let limit = brakes.port_floor.max(share(brakes.port_percent));
        if counts.ports_retiring <= limit && counts.routers_retiring == 0 {
            self.operator_said = false;
            return self.held.take().is_some_and(|h| h.confirmed.is_none());
        }
        let most = brakes.port_floor.max(share(brakes.operator_percent));
        let operator = counts.ports_retiring > most;
        let held = self.held.get_or_insert(Held {
            since: now,
            confirmed: None,
            status: BrakeStatus {
                ports: 0,
                routers: 0,
                operator,
            },
        });
        held.status = BrakeStatus {
            ports: counts.ports_retiring,
            routers: counts.routers_retiring,
            operator,
        };
        if held.confirmed.is_some_and(|n| counts.ports_retiring > n + limit) {
            // Much more than was confirmed: asked anew.
            held.confirmed = None;
            held.since = now;
        }
        let listed = index
            .listed_at(ScopeKind::Workloads)
            .min(index.listed_at(ScopeKind::Projects));
        let confirm = self.operator_said || (!operator && listed > held.since);
        if confirm && held.confirmed.is_none() {
            held.confirmed = Some(counts.ports_retiring);
            self.operator_said = false;
            return true;
        }
        false
    }

    /// The operator's word.
    pub(super) fn confirm(&mut self) {
        self.operator_said = self.held.is_some();
    }

    pub(super) fn gate(&self, kind: Kind) -> Gate {
        let braked = matches!(
            kind,
            Kind::Port | Kind::Router | Kind::Subnet | Kind::Switch | Kind::Address
        );
        match &self.held {
            Some(held) if braked && held.confirmed.is_none() => Gate::Brake(held.status.explain()),
            _ => Gate::Open,
        }
    }

    pub(super) fn status(&self) -> Option<&BrakeStatus> {
        self.held
            .as_ref()
            .filter(|h| h.confirmed.is_none())
            .map(|h| &h.status)
    }
}

impl BrakeStatus {
    fn explain(&self) -> String {
        let who = if self.operator {
            "the operator"
        } else {
            "a second complete listing"
        };
        format!(
            "{} ports and {} routers would go; {who} must confirm",
            self.ports, self.routers
        )
    }
}
