//! Every request of a full run, and every answer, held against the published definitions of NSX-T 2.3.0 and
//! 2.5.1. They aren't part of this project: `NCP_NSX_CONTRACTS` names their folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ncp_tests::{Rig, Setup};
use nsx_manager_emulator::contract::{Contract, Fault, Finding};
use nsx_manager_emulator::{Entry, Version};
use serde_json::Value;

use crate::stories::everything;

const FILES: [&str; 2] = ["nsx-manager-api-2.3.0.json", "nsx-manager-api-2.5.1.json"];

/// Calls that the API guide describes and the published definitions leave out.
const APART: [&str; 5] = [
    "POST /api/session/create",
    "POST /api/session/destroy",
    "GET /api/v1/node/services/http",
    "GET /api/v1/operational/application/status",
    "GET /api/v1/reverse-proxy/node/health",
];

/// The folder with the definitions, if it is there.
fn folder() -> Option<PathBuf> {
    let preset = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/contracts/nsx");
    let folder = std::env::var_os("NCP_NSX_CONTRACTS").map_or(preset, PathBuf::from);
    if FILES.iter().all(|file| folder.join(file).is_file()) {
        return Some(folder);
    }
    println!(
        "NOT CHECKED: {} lacks the published definitions; set NCP_NSX_CONTRACTS to their folder",
        folder.display()
    );
    None
}

/// A run that makes, changes and deletes one of everything, over a restart.
async fn full_run(version: Version) -> Vec<Entry> {
    let rig = Rig::with(Setup {
        version,
        ..Setup::default()
    })
    .await;
    rig.settled().await.stop().await.unwrap();
    let live = rig.live();
    everything(&rig);
    live.settle().await;
    rig.apply(foundation_emulator::Command::DeleteOrg { org: "shop".into() });
    live.settle().await;
    live.stop().await.unwrap();
    let entries = rig.managers.log().entries(0);
    rig.stop().await;
    entries
}

fn findings(contract: &Contract, entry: &Entry) -> Option<Vec<Finding>> {
    let parsed = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
    let (method, path, query) = (&entry.method, &entry.path, &entry.query);
    let mut all = contract.validate_request(method, path, query, parsed(&entry.request).as_ref())?;
    if let Some(status) = entry.status {
        let answer = parsed(&entry.answer);
        all.extend(contract.validate_response(method, path, query, status, answer.as_ref())?);
    }
    Some(all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_and_answers_of_a_full_run_are_as_published() {
    let Some(folder) = folder() else { return };
    for version in [Version::V2_3, Version::V2_4, Version::V2_5] {
        let entries = full_run(version).await;
        for file in FILES {
            let contract = Contract::load(&folder.join(file)).unwrap();
            let newer = version == Version::V2_5 && file.contains("2.3");
            let older = version < Version::V2_5 && file.contains("2.5");
            let (mut judged, mut complaints, mut unknown) = (0, BTreeSet::new(), BTreeSet::new());
            for entry in &entries {
                let Some(found) = findings(&contract, entry) else {
                    unknown.insert(format!("{} {}", entry.method, entry.path));
                    continue;
                };
                judged += 1;
                // A release answers with what it has; only what is sent must suit both.
                let excused = |one: &Finding| {
                    newer && one.fault == Fault::UnknownField
                        || older && one.fault == Fault::Missing && one.place == "pending_change_list"
                };
                let found = found.into_iter().filter(|one| !excused(one));
                complaints.extend(found.map(|one| format!("{} {}: {one:?}", entry.method, entry.path)));
            }
            println!("{version} against {file}: {judged} of {} judged", entries.len());
            assert!(judged > 100, "only {judged}; not published: {unknown:#?}");
            assert!(
                complaints.is_empty(),
                "{version} against {file}:\n{complaints:#?}"
            );
            let calls = unknown.iter().map(String::as_str);
            let unpublished: Vec<&str> = calls.filter(|call| !APART.contains(call)).collect();
            assert!(
                unpublished.is_empty(),
                "calls that are not published: {unpublished:?}"
            );
        }
    }
}
