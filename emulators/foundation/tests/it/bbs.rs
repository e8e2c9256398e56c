//! Lists, records, routes and the shape Cloud Controller gives them.

use diego_wire::bbs;
use diego_wire::lrp;
use diego_wire::routes;
use foundation_emulator::{
    Age, Command, Delays, Fault, FaultKind, Foundation, Lifecycle, Options, Phase, ProcessSpec, Service,
};
use prost::Message;
use serde_json::json;

use crate::client::{actual, app, desired, foundation, http, post, with_space};

fn env(run: &bbs::RunAction, name: &str) -> Option<String> {
    let found = run.env.iter().rev().find(|variable| variable.name == name)?;
    Some(String::from_utf8(found.value.clone()).unwrap())
}

#[tokio::test]
async fn a_desired_lrp_has_cloud_controllers_shape() {
    let foundation = with_space().await;
    foundation
        .create_security_group(
            "one",
            vec![json!({"protocol": "tcp", "destination": "10.0.0.1", "ports": "1-2"})],
        )
        .unwrap();
    foundation
        .create_security_group(
            "two",
            vec![json!({"protocol": "tcp", "destination": "10.0.0.1", "ports": "1-2"})],
        )
        .unwrap();
    foundation
        .set_global_security_group("one", Phase::Running, true)
        .unwrap();
    foundation
        .bind_security_group("two", "s", Phase::Running)
        .unwrap();
    foundation.set_env_group(Phase::Running, "NCP_SNAT_POOL", Some("platform"));
    let mut spec = app("a", 2).env("OWN", "1");
    spec.sidecars = vec!["proxy".into()];
    spec.processes = vec![ProcessSpec {
        kind: "worker".into(),
        instances: 1,
        sidecars: Vec::new(),
    }];
    let guid = foundation.push(&spec).unwrap();

    let lrps = desired(&foundation).await;
    let web = lrps
        .iter()
        .find(|lrp| lrp.process_guid.starts_with(&guid))
        .expect("web shares the app's guid");
    let worker = lrps
        .iter()
        .find(|lrp| !lrp.process_guid.starts_with(&guid))
        .expect("worker does not");
    assert_eq!(web.process_guid.len(), 73);
    assert_eq!(web.domain, lrp::DOMAIN_APPS);
    assert_eq!(web.ports, [8080, 2222]);
    let properties = &worker.network.as_ref().unwrap().properties;
    assert_eq!(
        (&properties[lrp::APP_ID], &properties[lrp::POLICY_GROUP_ID]),
        (&guid, &guid)
    );
    assert_eq!(properties[lrp::CONTAINER_WORKLOAD], "app");
    assert_eq!(web.metric_tags["app_name"].r#static, "a");
    assert_eq!(web.egress_rules.len(), 1, "equal rules are merged");
    assert_eq!(web.egress_rules[0].annotations.len(), 2, "and name both groups");
    assert!(
        web.environment_variables
            .iter()
            .all(|variable| variable.name == "LANG")
    );

    let Some(bbs::action::Step::CodependentAction(_)) = &web.action.as_ref().unwrap().step else {
        panic!("the codependent wrapper is always there");
    };
    let programs = web.action.as_ref().unwrap().run_actions();
    assert_eq!(programs.len(), 3, "app, side-car, SSH daemon");
    for program in programs {
        assert_eq!(env(program, "NCP_SNAT_POOL").as_deref(), Some("platform"));
        assert_eq!(env(program, "OWN").as_deref(), Some("1"));
    }
}

#[tokio::test]
async fn an_edited_variable_waits_for_the_next_version() {
    let foundation = with_space().await;
    foundation.push(&app("a", 1).env("NCP_SNAT_POOL", "old")).unwrap();
    let pool = || foundation.world().containers[0].snat_pool.clone();
    foundation.set_env("a", "NCP_SNAT_POOL", Some("new")).unwrap();
    foundation.scale("a", 2).unwrap();
    assert_eq!(pool().as_deref(), Some("old"));
    let before = desired(&foundation).await;
    foundation.restart("a").unwrap();
    assert_eq!(pool().as_deref(), Some("new"));
    assert_ne!(before[0].process_guid, desired(&foundation).await[0].process_guid);
}

#[tokio::test]
async fn tasks_carry_the_environment_twice_and_staging_its_own_group() {
    let foundation = with_space().await;
    foundation.set_env_group(Phase::Staging, "STAGE", Some("1"));
    let mut spec = app("a", 0).env("OWN", "1");
    spec.lifecycle = Lifecycle::Docker;
    foundation.push(&spec).unwrap();
    let task = foundation.run_task("a", "true").unwrap();
    let build = foundation.stage("a").unwrap();
    let all: bbs::TasksResponse = post(&foundation, routes::TASKS, &bbs::TasksRequest::default()).await;
    let find = |guid: &str| {
        all.tasks
            .iter()
            .find(|task| task.task_guid == guid)
            .unwrap()
            .clone()
    };
    let (task, build) = (find(&task), find(&build));
    assert_eq!(
        (task.domain.as_str(), build.domain.as_str()),
        (lrp::DOMAIN_TASKS, lrp::DOMAIN_STAGING)
    );
    let definition = task.task_definition.unwrap();
    assert!(
        definition
            .environment_variables
            .iter()
            .any(|variable| variable.name == "OWN")
    );
    assert_eq!(
        env(definition.action.as_ref().unwrap().run_actions()[0], "OWN").as_deref(),
        Some("1")
    );
    let definition = build.task_definition.unwrap();
    assert!(definition.environment_variables.is_empty());
    assert_eq!(
        env(definition.action.as_ref().unwrap().run_actions()[0], "STAGE").as_deref(),
        Some("1")
    );
    assert_eq!(
        definition.network.unwrap().properties[lrp::CONTAINER_WORKLOAD],
        "staging"
    );
}

#[tokio::test]
async fn filters_hold_together() {
    let foundation = with_space().await;
    foundation.push(&app("a", 3)).unwrap();
    foundation.push(&app("b", 3)).unwrap();
    let guids: Vec<String> = desired(&foundation)
        .await
        .into_iter()
        .map(|lrp| lrp.process_guid)
        .collect();
    let request = bbs::DesiredLrPsRequest {
        process_guids: vec![guids[0].clone(), "none".into()],
        ..Default::default()
    };
    let some: bbs::DesiredLrPsResponse = post(&foundation, routes::DESIRED_LRPS_R2, &request).await;
    assert_eq!(some.desired_lrps.len(), 1);
    let request = bbs::ActualLrPsRequest {
        process_guid: guids[0].clone(),
        index: Some(0),
        ..Default::default()
    };
    let one: bbs::ActualLrPsResponse = post(&foundation, routes::ACTUAL_LRPS, &request).await;
    assert_eq!(one.actual_lrps.len(), 1);
    let request = bbs::ActualLrPsRequest {
        cell_id: "diego-cell-0".into(),
        ..Default::default()
    };
    let on_cell: bbs::ActualLrPsResponse = post(&foundation, routes::ACTUAL_LRPS, &request).await;
    assert_eq!(
        on_cell.actual_lrps.len(),
        2,
        "six instances on three cells in turn"
    );
    let none = bbs::ActualLrPsByProcessGuidsRequest::default();
    let none: bbs::ActualLrPsByProcessGuidsResponse =
        post(&foundation, routes::ACTUAL_LRPS_BY_PROCESS_GUIDS, &none).await;
    assert_eq!(none.error.unwrap().r#type(), bbs::error::Type::InvalidRequest);
    let infos: bbs::DesiredLrpSchedulingInfosResponse = post(
        &foundation,
        routes::SCHEDULING_INFOS,
        &bbs::DesiredLrPsRequest {
            app_guids: vec!["x".into()],
            ..Default::default()
        },
    )
    .await;
    assert_eq!(
        infos.desired_lrp_scheduling_infos.len(),
        2,
        "app guids are ignored here"
    );
}

#[tokio::test]
async fn errors_are_answers_with_status_200() {
    let foundation = foundation().await;
    let request = bbs::DesiredLrpByProcessGuidRequest {
        process_guid: "none".into(),
    };
    let missing: bbs::DesiredLrpResponse = post(&foundation, routes::DESIRED_LRP, &request).await;
    assert_eq!(
        missing.error.unwrap().r#type(),
        bbs::error::Type::ResourceNotFound
    );
    let url = format!("{}{}", foundation.endpoints().bbs[0], routes::DESIRED_LRPS);
    let nonsense = http().post(url).body(vec![0xff; 3]).send().await.unwrap();
    let body = bbs::DesiredLrPsResponse::decode(nonsense.bytes().await.unwrap()).unwrap();
    assert_eq!(body.error.unwrap().r#type(), bbs::error::Type::InvalidRequest);
}

#[tokio::test]
async fn ages_hide_what_they_did_not_have() {
    let cases = [
        (Age::Newest, routes::ROUTING_INFOS, 200),
        (Age::Newest, "/v1/nonsense", 404),
        (Age::Y2019, routes::ROUTING_INFOS, 404),
        (Age::Y2019, routes::DESIRED_LRPS, 200),
        (Age::Older, routes::DESIRED_LRPS, 404),
        (Age::Older, routes::DESIRED_LRPS_R2, 200),
        (Age::Older, routes::LRP_INSTANCE_EVENTS, 404),
        (Age::Older, routes::ACTUAL_LRP_GROUPS, 200),
    ];
    for (age, path, status) in cases {
        let foundation = Foundation::start(Options {
            age,
            ..Options::default()
        })
        .await
        .unwrap();
        let url = format!("{}{path}", foundation.endpoints().bbs[0]);
        assert_eq!(
            http().post(&url).send().await.unwrap().status(),
            status,
            "{age:?} {path}"
        );
        foundation.stop().await;
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_one() {
    let foundation = foundation().await;
    let url = format!("{}{}", foundation.endpoints().bbs[0], routes::CELLS);
    let refused = http().get(url).send().await.unwrap();
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["allow"]),
        (405, &"POST".parse().unwrap())
    );
}

#[tokio::test]
async fn fields_of_later_years_are_hidden_too() {
    let options = Options {
        age: Age::Y2019,
        ..Options::default()
    };
    let foundation = Foundation::start(options).await.unwrap();
    foundation.create_org("o").unwrap();
    foundation.create_space("o", "s").unwrap();
    foundation.push(&app("a", 1)).unwrap();
    let lrp = &actual(&foundation).await[0];
    assert_eq!((lrp.state.as_str(), lrp.routable), (lrp::RUNNING, None));
    assert!(lrp.metric_tags.is_empty() && lrp.availability_zone.is_empty());
}

#[tokio::test]
async fn a_list_can_be_partial_empty_or_not_ready() {
    let foundation = with_space().await;
    foundation.push(&app("a", 4)).unwrap();
    foundation.arm(Fault::once(
        Service::Bbs,
        routes::ACTUAL_LRPS,
        FaultKind::PartialList,
    ));
    let partial: bbs::ActualLrPsResponse = post(
        &foundation,
        routes::ACTUAL_LRPS,
        &bbs::ActualLrPsRequest::default(),
    )
    .await;
    assert!(partial.error.is_some());
    assert_eq!(partial.actual_lrps.len(), 2);
    assert_eq!(actual(&foundation).await.len(), 4);
    foundation.set_bbs_warming(true);
    let url = format!("{}/v1/nonsense", foundation.endpoints().bbs[0]);
    assert_eq!(http().post(url).send().await.unwrap().status(), 503);
}

#[tokio::test]
async fn placement_minds_room_and_segments() {
    let foundation = with_space().await;
    for cell in ["diego-cell-0", "diego-cell-1", "diego-cell-2"] {
        foundation.lose_cell(cell).unwrap();
    }
    foundation.push(&app("a", 3)).unwrap();
    let errors = actual(&foundation).await;
    assert!(
        errors
            .iter()
            .all(|lrp| lrp.state == lrp::UNCLAIMED && !lrp.placement_error.is_empty())
    );
    let add = |id: &str, tags: Vec<String>, containers| {
        foundation
            .apply(Command::AddCell {
                id: id.into(),
                tags,
                containers,
            })
            .unwrap();
    };
    add("tagged", vec!["pci".into()], 9);
    assert_eq!(
        foundation.world().containers.len(),
        0,
        "a cell of a segment takes nobody else"
    );
    add("small", Vec::new(), 2);
    assert_eq!(foundation.world().containers.len(), 2);
    add("large", Vec::new(), 9);
    assert_eq!(foundation.world().running().count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_container_takes_the_time_it_is_given() {
    let foundation = with_space().await;
    let second = std::time::Duration::from_secs(1);
    foundation.set_delays(Delays {
        claim: second,
        run: second * 2,
        stop: second,
        stage: second,
    });
    foundation.push(&app("a", 1)).unwrap();
    let state = || {
        foundation
            .world()
            .containers
            .first()
            .map(|container| container.state.clone())
    };
    assert_eq!(state(), None);
    tokio::time::sleep(second * 2).await;
    assert_eq!(state().as_deref(), Some("CLAIMED"));
    tokio::time::sleep(second * 2).await;
    assert_eq!(state().as_deref(), Some("RUNNING"));
    foundation.stop_app("a").unwrap();
    assert_eq!(state().as_deref(), Some("RUNNING"));
    tokio::time::sleep(second * 2).await;
    assert_eq!(state(), None);
}

#[tokio::test(start_paused = true)]
async fn domains_lapse_when_nobody_declares_them() {
    let foundation = foundation().await;
    let fresh = || foundation.world().fresh_domains;
    assert_eq!(fresh(), [lrp::DOMAIN_APPS, lrp::DOMAIN_TASKS]);
    foundation.apply(Command::SyncDomains { synced: false }).unwrap();
    tokio::time::advance(std::time::Duration::from_secs(119)).await;
    assert_eq!(fresh().len(), 2);
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert_eq!(fresh(), Vec::<String>::new());
}

#[tokio::test]
async fn ten_thousand_instances_are_quick_to_push() {
    let cells = (0..50)
        .map(|number| foundation_emulator::CellSpec::new(format!("cell-{number}")))
        .collect();
    let foundation = Foundation::start(Options {
        cells,
        ..Options::default()
    })
    .await
    .unwrap();
    foundation.create_org("o").unwrap();
    let space = foundation.create_space("o", "s").unwrap();
    for number in 0..2500 {
        foundation
            .push(&foundation_emulator::AppSpec::new(
                space.as_str(),
                format!("app-{number}"),
                4,
            ))
            .unwrap();
    }
    assert_eq!(
        actual(&foundation)
            .await
            .iter()
            .filter(|lrp| lrp.state == lrp::RUNNING)
            .count(),
        10_000
    );
}
