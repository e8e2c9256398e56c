//! The three kinds in Cloud Controller's v3 form, and what of them matters here.

use serde::Deserialize;
use serde_json::Value;

use super::page::Page;
use crate::grammar::{RuleSet, parse_rules};
use crate::ids::{OrgGuid, SecurityGroupGuid, SpaceGuid};

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// Its guid.
    pub guid: OrgGuid,
    /// Its present name.
    pub name: String,
}

/// A space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// Its guid.
    pub guid: SpaceGuid,
    /// Its present name.
    pub name: String,
    /// The organization it is in.
    pub org: OrgGuid,
}

/// A security group with its rules and bindings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityGroup {
    /// Its guid.
    pub guid: SecurityGroupGuid,
    /// Its present name.
    pub name: String,
    /// Rules as read, refused ones with the reason.
    pub rules: RuleSet,
    /// Whether it applies to running containers of all spaces.
    pub running_default: bool,
    /// Whether it applies to staging containers of all spaces.
    pub staging_default: bool,
    /// Spaces to whose running containers it is bound; sorted.
    pub running_spaces: Vec<SpaceGuid>,
    /// Spaces to whose staging containers it is bound; sorted.
    pub staging_spaces: Vec<SpaceGuid>,
}

/// A kind that v3 lists.
pub(super) trait Resource: Sized + Send {
    /// Collection below `/v3`, also the word in messages.
    const COLLECTION: &'static str;
    type Wire: serde::de::DeserializeOwned;
    fn read(wire: Self::Wire) -> (Self, String);
    fn guid(&self) -> &str;
}

#[derive(Deserialize)]
struct Wire<T> {
    pagination: Pagination,
    resources: Vec<T>,
}

#[derive(Deserialize)]
struct Pagination {
    total_results: u64,
    next: Option<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
}

/// A page with each row's `updated_at`, the server's own clock for the next conditional poll.
pub(super) fn page<T: Resource>(body: &[u8]) -> Result<Page<(T, String)>, serde_json::Error> {
    let wire: Wire<T::Wire> = serde_json::from_slice(body)?;
    Ok(Page {
        total: wire.pagination.total_results,
        next: wire.pagination.next.map(|link| path_and_query(&link.href)),
        items: wire.resources.into_iter().map(T::read).collect(),
    })
}

/// The guids on a page, for checking positions.
pub(super) fn guids(body: &[u8]) -> Result<Page<String>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Row {
        guid: String,
    }
    let wire: Wire<Row> = serde_json::from_slice(body)?;
    Ok(Page {
        total: wire.pagination.total_results,
        next: None,
        items: wire.resources.into_iter().map(|row| row.guid).collect(),
    })
}

/// Links name the foundation's public host, whatever host was asked; only the rest is followed.
fn path_and_query(href: &str) -> String {
    match url::Url::parse(href) {
        Ok(url) => match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        },
        Err(_) => href.to_owned(),
    }
}

#[derive(Deserialize)]
pub(super) struct OrgWire {
    guid: String,
    name: String,
    updated_at: Option<String>,
}

impl Resource for Organization {
    const COLLECTION: &'static str = "organizations";
    type Wire = OrgWire;

    fn read(wire: OrgWire) -> (Self, String) {
        let org = Self {
            guid: wire.guid.into(),
            name: wire.name,
        };
        (org, wire.updated_at.unwrap_or_default())
    }

    fn guid(&self) -> &str {
        self.guid.as_str()
    }
}

#[derive(Deserialize)]
struct Guid {
    guid: String,
}

#[derive(Deserialize)]
struct ToOne {
    data: Guid,
}

#[derive(Default, Deserialize)]
struct ToMany {
    #[serde(default)]
    data: Vec<Guid>,
}

#[derive(Deserialize)]
struct SpaceRelationships {
    organization: ToOne,
}

#[derive(Deserialize)]
pub(super) struct SpaceWire {
    guid: String,
    name: String,
    updated_at: Option<String>,
    relationships: SpaceRelationships,
}

impl Resource for Space {
    const COLLECTION: &'static str = "spaces";
    type Wire = SpaceWire;

    fn read(wire: SpaceWire) -> (Self, String) {
        let space = Self {
            guid: wire.guid.into(),
            name: wire.name,
            org: wire.relationships.organization.data.guid.into(),
        };
        (space, wire.updated_at.unwrap_or_default())
    }

    fn guid(&self) -> &str {
        self.guid.as_str()
    }
}

#[derive(Deserialize)]
struct Globally {
    running: bool,
    staging: bool,
}

#[derive(Deserialize)]
struct GroupRelationships {
    running_spaces: ToMany,
    staging_spaces: ToMany,
}

#[derive(Deserialize)]
pub(super) struct GroupWire {
    guid: String,
    name: String,
    updated_at: Option<String>,
    rules: Value,
    globally_enabled: Globally,
    relationships: GroupRelationships,
}

impl Resource for SecurityGroup {
    const COLLECTION: &'static str = "security_groups";
    type Wire = GroupWire;

    fn read(wire: GroupWire) -> (Self, String) {
        let group = Self {
            guid: wire.guid.into(),
            name: wire.name,
            rules: parse_rules(&wire.rules),
            running_default: wire.globally_enabled.running,
            staging_default: wire.globally_enabled.staging,
            running_spaces: sorted(wire.relationships.running_spaces),
            staging_spaces: sorted(wire.relationships.staging_spaces),
        };
        (group, wire.updated_at.unwrap_or_default())
    }

    fn guid(&self) -> &str {
        self.guid.as_str()
    }
}

fn sorted(many: ToMany) -> Vec<SpaceGuid> {
    sorted_spaces(many.data.into_iter().map(|space| space.guid))
}

pub(super) fn sorted_spaces(guids: impl Iterator<Item = String>) -> Vec<SpaceGuid> {
    let mut spaces: Vec<SpaceGuid> = guids.map(SpaceGuid::from).collect();
    spaces.sort_unstable();
    spaces.dedup();
    spaces
}
