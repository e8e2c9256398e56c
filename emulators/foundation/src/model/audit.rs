//! Audit events: what happened, as Cloud Controller tells auditors. Security groups leave none.

use serde_json::Value;

use super::World;
use super::objects::AuditEvent;

/// Events kept; the real platform prunes by age.
const KEPT: usize = 20_000;

impl World {
    pub(crate) fn note(
        &mut self,
        kind: &'static str,
        target: (&str, &'static str, &str),
        space: Option<&str>,
        org: Option<&str>,
        data: Value,
    ) {
        if self.audit.len() == KEPT {
            self.audit.pop_front();
        }
        let event = AuditEvent {
            guid: self.guid(),
            at: self.clock.seconds(),
            kind,
            actor: "admin".to_owned(),
            target: (target.0.to_owned(), target.1, target.2.to_owned()),
            space: space.map(str::to_owned),
            org: org.map(str::to_owned),
            data,
        };
        self.audit.push_back(event);
    }

    /// Notes something about an app, with its space and organization.
    pub(crate) fn note_app(&mut self, kind: &'static str, app: &str, data: Value) {
        let Some(found) = self.apps.get(app) else { return };
        let (name, space) = (found.meta.name.clone(), found.space.clone());
        let org = self.spaces.get(&space).map(|space| space.org.clone());
        self.note(kind, (app, "app", &name), Some(&space), org.as_deref(), data);
    }
}
