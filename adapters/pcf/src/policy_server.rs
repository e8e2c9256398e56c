//! Container-to-container policies, from the policy server's internal API over mutual TLS.
//!
//! The server has no pages, deltas or order: an answer is the whole set. A change token (one integer) is
//! polled often and the set is read when it moved, and every few minutes regardless. The token is compared
//! for difference, since its order and the order of commits may differ, and it is remembered only after the
//! set read for it was handed on; the platform's own agent remembers too early and so misses changes.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::{Backoff, jittered};
use crate::codes;
use crate::http::{HttpError, Peer, PeerOptions, json};
use crate::ids::AppGuid;
use crate::status::{StatusCell, chain};
use crate::tls::TlsError;

/// Protocol of a policy; there are no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PolicyProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A policy: new connections from any container of one app to any of another. These five values are its
/// whole identity; the tags beside them are recycled and mean nothing here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppPolicy {
    /// The app that connects.
    pub source: AppGuid,
    /// The app that is connected to.
    pub destination: AppGuid,
    /// Protocol.
    pub protocol: PolicyProtocol,
    /// First container port.
    pub first_port: u16,
    /// Last container port, which may be the first.
    pub last_port: u16,
}

/// A policy that can't be understood: it allows nothing, and the others stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy {index} from {source_app:?} to {destination:?} {problem}; delete it and add it again")]
pub struct BadPolicy {
    /// Its place in the answer, from 0.
    pub index: usize,
    /// Its source, where that can be read.
    pub source_app: String,
    /// Its destination, where that can be read.
    pub destination: String,
    /// What is wrong.
    pub problem: &'static str,
}

impl BadPolicy {
    /// The guide's code.
    pub fn code(&self) -> &'static str {
        codes::POLICY_PROCESSING
    }
}

/// The whole set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyListing {
    /// Counts the listings since start, from 1.
    pub generation: u64,
    /// The policies, sorted, each once.
    pub policies: Vec<AppPolicy>,
    /// Policies that can't be understood.
    pub refused: Vec<BadPolicy>,
    /// Set when the set is empty, though it held this many before and a second read said the same.
    pub emptied: Option<usize>,
}

/// Why the policy server gave no set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyServerError {
    /// Transport, status or body.
    #[error("the policy server gave no usable answer")]
    Http(#[from] HttpError),
    /// The set is shorter or longer than it says.
    #[error("the policy server announced {announced} policies and sent {sent}")]
    Count {
        /// `total_policies`.
        announced: usize,
        /// What came.
        sent: usize,
    },
}

impl PolicyServerError {
    /// The guide's code.
    pub fn code(&self) -> &'static str {
        codes::POLICY_SERVER_CONNECTION
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Http(error) => error.retry_after(),
            Self::Count { .. } => None,
        }
    }
}

/// A client of the policy server's internal API.
#[derive(Clone, Debug)]
pub struct PolicyClient {
    peer: Peer,
    timeout: Duration,
}

#[derive(Deserialize)]
struct Answer {
    total_policies: usize,
    policies: Vec<Value>,
}

#[derive(Deserialize)]
struct Item {
    source: End,
    destination: Target,
}

#[derive(Deserialize)]
struct End {
    id: String,
}

#[derive(Deserialize)]
struct Target {
    id: String,
    protocol: String,
    ports: Ports,
}

#[derive(Deserialize)]
struct Ports {
    start: u16,
    end: u16,
}

impl PolicyClient {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// [`TlsError`] when the certificates can't be used.
    pub fn new(peer: PeerOptions) -> Result<Self, TlsError> {
        Ok(Self {
            peer: Peer::new(peer)?,
            timeout: Duration::from_secs(10),
        })
    }

