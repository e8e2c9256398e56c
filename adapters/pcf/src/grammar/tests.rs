#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn one(rule: Value) -> Result<(EgressRule, Vec<Oddity>), RuleError> {
    let mut set = parse_rules(&json!([rule]));
    match set.refused.pop() {
        Some((0, error)) => Err(error),
        Some((index, _)) => panic!("refused rule {index} of one"),
        None => {
            let (_, rule) = set.rules.pop().expect("neither taken nor refused");
            Ok((rule, set.oddities.into_iter().map(|(_, odd)| odd).collect()))
        }
    }
}

fn to(destination: &str) -> Result<Vec<String>, RuleError> {
    one(json!({"protocol": "all", "destination": destination}))
        .map(|(rule, _)| rule.destinations.iter().map(ToString::to_string).collect())
}

fn tcp(ports: impl Into<Value>) -> Result<Vec<(u16, u16)>, RuleError> {
    one(json!({"protocol": "tcp", "destination": "10.0.0.1", "ports": ports.into()})).map(|(rule, _)| {
        match rule.traffic {
            Traffic::Tcp(ports) => ports.iter().map(|range| (range.first(), range.last())).collect(),
            other => panic!("{other:?}"),
        }
    })
}

fn oddities(rule: Value) -> Vec<Oddity> {
    one(rule).expect("taken").1
}

#[test]
fn destinations_are_read_by_meaning() {
    let table: &[(&str, &str, &[&str])] = &[
        ("an address", "10.0.11.0", &["10.0.11.0"]),
        ("a network", "10.20.30.0/24", &["10.20.30.0/24"]),
        ("host bits are masked", "198.51.100.47/24", &["198.51.100.0/24"]),
        ("everything", "0.0.0.0/0", &["0.0.0.0/0"]),
        (
            "a network of one address is the address",
            "10.0.0.7/32",
            &["10.0.0.7"],
        ),
        ("a range", "10.0.1.1-10.0.1.9", &["10.0.1.1-10.0.1.9"]),
        (
            "a range of one address is the address",
            "10.0.1.1-10.0.1.1",
            &["10.0.1.1"],
        ),
        (
            "a comma list of all kinds",
            "10.0.0.1,10.1.0.0/16,10.2.0.1-10.2.0.2",
            &["10.0.0.1", "10.1.0.0/16", "10.2.0.1-10.2.0.2"],
        ),
        (
            "IPv6 in all forms",
            "2001:db8::1,2001:DB8:1::/48,2001:db8::5-2001:db8::9",
            &["2001:db8::1", "2001:db8:1::/48", "2001:db8::5-2001:db8::9"],
        ),
        (
            "both families in one list",
            "10.0.0.1,2001:db8::1",
            &["10.0.0.1", "2001:db8::1"],
        ),
        (
            "an IPv4 address written as IPv6",
            "::ffff:10.0.0.1",
            &["10.0.0.1"],
        ),
        (
            "an old row with leading zeros",
            "010.000.001.012/24",
            &["10.0.1.0/24"],
        ),
        (
            "an old row with blanks",
            " 10.0.0.1 - 10.0.0.3 , 10.0.0.9",
            &["10.0.0.1-10.0.0.3", "10.0.0.9"],
        ),
    ];
    for (name, given, expect) in table {
        assert_eq!(to(given).as_deref(), Ok(&expect.map_vec()[..]), "{name}");
    }
}

trait MapVec {
    fn map_vec(&self) -> Vec<String>;
}

impl MapVec for &[&str] {
    fn map_vec(&self) -> Vec<String> {
        self.iter().map(ToString::to_string).collect()
    }
}

