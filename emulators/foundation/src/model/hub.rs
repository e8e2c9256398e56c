//! Fan-out of events: each subscriber has one bounded queue per hub and loses its place when it is slow.
//!
//! Source: `events/hub.go` of `bbs`. Nothing is kept for later subscribers, and the end of a stream does
//! not say how much was missed.

use std::sync::Arc;

use diego_wire::bbs;
use diego_wire::event::BbsEvent;
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::faults::StreamFaults;

/// Events that wait for one subscriber in one hub.
pub(crate) const QUEUE: usize = 1024;

/// An event, encoded once for all subscribers.
#[derive(Debug)]
pub(crate) struct Published {
    pub name: &'static str,
    pub payload: Vec<u8>,
    /// The cell a filter compares; `None` is never filtered.
    pub cell: Option<String>,
}

pub(crate) type Subscription = mpsc::Receiver<Arc<Published>>;

/// Which hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Desired,
    Instances,
    Groups,
    Tasks,
}

/// The hubs of the active BBS.
#[derive(Debug, Default)]
pub(crate) struct Hubs {
    subscribers: [Vec<mpsc::Sender<Arc<Published>>>; 4],
    held: Option<(Channel, Arc<Published>)>,
    pub faults: StreamFaults,
}

impl Hubs {
    pub(crate) fn subscribe(&mut self, channel: Channel) -> Subscription {
        let (sender, receiver) = mpsc::channel(QUEUE);
        self.subscribers[channel as usize].push(sender);
        receiver
    }

    /// Ends all streams and forgets their subscribers.
    pub(crate) fn close(&mut self) {
        self.subscribers = Default::default();
        self.held = None;
    }

    /// Whether anybody would see an event; building one is not free.
    pub(crate) fn is_idle(&self, channel: Channel) -> bool {
        self.subscribers[channel as usize].is_empty()
    }

    /// Number of streams that listen to a hub.
    pub(crate) fn listeners(&self, channel: Channel) -> usize {
        self.subscribers[channel as usize]
            .iter()
            .filter(|sender| !sender.is_closed())
            .count()
    }

    /// Sends an event to a hub, as far as the armed faults let it.
    pub(crate) fn publish(&mut self, channel: Channel, event: &BbsEvent, cell: Option<String>) {
        let published = Arc::new(Published {
            name: event.name(),
            payload: event.payload(),
            cell,
        });
        if self.faults.drop > 0 {
            self.faults.drop -= 1;
            return;
        }
        if self.faults.swap > 0 && self.held.is_none() {
            self.faults.swap -= 1;
            self.held = Some((channel, published));
            return;
        }
        self.send(channel, &published);
        if self.faults.duplicate_removed && matches!(event, BbsEvent::InstanceRemoved(_)) {
            self.send(channel, &published);
        }
        if let Some((channel, held)) = self.held.take() {
            self.send(channel, &held);
        }
    }

    fn send(&mut self, channel: Channel, event: &Arc<Published>) {
        // Dropping the sender is the eviction: the queue drains, then the stream ends.
        self.subscribers[channel as usize].retain(|sender| match sender.try_send(event.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => false,
        });
    }
}

/// The cell of an instance event, empty for records without a container.
pub(crate) fn cell_of(lrp: &bbs::ActualLrp) -> Option<String> {
    Some(
        lrp.actual_lrp_instance_key
            .as_ref()
            .map(|key| key.cell_id.clone())
            .unwrap_or_default(),
    )
}