    /// The change token; `None` on servers that have none (before 2023), which means "may have changed".
    ///
    /// # Errors
    /// [`PolicyServerError`] when the server can't be asked.
    pub async fn last_updated(&self) -> Result<Option<i64>, PolicyServerError> {
        const PATH: &str = "/networking/v1/internal/policies_last_updated";
        match self.get(PATH).await {
            Ok(bytes) => Ok(Some(json(&bytes, PATH)?)),
            Err(error) if error.status() == Some(http::StatusCode::NOT_FOUND) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The whole set, sorted, and what of it can't be understood.
    ///
    /// # Errors
    /// [`PolicyServerError`] when the server can't be asked or its answer is incomplete.
    pub async fn policies(&self) -> Result<(Vec<AppPolicy>, Vec<BadPolicy>), PolicyServerError> {
        const PATH: &str = "/networking/v1/internal/policies";
        let answer: Answer = json(&self.get(PATH).await?, PATH)?;
        read(answer)
    }

    async fn get(&self, path: &str) -> Result<bytes::Bytes, HttpError> {
        let answer = self.peer.get(path, self.timeout).await;
        if matches!(answer, Err(HttpError::Connect { .. } | HttpError::Timeout { .. })) {
            self.peer.reconnect();
        }
        answer
    }
}

fn read(answer: Answer) -> Result<(Vec<AppPolicy>, Vec<BadPolicy>), PolicyServerError> {
    let (announced, sent) = (answer.total_policies, answer.policies.len());
    if announced != sent {
        return Err(PolicyServerError::Count { announced, sent });
    }
    let (mut policies, mut refused) = (Vec::with_capacity(sent), Vec::new());
    for (index, value) in answer.policies.iter().enumerate() {
        match policy(value) {
            Ok(policy) => policies.push(policy),
            Err(problem) => refused.push(bad(index, value, problem)),
        }
    }
    policies.sort_unstable();
    policies.dedup();
    Ok((policies, refused))
}

fn policy(value: &Value) -> Result<AppPolicy, &'static str> {
    let item = Item::deserialize(value).map_err(|_| "hasn't the form of a policy")?;
    let ports = item.destination.ports;
    if item.source.id.is_empty() || item.destination.id.is_empty() {
        return Err("names no app");
    }
    if ports.start == 0 || ports.start > ports.end {
        return Err("has no valid port range");
    }
    Ok(AppPolicy {
        source: item.source.id.into(),
        destination: item.destination.id.into(),
        protocol: match item.destination.protocol.as_str() {
            "tcp" => PolicyProtocol::Tcp,
            "udp" => PolicyProtocol::Udp,
            _ => return Err("has a protocol other than tcp and udp"),
        },
        first_port: ports.start,
        last_port: ports.end,
    })
}

fn bad(index: usize, value: &Value, problem: &'static str) -> BadPolicy {
    let id = |end: &str| {
        value[end]["id"]
            .as_str()
            .map(crate::grammar::cut)
            .unwrap_or_default()
    };
    BadPolicy {
        index,
        source_app: id("source"),
        destination: id("destination"),
        problem,
    }
}

/// Intervals of the poll loop.
#[derive(Clone, Debug)]
pub struct PolicyWatchOptions {
    /// Between looks at the change token; 1–5 s.
    pub interval: Duration,
    /// Between reads of the set that nothing asked for, and between reads where there is no token… but then
    /// no longer than `tokenless_interval`.
    pub full_interval: Duration,
    /// Between reads of the set on servers without a change token.
    pub tokenless_interval: Duration,
    /// Before a set that became empty is read again.
    pub confirm_after: Duration,
    /// Spreads the pollers of several instances.
    pub seed: u64,
}

impl Default for PolicyWatchOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(2),
            full_interval: Duration::from_secs(300),
            tokenless_interval: Duration::from_secs(5),
            confirm_after: Duration::from_secs(3),
            seed: 0,
        }
    }
}

/// The poll loop.
#[derive(Debug)]
pub struct PolicyWatch {
    client: PolicyClient,
    options: PolicyWatchOptions,
    status: StatusCell,
    token: Option<i64>,
    read_at: Option<Instant>,
    generation: u64,
    count: usize,
}

impl PolicyWatch {
    /// A loop over this client.
    pub fn new(client: PolicyClient, options: PolicyWatchOptions) -> Self {
        let status = StatusCell::new("policy-server");
        status.set_interval(options.interval);
        Self {
            client,
            options,
            status,
            token: None,
            read_at: None,
            generation: 0,
            count: 0,
        }
    }

    /// Where the loop's health can be read.
    pub fn status(&self) -> StatusCell {
        self.status.clone()
    }

    /// Polls until cancelled or until nobody receives.
    pub async fn run(mut self, updates: mpsc::Sender<PolicyListing>, stop: CancellationToken) {
        let _ = stop.run_until_cancelled(self.rounds(&updates)).await;
    }

