//! What the sandbox prints for people.

use std::path::Path;
use std::time::Duration;

use foundation_emulator::Foundation;
use nsx_manager_emulator::Emulator;

use ncp_core::topology::Kind;

use crate::driver::{Report, held};
use crate::wiring::Running;

/// One line whenever the figures moved.
pub(super) fn progress(report: &Report, running: &Running, last: &mut String) {
    let Some(status) = &report.status else { return };
    let standing: usize = status.objects.values().sum();
    let writes = running.network.counters().writes;
    let line = format!(
        "  {standing:5} objects stand, {:4} rows to go, {writes:4} writes",
        status.unsettled
    );
    if line != *last {
        println!("{line}");
        *last = line;
    }
}

pub(super) fn stuck(running: &Running, limit: Duration) {
    let report = running.reports.borrow().clone();
    println!("\nNot as wanted after {} s; it goes on trying.", limit.as_secs());
    conditions(&report);
}

pub(super) fn made(managers: &Emulator, foundation: &Foundation, running: &Running, took: Duration) {
    let world = foundation.world();
    let report = running.reports.borrow().clone();
    let counters = running.network.counters();
    println!(
        "\nConverged in {:.1} s with {} writes ({} requests).\n",
        took.as_secs_f64(),
        counters.writes,
        counters.requests()
    );
    println!("  the foundation has                 the network has");
    let left = [
        format!("{} organizations", world.orgs.len()),
        format!("{} spaces", world.spaces.len()),
        format!("{} containers", world.containers.len()),
        format!("{} security groups", world.security_groups.len()),
        format!("{} policies", world.policies.len()),
    ];
    let objects = report
        .status
        .as_ref()
        .map(|s| s.objects.clone())
        .unwrap_or_default();
    let right: Vec<String> = objects
        .iter()
        .map(|(kind, count)| format!("{count:5} {}", plural(*kind)))
        .collect();
    for i in 0..left.len().max(right.len()) {
        let (l, r) = (
            left.get(i).map_or("", String::as_str),
            right.get(i).map_or("", String::as_str),
        );
        println!("  {l:34} {r}");
    }
    conditions(&report);
    let inventory = managers.inventory().counts();
    let count = |kind: &&str| Some(format!("{} {kind}", inventory.get(*kind)?));
    let kinds: Vec<String> = SHOWN.iter().filter_map(count).collect();
    println!("\nOn the NSX managers, the operator's own objects among them:");
    for line in kinds.chunks(4) {
        println!("  {}", line.join(", "));
    }
}

/// What of NSX's inventory tells something.
const SHOWN: [&str; 12] = [
    "LogicalRouter",
    "LogicalRouterPort",
    "LogicalSwitch",
    "LogicalPort",
    "IpBlockSubnet",
    "AllocationIpAddress",
    "NatRule",
    "IPSet",
    "NSGroup",
    "FirewallSection",
    "FirewallRule",
    "SwitchingProfile",
];

/// Kinds as people say them.
fn plural(kind: Kind) -> &'static str {
    match kind {
        Kind::Router => "routers",
        Kind::Switch => "switches",
        Kind::Subnet => "subnets",
        Kind::Port => "ports",
        Kind::Nat => "NAT rules",
        Kind::Address => "translated addresses",
        Kind::Group => "groups",
        Kind::Member => "members",
        Kind::Union => "groups of groups",
        Kind::UnionMember => "members of those",
        Kind::Section => "firewall sections",
        Kind::Rule => "firewall rules",
        Kind::Node => "cells, found",
        Kind::Pool => "pools, found",
    }
}

fn conditions(report: &Report) {
    for c in &report.conditions {
        println!("  ! {} {}: {}", c.code, c.code.name(), c.message);
    }
}

pub(super) fn next(folder: &Path, foundation: &Foundation) {
    let control = &foundation.endpoints().control;
    let me = std::env::current_exe().map_or("ncp".into(), |p| p.display().to_string());
    println!(
        "
What to try next. Paste into another terminal and watch this one:

  alias ncp='{me}'
  export FOUNDATION_CONTROL={control} NCP_CONFIG={ini}

  ncp foundation status                                    # the foundation: cells and apps
  ncp foundation scale retail/production/storefront 8      # two more containers: two ports
  ncp foundation push retail/production shop --instances 2 # a new app
  ncp foundation add-network-policy retail/production/shop retail/production/cart
  ncp foundation unbind-security-group erp-database retail/staging
  ncp foundation delete-org logistics                      # goes when two listings agree that it has gone
  ncp plan                                                 # what would change now; changes nothing
  ncp check                                                # is the configuration right, does all answer
  curl --unix-socket {sock} http://ncp/status

Ctrl-C ends it.",
        ini = folder.join("ncp.ini").display(),
        sock = folder.join("ncp.sock").display(),
    );
}

/// Prints a line whenever the network is as wanted again after a change, and what is held back meanwhile.
pub(super) async fn changes(running: &Running) {
    let mut reports = running.reports.clone();
    let mut writes = running.network.counters().writes;
    let mut told = (Vec::new(), reports.borrow().conditions.clone());
    while reports.changed().await.is_ok() {
        let report = reports.borrow_and_update().clone();
        let now = running.network.counters().writes;
        if now != writes && report.converged() {
            println!("  as wanted again after {} writes", now - writes);
            writes = now;
        }
        let held = report.status.as_ref().map(held).unwrap_or_default();
        if held != told.0 {
            held.iter().for_each(|text| println!("  held back: {text}"));
            told.0 = held;
        }
        if report.conditions != told.1 {
            conditions(&report);
            told.1 = report.conditions.clone();
        }
    }
}
