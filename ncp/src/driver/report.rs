//! What the driver tells the rest of the program.

use ncp_core::condition::Condition;
use ncp_core::dialect::Dialect;
use ncp_core::engine::{Engine, Status};
use ncp_core::event::{Scope, ScopeKind};

/// How the engine is doing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Its status; none yet if absent.
    pub status: Option<Status>,
    /// What is wrong, by the platform's object.
    pub conditions: Vec<Condition>,
    /// The scopes that the adapter lists.
    pub expected: Vec<Scope>,
}

impl Report {
    pub(super) fn of<D: Dialect>(engine: &Engine<D>) -> Report {
        Report {
            status: Some(engine.status()),
            conditions: engine.conditions(),
            expected: engine.settings().scopes.clone(),
        }
    }

    /// The platform's scopes have all been listed, and the far end's lists read.
    pub fn read_all(&self) -> bool {
        let Some(status) = &self.status else { return false };
        let listed = |scope: &&ncp_core::event::Scope| {
            let text = scope.to_string();
            status.scopes.iter().any(|s| s.scope == text && s.complete)
        };
        status.observed
            && status.decided
            && self
                .expected
                .iter()
                .filter(|s| s.kind != ScopeKind::Nodes)
                .all(|s| listed(&s))
    }

    /// Everything has been looked at and is as wanted.
    pub fn converged(&self) -> bool {
        self.status.as_ref().is_some_and(|s| s.converged)
    }
}

/// What brakes hold back, in plain words.
pub fn held(status: &Status) -> Vec<String> {
    let mut held = Vec::new();
    if let Some(brake) = &status.brake {
        let who = if brake.operator {
            "waits for your word (`ncp confirm`)"
        } else {
            "waits for a second complete listing, or your word (`ncp confirm`)"
        };
        let number = |count: usize, what: &str| {
            let plural = if count == 1 { "" } else { "s" };
            (count > 0).then(|| format!("{count} {what}{plural}"))
        };
        let parts = [number(brake.ports, "port"), number(brake.routers, "router")];
        let what = parts.into_iter().flatten().collect::<Vec<_>>().join(" and ");
        held.push(format!("removal of {what} {who}"));
    }
    let scopes = status.scopes.iter().filter(|scope| scope.held > 0);
    held.extend(scopes.map(|scope| {
        format!(
            "{} facts of {} that are no longer listed wait for a second equal listing, or your word (`ncp confirm`)",
            scope.held, scope.scope
        )
    }));
    held
}