#[test]
fn bad_destinations_are_refused_by_name() {
    let table: &[(&str, &str, RuleError)] = &[
        ("nothing", "", RuleError::Missing("destination")),
        ("an empty item", "10.0.0.1,,10.0.0.2", RuleError::EmptyDestination),
        ("a trailing comma", "10.0.0.1,", RuleError::EmptyDestination),
        (
            "a name",
            "erp.example",
            RuleError::Destination("erp.example".into()),
        ),
        (
            "an octet too large",
            "10.0.0.256",
            RuleError::Destination("10.0.0.256".into()),
        ),
        ("three octets", "10.0.0", RuleError::Destination("10.0.0".into())),
        (
            "a prefix too long",
            "10.0.0.0/33",
            RuleError::Destination("10.0.0.0/33".into()),
        ),
        (
            "a signed prefix",
            "10.0.0.0/+8",
            RuleError::Destination("10.0.0.0/+8".into()),
        ),
        (
            "no prefix",
            "10.0.0.0/",
            RuleError::Destination("10.0.0.0/".into()),
        ),
        (
            "a dotted netmask",
            "10.0.0.0/255.0.0.0",
            RuleError::DottedNetmask("10.0.0.0/255.0.0.0".into()),
        ),
        (
            "a range backwards",
            "10.0.0.9-10.0.0.1",
            RuleError::RangeOrder("10.0.0.9-10.0.0.1".into()),
        ),
        (
            "a range across families",
            "10.0.0.9-2001:db8::1",
            RuleError::RangeFamily("10.0.0.9-2001:db8::1".into()),
        ),
        (
            "a range of networks",
            "10.0.0.0/8-11.0.0.0/8",
            RuleError::Destination("10.0.0.0/8-11.0.0.0/8".into()),
        ),
    ];
    for (name, given, expect) in table {
        assert_eq!(to(given).as_ref(), Err(expect), "{name}");
    }
}

#[test]
fn ports_are_a_list_or_one_range() {
    assert_eq!(tcp("443"), Ok(vec![(443, 443)]));
    assert_eq!(tcp("1521,1526"), Ok(vec![(1521, 1521), (1526, 1526)]));
    assert_eq!(tcp(" 80 , 443 "), Ok(vec![(80, 80), (443, 443)]));
    assert_eq!(tcp("8080 - 8090"), Ok(vec![(8080, 8090)]));
    assert_eq!(tcp("1-65535"), Ok(vec![(1, 65535)]));
    assert_eq!(tcp("80-80"), Ok(vec![(80, 80)]), "an old row's range of one port");
    assert_eq!(tcp(443), Ok(vec![(443, 443)]), "an old row's number");
    let mixed = |text: &str| Err(RuleError::MixedPorts(text.into()));
    assert_eq!(tcp("80,443-445"), mixed("80,443-445"));
    assert_eq!(tcp("80-90,100-110"), mixed("80-90,100-110"));
    let bad = |text: &str| Err(RuleError::Port(text.into()));
    assert_eq!(tcp("0"), bad("0"));
    assert_eq!(tcp("65536"), bad("65536"));
    assert_eq!(tcp("+80"), bad("+80"));
    assert_eq!(tcp("80,"), bad(""));
    assert_eq!(tcp("http"), bad("http"));
    assert_eq!(tcp("90-80"), Err(RuleError::PortOrder("90-80".into())));
    assert_eq!(tcp("1-2-3"), bad("2-3"));
    assert_eq!(tcp(""), Err(RuleError::Missing("ports")));
    assert_eq!(tcp(json!(["80"])), Err(RuleError::WrongKind("ports")));
}

