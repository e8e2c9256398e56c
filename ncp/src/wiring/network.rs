//! NSX-T's manager API, from the configuration.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use ncp_core::code::Code;
use ncp_core::dialect::{Batch, FarEnd, Fence, Outcome, ReadOutcome, ReadRequest, StepId};
use ncp_core::id::Name;
use ncp_nsxt::manager::{
    Environment, EnvironmentError, Manager, Named, NodeMatch, NodeTag, NsxFarEnd, resolve_environment,
};
use ncp_nsxt::transport::{
    Api, Auth, Counters, ManagerAddress, NoObserver, Options, OptionsError, Pem, Trust as ManagerTrust,
};
use secrecy::SecretString;

use super::backend_clock;
use crate::config::{CellMatch, Config, Login, Trust};
use crate::driver::{Clock, Pacing};

/// The managers as the driver's far end.
pub struct Network {
    api: Api,
    far_end: NsxFarEnd,
    parallel: usize,
}

/// Why the managers can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// A file of the configuration.
    #[error("{} {}: can't read {file:?} ({source}); check the path and its permissions", Code::CertificateNotFound, Code::CertificateNotFound.name())]
    File {
        /// Which.
        file: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Options that can't work together.
    #[error("{} {}: {error}", Code::InvalidNsxConfiguration, Code::InvalidNsxConfiguration.name())]
    Options {
        /// What is wrong.
        error: OptionsError,
    },
    /// The operator's objects.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
}

impl From<OptionsError> for NetworkError {
    fn from(error: OptionsError) -> NetworkError {
        NetworkError::Options { error }
    }
}

impl NetworkError {
    /// Whether it may go by itself.
    pub fn is_passing(&self) -> bool {
        matches!(self, NetworkError::Environment(e) if e.is_passing())
    }
}

impl Network {
    /// A client of the managers; asks nothing yet.
    ///
    /// # Errors
    /// If files or options can't be used.
    pub fn client(config: &Config) -> Result<Api, NetworkError> {
        Ok(Api::new(options(config)?, Box::new(NoObserver))?)
    }

    /// Resolves the operator's objects and makes the far end.
    ///
    /// # Errors
    /// All that is wrong with the operator's objects.
    pub async fn connect(
        config: &Config,
        api: Api,
        clock: Clock,
    ) -> Result<(Network, Manager), NetworkError> {
        api.start().await;
        let environment = environment(config, &api).await?;
        let manager = Manager::new(environment);
        let far_end = NsxFarEnd::new(api.clone(), manager.clone(), Arc::new(backend_clock(clock)));
        let managers = config.managers.list.len();
        let each = usize::try_from(config.nsx.concurrent_connections.get()).unwrap_or(usize::MAX);
        Ok((
            Network {
                api,
                far_end,
                parallel: each.saturating_mul(managers),
            },
            manager,
        ))
    }

    /// The client.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Requests so far.
    pub fn counters(&self) -> Counters {
        self.api.counters()
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network")
            .field("parallel", &self.parallel)
            .finish_non_exhaustive()
    }
}

impl FarEnd<Manager> for Network {
    async fn write(&self, batch: Batch<Manager>, fence: Fence) -> Vec<(StepId, Outcome<Manager>)> {
        self.far_end.write(batch, fence).await
    }

    async fn read(&self, request: ReadRequest<Manager>) -> ReadOutcome<Manager> {
        self.far_end.read(request).await
    }
}

impl Pacing for Network {
    fn credits(&self) -> usize {
        self.api.credits()
    }

    async fn credit(&self) {
        self.api.credit().await;
    }

    fn parallel(&self) -> usize {
        self.parallel
    }
}

/// Resolves what the configuration names.
pub(crate) async fn environment(config: &Config, api: &Api) -> Result<Environment, EnvironmentError> {
    resolve_environment(api, &named(config)).await
}

fn named(config: &Config) -> Named {
    let text = |name: &crate::config::Name| name.as_str().to_owned();
    let all = |names: &[crate::config::Name]| names.iter().map(text).collect();
    let nsx = &config.nsx;
    let v4 = |net: &IpNet| match net {
        IpNet::V4(net) => Some(*net),
        IpNet::V6(_) => None,
    };
    Named {
        cluster: text(&config.coe.cluster),
        tier0: nsx.tier0_router.as_ref().map(text).unwrap_or_default(),
        overlay_zone: nsx.overlay_tz.as_ref().map(text),
        container_blocks: all(&nsx.container_ip_blocks),
        routed_blocks: all(&nsx.no_snat_ip_blocks),
        external_pools: all(&nsx.external_ip_pools),
        top_marker: nsx.top_firewall_section_marker.as_ref().map(text),
        bottom_marker: nsx.bottom_firewall_section_marker.as_ref().map(text),
        no_masquerade: config.cf.no_masquerade_cidrs.iter().filter_map(v4).collect(),
        subnet_prefix: u8::try_from(nsx.subnet_prefix.get()).unwrap_or(24),
        node_match: node_match(config),
        translate: config.coe.enable_snat,
    }
}

