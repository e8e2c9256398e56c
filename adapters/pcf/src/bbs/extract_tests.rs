//! Records as Cloud Controller makes them, and what is taken from them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use diego_wire::bbs::{
    self, Action, CodependentAction, EnvironmentVariable, RunAction, SerialAction, action,
};
use diego_wire::event::BbsEvent;
use diego_wire::lrp;

use super::extract::*;
use super::record::*;

fn env(pairs: &[(&str, &str)]) -> Vec<EnvironmentVariable> {
    let variable = |(name, value): &(&str, &str)| EnvironmentVariable {
        name: (*name).to_owned(),
        value: value.as_bytes().to_vec(),
    };
    pairs.iter().map(variable).collect()
}

fn run(path: &str, log_source: &str, pairs: &[(&str, &str)]) -> Action {
    action::Step::RunAction(RunAction {
        path: path.into(),
        log_source: log_source.into(),
        env: env(pairs),
        ..Default::default()
    })
    .into()
}

fn together(actions: Vec<Action>) -> Action {
    action::Step::CodependentAction(CodependentAction {
        actions,
        ..Default::default()
    })
    .into()
}

fn network() -> Option<bbs::Network> {
    let pairs = [
        (lrp::APP_ID, "app"),
        (lrp::POLICY_GROUP_ID, "app"),
        (lrp::SPACE_ID, "space"),
        (lrp::ORG_ID, "org"),
    ];
    let properties = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    Some(bbs::Network { properties })
}

fn record(action: Action) -> bbs::DesiredLrp {
    let tag = |text: &str| bbs::MetricTagValue {
        r#static: text.into(),
        dynamic: 0,
    };
    bbs::DesiredLrp {
        process_guid: "process-version".into(),
        domain: lrp::DOMAIN_APPS.into(),
        action: Some(action),
        ports: vec![8080, 2222, 8080],
        network: network(),
        metric_tags: [("app_name", "shop"), ("organization_name", "acme")]
            .iter()
            .map(|(key, value)| ((*key).to_owned(), tag(value)))
            .collect(),
        modification_tag: Some(bbs::ModificationTag {
            epoch: "epoch".into(),
            index: 4,
        }),
        ..Default::default()
    }
}

fn pool(action: Action) -> SnatPool {
    desired(record(action)).unwrap().facts.unwrap().snat.clone()
}

fn named(text: &str) -> SnatPool {
    SnatPool::Named(text.into())
}

#[test]
fn placement_names_and_ports_come_from_the_desired_record() {
    let desired = desired(record(run(lrp::LAUNCHER_PATH, "APP", &[]))).unwrap();
    assert_eq!(desired.process.as_str(), "process-version");
    assert_eq!((&*desired.tag.epoch, desired.tag.index), ("epoch", 4));
    let facts = desired.facts.unwrap();
    assert_eq!(facts.app.as_ref().unwrap().as_str(), "app");
    assert_eq!((facts.space.as_str(), facts.org.as_str()), ("space", "org"));
    assert_eq!(facts.names.app.as_deref(), Some("shop"));
    assert_eq!(facts.names.space, None);
    assert_eq!(facts.ports, [2222, 8080]);
}

#[test]
fn the_pool_is_the_launchers_wherever_it_sits_r_snat_31() {
    let launcher = |pairs: &[(&str, &str)]| run(lrp::LAUNCHER_PATH, "APP/PROC/WEB", pairs);
    let sidecar = run(
        lrp::LAUNCHER_PATH,
        "APP/PROC/WEB/SIDECAR/PROXY",
        &[(SNAT_VARIABLE, "sidecar")],
    );
    let ssh = run("/tmp/lifecycle/diego-sshd", "APP", &[(SNAT_VARIABLE, "ssh")]);
    let own = &[(SNAT_VARIABLE, "pool")];
    assert_eq!(
        pool(together(vec![sidecar.clone(), launcher(own), ssh.clone()])),
        named("pool")
    );
    assert_eq!(
        pool(together(vec![launcher(&[("A", "b")]), ssh.clone()])),
        SnatPool::Unset
    );
    assert_eq!(
        pool(run("/custom", "APP", own)),
        named("pool"),
        "another kind: its first program"
    );
    let twice = &[(SNAT_VARIABLE, "first"), (SNAT_VARIABLE, " later ")];
    assert_eq!(pool(launcher(twice)), named("later"));
    assert_eq!(pool(launcher(&[(SNAT_VARIABLE, " ")])), SnatPool::Unset);
    assert_eq!(
        pool(launcher(&[("ncp_snat_pool", "x")])),
        SnatPool::Unset,
        "names are case-sensitive"
    );
}

