//! A running controller as a [`Snapshot`].

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use ncp_core::adapter::{Adapter, WatcherStatus};
use ncp_core::code::Code;
use ncp_core::engine::{KindStatus, Status};
use ncp_core::topology::Kind;
use ncp_nsxt::transport::{ClusterHealth, ClusterStatus};
use ncp_pcf::status::{Health, SourceStatus};
use tokio::time::Instant;

use super::controller::{Mode, Running};
use crate::driver::{Report, held};
use crate::telemetry::{Condition, Leader, Objects, Peer, Role, Scope, Snapshot, Traffic, Watcher};

impl Running {
    /// The controller's state now.
    pub fn snapshot(&self, report: &Report, stopping: bool) -> Snapshot {
        let status = report.status.as_ref();
        let counters = self.network.counters();
        let number = |of: fn(&Status) -> usize| status.map(of).unwrap_or_default() as u64;
        Snapshot {
            role: if stopping {
                Role::Draining
            } else {
                self.role(status)
            },
            leader: self.leader(),
            ready: status.is_some_and(|s| s.observed),
            converged: report.converged(),
            brake: status.map(held).filter(|h| !h.is_empty()).map(|h| h.join("; ")),
            unsettled: number(|s| s.unsettled),
            in_flight: number(|s| s.in_flight),
            departing: number(|s| s.departing),
            peers: self.peers(),
            watchers: self.adapter.sources().iter().map(watcher).collect(),
            scopes: status
                .iter()
                .flat_map(|s| &s.scopes)
                .map(|s| Scope {
                    name: s.scope.clone(),
                    complete: s.complete,
                    trusted: s.trusted,
                    held: s.held as u64,
                })
                .collect(),
            objects: status.map(objects).unwrap_or_default(),
            traffic: Traffic {
                requests: counters.by_method,
                writes: counters.writes,
            },
            conditions: report.conditions.iter().map(condition).collect(),
            ..blank(&self.owner)
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

    /// Without a lock, whoever writes leads.
    fn leader(&self) -> Option<Leader> {
        let leading = self.fence.borrow().is_some() && self.mode == Mode::Write;
        let id = match self.adapter.holder() {
            Some(view) => view.get()?.owner,
            None => leading.then(|| self.owner.clone())?,
        };
        Some(Leader { id })
    }

    fn peers(&self) -> Vec<Peer> {
        let mut peers = vec![managers(&self.network.api().status())];
        peers.extend(self.adapter.watchers().iter().map(peer));
        peers
    }
}

/// The state of a controller that waits for a manager to answer.
pub fn waiting(owner: &str, managers_now: &ClusterStatus, error: &str) -> Snapshot {
    let mut nsx = managers(managers_now);
    nsx.healthy = false;
    nsx.code = Some(Code::NsxConnectionFailed.to_string());
    nsx.detail = Some(error.to_owned());
    Snapshot {
        peers: vec![nsx],
        ..blank(owner)
    }
}

fn blank(owner: &str) -> Snapshot {
    Snapshot {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        taken: seconds(SystemTime::now()),
        id: owner.to_owned(),
        ..Snapshot::default()
    }
}

fn managers(status: &ClusterStatus) -> Peer {
    let healthy = status.health == ClusterHealth::Green;
    let down = status.endpoints.iter().filter(|one| !one.up).map(|one| {
        let why = one.last_error.as_deref().unwrap_or("has not answered yet");
        format!("{}: {why}", one.manager)
    });
    Peer {
        name: "nsx".to_owned(),
        healthy,
        code: (!healthy).then(|| Code::NsxConnectionFailed.to_string()),
        detail: (!healthy).then(|| down.collect::<Vec<_>>().join("; ")),
    }
}

fn watcher(source: &SourceStatus) -> Watcher {
    let counts = source.counts.iter();
    Watcher {
        name: source.name.to_owned(),
        up: source.health == Health::Healthy,
        since: wall(source.since),
        last_success: source.last_success.map(wall),
        last_event: source.last_event.map(wall),
        events_total: source.events,
        recycled: source.restarts,
        interval: source.interval.map(|i| i.as_secs_f64()),
        counts: counts.map(|(name, count)| ((*name).to_owned(), *count)).collect(),
    }
}

/// A moment of the runtime's clock in seconds since 1970.
fn wall(moment: Instant) -> f64 {
    seconds(SystemTime::now() - moment.elapsed())
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
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

fn objects(status: &Status) -> BTreeMap<String, Objects> {
    let one = |(kind, count): (&Kind, &KindStatus)| {
        let objects = Objects {
            desired: count.desired as u64,
            present: count.present as u64,
            waiting: count.waiting as u64,
            failed: count.failed as u64,
        };
        (format!("{kind:?}").to_lowercase(), objects)
    };
    status.kinds.iter().map(one).collect()
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
