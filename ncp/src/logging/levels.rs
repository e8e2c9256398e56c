//! What is logged: levels by part of the program, changeable while it runs (R-CLI-34, L-59).

use crate::config::{Coe, K8s, LogLevel, Logs};
use std::sync::{Mutex, PoisonError};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::{Registry, reload};

/// The NSX API client, `[coe] nsxlib_loglevel`.
const NSX: &str = "ncp_nsxt";
/// The Kubernetes adaptor, `[k8s] loglevel`.
const KUBERNETES: &str = "ncp_kubernetes";
/// All crates of the controller begin so; the longest prefix that fits decides.
const OWN: &str = "ncp";

/// Libraries whose debug output may repeat what passes through them, tokens included. The root level
/// does not reach them.
const QUIET: &[&str] = &["h2", "hyper", "hyper_util", "reqwest", "rustls", "tonic", "tower"];

/// The levels of the running log.
#[derive(Debug)]
pub struct Levels {
    handle: reload::Handle<Targets, Registry>,
    targets: Mutex<Targets>,
}

/// The log's levels can't be changed.
#[derive(Debug, thiserror::Error)]
#[error("the log has ended")]
pub struct LevelError(#[from] reload::Error);

impl Levels {
    pub(super) fn new(handle: reload::Handle<Targets, Registry>, targets: Targets) -> Self {
        Self {
            handle,
            targets: Mutex::new(targets),
        }
    }

    /// Sets the level of the controller's own log until the program ends. `NOTSET` gives it the root
    /// level.
    ///
    /// # Errors
    /// [`LevelError`] if there is no log any more.
    pub fn set(&self, level: LogLevel) -> Result<(), LevelError> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let root = targets.default_level().unwrap_or(LevelFilter::INFO);
        let next = targets.clone().with_target(OWN, filter(level).unwrap_or(root));
        self.handle.reload(next.clone())?;
        *targets = next;
        Ok(())
    }
}

/// The levels that the configuration asks for.
pub(super) fn configured(logs: &Logs, coe: &Coe, k8s: &K8s) -> Targets {
    let root = if logs.debug {
        LevelFilter::DEBUG
    } else {
        LevelFilter::INFO
    };
    let own = coe.loglevel.and_then(filter).unwrap_or(root);
    let parts = [(NSX, coe.nsxlib_loglevel), (KUBERNETES, k8s.loglevel)];
    Targets::new()
        .with_default(root)
        .with_target(OWN, own)
        .with_targets(parts.map(|(part, level)| (part, level.and_then(filter).unwrap_or(own))))
        .with_targets(
            QUIET
                .iter()
                .map(|library| (*library, root.min(LevelFilter::INFO))),
        )
}

fn filter(level: LogLevel) -> Option<LevelFilter> {
    match level {
        LogLevel::NotSet => None,
        LogLevel::Debug => Some(LevelFilter::DEBUG),
        LogLevel::Info => Some(LevelFilter::INFO),
        LogLevel::Warning => Some(LevelFilter::WARN),
        LogLevel::Error | LogLevel::Critical => Some(LevelFilter::ERROR),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::tests::read_with;
    use tracing::Level;
    use tracing_subscriber::layer::SubscriberExt;

    /// More text for the file; target and level of events, and whether they are logged.
    type Case = (&'static str, &'static [(&'static str, Level, bool)]);

    #[test]
    fn levels_follow_the_configuration() {
        let cases: &[Case] = &[
            (
                "",
                &[
                    ("ncp::cli", Level::INFO, true),
                    ("ncp_core", Level::DEBUG, false),
                    ("other", Level::DEBUG, false),
                ],
            ),
            (
                "[DEFAULT]\ndebug = True",
                &[
                    ("ncp_core", Level::DEBUG, true),
                    ("ncp_nsxt::transport", Level::DEBUG, false),
                    ("hyper::proto", Level::DEBUG, false),
                    ("hyper::proto", Level::INFO, true),
                ],
            ),
            (
                "[coe]\nloglevel = ERROR",
                &[("ncp_pcf", Level::WARN, false), ("ncp_nsxt", Level::INFO, true)],
            ),
            (
                "[coe]\nnsxlib_loglevel = debug",
                &[("ncp_nsxt", Level::DEBUG, true), ("ncp", Level::DEBUG, false)],
            ),
        ];
        for (text, probes) in cases {
            let config = read_with(text);
            let targets = configured(&config.logs, &config.coe, &config.k8s);
            for (target, level, want) in *probes {
                assert_eq!(
                    targets.would_enable(target, level),
                    *want,
                    "{text}: {target} {level}"
                );
            }
        }
    }

    #[test]
    fn the_level_changes_while_the_program_runs() {
        let config = read_with("");
        let targets = configured(&config.logs, &config.coe, &config.k8s);
        let (layer, handle) = reload::Layer::new(targets.clone());
        let _subscriber = tracing_subscriber::registry().with(layer);
        let levels = Levels::new(handle.clone(), targets);
        for (level, want) in [
            (LogLevel::Debug, true),
            (LogLevel::Error, false),
            (LogLevel::NotSet, false),
        ] {
            levels.set(level).unwrap();
            assert_eq!(
                handle
                    .clone_current()
                    .unwrap()
                    .would_enable("ncp::x", &Level::DEBUG),
                want,
                "{level:?}"
            );
        }
    }
}
