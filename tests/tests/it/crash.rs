//! The controller killed after the n-th request, for every n of a scenario: the next one ends in the state
//! that an undisturbed run ends in (invariant 1), nothing made twice, nothing leaked, nothing foreign touched.

use std::ops::RangeInclusive;
use std::sync::Arc;

use ncp_tests::LIMIT;
use ncp_tests::network::{assert_same, assert_sound, assert_untouched, foreign, shape};
use nsx_manager_emulator::{Counted, StopPoint};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::stories::{BEGIN, CHANGE, Story, Undisturbed};

/// Rigs at once: they wait more than they work.
const TOGETHER: usize = 4;

impl Story {
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
