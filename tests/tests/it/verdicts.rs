//! The full matrix of flows: what is realized on the managers, what the foundation's objects call for, and
//! what the core's own topology does, all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use foundation_emulator::truth::Kind;
use foundation_emulator::{Delays, Scenario, Truth};
use ncp_core::choices::{Choices, PortChoice};
use ncp_core::compile::{Compiled, Context, compile, keys_from_scratch};
use ncp_core::digest;
use ncp_core::event::{Event, Scope, ScopeKind};
use ncp_core::id::{NodeId, ProjectId, WorkloadId};
use ncp_core::index::Index;
use ncp_core::intent::Fact;
use ncp_core::settings::Settings;
use ncp_core::time::Time;
use ncp_core::verdict::{End, Flow, Judge, Membership, TopologyView};
use ncp_tests::network::{assert_sound, own};
use ncp_tests::oracle::{assert_verdicts, facts, flows, oracle, platform, ports_by_handle, translate};
use ncp_tests::rig::OWN_POOL;
use ncp_tests::{Live, Rig};
use serde_json::{Value, json};

use crate::platform::seen_as;

async fn settled(scenario: &str) -> (Rig, Live) {
    let rig = Rig::start(scenario).await;
    let live = rig.settled().await;
    (rig, live)
}

fn built_in() -> String {
    let text = serde_json::to_string(&Scenario::built_in().unwrap()).unwrap();
    text.replace("payments-pool", OWN_POOL)
}

/// Holds the managers, the oracle and the topology evaluator against each other.
fn assert_all_agree(rig: &Rig) {
    assert_sound("choices", &rig.managers.inventory());
    let (judged, passed) = assert_verdicts(rig);
    assert!(passed > 0 && passed < judged, "{passed} of {judged} pass");
    assert_topology(rig);
    assert_translations(rig);
}

/// The core's topology, compiled here from facts made from the foundation's truth.
fn assert_topology(rig: &Rig) {
    let truth = rig.foundation.world();
    let settings = Settings {
        platform_sources: platform().platform_sources,
        deny: platform().deny,
        ..Settings::default()
    };
    let index = index(&truth, &settings);
    let choices = choices(rig, &index, &settings);
    let context = Context {
        index: &index,
        choices: &choices,
        settings: &settings,
    };
    let object = |key| match compile(&key, context) {
        Compiled::Object(object) => Some(object),
        Compiled::Absent | Compiled::Waits(_) => None,
    };
    let objects: Vec<_> = keys_from_scratch(context, false)
        .into_iter()
        .filter_map(object)
        .collect();
    let blocks = platform().container_blocks;
    let view = TopologyView::new(&blocks, Membership::Marks, &objects);
    let oracle = oracle(rig, &truth);
    for flow in flows(&truth) {
        let (wanted, found) = (oracle.verdict(&flow), view.verdict(&flow));
        assert_eq!(wanted.allowed, found.allowed, "{flow}: {wanted:?}\n{found:?}");
    }
}

fn index(truth: &Truth, settings: &Settings) -> Index {
    let mut index = Index::new(false);
    let mut dirty = Vec::new();
    for fact in facts(truth) {
        let kind = match fact {
            Fact::Node(_) => ScopeKind::Nodes,
            Fact::Project(_) => ScopeKind::Projects,
            Fact::Workload(_) => ScopeKind::Workloads,
            Fact::Policy(_) => ScopeKind::Policies,
        };
        let scope = Scope::new("truth", kind, "");
        index.feed(Event::Upsert { scope, fact }, Time(1), settings, &mut dirty);
    }
    index
}

/// What the controller has chosen, read back from the managers.
fn choices(rig: &Rig, index: &Index, settings: &Settings) -> Choices {
    let mut choices = Choices::default();
    for port in own(&rig.managers.inventory(), "LogicalPort") {
        let context = &port["attachment"]["context"];
        let (Some(handle), Some(vlan)) = (context["app_id"].as_str(), context["traffic_tag"].as_u64()) else {
            continue;
        };
        let id = WorkloadId::new(handle);
        let workload = index.workload(&id).unwrap();
        let address = port["address_bindings"][0]["ip_address"].as_str().unwrap();
        let choice = PortChoice {
            node: NodeId::new(context["parent_vif_id"].as_str().unwrap()),
            project: ProjectId::new(&workload.project.to_string()),
            switch: 0,
            vlan: u16::try_from(vlan).unwrap(),
            address: address.parse().unwrap(),
        };
        let net = ipnet::Ipv4Net::new(choice.address, 24).unwrap().trunc();
        choices.subnet_known(&choice.project, 0, net, Time(1), settings);
        assert!(
            choices.restore(&id, choice, Time(1), settings),
            "{handle} has a place of its own"
        );
    }
    choices
}

