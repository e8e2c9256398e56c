use std::collections::BTreeMap;
use std::time::Duration;

use foundation_emulator::{Age, Fault, FaultKind, Foundation, Lifecycle, Options, Phase, Service};
use ncp_pcf::capi::{
    CapiClient, CapiOptions, CapiUpdate, CapiWatch, Organization, SecurityGroup, Space, WatchOptions,
};
use ncp_pcf::status::{Health, StatusCell};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{PATIENCE, credentials, eventually, peer};

/// A poll loop and what a receiver of its updates holds.
struct Follower {
    updates: mpsc::Receiver<CapiUpdate>,
    orgs: BTreeMap<String, Organization>,
    spaces: BTreeMap<String, Space>,
    groups: BTreeMap<String, SecurityGroup>,
    emptied: Option<usize>,
    generations: BTreeMap<&'static str, u64>,
    status: StatusCell,
    _stop: DropGuard,
}

fn options(foundation: &Foundation, token: bool) -> CapiOptions {
    let ends = foundation.endpoints();
    let mut options = CapiOptions::new(peer(foundation, &ends.capi), credentials(foundation));
    options.uaa = Some(peer(foundation, &ends.uaa));
    options.internal = token.then(|| peer(foundation, &ends.capi_internal));
    options.per_page = 2;
    options.legacy_per_page = 2;
    options
}

fn quick() -> WatchOptions {
    WatchOptions {
        interval: Duration::from_millis(10),
        full_interval: Duration::from_millis(50),
        legacy_interval: Duration::from_millis(20),
        seed: 1,
    }
}

fn follow_with(foundation: &Foundation, token: bool, watch: WatchOptions) -> Follower {
    let client = CapiClient::new(options(foundation, token)).unwrap();
    let capi = CapiWatch::new(client, watch);
    let (status, stop) = (capi.status(), CancellationToken::new());
    let (sender, updates) = mpsc::channel(8);
    tokio::spawn(capi.run(sender, stop.clone()));
    Follower {
        updates,
        orgs: BTreeMap::new(),
        spaces: BTreeMap::new(),
        groups: BTreeMap::new(),
        emptied: None,
        generations: BTreeMap::new(),
        status,
        _stop: stop.drop_guard(),
    }
}

fn follow(foundation: &Foundation, token: bool) -> Follower {
    follow_with(foundation, token, quick())
}

impl Follower {
    fn take(&mut self, update: CapiUpdate) {
        let by_org = |of: Organization| (of.guid.to_string(), of);
        let by_space = |of: Space| (of.guid.to_string(), of);
        match update {
            CapiUpdate::Organizations(all) => self.orgs = all.items.into_iter().map(by_org).collect(),
            CapiUpdate::Spaces(all) => self.spaces = all.items.into_iter().map(by_space).collect(),
            CapiUpdate::SecurityGroups(all) => {
                self.emptied = self.emptied.or(all.emptied);
                self.generations.insert("groups", all.generation);
                self.groups = all
                    .items
                    .into_iter()
                    .map(|of| (of.guid.to_string(), of))
                    .collect();
            }
            CapiUpdate::OrganizationsChanged(some) => self.orgs.extend(some.into_iter().map(by_org)),
            CapiUpdate::SpacesChanged(some) => self.spaces.extend(some.into_iter().map(by_space)),
            other => panic!("{other:?}"),
        }
    }

    async fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !holds(self) {
            let next = tokio::time::timeout_at(deadline, self.updates.recv()).await;
            let next = next.unwrap_or_else(|_| panic!("never: {what}; {:?}", self.status.snapshot().health));
            self.take(next.expect("the loop runs"));
        }
    }

    async fn agrees(&mut self, foundation: &Foundation) {
        self.until("agreement", |held| held.matches(foundation)).await;
    }

    fn matches(&self, foundation: &Foundation) -> bool {
        let truth = foundation.world();
        let names: BTreeMap<_, _> = truth
            .orgs
            .iter()
            .map(|of| (of.guid.clone(), of.name.clone()))
            .collect();
        let held: BTreeMap<_, _> = self
            .orgs
            .iter()
            .map(|(guid, of)| (guid.clone(), of.name.clone()))
            .collect();
        let spaces = truth.spaces.iter().all(|of| {
            let held = self.spaces.get(&of.guid);
            held.is_some_and(|held| held.name == of.name && held.org.as_str() == of.org)
        });
        let groups = truth.security_groups.iter().all(|of| {
            self.groups.get(&of.guid).is_some_and(|held| {
                let mut running: Vec<_> = of.running_spaces.clone();
                running.sort();
                let bound: Vec<_> = held.running_spaces.iter().map(ToString::to_string).collect();
                held.name == of.name
                    && bound == running
                    && held.running_default == of.running_default
                    && held.staging_default == of.staging_default
                    && held.rules.rules.len() + held.rules.refused.len() == of.rules.len()
            })
        });
        names == held
            && spaces
            && self.spaces.len() == truth.spaces.len()
            && groups
            && self.groups.len() == truth.security_groups.len()
    }
}

