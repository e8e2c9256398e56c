//! What an operator has prepared before a controller comes: a believable NSX.

use std::str::FromStr;

use serde_json::{Value, json};

use crate::api::{ApiError, crud};
use crate::emulator::Emulator;
use crate::error::EmulatorError;
use crate::kinds::Kind;
use crate::store::{Body, Tx};

/// How the ports of cells are marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellTags {
    /// `ncp/node_name` and `ncp/cluster`, set by an operator.
    Ncp,
    /// Only `bosh/id`, as the platform's installer leaves them.
    Bosh,
}

/// A pool that translated addresses come from.
#[derive(Debug, Clone)]
pub struct ExternalPool {
    /// Display name.
    pub name: String,
    /// First address; the pool's network is the /24 around it.
    pub first: String,
    /// Last address.
    pub last: String,
    /// Tags as scope and tag, beside `ncp/external` and `ncp/cluster`.
    pub tags: Vec<(String, String)>,
}

impl ExternalPool {
    /// A pool of `.10` to `.250` of a network given by its first three parts, such as `192.0.2`.
    pub fn of(name: &str, network: &str) -> Self {
        let (first, last) = (format!("{network}.10"), format!("{network}.250"));
        ExternalPool {
            name: name.to_owned(),
            first,
            last,
            tags: Vec::new(),
        }
    }
}

/// What to prepare; `Fixture::default()` is one cluster `c1` with three cells.
#[derive(Debug, Clone)]
pub struct Fixture {
    /// Cluster name in tags.
    pub cluster: String,
    /// Number of cells, each a virtual machine with a vif and a parent port.
    pub cells: usize,
    /// Names of further cells, as the platform calls them.
    pub named_cells: Vec<String>,
    /// How their ports are marked.
    pub cell_tags: CellTags,
    /// Networks of the container IP blocks.
    pub blocks: Vec<String>,
    /// External pools.
    pub pools: Vec<ExternalPool>,
    /// Objects of somebody else with similar names and tags.
    pub foreign: bool,
}

impl Default for Fixture {
    fn default() -> Self {
        Fixture {
            cluster: "c1".to_owned(),
            cells: 3,
            named_cells: Vec::new(),
            cell_tags: CellTags::Ncp,
            blocks: vec!["10.16.0.0/14".to_owned()],
            pools: vec![
                ExternalPool::of("snat-pool", "192.0.2"),
                ExternalPool::of("snat-pool-two", "198.51.100"),
            ],
            foreign: true,
        }
    }
}

/// A fixture text that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no fixture; write cells=N")]
pub struct UnknownFixture(String);

impl FromStr for Fixture {
    type Err = UnknownFixture;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let cells = text.strip_prefix("cells=").and_then(|count| count.parse().ok());
        let cells = cells.ok_or_else(|| UnknownFixture(text.to_owned()))?;
        Ok(Fixture {
            cells,
            ..Fixture::default()
        })
    }
}

/// The ids of what was prepared.
#[derive(Debug, Clone, Default)]
pub struct Prepared {
    /// Overlay transport zone.
    pub transport_zone: String,
    /// Edge cluster.
    pub edge_cluster: String,
    /// Active-standby tier-0 router.
    pub tier0: String,
    /// Container IP blocks.
    pub blocks: Vec<String>,
    /// External IP pools.
    pub pools: Vec<String>,
    /// Spoof guard profile that lets a port's own bindings pass.
    pub spoof_guard: String,
    /// Marker section that operators' rules go above.
    pub top_section: String,
    /// Marker section that own sections go above.
    pub bottom_section: String,
    /// Switch of the cells.
    pub cell_switch: String,
    /// The cells.
    pub cells: Vec<Cell>,
}

/// A cell as NSX sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Name of its virtual machine, and its `ncp/node_name`.
    pub name: String,
    /// Attachment id of its port: the parent VIF of its containers.
    pub vif: String,
    /// Its logical port.
    pub port: String,
    /// External id of its virtual machine.
    pub machine: String,
}

