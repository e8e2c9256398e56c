//! The client: calls, with redirects and the few repeats that are safe.

use std::sync::Arc;

use futures::future::join_all;
use http::StatusCode;
use http::header::LOCATION;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::sleep;
use url::Url;

use super::address::ManagerAddress;
use super::classify::Class;
use super::cluster::{Cluster, ClusterStatus};
use super::connection::Answer;
use super::deadline::Deadline;
use super::endpoint::{CallFailure, DEFAULT_RATE, Endpoint, Permit};
use super::error::{NotSent, OptionsError, TransportError};
use super::observe::{Counters, Observers, RequestObserver};
use super::options::Options;
use super::request::{Request, Response};
use super::version::Version;

/// Health since 2.4.
const PROBE: &str = "/reverse-proxy/node/health";
/// Health up to 2.3.
const OLD_PROBE: &str = "/operational/application/status";

/// A client of one NSX-T manager cluster. Cheap to clone; all clones share connections, pace and health.
#[derive(Clone)]
pub struct Api {
    shared: Arc<Shared>,
}

struct Shared {
    options: Options,
    cluster: Cluster,
    observers: Arc<Observers>,
    version: OnceCell<Version>,
}

impl Api {
    /// A client; opens nothing yet.
    pub fn new(options: Options, observer: Box<dyn RequestObserver>) -> Result<Self, OptionsError> {
        options.validate()?;
        let observers = Arc::new(Observers::new(observer));
        let cluster = Cluster::new(&options, &observers)?;
        Ok(Self {
            shared: Arc::new(Shared {
                options,
                cluster,
                observers,
                version: OnceCell::new(),
            }),
        })
    }

    /// Probes all managers and reads version and rate limits. Failures show in the status; the client is usable
    /// all the same and recovers by itself.
    pub async fn start(&self) -> ClusterStatus {
        join_all(self.cluster().endpoints().iter().map(|one| async move {
            self.probe(one).await;
            if one.is_usable() {
                self.learn_rate(one).await;
            }
        }))
        .await;
        if let Err(error) = self.version().await {
            tracing::debug!(%error, "the managers' version is not known yet");
        }
        self.status()
    }