/// The outside sees each container under its app's address if the app has one, else under its org's.
fn assert_translations(rig: &Rig) {
    let mut by_owner: BTreeMap<String, BTreeSet<IpAddr>> = BTreeMap::new();
    for container in rig.foundation.world().containers {
        let seen = seen_as(rig, &container.container).expect("every container is translated");
        let own = container.snat_pool.is_some() && container.kind != Kind::Staging;
        assert_eq!(
            own,
            seen.to_string().starts_with("203.0.113."),
            "{container:?} as {seen}"
        );
        let owner = if own {
            format!("app {}", container.app)
        } else {
            format!("org {}", container.org)
        };
        by_owner.entry(owner).or_default().insert(seen);
    }
    let mut all = BTreeSet::new();
    for (owner, seen) in &by_owner {
        assert_eq!(seen.len(), 1, "{owner} has one address: {seen:?}");
        assert!(all.extend_one_is_new(seen), "{owner} shares its address");
    }
}

trait ExtendOne {
    fn extend_one_is_new(&mut self, other: &Self) -> bool;
}

impl ExtendOne for BTreeSet<IpAddr> {
    fn extend_one_is_new(&mut self, other: &Self) -> bool {
        other.iter().all(|one| self.insert(*one))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_built_in_foundation_is_judged_alike_by_all() {
    let (rig, live) = settled(&built_in()).await;
    rig.foundation.set_delays(Delays {
        stage: Duration::from_secs(3600),
        ..Delays::default()
    });
    rig.foundation.stage("retail/production/storefront").unwrap();
    rig.foundation.stage("bank/cards/ledger").unwrap();
    rig.foundation
        .run_task("retail/production/cart", "bin/clean")
        .unwrap();
    rig.foundation
        .run_task("retail/production/payments", "bin/settle")
        .unwrap();
    live.settle().await;
    assert_all_agree(&rig);
    live.stop().await.unwrap();
    rig.stop().await;
}

/// Draws numbers; the same seed draws the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        digest::of(&self.0).0 % below
    }

    fn happens(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let count = u64::try_from(all.len()).unwrap();
        &all[usize::try_from(self.below(count)).unwrap()]
    }
}

const SPACES: [&str; 4] = ["a/one", "a/two", "b/one", "c/one"];
const APPS: [&str; 6] = ["a/one/x", "a/one/y", "a/two/x", "b/one/x", "b/one/z", "c/one/x"];

fn rule(dice: &mut Dice) -> Value {
    let to = *dice.one_of(&[
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.20.30.0/24",
        "10.20.30.9",
        "10.20.30.0-10.20.31.255",
        "198.18.0.0/15,8.8.8.8",
        "10.16.0.0/14",
        "10.66.1.0/28,10.66.2.0/28",
    ]);
    let ports = *dice.one_of(&["8080", "1521,8443", "53", "1-65535", "2000-9000"]);
    match dice.below(4) {
        0 => json!({"protocol": "all", "destination": to}),
        1 => json!({"protocol": "udp", "destination": to, "ports": ports}),
        2 => json!({"protocol": "icmp", "destination": to, "type": dice.one_of(&[-1, 8, 3]), "code": -1}),
        _ => json!({"protocol": "tcp", "destination": to, "ports": ports, "log": dice.happens(30)}),
    }
}

fn security_group(dice: &mut Dice, n: u64) -> Value {
    let rules: Vec<Value> = (0..dice.below(4)).map(|_| rule(dice)).collect();
    let mut spaces =
        |percent| -> Vec<&str> { SPACES.into_iter().filter(|_| dice.happens(percent)).collect() };
    let (running, staging) = (spaces(40), spaces(25));
    let phases = ["running", "staging"];
    let global: Vec<&str> = phases.into_iter().filter(|_| dice.happens(10)).collect();
    json!({"name": format!("group-{n}"), "rules": rules, "spaces": running, "staging_spaces": staging,
        "global": global})
}

fn policy(dice: &mut Dice) -> Value {
    json!({
        "from": dice.one_of(&APPS),
        "to": dice.one_of(&APPS),
        "protocol": dice.one_of(&["tcp", "udp"]),
        "ports": dice.one_of(&["8080", "53", "7946", "1000-9000"]),
    })
}

fn app(dice: &mut Dice, name: &str) -> Value {
    let env = if dice.happens(30) {
        json!({"NCP_SNAT_POOL": OWN_POOL})
    } else {
        json!({})
    };
    json!({"name": name, "instances": 1 + dice.below(3), "env": env})
}

