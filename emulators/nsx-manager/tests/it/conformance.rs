//! Requests and answers against the published definitions of both releases, where these are at hand.

use std::path::{Path, PathBuf};

use nsx_manager_emulator::Version;
use nsx_manager_emulator::contract::{Contract, Fault};
use serde_json::{Value, json};

use crate::client::{World, tags, world_of};

/// The folder with the definitions, if it is there.
fn folder() -> Option<PathBuf> {
    let preset = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/contracts/nsx");
    let folder = std::env::var_os("NCP_NSX_CONTRACTS").map_or(preset, PathBuf::from);
    if folder.join("nsx-manager-api-2.5.1.json").is_file() {
        return Some(folder);
    }
    println!(
        "contracts absent: {} has no definitions; set NCP_NSX_CONTRACTS",
        folder.display()
    );
    None
}

/// One of everything, read, changed and deleted.
async fn tour(world: &World) {
    let client = &world.client;
    let switch = world.switch("s").await;
    let port = world.port(&switch, "cif", 2, &[("app", "web")]).await;
    let tier1 = world.router("t1").await;
    let (_, lower) = world.link(&tier1).await;
    let (_, downlink) = world.downlink(&tier1, &switch).await;
    let group = world.group("g", &[("app", "web")]).await;
    let set = client
        .post(
            "ip-sets",
            json!({ "display_name": "s", "ip_addresses": ["10.0.0.0/8", "10.1.0.1-10.1.0.2"] }),
        )
        .await
        .id();
    let nat = format!("logical-routers/{}/nat/rules", world.made.tier0);
    let snat = json!({ "action": "SNAT", "match_source_network": "10.16.0.0/24", "translated_network": "192.0.2.10",
        "tags": tags(&[("a", "b")]) });
    let nat_rule = client.post(&nat, snat).await.id();
    let subnet = client
        .post(
            "pools/ip-subnets",
            json!({ "block_id": world.made.blocks[0], "size": 256 }),
        )
        .await
        .id();
    let pool = format!("pools/ip-pools/{}", world.made.pools[0]);
    let out = client
        .post(
            &format!("{pool}?action=ALLOCATE"),
            json!({ "allocation_id": null }),
        )
        .await
        .body;
    let section = firewall(world, &group, &set).await;
    for path in [
        "transport-zones",
        "edge-clusters",
        "logical-routers",
        "logical-router-ports",
        "logical-switches",
        "logical-ports",
        "switching-profiles?include_system_owned=true",
        "pools/ip-blocks",
        "pools/ip-subnets",
        "pools/ip-pools",
        "pools/mac-pools",
        "ip-sets",
        "ns-groups",
        "ns-services",
        "firewall/sections",
        "firewall/excludelist",
        "firewall/status/transport_nodes",
        "fabric/virtual-machines",
        "fabric/vifs",
        "node",
        "node/version",
        "cluster/status",
    ] {
        assert_eq!(client.get(path).await.status, 200, "{path}");
    }
    for path in [
        format!("logical-ports/{port}"),
        format!("logical-ports/{port}/state"),
        format!("logical-ports/{port}/status"),
        format!("logical-switches/{switch}/state"),
        format!("logical-router-ports/{lower}"),
        nat.clone(),
        format!("logical-router-ports/{downlink}"),
        format!("logical-routers/{tier1}/routing/advertisement"),
        format!("logical-routers/{tier1}/routing/advertisement/rules"),
        format!("{nat}/{nat_rule}"),
        format!("pools/ip-subnets/{subnet}"),
        pool.clone(),
        format!("{pool}/allocations"),
        format!("ns-groups/{group}/effective-logical-port-members"),
        format!("ns-groups/{group}/effective-ip-address-members"),
        format!("ns-groups/{group}/effective-logical-switch-members"),
        format!("ns-groups/{group}/member-types"),
        format!("firewall/sections/{section}"),
        format!("firewall/sections/{section}/rules"),
        format!("firewall/sections/{section}/state"),
    ] {
        assert_eq!(client.get(&path).await.status, 200, "{path}");
    }
    for path in [
        format!("logical-ports/{port}"),
        format!("logical-switches/{switch}"),
        format!("logical-routers/{tier1}"),
        format!("logical-routers/{tier1}/routing/advertisement"),
        format!("{nat}/{nat_rule}"),
        format!("ns-groups/{group}"),
        format!("logical-router-ports/{downlink}"),
        format!("ip-sets/{set}"),
        pool.clone(),
    ] {
        let read = client.get(&path).await.body;
        let changed = client.put(&path, read).await;
        assert_eq!(changed.status, 200, "{path} {:?}", changed.body);
    }
    assert_eq!(
        client.post(&format!("{pool}?action=RELEASE"), out).await.status,
        200
    );
    assert_eq!(
        client
            .delete(&format!("logical-ports/{port}?detach=true"))
            .await
            .status,
        200
    );
    assert_eq!(client.delete(&format!("{nat}/{nat_rule}")).await.status, 200);
    assert_eq!(client.get("logical-ports/gone").await.status, 404);
}

