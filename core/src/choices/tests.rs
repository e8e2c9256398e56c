//! Places: unique, kept, and rested before they are given out again.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::{Choices, Lack, PortChoice, choose};
use crate::id::{Name, NodeId, ProjectId, WorkloadId};
use crate::intent::{Origin, Workload, WorkloadEgress};
use crate::settings::Settings;
use crate::time::Time;

fn workload(id: &str, node: &str) -> Workload {
    Workload {
        id: WorkloadId::new(id),
        project: project(),
        node: NodeId::new(node),
        groups: Box::default(),
        egress: WorkloadEgress::Project,
        labels: Arc::from([]),
        origin: Origin {
            kind: "instance".into(),
            id: Name::new(id),
            name: None,
        },
    }
}

fn project() -> ProjectId {
    ProjectId::new("p")
}

fn settings() -> Settings {
    Settings {
        subnet_prefix: 29,
        ..Settings::default()
    }
}

fn at(seconds: u64) -> Time {
    Time(0) + Duration::from_secs(seconds)
}

/// A project whose first subnet is known.
fn with_subnet() -> Choices {
    let mut choices = Choices::default();
    choices.activate(&project());
    know(&mut choices, 0, "10.1.0.0/29", 0);
    choices
}

fn know(choices: &mut Choices, index: u16, net: &str, seconds: u64) -> Option<Vec<WorkloadId>> {
    choices.subnet_known(&project(), index, net.parse().unwrap(), at(seconds), &settings())
}

fn place(choices: &mut Choices, id: &str, seconds: u64) -> Result<PortChoice, Lack> {
    let workload = workload(id, "n");
    let placing = choices.place(&workload, at(seconds), &settings());
    match placing.lack {
        Some(lack) => Err(lack),
        None => Ok(choices.port(&workload.id).unwrap().clone()),
    }
}

fn release(choices: &mut Choices, id: &str, seconds: u64) {
    choices.release(&WorkloadId::new(id), at(seconds), &settings());
}

proptest! {
    #[test]
    fn the_first_free_value_from_the_keys_place_on(key: u64, first in 0u32..50, span in 0u32..50, taken: u64) {
        let last = first + span;
        let free = |v: u32| taken & (1 << (v % 64)) == 0;
        let chosen = choose(key, first, last, free);
        prop_assert_eq!(chosen.is_some(), (first..=last).any(free));
        if let Some(value) = chosen {
            prop_assert!((first..=last).contains(&value) && free(value));
            prop_assert_eq!(choose(key, first, last, free), Some(value));
            let start = first + (key % u64::from(span + 1)) as u32;
            let passed = if value >= start { start..value } else { start..last + 1 };
            prop_assert!(!passed.into_iter().any(free), "a free value was passed over");
        }
    }
}

#[test]
fn a_place_is_unique_and_kept() {
    let mut choices = with_subnet();
    let places: Vec<PortChoice> = (0..5)
        .map(|n| place(&mut choices, &format!("w{n}"), 0).unwrap())
        .collect();
    let addresses: BTreeSet<_> = places.iter().map(|p| p.address).collect();
    let vlans: BTreeSet<_> = places.iter().map(|p| p.vlan).collect();
    assert_eq!((addresses.len(), vlans.len()), (5, 5));
    let usable: Vec<_> = addresses.iter().map(|a| a.octets()[3]).collect();
    assert_eq!(usable, [2, 3, 4, 5, 6], "not network, gateway or broadcast");
    assert_eq!(place(&mut choices, "w3", 99).unwrap(), places[3]);
}

#[test]
fn a_freed_address_rests_and_then_a_waiting_container_may_go() {
    let mut choices = with_subnet();
    for n in 0..5 {
        place(&mut choices, &format!("w{n}"), 0).unwrap();
    }
    assert_eq!(place(&mut choices, "x", 0), Err(Lack::Address));
    release(&mut choices, "w0", 10);
    assert_eq!(choices.may_be_placed(at(189)), []);
    assert_eq!(place(&mut choices, "x", 189), Err(Lack::Address));
    assert_eq!(choices.may_be_placed(at(190)), [WorkloadId::new("x")]);
    place(&mut choices, "x", 190).unwrap();
    assert_eq!(choices.waiting(), 0);
}

#[test]
fn a_freed_vlan_rests_longer() {
    let mut choices = with_subnet();
    let before = place(&mut choices, "a", 0).unwrap();
    release(&mut choices, "a", 0);
    for seconds in [200, 899] {
        assert_ne!(place(&mut choices, "a", seconds).unwrap().vlan, before.vlan);
        release(&mut choices, "a", seconds);
    }
    let mut choices = with_subnet();
    place(&mut choices, "a", 0).unwrap();
    release(&mut choices, "a", 0);
    assert_eq!(place(&mut choices, "a", 900).unwrap(), before);
}

#[test]
fn as_many_subnets_are_asked_for_as_those_who_wait_will_fill() {
    let mut choices = Choices::default();
    choices.activate(&project());
    for n in 0..12 {
        assert_eq!(place(&mut choices, &format!("w{n:02}"), 0), Err(Lack::Address));
    }
    assert_eq!(
        choices.project(&project()).unwrap().subnets().count(),
        3,
        "five fit in each"
    );
    let may_go = know(&mut choices, 0, "10.1.0.0/29", 1).unwrap();
    assert_eq!(may_go.len(), 5, "only those who will find room are woken");
    assert_eq!(know(&mut choices, 0, "10.1.0.0/29", 1), None, "known already");
}

