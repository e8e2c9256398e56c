//! The emulators, with a configuration for them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foundation_emulator::{Foundation, Scenario};
use ncp::config::Config;
use ncp::wiring::{Mode, Pace};
use nsx_manager_emulator::{
    Credentials, Emulator, ExternalPool, Fixture, LogMode, Options, Prepared, State, Version,
};

use crate::live::Live;

/// The cluster's name.
pub const CLUSTER: &str = "acme";
/// The pool that apps may name.
pub const OWN_POOL: &str = "own-pool";

/// A small foundation that has one of everything that writes: two organizations, an app with addresses of
/// its own, security groups bound and global, a policy.
pub const SMALL: &str = "
security_groups:
  - name: public
    global: [running, staging]
    rules: [{protocol: all, destination: 198.18.0.0/15}]
  - name: database
    spaces: [shop/prod]
    rules:
      - {protocol: tcp, destination: 10.20.30.0/24, ports: '1521,1526'}
      - {protocol: udp, destination: 10.20.30.9, ports: '53'}
orgs:
  - name: shop
    spaces:
      - name: prod
        apps:
          - {name: web, instances: 2}
          - {name: api, instances: 1}
          - {name: pay, instances: 1, env: {NCP_SNAT_POOL: own-pool}}
  - name: lab
    spaces:
      - name: dev
        apps: [{name: probe, instances: 1}]
policies:
  - {from: shop/prod/web, to: shop/prod/api}
";

/// Timings of `[ha]`, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Ha {
    /// How long the lock lasts without renewal.
    pub ttl: u64,
    /// Between renewals.
    pub period: u64,
    /// Limit of one renewal.
    pub timeout: u64,
}

/// How a rig is made.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The foundation, as YAML.
    pub scenario: String,
    /// The foundation's shape.
    pub foundation: foundation_emulator::Options,
    /// Managers.
    pub managers: usize,
    /// The release they speak.
    pub version: Version,
    /// Largest page of a list.
    pub page_limit: Option<usize>,
    /// Leadership; without it the one controller leads at once.
    pub ha: Option<Ha>,
    /// The controller's timings.
    pub pace: Pace,
    /// Where the managers' state is kept; in memory if absent.
    pub state: Option<PathBuf>,
    /// Further lines of `[nsx_v3]`.
    pub nsx: String,
    /// Further lines of `[cf]`.
    pub cf: String,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            scenario: SMALL.to_owned(),
            foundation: foundation_emulator::Options::default(),
            managers: 1,
            version: Version::default(),
            page_limit: None,
            ha: None,
            pace: pace(),
            state: None,
            nsx: String::new(),
            cf: String::new(),
        }
    }
}

/// Timings that let everything be seen within a fraction of a second.
pub fn pace() -> Pace {
    let soon = Duration::from_millis(100);
    Pace {
        resync: soon,
        capi: Some(soon),
        policies: Some(soon),
        departure: soon,
        settle: Duration::from_millis(20),
        // Every look shows deletions too.
        capi_full: Duration::ZERO,
        ..Pace::default()
    }
}

/// Emulators, and a configuration for controllers between them.
#[derive(Debug)]
pub struct Rig {
    /// The managers.
    pub managers: Emulator,
    /// What an operator has prepared there.
    pub prepared: Prepared,
    /// The foundation.
    pub foundation: Foundation,
    /// The configuration.
    pub config: Config,
    /// The timings.
    pub pace: Pace,
    /// The folder of the configuration file.
    pub folder: Folder,
}

impl Rig {
    /// Starts the emulators with a scenario in YAML.
    pub async fn start(scenario: &str) -> Rig {
        Rig::with(Setup {
            scenario: scenario.to_owned(),
            ..Setup::default()
        })
        .await
    }

    /// Starts the emulators.
    pub async fn with(setup: Setup) -> Rig {
        let foundation = Foundation::start(setup.foundation.clone())
            .await
            .expect("the foundation starts");
        let scenario = Scenario::from_yaml(&setup.scenario).expect("the scenario reads");
        foundation.load(&scenario).expect("the scenario loads");
        let managers = Emulator::start(Options {
            managers: setup.managers,
            version: setup.version,
            page_limit: setup.page_limit,
            state: setup.state.clone().map_or(State::Memory, State::File),
            log: LogMode::Full(100_000),
            ..Options::default()
        })
        .await
        .expect("the managers start");
        let cells = foundation.world().cells.into_iter().map(|cell| cell.id);
        let prepared = managers
            .fixture(&fixture(cells.collect()))
            .expect("the fixture fits");
        let folder = Folder::new();
        let config = write(&folder, &setup, &managers, &foundation);
        Rig {
            managers,
            prepared,
            foundation,
            config,
            pace: setup.pace,
            folder,
        }
    }

