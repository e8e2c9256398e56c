//! The distributed firewall at one port.

use serde_json::Value;

use super::{Action, Decision, Known, Protocol, Reason, members};
use crate::kinds::Kind;
use crate::kinds::formats;
use crate::kinds::seed::{EXCLUDE_LIST, FIREWALL_STATUS};
use crate::store::{Object, View, string};

/// A packet with both its ends.
#[derive(Debug)]
pub(super) struct Packet<'a> {
    pub(super) from: &'a Known,
    pub(super) to: &'a Known,
    pub(super) protocol: Protocol,
}

/// The first rule that fits the packet at the port, in one direction.
pub(super) fn decide(view: &View, port: &Object, direction: &str, packet: &Packet<'_>) -> Decision {
    if unfiltered(view, port) {
        return Decision {
            action: Action::Allow,
            reason: Reason::NotFiltered,
        };
    }
    let sections = view
        .list(Kind::FirewallSection, None)
        .filter(|one| one.text("section_type") == "LAYER3");
    for section in sections {
        let scope = section.items("applied_tos");
        if !scope.is_empty() && !applies(view, scope, port) {
            continue;
        }
        let mut rules = view.children(Kind::FirewallRule, &section.id);
        let fit = rules.find(|rule| {
            let own = rule.items("applied_tos");
            let here = !scope.is_empty() || own.is_empty() || applies(view, own, port);
            here && fits(view, rule, direction, packet)
        });
        if let Some(rule) = fit {
            return decision(section, rule);
        }
    }
    Decision {
        action: Action::Allow,
        reason: Reason::NotFiltered,
    }
}

fn decision(section: &Object, rule: &Object) -> Decision {
    let action = match rule.text("action") {
        "ALLOW" => Action::Allow,
        "REJECT" => Action::Reject,
        _ => Action::Drop,
    };
    let reason = Reason::Rule {
        section: section.id.to_string(),
        section_name: section.text("display_name").to_owned(),
        rule: rule.id.to_string(),
        rule_name: rule.text("display_name").to_owned(),
    };
    Decision { action, reason }
}

fn unfiltered(view: &View, port: &Object) -> bool {
    let off = view
        .get(Kind::FirewallStatus, FIREWALL_STATUS)
        .is_some_and(|status| status.text("global_status") == "DISABLED");
    let excluded = view.get(Kind::ExcludeList, EXCLUDE_LIST);
    off || excluded
        .is_some_and(|list| !list.items("members").is_empty() && applies(view, list.items("members"), port))
}

/// Whether one of the references is the port, its switch, or a group that it belongs to.
fn applies(view: &View, references: &[Value], port: &Object) -> bool {
    references.iter().any(|reference| is_port(view, reference, port))
}

fn is_port(view: &View, reference: &Value, port: &Object) -> bool {
    let id = string(reference, "target_id");
    match string(reference, "target_type") {
        "NSGroup" => members::has_port(view, id, port),
        "LogicalSwitch" => port.text("logical_switch_id") == id,
        "LogicalPort" => port.id.as_ref() == id,
        _ => false,
    }
}

fn fits(view: &View, rule: &Object, direction: &str, packet: &Packet<'_>) -> bool {
    !rule.flag("disabled")
        && (rule.text("direction") == "IN_OUT" || rule.text("direction") == direction)
        && fits_family(rule.text("ip_protocol"), packet)
        && fits_end(view, rule, "sources", packet.from)
        && fits_end(view, rule, "destinations", packet.to)
        && fits_service(view, rule, packet.protocol)
}

fn fits_family(family: &str, packet: &Packet<'_>) -> bool {
    let four = packet
        .from
        .address
        .or(packet.to.address)
        .is_none_or(|address| address.is_ipv4());
    match family {
        "IPV4" => four,
        "IPV6" => !four,
        _ => true,
    }
}

fn fits_end(view: &View, rule: &Object, field: &str, end: &Known) -> bool {
    let references = rule.items(field);
    if references.is_empty() {
        return true;
    }
    let named = references.iter().any(|reference| is_end(view, reference, end));
    named != rule.flag(&format!("{field}_excluded"))
}

