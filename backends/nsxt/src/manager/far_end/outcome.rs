//! What an answer means for a step.

use std::error::Error;
use std::fmt::Write as _;

use ncp_core::code::{Code, Disposition};
use ncp_core::dialect::{Failure, Outcome, RowKey};

use crate::manager::dialect::Manager;
use crate::manager::part::Part;
use crate::transport::{Class, TransportError};

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Make,
    Change,
    Remove,
}

/// The guide's code for a row of this part that could not be made, changed or removed.
pub(super) fn code(part: Part, deed: Deed) -> Code {
    use Code as C;
    let [make, change, remove] = match part {
        Part::Router | Part::Advertisement => [
            C::LogicalRouterCreationFailed,
            C::LogicalRouterUpdateFailed,
            C::LogicalRouterDeletionFailed,
        ],
        Part::LinkTier0 | Part::LinkTier1 | Part::Downlink => [
            C::LogicalRouterPortCreationFailed,
            C::LogicalRouterPortUpdateFailed,
            C::LogicalRouterPortDeletionFailed,
        ],
        Part::IpSubnet => [
            C::IpSubnetCreationFailed,
            C::IpSubnetCreationFailed,
            C::IpSubnetDeletionFailed,
        ],
        Part::Switch => [
            C::LogicalSwitchCreationFailed,
            C::LogicalSwitchUpdateFailed,
            C::LogicalSwitchDeletionFailed,
        ],
        Part::GatewayPort | Part::Port | Part::SpoofGuard => [
            C::LogicalSwitchPortCreationFailed,
            C::LogicalSwitchPortUpdateFailed,
            C::LogicalSwitchPortDeletionFailed,
        ],
        Part::Parent => [C::ParentVifUpdateFailed; 3],
        Part::Pool => [C::IpPoolUpdateFailed; 3],
        Part::Claim => [
            C::IpSetCreationFailed,
            C::IpSetUpdateFailed,
            C::IpSetDeletionFailed,
        ],
        Part::Nat | Part::NoNat(_) => [
            C::SnatRuleCreationFailed,
            C::SnatRuleUpdateFailed,
            C::SnatRuleDeletionFailed,
        ],
        Part::Group | Part::ClusterGroup => [
            C::NSGroupCreationFailed,
            C::NSGroupUpdateFailed,
            C::NSGroupDeletionFailed,
        ],
        Part::Member => [C::NSGroupUpdateFailed; 3],
        Part::Section | Part::Rule(_) => [
            C::FirewallCreationFailed,
            C::FirewallUpdateFailed,
            C::FirewallDeletionFailed,
        ],
    };
    match deed {
        Deed::Make => make,
        Deed::Change => change,
        Deed::Remove => remove,
    }
}

/// What a failed request means for the step that it was sent for.
pub(super) fn outcome(key: &RowKey<Part>, deed: Deed, error: &TransportError) -> Outcome<Manager> {
    let failed = |disposition: Option<Disposition>| {
        let mut failure = Failure::new(code(key.part, deed), format!("{key}: {}", describe(error)));
        failure.disposition = disposition.unwrap_or(failure.disposition);
        Outcome::Refused(failure)
    };
    match error.class() {
        Class::NeverSent | Class::Unavailable { .. } | Class::Throttled { .. } | Class::Unauthenticated => {
            Outcome::NotSent(unreachable(error))
        }
        Class::Uncertain => Outcome::Uncertain,
        Class::StaleRevision | Class::Conflict => Outcome::Stale,
        Class::Gone if deed == Deed::Remove => Outcome::Gone,
        // The row itself was just read or is just being made, so what is missing is a referent. It is
        // found missing by itself; trying at once would only repeat the refusal.
        Class::Gone => failed(Some(Disposition::ObserveThenRetry)),
        Class::NotYet => failed(Some(Disposition::RetryLater)),
        _ => failed(None),
    }
}

/// Whether the request was refused for what it says, so that another one, saying less, may pass.
pub(super) fn is_content(error: &TransportError) -> bool {
    matches!(
        error.class(),
        Class::Permanent | Class::Gone | Class::InUse | Class::Exhausted
    )
}

/// The far end as a whole does not do what it is asked.
pub(super) fn unreachable(error: &TransportError) -> Failure {
    Failure::new(Code::NsxConnectionFailed, describe(error))
}

/// An error with its causes.
pub(in crate::manager) fn describe(error: &TransportError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let _ = write!(text, ": {source}");
        cause = source.source();
    }
    text
}
