//! Starting and stopping a foundation; [`drive`](crate::drive) is what happens between.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bbs::pool::{FailOverOrder, Pool};
use crate::faults::Service;
use crate::model::World;
use crate::model::diego::Step;
use crate::model::tokens::Principal;
use crate::options::{Age, Options};
use crate::serve::{self, Handler, Site, Stop};
use crate::shared::Shared;
use crate::tls::{Authority, Mode};
use crate::truth::Truth;
use crate::{bbs, capi, control, locket, policy, uaa};

/// Why a foundation cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A loopback port cannot be had.
    #[error("cannot listen on the loopback interface")]
    Listen(#[from] io::Error),
    /// A certificate cannot be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// Client certificates cannot be verified.
    #[error("cannot set up the verification of client certificates")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// The server's key is of no use.
    #[error("cannot use the server's key: {0}")]
    Key(&'static str),
}

/// Where everybody listens: base URLs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// UAA.
    pub uaa: String,
    /// Cloud Controller, and the policy server's external API by path.
    pub capi: String,
    /// Cloud Controller's mutual TLS port.
    pub capi_internal: String,
    /// The BBS; one of them is active.
    pub bbs: Vec<String>,
    /// The policy server, for cells and controllers.
    pub policy_internal: String,
    /// The policy server, for people.
    pub policy_external: String,
    /// Locket.
    pub locket: String,
    /// The control API, always plain HTTP.
    pub control: String,
}

/// Certificates as PEM.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificates {
    /// The authority that signed everything.
    pub ca: String,
    /// A client certificate that every service accepts.
    pub client_cert: String,
    /// Its key.
    pub client_key: String,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

/// Who may ask UAA for tokens.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// A client that reads everything, as a controller has.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// A person who may do everything, through the client `cf` without a secret.
    pub user: String,
    /// The person's password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("client_id", &self.client_id)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// How the active BBS goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailOver {
    /// Stopped: streams end cleanly, requests under way are answered.
    #[default]
    Clean,
    /// Killed: connections are cut.
    Abrupt,
}

