//! The daemon: a controller from its start to its end, with its admin API.
//!
//! The API is open before anything else is tried, so that a controller that waits for its managers says
//! so there, and it stays open while the controller drains.

mod inside;

pub use inside::{live, page};

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::admin::{self, AdminError, Ask, Doors, Inside};
use crate::config::{Address, Config};
use crate::telemetry::Snapshot;
use crate::wiring::{Controller, ControllerError, Mode, Pace, Preparation, waiting};

/// Why the daemon ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// The admin API.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The controller.
    #[error(transparent)]
    Controller(#[from] ControllerError),
}

impl DaemonError {
    /// Whether the configuration must be mended before a start can succeed.
    pub fn is_configuration(&self) -> bool {
        match self {
            // The socket may be free in a moment.
            DaemonError::Admin(_) => false,
            DaemonError::Controller(error) => error.is_configuration(),
        }
    }
}

/// The driver's ends of the admin API.
#[derive(Debug)]
pub struct Front {
    /// Where snapshots go.
    pub snapshots: watch::Sender<Arc<Snapshot>>,
    /// What is asked.
    pub asked: mpsc::Receiver<Ask>,
}

/// Runs a controller until `stop`, or until it fails.
///
/// # Errors
/// [`DaemonError`] says what to do.
pub async fn serve(
    config: &Config,
    pace: &Pace,
    mode: Mode,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    let tcp = config.ncp.admin_address.as_ref().and_then(Address::socket);
    let doors = Doors::open(&config.ncp.admin_socket, tcp).await?;
    let preparation = Preparation::new(config, pace, mode)?;
    with_front(doors, async |mut front| {
        match made(&preparation, config, pace, &mut front, &stop).await? {
            Some(controller) => live(controller, front, stop, async |_| {}).await,
            None => Ok(()),
        }
    })
    .await
    .map_err(DaemonError::from)
}

/// Does `work` with the admin API open.
pub async fn with_front<T>(doors: Doors, work: impl AsyncFnOnce(Front) -> T) -> T {
    let (snapshots, snapshot) = watch::channel(Arc::new(Snapshot::default()));
    let (ask, asked) = mpsc::channel(4);
    let ended = CancellationToken::new();
    let served = async {
        if let Err(error) = admin::serve(doors, Inside { snapshot, ask }, ended.clone()).await {
            tracing::error!(code = "NCP03003", %error, "the admin API ended; the controller goes on without");
        }
    };
    let work = async {
        let done = work(Front { snapshots, asked }).await;
        ended.cancel();
        done
    };
    tokio::join!(work, served).0
}

/// Makes the controller, waiting for managers that do not answer yet; `None` if stopped meanwhile.
async fn made(
    preparation: &Preparation,
    config: &Config,
    pace: &Pace,
    front: &mut Front,
    stop: &CancellationToken,
) -> Result<Option<Controller>, ControllerError> {
    let mut wait = FIRST_WAIT;
    loop {
        let attempt = stop
            .run_until_cancelled(preparation.controller(config, pace))
            .await;
        let error = match attempt {
            None => return Ok(None),
            Some(Err(error)) if !error.is_configuration() => error,
            Some(made) => return made.map(Some),
        };
        let told = error.to_string();
        tracing::error!(
            code = "NCP00009",
            error = told,
            "no NSX manager can be worked with yet; trying on"
        );
        let snapshot = waiting(&preparation.owner, &preparation.api().status(), &told);
        front.snapshots.send_replace(Arc::new(snapshot));
        let patience = tokio::time::sleep(wait);
        tokio::pin!(patience);
        loop {
            tokio::select! {
                () = &mut patience => break,
                () = stop.cancelled() => return Ok(None),
                // Nothing can be answered yet; whoever asks hears that from the closed reply.
                Some(ask) = front.asked.recv() => drop(ask),
            }
        }
        wait = (wait * 2).min(LAST_WAIT);
    }
}

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_secs(15);
