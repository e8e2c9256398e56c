//! The same three kinds in the v2 form, for foundations that lack v3 or v3's security groups.
//!
//! v2 inlines a relation only up to 50 members; the bindings of a larger one are a listing of their own.

use serde::Deserialize;
use serde_json::Value;

use super::page::Page;
use super::resource::{Organization, SecurityGroup, Space};
use crate::grammar::parse_rules;

#[derive(Deserialize)]
struct Wire<T> {
    total_results: u64,
    next_url: Option<String>,
    resources: Vec<Row<T>>,
}

#[derive(Deserialize)]
struct Row<T> {
    metadata: Metadata,
    entity: T,
}

#[derive(Deserialize)]
struct Metadata {
    guid: String,
}

/// A kind that v2 lists.
pub(super) trait LegacyResource: Sized {
    /// First page, without paging parameters.
    const PATH: &'static str;
    type Entity: serde::de::DeserializeOwned;
    fn read(guid: String, entity: Self::Entity) -> (Self, Pending);
}

/// Listings still to be followed for a row: path of running and of staging bindings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pending {
    pub running: Option<String>,
    pub staging: Option<String>,
}

pub(super) fn page<T: LegacyResource>(body: &[u8]) -> Result<Page<(T, Pending)>, serde_json::Error> {
    let wire: Wire<T::Entity> = serde_json::from_slice(body)?;
    Ok(Page {
        total: wire.total_results,
        next: wire.next_url,
        items: wire
            .resources
            .into_iter()
            .map(|row| T::read(row.metadata.guid, row.entity))
            .collect(),
    })
}

/// The guids on a page: members of a relation, or rows at positions to check.
pub(super) fn guids(body: &[u8]) -> Result<Page<String>, serde_json::Error> {
    let wire: Wire<serde::de::IgnoredAny> = serde_json::from_slice(body)?;
    Ok(Page {
        total: wire.total_results,
        next: wire.next_url,
        items: wire.resources.into_iter().map(|row| row.metadata.guid).collect(),
    })
}

#[derive(Deserialize)]
pub(super) struct OrgEntity {
    name: String,
}

impl LegacyResource for Organization {
    const PATH: &'static str = "/v2/organizations";
    type Entity = OrgEntity;

    fn read(guid: String, entity: OrgEntity) -> (Self, Pending) {
        let org = Self {
            guid: guid.into(),
            name: entity.name,
        };
        (org, Pending::default())
    }
}

#[derive(Deserialize)]
pub(super) struct SpaceEntity {
    name: String,
    organization_guid: String,
}

impl LegacyResource for Space {
    const PATH: &'static str = "/v2/spaces";
    type Entity = SpaceEntity;

    fn read(guid: String, entity: SpaceEntity) -> (Self, Pending) {
        let space = Self {
            guid: guid.into(),
            name: entity.name,
            org: entity.organization_guid.into(),
        };
        (space, Pending::default())
    }
}

#[derive(Deserialize)]
pub(super) struct GroupEntity {
    name: String,
    #[serde(default)]
    rules: Value,
    #[serde(default)]
    running_default: bool,
    #[serde(default)]
    staging_default: bool,
    spaces: Option<Vec<Row<serde::de::IgnoredAny>>>,
    spaces_url: Option<String>,
    staging_spaces: Option<Vec<Row<serde::de::IgnoredAny>>>,
    staging_spaces_url: Option<String>,
}

impl LegacyResource for SecurityGroup {
    const PATH: &'static str = "/v2/security_groups";
    type Entity = GroupEntity;

    fn read(guid: String, entity: GroupEntity) -> (Self, Pending) {
        let members = |inlined: &Option<Vec<Row<_>>>| {
            let rows = inlined.iter().flatten();
            super::resource::sorted_spaces(
                rows.map(|row: &Row<serde::de::IgnoredAny>| row.metadata.guid.clone()),
            )
        };
        let pending = Pending {
            running: entity.spaces_url.filter(|_| entity.spaces.is_none()),
            staging: entity
                .staging_spaces_url
                .filter(|_| entity.staging_spaces.is_none()),
        };
        let group = Self {
            guid: guid.into(),
            name: entity.name,
            rules: parse_rules(&entity.rules),
            running_default: entity.running_default,
            staging_default: entity.staging_default,
            running_spaces: members(&entity.spaces),
            staging_spaces: members(&entity.staging_spaces),
        };
        (group, pending)
    }
}