async fn firewall(world: &World, group: &str, set: &str) -> String {
    let client = &world.client;
    let service = json!({ "service": { "resource_type": "L4PortSetNSService", "l4_protocol": "TCP", "destination_ports": ["80"] } });
    let icmp =
        json!({ "service": { "resource_type": "ICMPTypeNSService", "protocol": "ICMPv4", "icmp_type": 8 } });
    let rule = |name: &str| {
        json!({ "display_name": name, "action": "ALLOW", "direction": "IN", "services": [service, icmp],
            "sources": [{ "target_type": "IPSet", "target_id": set }, { "target_type": "IPv4Address", "target_id": "10.0.0.0/8" }] })
    };
    let body = json!({ "display_name": "s", "section_type": "LAYER3", "stateful": true, "rules": [rule("a")],
        "applied_tos": [{ "target_type": "NSGroup", "target_id": group }], "tags": tags(&[("a", "b")]) });
    let made = client
        .post(
            "firewall/sections?action=create_with_rules&operation=insert_top",
            body,
        )
        .await;
    let section = made.id();
    let path = format!("firewall/sections/{section}");
    let mut second = rule("b");
    second["_revision"] = json!(0);
    let second = client
        .post(&format!("{path}/rules?operation=insert_bottom"), second)
        .await
        .id();
    let read = client.get(&format!("{path}/rules/{second}")).await.body;
    assert_eq!(
        client.put(&format!("{path}/rules/{second}"), read).await.status,
        200
    );
    let whole = client
        .post(&format!("{path}?action=list_with_rules"), json!({}))
        .await
        .body;
    assert_eq!(
        client
            .post(&format!("{path}?action=update_with_rules"), whole)
            .await
            .status,
        200
    );
    let read = client.get(&path).await.body;
    assert_eq!(
        client
            .post(&format!("{path}?action=revise&operation=insert_bottom"), read)
            .await
            .status,
        200
    );
    assert_eq!(client.delete(&format!("{path}/rules/{second}")).await.status, 200);
    section
}

fn parsed(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok()
}

#[tokio::test]
async fn requests_and_answers_are_as_published() {
    let Some(folder) = folder() else { return };
    for version in [Version::V2_3, Version::V2_4, Version::V2_5] {
        let world = world_of(version).await;
        tour(&world).await;
        let mut complaints = Vec::new();
        let mut judged = 0;
        for file in ["nsx-manager-api-2.3.0.json", "nsx-manager-api-2.5.1.json"] {
            let contract = Contract::load(&folder.join(file)).unwrap();
            // A 2.5 manager may answer with fields that 2.3 lacks, never the other way round.
            let newer = version == Version::V2_5 && contract.name().contains("2.3");
            let older = version < Version::V2_5 && contract.name().contains("2.5");
            for entry in world.emulator.log().entries(0) {
                let (method, path, query) = (&entry.method, &entry.path, &entry.query);
                let (request, answer) = (parsed(&entry.request), parsed(&entry.answer));
                let asked = contract.validate_request(method, path, query, request.as_ref());
                let said =
                    contract.validate_response(method, path, query, entry.status.unwrap(), answer.as_ref());
                judged += usize::from(said.is_some());
                let findings = asked.into_iter().chain(said).flatten();
                // 2.5 made fields a duty that 2.3 doesn't know, so an older manager can't have them.
                let duty = |place: &str| older && place == "pending_change_list";
                let findings = findings.filter(|one| !(newer && one.fault == Fault::UnknownField));
                let findings = findings.filter(|one| !(one.fault == Fault::Missing && duty(&one.place)));
                complaints.extend(
                    findings.map(|one| format!("{} {method} {path}?{query}: {one:?}", contract.name())),
                );
            }
        }
        assert!(judged > 100, "only {judged} answers were of published calls");
        complaints.sort();
        complaints.dedup();
        assert!(complaints.is_empty(), "{version}:\n{}", complaints.join("\n"));
    }
}