fn is_end(view: &View, reference: &Value, end: &Known) -> bool {
    let id = string(reference, "target_id");
    if end
        .port
        .as_ref()
        .is_some_and(|port| is_port(view, reference, port))
    {
        return true;
    }
    let Some(address) = end.address else { return false };
    match string(reference, "target_type") {
        "IPv4Address" | "IPv6Address" => members::covers(id, address),
        "IPSet" => view
            .get(Kind::IPSet, id)
            .is_some_and(|set| members::set_has(set, address)),
        "NSGroup" => members::has_address(view, id, address),
        _ => false,
    }
}

fn fits_service(view: &View, rule: &Object, protocol: Protocol) -> bool {
    let services = rule.items("services");
    services.is_empty() || services.iter().any(|service| is_service(view, service, protocol))
}

fn is_service(view: &View, service: &Value, protocol: Protocol) -> bool {
    if let Some(element) = service.get("service") {
        return is_element(element, protocol);
    }
    let id = string(service, "target_id");
    match string(service, "target_type") {
        "NSServiceGroup" => {
            let group = view.get(Kind::NSServiceGroup, id);
            let mut inner = group.into_iter().flat_map(|group| group.items("members"));
            inner.any(|member| is_service(view, member, protocol))
        }
        _ => {
            let stored = view
                .get(Kind::NSService, id)
                .and_then(|stored| stored.body.get("nsservice_element"));
            stored.is_some_and(|element| is_element(element, protocol))
        }
    }
}

fn is_element(element: &Value, protocol: Protocol) -> bool {
    match string(element, "resource_type") {
        "L4PortSetNSService" => match protocol {
            Protocol::Tcp(port) => string(element, "l4_protocol") == "TCP" && has_port(element, port),
            Protocol::Udp(port) => string(element, "l4_protocol") == "UDP" && has_port(element, port),
            _ => false,
        },
        "ICMPTypeNSService" => matches!(protocol, Protocol::Icmp(kind, code)
            if string(element, "protocol") == "ICMPv4" && same(element, "icmp_type", kind) && same(element, "icmp_code", code)),
        "IPProtocolNSService" => same(element, "protocol_number", number(protocol)),
        _ => false,
    }
}

/// No ports stand for all of them.
fn has_port(element: &Value, port: u16) -> bool {
    let ports = element
        .get("destination_ports")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let holds = |text: &Value| {
        text.as_str()
            .and_then(formats::ports)
            .is_some_and(|range| range.contains(&port))
    };
    ports.is_empty() || ports.iter().any(holds)
}

/// An absent field stands for any value.
fn same(element: &Value, field: &str, value: u8) -> bool {
    element
        .get(field)
        .and_then(Value::as_u64)
        .is_none_or(|wanted| wanted == u64::from(value))
}

fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Icmp(..) => 1,
        Protocol::Tcp(_) => 6,
        Protocol::Udp(_) => 17,
        Protocol::Other(number) => number,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::IpAddr;

    use serde_json::json;

    use super::*;

    fn end(address: IpAddr) -> Known {
        Known {
            address: Some(address),
            port: None,
            inside: false,
        }
    }

    #[test]
    fn a_service_without_ports_stands_for_all_of_its_protocol() {
        let tcp =
            json!({ "resource_type": "L4PortSetNSService", "l4_protocol": "TCP", "destination_ports": [] });
        assert!(is_element(&tcp, Protocol::Tcp(1)));
        assert!(!is_element(&tcp, Protocol::Udp(1)));
        let some = json!({ "resource_type": "L4PortSetNSService", "l4_protocol": "UDP", "destination_ports": ["53", "80-90"] });
        assert!(is_element(&some, Protocol::Udp(85)));
        assert!(!is_element(&some, Protocol::Udp(91)));
        let ping = json!({ "resource_type": "ICMPTypeNSService", "protocol": "ICMPv4", "icmp_type": 8 });
        assert!(is_element(&ping, Protocol::Icmp(8, 0)));
        assert!(!is_element(&ping, Protocol::Icmp(0, 0)));
    }

    #[test]
    fn a_family_is_that_of_the_addresses() {
        let (from, to) = (end("10.0.0.1".parse().unwrap()), end("10.0.0.2".parse().unwrap()));
        let packet = Packet {
            from: &from,
            to: &to,
            protocol: Protocol::Tcp(1),
        };
        assert!(
            fits_family("IPV4", &packet)
                && fits_family("IPV4_IPV6", &packet)
                && !fits_family("IPV6", &packet)
        );
    }
}
