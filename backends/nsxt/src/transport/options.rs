//! What the transport needs to know: the connection options of `[nsx_v3]`, already parsed.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use secrecy::SecretString;

use super::address::ManagerAddress;
use super::error::OptionsError;

/// Contents of a PEM file that holds nothing secret, and where it came from (for messages).
#[derive(Clone)]
pub struct Pem {
    /// Path or other name of the source.
    pub source: String,
    /// The bytes of the file.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Pem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Pem({}, {} bytes)", self.source, self.bytes.len())
    }
}

/// How the controller proves who it is (`nsx_api_user` …, `nsx_api_cert_file` …).
///
/// A client certificate excludes user and password: if both are sent, NSX goes by the password.
#[derive(Clone, Debug)]
pub enum Auth {
    /// `Authorization: Basic` on each call.
    Basic {
        /// User name.
        user: String,
        /// Password.
        password: SecretString,
    },
    /// A session cookie with an XSRF token, made with user and password on each manager by itself.
    Session {
        /// User name.
        user: String,
        /// Password.
        password: SecretString,
    },
    /// A TLS client certificate that is registered as a principal identity.
    ClientCertificate {
        /// Certificate chain, the own certificate first.
        certificate: Pem,
        /// Private key in PEM.
        private_key: SecretString,
    },
}

/// Which manager certificates are believed (`insecure`, `ca_file`; R-NCP-05).
#[derive(Clone, Debug)]
pub enum Trust {
    /// The roots of the operating system.
    System,
    /// One bundle for all managers.
    Bundle(Pem),
    /// One bundle for each manager, in the order of the managers.
    PerManager(Vec<Pem>),
    /// Any certificate. Only for laboratories.
    Insecure,
}

/// Everything the transport can be told; defaults are those of the guide (R-CFG-08).
#[derive(Clone, Debug)]
pub struct Options {
    /// The managers, at least one.
    pub managers: Vec<ManagerAddress>,
    /// How the controller proves who it is.
    pub auth: Auth,
    /// Which manager certificates are believed.
    pub trust: Trust,
    /// `http_timeout`: TCP connect and TLS handshake together.
    pub http_timeout: Duration,
    /// `http_read_timeout`: the longest silence while an answer is awaited or read.
    pub http_read_timeout: Duration,
    /// `http_retries`: how often a call is repeated after a failed connection (reads: after any passing failure).
    pub http_retries: u32,
    /// `concurrent_connections` to each manager, which is also the number of calls in flight there.
    pub concurrent_connections: usize,
    /// `conn_idle_timeout`: a manager silent for this long is probed.
    pub conn_idle_timeout: Duration,
    /// `redirects` followed in one call.
    pub redirects: u32,
    /// `retries` on a stale revision. The transport never repeats such a call; whoever re-reads does.
    pub retries: u32,
    /// Requests per second allowed to this controller on *each* manager. Caps what the manager reports.
    pub max_api_rate: Option<NonZeroU32>,
}

impl Options {
    /// Options with the guide's defaults.
    pub fn new(managers: Vec<ManagerAddress>, auth: Auth, trust: Trust) -> Self {
        Self {
            managers,
            auth,
            trust,
            http_timeout: Duration::from_secs(10),
            http_read_timeout: Duration::from_secs(180),
            http_retries: 3,
            concurrent_connections: 10,
            conn_idle_timeout: Duration::from_secs(10),
            redirects: 2,
            retries: 10,
            max_api_rate: None,
        }
    }

    /// Refuses combinations that can't work, before anything is opened.
    pub(super) fn validate(&self) -> Result<(), OptionsError> {
        if self.managers.is_empty() {
            return Err(OptionsError::NoManagers);
        }
        let repeated = |(at, one): &(usize, &ManagerAddress)| self.managers[..*at].contains(one);
        if let Some((_, twice)) = self.managers.iter().enumerate().find(repeated) {
            return Err(OptionsError::ManagerTwice(twice.clone()));
        }
        if self.concurrent_connections == 0 {
            return Err(OptionsError::NoConnections);
        }
        match &self.trust {
            Trust::PerManager(bundles) if bundles.len() != self.managers.len() => {
                Err(OptionsError::BundleCount {
                    managers: self.managers.len(),
                    bundles: bundles.len(),
                })
            }
            _ => Ok(()),
        }
    }

    /// The trust for the manager at this place in the list (valid after [`Options::validate`]).
    pub(super) fn trust_of(&self, index: usize) -> ManagerTrust<'_> {
        match &self.trust {
            Trust::System => ManagerTrust::System,
            Trust::Insecure => ManagerTrust::Insecure,
            Trust::Bundle(pem) => ManagerTrust::Bundle(pem),
            Trust::PerManager(bundles) => ManagerTrust::Bundle(&bundles[index]),
        }
    }
}

/// [`Trust`] as one manager sees it.
#[derive(Clone, Copy)]
pub(super) enum ManagerTrust<'a> {
    System,
    Bundle(&'a Pem),
    Insecure,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn options(managers: &[&str]) -> Options {
        let managers = managers.iter().map(|one| one.parse().unwrap()).collect();
        let auth = Auth::Basic {
            user: "admin".into(),
            password: "hunter2".to_owned().into(),
        };
        Options::new(managers, auth, Trust::System)
    }

    #[test]
    fn combinations_that_cannot_work_are_refused() {
        assert!(matches!(options(&[]).validate(), Err(OptionsError::NoManagers)));
        assert!(matches!(
            options(&["a", "a:443"]).validate(),
            Err(OptionsError::ManagerTwice(_))
        ));
        let mut idle = options(&["a"]);
        idle.concurrent_connections = 0;
        assert!(matches!(idle.validate(), Err(OptionsError::NoConnections)));
        let mut bundles = options(&["a", "b"]);
        bundles.trust = Trust::PerManager(vec![Pem {
            source: "ca".into(),
            bytes: Vec::new(),
        }]);
        assert!(matches!(
            bundles.validate(),
            Err(OptionsError::BundleCount {
                managers: 2,
                bundles: 1
            })
        ));
        assert!(options(&["a", "b"]).validate().is_ok());
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let shown = format!("{:?}", options(&["a"]));
        assert!(shown.contains("admin") && !shown.contains("hunter2"), "{shown}");
    }
}
