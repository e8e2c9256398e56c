use std::collections::BTreeMap;
use std::time::Duration;

use foundation_emulator::{Age, FailOver, Fault, FaultKind, Foundation, Options, Service, StreamFaults};
use ncp_pcf::bbs::record::{Container, Kind, Presence, SnatPool};
use ncp_pcf::bbs::sync::{Mode, Output, Scope, SyncOptions};
use ncp_pcf::bbs::{BbsClient, BbsOptions, BbsUpdates, BbsWatch};
use ncp_pcf::status::{Health, StatusCell};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{PATIENCE, eventually, named_peer, with_app};

/// A watch and what a receiver of its updates holds.
struct Follower {
    updates: mpsc::Receiver<BbsUpdates>,
    held: BTreeMap<String, Container>,
    cells: Vec<String>,
    listing: BTreeMap<String, Container>,
    complete: BTreeMap<String, u32>,
    status: StatusCell,
    mode: watch::Sender<Mode>,
    _stop: DropGuard,
}

fn follow_as(foundation: &Foundation, mode: Mode, sync: SyncOptions) -> Follower {
    let peer = named_peer(foundation, "bbs.service.cf.internal", &foundation.endpoints().bbs);
    let bbs = BbsWatch::new(BbsClient::new(BbsOptions::new(peer)).unwrap(), sync);
    let (status, stop) = (bbs.status(), CancellationToken::new());
    let (sender, updates) = mpsc::channel(64);
    let (mode, modes) = watch::channel(mode);
    tokio::spawn(bbs.run(modes, sender, stop.clone()));
    Follower {
        updates,
        held: BTreeMap::new(),
        cells: Vec::new(),
        listing: BTreeMap::new(),
        complete: BTreeMap::new(),
        status,
        mode,
        _stop: stop.drop_guard(),
    }
}

fn follow(foundation: &Foundation) -> Follower {
    follow_as(foundation, Mode::Leading, SyncOptions::default())
}

impl Follower {
    fn take(&mut self, output: Output) {
        match output {
            Output::Begin(..) => self.listing.clear(),
            Output::Upsert(container) => {
                let handle = container.handle.to_string();
                self.listing.insert(handle.clone(), container.clone());
                self.held.insert(handle, container);
            }
            Output::Remove(_, handle) => drop(self.held.remove(handle.as_str())),
            Output::Cell(cell) => self.cells.push(cell.id.to_string()),
            Output::End { scope, complete, .. } => {
                if complete && scope != Scope::Cells {
                    let listed = &self.listing;
                    self.held
                        .retain(|handle, of| Scope::from(of.kind) != scope || listed.contains_key(handle));
                }
                *self.complete.entry(format!("{scope:?}")).or_default() += u32::from(complete);
            }
            other => panic!("{other:?}"),
        }
    }

    async fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !holds(self) {
            let next = tokio::time::timeout_at(deadline, self.updates.recv()).await;
            let next = next.unwrap_or_else(|_| panic!("never: {what}; held {:#?}", self.held));
            next.expect("the watch runs")
                .into_iter()
                .for_each(|output| self.take(output));
        }
    }

    /// Until what is held is what the foundation says.
    async fn agrees(&mut self, foundation: &Foundation) {
        self.until("agreement", |held| held.picture() == truth(foundation))
            .await;
    }

    fn picture(&self) -> BTreeMap<String, Picture> {
        self.held
            .iter()
            .map(|(handle, of)| (handle.clone(), picture(of)))
            .collect()
    }

    fn listed(&self, scope: &str) -> u32 {
        self.complete.get(scope).copied().unwrap_or_default()
    }
}

/// What is compared: kind, cell, presence, app, space, org, pool, running.
type Picture = (
    String,
    String,
    String,
    String,
    String,
    String,
    Option<String>,
    bool,
);

fn picture(of: &Container) -> Picture {
    // Without a record to say whose it is, as when an event came after its app was restarted.
    let facts = of.facts.as_deref();
    let pool = match facts.map(|facts| &facts.snat) {
        Some(SnatPool::Named(pool)) => Some(pool.to_string()),
        Some(SnatPool::Unset) => None,
        Some(SnatPool::Unknown) | None => Some("?".to_owned()),
    };
    let app = facts.and_then(|facts| facts.app.as_ref());
    (
        format!("{:?}", of.kind),
        of.cell.to_string(),
        format!("{:?}", of.presence).to_uppercase(),
        app.map(ToString::to_string).unwrap_or_default(),
        facts.map(|facts| facts.space.to_string()).unwrap_or_default(),
        facts.map(|facts| facts.org.to_string()).unwrap_or_default(),
        pool,
        of.running,
    )
}

fn truth(foundation: &Foundation) -> BTreeMap<String, Picture> {
    let truth = foundation.world();
    let picture = |of: &foundation_emulator::truth::ContainerTruth| {
        (
            format!("{:?}", of.kind),
            of.cell.clone(),
            of.presence.clone(),
            of.app.clone(),
            of.space.clone(),
            of.org.clone(),
            // Staging leaves by the organization's address.
            of.snat_pool
                .clone()
                .filter(|_| of.kind != foundation_emulator::truth::Kind::Staging),
            of.state == "RUNNING",
        )
    };
    truth
        .containers
        .iter()
        .map(|of| (of.container.clone(), picture(of)))
        .collect()
}

