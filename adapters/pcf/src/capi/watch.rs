//! The poll loop: listings of the three kinds, as cheaply as the foundation allows.
//!
//! A steady round is one to three requests. Security groups: the change token where it is configured (a
//! full listing only when it moved, and at a slow floor, since v2 writers don't move it), else the listing
//! itself, because a binding doesn't touch its group's `updated_at`. Organizations and spaces: what was
//! written since the last watermark; their deletions show in the full listing at the same slow floor.
//! A listing that lacks what the one before had is read a second time in the next round, since whoever
//! takes a large loss for a mistake waits for a second, equal listing, and shouldn't wait for the floor.
//! A failure of any kind leaves everything as it was and is waited out.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::Bind;
use super::legacy::LegacyResource;
use super::resource::Resource;
use super::{CapiClient, CapiError, ChangeToken, Listed, Organization, SecurityGroup, Space};
use crate::backoff::{Backoff, jittered};
use crate::ids::SecurityGroupGuid;
use crate::status::{StatusCell, chain};

/// Intervals of the loop.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// Between rounds; 15–30 s.
    pub interval: Duration,
    /// Between full listings that nothing asked for.
    pub full_interval: Duration,
    /// Between listings under v2, whose limiter allows 2000 requests an hour.
    pub legacy_interval: Duration,
    /// Spreads the pollers of several instances.
    pub seed: u64,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(20),
            full_interval: Duration::from_secs(600),
            legacy_interval: Duration::from_secs(120),
            seed: 0,
        }
    }
}

/// A complete listing of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// Counts the listings of this kind since start, from 1.
    pub generation: u64,
    /// All rows.
    pub items: Vec<T>,
    /// Set when the listing is empty although the one before wasn't: true or a database that was lost. What
    /// follows from it is the receiver's decision.
    pub emptied: Option<usize>,
}

/// What the loop found out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CapiUpdate {
    /// These are all organizations.
    Organizations(Listing<Organization>),
    /// These are all spaces.
    Spaces(Listing<Space>),
    /// These are all security groups.
    SecurityGroups(Listing<SecurityGroup>),
    /// These organizations are new or changed; others stay.
    OrganizationsChanged(Vec<Organization>),
    /// These spaces are new or changed; others stay.
    SpacesChanged(Vec<Space>),
}

/// The loop with what it must remember.
#[derive(Debug)]
pub struct CapiWatch {
    client: CapiClient,
    options: WatchOptions,
    status: StatusCell,
    orgs: Followed<Organization>,
    spaces: Followed<Space>,
    groups: Groups,
}

/// A kind that is followed by `updated_at`.
#[derive(Debug)]
struct Followed<T> {
    known: HashMap<String, T>,
    watermark: String,
    full_at: Option<Instant>,
    generation: u64,
}

impl<T> Default for Followed<T> {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            watermark: String::new(),
            full_at: None,
            generation: 0,
        }
    }
}

#[derive(Debug, Default)]
struct Groups {
    token: Option<ChangeToken>,
    full_at: Option<Instant>,
    generation: u64,
    known: BTreeSet<SecurityGroupGuid>,
    /// v3 is there but knows no security groups.
    legacy_only: bool,
}

/// The receiver is gone.
struct Closed;

type Round = Result<Result<(), CapiError>, Closed>;

impl CapiWatch {
    /// A loop over this client.
    pub fn new(client: CapiClient, options: WatchOptions) -> Self {
        let status = StatusCell::new("capi");
        status.set_interval(options.interval);
        Self {
            client,
            options,
            status,
            orgs: Followed::default(),
            spaces: Followed::default(),
            groups: Groups::default(),
        }
    }

    /// Where the loop's health can be read.
    pub fn status(&self) -> StatusCell {
        self.status.clone()
    }

    /// Polls until cancelled or until nobody receives.
    pub async fn run(mut self, updates: mpsc::Sender<CapiUpdate>, stop: CancellationToken) {
        let _ = stop.run_until_cancelled(self.rounds(&updates)).await;
    }

