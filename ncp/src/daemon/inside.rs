//! A running controller behind the admin API.

use std::sync::Arc;
use std::time::Duration;

use ncp_core::engine::Plan;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::Front;
use crate::admin::Ask;
use crate::driver::Order;
use crate::telemetry::{Confirmed, PlanPage, Snapshot};
use crate::wiring::{Controller, ControllerError, Running};

/// Starts the controller and lets it be looked into until it has ended; `beside` runs as long.
///
/// # Errors
/// If the controller ends by itself.
pub async fn live(
    controller: Controller,
    front: Front,
    stop: CancellationToken,
    beside: impl AsyncFnOnce(Running),
) -> Result<(), ControllerError> {
    let (running, life) = controller.start(stop.clone());
    let Front { snapshots, asked } = front;
    let orders = running.orders.clone();
    let company = async {
        tokio::join!(
            publish(running.clone(), snapshots, stop),
            answer(orders, asked),
            beside(running)
        );
        std::future::pending().await
    };
    // Dropped with the controller's end, so that the API sees it.
    tokio::select! {
        life = life => life,
        () = company => Ok(()),
    }
}

/// Publishes for ever. What the far ends say of their health moves without the engine.
async fn publish(running: Running, to: watch::Sender<Arc<Snapshot>>, stop: CancellationToken) {
    let mut reports = running.reports.clone();
    loop {
        let report = reports.borrow_and_update().clone();
        let stopping = stop.is_cancelled();
        to.send_replace(Arc::new(running.snapshot(&report, stopping)));
        tokio::select! {
            Ok(()) = reports.changed() => {}
            () = tokio::time::sleep(REFRESH) => {}
            () = stop.cancelled(), if !stopping => {}
        }
    }
}

const REFRESH: Duration = Duration::from_secs(1);

/// Hands on what is asked. An answer that can't be had is dropped, which whoever asked is told.
async fn answer(orders: mpsc::Sender<Order>, mut asked: mpsc::Receiver<Ask>) {
    while let Some(ask) = asked.recv().await {
        match ask {
            Ask::Plan(reply) => {
                if let Some(plan) = order(&orders, Order::Plan).await {
                    drop(reply.send(page(&plan)));
                }
            }
            Ask::Confirm(reply) => {
                if let Some(released) = order(&orders, Order::Confirm).await {
                    drop(reply.send(Confirmed { released }));
                }
            }
        }
    }
}

async fn order<T>(orders: &mpsc::Sender<Order>, make: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
    let (to, answer) = oneshot::channel();
    orders.send(make(to)).await.ok()?;
    answer.await.ok()
}

/// A plan for people and machines.
pub fn page(plan: &Plan) -> PlanPage {
    PlanPage {
        changes: plan.steps.len() as u64,
        text: plan.to_string(),
        json: serde_json::to_value(plan).unwrap_or_default(),
    }
}
