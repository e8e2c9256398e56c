//! No harm on doubt: what a source that is down, partial, stale or mistaken must not do.

use std::time::Duration;

use ncp_core::event::Event;
use ncp_core::id::PoolName;
use ncp_core::intent::{Fact, FactKey, ProjectEgress, Workload};
use ncp_core::topology::{Kind, ObjectKey};

use crate::facts::{self, Change, RuleSeed};
use crate::sim::Sim;
use crate::toy::{STYLES, Style};

fn ports(sim: &Sim) -> usize {
    sim.world
        .ours()
        .filter(|(_, key, _)| key.object.kind() == Kind::Port)
        .count()
}

fn some_network(style: Style) -> Sim {
    let mut sim = Sim::new(style, 3);
    sim.gain();
    sim.change(&Change::Say(facts::project(0, ProjectEgress::Translated)));
    sim.change(&Change::Say(facts::project(1, ProjectEgress::Translated)));
    for n in 0..7 {
        sim.change(&Change::Say(Fact::Workload(facts::workload(n))));
    }
    sim.change(&Change::Say(facts::policy(0, 3, &[RuleSeed(22)])));
    sim.list_all();
    sim.run(Duration::from_secs(60));
    assert!(sim.engine.settled(), "{}", sim.engine.plan(sim.now));
    sim
}

/// Listings `apart`, as an adapter gives them.
fn listings(sim: &mut Sim, count: usize) {
    for _ in 0..count {
        sim.list_all();
        sim.run(Duration::from_secs(61));
    }
}

#[test]
fn a_source_that_is_not_trusted_retires_nothing() {
    for style in STYLES {
        let mut sim = some_network(style);
        let stale = facts::scopes()[2].clone();
        sim.feed(Event::Trust {
            scope: stale.clone(),
            trusted: false,
        });
        sim.platform
            .facts
            .remove(&FactKey::Workload(facts::workload_id(0)));
        listings(&mut sim, 4);
        assert_eq!(ports(&sim), 7, "a stale domain's silence means nothing");
        sim.feed(Event::Trust {
            scope: stale,
            trusted: true,
        });
        sim.run(Duration::from_secs(300));
        assert_eq!(ports(&sim), 7, "nor does what it left out while it was stale");
        listings(&mut sim, 3);
        assert_eq!(ports(&sim), 6);
    }
}

#[test]
fn a_dead_policy_source_does_not_stop_ports_from_going_and_freezes_rules() {
    for style in STYLES {
        let mut sim = some_network(style);
        let policies = facts::scopes()[4].clone();
        sim.feed(Event::Trust {
            scope: policies,
            trusted: false,
        });
        sim.change(&Change::Unsay(FactKey::Workload(facts::workload_id(0))));
        let policy = facts::policy(0, 3, &[]);
        sim.change(&Change::Unsay(policy.key()));
        let rules = |sim: &Sim| {
            sim.world
                .ours()
                .filter(|(_, k, _)| k.object.kind() == Kind::Rule)
                .count()
        };
        let before = rules(&sim);
        for scope in 0..4 {
            sim.list(scope);
        }
        sim.run(Duration::from_secs(61));
        for scope in 0..4 {
            sim.list(scope);
        }
        sim.run(Duration::from_secs(30));
        assert_eq!(ports(&sim), 6);
        assert_eq!(rules(&sim), before);
    }
}

#[test]
fn before_the_first_listing_nothing_goes() {
    for style in STYLES {
        let mut sim = some_network(style);
        let before = sim.world.writes;
        sim.platform.facts.clear();
        sim.restart();
        // The new process has heard nothing but these two.
        sim.engine = ncp_core::engine::Engine::new(crate::toy::Toy(style), sim.settings.clone());
        sim.gain();
        sim.list(0);
        sim.list(2);
        sim.run(Duration::from_secs(900));
        assert_eq!(ports(&sim), 7);
        assert_eq!(sim.world.writes, before);
    }
}

fn crowd(sim: &mut Sim, count: u32) {
    sim.world.blocks = 512;
    for n in 0..count {
        let base = facts::workload(0);
        sim.change(&Change::Say(Fact::Workload(Workload {
            id: ncp_core::id::WorkloadId::new(&format!("v{n:03}")),
            project: facts::project_id(1),
            node: facts::node_id((n % 2) as u8),
            ..base
        })));
    }
    sim.list_all();
    sim.run(Duration::from_secs(120));
    assert!(sim.engine.settled(), "{}", sim.engine.plan(sim.now));
}

#[test]
fn a_listing_that_shrinks_much_waits_for_a_second_equal_one() {
    let mut sim = some_network(Style::Served);
    crowd(&mut sim, 60);
    let crowd: Vec<FactKey> = sim
        .platform
        .facts
        .keys()
        .filter(|k| format!("{k:?}").contains("v0"))
        .cloned()
        .collect();
    assert_eq!(crowd.len(), 60);
    for key in crowd.iter().take(30) {
        sim.platform.facts.remove(key);
    }
    sim.list(2);
    let status = sim.engine.status();
    let held: usize = status.scopes.iter().map(|s| s.held).sum();
    assert_eq!(held, 30, "{status:?}");
    sim.run(Duration::from_secs(120));
    assert_eq!(ports(&sim), 67);
    assert_eq!(sim.engine.status().departing, 0);
    sim.list(2);
    assert_eq!(
        sim.engine.status().departing,
        30,
        "the second equal listing is believed"
    );
    sim.run(Duration::from_secs(61));
    listings(&mut sim, 2);
    assert_eq!(ports(&sim), 37);
}