    /// Reads. The query's values are escaped here.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Response, TransportError> {
        self.send(&Request::get(path).with_all(query)).await
    }

    /// Creates, or runs an action.
    pub async fn post(
        &self,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
        fence: Deadline,
    ) -> Result<Response, TransportError> {
        self.send(&Request::post(path, body, fence).with_all(query)).await
    }

    /// Replaces a whole object.
    pub async fn put(
        &self,
        path: &str,
        query: &[(&str, &str)],
        body: &Value,
        fence: Deadline,
    ) -> Result<Response, TransportError> {
        self.send(&Request::put(path, body, fence).with_all(query)).await
    }

    /// Removes.
    pub async fn delete(
        &self,
        path: &str,
        query: &[(&str, &str)],
        fence: Deadline,
    ) -> Result<Response, TransportError> {
        self.send(&Request::delete(path, fence).with_all(query)).await
    }

    /// Makes a call on whichever manager is next in turn.
    ///
    /// Waits for a credit and a slot first. A write goes to a second manager only if nothing was sent to the first;
    /// a read is repeated, up to `http_retries` times, after any failure that may pass.
    pub async fn send(&self, request: &Request) -> Result<Response, TransportError> {
        self.send_from(request, Route::default()).await
    }

    async fn send_from(&self, request: &Request, mut route: Route) -> Result<Response, TransportError> {
        loop {
            let permit = self
                .admit(&mut route, request)
                .await
                .map_err(never_sent(request))?;
            let endpoint = permit.endpoint().clone();
            let outcome = endpoint.call(&permit, request).await;
            settle(permit, &outcome);
            if matches!(&outcome, Ok(answer) if answer.status != StatusCode::SERVICE_UNAVAILABLE) {
                endpoint.mark_up();
            }
            match outcome {
                Ok(answer) if answer.status.is_success() => {
                    return Ok(Response {
                        status: answer.status,
                        body: answer.body,
                        call: request.name(),
                    });
                }
                Ok(answer) => self.after_refusal(&mut route, request, &endpoint, &answer)?,
                Err(failure) => self.after_failure(&mut route, request, &endpoint, failure)?,
            }
        }
    }

    async fn admit(&self, route: &mut Route, request: &Request) -> Result<Permit, NotSent> {
        match route.next.take() {
            Some(endpoint) => self.cluster().admit_at(&endpoint, request.fence()).await,
            None => self.cluster().admit(&route.failed, request.fence()).await,
        }
    }

    /// Decides whether a refused call goes on elsewhere; else gives the refusal.
    fn after_refusal(
        &self,
        route: &mut Route,
        request: &Request,
        endpoint: &Arc<Endpoint>,
        answer: &Answer,
    ) -> Result<(), TransportError> {
        if let Some(target) = self.redirect(route, endpoint, answer) {
            route.redirects += 1;
            route.next = Some(target);
            return Ok(());
        }
        let refusal = Box::new(endpoint.refusal(request.name(), answer));
        let elsewhere = match refusal.class() {
            Class::Throttled { .. } => false,
            Class::Unavailable { .. } | Class::Uncertain => true,
            _ => return Err(refusal.into()),
        };
        if request.is_write() || !self.may_repeat(route) {
            return Err(refusal.into());
        }
        if elsewhere {
            self.leave(route, endpoint);
        }
        Ok(())
    }

    /// Decides whether a call without an answer goes on elsewhere; else gives the error.
    fn after_failure(
        &self,
        route: &mut Route,
        request: &Request,
        endpoint: &Arc<Endpoint>,
        failure: CallFailure,
    ) -> Result<(), TransportError> {
        match failure {
            CallFailure::NotSent(reason @ NotSent::Connect { .. }) => {
                route.failed.push(endpoint.address().clone());
                if self.may_repeat(route) && self.cluster().has_untried(&route.failed) {
                    return Ok(());
                }
                Err(never_sent(request)(reason))
            }
            CallFailure::NotSent(reason) => Err(never_sent(request)(reason)),
            CallFailure::Cut(_) if !request.is_write() && self.may_repeat(route) => {
                self.leave(route, endpoint);
                Ok(())
            }
            CallFailure::Cut(source) => Err(TransportError::Uncertain {
                call: request.name(),
                manager: endpoint.address().clone(),
                source,
            }),
        }
    }

    fn may_repeat(&self, route: &mut Route) -> bool {
        route.repeats += 1;
        route.repeats <= self.shared.options.http_retries
    }

    /// Goes to another manager, or begins again with all when each has been tried.
    fn leave(&self, route: &mut Route, endpoint: &Endpoint) {
        route.failed.push(endpoint.address().clone());
        if !self.cluster().has_untried(&route.failed) {
            route.failed.clear();
        }
    }

    /// The manager to which a 301 or 307 sends the call. Nothing was done by the one that redirects, so this is
    /// safe for writes too.
    fn redirect(&self, route: &Route, from: &Endpoint, answer: &Answer) -> Option<Arc<Endpoint>> {
        let status = answer.status.as_u16();
        if !matches!(status, 301 | 307) || route.redirects >= self.shared.options.redirects {
            return None;
        }
        let location = answer.headers.get(LOCATION)?.to_str().ok()?;
        let address = ManagerAddress::from_url(&Url::parse(location).ok()?).ok()?;
        self.cluster().named(&address, from, &self.shared.options)
    }

    // --- pace and health ---

    /// How many calls may start now without waiting.
    pub fn credits(&self) -> usize {
        self.cluster().credits()
    }

    /// Waits until [`Api::credits`] is at least one. Takes nothing; a call made then may still have to wait a
    /// little if another one was faster.
    pub async fn credit(&self) {
        self.cluster().credit().await;
    }

    /// Health of the managers.
    pub fn status(&self) -> ClusterStatus {
        self.cluster().status()
    }

    /// What was sent so far.
    pub fn counters(&self) -> Counters {
        self.shared.observers.counters()
    }

    /// The options it was made with.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// The managers' version, read once.
    pub async fn version(&self) -> Result<Version, TransportError> {
        self.shared
            .version
            .get_or_try_init(|| self.read_version())
            .await
            .copied()
    }

    async fn read_version(&self) -> Result<Version, TransportError> {
        #[derive(Deserialize)]
        struct Node {
            product_version: Option<String>,
            node_version: Option<String>,
        }
        let response = self.get("/node/version", &[]).await?;
        let node: Node = response.json()?;
        let text = node.product_version.or(node.node_version).unwrap_or_default();
        Version::parse(&text).ok_or_else(|| TransportError::Unreadable {
            call: response.call,
            source: serde::de::Error::custom(format!("\"{text}\" is not a version")),
        })
    }

    /// Probes managers that are down or silent, every `conn_idle_timeout`, for ever. The program runs this beside
    /// its work and drops it to stop.
    pub async fn keep_alive(&self) {
        loop {
            sleep(self.shared.options.conn_idle_timeout).await;
            self.probe_silent().await;
        }
    }

    /// Probes, once, each manager that is down or has not answered for `conn_idle_timeout`.
    pub async fn probe_silent(&self) {
        let idle = self.shared.options.conn_idle_timeout;
        let silent = self
            .cluster()
            .endpoints()
            .iter()
            .filter(|one| one.wants_probe(idle));
        join_all(silent.map(|one| self.probe(one))).await;
    }

    /// Asks one manager for its health. Skipped while it has no free slot or credit: then it is hardly silent.
    async fn probe(&self, endpoint: &Arc<Endpoint>) {
        for path in [PROBE, OLD_PROBE] {
            let Some(permit) = endpoint.try_admit() else {
                return;
            };
            let request = Request::get(path);
            let outcome = endpoint.call(&permit, &request).await;
            settle(permit, &outcome);
            match outcome {
                Ok(answer) if answer.status.is_success() => {
                    return if healthy(&answer.body) {
                        endpoint.mark_up()
                    } else {
                        endpoint.mark_down(&Unhealthy)
                    };
                }
                Ok(answer) if answer.status.as_u16() == 404 => {}
                Ok(answer) => {
                    let refusal = endpoint.refusal(request.name(), &answer);
                    return match refusal.class() {
                        Class::Unavailable { .. } | Class::Uncertain => endpoint.mark_down(&refusal),
                        _ => endpoint.mark_up(),
                    };
                }
                Err(CallFailure::Cut(error)) => return endpoint.mark_down(&error),
                Err(CallFailure::NotSent(_)) => return,
            }
        }
    }

    /// Reads the rate limit of one manager; not every account may.
    async fn learn_rate(&self, endpoint: &Arc<Endpoint>) {
        #[derive(Deserialize)]
        struct Service {
            service_properties: Properties,
        }
        #[derive(Deserialize)]
        struct Properties {
            client_api_rate_limit: Option<u32>,
        }
        let route = Route {
            next: Some(endpoint.clone()),
            ..Route::default()
        };
        let answer = self.send_from(&Request::get("/node/services/http"), route).await;
        let known = match answer.and_then(|response| response.json::<Service>()) {
            Ok(service) => service.service_properties.client_api_rate_limit,
            Err(error) => {
                tracing::debug!(manager = %endpoint.address(), %error, "rate limit not readable");
                None
            }
        };
        endpoint.set_rate(effective_rate(
            known,
            self.shared.options.max_api_rate.map(|rate| rate.get()),
        ));
    }

    fn cluster(&self) -> &Cluster {
        &self.shared.cluster
    }
}

