//! A manager with what an operator prepares, and a far end that stands in for the planner's half.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ncp_core::dialect::{
    Asked, Attributes, Batch, Change, Dialect, FarEnd, Fence, Outcome, ReadOutcome, ReadRequest, Resolve,
    RowKey, Seen, Step, StepId, Verb,
};
use ncp_core::digest::Digest;
use ncp_core::time::Time;
use ncp_core::topology::Object;
use ncp_nsxt::manager::{
    Cursor, Environment, Handle, Manager, Named, NodeMatch, NsxFarEnd, Op, Part, resolve_environment,
};
use ncp_nsxt::transport::{Api, Auth, NoObserver, Options, Trust};
use nsx_manager_emulator::contract::Contract;
use nsx_manager_emulator::{Credentials, Emulator, Fixture, Options as Emulated, Prepared, Version};
use serde_json::Value;

pub(crate) type Key = RowKey<Part>;
type Row = <Manager as Dialect>::Row;

pub(crate) struct World {
    pub(crate) emulator: Emulator,
    pub(crate) made: Prepared,
    pub(crate) api: Api,
    pub(crate) manager: Manager,
    pub(crate) far_end: NsxFarEnd,
    pub(crate) stands: Stands,
    next: u64,
}

/// What is known to stand.
#[derive(Default)]
pub(crate) struct Stands(pub(crate) HashMap<Key, Seen<Manager>>);

impl Resolve<Manager> for Stands {
    fn handle(&self, key: &Key) -> Option<&Handle> {
        self.0.get(key).map(|seen| &seen.handle)
    }
    fn attributes(&self, key: &Key) -> Option<&Attributes> {
        self.0.get(key).map(|seen| &seen.attributes)
    }
}

pub(crate) fn named(cluster: &str) -> Named {
    Named {
        cluster: cluster.into(),
        tier0: "tier0".into(),
        overlay_zone: Some("overlay-tz".into()),
        container_blocks: vec!["container-block-1".into()],
        routed_blocks: vec![],
        external_pools: vec!["snat-pool".into()],
        top_marker: Some("top_firewall_section_marker".into()),
        bottom_marker: Some("bottom_firewall_section_marker".into()),
        no_masquerade: vec!["172.16.0.0/12".parse().unwrap()],
        subnet_prefix: 24,
        node_match: NodeMatch::by_name(),
        translate: true,
    }
}

pub(crate) fn fence() -> Fence {
    Fence {
        epoch: 1,
        deadline: Time(600_000),
    }
}

fn api(emulator: &Emulator) -> Api {
    let credentials = Credentials::default();
    let auth = Auth::Basic {
        user: credentials.username,
        password: credentials.password.into(),
    };
    let managers = emulator.urls().iter().map(|url| url.parse().unwrap()).collect();
    let mut options = Options::new(managers, auth, Trust::System);
    options.http_retries = 0;
    options.max_api_rate = Some(100_000.try_into().unwrap());
    Api::new(options, Box::new(NoObserver)).unwrap()
}

impl World {
    pub(crate) async fn start() -> World {
        World::with(Fixture::default(), Emulated::default()).await
    }

    pub(crate) async fn with(fixture: Fixture, options: Emulated) -> World {
        let emulator = Emulator::start(options).await.unwrap();
        let made = emulator.fixture(&fixture).unwrap();
        let api = api(&emulator);
        api.start().await;
        let environment = resolve_environment(&api, &named(&fixture.cluster)).await.unwrap();
        World::over(emulator, made, api, environment)
    }

    pub(crate) fn over(emulator: Emulator, made: Prepared, api: Api, environment: Environment) -> World {
        let manager = Manager::new(environment);
        let far_end = NsxFarEnd::new(api.clone(), manager.clone(), Arc::new(|| Time(0)));
        World {
            emulator,
            made,
            api,
            manager,
            far_end,
            stands: Stands::default(),
            next: 0,
        }
    }

    pub(crate) fn version(version: Version) -> Emulated {
        Emulated {
            version,
            ..Emulated::default()
        }
    }

    fn step(&mut self, key: &Key, verb: Verb, op: Op) -> Step<Manager> {
        self.next += 1;
        Step {
            id: StepId(self.next),
            key: key.clone(),
            verb,
            op,
        }
    }

