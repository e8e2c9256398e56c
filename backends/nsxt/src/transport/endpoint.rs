//! One manager as the client sees it: whether it answers, how fast it may be asked, its connections and session.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, StatusCode};
use http_body_util::Full;
use rustls_pki_types::ServerName;
use secrecy::ExposeSecret;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::address::{ManagerAddress, Scheme};
use super::classify::{Class, Refusal};
use super::cluster::EndpointStatus;
use super::connection::{Answer, Connection, Dial, Failure};
use super::error::{CallName, NotSent, OptionsError, WireError};
use super::observe::{Observers, RequestRecord};
use super::options::{Auth, ManagerTrust, Options};
use super::pace::{Pace, Ticket};
use super::request::Request;
use super::session::{self, Credentials, Session};
use super::tls;

/// Requests per second assumed where neither the manager nor the configuration names a limit (NSX's default).
pub(super) const DEFAULT_RATE: u32 = 100;

/// A manager.
pub(super) struct Endpoint {
    dial: Dial,
    credentials: Credentials,
    slots: usize,
    epoch: Instant,
    state: Mutex<State>,
    /// Tells waiting calls that a slot, a credit or a manager has come back.
    changed: Arc<Notify>,
    observers: Arc<Observers>,
}

struct State {
    up: bool,
    last_error: Option<String>,
    last_answer: Option<Instant>,
    held_until: Option<Instant>,
    pace: Pace,
    in_flight: usize,
    idle: Vec<Connection>,
}

/// Why a call to one manager brought no answer.
pub(super) enum CallFailure {
    /// Nothing of the call was sent.
    NotSent(NotSent),
    /// Something was sent.
    Cut(WireError),
}

impl Endpoint {
    pub(super) fn new(
        address: ManagerAddress,
        trust: ManagerTrust<'_>,
        options: &Options,
        changed: Arc<Notify>,
        observers: Arc<Observers>,
    ) -> Result<Self, OptionsError> {
        let tls = match address.scheme() {
            Scheme::Http => None,
            Scheme::Https => Some((tls::connector(trust, &options.auth)?, server_name(&address)?)),
        };
        let dial = Dial {
            address,
            tls,
            connect_timeout: options.http_timeout,
            read_timeout: options.http_read_timeout,
        };
        Self::with_dial(dial, &options.auth, options, changed, observers)
    }

    /// The same manager cluster under an address that a redirect named; trusts what this endpoint trusts.
    pub(super) fn sibling(&self, address: ManagerAddress, options: &Options) -> Result<Self, OptionsError> {
        let tls = match &self.dial.tls {
            Some((connector, _)) => Some((connector.clone(), server_name(&address)?)),
            None => None,
        };
        let dial = Dial {
            address,
            tls,
            connect_timeout: self.dial.connect_timeout,
            read_timeout: self.dial.read_timeout,
        };
        Self::with_dial(
            dial,
            &options.auth,
            options,
            self.changed.clone(),
            self.observers.clone(),
        )
    }

    fn with_dial(
        dial: Dial,
        auth: &Auth,
        options: &Options,
        changed: Arc<Notify>,
        observers: Arc<Observers>,
    ) -> Result<Self, OptionsError> {
        let rate = options.max_api_rate.map_or(DEFAULT_RATE, |rate| rate.get());
        let state = State {
            up: true,
            last_error: None,
            last_answer: None,
            held_until: None,
            pace: Pace::new(rate, Duration::ZERO),
            in_flight: 0,
            idle: Vec::new(),
        };
        Ok(Self {
            dial,
            credentials: Credentials::new(auth)?,
            slots: options.concurrent_connections,
            epoch: Instant::now(),
            state: Mutex::new(state),
            changed,
            observers,
        })
    }

