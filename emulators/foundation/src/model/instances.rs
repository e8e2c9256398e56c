//! The life of an instance: wanted, placed, healthy, crashed, stopped.

use diego_wire::bbs::{
    ActualLrp, ActualLrpInstanceKey, ActualLrpKey, ActualLrpNetInfo, DesiredLrp, PortMapping,
    actual_lrp_net_info,
};
use diego_wire::lrp::{CLAIMED, CRASHED, RUNNING, UNCLAIMED};

use super::World;
use super::diego::{RecordKey, Slot, Step, touch};
use super::error::WorldError;
use super::recipe;

/// Presences as they are stored.
pub(crate) const ORDINARY: i32 = 0;
pub(crate) const EVACUATING: i32 = 1;
pub(crate) const SUSPECT: i32 = 2;

/// Crashes that are answered by a restart at once.
const IMMEDIATE_RESTARTS: i32 = 3;

pub(crate) fn ordinary(slot: &Slot) -> RecordKey {
    (slot.0.clone(), slot.1, ORDINARY)
}

fn container(record: &ActualLrp) -> (&str, &str) {
    record
        .actual_lrp_instance_key
        .as_ref()
        .map_or(("", ""), |key| (&key.instance_guid, &key.cell_id))
}

/// Takes the container off a record. Routability, zone and tags are left behind, as on the platform.
pub(crate) fn unclaim(record: &mut ActualLrp, state: &str, since: i64) {
    record.state = state.to_owned();
    record.since = since;
    record.actual_lrp_instance_key = Some(ActualLrpInstanceKey::default());
    record.actual_lrp_net_info = Some(ActualLrpNetInfo::default());
    touch(&mut record.modification_tag);
}

impl World {
    /// A new record, UNCLAIMED, under a new epoch.
    pub(crate) fn create_instance(&mut self, process_guid: &str, index: i32) {
        let domain = self
            .diego
            .desired
            .get(process_guid)
            .map(|desired| desired.domain.clone())
            .unwrap_or_default();
        let record = ActualLrp {
            actual_lrp_key: Some(ActualLrpKey {
                process_guid: process_guid.to_owned(),
                index,
                domain,
            }),
            actual_lrp_instance_key: Some(ActualLrpInstanceKey::default()),
            actual_lrp_net_info: Some(ActualLrpNetInfo::default()),
            state: UNCLAIMED.to_owned(),
            since: self.clock.nanos(),
            modification_tag: self.new_tag(),
            presence: ORDINARY,
            ..Default::default()
        };
        self.emit_created(&record);
        let slot = (process_guid.to_owned(), index);
        self.diego.actual.insert(ordinary(&slot), record);
        self.later(self.delays.claim, Step::Claim(slot));
    }

    /// Changes a record and returns it before and after.
    fn change(
        &mut self,
        key: &RecordKey,
        change: impl FnOnce(&mut ActualLrp),
    ) -> Option<(ActualLrp, ActualLrp)> {
        let record = self.diego.actual.get_mut(key)?;
        let before = record.clone();
        change(record);
        Some((before, record.clone()))
    }

    pub(crate) fn claim(&mut self, slot: &Slot) {
        let key = ordinary(slot);
        if self.diego.hold_placement
            || self
                .diego
                .actual
                .get(&key)
                .is_none_or(|record| record.state != UNCLAIMED)
        {
            return;
        }
        let Some(tags) = self
            .diego
            .desired
            .get(&slot.0)
            .map(|desired| desired.placement_tags.clone())
        else {
            return;
        };
        let (now, cell) = (self.clock.nanos(), self.pick_cell(&tags));
        let Some(cell) = cell else {
            return self.unplaceable(&key);
        };
        let (instance_guid, cell_id) = (self.guid(), self.diego.cells[cell].spec.id.clone());
        let instance = ActualLrpInstanceKey {
            instance_guid: instance_guid.clone(),
            cell_id,
        };
        let changed = self.change(&key, |record| {
            record.state = CLAIMED.to_owned();
            record.since = now;
            record.placement_error = Vec::new();
            record.actual_lrp_instance_key = Some(instance);
            touch(&mut record.modification_tag);
        });
        if let Some((before, after)) = changed {
            self.emit_changed(&before, &after);
        }
        self.later(self.delays.run, Step::Run(slot.clone(), instance_guid));
    }

