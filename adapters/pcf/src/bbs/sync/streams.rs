//! The two event streams: opening, ending, and what their events do.

use std::time::Duration;

use super::{About, BbsSync, Request, Step, Stream, StreamState, Subscription, Ticket};
use crate::bbs::record::Event;

impl BbsSync {
    pub(super) fn subscription(&mut self, stream: Stream) -> &mut Subscription {
        match stream {
            Stream::Lrps => &mut self.lrps,
            Stream::Tasks => &mut self.tasks_stream,
        }
    }

    pub(super) fn streams_open(&self) -> bool {
        let open = |of: &Subscription| matches!(of.state, StreamState::Open(_));
        open(&self.lrps) && open(&self.tasks_stream)
    }

    pub(super) fn stream_of(&self, ticket: Ticket) -> Option<Stream> {
        let is = |of: &Subscription| match of.state {
            StreamState::Opening(held) | StreamState::Open(held) => held == ticket,
            StreamState::Closed { .. } => false,
        };
        if is(&self.lrps) {
            Some(Stream::Lrps)
        } else if is(&self.tasks_stream) {
            Some(Stream::Tasks)
        } else {
            None
        }
    }

    pub(super) fn ended(&mut self, now: Duration, ticket: Ticket) {
        self.pending.remove(&ticket);
        if let Some(stream) = self.stream_of(ticket) {
            self.close(now, stream);
        }
    }

    /// What was read since can't be joined with a stream that has a gap: the cycle starts over.
    pub(super) fn close(&mut self, now: Duration, stream: Stream) {
        let subscription = self.subscription(stream);
        let wait = subscription.backoff.next_delay();
        subscription.state = StreamState::Closed { until: now + wait };
        subscription.settled = false;
        self.current = None;
        self.step = Step::Streams;
    }

    pub(super) fn open_streams(&mut self, now: Duration) {
        for stream in [Stream::Lrps, Stream::Tasks] {
            let StreamState::Closed { until } = self.subscription(stream).state else {
                continue;
            };
            if until <= now {
                let ticket = self.ask(Request::Open(stream), About::Stream(stream));
                self.subscription(stream).state = StreamState::Opening(ticket);
            }
        }
    }

    pub(super) fn event(&mut self, now: Duration, ticket: Ticket, event: Event) {
        let Some(stream) = self.stream_of(ticket) else {
            return;
        };
        self.subscription(stream).events += 1;
        let mark = self.mark;
        match event {
            Event::Desired(desired) => self.learn(desired, mark),
            Event::DesiredGone(info) => self.unlearn(&info, mark),
            Event::Actual(actual, before) => {
                let touched = self.register.upsert(*actual, before, mark, now);
                self.refresh_all(touched);
            }
            Event::ActualGone(actual) => {
                let touched = self.register.remove(&actual, mark);
                self.refresh_all(touched);
            }
            Event::Task(row) => {
                let touched = self.tasks.upsert(row, mark);
                self.refresh_all(touched);
            }
            Event::TaskGone(handle) => {
                let touched = self.tasks.remove(&handle, mark);
                self.refresh_all(touched);
            }
        }
    }
}

impl Subscription {
    /// A cycle ended with the stream open.
    pub(super) fn settle(&mut self) {
        if matches!(self.state, StreamState::Open(_)) {
            self.backoff.reset();
            self.settled = true;
        }
    }
}
