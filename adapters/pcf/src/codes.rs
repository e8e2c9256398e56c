//! Error codes of the NCP guide that Cloud Foundry's sources report.
//!
//! Every error type of this crate answers `code()` with one of these, so that status, metrics and logs
//! name a fault the way the operator's documentation does.

/// The BBS can't be reached or refuses its answers.
pub const BBS_CONNECTION: &str = "NCP06001";
/// Cloud Controller (or the UAA in front of it) can't be reached or refuses its answers.
pub const CAPI_CONNECTION: &str = "NCP06002";
/// A record belongs to a Diego domain that isn't Cloud Foundry's.
pub const UNKNOWN_DOMAIN: &str = "NCP06007";
/// The policy server can't be reached or refuses its answers.
pub const POLICY_SERVER_CONNECTION: &str = "NCP06020";
/// A policy or a security group's rule can't be understood.
pub const POLICY_PROCESSING: &str = "NCP06021";
/// An event can't be decoded.
pub const EVENT_PROCESSING: &str = "NCP06030";
/// An event of a kind that its stream doesn't carry.
pub const UNEXPECTED_EVENT_TYPE: &str = "NCP06031";
/// An event about a record that lacks what makes it usable.
pub const UNEXPECTED_EVENT_INSTANCE: &str = "NCP06032";
/// A certificate or key file can't be read.
pub const FILE_ACCESS: &str = "NCP06034";
