//! How many writes a change costs on the manager API: the counts that this project promises, exactly.

use foundation_emulator::{AppSpec, Command, Phase, PolicySpec, Service};
use ncp_tests::network::{assert_same, assert_sound, shape};
use ncp_tests::oracle::assert_verdicts;
use ncp_tests::{Live, Rig, Written};
use serde_json::json;

/// What each test starts from.
async fn world() -> (Rig, Live) {
    let rig = Rig::with(ncp_tests::Setup::default()).await;
    let live = rig.settled().await;
    (rig, live)
}

async fn end(rig: Rig, live: Live) {
    assert_sound("after the test", &rig.managers.inventory());
    assert_verdicts(&rig);
    live.stop().await.unwrap();
    rig.stop().await;
}

fn assert_writes(what: &str, found: &Written, wanted: &[(&str, u64)]) {
    assert_eq!(*found, wanted, "{what}");
}

const PORT: (&str, u64) = ("POST /logical-ports", 1);
const NO_PORT: (&str, u64) = ("DELETE /logical-ports/*", 1);
const NAT: (&str, u64) = ("POST /logical-routers/*/nat/rules", 1);
const NO_NAT: (&str, u64) = ("DELETE /logical-routers/*/nat/rules/*", 1);
const GROUP: (&str, u64) = ("POST /ns-groups", 1);
const RULE: (&str, u64) = ("POST /firewall/sections/*/rules", 1);
const NO_RULE: (&str, u64) = ("DELETE /firewall/sections/*/rules/*", 1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_costs_one_write_and_one_more_with_a_pool_of_its_own() {
    let (rig, live) = world().await;
    let started = rig
        .writes_during(&live, async || rig.foundation.scale("web", 3).unwrap())
        .await;
    assert_writes("one instance started", &started, &[PORT]);
    let stopped = rig
        .writes_during(&live, async || rig.foundation.scale("web", 2).unwrap())
        .await;
    assert_writes("one instance stopped", &stopped, &[NO_PORT]);
    let started = rig
        .writes_during(&live, async || rig.foundation.scale("pay", 2).unwrap())
        .await;
    assert_writes("one instance with a pool started", &started, &[PORT, NAT]);
    let stopped = rig
        .writes_during(&live, async || rig.foundation.scale("pay", 1).unwrap())
        .await;
    assert_writes("one instance with a pool stopped", &stopped, &[NO_PORT, NO_NAT]);
    let detached = rig.managers.log().writes();
    let deletes = detached
        .iter()
        .filter(|e| e.method == "DELETE" && e.path.contains("/logical-ports/"));
    for delete in deletes {
        assert_eq!(
            delete.query, "detach=true",
            "a port in use can't be deleted otherwise"
        );
    }
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_workload_of_an_organization_costs_its_network_once() {
    let (rig, live) = world().await;
    let made = rig
        .writes_during(&live, async || {
            rig.foundation.create_org("new").unwrap();
            rig.foundation.create_space("new", "dev").unwrap();
        })
        .await;
    assert_eq!(
        made.total(),
        0,
        "an organization without containers costs nothing: {made:?}"
    );
    let first = rig
        .writes_during(&live, async || {
            drop(rig.foundation.push(&AppSpec::new("new/dev", "first", 1)).unwrap())
        })
        .await;
    assert_writes("first workload", &first, FIRST);
    let second = rig
        .writes_during(&live, async || {
            drop(
                rig.foundation
                    .push(&AppSpec::new("new/dev", "second", 1))
                    .unwrap(),
            )
        })
        .await;
    assert_writes("second workload", &second, &[PORT]);
    end(rig, live).await;
}

/// The first workload of an organization: its router with advertisement and both link ports, its subnet,
/// switch and downlink (a port at either end), its address (written down, taken, confirmed) with the rule
/// that uses it, its isolation (a section, and its rules together), and the workload's own port.
const FIRST: &[(&str, u64)] = &[
    ("POST /firewall/sections", 1),
    ("POST /firewall/sections/*/rules?action=create_multiple", 1),
    ("POST /ip-sets", 1),
    ("POST /logical-ports", 2),
    ("POST /logical-router-ports", 3),
    ("POST /logical-routers", 1),
    NAT,
    ("POST /logical-switches", 1),
    ("POST /pools/ip-pools/*?action=ALLOCATE", 1),
    ("POST /pools/ip-subnets", 1),
    ("PUT /ip-sets/*", 1),
    ("PUT /logical-routers/*/routing/advertisement", 1),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_security_group_costs_one_write_a_rule() {
    let (rig, live) = world().await;
    let tcp =
        |port: u16| json!({"protocol": "tcp", "destination": "10.20.30.0/24", "ports": port.to_string()});
    let edit = async |ports: &[u16]| {
        let rules = ports.iter().map(|port| tcp(*port)).collect();
        rig.writes_during(&live, async || {
            rig.foundation.update_security_group("database", rules).unwrap()
        })
        .await
    };
    edit(&[1, 2, 3]).await;
    assert_writes("one added", &edit(&[1, 2, 3, 4]).await, &[RULE]);
    assert_writes("one removed", &edit(&[1, 2, 4]).await, &[NO_RULE]);
    assert_writes("one changed", &edit(&[1, 2, 5]).await, &[RULE, NO_RULE]);
    assert_eq!(edit(&[5, 2, 1]).await.total(), 0, "order means nothing");
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn binding_a_security_group_costs_one_write() {
    let (rig, live) = world().await;
    let (bind, unbind) = (
        "POST /ns-groups/*?action=ADD_MEMBERS",
        "POST /ns-groups/*?action=REMOVE_MEMBERS",
    );
    // The space's group is made when something is first bound to it.
    let bound = async |bound: bool, group: &str, space: &str| {
        rig.writes_during(&live, async || {
            if bound {
                rig.foundation
                    .bind_security_group(group, space, Phase::Running)
                    .unwrap();
            } else {
                rig.foundation
                    .unbind_security_group(group, space, Phase::Running)
                    .unwrap();
            }
        })
        .await
    };
    assert_writes(
        "first of a space",
        &bound(true, "database", "lab/dev").await,
        &[(bind, 1), GROUP],
    );
    let other = rig
        .writes_during(&live, async || {
            let rules = vec![json!({"protocol": "tcp", "destination": "10.66.1.0/24", "ports": "22"})];
            rig.foundation.create_security_group("ssh", rules).unwrap();
        })
        .await;
    let section = ("POST /firewall/sections?action=create_with_rules", 1);
    assert_writes("a group that is bound nowhere", &other, &[GROUP, section]);
    bound(true, "ssh", "shop/prod").await;
    assert_writes("bound", &bound(true, "ssh", "lab/dev").await, &[(bind, 1)]);
    assert_writes("unbound", &bound(false, "ssh", "lab/dev").await, &[(unbind, 1)]);
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_costs_at_most_two_writes_and_one_an_app_first_used() {
    let (rig, live) = world().await;
    let policy = |source: &str, destination: &str, ports: &str| PolicySpec {
        source: source.into(),
        destination: destination.into(),
        protocol: "tcp".into(),
        ports: ports.into(),
    };
    let add = async |source: &str, destination: &str, ports: &str| {
        let spec = policy(source, destination, ports);
        rig.writes_during(&live, async || rig.foundation.add_network_policy(&spec).unwrap())
            .await
    };
    let section = ("POST /firewall/sections?action=create_with_rules", 1);
    assert_writes("both apps used", &add("web", "api", "9000").await, &[RULE]);
    assert_writes("a new source", &add("pay", "api", "8080").await, &[GROUP, RULE]);
    assert_writes("a new destination", &add("api", "web", "8080").await, &[section]);
    assert_writes(
        "two new apps",
        &add("probe", "probe", "8080").await,
        &[GROUP, section],
    );
    let removed = rig
        .writes_during(&live, async || {
            rig.foundation
                .remove_network_policy(&policy("web", "api", "9000"))
                .unwrap();
        })
        .await;
    assert_writes("removed", &removed, &[NO_RULE]);
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_over_an_unchanged_network_writes_nothing() {
    let (rig, live) = world().await;
    let before = shape(&rig.managers.inventory());
    let last = rig.last();
    live.stop().await.unwrap();
    let live = rig.settled().await;
    assert_eq!(rig.written_since(last).total(), 0);
    assert_same("restarted", &before, &shape(&rig.managers.inventory()));
    let last = rig.last();
    live.kill().await;
    let live = rig.settled().await;
    assert_eq!(rig.written_since(last).total(), 0);
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashed_instance_is_one_port_gone_and_one_made() {
    let (rig, live) = world().await;
    let crashed = rig
        .writes_during(&live, async || rig.foundation.crash("web", 0).unwrap())
        .await;
    assert_writes("crashed", &crashed, &[NO_PORT, PORT]);
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_evacuated_cell_moves_its_ports_one_by_one() {
    let (rig, live) = world().await;
    let containers = rig.foundation.world().containers;
    let pay = containers.iter().find(|c| c.snat_pool.is_some()).unwrap();
    let cell = pay.cell.clone();
    let on_cell: Vec<_> = containers.iter().filter(|c| c.cell == cell).collect();
    let here = on_cell.len() as u64;
    let own = on_cell.iter().filter(|c| c.snat_pool.is_some()).count() as u64;
    let evacuated = rig
        .writes_during(&live, async || rig.foundation.evacuate(&cell).unwrap())
        .await;
    let wanted = [(PORT.0, here), (NO_PORT.0, here), (NAT.0, own), (NO_NAT.0, own)];
    assert_writes("evacuated", &evacuated, &wanted);
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_change_names_only() {
    let (rig, live) = world().await;
    let rename = |command: Command| async {
        let command = command;
        rig.writes_during(&live, async || rig.apply(command)).await
    };
    let app = rename(Command::RenameApp {
        app: "web".into(),
        name: "shopfront".into(),
    })
    .await;
    assert_eq!(
        app.total(),
        0,
        "a container keeps the name it started with: {app:?}"
    );
    let space = rename(Command::RenameSpace {
        space: "shop/prod".into(),
        name: "production".into(),
    })
    .await;
    assert_eq!(space.total(), 0, "{space:?}");
    let org = rename(Command::RenameOrg {
        org: "shop".into(),
        name: "store".into(),
    })
    .await;
    let wanted = [
        ("PUT /firewall/sections/*", 1),
        ("PUT /logical-ports/*", 1),
        ("PUT /logical-router-ports/*", 3),
        ("PUT /logical-routers/*", 1),
        ("PUT /logical-switches/*", 1),
    ];
    assert_writes("an organization renamed", &org, &wanted);
    let names = rig.managers.inventory();
    assert!(names.named("LogicalRouter", "acme-store").is_some());
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_steady_state_writes_nothing_and_asks_for_no_single_app() {
    let (rig, live) = world().await;
    rig.foundation.clear_requests();
    let last = rig.last();
    live.settle().await;
    live.settle().await;
    assert_eq!(rig.last(), last, "not one request to the managers");
    let asked = rig.foundation.request_counts();
    let apps = |service: Service, path: &str| {
        matches!(service, Service::Capi | Service::CapiInternal)
            && ["/apps", "/processes", "/env", "/stats"]
                .iter()
                .any(|part| path.contains(part))
    };
    let single: Vec<_> = asked
        .keys()
        .filter(|(service, path)| apps(*service, path))
        .collect();
    assert!(single.is_empty(), "{single:?}");
    assert!(
        asked.keys().any(|(service, _)| *service == Service::Bbs),
        "{asked:?}"
    );
    end(rig, live).await;
}
