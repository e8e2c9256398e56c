//! A running controller as a [`Snapshot`].

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use ncp_core::adapter::{Adapter, WatcherStatus};
use ncp_core::engine::Status;
use ncp_nsxt::transport::ClusterHealth;

use super::controller::{Mode, Running};
use crate::driver::Report;
use crate::telemetry::{Condition, Objects, Peer, Role, Snapshot, Traffic};

impl Running {
    /// The controller's state now.
    pub fn snapshot(&self, report: &Report) -> Snapshot {
        let status = report.status.as_ref();
        let counters = self.network.counters();
        Snapshot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            taken: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs_f64(),
            role: self.role(status),
            id: self.owner.clone(),
            ready: status.is_some_and(|s| s.observed),
            converged: status.is_some_and(|s| s.converged),
            brake: status.and_then(|s| s.brake.as_ref()).map(brake),
            peers: self.peers(),
            objects: status.map(objects).unwrap_or_default(),
            traffic: Traffic {
                requests: counters.by_method,
                writes: counters.writes,
            },
            conditions: report.conditions.iter().map(condition).collect(),
            ..Snapshot::default()
        }
    }

    fn role(&self, status: Option<&Status>) -> Role {
        match (
            self.mode,
            self.fence.borrow().is_some(),
            status.is_some_and(|s| s.observed),
        ) {
            (Mode::Observe, ..) => Role::Observer,
            (Mode::Write, false, _) => Role::Standby,
            (Mode::Write, true, false) => Role::Starting,
            (Mode::Write, true, true) => Role::Leader,
        }
    }

    fn peers(&self) -> Vec<Peer> {
        let status = self.network.api().status();
        let healthy = status.health == ClusterHealth::Green;
        let nsx = Peer {
            name: "nsx".to_owned(),
            healthy,
            code: (!healthy).then(|| "NCP00009".to_owned()),
            detail: (!healthy).then(|| format!("{status:?}")),
        };
        let mut peers = vec![nsx];
        peers.extend(self.adapter.watchers().iter().map(peer));
        peers
    }
}

fn peer(watcher: &WatcherStatus) -> Peer {
    let code = watcher
        .reason
        .as_deref()
        .and_then(|r| r.split_once(':'))
        .map(|(code, _)| code.to_owned());
    Peer {
        name: watcher.name.clone(),
        healthy: watcher.healthy,
        code,
        detail: watcher.reason.clone(),
    }
}

fn brake(brake: &ncp_core::engine::BrakeStatus) -> String {
    let who = if brake.operator {
        "your word"
    } else {
        "a second complete listing"
    };
    format!(
        "{} ports and {} routers would be removed; waiting for {who}",
        brake.ports, brake.routers
    )
}

fn objects(status: &Status) -> BTreeMap<String, Objects> {
    let one = |(kind, count): (&ncp_core::topology::Kind, &usize)| {
        let present = *count as u64;
        (
            format!("{kind:?}").to_lowercase(),
            Objects {
                desired: present,
                present,
                ..Objects::default()
            },
        )
    };
    status.objects.iter().map(one).collect()
}

fn condition(c: &ncp_core::condition::Condition) -> Condition {
    let name = c.origin.name.as_deref().unwrap_or_default();
    let object = format!("{} {} {name}", c.origin.kind, c.origin.id);
    Condition {
        object: object.trim_end().to_owned(),
        code: c.code.to_string(),
        text: format!("{}: {}. {}", c.code.name(), c.message, c.code.next_step()),
    }
}
