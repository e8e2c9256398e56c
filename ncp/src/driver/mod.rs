//! The driver: the only place where the engine meets sockets and clocks.
//!
//! One task owns the engine. Events, answers, leadership and orders come in through channels; what
//! [`Engine::poll`] says is sent by tasks of its own, whose answers come back to the loop. Nothing is
//! detached: when the loop ends, every task has ended.

mod clock;
mod effects;
mod report;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use ncp_core::dialect::{Dialect, FarEnd, Fence};
use ncp_core::engine::{Engine, Plan};
use ncp_core::event::Event;
use ncp_core::time::Time;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

pub use clock::Clock;
pub use effects::Pacing;
pub use report::{Report, held};

use effects::Effects;

/// How many events are taken in before the engine is asked again.
const EVENTS: usize = 4096;

/// What reaches the driver from outside.
#[derive(Debug)]
pub struct Inputs {
    /// What the adapter says.
    pub events: mpsc::Receiver<Event>,
    /// Whether, and until when, this controller may write.
    pub fence: watch::Receiver<Option<Fence>>,
    /// What the operator asks.
    pub orders: mpsc::Receiver<Order>,
    /// Cancelled when the program is to end.
    pub stop: CancellationToken,
}

/// What an operator asks of a running controller.
#[derive(Debug)]
pub enum Order {
    /// The total difference, as of now.
    Plan(oneshot::Sender<Plan>),
    /// How the engine is doing, as of now; what is published may be some time old.
    Report(oneshot::Sender<Report>),
    /// Let go what the brakes hold back, and say what that was.
    Confirm(oneshot::Sender<Vec<String>>),
}

/// Why a driver ended before it was told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// The adapter ended.
    #[error("NCP00047 Adapter watcher exception: the platform adapter ended; the controller restarts")]
    AdapterEnded,
    /// A task of the driver's panicked.
    #[error("NCP00072 Dispatcher failed: a request's task ended without an answer; the controller restarts")]
    TaskLost,
    /// Requests were still under way when the time for stopping was over.
    #[error("requests were still under way after {0:?}; the next start looks at what became of them")]
    NotDrained(Duration),
}

/// Owns the engine.
pub struct Driver<D: Dialect, F> {
    engine: Engine<D>,
    effects: Effects<D, F>,
    clock: Clock,
    reports: watch::Sender<Arc<Report>>,
    next_report: Time,
    /// Something happened since the last report.
    news: bool,
    /// More could be sent than the far end has credits for.
    starving: bool,
    wake: Option<Time>,
    drain: Duration,
}

impl<D, F> Driver<D, F>
where
    D: Dialect + Send + Sync + 'static,
    F: FarEnd<D> + Pacing + 'static,
{
    /// A driver of this engine towards this far end; stopping waits at most `drain` for answers.
    pub fn new(engine: Engine<D>, far_end: Arc<F>, clock: Clock, drain: Duration) -> Driver<D, F> {
        let (reports, _) = watch::channel(Arc::new(Report::default()));
        Driver {
            engine,
            effects: Effects::new(far_end),
            clock,
            reports,
            next_report: Time(0),
            news: true,
            starving: false,
            wake: None,
            drain,
        }
    }

    /// How the engine is doing, as it goes.
    pub fn reports(&self) -> watch::Receiver<Arc<Report>> {
        self.reports.subscribe()
    }

    /// Drives until told to stop.
    ///
    /// # Errors
    /// If the adapter or a request's task ended by itself, or if requests were left when stopping.
    pub async fn run(mut self, mut inputs: Inputs) -> Result<(), DriverError> {
        let mut events = Vec::with_capacity(EVENTS);
        self.lead(&mut inputs.fence);
        loop {
            self.advance();
            let (far_end, clock, wake) = (self.effects.far_end(), self.clock, self.wake());
            let starving = self.starving && self.effects.has_place();
            tokio::select! {
                biased;
                () = inputs.stop.cancelled() => return self.stop().await,
                Ok(()) = inputs.fence.changed() => self.lead(&mut inputs.fence),
                answer = self.effects.answer() => {
                    answer.ok_or(DriverError::TaskLost)?.tell(&mut self.engine, self.clock.now());
                    self.take_answers()?;
                }
                count = inputs.events.recv_many(&mut events, EVENTS) => {
                    if count == 0 {
                        return Err(DriverError::AdapterEnded);
                    }
                    let now = self.clock.now();
                    events.drain(..).for_each(|event| self.engine.feed(event, now));
                }
                Some(order) = inputs.orders.recv() => self.obey(order),
                () = far_end.credit(), if starving => {}
                () = clock.until(wake) => {
                    self.news |= self.wake.is_some_and(|wake| wake <= clock.now());
                    continue;
                }
            }
            self.news = true;
        }
    }

    /// Answers that are there already are taken in together, so that the engine decides once.
    fn take_answers(&mut self) -> Result<(), DriverError> {
        while let Some(answer) = self.effects.try_answer() {
            answer
                .map_err(|()| DriverError::TaskLost)?
                .tell(&mut self.engine, self.clock.now());
        }
        Ok(())
    }

    fn lead(&mut self, fence: &mut watch::Receiver<Option<Fence>>) {
        let fence = *fence.borrow_and_update();
        self.engine.lead(fence, self.clock.now());
    }

    /// Asks the engine what to do, and does it.
    fn advance(&mut self) {
        let now = self.clock.now();
        let credits = self.effects.room();
        let poll = self.engine.poll(now, credits);
        self.starving = poll.effects.len() >= credits;
        self.news |= !poll.effects.is_empty();
        self.wake = poll.wake;
        poll.effects
            .into_iter()
            .for_each(|effect| self.effects.start(effect));
        self.report(now);
    }

    fn wake(&self) -> Time {
        let report = self.wants_report().then_some(self.next_report);
        [self.wake, report]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(self.clock.now() + Duration::from_secs(3600))
    }

    /// A state that has not moved is not counted again: at rest the driver sleeps.
    fn wants_report(&self) -> bool {
        self.news && self.reports.receiver_count() > 0
    }

    /// Publishes a report, seldom enough that making it costs little beside the work.
    fn report(&mut self, now: Time) {
        if now < self.next_report || !self.wants_report() {
            return;
        }
        self.news = false;
        let report = Report::of(&self.engine);
        let cost = self.clock.now().since(now);
        self.next_report = now + (cost * 20).max(Duration::from_millis(200));
        self.reports.send_if_modified(|old| {
            let news = **old != report;
            if news {
                *old = Arc::new(report);
            }
            news
        });
    }

    fn obey(&mut self, order: Order) {
        match order {
            // Whoever asked may have gone.
            Order::Plan(reply) => drop(reply.send(self.engine.plan(self.clock.now()))),
            Order::Report(reply) => drop(reply.send(Report::of(&self.engine))),
            Order::Confirm(reply) => {
                let held = held(&self.engine.status());
                self.engine.confirm();
                drop(reply.send(held));
            }
        }
    }

    async fn stop(mut self) -> Result<(), DriverError> {
        let limit = self.drain;
        let rest = async {
            while self.effects.busy() {
                if let Some(answer) = self.effects.answer().await {
                    answer.tell(&mut self.engine, self.clock.now());
                }
            }
        };
        tokio::time::timeout(limit, rest)
            .await
            .map_err(|_| DriverError::NotDrained(limit))
    }
}

impl<D: Dialect, F> std::fmt::Debug for Driver<D, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("starving", &self.starving)
            .field("wake", &self.wake)
            .finish_non_exhaustive()
    }
}