    /// The rows of an object.
    pub(crate) fn rows(&self, object: &Object) -> Vec<(Key, Row)> {
        let rows = self.manager.render(object).unwrap();
        rows.into_iter()
            .map(|(part, row)| (RowKey::new(object.key(), part), row))
            .collect()
    }

    fn op(&self, key: &Key, row: &Row) -> Op {
        match self
            .manager
            .ensure(key, row, self.stands.0.get(key), &self.stands)
        {
            Change::Op(op) => op,
            other => panic!("{key}: {other:?}"),
        }
    }

    pub(crate) async fn ensure_row(&mut self, key: &Key, row: &Row) -> Outcome<Manager> {
        let op = self.op(key, row);
        let step = self.step(key, Verb::Ensure, op);
        let mut outcomes = self.write(vec![step]).await;
        let outcome = outcomes.pop().unwrap().1;
        if let Outcome::Done(seen) = &outcome {
            self.stands.0.insert(key.clone(), seen.clone());
        }
        outcome
    }

    /// Makes, or finds, every row of an object.
    pub(crate) async fn ensure(&mut self, object: Object) {
        for (key, row) in self.rows(&object) {
            if self.manager.looked_for(&key) {
                let found = self.read(&key, None).await;
                self.stands.0.insert(key.clone(), found.expect("stands"));
                continue;
            }
            match self.ensure_row(&key, &row).await {
                Outcome::Done(seen) => assert_eq!(self.digest(&row), Some(seen.digest), "{key}"),
                other => panic!("{key}: {other:?}"),
            }
        }
    }

