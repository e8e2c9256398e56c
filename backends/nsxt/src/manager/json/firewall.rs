//! Sections and rules as JSON.
//!
//! Rules can't be tagged. Their `notes` hold their key (a section's rules are keyed by a digest of their
//! meaning), `display_name` is for people, and `rule_tag`, which is printed in log lines, is the cluster.

use ncp_core::dialect::RowKey;
use ncp_core::digest::Digest;
use ncp_core::intent::{Action, Direction, Tier};
use ncp_core::net::{PortRange, Service};
use ncp_core::topology::{ObjectKey, SectionKey};
use serde_json::{Value, json};

use super::{Decoded, flag, id_text, list, tagged, tags as tags_of, text};
use crate::manager::body::{Apart, Body, PeerSet, RuleBody, Target};
use crate::manager::names::{Environment, shorten};
use crate::manager::part::{Handle, Part};
use crate::manager::resolve::in_order;
use crate::manager::tags::{self, Tag};

type Key = RowKey<Part>;

/// Characters of a rule's tag (NSX-T API guide, FirewallRule).
const RULE_TAG: usize = 32;
/// Begins the notes of a rule that this product wrote.
const NOTES: &str = "ncp:";

const TIERS: [(Tier, &str); 6] = [
    (Tier::Operator, "operator"),
    (Tier::Hold, "hold"),
    (Tier::Allow, "allow"),
    (Tier::Isolation, "isolation"),
    (Tier::Baseline, "baseline"),
    (Tier::Default, "default"),
];

pub(super) fn section(env: &Environment, key: &Key, body: &Body<Handle>) -> Value {
    let Body::Section {
        name,
        tier,
        logs,
        applied_to,
        ..
    } = body
    else {
        return Value::Null;
    };
    let mut tags = env.owner_tags(key);
    let tier = TIERS.iter().find(|(t, _)| t == tier).map_or("", |(_, name)| name);
    tags.push(Tag::new(tags::TIER, tier));
    tags.push(Tag::new(tags::LOGS, logs.to_string()));
    json!({
        "resource_type": "FirewallSection", "display_name": name, "section_type": "LAYER3", "stateful": true,
        "applied_tos": references(applied_to), "tags": tags,
    })
}

pub(super) fn read_section(object: &Value) -> Decoded {
    let tags = tags_of(object);
    let tier = tagged(&tags, tags::TIER).and_then(|t| TIERS.iter().find(|(_, name)| *name == t));
    let (applied_to, known) = targets(list(object, "applied_tos"));
    Decoded::exact(Body::Section {
        name: text(object, "display_name").into(),
        tier: tier.map_or(Tier::Operator, |(tier, _)| *tier),
        logs: tagged(&tags, tags::LOGS) == Some("true"),
        anchor: Apart(None),
        applied_to,
    })
    .unless(known && tier.is_some())
}

/// The notes of a rule: its key within its section.
pub(in crate::manager) fn rule_notes(key: &Key) -> String {
    match &key.object {
        ObjectKey::Rule(_, digest) => format!("{NOTES}{digest}#{}", key.part),
        other => format!("{NOTES}{other}#{}", key.part),
    }
}

/// The key of a rule of this section, if this product wrote it.
pub(in crate::manager) fn rule_key(section: &SectionKey, rule: &Value) -> Option<Key> {
    let (digest, part) = text(rule, "notes").strip_prefix(NOTES)?.split_once('#')?;
    let digest: Digest = digest.parse().ok()?;
    let part = Part::parse(part).filter(|p| matches!(p, Part::Rule(_)))?;
    Some(RowKey::new(ObjectKey::Rule(section.clone(), digest), part))
}

pub(super) fn rule(env: &Environment, key: &Key, body: &RuleBody<Handle>) -> Value {
    let (peers, excluded) = match &body.peers {
        PeerSet::Any => (Value::Null, false),
        PeerSet::Of(targets) => (references(targets), false),
        PeerSet::NoneOf(targets) => (references(targets), !targets.is_empty()),
    };
    let inward = body.direction == Direction::In;
    let side = |here: bool| {
        if here {
            (peers.clone(), excluded)
        } else {
            (Value::Null, false)
        }
    };
    let (sources, sources_excluded) = side(inward);
    let (destinations, destinations_excluded) = side(!inward);
    json!({
        "resource_type": "FirewallRule", "display_name": rule_name(key, body),
        "action": action_text(body.action), "direction": if inward { "IN" } else { "OUT" },
        "ip_protocol": family(body.action), "sources": sources, "sources_excluded": sources_excluded,
        "destinations": destinations, "destinations_excluded": destinations_excluded,
        "services": services(&body.services), "applied_tos": references(&body.applied_to),
        "logged": body.log, "disabled": false, "notes": rule_notes(key),
        "rule_tag": shorten(&env.cluster, RULE_TAG),
    })
}

/// Containers have IPv4 addresses alone; a deny covers both families all the same.
fn family(action: Action) -> &'static str {
    match action {
        Action::Allow => "IPV4",
        Action::Drop | Action::Reject => "IPV4_IPV6",
    }
}

fn action_text(action: Action) -> &'static str {
    match action {
        Action::Allow => "ALLOW",
        Action::Drop => "DROP",
        Action::Reject => "REJECT",
    }
}

fn rule_name(key: &Key, body: &RuleBody<Handle>) -> String {
    let action = action_text(body.action).to_lowercase();
    let direction = match body.direction {
        Direction::In => "in",
        Direction::Out => "out",
    };
    match &key.object {
        ObjectKey::Rule(_, digest) => format!("{action}-{direction}-{digest}"),
        _ => format!("{action}-{direction}"),
    }
}

