//! Claims: whatever answer is lost wherever, nothing leaks and nothing is used twice.

use std::time::Duration;

use http::Method;
use ncp_core::code::Code;
use ncp_core::dialect::Outcome;
use ncp_core::id::{GroupId, PoolName, ProjectId};
use ncp_core::intent::{EgressAddress, EgressOwner};
use ncp_core::topology::{Object, Pool};
use ncp_nsxt::manager::Part;
use ncp_nsxt::transport::Deadline;
use nsx_manager_emulator::{Effect, ExternalPool, Fixture, Matcher, Options as Emulated};
use serde_json::json;

use super::world::{Key, World};
use super::writes::egress;

/// A world whose one pool ends at this address and has these tags; the fixture adds `ncp/cluster`.
async fn world(last: u8, tags: &[(&str, &str)]) -> World {
    let pool = ExternalPool {
        name: "snat-pool".into(),
        first: "192.0.2.10".into(),
        last: format!("192.0.2.{last}"),
        tags: tags
            .iter()
            .map(|(scope, tag)| ((*scope).to_owned(), (*tag).to_owned()))
            .collect(),
    };
    let fixture = Fixture {
        pools: vec![pool],
        ..Fixture::default()
    };
    World::with(fixture, Emulated::default()).await
}

fn key(world: &World, address: &EgressAddress) -> Key {
    world.rows(&Object::Address(address.clone())).pop().unwrap().0
}

/// Does what the planner does until the claim is held: after doubt a read, after a read a write.
async fn hold(world: &mut World, address: &EgressAddress) -> Outcome<ncp_nsxt::manager::Manager> {
    let (key, row) = world.rows(&Object::Address(address.clone())).pop().unwrap();
    for _ in 0..8 {
        match world.ensure_row(&key, &row).await {
            Outcome::Done(seen) => return Outcome::Done(seen),
            Outcome::Uncertain | Outcome::Stale | Outcome::NotSent(_) => {
                world.stands.0.remove(&key);
                if let Some(seen) = world.read_again(&key).await {
                    if Some(seen.digest) == world.digest(&row) {
                        world.stands.0.insert(key.clone(), seen.clone());
                        return Outcome::Done(seen);
                    }
                    world.stands.0.insert(key.clone(), seen);
                }
            }
            other => return other,
        }
    }
    panic!("never held");
}

fn sets(world: &World) -> usize {
    world
        .emulator
        .inventory()
        .tagged("IPSet", "ncp/cluster", "c1")
        .len()
}

/// Does what the planner does until the claim is gone.
async fn let_go(world: &mut World, address: &EgressAddress) {
    let key = key(world, address);
    for _ in 0..8 {
        match world.remove(&key).await {
            Outcome::Gone => return,
            Outcome::Uncertain | Outcome::Stale | Outcome::NotSent(_) => match world.read_again(&key).await {
                Some(seen) => drop(world.stands.0.insert(key.clone(), seen)),
                None => return,
            },
            other => panic!("{other:?}"),
        }
    }
    panic!("never gone");
}

/// Each request of a claim or its release, cut before or after it took effect.
fn cuts() -> impl Iterator<Item = (u64, Effect)> {
    (1..=12).flat_map(|nth| [(nth, Effect::ResetBefore), (nth, Effect::ResetAfter)])
}

#[tokio::test]
async fn an_address_is_held_once_whichever_request_is_cut() {
    for (nth, effect) in cuts() {
        let mut world = world(20, &[]).await;
        world
            .emulator
            .faults()
            .inject(Matcher::any().nth(nth), effect.clone());
        let Outcome::Done(seen) = hold(&mut world, &egress(None)).await else {
            panic!("{effect:?} {nth}")
        };
        let held = seen.attributes.address.unwrap().to_string();
        assert_eq!(
            world.allocated(),
            [held],
            "{effect:?} of request {nth}: nothing leaks"
        );
        assert_eq!(sets(&world), 1);
    }
}

#[tokio::test]
async fn an_address_is_given_back_whichever_request_is_cut() {
    for (nth, effect) in cuts() {
        let mut world = world(20, &[]).await;
        hold(&mut world, &egress(None)).await;
        world
            .emulator
            .faults()
            .inject(Matcher::any().nth(nth), effect.clone());
        let_go(&mut world, &egress(None)).await;
        assert!(
            world.allocated().is_empty() && sets(&world) == 0,
            "{effect:?} of request {nth}"
        );
    }
}

