//! Notations of addresses, networks and ports as the manager reads them.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use ipnet::IpNet;

/// A notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `10.0.0.1` or `fd00::1`.
    Ip,
    /// `10.0.0.1`.
    Ipv4,
    /// `10.0.0.0/24`, host bits allowed.
    Cidr,
    /// The same, IPv4 only.
    Ipv4Cidr,
    /// An address, a network, or `a-b`.
    Addresses,
    /// `02:00:00:00:00:01`.
    Mac,
    /// `80` or `8000-8010`.
    Ports,
}

impl Format {
    pub(crate) fn says(self) -> &'static str {
        match self {
            Format::Ip => "an IP address",
            Format::Ipv4 => "an IPv4 address",
            Format::Cidr => "a network in CIDR notation",
            Format::Ipv4Cidr => "an IPv4 network in CIDR notation",
            Format::Addresses => "an address, a network or a range of addresses",
            Format::Mac => "a MAC address",
            Format::Ports => "a port or a range of ports",
        }
    }
}

/// Whether the text is in the notation.
pub(crate) fn fits(format: Format, text: &str) -> bool {
    match format {
        Format::Ip => text.parse::<IpAddr>().is_ok(),
        Format::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
        Format::Cidr => text.contains('/') && text.parse::<IpNet>().is_ok(),
        Format::Ipv4Cidr => matches!(text.parse::<IpNet>(), Ok(IpNet::V4(_))),
        Format::Addresses => addresses(text).is_some(),
        Format::Mac => mac(text).is_some(),
        Format::Ports => ports(text).is_some(),
    }
}

/// The addresses that an address, a network or a range stands for.
pub(crate) fn addresses(text: &str) -> Option<RangeInclusive<IpAddr>> {
    if let Ok(one) = text.parse::<IpAddr>() {
        return Some(one..=one);
    }
    if let Ok(network) = text.parse::<IpNet>() {
        return Some(network.network()..=network.broadcast());
    }
    let (first, last) = text.split_once('-')?;
    let (first, last) = (
        first.trim().parse::<IpAddr>().ok()?,
        last.trim().parse::<IpAddr>().ok()?,
    );
    (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(first..=last)
}

/// The ports that a port or a range stands for.
pub(crate) fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some(first..=last)
}

/// A MAC address as a number.
pub(crate) fn mac(text: &str) -> Option<u64> {
    let mut number = 0;
    let mut count = 0;
    for part in text.split([':', '-']) {
        if part.len() != 2 {
            return None;
        }
        number = number << 8 | u64::from_str_radix(part, 16).ok()?;
        count += 1;
    }
    (count == 6).then_some(number)
}

/// The notation of a MAC address.
pub(crate) fn mac_text(number: u64) -> String {
    let bytes = number.to_be_bytes();
    bytes[2..]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .join(":")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn addresses_are_single_networks_or_ranges() {
        let range = |first: &str, last: &str| first.parse().unwrap()..=last.parse().unwrap();
        assert_eq!(addresses("10.0.0.7"), Some(range("10.0.0.7", "10.0.0.7")));
        assert_eq!(addresses("10.0.0.7/30"), Some(range("10.0.0.4", "10.0.0.7")));
        assert_eq!(
            addresses("10.0.0.1-10.0.0.9"),
            Some(range("10.0.0.1", "10.0.0.9"))
        );
        assert_eq!(addresses("10.0.0.9-10.0.0.1"), None);
        assert_eq!(addresses("10.0.0.1-fd00::1"), None);
        assert_eq!(addresses("app.example.com"), None);
    }

    #[test]
    fn ports_are_single_or_ranges() {
        assert_eq!(ports("80"), Some(80..=80));
        assert_eq!(ports("8000-8010"), Some(8000..=8010));
        assert_eq!(ports("70000"), None);
        assert_eq!(ports("9-1"), None);
    }

    #[test]
    fn a_mac_address_survives_the_round_trip() {
        assert_eq!(mac_text(mac("02:50:56:00:00:ff").unwrap()), "02:50:56:00:00:ff");
        assert_eq!(mac("02:50:56:00:00"), None);
    }
}
