//! Departure: a container's record may be gone while the container still runs.
//!
//! A port taken from under a live container would hand its address to another. So a record that is
//! gone leaves its workload *departing*, with everything as it was, until the node says that the
//! container is gone or complete listings, far enough apart, have not mentioned it.

use super::{Dirty, Index, ScopeId};
use crate::id::WorkloadId;
use crate::settings::Settings;
use crate::time::Time;

/// A workload whose record is gone.
#[derive(Clone, Copy, Debug)]
pub struct Departing {
    listings: u8,
    /// When the last counted listing ended; none counted yet: when the record went.
    last: Time,
}

impl Index {
    /// How many workloads are departing.
    pub fn departing(&self) -> usize {
        self.workloads
            .values()
            .filter(|h| h.value.departing.is_some())
            .count()
    }

    pub(super) fn depart(&mut self, id: &WorkloadId, now: Time, settings: &Settings, dirty: &mut Dirty) {
        let Some(held) = self.workloads.get_mut(id) else {
            return;
        };
        held.value.departing.get_or_insert(Departing {
            listings: 0,
            last: now,
        });
        if settings.departure.listings == 0 || held.value.departed {
            self.drop_workload(id, dirty);
        }
    }

    pub(super) fn departed(&mut self, id: &WorkloadId, dirty: &mut Dirty) {
        // While the record stands the platform may be about to restart the container under the same
        // handle; the record's own end decides then.
        let Some(held) = self.workloads.get_mut(id) else {
            return;
        };
        held.value.departed = true;
        if held.value.departing.is_some() {
            self.drop_workload(id, dirty);
        }
    }

    pub(super) fn count_departures(
        &mut self,
        scope: ScopeId,
        now: Time,
        settings: &Settings,
        dirty: &mut Dirty,
    ) {
        let rule = settings.departure;
        let mut gone = Vec::new();
        for (id, held) in self.workloads.iter_mut().filter(|(_, h)| h.scope == scope) {
            let Some(departing) = &mut held.value.departing else {
                continue;
            };
            if departing.listings == 0 || now.since(departing.last) >= rule.apart {
                departing.listings += 1;
                departing.last = now;
            }
            if departing.listings >= rule.listings {
                gone.push(id.clone());
            }
        }
        for id in gone {
            self.drop_workload(&id, dirty);
        }
    }

    fn drop_workload(&mut self, id: &WorkloadId, dirty: &mut Dirty) {
        if let Some(held) = self.workloads.remove(id) {
            self.derived
                .workload_changed(Some(&held.value.workload), None, dirty);
        }
    }
}