    /// The configuration file.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ncp.ini")
    }

    /// Starts a controller.
    pub fn live(&self) -> Live {
        Live::start(self.config.clone(), self.pace.clone(), Mode::Write)
    }

    /// Starts a controller that writes nothing.
    pub fn observer(&self) -> Live {
        Live::start(self.config.clone(), self.pace.clone(), Mode::Observe)
    }

    /// Starts a controller and waits until the network is as wanted.
    pub async fn settled(&self) -> Live {
        let live = self.live();
        live.converge().await;
        live
    }

    /// What was written while something happened and until everything was as wanted again.
    pub async fn writes_during(&self, live: &Live, work: impl AsyncFnOnce()) -> Written {
        let before = self.last();
        work().await;
        live.settle().await;
        self.written_since(before)
    }

    /// The number of the last request.
    pub fn last(&self) -> u64 {
        self.managers.log().counts().total
    }

    /// What was written after a request of that number.
    pub fn written_since(&self, number: u64) -> Written {
        let mut routes: BTreeMap<String, u64> = BTreeMap::new();
        let entries = self.managers.log().entries(number);
        for entry in entries.iter().filter(|entry| entry.write) {
            *routes
                .entry(route(&entry.method, &entry.path, &entry.query))
                .or_default() += 1;
        }
        Written(routes)
    }

    /// Carries out one of the foundation's instructions.
    pub fn apply(&self, command: foundation_emulator::Command) {
        self.foundation.apply(command).expect("the foundation obeys");
    }

    /// Stops the emulators.
    pub async fn stop(self) {
        self.foundation.stop().await;
        self.managers.stop().await;
    }
}

/// Writes by what they do: method and path, ids replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written(pub BTreeMap<String, u64>);

impl Written {
    /// How many.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

impl PartialEq<&[(&str, u64)]> for Written {
    fn eq(&self, other: &&[(&str, u64)]) -> bool {
        let pairs: BTreeMap<String, u64> = other.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect();
        self.0 == pairs
    }
}

fn route(method: &str, path: &str, query: &str) -> String {
    let path = path.strip_prefix("/api/v1").unwrap_or(path);
    let id = |part: &&str| part.len() == 36 || part.bytes().all(|b| b.is_ascii_digit()) && !part.is_empty();
    let parts: Vec<&str> = path.split('/').map(|p| if id(&p) { "*" } else { p }).collect();
    let action = query.split('&').find(|pair| pair.starts_with("action="));
    let action = action.map_or(String::new(), |a| format!("?{a}"));
    format!("{method} {}{action}", parts.join("/"))
}

fn fixture(cells: Vec<String>) -> Fixture {
    let mut fixture = Fixture {
        cluster: CLUSTER.to_owned(),
        cells: 0,
        named_cells: cells,
        ..Fixture::default()
    };
    let mut own = ExternalPool::of(OWN_POOL, "203.0.113");
    own.tags
        .push(("ncp/owner".to_owned(), format!("cluster:{CLUSTER}")));
    fixture.pools.push(own);
    fixture
}

fn write(folder: &Folder, setup: &Setup, managers: &Emulator, foundation: &Foundation) -> Config {
    let file = folder.path().join("ncp.ini");
    let text = text(folder, setup, managers, foundation);
    std::fs::write(&file, text).expect("the file can be written");
    match Config::load(&file) {
        Ok(config) => config,
        Err(mistakes) => panic!("{mistakes}"),
    }
}

fn text(folder: &Folder, setup: &Setup, managers: &Emulator, foundation: &Foundation) -> String {
    let (ends, who, nsx) = (
        foundation.endpoints(),
        foundation.credentials(),
        Credentials::default(),
    );
    let mut text = format!(
        "[DEFAULT]\nuse_stderr = False\n\n[coe]\nadaptor = pcf\ncluster = {CLUSTER}\n\n[ha]\n{}\n",
        ha(setup.ha)
    );
    let nsx = format!(
        "[nsx_v3]\nnsx_api_managers = {}\nnsx_api_user = {}\nnsx_api_password = {}\ntier0_router = tier0\n\
         overlay_tz = overlay-tz\ncontainer_ip_blocks = container-block-1\nexternal_ip_pools = snat-pool\n\
         top_firewall_section_marker = top_firewall_section_marker\n\
         bottom_firewall_section_marker = bottom_firewall_section_marker\n{}\n",
        managers.urls().join(", "),
        nsx.username,
        nsx.password,
        setup.nsx,
    );
    let cf = format!(
        "[cf]\nuaa_url = {}\nuaa_client_id = {}\nuaa_client_secret = {}\ncapi_url = {}\n\
         capi_internal_url = {}\nbbs_urls = {}\npolicy_server_url = {}\nlocket_addresses = {}\n\
         platform_sources = 10.0.4.0/24\n{}\n",
        ends.uaa,
        who.client_id,
        who.client_secret,
        ends.capi,
        ends.capi_internal,
        ends.bbs.join(", "),
        ends.policy_internal,
        ends.locket.trim_start_matches("http://"),
        setup.cf,
    );
    let own = format!(
        "[ncp]\nadmin_socket = {}\n",
        folder.path().join("ncp.sock").display()
    );
    for part in [nsx, cf, own] {
        write!(text, "\n{part}").expect("a string takes all");
    }
    text
}

fn ha(ha: Option<Ha>) -> String {
    match ha {
        None => "enable = False".to_owned(),
        Some(ha) => format!(
            "enable = True\nmaster_timeout = {}\nheartbeat_period = {}\nupdate_timeout = {}",
            ha.ttl, ha.period, ha.timeout
        ),
    }
}

/// A folder of one test, gone with it.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new, empty one.
    pub fn new() -> Folder {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ncp-tests-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the folder for temporary files can be written");
        Folder(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Default for Folder {
    fn default() -> Self {
        Folder::new()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What can't be removed is left to the system.
        drop(std::fs::remove_dir_all(&self.0));
    }
}
