//! Scopes, sweeps and departures.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use super::{Dirty, Index};
use crate::event::{Event, Scope, ScopeKind};
use crate::id::{GroupId, Name, NodeId, PolicyId, PoolName, ProjectId, WorkloadId};
use crate::intent::{
    Action, AppliedTo, Direction, Fact, FactKey, Origin, Peers, Policy, Project, ProjectEgress, Rule, Tier,
    Workload, WorkloadEgress,
};
use crate::settings::Settings;
use crate::time::Time;
use crate::topology::ObjectKey;

struct World {
    index: Index,
    dirty: Dirty,
    now: Time,
    generation: u64,
    settings: Settings,
}

fn apps() -> Scope {
    Scope::new("bbs", ScopeKind::Workloads, "apps")
}

fn orgs() -> Scope {
    Scope::new("capi", ScopeKind::Projects, "")
}

fn origin(id: &str) -> Origin {
    Origin {
        kind: "thing".into(),
        id: Name::new(id),
        name: None,
    }
}

fn workload(id: &str) -> Workload {
    Workload {
        id: WorkloadId::new(id),
        project: ProjectId::new("p"),
        node: NodeId::new("n"),
        groups: [GroupId::new("g")].into(),
        egress: WorkloadEgress::Project,
        labels: Arc::from([]),
        origin: origin(id),
    }
}

fn project(id: &str, egress: ProjectEgress) -> Fact {
    Fact::Project(Project {
        id: ProjectId::new(id),
        name: id.into(),
        egress,
        eager: false,
        origin: origin(id),
    })
}

fn policy(applied_to: AppliedTo, rules: &[Action]) -> Fact {
    let rule = |action: &Action| Rule {
        direction: Direction::In,
        peers: Peers::Any,
        services: vec![],
        action: *action,
        log: false,
    };
    Fact::Policy(Policy {
        id: PolicyId::new("x"),
        name: "x".into(),
        tier: Tier::Allow,
        applied_to,
        rules: rules.iter().map(rule).collect(),
        defects: Arc::from([]),
        origin: origin("x"),
    })
}

impl World {
    fn new() -> World {
        World {
            index: Index::new(true),
            dirty: Vec::new(),
            now: Time(0),
            generation: 0,
            settings: Settings::default(),
        }
    }

    fn feed(&mut self, event: Event) {
        self.index.feed(event, self.now, &self.settings, &mut self.dirty);
    }

    fn say(&mut self, scope: Scope, fact: Fact) {
        self.feed(Event::Upsert { scope, fact });
    }

    fn run(&mut self, id: &str) {
        self.say(apps(), Fact::Workload(workload(id)));
    }

    fn stop(&mut self, id: &str) {
        self.feed(Event::Remove {
            scope: apps(),
            key: FactKey::Workload(WorkloadId::new(id)),
        });
    }

    /// A listing of these containers.
    fn list(&mut self, ids: &[&str]) {
        self.generation += 1;
        let generation = self.generation;
        self.feed(Event::Begin {
            scope: apps(),
            generation,
        });
        for id in ids {
            self.run(id);
        }
        self.feed(Event::End {
            scope: apps(),
            generation,
        });
    }

    fn later(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
    }

    fn running(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.index.workloads().map(|w| w.id.to_string()).collect();
        ids.sort();
        ids
    }

    fn touched(&mut self) -> Vec<String> {
        let mut keys: Vec<String> = self.dirty.drain(..).map(|k| k.to_string()).collect();
        keys.sort();
        keys.dedup();
        keys
    }
}

#[test]
fn what_is_said_twice_dirties_once() {
    let mut world = World::new();
    world.run("a");
    assert!(!world.touched().is_empty());
    world.run("a");
    assert_eq!(world.touched(), Vec::<String>::new());
}

#[test]
fn a_container_without_a_record_departs_after_two_listings_apart() {
    let mut world = World::new();
    world.list(&["a", "b"]);
    world.later(10);
    world.list(&["b"]);
    assert_eq!(world.running(), ["a", "b"], "one listing is not enough");
    world.later(30);
    world.list(&["b"]);
    assert_eq!(world.running(), ["a", "b"], "nor are two close together");
    world.later(31);
    world.list(&["b"]);
    assert_eq!(world.running(), ["b"]);
}

#[test]
fn a_container_that_is_listed_again_never_left() {
    let mut world = World::new();
    world.list(&["a"]);
    world.list(&[]);
    world.later(61);
    world.list(&["a"]);
    assert_eq!(world.index.departing(), 0);
    world.later(61);
    world.list(&[]);
    assert_eq!(world.running(), ["a"], "counted anew");
}

#[test]
fn the_nodes_word_ends_a_departure_whichever_comes_first() {
    for record_first in [true, false] {
        let mut world = World::new();
        world.list(&["a"]);
        let departed = Event::Departed {
            workload: WorkloadId::new("a"),
        };
        if record_first {
            world.stop("a");
            assert_eq!(world.running(), ["a"]);
            world.feed(departed);
        } else {
            world.feed(departed);
            assert_eq!(world.running(), ["a"], "the record still stands");
            world.stop("a");
        }
        assert_eq!(world.running(), Vec::<String>::new());
    }
}