impl Emulator {
    /// Prepares the manager for a controller. On a state that already has its tier-0 router it only finds what
    /// is there.
    pub fn fixture(&self, fixture: &Fixture) -> Result<Prepared, EmulatorError> {
        let prepare = |tx: &mut Tx<'_>| match find(tx, fixture) {
            Some(prepared) => Ok(prepared),
            None => prepare(tx, fixture),
        };
        let refused = |refusal: ApiError| EmulatorError::Fixture(refusal.message);
        self.shared()
            .store()
            .transact::<_, ApiError>("operator", prepare)
            .map_err(refused)
    }
}

fn body(value: Value) -> Body {
    match value {
        Value::Object(fields) => fields,
        _ => Body::new(),
    }
}

fn make(tx: &mut Tx<'_>, kind: Kind, value: Value) -> Result<String, ApiError> {
    Ok(crud::create(tx, kind, body(value), None)?.id.to_string())
}

fn tag(scope: &str, tag: &str) -> Value {
    json!({ "scope": scope, "tag": tag })
}

fn prepare(tx: &mut Tx<'_>, fixture: &Fixture) -> Result<Prepared, ApiError> {
    let mut made = Prepared::default();
    infrastructure(tx, fixture, &mut made)?;
    addresses(tx, fixture, &mut made)?;
    policies(tx, fixture, &mut made)?;
    cells(tx, fixture, &mut made)?;
    if fixture.foreign {
        foreign(tx, fixture, &made)?;
    }
    Ok(made)
}

const TIER0: &str = "tier0";
const ZONE: &str = "overlay-tz";
const EDGE: &str = "edge-cluster";
const SPOOF_GUARD: &str = "ncp-spoof-guard";
const TOP: &str = "top_firewall_section_marker";
const BOTTOM: &str = "bottom_firewall_section_marker";
const CELL_SWITCH: &str = "cf-cells";

fn infrastructure(tx: &mut Tx<'_>, fixture: &Fixture, made: &mut Prepared) -> Result<(), ApiError> {
    let zone = json!({ "display_name": ZONE, "transport_type": "OVERLAY", "host_switch_name": "nvds-1" });
    made.transport_zone = make(tx, Kind::TransportZone, zone)?;
    let vlan = json!({ "display_name": "vlan-tz", "transport_type": "VLAN", "host_switch_name": "nvds-2" });
    make(tx, Kind::TransportZone, vlan)?;
    let members: Vec<Value> = (0..2)
        .map(|index| json!({ "member_index": index, "transport_node_id": uuid(&format!("edge-{index}")) }))
        .collect();
    made.edge_cluster = make(
        tx,
        Kind::EdgeCluster,
        json!({ "display_name": EDGE, "members": members }),
    )?;
    let tier0 = json!({
        "display_name": TIER0, "router_type": "TIER0", "high_availability_mode": "ACTIVE_STANDBY",
        "edge_cluster_id": made.edge_cluster, "tags": [tag("ncp/cluster", &fixture.cluster)],
    });
    made.tier0 = make(tx, Kind::LogicalRouter, tier0)?;
    let profile = json!({
        "resource_type": "SpoofGuardSwitchingProfile", "display_name": SPOOF_GUARD,
        "white_list_providers": ["LPORT_BINDINGS"], "tags": [tag("ncp/cluster", &fixture.cluster)],
    });
    made.spoof_guard = make(tx, Kind::SwitchingProfile, profile)?;
    Ok(())
}

