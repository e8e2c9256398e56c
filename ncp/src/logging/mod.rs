//! The log: one line an event, in the form that the guide's filters and log collectors expect.
//!
//! ```text
//! events ──levels──▶ line ──┬──▶ standard error
//!                           ├──▶ file, rotated and compressed
//!                           └──▶ syslog daemon
//! ```
//!
//! Levels come from the configuration and can be changed while the program runs ([`Levels::set`]).
//! Programs of the node use the same form under another [`Source`].

mod levels;
mod line;
mod rotate;
mod syslog;

pub use levels::{LevelError, Levels};
pub use line::Source;

use crate::config::{Coe, K8s, Logs};
use line::Line;
use rotate::{Limits, RotatingFile};
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use syslog::Syslog;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, reload};

/// The log can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Only one log a process.
    #[error("this process has a log already")]
    Twice(#[from] TryInitError),
}

/// A place that was configured and can't be logged to. The others are used; standard error joins
/// them even where it is switched off, since a log that nobody sees helps nobody (L-29).
struct Unusable {
    place: PathBuf,
    error: io::Error,
}

/// Starts the log of this process.
///
/// # Errors
/// [`LogError`] if the process has one. Places that can't be used are logged as warnings, not
/// returned as errors.
pub fn start(source: Source, logs: &Logs, coe: &Coe, k8s: &K8s) -> Result<Levels, LogError> {
    let mut unusable = Vec::new();
    let file = logs.log_dir.as_ref().and_then(|dir| {
        let path = dir.join(&logs.log_file);
        let limits = Limits {
            bytes: logs.log_rotation_file_max_mb.get() << 20,
            // The option's own bound is far below.
            backups: usize::try_from(logs.log_rotation_backup_count.get()).unwrap_or(usize::MAX),
        };
        opened(RotatingFile::open(path.clone(), limits), path, &mut unusable)
    });
    let syslog = logs
        .use_syslog
        .then(|| opened(Syslog::connect(), Syslog::SOCKET.into(), &mut unusable))
        .flatten();
    let stderr = logs.use_stderr || !unusable.is_empty();

    let targets = levels::configured(logs, coe, k8s);
    let (filter, handle) = reload::Layer::new(targets.clone());
    tracing_subscriber::registry()
        .with(filter)
        .with(stderr.then(|| layer(source.clone(), io::stderr)))
        .with(file.map(|file| layer(source.clone(), Mutex::new(file))))
        .with(syslog.map(|syslog| layer(source, syslog)))
        .try_init()?;
    for Unusable { place, error } in unusable {
        tracing::warn!(place = %place.display(), %error, "a configured log is not usable, logging to standard error");
    }
    Ok(Levels::new(handle, targets))
}

fn opened<T>(result: io::Result<T>, place: PathBuf, unusable: &mut Vec<Unusable>) -> Option<T> {
    result
        .map_err(|error| unusable.push(Unusable { place, error }))
        .ok()
}

fn layer<S, W>(source: Source, writer: W) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'l> tracing_subscriber::registry::LookupSpan<'l>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .event_format(Line::new(source))
        .with_writer(writer)
}
