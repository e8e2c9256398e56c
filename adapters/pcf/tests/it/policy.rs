use std::time::Duration;

use foundation_emulator::{Fault, FaultKind, Foundation, Options, PolicyFaults, PolicySpec, Service};
use ncp_pcf::policy_server::{
    AppPolicy, PolicyClient, PolicyListing, PolicyProtocol, PolicyWatch, PolicyWatchOptions,
};
use ncp_pcf::status::{Health, StatusCell};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{PATIENCE, eventually, peer, with_app};

struct Follower {
    listings: mpsc::Receiver<PolicyListing>,
    held: Vec<AppPolicy>,
    generation: u64,
    status: StatusCell,
    _stop: DropGuard,
}

fn follow(foundation: &Foundation) -> Follower {
    let client = PolicyClient::new(peer(foundation, &foundation.endpoints().policy_internal)).unwrap();
    let options = PolicyWatchOptions {
        interval: Duration::from_millis(10),
        tokenless_interval: Duration::from_millis(10),
        confirm_after: Duration::from_millis(10),
        ..Default::default()
    };
    let policies = PolicyWatch::new(client, options);
    let (status, stop) = (policies.status(), CancellationToken::new());
    let (sender, listings) = mpsc::channel(1);
    tokio::spawn(policies.run(sender, stop.clone()));
    Follower {
        listings,
        held: Vec::new(),
        generation: 0,
        status,
        _stop: stop.drop_guard(),
    }
}

impl Follower {
    async fn agrees(&mut self, foundation: &Foundation) {
        self.until("agreement", |held| held.held == truth(foundation))
            .await;
    }

    async fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !holds(self) {
            let next = tokio::time::timeout_at(deadline, self.listings.recv()).await;
            let listing = next
                .unwrap_or_else(|_| panic!("never: {what}"))
                .expect("the loop runs");
            (self.held, self.generation) = (listing.policies, listing.generation);
        }
    }
}

fn truth(foundation: &Foundation) -> Vec<AppPolicy> {
    let mut policies: Vec<AppPolicy> = foundation
        .world()
        .policies
        .iter()
        .map(|of| AppPolicy {
            source: of.source.clone().into(),
            destination: of.destination.clone().into(),
            protocol: if of.protocol == "udp" {
                PolicyProtocol::Udp
            } else {
                PolicyProtocol::Tcp
            },
            first_port: of.start,
            last_port: of.end,
        })
        .collect();
    policies.sort();
    policies
}

fn policy(ports: &str) -> PolicySpec {
    PolicySpec {
        source: "shop".into(),
        destination: "shop".into(),
        protocol: "tcp".into(),
        ports: ports.into(),
    }
}

#[tokio::test]
async fn policies_are_found_and_followed_over_mutual_tls() {
    let foundation = with_app(
        Options {
            tls: true,
            ..Options::default()
        },
        1,
    )
    .await;
    foundation.add_network_policy(&policy("8080-8090")).unwrap();
    let mut follower = follow(&foundation);
    follower.agrees(&foundation).await;
    foundation.add_network_policy(&policy("53")).unwrap();
    follower.agrees(&foundation).await;
    foundation.remove_network_policy(&policy("53")).unwrap();
    follower.agrees(&foundation).await;
    foundation.remove_network_policy(&policy("8080-8090")).unwrap();
    follower.agrees(&foundation).await;
    assert!(follower.held.is_empty());
}

#[tokio::test]
async fn odd_servers_are_understood() {
    let faults = [
        PolicyFaults {
            no_change_tokens: true,
            ..Default::default()
        },
        PolicyFaults {
            duplicates: true,
            legacy_egress: true,
            ..Default::default()
        },
    ];
    for faults in faults {
        let foundation = with_app(Options::default(), 1).await;
        foundation.set_policy_faults(faults);
        foundation.add_network_policy(&policy("80")).unwrap();
        let mut follower = follow(&foundation);
        follower.agrees(&foundation).await;
        foundation.add_network_policy(&policy("81")).unwrap();
        follower.agrees(&foundation).await;
    }
}

#[tokio::test]
async fn a_server_that_is_down_leaves_policies_in_force_and_shows_in_status() {
    let foundation = with_app(Options::default(), 1).await;
    foundation.add_network_policy(&policy("80")).unwrap();
    let mut follower = follow(&foundation);
    follower.agrees(&foundation).await;
    foundation.arm(Fault::once(Service::PolicyInternal, "", FaultKind::Reset).times(1));
    foundation.arm(Fault::once(Service::PolicyInternal, "", FaultKind::ServerError).times(1));
    foundation.add_network_policy(&policy("81")).unwrap();
    eventually("unhealthy", || {
        matches!(
            follower.status.snapshot().health,
            Health::Unhealthy { code: "NCP06020", .. }
        )
    })
    .await;
    assert_eq!(follower.held.len(), 1);
    follower.agrees(&foundation).await;
    eventually("healthy", || follower.status.snapshot().health == Health::Healthy).await;
}

#[tokio::test]
async fn a_set_that_lost_a_destination_is_read_a_second_time_without_waiting_for_the_floor() {
    let foundation = with_app(Options::default(), 1).await;
    foundation.add_network_policy(&policy("80")).unwrap();
    let mut follower = follow(&foundation);
    follower.agrees(&foundation).await;
    let before = follower.generation;
    foundation.remove_network_policy(&policy("80")).unwrap();
    follower
        .until("two sets", |held| held.generation >= before + 2)
        .await;
    assert!(follower.held.is_empty());
}
