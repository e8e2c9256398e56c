//! The state of the controller at one moment, as people and machines outside see it.
//!
//! Times are seconds since 1970; how they are printed is for whoever prints them. Names of objects
//! appear, secrets never: nothing here is made from a configuration's secret or an answer's body.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What this controller is allowed to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It has not yet read everything once.
    #[default]
    Starting,
    /// Another one leads; this one keeps its index warm and writes nothing.
    Standby,
    /// It leads and writes.
    Leader,
    /// It was told to write nothing (`--observe-only`).
    Observer,
    /// It ends, finishing what it began.
    Draining,
}

impl Role {
    /// All of them, for metrics.
    pub const ALL: [Self; 5] = [
        Self::Starting,
        Self::Standby,
        Self::Leader,
        Self::Observer,
        Self::Draining,
    ];

    /// Its name in metrics and status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Standby => "standby",
            Self::Leader => "leader",
            Self::Observer => "observer",
            Self::Draining => "draining",
        }
    }
}

/// Who leads, as far as this controller knows (`get ncp-master status`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// Its id in the lock, which begins with its machine's name.
    pub id: String,
}

/// One far end: the managers, the BBS, Cloud Controller, the policy server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Short, fixed name: `nsx`, `bbs`, `capi`, `policy-server`.
    pub name: String,
    /// Whether it answers as it should.
    pub healthy: bool,
    /// Code of what is wrong.
    pub code: Option<String>,
    /// What is wrong and what follows from it, in plain words.
    pub detail: Option<String>,
}

/// One watch of a source (R-CLI-62).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Watcher {
    /// Short, fixed name.
    pub name: String,
    /// Whether its last attempt worked.
    pub up: bool,
    /// Since when `up` has been what it is.
    pub since: f64,
    /// When an attempt last worked.
    pub last_success: Option<f64>,
    /// When the last event or listing came.
    pub last_event: Option<f64>,
    /// Events or listings since the process started.
    pub events_total: u64,
    /// How often it had to begin anew.
    pub recycled: u64,
    /// Seconds between looks, for a source that is polled.
    pub interval: Option<f64>,
    /// Further figures of the source, such as records held.
    pub counts: BTreeMap<String, u64>,
}

/// One listing of a source, and what its absences may lead to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Source, kind and part.
    pub name: String,
    /// It has been listed whole.
    pub complete: bool,
    /// What is missing in it counts as gone; while not, nothing that needs it is removed.
    pub trusted: bool,
    /// Facts whose removal waits for a second equal listing or the operator's word.
    pub held: u64,
}

/// How many objects of one kind there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objects {
    /// Wanted.
    pub desired: u64,
    /// Of these, there, in part at least.
    pub present: u64,
    /// Not yet as wanted, waiting for something named in the plan.
    pub waiting: u64,
    /// Refused or failed; each is under `conditions`.
    pub failed: u64,
}

/// Requests to the backend since the process started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// By method.
    pub requests: BTreeMap<String, u64>,
    /// Those of them that change something.
    pub writes: u64,
}

/// Something an operator should know of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Whose object, by the orchestrator's name.
    pub object: String,
    /// The guide's code.
    pub code: String,
    /// What is wrong and what to do, in plain words.
    pub text: String,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Version of the program.
    pub version: String,
    /// When it was taken.
    pub taken: f64,
    /// What this controller may do.
    pub role: Role,
    /// This controller's id in the lock.
    pub id: String,
    /// Who leads.
    pub leader: Option<Leader>,
    /// Everything has been read at least once.
    pub ready: bool,
    /// Nothing is left to change.
    pub converged: bool,
    /// What the brakes hold back and what they wait for, in plain words.
    pub brake: Option<String>,
    /// Rows of objects that are not yet as wanted.
    pub unsettled: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// Containers whose record is gone and which may still run; their ports stay.
    pub departing: u64,
    /// The far ends.
    pub peers: Vec<Peer>,
    /// The watches.
    pub watchers: Vec<Watcher>,
    /// The sources' listings.
    pub scopes: Vec<Scope>,
    /// Counts by kind.
    pub objects: BTreeMap<String, Objects>,
    /// Requests to the backend.
    pub traffic: Traffic,
    /// What is wrong with single objects.
    pub conditions: Vec<Condition>,
}

/// The plan as of now. It is the total difference, made when asked for and not with each snapshot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanPage {
    /// Number of steps.
    pub changes: u64,
    /// For people.
    pub text: String,
    /// For machines.
    pub json: serde_json::Value,
}

/// What an operator's word let go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// Each in plain words; empty if nothing was held back.
    pub released: Vec<String>,
}
