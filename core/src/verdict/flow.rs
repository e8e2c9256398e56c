//! Flows: the questions that verdicts answer.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::id::WorkloadId;
use crate::net::Service;

/// The first packet of a connection; answers follow it in every network engine meant here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Flow {
    /// Who sends it.
    pub from: End,
    /// Who it is for.
    pub to: End,
    /// What is in it above the address.
    pub packet: Packet,
}

/// One end of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// A container.
    Workload(WorkloadId),
    /// An address. If it is that of a container which is known, that container is meant.
    Address(IpAddr),
}

/// Which of a flow's two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The sender, where outward rules decide.
    Source,
    /// The receiver, where inward rules decide.
    Destination,
}

/// What a packet is above the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Packet {
    /// TCP to this port.
    Tcp(u16),
    /// UDP to this port.
    Udp(u16),
    /// ICMP for IPv4, with type and code.
    Icmp4(u8, u8),
    /// ICMP for IPv6, with type and code.
    Icmp6(u8, u8),
    /// Another IP protocol, by its number.
    Protocol(u8),
}

impl Flow {
    /// The flow between these ends.
    pub fn new(from: End, to: End, packet: Packet) -> Flow {
        Flow { from, to, packet }
    }

    /// The end at this side.
    pub fn end(&self, side: Side) -> &End {
        match side {
            Side::Source => &self.from,
            Side::Destination => &self.to,
        }
    }

    /// Whether the flow is of the IPv6 family, which containers have no address of.
    pub fn is_ipv6(&self) -> bool {
        let v6 = |end: &End| matches!(end, End::Address(a) if a.is_ipv6());
        matches!(self.packet, Packet::Icmp6(..)) || v6(&self.from) || v6(&self.to)
    }
}

impl Side {
    /// Both.
    pub const BOTH: [Side; 2] = [Side::Source, Side::Destination];

    /// The other one.
    pub fn other(self) -> Side {
        match self {
            Side::Source => Side::Destination,
            Side::Destination => Side::Source,
        }
    }

    /// The direction of the rules that decide here.
    pub fn direction(self) -> crate::intent::Direction {
        match self {
            Side::Source => crate::intent::Direction::Out,
            Side::Destination => crate::intent::Direction::In,
        }
    }
}

impl Packet {
    /// The IP protocol number (IANA, "Assigned Internet Protocol Numbers").
    pub fn protocol(self) -> u8 {
        match self {
            Packet::Icmp4(..) => 1,
            Packet::Tcp(_) => 6,
            Packet::Udp(_) => 17,
            Packet::Icmp6(..) => 58,
            Packet::Protocol(n) => n,
        }
    }

    /// Whether a rule's service covers the packet.
    pub fn is(self, service: &Service) -> bool {
        let any = |wanted: Option<u8>, is: u8| wanted.is_none_or(|w| w == is);
        match (service, self) {
            (Service::Tcp(ports), Packet::Tcp(port)) | (Service::Udp(ports), Packet::Udp(port)) => {
                ports.is_empty() || ports.iter().any(|range| range.contains(port))
            }
            (Service::Icmp4 { kind, code }, Packet::Icmp4(k, c))
            | (Service::Icmp6 { kind, code }, Packet::Icmp6(k, c)) => any(*kind, k) && any(*code, c),
            (Service::Protocol(number), packet) => *number == packet.protocol(),
            _ => false,
        }
    }

    /// Whether any of a rule's services covers the packet; none listed means everything.
    pub fn is_any(self, services: &[Service]) -> bool {
        services.is_empty() || services.iter().any(|service| self.is(service))
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Workload(id) => write!(f, "{id}"),
            End::Address(address) => write!(f, "{address}"),
        }
    }
}

impl FromStr for End {
    type Err = std::convert::Infallible;
    /// An address if it reads as one, else a container's id.
    fn from_str(text: &str) -> Result<End, Self::Err> {
        Ok(match text.parse() {
            Ok(address) => End::Address(address),
            Err(_) => End::Workload(WorkloadId::new(text)),
        })
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Packet::Tcp(port) => write!(f, "tcp/{port}"),
            Packet::Udp(port) => write!(f, "udp/{port}"),
            Packet::Icmp4(kind, code) => write!(f, "icmp/{kind}/{code}"),
            Packet::Icmp6(kind, code) => write!(f, "icmp6/{kind}/{code}"),
            Packet::Protocol(number) => write!(f, "protocol/{number}"),
        }
    }
}

/// A text that is not a packet.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no packet; write tcp/80, udp/53, icmp/8/0, icmp6/128/0 or protocol/47")]
pub struct InvalidPacket(pub String);

impl FromStr for Packet {
    type Err = InvalidPacket;
    fn from_str(text: &str) -> Result<Packet, InvalidPacket> {
        parse_packet(text).ok_or_else(|| InvalidPacket(text.to_owned()))
    }
}

fn parse_packet(text: &str) -> Option<Packet> {
    let (word, rest) = text.split_once('/')?;
    let pair = || {
        let (kind, code) = rest.split_once('/')?;
        Some((kind.parse().ok()?, code.parse().ok()?))
    };
    match word {
        "tcp" => rest.parse().ok().map(Packet::Tcp),
        "udp" => rest.parse().ok().map(Packet::Udp),
        "icmp" => pair().map(|(kind, code)| Packet::Icmp4(kind, code)),
        "icmp6" => pair().map(|(kind, code)| Packet::Icmp6(kind, code)),
        "protocol" => rest.parse().ok().map(Packet::Protocol),
        _ => None,
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {} {}", self.from, self.to, self.packet)
    }
}

impl Serialize for Packet {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::net::PortRange;

    #[test]
    fn a_packet_reads_back_what_it_prints() {
        for packet in [
            Packet::Tcp(80),
            Packet::Udp(53),
            Packet::Icmp4(8, 0),
            Packet::Icmp6(128, 0),
            Packet::Protocol(47),
        ] {
            assert_eq!(packet.to_string().parse::<Packet>().unwrap(), packet);
        }
        assert!("tcp/70000".parse::<Packet>().is_err());
        assert!("icmp/8".parse::<Packet>().is_err());
    }

    #[test]
    fn services_cover_what_they_say_and_nothing_else() {
        let web = || vec![PortRange::one(80), PortRange::new(8000, 8010).unwrap()];
        let icmp = |kind, code| Service::Icmp4 { kind, code };
        for (service, packet, covers) in [
            (Service::Tcp(web()), Packet::Tcp(80), true),
            (Service::Tcp(web()), Packet::Tcp(8010), true),
            (Service::Tcp(web()), Packet::Tcp(8011), false),
            (Service::Tcp(web()), Packet::Udp(80), false),
            (Service::Tcp(vec![]), Packet::Tcp(1), true),
            (Service::Udp(vec![]), Packet::Tcp(1), false),
            (icmp(None, None), Packet::Icmp4(3, 4), true),
            (icmp(Some(3), None), Packet::Icmp4(3, 4), true),
            (icmp(Some(3), Some(1)), Packet::Icmp4(3, 4), false),
            (icmp(None, None), Packet::Icmp6(128, 0), false),
            (Service::Protocol(6), Packet::Tcp(9), true),
            (Service::Protocol(47), Packet::Protocol(47), true),
            (Service::Protocol(47), Packet::Tcp(47), false),
        ] {
            assert_eq!(packet.is(&service), covers, "{service:?} {packet}");
        }
        assert!(Packet::Protocol(132).is_any(&[]), "none listed means everything");
    }
}
