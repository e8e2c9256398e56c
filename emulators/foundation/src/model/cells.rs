//! Cells: round-robin placement among those that are present and have room.

use diego_wire::bbs::{CellCapacity, CellPresence, Provider};

use super::World;
use super::error::WorldError;
use crate::options::CellSpec;

/// Whether a cell takes and keeps containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CellState {
    Present,
    /// Drains before it goes.
    Draining,
    /// Its presence lapsed; its containers may be alive.
    Lost,
}

/// One cell.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub spec: CellSpec,
    pub address: String,
    pub state: CellState,
    pub used: usize,
    pub ports: u32,
}

impl Cell {
    /// What the BBS says about a cell; lost cells are not listed.
    pub(crate) fn presence(&self) -> CellPresence {
        let containers = i32::try_from(self.spec.containers).unwrap_or(i32::MAX);
        CellPresence {
            cell_id: self.spec.id.clone(),
            rep_address: format!("http://{}:1800", self.address),
            zone: self.spec.zone.clone(),
            capacity: Some(CellCapacity {
                memory_mb: 65_536,
                disk_mb: 262_144,
                containers,
            }),
            rootfs_providers: vec![Provider {
                name: "preloaded".into(),
                properties: vec!["cflinuxfs4".into(), "cflinuxfs3".into()],
            }],
            placement_tags: self.spec.placement_tags.clone(),
            rep_url: format!("https://{}.cell.service.cf.internal:1801", self.spec.id),
            ..Default::default()
        }
    }
}

impl World {
    /// Adds a cell; instances that waited for room are placed.
    pub(crate) fn add_cell(&mut self, spec: &CellSpec) {
        let number = self.diego.cells.len() + 1;
        let address = spec
            .address
            .clone()
            .unwrap_or_else(|| format!("10.0.{}.{}", 16 + number / 250, number % 250 + 4));
        self.diego.cells.push(Cell {
            spec: spec.clone(),
            address,
            state: CellState::Present,
            used: 0,
            ports: 0,
        });
        self.place_waiting();
    }

    pub(crate) fn cell(&self, id: &str) -> Result<usize, WorldError> {
        let found = self.diego.cells.iter().position(|cell| cell.spec.id == id);
        found.ok_or_else(|| WorldError::not_found("cell", id))
    }

    /// The next cell in turn that is present, carries the wanted tags and has room.
    pub(crate) fn pick_cell(&mut self, tags: &[String]) -> Option<usize> {
        let count = self.diego.cells.len();
        let start = self.diego.cursor;
        let found = (0..count).map(|step| (start + step) % count.max(1)).find(|&at| {
            let cell = &self.diego.cells[at];
            let tagged = if tags.is_empty() {
                cell.spec.placement_tags.is_empty()
            } else {
                tags.iter().all(|tag| cell.spec.placement_tags.contains(tag))
            };
            cell.state == CellState::Present && tagged && cell.used < cell.spec.containers
        })?;
        self.diego.cursor = (found + 1) % count;
        self.diego.cells[found].used += 1;
        Some(found)
    }

    pub(crate) fn leave_cell(&mut self, id: &str) {
        if let Some(cell) = self.diego.cells.iter_mut().find(|cell| cell.spec.id == id) {
            cell.used = cell.used.saturating_sub(1);
        }
    }

    /// A container's address. On the real platform the container network gives it.
    pub(crate) fn container_address(&mut self) -> String {
        self.diego.addresses += 1;
        let [_, high, middle, low] = self.diego.addresses.to_be_bytes();
        format!("10.{}.{middle}.{low}", 128 + high % 128)
    }
}
