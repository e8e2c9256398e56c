//! The engine alone, with the rows of the manager dialect and a far end that answers at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ncp_core::dialect::Fence;
use ncp_core::engine::Engine;
use ncp_core::event::Event;
use ncp_core::id::{GroupId, WorkloadId};
use ncp_core::intent::{AppliedTo, Fact, FactKey, Workload};
use ncp_core::settings::{Departure, Settings};
use ncp_core::time::Time;
use ncp_nsxt::manager::Manager;

use crate::answers::{Answers, environment};
use crate::table::{Table, cpu_seconds, resident_mb};
use crate::world::{FOUNDATION, World, many_small_groups, scopes};

const NOW: Time = Time(1_000_000);

/// The large foundation, then single changes on it.
pub(crate) fn foundation(seed: u64, table: &mut Table) {
    let world = World::make(FOUNDATION, seed);
    let (mut engine, mut answers) = cold(&world, "foundation", [3.0, 500.0], table);
    table.push("foundation: batches sent", answers.sent.batches as f64, "", None);
    table.push("foundation: rows", answers.sent.steps as f64, "", None);
    start_and_stop(&mut engine, &mut answers, &world, table);
    membership(&mut engine, &mut answers, &world, table);
}

/// Many small groups, each with policies of its own.
pub(crate) fn groups(seed: u64, table: &mut Table) {
    let small = many_small_groups(25_000, 4, 3, seed);
    let name = "25,000 groups x 4 workloads x 3 policies";
    cold(&small, name, [1.5, 300.0], table);
}

fn cold(world: &World, name: &str, goals: [f64; 2], table: &mut Table) -> (Engine<Manager>, Answers) {
    let events = world.events();
    let before = resident_mb();
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let settings = Settings {
        scopes: scopes().to_vec(),
        departure: Departure {
            listings: 0,
            apart: Duration::ZERO,
        },
        settle: Duration::ZERO,
        ..Settings::default()
    };
    let mut engine = Engine::new(Manager::new(environment()), settings);
    engine.lead(
        Some(Fence {
            epoch: 1,
            deadline: Time(u64::MAX),
        }),
        NOW,
    );
    let mut answers = Answers::new();
    events.into_iter().for_each(|event| engine.feed(event, NOW));
    answers.settle(&mut engine, NOW);
    let (took, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    table.push(format!("{name}: cold"), took, "s", Some(goals[0]));
    table.push(format!("{name}: cold, processor time"), cpu, "s", Some(goals[0]));
    table.push(
        format!("{name}: resident"),
        resident_mb() - before,
        "MB",
        Some(goals[1]),
    );
    let counts = engine.counts();
    table.push(
        format!("{name}: rows not settled"),
        counts.unsettled as f64,
        "",
        Some(0.0),
    );
    (engine, answers)
}

/// One instance starts, then stops: from the event to the batch that answers it.
fn start_and_stop(engine: &mut Engine<Manager>, answers: &mut Answers, world: &World, table: &mut Table) {
    let scope = scopes()[1].clone();
    let mut spans = Vec::new();
    for i in 0..2_000 {
        let like = &world.workloads[(i * 37) % world.workloads.len()];
        let id = WorkloadId::new(&format!("11111111-0000-4000-8000-{i:012x}"));
        let workload = Workload {
            id: id.clone(),
            ..like.clone()
        };
        let upsert = Event::Upsert {
            scope: scope.clone(),
            fact: Fact::Workload(workload),
        };
        let remove = Event::Remove {
            scope: scope.clone(),
            key: FactKey::Workload(id),
        };
        for event in [upsert, remove] {
            let start = Instant::now();
            engine.feed(event, NOW);
            let effects = engine.poll(NOW, 100).effects;
            spans.push(start.elapsed());
            effects
                .into_iter()
                .for_each(|effect| answers.answer(engine, effect, NOW));
            answers.settle(engine, NOW);
        }
    }
    table.push(
        "one instance started or stopped, p50",
        micros(&mut spans, 50),
        "µs",
        None,
    );
    table.push(
        "one instance started or stopped, p99",
        micros(&mut spans, 99),
        "µs",
        Some(200.0),
    );
}

/// A group of a thousand spaces' groups gains and loses one member.
fn membership(engine: &mut Engine<Manager>, answers: &mut Answers, world: &World, table: &mut Table) {
    let scope = scopes()[2].clone();
    let spaces: Vec<GroupId> = (0..1_000)
        .map(|i| GroupId::new(&format!("space:{i}:running")))
        .collect();
    let with = |count: usize| {
        let mut policy = world.policies[0].clone();
        policy.applied_to = AppliedTo::Groups(Arc::new(spaces[..count].iter().cloned().collect()));
        Event::Upsert {
            scope: scope.clone(),
            fact: Fact::Policy(policy),
        }
    };
    engine.feed(with(999), NOW);
    answers.settle(engine, NOW);
    let mut spans = Vec::new();
    for i in 0..1_000 {
        let event = with(if i % 2 == 0 { 1_000 } else { 999 });
        let start = Instant::now();
        engine.feed(event, NOW);
        let effects = engine.poll(NOW, 100).effects;
        spans.push(start.elapsed());
        effects
            .into_iter()
            .for_each(|effect| answers.answer(engine, effect, NOW));
        answers.settle(engine, NOW);
    }
    table.push(
        "one membership change in a union of 1,000, p50",
        micros(&mut spans, 50),
        "µs",
        Some(20.0),
    );
}

fn micros(spans: &mut [Duration], percent: usize) -> f64 {
    spans.sort_unstable();
    spans[(spans.len() - 1) * percent / 100].as_secs_f64() * 1e6
}