fn node_match(config: &Config) -> NodeMatch {
    let pair = |vif: &crate::config::CellVif| (vif.cell.clone(), Name::new(&vif.vif));
    let way = |way: &CellMatch| match way {
        CellMatch::NodeName => NodeTag::NodeName,
        CellMatch::BoshId => NodeTag::Scope("bosh/id".to_owned()),
    };
    NodeMatch {
        fixed: config.cf.cell_vifs.iter().map(pair).collect(),
        ways: config.cf.cell_match.iter().map(way).collect(),
    }
}

fn options(config: &Config) -> Result<Options, NetworkError> {
    let addresses = config.managers.list.iter().filter_map(address);
    let options = Options::new(addresses.collect(), auth(&config.managers.login)?, trust(config)?);
    Ok(configured(options, config))
}

/// Options for one manager alone, with the trust that is its own and one attempt of bounded time: for
/// saying how each of them is, where the cluster's client would go round one that is not well.
pub(crate) fn single(config: &Config, index: usize) -> Result<Api, NetworkError> {
    let manager = config.managers.list.get(index);
    let trust = match manager.map(|(_, trust)| trust) {
        Some(Trust::Anyone) => ManagerTrust::Insecure,
        Some(Trust::File(path)) => ManagerTrust::PerManager(vec![pem(path)?]),
        Some(Trust::System) | None => ManagerTrust::System,
    };
    let address = manager.and_then(address);
    let options = Options::new(
        address.into_iter().collect(),
        auth(&config.managers.login)?,
        trust,
    );
    Ok(Api::new(
        briefly(configured(options, config)),
        Box::new(NoObserver),
    )?)
}

/// A client of all managers that gives up soon.
pub(crate) fn brief(config: &Config) -> Result<Api, NetworkError> {
    Ok(Api::new(briefly(options(config)?), Box::new(NoObserver))?)
}

fn briefly(mut options: Options) -> Options {
    options.http_timeout = options.http_timeout.min(Duration::from_secs(5));
    options.http_read_timeout = options.http_read_timeout.min(Duration::from_secs(30));
    options.http_retries = 0;
    options
}

fn address((manager, _): &(crate::config::Manager, Trust)) -> Option<ManagerAddress> {
    manager.url().as_str().parse().ok()
}

fn configured(mut options: Options, config: &Config) -> Options {
    let nsx = &config.nsx;
    let whole = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    options.http_timeout = nsx.http_timeout.get();
    options.http_read_timeout = nsx.http_read_timeout.get();
    options.http_retries = whole(nsx.http_retries.get());
    options.concurrent_connections = whole(nsx.concurrent_connections.get()) as usize;
    options.conn_idle_timeout = nsx.conn_idle_timeout.get();
    options.redirects = whole(nsx.redirects.get());
    options.retries = whole(nsx.retries.get());
    options.max_api_rate = nsx
        .max_api_rate
        .and_then(|rate| NonZeroU32::new(whole(rate.get())));
    options
}

fn auth(login: &Login) -> Result<Auth, NetworkError> {
    Ok(match login {
        Login::Password { user, password } => Auth::Session {
            user: user.clone(),
            password: password.clone(),
        },
        Login::Certificate(identity) => Auth::ClientCertificate {
            certificate: pem(&identity.cert)?,
            private_key: SecretString::from(String::from_utf8_lossy(&read(&identity.key)?).into_owned()),
        },
    })
}

fn trust(config: &Config) -> Result<ManagerTrust, NetworkError> {
    let mut bundles = Vec::new();
    for (_, trust) in &config.managers.list {
        match trust {
            Trust::Anyone => return Ok(ManagerTrust::Insecure),
            Trust::System => return Ok(ManagerTrust::System),
            Trust::File(path) => bundles.push(pem(path)?),
        }
    }
    Ok(ManagerTrust::PerManager(bundles))
}

fn pem(path: &Path) -> Result<Pem, NetworkError> {
    Ok(Pem {
        source: path.display().to_string(),
        bytes: read(path)?,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, NetworkError> {
    std::fs::read(path).map_err(|source| NetworkError::File {
        file: path.display().to_string(),
        source,
    })
}
