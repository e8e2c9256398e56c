//! What Cloud Controller stores.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::table::{Guid, Row};

/// What organizations, spaces, apps and groups have in common.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meta {
    pub guid: Guid,
    pub name: String,
    /// Seconds since the epoch.
    pub created: i64,
    pub updated: i64,
    pub labels: BTreeMap<String, Option<String>>,
    pub annotations: BTreeMap<String, Option<String>>,
}

/// An organization.
#[derive(Clone, Debug)]
pub(crate) struct Org {
    pub meta: Meta,
    pub suspended: bool,
    pub segment: Option<Guid>,
}

/// A space.
#[derive(Clone, Debug)]
pub(crate) struct Space {
    pub meta: Meta,
    pub org: Guid,
    pub segment: Option<Guid>,
}

/// How an app becomes a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Lifecycle {
    /// Built from source by buildpacks.
    #[default]
    Buildpack,
    /// A container image.
    Docker,
    /// Built by cloud native buildpacks.
    Cnb,
}

impl Lifecycle {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Buildpack => "buildpack",
            Self::Docker => "docker",
            Self::Cnb => "cnb",
        }
    }
}

/// An app.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub meta: Meta,
    pub space: Guid,
    pub started: bool,
    pub lifecycle: Lifecycle,
    pub env: BTreeMap<String, String>,
    pub processes: Vec<Guid>,
    pub ssh: bool,
    pub task_count: i32,
}

/// A process of an app: one desired LRP while the app is started.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub guid: Guid,
    pub app: Guid,
    pub kind: String,
    pub instances: i32,
    pub memory_mb: i32,
    pub disk_mb: i32,
    pub ports: Vec<u32>,
    pub sidecars: Vec<String>,
    pub version: Guid,
    pub created: i64,
    pub updated: i64,
}

impl Process {
    /// The key of the desired LRP of the present version.
    pub(crate) fn process_guid(&self) -> String {
        format!("{}-{}", self.guid, self.version)
    }
}

/// A task of an app as Cloud Controller keeps it.
#[derive(Clone, Debug)]
pub(crate) struct TaskRow {
    pub guid: Guid,
    pub app: Guid,
    pub name: String,
    pub command: String,
    pub sequence: i32,
    pub state: &'static str,
    pub created: i64,
    pub updated: i64,
}

/// An isolation segment.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub meta: Meta,
    pub orgs: BTreeSet<Guid>,
}

/// A security group. Rules are kept as they were given.
#[derive(Clone, Debug)]
pub(crate) struct SecurityGroup {
    pub meta: Meta,
    pub rules: Vec<Value>,
    pub running_default: bool,
    pub staging_default: bool,
    pub running_spaces: BTreeSet<Guid>,
    pub staging_spaces: BTreeSet<Guid>,
}

impl SecurityGroup {
    pub(crate) fn is_default(&self, lifecycle: Phase) -> bool {
        match lifecycle {
            Phase::Running => self.running_default,
            Phase::Staging => self.staging_default,
        }
    }

    pub(crate) fn spaces(&self, lifecycle: Phase) -> &BTreeSet<Guid> {
        match lifecycle {
            Phase::Running => &self.running_spaces,
            Phase::Staging => &self.staging_spaces,
        }
    }

    pub(crate) fn spaces_mut(&mut self, lifecycle: Phase) -> &mut BTreeSet<Guid> {
        match lifecycle {
            Phase::Running => &mut self.running_spaces,
            Phase::Staging => &mut self.staging_spaces,
        }
    }
}

/// Which containers a security group or a variable group is for: staging ones, or apps and tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Instances and tasks.
    #[default]
    Running,
    /// Staging containers.
    Staging,
}

/// An asynchronous operation.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub guid: Guid,
    pub operation: String,
    pub at: i64,
}

/// An audit event.
#[derive(Clone, Debug)]
pub(crate) struct AuditEvent {
    pub guid: Guid,
    pub at: i64,
    pub kind: &'static str,
    pub actor: String,
    pub target: (Guid, &'static str, String),
    pub space: Option<Guid>,
    pub org: Option<Guid>,
    pub data: Value,
}

macro_rules! rows {
    ($($kind:ty: $($field:ident).+;)*) => {
        $(impl Row for $kind {
            fn guid(&self) -> &str {
                &self.$($field).+
            }
        })*
    };
}

rows! {
    Org: meta.guid;
    Space: meta.guid;
    App: meta.guid;
    Process: guid;
    TaskRow: guid;
    Segment: meta.guid;
    SecurityGroup: meta.guid;
    Job: guid;
}