fn secure() -> Options {
    Options {
        tls: true,
        ..Options::default()
    }
}

#[tokio::test]
async fn instances_tasks_and_staging_are_found_over_mutual_tls() {
    let foundation = with_app(secure(), 3).await;
    foundation.run_task("shop", "rake").unwrap();
    foundation.set_delays(foundation_emulator::Delays {
        stage: Duration::from_secs(600),
        ..Default::default()
    });
    foundation.stage("shop").unwrap();
    let mut follower = follow(&foundation);
    follower.agrees(&foundation).await;
    let kinds: Vec<Kind> = follower.held.values().map(|of| of.kind).collect();
    assert_eq!(kinds.len(), 5);
    for kind in [Kind::Task, Kind::Staging] {
        assert!(kinds.contains(&kind));
    }
    assert_eq!(follower.cells, ["diego-cell-0", "diego-cell-1", "diego-cell-2"]);
    let names = &follower
        .held
        .values()
        .next()
        .unwrap()
        .facts
        .as_ref()
        .unwrap()
        .names;
    assert_eq!(
        (names.org.as_deref(), names.space.as_deref()),
        (Some("acme"), Some("prod"))
    );
    follower
        .until("a complete listing", |held| held.listed("Instances") == 1)
        .await;

    foundation.scale("shop", 5).unwrap();
    follower.agrees(&foundation).await;
    foundation.stop_app("shop").unwrap();
    follower.agrees(&foundation).await;
    assert_eq!(follower.listed("Instances"), 1, "events alone did it");
}

#[tokio::test]
async fn every_platform_age_is_followed() {
    for age in [Age::Newest, Age::Y2019] {
        let foundation = with_app(Options { age, ..secure() }, 2).await;
        let mut follower = follow(&foundation);
        follower.agrees(&foundation).await;
        foundation.scale("shop", 3).unwrap();
        follower.agrees(&foundation).await;
    }
}

#[tokio::test]
async fn a_platform_older_than_the_lowest_is_refused_by_name() {
    let foundation = with_app(
        Options {
            age: Age::Older,
            ..Options::default()
        },
        2,
    )
    .await;
    let follower = follow(&foundation);
    let said = || match follower.status.snapshot().health {
        Health::Unhealthy { code, why } => Some((code, why)),
        _ => None,
    };
    eventually("refused", || said().is_some()).await;
    let (code, why) = said().unwrap();
    assert_eq!(code, "NCP06001");
    assert!(why.contains(ncp_pcf::bbs::LOWEST_DIEGO), "{why}");
    assert!(follower.held.is_empty(), "nothing is half known");
}

#[tokio::test]
async fn events_lost_with_a_stream_are_made_good_by_listings() {
    let foundation = with_app(Options::default(), 2).await;
    let mut follower = follow(&foundation);
    follower.agrees(&foundation).await;
    foundation.set_stream_faults(StreamFaults {
        drop: 1000,
        ..Default::default()
    });
    foundation.scale("shop", 6).unwrap();
    foundation.crash("shop", 0).unwrap();
    foundation.clear_faults();
    foundation.end_streams();
    follower.agrees(&foundation).await;
    assert!(follower.status.snapshot().restarts >= 1);
}

#[tokio::test]
async fn swapped_and_doubled_events_over_the_wire_change_nothing_in_the_end() {
    let foundation = with_app(Options::default(), 4).await;
    let mut follower = follow(&foundation);
    follower.agrees(&foundation).await;
    foundation.set_stream_faults(StreamFaults {
        swap: 50,
        duplicate_removed: true,
        stale_before: true,
        instances_first: true,
        ..Default::default()
    });
    foundation.scale("shop", 8).unwrap();
    foundation.evacuate("diego-cell-0").unwrap();
    foundation.restart("shop").unwrap();
    foundation.scale("shop", 3).unwrap();
    foundation.clear_faults();
    follower.agrees(&foundation).await;
}

#[tokio::test]
async fn a_failed_over_bbs_is_found_at_its_other_address() {
    for mode in [FailOver::Clean, FailOver::Abrupt] {
        let foundation = with_app(secure(), 2).await;
        let mut follower = follow(&foundation);
        follower.agrees(&foundation).await;
        foundation.fail_over(mode).await.unwrap();
        foundation.scale("shop", 4).unwrap();
        follower.agrees(&foundation).await;
        foundation.fail_over(mode).await.unwrap();
        foundation.scale("shop", 1).unwrap();
        follower.agrees(&foundation).await;
        eventually("healthy again", || {
            follower.status.snapshot().health == Health::Healthy
        })
        .await;
    }
}

