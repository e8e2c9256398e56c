//! How a foundation is shaped: age, cells, timings, which ports.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The generation of the platform; it hides what a generation did not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Age {
    /// Everything.
    #[default]
    Newest,
    /// End of 2019: v2 API, no change tokens, no v3 security groups, TLS 1.2 only.
    #[value(name = "2019")]
    #[serde(rename = "2019")]
    Y2019,
    /// Before `.r3` lists and instance events of the BBS.
    Older,
}

impl Age {
    /// Whether what came after 2019 is there.
    pub fn is_newest(self) -> bool {
        self == Self::Newest
    }
}

/// A machine that runs containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellSpec {
    /// Its id, as BOSH gives it.
    pub id: String,
    /// Its address; drawn from 10.0.16.0/20 if absent.
    #[serde(default)]
    pub address: Option<String>,
    /// Availability zone.
    #[serde(default = "zone")]
    pub zone: String,
    /// Containers it can hold.
    #[serde(default = "capacity")]
    pub containers: usize,
    /// Isolation segments it belongs to.
    #[serde(default)]
    pub placement_tags: Vec<String>,
}

fn zone() -> String {
    "z1".to_owned()
}

fn capacity() -> usize {
    250
}

impl CellSpec {
    /// A cell of the usual capacity.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            address: None,
            zone: zone(),
            containers: capacity(),
            placement_tags: Vec::new(),
        }
    }
}

/// How long steps of a container's life take; zero means within the call that causes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delays {
    /// From wanted to placed on a cell.
    pub claim: Duration,
    /// From placed to healthy.
    pub run: Duration,
    /// From ordered to stop to gone.
    pub stop: Duration,
    /// From staging begun to staging done.
    pub stage: Duration,
}

/// How to start a foundation.
#[derive(Clone, Debug)]
pub struct Options {
    /// TLS as on the real platform, mutual where it is; otherwise plain TCP, which starts in milliseconds.
    pub tls: bool,
    /// Generation of the platform.
    pub age: Age,
    /// Whether the v2 API is served; by default from 2019 backwards.
    pub v2: Option<bool>,
    /// The cells at start.
    pub cells: Vec<CellSpec>,
    /// Number of BBS addresses, of which one is active.
    pub bbs_addresses: usize,
    /// Timings of containers.
    pub delays: Delays,
    /// Lifetime of tokens.
    pub token_lifetime: Duration,
    /// Base of links in answers of Cloud Controller, a host other than the one called. `self` uses the
    /// own port under the name `localhost`, so that clients that follow links work.
    pub external_url: String,
    /// Seed of every identifier.
    pub seed: u64,
    /// Port of the control API; 0 draws one.
    pub control_port: u16,
}

/// The links' host unless told otherwise; it is not reachable, so clients must re-base links.
pub const EXTERNAL_URL: &str = "https://api.sys.foundation.test";

impl Default for Options {
    fn default() -> Self {
        Self {
            tls: false,
            age: Age::Newest,
            v2: None,
            cells: (0..3)
                .map(|number| CellSpec::new(format!("diego-cell-{number}")))
                .collect(),
            bbs_addresses: 2,
            delays: Delays::default(),
            token_lifetime: Duration::from_secs(43_199),
            external_url: EXTERNAL_URL.to_owned(),
            seed: 1,
            control_port: 0,
        }
    }
}

impl Options {
    /// Whether the v2 API is served.
    pub fn serves_v2(&self) -> bool {
        self.v2.unwrap_or(!self.age.is_newest())
    }
}