fn rule(port: &str) -> Value {
    json!({"protocol": "tcp", "destination": "10.0.0.0/8", "ports": port})
}

/// Five orgs with a space each, and five security groups, so that pages of two are several.
async fn populated(options: Options) -> Foundation {
    let foundation = Foundation::start(options).await.unwrap();
    for number in 0..5 {
        let org = format!("org-{number}");
        foundation.create_org(&org).unwrap();
        foundation.create_space(&org, "prod").unwrap();
        let group = format!("group-{number}");
        foundation
            .create_security_group(&group, vec![rule("443")])
            .unwrap();
        foundation
            .bind_security_group(&group, &format!("{org}/prod"), Phase::Running)
            .unwrap();
    }
    foundation
}

#[tokio::test]
async fn everything_is_found_and_followed_with_and_without_the_change_token() {
    for token in [true, false] {
        let foundation = populated(Options {
            tls: true,
            ..Options::default()
        })
        .await;
        let mut follower = follow(&foundation, token);
        follower.agrees(&foundation).await;
        foundation
            .bind_security_group("group-0", "org-1/prod", Phase::Running)
            .unwrap();
        follower.agrees(&foundation).await;
        foundation
            .update_security_group("group-2", vec![rule("80,90-91"), rule("80")])
            .unwrap();
        follower.agrees(&foundation).await;
        let refused: Vec<_> = follower
            .groups
            .values()
            .flat_map(|of| &of.rules.refused)
            .collect();
        assert_eq!(
            refused.len(),
            1,
            "one bad rule, and its group's other rule stands"
        );
        foundation.create_org("late").unwrap();
        foundation
            .apply(foundation_emulator::Command::RenameSpace {
                space: "org-3/prod".into(),
                name: "live".into(),
            })
            .unwrap();
        foundation.delete_security_group("group-4").unwrap();
        foundation
            .apply(foundation_emulator::Command::DeleteOrg { org: "org-4".into() })
            .unwrap();
        follower.agrees(&foundation).await;
    }
}

#[tokio::test]
async fn a_foundation_of_2019_is_read_by_its_v2_api() {
    let foundation = populated(Options {
        age: Age::Y2019,
        ..Options::default()
    })
    .await;
    let mut follower = follow(&foundation, false);
    follower.agrees(&foundation).await;
    foundation
        .bind_security_group("group-0", "org-1/prod", Phase::Running)
        .unwrap();
    follower.agrees(&foundation).await;
}

#[tokio::test]
async fn broken_answers_are_waited_out_and_change_nothing() {
    let kinds = [
        FaultKind::ServerError,
        FaultKind::Unavailable,
        FaultKind::Truncated(60),
        FaultKind::Reset,
        FaultKind::RateLimited(1),
        FaultKind::RateLimitedHtml,
        FaultKind::RevokeTokens,
        FaultKind::InvalidToken,
    ];
    for kind in kinds {
        let foundation = populated(Options::default()).await;
        let mut follower = follow(&foundation, false);
        follower.agrees(&foundation).await;
        let held = follower.groups.clone();
        foundation.arm(Fault::once(Service::Capi, "/v3/security_groups", kind).after(1));
        foundation.clear_requests();
        follower
            .until("a listing after the fault", |_| {
                let log = foundation.requests();
                let hit = log
                    .iter()
                    .position(|of| of.path.starts_with("/v3/security_groups") && of.status != 200);
                // A connection that is cut or truncated may be logged as answered.
                hit.is_some()
                    || log
                        .iter()
                        .filter(|of| of.path.starts_with("/v3/security_groups"))
                        .count()
                        > 12
            })
            .await;
        assert_eq!(follower.groups, held, "{kind:?}");
        foundation
            .create_security_group("after", vec![rule("1")])
            .unwrap();
        follower.agrees(&foundation).await;
        eventually("healthy", || follower.status.snapshot().health == Health::Healthy).await;
    }
}

