//! Desired LRPs and tasks in the shape Cloud Controller gives them.
//!
//! Source: `lib/cloud_controller/diego/{app_recipe_builder,main_lrp_action_builder,environment,
//! task_recipe_builder,task_environment,staging_action_builder}.rb` of `cloud_controller_ng`.

use std::collections::BTreeMap;

use diego_wire::bbs::action::Step;
use diego_wire::bbs::{
    Action, CertificateProperties, CodependentAction, DesiredLrp, EmitProgressAction, EnvironmentVariable,
    LogRateLimit, MetricTagValue, Network, ProtoRoutes, RunAction, SerialAction, TaskDefinition,
    TimeoutAction, metric_tag_value::DynamicValue,
};
use diego_wire::lrp;
use serde_json::json;

use super::World;
use super::error::WorldError;
use super::objects::{App, Lifecycle, Org, Phase, Process, Space};
use super::rules;
use crate::options::Age;

/// An app with its space and organization.
struct Place<'a> {
    app: &'a App,
    space: &'a Space,
    org: &'a Org,
}

fn place<'a>(world: &'a World, app: &str) -> Result<Place<'a>, WorldError> {
    let app = world.app(app)?;
    let space = world.space(&app.space)?;
    let org = world.org(&space.org)?;
    Ok(Place { app, space, org })
}

fn variable(name: &str, value: impl Into<String>) -> EnvironmentVariable {
    EnvironmentVariable {
        name: name.to_owned(),
        value: value.into().into_bytes(),
    }
}

/// A metric tag of fixed text.
pub(crate) fn fixed(text: &str) -> MetricTagValue {
    MetricTagValue {
        r#static: text.to_owned(),
        dynamic: DynamicValue::Invalid as i32,
    }
}

/// A metric tag as an instance carries it.
pub(crate) fn resolve(value: &MetricTagValue, index: i32, instance: &str) -> String {
    match value.dynamic() {
        DynamicValue::Invalid => value.r#static.clone(),
        DynamicValue::Index => index.to_string(),
        DynamicValue::InstanceGuid => instance.to_owned(),
    }
}

/// The desired LRP of a process at its present version.
pub(crate) fn process(world: &World, process: &str) -> Result<DesiredLrp, WorldError> {
    let process = world
        .processes
        .get(process)
        .ok_or_else(|| WorldError::not_found("process", process))?;
    let at = place(world, &process.app)?;
    let app = &at.app.meta.guid;
    let mut ports = if process.ports.is_empty() {
        vec![8080]
    } else {
        process.ports.clone()
    };
    ports.extend(at.app.ssh.then_some(2222));
    Ok(DesiredLrp {
        process_guid: process.process_guid(),
        domain: lrp::DOMAIN_APPS.to_owned(),
        root_fs: root_fs(at.app.lifecycle),
        instances: process.instances,
        environment_variables: container_env(at.app.lifecycle),
        action: Some(start_action(world, &at, process)),
        monitor: Some(monitor()),
        disk_mb: process.disk_mb,
        memory_mb: process.memory_mb,
        cpu_weight: 1,
        ports,
        routes: Some(routes(&at)),
        log_source: "CELL".to_owned(),
        log_guid: app.clone(),
        metrics_guid: app.clone(),
        annotation: world.clock.seconds().to_string(),
        egress_rules: rules::egress(&world.effective(&at.space.meta.guid, Phase::Running)),
        network: Some(network(world, &at, "app")),
        start_timeout_ms: 60_000,
        placement_tags: world
            .segment_name(at.space)
            .map(str::to_owned)
            .into_iter()
            .collect(),
        max_pids: 1024,
        certificate_properties: Some(certificate(&at)),
        metric_tags: if world.age == Age::Older {
            BTreeMap::new()
        } else {
            process_tags(&at, process)
        },
        log_rate_limit: world
            .age
            .is_newest()
            .then_some(LogRateLimit { bytes_per_second: -1 }),
        ..Default::default()
    })
}

/// The definition of a task that runs a command of an app.
pub(crate) fn task(
    world: &World,
    app: &str,
    guid: &str,
    command: &str,
) -> Result<TaskDefinition, WorldError> {
    let at = place(world, app)?;
    let env = task_env(world, &at, Phase::Running);
    let run = RunAction {
        path: lrp::LAUNCHER_PATH.to_owned(),
        args: vec!["app".into(), command.into(), "{}".into()],
        env: env.clone(),
        user: "vcap".to_owned(),
        log_source: format!("APP/TASK/{guid}"),
        ..Default::default()
    };
    let container = [container_env(at.app.lifecycle), env].concat();
    Ok(TaskDefinition {
        environment_variables: container,
        action: Some(Step::RunAction(run).into()),
        completion_callback_url: format!("https://api:8182/internal/v4/tasks/{guid}/completed"),
        egress_rules: rules::egress(&world.effective(&at.space.meta.guid, Phase::Running)),
        ..one_off(world, &at, "task")
    })
}

