//! The world of one foundation, without sockets: what Cloud Controller, Diego, the policy server, UAA
//! and Locket know, and the steps that change it.
//!
//! Everything is synchronous behind one lock, so a world of thousands of instances is built in a moment
//! and each step leaves all services consistent with each other.

pub(crate) mod apply;
pub(crate) mod apps;
pub(crate) mod audit;
pub(crate) mod cells;
pub(crate) mod clock;
pub(crate) mod diego;
pub(crate) mod error;
pub(crate) mod evacuation;
pub(crate) mod hub;
pub(crate) mod instances;
pub(crate) mod locks;
pub(crate) mod objects;
pub(crate) mod organizations;
pub(crate) mod policies;
pub(crate) mod recipe;
pub(crate) mod rules;
pub(crate) mod security_groups;
pub(crate) mod table;
pub(crate) mod tasks;
pub(crate) mod tokens;
pub(crate) mod truth;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::faults::{Faults, LocketFaults, PolicyFaults};
use crate::options::{Age, Delays, Options};
use crate::requests::RequestLog;
use clock::Clock;
use diego::{Diego, Step};
use locks::Locks;
use objects::{App, AuditEvent, Job, Org, Process, SecurityGroup, Segment, Space, TaskRow};
use policies::Policies;
use security_groups::Bindings;
use table::{Guid, Ids, Table};
use tokens::Tokens;

/// Environment variable groups of the platform.
#[derive(Debug, Default)]
pub(crate) struct EnvGroups {
    pub running: BTreeMap<String, String>,
    pub staging: BTreeMap<String, String>,
}

/// Everything one foundation knows.
#[derive(Debug)]
pub(crate) struct World {
    pub age: Age,
    pub v2: bool,
    pub delays: Delays,
    pub clock: Clock,
    pub ids: Ids,
    pub orgs: Table<Org>,
    pub spaces: Table<Space>,
    pub apps: Table<App>,
    /// Apps by space and name.
    pub app_names: HashMap<(Guid, String), Guid>,
    pub processes: Table<Process>,
    pub tasks: Table<TaskRow>,
    pub segments: Table<Segment>,
    pub security_groups: Table<SecurityGroup>,
    pub bindings: Bindings,
    pub env_groups: EnvGroups,
    pub jobs: Table<Job>,
    pub audit: VecDeque<AuditEvent>,
    pub policies: Policies,
    pub diego: Diego,
    pub locks: Locks,
    pub tokens: Tokens,
    pub faults: Faults,
    pub policy_faults: PolicyFaults,
    pub locket_faults: LocketFaults,
    pub requests: RequestLog,
    timers: mpsc::UnboundedSender<(Duration, Step)>,
}

impl World {
    pub(crate) fn new(options: &Options, timers: mpsc::UnboundedSender<(Duration, Step)>) -> Self {
        let clock = Clock::new();
        let mut world = Self {
            age: options.age,
            v2: options.serves_v2(),
            delays: options.delays,
            ids: Ids::new(options.seed),
            orgs: Table::default(),
            spaces: Table::default(),
            apps: Table::default(),
            app_names: HashMap::new(),
            processes: Table::default(),
            tasks: Table::default(),
            segments: Table::default(),
            security_groups: Table::default(),
            bindings: Bindings::default(),
            env_groups: EnvGroups::default(),
            jobs: Table::default(),
            audit: VecDeque::new(),
            policies: Policies::new(&clock),
            diego: Diego::default(),
            locks: Locks::default(),
            tokens: Tokens::new(options.token_lifetime),
            faults: Faults::default(),
            policy_faults: PolicyFaults::default(),
            locket_faults: LocketFaults::default(),
            requests: RequestLog::default(),
            clock,
            timers,
        };
        for cell in &options.cells {
            world.add_cell(cell);
        }
        world
    }

    pub(crate) fn guid(&mut self) -> Guid {
        self.ids.draw()
    }

    /// Does a step now, or after a delay.
    pub(crate) fn later(&mut self, delay: Duration, step: Step) {
        if delay.is_zero() {
            self.step(step);
        } else {
            // The receiver goes away only with the whole foundation.
            let _ = self.timers.send((delay, step));
        }
    }
}