#[test]
fn an_empty_further_subnet_is_given_back_and_taken_up_again() {
    let mut choices = with_subnet();
    know(&mut choices, 1, "10.1.0.8/29", 0);
    for n in 0..7 {
        place(&mut choices, &format!("w{n}"), 0).unwrap();
    }
    let settings = settings();
    assert_eq!(
        choices.give_up_subnets(at(10_000), &settings),
        [],
        "both are in use"
    );
    let further: Vec<String> = (0..7)
        .map(|n| format!("w{n}"))
        .filter(|w| choices.port(&WorkloadId::new(w)).unwrap().switch == 1)
        .collect();
    for id in &further {
        release(&mut choices, id, 20_000);
    }
    assert_eq!(
        choices.give_up_subnets(at(30_000), &settings),
        [],
        "the other one is full"
    );
    let other = (0..7)
        .map(|n| format!("w{n}"))
        .find(|w| !further.contains(w))
        .unwrap();
    release(&mut choices, &other, 20_000);
    assert_eq!(
        choices.give_up_subnets(at(20_100), &settings),
        [],
        "not for long enough"
    );
    assert_eq!(choices.give_up_subnets(at(30_000), &settings), [(project(), 1)]);
    let wanted = |c: &Choices| {
        c.project(&project())
            .unwrap()
            .subnet(1)
            .is_some_and(|s| s.wanted())
    };
    assert!(!wanted(&choices));
    place(&mut choices, "x", 30_000).unwrap();
    assert_eq!(
        place(&mut choices, "y", 30_000).unwrap().switch,
        1,
        "it still stands, so it is kept"
    );
    assert!(wanted(&choices));
}

#[test]
fn a_port_that_stands_keeps_its_place() {
    let seen = |vlan, last| PortChoice {
        node: NodeId::new("n"),
        project: project(),
        switch: 0,
        vlan,
        address: [10, 1, 0, last].into(),
    };
    let (a, b) = (WorkloadId::new("a"), WorkloadId::new("b"));
    let mut choices = with_subnet();
    let settings = settings();
    assert!(choices.restore(&a, seen(77, 3), at(0), &settings));
    assert_eq!(place(&mut choices, "a", 0).unwrap(), seen(77, 3));
    assert!(
        !choices.restore(&b, seen(77, 4), at(0), &settings),
        "the VLAN is taken"
    );
    assert!(
        !choices.restore(&b, seen(78, 3), at(0), &settings),
        "the address is taken"
    );
    assert!(
        !choices.restore(&b, seen(78, 7), at(0), &settings),
        "not an address for containers"
    );
    assert!(
        !choices.restore(&b, seen(4094, 4), at(0), &settings),
        "a VLAN that is reserved"
    );
    // A place chosen before the port was seen gives way; one that was seen does not.
    place(&mut choices, "b", 0).unwrap();
    assert!(choices.restore(&b, seen(78, 4), at(0), &settings));
    assert!(!choices.restore(&b, seen(79, 5), at(0), &settings));
    assert_eq!(choices.port(&b), Some(&seen(78, 4)));
}

#[test]
fn a_port_below_an_unknown_machine_keeps_its_vlan_from_all() {
    let mut choices = with_subnet();
    let settings = settings();
    let unknown = PortChoice {
        node: NodeId::new(""),
        ..place(&mut with_subnet(), "a", 0).unwrap()
    };
    assert!(choices.restore(&WorkloadId::new("z"), unknown.clone(), at(0), &settings));
    let other = place(&mut choices, "a", 0).unwrap();
    assert_ne!(other.vlan, unknown.vlan, "it would have had this one");
    let found = place(&mut choices, "z", 0).unwrap();
    assert_eq!((found.node, found.vlan), (NodeId::new("n"), unknown.vlan));
}

#[test]
fn a_subnet_made_anew_elsewhere_moves_its_ports() {
    let mut choices = with_subnet();
    let before = place(&mut choices, "a", 0).unwrap();
    choices.subnet_gone(&project(), 0);
    assert_eq!(
        know(&mut choices, 0, "10.1.0.0/29", 5),
        Some(vec![WorkloadId::new("a")]),
        "the same network again"
    );
    assert_eq!(place(&mut choices, "a", 5).unwrap(), before);
    choices.subnet_gone(&project(), 0);
    assert_eq!(
        know(&mut choices, 0, "10.9.0.0/29", 9),
        Some(vec![WorkloadId::new("a")])
    );
    assert_eq!(place(&mut choices, "a", 9).unwrap().address.octets()[1], 9);
}

#[test]
fn a_new_leadership_finds_the_places_of_the_last() {
    let mut choices = with_subnet();
    let before = place(&mut choices, "a", 0).unwrap();
    place(&mut choices, "gone", 0).unwrap();
    let settings = settings();
    choices.restart(at(10), &settings);
    assert!(choices.project(&project()).is_none());
    choices.activate(&project());
    know(&mut choices, 0, "10.1.0.0/29", 11);
    assert_eq!(place(&mut choices, "a", 11).unwrap(), before);
}

#[test]
fn an_address_lingers_once() {
    use crate::intent::{EgressAddress, EgressOwner};
    let address = EgressAddress {
        owner: EgressOwner::Project(project()),
        pool: None,
    };
    let mut choices = Choices::default();
    assert!(choices.linger(&address, at(10)));
    assert!(!choices.linger(&address, at(99)));
    assert_eq!(choices.lingered(at(9)), []);
    assert_eq!(choices.lingered(at(10)), std::slice::from_ref(&address));
    assert!(!choices.linger(&address, at(99)), "its time is over");
    assert!(!choices.egress_kept(&address));
    choices.stop_lingering(&address);
    assert!(choices.linger(&address, at(99)), "used again, and left again");
}
