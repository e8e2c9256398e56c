//! What the realized state does to a flow.
//!
//! A packet between two logical ports passes the firewall twice: outward at its source, inward at its
//! destination. At each end the sections are read in order and the first rule that fits decides (NSX-T
//! administration guide, "Distributed Firewall"); before that, a port must exist, be reachable and use an
//! address it is bound to.

mod firewall;
pub(crate) mod members;
mod translation;

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;

use crate::emulator::Emulator;
use crate::kinds::Kind;
use crate::kinds::switching::vif;
use crate::store::{Object, Term, View, string};

/// One end of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// A logical port, by its id or its attachment id, using its first bound address.
    Port(String),
    /// A logical port using this address.
    PortAs(String, IpAddr),
    /// An address outside of all logical ports.
    Outside(IpAddr),
}

/// What the packets carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP to this port.
    Tcp(u16),
    /// UDP to this port.
    Udp(u16),
    /// ICMP of this type and code.
    Icmp(u8, u8),
    /// Another protocol by its number.
    Other(u8),
}

/// A new connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Who opens it.
    pub from: End,
    /// Who is to take it.
    pub to: End,
    /// What it carries.
    pub protocol: Protocol,
}

/// What becomes of the first packet at one end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It passes.
    Allow,
    /// It vanishes.
    Drop,
    /// It is answered with a reset or an unreachable.
    Reject,
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The first rule that fits: names and ids of its section and of itself.
    Rule {
        /// Section id.
        section: String,
        /// Section name.
        section_name: String,
        /// Rule id.
        rule: String,
        /// Rule name.
        rule_name: String,
    },
    /// The port is on the firewall's exclude list, or the firewall is off.
    NotFiltered,
    /// There is no such port yet, or no longer.
    NotRealized,
    /// The port is administratively down.
    Down,
    /// The address isn't among the port's bindings while spoof guard is on.
    Spoofed,
    /// Another port below the same parent has the same VLAN, so neither gets traffic.
    DuplicateTag,
    /// The parent VIF is attached to no port.
    Orphan,
    /// The port has no address of its own.
    NoAddress,
}

/// The verdict of one end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What happens.
    pub action: Action,
    /// Why.
    pub reason: Reason,
}

/// The verdict on a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What happens in the end: the first end that doesn't allow decides.
    pub action: Action,
    /// Outward at the source, if that is a logical port.
    pub source: Option<Decision>,
    /// Inward at the destination, if that is a logical port. Also given when the source already refused.
    pub destination: Option<Decision>,
}

impl Verdict {
    /// Whether the connection comes about.
    pub fn allowed(&self) -> bool {
        self.action == Action::Allow
    }
}

impl Emulator {
    /// What the realized state does to a flow.
    pub fn verdict(&self, flow: &Flow) -> Verdict {
        let mut store = self.shared().store();
        verdict(store.realized(), flow)
    }

    /// The address under which the outside sees a source, or `None` if it isn't translated. `to` is the
    /// destination, if rules depend on it.
    pub fn snat(&self, from: &End, to: Option<IpAddr>) -> Option<IpAddr> {
        let mut store = self.shared().store();
        translation::snat(store.realized(), from, to)
    }
}

/// An end with what is known of it.
#[derive(Debug, Clone)]
struct Known {
    address: Option<IpAddr>,
    port: Option<Arc<Object>>,
    inside: bool,
}

fn know(view: &View, end: &End) -> Known {
    let (name, asked) = match end {
        End::Outside(address) => {
            return Known {
                address: Some(*address),
                port: None,
                inside: false,
            };
        }
        End::Port(name) => (name, None),
        End::PortAs(name, address) => (name, Some(*address)),
    };
    let port = members::find_port(view, name).cloned();
    let address = asked.or_else(|| port.as_ref().and_then(|port| bound(port)));
    Known {
        address,
        port,
        inside: true,
    }
}

/// The first single address that the port is bound to.
fn bound(port: &Object) -> Option<IpAddr> {
    port.items("address_bindings")
        .iter()
        .find_map(|binding| string(binding, "ip_address").parse().ok())
}

fn verdict(view: &View, flow: &Flow) -> Verdict {
    let (from, to) = (know(view, &flow.from), know(view, &flow.to));
    let packet = firewall::Packet {
        from: &from,
        to: &to,
        protocol: flow.protocol,
    };
    let source = from.inside.then(|| at_port(view, &from, "OUT", &packet));
    let destination = to.inside.then(|| at_port(view, &to, "IN", &packet));
    let refused = [&source, &destination]
        .into_iter()
        .flatten()
        .find(|decision| decision.action != Action::Allow);
    Verdict {
        action: refused.map_or(Action::Allow, |decision| decision.action),
        source,
        destination,
    }
}

fn at_port(view: &View, end: &Known, direction: &str, packet: &firewall::Packet<'_>) -> Decision {
    let dropped = |reason| Decision {
        action: Action::Drop,
        reason,
    };
    let Some(port) = &end.port else {
        return dropped(Reason::NotRealized);
    };
    match unusable(view, port, end.address) {
        Some(reason) => dropped(reason),
        None => firewall::decide(view, port, direction, packet),
    }
}

/// What keeps traffic from the port before the firewall is asked.
fn unusable(view: &View, port: &Object, address: Option<IpAddr>) -> Option<Reason> {
    if port.text("admin_state") == "DOWN" {
        return Some(Reason::Down);
    }
    if vif(&port.body, "vif_type") == "CHILD" {
        let parent = vif(&port.body, "parent_vif_id");
        if view.weight(&Term::Attachment(parent.into())) == 0 {
            return Some(Reason::Orphan);
        }
        if doubled(view, port, parent) {
            return Some(Reason::DuplicateTag);
        }
    }
    let Some(address) = address else {
        return Some(Reason::NoAddress);
    };
    if passes_spoof_guard(view, port, address) {
        None
    } else {
        Some(Reason::Spoofed)
    }
}

fn traffic_tag(port: &Object) -> Option<&Value> {
    port.body.get("attachment")?.get("context")?.get("traffic_tag")
}

fn doubled(view: &View, port: &Object, parent: &str) -> bool {
    let mut siblings = view.with(Kind::LogicalPort, &Term::ParentVif(parent.into()), None);
    siblings.any(|other| other.id != port.id && traffic_tag(other) == traffic_tag(port))
}

/// With spoof guard on a port passes its bindings, or those of its switch, and nothing else.
fn passes_spoof_guard(view: &View, port: &Object, address: IpAddr) -> bool {
    let bound = port.items("switching_profile_ids");
    let profile = bound
        .iter()
        .find(|entry| string(entry, "key") == "SpoofGuardSwitchingProfile");
    let profile = profile.and_then(|entry| view.get(Kind::SwitchingProfile, string(entry, "value")));
    let providers = profile.map_or(&[][..], |profile| profile.items("white_list_providers"));
    let switch = view.get(Kind::LogicalSwitch, port.text("logical_switch_id"));
    let holds = |object: &Object| {
        object
            .items("address_bindings")
            .iter()
            .any(|one| members::covers(string(one, "ip_address"), address))
    };
    providers.is_empty()
        || providers.iter().any(|provider| match provider.as_str() {
            Some("LPORT_BINDINGS") => holds(port),
            Some("LSWITCH_BINDINGS") => switch.is_some_and(|switch| holds(switch)),
            _ => false,
        })
}
