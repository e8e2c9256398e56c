//! Questions, answers, and the cycle of listings.

use std::time::Duration;

use super::{
    About, Answer, BbsSync, Mode, Output, Pending, Request, Scope, Step, Stream, StreamState, Ticket,
};
use crate::backoff::jittered;
use crate::bbs::record::{Actual, Cell, Kind, TaskRow};
use crate::bbs::register::{Mark, Merged};
use crate::ids::Handle;

use super::{APPS, TASKS};

impl BbsSync {
    pub(super) fn ask(&mut self, request: Request, about: About) -> Ticket {
        self.tickets += 1;
        self.mark += 1;
        let ticket = Ticket(self.tickets);
        let pending = Pending {
            mark: self.mark,
            about,
        };
        self.pending.insert(ticket, pending);
        self.out.push(Output::Ask(ticket, request));
        ticket
    }

    pub(super) fn answered(&mut self, now: Duration, ticket: Ticket, answer: Answer) {
        let Some(pending) = self.pending.remove(&ticket) else {
            return;
        };
        match (pending.about, answer) {
            (About::Stream(stream), Answer::Opened) => self.opened(stream, ticket),
            (About::Records { asked, .. }, Answer::Desired(found)) => {
                self.records(asked, found, pending.mark)
            }
            (About::Place(place), Answer::Actuals(rows)) => {
                let keep = !self.fresh.contains(APPS);
                let merged = self.register.merge_place(&place, rows, pending.mark, keep);
                self.refresh_all(merged.touched);
            }
            (About::Step, answer) if self.current == Some(ticket) => {
                self.current = None;
                self.step_answered(now, answer, pending.mark);
            }
            _ => {}
        }
    }

    pub(super) fn opened(&mut self, stream: Stream, ticket: Ticket) {
        let subscription = self.subscription(stream);
        if matches!(subscription.state, StreamState::Opening(held) if held == ticket) {
            subscription.state = StreamState::Open(ticket);
            subscription.events = 0;
        }
    }

    pub(super) fn failed(&mut self, now: Duration, ticket: Ticket) {
        let Some(pending) = self.pending.remove(&ticket) else {
            return;
        };
        match pending.about {
            About::Stream(stream) => {
                if self.stream_of(ticket) == Some(stream) {
                    self.close(now, stream);
                }
            }
            About::Step if self.current == Some(ticket) => self.fail_cycle(now),
            About::Step => {}
            About::Records { asked, urgent } => {
                self.records_until = now + self.backoff.next_delay();
                if urgent {
                    self.urgent.extend(asked);
                } else {
                    self.wanted.extend(asked);
                }
            }
            // A complete listing settles what the small one would have.
            About::Place(_) => self.hurry(now),
        }
    }

    pub(super) fn fail_cycle(&mut self, now: Duration) {
        self.current = None;
        self.step = Step::Failed {
            until: now + self.backoff.next_delay(),
        };
    }

    /// The next cycle begins now, or right after the one under way.
    pub(super) fn hurry(&mut self, now: Duration) {
        match &mut self.step {
            Step::Idle { until } => *until = now,
            _ => self.again = true,
        }
    }

    pub(super) fn change_mode(&mut self, now: Duration, mode: Mode) {
        if self.mode != mode && mode == Mode::Leading {
            self.hurry(now);
        }
        self.mode = mode;
    }

    pub(super) fn advance(&mut self, now: Duration) {
        self.open_streams(now);
        if !self.streams_open() {
            return;
        }
        self.ask_places(now);
        self.ask_records(now);
        while self.current.is_none() {
            let next = match self.step {
                Step::Idle { until } | Step::Failed { until } if now < until => return,
                Step::Streams | Step::Idle { .. } | Step::Failed { .. } => Step::Domains,
                Step::Records | Step::Missing if self.reading_records() => return,
                Step::Records => Step::Actuals,
                Step::Missing => {
                    self.list_containers(Scope::Instances);
                    Step::Tasks
                }
                step => step,
            };
            self.enter(next);
        }
    }

    pub(super) fn enter(&mut self, step: Step) {
        self.step = step;
        let request = match step {
            Step::Domains => Request::Domains,
            Step::Cells => Request::Cells,
            Step::Infos => Request::Infos,
            Step::Actuals => Request::Actuals,
            Step::Tasks => Request::Tasks,
            Step::Streams | Step::Records | Step::Missing | Step::Idle { .. } | Step::Failed { .. } => return,
        };
        self.current = Some(self.ask(request, About::Step));
    }

