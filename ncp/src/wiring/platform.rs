//! Cloud Foundry's clients, from the configuration.

use ncp_core::adapter::AdapterError;
use ncp_core::code::Code;
use ncp_pcf::adapter::{LockOptions, PcfAdapter, PcfOptions};
use ncp_pcf::bbs::BbsOptions;
use ncp_pcf::bbs::sync::SyncOptions;
use ncp_pcf::capi::{CapiOptions, WatchOptions};
use ncp_pcf::http::PeerOptions;
use ncp_pcf::locket::{LeaseTimings, LocketOptions};
use ncp_pcf::policy_server::PolicyWatchOptions;
use ncp_pcf::tls::{Pem, TlsMaterial, TlsOptions};
use ncp_pcf::uaa::ClientCredentials;
use std::sync::Arc;
use std::time::Duration;

use super::{LockClock, Mode, Pace};
use crate::config::{Config, Endpoint, Foundation, Locket, MutualEndpoint, MutualTls, Trust, WebUrl};
use crate::driver::Clock;

/// The name and port of the BBS on every foundation (diego-release, job `bbs`).
const BBS_NAME: &str = "bbs.service.cf.internal";
const BBS_PORT: u16 = 8889;
/// The name of Locket on every foundation (diego-release, job `locket`).
const LOCKET_NAME: &str = "locket.service.cf.internal";

/// The adapter; `owner` names this process to the lock.
pub(super) fn adapter(
    config: &Config,
    pace: &Pace,
    owner: &str,
    clock: Clock,
    mode: Mode,
) -> Result<PcfAdapter, AdapterError> {
    let foundation = &config.foundation;
    let seed = ncp_core::digest::of(owner).0;
    let capi = capi(foundation)?;
    let interval = pace.capi.unwrap_or_else(|| config.cf.capi_poll_interval.get());
    let capi_watch = WatchOptions {
        interval,
        full_interval: pace.capi_full,
        seed,
        ..WatchOptions::default()
    };
    let interval = pace
        .policies
        .unwrap_or_else(|| config.cf.policy_poll_interval.get());
    let policy_watch = PolicyWatchOptions {
        interval,
        seed,
        ..PolicyWatchOptions::default()
    };
    let options = PcfOptions {
        bbs: BbsOptions::new(mutual(&foundation.bbs)?),
        sync: SyncOptions {
            resync: pace.resync,
            seed,
            ..SyncOptions::default()
        },
        capi,
        capi_watch,
        policy_server: mutual(&foundation.policy_server)?,
        policy_watch,
        // Whoever only looks takes no lock, and looks at everything.
        lock: if mode == Mode::Write {
            lock(config, owner)?
        } else {
            None
        },
        eager_orgs: config.cf.eager_orgs,
    };
    PcfAdapter::new(options, Arc::new(LockClock(clock)))
}

/// The UAA client that reads Cloud Controller.
pub(crate) fn credentials(foundation: &Foundation) -> ClientCredentials {
    ClientCredentials {
        id: foundation.client_id.clone(),
        secret: foundation.client_secret.clone(),
    }
}

pub(crate) fn capi(foundation: &Foundation) -> Result<CapiOptions, AdapterError> {
    let mut capi = CapiOptions::new(endpoint(&foundation.capi)?, credentials(foundation));
    capi.uaa = Some(endpoint(&foundation.uaa)?);
    capi.internal = foundation.capi_internal.as_ref().map(mutual).transpose()?;
    Ok(capi)
}

pub(crate) fn endpoint(endpoint: &Endpoint) -> Result<PeerOptions, AdapterError> {
    let mut peer = PeerOptions::new(endpoint.url.url().clone());
    if endpoint.url.is_tls() {
        let ca = match &endpoint.trust {
            Trust::File(path) => vec![Pem::File(path.clone())],
            Trust::System | Trust::Anyone => Vec::new(),
        };
        peer.tls = Some(load(&TlsOptions {
            ca,
            ..TlsOptions::default()
        })?);
    }
    Ok(peer)
}

pub(crate) fn mutual(endpoint: &MutualEndpoint) -> Result<PeerOptions, AdapterError> {
    let [first, others @ ..] = endpoint.urls.as_slice() else {
        let message = "an endpoint without an address".to_owned();
        return Err(AdapterError {
            code: Code::InvalidConfiguration,
            message,
        });
    };
    let mut url = first.url().clone();
    let mut addresses = Vec::new();
    if !others.is_empty() {
        addresses = endpoint.urls.iter().map(address).collect();
        // Several addresses are instances of one server, whose certificate bears its name.
        if !matches!(url.host(), Some(url::Host::Domain(_))) {
            let named = url.set_host(Some(BBS_NAME));
            debug_assert!(named.is_ok(), "a web URL takes a host name");
        }
    }
    let mut peer = PeerOptions::new(url);
    peer.addresses = addresses;
    peer.tls = endpoint.tls.as_ref().map(identity).transpose()?;
    Ok(peer)
}

fn address(url: &WebUrl) -> String {
    let url = url.url();
    let port = url.port_or_known_default().unwrap_or(BBS_PORT);
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

fn identity(tls: &MutualTls) -> Result<TlsMaterial, AdapterError> {
    load(&TlsOptions {
        ca: vec![Pem::File(tls.ca.clone())],
        identity: Some((
            Pem::File(tls.identity.cert.clone()),
            Pem::File(tls.identity.key.clone()),
        )),
        insecure: false,
    })
}

fn load(options: &TlsOptions) -> Result<TlsMaterial, AdapterError> {
    TlsMaterial::load(options).map_err(|e| AdapterError {
        code: Code::CertificateNotFound,
        message: ncp_pcf::status::chain(&e),
    })
}

fn lock(config: &Config, owner: &str) -> Result<Option<LockOptions>, AdapterError> {
    if !config.ha.enable {
        return Ok(None);
    }
    let ttl = config.ha.master_timeout.get();
    Ok(Some(LockOptions {
        locket: locket(&config.foundation.locket)?,
        timings: LeaseTimings {
            ttl,
            period: config.ha.heartbeat_period.get(),
            timeout: config.ha.update_timeout.get(),
            margin: (ttl / 10).max(Duration::from_millis(500)),
        },
        key: config.foundation.locket.key.clone(),
        owner: owner.to_owned(),
    }))
}

/// Several addresses are instances of one server, whose certificate bears its name.
pub(crate) fn locket(locket: &Locket) -> Result<LocketOptions, AdapterError> {
    let first = locket
        .addresses
        .first()
        .map(|a| a.host.clone())
        .unwrap_or_default();
    let numbered = first.parse::<std::net::IpAddr>().is_ok();
    Ok(LocketOptions {
        addresses: locket.addresses.iter().map(ToString::to_string).collect(),
        server_name: if numbered && locket.addresses.len() > 1 {
            LOCKET_NAME.to_owned()
        } else {
            first
        },
        tls: locket.tls.as_ref().map(identity).transpose()?,
    })
}
