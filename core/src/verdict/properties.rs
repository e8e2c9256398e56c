//! Properties over random worlds: the two judges agree, splitting keeps meaning, absence never opens,
//! and a change applied in the stated order leaves no gap.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::random::{flows, some_rule, some_world};
use super::worlds::World;
use super::{Decision, End, Flow, Judge, Membership, RuleLimits, TopologyView, fits, invariant5, split};
use crate::intent::{AppliedTo, Peers, Tier};
use crate::net::Service;
use crate::topology::{Kind, Object, ObjectKey, PlatformSection, SectionKey};

fn view<'a>(world: &'a World, objects: &'a [Object], membership: Membership) -> TopologyView<'a> {
    TopologyView::new(&world.platform.container_blocks, membership, objects)
}

fn section_of(decision: &Decision) -> Option<(Tier, &SectionKey)> {
    match decision {
        Decision::Rule(tier, by) => Some((*tier, &by.section)),
        _ => None,
    }
}

fn all_tiers() -> Vec<Tier> {
    vec![Tier::Allow, Tier::Allow, Tier::Isolation, Tier::Baseline]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_compiled_says_what_the_intents_say(world in some_world(all_tiers())) {
        let (oracle, objects) = (world.oracle(), world.objects());
        for membership in [Membership::Marks, Membership::Rows] {
            let view = view(&world, &objects, membership);
            for flow in flows() {
                let (want, is) = (oracle.verdict(&flow), view.verdict(&flow));
                prop_assert_eq!(want.allowed, is.allowed, "{}\n{:#?}\n{:#?}", flow, want, is);
                prop_assert_eq!(section_of(&want.at_source), section_of(&is.at_source), "{}", flow);
                prop_assert_eq!(section_of(&want.at_destination), section_of(&is.at_destination), "{}", flow);
                prop_assert_eq!(is.open(), None);
            }
        }
    }

    #[test]
    fn splitting_rules_keeps_every_verdict(world in some_world(vec![Tier::Allow]), peers in 0usize..3, services in 0usize..3, ports in 0usize..3) {
        let limits = RuleLimits { peers, services, ports };
        let mut pieces = world.clone();
        for policy in &mut pieces.policies {
            policy.rules = policy.rules.iter().flat_map(|rule| split(rule, limits)).collect();
        }
        let (whole, pieces) = (world.oracle(), pieces.oracle());
        for flow in flows() {
            prop_assert_eq!(whole.verdict(&flow).allowed, pieces.verdict(&flow).allowed, "{}", flow);
        }
    }

    #[test]
    fn every_piece_keeps_the_limits_and_never_reads_as_any(rule in some_rule(), peers in 1usize..4, services in 1usize..4, ports in 1usize..4) {
        let limits = RuleLimits { peers, services, ports };
        let pieces = split(&rule, limits);
        prop_assert!(!fits(&rule, limits) || pieces == [rule.clone()]);
        for piece in pieces {
            let named = match &piece.peers {
                Peers::Groups(groups) => groups.len(),
                Peers::Cidrs(cidrs) => cidrs.len(),
                Peers::Any | Peers::Containers | Peers::Outside => { prop_assert_eq!(&piece.peers, &rule.peers); 1 }
            };
            prop_assert!((1..=peers).contains(&named));
            prop_assert!(piece.services.len() <= services);
            prop_assert_eq!(piece.services.is_empty(), rule.services.is_empty());
            for service in &piece.services {
                if let Service::Tcp(list) | Service::Udp(list) = service {
                    prop_assert!(list.len() <= ports);
                    prop_assert!(!list.is_empty() || rule.services.contains(service));
                }
            }
        }
    }

    #[test]
    fn whatever_is_absent_nothing_opens(world in some_world(vec![Tier::Allow]), keep in proptest::collection::vec(any::<bool>(), 64)) {
        let objects = world.objects();
        let mut keep = keep.into_iter().cycle();
        let rest: Vec<Object> = objects.iter().filter(|o| denies(o) || keep.next().unwrap()).cloned().collect();
        let (full, less) = (view(&world, &objects, Membership::Marks), view(&world, &rest, Membership::Marks));
        for flow in flows().into_iter().filter(by_id) {
            let (was, is) = (full.verdict(&flow), less.verdict(&flow));
            prop_assert_eq!(is.open(), None, "{}", flow);
            prop_assert!(was.allowed || !is.allowed, "{} opened\n{:#?}", flow, is);
        }
    }

    #[test]
    fn additions_before_removals_leave_no_gap(before in some_world(vec![Tier::Allow]), edit in some_edit()) {
        let after = edit.applied(&before);
        let (was, will) = (before.oracle(), after.oracle());
        let asked: Vec<Flow> = flows().into_iter().filter(by_id).step_by(3).collect();
        for (step, standing) in moments(&before.objects(), &after.objects()) {
            let now = view(&before, &standing, Membership::Marks);
            for flow in &asked {
                prop_assert_eq!(invariant5(&was, &will, &now, flow), Ok(()), "after {:?}", step);
            }
        }
    }
}

