//! From a configuration to running parts: which adapter, which backend, with which settings.
//!
//! The only place that names both a platform and a network engine.

mod controller;
pub(crate) mod network;
mod once;
pub(crate) mod platform;
mod settings;
mod status;

pub use controller::{Controller, ControllerError, Mode, Preparation, Running};
pub use network::{Network, NetworkError};
pub use once::{PlanError, plan};
pub use status::waiting;

use std::time::Duration;

use ncp_core::time::Time;

use crate::driver::Clock;

/// Timings that a sandbox or a test shortens; operators have the defaults.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Between complete listings of the BBS.
    pub resync: Duration,
    /// Between looks at Cloud Controller; the configuration's if absent.
    pub capi: Option<Duration>,
    /// Between looks at the policy server; the configuration's if absent.
    pub policies: Option<Duration>,
    /// Apart from each other, the listings that let a departed container's port go.
    pub departure: Duration,
    /// How long after the last firewall addition its realization is taken for granted.
    pub settle: Duration,
    /// Between complete listings of Cloud Controller, which show what was deleted.
    pub capi_full: Duration,
    /// Between looks at one list of the managers in search of drift.
    pub drift: Duration,
    /// How long an app's translated address is kept after its last container.
    pub egress_hold: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            resync: Duration::from_secs(60),
            capi: None,
            policies: None,
            departure: Duration::from_secs(60),
            settle: Duration::from_secs(2),
            capi_full: Duration::from_secs(600),
            drift: Duration::from_secs(600),
            egress_hold: Duration::from_secs(600),
        }
    }
}

/// The driver's clock as the leader lock reads it.
#[derive(Clone, Copy, Debug)]
struct LockClock(Clock);

impl ncp_pcf::locket::Clock for LockClock {
    fn now(&self) -> Duration {
        Duration::from_millis(self.0.now().0)
    }

    fn wall_millis(&self) -> u64 {
        let wall = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The driver's clock as a backend reads it.
fn backend_clock(clock: Clock) -> impl Fn() -> Time + Send + Sync + 'static {
    move || clock.now()
}
