//! Translated addresses (R-SNAT-30 to R-SNAT-36): app over organization, fixed for a container's life.

use ncp_core::id::{PoolName, ProjectId};
use ncp_core::intent::{EgressAddress, EgressOwner, WorkloadEgress};

use super::*;

fn own(pool: &str) -> WorkloadEgress {
    WorkloadEgress::Own(EgressAddress {
        owner: EgressOwner::Group(ProjectId::new("org"), group_id("app:app")),
        pool: Some(PoolName::new(pool)),
    })
}

fn egress(kind: Kind, snat: SnatPool) -> WorkloadEgress {
    let mut platform = Platform::new();
    platform.upsert(&container(kind, "c", Some(facts(snat))));
    platform.workload("c").egress.clone()
}

#[test]
fn an_apps_own_pool_wins_over_its_organizations() {
    assert_eq!(egress(Kind::App, SnatPool::Unset), WorkloadEgress::Project);
    assert_eq!(egress(Kind::App, pool("partners")), own("partners"));
}

#[test]
fn tasks_use_their_apps_pool_and_staging_the_organizations() {
    assert_eq!(egress(Kind::Task, pool("partners")), own("partners"));
    assert_eq!(egress(Kind::Task, SnatPool::Unset), WorkloadEgress::Project);
    assert_eq!(egress(Kind::Staging, pool("partners")), WorkloadEgress::Project);
}

#[test]
fn instances_and_tasks_of_an_app_share_one_address() {
    let mut platform = Platform::new();
    platform.upsert(&container(Kind::App, "i", Some(facts(pool("partners")))));
    platform.upsert(&container(Kind::Task, "t", Some(facts(pool("partners")))));
    assert_eq!(platform.workload("i").egress, platform.workload("t").egress);
}

#[test]
fn apps_of_one_pool_have_an_address_each() {
    let mut platform = Platform::new();
    let other = Facts {
        app: Some("other".into()),
        ..facts(pool("partners"))
    };
    platform.upsert(&container(Kind::App, "i", Some(facts(pool("partners")))));
    platform.upsert(&container(Kind::App, "j", Some(other)));
    assert_ne!(platform.workload("i").egress, platform.workload("j").egress);
}

#[test]
fn a_rolling_change_of_pool_leaves_each_container_what_it_started_with() {
    let mut platform = Platform::new();
    platform.upsert(&container(Kind::App, "old", Some(facts(pool("first")))));
    platform.upsert(&container(Kind::App, "new", Some(facts(pool("second")))));
    assert_eq!(platform.workload("old").egress, own("first"));
    assert_eq!(platform.workload("new").egress, own("second"));
}

#[test]
fn a_running_container_never_changes_its_pool() {
    let mut platform = Platform::new();
    platform.upsert(&container(Kind::App, "c", Some(facts(pool("first")))));
    platform.upsert(&container(Kind::App, "c", Some(facts(pool("second")))));
    platform.upsert(&container(Kind::App, "c", Some(facts(SnatPool::Unset))));
    assert_eq!(platform.workload("c").egress, own("first"));
}

#[test]
fn an_unknown_choice_makes_nothing_and_leaves_what_stands() {
    let mut platform = Platform::new();
    platform.list(Scope::Instances, &[], true);
    platform.list(Scope::Tasks, &[], true);
    platform.list(Scope::Staging, &[], true);
    let unknown = container(Kind::App, "c", Some(facts(SnatPool::Unknown)));
    platform.upsert(&unknown);
    assert!(
        !platform.has("c"),
        "neither the app's address nor the organization's is right"
    );
    assert!(
        !platform.trusts(ScopeKind::Workloads),
        "the port that stands is not retired"
    );

    // One that was seen with its record keeps it, whatever is said without it.
    let mut seen = Platform::new();
    seen.upsert(&container(Kind::App, "c", Some(facts(pool("first")))));
    seen.upsert(&unknown);
    assert_eq!(seen.workload("c").egress, own("first"));
}
