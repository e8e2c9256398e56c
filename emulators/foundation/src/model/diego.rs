//! Diego's database: desired and actual LRPs, tasks, domains, and the events that tell of changes.
//!
//! Source of the sequences: the controllers and the event calculator of `bbs`.

use std::collections::BTreeMap;
use std::time::Duration;

use diego_wire::bbs::{
    ActualLrp, ActualLrpChangedEvent, ActualLrpCrashedEvent, ActualLrpCreatedEvent, ActualLrpGroup,
    ActualLrpInfo, ActualLrpInstanceChangedEvent, ActualLrpInstanceCreatedEvent,
    ActualLrpInstanceRemovedEvent, ActualLrpRemovedEvent, DesiredLrp, DesiredLrpChangedEvent,
    DesiredLrpCreatedEvent, DesiredLrpRemovedEvent, ModificationTag, Presence, Task,
};
use diego_wire::event::BbsEvent;
use diego_wire::lrp;
use tokio::time::Instant;

use super::World;
use super::cells::Cell;
use super::hub::{Channel, Hubs, cell_of};
use super::table::Guid;

/// How long Cloud Controller's word on a domain holds.
const DOMAIN_TTL: Duration = Duration::from_secs(120);

/// Process guid and index.
pub(crate) type Slot = (String, i32);

/// The database key of an instance record.
pub(crate) type RecordKey = (String, i32, i32);

/// A step that may happen later.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Place an instance on a cell.
    Claim(Slot),
    /// The container is healthy.
    Run(Slot, Guid),
    /// The container is gone.
    Stopped(RecordKey, Guid),
    /// Place a task on a cell.
    StartTask(Guid),
    /// Staging is done; start the app afresh.
    Staged(Guid),
}

/// What the BBS stores.
#[derive(Debug)]
pub(crate) struct Diego {
    pub desired: BTreeMap<String, DesiredLrp>,
    pub actual: BTreeMap<RecordKey, ActualLrp>,
    pub tasks: BTreeMap<Guid, Task>,
    pub cells: Vec<Cell>,
    pub cursor: usize,
    pub addresses: u32,
    pub domains: BTreeMap<String, Option<Instant>>,
    /// Cloud Controller keeps declaring its domains complete.
    pub synced: bool,
    pub hubs: Hubs,
    /// New instances stay unclaimed.
    pub hold_placement: bool,
    /// For the stale `before` fault: the `after` of the last change.
    pub last_after: Option<ActualLrpInfo>,
}

impl Default for Diego {
    fn default() -> Self {
        Self {
            desired: BTreeMap::new(),
            actual: BTreeMap::new(),
            tasks: BTreeMap::new(),
            cells: Vec::new(),
            cursor: 0,
            addresses: 0,
            domains: BTreeMap::new(),
            synced: true,
            hubs: Hubs::default(),
            hold_placement: false,
            last_after: None,
        }
    }
}

impl Diego {
    /// Records of a desired LRP, lowest index first.
    pub(crate) fn records(
        &self,
        process_guid: &str,
    ) -> impl Iterator<Item = (&RecordKey, &ActualLrp)> + use<'_> {
        let low = (process_guid.to_owned(), i32::MIN, i32::MIN);
        let high = (process_guid.to_owned(), i32::MAX, i32::MAX);
        self.actual.range(low..=high)
    }

    /// The domains that are complete now.
    pub(crate) fn fresh_domains(&self) -> Vec<String> {
        let now = Instant::now();
        let mut fresh: Vec<String> = self
            .domains
            .iter()
            .filter(|(_, until)| until.is_none_or(|until| now < until))
            .map(|(domain, _)| domain.clone())
            .collect();
        if self.synced {
            fresh.extend([lrp::DOMAIN_APPS, lrp::DOMAIN_TASKS].map(str::to_owned));
        }
        fresh.sort();
        fresh.dedup();
        fresh
    }

    /// Cloud Controller's sync stops or goes on; after it stops, its last word holds for two minutes.
    pub(crate) fn set_synced(&mut self, synced: bool) {
        if self.synced && !synced {
            for domain in [lrp::DOMAIN_APPS, lrp::DOMAIN_TASKS] {
                self.domains
                    .insert(domain.to_owned(), Some(Instant::now() + DOMAIN_TTL));
            }
        }
        self.synced = synced;
    }

    /// Makes a domain stale at once.
    pub(crate) fn expire_domain(&mut self, domain: &str) {
        if domain == lrp::DOMAIN_APPS || domain == lrp::DOMAIN_TASKS {
            self.set_synced(false);
        }
        self.domains.remove(domain);
    }
}

/// Counts the tag of a changed row up.
pub(crate) fn touch(tag: &mut Option<ModificationTag>) {
    tag.get_or_insert_default().index += 1;
}

impl World {
    /// The tag of a new row.
    pub(crate) fn new_tag(&mut self) -> Option<ModificationTag> {
        Some(ModificationTag {
            epoch: self.guid(),
            index: 0,
        })
    }

    /// Carries out a step that was due later; it may have been overtaken.
    pub(crate) fn step(&mut self, step: Step) {
        match step {
            Step::Claim(slot) => self.claim(&slot),
            Step::Run(slot, instance) => self.run(&slot, &instance),
            Step::Stopped(key, instance) => self.stopped(&key, &instance),
            Step::StartTask(task) => self.start_task(&task),
            Step::Staged(build) => self.staged(&build),
        }
    }

