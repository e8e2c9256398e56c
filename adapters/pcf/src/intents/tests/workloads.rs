//! Instances, tasks and staging containers (R-PCF-05, R-PCF-12): keyed by the container, with what they
//! were claimed with.

use ncp_core::id::NodeId;

use super::*;

fn named(app: &str, space: &str, org: &str) -> Facts {
    let name = |text: &str| Some(Arc::from(text));
    Facts {
        names: Names {
            app: name(app),
            space: name(space),
            org: name(org),
        },
        ..facts(SnatPool::Unset)
    }
}

fn label<'a>(workload: &'a Workload, scope: &str) -> Option<&'a str> {
    let mut labels = workload.labels.iter();
    labels.find(|(s, _)| &**s == scope).map(|(_, value)| &**value)
}

#[test]
fn each_kind_belongs_to_its_space_and_everybodys_group_of_its_life() {
    let mut platform = Platform::new();
    for (kind, handle) in [(Kind::App, "i"), (Kind::Task, "t"), (Kind::Staging, "s")] {
        platform.upsert(&container(kind, handle, Some(facts(SnatPool::Unset))));
    }
    let running = ["app:app", "global:running", "space:space:running"];
    assert_eq!(platform.groups("i"), running);
    assert_eq!(
        platform.groups("t"),
        running,
        "a task is a source and destination of its app's policies"
    );
    let staging = ["app:app", "global:staging", "space:space:staging"];
    assert_eq!(
        platform.groups("s"),
        staging,
        "so is a staging container, with staging security groups"
    );
}

#[test]
fn a_container_without_a_policy_group_has_no_policies() {
    let mut platform = Platform::new();
    let facts = Facts {
        policy_group: None,
        ..facts(SnatPool::Unset)
    };
    platform.upsert(&container(Kind::App, "i", Some(facts)));
    assert_eq!(platform.groups("i"), ["global:running", "space:space:running"]);
}

#[test]
fn groups_are_in_order_without_repeats() {
    let mut platform = Platform::new();
    platform.upsert(&instance("i"));
    let groups = platform.groups("i");
    assert!(groups.is_sorted_by(|a, b| a < b), "{groups:?}");
}

#[test]
fn a_port_shows_people_whose_it_is() {
    let mut platform = Platform::new();
    platform.upsert(&instance("i"));
    let workload = platform.workload("i");
    assert_eq!(workload.node, NodeId::new("cell-1"));
    assert_eq!(workload.origin.name.as_deref(), Some("shop/0"));
    for (scope, value) in [
        ("ncp/app", "app"),
        ("ncp/app_name", "shop"),
        ("ncp/instance_index", "0"),
        ("ncp/org_name", "retail"),
        ("ncp/space", "space"),
        ("ncp/space_name", "production"),
    ] {
        assert_eq!(label(workload, scope), Some(value), "{scope}");
    }
    platform.upsert(&container(Kind::Task, "t", Some(facts(SnatPool::Unset))));
    assert_eq!(platform.workload("t").origin.name.as_deref(), Some("shop/task"));
    assert_eq!(label(platform.workload("t"), "ncp/instance_index"), None);
}

#[test]
fn renames_do_not_touch_a_live_container() {
    let mut platform = Platform::new();
    platform.upsert(&container(Kind::App, "i", Some(named("shop", "prod", "retail"))));
    let before = platform.workload("i").clone();
    platform.upsert(&container(
        Kind::App,
        "i",
        Some(named("store", "live", "retail-eu")),
    ));
    assert_eq!(*platform.workload("i"), before);
    platform.upsert(&container(
        Kind::App,
        "j",
        Some(named("store", "live", "retail-eu")),
    ));
    assert_eq!(
        label(platform.workload("j"), "ncp/app_name"),
        Some("store"),
        "a new one has the new names"
    );
}

#[test]
fn the_record_may_go_before_its_container() {
    let mut platform = Platform::new();
    platform.upsert(&instance("i"));
    let before = platform.workload("i").clone();
    platform.upsert(&container(Kind::App, "i", None));
    assert_eq!(*platform.workload("i"), before);
    assert!(platform.reported("i").is_empty(), "nothing is wrong with it");
}

#[test]
fn an_evacuated_or_suspect_row_is_the_same_container() {
    let mut platform = Platform::new();
    platform.upsert(&instance("i"));
    let before = platform.workload("i").clone();
    for presence in [Presence::Evacuating, Presence::Suspect, Presence::Ordinary] {
        platform.upsert(&Container {
            presence,
            running: false,
            since: 9,
            ..instance("i")
        });
        assert_eq!(*platform.workload("i"), before, "{presence:?}");
    }
}

#[test]
fn several_containers_of_one_index_are_several_workloads() {
    let mut platform = Platform::new();
    platform.upsert(&instance("old"));
    platform.upsert(&Container {
        cell: "cell-2".into(),
        ..instance("new")
    });
    assert_eq!(platform.workload("old").node, NodeId::new("cell-1"));
    assert_eq!(platform.workload("new").node, NodeId::new("cell-2"));
}

#[test]
fn a_container_said_twice_is_one_workload() {
    let mut platform = Platform::new();
    let both = [instance("i"), instance("i")];
    platform.list(Scope::Instances, &both, true);
    assert_eq!(platform.index.workloads().count(), 1);
}

#[test]
fn a_container_is_gone_after_two_complete_listings_without_it_or_the_nodes_word() {
    let mut platform = Platform::new();
    platform.upsert(&instance("i"));
    let gone = |handle: &str| vec![Output::Remove(Scope::Instances, handle.into())];
    platform.bbs(gone("i"));
    assert!(
        platform.has("i"),
        "its record is gone, its container may still run"
    );
    platform.list(Scope::Instances, &[], true);
    assert!(platform.has("i"));
    platform.list(Scope::Instances, &[], true);
    assert!(!platform.has("i"));

    platform.upsert(&instance("j"));
    platform.bbs(gone("j"));
    let departed = Event::Departed {
        workload: WorkloadId::new("j"),
    };
    platform.feed(vec![departed]);
    assert!(!platform.has("j"));
}

#[test]
fn a_container_that_comes_back_is_what_it_was() {
    let mut platform = Platform::new();
    platform.upsert(&instance("i"));
    let before = platform.workload("i").clone();
    platform.bbs(vec![Output::Remove(Scope::Instances, "i".into())]);
    platform.list(Scope::Instances, &[], true);
    platform.upsert(&Container {
        presence: Presence::Evacuating,
        ..instance("i")
    });
    platform.list(Scope::Instances, &[instance("i")], true);
    platform.list(Scope::Instances, &[instance("i")], true);
    assert_eq!(*platform.workload("i"), before);
    assert_eq!(platform.index.departing(), 0);
}
