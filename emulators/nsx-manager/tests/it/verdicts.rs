//! What the realized state does to flows.

use std::net::IpAddr;
use std::time::Duration;

use nsx_manager_emulator::{Action, End, Flow, Protocol, Reason};
use serde_json::{Value, json};

use crate::client::{World, world};

fn port(name: &str) -> End {
    End::Port(name.to_owned())
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn tcp(from: End, to: End, number: u16) -> Flow {
    Flow {
        from,
        to,
        protocol: Protocol::Tcp(number),
    }
}

/// A section below the top marker with one rule.
async fn section(world: &World, name: &str, rule: Value, applied: Option<&str>) {
    let applied: Vec<Value> = applied
        .iter()
        .map(|group| json!({ "target_type": "NSGroup", "target_id": group }))
        .collect();
    let body = json!({
        "display_name": name, "section_type": "LAYER3", "stateful": true, "applied_tos": applied, "rules": [rule],
    });
    let place = format!("operation=insert_before&id={}", world.made.bottom_section);
    world
        .client
        .post(
            &format!("firewall/sections?action=create_with_rules&{place}"),
            body,
        )
        .await
        .id();
}

fn http() -> Value {
    json!([{ "service": { "resource_type": "L4PortSetNSService", "l4_protocol": "TCP", "destination_ports": ["8080"] } }])
}

/// Two ports, `web` and `db`; `db` admits `web` on 8080 and denies the rest.
async fn two_ports() -> World {
    let world = world().await;
    let switch = world.switch("s").await;
    world.port(&switch, "web", 2, &[("app", "web")]).await;
    world.port(&switch, "db", 3, &[("app", "db")]).await;
    let (web, db) = (
        world.group("web", &[("app", "web")]).await,
        world.group("db", &[("app", "db")]).await,
    );
    let allow = json!({ "display_name": "allow", "action": "ALLOW", "direction": "IN", "services": http(),
        "sources": [{ "target_type": "NSGroup", "target_id": web }] });
    section(&world, "policy", allow, Some(&db)).await;
    section(
        &world,
        "deny",
        json!({ "display_name": "deny", "action": "REJECT", "direction": "IN" }),
        Some(&db),
    )
    .await;
    world
}

#[tokio::test]
async fn the_first_rule_that_fits_decides_at_each_end() {
    let world = two_ports().await;
    let verdict = world.emulator.verdict(&tcp(port("web"), port("db"), 8080));
    assert!(verdict.allowed());
    let at_db = verdict.destination.unwrap();
    assert!(
        matches!(&at_db.reason, Reason::Rule { section_name, rule_name, .. } if section_name == "policy" && rule_name == "allow")
    );
    let at_web = verdict.source.unwrap();
    assert!(
        matches!(&at_web.reason, Reason::Rule { section_name, .. } if section_name == "Default Layer3 Section")
    );
    assert_eq!(
        world.emulator.verdict(&tcp(port("web"), port("db"), 9090)).action,
        Action::Reject
    );
    assert_eq!(
        world
            .emulator
            .verdict(&tcp(End::Outside(address("8.8.8.8")), port("db"), 8080))
            .action,
        Action::Reject
    );
    assert!(
        world.emulator.verdict(&tcp(port("db"), port("web"), 1)).allowed(),
        "applied to db, inward only"
    );
    let ping = Flow {
        from: port("web"),
        to: port("db"),
        protocol: Protocol::Icmp(8, 0),
    };
    assert!(!world.emulator.verdict(&ping).allowed());
}

#[tokio::test]
async fn addresses_match_networks_ranges_and_sets() {
    let world = two_ports().await;
    let set = json!({ "ip_addresses": ["198.51.100.0/24", "203.0.113.5-203.0.113.9"] });
    let set = world.client.post("ip-sets", set).await.id();
    let rule = json!({ "display_name": "out", "action": "DROP", "direction": "OUT", "destinations": [
        { "target_type": "IPSet", "target_id": set }, { "target_type": "IPv4Address", "target_id": "192.0.2.1-192.0.2.3" }] });
    section(&world, "out", rule, None).await;
    let out = |to: &str| {
        world
            .emulator
            .verdict(&tcp(port("web"), End::Outside(address(to)), 443))
            .allowed()
    };
    assert!(!out("198.51.100.77") && !out("203.0.113.7") && !out("192.0.2.2"));
    assert!(out("203.0.113.10") && out("192.0.2.4"));
}

#[tokio::test]
async fn spoof_guard_lets_only_bindings_pass() {
    let world = two_ports().await;
    let spoofed = tcp(End::PortAs("web".into(), address("10.16.0.99")), port("db"), 8080);
    let verdict = world.emulator.verdict(&spoofed);
    assert_eq!(
        (verdict.action, verdict.source.unwrap().reason),
        (Action::Drop, Reason::Spoofed)
    );
}

#[tokio::test]
async fn a_doubled_vlan_gets_no_traffic() {
    let world = two_ports().await;
    let switch = world.emulator.inventory().named("LogicalSwitch", "s").unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut body = world.port_body(&switch, "twin", 2, &[]);
    body["address_bindings"] = json!([{ "ip_address": "10.16.0.50", "mac_address": "02:50:56:00:00:50" }]);
    assert_eq!(
        world.client.post("logical-ports", body).await.status,
        201,
        "the manager doesn't refuse it"
    );
    let verdict = world.emulator.verdict(&tcp(port("web"), port("db"), 8080));
    assert_eq!(verdict.source.unwrap().reason, Reason::DuplicateTag);
}

#[tokio::test]
async fn only_what_is_realized_counts() {
    let world = two_ports().await;
    world.emulator.set_realization_lag(Duration::MAX);
    let switch = world.emulator.inventory().named("LogicalSwitch", "s").unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let late = world.port(&switch, "late", 9, &[("app", "web")]).await;
    let flow = tcp(port("late"), port("db"), 8080);
    assert_eq!(
        world.emulator.verdict(&flow).source.unwrap().reason,
        Reason::NotRealized
    );
    let state = world
        .client
        .get(&format!("logical-ports/{late}/state"))
        .await
        .body;
    assert_eq!(state["realized_bindings"], json!([]));
    let group = world.emulator.inventory().named("NSGroup", "web").unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let members = format!("ns-groups/{group}/effective-logical-port-members");
    assert_eq!(world.client.get(&members).await.results().len(), 1);
    world.emulator.realize_all();
    assert!(world.emulator.verdict(&flow).allowed());
    let state = world
        .client
        .get(&format!("logical-ports/{late}/state"))
        .await
        .body;
    assert_eq!(
        state["realized_bindings"][0]["binding"]["ip_address"],
        "10.16.0.9"
    );
    assert_eq!(world.client.get(&members).await.results().len(), 2);
}

#[tokio::test]
async fn the_outside_sees_the_translated_address() {
    let world = world().await;
    let tier1 = world.router("c1-org").await;
    world.link(&tier1).await;
    let switch = world.switch("s").await;
    world.downlink(&tier1, &switch).await;
    world.port(&switch, "web", 2, &[]).await;
    assert_eq!(world.emulator.snat(&port("web"), None), None);
    let rules = format!("logical-routers/{}/nat/rules", world.made.tier0);
    let snat = |source: &str, to: &str, priority: u32| json!({ "action": "SNAT", "match_source_network": source, "translated_network": to, "rule_priority": priority });
    world
        .client
        .post(&rules, snat("10.16.0.0/24", "192.0.2.10", 1024))
        .await
        .id();
    assert_eq!(
        world.emulator.snat(&port("web"), None),
        Some(address("192.0.2.10"))
    );
    world
        .client
        .post(&rules, snat("10.16.0.2", "192.0.2.20", 1000))
        .await
        .id();
    assert_eq!(
        world.emulator.snat(&port("web"), None),
        Some(address("192.0.2.20"))
    );
    let not = json!({ "action": "NO_SNAT", "match_source_network": "10.16.0.0/24",
        "match_destination_network": "10.0.0.0/8", "rule_priority": 10 });
    world.client.post(&rules, not).await.id();
    assert_eq!(world.emulator.snat(&port("web"), Some(address("10.1.2.3"))), None);
    assert_eq!(
        world.emulator.snat(&port("web"), Some(address("8.8.8.8"))),
        Some(address("192.0.2.20"))
    );
}