fn addresses(tx: &mut Tx<'_>, fixture: &Fixture, made: &mut Prepared) -> Result<(), ApiError> {
    for (at, cidr) in fixture.blocks.iter().enumerate() {
        let name = format!("container-block-{}", at + 1);
        let block =
            json!({ "display_name": name, "cidr": cidr, "tags": [tag("ncp/cluster", &fixture.cluster)] });
        made.blocks.push(make(tx, Kind::IpBlock, block)?);
    }
    for ExternalPool {
        name,
        first,
        last,
        tags: more,
    } in &fixture.pools
    {
        let mut tags = vec![tag("ncp/external", "true"), tag("ncp/cluster", &fixture.cluster)];
        tags.extend(more.iter().map(|(scope, value)| tag(scope, value)));
        made.pools
            .push(make(tx, Kind::IpPool, pool(name, first, last, tags))?);
    }
    Ok(())
}

fn pool(name: &str, first: &str, last: &str, tags: Vec<Value>) -> Value {
    let net = first.rsplit_once('.').map_or(first, |(net, _)| net);
    json!({
        "display_name": name, "tags": tags,
        "subnets": [{ "cidr": format!("{net}.0/24"), "allocation_ranges": [{ "start": first, "end": last }] }],
    })
}

fn policies(tx: &mut Tx<'_>, fixture: &Fixture, made: &mut Prepared) -> Result<(), ApiError> {
    let gap = 1_i64 << 40;
    for (name, seq) in [(TOP, -gap), (BOTTOM, gap)] {
        let section = json!({
            "display_name": name, "section_type": "LAYER3", "stateful": true,
            "tags": [tag("ncp/cluster", &fixture.cluster)],
        });
        let section = crud::create_at(tx, Kind::FirewallSection, body(section), |new| new.seq(seq))?
            .id
            .to_string();
        *(if name == TOP {
            &mut made.top_section
        } else {
            &mut made.bottom_section
        }) = section;
    }
    Ok(())
}

fn cells(tx: &mut Tx<'_>, fixture: &Fixture, made: &mut Prepared) -> Result<(), ApiError> {
    let switch = json!({
        "display_name": CELL_SWITCH, "transport_zone_id": made.transport_zone, "admin_state": "UP",
        "replication_mode": "MTEP",
    });
    made.cell_switch = make(tx, Kind::LogicalSwitch, switch)?;
    for (at, name) in cell_names(fixture).into_iter().enumerate() {
        let cell = add_cell(tx, fixture, &made.cell_switch, at + 1, name)?;
        made.cells.push(cell);
    }
    Ok(())
}

/// A UUID that depends on nothing but the name, so that fixtures are the same every time.
fn uuid(name: &str) -> String {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}

fn cell_names(fixture: &Fixture) -> Vec<String> {
    let numbered = (1..=fixture.cells).map(|number| format!("cell-{number}"));
    numbered.chain(fixture.named_cells.iter().cloned()).collect()
}

fn add_cell(
    tx: &mut Tx<'_>,
    fixture: &Fixture,
    switch: &str,
    number: usize,
    name: String,
) -> Result<Cell, ApiError> {
    let (vif, machine, host) = (
        uuid(&format!("vif {name}")),
        uuid(&format!("vm {name}")),
        uuid("host"),
    );
    let tags = match fixture.cell_tags {
        CellTags::Ncp => vec![tag("ncp/node_name", &name), tag("ncp/cluster", &fixture.cluster)],
        CellTags::Bosh => vec![tag("bosh/id", &uuid(&format!("bosh {name}")))],
    };
    let attachment = json!({ "id": vif, "attachment_type": "VIF" });
    let port = json!({
        "display_name": format!("{name}/vmx"), "logical_switch_id": switch, "admin_state": "UP",
        "attachment": attachment, "tags": tags,
    });
    let port = make(tx, Kind::LogicalPort, port)?;
    let computer = json!({
        "resource_type": "VirtualMachine", "display_name": name, "external_id": machine, "host_id": host,
        "local_id_on_host": number.to_string(), "power_state": "VM_RUNNING", "type": "REGULAR", "tags": [],
        "compute_ids": [format!("externalId:{machine}"), format!("biosUuid:{}", uuid(&format!("bios {name}")))],
    });
    tx.report(Kind::VirtualMachine, &machine, body(computer));
    let interface = json!({
        "resource_type": "VirtualNetworkInterface", "display_name": format!("{name} adapter 1"),
        "external_id": format!("{machine}-4000"), "device_key": "4000", "device_name": "Network adapter 1",
        "host_id": host, "mac_address": format!("00:50:56:00:{:02x}:{:02x}", number / 256 % 256, number % 256),
        "owner_vm_id": machine, "vm_local_id_on_host": number.to_string(), "lport_attachment_id": vif,
        "ip_address_info": [{ "source": "VM_TOOLS", "ip_addresses": [address(number)] }], "tags": [],
    });
    tx.report(
        Kind::VirtualNetworkInterface,
        &format!("{machine}-4000"),
        body(interface),
    );
    Ok(Cell {
        name,
        vif,
        port,
        machine,
    })
}

