//! What the sandbox prints for people.

use std::path::Path;
use std::time::Duration;

use foundation_emulator::Foundation;
use nsx_manager_emulator::Emulator;

use crate::driver::Report;
use crate::wiring::Running;

pub(super) fn progress(report: &Report, running: &Running) {
    let Some(status) = &report.status else { return };
    let standing: usize = status.objects.values().sum();
    let writes = running.network.counters().writes;
    println!(
        "  {standing:5} objects stand, {:4} rows to go, {writes:4} writes",
        status.unsettled
    );
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
        .map(|(kind, count)| format!("{count:5} {}", format!("{kind:?}").to_lowercase()))
        .collect();
    for i in 0..left.len().max(right.len()) {
        let (l, r) = (
            left.get(i).map_or("", String::as_str),
            right.get(i).map_or("", String::as_str),
        );
        println!("  {l:34} {r}");
    }
    conditions(&report);
    let mut kinds: Vec<_> = managers.inventory().counts().into_iter().collect();
    kinds.sort();
    println!("\nNSX objects on the managers, the operator's among them:");
    for (kind, count) in kinds {
        println!("  {count:5} {kind}");
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
What to try next, from another terminal:

  # what the foundation looks like
  {me} foundation --control {control} status

  # more instances, a policy between two apps; watch this terminal
  {me} foundation --control {control} scale --help
  {me} foundation --control {control} add-network-policy --help

  # what the controller would change now, and how it is doing
  {me} plan --config {ini}
  curl --unix-socket {sock} http://localhost/status

Ctrl-C ends it.",
        ini = folder.join("ncp.ini").display(),
        sock = folder.join("ncp.sock").display(),
    );
}

/// Prints a line whenever the network is as wanted again after a change.
pub(super) async fn changes(running: &Running) {
    let mut reports = running.reports.clone();
    let mut last = running.network.counters().writes;
    while reports.changed().await.is_ok() {
        let report = reports.borrow_and_update().clone();
        let writes = running.network.counters().writes;
        if writes != last && report.converged() {
            println!("  as wanted again after {} writes", writes - last);
            conditions(&report);
            last = writes;
        }
    }
}
