//! Invariant 5 after every batch of every plan: a flow whose verdict is the same before and after a
//! change has it all the way, and no port ever stands where nothing would deny.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use ncp_core::event::Event;
use ncp_core::id::WorkloadId;
use ncp_core::intent::{Action, Fact, FactKey};
use ncp_core::net::{Cidr, CidrSet};
use ncp_core::topology::Object;
use ncp_core::verdict::{
    End, Flow, Judge, Membership, Oracle, Packet, PlatformRules, TopologyView, invariant5,
};
use proptest::prelude::*;

use crate::facts::{self, RuleSeed};
use crate::far::World;
use crate::laws::cases;
use crate::sim::Sim;
use crate::toy::{STYLES, Style};

/// Few enough that every flow among them can be asked.
const SOME: u8 = 5;

type Facts = BTreeMap<FactKey, Fact>;

/// What a world is made from: of each workload whether it is there, of each policy its groups and rules.
#[derive(Clone, Debug)]
struct Plan {
    workloads: Vec<(bool, u8)>,
    policies: Vec<(bool, u8, Vec<RuleSeed>)>,
}

impl Plan {
    fn facts(&self) -> Facts {
        let workloads = self.workloads.iter().zip(0..).filter(|((there, _), _)| *there);
        let workloads = workloads.map(|((_, groups), n)| wearing(n, *groups));
        let policies = self.policies.iter().zip(0..).filter(|((there, ..), _)| *there);
        let policies = policies.map(|((_, groups, rules), n)| facts::policy(n, *groups, rules));
        workloads.chain(policies).map(|fact| (fact.key(), fact)).collect()
    }
}

fn some_plan() -> impl Strategy<Value = Plan> {
    let workload = (proptest::bool::weighted(0.8), any::<u8>());
    let policy = (proptest::bool::weighted(0.7), any::<u8>(), facts::some_rules());
    let workloads = proptest::collection::vec(workload, usize::from(SOME));
    let policies = proptest::collection::vec(policy, usize::from(facts::POLICIES));
    (workloads, policies).prop_map(|(workloads, policies)| Plan { workloads, policies })
}

/// Two worlds. A container's groups are its own for life. Of one policy either the rules change or what
/// it is applied to: both at once meet in one section, where what is added of the one meets what is not
/// yet removed of the other. And of the policies applied to one group at most one changes it: two that
/// swap theirs have no gapless order.
fn some_change() -> impl Strategy<Value = (Facts, Facts)> {
    (some_plan(), some_plan(), any::<u8>()).prop_map(|(before, mut after, pick)| {
        for (old, new) in before.workloads.iter().zip(&mut after.workloads) {
            new.1 = old.1;
        }
        for (n, (old, new)) in before.policies.iter().zip(&mut after.policies).enumerate() {
            let stays = n == 2 + usize::from(pick >> 7);
            match pick & (1 << n) {
                0 => new.1 = old.1,
                _ => new.2 = old.2.clone(),
            }
            if stays {
                new.1 = old.1;
            }
        }
        (before.facts(), after.facts())
    })
}

/// A workload in the groups of these bits.
fn wearing(n: u8, groups: u8) -> Fact {
    let mut workload = facts::workload(n);
    let worn = (0..facts::GROUPS).filter(|g| groups & (1 << g) != 0);
    workload.groups = worn.map(facts::group_id).collect();
    Fact::Workload(workload)
}

fn platform() -> PlatformRules {
    let net = |text: &str| Cidr::net(text.parse().unwrap());
    PlatformRules {
        container_blocks: CidrSet::from([net("10.255.0.0/16")]),
        platform_sources: CidrSet::from([net("10.0.1.0/24")]),
        deny: Action::Drop,
    }
}

fn flows() -> Vec<Flow> {
    let address = |text: &str| End::Address(text.parse().unwrap());
    let mut ends: Vec<End> = (0..SOME).map(|n| End::Workload(facts::workload_id(n))).collect();
    ends.extend(["192.168.0.5", "8.8.8.8", "10.0.1.7"].map(address));
    let mut flows = Vec::new();
    for from in &ends {
        for to in &ends {
            for packet in [Packet::Tcp(80), Packet::Udp(53)] {
                flows.push(Flow::new(from.clone(), to.clone(), packet));
            }
        }
    }
    flows
}

fn oracle(world: &World, facts: &Facts) -> Oracle {
    let mut oracle = Oracle::new(facts.values().cloned().collect(), platform());
    for object in world.objects() {
        if let Object::Port(port) = object {
            oracle.place(port.workload, port.address);
        }
    }
    oracle
}

fn membership(style: Style) -> Membership {
    match style {
        Style::Served => Membership::Marks,
        Style::Closed => Membership::Rows,
    }
}