    /// Makes a section together with its rules.
    pub(crate) async fn ensure_together(
        &mut self,
        section: &Object,
        rules: &[Object],
    ) -> Vec<Outcome<Manager>> {
        let mut rows: Vec<(Key, Row)> = self
            .rows(section)
            .into_iter()
            .filter(|(k, _)| k.part == Part::Section)
            .collect();
        for rule in rules {
            rows.extend(self.rows(rule));
        }
        let steps = rows
            .iter()
            .map(|(key, row)| (key.clone(), self.op(key, row)))
            .collect::<Vec<_>>();
        let steps: Vec<_> = steps
            .into_iter()
            .map(|(key, op)| self.step(&key, Verb::Ensure, op))
            .collect();
        let keys: HashMap<StepId, Key> = steps.iter().map(|s| (s.id, s.key.clone())).collect();
        let outcomes = self.write(steps).await;
        for (id, outcome) in &outcomes {
            if let Outcome::Done(seen) = outcome {
                self.stands.0.insert(keys[id].clone(), seen.clone());
            }
        }
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    pub(crate) async fn write(&self, steps: Vec<Step<Manager>>) -> Vec<(StepId, Outcome<Manager>)> {
        let (count, batches) = (steps.len(), self.manager.batch(steps));
        let mut all = Vec::new();
        for batch in batches {
            all.extend(self.far_end.write(batch, fence()).await);
        }
        assert_eq!(all.len(), count, "every step is answered");
        all
    }

    pub(crate) async fn write_op(&mut self, key: &Key, verb: Verb, op: Op, fence: Fence) -> Outcome<Manager> {
        let steps = vec![self.step(key, verb, op)];
        self.far_end.write(Batch { steps }, fence).await.pop().unwrap().1
    }

    pub(crate) async fn remove(&mut self, key: &Key) -> Outcome<Manager> {
        let op = self.manager.retire(key, &self.stands.0[key]);
        self.write_op(key, Verb::Retire, op, fence()).await
    }

    pub(crate) fn digest(&self, row: &Row) -> Option<Digest> {
        self.manager.digest(row, &self.stands)
    }

    pub(crate) async fn read_all(&self, key: &Key, handle: Option<Handle>) -> ReadOutcome<Manager> {
        let refs = self
            .stands
            .0
            .iter()
            .map(|(k, seen)| (k.clone(), seen.handle.clone()))
            .filter(|(k, _)| related(k, key));
        let asked = Asked {
            key: key.clone(),
            handle,
            refs: refs.collect(),
        };
        self.far_end.read(ReadRequest::Rows(vec![asked])).await
    }

    pub(crate) async fn read(&self, key: &Key, handle: Option<Handle>) -> Option<Seen<Manager>> {
        match self.read_all(key, handle).await {
            ReadOutcome::Chunk {
                mut items,
                absent,
                refused,
                ..
            } => {
                assert!(
                    refused.is_empty() && items.len() + absent.len() == 1,
                    "{key}: {items:?} {refused:?}"
                );
                items.pop().map(|(_, seen)| seen)
            }
            ReadOutcome::Failed(failure) => panic!("{key}: {failure}"),
        }
    }

    /// Reads until there is an answer, as the planner does.
    pub(crate) async fn read_again(&self, key: &Key) -> Option<Seen<Manager>> {
        for _ in 0..3 {
            if let ReadOutcome::Chunk { mut items, .. } = self.read_all(key, None).await {
                assert!(items.len() < 2, "{key}: {items:?}");
                return items.pop().map(|(_, seen)| seen);
            }
        }
        panic!("{key} can't be read");
    }

    /// Every row that a sweep of every list shows, and whether each sweep was whole.
    pub(crate) async fn sweep(&self) -> (Vec<(Key, Seen<Manager>)>, bool) {
        let (mut all, mut every) = (Vec::new(), true);
        for collection in self.manager.collections() {
            let mut cursor: Option<Cursor> = None;
            loop {
                match self.far_end.read(ReadRequest::Sweep(collection, cursor)).await {
                    ReadOutcome::Chunk {
                        items, next, whole, ..
                    } => {
                        all.extend(items);
                        cursor = next;
                        if cursor.is_none() {
                            every &= whole;
                            break;
                        }
                    }
                    ReadOutcome::Failed(failure) => panic!("{failure}"),
                }
            }
        }
        (all, every)
    }

    pub(crate) fn swept(all: Vec<(Key, Seen<Manager>)>) -> BTreeMap<Key, Digest> {
        all.into_iter().map(|(key, seen)| (key, seen.digest)).collect()
    }

    /// Changes an object behind the far end's back.
    pub(crate) async fn meddle(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.api.get(path, &[]).await.unwrap().value().unwrap();
        change(&mut object);
        let deadline = ncp_nsxt::transport::Deadline::after(Duration::from_secs(60));
        self.api.put(path, &[], &object, deadline).await.unwrap();
    }

    pub(crate) fn allocated(&self) -> Vec<String> {
        let mut all: Vec<String> = self
            .made
            .pools
            .iter()
            .flat_map(|pool| self.emulator.inventory().below("AllocationIpAddress", pool))
            .map(|a| a["allocation_id"].as_str().unwrap().to_owned())
            .collect();
        all.sort();
        all
    }
}

fn related(other: &Key, to: &Key) -> bool {
    other != to
        && !matches!(other.part, Part::Rule(_) | Part::Port)
        && (matches!(other.part, Part::Section | Part::Group)
            || other.object == to.object
            || matches!((other.part, to.part), (Part::Router, Part::Downlink)))
}

/// Every write that the emulator took, held against the published definitions, where these are at hand.
pub(crate) fn conforms(emulator: &Emulator, file: &str) {
    let preset = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/contracts/nsx");
    let folder = std::env::var_os("NCP_NSX_CONTRACTS").map_or(preset, PathBuf::from);
    let path = folder.join(file);
    if !path.is_file() {
        println!("contracts absent: no {}; set NCP_NSX_CONTRACTS", path.display());
        return;
    }
    let contract = Contract::load(&path).unwrap();
    let entries = emulator.log().entries(0);
    let mut judged = 0;
    for entry in entries.iter().filter(|e| e.write) {
        let body: Option<Value> = serde_json::from_slice(&entry.request).ok();
        if let Some(findings) =
            contract.validate_request(&entry.method, &entry.path, &entry.query, body.as_ref())
        {
            judged += 1;
            assert!(
                findings.is_empty(),
                "{} {}?{}: {findings:?}",
                entry.method,
                entry.path,
                entry.query
            );
        }
    }
    assert!(judged > 20, "only {judged} writes are of published calls");
}
