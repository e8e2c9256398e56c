//! Who goes next: classes share the credits by weight, projects share a class in turn.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::rows::RowId;
use crate::topology::{Kind, ObjectKey};

/// A class of work. A cold start never starves a waiting container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Class {
    /// Containers' ports and what stands before them.
    Containers,
    /// Groups, sections, rules.
    Firewall,
    /// Projects' networks.
    Build,
    /// Removals.
    Retire,
}

/// How many turns of ten each class has while all have work; what one leaves, others take.
const TURNS: [Class; 10] = {
    use Class::{Build, Containers, Firewall, Retire};
    [
        Containers, Build, Containers, Firewall, Containers, Build, Containers, Firewall, Build, Retire,
    ]
};

pub(super) fn class(key: &ObjectKey, wanted: bool) -> Class {
    if !wanted {
        return Class::Retire;
    }
    match key.kind() {
        Kind::Port => Class::Containers,
        Kind::Nat if matches!(key, ObjectKey::WorkloadNat(_)) => Class::Containers,
        Kind::Group | Kind::Member | Kind::Union | Kind::UnionMember | Kind::Section | Kind::Rule => {
            Class::Firewall
        }
        _ => Class::Build,
    }
}

#[derive(Debug, Default)]
pub(super) struct Queues {
    classes: [ClassQueue; 4],
    turn: usize,
}

#[derive(Debug, Default)]
struct ClassQueue {
    shares: FxHashMap<u64, VecDeque<RowId>>,
    ring: VecDeque<u64>,
}

impl Queues {
    pub(super) fn push(&mut self, class: Class, share: u64, id: RowId) {
        let queue = &mut self.classes[class as usize];
        let row = queue.shares.entry(share).or_default();
        if row.is_empty() {
            queue.ring.push_back(share);
        }
        row.push_back(id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.classes.iter().all(|class| class.ring.is_empty())
    }

    pub(super) fn pop(&mut self) -> Option<RowId> {
        for i in 0..TURNS.len() {
            let at = (self.turn + i) % TURNS.len();
            if let Some(id) = self.classes[TURNS[at] as usize].pop() {
                self.turn = (at + 1) % TURNS.len();
                return Some(id);
            }
        }
        None
    }
}

impl ClassQueue {
    fn pop(&mut self) -> Option<RowId> {
        let share = self.ring.pop_front()?;
        let row = self.shares.get_mut(&share)?;
        let id = row.pop_front();
        if row.is_empty() {
            self.shares.remove(&share);
        } else {
            self.ring.push_back(share);
        }
        id
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn drain(queues: &mut Queues, count: usize) -> Vec<RowId> {
        (0..count).map_while(|_| queues.pop()).collect()
    }

    #[test]
    fn a_cold_start_does_not_starve_a_waiting_container() {
        let mut queues = Queues::default();
        for id in 0..10_000 {
            queues.push(Class::Firewall, u64::from(id % 7), id);
            queues.push(Class::Build, 1, 10_000 + id);
        }
        queues.push(Class::Containers, 1, 99_999);
        assert!(drain(&mut queues, 2).contains(&99_999));
    }

    #[test]
    fn a_class_shares_its_turns_among_projects() {
        let mut queues = Queues::default();
        for id in 0..100 {
            queues.push(Class::Containers, 1, id);
        }
        queues.push(Class::Containers, 2, 1_000);
        queues.push(Class::Containers, 3, 1_001);
        assert_eq!(drain(&mut queues, 4), [0, 1_000, 1_001, 1]);
    }

    #[test]
    fn every_class_has_its_turns_and_leaves_what_it_does_not_need() {
        let mut queues = Queues::default();
        let classes = [Class::Containers, Class::Firewall, Class::Build, Class::Retire];
        for id in 0..400 {
            queues.push(classes[id as usize % 4], 0, id);
        }
        let mut turns = [0; 4];
        for id in drain(&mut queues, 100) {
            turns[id as usize % 4] += 1;
        }
        assert_eq!(turns, [40, 20, 30, 10]);
        assert_eq!(drain(&mut queues, 1_000).len(), 300, "nothing is left behind");
        assert_eq!(queues.pop(), None);
    }
}