fn scenario(seed: u64) -> String {
    let mut dice = Dice(seed << 32);
    let mut orgs: Vec<Value> = Vec::new();
    for space in SPACES {
        let (org, name) = space.split_once('/').unwrap();
        let below = APPS
            .iter()
            .filter_map(|app| app.strip_prefix(space)?.strip_prefix('/'));
        let apps: Vec<Value> = below.map(|name| app(&mut dice, name)).collect();
        let space = json!({"name": name, "apps": apps});
        match orgs.iter_mut().find(|o| o["name"] == org) {
            Some(known) => known["spaces"].as_array_mut().unwrap().push(space),
            None => orgs.push(json!({"name": org, "spaces": [space]})),
        }
    }
    let groups: Vec<Value> = (0..2 + dice.below(5))
        .map(|n| security_group(&mut dice, n))
        .collect();
    let policies: Vec<Value> = (0..dice.below(9)).map(|_| policy(&mut dice)).collect();
    json!({"orgs": orgs, "security_groups": groups, "policies": policies}).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_foundations_are_judged_alike_by_all() {
    for seed in 1..=6 {
        let (rig, live) = settled(&scenario(seed)).await;
        rig.foundation.set_delays(Delays {
            stage: Duration::from_secs(3600),
            ..Delays::default()
        });
        rig.foundation.stage("a/one/x").unwrap();
        rig.foundation.run_task("b/one/x", "bin/work").unwrap();
        live.settle().await;
        println!("seed {seed}");
        assert_all_agree(&rig);
        live.stop().await.unwrap();
        rig.stop().await;
    }
}

/// Looks at every turn of `work`, and once after it, that none of these flows passes.
async fn none_passes(rig: &Rig, what: &str, denied: &[Flow], work: impl Future<Output = ()>) {
    tokio::pin!(work);
    let mut done = false;
    loop {
        let ports = ports_by_handle(rig);
        for flow in denied {
            let found = rig.managers.verdict(&translate(flow, &ports));
            assert!(!found.allowed(), "{what}: {flow} passes meanwhile: {found:?}");
        }
        if done {
            return;
        }
        tokio::select! {
            biased;
            () = &mut work => done = true,
            () = tokio::task::yield_now() => {}
        }
    }
}

fn denied(rig: &Rig) -> BTreeSet<Flow> {
    let truth = rig.foundation.world();
    let oracle = oracle(rig, &truth);
    let all = flows(&truth).into_iter();
    all.filter(|flow| !oracle.verdict(flow).allowed).collect()
}

/// Lets something happen and looks that what is denied after it, and was denied before it if its ends were
/// there, never passes between.
async fn nothing_opens_early(rig: &Rig, live: &Live, what: &str, change: impl FnOnce(&Rig)) {
    let ends_of =
        |flows: Vec<Flow>| -> BTreeSet<End> { flows.into_iter().flat_map(|f| [f.from, f.to]).collect() };
    let (before, ends) = (denied(rig), ends_of(flows(&rig.foundation.world())));
    change(rig);
    let was_there = |flow: &Flow| ends.contains(&flow.from) && ends.contains(&flow.to);
    let steady: Vec<Flow> = denied(rig)
        .into_iter()
        .filter(|flow| before.contains(flow) || !was_there(flow))
        .collect();
    none_passes(rig, what, &steady, live.settle()).await;
    rig.managers.realize_all();
    assert_verdicts(rig);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_opens_early_while_realization_lags() {
    let rig = Rig::start(ncp_tests::rig::SMALL).await;
    rig.managers.set_realization_lag(Duration::from_millis(50));
    let live = rig.live();
    let all: Vec<Flow> = denied(&rig).into_iter().collect();
    none_passes(&rig, "from nothing", &all, live.settle()).await;
    rig.managers.realize_all();
    assert_verdicts(&rig);

    let rule = |ports: &str| json!({"protocol": "tcp", "destination": "10.20.31.0/24", "ports": ports});
    nothing_opens_early(&rig, &live, "a rule replaced", |rig| {
        let rules = vec![rule("1521")];
        rig.foundation.update_security_group("database", rules).unwrap();
    })
    .await;
    nothing_opens_early(&rig, &live, "containers come and go", |rig| {
        rig.foundation.scale("web", 1).unwrap();
        rig.foundation.scale("api", 3).unwrap();
        rig.foundation.restart("probe").unwrap();
    })
    .await;
    nothing_opens_early(&rig, &live, "a binding moved", |rig| {
        use foundation_emulator::Phase::Running;
        rig.foundation
            .bind_security_group("database", "lab/dev", Running)
            .unwrap();
        rig.foundation
            .unbind_security_group("database", "shop/prod", Running)
            .unwrap();
    })
    .await;
    live.stop().await.unwrap();
    rig.stop().await;
}
