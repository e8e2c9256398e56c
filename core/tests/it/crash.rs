//! The controller killed at the n-th write, for every n of a scenario, before and after the write takes
//! effect: the same end, with nothing doubled or leaked.

use std::collections::BTreeSet;
use std::time::Duration;

use ncp_core::intent::{Fact, FactKey, ProjectEgress};

use crate::facts::{self, Change, RuleSeed};
use crate::sim::Sim;
use crate::toy::{STYLES, Style};

/// A project comes, grows and is governed; then part of it goes.
fn scenario(style: Style, dies_at: Option<u64>) -> Sim {
    let mut sim = Sim::new(style, 11);
    sim.faults.delay = 20;
    sim.dies_at = dies_at;
    sim.gain();
    sim.change(&Change::Say(facts::project(0, ProjectEgress::Translated)));
    for n in [0, 1, 3] {
        sim.change(&Change::Say(Fact::Workload(facts::workload(n))));
    }
    sim.change(&Change::Say(facts::policy(0, 3, &[RuleSeed(22), RuleSeed(0)])));
    sim.list_all();
    sim.run(Duration::from_secs(20));
    sim.change(&Change::Say(facts::policy(0, 1, &[RuleSeed(22)])));
    sim.change(&Change::Unsay(FactKey::Workload(facts::workload_id(3))));
    sim.list_all();
    sim.run(Duration::from_secs(20));
    sim.quiesce();
    sim
}

fn standing(sim: &Sim) -> BTreeSet<String> {
    sim.world.ours().map(|(_, key, _)| key.to_string()).collect()
}

#[test]
fn killed_at_any_write_it_ends_the_same() {
    for style in STYLES {
        let whole = scenario(style, None);
        whole.check_converged();
        assert!(whole.arrived > 10, "{} writes", whole.arrived);
        for n in 1..=whole.arrived {
            let sim = scenario(style, Some(n));
            sim.check_converged();
            assert_eq!(standing(&sim), standing(&whole), "{style:?}, killed at write {n}");
        }
    }
}

/// Leadership lost in the middle: what was in flight may still take effect, its answers count nothing,
/// and nothing is started before the next.
#[test]
fn what_a_lost_leadership_left_is_repaired() {
    for style in STYLES {
        let mut sim = Sim::new(style, 5);
        sim.faults.delay = 500;
        sim.gain();
        for n in 0..4 {
            sim.change(&Change::Say(Fact::Workload(facts::workload(n))));
        }
        sim.list_all();
        for _ in 0..6 {
            sim.run(Duration::from_millis(400));
            sim.lose();
            let arrived = sim.world.writes;
            sim.run(Duration::from_secs(2));
            let late = sim.world.writes - arrived;
            assert!(
                late <= 8 * 6,
                "only what was under way arrives, not {late} writes"
            );
            let before = sim.world.writes;
            sim.run(Duration::from_secs(60));
            assert_eq!(sim.world.writes, before, "{style:?}: written without a lock");
            sim.gain();
        }
        sim.quiesce();
        sim.check_converged();
    }
}
