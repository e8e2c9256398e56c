//! Crates are rooms: what each may know of the others, and of the world, is read from the manifests.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// What has sockets, clocks, files or a runtime in it. The core takes time and randomness as
/// arguments, so none of these may be among its dependencies, however far down.
const WORLDLY: &[&str] = &[
    "async-std",
    "diesel",
    "getrandom",
    "hyper",
    "mio",
    "rand",
    "reqwest",
    "rustls",
    "smol",
    "socket2",
    "tokio",
    "tonic",
];

/// Normal and build dependencies by package name, all packages of the graph.
struct Graph {
    edges: BTreeMap<String, BTreeSet<String>>,
    folders: BTreeMap<String, String>,
}

impl Graph {
    fn read() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version=1", "--offline", "--locked"])
            .args([
                "--manifest-path",
                concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"),
            ])
            // One platform's packages: those of others may never have been fetched.
            .arg(format!(
                "--filter-platform={}-unknown-linux-gnu",
                std::env::consts::ARCH
            ))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Self::of(&serde_json::from_slice(&output.stdout).unwrap())
    }

    fn of(metadata: &Value) -> Self {
        let list = |value: &Value| value.as_array().unwrap().clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let names: BTreeMap<String, String> = list(&metadata["packages"])
            .iter()
            .map(|p| (text(&p["id"]), text(&p["name"])))
            .collect();
        let root = text(&metadata["workspace_root"]);
        let folders = list(&metadata["packages"])
            .iter()
            .filter(|p| p["source"].is_null())
            .map(|p| {
                let folder = text(&p["manifest_path"]);
                let folder = folder
                    .trim_start_matches(&root)
                    .trim_start_matches('/')
                    .trim_end_matches("/Cargo.toml");
                (text(&p["name"]), folder.to_owned())
            })
            .collect();
        let mut edges = BTreeMap::<String, BTreeSet<String>>::new();
        for node in list(&metadata["resolve"]["nodes"]) {
            let wanted = list(&node["deps"])
                .iter()
                .filter(|dep| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev"))
                .map(|dep| names[&text(&dep["pkg"])].clone())
                .collect::<Vec<_>>();
            edges
                .entry(names[&text(&node["id"])].clone())
                .or_default()
                .extend(wanted);
        }
        Self { edges, folders }
    }

    /// Everything that `package` is built with.
    fn below(&self, package: &str) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        let mut left = vec![package];
        while let Some(name) = left.pop() {
            for dep in self.edges.get(name).into_iter().flatten() {
                if seen.insert(dep.as_str()) {
                    left.push(dep);
                }
            }
        }
        seen
    }

    fn in_folder(&self, folder: &str) -> Vec<&str> {
        self.folders
            .iter()
            .filter(|(_, at)| at.starts_with(folder))
            .map(|(name, _)| name.as_str())
            .collect()
    }
}

#[test]
fn the_core_knows_nothing_of_the_world() {
    let graph = Graph::read();
    let below = graph.below("ncp-core");
    assert!(below.contains("serde"), "the graph is not read right: {below:?}");
    let worldly: Vec<_> = below.iter().filter(|name| WORLDLY.contains(name)).collect();
    assert!(worldly.is_empty(), "ncp-core is built with {worldly:?}");
    let own: Vec<_> = below
        .iter()
        .filter(|name| graph.folders.contains_key(**name))
        .collect();
    assert!(own.is_empty(), "ncp-core is built with {own:?}");
}

#[test]
fn adapters_and_backends_do_not_know_each_other() {
    let graph = Graph::read();
    let rooms = ["adapters/", "backends/", "emulators/"];
    for (room, others) in [
        ("adapters/", &rooms[..]),
        ("backends/", &rooms[..]),
        ("wire/", &["core", "adapters/", "backends/", "emulators/"][..]),
    ] {
        assert!(!graph.in_folder(room).is_empty(), "nothing in {room}");
        for package in graph.in_folder(room) {
            let below = graph.below(package);
            for other in others
                .iter()
                .flat_map(|folder| graph.in_folder(folder))
                .filter(|other| *other != package)
            {
                assert!(
                    !below.contains(other),
                    "{package} in {room} is built with {other}"
                );
            }
        }
    }
}

#[test]
fn emulators_share_no_code_with_what_they_judge() {
    let graph = Graph::read();
    for emulator in graph.in_folder("emulators/") {
        for judged in ["core", "adapters/", "backends/"]
            .into_iter()
            .flat_map(|folder| graph.in_folder(folder))
        {
            assert!(
                !graph.below(emulator).contains(judged),
                "{emulator} is built with {judged}"
            );
        }
    }
}
