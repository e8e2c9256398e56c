//! What the scenarios about the platform have in common.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ncp_core::condition::Condition;
use ncp_tests::network::{assert_sound, own, tag};
use ncp_tests::oracle::{assert_verdicts, ports_by_handle};
use ncp_tests::{Live, Rig, until};
use nsx_manager_emulator::{Credentials, End, Flow, Protocol};
use serde_json::{Value, json};

/// Waits until the network is as wanted, and holds it against the foundation: a port for each container and
/// none besides, choices unique, every flow's verdict.
pub(crate) async fn agree(rig: &Rig, live: &Live, when: &str) {
    live.settle().await;
    assert_eq!(ports(rig), containers(rig), "{when}: ports fit the containers");
    assert_sound(when, &rig.managers.inventory());
    assert_verdicts(rig);
}

pub(crate) async fn end(rig: Rig, live: Live) {
    live.stop().await.unwrap();
    rig.stop().await;
}

/// The containers that have a port.
pub(crate) fn ports(rig: &Rig) -> BTreeSet<String> {
    ports_by_handle(rig).into_keys().collect()
}

/// The containers there are.
pub(crate) fn containers(rig: &Rig) -> BTreeSet<String> {
    let all = rig.foundation.world().containers.into_iter();
    all.map(|c| c.container).collect()
}

/// The containers of the app of this name, in order.
pub(crate) fn containers_of(rig: &Rig, app: &str) -> Vec<String> {
    let world = rig.foundation.world();
    let guid = |a: &foundation_emulator::truth::AppTruth| (a.name == app).then(|| a.guid.clone());
    let guids: BTreeSet<String> = world.apps.iter().filter_map(guid).collect();
    let mut handles: Vec<String> = world
        .containers
        .iter()
        .filter(|c| guids.contains(&c.app))
        .map(|c| c.container.clone())
        .collect();
    handles.sort();
    handles
}

/// The NSX port of a container.
pub(crate) fn port(rig: &Rig, container: &str) -> End {
    End::Port(ports_by_handle(rig)[container].clone())
}

/// The address under which the outside sees a container.
pub(crate) fn seen_as(rig: &Rig, container: &str) -> Option<IpAddr> {
    rig.managers.snat(&port(rig, container), None)
}

/// Whether a container reaches this outside address by TCP.
pub(crate) fn reaches(rig: &Rig, container: &str, address: &str, to: u16) -> bool {
    let flow = Flow {
        from: port(rig, container),
        to: End::Outside(address.parse().unwrap()),
        protocol: Protocol::Tcp(to),
    };
    rig.managers.verdict(&flow).allowed()
}

/// Whether a container dials another by TCP.
pub(crate) fn dials(rig: &Rig, from: &str, to: &str, at: u16) -> bool {
    let flow = Flow {
        from: port(rig, from),
        to: port(rig, to),
        protocol: Protocol::Tcp(at),
    };
    rig.managers.verdict(&flow).allowed()
}

/// The own objects of a kind by their keys.
pub(crate) fn keys(rig: &Rig, kind: &str) -> BTreeSet<String> {
    let own = own(&rig.managers.inventory(), kind);
    own.iter()
        .filter_map(|body| tag(body, "ncp/key").map(str::to_owned))
        .collect()
}

/// Waits until a condition of this code is shown on an object whose id or name says so.
pub(crate) async fn shown(live: &Live, code: &str, on: &str) -> Condition {
    let fits = |c: &Condition| {
        let name = c.origin.name.as_deref().unwrap_or_default();
        c.code.to_string() == code && (c.origin.id.to_string() == on || name.starts_with(on))
    };
    let what = format!("{code} on {on}");
    let report = live
        .until(&what, |report| report.conditions.iter().any(fits))
        .await;
    report.conditions.iter().find(|c| fits(c)).unwrap().clone()
}

/// Waits until nothing is wrong with anything any more.
pub(crate) async fn nothing_shown(live: &Live) {
    live.until("no condition", |report| report.conditions.is_empty())
        .await;
}

/// Waits until each container has its port and nothing else has one.
pub(crate) async fn ports_fit(rig: &Rig) {
    until("ports fit the containers", || ports(rig) == containers(rig)).await;
}

/// Makes an address pool, as an operator does.
pub(crate) async fn make_pool(rig: &Rig, name: &str, network: &str, owner: Option<&str>) {
    let tags: Vec<Value> = owner
        .map(|owner| json!({"scope": "ncp/owner", "tag": owner}))
        .into_iter()
        .collect();
    let range = json!({"start": format!("{network}.10"), "end": format!("{network}.250")});
    let pool = json!({
        "display_name": name,
        "tags": tags,
        "subnets": [{"cidr": format!("{network}.0/24"), "allocation_ranges": [range]}],
    });
    let who = Credentials::default();
    let url = format!("{}/api/v1/pools/ip-pools", rig.managers.urls()[0]);
    let request = reqwest::Client::new()
        .post(url)
        .basic_auth(who.username, Some(who.password))
        .header("content-type", "application/json")
        .body(pool.to_string());
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}
