//! Addresses and services: the vocabulary that rules are written in.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

/// A run of addresses of one family, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
}

impl AddressRange {
    /// `None` if the ends are of two families or in the wrong order.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<AddressRange> {
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(AddressRange { first, last })
    }

    /// The lowest address.
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// The highest address.
    pub fn last(&self) -> IpAddr {
        self.last
    }
}

/// Where a flow may go to or come from, as text in rules allows it: a network or a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Cidr {
    /// A network; host bits are masked away. A single address is a network of one.
    Net(IpNet),
    /// A range that is not one network.
    Range(AddressRange),
}

impl Cidr {
    /// The network that holds `net`'s address.
    pub fn net(net: IpNet) -> Cidr {
        Cidr::Net(net.trunc())
    }

    /// One address.
    pub fn host(address: IpAddr) -> Cidr {
        Cidr::Net(IpNet::from(address))
    }

    /// Whether `address` lies within.
    pub fn contains(&self, address: IpAddr) -> bool {
        match self {
            Cidr::Net(net) => net.contains(&address),
            Cidr::Range(r) => {
                r.first.is_ipv4() == address.is_ipv4() && r.first <= address && address <= r.last
            }
        }
    }

    /// Whether this is of the IPv4 family.
    pub fn is_ipv4(&self) -> bool {
        match self {
            Cidr::Net(net) => net.addr().is_ipv4(),
            Cidr::Range(r) => r.first.is_ipv4(),
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cidr::Net(net) if net.prefix_len() == net.max_prefix_len() => write!(f, "{}", net.addr()),
            Cidr::Net(net) => write!(f, "{net}"),
            Cidr::Range(r) => write!(f, "{}-{}", r.first, r.last),
        }
    }
}

/// Ports of one transport protocol, both ends included, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// `None` if the ends are in the wrong order.
    pub fn new(first: u16, last: u16) -> Option<PortRange> {
        (first <= last).then_some(PortRange { first, last })
    }

    /// One port.
    pub fn one(port: u16) -> PortRange {
        PortRange {
            first: port,
            last: port,
        }
    }

    /// The lowest port.
    pub fn first(&self) -> u16 {
        self.first
    }

    /// The highest port.
    pub fn last(&self) -> u16 {
        self.last
    }

    /// Whether `port` lies within.
    pub fn contains(&self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// What a rule matches above the address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Service {
    /// TCP to any of these ports; none listed means every port.
    Tcp(Vec<PortRange>),
    /// UDP to any of these ports; none listed means every port.
    Udp(Vec<PortRange>),
    /// ICMP for IPv4; absent type or code means any.
    Icmp4 {
        /// ICMP type.
        kind: Option<u8>,
        /// ICMP code.
        code: Option<u8>,
    },
    /// ICMP for IPv6; absent type or code means any.
    Icmp6 {
        /// ICMPv6 type.
        kind: Option<u8>,
        /// ICMPv6 code.
        code: Option<u8>,
    },
    /// Any packet of this IP protocol number.
    Protocol(u8),
}

/// The MAC address of a container, unique in its switch because its IPv4 address is.
///
/// `02:50` marks it as locally administered and of this family; the rest is the address.
pub fn mac_of(address: Ipv4Addr) -> Mac {
    let [a, b, c, d] = address.octets();
    Mac([0x02, 0x50, a, b, c, d])
}

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The gateway of a container subnet: its first usable address (R-CLI-65 shows `.1`).
pub fn gateway_of(subnet: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(subnet.network()) + 1)
}

/// How many containers a subnet of this prefix has addresses for: all but network, gateway and broadcast.
pub fn capacity_of(prefix: u8) -> u32 {
    (1u32 << (32 - u32::from(prefix.clamp(8, 29)))) - 3
}

/// A set of networks and ranges.
pub type CidrSet = BTreeSet<Cidr>;