#[tokio::test]
async fn a_bbs_that_is_not_ready_is_waited_for_with_what_is_known() {
    let foundation = with_app(Options::default(), 2).await;
    let mut follower = follow(&foundation);
    follower.agrees(&foundation).await;
    let before = follower.picture();
    foundation.set_bbs_warming(true);
    foundation.end_streams();
    eventually("unhealthy", || {
        matches!(
            follower.status.snapshot().health,
            Health::Unhealthy { code: "NCP06001", .. }
        )
    })
    .await;
    while let Ok(updates) = follower.updates.try_recv() {
        updates.into_iter().for_each(|output| follower.take(output));
    }
    assert_eq!(follower.picture(), before);
    foundation.set_bbs_warming(false);
    foundation.scale("shop", 3).unwrap();
    follower.agrees(&foundation).await;
}

#[tokio::test]
async fn partial_broken_and_truncated_lists_are_never_taken() {
    let kinds = [
        FaultKind::PartialList,
        FaultKind::Truncated(40),
        FaultKind::Reset,
        FaultKind::NotReady,
    ];
    for kind in kinds {
        let foundation = with_app(Options::default(), 4).await;
        foundation.arm(Fault::once(Service::Bbs, "/v1/actual_lrps/list", kind));
        let mut follower = follow(&foundation);
        follower.agrees(&foundation).await;
        follower
            .until("a complete listing", |held| held.listed("Instances") >= 1)
            .await;
        assert_eq!(follower.held.len(), 4, "{kind:?}");
    }
}

#[tokio::test]
async fn an_evacuated_container_stays_until_its_replacement_runs() {
    let foundation = with_app(Options::default(), 1).await;
    let mut follower = follow(&foundation);
    follower.agrees(&foundation).await;
    let (handle, cell) = {
        let (handle, of) = follower.held.iter().next().unwrap();
        (handle.clone(), of.cell.to_string())
    };
    foundation.hold_placement(true);
    foundation.evacuate(&cell).unwrap();
    follower
        .until("evacuating", |held| {
            held.held
                .get(&handle)
                .is_some_and(|of| of.presence == Presence::Evacuating)
        })
        .await;
    foundation.hold_placement(false);
    follower.agrees(&foundation).await;
    assert!(!follower.held.contains_key(&handle));
}

#[tokio::test]
async fn a_lost_cells_containers_are_suspect_and_come_back() {
    let foundation = with_app(Options::default(), 3).await;
    let mut follower = follow(&foundation);
    follower.agrees(&foundation).await;
    let cell = follower.held.values().next().unwrap().cell.to_string();
    foundation.hold_placement(true);
    foundation.lose_cell(&cell).unwrap();
    let suspects = |held: &Follower| held.held.values().any(|of| of.presence == Presence::Suspect);
    follower.until("suspects", suspects).await;
    foundation.return_cell(&cell).unwrap();
    foundation.hold_placement(false);
    follower.agrees(&foundation).await;
}

#[tokio::test]
async fn a_domain_nobody_vouches_for_freezes_what_its_lists_lack() {
    let foundation = with_app(Options::default(), 2).await;
    let quick = SyncOptions {
        resync: Duration::from_millis(20),
        ..Default::default()
    };
    let mut follower = follow_as(&foundation, Mode::Leading, quick);
    follower.agrees(&foundation).await;
    foundation
        .apply(foundation_emulator::Command::SyncDomains { synced: false })
        .unwrap();
    foundation
        .apply(foundation_emulator::Command::ExpireDomain {
            domain: "cf-apps".into(),
        })
        .unwrap();
    // A listing may have been under way when the domain expired.
    let cycles = follower.status.snapshot().counts["cycles"] + 2;
    follower
        .until("two cycles", |held| {
            held.status.snapshot().counts["cycles"] >= cycles
        })
        .await;
    let (before, complete) = (follower.held.len(), follower.listed("Instances"));
    foundation.set_stream_faults(StreamFaults {
        drop: 1000,
        ..Default::default()
    });
    foundation.stop_app("shop").unwrap();
    let cycles = follower.status.snapshot().counts["cycles"] + 3;
    follower
        .until("three cycles", |held| {
            held.status.snapshot().counts["cycles"] >= cycles
        })
        .await;
    assert_eq!(
        (follower.held.len(), follower.listed("Instances")),
        (before, complete)
    );
    foundation.clear_faults();
    foundation
        .apply(foundation_emulator::Command::SyncDomains { synced: true })
        .unwrap();
    follower.agrees(&foundation).await;
}

#[tokio::test]
async fn a_standby_reads_no_full_records_until_it_leads() {
    let foundation = with_app(Options::default(), 3).await;
    let mut follower = follow_as(&foundation, Mode::Standby, SyncOptions::default());
    follower
        .until("a cycle", |held| {
            held.status.snapshot().counts.get("cycles") == Some(&1)
        })
        .await;
    let full = |foundation: &Foundation| {
        let counts = foundation.request_counts();
        let of = |(service, path): &(Service, String)| {
            *service == Service::Bbs && path.contains("desired_lrps/list")
        };
        counts
            .iter()
            .filter(|(key, _)| of(key))
            .map(|(_, count)| count)
            .sum::<u64>()
    };
    assert_eq!((full(&foundation), follower.held.len()), (0, 0));
    follower.mode.send(Mode::Leading).unwrap();
    follower.agrees(&foundation).await;
    assert_eq!(full(&foundation), 1);
}
