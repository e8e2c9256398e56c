//! What absence means (design, "No harm on doubt"): nothing while a source can't vouch for it.

use ncp_core::code::Code;

use super::*;

/// An empty listing after one that wasn't.
fn emptied<T>() -> Listing<T> {
    Listing {
        generation: 8,
        items: Vec::new(),
        emptied: Some(1),
    }
}

/// All three scopes of containers listed, with these instances.
fn listed(instances: &[Container]) -> Platform {
    let mut platform = Platform::new();
    platform.list(Scope::Instances, instances, true);
    platform.list(Scope::Tasks, &[], true);
    platform.list(Scope::Staging, &[], true);
    platform
}

#[test]
fn nothing_is_trusted_before_all_scopes_were_listed() {
    let mut platform = Platform::new();
    for scope in [Scope::Instances, Scope::Tasks, Scope::Staging] {
        assert!(!platform.trusts(ScopeKind::Workloads), "{scope:?} is missing");
        platform.list(scope, &[], true);
    }
    assert!(platform.trusts(ScopeKind::Workloads));
}

#[test]
fn an_incomplete_listing_removes_nothing_and_takes_trust_away() {
    let mut platform = listed(&[instance("i"), instance("j")]);
    for _ in 0..3 {
        platform.list(Scope::Instances, &[instance("i")], false);
    }
    assert!(platform.has("j"));
    assert!(!platform.trusts(ScopeKind::Workloads));
    assert!(!platform.scope("bbs/Workloads/cf-apps").trusted);

    platform.list(Scope::Instances, &[instance("i")], true);
    assert!(
        platform.trusts(ScopeKind::Workloads),
        "trust returns with the next complete one"
    );
    assert!(platform.has("j"), "its container may still run");
    platform.list(Scope::Instances, &[instance("i")], true);
    assert!(!platform.has("j"));
}

#[test]
fn an_incomplete_listing_still_adds() {
    let mut platform = listed(&[]);
    platform.list(Scope::Instances, &[instance("i")], false);
    assert!(platform.has("i"));
}

#[test]
fn staging_is_never_vouched_for_by_its_domain_and_retires_all_the_same() {
    let mut platform = listed(&[]);
    let staging = container(Kind::Staging, "s", Some(facts(SnatPool::Unset)));
    platform.list(Scope::Staging, std::slice::from_ref(&staging), true);
    assert!(platform.has("s"));
    platform.list(Scope::Staging, &[], true);
    platform.list(Scope::Staging, &[], true);
    platform.list(Scope::Staging, &[], true);
    assert!(!platform.has("s"));
    assert!(platform.trusts(ScopeKind::Workloads));
}

#[test]
fn a_stranger_takes_trust_away_until_it_is_known_or_gone() {
    let stranger = container(Kind::App, "x", None);
    for known in [true, false] {
        let mut platform = listed(&[]);
        platform.upsert(&stranger);
        assert!(!platform.has("x"));
        assert!(!platform.trusts(ScopeKind::Workloads));
        if known {
            platform.upsert(&instance("x"));
            assert!(platform.has("x"));
        } else {
            platform.bbs(vec![Output::Remove(Scope::Instances, "x".into())]);
        }
        assert!(platform.trusts(ScopeKind::Workloads));
    }
}

#[test]
fn a_stranger_is_reported_while_it_is_one() {
    let mut platform = listed(&[]);
    platform.upsert(&container(Kind::Task, "x", None));
    let reported = platform.reported("x");
    assert_eq!(reported.len(), 1);
    assert_eq!(reported[0].code, Code::PcfUnexpectedEventInstance);
    platform.upsert(&container(Kind::Task, "x", Some(facts(SnatPool::Unset))));
    assert!(platform.reported("x").is_empty());

    platform.upsert(&container(Kind::Task, "y", None));
    platform.bbs(vec![Output::Remove(Scope::Tasks, "y".into())]);
    assert!(platform.reported("y").is_empty());
}

#[test]
fn a_listing_that_still_has_a_stranger_removes_nothing() {
    let mut platform = listed(&[instance("i")]);
    let stranger = container(Kind::App, "x", None);
    for _ in 0..3 {
        platform.list(Scope::Instances, std::slice::from_ref(&stranger), true);
    }
    assert!(platform.has("i"));
    for _ in 0..2 {
        platform.bbs(vec![Output::Remove(Scope::Instances, "x".into())]);
        platform.list(Scope::Instances, &[], true);
    }
    assert!(!platform.has("i"), "nobody is a stranger any more");
}

#[test]
fn a_stranger_of_one_scope_leaves_the_listings_of_others_alone() {
    let task = container(Kind::Task, "t", Some(facts(SnatPool::Unset)));
    let mut platform = listed(&[]);
    platform.upsert(&task);
    platform.upsert(&container(Kind::App, "x", None));
    assert!(!platform.scope("bbs/Workloads/cf-apps").trusted);
    assert!(platform.scope("bbs/Workloads/cf-tasks").trusted);
    for _ in 0..2 {
        platform.list(Scope::Tasks, &[], true);
    }
    assert!(!platform.has("t"), "the task is known to be gone");
    assert!(
        !platform.trusts(ScopeKind::Workloads),
        "its port goes when the stranger is known"
    );
}

#[test]
fn a_controller_that_starts_anew_treats_orphans_as_strangers() {
    let mut platform = listed(&[instance("i")]);
    platform.restart();
    // The desired record went while the container still stops: its row alone can't say which pool.
    let orphan = container(Kind::App, "i", Some(facts(SnatPool::Unknown)));
    platform.list(Scope::Instances, &[orphan], true);
    assert!(platform.has("i"), "what stands, stays");
    assert!(!platform.trusts(ScopeKind::Workloads));
}

#[test]
fn an_empty_listing_of_cloud_controller_counts_when_a_second_one_says_the_same() {
    let mut platform = Platform::new();
    let rules = serde_json::json!([{"protocol": "all", "destination": "10.0.0.0/8"}]);
    platform.organizations(&[("o1", "retail")]);
    platform.security_groups(&[group("g", rules)]);
    platform.capi(CapiUpdate::SecurityGroups(emptied()));
    platform.capi(CapiUpdate::Organizations(emptied()));
    assert_eq!(platform.policy("asg:g").rules.len(), 1, "its allows stand");
    assert_eq!(platform.index.projects().count(), 1);
    assert_eq!(
        platform.reported("security groups")[0].code,
        Code::PcfCapiConnectionFailed
    );

    platform.generation = 8;
    platform.security_groups(&[]);
    platform.organizations(&[]);
    assert_eq!(platform.index.policies().count(), 0);
    assert_eq!(platform.index.projects().count(), 0);
    assert!(platform.reported("security groups").is_empty());
}
