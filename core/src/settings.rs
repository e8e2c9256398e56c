//! What the operator decides about the network as a whole.

use std::time::Duration;

use crate::event::Scope;
use crate::intent::Action;
use crate::net::CidrSet;

/// Settings of an [`crate::engine::Engine`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// Prefix length of container subnets, 8 to 29 (R-IPAM-05).
    pub subnet_prefix: u8,
    /// VLANs a machine uses itself, never given to a container.
    pub reserved_vlans: Vec<u16>,
    /// The verdict of default denies.
    pub deny: Action,
    /// Log what default denies refuse (R-FW-06).
    pub log_dropped: bool,
    /// Translate projects' addresses.
    pub translate: bool,
    /// Where the platform dials containers from.
    pub platform_sources: CidrSet,
    /// A workload whose own egress is refused uses its project's instead of being held back.
    pub egress_fallback: bool,
    /// How many addresses of their own apps may hold.
    pub egress_caps: EgressCaps,
    /// The scopes the adapter will list; until each has been, nothing that needs it is retired.
    pub scopes: Vec<Scope>,
    /// How long a freed address rests (routers outside prune stale routes late).
    pub address_hold: Duration,
    /// How long a freed VLAN rests.
    pub vlan_hold: Duration,
    /// How long an empty further subnet is kept.
    pub subnet_hold: Duration,
    /// How long an app's translated address is kept after its last workload.
    pub egress_hold: Duration,
    /// When a container whose record is gone counts as gone.
    pub departure: Departure,
    /// How long after the last firewall addition its realization is taken for granted.
    pub settle: Duration,
    /// How long at most a firewall removal waits for additions.
    pub removal_wait: Duration,
    /// How long between two looks at one list of the far end in search of drift.
    pub drift_interval: Duration,
    /// When to stop and ask.
    pub brakes: Brakes,
    /// Spreads choices and back-off; the same seed gives the same plans.
    pub seed: u64,
}

/// How many addresses of their own apps may hold; the pool's own room bounds what these don't.
#[derive(Clone, Copy, Debug, Default)]
pub struct EgressCaps {
    /// From one pool.
    pub per_pool: Option<usize>,
    /// In one project.
    pub per_project: Option<usize>,
}

/// When a container whose record is gone counts as gone, if its node doesn't say so.
#[derive(Clone, Copy, Debug)]
pub struct Departure {
    /// After this many complete listings without it (0: at once).
    pub listings: u8,
    /// Each at least this long after the one before.
    pub apart: Duration,
}

/// Thresholds above which a change is taken for a mistake of the source until confirmed.
#[derive(Clone, Copy, Debug)]
pub struct Brakes {
    /// A listing that drops more than this many facts of a scope …
    pub sweep_floor: usize,
    /// … and more than this share of it, in percent, waits for a second equal one.
    pub sweep_percent: usize,
    /// More ports than this retired in one plan …
    pub port_floor: usize,
    /// … and more than this share, in percent, or any router: a second complete listing confirms.
    pub port_percent: usize,
    /// Above this share, in percent, only the operator confirms.
    pub operator_percent: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            subnet_prefix: 24,
            reserved_vlans: vec![4094],
            deny: Action::Drop,
            log_dropped: false,
            translate: true,
            platform_sources: CidrSet::new(),
            egress_fallback: false,
            egress_caps: EgressCaps::default(),
            scopes: Vec::new(),
            address_hold: Duration::from_secs(180),
            vlan_hold: Duration::from_secs(15 * 60),
            subnet_hold: Duration::from_secs(10 * 60),
            egress_hold: Duration::from_secs(10 * 60),
            departure: Departure {
                listings: 2,
                apart: Duration::from_secs(60),
            },
            settle: Duration::from_secs(2),
            removal_wait: Duration::from_secs(10),
            drift_interval: Duration::from_secs(600),
            brakes: Brakes {
                sweep_floor: 20,
                sweep_percent: 10,
                port_floor: 50,
                port_percent: 2,
                operator_percent: 20,
            },
            seed: 0,
        }
    }
}
