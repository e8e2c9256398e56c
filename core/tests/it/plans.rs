//! The plan as people see it, recorded: `NCP_RECORD=1 cargo test -p ncp-core` writes it anew.

use std::path::PathBuf;
use std::time::Duration;

use ncp_core::intent::{Fact, FactKey, ProjectEgress};

use crate::facts::{self, Change, RuleSeed};
use crate::sim::Sim;
use crate::toy::Style;

#[allow(clippy::disallowed_methods)]
fn golden(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("NCP_RECORD").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        text,
        recorded,
        "{} differs; NCP_RECORD=1 records it",
        path.display()
    );
}

fn both(name: &str, sim: &Sim) {
    let plan = sim.engine.plan(sim.now);
    golden(&format!("{name}.txt"), &plan.to_string());
    let json = serde_json::to_string_pretty(&plan).unwrap();
    golden(&format!("{name}.json"), &(json + "\n"));
}

fn observing() -> Sim {
    let mut sim = Sim::new(Style::Served, 2);
    sim.engine.observe_only();
    sim.gain();
    sim
}

#[test]
fn a_first_container() {
    let mut sim = observing();
    sim.change(&Change::Say(facts::project(0, ProjectEgress::Translated)));
    sim.change(&Change::Say(Fact::Workload(facts::workload(3))));
    sim.change(&Change::Say(facts::policy(0, 1, &[RuleSeed(22)])));
    sim.list_all();
    sim.run(Duration::from_secs(5));
    assert_eq!(sim.world.writes, 0);
    both("first-container", &sim);
}

#[test]
fn a_project_that_goes() {
    let mut sim = Sim::new(Style::Served, 2);
    sim.gain();
    sim.change(&Change::Say(facts::project(0, ProjectEgress::Translated)));
    sim.change(&Change::Say(Fact::Workload(facts::workload(0))));
    sim.change(&Change::Say(facts::policy(0, 1, &[RuleSeed(22)])));
    sim.list_all();
    sim.run(Duration::from_secs(60));
    sim.restart();
    sim.engine.observe_only();
    sim.platform.facts.clear();
    sim.gain();
    for _ in 0..3 {
        sim.list_all();
        sim.run(Duration::from_secs(61));
    }
    assert!(
        !sim.platform
            .facts
            .contains_key(&FactKey::Project(facts::project_id(0)))
    );
    both("project-goes", &sim);
}
