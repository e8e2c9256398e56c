//! Whole files in, configurations or mistakes out.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use secrecy::ExposeSecret;
use std::collections::HashMap;
use std::io;

/// Surroundings made of nothing but what a test puts there.
#[derive(Debug, Default, Clone)]
pub(crate) struct World {
    files: HashMap<PathBuf, String>,
    variables: HashMap<String, String>,
}

impl World {
    pub(crate) fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.into(), text.into());
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// With the PEM files that the samples below name.
    fn with_pem() -> Self {
        let cert = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
        let key = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";
        Self::default()
            .file("/ca.pem", cert)
            .file("/ca2.pem", cert)
            .file("/c.pem", cert)
            .file("/k.pem", key)
    }
}

impl Surroundings for World {
    fn file(&self, path: &Path) -> io::Result<String> {
        self.files
            .get(path)
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}

/// The least that a foundation needs.
const LEAST: &str = "\
[coe]
adaptor = pcf
cluster = cf-one
[nsx_v3]
nsx_api_managers = 10.0.0.1
nsx_api_user = admin
nsx_api_password = hunter2
tier0_router = t0
container_ip_blocks = block
external_ip_pools = pool
[cf]
uaa_client_id = ncp
uaa_client_secret = hunter3
bbs_ca_cert = /ca.pem
bbs_client_cert = /c.pem
bbs_client_key = /k.pem
policy_ca_cert = /ca.pem
policy_client_cert = /c.pem
policy_client_key = /k.pem
platform_sources = 10.0.4.0/24
";

fn read(text: &str) -> Result<Config, Mistakes> {
    Config::parse(Path::new("ncp.ini"), text, &World::with_pem())
}

/// The least file with more behind it, for tests of other modules.
pub(crate) fn read_with(text: &str) -> Config {
    read(&format!("{LEAST}{text}")).unwrap()
}

/// `LEAST` with lines put into a section, which is opened again.
fn with(section: &str, lines: &str) -> String {
    format!("{LEAST}[{section}]\n{lines}\n")
}

/// `LEAST` with the line of an option replaced.
fn but(option: &str, line: &str) -> String {
    let lines = LEAST.lines().map(|l| {
        if l.split(" = ").next() == Some(option) {
            line
        } else {
            l
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_least_file_is_enough() {
    let config = read(LEAST).unwrap();
    assert_eq!(config.coe.cluster.as_str(), "cf-one");
    assert_eq!(config.notices, []);
    assert_eq!(config.managers.list.len(), 1);
    assert!(matches!(config.managers.list[0].1, Trust::System));
    assert!(
        matches!(&config.managers.login, Login::Password { user, password }
        if user == "admin" && password.expose_secret() == "hunter2")
    );
    assert_eq!(
        config.foundation.bbs.urls[0].to_string(),
        "https://bbs.service.cf.internal:8889/"
    );
    assert_eq!(config.foundation.locket.tls, config.foundation.bbs.tls);
    assert_eq!(config.foundation.locket.key, "ncp/cf-one");
    assert_eq!(config.nsx.subnet_prefix.get(), 24);
}

#[test]
fn secrets_are_never_printed() {
    let config = read(LEAST).unwrap();
    let broken = read(&but("adaptor", "adaptor = x\nnsx_api_password = hunter4")).unwrap_err();
    for text in [format!("{config:?}"), format!("{broken:?} {broken}")] {
        assert!(!text.contains("hunter"), "{text}");
    }
}

/// R-CFG-01: one file for all components.
#[test]
fn sections_of_other_components_are_left_alone() {
    let text = with(
        "nsx_node_agent",
        "ovs_bridge = br-int\nanything = goes\n[nsx_kube_proxy]\novs_uplink_port = ens192",
    );
    assert_eq!(read(&text).unwrap().notices, []);
}

#[test]
fn options_of_other_versions_are_noticed_not_refused() {
    let notices = read(&with("nsx_v3", "enable_inventory = True")).unwrap().notices;
    assert_eq!(
        notices
            .iter()
            .map(|n| (n.key.as_str(), n.line))
            .collect::<Vec<_>>(),
        [("enable_inventory", Some(22))]
    );
}

/// Whoever sets an option that does nothing yet is told; its default, and Kubernetes' options, are not.
#[test]
fn options_without_effect_are_noticed() {
    let text = with(
        "nsx_v3",
        "wait_for_security_policy_sync = true\nuse_native_loadbalancer = False\n[k8s]\ningress_mode = nat",
    );
    let notices = read(&text).unwrap().notices;
    let keys: Vec<_> = notices.iter().map(|n| n.key.as_str()).collect();
    assert_eq!(keys, ["wait_for_security_policy_sync"]);
    assert!(notices[0].wrong.contains("no effect"));
}

/// Each row: what a file has, where the mistake is, and words of the message.
#[test]
fn single_mistakes() {
    let cases: &[(&str, String, Option<usize>, &str, &str)] = &[
        (
            "misspelt option",
            with("nsx_v3", "subnet_prefx = 24"),
            Some(22),
            "subnet_prefx",
            "did you mean subnet_prefix?",
        ),
        (
            "misspelt section",
            format!("{LEAST}[nxs_v3]\n"),
            Some(21),
            "",
            "did you mean nsx_v3?",
        ),
        (
            "value given twice",
            with("coe", "cluster = other"),
            Some(22),
            "cluster",
            "line 3 gives it another value",
        ),
        (
            "prefix of 31 (R-IPAM-05)",
            with("nsx_v3", "subnet_prefix = 31"),
            Some(22),
            "subnet_prefix",
            "from 1 to 30",
        ),
        (
            "timings (R-CFG-04, L-26)",
            with("ha", "master_timeout = 6"),
            Some(22),
            "master_timeout",
            "heartbeat_period + update_timeout = 6 s",
        ),
        (
            "no such file",
            but("bbs_ca_cert", "bbs_ca_cert = /no.pem"),
            Some(14),
            "bbs_ca_cert",
            "can't be read",
        ),
        (
            "a key where a certificate should be",
            but("bbs_ca_cert", "bbs_ca_cert = /k.pem"),
            Some(14),
            "bbs_ca_cert",
            "PEM",
        ),
        (
            "a certificate without its key",
            but("policy_client_key", ""),
            Some(11),
            "policy_client_key",
            "not set, yet",
        ),
        (
            "a user without a password",
            but("nsx_api_password", ""),
            Some(4),
            "nsx_api_password",
            "nsx_api_user is set",
        ),
        (
            "no pool though SNAT is on",
            but("external_ip_pools", ""),
            Some(4),
            "external_ip_pools",
            "enable_snat",
        ),
        (
            "no manager",
            but("nsx_api_managers", ""),
            Some(4),
            "nsx_api_managers",
            "required",
        ),
        (
            "sample's placeholder",
            but("nsx_api_managers", "nsx_api_managers = <ip_address>"),
            Some(5),
            "nsx_api_managers",
            "placeholder",
        ),
        (
            "same manager twice",
            but("nsx_api_managers", "nsx_api_managers = a, b, a"),
            Some(5),
            "nsx_api_managers",
            "twice",
        ),
        (
            "CA files (R-NCP-05)",
            with("nsx_v3", "ca_file = /ca.pem, /ca2.pem"),
            Some(22),
            "ca_file",
            "2 files for 1 managers",
        ),
        (
            "same marker twice",
            with(
                "nsx_v3",
                "top_firewall_section_marker = m\nbottom_firewall_section_marker = m",
            ),
            Some(23),
            "bottom_firewall_section_marker",
            "R-FW-02",
        ),
        (
            "unencrypted endpoint",
            with("cf", "capi_url = http://api.example.org"),
            Some(22),
            "capi_url",
            "encryption",
        ),
        (
            "admin API for everyone",
            with("ncp", "admin_address = 0.0.0.0:8001"),
            Some(22),
            "admin_address",
            "other machines",
        ),
        (
            "orchestrator of a later version",
            but("adaptor", "adaptor = kubernetes"),
            Some(2),
            "adaptor",
            "adaptor = pcf",
        ),
        (
            "comment behind a value",
            with("nsx_v3", "subnet_prefix = 24 # small"),
            Some(22),
            "subnet_prefix",
            "nothing else on the line",
        ),
        (
            "option swallowed by the one above",
            with("nsx_v3", "no_snat_ip_blocks = a\n  retries = 3"),
            Some(22),
            "no_snat_ip_blocks",
            "first column",
        ),
        (
            "variable that is not set",
            but("uaa_client_secret", "uaa_client_secret = ENV:NOPE"),
            Some(13),
            "uaa_client_secret",
            "NOPE is not set",
        ),
    ];
    for (name, text, line, key, words) in cases {
        let list = read(text).expect_err(name).list;
        let [mistake] = list.as_slice() else {
            panic!("{name}: {list:#?}")
        };
        assert_eq!(
            (mistake.line, mistake.key.as_str()),
            (*line, *key),
            "{name}: {mistake:?}"
        );
        let text = mistake.at(Path::new("ncp.ini")).to_string();
        assert!(text.contains(words), "{name}: {text}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once_in_order() {
    let text = "[coe]\nadaptor = pfc\nclutser = x\n[nsx_v3]\nsubnet_prefix = 40\nnonsense\n[cf]\n";
    let mistakes = read(text).unwrap_err();
    let lines: Vec<_> = mistakes.list.iter().filter_map(|m| m.line).collect();
    assert!(lines.is_sorted());
    for line in [2, 3, 5, 6] {
        assert!(lines.contains(&line), "line {line} of {lines:?}");
    }
    for key in [
        "nsx_api_managers",
        "tier0_router",
        "uaa_client_id",
        "bbs_client_cert",
    ] {
        assert!(mistakes.list.iter().any(|m| m.key == key), "{key}");
    }
    let printed = mistakes.to_string();
    assert_eq!(
        printed
            .lines()
            .filter(|l| l.starts_with("NCP00001 ncp.ini"))
            .count(),
        mistakes.list.len()
    );
}

/// R-NCP-05, R-NCP-06: several managers with a file each, and a client certificate.
#[test]
fn three_managers_with_their_own_files() {
    let text = but(
        "nsx_api_managers",
        "nsx_api_managers = a,b:444\n  c\nca_file = /ca.pem, /ca2.pem, /ca.pem",
    )
    .replace("nsx_api_user = admin", "nsx_api_cert_file = /c.pem")
    .replace("nsx_api_password = hunter2", "nsx_api_private_key_file = /k.pem");
    let managers = read(&text).unwrap().managers;
    let listed: Vec<_> = managers
        .list
        .iter()
        .map(|(m, t)| (m.to_string(), t.clone()))
        .collect();
    assert_eq!(
        listed[1],
        ("https://b:444/".into(), Trust::File("/ca2.pem".into()))
    );
    assert_eq!(listed.len(), 3);
    assert!(matches!(managers.login, Login::Certificate(_)));
}

/// A sandbox on this machine needs no certificate.
#[test]
fn endpoints_of_this_machine_may_do_without_tls() {
    let text = "[coe]\nadaptor = pcf\n[nsx_v3]\nnsx_api_managers = http://127.0.0.1:9080\nnsx_api_user = u\n\
        nsx_api_password = ENV:PW\ntier0_router = t\ncontainer_ip_blocks = b\nexternal_ip_pools = p\n[cf]\n\
        uaa_url = http://127.0.0.1:1\ncapi_url = http://127.0.0.1:1\nbbs_urls = http://127.0.0.1:1\n\
        policy_server_url = http://127.0.0.1:1\nlocket_addresses = 127.0.0.1:1\nuaa_client_id = c\n\
        uaa_client_secret = FILE:/secret\n";
    let world = World::default().variable("PW", "pw").file("/secret", "s\n");
    let foundation = Config::parse(Path::new("ncp.ini"), text, &world)
        .unwrap()
        .foundation;
    assert!(foundation.bbs.tls.is_none() && foundation.locket.tls.is_none());
    assert_eq!(foundation.client_secret.expose_secret(), "s");
}

/// Reading an empty file reads every default of the table; here none may be wrong.
#[test]
fn the_defaults_can_be_read() {
    let mistakes = read("").unwrap_err();
    assert!(mistakes.list.iter().all(|m| m.line.is_none()), "{mistakes}");
}

#[test]
fn the_sample_says_what_the_defaults_say() {
    let plain = sample();
    let all: String = plain
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(option) if !option.starts_with(' ') => format!("{option}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let wrongs = |text: &str| -> Vec<(String, String, String)> {
        let list = read(text).unwrap_err().list;
        list.into_iter().map(|m| (m.section, m.key, m.wrong)).collect()
    };
    let mut want = wrongs("[cf]");
    let mut got = wrongs(&all);
    want.sort();
    got.sort();
    assert_eq!(got, want);
}

#[test]
fn each_option_is_documented_once() {
    let page = markdown();
    for section in SECTIONS {
        for option in section.options {
            assert!(
                !option.doc.is_empty() && !option.from.is_empty(),
                "{}",
                option.name
            );
        }
        assert_eq!(page.matches(&format!("## `[{}]`", section.name)).count(), 1);
    }
}
