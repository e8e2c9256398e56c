//! Everything read once, and the difference: `ncp plan`, and the sandbox's second look.

use std::time::Duration;

use ncp_core::adapter::Adapter;
use ncp_core::engine::Plan;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{Controller, ControllerError, Mode, Pace, Running};
use crate::config::Config;
use crate::driver::Order;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The controller can't be made.
    #[error(transparent)]
    Controller(#[from] ControllerError),
    /// Something does not answer.
    #[error("not everything could be read in {limit:?}: {missing}")]
    Unread {
        /// How long was waited.
        limit: Duration,
        /// What is missing, and why as far as known.
        missing: String,
    },
}

/// Everything read once, and the difference.
///
/// # Errors
/// If something can't be read in time.
pub async fn plan(config: &Config, pace: &Pace, limit: Duration) -> Result<Plan, PlanError> {
    let stop = CancellationToken::new();
    let (running, life) = Controller::new(config, pace, Mode::Observe)
        .await?
        .start(stop.clone());
    let ask = async {
        let asked = tokio::time::timeout(limit, read_all(&running)).await;
        stop.cancel();
        match asked {
            Ok(plan) => plan,
            Err(_) => Err(PlanError::Unread {
                limit,
                missing: missing(&running),
            }),
        }
    };
    let (plan, life) = tokio::join!(ask, life);
    life?;
    plan
}

async fn read_all(running: &Running) -> Result<Plan, PlanError> {
    let gone = || PlanError::Unread {
        limit: Duration::ZERO,
        missing: "the controller ended".to_owned(),
    };
    let mut reports = running.reports.clone();
    reports
        .wait_for(|report| report.read_all())
        .await
        .map_err(|_| gone())?;
    let (to, plan) = oneshot::channel();
    running.orders.send(Order::Plan(to)).await.map_err(|_| gone())?;
    plan.await.map_err(|_| gone())
}

fn missing(running: &Running) -> String {
    let report = running.reports.borrow().clone();
    let mut missing: Vec<String> = running
        .adapter
        .watchers()
        .into_iter()
        .filter_map(|w| {
            let reason = w.reason?;
            Some(format!("{}: {reason}", w.name))
        })
        .collect();
    if !report.status.as_ref().is_some_and(|s| s.observed) {
        missing.push("the managers' lists".to_owned());
    }
    missing.join("; ")
}