/// The definition of the task that stages an app.
pub(crate) fn staging(world: &World, app: &str, build: &str) -> Result<TaskDefinition, WorldError> {
    let at = place(world, app)?;
    let run = Step::RunAction(RunAction {
        path: lrp::BUILDER_PATH.to_owned(),
        env: task_env(world, &at, Phase::Staging),
        user: "vcap".to_owned(),
        ..Default::default()
    });
    let inner = match at.app.lifecycle {
        Lifecycle::Docker => Step::EmitProgressAction(Box::new(EmitProgressAction {
            action: Some(Box::new(run.into())),
            start_message: "Staging...".to_owned(),
            ..Default::default()
        })),
        Lifecycle::Buildpack | Lifecycle::Cnb => Step::SerialAction(SerialAction {
            actions: vec![run.into()],
            log_source: "STG".to_owned(),
        }),
    };
    let timeout = TimeoutAction {
        action: Some(Box::new(inner.into())),
        timeout_ms: 900_000,
        ..Default::default()
    };
    Ok(TaskDefinition {
        environment_variables: container_env(at.app.lifecycle),
        action: Some(Step::TimeoutAction(Box::new(timeout)).into()),
        result_file: "/tmp/result.json".to_owned(),
        completion_callback_url: format!(
            "https://api:8182/internal/v3/staging/{build}/build_completed?start="
        ),
        egress_rules: rules::egress(&world.effective(&at.space.meta.guid, Phase::Staging)),
        log_source: "STG".to_owned(),
        ..one_off(world, &at, "staging")
    })
}

fn one_off(world: &World, at: &Place<'_>, workload: &str) -> TaskDefinition {
    let app = &at.app.meta.guid;
    TaskDefinition {
        root_fs: root_fs(at.app.lifecycle),
        disk_mb: 1024,
        memory_mb: 256,
        cpu_weight: 25,
        log_source: "APP/TASK".to_owned(),
        log_guid: app.clone(),
        metrics_guid: app.clone(),
        network: Some(network(world, at, workload)),
        placement_tags: world
            .segment_name(at.space)
            .map(str::to_owned)
            .into_iter()
            .collect(),
        max_pids: 1024,
        certificate_properties: Some(certificate(at)),
        metric_tags: if world.age.is_newest() {
            tags(at)
        } else {
            BTreeMap::new()
        },
        ..Default::default()
    }
}

fn root_fs(lifecycle: Lifecycle) -> String {
    match lifecycle {
        Lifecycle::Docker => "docker:///cloudfoundry/diego-docker-app#latest".to_owned(),
        Lifecycle::Buildpack | Lifecycle::Cnb => "preloaded:cflinuxfs4".to_owned(),
    }
}

fn container_env(lifecycle: Lifecycle) -> Vec<EnvironmentVariable> {
    let language = || variable("LANG", "en_US.UTF-8");
    match lifecycle {
        Lifecycle::Buildpack => vec![language()],
        Lifecycle::Docker => Vec::new(),
        Lifecycle::Cnb => vec![
            language(),
            variable("CNB_LAYERS_DIR", "/home/vcap/layers"),
            variable("CNB_APP_DIR", "/home/vcap/workspace"),
        ],
    }
}

/// The app, its side-cars and the SSH daemon: all carry the app's environment.
fn start_action(world: &World, at: &Place<'_>, process: &Process) -> Action {
    let env = process_env(world, at, process);
    let kind = process.kind.to_uppercase();
    let run = |path: &str, log_source: String| -> Action {
        Step::RunAction(RunAction {
            path: path.to_owned(),
            args: vec!["app".into(), String::new(), "{}".into()],
            env: env.clone(),
            user: "vcap".to_owned(),
            log_source,
            ..Default::default()
        })
        .into()
    };
    let mut actions = vec![run(lrp::LAUNCHER_PATH, format!("APP/PROC/{kind}"))];
    let sidecars = process.sidecars.iter();
    actions.extend(sidecars.map(|name| {
        run(
            lrp::LAUNCHER_PATH,
            format!("APP/PROC/{kind}/SIDECAR/{}", name.to_uppercase()),
        )
    }));
    actions.extend(
        at.app
            .ssh
            .then(|| run("/tmp/lifecycle/diego-sshd", String::new())),
    );
    Step::CodependentAction(CodependentAction {
        actions,
        ..Default::default()
    })
    .into()
}

fn monitor() -> Action {
    Step::RunAction(RunAction {
        path: "/tmp/lifecycle/healthcheck".to_owned(),
        args: vec!["-port=8080".to_owned()],
        user: "vcap".to_owned(),
        log_source: "HEALTH".to_owned(),
        suppress_log_output: true,
        ..Default::default()
    })
    .into()
}

