//! The engine's settings.

use ncp_core::intent::Action;
use ncp_core::net::Cidr;
use ncp_core::settings::{Departure, EgressCaps, Settings};

use super::Pace;
use crate::config::{Config, DenyAction};

pub(super) fn settings(config: &Config, pace: &Pace) -> Settings {
    let sources = config.cf.platform_sources.iter();
    Settings {
        // The configuration checks what the engine can do with; beyond that it says so itself.
        subnet_prefix: u8::try_from(config.nsx.subnet_prefix.get()).unwrap_or(24),
        deny: match config.cf.deny_action {
            DenyAction::Reject => Action::Reject,
            DenyAction::Drop => Action::Drop,
        },
        log_dropped: config.nsx.log_dropped_traffic,
        translate: config.coe.enable_snat,
        platform_sources: sources.map(|source| Cidr::net(source.network())).collect(),
        egress_fallback: config.cf.snat_fallback_to_org,
        egress_caps: EgressCaps {
            per_pool: config.cf.snat_max_per_pool.map(|cap| count(cap.get())),
            per_project: config.cf.snat_max_per_org.map(|cap| count(cap.get())),
        },
        scopes: ncp_pcf::intents::scopes(),
        departure: Departure {
            listings: 2,
            apart: pace.departure,
        },
        settle: pace.settle,
        drift_interval: pace.drift,
        egress_hold: pace.egress_hold,
        ..Settings::default()
    }
}

fn count(cap: u64) -> usize {
    usize::try_from(cap).unwrap_or(usize::MAX)
}
