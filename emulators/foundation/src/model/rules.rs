//! From stored rules to the egress rules of a desired LRP, and which rules Cloud Controller accepts.
//!
//! Source: `lib/cloud_controller/diego/egress_rules.rb` and the rule validators of `cloud_controller_ng`.

use std::net::IpAddr;

use diego_wire::bbs::{IcmpInfo, PortRange, SecurityGroupRule};
use serde_json::Value;

use super::objects::SecurityGroup;

const KEYS: [&str; 7] = [
    "protocol",
    "destination",
    "ports",
    "type",
    "code",
    "log",
    "description",
];

/// The egress rules of a set of groups: equal rules once, each with all groups it comes from; rules that
/// log come last.
pub(crate) fn egress(groups: &[&SecurityGroup]) -> Vec<SecurityGroupRule> {
    let mut rules: Vec<SecurityGroupRule> = Vec::new();
    for group in groups {
        let origin = format!("security_group_id:{}", group.meta.guid);
        for stored in &group.rules {
            let rule = convert(stored);
            match rules.iter_mut().find(|seen| same(seen, &rule)) {
                Some(seen) if !seen.annotations.contains(&origin) => seen.annotations.push(origin.clone()),
                Some(_) => {}
                None => rules.push(SecurityGroupRule {
                    annotations: vec![origin.clone()],
                    ..rule
                }),
            }
        }
    }
    rules.sort_by_key(|rule| rule.log);
    rules
}

fn same(seen: &SecurityGroupRule, rule: &SecurityGroupRule) -> bool {
    seen.protocol == rule.protocol
        && seen.destinations == rule.destinations
        && seen.ports == rule.ports
        && seen.port_range == rule.port_range
        && seen.icmp_info == rule.icmp_info
        && seen.log == rule.log
}

fn text<'a>(rule: &'a Value, key: &str) -> &'a str {
    rule.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number(rule: &Value, key: &str) -> i32 {
    rule.get(key)
        .and_then(Value::as_i64)
        .and_then(|value| i32::try_from(value).ok())
        .unwrap_or_default()
}

fn convert(stored: &Value) -> SecurityGroupRule {
    let protocol = text(stored, "protocol").to_owned();
    let icmp_info = (protocol == "icmp").then(|| IcmpInfo {
        r#type: number(stored, "type"),
        code: number(stored, "code"),
    });
    let (ports, port_range) = ports(text(stored, "ports"));
    SecurityGroupRule {
        destinations: vec![text(stored, "destination").to_owned()],
        ports,
        port_range,
        icmp_info,
        log: stored.get("log").and_then(Value::as_bool).unwrap_or_default(),
        annotations: Vec::new(),
        protocol,
    }
}

fn ports(text: &str) -> (Vec<u32>, Option<PortRange>) {
    if let Some((start, end)) = text.split_once('-') {
        let range = start.trim().parse().ok().zip(end.trim().parse().ok());
        return (Vec::new(), range.map(|(start, end)| PortRange { start, end }));
    }
    (
        text.split(',')
            .filter_map(|port| port.trim().parse().ok())
            .collect(),
        None,
    )
}

/// What Cloud Controller says about rules that are to be stored; empty means accepted.
pub(crate) fn complaints(rules: &[Value]) -> Vec<String> {
    rules
        .iter()
        .enumerate()
        .filter_map(|(index, rule)| complaint(rule).map(|what| format!("Rules[{index}]: {what}")))
        .collect()
}

fn complaint(rule: &Value) -> Option<String> {
    let Some(object) = rule.as_object() else {
        return Some("must be an object".into());
    };
    if let Some(key) = object.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Some(format!("unknown field(s): [\"{key}\"]"));
    }
    let has = |key: &str| object.get(key).is_some_and(|value| !value.is_null());
    match text(rule, "protocol") {
        "tcp" | "udp" if !has("ports") => Some("ports are required for protocols of type TCP and UDP".into()),
        "tcp" | "udp" if !valid_ports(text(rule, "ports")) => {
            Some("ports must be a valid single port, comma separated list of ports, or range of ports, formatted as a string".into())
        }
        "icmp" | "icmpv6" if !has("type") || !has("code") => Some("code and type are required for protocols of type ICMP".into()),
        "all" | "icmp" | "icmpv6" if has("ports") => Some("ports are not allowed for this protocol".into()),
        "tcp" | "udp" | "icmp" | "icmpv6" | "all" if !valid_destinations(text(rule, "destination")) => {
            Some("destination must be a valid CIDR, IP address, or IP address range".into())
        }
        "tcp" | "udp" | "icmp" | "icmpv6" | "all" => None,
        _ => Some("protocol must be 'tcp', 'udp', 'icmp', 'icmpv6' or 'all'".into()),
    }
}

fn valid_ports(text: &str) -> bool {
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    match text.split_once('-') {
        Some((start, end)) => port(start).zip(port(end)).is_some_and(|(start, end)| start < end),
        None => text.split(',').all(|item| port(item).is_some()),
    }
}

fn valid_destinations(text: &str) -> bool {
    !text.contains(char::is_whitespace) && text.split(',').all(valid_destination)
}

fn valid_destination(text: &str) -> bool {
    if let Some((start, end)) = text.split_once('-') {
        let ends = start.parse::<IpAddr>().ok().zip(end.parse::<IpAddr>().ok());
        return ends.is_some_and(|(start, end)| start.is_ipv4() == end.is_ipv4() && start <= end);
    }
    let (address, prefix) = text
        .split_once('/')
        .map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    address.parse::<IpAddr>().is_ok_and(|address| {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        prefix.is_none_or(|prefix| prefix.parse::<u8>().is_ok_and(|prefix| prefix <= longest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_grammar() {
        let cases = [
            (
                json!({"protocol": "tcp", "destination": "10.0.0.0/8", "ports": "80, 443"}),
                true,
            ),
            (
                json!({"protocol": "tcp", "destination": "10.0.0.1-10.0.0.9,10.1.0.0/16", "ports": "1-9"}),
                true,
            ),
            (
                json!({"protocol": "icmp", "destination": "0.0.0.0/0", "type": -1, "code": -1}),
                true,
            ),
            (json!({"protocol": "all", "destination": "fd00::/8"}), true),
            (
                json!({"protocol": "tcp", "destination": "10.0.0.0/8", "ports": "80,443-445"}),
                false,
            ),
            (
                json!({"protocol": "tcp", "destination": "10.0.0.0/8", "ports": "80-80"}),
                false,
            ),
            (json!({"protocol": "tcp", "destination": "10.0.0.0/8"}), false),
            (
                json!({"protocol": "all", "destination": "10.0.0.9-10.0.0.1"}),
                false,
            ),
            (json!({"protocol": "all", "destination": "10.0.0.0/33"}), false),
            (json!({"protocol": "sctp", "destination": "10.0.0.0/8"}), false),
            (
                json!({"protocol": "all", "destination": "10.0.0.0/8", "colour": "red"}),
                false,
            ),
        ];
        for (rule, accepted) in cases {
            assert_eq!(complaint(&rule).is_none(), accepted, "{rule}");
        }
    }

    #[test]
    fn ports_become_a_list_or_a_range() {
        assert_eq!(ports("80, 443"), (vec![80, 443], None));
        assert_eq!(ports("1-9"), (vec![], Some(PortRange { start: 1, end: 9 })));
        assert_eq!(ports(""), (vec![], None));
    }
}
