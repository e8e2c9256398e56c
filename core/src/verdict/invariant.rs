//! No gap: what every moment between two states of the intents must keep.

use super::{End, Flow, Judge, Oracle, Side, TopologyView, Verdict};
use crate::id::WorkloadId;

/// A moment that breaks the promise for one flow.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Violation {
    /// Nothing decides at one end, not even a deny.
    #[error(
        "{flow}: no rule decides at the {side:?}; its switch's default denies must stand before the port"
    )]
    Open {
        /// The flow.
        flow: Flow,
        /// Where.
        side: Side,
    },
    /// Allowed before and after, but not now.
    #[error("{flow}: allowed before and after, denied now ({} / {})", now.at_source, now.at_destination)]
    Gap {
        /// The flow.
        flow: Flow,
        /// What holds now.
        now: Box<Verdict>,
    },
    /// Allowed before and after, but the container's port is away now.
    #[error("{flow}: allowed before and after, but {workload} has no port now")]
    PortGone {
        /// The flow.
        flow: Flow,
        /// Whose port.
        workload: WorkloadId,
    },
    /// Denied before and after, but not now.
    #[error("{flow}: denied before and after, allowed now ({} / {})", now.at_source, now.at_destination)]
    Leak {
        /// The flow.
        flow: Flow,
        /// What holds now.
        now: Box<Verdict>,
    },
}

/// Checks one flow at one moment: where the intents before and after the change agree on it, the network
/// must agree with them now; where they differ, either will do; and never may nothing decide.
///
/// `before` is what the network had realized when the change began. A workload without a port is
/// unreachable, so one that `before` doesn't know can't break the promise by being late.
///
/// # Errors
/// The first [`Violation`] found.
pub fn invariant5(
    before: &Oracle,
    after: &Oracle,
    now: &TopologyView<'_>,
    flow: &Flow,
) -> Result<(), Violation> {
    let verdict = now.verdict(flow);
    if let Some(side) = verdict.open() {
        return Err(Violation::Open {
            flow: flow.clone(),
            side,
        });
    }
    let (was, will) = (before.verdict(flow).allowed, after.verdict(flow).allowed);
    if was != will || verdict.allowed == was {
        return Ok(());
    }
    Err(stray(now, flow, verdict))
}

fn stray(now: &TopologyView<'_>, flow: &Flow, verdict: Verdict) -> Violation {
    let flow = flow.clone();
    if verdict.allowed {
        return Violation::Leak {
            flow,
            now: Box::new(verdict),
        };
    }
    let portless = |side| match flow.end(side) {
        End::Workload(id) if !now.stands(id) => Some(id.clone()),
        End::Workload(_) | End::Address(_) => None,
    };
    match Side::BOTH.into_iter().find_map(portless) {
        Some(workload) => Violation::PortGone { flow, workload },
        None => Violation::Gap {
            flow,
            now: Box::new(verdict),
        },
    }
}