    pub(crate) fn desire(&mut self, mut desired: DesiredLrp) {
        desired.modification_tag = self.new_tag();
        let (guid, instances) = (desired.process_guid.clone(), desired.instances);
        if !self.diego.hubs.is_idle(Channel::Desired) {
            let event = DesiredLrpCreatedEvent {
                desired_lrp: Some(desired.clone()),
                ..Default::default()
            };
            self.diego.hubs.publish(Channel::Desired, &event.into(), None);
        }
        self.diego.desired.insert(guid.clone(), desired);
        for index in 0..instances {
            self.create_instance(&guid, index);
        }
    }

    /// Changes a desired LRP where it may change, and its instances with it.
    pub(crate) fn update_desired(&mut self, guid: &str, change: impl FnOnce(&mut DesiredLrp)) {
        let Some(desired) = self.diego.desired.get_mut(guid) else {
            return;
        };
        let before = desired.clone();
        change(desired);
        touch(&mut desired.modification_tag);
        let after = desired.clone();
        let (old, new) = (before.instances, after.instances);
        if !self.diego.hubs.is_idle(Channel::Desired) {
            let event = DesiredLrpChangedEvent {
                before: Some(before),
                after: Some(after),
                ..Default::default()
            };
            self.diego.hubs.publish(Channel::Desired, &event.into(), None);
        }
        for index in old..new {
            self.create_instance(guid, index);
        }
        self.stop_from(guid, new);
    }

    /// Removes a desired LRP: its removal is told at once, its instances stop afterwards.
    pub(crate) fn remove_desired(&mut self, guid: &str) {
        let Some(desired) = self.diego.desired.remove(guid) else {
            return;
        };
        let event = DesiredLrpRemovedEvent {
            desired_lrp: Some(desired),
            ..Default::default()
        };
        self.diego.hubs.publish(Channel::Desired, &event.into(), None);
        self.stop_from(guid, 0);
    }

    fn stop_from(&mut self, guid: &str, first: i32) {
        let keys: Vec<RecordKey> = self
            .diego
            .records(guid)
            .filter(|(key, _)| key.1 >= first)
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            self.stop(key);
        }
    }

    pub(crate) fn emit_created(&mut self, record: &ActualLrp) {
        if !self.diego.hubs.is_idle(Channel::Instances) {
            let event = ActualLrpInstanceCreatedEvent {
                actual_lrp: Some(record.clone()),
                ..Default::default()
            };
            self.diego
                .hubs
                .publish(Channel::Instances, &event.into(), cell_of(record));
        }
        self.emit_group(record, |group| {
            ActualLrpCreatedEvent {
                actual_lrp_group: Some(group),
            }
            .into()
        });
    }

    pub(crate) fn emit_removed(&mut self, record: &ActualLrp) {
        if !self.diego.hubs.is_idle(Channel::Instances) {
            let event = ActualLrpInstanceRemovedEvent {
                actual_lrp: Some(record.clone()),
                ..Default::default()
            };
            self.diego
                .hubs
                .publish(Channel::Instances, &event.into(), cell_of(record));
        }
        self.emit_group(record, |group| {
            ActualLrpRemovedEvent {
                actual_lrp_group: Some(group),
            }
            .into()
        });
    }

    /// Tells of a change: the key is the new container's when there is one, else the old one's.
    pub(crate) fn emit_changed(&mut self, before: &ActualLrp, after: &ActualLrp) {
        self.emit_group(after, |group| {
            ActualLrpChangedEvent {
                before: Some(group_of(before)),
                after: Some(group),
            }
            .into()
        });
        if self.diego.hubs.is_idle(Channel::Instances) {
            return;
        }
        let has_container = |record: &&ActualLrp| {
            record
                .actual_lrp_instance_key
                .as_ref()
                .is_some_and(|key| !key.instance_guid.is_empty())
        };
        let named = Some(after).filter(has_container).unwrap_or(before);
        let stale = self
            .diego
            .last_after
            .replace(after.info())
            .filter(|_| self.diego.hubs.faults.stale_before);
        let event = ActualLrpInstanceChangedEvent {
            actual_lrp_key: Some(after.actual_lrp_key.clone().unwrap_or_default()),
            actual_lrp_instance_key: Some(named.actual_lrp_instance_key.clone().unwrap_or_default()),
            before: Some(stale.unwrap_or_else(|| before.info())),
            after: Some(after.info()),
            ..Default::default()
        };
        let cell = cell_of(named);
        self.diego.hubs.publish(Channel::Instances, &event.into(), cell);
    }

    pub(crate) fn emit_crashed(&mut self, before: &ActualLrp, after: &ActualLrp) {
        for channel in [Channel::Instances, Channel::Groups] {
            if self.diego.hubs.is_idle(channel) {
                continue;
            }
            let event = ActualLrpCrashedEvent {
                actual_lrp_key: Some(before.actual_lrp_key.clone().unwrap_or_default()),
                actual_lrp_instance_key: Some(before.actual_lrp_instance_key.clone().unwrap_or_default()),
                crash_count: after.crash_count,
                crash_reason: after.crash_reason.clone(),
                since: after.since,
            };
            self.diego.hubs.publish(channel, &event.into(), cell_of(before));
        }
    }

    fn emit_group(&mut self, record: &ActualLrp, event: impl FnOnce(ActualLrpGroup) -> BbsEvent) {
        if !self.diego.hubs.is_idle(Channel::Groups) {
            self.diego
                .hubs
                .publish(Channel::Groups, &event(group_of(record)), cell_of(record));
        }
    }
}

/// The deprecated view of one record.
pub(crate) fn group_of(record: &ActualLrp) -> ActualLrpGroup {
    if record.presence == Presence::Evacuating as i32 {
        ActualLrpGroup {
            instance: None,
            evacuating: Some(record.clone()),
        }
    } else {
        ActualLrpGroup {
            instance: Some(record.clone()),
            evacuating: None,
        }
    }
}
