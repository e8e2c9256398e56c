//! Organizations, spaces and isolation segments, and how they are found by name.

use std::collections::BTreeSet;

use serde_json::json;

use super::World;
use super::error::WorldError;
use super::objects::{Meta, Org, Segment, Space};
use super::table::Guid;

impl World {
    pub(crate) fn meta(&mut self, name: &str) -> Meta {
        let now = self.clock.seconds();
        Meta {
            guid: self.guid(),
            name: name.to_owned(),
            created: now,
            updated: now,
            ..Meta::default()
        }
    }

    pub(crate) fn create_org(&mut self, name: &str) -> Result<Guid, WorldError> {
        if self
            .orgs
            .iter()
            .any(|org| org.meta.name.eq_ignore_ascii_case(name))
        {
            return Err(WorldError::exists("organization", name));
        }
        let meta = self.meta(name);
        let guid = meta.guid.clone();
        self.orgs.insert(Org {
            meta,
            suspended: false,
            segment: None,
        });
        self.note(
            "audit.organization.create",
            (&guid, "organization", name),
            None,
            Some(&guid),
            json!({}),
        );
        Ok(guid)
    }

    pub(crate) fn create_space(&mut self, org: &str, name: &str) -> Result<Guid, WorldError> {
        let org = self.org(org)?.meta.guid.clone();
        if self
            .spaces
            .iter()
            .any(|space| space.org == org && space.meta.name.eq_ignore_ascii_case(name))
        {
            return Err(WorldError::exists("space", name));
        }
        let meta = self.meta(name);
        let guid = meta.guid.clone();
        self.spaces.insert(Space {
            meta,
            org: org.clone(),
            segment: None,
        });
        self.note(
            "audit.space.create",
            (&guid, "space", name),
            Some(&guid),
            Some(&org),
            json!({}),
        );
        Ok(guid)
    }

    /// Finds an organization by guid or name.
    pub(crate) fn org(&self, text: &str) -> Result<&Org, WorldError> {
        self.orgs
            .get(text)
            .or_else(|| self.orgs.iter().find(|org| org.meta.name == text))
            .ok_or_else(|| WorldError::not_found("organization", text))
    }

    /// Finds a space by guid, `org/space`, or a name that only one has.
    pub(crate) fn space(&self, text: &str) -> Result<&Space, WorldError> {
        if let Some(space) = self.spaces.get(text) {
            return Ok(space);
        }
        let (org, name) = match text.split_once('/') {
            Some((org, name)) => (Some(self.org(org)?.meta.guid.as_str()), name),
            None => (None, text),
        };
        let mut found = self
            .spaces
            .iter()
            .filter(|space| space.meta.name == name && org.is_none_or(|org| space.org == org));
        match (found.next(), found.next()) {
            (Some(space), None) => Ok(space),
            (None, _) => Err(WorldError::not_found("space", text)),
            _ => Err(WorldError::Ambiguous {
                kind: "space",
                name: text.to_owned(),
            }),
        }
    }

    pub(crate) fn rename_org(&mut self, org: &str, name: &str) -> Result<(), WorldError> {
        let guid = self.org(org)?.meta.guid.clone();
        let now = self.clock.seconds();
        if let Some(org) = self.orgs.get_mut(&guid) {
            org.meta.name = name.to_owned();
            org.meta.updated = now;
        }
        self.note(
            "audit.organization.update",
            (&guid, "organization", name),
            None,
            Some(&guid),
            json!({}),
        );
        Ok(())
    }

    pub(crate) fn rename_space(&mut self, space: &str, name: &str) -> Result<(), WorldError> {
        let (guid, org) = {
            let space = self.space(space)?;
            (space.meta.guid.clone(), space.org.clone())
        };
        let now = self.clock.seconds();
        if let Some(space) = self.spaces.get_mut(&guid) {
            space.meta.name = name.to_owned();
            space.meta.updated = now;
        }
        self.note(
            "audit.space.update",
            (&guid, "space", name),
            Some(&guid),
            Some(&org),
            json!({}),
        );
        Ok(())
    }

    /// Deletes a space with its apps and its bindings. The change token of security groups does not move.
    pub(crate) fn delete_space(&mut self, space: &str) -> Result<(), WorldError> {
        let (guid, org, name) = {
            let space = self.space(space)?;
            (
                space.meta.guid.clone(),
                space.org.clone(),
                space.meta.name.clone(),
            )
        };
        self.note(
            "audit.space.delete-request",
            (&guid, "space", &name),
            Some(&guid),
            Some(&org),
            json!({}),
        );
        for app in self.apps_of(&guid) {
            self.delete_app(&app)?;
        }
        self.unbind_everywhere(&guid);
        self.spaces.remove(&guid);
        Ok(())
    }

    pub(crate) fn delete_org(&mut self, org: &str) -> Result<(), WorldError> {
        let (guid, name) = {
            let org = self.org(org)?;
            (org.meta.guid.clone(), org.meta.name.clone())
        };
        self.note(
            "audit.organization.delete-request",
            (&guid, "organization", &name),
            None,
            Some(&guid),
            json!({}),
        );
        let spaces: Vec<_> = self.spaces.iter().filter(|space| space.org == guid).collect();
        let spaces: Vec<_> = spaces.into_iter().map(|space| space.meta.guid.clone()).collect();
        for space in spaces {
            self.delete_space(&space)?;
        }
        self.orgs.remove(&guid);
        Ok(())
    }

    pub(crate) fn create_segment(&mut self, name: &str) -> Result<Guid, WorldError> {
        if self.segments.iter().any(|segment| segment.meta.name == name) {
            return Err(WorldError::exists("isolation segment", name));
        }
        let meta = self.meta(name);
        let guid = meta.guid.clone();
        self.segments.insert(Segment {
            meta,
            orgs: BTreeSet::new(),
        });
        Ok(guid)
    }

    /// Finds an isolation segment by guid or name.
    pub(crate) fn segment(&self, text: &str) -> Result<&Segment, WorldError> {
        self.segments
            .get(text)
            .or_else(|| self.segments.iter().find(|segment| segment.meta.name == text))
            .ok_or_else(|| WorldError::not_found("isolation segment", text))
    }

    /// Puts a space into a segment, entitling its organization.
    pub(crate) fn assign_segment(&mut self, space: &str, segment: Option<&str>) -> Result<(), WorldError> {
        let (guid, org) = {
            let space = self.space(space)?;
            (space.meta.guid.clone(), space.org.clone())
        };
        let segment = segment
            .map(|text| self.segment(text).map(|found| found.meta.guid.clone()))
            .transpose()?;
        if let Some(found) = segment.as_ref().and_then(|found| self.segments.get_mut(found)) {
            found.orgs.insert(org);
        }
        if let Some(space) = self.spaces.get_mut(&guid) {
            space.segment = segment;
        }
        Ok(())
    }

    /// The name of a space's effective segment: its own, else its organization's default.
    pub(crate) fn segment_name(&self, space: &Space) -> Option<&str> {
        let of_org = || self.orgs.get(&space.org).and_then(|org| org.segment.as_deref());
        let guid = space.segment.as_deref().or_else(of_org)?;
        self.segments.get(guid).map(|segment| segment.meta.name.as_str())
    }
}
