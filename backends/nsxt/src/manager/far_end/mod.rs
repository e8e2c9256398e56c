//! The manager's far end: sends the dialect's operations, reads rows back, classifies every answer.
//!
//! One step of the planner is most often one request. Where the API asks for more (a section's revision
//! must be read before a rule is added; an address is claimed in three steps), they are made here, each
//! under the same fence and each such that a stop between any two of them leaves something the next
//! read tells: see `claim` for the only case with states of its own.
//!
//! What an answer means is decided in `outcome`; which object is where, in `paths`.

mod claim;
mod firewall;
mod lists;
mod outcome;
mod paths;
mod pool;
mod rows;
mod sweep;
mod write;

use std::sync::Arc;

use ncp_core::dialect::{Batch, Failure, FarEnd, Fence, Outcome, ReadOutcome, ReadRequest, StepId};
use ncp_core::time::Time;

use super::dialect::Manager;
use super::names::Environment;
use crate::transport::{Api, Deadline};

pub(super) use outcome::describe;

/// The clock that fences are stated in.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Time;
}

impl<F: Fn() -> Time + Send + Sync> Clock for F {
    fn now(&self) -> Time {
        self()
    }
}

/// The NSX manager as a far end.
pub struct NsxFarEnd {
    api: Api,
    manager: Manager,
    clock: Arc<dyn Clock>,
    page_size: usize,
    claims: tokio::sync::Mutex<()>,
}

impl NsxFarEnd {
    /// A far end over this client. `clock` is the one that the engine's times are of.
    pub fn new(api: Api, manager: Manager, clock: Arc<dyn Clock>) -> NsxFarEnd {
        NsxFarEnd {
            api,
            manager,
            clock,
            page_size: lists::LARGEST_PAGE,
            claims: tokio::sync::Mutex::default(),
        }
    }

    /// Asks for pages of at most this many objects.
    #[must_use]
    pub fn with_page_size(mut self, page_size: usize) -> NsxFarEnd {
        self.page_size = page_size.clamp(1, lists::LARGEST_PAGE);
        self
    }

    fn env(&self) -> &Environment {
        self.manager.environment()
    }

    /// The fence on the transport's clock.
    fn deadline(&self, fence: Fence) -> Deadline {
        Deadline::after(fence.deadline.since(self.clock.now()))
    }
}

impl FarEnd<Manager> for NsxFarEnd {
    async fn write(&self, batch: Batch<Manager>, fence: Fence) -> Vec<(StepId, Outcome<Manager>)> {
        self.write_batch(batch, self.deadline(fence)).await
    }

    async fn read(&self, request: ReadRequest<Manager>) -> ReadOutcome<Manager> {
        let read = match request {
            ReadRequest::Sweep(collection, cursor) => {
                self.sweep(collection, cursor.unwrap_or_default()).await
            }
            ReadRequest::Rows(asked) => self.rows(asked).await,
        };
        read.unwrap_or_else(|error| ReadOutcome::Failed(outcome::unreachable(&error)))
    }
}

/// A refusal that is found out before anything is sent.
fn refused(failure: Failure) -> Outcome<Manager> {
    Outcome::Refused(failure)
}
