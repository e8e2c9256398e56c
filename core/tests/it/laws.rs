//! Properties over random histories; see [`Sim`] for what it checks all along.

use std::time::Duration;

use ncp_core::event::Event;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use crate::facts::{self, Change};
use crate::sim::{Faults, Sim};
use crate::toy::{STYLES, Style};

#[derive(Clone, Debug)]
pub(crate) enum Act {
    Change(Change),
    ChangeBadly(Change),
    List(usize),
    Trust(usize, bool),
    Depart(u8),
    Run(u64),
    Freeze,
    Lose,
    Gain,
    Restart,
    Meddle(u64),
    Room(u32, u32),
    NewNode(u8),
    Confirm,
}

pub(crate) fn some_act() -> impl Strategy<Value = Act> {
    let scope = 0..facts::scopes().len();
    prop_oneof![
        12 => facts::some_change().prop_map(Act::Change),
        8 => facts::some_change().prop_map(Act::ChangeBadly),
        4 => scope.clone().prop_map(Act::List),
        1 => (scope, any::<bool>()).prop_map(|(s, t)| Act::Trust(s, t)),
        1 => (0..facts::WORKLOADS).prop_map(Act::Depart),
        8 => (1u64..3_000).prop_map(Act::Run),
        2 => (60_000u64..700_000).prop_map(Act::Run),
        1 => Just(Act::Freeze),
        1 => Just(Act::Lose),
        2 => Just(Act::Gain),
        1 => Just(Act::Restart),
        1 => any::<u64>().prop_map(Act::Meddle),
        1 => (0u32..6, 0u32..4).prop_map(|(b, p)| Act::Room(b, p)),
        1 => (0..facts::NODES).prop_map(Act::NewNode),
        1 => Just(Act::Confirm),
    ]
}

fn act(sim: &mut Sim, act: &Act) {
    match act {
        Act::Change(change) => sim.change(change),
        Act::ChangeBadly(change) => sim.change_badly(change),
        Act::List(scope) => sim.list(*scope),
        Act::Trust(scope, trusted) => {
            let scope = facts::scopes()[*scope].clone();
            sim.feed(Event::Trust {
                scope,
                trusted: *trusted,
            });
        }
        Act::Depart(n) => sim.feed(Event::Departed {
            workload: facts::workload_id(*n),
        }),
        Act::Run(ms) => sim.run(Duration::from_millis(*ms)),
        Act::Freeze => sim.run_frozen(Duration::from_secs(40)),
        Act::Lose => sim.lose(),
        Act::Gain => sim.gain(),
        Act::Restart => {
            sim.restart();
            sim.gain();
        }
        Act::Meddle(pick) => {
            sim.ports_may_move = true;
            sim.world.meddle(*pick);
        }
        Act::Room(blocks, pool) => {
            sim.world.blocks = *blocks;
            sim.world.pools.values_mut().for_each(|p| *p = *pool);
        }
        Act::NewNode(n) => sim.world.add_node(&facts::node_id(*n)),
        Act::Confirm => sim.engine.confirm(),
    }
}

/// `PROPTEST_CASES` (256 if not set) scales how many histories are tried.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig {
        cases: (usual * config.cases / 256).max(1),
        max_shrink_iters: 3_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "proptest-regressions/it.txt",
        ))),
        ..config
    }
}

fn lived(style: Style, seed: u64, faults: Faults, acts: &[Act]) -> Sim {
    let mut sim = Sim::new(style, seed);
    sim.faults = faults;
    sim.gain();
    live(&mut sim, acts);
    sim
}

/// Lives through a history, checking the law all along.
pub(crate) fn live(sim: &mut Sim, acts: &[Act]) {
    for a in acts {
        act(sim, a);
        sim.check_law();
    }
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn any_history_converges(seed: u64, acts in proptest::collection::vec(some_act(), 1..60), bad: bool) {
        for style in STYLES {
            let faults = if bad { Faults::SOME } else { Faults { delay: 50, ..Faults::default() } };
            let mut sim = lived(style, seed, faults, &acts);
            sim.quiesce();
            sim.check_converged();
            sim.check_still(Duration::from_secs(4_000));
            sim.restart();
            sim.gain();
            sim.check_still(Duration::from_secs(700));
            sim.check_converged();
        }
    }

    #[test]
    fn the_same_input_gives_the_same_effects(seed: u64, acts in proptest::collection::vec(some_act(), 1..30)) {
        for style in STYLES {
            let effects = || {
                let mut sim = Sim::new(style, seed);
                sim.record = Some(Vec::new());
                sim.faults = Faults::SOME;
                sim.gain();
                for a in &acts {
                    act(&mut sim, a);
                }
                sim.record.take()
            };
            prop_assert_eq!(effects(), effects());
        }
    }
}
