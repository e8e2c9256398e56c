//! The rule grammar of application security groups, read into types.
//!
//! Cloud Controller validates a rule when it is written and never again, so a row may hold whatever the
//! validator of its day let through. The reader follows the platform's own enforcers: what has one meaning
//! is taken (and noted as an [`Oddity`] where today's validator would refuse it), what hasn't is refused
//! with a [`RuleError`]. Rules only allow, so a refused rule is an allow less, never a hole, and it leaves
//! its group's other rules alone.
//!
//! Grammar: CAPI documentation, "The app security group object"; semantics of the keys as in
//! `cf-networking-release`, "Dynamic ASGs".

mod destination;
mod ports;
mod raw;
#[cfg(test)]
mod tests;

pub use destination::{AddressRange, Destination, Family};
pub use ports::PortRange;
pub use raw::{parse_policy_server_rules, parse_rules};

/// One allow of a security group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EgressRule {
    /// What kind of traffic it allows.
    pub traffic: Traffic,
    /// Where to; never empty.
    pub destinations: Vec<Destination>,
    /// Whether the flows it allows are to be logged.
    pub log: bool,
}

/// Protocol of a rule with what only that protocol has.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Traffic {
    /// Every protocol.
    All,
    /// TCP to these ports; never empty.
    Tcp(Vec<PortRange>),
    /// UDP to these ports; never empty.
    Udp(Vec<PortRange>),
    /// ICMP over IPv4.
    Icmp(IcmpMatch),
    /// ICMP over IPv6.
    Icmpv6(IcmpMatch),
}

/// ICMP messages; `None` is any. On the wire −1 and 255 both mean any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IcmpMatch {
    /// Message type.
    pub kind: Option<u8>,
    /// Message code.
    pub code: Option<u8>,
}

/// A group's rules after reading: what holds, what was refused, and what is odd. Indexes count from 0 in
/// the order of the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSet {
    /// Rules that hold, with their index.
    pub rules: Vec<(usize, EgressRule)>,
    /// Rules that were refused, with their index.
    pub refused: Vec<(usize, RuleError)>,
    /// Rules that hold although today's validator would refuse them, with their index.
    pub oddities: Vec<(usize, Oddity)>,
}

/// Why a rule was refused. Texts from the rule are cut, so that a huge one can't flood a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// The whole text isn't a list of rules.
    #[error("the rules aren't a list; set the security group's rules again")]
    NotAList,
    /// The rule isn't a JSON object.
    #[error("the rule isn't an object")]
    NotAnObject,
    /// A key that the protocol needs is missing or empty.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A key has a value of the wrong kind.
    #[error("`{0}` has a value of the wrong kind")]
    WrongKind(&'static str),
    /// Not one of `tcp`, `udp`, `icmp`, `icmpv6`, `all`.
    #[error("protocol {0:?} isn't known; use tcp, udp, icmp, icmpv6 or all")]
    Protocol(String),
    /// `ports` given for a protocol that has none.
    #[error("`ports` given for a protocol without ports")]
    UnexpectedPorts,
    /// Not a port from 1 to 65535.
    #[error("{0:?} isn't a port from 1 to 65535")]
    Port(String),
    /// A range whose end lies before its start.
    #[error("port range {0:?} ends before it starts")]
    PortOrder(String),
    /// A list with a range in it, or several ranges.
    #[error("ports {0:?} mix a list and a range; make one rule for each")]
    MixedPorts(String),
    /// An ICMP type or code outside −1…255.
    #[error("`{key}` is {value}; use -1 to 255")]
    IcmpRange {
        /// `type` or `code`.
        key: &'static str,
        /// What was given.
        value: i64,
    },
    /// An item of `destination` is empty.
    #[error("`destination` has an empty item")]
    EmptyDestination,
    /// Not an address, a network or a range.
    #[error("{0:?} isn't an address, a network with a prefix length, or a range")]
    Destination(String),
    /// A network with a dotted netmask, which Diego refuses.
    #[error("{0:?} has a dotted netmask; write the prefix length")]
    DottedNetmask(String),
    /// A range from one family to the other.
    #[error("range {0:?} mixes IPv4 and IPv6")]
    RangeFamily(String),
    /// A range whose end lies before its start.
    #[error("range {0:?} ends before it starts")]
    RangeOrder(String),
    /// `icmp` to an IPv6 destination or `icmpv6` to an IPv4 one.
    #[error("the protocol doesn't exist for destination {0}")]
    FamilyMismatch(Destination),
    /// More destinations than Cloud Controller allows in one rule.
    #[error("{0} destinations; a rule may have {MAX_DESTINATIONS}")]
    TooManyDestinations(usize),
}

impl RuleError {
    /// The guide's code.
    pub fn code(&self) -> &'static str {
        crate::codes::POLICY_PROCESSING
    }
}

/// Something today's validator would refuse but that has one meaning only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Oddity {
    /// An address with leading zeros, read as decimal like every reader of its day did.
    LeadingZeros,
    /// Blanks in `destination`, or around `protocol`.
    Blanks,
    /// Capital letters in `protocol`.
    Capitals,
    /// A port range of one port.
    RangeOfOne,
    /// Ports, ICMP numbers or `log` in another JSON type than documented.
    LooseType,
    /// `type` or `code` given for a protocol without them.
    UselessKey,
    /// A key the grammar doesn't have; the platform's own enforcers skip it too.
    UnknownKey,
}

/// Most destinations of one rule (Cloud Controller's `rule_validator`).
pub const MAX_DESTINATIONS: usize = 6000;

/// At most 60 characters of a foreign text, for messages.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(60).collect()
}
