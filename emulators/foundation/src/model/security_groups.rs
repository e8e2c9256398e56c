//! Security groups: bindings, global sets, and the change token, which only v3 writes move.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::World;
use super::error::WorldError;
use super::objects::{Phase, SecurityGroup};
use super::table::Guid;

/// Which API makes a change: only v3 moves the change token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    V2,
    V3,
}

/// Bindings by space, and the change token; kept beside the groups so that a world with thousands of
/// groups stays quick.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    by_space: HashMap<(Guid, Phase), BTreeSet<u64>>,
    defaults: HashMap<Phase, BTreeSet<u64>>,
    /// Nanoseconds; 0 is the epoch, before the first change.
    pub token: i64,
    /// What the policy server has copied, and at which token.
    pub copied: (i64, Vec<(u64, SecurityGroup)>),
}

impl World {
    pub(crate) fn bump_security_groups(&mut self, via: Via) {
        if via == Via::V3 {
            self.bindings.token = self.clock.nanos();
        }
    }

    pub(crate) fn create_security_group(
        &mut self,
        name: &str,
        rules: Vec<Value>,
        via: Via,
    ) -> Result<Guid, WorldError> {
        if self.security_groups.iter().any(|group| group.meta.name == name) {
            return Err(WorldError::exists("security group", name));
        }
        let meta = self.meta(name);
        let guid = meta.guid.clone();
        self.security_groups.insert(SecurityGroup {
            meta,
            rules,
            running_default: false,
            staging_default: false,
            running_spaces: BTreeSet::new(),
            staging_spaces: BTreeSet::new(),
        });
        self.bump_security_groups(via);
        Ok(guid)
    }

    /// Finds a group by guid or name.
    pub(crate) fn security_group(&self, text: &str) -> Result<&SecurityGroup, WorldError> {
        self.security_groups
            .get(text)
            .or_else(|| self.security_groups.iter().find(|group| group.meta.name == text))
            .ok_or_else(|| WorldError::not_found("security group", text))
    }

    fn security_group_mut(&mut self, text: &str) -> Result<(u64, &mut SecurityGroup), WorldError> {
        let guid = self.security_group(text)?.meta.guid.clone();
        let row = self.security_groups.row_id(&guid);
        let group = self.security_groups.get_mut(&guid);
        row.zip(group)
            .ok_or_else(|| WorldError::not_found("security group", text))
    }

    pub(crate) fn update_security_group(
        &mut self,
        group: &str,
        name: Option<&str>,
        rules: Option<Vec<Value>>,
        via: Via,
    ) -> Result<(), WorldError> {
        let now = self.clock.seconds();
        let (_, group) = self.security_group_mut(group)?;
        if let Some(name) = name {
            group.meta.name = name.to_owned();
        }
        if let Some(rules) = rules {
            group.rules = rules;
        }
        group.meta.updated = now;
        self.bump_security_groups(via);
        Ok(())
    }

    pub(crate) fn set_global(
        &mut self,
        group: &str,
        phase: Phase,
        enabled: bool,
        via: Via,
    ) -> Result<(), WorldError> {
        let now = self.clock.seconds();
        let (row, group) = self.security_group_mut(group)?;
        group.meta.updated = now;
        match phase {
            Phase::Running => group.running_default = enabled,
            Phase::Staging => group.staging_default = enabled,
        }
        let defaults = self.bindings.defaults.entry(phase).or_default();
        if enabled {
            defaults.insert(row);
        } else {
            defaults.remove(&row);
        }
        self.bump_security_groups(via);
        Ok(())
    }

    /// Binds; the group's own time stamp does not move.
    pub(crate) fn bind(
        &mut self,
        group: &str,
        space: &str,
        phase: Phase,
        via: Via,
    ) -> Result<(), WorldError> {
        let space = self.space(space)?.meta.guid.clone();
        let (row, group) = self.security_group_mut(group)?;
        group.spaces_mut(phase).insert(space.clone());
        self.bindings
            .by_space
            .entry((space, phase))
            .or_default()
            .insert(row);
        self.bump_security_groups(via);
        Ok(())
    }

    pub(crate) fn unbind(
        &mut self,
        group: &str,
        space: &str,
        phase: Phase,
        via: Via,
    ) -> Result<(), WorldError> {
        let space = self.space(space)?.meta.guid.clone();
        let (row, group) = self.security_group_mut(group)?;
        group.spaces_mut(phase).remove(&space);
        if let Some(rows) = self.bindings.by_space.get_mut(&(space, phase)) {
            rows.remove(&row);
        }
        self.bump_security_groups(via);
        Ok(())
    }

    /// Drops the bindings of a space that goes away, without moving the token.
    pub(crate) fn unbind_everywhere(&mut self, space: &str) {
        for phase in [Phase::Running, Phase::Staging] {
            for row in self
                .bindings
                .by_space
                .remove(&(space.to_owned(), phase))
                .unwrap_or_default()
            {
                let guid = self
                    .security_groups
                    .by_row_id(row)
                    .map(|group| group.meta.guid.clone());
                if let Some(group) = guid.and_then(|guid| self.security_groups.get_mut(&guid)) {
                    group.spaces_mut(phase).remove(space);
                }
            }
        }
    }

    pub(crate) fn delete_security_group(&mut self, group: &str, via: Via) -> Result<(), WorldError> {
        let (row, group) = self.security_group_mut(group)?;
        let guid = group.meta.guid.clone();
        self.security_groups.remove(&guid);
        self.bindings
            .by_space
            .values_mut()
            .for_each(|rows| _ = rows.remove(&row));
        self.bindings
            .defaults
            .values_mut()
            .for_each(|rows| _ = rows.remove(&row));
        self.bump_security_groups(via);
        Ok(())
    }

    /// The groups in force for a space: global ones and bound ones, each once, oldest first.
    pub(crate) fn effective(&self, space: &str, phase: Phase) -> Vec<&SecurityGroup> {
        let bound = self
            .bindings
            .by_space
            .get(&(space.to_owned(), phase))
            .into_iter()
            .flatten();
        let rows: BTreeSet<u64> = self
            .bindings
            .defaults
            .get(&phase)
            .into_iter()
            .flatten()
            .chain(bound)
            .copied()
            .collect();
        rows.into_iter()
            .filter_map(|row| self.security_groups.by_row_id(row))
            .collect()
    }

    /// What the policy server knows: its syncer copies when the change token has moved.
    pub(crate) fn copied_security_groups(&mut self) -> &[(u64, SecurityGroup)] {
        if self.bindings.copied.0 != self.bindings.token {
            let rows = self
                .security_groups
                .numbered()
                .map(|(row, group)| (row, group.clone()))
                .collect();
            self.bindings.copied = (self.bindings.token, rows);
        }
        &self.bindings.copied.1
    }
}