    async fn rounds(&mut self, updates: &mpsc::Sender<CapiUpdate>) -> Result<(), Closed> {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60), self.options.seed);
        for round in 0.. {
            let wait = match self.round(updates).await? {
                Ok(()) => {
                    self.status.succeeded();
                    backoff.reset();
                    jittered(self.options.interval, self.options.seed, round)
                }
                Err(error) => {
                    self.status.failed(error.code(), chain(&error));
                    backoff.next_delay_at_least(error.retry_after())
                }
            };
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    /// One poll of all kinds. Security groups come first: they are what opens and closes.
    ///
    /// A kind that fails by its own content doesn't hold back the others.
    async fn round(&mut self, updates: &mpsc::Sender<CapiUpdate>) -> Round {
        let mut failed = None;
        for kind in 0..3 {
            let result = match kind {
                0 => self.poll_groups(updates).await?,
                1 => self.poll_orgs(updates).await?,
                _ => self.poll_spaces(updates).await?,
            };
            match result {
                Ok(()) => {}
                Err(error @ (CapiError::Unsteady { .. } | CapiError::Http(_))) => failed = Some(error),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(failed.map_or(Ok(()), Err))
    }

    async fn poll_groups(&mut self, updates: &mpsc::Sender<CapiUpdate>) -> Round {
        let versions = match self.client.versions().await {
            Ok(versions) => versions,
            Err(error) => return Ok(Err(error)),
        };
        let legacy = !versions.v3 || self.groups.legacy_only;
        if !self.groups_due(legacy).await {
            return Ok(Ok(()));
        }
        let listed = if legacy {
            self.client.list_legacy::<SecurityGroup>().await
        } else {
            self.client.list::<SecurityGroup>(self.client.has_token()).await
        };
        match listed {
            Ok(listed) => {
                let update = self.groups.took(listed);
                self.send(updates, update).await?;
            }
            // v3 came to security groups late.
            Err(error) if !legacy && versions.v2 && error.status() == Some(404) => {
                self.groups.legacy_only = true;
                return Box::pin(self.poll_groups(updates)).await;
            }
            Err(error) => return Ok(Err(error)),
        }
        Ok(Ok(()))
    }

    async fn groups_due(&self, legacy: bool) -> bool {
        if legacy {
            return due(self.groups.full_at, self.options.legacy_interval);
        }
        if due(self.groups.full_at, self.options.full_interval) || self.groups.token.is_none() {
            return true;
        }
        self.client.change_token().await != self.groups.token
    }

    async fn poll_orgs(&mut self, updates: &mpsc::Sender<CapiUpdate>) -> Round {
        let update = poll_followed(
            &self.client,
            &self.options,
            &mut self.orgs,
            CapiUpdate::Organizations,
            CapiUpdate::OrganizationsChanged,
        );
        match update.await {
            Ok(update) => self.send_some(updates, update).await.map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn poll_spaces(&mut self, updates: &mpsc::Sender<CapiUpdate>) -> Round {
        let update = poll_followed(
            &self.client,
            &self.options,
            &mut self.spaces,
            CapiUpdate::Spaces,
            CapiUpdate::SpacesChanged,
        );
        match update.await {
            Ok(update) => self.send_some(updates, update).await.map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn send_some(
        &self,
        updates: &mpsc::Sender<CapiUpdate>,
        update: Option<CapiUpdate>,
    ) -> Result<(), Closed> {
        match update {
            Some(update) => self.send(updates, update).await,
            None => Ok(()),
        }
    }

    async fn send(&self, updates: &mpsc::Sender<CapiUpdate>, update: CapiUpdate) -> Result<(), Closed> {
        self.status.processed(1);
        self.status
            .set_count("organizations", self.orgs.known.len() as u64);
        self.status.set_count("spaces", self.spaces.known.len() as u64);
        self.status
            .set_count("security_groups", self.groups.known.len() as u64);
        updates.send(update).await.map_err(|_| Closed)
    }
}

fn due(last: Option<Instant>, interval: Duration) -> bool {
    last.is_none_or(|last| last.elapsed() >= interval)
}

impl Groups {
    fn took(&mut self, listed: Listed<SecurityGroup>) -> CapiUpdate {
        let listing: BTreeSet<_> = listed.items.iter().map(|group| group.guid.clone()).collect();
        let lost = !self.known.is_subset(&listing);
        let before = std::mem::replace(&mut self.known, listing).len();
        self.token = listed.token;
        self.full_at = (!lost).then(Instant::now);
        self.generation += 1;
        CapiUpdate::SecurityGroups(Listing {
            generation: self.generation,
            emptied: (listed.items.is_empty() && before > 0).then_some(before),
            items: listed.items,
        })
    }
}

async fn poll_followed<T: Resource + LegacyResource + Bind + Clone + PartialEq>(
    client: &CapiClient,
    options: &WatchOptions,
    followed: &mut Followed<T>,
    all: impl Fn(Listing<T>) -> CapiUpdate,
    changed: impl Fn(Vec<T>) -> CapiUpdate,
) -> Result<Option<CapiUpdate>, CapiError> {
    let v3 = client.versions().await?.v3;
    let full_interval = if v3 {
        options.full_interval
    } else {
        options.legacy_interval.max(options.full_interval)
    };
    if due(followed.full_at, full_interval) {
        let listed = if v3 {
            client.list::<T>(false).await?
        } else {
            client.list_legacy::<T>().await?
        };
        return Ok(Some(all(followed.took(listed))));
    }
    if !v3 || followed.watermark.is_empty() {
        return Ok(None);
    }
    let listed = client
        .changed_since::<T>(&overlapping(&followed.watermark))
        .await?;
    let fresh = followed.merged(listed);
    Ok((!fresh.is_empty()).then(|| changed(fresh)))
}

impl<T: Resource + Clone + PartialEq> Followed<T> {
    fn took(&mut self, listed: Listed<T>) -> Listing<T> {
        let items = listed.items.iter();
        let listing = items.map(|item| (item.guid().to_owned(), item.clone())).collect();
        let known = std::mem::replace(&mut self.known, listing);
        let lost = known.keys().any(|guid| !self.known.contains_key(guid));
        let before = known.len();
        self.watermark = listed.watermark;
        self.full_at = (!lost).then(Instant::now);
        self.generation += 1;
        Listing {
            generation: self.generation,
            emptied: (listed.items.is_empty() && before > 0).then_some(before),
            items: listed.items,
        }
    }

    fn merged(&mut self, listed: Listed<T>) -> Vec<T> {
        if listed.watermark > self.watermark {
            self.watermark = listed.watermark;
        }
        let mut fresh = listed.items;
        fresh.retain(|item| self.known.get(item.guid()) != Some(item));
        for item in &fresh {
            self.known.insert(item.guid().to_owned(), item.clone());
        }
        fresh
    }
}

/// A little before the watermark: `updated_at` is set when a transaction writes, and a slower one may
/// commit an earlier time later. Rows seen again are equal and drop out.
fn overlapping(watermark: &str) -> String {
    const OVERLAP: Duration = Duration::from_secs(10);
    OffsetDateTime::parse(watermark, &Rfc3339)
        .ok()
        .and_then(|moment| (moment - OVERLAP).format(&Rfc3339).ok())
        .unwrap_or_else(|| watermark.to_owned())
}
