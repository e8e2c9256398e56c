//! Container-to-container policies: inward allows of the destination app.

use std::collections::{BTreeMap, BTreeSet};

use ncp_core::code::Code;
use ncp_core::event::Event;
use ncp_core::id::PolicyId;
use ncp_core::intent::{Action, AppliedTo, Defect, Direction, Peers, Policy, Rule, Tier};
use ncp_core::net::{PortRange, Service};

use super::groups::app_group;
use super::origin;
use crate::ids::AppGuid;
use crate::policy_server::{AppPolicy, BadPolicy, PolicyProtocol};

/// One policy a destination app, in order of the apps' guids.
pub(super) fn policies(all: &[AppPolicy]) -> Vec<Policy> {
    let mut by_destination: BTreeMap<&AppGuid, BTreeSet<Rule>> = BTreeMap::new();
    for policy in all {
        by_destination
            .entry(&policy.destination)
            .or_default()
            .extend(rule(policy));
    }
    by_destination
        .into_iter()
        .map(|(app, rules)| policy(app, rules))
        .collect()
}

fn policy(app: &AppGuid, rules: BTreeSet<Rule>) -> Policy {
    Policy {
        id: PolicyId::new(&format!("c2c:{}", app.as_str())),
        name: app.as_str().into(),
        tier: Tier::Allow,
        applied_to: AppliedTo::Group(app_group(app)),
        rules: rules.into_iter().collect(),
        defects: [].into(),
        origin: origin("app", app.as_str(), None),
    }
}

fn rule(policy: &AppPolicy) -> Option<Rule> {
    let ports = vec![PortRange::new(policy.first_port, policy.last_port)?];
    let service = match policy.protocol {
        PolicyProtocol::Tcp => Service::Tcp(ports),
        PolicyProtocol::Udp => Service::Udp(ports),
    };
    Some(Rule {
        direction: Direction::In,
        peers: Peers::Groups(BTreeSet::from([app_group(&policy.source)])),
        services: vec![service],
        action: Action::Allow,
        log: false,
    })
}

/// What could not be understood, on the policy server as a whole: a policy has no id of its own.
pub(super) fn report(refused: &[BadPolicy]) -> Event {
    let defect = |bad: &BadPolicy| Defect {
        code: Code::parse(bad.code()).unwrap_or(Code::PcfPolicyProcessingFailed),
        message: format!(
            "the policy {} -> {} allows nothing: {}",
            bad.source_app, bad.destination, bad.problem
        )
        .into(),
    };
    Event::Report {
        origin: origin("policy server", "policies", None),
        defects: refused.iter().map(defect).collect(),
    }
}