/// A running foundation. Dropping it stops it; [`Foundation::stop`] also waits until it has.
#[derive(Debug)]
pub struct Foundation {
    pub(crate) shared: Arc<Shared>,
    endpoints: Endpoints,
    certificates: Option<Certificates>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Drop for Foundation {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Listeners being opened.
struct Opener {
    shared: Arc<Shared>,
    authority: Option<Authority>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Opener {
    fn acceptor(&self, mode: Mode) -> Result<Option<TlsAcceptor>, StartError> {
        self.authority
            .as_ref()
            .map(|authority| authority.acceptor(mode))
            .transpose()
    }

    fn site(&self, service: Service, handler: Handler) -> Site {
        Site {
            shared: self.shared.clone(),
            service,
            handler,
        }
    }

    async fn listen(&self, port: u16) -> Result<(TcpListener, u16), StartError> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let port = listener.local_addr()?.port();
        Ok((listener, port))
    }

    fn url(&self, port: u16) -> String {
        format!("{}://127.0.0.1:{port}", self.scheme())
    }

    fn scheme(&self) -> &'static str {
        if self.authority.is_some() { "https" } else { "http" }
    }

    async fn http(&self, service: Service, mode: Mode, handler: Handler) -> Result<u16, StartError> {
        let (listener, port) = self.listen(0).await?;
        let tls = self.acceptor(mode)?;
        self.tasks.spawn(serve::http(
            self.site(service, handler),
            listener,
            tls,
            Stop::at_once(&self.stop),
        ));
        Ok(port)
    }

    async fn control(&self, port: u16) -> Result<String, StartError> {
        let (listener, port) = self.listen(port).await?;
        let site = self.site(Service::Control, control::handle);
        self.tasks
            .spawn(serve::http(site, listener, None, Stop::at_once(&self.stop)));
        Ok(format!("http://127.0.0.1:{port}"))
    }

    async fn locket(&self) -> Result<String, StartError> {
        let (listener, port) = self.listen(0).await?;
        let tls = self.acceptor(Mode::MutualH2)?;
        self.tasks.spawn(locket::serve(
            self.shared.clone(),
            listener,
            tls,
            self.stop.clone(),
        ));
        Ok(self.url(port))
    }

    fn bbs(
        &self,
        count: usize,
        orders: mpsc::UnboundedReceiver<FailOverOrder>,
    ) -> Result<Vec<String>, StartError> {
        let pool = Pool::new(
            self.site(Service::Bbs, bbs::handle),
            self.acceptor(Mode::Mutual)?,
            count,
        )?;
        let urls = pool
            .addresses
            .iter()
            .map(|address| self.url(address.port()))
            .collect();
        self.tasks.spawn(pool.run(orders, self.stop.clone()));
        Ok(urls)
    }

    async fn open(
        &self,
        options: &Options,
        orders: mpsc::UnboundedReceiver<FailOverOrder>,
    ) -> Result<Endpoints, StartError> {
        let capi = self.http(Service::Capi, Mode::Server, capi::handle).await?;
        let external = match options.external_url.as_str() {
            "self" => format!("{}://localhost:{capi}", self.scheme()),
            url => url.trim_end_matches('/').to_owned(),
        };
        let http = async |service, mode, handler: Handler| {
            self.http(service, mode, handler).await.map(|port| self.url(port))
        };
        let endpoints = Endpoints {
            uaa: http(Service::Uaa, Mode::Server, uaa::handle).await?,
            capi: self.url(capi),
            capi_internal: http(Service::CapiInternal, Mode::Mutual, capi::handle_internal).await?,
            bbs: self.bbs(options.bbs_addresses, orders)?,
            policy_internal: http(Service::PolicyInternal, Mode::Mutual, policy::internal::handle).await?,
            policy_external: http(Service::PolicyExternal, Mode::Server, policy::external::handle).await?,
            locket: self.locket().await?,
            control: self.control(options.control_port).await?,
        };
        // Both cells are new with this foundation and are filled here only.
        let _ = self.shared.external.set(external);
        let _ = self.shared.endpoints.set(endpoints.clone());
        Ok(endpoints)
    }
}

/// The client of a controller, the platform's own, and the person.
fn principals(world: &mut World) {
    let scopes = |text: &str| text.split(' ').map(str::to_owned).collect();
    let principal = |name: &str, secret: &str, text: &str| Principal {
        name: name.to_owned(),
        secret: secret.to_owned(),
        scopes: scopes(text),
    };
    let reads = "cloud_controller.admin_read_only network.admin uaa.resource";
    world.tokens.clients = vec![
        principal("ncp", "ncp-secret", reads),
        principal("auditor", "auditor-secret", "cloud_controller.global_auditor"),
        principal("stranger", "stranger-secret", "openid"),
        principal("cf", "", "openid"),
    ];
    let all = "openid cloud_controller.admin cloud_controller.read cloud_controller.write network.admin";
    world.tokens.users = vec![principal("admin", "admin", all)];
}

/// Carries out steps when their time has come.
async fn timers(
    shared: Arc<Shared>,
    mut due: mpsc::UnboundedReceiver<(Duration, Step)>,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            step = due.recv() => {
                let Some((delay, step)) = step else { return };
                let (shared, stop) = (shared.clone(), stop.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(delay) => shared.world().step(step),
                    }
                });
            }
        }
    }
}

impl Foundation {
    /// Starts one on ports of the loopback interface.
    ///
    /// # Errors
    /// [`StartError`] when ports or certificates cannot be had.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let (steps, due) = mpsc::unbounded_channel();
        let (orders, ordered) = mpsc::unbounded_channel();
        let mut world = World::new(&options, steps);
        principals(&mut world);
        let authority = options
            .tls
            .then(|| Authority::new(options.age != Age::Newest))
            .transpose()?;
        let certificates = authority.as_ref().map(Authority::certificates).transpose()?;
        let opener = Opener {
            shared: Arc::new(Shared::new(world, orders)),
            authority,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        // Dropping the guard stops what was opened before something failed.
        let guard = opener.stop.clone().drop_guard();
        let endpoints = opener.open(&options, ordered).await?;
        opener
            .tasks
            .spawn(timers(opener.shared.clone(), due, opener.stop.clone()));
        opener.tasks.close();
        Ok(Self {
            shared: opener.shared,
            endpoints,
            certificates,
            stop: guard.disarm(),
            tasks: opener.tasks,
        })
    }

    /// Stops all services and waits until their ports are free.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }

    /// Where everybody listens.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The certificates; none without TLS.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// Who may ask for tokens.
    pub fn credentials(&self) -> Credentials {
        Credentials {
            client_id: "ncp".to_owned(),
            client_secret: "ncp-secret".to_owned(),
            user: "admin".to_owned(),
            password: "admin".to_owned(),
        }
    }

    /// Everything a controller should find out.
    pub fn world(&self) -> Truth {
        self.shared.world().truth()
    }
}