    pub(super) fn step_answered(&mut self, now: Duration, answer: Answer, asked: Mark) {
        match (self.step, answer) {
            (Step::Domains, Answer::Domains(fresh)) => {
                self.fresh = fresh.into_iter().collect();
                self.unavailable.clear();
                self.step = Step::Cells;
            }
            (Step::Cells, Answer::Cells(cells)) => {
                self.list_cells(cells);
                self.step = match self.mode {
                    Mode::Leading => Step::Infos,
                    Mode::Standby => Step::Actuals,
                };
            }
            (Step::Infos, Answer::Infos(infos)) => {
                self.compare(infos, asked);
                self.step = Step::Records;
                self.ask_records(now);
            }
            (Step::Actuals, Answer::Actuals(rows)) => self.took_actuals(now, rows, asked),
            (Step::Tasks, Answer::Tasks(rows)) => self.took_tasks(now, rows, asked),
            _ => self.fail_cycle(now),
        }
    }

    pub(super) fn took_actuals(&mut self, now: Duration, mut rows: Vec<Actual>, asked: Mark) {
        for row in &mut rows {
            if self.desired.contains_key(&row.process) {
                row.fallback = None;
            }
        }
        let keep = !self.fresh.contains(APPS);
        let merged = self.register.merge_all(rows, asked, keep);
        let silent = self.note_drift(&merged, Stream::Lrps);
        self.refresh_all(merged.touched);
        // Those that couldn't be given out before, as after coming to lead.
        let unplaced: Vec<Handle> = self
            .register
            .handles()
            .into_iter()
            .filter(|handle| !self.containers.contains_key(handle))
            .collect();
        self.refresh_all(unplaced);
        self.step = Step::Missing;
        self.ask_records(now);
        if silent {
            self.out.push(Output::Silent(Stream::Lrps));
            self.close(now, Stream::Lrps);
        }
    }

    pub(super) fn took_tasks(&mut self, now: Duration, rows: Vec<TaskRow>, asked: Mark) {
        let stale: &[Kind] = if self.fresh.contains(TASKS) {
            &[]
        } else {
            &[Kind::Task]
        };
        let merged = self.tasks.merge(rows, asked, stale);
        let silent = self.note_drift(&merged, Stream::Tasks);
        self.refresh_all(merged.touched);
        self.list_containers(Scope::Tasks);
        self.list_containers(Scope::Staging);
        self.end_cycle(now);
        if silent {
            self.out.push(Output::Silent(Stream::Tasks));
            self.close(now, Stream::Tasks);
        }
    }

    /// A listing that knows more than a stream that said nothing since the last one: half-open connections
    /// look like this, since an idle stream sends nothing at all.
    pub(super) fn note_drift(&mut self, merged: &Merged, stream: Stream) -> bool {
        let first = self.stats.cycles == 0;
        if !first {
            self.stats.drift += merged.drift as u64;
        }
        let events = std::mem::take(&mut self.subscription(stream).events);
        merged.drift > 0 && events == 0 && self.subscription(stream).settled
    }

    pub(super) fn end_cycle(&mut self, now: Duration) {
        self.stats.cycles += 1;
        self.backoff.reset();
        self.lrps.settle();
        self.tasks_stream.settle();
        let period = match self.mode {
            Mode::Leading => self.options.resync,
            Mode::Standby => self.options.standby_resync,
        };
        let wait = if std::mem::take(&mut self.again) {
            Duration::ZERO
        } else {
            jittered(period, self.options.seed, self.stats.cycles)
        };
        self.step = Step::Idle { until: now + wait };
    }

    pub(super) fn list_cells(&mut self, mut cells: Vec<Cell>) {
        cells.sort_unstable();
        let generation = self.begin(Scope::Cells);
        self.out.extend(cells.into_iter().map(Output::Cell));
        self.end(Scope::Cells, generation, true);
    }

    pub(super) fn list_containers(&mut self, scope: Scope) {
        let generation = self.begin(scope);
        let members = self
            .containers
            .values()
            .filter(|of| Scope::from(of.kind) == scope);
        self.out.extend(members.cloned().map(Output::Upsert));
        let complete = match scope {
            // A standby gives out only what it happens to know.
            Scope::Instances => self.mode == Mode::Leading && self.fresh.contains(APPS),
            Scope::Tasks => self.fresh.contains(TASKS),
            // Nobody ever vouches for the staging domain; its tasks are short and its lists complete.
            Scope::Staging | Scope::Cells => true,
        };
        self.end(scope, generation, complete);
    }

    pub(super) fn begin(&mut self, scope: Scope) -> u64 {
        self.generation += 1;
        self.out.push(Output::Begin(scope, self.generation));
        self.generation
    }

    pub(super) fn end(&mut self, scope: Scope, generation: u64, complete: bool) {
        self.out.push(Output::End {
            scope,
            generation,
            complete,
        });
    }
}