#[test]
fn tasks_use_the_apps_pool_and_staging_the_organizations() {
    let of = |domain: &str| {
        let serial = action::Step::SerialAction(SerialAction {
            actions: vec![
                Action::default(),
                run("/tmp/task", "APP/TASK", &[(SNAT_VARIABLE, "pool")]),
            ],
            ..Default::default()
        });
        task(bbs::Task {
            task_guid: "task".into(),
            domain: domain.into(),
            state: bbs::task::State::Running.into(),
            cell_id: "cell".into(),
            task_definition: Some(bbs::TaskDefinition {
                action: Some(serial.into()),
                network: network(),
                ..Default::default()
            }),
            ..Default::default()
        })
        .unwrap()
    };
    let task = of(lrp::DOMAIN_TASKS);
    assert_eq!((task.kind, task.stage), (Kind::Task, Stage::Running));
    assert_eq!(task.facts.unwrap().snat, named("pool"));
    let staging = of(lrp::DOMAIN_STAGING);
    assert_eq!(staging.kind, Kind::Staging);
    assert_eq!(staging.facts.unwrap().snat, SnatPool::Unset);
}

fn instance(state: &str) -> bbs::ActualLrp {
    bbs::ActualLrp {
        actual_lrp_key: Some(bbs::ActualLrpKey {
            process_guid: "process".into(),
            index: 2,
            domain: lrp::DOMAIN_APPS.into(),
        }),
        actual_lrp_instance_key: Some(bbs::ActualLrpInstanceKey {
            instance_guid: "instance".into(),
            cell_id: "cell".into(),
        }),
        state: state.into(),
        ..Default::default()
    }
}

#[test]
fn only_claimed_and_running_rows_have_a_container() {
    let has = |state| actual(instance(state)).unwrap().container.is_some();
    assert_eq!(
        [lrp::UNCLAIMED, lrp::CLAIMED, lrp::RUNNING, lrp::CRASHED].map(has),
        [false, true, true, false]
    );
    let mut unplaced = instance(lrp::CLAIMED);
    unplaced.actual_lrp_instance_key = Some(Default::default());
    assert_eq!(actual(unplaced).unwrap().container, None);
}

#[test]
fn a_row_places_its_container_by_its_metric_tags_when_need_be() {
    let mut row = instance(lrp::RUNNING);
    row.metric_tags = [
        ("app_id", "app"),
        ("space_id", "space"),
        ("organization_id", "org"),
    ]
    .iter()
    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
    .collect();
    let facts = actual(row).unwrap().fallback.unwrap();
    assert_eq!(facts.snat, SnatPool::Unknown);
    assert_eq!(facts.policy_group.as_ref().unwrap().as_str(), "app");
    assert_eq!(actual(instance(lrp::RUNNING)).unwrap().fallback, None);
}

#[test]
fn a_change_keeps_the_role_the_row_had_before() {
    let row = |presence: bbs::Presence| bbs::ActualLrp {
        presence: presence.into(),
        ..instance(lrp::RUNNING)
    };
    let change = bbs::ActualLrpInstanceChangedEvent {
        actual_lrp_key: instance("").actual_lrp_key,
        actual_lrp_instance_key: instance("").actual_lrp_instance_key,
        before: Some(row(bbs::Presence::Ordinary).info()),
        after: Some(row(bbs::Presence::Evacuating).info()),
        ..Default::default()
    };
    let Some(Event::Actual(actual, before)) = event(BbsEvent::from(change)).unwrap() else {
        panic!("not a change");
    };
    assert_eq!(
        (actual.presence, before),
        (Presence::Evacuating, Some(Presence::Ordinary))
    );
    assert_eq!(actual.container, Some(("instance".into(), "cell".into())));
}

#[test]
fn what_is_unusable_is_named_by_code() {
    let mut foreign = record(Action::default());
    foreign.domain = "somebody".into();
    let error = event(
        bbs::DesiredLrpCreatedEvent {
            desired_lrp: Some(foreign),
            ..Default::default()
        }
        .into(),
    );
    assert_eq!(error.expect_err("another domain").code(), "NCP06007");
    let error = event(bbs::TaskCreatedEvent::default().into()).expect_err("no record");
    assert_eq!(error.code(), "NCP06032");
    let error = event(bbs::ActualLrpCreatedEvent::default().into()).expect_err("a group event");
    assert_eq!(error.code(), "NCP06031");
    assert_eq!(event(bbs::ActualLrpCrashedEvent::default().into()), Ok(None));
    let unplaced = bbs::DesiredLrp {
        network: None,
        ..record(Action::default())
    };
    assert_eq!(desired(unplaced).unwrap().facts, None);
}