    fn unplaceable(&mut self, key: &RecordKey) {
        let changed = self.change(key, |record| {
            record.placement_error = b"found no compatible cell".to_vec();
            touch(&mut record.modification_tag);
        });
        if let Some((before, after)) = changed {
            self.emit_changed(&before, &after);
        }
    }

    /// Tries again to place what has no cell.
    pub(crate) fn place_waiting(&mut self) {
        let waiting = self
            .diego
            .actual
            .iter()
            .filter(|(_, record)| record.state == UNCLAIMED);
        let waiting: Vec<Slot> = waiting.map(|(key, _)| (key.0.clone(), key.1)).collect();
        for slot in waiting {
            self.claim(&slot);
        }
    }

    /// The health check passed: the record shows addresses, and who held the index before goes.
    pub(crate) fn run(&mut self, slot: &Slot, instance: &str) {
        let key = ordinary(slot);
        let Some(record) = self.diego.actual.get(&key) else {
            return;
        };
        if container(record).0 != instance || record.state != CLAIMED {
            return;
        }
        let cell_id = container(record).1.to_owned();
        let Some(desired) = self.diego.desired.get(&slot.0) else {
            return;
        };
        let (ports, tags) = (
            desired.ports.clone(),
            self.resolved_tags(desired, slot.1, instance),
        );
        let net = self.net_info(&cell_id, &ports);
        let zone = self
            .cell(&cell_id)
            .map(|at| self.diego.cells[at].spec.zone.clone())
            .unwrap_or_default();
        let (now, newest) = (self.clock.nanos(), self.age.is_newest());
        let changed = self.change(&key, |record| {
            record.state = RUNNING.to_owned();
            record.since = now;
            record.actual_lrp_net_info = Some(net);
            touch(&mut record.modification_tag);
            if newest {
                record.metric_tags = tags;
                record.routable = Some(true);
                record.availability_zone = zone;
            }
        });
        if let Some((before, after)) = changed {
            self.emit_changed(&before, &after);
        }
        for presence in [EVACUATING, SUSPECT] {
            self.drop_record(&(slot.0.clone(), slot.1, presence));
        }
    }

    fn resolved_tags(
        &self,
        desired: &DesiredLrp,
        index: i32,
        instance: &str,
    ) -> std::collections::BTreeMap<String, String> {
        let resolve = |value| recipe::resolve(value, index, instance);
        desired
            .metric_tags
            .iter()
            .map(|(name, value)| (name.clone(), resolve(value)))
            .collect()
    }

    fn net_info(&mut self, cell_id: &str, ports: &[u32]) -> ActualLrpNetInfo {
        let instance_address = self.container_address();
        let Ok(at) = self.cell(cell_id) else {
            return ActualLrpNetInfo::default();
        };
        let cell = &mut self.diego.cells[at];
        let mut host_port = || {
            cell.ports = (cell.ports + 1) % 4096;
            61_000 + cell.ports
        };
        let mappings = ports
            .iter()
            .zip(61_001..)
            .map(|(&container_port, proxy)| PortMapping {
                container_port,
                host_port: host_port(),
                container_tls_proxy_port: proxy,
                host_tls_proxy_port: host_port(),
            });
        let ports = mappings.collect();
        ActualLrpNetInfo {
            address: cell.address.clone(),
            ports,
            instance_address,
            preferred_address: actual_lrp_net_info::PreferredAddress::Host as i32,
            ..Default::default()
        }
    }

