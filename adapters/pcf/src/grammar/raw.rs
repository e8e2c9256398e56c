//! The two forms in which rules arrive: CAPI's list of objects whose absent keys are absent, and the
//! policy server's string of JSON in which every rule has all keys, absent ones as `""`, `0` or `false`.

use serde_json::{Map, Value};

use super::{EgressRule, Family, IcmpMatch, Oddity, RuleError, RuleSet, Traffic, cut, destination, ports};

/// How absent keys look.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Absent is absent.
    Sparse,
    /// Absent is the zero value, so `type: 0` says nothing about a TCP rule.
    Zeroed,
}

/// Reads the `rules` of a security group as CAPI (v2 or v3) serves them. Null counts as no rules.
pub fn parse_rules(rules: &Value) -> RuleSet {
    read(rules, Form::Sparse)
}

/// Reads the `rules` of a security group as the policy server's internal API serves them: a string that
/// holds JSON.
pub fn parse_policy_server_rules(text: &str) -> RuleSet {
    if text.trim().is_empty() {
        return RuleSet::default();
    }
    let rules = serde_json::from_str(text).unwrap_or(Value::Bool(false));
    read(&rules, Form::Zeroed)
}

fn read(rules: &Value, form: Form) -> RuleSet {
    let mut set = RuleSet::default();
    match rules {
        Value::Null => {}
        Value::Array(items) => (0..)
            .zip(items)
            .for_each(|(index, item)| add(&mut set, index, item, form)),
        _ => set.refused.push((0, RuleError::NotAList)),
    }
    set
}

fn add(set: &mut RuleSet, index: usize, item: &Value, form: Form) {
    let mut oddities = Vec::new();
    match rule(item, form, &mut oddities) {
        Ok(rule) => {
            oddities.sort_unstable();
            oddities.dedup();
            set.oddities.extend(oddities.into_iter().map(|odd| (index, odd)));
            set.rules.push((index, rule));
        }
        Err(error) => set.refused.push((index, error)),
    }
}

fn rule(item: &Value, form: Form, oddities: &mut Vec<Oddity>) -> Result<EgressRule, RuleError> {
    let keys = item.as_object().ok_or(RuleError::NotAnObject)?;
    const KNOWN: [&str; 7] = [
        "protocol",
        "destination",
        "ports",
        "type",
        "code",
        "log",
        "description",
    ];
    if keys.keys().any(|key| !KNOWN.contains(&key.as_str())) {
        oddities.push(Oddity::UnknownKey);
    }
    let destinations = destination::parse(text(keys, "destination")?, oddities)?;
    let traffic = traffic(keys, form, oddities)?;
    if let Some(other) = wrong_family(&traffic, &destinations) {
        return Err(RuleError::FamilyMismatch(other));
    }
    Ok(EgressRule {
        traffic,
        destinations,
        log: log(keys, oddities)?,
    })
}

fn traffic(keys: &Map<String, Value>, form: Form, oddities: &mut Vec<Oddity>) -> Result<Traffic, RuleError> {
    match protocol(text(keys, "protocol")?, oddities).as_str() {
        "tcp" => with_ports(keys, form, oddities).map(Traffic::Tcp),
        "udp" => with_ports(keys, form, oddities).map(Traffic::Udp),
        "icmp" => icmp(keys, oddities).map(Traffic::Icmp),
        "icmpv6" => icmp(keys, oddities).map(Traffic::Icmpv6),
        "all" => {
            without_ports(keys)?;
            note_useless(keys, form, oddities);
            Ok(Traffic::All)
        }
        other => Err(RuleError::Protocol(cut(other))),
    }
}

fn protocol(text: &str, oddities: &mut Vec<Oddity>) -> String {
    let plain = text.trim();
    if plain.len() != text.len() {
        oddities.push(Oddity::Blanks);
    }
    if plain.bytes().any(|b| b.is_ascii_uppercase()) {
        oddities.push(Oddity::Capitals);
    }
    plain.to_ascii_lowercase()
}

fn with_ports(
    keys: &Map<String, Value>,
    form: Form,
    oddities: &mut Vec<Oddity>,
) -> Result<Vec<super::PortRange>, RuleError> {
    note_useless(keys, form, oddities);
    match present(keys, "ports") {
        None => Err(RuleError::Missing("ports")),
        Some(Value::String(text)) => ports::parse(text, oddities),
        Some(Value::Number(number)) => {
            oddities.push(Oddity::LooseType);
            ports::parse(&number.to_string(), oddities)
        }
        Some(_) => Err(RuleError::WrongKind("ports")),
    }
}

fn without_ports(keys: &Map<String, Value>) -> Result<(), RuleError> {
    match present(keys, "ports") {
        None => Ok(()),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(()),
        Some(_) => Err(RuleError::UnexpectedPorts),
    }
}

fn note_useless(keys: &Map<String, Value>, form: Form, oddities: &mut Vec<Oddity>) {
    let said = |key| present(keys, key).is_some();
    if form == Form::Sparse && (said("type") || said("code")) {
        oddities.push(Oddity::UselessKey);
    }
}

fn icmp(keys: &Map<String, Value>, oddities: &mut Vec<Oddity>) -> Result<IcmpMatch, RuleError> {
    without_ports(keys)?;
    Ok(IcmpMatch {
        kind: icmp_number(keys, "type", oddities)?,
        code: icmp_number(keys, "code", oddities)?,
    })
}

fn icmp_number(
    keys: &Map<String, Value>,
    key: &'static str,
    oddities: &mut Vec<Oddity>,
) -> Result<Option<u8>, RuleError> {
    let value = match present(keys, key) {
        None => return Err(RuleError::Missing(key)),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => {
            oddities.push(Oddity::LooseType);
            text.trim().parse().ok()
        }
        Some(_) => None,
    };
    match value.ok_or(RuleError::WrongKind(key))? {
        -1 | 255 => Ok(None),
        value => u8::try_from(value)
            .map(Some)
            .map_err(|_| RuleError::IcmpRange { key, value }),
    }
}

fn log(keys: &Map<String, Value>, oddities: &mut Vec<Oddity>) -> Result<bool, RuleError> {
    match present(keys, "log") {
        None => Ok(false),
        Some(Value::Bool(log)) => Ok(*log),
        Some(Value::String(text)) => {
            oddities.push(Oddity::LooseType);
            text.trim()
                .to_ascii_lowercase()
                .parse()
                .map_err(|_| RuleError::WrongKind("log"))
        }
        Some(_) => Err(RuleError::WrongKind("log")),
    }
}

fn wrong_family(traffic: &Traffic, destinations: &[super::Destination]) -> Option<super::Destination> {
    let only = match traffic {
        Traffic::Icmp(_) => Family::V4,
        Traffic::Icmpv6(_) => Family::V6,
        Traffic::All | Traffic::Tcp(_) | Traffic::Udp(_) => return None,
    };
    destinations.iter().find(|to| to.family() != only).copied()
}

/// Null is what a v2-era writer stored for "not given".
fn present<'a>(keys: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    keys.get(key).filter(|value| !value.is_null())
}

fn text<'a>(keys: &'a Map<String, Value>, key: &'static str) -> Result<&'a str, RuleError> {
    match present(keys, key) {
        None => Err(RuleError::Missing(key)),
        Some(Value::String(text)) if text.trim().is_empty() => Err(RuleError::Missing(key)),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(RuleError::WrongKind(key)),
    }
}
