//! `ncp check` against emulators: what is wrong is said in plain words, with code and next step.

use std::path::Path;

use foundation_emulator::{Foundation, Options as Platform};
use ncp::check::{Finding, Verdict, reach, worst};
use ncp::config::Config;
use ncp::sandbox::{Options, Sandbox};
use nsx_manager_emulator::{Emulator, Fixture, Options as Managers, Tls};

use crate::cli::ncp;
use crate::dir::Dir;

/// The configuration of the sandbox with one text replaced by another.
fn changed(sandbox: &Sandbox, dir: &Dir, from: &str, to: &str) -> Config {
    let text = std::fs::read_to_string(&sandbox.config.file).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    let file = dir.path("changed.ini");
    std::fs::write(&file, text.replace(from, to)).unwrap();
    Config::load(&file).unwrap()
}

fn wrong(findings: &[Finding]) -> Vec<String> {
    let wrong = |f: &&Finding| matches!(f.verdict, Verdict::Failed | Verdict::Mistake);
    findings.iter().filter(wrong).map(ToString::to_string).collect()
}

/// What an operator reads: a code, no nested causes, and what to do.
fn one(findings: &[Finding], subject: &str, code: &str, words: &str, next: &str) {
    let text = wrong(findings);
    let found = text.iter().any(|line| {
        line.contains(subject) && line.contains(code) && line.contains(words) && line.contains(next)
    });
    assert!(
        found,
        "{subject} {code} {words} -> {next}, but was:\n{}",
        text.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_is_well_and_each_mistake_is_told() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let dir = Dir::new();
    let findings = reach(&sandbox.config).await;
    assert_eq!(worst(&findings), Verdict::Good, "{findings:#?}");
    let all = findings
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n");
    for words in [
        "version 2.4",
        "v3",
        "active",
        "passive",
        "is free",
        "gives out a token",
        "change token",
    ] {
        assert!(all.contains(words), "{words} in\n{all}");
    }

    // Wrong names are told all at once, each with its option.
    let names = changed(&sandbox, &dir, "= snat-pool", "= no-such-pool");
    std::fs::write(
        dir.path("changed.ini"),
        std::fs::read_to_string(&names.file)
            .unwrap()
            .replace("= tier0\n", "= no-such-router\n"),
    )
    .unwrap();
    let config = Config::load(&names.file).unwrap();
    let findings = reach(&config).await;
    one(&findings, "objects on NSX", "NCP00069", "external_ip_pools", "->");
    one(&findings, "objects on NSX", "NCP00075", "no-such-router", "->");
    assert_eq!(worst(&findings), Verdict::Mistake);
    let file = config.file.to_str().unwrap();
    assert_eq!(ncp(&["check", "--config", file]).status.code(), Some(78));
    assert_eq!(
        ncp(&["check", "--offline", "--config", file]).status.code(),
        Some(0)
    );
    assert_eq!(ncp(&["run", "--config", file]).status.code(), Some(78));
    assert_eq!(ncp(&["plan", "--config", file]).status.code(), Some(78));

    let password = changed(&sandbox, &dir, "VMware1!VMware1!", "guess");
    let findings = reach(&password).await;
    one(
        &findings,
        "NSX manager",
        "NCP00009",
        "user name and password",
        "nsx_api_password",
    );
    assert!(!format!("{findings:?}").contains("guess"));

    let secret = sandbox.foundation.credentials().client_secret;
    let client = changed(
        &sandbox,
        &dir,
        &format!("uaa_client_secret = {secret}"),
        "uaa_client_secret = wrong",
    );
    one(
        &reach(&client).await,
        "UAA",
        "NCP",
        "refuses client",
        "uaa_client_secret",
    );

    let sources = changed(&sandbox, &dir, "platform_sources = 10.0.4.0/24", "");
    let findings = reach(&sources).await;
    one(&findings, "platform_sources", "NCP00001", "denied", "10.0.4.0/24");
    assert_eq!(wrong(&findings).len(), 1);
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_answer_is_told() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    sandbox.managers.kill(1).await.unwrap();
    let findings = reach(&sandbox.config).await;
    let down = sandbox.managers.urls()[1].clone();
    one(&findings, &down, "NCP00009", "nobody listens", "nsx_api_managers");
    // The two others are asked for the objects.
    assert_eq!(wrong(&findings).len(), 1, "{findings:#?}");
    assert_eq!(worst(&findings), Verdict::Failed);

    let config = sandbox.config.clone();
    sandbox.foundation.stop().await;
    let findings = reach(&config).await;
    for (subject, option) in [
        ("UAA", "uaa_url"),
        ("Cloud Controller", "capi_url"),
        ("BBS", "bbs_urls"),
        ("policy server", "policy_server_url"),
        ("Locket", "locket_addresses"),
    ] {
        one(&findings, subject, "NCP", "nobody listens", option);
    }
    sandbox.managers.stop().await;
}

/// Everything over TLS, mutual where the platform has it so.
struct Encrypted {
    dir: Dir,
    foundation: Foundation,
    managers: Emulator,
    text: String,
}

impl Encrypted {
    async fn start() -> Encrypted {
        let dir = Dir::new();
        let foundation = Foundation::start(Platform {
            tls: true,
            ..Platform::default()
        })
        .await
        .unwrap();
        let managers = Emulator::start(Managers {
            tls: Tls::On { client_auth: false },
            ..Managers::default()
        })
        .await
        .unwrap();
        managers.fixture(&Fixture::default()).unwrap();
        let certificates = foundation.certificates().unwrap();
        let pem = |name: &str, text: &str| {
            let path = dir.path(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let ca = pem("ca.pem", &certificates.ca);
        let cert = pem("client.pem", &certificates.client_cert);
        let key = pem("client.key", &certificates.client_key);
        let nsx = pem("nsx-ca.pem", &managers.ca_pem().unwrap());
        let (ends, who) = (foundation.endpoints(), foundation.credentials());
        let text = format!(
            "[coe]\nadaptor = pcf\ncluster = c1\n[nsx_v3]\nnsx_api_managers = {managers}\nnsx_api_user = admin\n\
             nsx_api_password = VMware1!VMware1!\nca_file = {nsx}\ntier0_router = tier0\noverlay_tz = overlay-tz\n\
             container_ip_blocks = container-block-1\nexternal_ip_pools = snat-pool\n[cf]\n\
             uaa_url = {uaa}\nuaa_ca_file = {ca}\nuaa_client_id = {client}\nuaa_client_secret = {secret}\n\
             capi_url = {capi}\ncapi_ca_file = {ca}\ncapi_internal_url = {internal}\ncapi_internal_ca_cert = {ca}\n\
             capi_internal_client_cert = {cert}\ncapi_internal_client_key = {key}\n\
             bbs_urls = {bbs}\nbbs_ca_cert = {ca}\nbbs_client_cert = {cert}\nbbs_client_key = {key}\n\
             policy_server_url = {policy}\npolicy_ca_cert = {ca}\npolicy_client_cert = {cert}\n\
             policy_client_key = {key}\nlocket_addresses = {locket}\nlocket_ca_cert = {ca}\n\
             locket_client_cert = {cert}\nlocket_client_key = {key}\nplatform_sources = 10.0.4.0/24\n",
            managers = managers.urls().join(", "),
            uaa = ends.uaa,
            client = who.client_id,
            secret = who.client_secret,
            capi = ends.capi,
            internal = ends.capi_internal,
            bbs = ends.bbs.join(", "),
            policy = ends.policy_internal,
            locket = ends.locket.trim_start_matches("https://"),
        );
        Encrypted {
            dir,
            foundation,
            managers,
            text,
        }
    }

    fn config(&self, text: &str) -> Config {
        let file = self.dir.path("ncp.ini");
        std::fs::write(&file, text).unwrap();
        Config::load(Path::new(&file)).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_certificates_are_told_apart() {
    let world = Encrypted::start().await;
    let findings = reach(&world.config(&world.text)).await;
    assert_eq!(wrong(&findings), Vec::<String>::new());

    // The platform's authority in place of the managers', and the other way round.
    let swapped = world
        .text
        .replace("/nsx-ca.pem", "/@")
        .replace("/ca.pem", "/nsx-ca.pem")
        .replace("/@", "/ca.pem");
    let findings = reach(&world.config(&swapped)).await;
    let words = "an authority that is not trusted";
    for (subject, option) in [
        ("NSX manager", "ca_file"),
        ("UAA", "uaa_ca_file"),
        ("Cloud Controller", "capi_ca_file"),
        ("BBS", "bbs_ca_cert"),
        ("policy server", "policy_ca_cert"),
        ("Locket", "locket_ca_cert"),
    ] {
        one(&findings, subject, "NCP", words, option);
    }
    assert_eq!(worst(&findings), Verdict::Mistake);

    // A client certificate that nobody there knows.
    let stranger = Emulator::start(Managers {
        tls: Tls::On { client_auth: true },
        ..Managers::default()
    })
    .await
    .unwrap();
    let strange = stranger.issue_client("stranger").unwrap().unwrap();
    std::fs::write(world.dir.path("client.pem"), strange.certificate).unwrap();
    std::fs::write(world.dir.path("client.key"), strange.key).unwrap();
    let findings = reach(&world.config(&world.text)).await;
    for (subject, option) in [
        ("BBS", "bbs_client_cert"),
        ("policy server", "policy_client_cert"),
        ("Locket", "locket_client_cert"),
    ] {
        one(&findings, subject, "NCP", "", option);
    }
    stranger.stop().await;
    world.foundation.stop().await;
    world.managers.stop().await;
}