#[test]
fn an_abandoned_listing_sweeps_nothing() {
    let mut world = World::new();
    world.settings.departure.listings = 0;
    world.list(&["a"]);
    for generation in [10, 11] {
        world.feed(Event::Begin {
            scope: apps(),
            generation,
        });
    }
    world.feed(Event::End {
        scope: apps(),
        generation: 10,
    });
    assert_eq!(world.running(), ["a"]);
    world.feed(Event::End {
        scope: apps(),
        generation: 11,
    });
    assert_eq!(world.running(), Vec::<String>::new());
}

#[test]
fn what_is_said_while_a_listing_is_open_survives_it() {
    let mut world = World::new();
    world.settings.departure.listings = 0;
    world.list(&["a"]);
    world.feed(Event::Begin {
        scope: apps(),
        generation: 9,
    });
    world.run("b");
    world.feed(Event::End {
        scope: apps(),
        generation: 9,
    });
    assert_eq!(world.running(), ["b"]);
}

#[test]
fn a_listing_that_drops_much_is_believed_the_second_time() {
    let mut world = World::new();
    world.settings.departure.listings = 0;
    let names: Vec<String> = (0..40).map(|n| format!("w{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.list(&names);
    world.list(&names[..19]);
    assert_eq!(world.running().len(), 40, "21 of 40 is more than may go at once");
    assert_eq!(world.index.scope_status()[0].held, 21);
    world.list(&names[..18]);
    assert_eq!(world.running().len(), 40, "another listing is another claim");
    world.list(&names[..18]);
    assert_eq!(world.running().len(), 18);
    world.list(&names);
    world.list(&[]);
    world.index.confirm_sweeps();
    world.list(&[]);
    assert_eq!(world.running().len(), 0);
}

#[test]
fn an_untrusted_listing_means_nothing() {
    let mut world = World::new();
    world.settings.departure.listings = 0;
    world.list(&["a"]);
    world.feed(Event::Trust {
        scope: apps(),
        trusted: false,
    });
    assert!(world.index.trusted(&[], ScopeKind::Workloads).is_err());
    world.list(&[]);
    world.feed(Event::Trust {
        scope: apps(),
        trusted: true,
    });
    assert_eq!(world.running(), ["a"]);
    assert_eq!(world.index.trusted(&[], ScopeKind::Workloads), Ok(()));
}

#[test]
fn a_scope_that_was_never_listed_is_not_trusted() {
    let mut world = World::new();
    let expected = [apps(), orgs()];
    assert_eq!(world.index.trusted(&expected, ScopeKind::Workloads), Err(apps()));
    world.list(&[]);
    assert_eq!(world.index.trusted(&expected, ScopeKind::Workloads), Ok(()));
    assert_eq!(world.index.trusted(&expected, ScopeKind::Projects), Err(orgs()));
    // One that nobody expected counts from when it is heard of.
    world.feed(Event::Begin {
        scope: Scope::new("bbs", ScopeKind::Workloads, "tasks"),
        generation: 1,
    });
    assert!(world.index.trusted(&expected, ScopeKind::Workloads).is_err());
}

#[test]
fn another_scope_cannot_remove_a_fact() {
    let mut world = World::new();
    world.settings.departure.listings = 0;
    world.run("a");
    world.feed(Event::Remove {
        scope: Scope::new("bbs", ScopeKind::Workloads, "tasks"),
        key: FactKey::Workload(WorkloadId::new("a")),
    });
    assert_eq!(world.running(), ["a"]);
}

#[test]
fn a_policy_touches_what_changed_of_it() {
    let mut world = World::new();
    let scope = || Scope::new("capi", ScopeKind::Policies, "");
    let groups =
        |names: &[&str]| AppliedTo::Groups(Arc::new(names.iter().map(|n| GroupId::new(n)).collect()));
    world.run("a");
    world.say(scope(), policy(groups(&["g"]), &[Action::Allow]));
    assert!(
        world.touched().contains(&"member/g/a".to_owned()),
        "a group in use gets its members"
    );
    world.say(scope(), policy(groups(&["g", "h"]), &[Action::Allow]));
    let head = ["section/policy/x", "union/x"];
    assert_eq!(
        world.touched(),
        [&["group/h"], &head[..1], &["union-member/x/h", head[1]]]
            .concat()
            .iter()
            .map(|s| s.to_string())
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
    // One group instead of a union of it: the union's members go.
    world.say(
        scope(),
        policy(AppliedTo::Group(GroupId::new("g")), &[Action::Allow]),
    );
    assert!(world.touched().contains(&"union-member/x/g".to_owned()));
    world.say(
        scope(),
        policy(AppliedTo::Group(GroupId::new("g")), &[Action::Drop]),
    );
    let rules = world
        .touched()
        .into_iter()
        .filter(|k| k.starts_with("rule/"))
        .count();
    assert_eq!(rules, 2, "one goes, one comes");
}

#[test]
fn a_projects_pool_is_in_use_while_the_project_names_it() {
    let mut world = World::new();
    let pool = PoolName::new("gold");
    world.say(orgs(), project("p", ProjectEgress::Pool(pool.clone())));
    assert!(world.index.derived().pool_used(&pool));
    assert!(
        world
            .touched()
            .contains(&ObjectKey::Pool(pool.clone()).to_string())
    );
    world.say(orgs(), project("p", ProjectEgress::Translated));
    assert!(!world.index.derived().pool_used(&pool));
    let touched = world.touched();
    for key in [
        "pool/gold",
        "address/project/p",
        "address/project/p/gold",
        "router/p",
    ] {
        assert!(touched.contains(&key.to_owned()), "{key} of {touched:?}");
    }
}
