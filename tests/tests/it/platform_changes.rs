//! What happens on a foundation on ordinary days, and what the network is after each of it.

use std::time::Duration;

use foundation_emulator::{Age, Command, Delays, Options, Phase, Scenario};
use ncp_tests::network::own;
use ncp_tests::rig::SMALL;
use ncp_tests::{Live, Rig, Setup};
use serde_json::{Value, json};

use crate::platform::{agree, containers, containers_of, dials, end, keys, ports, ports_fit, reaches};

async fn world() -> (Rig, Live) {
    let rig = Rig::start(SMALL).await;
    let live = rig.settled().await;
    (rig, live)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_come_and_go_in_every_way() {
    let (rig, live) = world().await;
    agree(&rig, &live, "at first").await;
    let foundation = &rig.foundation;
    foundation.crash("web", 0).unwrap();
    agree(&rig, &live, "after a crash").await;
    foundation.restart("web").unwrap();
    agree(&rig, &live, "after a restart").await;
    foundation.deploy("api").unwrap();
    agree(&rig, &live, "after a rolling deployment").await;
    foundation.stop_app("web").unwrap();
    agree(&rig, &live, "stopped").await;
    foundation.start_app("web").unwrap();
    foundation.scale("web", 4).unwrap();
    agree(&rig, &live, "started and scaled").await;
    foundation.delete_app("probe").unwrap();
    agree(&rig, &live, "deleted").await;
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_and_staging_containers_have_ports_for_their_lives() {
    let (rig, live) = world().await;
    let foundation = &rig.foundation;
    let task = foundation.run_task("web", "bin/digest").unwrap();
    agree(&rig, &live, "a task runs").await;
    let api = containers_of(&rig, "api")[0].clone();
    assert!(
        dials(&rig, &task, &api, 8080),
        "a task is a source of its app's policies"
    );
    foundation.finish_task(&task, None).unwrap();
    agree(&rig, &live, "the task is over").await;

    foundation.set_delays(Delays {
        stage: Duration::from_secs(3600),
        ..Delays::default()
    });
    let build = foundation.stage("pay").unwrap();
    agree(&rig, &live, "an app is staged").await;
    assert!(containers(&rig).contains(&build) && ports(&rig).contains(&build));
    assert!(
        !reaches(&rig, &build, "10.20.30.40", 1521),
        "the space's running groups aren't for staging"
    );
    foundation.finish_staging(&build);
    agree(&rig, &live, "staging is over though its domain is never fresh").await;
    assert!(!ports(&rig).contains(&build));
    let build = foundation.restage("web").unwrap();
    agree(&rig, &live, "restaged").await;
    foundation.finish_staging(&build);
    agree(&rig, &live, "and started anew").await;
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_evacuated_container_keeps_its_port_until_its_replacement_runs() {
    let (rig, live) = world().await;
    let before = containers(&rig);
    rig.foundation.hold_placement(true);
    let cell = rig.foundation.world().containers[0].cell.clone();
    let written = rig
        .writes_during(&live, async || rig.foundation.evacuate(&cell).unwrap())
        .await;
    assert_eq!(
        written.total(),
        0,
        "an evacuating row is the same container: {written:?}"
    );
    assert_eq!(ports(&rig), before);
    rig.foundation.hold_placement(false);
    agree(&rig, &live, "evacuated").await;
    let world = rig.foundation.world();
    assert!(
        world.containers.iter().all(|c| c.cell != cell),
        "the cell is empty"
    );
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspect_container_keeps_its_port_and_comes_back() {
    let (rig, live) = world().await;
    let before = containers(&rig);
    rig.foundation.hold_placement(true);
    let cell = rig.foundation.world().containers[0].cell.clone();
    let written = rig
        .writes_during(&live, async || {
            rig.foundation.lose_cell(&cell).unwrap();
        })
        .await;
    assert_eq!(written.total(), 0, "{written:?}");
    let written = rig
        .writes_during(&live, async || {
            rig.foundation.return_cell(&cell).unwrap();
            rig.foundation.hold_placement(false);
        })
        .await;
    assert_eq!(written.total(), 0, "{written:?}");
    assert_eq!(ports(&rig), before);
    rig.foundation.lose_cell(&cell).unwrap();
    agree(&rig, &live, "replaced elsewhere").await;
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_keeps_its_network_until_it_is_deleted() {
    let (rig, live) = world().await;
    let routers = keys(&rig, "LogicalRouter");
    rig.foundation.delete_app("probe").unwrap();
    agree(&rig, &live, "without containers").await;
    assert_eq!(
        keys(&rig, "LogicalRouter"),
        routers,
        "partners allow-list its address"
    );
    rig.apply(Command::DeleteOrg { org: "lab".into() });
    agree(&rig, &live, "deleted").await;
    assert_eq!(keys(&rig, "LogicalRouter").len(), routers.len() - 1);
    rig.apply(Command::DeleteOrg { org: "shop".into() });
    agree(&rig, &live, "all deleted").await;
    for kind in ["LogicalRouter", "LogicalSwitch", "LogicalPort"] {
        assert!(keys(&rig, kind).is_empty(), "{kind}: {:?}", keys(&rig, kind));
    }
    let addresses = keys(&rig, "IPSet");
    assert!(
        addresses.iter().all(|key| key.starts_with("address/group/")),
        "an app's own address rests for a while, an organization's goes with it: {addresses:?}"
    );
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renames_reach_the_network_and_no_port() {
    let (rig, live) = world().await;
    let before = container_ports(&rig);
    rig.apply(Command::RenameOrg {
        org: "shop".into(),
        name: "store".into(),
    });
    rig.apply(Command::RenameSpace {
        space: "store/prod".into(),
        name: "live".into(),
    });
    rig.apply(Command::RenameApp {
        app: "web".into(),
        name: "front".into(),
    });
    live.settle().await;
    assert_eq!(
        container_ports(&rig),
        before,
        "a live container keeps what it was made with"
    );
    let routers = own(&rig.managers.inventory(), "LogicalRouter");
    let names: Vec<String> = routers.iter().map(|r| r["display_name"].to_string()).collect();
    assert!(names.iter().any(|name| name.contains("store")), "{names:?}");
    agree(&rig, &live, "renamed").await;
    end(rig, live).await;
}

/// The ports of containers as they are stored, with their revisions.
fn container_ports(rig: &Rig) -> Vec<Value> {
    let mut ports = own(&rig.managers.inventory(), "LogicalPort");
    ports.retain(|port| port["attachment"]["context"]["vif_type"] == "CHILD");
    ports
}

/// L-33: no restart, no restage.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_groups_reach_running_containers() {
    let (rig, live) = world().await;
    let foundation = &rig.foundation;
    let web = containers_of(&rig, "web")[0].clone();
    let probe = containers_of(&rig, "probe")[0].clone();
    let open = |container: &str, port| reaches(&rig, container, "10.20.30.40", port);
    assert!(open(&web, 1521) && !open(&web, 5432) && !open(&probe, 1521));
    let rule = |ports: &str| json!({"protocol": "tcp", "destination": "10.20.30.0/24", "ports": ports});
    let steps: [(&str, &dyn Fn()); 5] = [
        ("edited", &|| {
            let rules = vec![rule("5432")];
            foundation.update_security_group("database", rules).unwrap();
        }),
        ("bound", &|| {
            foundation
                .bind_security_group("database", "lab/dev", Phase::Running)
                .unwrap();
        }),
        ("unbound", &|| {
            foundation
                .unbind_security_group("database", "shop/prod", Phase::Running)
                .unwrap();
        }),
        ("made global", &|| {
            foundation
                .set_global_security_group("database", Phase::Running, true)
                .unwrap();
        }),
        ("deleted", &|| {
            foundation.delete_security_group("database").unwrap()
        }),
    ];
    let expected = [
        (true, false),
        (true, true),
        (false, true),
        (true, true),
        (false, false),
    ];
    for ((what, step), (at_web, at_probe)) in steps.into_iter().zip(expected) {
        let written = rig.writes_during(&live, async || step()).await;
        assert_eq!(
            (open(&web, 5432), open(&probe, 5432)),
            (at_web, at_probe),
            "{what}"
        );
        assert!(
            written.0.keys().all(|route| !route.contains("logical-ports")),
            "{what}: {written:?}"
        );
        agree(&rig, &live, what).await;
    }
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_rule_is_shown_on_its_group_and_lost_alone() {
    let (rig, live) = world().await;
    let good = json!({"protocol": "tcp", "destination": "10.20.30.0/24", "ports": "5432"});
    let bad = json!({"protocol": "tcp", "destination": "10.20.30.0/255.255.255.0", "ports": "1521"});
    let rules = vec![bad, good.clone()];
    rig.foundation.update_security_group("database", rules).unwrap();
    let shown = crate::platform::shown(&live, "NCP06021", "database").await;
    assert!(
        shown.message.contains("write the prefix length"),
        "{}",
        shown.message
    );
    live.settle().await;
    let web = containers_of(&rig, "web")[0].clone();
    assert!(reaches(&rig, &web, "10.20.30.40", 5432), "the other rule holds");
    assert!(!reaches(&rig, &web, "10.20.30.40", 1521));
    assert!(reaches(&rig, &web, "198.18.0.1", 443), "and the other group");
    rig.foundation
        .update_security_group("database", vec![good])
        .unwrap();
    crate::platform::nothing_shown(&live).await;
    agree(&rig, &live, "mended").await;
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_for_ipv6_are_accepted_and_emit_nothing() {
    let (rig, live) = world().await;
    let written = rig
        .writes_during(&live, async || {
            let rules = vec![
                json!({"protocol": "tcp", "destination": "10.20.30.0/24", "ports": "1521,1526"}),
                json!({"protocol": "udp", "destination": "10.20.30.9", "ports": "53"}),
                json!({"protocol": "all", "destination": "2001:db8::/32"}),
                json!({"protocol": "icmpv6", "destination": "2001:db8::1", "type": -1, "code": -1}),
            ];
            rig.foundation.update_security_group("database", rules).unwrap();
        })
        .await;
    assert_eq!(written.total(), 0, "{written:?}");
    crate::platform::nothing_shown(&live).await;
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foundation_of_2019_works_the_same() {
    let scenario = Scenario::built_in().unwrap();
    let text = serde_json::to_string(&scenario).unwrap();
    let rig = Rig::with(Setup {
        scenario: text.replace("payments-pool", ncp_tests::rig::OWN_POOL),
        foundation: Options {
            age: Age::Y2019,
            ..Options::default()
        },
        ..Setup::default()
    })
    .await;
    let live = rig.live();
    ports_fit(&rig).await;
    live.until("converged", |report| report.read_all() && report.converged())
        .await;
    ncp_tests::oracle::assert_verdicts(&rig);
    rig.foundation.scale("retail/production/cart", 6).unwrap();
    ports_fit(&rig).await;
    end(rig, live).await;
}