#[test]
fn icmp_has_any_in_two_spellings_and_one_family() {
    let icmp = |kind: i64, code: i64| {
        one(json!({"protocol": "icmp", "destination": "10.20.30.7", "type": kind, "code": code}))
            .map(|(rule, _)| rule.traffic)
    };
    let is = |kind, code| Ok(Traffic::Icmp(IcmpMatch { kind, code }));
    assert_eq!(icmp(8, 0), is(Some(8), Some(0)));
    assert_eq!(icmp(-1, -1), is(None, None));
    assert_eq!(icmp(255, 255), is(None, None));
    assert_eq!(icmp(3, -1), is(Some(3), None));
    let refused = |key, value| Err(RuleError::IcmpRange { key, value });
    assert_eq!(icmp(256, 0), refused("type", 256));
    assert_eq!(icmp(0, -2), refused("code", -2));
    let v6 = |protocol: &str, destination: &str| {
        one(json!({"protocol": protocol, "destination": destination, "type": -1, "code": -1})).map(|_| ())
    };
    assert_eq!(v6("icmpv6", "2001:db8::/32"), Ok(()));
    assert!(matches!(
        v6("icmpv6", "10.0.0.0/8"),
        Err(RuleError::FamilyMismatch(_))
    ));
    assert!(matches!(
        v6("icmp", "10.0.0.1,::1"),
        Err(RuleError::FamilyMismatch(_))
    ));
    assert_eq!(
        one(json!({"protocol": "icmp", "destination": "10.0.0.1", "type": 8})).map(|_| ()),
        Err(RuleError::Missing("code"))
    );
}

#[test]
fn keys_that_do_not_fit_the_protocol() {
    let all = |extra: (&str, Value)| {
        let mut rule = json!({"protocol": "all", "destination": "10.0.0.1"});
        rule[extra.0] = extra.1;
        rule
    };
    assert_eq!(
        one(all(("ports", json!("80")))).map(|_| ()),
        Err(RuleError::UnexpectedPorts)
    );
    assert_eq!(oddities(all(("ports", json!("")))), []);
    assert_eq!(oddities(all(("type", json!(8)))), [Oddity::UselessKey]);
    assert_eq!(oddities(all(("novelty", json!(8)))), [Oddity::UnknownKey]);
    assert_eq!(oddities(all(("log", json!("true")))), [Oddity::LooseType]);
    assert_eq!(
        oddities(all(("protocol", json!(" ALL")))),
        [Oddity::Blanks, Oddity::Capitals]
    );
    assert_eq!(oddities(all(("description", json!("erp")))), []);
    assert_eq!(
        one(all(("protocol", json!("sctp")))).map(|_| ()),
        Err(RuleError::Protocol("sctp".into()))
    );
    assert_eq!(
        one(all(("protocol", json!(6)))).map(|_| ()),
        Err(RuleError::WrongKind("protocol"))
    );
    assert!(one(all(("log", json!(true)))).expect("taken").0.log);
    assert!(!one(all(("log", Value::Null))).expect("taken").0.log);
}

#[test]
fn one_bad_rule_leaves_the_others_alone() {
    let set = parse_rules(&json!([
        {"protocol": "tcp", "destination": "10.0.0.1", "ports": "80"},
        {"protocol": "tcp", "destination": "10.0.0.1", "ports": "80,90-91"},
        "nonsense",
        {"protocol": "udp", "destination": "10.0.0.2", "ports": "53"},
    ]));
    let taken: Vec<usize> = set.rules.iter().map(|(index, _)| *index).collect();
    let refused: Vec<usize> = set.refused.iter().map(|(index, _)| *index).collect();
    assert_eq!((taken, refused), (vec![0, 3], vec![1, 2]));
    assert!(set.refused.iter().all(|(_, error)| error.code() == "NCP06021"));
}

#[test]
fn the_policy_servers_zero_values_say_nothing() {
    let set = parse_policy_server_rules(
        r#"[{"protocol":"udp","destination":"0.0.0.0/0","ports":"53","type":0,"code":0,"description":"","log":false},
            {"protocol":"all","destination":"10.0.0.0/8","ports":"","type":0,"code":0,"description":"","log":true},
            {"protocol":"icmp","destination":"10.0.0.0/8","ports":"","type":0,"code":0,"description":"","log":false}]"#,
    );
    assert_eq!(set.refused, []);
    assert_eq!(set.oddities, []);
    assert_eq!(
        set.rules[2].1.traffic,
        Traffic::Icmp(IcmpMatch {
            kind: Some(0),
            code: Some(0)
        })
    );
    assert_eq!(parse_policy_server_rules(""), RuleSet::default());
    assert_eq!(
        parse_policy_server_rules("[{").refused,
        [(0, RuleError::NotAList)]
    );
    assert_eq!(parse_rules(&Value::Null), RuleSet::default());
}

