//! `destination`: addresses, networks and ranges, one or several with commas.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::{MAX_DESTINATIONS, Oddity, RuleError, cut};

/// Where a rule lets traffic go.
///
/// Equal meanings are equal values: host bits are masked, and a network or range of one address is that
/// address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Destination {
    /// One address.
    Address(IpAddr),
    /// A network.
    Network(IpNet),
    /// Addresses from one to another.
    Range(AddressRange),
}

/// Addresses of one family from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
}

/// Version of the internet protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl AddressRange {
    /// The first address.
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// The last address, which is another than the first.
    pub fn last(&self) -> IpAddr {
        self.last
    }
}

impl Destination {
    /// The family all its addresses belong to.
    pub fn family(&self) -> Family {
        let v4 = match self {
            Self::Address(address) => address.is_ipv4(),
            Self::Network(network) => network.addr().is_ipv4(),
            Self::Range(range) => range.first.is_ipv4(),
        };
        if v4 { Family::V4 } else { Family::V6 }
    }

    fn network(network: IpNet) -> Self {
        if network.prefix_len() == network.max_prefix_len() {
            Self::Address(network.addr())
        } else {
            Self::Network(network.trunc())
        }
    }

    fn range(first: IpAddr, last: IpAddr, text: &str) -> Result<Self, RuleError> {
        match (first, last) {
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
                Err(RuleError::RangeFamily(cut(text)))
            }
            _ if first > last => Err(RuleError::RangeOrder(cut(text))),
            _ if first == last => Ok(Self::Address(first)),
            _ => Ok(Self::Range(AddressRange { first, last })),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Network(network) => network.fmt(f),
            Self::Range(range) => write!(f, "{}-{}", range.first, range.last),
        }
    }
}

pub(super) fn parse(text: &str, oddities: &mut Vec<Oddity>) -> Result<Vec<Destination>, RuleError> {
    if text.trim().is_empty() {
        return Err(RuleError::Missing("destination"));
    }
    let count = text.split(',').count();
    if count > MAX_DESTINATIONS {
        return Err(RuleError::TooManyDestinations(count));
    }
    text.split(',').map(|item| parse_item(item, oddities)).collect()
}

fn parse_item(text: &str, oddities: &mut Vec<Oddity>) -> Result<Destination, RuleError> {
    let item = trimmed(text, oddities);
    if item.is_empty() {
        return Err(RuleError::EmptyDestination);
    }
    if let Some((first, last)) = item.split_once('-') {
        let first = address(trimmed(first, oddities), item, oddities)?;
        let last = address(trimmed(last, oddities), item, oddities)?;
        return Destination::range(first, last, item);
    }
    match item.split_once('/') {
        Some((of, prefix)) => network(of, prefix, item, oddities),
        None => address(item, item, oddities).map(Destination::Address),
    }
}

fn trimmed<'a>(text: &'a str, oddities: &mut Vec<Oddity>) -> &'a str {
    let inner = text.trim();
    if inner.len() != text.len() {
        oddities.push(Oddity::Blanks);
    }
    inner
}

fn network(of: &str, prefix: &str, item: &str, oddities: &mut Vec<Oddity>) -> Result<Destination, RuleError> {
    if prefix.parse::<Ipv4Addr>().is_ok() {
        return Err(RuleError::DottedNetmask(cut(item)));
    }
    let refused = || RuleError::Destination(cut(item));
    if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_digit()) {
        return Err(refused());
    }
    let address = address(of, item, oddities)?;
    let length = prefix.parse().map_err(|_| refused())?;
    IpNet::new(address, length)
        .map(Destination::network)
        .map_err(|_| refused())
}

fn address(text: &str, item: &str, oddities: &mut Vec<Oddity>) -> Result<IpAddr, RuleError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(unmapped(address));
    }
    let decimal = zero_padded(text).ok_or_else(|| RuleError::Destination(cut(item)))?;
    oddities.push(Oddity::LeadingZeros);
    Ok(IpAddr::V4(decimal))
}

/// `::ffff:10.0.0.1` is the IPv4 address to every enforcer.
fn unmapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// Four decimal octets of at most three digits.
fn zero_padded(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        let digits = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        *octet = if digits { part.parse().ok()? } else { return None };
    }
    parts.next().is_none().then(|| octets.into())
}
