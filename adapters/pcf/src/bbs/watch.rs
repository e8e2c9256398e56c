//! The driver of the synchronization: sockets, clock and channels around the state machine.
//!
//! Each event stream is drained by a task that does nothing else: the BBS gives a subscriber a queue of
//! 1024 events and evicts whom it overtakes, and the loss of one cell is five hundred events at once.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::{BbsClient, BbsError, Item};
use super::extract::Unusable;
use super::sync::{BbsSync, Input, Mode, Output, Request, Stream, SyncOptions, Ticket};
use crate::codes;
use crate::status::{StatusCell, chain};

/// Changes that belong together, in order. Questions are not among them.
pub type BbsUpdates = Vec<Output>;

/// Follows one BBS.
#[derive(Debug)]
pub struct BbsWatch {
    client: BbsClient,
    options: SyncOptions,
    status: StatusCell,
}

/// What the driver's tasks report.
enum Report {
    Input(Input),
    Failed(Ticket, BbsError),
    Ended(Ticket, BbsError),
    Unusable(Unusable),
}

/// Inputs waiting for the machine; when it is full the streams' tasks wait, and at last the BBS evicts us.
const QUEUE: usize = 65_536;
/// Inputs the machine takes before its outputs are handed on.
const BURST: usize = 256;

impl BbsWatch {
    /// A watch that hasn't begun.
    pub fn new(client: BbsClient, options: SyncOptions) -> Self {
        let status = StatusCell::new("bbs");
        status.set_interval(options.resync);
        Self {
            client,
            options,
            status,
        }
    }

    /// Where the watch's health and statistics can be read.
    pub fn status(&self) -> StatusCell {
        self.status.clone()
    }

    /// Runs until cancelled or until nobody receives.
    pub async fn run(
        self,
        mut mode: watch::Receiver<Mode>,
        updates: mpsc::Sender<BbsUpdates>,
        stop: CancellationToken,
    ) {
        let (reports, mut inbox) = mpsc::channel(QUEUE);
        let first = *mode.borrow_and_update();
        let mut driver = Driver {
            sync: BbsSync::new(self.options, first),
            began: Instant::now(),
            client: self.client,
            status: self.status,
            tasks: JoinSet::new(),
            streams: HashMap::new(),
            opened: 0,
            known_unusable: BTreeSet::new(),
            reports,
        };
        let work = async {
            let mut out = driver.feed(Input::Tick);
            let mut burst = Vec::with_capacity(BURST);
            loop {
                if !out.is_empty() && updates.send(std::mem::take(&mut out)).await.is_err() {
                    return;
                }
                let wake = driver.wake();
                tokio::select! {
                    _ = inbox.recv_many(&mut burst, BURST) => {}
                    Ok(()) = mode.changed() => {
                        let now = *mode.borrow_and_update();
                        out.extend(driver.feed(Input::Mode(now)));
                    }
                    () = tokio::time::sleep_until(wake) => out.extend(driver.feed(Input::Tick)),
                }
                for report in burst.drain(..) {
                    out.extend(driver.take(report));
                }
                driver.tidy();
            }
        };
        let _ = stop.run_until_cancelled(work).await;
    }
}

struct Driver {
    sync: BbsSync,
    began: Instant,
    client: BbsClient,
    status: StatusCell,
    /// All work in flight; dropped with the driver.
    tasks: JoinSet<()>,
    streams: HashMap<Stream, AbortHandle>,
    opened: u64,
    known_unusable: BTreeSet<String>,
    reports: mpsc::Sender<Report>,
}

impl Driver {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn wake(&self) -> Instant {
        let idle = self.now() + Duration::from_secs(3600);
        self.began + self.sync.wake().unwrap_or(idle)
    }