/// Where a call has been and goes next.
#[derive(Default)]
struct Route {
    next: Option<Arc<Endpoint>>,
    failed: Vec<ManagerAddress>,
    repeats: u32,
    redirects: u32,
}

/// Frees the slot, and the credit too if nothing was sent.
fn settle(permit: Permit, outcome: &Result<Answer, CallFailure>) {
    if matches!(outcome, Err(CallFailure::NotSent(_))) {
        permit.unused();
    }
}

fn never_sent(request: &Request) -> impl Fn(NotSent) -> TransportError {
    let call = request.name();
    move |reason| TransportError::NeverSent {
        call: call.clone(),
        reason,
    }
}

/// The lower of what the manager reports (0 = no limit) and what is configured, else NSX's default.
fn effective_rate(known: Option<u32>, configured: Option<u32>) -> u32 {
    match (known.filter(|limit| *limit > 0), configured) {
        (Some(known), Some(configured)) => known.min(configured),
        (Some(rate), None) | (None, Some(rate)) => rate,
        (None, None) => DEFAULT_RATE,
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the manager says that it is not healthy")]
struct Unhealthy;

/// Reads either probe's answer; one that says nothing counts as healthy, since it came with a 200.
fn healthy(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Health {
        healthy: Option<bool>,
        application_status: Option<String>,
    }
    match serde_json::from_slice::<Health>(body) {
        Ok(health) => {
            health.healthy.unwrap_or(true) && health.application_status.is_none_or(|text| text == "WORKING")
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_the_reported_one_under_the_configured_cap() {
        assert_eq!(effective_rate(None, None), 100);
        assert_eq!(effective_rate(Some(0), None), 100);
        assert_eq!(effective_rate(Some(40), None), 40);
        assert_eq!(effective_rate(Some(200), Some(50)), 50);
        assert_eq!(effective_rate(Some(40), Some(50)), 40);
        assert_eq!(effective_rate(Some(0), Some(500)), 500);
    }

    #[test]
    fn both_probes_are_read() {
        assert!(healthy(br#"{"healthy":true,"components_health":"all up"}"#));
        assert!(!healthy(br#"{"healthy":false}"#));
        assert!(healthy(br#"{"application_status":"WORKING"}"#));
        assert!(!healthy(br#"{"application_status":"INITIALIZING"}"#));
        assert!(!healthy(b"<html>login</html>"));
    }
}
