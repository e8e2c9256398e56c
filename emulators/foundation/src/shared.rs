//! What all services of one foundation share: the world behind its lock, and where everybody listens.

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::mpsc;

use crate::bbs::pool::FailOverOrder;
use crate::foundation::Endpoints;
use crate::model::World;

/// One foundation.
#[derive(Debug)]
pub(crate) struct Shared {
    world: Mutex<World>,
    pub endpoints: OnceLock<Endpoints>,
    /// Base of Cloud Controller's links.
    pub external: OnceLock<String>,
    /// The BBS is elected but not ready.
    pub warming: AtomicBool,
    pub fail_over: mpsc::UnboundedSender<FailOverOrder>,
}

impl Shared {
    pub(crate) fn new(world: World, fail_over: mpsc::UnboundedSender<FailOverOrder>) -> Self {
        Self {
            world: Mutex::new(world),
            endpoints: OnceLock::new(),
            external: OnceLock::new(),
            warming: AtomicBool::new(false),
            fail_over,
        }
    }

    /// The world; a panic of another holder leaves it usable, since each step is complete or not begun.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn external(&self) -> &str {
        self.external
            .get()
            .map_or(crate::options::EXTERNAL_URL, String::as_str)
    }
}
