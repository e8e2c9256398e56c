//! The metrics, each a view of the snapshot.

use super::exposition::{Exposition, Kind};
use super::snapshot::{Role, Snapshot};

/// Writes the page of metrics. Labels come from fixed sets: kinds, states, peers, methods, codes.
pub fn metrics(snapshot: &Snapshot) -> String {
    let mut page = Exposition::default();
    process(&mut page, snapshot);
    far_ends(&mut page, snapshot);
    network(&mut page, snapshot);
    page.into_page()
}

fn process(page: &mut Exposition, snapshot: &Snapshot) {
    page.family("ncp_build_info", Kind::Gauge, "Version of the program.")
        .sample(&[("version", &snapshot.version)], 1);
    let mut roles = page.family(
        "ncp_role",
        Kind::Gauge,
        "What this controller may do; 1 for its role.",
    );
    for role in Role::ALL {
        roles.sample(&[("role", role.as_str())], u8::from(role == snapshot.role));
    }
    page.family(
        "ncp_ready",
        Kind::Gauge,
        "Whether everything has been read at least once.",
    )
    .sample(&[], u8::from(snapshot.ready));
    page.family("ncp_brake", Kind::Gauge, "Whether a large removal is held back.")
        .sample(&[], u8::from(snapshot.brake.is_some()));
}

fn far_ends(page: &mut Exposition, snapshot: &Snapshot) {
    let mut healthy = page.family(
        "ncp_peer_healthy",
        Kind::Gauge,
        "Whether a far end answers as it should.",
    );
    for peer in &snapshot.peers {
        healthy.sample(&[("peer", &peer.name)], u8::from(peer.healthy));
    }
    let mut up = page.family("ncp_watcher_up", Kind::Gauge, "Whether a watch is connected.");
    for watcher in &snapshot.watchers {
        up.sample(&[("watcher", &watcher.name)], u8::from(watcher.up));
    }
    let mut events = page.family(
        "ncp_watcher_events_total",
        Kind::Counter,
        "Events that a watch brought.",
    );
    for watcher in &snapshot.watchers {
        events.sample(&[("watcher", &watcher.name)], watcher.events_total);
    }
    let mut recycled = page.family(
        "ncp_watcher_recycled_total",
        Kind::Counter,
        "How often a watch was connected anew.",
    );
    for watcher in &snapshot.watchers {
        recycled.sample(&[("watcher", &watcher.name)], watcher.recycled);
    }
    let mut requests = page.family(
        "ncp_backend_requests_total",
        Kind::Counter,
        "Requests to the backend by method.",
    );
    for (method, count) in &snapshot.traffic.requests {
        requests.sample(&[("method", method)], count);
    }
    page.family(
        "ncp_backend_writes_total",
        Kind::Counter,
        "Requests to the backend that change something.",
    )
    .sample(&[], snapshot.traffic.writes);
}

fn network(page: &mut Exposition, snapshot: &Snapshot) {
    page.family("ncp_converged", Kind::Gauge, "Whether nothing is left to change.")
        .sample(&[], u8::from(snapshot.converged));
    let mut objects = page.family(
        "ncp_objects",
        Kind::Gauge,
        "Objects of the network by kind and state.",
    );
    for (kind, counts) in &snapshot.objects {
        let states = [
            ("desired", counts.desired),
            ("present", counts.present),
            ("waiting", counts.waiting),
            ("failed", counts.failed),
        ];
        for (state, count) in states {
            objects.sample(&[("kind", kind), ("state", state)], count);
        }
    }
    let mut held = page.family(
        "ncp_scope_held",
        Kind::Gauge,
        "Facts of a source whose removal is held back.",
    );
    for scope in &snapshot.scopes {
        held.sample(&[("scope", &scope.name)], scope.held);
    }
    let mut by_code = std::collections::BTreeMap::<&str, u64>::new();
    for condition in &snapshot.conditions {
        *by_code.entry(&condition.code).or_default() += 1;
    }
    let mut conditions = page.family(
        "ncp_conditions",
        Kind::Gauge,
        "Objects that something is wrong with, by code.",
    );
    for (code, count) in by_code {
        conditions.sample(&[("code", code)], count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Condition, Objects, Peer};

    #[test]
    fn metrics_say_what_the_snapshot_says() {
        let condition = |object: &str| Condition {
            object: object.into(),
            code: "NCP00069".into(),
            text: "no such pool".into(),
        };
        let snapshot = Snapshot {
            role: Role::Leader,
            peers: vec![Peer {
                name: "bbs".into(),
                healthy: false,
                code: None,
                detail: None,
            }],
            objects: [(
                "port".to_owned(),
                Objects {
                    desired: 3,
                    present: 2,
                    waiting: 1,
                    failed: 0,
                },
            )]
            .into(),
            conditions: vec![condition("app a"), condition("app b")],
            ..Snapshot::default()
        };
        let page = metrics(&snapshot);
        for line in [
            "ncp_role{role=\"leader\"} 1",
            "ncp_role{role=\"standby\"} 0",
            "ncp_peer_healthy{peer=\"bbs\"} 0",
            "ncp_objects{kind=\"port\",state=\"desired\"} 3",
            "ncp_conditions{code=\"NCP00069\"} 2",
        ] {
            assert!(page.lines().any(|l| l == line), "{line} in\n{page}");
        }
        // Names of apps are unbounded, and so no labels.
        assert!(!page.contains("app a"));
    }
}