fn become_world(sim: &mut Sim, facts: &Facts) {
    let gone: Vec<FactKey> = sim
        .platform
        .facts
        .keys()
        .filter(|k| !facts.contains_key(k))
        .cloned()
        .collect();
    for fact in facts.values() {
        let event = sim.platform.say(fact.clone());
        sim.feed(event);
    }
    for key in gone {
        let departed = match &key {
            FactKey::Workload(w) => Some(w.clone()),
            _ => None,
        };
        let event = sim.platform.unsay(key);
        sim.feed(event);
        if let Some(workload) = departed {
            sim.feed(Event::Departed { workload });
        }
    }
    sim.list_all();
}

fn agree(sim: &Sim, facts: &Facts) {
    let objects = sim.world.objects();
    let platform = platform();
    let view = TopologyView::new(&platform.container_blocks, membership(sim.style), &objects);
    let oracle = oracle(&sim.world, facts);
    for flow in flows() {
        let (says, is) = (oracle.verdict(&flow), view.verdict(&flow));
        assert_eq!(
            says.allowed, is.allowed,
            "{flow}: intents say {says:?}, the network {is:?}"
        );
    }
}

fn change_without_gap(style: Style, seed: u64, before: &Facts, after: &Facts) {
    let mut sim = Sim::new(style, seed);
    sim.faults.delay = 50;
    sim.gain();
    become_world(&mut sim, before);
    sim.run(Duration::from_secs(120));
    assert!(sim.engine.settled(), "{}", sim.engine.plan(sim.now));
    agree(&sim, before);
    let (was, will) = (oracle(&sim.world, before), oracle(&sim.world, after));
    // A container that comes or goes in the same change may meet, for as long as a removal waits, a
    // policy that goes with it.
    let there = |facts: &Facts, w: &WorkloadId| facts.contains_key(&FactKey::Workload(w.clone()));
    let stays = |end: &End| match end {
        End::Workload(w) => there(before, w) == there(after, w),
        End::Address(_) => true,
    };
    let asked: Vec<Flow> = flows()
        .into_iter()
        .filter(|f| stays(&f.from) && stays(&f.to))
        .collect();
    let found: Rc<RefCell<Vec<String>>> = Rc::default();
    let noted = found.clone();
    sim.watch = Some(Box::new(move |world, batch| {
        let objects = world.objects();
        let platform = platform();
        let view = TopologyView::new(&platform.container_blocks, membership(world.style), &objects);
        for flow in flows() {
            if let Some(side) = view.verdict(&flow).open() {
                noted.borrow_mut().push(format!("{flow} is open at the {side:?}"));
            }
        }
        for flow in &asked {
            if let Err(violation) = invariant5(&was, &will, &view, flow) {
                let steps: Vec<String> = batch
                    .steps
                    .iter()
                    .map(|s| format!("{:?} {}", s.verb, s.key))
                    .collect();
                noted.borrow_mut().push(format!("after {steps:?}: {violation}"));
            }
        }
    }));
    become_world(&mut sim, after);
    sim.run(Duration::from_secs(1));
    // A router that goes asks for a second listing.
    sim.list_all();
    sim.run(Duration::from_secs(120));
    assert_eq!(*found.borrow(), Vec::<String>::new());
    assert!(sim.engine.settled(), "{}", sim.engine.plan(sim.now));
    sim.watch = None;
    agree(&sim, after);
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn no_change_leaves_a_gap(seed: u64, (before, after) in some_change()) {
        for style in STYLES {
            change_without_gap(style, seed, &before, &after);
        }
    }
}

/// A palindrome of worlds never removes A while B still refers to it, so here by hand: a group goes out
/// of use with the policy that named it, and another policy's rule stops naming it in the same change.
#[test]
fn a_group_goes_while_rules_still_refer_to_it() {
    let world = |facts: Vec<Fact>| -> Facts { facts.into_iter().map(|f| (f.key(), f)).collect() };
    let to_group = RuleSeed(0b0001_0111);
    let before = world(vec![
        wearing(0, 0b0010),
        wearing(1, 0b0010),
        facts::policy(0, 0b0010, &[to_group]),
        facts::policy(1, 0b0001, &[to_group, RuleSeed(0)]),
    ]);
    let after = world(vec![wearing(0, 0b0010), facts::policy(1, 0b0001, &[RuleSeed(0)])]);
    for style in STYLES {
        change_without_gap(style, 7, &before, &after);
        change_without_gap(style, 7, &after, &before);
    }
}

/// A project's last container goes, and the project with it: its denies outlive its ports.
#[test]
fn a_project_goes_with_its_last_container() {
    let before: Facts = [facts::project(0, Default::default()), wearing(0, 1)]
        .map(|f| (f.key(), f))
        .into();
    for style in STYLES {
        change_without_gap(style, 3, &before, &Facts::new());
        assert_eq!(WorkloadId::new("w0"), facts::workload_id(0));
    }
}
