//! Effects under way: one task each, never more than the far end has room for.

use std::future::Future;
use std::sync::Arc;

use ncp_core::dialect::{Dialect, FarEnd, Outcome, ReadOutcome, StepId};
use ncp_core::engine::{Effect, Engine, ReadId};
use ncp_core::time::Time;
use tokio::task::JoinSet;

/// How much a far end takes.
pub trait Pacing: Send + Sync {
    /// How many requests may start now.
    fn credits(&self) -> usize;
    /// Waits until one may.
    fn credit(&self) -> impl Future<Output = ()> + Send;
    /// How many may be under way together.
    fn parallel(&self) -> usize;
}

/// What came back.
pub(super) enum Answer<D: Dialect> {
    Wrote(Vec<(StepId, Outcome<D>)>),
    Read(ReadId, ReadOutcome<D>),
}

impl<D: Dialect> Answer<D> {
    pub(super) fn tell(self, engine: &mut Engine<D>, now: Time) {
        match self {
            Answer::Wrote(outcomes) => {
                outcomes
                    .into_iter()
                    .for_each(|(step, outcome)| engine.done(step, outcome, now));
            }
            Answer::Read(id, outcome) => engine.read(id, outcome, now),
        }
    }
}

pub(super) struct Effects<D: Dialect, F> {
    far_end: Arc<F>,
    tasks: JoinSet<Answer<D>>,
}

impl<D, F> Effects<D, F>
where
    D: Dialect + Send + Sync + 'static,
    F: FarEnd<D> + Pacing + 'static,
{
    pub(super) fn new(far_end: Arc<F>) -> Effects<D, F> {
        Effects {
            far_end,
            tasks: JoinSet::new(),
        }
    }

    /// How many effects may start now.
    pub(super) fn room(&self) -> usize {
        let places = self.far_end.parallel().saturating_sub(self.tasks.len());
        self.far_end.credits().min(places)
    }

    pub(super) fn busy(&self) -> bool {
        !self.tasks.is_empty()
    }

    pub(super) fn start(&mut self, effect: Effect<D>) {
        let far_end = self.far_end.clone();
        match effect {
            Effect::Write(batch, fence) => {
                self.tasks
                    .spawn(async move { Answer::Wrote(far_end.write(batch, fence).await) });
            }
            Effect::Read(id, request) => {
                self.tasks
                    .spawn(async move { Answer::Read(id, far_end.read(request).await) });
            }
        }
    }

    /// The next answer; `None` if its task was lost. Waits for ever while nothing is under way.
    pub(super) async fn answer(&mut self) -> Option<Answer<D>> {
        match self.tasks.join_next().await {
            Some(answer) => answer.ok(),
            None => std::future::pending().await,
        }
    }

    /// An answer that is there already.
    pub(super) fn try_answer(&mut self) -> Option<Result<Answer<D>, ()>> {
        self.tasks.try_join_next().map(|answer| answer.map_err(drop))
    }

    /// Whether another effect has a place; else one becomes free with the next answer.
    pub(super) fn has_place(&self) -> bool {
        self.tasks.len() < self.far_end.parallel()
    }

    pub(super) fn far_end(&self) -> Arc<F> {
        self.far_end.clone()
    }
}