/// What holds traffic back must stand, whatever else doesn't: the planner's word, not the view's.
fn denies(object: &Object) -> bool {
    let of = |key: &SectionKey| {
        !matches!(
            key,
            SectionKey::Policy(_) | SectionKey::Platform(PlatformSection::Allow)
        )
    };
    match object {
        Object::Section(section) => of(&section.key),
        Object::Rule(rule) => of(&rule.section),
        Object::Group(group) => *group == crate::id::GroupId::new(super::worlds::HELD),
        _ => false,
    }
}

/// A container's address without a port names nobody of ours, so only ids can tell "gone" from "outside".
fn by_id(flow: &Flow) -> bool {
    let container = |end: &End| matches!(end, End::Address(a) if a.to_string().starts_with("10.255.0."));
    !container(&flow.from) && !container(&flow.to)
}

/// One change of the intents: of each policy either its rules or its groups, since the new rules must
/// not meet the old groups, and workloads that come and go.
#[derive(Clone, Debug)]
struct Edit {
    other: World,
    rules: Vec<bool>,
    gone: Vec<bool>,
}

fn some_edit() -> impl Strategy<Value = Edit> {
    let flags = || proptest::collection::vec(any::<bool>(), 8);
    (some_world(vec![Tier::Allow]), flags(), flags()).prop_map(|(other, rules, gone)| Edit {
        other,
        rules,
        gone,
    })
}

impl Edit {
    fn applied(&self, before: &World) -> World {
        let mut after = before.clone();
        after.policies = self.other.policies.clone();
        for (n, policy) in after.policies.iter_mut().enumerate() {
            let Some(old) = before.policies.get(n) else {
                continue;
            };
            let unions = matches!(
                (&policy.applied_to, &old.applied_to),
                (AppliedTo::Groups(_), AppliedTo::Groups(_))
            );
            // To whom a section is applied never changes: that would admit and refuse in one step.
            if self.rules[n] || !unions {
                policy.applied_to = old.applied_to.clone();
            } else {
                policy.rules = old.rules.clone();
            }
        }
        let mut gone = self.gone.iter();
        after.workloads.retain(|_| !gone.next().unwrap());
        after
    }
}

/// The change step by step: ports that go, what the firewall gains, what it loses, ports that come.
/// Additions run with referents first, removals in reverse; both follow the order of kinds.
fn moments(before: &[Object], after: &[Object]) -> Vec<(ObjectKey, Vec<Object>)> {
    let by_key = |objects: &[Object]| -> BTreeMap<ObjectKey, Object> {
        objects.iter().map(|o| (o.key(), o.clone())).collect()
    };
    let (mut now, after) = (by_key(before), by_key(after));
    let order = |key: &ObjectKey| match key.kind() {
        Kind::Group => 0,
        Kind::Union => 1,
        Kind::Section => 2,
        Kind::UnionMember => 3,
        _ => 4,
    };
    let is_port = |key: &&ObjectKey| key.kind() == Kind::Port;
    let lost: BTreeSet<ObjectKey> = now.keys().filter(|k| !after.contains_key(*k)).cloned().collect();
    let mut gained: Vec<ObjectKey> = after
        .iter()
        .filter(|(k, o)| now.get(*k) != Some(o))
        .map(|(k, _)| k.clone())
        .collect();
    gained.sort_by_key(order);
    let mut freed: Vec<ObjectKey> = lost.iter().filter(|k| !is_port(k)).cloned().collect();
    freed.sort_by_key(|k| std::cmp::Reverse(order(k)));
    let gone = lost.iter().filter(is_port);
    let come = gained.iter().filter(is_port);
    let steps = gone
        .chain(gained.iter().filter(|k| !is_port(k)))
        .chain(&freed)
        .chain(come);
    steps
        .map(|key| {
            match after.get(key) {
                Some(object) => drop(now.insert(key.clone(), object.clone())),
                None => drop(now.remove(key)),
            }
            (key.clone(), now.values().cloned().collect())
        })
        .collect()
}