#[tokio::test]
async fn a_shared_pool_leaves_one_suspect_for_a_lost_answer_and_never_uses_it() {
    let shared = [("ncp/owner", "cluster:c1"), ("ncp/owner", "cluster:c2")];
    let mut world = world(12, &shared).await;
    world.emulator.faults().inject(
        Matcher::on(Method::POST, "/pools/ip-pools").once(),
        Effect::ResetAfter,
    );
    let Outcome::Done(first) = hold(&mut world, &egress(None)).await else {
        panic!()
    };
    assert_eq!(world.allocated().len(), 2, "the held one and the suspect");
    let set = world
        .emulator
        .inventory()
        .tagged("IPSet", "ncp/cluster", "c1")
        .pop()
        .unwrap();
    let suspects: Vec<_> = set["tags"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|t| t["scope"] == "ncp/suspect")
        .collect();
    assert_eq!(suspects.len(), 1, "it is listed");
    assert_ne!(suspects[0]["tag"], first.attributes.address.unwrap().to_string());
    let other = EgressAddress {
        owner: EgressOwner::Project(ProjectId::new("org-b")),
        pool: None,
    };
    let Outcome::Done(second) = hold(&mut world, &other).await else {
        panic!()
    };
    assert_ne!(suspects[0]["tag"], second.attributes.address.unwrap().to_string());
    assert_ne!(first.attributes.address, second.attributes.address);
    let third = EgressAddress {
        owner: EgressOwner::Project(ProjectId::new("org-c")),
        pool: None,
    };
    assert!(matches!(hold(&mut world, &third).await, Outcome::Refused(f) if f.code == Code::IpPoolExhausted));
}

#[tokio::test]
async fn an_address_that_another_took_first_is_not_used() {
    let mut world = world(30, &[]).await;
    // The answer that says "free" is followed by another's allocation of every address but one.
    world.emulator.faults().inject(
        Matcher::on(Method::POST, "/pools/ip-pools").once(),
        Effect::Status(400, 5141),
    );
    let Outcome::Done(seen) = hold(&mut world, &egress(None)).await else {
        panic!()
    };
    assert_eq!(world.allocated(), [seen.attributes.address.unwrap().to_string()]);
}

#[tokio::test]
async fn each_claim_has_an_address_of_its_own_until_the_pool_is_empty() {
    let mut world = world(12, &[]).await;
    let of = |n: u8| EgressAddress {
        owner: EgressOwner::Project(ProjectId::new(&format!("org-{n}"))),
        pool: None,
    };
    let mut held = Vec::new();
    for n in 0..3 {
        let Outcome::Done(seen) = hold(&mut world, &of(n)).await else {
            panic!()
        };
        held.push(seen.attributes.address.unwrap().to_string());
    }
    held.sort();
    assert_eq!(held, ["192.0.2.10", "192.0.2.11", "192.0.2.12"]);
    assert!(matches!(hold(&mut world, &of(3)).await, Outcome::Refused(f) if f.code == Code::IpPoolExhausted));
    assert_eq!(sets(&world), 3, "a claim that got nothing leaves nothing");
    let first = key(&world, &of(0));
    assert!(matches!(world.remove(&first).await, Outcome::Gone));
    assert!(matches!(hold(&mut world, &of(3)).await, Outcome::Done(_)));
}

#[tokio::test]
async fn a_pool_of_others_is_denied() {
    let mut world = world(20, &[("ncp/owner", "org:another")]).await;
    assert!(
        matches!(hold(&mut world, &egress(None)).await, Outcome::Refused(f) if f.code == Code::PoolAccessDenied),
        "R-SNAT-01"
    );
    world
        .ensure(Object::Pool(Pool {
            name: PoolName::new("snat-pool"),
        }))
        .await;
    let own = EgressAddress {
        owner: EgressOwner::Group(ProjectId::new("another"), GroupId::new("app")),
        pool: Some(PoolName::new("snat-pool")),
    };
    assert!(matches!(hold(&mut world, &own).await, Outcome::Done(_)));
}

#[tokio::test]
async fn an_address_that_was_released_by_hand_is_removed_all_the_same() {
    let mut world = world(20, &[]).await;
    let Outcome::Done(seen) = hold(&mut world, &egress(None)).await else {
        panic!()
    };
    let body = json!({ "allocation_id": seen.attributes.address });
    let path = format!("/pools/ip-pools/{}?action=RELEASE", world.made.pools[0]);
    world
        .api
        .post(&path, &[], Some(&body), Deadline::after(Duration::from_secs(60)))
        .await
        .unwrap();
    let key = key(&world, &egress(None));
    assert_eq!(key.part, Part::Claim);
    assert!(matches!(world.remove(&key).await, Outcome::Gone));
    assert_eq!(sets(&world), 0);
}
