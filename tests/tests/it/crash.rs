//! The controller killed after the n-th request, for every n of a scenario: the next one ends in the state
//! that an undisturbed run ends in (invariant 1), nothing made twice, nothing leaked, nothing foreign touched.

use std::ops::RangeInclusive;
use std::sync::Arc;

use foundation_emulator::{AppSpec, Phase, PolicySpec};
use ncp_tests::network::{assert_same, assert_sound, assert_untouched, foreign, shape};
use ncp_tests::oracle::assert_verdicts;
use ncp_tests::rig::SMALL;
use ncp_tests::{LIMIT, Live, Rig};
use nsx_manager_emulator::{Counted, StopPoint};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Rigs at once: they wait more than they work.
const TOGETHER: usize = 4;

/// What is done to the foundation while the requests are counted.
type Change = fn(&Rig);

/// A scenario: what stands before, and what is done then.
#[derive(Clone, Copy)]
struct Story {
    /// A controller has settled before.
    settled: bool,
    change: Change,
}

/// Everything from nothing: two organizations, an app with addresses of its own, security groups with
/// bindings, a policy.
const BEGIN: Story = Story {
    settled: false,
    change: |_| {},
};

/// A little of everything over a network that stands.
const CHANGE: Story = Story {
    settled: true,
    change: |rig| {
        let foundation = &rig.foundation;
        foundation.create_org("late").unwrap();
        foundation.create_space("late", "dev").unwrap();
        let own = AppSpec::new("late/dev", "own", 1).env("NCP_SNAT_POOL", "own-pool");
        foundation.push(&own).unwrap();
        foundation
            .bind_security_group("database", "late/dev", Phase::Running)
            .unwrap();
        let policy = |source: &str, destination: &str| PolicySpec {
            source: source.into(),
            destination: destination.into(),
            protocol: "tcp".into(),
            ports: "9000".into(),
        };
        foundation.add_network_policy(&policy("own", "web")).unwrap();
        foundation
            .remove_network_policy(&PolicySpec {
                ports: "8080".into(),
                ..policy("shop/prod/web", "shop/prod/api")
            })
            .unwrap();
        foundation.scale("web", 1).unwrap();
        foundation.scale("pay", 0).unwrap();
    },
};

/// What an undisturbed run comes to.
struct Undisturbed {
    shape: Value,
    requests: u64,
    writes: u64,
}

impl Story {
    async fn begin(self) -> (Rig, Option<Live>) {
        let rig = Rig::start(SMALL).await;
        let live = match self.settled {
            true => Some(rig.settled().await),
            false => None,
        };
        (rig, live)
    }

    async fn undisturbed(self) -> Undisturbed {
        let (rig, live) = self.begin().await;
        let before = rig.managers.log().counts();
        (self.change)(&rig);
        let live = live.unwrap_or_else(|| rig.live());
        live.settle().await;
        let (after, inventory) = (rig.managers.log().counts(), rig.managers.inventory());
        assert_sound("undisturbed", &inventory);
        assert_verdicts(&rig);
        live.stop().await.unwrap();
        rig.stop().await;
        Undisturbed {
            shape: shape(&inventory),
            requests: after.total - before.total,
            writes: after.writes - before.writes,
        }
    }

    /// One run with a kill.
    async fn killed(self, n: u64, counted: Counted, point: StopPoint, like: &Undisturbed) {
        let what = format!("killed after {n} {counted:?}, {point:?}");
        let (rig, live) = self.begin().await;
        let others = foreign(&rig.managers.inventory());
        let mut stop = rig.managers.faults().stop_after(n, counted, point);
        (self.change)(&rig);
        let live = live.unwrap_or_else(|| rig.live());
        // A run may take fewer requests than the undisturbed one did; then it is killed at its end.
        let end = async {
            live.settle().await;
        };
        tokio::select! {
            () = stop.reached() => {}
            () = end => {}
        }
        live.kill().await;
        rig.managers.faults().resume();
        let live = rig.settled().await;
        let inventory = rig.managers.inventory();
        assert_sound(&what, &inventory);
        assert_same(&what, &like.shape, &shape(&inventory));
        assert_untouched(&what, &others, &inventory);
        live.kill().await;
        rig.stop().await;
    }

    /// A run for each `n`.
    async fn killed_at_each(
        self,
        each: RangeInclusive<u64>,
        counted: Counted,
        point: StopPoint,
        like: &Arc<Undisturbed>,
    ) {
        let room = Arc::new(Semaphore::new(TOGETHER));
        let mut runs = JoinSet::new();
        for n in each {
            let (room, like) = (room.clone(), like.clone());
            runs.spawn(async move {
                let _place = room.acquire().await.unwrap();
                let run = self.killed(n, counted, point, &like);
                tokio::time::timeout(LIMIT * 2, run)
                    .await
                    .unwrap_or_else(|_| panic!("{n} hangs"));
            });
        }
        let mut failed = 0;
        while let Some(run) = runs.join_next().await {
            failed += usize::from(run.is_err());
        }
        assert_eq!(failed, 0, "runs that failed; each said why above");
    }
}

async fn sweep(story: Story, least_writes: u64) {
    let like = Arc::new(story.undisturbed().await);
    assert!(like.writes >= least_writes, "only {} writes", like.writes);
    println!("{} requests, {} writes", like.requests, like.writes);
    story
        .killed_at_each(1..=like.requests, Counted::Requests, StopPoint::Answered, &like)
        .await;
    story
        .killed_at_each(1..=like.writes, Counted::Writes, StopPoint::Unanswered, &like)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_while_building_from_nothing() {
    sweep(BEGIN, 40).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_while_changing_what_stands() {
    sweep(CHANGE, 20).await;
}
