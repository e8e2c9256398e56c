//! The handle of a running emulator.

use std::sync::Arc;
use std::time::Duration;

use crate::control::Control;
use crate::error::EmulatorError;
use crate::faults::Faults;
use crate::kinds::seed;
use crate::log::RequestLog;
use crate::options::{Options, Tls, Version};
use crate::server::tls::{Authority, ClientCertificate};
use crate::server::{Manager, Shared};
use crate::store::Store;

/// What the running parts of an emulator have in common; the control API holds it too.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) shared: Arc<Shared>,
    pub(crate) managers: Vec<Manager>,
}

/// A running emulator. It ends when dropped; [`Emulator::stop`] waits for that.
#[derive(Debug)]
pub struct Emulator {
    running: Arc<Running>,
    authority: Option<Authority>,
    control: Option<Control>,
}

impl Emulator {
    /// Starts the managers, and the control API if an address is given for it.
    pub async fn start(options: Options) -> Result<Self, EmulatorError> {
        let store = Store::open(
            &options.state,
            options.version,
            options.realization_lag,
            options.search_lag,
        )?;
        let log = RequestLog::new(options.log);
        let shared = Shared::new(store, log, options.credentials.clone(), options.page_limit);
        shared.store().transact("system", |tx| {
            seed::seed(tx);
            Ok::<_, EmulatorError>(())
        })?;
        let authority = matches!(options.tls, Tls::On { .. })
            .then(Authority::new)
            .transpose()?;
        let managers = managers(&options, &shared, authority.as_ref()).await?;
        let running = Arc::new(Running { shared, managers });
        let control = match options.control {
            Some(address) => Some(Control::start(address, running.clone()).await?),
            None => None,
        };
        Ok(Emulator {
            running,
            authority,
            control,
        })
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.running.shared
    }

    /// The base address of each manager, such as `http://127.0.0.1:40001`.
    pub fn urls(&self) -> Vec<String> {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        self.running
            .managers
            .iter()
            .map(|manager| format!("{scheme}://{}", manager.address))
            .collect()
    }

    /// The address of the control API, if there is one.
    pub fn control_url(&self) -> Option<String> {
        self.control
            .as_ref()
            .map(|control| format!("http://{}", control.address))
    }

    /// The release spoken.
    pub fn version(&self) -> Version {
        self.shared().version
    }

    /// The authority that signed the managers' certificates, in PEM; `None` without TLS.
    pub fn ca_pem(&self) -> Option<String> {
        self.authority.as_ref().map(Authority::pem)
    }

    /// Makes a client certificate whose holder is logged in under the name; `None` without TLS.
    pub fn issue_client(&self, name: &str) -> Result<Option<ClientCertificate>, EmulatorError> {
        let Some(authority) = &self.authority else {
            return Ok(None);
        };
        let (shown, der) = authority.client(name)?;
        self.shared().identities.register(der, name.to_owned());
        Ok(Some(shown))
    }

    /// The switches for faults.
    pub fn faults(&self) -> &Faults {
        &self.shared().faults
    }

    /// What was asked and answered.
    pub fn log(&self) -> &RequestLog {
        &self.shared().log
    }

    /// Sets the time between storing and realization; `Duration::MAX` holds it back for good.
    pub fn set_realization_lag(&self, lag: Duration) {
        self.shared().store().set_realization_lag(lag);
    }

    /// Realizes at once what waits for it.
    pub fn realize_all(&self) {
        self.shared().store().realize_all();
    }

    /// Sets the time between storing and finding by search.
    pub fn set_search_lag(&self, lag: Duration) {
        self.shared().store().set_search_lag(lag);
    }

    /// Ends a manager as a crash would: connections are reset, new ones refused.
    pub async fn kill(&self, manager: usize) -> Result<(), EmulatorError> {
        self.running.manager(manager)?.kill().await;
        Ok(())
    }

    /// Brings a killed manager back, on its port, without its sessions' clients noticing more than a gap.
    pub async fn revive(&self, manager: usize) -> Result<(), EmulatorError> {
        self.running.manager(manager)?.revive().await
    }

    /// Makes a manager accept and read but never answer, or ends that.
    pub fn hang(&self, manager: usize, hanging: bool) -> Result<(), EmulatorError> {
        self.running.manager(manager)?.set_hanging(hanging);
        Ok(())
    }

    /// Sets `_protection` of an object, e.g. `REQUIRE_OVERRIDE`, as when another principal owns it. False if
    /// there is no such object.
    pub fn protect(&self, kind: &str, id: &str, value: &str) -> Result<bool, EmulatorError> {
        self.shared().protect(kind, id, value)
    }

    /// Ends all managers.
    pub async fn stop(self) {
        for manager in &self.running.managers {
            manager.kill().await;
        }
    }
}

impl Running {
    pub(crate) fn manager(&self, index: usize) -> Result<&Manager, EmulatorError> {
        let count = self.managers.len();
        self.managers
            .get(index)
            .ok_or(EmulatorError::NoManager { index, count })
    }
}

async fn managers(
    options: &Options,
    shared: &Arc<Shared>,
    authority: Option<&Authority>,
) -> Result<Vec<Manager>, EmulatorError> {
    let client_auth = options.tls == Tls::On { client_auth: true };
    let tls = authority
        .map(|authority| authority.server(client_auth))
        .transpose()?;
    let mut managers = Vec::with_capacity(options.managers);
    for index in 0..options.managers {
        let mut address = options.listen;
        if address.port() != 0 {
            address.set_port(
                address
                    .port()
                    .saturating_add(u16::try_from(index).unwrap_or(u16::MAX)),
            );
        }
        managers.push(Manager::start(index, address, shared.clone(), tls.clone()).await?);
    }
    Ok(managers)
}
