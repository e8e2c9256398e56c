//! The managers on their sockets.
//!
//! All of them serve one [`Shared`] state. Each connection is a task of its own, served directly on its socket,
//! so that a fault can reset it at any point of a request.

mod auth;
mod limits;
mod manager;
mod pipeline;
pub(crate) mod tls;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use self::auth::Identities;
pub(crate) use self::manager::Manager;
use crate::error::EmulatorError;
use crate::faults::Faults;
use crate::kinds::Kind;
use crate::log::RequestLog;
use crate::options::{Credentials, Version};
use crate::store::Store;

/// What all managers, the control API and the library handle share.
#[derive(Debug)]
pub(crate) struct Shared {
    store: Mutex<Store>,
    pub(crate) faults: Faults,
    pub(crate) log: RequestLog,
    pub(crate) credentials: Credentials,
    pub(crate) page_limit: Option<usize>,
    pub(crate) version: Version,
    pub(crate) identities: Identities,
}

impl Shared {
    pub(crate) fn new(
        store: Store,
        log: RequestLog,
        credentials: Credentials,
        page_limit: Option<usize>,
    ) -> Arc<Self> {
        let version = store.version;
        Arc::new(Shared {
            store: Mutex::new(store),
            faults: Faults::default(),
            log,
            credentials,
            page_limit,
            version,
            identities: Identities::default(),
        })
    }

    /// The store. A panic in a request leaves it as it was before, since a transaction keeps its notes outside.
    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets `_protection` of an object, as when another principal owns it; false if it isn't there.
    pub(crate) fn protect(&self, kind: &str, id: &str, value: &str) -> Result<bool, EmulatorError> {
        let Some(kind) = Kind::named(kind) else {
            return Ok(false);
        };
        self.store().transact("system", |tx| {
            let Some(object) = tx.view().get(kind, id).cloned() else {
                return Ok(false);
            };
            tx.touch(&object, |body| {
                drop(body.insert("_protection".into(), value.into()))
            });
            Ok(true)
        })
    }
}