    async fn rounds(&mut self, updates: &mpsc::Sender<PolicyListing>) {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30), self.options.seed);
        for round in 0.. {
            let wait = match self.round(updates).await {
                Ok(true) => {
                    self.status.succeeded();
                    backoff.reset();
                    jittered(self.options.interval, self.options.seed, round)
                }
                Ok(false) => return,
                Err(error) => {
                    self.status.failed(error.code(), chain(&error));
                    backoff.next_delay_at_least(error.retry_after())
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// One look at the token, and at the set if need be. `false`: the receiver is gone.
    async fn round(&mut self, updates: &mpsc::Sender<PolicyListing>) -> Result<bool, PolicyServerError> {
        let token = self.client.last_updated().await?;
        if !self.is_due(token) {
            return Ok(true);
        }
        let (mut policies, mut refused) = self.client.policies().await?;
        if self.count > 0 && policies.is_empty() {
            tokio::time::sleep(self.options.confirm_after).await;
            (policies, refused) = self.client.policies().await?;
        }
        let emptied = (self.count > 0 && policies.is_empty()).then_some(self.count);
        let count = policies.len();
        let listing = PolicyListing {
            generation: self.generation + 1,
            policies,
            refused,
            emptied,
        };
        if updates.send(listing).await.is_err() {
            return Ok(false);
        }
        self.took(token, count);
        Ok(true)
    }

    fn is_due(&self, token: Option<i64>) -> bool {
        let Some(read_at) = self.read_at else {
            return true;
        };
        let floor = match token {
            Some(_) if token != self.token => return true,
            Some(_) => self.options.full_interval,
            None => self.options.tokenless_interval,
        };
        read_at.elapsed() >= floor
    }

    /// Remembers what was handed on. The token was read before the set: a change in between moves it
    /// again.
    fn took(&mut self, token: Option<i64>, count: usize) {
        self.token = token;
        self.read_at = Some(Instant::now());
        self.generation += 1;
        self.count = count;
        self.status.processed(1);
        self.status.set_count("policies", count as u64);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::testing::{Script, Server};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    fn one(source: &str, protocol: &str, start: u32, end: u32) -> String {
        format!(
            r#"{{"source":{{"id":"{source}","tag":"0001"}},"destination":{{"id":"b","tag":"0002","protocol":"{protocol}","ports":{{"start":{start},"end":{end}}}}}}}"#
        )
    }

    fn set(total: usize, policies: &[String]) -> Script {
        let list = policies.join(",");
        Script::json(
            200,
            &format!(r#"{{"total_policies":{total},"policies":[{list}],"total_egress_policies":0}}"#),
        )
    }

    async fn listed(script: Script) -> Result<(Vec<AppPolicy>, Vec<BadPolicy>), PolicyServerError> {
        let server = Server::start(vec![script]).await;
        PolicyClient::new(PeerOptions::new(server.url().clone()))
            .unwrap()
            .policies()
            .await
    }

    #[tokio::test]
    async fn a_bad_policy_is_refused_alone_and_doubles_count_once() {
        let items = [
            one("c", "udp", 53, 53),
            one("a", "tcp", 8080, 8090),
            one("a", "tcp", 8080, 8090),
            one("a", "sctp", 1, 1),
            one("a", "tcp", 9, 8),
            one("a", "tcp", 1, 70000),
            one("", "tcp", 1, 2),
            "17".to_owned(),
        ];
        let (policies, refused) = listed(set(8, &items)).await.unwrap();
        let seen: Vec<_> = policies
            .iter()
            .map(|of| (of.source.as_str(), of.first_port, of.last_port))
            .collect();
        assert_eq!(seen, [("a", 8080, 8090), ("c", 53, 53)]);
        let indexes: Vec<_> = refused.iter().map(|bad| bad.index).collect();
        assert_eq!(indexes, [3, 4, 5, 6, 7]);
        assert!(refused.iter().all(|bad| bad.code() == "NCP06021"));
    }

    #[tokio::test]
    async fn incomplete_answers_are_errors_and_never_sets() {
        let short = listed(set(2, &[one("a", "tcp", 1, 1)])).await.expect_err("short");
        assert!(matches!(
            short,
            PolicyServerError::Count {
                announced: 2,
                sent: 1
            }
        ));
        assert_eq!(short.code(), "NCP06020");
        assert!(
            listed(set(1, &[one("a", "tcp", 1, 1)]).truncated(5))
                .await
                .is_err()
        );
        assert!(
            listed(Script::json(500, r#"{"error":"database read failed"}"#))
                .await
                .is_err()
        );
        assert!(listed(Script::json(404, "404 page not found")).await.is_err());
    }

    /// A policy server whose state the test sets.
    #[derive(Default)]
    struct World {
        token: Option<i64>,
        sets: Vec<Script>,
        down: bool,
    }

    struct Running {
        world: Arc<Mutex<World>>,
        listings: mpsc::Receiver<PolicyListing>,
        status: StatusCell,
        server: Server,
        tokens: Arc<AtomicUsize>,
        _stop: tokio_util::sync::DropGuard,
    }

    async fn running(world: World) -> Running {
        let (world, tokens) = (Arc::new(Mutex::new(world)), Arc::new(AtomicUsize::new(0)));
        let (held, counted) = (world.clone(), tokens.clone());
        let server = Server::answering(move |request| {
            let mut world = held.lock().unwrap();
            if world.down {
                return None;
            }
            if request.contains("last_updated") {
                counted.fetch_add(1, Ordering::SeqCst);
                return Some(match world.token {
                    Some(token) => Script::json(200, &token.to_string()),
                    None => Script::json(404, "404 page not found"),
                });
            }
            let next = if world.sets.len() > 1 {
                world.sets.remove(0)
            } else {
                world.sets[0].clone()
            };
            Some(next)
        })
        .await;
        let options = PolicyWatchOptions {
            interval: Duration::from_millis(2),
            tokenless_interval: Duration::from_millis(2),
            confirm_after: Duration::from_millis(1),
            ..Default::default()
        };
        let client = PolicyClient::new(PeerOptions::new(server.url().clone())).unwrap();
        let watch = PolicyWatch::new(client, options);
        let (status, stop) = (watch.status(), CancellationToken::new());
        let (updates, listings) = mpsc::channel(1);
        tokio::spawn(watch.run(updates, stop.clone()));
        Running {
            world,
            listings,
            status,
            server,
            tokens,
            _stop: stop.drop_guard(),
        }
    }

    impl Running {
        async fn next(&mut self) -> PolicyListing {
            let next = tokio::time::timeout(Duration::from_secs(10), self.listings.recv());
            next.await.expect("a listing in time").expect("the loop runs")
        }

        /// Until the loop looked at the token twice more.
        async fn looked(&self) {
            let until = self.tokens.load(Ordering::SeqCst) + 2;
            while self.tokens.load(Ordering::SeqCst) < until {
                tokio::task::yield_now().await;
            }
        }

        fn reads(&self) -> usize {
            self.server
                .targets()
                .iter()
                .filter(|target| target.ends_with("/policies"))
                .count()
        }
    }

    #[tokio::test]
    async fn the_set_is_read_when_the_token_differs_and_not_otherwise() {
        let mut running = running(World {
            token: Some(7),
            sets: vec![set(1, &[one("a", "tcp", 1, 1)])],
            down: false,
        })
        .await;
        assert_eq!(running.next().await.policies.len(), 1);
        running.looked().await;
        assert_eq!(running.reads(), 1);
        running.world.lock().unwrap().token = Some(6);
        assert_eq!(
            running.next().await.generation,
            2,
            "backwards is a difference, too"
        );
        assert_eq!(running.reads(), 2);
    }

    #[tokio::test]
    async fn without_a_token_the_set_is_read_each_time() {
        let mut running = running(World {
            token: None,
            sets: vec![set(0, &[])],
            down: false,
        })
        .await;
        assert_eq!(
            running.next().await.emptied,
            None,
            "empty from the start is no surprise"
        );
        assert_eq!(running.next().await.generation, 2);
    }

    #[tokio::test]
    async fn a_set_that_became_empty_is_read_a_second_time() {
        let full = set(1, &[one("a", "tcp", 1, 1)]);
        let mut running = running(World {
            token: Some(1),
            sets: vec![full.clone(), set(0, &[]), full, set(0, &[])],
            down: false,
        })
        .await;
        assert_eq!(running.next().await.policies.len(), 1);
        running.world.lock().unwrap().token = Some(2);
        let second = running.next().await;
        assert_eq!(
            (second.policies.len(), second.emptied),
            (1, None),
            "the second read was full"
        );
        running.world.lock().unwrap().token = Some(3);
        let third = running.next().await;
        assert_eq!((third.policies.len(), third.emptied), (0, Some(1)), "empty twice");
    }

    #[tokio::test]
    async fn a_read_that_fails_leaves_the_token_unremembered() {
        let full = set(1, &[one("a", "tcp", 1, 1)]);
        let broken = Script::json(500, r#"{"error":"database read failed"}"#);
        let mut running = running(World {
            token: Some(1),
            sets: vec![full.clone(), broken, full],
            down: false,
        })
        .await;
        running.next().await;
        running.world.lock().unwrap().token = Some(2);
        assert_eq!(
            running.next().await.generation,
            2,
            "read again without a further move"
        );
        assert_eq!(running.status.snapshot().health, crate::status::Health::Healthy);
    }
}
