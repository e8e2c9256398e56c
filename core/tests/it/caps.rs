//! Caps on apps' own translated addresses ([`EgressCaps`]).

use std::time::Duration;

use ncp_core::code::Code;
use ncp_core::engine::Engine;
use ncp_core::id::WorkloadId;
use ncp_core::intent::{EgressOwner, Fact, FactKey};
use ncp_core::settings::EgressCaps;
use ncp_core::topology::{Kind, Object};
use proptest::prelude::*;

use crate::facts::{self, Change};
use crate::laws::{cases, live, some_act};
use crate::sim::{Faults, Sim};
use crate::toy::{STYLES, Style, Toy};

/// Two workloads of one project that name a pool each: 5 and 6.
const RIVALS: [u8; 2] = [5, 6];

fn sim(style: Style, caps: EgressCaps) -> Sim {
    let mut sim = Sim::new(style, 7);
    sim.settings.egress_caps = caps;
    sim.engine = Engine::new(Toy(style), sim.settings.clone());
    sim.gain();
    sim.list_all();
    sim
}

fn per_project(cap: usize) -> EgressCaps {
    EgressCaps {
        per_project: Some(cap),
        ..EgressCaps::default()
    }
}

fn run(sim: &mut Sim) {
    sim.run(Duration::from_secs(20));
}

fn start(sim: &mut Sim, n: u8) {
    sim.change(&Change::Say(Fact::Workload(facts::workload(n))));
    run(sim);
}

fn end(sim: &mut Sim, n: u8) {
    sim.change(&Change::Unsay(FactKey::Workload(facts::workload_id(n))));
    sim.feed(ncp_core::event::Event::Departed {
        workload: facts::workload_id(n),
    });
    run(sim);
}

/// Workloads whose own translation stands.
fn translated(sim: &Sim) -> Vec<WorkloadId> {
    let nat = |object| match object {
        Object::WorkloadNat(nat) => Some(nat.workload),
        _ => None,
    };
    sim.world.objects().into_iter().filter_map(nat).collect()
}

fn ports(sim: &Sim) -> usize {
    sim.engine
        .status()
        .objects
        .get(&Kind::Port)
        .copied()
        .unwrap_or_default()
}

fn said(sim: &Sim) -> Vec<String> {
    let all = sim.engine.conditions().into_iter();
    all.filter(|c| c.code == Code::SnatProcessFailed)
        .map(|c| format!("{} {}: {}", c.origin.kind, c.origin.id, c.message))
        .collect()
}

#[test]
fn a_newcomer_beyond_the_cap_is_held_back_and_named_until_there_is_room() {
    for style in STYLES {
        let mut sim = sim(style, per_project(1));
        let [first, second] = RIVALS.map(facts::workload_id);
        start(&mut sim, RIVALS[0]);
        start(&mut sim, RIVALS[1]);
        assert_eq!(translated(&sim), std::slice::from_ref(&first));
        assert_eq!(ports(&sim), 2, "its container has its network");
        let held = sim.engine.context().groups_of(&second);
        assert!(
            held.iter()
                .any(|g| g.to_string() == ncp_core::compile::HELD_GROUP),
            "without a way out: {held:?}"
        );
        let said = said(&sim);
        assert!(
            said.iter()
                .any(|s| s.contains("instance w6") && s.contains("cap")),
            "{said:?}"
        );
        assert!(
            said.iter().any(|s| s.contains("hold 1 of at most 1")),
            "the alarm: {said:?}"
        );

        end(&mut sim, RIVALS[0]);
        sim.run(Duration::from_secs(700));
        assert_eq!(
            translated(&sim),
            std::slice::from_ref(&second),
            "the first one's address was kept for a while, then let go"
        );
        sim.check_law();
    }
}

#[test]
fn what_an_app_holds_it_keeps_over_a_restart_whatever_sorts_before_it() {
    for style in STYLES {
        for order in [RIVALS, [RIVALS[1], RIVALS[0]]] {
            let mut sim = sim(style, per_project(1));
            start(&mut sim, order[0]);
            start(&mut sim, order[1]);
            let holder = translated(&sim);
            assert_eq!(holder, [facts::workload_id(order[0])]);
            sim.restart();
            sim.gain();
            sim.check_still(Duration::from_secs(60));
            assert_eq!(translated(&sim), holder);
        }
    }
}

#[test]
fn the_alarm_comes_at_four_fifths() {
    for (cap, alarms) in [(1, true), (2, false)] {
        let mut sim = sim(STYLES[0], per_project(cap));
        start(&mut sim, RIVALS[0]);
        assert_eq!(!said(&sim).is_empty(), alarms, "1 of {cap}");
    }
}

#[test]
fn a_caps_count_is_of_its_own_pool() {
    let caps = EgressCaps {
        per_pool: Some(1),
        ..EgressCaps::default()
    };
    let mut sim = sim(STYLES[0], caps);
    // Three apps, each in a pool of its own.
    for n in [3, 5, 6] {
        start(&mut sim, n);
    }
    assert_eq!(translated(&sim).len(), 3);
}

proptest! {
    #![proptest_config(cases(16))]

    #[test]
    fn any_history_under_caps_converges_within_them(
        acts in proptest::collection::vec(some_act(), 1..40),
        cap in 1usize..3,
    ) {
        for style in STYLES {
            let mut sim = sim(style, per_project(cap));
            sim.faults = Faults { delay: 50, ..Faults::default() };
            live(&mut sim, &acts);
            sim.quiesce();
            sim.check_converged();
            let mut held = std::collections::BTreeMap::<_, usize>::new();
            for object in sim.world.objects() {
                if let Object::Address(address) = object
                    && let EgressOwner::Group(project, _) = address.owner
                {
                    *held.entry(project).or_default() += 1;
                }
            }
            prop_assert!(held.values().all(|n| *n <= cap), "{held:?}");
            sim.restart();
            sim.gain();
            sim.check_still(Duration::from_secs(700));
            sim.check_converged();
        }
    }
}