#[test]
fn many_ports_wait_for_the_operator() {
    let mut sim = some_network(Style::Closed);
    crowd(&mut sim, 60);
    let crowd: Vec<FactKey> = sim
        .platform
        .facts
        .keys()
        .filter(|k| format!("{k:?}").contains("v0"))
        .cloned()
        .collect();
    // Said one by one, so that no listing shrinks.
    for key in crowd {
        sim.change(&Change::Unsay(key.clone()));
        let FactKey::Workload(workload) = key else {
            continue;
        };
        sim.feed(Event::Departed { workload });
    }
    listings(&mut sim, 3);
    assert_eq!(ports(&sim), 67, "above a fifth of all ports no listing is enough");
    let brake = sim.engine.status().brake.unwrap();
    assert!(brake.operator && brake.ports == 60, "{brake:?}");
    let plan = sim.engine.plan(sim.now).to_string();
    assert!(plan.contains("the operator must confirm"), "{plan}");
    sim.engine.confirm();
    sim.run(Duration::from_secs(60));
    assert_eq!(ports(&sim), 7);
    assert_eq!(sim.engine.status().brake, None);
}

#[test]
fn a_routers_removal_waits_for_a_second_listing() {
    for style in STYLES {
        let mut sim = some_network(style);
        for n in 4..7 {
            sim.change(&Change::Unsay(FactKey::Workload(facts::workload_id(n))));
            sim.feed(Event::Departed {
                workload: facts::workload_id(n),
            });
        }
        sim.change(&Change::Unsay(FactKey::Project(facts::project_id(1))));
        let router = ObjectKey::Router(facts::project_id(1));
        let stands = |sim: &Sim| sim.world.ours().any(|(_, key, _)| key.object == router);
        sim.run(Duration::from_secs(200));
        assert!(stands(&sim));
        sim.list_all();
        sim.run(Duration::from_secs(60));
        assert!(!stands(&sim), "{}", sim.engine.plan(sim.now));
    }
}

/// Bad objects hold back themselves alone (invariant 7).
#[test]
fn a_bad_object_holds_back_itself_alone() {
    for style in STYLES {
        let mut sim = Sim::new(style, 9);
        sim.world.pools.remove(&PoolName::new("pool-a"));
        let unwelcome = ObjectKey::Group(facts::group_id(2));
        sim.world.refuses.insert(unwelcome.clone());
        sim.gain();
        for n in 0..4 {
            sim.change(&Change::Say(Fact::Workload(facts::workload(n))));
        }
        sim.change(&Change::Say(facts::policy(0, 1, &[RuleSeed(0)])));
        sim.change(&Change::Say(facts::policy(1, 4, &[RuleSeed(0)])));
        sim.list_all();
        sim.run(Duration::from_secs(30));
        let stands = |sim: &Sim, key: &str| sim.world.ours().any(|(_, k, _)| k.object.to_string() == key);
        assert_eq!(
            ports(&sim),
            4,
            "the container with the missing pool is held back from outside, not away"
        );
        assert!(stands(&sim, "section/policy/policy-0"));
        assert!(stands(&sim, "section/policy/policy-1"));
        assert!(!stands(&sim, "union-member/policy-1/g2"));
        let conditions = sim.engine.conditions();
        let codes: Vec<String> = conditions
            .iter()
            .map(|c| format!("{} {}", c.code, c.message))
            .collect();
        assert!(codes.iter().any(|c| c.contains("pool/pool-a")), "{codes:?}");
        assert!(
            codes.iter().any(|c| c.contains(&unwelcome.to_string())),
            "{codes:?}"
        );
        assert!(!sim.engine.settled());
        // What is mended is found mended.
        sim.world.refuses.clear();
        sim.world.pools.insert(PoolName::new("pool-a"), 8);
        sim.run(Duration::from_secs(1_200));
        sim.check_converged();
        assert_eq!(sim.engine.conditions(), vec![]);
    }
}

/// A pool that fills later keeps what it gave, and a machine that appears late is waited for.
#[test]
fn a_late_machine_is_waited_for() {
    for style in STYLES {
        let mut sim = Sim::new(style, 9);
        sim.world.nodes.clear();
        sim.gain();
        sim.change(&Change::Say(Fact::Workload(facts::workload(0))));
        sim.list_all();
        sim.run(Duration::from_secs(30));
        assert_eq!(ports(&sim), 0);
        sim.world.add_node(&facts::node_id(0));
        sim.run(Duration::from_secs(400));
        assert_eq!(ports(&sim), 1, "{}", sim.engine.plan(sim.now));
        // A machine made anew has another port: what hung on the old one moves.
        sim.world.add_node(&facts::node_id(0));
        sim.run(Duration::from_secs(2_000));
        sim.check_converged();
    }
}