pub(super) fn read_rule(section: &Handle, object: &Value) -> Decoded {
    let action = match text(object, "action") {
        "ALLOW" => Action::Allow,
        "REJECT" => Action::Reject,
        _ => Action::Drop,
    };
    let inward = text(object, "direction") == "IN";
    let (here, there) = if inward {
        ("sources", "destinations")
    } else {
        ("destinations", "sources")
    };
    let (peers, known) = targets(list(object, here));
    let peers = match (peers.is_empty(), flag(object, &format!("{here}_excluded"), false)) {
        (true, _) => PeerSet::Any,
        (false, false) => PeerSet::Of(peers),
        (false, true) => PeerSet::NoneOf(peers),
    };
    let (applied_to, applied_known) = targets(list(object, "applied_tos"));
    let read: Vec<Option<Service>> = list(object, "services").iter().map(read_service).collect();
    let as_written = known
        && applied_known
        && read.iter().all(Option::is_some)
        && list(object, there).is_empty()
        && matches!(text(object, "direction"), "IN" | "OUT")
        && !flag(object, "disabled", false)
        && family_of(object) == family(action);
    Decoded::exact(Body::Rule(RuleBody {
        section: section.clone(),
        direction: if inward { Direction::In } else { Direction::Out },
        peers,
        services: in_order(read.into_iter().flatten().collect()),
        action,
        log: flag(object, "logged", false),
        applied_to,
    }))
    .unless(as_written)
}

fn family_of(object: &Value) -> &str {
    match text(object, "ip_protocol") {
        "" => "IPV4_IPV6",
        family => family,
    }
}

fn references(targets: &[Target<Handle>]) -> Value {
    if targets.is_empty() {
        return Value::Null;
    }
    let one = |target: &Target<Handle>| match target {
        Target::Group(handle) => json!({ "target_type": "NSGroup", "target_id": id_text(handle) }),
        Target::Switch(handle) => json!({ "target_type": "LogicalSwitch", "target_id": id_text(handle) }),
        Target::Address(text) => {
            let family = if text.contains(':') {
                "IPv6Address"
            } else {
                "IPv4Address"
            };
            json!({ "target_type": family, "target_id": text })
        }
    };
    targets.iter().map(one).collect()
}

/// References read back, in order; `false` if one is of a kind that is never written.
fn targets(references: &[Value]) -> (Vec<Target<Handle>>, bool) {
    let mut known = true;
    let mut all: Vec<Target<Handle>> = Vec::with_capacity(references.len());
    for reference in references {
        let id = text(reference, "target_id");
        match text(reference, "target_type") {
            "NSGroup" => all.push(Target::Group(Handle::Id(id.into()))),
            "LogicalSwitch" => all.push(Target::Switch(Handle::Id(id.into()))),
            "IPv4Address" | "IPv6Address" => all.push(Target::Address(id.into())),
            _ => known = false,
        }
    }
    all.sort();
    (all, known)
}

fn services(services: &[Service]) -> Value {
    if services.is_empty() {
        return Value::Null;
    }
    let one = |service: &Service| json!({ "service": element(service) });
    services.iter().map(one).collect()
}

fn element(service: &Service) -> Value {
    let port_set = |protocol: &str, ports: &[PortRange]| {
        let ports: Vec<String> = ports.iter().map(PortRange::to_string).collect();
        json!({ "resource_type": "L4PortSetNSService", "l4_protocol": protocol, "destination_ports": ports })
    };
    let icmp = |protocol: &str, kind: &Option<u8>, code: &Option<u8>| {
        super::bare(json!({
            "resource_type": "ICMPTypeNSService", "protocol": protocol, "icmp_type": kind, "icmp_code": code,
        }))
    };
    match service {
        Service::Tcp(ports) => port_set("TCP", ports),
        Service::Udp(ports) => port_set("UDP", ports),
        Service::Icmp4 { kind, code } => icmp("ICMPv4", kind, code),
        Service::Icmp6 { kind, code } => icmp("ICMPv6", kind, code),
        Service::Protocol(number) => {
            json!({ "resource_type": "IPProtocolNSService", "protocol_number": number })
        }
    }
}

fn read_service(reference: &Value) -> Option<Service> {
    let element = reference.get("service")?;
    let small = |field: &str| element[field].as_u64().and_then(|n| u8::try_from(n).ok());
    Some(match text(element, "resource_type") {
        "L4PortSetNSService" if list(element, "source_ports").is_empty() => {
            let ports = list(element, "destination_ports").iter();
            let ports = ports.map(|p| port_range(p.as_str()?)).collect::<Option<_>>()?;
            match text(element, "l4_protocol") {
                "TCP" => Service::Tcp(ports),
                "UDP" => Service::Udp(ports),
                _ => return None,
            }
        }
        "ICMPTypeNSService" => {
            let (kind, code) = (small("icmp_type"), small("icmp_code"));
            match text(element, "protocol") {
                "ICMPv4" => Service::Icmp4 { kind, code },
                "ICMPv6" => Service::Icmp6 { kind, code },
                _ => return None,
            }
        }
        "IPProtocolNSService" => Service::Protocol(small("protocol_number")?),
        _ => return None,
    })
}

fn port_range(text: &str) -> Option<PortRange> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    PortRange::new(first.trim().parse().ok()?, last.trim().parse().ok()?)
}
