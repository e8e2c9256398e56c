//! Inventory that hosts report: virtual machines and their interfaces. Clients only read it, and tag machines.

use super::formats::Format;
use super::schema::{Schema, Type, choice, field, list, text};
use super::{Filter, Kind, Rules, Spec};
use crate::api::error::Result;
use crate::api::query::Query;

const MODULE: &str = "inventory";

const MACHINE: &Schema = &[
    text("external_id").required(),
    text("host_id"),
    text("local_id_on_host").required(),
    choice(
        "power_state",
        &["VM_RUNNING", "VM_STOPPED", "VM_SUSPENDED", "UNKNOWN"],
    )
    .or("VM_RUNNING")
    .required(),
    text("type").read_only().or("REGULAR"),
    list("compute_ids", &Type::Text(255), 10).required(),
];

const INTERFACE: &Schema = &[
    text("external_id").required(),
    text("device_key").required(),
    text("device_name"),
    text("host_id").required(),
    field("mac_address", Type::Of(Format::Mac)).required(),
    text("owner_vm_id").required(),
    text("vm_local_id_on_host").required(),
    text("lport_attachment_id"),
    list("ip_address_info", &Type::Any, 10).or_empty(),
];

pub(super) const SPECS: &[Spec] = &[
    Spec::new(
        Kind::VirtualMachine,
        "fabric/virtual-machines",
        MODULE,
        &[("VirtualMachine", MACHINE)],
        &Machines,
    )
    .read_only(),
    Spec::new(
        Kind::VirtualNetworkInterface,
        "fabric/vifs",
        MODULE,
        &[("VirtualNetworkInterface", INTERFACE)],
        &Interfaces,
    )
    .read_only(),
];

struct Machines;

impl Rules for Machines {
    fn filter(&self, query: &Query) -> Result<Filter> {
        let filter = Filter::all()
            .equal(query, "external_id", "external_id")
            .equal(query, "host_id", "host_id");
        Ok(filter.equal(query, "display_name", "display_name"))
    }
}

struct Interfaces;

impl Rules for Interfaces {
    fn filter(&self, query: &Query) -> Result<Filter> {
        let filter = Filter::all()
            .equal(query, "owner_vm_id", "owner_vm_id")
            .equal(query, "vm_id", "vm_local_id_on_host")
            .equal(query, "host_id", "host_id");
        Ok(filter.equal(query, "lport_attachment_id", "lport_attachment_id"))
    }
}
