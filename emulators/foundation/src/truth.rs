//! What a controller should find out: the ground truth that oracles compare with.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::model::policies::Policy;

/// What runs in a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An instance of a process.
    App,
    /// A task.
    Task,
    /// Staging.
    Staging,
}

/// A container that exists, or may: it has a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContainerTruth {
    /// Its handle: instance guid or task guid.
    pub container: String,
    /// What runs in it.
    pub kind: Kind,
    /// Desired LRP, for instances.
    pub process_guid: Option<String>,
    /// Index, for instances.
    pub index: Option<i32>,
    /// `CLAIMED` or `RUNNING`; for tasks `RUNNING`.
    pub state: String,
    /// `ORDINARY`, `EVACUATING` or `SUSPECT`.
    pub presence: String,
    /// Its cell.
    pub cell: String,
    /// Its address as the BBS shows it; tasks show none.
    pub address: Option<String>,
    /// App guid; empty when the desired record is gone already.
    pub app: String,
    /// Space guid.
    pub space: String,
    /// Organization guid.
    pub org: String,
    /// `NCP_SNAT_POOL` as the container was started with.
    pub snat_pool: Option<String>,
    /// Open ports.
    pub ports: Vec<u32>,
}

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrgTruth {
    /// Its guid.
    pub guid: String,
    /// Its name.
    pub name: String,
}

/// A space with the security groups in force, by guid, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceTruth {
    /// Its guid.
    pub guid: String,
    /// Its name.
    pub name: String,
    /// Its organization.
    pub org: String,
    /// For instances and tasks.
    pub running_security_groups: Vec<String>,
    /// For staging containers.
    pub staging_security_groups: Vec<String>,
}

/// An app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppTruth {
    /// Its guid.
    pub guid: String,
    /// Its name.
    pub name: String,
    /// Its space.
    pub space: String,
    /// Whether it is started.
    pub started: bool,
    /// Its environment as set now.
    pub env: BTreeMap<String, String>,
    /// Keys of its desired LRPs at the present versions.
    pub process_guids: Vec<String>,
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupTruth {
    /// Its guid.
    pub guid: String,
    /// Its name.
    pub name: String,
    /// Its rules as stored.
    pub rules: Vec<Value>,
    /// In force everywhere for instances and tasks.
    pub running_default: bool,
    /// In force everywhere for staging.
    pub staging_default: bool,
    /// Bound spaces, for instances and tasks.
    pub running_spaces: Vec<String>,
    /// Bound spaces, for staging.
    pub staging_spaces: Vec<String>,
}

/// A cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellTruth {
    /// Its id.
    pub id: String,
    /// Its address.
    pub address: String,
    /// `present`, `draining` or `lost`.
    pub state: String,
    /// Containers placed on it.
    pub containers: usize,
}

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Organizations, oldest first.
    pub orgs: Vec<OrgTruth>,
    /// Spaces, oldest first.
    pub spaces: Vec<SpaceTruth>,
    /// Apps, oldest first.
    pub apps: Vec<AppTruth>,
    /// Containers.
    pub containers: Vec<ContainerTruth>,
    /// Security groups, oldest first.
    pub security_groups: Vec<GroupTruth>,
    /// Container-to-container policies.
    pub policies: Vec<Policy>,
    /// Cells.
    pub cells: Vec<CellTruth>,
    /// Domains of the BBS that are complete.
    pub fresh_domains: Vec<String>,
    /// Number of desired LRPs.
    pub desired: usize,
}

impl Truth {
    /// Containers whose health check passed, evacuating and suspect ones included.
    pub fn running(&self) -> impl Iterator<Item = &ContainerTruth> {
        self.containers
            .iter()
            .filter(|container| container.state == "RUNNING")
    }
}