    fn take(&mut self, report: Report) -> BbsUpdates {
        match report {
            Report::Input(input) => {
                self.status
                    .processed(u64::from(matches!(input, Input::Event(..))));
                self.feed(input)
            }
            Report::Failed(ticket, error) => {
                self.complain(&error);
                self.feed(Input::Failed(ticket))
            }
            Report::Ended(ticket, error) => {
                self.complain(&error);
                self.status.restarted();
                self.feed(Input::Ended(ticket))
            }
            Report::Unusable(unusable) => {
                self.report_unusable(&unusable);
                Vec::new()
            }
        }
    }

    fn feed(&mut self, input: Input) -> BbsUpdates {
        let mut updates = Vec::new();
        for output in self.sync.feed(self.now(), input) {
            match output {
                Output::Ask(ticket, request) => self.ask(ticket, request),
                Output::Silent(stream) => {
                    tracing::warn!(?stream, "stream silent although records changed; opening it anew");
                    self.status.restarted();
                }
                other => updates.push(other),
            }
        }
        if self.sync.is_synchronized() {
            self.status.succeeded();
        }
        updates
    }

    fn ask(&mut self, ticket: Ticket, request: Request) {
        let (client, reports) = (self.client.clone(), self.reports.clone());
        if let Request::Open(stream) = request {
            let task = self.tasks.spawn(drain(client, stream, ticket, reports));
            self.opened += 1;
            if let Some(before) = self.streams.insert(stream, task) {
                before.abort();
            }
            return;
        }
        self.tasks.spawn(async move {
            let report = match client.answer(&request).await {
                Ok((answer, unusable)) => {
                    for each in unusable {
                        let _ = reports.send(Report::Unusable(each)).await;
                    }
                    Report::Input(Input::Answer(ticket, answer))
                }
                Err(error) => Report::Failed(ticket, error),
            };
            let _ = reports.send(report).await;
        });
    }

    fn complain(&self, error: &BbsError) {
        self.status.failed(error.code(), chain(error));
        tracing::warn!(code = error.code(), error = chain(error), "BBS request failed");
    }

    /// Each kind of complaint is logged once: foreign records come back in every listing.
    fn report_unusable(&mut self, unusable: &Unusable) {
        let class = match unusable {
            Unusable::Domain { domain, .. } => format!("domain {domain}"),
            other => other.to_string(),
        };
        if self.known_unusable.len() < 1000 && self.known_unusable.insert(class) {
            tracing::warn!(code = unusable.code(), %unusable, "record left alone");
        }
        let name = match unusable.code() {
            codes::UNKNOWN_DOMAIN => "unknown_domain",
            _ => "unusable",
        };
        let before = self
            .status
            .snapshot()
            .counts
            .get(name)
            .copied()
            .unwrap_or_default();
        self.status.set_count(name, before + 1);
    }

    fn tidy(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        let stats = self.sync.stats();
        for (name, value) in [
            ("containers", stats.containers),
            ("desired", stats.desired),
            ("cycles", stats.cycles),
            ("drift", stats.drift),
            ("doubts", stats.doubts),
            ("subscriptions", self.opened),
        ] {
            self.status.set_count(name, value);
        }
    }
}

/// Opens a stream and reads it to its end.
async fn drain(client: BbsClient, stream: Stream, ticket: Ticket, reports: mpsc::Sender<Report>) {
    let mut events = match client.open(stream).await {
        Ok(events) => events,
        Err(error) => {
            let _ = reports.send(Report::Failed(ticket, error)).await;
            return;
        }
    };
    let opened = Input::Answer(ticket, super::sync::Answer::Opened);
    let mut report = Report::Input(opened);
    while reports.send(report).await.is_ok() {
        report = match events.next().await {
            Ok(Item::Event(event)) => Report::Input(Input::Event(ticket, event)),
            Ok(Item::Skipped(unusable)) => Report::Unusable(unusable),
            Err(error) => {
                let _ = reports.send(Report::Ended(ticket, error)).await;
                return;
            }
        };
    }
}