fn address(number: usize) -> String {
    format!("10.0.{}.{}", number / 200 % 256, 10 + number % 200)
}

/// Objects that look like the controller's but carry another cluster's name, or none.
fn foreign(tx: &mut Tx<'_>, fixture: &Fixture, made: &Prepared) -> Result<(), ApiError> {
    let other = format!("{}-other", fixture.cluster);
    let tags = || json!([tag("ncp/cluster", &other), tag("ncp/version", "1.2.0")]);
    let router =
        json!({ "display_name": format!("{}-org", fixture.cluster), "router_type": "TIER1", "tags": tags() });
    make(tx, Kind::LogicalRouter, router)?;
    let switch = json!({
        "display_name": format!("{}-org-0", fixture.cluster), "transport_zone_id": made.transport_zone,
        "admin_state": "UP", "replication_mode": "MTEP", "tags": tags(),
    });
    make(tx, Kind::LogicalSwitch, switch)?;
    let group = json!({ "display_name": format!("proj-{}-org", fixture.cluster), "tags": tags() });
    make(tx, Kind::NSGroup, group)?;
    let set = json!({ "display_name": format!("{}-addresses", fixture.cluster), "ip_addresses": ["203.0.113.0/24"] });
    make(tx, Kind::IPSet, set)?;
    let block = json!({ "display_name": "container-block-1-old", "cidr": "172.30.0.0/16", "tags": tags() });
    make(tx, Kind::IpBlock, block).map(drop)
}

/// What an earlier run has prepared.
fn find(tx: &Tx<'_>, fixture: &Fixture) -> Option<Prepared> {
    let id = |kind: Kind, name: &str| {
        let named = tx
            .view()
            .list(kind, None)
            .find(|object| object.text("display_name") == name);
        named.map(|object| object.id.to_string())
    };
    let cell = |name: String| {
        let (vif, machine) = (uuid(&format!("vif {name}")), uuid(&format!("vm {name}")));
        let port = id(Kind::LogicalPort, &format!("{name}/vmx"))?;
        Some(Cell {
            name,
            vif,
            port,
            machine,
        })
    };
    Some(Prepared {
        tier0: id(Kind::LogicalRouter, TIER0)?,
        transport_zone: id(Kind::TransportZone, ZONE)?,
        edge_cluster: id(Kind::EdgeCluster, EDGE)?,
        blocks: (1..=fixture.blocks.len())
            .filter_map(|number| id(Kind::IpBlock, &format!("container-block-{number}")))
            .collect(),
        pools: fixture
            .pools
            .iter()
            .filter_map(|pool| id(Kind::IpPool, &pool.name))
            .collect(),
        spoof_guard: id(Kind::SwitchingProfile, SPOOF_GUARD)?,
        top_section: id(Kind::FirewallSection, TOP)?,
        bottom_section: id(Kind::FirewallSection, BOTTOM)?,
        cell_switch: id(Kind::LogicalSwitch, CELL_SWITCH)?,
        cells: cell_names(fixture).into_iter().filter_map(cell).collect(),
    })
}