#[test]
fn more_destinations_than_the_platform_allows_are_refused() {
    let many = |count: usize| vec!["10.0.0.1"; count].join(",");
    assert_eq!(
        to(&many(MAX_DESTINATIONS)).map(|all| all.len()),
        Ok(MAX_DESTINATIONS)
    );
    assert_eq!(to(&many(6001)), Err(RuleError::TooManyDestinations(6001)));
}

fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        ".{0,40}",
        "[0-9.,/ -]{0,30}",
        "[0-9a-f:./,-]{0,40}",
        "(tcp|udp|icmp|icmpv6|all|TCP )",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-3i64..300).prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    let key = "(protocol|destination|ports|type|code|log|description|[a-z]{1,4})";
    prop_oneof![
        1 => leaf.clone(),
        4 => proptest::collection::hash_map(key, leaf, 0..8)
            .prop_map(|keys| Value::Object(keys.into_iter().collect())),
    ]
}

fn address_text() -> impl Strategy<Value = (String, std::net::IpAddr)> {
    prop_oneof![
        any::<u32>().prop_map(|bits| std::net::IpAddr::from(std::net::Ipv4Addr::from(bits))),
        any::<u128>().prop_map(|bits| std::net::IpAddr::from(std::net::Ipv6Addr::from(bits))),
    ]
    .prop_filter("IPv4 in IPv6 has two spellings", |address| match address {
        std::net::IpAddr::V6(v6) => v6.to_ipv4_mapped().is_none(),
        std::net::IpAddr::V4(_) => true,
    })
    .prop_map(|address| (address.to_string(), address))
}

proptest! {
    #[test]
    fn whatever_is_stored_every_rule_is_taken_or_refused(rules in proptest::collection::vec(any_json(), 0..6)) {
        let count = rules.len();
        let set = parse_rules(&Value::Array(rules.clone()));
        prop_assert_eq!(set.rules.len() + set.refused.len(), count);
        let text = serde_json::to_string(&rules).unwrap();
        let set = parse_policy_server_rules(&text);
        prop_assert_eq!(set.rules.len() + set.refused.len(), count);
    }

    #[test]
    fn arbitrary_text_never_panics(text in ".{0,200}") {
        parse_policy_server_rules(&text);
        parse_rules(&Value::String(text.clone()));
        let _ = to(&text);
        let _ = tcp(text);
    }

    #[test]
    fn every_address_network_and_range_is_read_back_from_its_text((text, address) in address_text(), length: u8, other: u32) {
        prop_assert_eq!(to(&text), Ok(vec![text.clone()]));
        let max = if address.is_ipv4() { 32 } else { 128 };
        let net = ipnet::IpNet::new(address, length % max).unwrap().trunc();
        prop_assert_eq!(to(&format!("{address}/{}", net.prefix_len())), Ok(vec![net.to_string()]));
        if let std::net::IpAddr::V4(v4) = address {
            let other = std::net::Ipv4Addr::from(other);
            let range = format!("{}-{}", v4.min(other), v4.max(other));
            let expect = if v4 == other { v4.to_string() } else { range.clone() };
            prop_assert_eq!(to(&range), Ok(vec![expect]));
        }
    }

    #[test]
    fn port_lists_and_ranges_are_read_back(ports in proptest::collection::vec(1u16.., 1..20), a in 1u16.., b in 1u16..) {
        let text = ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        prop_assert_eq!(tcp(text), Ok(ports.iter().map(|port| (*port, *port)).collect()));
        let (first, last) = (a.min(b), a.max(b));
        prop_assert_eq!(tcp(format!("{first}-{last}")), Ok(vec![(first, last)]));
    }
}