#[tokio::test]
async fn a_listing_that_shrinks_while_it_is_paged_is_never_half_applied() {
    for token in [true, false] {
        let foundation = populated(Options::default()).await;
        let survivor = foundation.world().security_groups[3].guid.clone();
        foundation.arm(Fault::once(
            Service::Capi,
            "/v3/security_groups",
            FaultKind::DeleteBetweenPages,
        ));
        let mut follower = follow(&foundation, token);
        follower.until("a listing", |held| !held.groups.is_empty()).await;
        assert!(follower.groups.contains_key(&survivor), "no row was skipped");
        follower.agrees(&foundation).await;
    }
}

#[tokio::test]
async fn an_empty_listing_after_a_full_one_is_said_to_be_suspicious() {
    let foundation = populated(Options::default()).await;
    let mut follower = follow(&foundation, false);
    follower.agrees(&foundation).await;
    let count = follower.groups.len();
    foundation.arm(Fault::once(
        Service::Capi,
        "/v3/security_groups",
        FaultKind::EmptyList,
    ));
    follower.until("suspicion", |held| held.emptied.is_some()).await;
    assert_eq!(follower.emptied, Some(count));
}

#[tokio::test]
async fn a_listing_that_lost_something_is_read_a_second_time_without_waiting_for_the_floor() {
    let foundation = populated(Options::default()).await;
    let seldom = WatchOptions {
        full_interval: Duration::from_secs(600),
        ..quick()
    };
    let mut follower = follow_with(&foundation, true, seldom);
    follower.agrees(&foundation).await;
    let before = follower.generations["groups"];
    foundation.delete_security_group("group-4").unwrap();
    follower
        .until("two listings", |held| held.generations["groups"] == before + 2)
        .await;
    assert_eq!(follower.groups.len(), 4);
}

#[tokio::test]
async fn a_steady_round_is_three_requests_and_none_per_app() {
    let foundation = populated(Options::default()).await;
    foundation
        .push(&foundation_emulator::AppSpec {
            lifecycle: Lifecycle::default(),
            ..foundation_emulator::AppSpec::new("org-0/prod", "shop", 3)
        })
        .unwrap();
    let calm = WatchOptions {
        full_interval: Duration::from_secs(600),
        ..quick()
    };
    let mut follower = follow_with(&foundation, true, calm);
    follower.agrees(&foundation).await;
    eventually("healthy", || follower.status.snapshot().health == Health::Healthy).await;
    foundation.clear_requests();
    let tokens = |foundation: &Foundation| {
        let log = foundation.requests();
        log.iter()
            .filter(|of| of.service == Service::CapiInternal)
            .count()
    };
    eventually("four rounds", || tokens(&foundation) >= 4).await;
    for ((_, path), _) in foundation.request_counts() {
        assert!(
            [
                "/internal/v4/asg_latest_update",
                "/v3/organizations",
                "/v3/spaces"
            ]
            .iter()
            .any(|known| path.ends_with(known)),
            "{path}"
        );
    }
    let requests = foundation.requests().len();
    let rounds = tokens(&foundation);
    // Orgs and spaces written in the overlap of the watermark are seen again, here on three pages each.
    assert!(
        requests <= (rounds + 1) * 7,
        "{requests} requests in {rounds} rounds"
    );
}

#[tokio::test]
async fn a_client_without_rights_and_a_wrong_secret_are_named() {
    let foundation = populated(Options::default()).await;
    for (id, secret, word) in [
        ("stranger", "stranger-secret", "admin_read_only"),
        ("ncp", "wrong", "client_credentials"),
    ] {
        let mut options = options(&foundation, false);
        options.client.id = id.into();
        options.client.secret = secret.to_owned().into();
        let capi = CapiWatch::new(CapiClient::new(options).unwrap(), quick());
        let (status, stop) = (capi.status(), CancellationToken::new());
        let (sender, _updates) = mpsc::channel(8);
        tokio::spawn(capi.run(sender, stop.clone()));
        let said = || match status.snapshot().health {
            Health::Unhealthy { code, why } => Some((code, why)),
            _ => None,
        };
        eventually("unhealthy", || said().is_some()).await;
        let (code, why) = said().unwrap();
        assert_eq!(code, "NCP06002");
        assert!(id == "stranger" || why.contains(word), "{why}");
        assert!(!why.contains("wrong"), "{why}");
        stop.cancel();
    }
}