    /// Removes a record and tells of it.
    pub(crate) fn drop_record(&mut self, key: &RecordKey) {
        if let Some(record) = self.diego.actual.remove(key) {
            self.leave_cell(container(&record).1);
            self.emit_removed(&record);
        }
    }

    /// Orders a record's container to stop; without a container the record goes at once.
    pub(crate) fn stop(&mut self, key: RecordKey) {
        let Some(record) = self.diego.actual.get(&key) else {
            return;
        };
        let instance = container(record).0.to_owned();
        if instance.is_empty() {
            self.drop_record(&key);
        } else {
            self.later(self.delays.stop, Step::Stopped(key, instance));
        }
    }

    pub(crate) fn stopped(&mut self, key: &RecordKey, instance: &str) {
        if self
            .diego
            .actual
            .get(key)
            .is_some_and(|record| container(record).0 == instance)
        {
            self.drop_record(key);
        }
    }

    /// Restarts one instance: its removal is told when ordered and again when done, then it is wanted anew.
    pub(crate) fn retire(&mut self, slot: &Slot) -> Result<(), WorldError> {
        let key = ordinary(slot);
        let missing = || WorldError::not_found("instance", &format!("{} of {}", slot.1, slot.0));
        let record = self.diego.actual.get(&key).ok_or_else(missing)?.clone();
        self.emit_removed(&record);
        self.drop_record(&key);
        self.create_instance(&slot.0, slot.1);
        Ok(())
    }

    /// A container dies: the first times it is wanted again at once, later it waits as CRASHED.
    pub(crate) fn crash(&mut self, slot: &Slot, reason: &[u8]) -> Result<(), WorldError> {
        let key = ordinary(slot);
        let now = self.clock.nanos();
        let alive = self
            .diego
            .actual
            .get(&key)
            .is_some_and(|record| !container(record).0.is_empty());
        if !alive {
            return Err(WorldError::conflict(format!(
                "instance {} of {} has no container to crash",
                slot.1, slot.0
            )));
        }
        let changed = self.change(&key, |record| {
            record.crash_count += 1;
            record.crash_reason = reason[..reason.len().min(1024)].to_vec();
            let again = record.crash_count <= IMMEDIATE_RESTARTS;
            unclaim(record, if again { UNCLAIMED } else { CRASHED }, now);
        });
        let Some((before, after)) = changed else {
            return Ok(());
        };
        self.leave_cell(container(&before).1);
        self.emit_crashed(&before, &after);
        if after.state == CRASHED {
            self.emit_changed(&before, &after);
        } else {
            self.emit_created(&after);
            self.emit_removed(&before);
            self.later(self.delays.claim, Step::Claim(slot.clone()));
        }
        Ok(())
    }

    /// A CRASHED instance is wanted again after its back-off.
    pub(crate) fn restart_crashed(&mut self, slot: &Slot) -> Result<(), WorldError> {
        let key = ordinary(slot);
        if self
            .diego
            .actual
            .get(&key)
            .is_none_or(|record| record.state != CRASHED)
        {
            return Err(WorldError::conflict(format!(
                "instance {} of {} is not CRASHED",
                slot.1, slot.0
            )));
        }
        let now = self.clock.nanos();
        if let Some((before, after)) = self.change(&key, |record| unclaim(record, UNCLAIMED, now)) {
            self.emit_created(&after);
            self.emit_removed(&before);
            self.later(self.delays.claim, Step::Claim(slot.clone()));
        }
        Ok(())
    }

    /// Readiness changes: the tag moves, the state does not.
    pub(crate) fn set_routable(&mut self, slot: &Slot, routable: bool) {
        let changed = self.change(&ordinary(slot), |record| {
            record.routable = Some(routable);
            touch(&mut record.modification_tag);
        });
        if let Some((before, after)) = changed {
            self.emit_changed(&before, &after);
        }
    }
}