    pub(super) fn address(&self) -> &ManagerAddress {
        &self.dial.address
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clock(&self) -> Duration {
        self.epoch.elapsed()
    }

    // --- admission ---

    /// Whether it answered last time and its credentials are not held.
    pub(super) fn is_usable(&self) -> bool {
        let state = self.state();
        state.up && state.held_until.is_none_or(|until| until <= Instant::now())
    }

    /// How many calls may start now.
    pub(super) fn credits(&self) -> usize {
        let now = self.clock();
        let mut state = self.state();
        state
            .pace
            .credits(now)
            .min(self.slots.saturating_sub(state.in_flight))
    }

    /// When the next credit comes; `None` while all slots are taken, since then only an answer helps.
    pub(super) fn next_credit(&self) -> Option<Instant> {
        let now = self.clock();
        let mut state = self.state();
        (state.in_flight < self.slots).then(|| self.epoch + state.pace.next_credit(now))
    }

    /// Takes a slot and a credit.
    pub(super) fn try_admit(self: &Arc<Self>) -> Option<Permit> {
        let now = self.clock();
        let mut state = self.state();
        if state.in_flight >= self.slots {
            return None;
        }
        let ticket = state.pace.take(now)?;
        state.in_flight += 1;
        Some(Permit {
            endpoint: self.clone(),
            ticket,
        })
    }

    /// Takes over the rate limit that applies to this manager.
    pub(super) fn set_rate(&self, limit: u32) {
        let now = self.clock();
        self.state().pace.set_limit(limit, now);
    }

    // --- calls ---

    /// Makes a call: authenticates, sends, and once makes a new session if the manager doesn't know the old one.
    pub(super) async fn call(&self, permit: &Permit, request: &Request) -> Result<Answer, CallFailure> {
        let fence = request.fence().map(|fence| fence.instant());
        let mut stale = None;
        loop {
            let session = self.session(permit, stale, fence).await?;
            let http_request = self.http_request(request, session.as_deref())?;
            let answer = self.exchange(http_request, request.path(), fence).await?;
            let refusal = self.note(permit, request.name(), &answer);
            match (refusal, session) {
                (Some(refusal), Some(session)) if refusal.wants_session() && stale.is_none() => {
                    stale = Some(session.serial);
                }
                (Some(refusal), None) if refusal.wants_session() => {
                    self.hold_credentials();
                    return Ok(answer);
                }
                _ => return Ok(answer),
            }
        }
    }

    /// The refusal, if the answer is one; the pace follows it.
    fn note(&self, permit: &Permit, call: CallName, answer: &Answer) -> Option<Refusal> {
        if answer.status.is_success() || answer.status.is_redirection() {
            return None;
        }
        let refusal = self.refusal(call, answer);
        if let Class::Throttled { retry_after } | Class::Unavailable { retry_after } = refusal.class() {
            let now = self.clock();
            self.state().pace.refused(permit.ticket, now, retry_after);
        }
        Some(refusal)
    }

    pub(super) fn refusal(&self, call: CallName, answer: &Answer) -> Refusal {
        Refusal::read(
            call,
            self.address().clone(),
            answer.status,
            &answer.headers,
            &answer.body,
        )
    }

    /// The session to use, a new one if `stale` names the present one; `None` where there are no sessions.
    async fn session(
        &self,
        permit: &Permit,
        stale: Option<u64>,
        fence: Option<Instant>,
    ) -> Result<Option<Arc<Session>>, CallFailure> {
        if let Some(until) = self.state().held_until
            && let Some(retry_in) = until
                .checked_duration_since(Instant::now())
                .filter(|left| !left.is_zero())
        {
            return Err(CallFailure::NotSent(NotSent::CredentialsHeld { retry_in }));
        }
        let made = self.live_session(permit, stale);
        match fence {
            None => made.await,
            Some(fence) => timeout_at(fence, made)
                .await
                .unwrap_or(Err(CallFailure::NotSent(NotSent::DeadlinePassed))),
        }
    }

    async fn live_session(
        &self,
        permit: &Permit,
        stale: Option<u64>,
    ) -> Result<Option<Arc<Session>>, CallFailure> {
        let Credentials::Session { form, live } = &self.credentials else {
            return Ok(None);
        };
        let mut live = live.lock().await;
        if let Some(session) = live
            .session
            .clone()
            .filter(|session| Some(session.serial) != stale)
        {
            return Ok(Some(session));
        }
        let answer = self.create_session(form.expose_secret()).await?;
        live.serial += 1;
        let session = match answer.status {
            StatusCode::OK | StatusCode::CREATED => Session::read(live.serial, &answer.headers),
            _ => None,
        };
        live.session = session.map(Arc::new);
        if live.session.is_some() {
            return Ok(live.session.clone());
        }
        let call = CallName {
            method: Method::POST,
            path: session::CREATE.into(),
        };
        let refusal = self
            .note(permit, call.clone(), &answer)
            .unwrap_or_else(|| self.refusal(call, &answer));
        if refusal.class() == Class::Unauthenticated {
            self.hold_credentials();
        }
        Err(CallFailure::NotSent(NotSent::SessionRefused(Box::new(refusal))))
    }

    /// A session changes nothing that a later leader could trip over, so a failure here never makes the call that
    /// needed it uncertain.
    async fn create_session(&self, form: &str) -> Result<Answer, CallFailure> {
        let request = http::Request::post(session::CREATE)
            .header(HOST, self.address().authority())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::copy_from_slice(form.as_bytes())))
            .map_err(|error| CallFailure::NotSent(NotSent::Malformed(error)))?;
        self.exchange(request, session::CREATE, None)
            .await
            .map_err(|failure| match failure {
                CallFailure::Cut(source) => CallFailure::NotSent(self.no_connection(source)),
                other => other,
            })
    }

    fn http_request(
        &self,
        request: &Request,
        session: Option<&Session>,
    ) -> Result<http::Request<Full<Bytes>>, CallFailure> {
        let mut built = http::Request::builder()
            .method(request.method())
            .uri(request.target())
            .header(HOST, self.address().authority())
            .header(ACCEPT, "application/json")
            .body(Full::new(request.body().cloned().unwrap_or_default()))
            .map_err(|error| CallFailure::NotSent(NotSent::Malformed(error)))?;
        let headers = built.headers_mut();
        if request.body().is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if request.overwrites() {
            headers.insert("x-allow-overwrite", HeaderValue::from_static("true"));
        }
        self.credentials.sign(headers, session);
        Ok(built)
    }

    /// Sends on an idle connection or a new one. An idle connection that the manager closed meanwhile is found out
    /// before a byte is sent; then a new one is opened, which is no failure of the manager.
    async fn exchange(
        &self,
        request: http::Request<Full<Bytes>>,
        path: &str,
        fence: Option<Instant>,
    ) -> Result<Answer, CallFailure> {
        loop {
            let mut connection = match self.take_idle() {
                Some(idle) => idle,
                None => self
                    .dial
                    .open(fence)
                    .await
                    .map_err(|failure| self.failed(failure, true))?,
            };
            let fresh = connection.is_fresh();
            let begun = Instant::now();
            let result = connection
                .exchange(request.clone(), fence, self.dial.read_timeout)
                .await;
            match result {
                Err(Failure::NothingSent(_)) if !fresh => continue,
                Err(failure) => {
                    if matches!(failure, Failure::Cut(_)) {
                        self.record(&request, path, fence.is_some(), None, begun);
                    }
                    return Err(self.failed(failure, fresh));
                }
                Ok(answer) => {
                    self.record(&request, path, fence.is_some(), Some(answer.status), begun);
                    self.give_idle(connection);
                    return Ok(answer);
                }
            }
        }
    }

    fn record(
        &self,
        request: &http::Request<Full<Bytes>>,
        path: &str,
        write: bool,
        status: Option<StatusCode>,
        begun: Instant,
    ) {
        let latency = begun.elapsed();
        let method = request.method();
        tracing::trace!(manager = %self.address(), %method, path, ?status, ?latency, "request");
        self.observers.finished(&RequestRecord {
            manager: self.address(),
            method,
            path,
            write,
            status,
            latency,
        });
    }

    /// Takes note of a failure. A deadline that ran out and an old connection that broke are not the manager's fault.
    fn failed(&self, failure: Failure, fresh: bool) -> CallFailure {
        match failure {
            Failure::Fenced => CallFailure::NotSent(NotSent::DeadlinePassed),
            Failure::NothingSent(source) => {
                self.mark_down(&source);
                CallFailure::NotSent(self.no_connection(source))
            }
            Failure::Cut(source) => {
                let blameless = matches!(source, WireError::DeadlineReached | WireError::TooLarge(_));
                if !blameless && (fresh || matches!(source, WireError::ReadTimeout(_))) {
                    self.mark_down(&source);
                }
                CallFailure::Cut(source)
            }
        }
    }

    fn no_connection(&self, source: WireError) -> NotSent {
        NotSent::Connect {
            manager: self.address().clone(),
            source,
        }
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut state = self.state();
        state.idle.retain(Connection::is_usable);
        state.idle.pop()
    }

    fn give_idle(&self, connection: Connection) {
        if connection.is_usable() {
            let mut state = self.state();
            // Slots bound the connections in use; keep no more than that in all.
            if state.idle.len() < self.slots {
                state.idle.push(connection);
            }
        }
    }

    // --- health ---

    /// Whether nothing has been heard for this long, or it is down: time for a probe.
    pub(super) fn wants_probe(&self, idle: Duration) -> bool {
        let state = self.state();
        !state.up || state.last_answer.is_none_or(|last| last.elapsed() >= idle)
    }

    pub(super) fn mark_up(&self) {
        let mut state = self.state();
        state.last_answer = Some(Instant::now());
        if !state.up {
            state.up = true;
            state.last_error = None;
            drop(state);
            tracing::info!(manager = %self.address(), "manager is up");
            self.changed.notify_waiters();
        }
    }

    pub(super) fn mark_down(&self, error: &dyn std::error::Error) {
        let text = chain(error);
        let mut state = self.state();
        let was_up = std::mem::replace(&mut state.up, false);
        state.last_error = Some(text.clone());
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        drop(idle);
        if was_up {
            tracing::warn!(manager = %self.address(), error = text, "manager is down");
            self.changed.notify_waiters();
        }
    }

    fn hold_credentials(&self) {
        if self.credentials.can_lock_account() {
            tracing::warn!(manager = %self.address(), "credentials refused; not tried again for a while");
            self.state().held_until = Some(Instant::now() + session::HOLD);
        }
    }

    pub(super) fn status(&self) -> EndpointStatus {
        let now = self.clock();
        let mut state = self.state();
        state.pace.credits(now);
        EndpointStatus {
            manager: self.address().clone(),
            up: state.up,
            in_flight: state.in_flight,
            rate: state.pace.rate(),
            last_error: state.last_error.clone(),
        }
    }
}

/// A slot and a credit at one manager, for one call; the slot is free again when this is dropped.
pub(super) struct Permit {
    endpoint: Arc<Endpoint>,
    ticket: Ticket,
}

impl Permit {
    pub(super) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// Gives the credit back too, since nothing was sent.
    pub(super) fn unused(self) {
        self.endpoint.state().pace.give_back();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.endpoint.state().in_flight -= 1;
        self.endpoint.changed.notify_waiters();
    }
}

fn server_name(address: &ManagerAddress) -> Result<ServerName<'static>, OptionsError> {
    ServerName::try_from(address.host()).map_err(|_| OptionsError::ServerName(address.clone()))
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(one) = cause {
        text.push_str(": ");
        text.push_str(&one.to_string());
        cause = one.source();
    }
    text
}
