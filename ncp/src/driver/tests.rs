//! The driver over a far end that answers as told, on the runtime's clock.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ncp_core::code::Code;
use ncp_core::dialect::{Batch, Failure, FarEnd, Fence, Outcome, ReadOutcome, ReadRequest, StepId};
use ncp_core::engine::Engine;
use ncp_core::event::Event;
use ncp_core::settings::Settings;
use ncp_nsxt::manager::{Block, Environment, Limits, Manager, NodeMatch};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{Clock, Driver, DriverError, Inputs, Order, Pacing, Report};

/// An empty network that takes no writes, and answers every read or none.
#[derive(Default)]
struct Empty {
    silent: bool,
    reads: AtomicUsize,
}

impl FarEnd<Manager> for Empty {
    async fn write(&self, batch: Batch<Manager>, _: Fence) -> Vec<(StepId, Outcome<Manager>)> {
        let refused = || Outcome::NotSent(Failure::new(Code::NsxConnectionFailed, "read only"));
        batch.steps.iter().map(|step| (step.id, refused())).collect()
    }

    async fn read(&self, _: ReadRequest<Manager>) -> ReadOutcome<Manager> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if self.silent {
            std::future::pending::<()>().await;
        }
        ReadOutcome::Chunk {
            items: Vec::new(),
            absent: Vec::new(),
            refused: Vec::new(),
            next: None,
            whole: true,
        }
    }
}

impl Pacing for Empty {
    fn credits(&self) -> usize {
        100
    }

    async fn credit(&self) {}

    fn parallel(&self) -> usize {
        4
    }
}

/// A driver's task and the ends that the program would hold.
struct World {
    far_end: Arc<Empty>,
    events: mpsc::Sender<Event>,
    fence: watch::Sender<Option<Fence>>,
    orders: mpsc::Sender<Order>,
    stop: CancellationToken,
    reports: watch::Receiver<Arc<Report>>,
    driver: tokio::task::JoinHandle<Result<(), DriverError>>,
    clock: Clock,
}

fn world(silent: bool) -> World {
    let environment = Environment {
        cluster: "c1".into(),
        tier0: "tier0".into(),
        overlay_zone: "zone".into(),
        container_blocks: vec![Block {
            id: "block".into(),
            cidr: "10.4.0.0/16".parse().unwrap(),
        }],
        routed_blocks: vec![],
        external_pools: vec!["pool".into()],
        top_marker: None,
        bottom_marker: None,
        no_masquerade: vec![],
        subnet_prefix: 24,
        node_match: NodeMatch::by_name(),
        limits: Limits::default(),
    };
    let clock = Clock::of_runtime();
    let far_end = Arc::new(Empty {
        silent,
        ..Empty::default()
    });
    let engine = Engine::new(Manager::new(environment), Settings::default());
    let driver = Driver::new(engine, far_end.clone(), clock, Duration::from_secs(3));
    let reports = driver.reports();
    let (events, taken) = mpsc::channel(4);
    let (fence, led) = watch::channel(None);
    let (orders, order) = mpsc::channel(4);
    let stop = CancellationToken::new();
    let inputs = Inputs {
        events: taken,
        fence: led,
        orders: order,
        stop: stop.clone(),
    };
    World {
        far_end,
        events,
        fence,
        orders,
        stop,
        reports,
        driver: tokio::spawn(driver.run(inputs)),
        clock,
    }
}

impl World {
    fn lead(&self) {
        let deadline = self.clock.now() + Duration::from_secs(3600);
        self.fence.send_replace(Some(Fence { epoch: 1, deadline }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_leadership_begins_with_reading_and_orders_are_answered() {
    let mut world = world(false);
    world.lead();
    let observed = |r: &Arc<Report>| r.status.as_ref().is_some_and(|s| s.observed);
    world.reports.wait_for(observed).await.unwrap();
    assert!(world.far_end.reads.load(Ordering::Relaxed) > 3);
    let (to, plan) = oneshot::channel();
    world.orders.send(Order::Plan(to)).await.unwrap();
    plan.await.unwrap();
    let (to, released) = oneshot::channel();
    world.orders.send(Order::Confirm(to)).await.unwrap();
    assert_eq!(released.await.unwrap(), Vec::<String>::new());
    world.stop.cancel();
    assert_eq!(world.driver.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_answers_no_longer_than_it_may() {
    let world = world(true);
    world.lead();
    while world.far_end.reads.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    let begun = world.clock.now();
    world.stop.cancel();
    let limit = Duration::from_secs(3);
    assert_eq!(world.driver.await.unwrap(), Err(DriverError::NotDrained(limit)));
    assert!(world.clock.now().since(begun) >= limit);
}

#[tokio::test(start_paused = true)]
async fn an_adapter_that_ends_ends_the_driver() {
    let world = world(false);
    drop(world.events);
    assert_eq!(world.driver.await.unwrap(), Err(DriverError::AdapterEnded));
}
