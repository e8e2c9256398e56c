//! Cells that drain, vanish and come back: the hard part of following Diego.
//!
//! Source: `evacuation_db.go`, `suspect_db.go` and the evacuation and LRP convergence controllers of `bbs`.

use diego_wire::lrp::{CLAIMED, RUNNING, UNCLAIMED};

use super::World;
use super::cells::CellState;
use super::diego::{RecordKey, Slot, Step};
use super::error::WorldError;
use super::instances::{EVACUATING, ORDINARY, SUSPECT, unclaim};

impl World {
    fn records_on(&self, cell: &str, presence: i32) -> Vec<RecordKey> {
        let on_cell = self.diego.actual.iter().filter(|(key, record)| {
            key.2 == presence
                && record
                    .actual_lrp_instance_key
                    .as_ref()
                    .is_some_and(|at| at.cell_id == cell)
        });
        on_cell.map(|(key, _)| key.clone()).collect()
    }

    /// A cell drains: running instances stay as EVACUATING until a replacement runs elsewhere; tasks run
    /// on until they end or the cell goes.
    pub(crate) fn evacuate(&mut self, cell: &str) -> Result<(), WorldError> {
        let at = self.cell(cell)?;
        self.diego.cells[at].state = CellState::Draining;
        for key in self.records_on(cell, ORDINARY) {
            self.evacuate_record(&key);
        }
        Ok(())
    }

    /// The evacuating record is a new row; the ordinary row lives on as the replacement.
    fn evacuate_record(&mut self, key: &RecordKey) {
        let now = self.clock.nanos();
        let tag = self.new_tag();
        let Some(record) = self.diego.actual.get_mut(key) else {
            return;
        };
        let before = record.clone();
        unclaim(record, UNCLAIMED, now);
        let replacement = record.clone();
        if before.state == RUNNING {
            let mut evacuating = before.clone();
            evacuating.presence = EVACUATING;
            evacuating.modification_tag = tag;
            self.emit_changed(&before, &evacuating);
            self.diego
                .actual
                .insert((key.0.clone(), key.1, EVACUATING), evacuating);
            self.emit_created(&replacement);
        } else {
            let cell = before
                .actual_lrp_instance_key
                .as_ref()
                .map(|at| at.cell_id.clone())
                .unwrap_or_default();
            self.leave_cell(&cell);
            self.emit_created(&replacement);
            self.emit_removed(&before);
        }
        self.later(self.delays.claim, Step::Claim((key.0.clone(), key.1)));
    }

    /// A cell's presence lapses: its instances become SUSPECT and replacements are wanted; evacuating
    /// instances on it go for good, and its tasks fail.
    pub(crate) fn lose_cell(&mut self, cell: &str) -> Result<(), WorldError> {
        let at = self.cell(cell)?;
        self.diego.cells[at].state = CellState::Lost;
        for key in self.records_on(cell, EVACUATING) {
            self.drop_record(&key);
        }
        for key in self.records_on(cell, ORDINARY) {
            self.suspect_record(&key);
        }
        self.fail_tasks_on(cell, "cell disappeared before completion");
        Ok(())
    }

    fn suspect_record(&mut self, key: &RecordKey) {
        let Some(before) = self.diego.actual.remove(key) else {
            return;
        };
        if before.state == CLAIMED {
            // A container that never ran is not worth keeping: the row is simply wanted again.
            let now = self.clock.nanos();
            let mut after = before.clone();
            unclaim(&mut after, UNCLAIMED, now);
            self.emit_created(&after);
            self.emit_removed(&before);
            self.diego.actual.insert(key.clone(), after);
            return self.later(self.delays.claim, Step::Claim((key.0.clone(), key.1)));
        }
        let mut suspect = before.clone();
        suspect.presence = SUSPECT;
        self.emit_changed(&before, &suspect);
        self.diego.actual.insert((key.0.clone(), key.1, SUSPECT), suspect);
        self.create_instance(&key.0, key.1);
    }

    /// A cell comes back. Suspect instances whose replacement does not run yet are ordinary again, under
    /// the same tag; containers that were replaced meanwhile are gone.
    pub(crate) fn return_cell(&mut self, cell: &str) -> Result<(), WorldError> {
        let at = self.cell(cell)?;
        self.diego.cells[at].state = CellState::Present;
        let suspects: Vec<Slot> = self
            .records_on(cell, SUSPECT)
            .into_iter()
            .map(|key| (key.0, key.1))
            .collect();
        for slot in suspects {
            self.resume(&slot);
        }
        self.diego.cells[at].used = self.records_on(cell, ORDINARY).len()
            + self.records_on(cell, EVACUATING).len()
            + self.tasks_on(cell);
        self.place_waiting();
        Ok(())
    }

    fn resume(&mut self, slot: &Slot) {
        let key = |presence| (slot.0.clone(), slot.1, presence);
        self.drop_record(&key(ORDINARY));
        let Some(before) = self.diego.actual.remove(&key(SUSPECT)) else {
            return;
        };
        let mut after = before.clone();
        after.presence = ORDINARY;
        self.emit_changed(&before, &after);
        self.diego.actual.insert(key(ORDINARY), after);
    }
}
