//! What this crate keeps of Diego's records.
//!
//! Full records hold service credentials, registry passwords and private keys. They are reduced to these
//! types right after decoding, before anything is stored, compared or logged; of the environment a single
//! variable survives.

use std::sync::Arc;

use crate::ids::{AppGuid, CellId, Handle, OrgGuid, ProcessGuid, SpaceGuid};

/// Version of a database row: drawn at creation, and counted at each change.
///
/// Within an epoch the index orders; between epochs nothing does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tag {
    /// Identity of the row.
    pub epoch: Arc<str>,
    /// Its changes so far.
    pub index: u32,
}

/// In which of its three roles a row holds its index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Presence {
    /// The regular holder.
    #[default]
    Ordinary,
    /// The cell's presence lapsed; the container may well be alive.
    Suspect,
    /// Still running on a cell that is being drained.
    Evacuating,
}

/// What a container is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An instance of an app's process.
    App,
    /// A task of an app.
    Task,
    /// Staging of an app.
    Staging,
}

/// The pool a container's outside address is to come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum SnatPool {
    /// The environment names none: the organization's.
    #[default]
    Unset,
    /// What `NCP_SNAT_POOL` says: a name or an id.
    Named(Arc<str>),
    /// The record that would say is gone while its container still runs: whatever stands, stays.
    Unknown,
}

/// Names at the time of the record. Cloud Controller's own listings know renames sooner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Names {
    /// Of the app.
    pub app: Option<Arc<str>>,
    /// Of the space.
    pub space: Option<Arc<str>>,
    /// Of the organization.
    pub org: Option<Arc<str>>,
}

/// What a container inherits from its desired LRP or task, fixed for the container's life.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Facts {
    /// The app; absent only on records that name none.
    pub app: Option<AppGuid>,
    /// The app whose container-to-container policies apply; `None`: no policies.
    pub policy_group: Option<AppGuid>,
    /// The space.
    pub space: SpaceGuid,
    /// The organization.
    pub org: OrgGuid,
    /// Names, where the record has them.
    pub names: Names,
    /// Choice of the outside address.
    pub snat: SnatPool,
    /// Container ports, sorted.
    pub ports: Vec<u16>,
    /// Guid that log lines about the container carry.
    pub log_guid: Arc<str>,
}

/// A desired LRP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// Its key.
    pub process: ProcessGuid,
    /// Version of the row.
    pub tag: Tag,
    /// What instances inherit; `None` for a record that names no space and organization.
    pub facts: Option<Arc<Facts>>,
}

/// A desired LRP's key and version, from the light listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its key.
    pub process: ProcessGuid,
    /// Version of the row.
    pub tag: Tag,
}

/// A row of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actual {
    /// The desired LRP.
    pub process: ProcessGuid,
    /// Which of its instances.
    pub index: i32,
    /// Version of the row.
    pub tag: Tag,
    /// Role of the row.
    pub presence: Presence,
    /// The container and its cell, if the row has one.
    pub container: Option<(Handle, CellId)>,
    /// Whether the container passed its health check.
    pub running: bool,
    /// Unix nanoseconds of the last state change.
    pub since: i64,
    /// Placement as the row's own metric tags give it; not in change events.
    pub fallback: Option<Arc<Facts>>,
}

/// A task, staging included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRow {
    /// Its key, which is the container's handle.
    pub handle: Handle,
    /// Task or staging.
    pub kind: Kind,
    /// How far it is.
    pub stage: Stage,
    /// The cell it runs on.
    pub cell: CellId,
    /// Unix nanoseconds of the last update.
    pub updated: i64,
    /// What the container inherits.
    pub facts: Option<Arc<Facts>>,
}

/// One-way progress of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// No container yet.
    Waiting,
    /// The container exists.
    Running,
    /// The container is done.
    Over,
}

/// A cell that is present.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// Its name.
    pub id: CellId,
    /// `host:port` or URL of its agent (the rep), as the cell announces it.
    pub rep_address: String,
    /// Availability zone.
    pub zone: String,
}

/// A container as the network sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its identity on the cell.
    pub handle: Handle,
    /// What it is for.
    pub kind: Kind,
    /// Where it is.
    pub cell: CellId,
    /// The desired LRP and the instance's number; absent for tasks.
    pub process: Option<(ProcessGuid, i32)>,
    /// Role of the row it comes from.
    pub presence: Presence,
    /// Whether it is more than claimed.
    pub running: bool,
    /// Unix nanoseconds of the last state change.
    pub since: i64,
    /// What it inherits. `None`: it exists, but nobody can say whose it is; nothing of it may be retired
    /// and nothing can be made for it.
    pub facts: Option<Arc<Facts>>,
}

/// One change a stream reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A desired LRP is new or changed.
    Desired(Desired),
    /// A desired LRP is gone.
    DesiredGone(Info),
    /// An instance's row is new, or changed and was in the given role before.
    Actual(Box<Actual>, Option<Presence>),
    /// An instance's row is gone.
    ActualGone(Box<Actual>),
    /// A task is new or changed.
    Task(TaskRow),
    /// A task is gone.
    TaskGone(Handle),
}
