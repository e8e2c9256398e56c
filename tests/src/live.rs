//! A controller in this process: started, waited for, stopped in an orderly way or killed.

use std::sync::Arc;
use std::time::Duration;

use ncp::config::Config;
use ncp::driver::{Order, Report};
use ncp::wiring::{Controller, ControllerError, Mode, Pace, Running};
use ncp_core::engine::Plan;
use ncp_pcf::status::SourceStatus;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::wait::{LIMIT, until};

/// A controller.
#[derive(Debug)]
pub struct Live {
    running: watch::Receiver<Option<Running>>,
    stop: CancellationToken,
    task: Option<JoinHandle<Result<(), ControllerError>>>,
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Live {
    /// Starts one. It may not be ready yet; [`Live::running`] waits for that.
    pub fn start(config: Config, pace: Pace, mode: Mode) -> Live {
        let (to, running) = watch::channel(None);
        let stop = CancellationToken::new();
        let token = stop.clone();
        let task = tokio::spawn(async move {
            // As `ncp run` does: managers that do not answer yet are waited for.
            let controller = loop {
                match Controller::new(&config, &pace, mode).await {
                    Err(ControllerError::Network(e)) if e.is_passing() => tokio::task::yield_now().await,
                    made => break made?,
                }
            };
            let (handle, life) = controller.start(token);
            to.send_replace(Some(handle));
            life.await
        });
        Live {
            running,
            stop,
            task: Some(task),
        }
    }

    /// Its handles, once it runs.
    pub async fn running(&self) -> Running {
        let mut running = self.running.clone();
        let wait = running.wait_for(Option::is_some);
        let started = tokio::time::timeout(LIMIT, wait).await;
        let running = started.expect("the controller starts in time");
        running
            .expect("the controller starts")
            .clone()
            .expect("waited for")
    }

    /// How it is doing now.
    pub async fn report(&self) -> Report {
        self.ask(Order::Report).await
    }

    /// Waits until a report fits.
    pub async fn until(&self, what: &str, mut fits: impl FnMut(&Report) -> bool) -> Arc<Report> {
        let mut reports = self.running().await.reports;
        let found = tokio::time::timeout(LIMIT, reports.wait_for(|report| fits(report))).await;
        match found.map(|found| found.map(|report| report.clone())) {
            Ok(Ok(report)) => return report,
            Ok(Err(_)) => panic!("the controller ended before: {what}"),
            Err(_) => {}
        }
        let last = reports.borrow().clone();
        panic!("not within {LIMIT:?}: {what}; last report: {last:#?}")
    }

    /// The total difference now.
    pub async fn plan(&self) -> Plan {
        self.ask(Order::Plan).await
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> T {
        let (to, answer) = oneshot::channel();
        let running = self.running().await;
        running.orders.send(order(to)).await.expect("the controller runs");
        answer.await.expect("the controller answers")
    }

    /// Waits until every source has been looked at afresh, so that whatever was changed before this call has
    /// been heard of, and until the network is as wanted and nothing departs any more.
    pub async fn settle(&self) {
        self.hear().await;
        self.converge().await;
    }

    /// Waits until every source has been listed, and the network is as wanted and nothing departs any more.
    /// Enough for a controller that was started after the last change.
    pub async fn converge(&self) {
        let done = tokio::time::timeout(LIMIT, self.calm()).await;
        if done.is_err() {
            let (report, plan) = (self.report().await, self.plan().await);
            panic!("not as wanted within {LIMIT:?}:\n{plan}\n{report:#?}");
        }
    }

    /// Waits until every source has been looked at afresh.
    pub async fn hear(&self) {
        tokio::join!(self.hear_of("bbs"), self.hear_polled());
    }

    /// Waits until the polled sources have been looked at afresh. A standby lists the BBS seldom.
    pub async fn hear_polled(&self) {
        tokio::join!(self.hear_of("capi"), self.hear_of("policy-server"));
    }

    async fn hear_of(&self, name: &str) {
        let adapter = self.running().await.adapter;
        let looks = || adapter.sources().iter().find(|s| s.name == name).map(look);
        // The look under way may have begun before; the one after it hasn't.
        for _ in 0..2 {
            let before = looks();
            until(name, || looks() != before).await;
        }
    }

    async fn calm(&self) {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            let report = self.report().await;
            let departing = report.status.as_ref().map_or(1, |status| status.departing);
            if report.read_all() && report.converged() && departing == 0 && self.plan().await.steps.is_empty()
            {
                return;
            }
        }
    }

    /// Ends it in an orderly way.
    pub async fn stop(mut self) -> Result<(), ControllerError> {
        self.stop.cancel();
        let task = self.task.take().expect("runs until here");
        let ended = tokio::time::timeout(LIMIT, task).await;
        ended.expect("stops in time").expect("no panic")
    }

    /// Ends it as a crash does: nothing is waited for and nothing given back.
    pub async fn kill(mut self) {
        let task = self.task.take().expect("runs until here");
        task.abort();
        match task.await {
            Err(error) if error.is_cancelled() => {}
            ended => panic!("ended by itself: {ended:?}"),
        }
    }
}

/// What moves with every complete look at a source.
fn look(source: &SourceStatus) -> (Option<tokio::time::Instant>, u64) {
    match source.counts.get("cycles") {
        Some(cycles) => (None, *cycles),
        None => (source.last_success, 0),
    }
}