/// `PORT` and its like in front; then the running group, the app's own, and what the platform adds;
/// later ones win by name.
fn process_env(world: &World, at: &Place<'_>, process: &Process) -> Vec<EnvironmentVariable> {
    let mut env = vec![variable("PORT", "8080")];
    if at.app.lifecycle == Lifecycle::Buildpack {
        env.extend([
            variable("VCAP_APP_PORT", "8080"),
            variable("VCAP_APP_HOST", "0.0.0.0"),
        ]);
    }
    env.extend(user_env(&world.env_groups.running, at));
    env.push(variable("VCAP_APPLICATION", vcap_application(at, Some(process))));
    env.push(variable("MEMORY_LIMIT", format!("{}m", process.memory_mb)));
    env.push(variable("VCAP_SERVICES", "{}"));
    env
}

fn task_env(world: &World, at: &Place<'_>, phase: Phase) -> Vec<EnvironmentVariable> {
    let group = match phase {
        Phase::Running => &world.env_groups.running,
        Phase::Staging => &world.env_groups.staging,
    };
    let mut env = user_env(group, at);
    env.push(variable("VCAP_APPLICATION", vcap_application(at, None)));
    env.push(variable("MEMORY_LIMIT", "256m"));
    env.push(variable("VCAP_SERVICES", "{}"));
    env
}

fn user_env(group: &BTreeMap<String, String>, at: &Place<'_>) -> Vec<EnvironmentVariable> {
    let mut merged = group.clone();
    merged.extend(at.app.env.clone());
    merged
        .iter()
        .map(|(name, value)| variable(name, value.as_str()))
        .collect()
}

fn vcap_application(at: &Place<'_>, process: Option<&Process>) -> String {
    let (app, name) = (&at.app.meta.guid, &at.app.meta.name);
    let uri = format!("{name}.apps.foundation.test");
    let mut text = json!({
        "cf_api": crate::options::EXTERNAL_URL,
        "limits": {"fds": 16384, "mem": 256, "disk": 1024},
        "application_id": app, "application_name": name, "name": name,
        "application_uris": [&uri], "uris": [&uri],
        "space_id": at.space.meta.guid, "space_name": at.space.meta.name,
        "organization_id": at.org.meta.guid, "organization_name": at.org.meta.name,
    });
    if let Some(process) = process {
        text["process_id"] = json!(process.guid);
        text["process_type"] = json!(process.kind);
        text["version"] = json!(process.version);
        text["application_version"] = json!(process.version);
    } else {
        text["users"] = json!(null);
    }
    text.to_string()
}

fn network(world: &World, at: &Place<'_>, workload: &str) -> Network {
    let app = &at.app.meta.guid;
    let properties = [
        (lrp::APP_ID, app.clone()),
        (lrp::POLICY_GROUP_ID, app.clone()),
        (lrp::SPACE_ID, at.space.meta.guid.clone()),
        (lrp::ORG_ID, at.org.meta.guid.clone()),
        (lrp::PORTS, "8080".to_owned()),
    ];
    let mut properties: BTreeMap<_, _> = properties.map(|(key, value)| (key.to_owned(), value)).into();
    if world.age != Age::Older {
        properties.insert(lrp::CONTAINER_WORKLOAD.to_owned(), workload.to_owned());
    }
    Network { properties }
}

fn certificate(at: &Place<'_>) -> CertificateProperties {
    CertificateProperties {
        organizational_unit: vec![
            format!("organization:{}", at.org.meta.guid),
            format!("space:{}", at.space.meta.guid),
            format!("app:{}", at.app.meta.guid),
        ],
    }
}

fn tags(at: &Place<'_>) -> BTreeMap<String, MetricTagValue> {
    let tags = [
        ("source_id", &at.app.meta.guid),
        ("app_id", &at.app.meta.guid),
        ("space_id", &at.space.meta.guid),
        ("organization_id", &at.org.meta.guid),
        ("app_name", &at.app.meta.name),
        ("space_name", &at.space.meta.name),
        ("organization_name", &at.org.meta.name),
    ];
    tags.map(|(name, value)| (name.to_owned(), fixed(value))).into()
}

fn process_tags(at: &Place<'_>, process: &Process) -> BTreeMap<String, MetricTagValue> {
    let dynamic = |value: DynamicValue| MetricTagValue {
        r#static: String::new(),
        dynamic: value as i32,
    };
    let mut tags = tags(at);
    tags.insert("process_id".to_owned(), fixed(&process.guid));
    tags.insert("process_type".to_owned(), fixed(&process.kind));
    tags.insert("instance_id".to_owned(), dynamic(DynamicValue::Index));
    tags.insert(
        "process_instance_id".to_owned(),
        dynamic(DynamicValue::InstanceGuid),
    );
    tags
}

/// Routes as Cloud Controller writes them; the SSH route carries a key, which here is none.
fn routes(at: &Place<'_>) -> ProtoRoutes {
    let host = format!("{}.apps.foundation.test", at.app.meta.name);
    let router =
        json!([{"hostnames": [host], "port": 8080, "route_service_url": null, "isolation_segment": null}]);
    let ssh = json!({"container_port": 2222, "host_fingerprint": "none", "private_key": "not a key"});
    let routes = [("cf-router", router), ("diego-ssh", ssh)];
    ProtoRoutes {
        routes: routes
            .map(|(key, value)| (key.to_owned(), value.to_string().into_bytes()))
            .into(),
    }
}
