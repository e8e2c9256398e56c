//! Worlds: each sequence of them also runs reversed, with an empty world between, split into single
//! events and squashed into one, under several flush policies; the network at the end is that of the
//! last world, whatever came before.
//!
//! The known blind spot: a palindrome never removes A while B still refers to it. That is written by
//! hand in [`crate::gaps`].

use std::collections::BTreeMap;
use std::time::Duration;

use ncp_core::event::Event;
use ncp_core::intent::{Fact, FactKey, ProjectEgress};
use ncp_core::topology::ObjectKey;

use crate::facts::{self, RuleSeed};
use crate::sim::Sim;
use crate::toy::{STYLES, Style};

struct World {
    name: &'static str,
    facts: Vec<Fact>,
}

fn worlds() -> Vec<World> {
    let containers = |numbers: &[u8]| -> Vec<Fact> {
        numbers
            .iter()
            .map(|n| Fact::Workload(facts::workload(*n)))
            .collect()
    };
    let with = |name, base: &[Fact], more: Vec<Fact>| World {
        name,
        facts: base.iter().cloned().chain(more).collect(),
    };
    let one = vec![facts::node(0), facts::project(0, ProjectEgress::Translated)];
    let policy = |n, groups, rules: &[u8]| {
        let rules: Vec<RuleSeed> = rules.iter().map(|r| RuleSeed(*r)).collect();
        facts::policy(n, groups, &rules)
    };
    vec![
        World {
            name: "nothing",
            facts: vec![],
        },
        with("a project without a container", &one, vec![]),
        with("its first container", &one, containers(&[0])),
        with(
            "a container with an address of its own",
            &one,
            containers(&[0, 3]),
        ),
        with(
            "two projects, more containers than one subnet has room for",
            &one,
            containers(&[0, 1, 2, 3, 4, 5, 6, 7]),
        ),
        with(
            "a policy for all of a group",
            &one,
            [containers(&[0, 1]), vec![policy(0, 1, &[0])]].concat(),
        ),
        with(
            "a policy between groups, and one that logs",
            &one,
            [
                containers(&[0, 1, 2]),
                vec![policy(0, 3, &[22, 38]), policy(2, 1, &[250])],
            ]
            .concat(),
        ),
    ]
}

/// When the engine gets to act.
#[derive(Clone, Copy, Debug)]
enum Flush {
    EachEvent,
    EachWorld,
    AtTheEnd,
}

const FLUSHES: [Flush; 3] = [Flush::EachEvent, Flush::EachWorld, Flush::AtTheEnd];

fn sequences(all: &[World]) -> Vec<Vec<&World>> {
    let forward: Vec<&World> = all.iter().collect();
    let backward: Vec<&World> = all.iter().rev().collect();
    let empty_between = forward
        .iter()
        .flat_map(|w| [*w, &all[0]])
        .chain([&all[3]])
        .collect();
    let last_only = all.iter().map(|w| vec![w]);
    let pairs = all.iter().flat_map(|a| all.iter().map(move |b| vec![a, b]));
    [forward, backward, empty_between]
        .into_iter()
        .chain(last_only)
        .chain(pairs)
        .collect()
}

/// The changes that lead from what is so to a world, in order of key or against it.
fn changes(sim: &Sim, world: &World, reversed: bool) -> Vec<(FactKey, Option<Fact>)> {
    let facts: BTreeMap<FactKey, Fact> = world.facts.iter().map(|f| (f.key(), f.clone())).collect();
    let gone = sim.platform.facts.keys().filter(|k| !facts.contains_key(k));
    let mut changes: Vec<(FactKey, Option<Fact>)> = gone.map(|k| (k.clone(), None)).collect();
    changes.extend(facts.into_iter().map(|(k, f)| (k, Some(f))));
    if reversed {
        changes.reverse();
    }
    changes
}

fn drive(style: Style, sequence: &[&World], flush: Flush, reversed: bool) -> Sim {
    let mut sim = Sim::new(style, 1);
    sim.gain();
    sim.run(Duration::from_millis(10));
    for world in sequence {
        for (key, fact) in changes(&sim, world, reversed) {
            let event = match fact {
                Some(fact) => sim.platform.say(fact),
                None => sim.platform.unsay(key.clone()),
            };
            sim.feed(event);
            if let FactKey::Workload(workload) = key
                && !sim
                    .platform
                    .facts
                    .contains_key(&FactKey::Workload(workload.clone()))
            {
                sim.feed(Event::Departed { workload });
            }
            if let Flush::EachEvent = flush {
                sim.run(Duration::from_millis(100));
            }
        }
        if let Flush::EachWorld = flush {
            sim.list_all();
            sim.run(Duration::from_secs(30));
        }
    }
    sim.quiesce();
    sim
}

/// What must stand besides what only an earlier world can have left: a project's network, which is
/// kept for as long as the project.
fn keys(sim: &Sim) -> Vec<String> {
    let of_project = |key: &ObjectKey| {
        matches!(
            key,
            ObjectKey::Router(_) | ObjectKey::Subnet(..) | ObjectKey::Switch(..)
        ) || matches!(key, ObjectKey::SubnetNat(..) | ObjectKey::Address(_))
            || key.to_string().contains("isolation/")
    };
    let mut keys: Vec<String> = sim
        .world
        .ours()
        .filter(|(_, key, _)| !of_project(&key.object))
        .map(|(_, key, _)| key.to_string())
        .collect();
    keys.sort();
    keys
}

#[test]
fn the_last_world_stands_whatever_came_before() {
    let all = worlds();
    for style in STYLES {
        let fresh: Vec<(&str, Vec<String>)> = all
            .iter()
            .map(|w| (w.name, keys(&drive(style, &[w], Flush::AtTheEnd, false))))
            .collect();
        for (n, sequence) in sequences(&all).iter().enumerate() {
            // All flushes for the long ones, one each, by turns, for the many pairs.
            let flushes: Vec<Flush> = match n {
                0..3 => FLUSHES.to_vec(),
                _ => vec![FLUSHES[n % 3]],
            };
            for flush in flushes {
                let names: Vec<&str> = sequence.iter().map(|w| w.name).collect();
                let sim = drive(style, sequence, flush, n % 2 == 0);
                sim.check_converged();
                let last = names.last().unwrap();
                let expected = &fresh.iter().find(|(name, _)| name == last).unwrap().1;
                assert_eq!(&keys(&sim), expected, "{style:?} {flush:?} {names:?}");
            }
        }
    }
}
