//! Cloud Foundry's far ends.

use std::error::Error;
use std::time::Duration;

use futures::future::join_all;
use ncp_core::adapter::AdapterError;
use ncp_core::code::Code;
use ncp_pcf::bbs::{BbsClient, BbsOptions};
use ncp_pcf::capi::{CapiClient, CapiUpdate, CapiWatch, WatchOptions};
use ncp_pcf::http::{HttpError, Peer, PeerOptions};
use ncp_pcf::locket::{LocketClient, LocketError, Locks};
use ncp_pcf::policy_server::PolicyClient;
use ncp_pcf::status::{Health, chain};
use ncp_pcf::uaa::{TokenSource, UaaError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::cause::{self, Cause, Options};
use super::{Finding, Verdict};
use crate::config::{Config, MutualEndpoint};
use crate::wiring::platform as clients;

/// How long a single far end is waited for.
const LIMIT: Duration = Duration::from_secs(10);
/// How long Cloud Controller's listings are waited for.
const LISTINGS: Duration = Duration::from_secs(60);

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let (uaa, capi, bbs, policies, locket) = tokio::join!(
        uaa(config),
        capi(config),
        bbs(config),
        policy_server(config),
        locket(config)
    );
    let mut findings = vec![uaa];
    findings.extend(capi);
    findings.extend(bbs);
    findings.push(policies);
    findings.extend(locket);
    findings
}

async fn uaa(config: &Config) -> Finding {
    const OPTIONS: Options = Options {
        address: "[cf] uaa_url",
        ca: "[cf] uaa_ca_file",
        client: "[cf] uaa_client_id",
    };
    let subject = format!("UAA {}", config.foundation.uaa.url);
    let peer = match clients::endpoint(&config.foundation.uaa).and_then(peer) {
        Ok(peer) => peer,
        Err(error) => return unusable(subject, &error),
    };
    let tokens = TokenSource::new(peer, clients::credentials(&config.foundation));
    match within(tokens.bearer()).await {
        Some(Ok(_)) => Finding::good(
            subject,
            format!("gives out a token for client {}", config.foundation.client_id),
        ),
        Some(Err(error @ UaaError::Refused { .. })) => Finding::wrong(
            subject,
            Verdict::Mistake,
            Code::PcfCapiConnectionFailed,
            error.to_string(),
            "correct [cf] uaa_client_id and uaa_client_secret",
        ),
        Some(Err(error)) => failed(subject, Code::PcfCapiConnectionFailed, &error, OPTIONS),
        None => silent(subject, Code::PcfCapiConnectionFailed, OPTIONS),
    }
}

const CAPI: Options = Options {
    address: "[cf] capi_url",
    ca: "[cf] capi_ca_file",
    client: "[cf] uaa_client_id",
};

async fn capi(config: &Config) -> Vec<Finding> {
    let subject = format!("Cloud Controller {}", config.foundation.capi.url);
    let made = clients::capi(&config.foundation).map(CapiClient::new);
    let client = match made {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => {
            return vec![Finding::wrong(
                subject,
                Verdict::Mistake,
                Code::PcfCapiConnectionFailed,
                chain(&error),
                "correct the certificates of [cf] capi_ca_file and capi_internal_*",
            )];
        }
        Err(error) => return vec![unusable(subject, &error)],
    };
    let versions = match within(client.versions()).await {
        Some(Ok(versions)) => versions,
        Some(Err(error)) => return vec![failed(subject, Code::PcfCapiConnectionFailed, &error, CAPI)],
        None => return vec![silent(subject, Code::PcfCapiConnectionFailed, CAPI)],
    };
    let api = if versions.v3 { "v3" } else { "v2" };
    let mut findings = vec![listing(subject, api, client.clone()).await];
    if let Some(internal) = &config.foundation.capi_internal {
        let subject = format!("Cloud Controller's change token {}", address(internal));
        findings.push(match within(client.change_token()).await.flatten() {
            Some(_) => Finding::good(subject, "answers; security groups are not polled"),
            None => Finding::wrong(
                subject,
                Verdict::Failed,
                Code::PcfCapiConnectionFailed,
                "gives no change token, so security groups would be polled",
                "check [cf] capi_internal_url and its certificates, or leave the option out on a foundation that \
                 is too old for it",
            ),
        });
    }
    findings
}

/// One listing of the organizations: what a client that lacks an authority does not get.
async fn listing(subject: String, api: &str, client: CapiClient) -> Finding {
    let watch = CapiWatch::new(client, WatchOptions::default());
    let status = watch.status();
    let (to, mut updates) = mpsc::channel(16);
    let stop = CancellationToken::new();
    let found = async {
        loop {
            tokio::select! {
                update = updates.recv() => match update {
                    Some(CapiUpdate::Organizations(listing)) => return Ok(listing.items.len()),
                    Some(_) => {}
                    None => return Err(None),
                },
                // The watch goes on trying; the first failure is enough here.
                () = tokio::time::sleep(Duration::from_millis(50)) => {
                    if let Health::Unhealthy { why, .. } = status.snapshot().health {
                        return Err(Some(why));
                    }
                }
            }
        }
    };
    let found = tokio::select! {
        found = tokio::time::timeout(LISTINGS, found) => found.unwrap_or(Err(None)),
        () = watch.run(to, stop) => Err(None),
    };
    let code = Code::PcfCapiConnectionFailed;
    match found {
        Ok(0) => Finding::note(
            subject,
            format!(
                "answers ({api}), and shows no organization; unless there is none, give the UAA client the \
                 authority cloud_controller.admin_read_only"
            ),
        ),
        Ok(count) => Finding::good(subject, format!("answers ({api}), {count} organizations")),
        Err(Some(why)) => Finding::wrong(
            subject,
            Verdict::Failed,
            code,
            why,
            "see whether Cloud Controller is well, and whether the UAA client has the authority \
             cloud_controller.admin_read_only",
        ),
        Err(None) => Finding::wrong(
            subject,
            Verdict::Failed,
            code,
            format!(
                "gave no whole listing of organizations in {} s",
                LISTINGS.as_secs()
            ),
            "see whether Cloud Controller is well, and try again",
        ),
    }
}

const BBS: Options = Options {
    address: "[cf] bbs_urls",
    ca: "[cf] bbs_ca_cert",
    client: "[cf] bbs_client_cert and bbs_client_key",
};

/// One BBS is active; the others do not listen or say that they are not ready.
async fn bbs(config: &Config) -> Vec<Finding> {
    let all = match clients::mutual(&config.foundation.bbs) {
        Ok(all) => all,
        Err(error) => return vec![unusable("BBS".to_owned(), &error)],
    };
    let each: Vec<(String, PeerOptions)> = if all.addresses.is_empty() {
        vec![(config.foundation.bbs.urls[0].to_string(), all)]
    } else {
        let one = |address: &String| {
            let mut one = all.clone();
            one.addresses = vec![address.clone()];
            (address.clone(), one)
        };
        all.addresses.iter().map(one).collect()
    };
    let asked = join_all(each.into_iter().map(|(name, options)| one_bbs(name, options))).await;
    let active = asked.iter().any(|(_, finding)| finding.verdict == Verdict::Good);
    let passive = |(cause, finding): (Option<Cause>, Finding)| match cause {
        Some(Cause::NobodyListens) | None if active && finding.verdict == Verdict::Failed => Finding::good(
            finding.subject,
            "passive: does not answer while another one is active",
        ),
        _ => finding,
    };
    asked.into_iter().map(passive).collect()
}

async fn one_bbs(name: String, options: PeerOptions) -> (Option<Cause>, Finding) {
    let subject = format!("BBS {name}");
    let code = Code::PcfBbsConnectionFailed;
    let client = match BbsClient::new(BbsOptions::new(options)) {
        Ok(client) => client,
        Err(error) => return (None, certificates(subject, code, &error, BBS)),
    };
    match within(client.ping()).await {
        Some(Ok(true)) => (None, Finding::good(subject, "active")),
        Some(Ok(false)) => (
            None,
            Finding::wrong(
                subject,
                Verdict::Failed,
                code,
                "answers, and says that it is not available",
                "see whether the BBS and its database are well",
            ),
        ),
        Some(Err(error)) => (cause::of(&error), failed(subject, code, &error, BBS)),
        None => (Some(Cause::NoAnswer), silent(subject, code, BBS)),
    }
}

async fn policy_server(config: &Config) -> Finding {
    const OPTIONS: Options = Options {
        address: "[cf] policy_server_url",
        ca: "[cf] policy_ca_cert",
        client: "[cf] policy_client_cert and policy_client_key",
    };
    let endpoint = &config.foundation.policy_server;
    let subject = format!("policy server {}", address(endpoint));
    let code = Code::PcfPolicyServerConnectionFailed;
    let client = match clients::mutual(endpoint).map(PolicyClient::new) {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return certificates(subject, code, &error, OPTIONS),
        Err(error) => return unusable(subject, &error),
    };
    match within(client.policies()).await {
        Some(Ok((policies, refused))) if refused.is_empty() => {
            Finding::good(subject, format!("{} policies", policies.len()))
        }
        Some(Ok((policies, refused))) => Finding::note(
            subject,
            format!(
                "{} policies, and {} that can't be understood and have no effect",
                policies.len(),
                refused.len()
            ),
        ),
        Some(Err(error)) => failed(subject, code, &error, OPTIONS),
        None => silent(subject, code, OPTIONS),
    }
}

async fn locket(config: &Config) -> Vec<Finding> {
    const OPTIONS: Options = Options {
        address: "[cf] locket_addresses",
        ca: "[cf] locket_ca_cert",
        client: "[cf] locket_client_cert and locket_client_key",
    };
    if !config.ha.enable {
        return vec![Finding::note(
            "Locket",
            "not used, since [ha] enable is False; run one controller only",
        )];
    }
    let code = Code::PcfBbsConnectionFailed;
    let key = &config.foundation.locket.key;
    let one = async |address: &String| {
        let subject = format!("Locket {address}");
        let client = clients::locket(&config.foundation.locket).map(|mut options| {
            options.addresses = vec![address.clone()];
            LocketClient::new(&options)
        });
        let client = match client {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => return certificates(subject, code, &error, OPTIONS),
            Err(error) => return unusable(subject, &error),
        };
        match client.fetch(key, LIMIT).await {
            Ok(Some(holder)) => Finding::good(subject, format!("lock {key} is held by {}", holder.owner)),
            Ok(None) => Finding::good(subject, format!("lock {key} is free")),
            Err(LocketError::Timeout(_)) => silent(subject, code, OPTIONS),
            Err(LocketError::Call(status)) => {
                let text = LocketError::Call(status.clone()).to_string();
                explained(subject, code, cause::of(&*status), text, OPTIONS)
            }
            Err(error) => failed(subject, code, &error, OPTIONS),
        }
    };
    let addresses: Vec<String> = config
        .foundation
        .locket
        .addresses
        .iter()
        .map(ToString::to_string)
        .collect();
    join_all(addresses.iter().map(one)).await
}

fn peer(options: PeerOptions) -> Result<Peer, AdapterError> {
    Peer::new(options).map_err(|error| AdapterError {
        code: Code::CertificateNotFound,
        message: chain(&error),
    })
}

fn address(endpoint: &MutualEndpoint) -> String {
    let urls = endpoint.urls.iter().map(ToString::to_string);
    urls.collect::<Vec<_>>().join(", ")
}

async fn within<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(LIMIT, work).await.ok()
}

fn unusable(subject: String, error: &AdapterError) -> Finding {
    Finding::wrong(
        subject,
        Verdict::Mistake,
        error.code,
        error.message.clone(),
        error.code.next_step(),
    )
}

fn certificates(subject: String, code: Code, error: &(dyn Error + 'static), by: Options) -> Finding {
    let next = format!("correct {}, {} and {}", by.address, by.ca, by.client);
    Finding::wrong(subject, Verdict::Mistake, code, chain(error), next)
}

fn silent(subject: String, code: Code, by: Options) -> Finding {
    let cause = Cause::NoAnswer;
    Finding::wrong(subject, Verdict::Failed, code, cause.text(), cause.next(by))
}

fn failed(subject: String, code: Code, error: &(dyn Error + 'static), by: Options) -> Finding {
    if status(error).is_some_and(|status| matches!(status, 401 | 403)) {
        let next = format!("check what {} may do on the server", by.client);
        return Finding::wrong(subject, Verdict::Failed, code, chain(error), next);
    }
    explained(subject, code, cause::of(error), chain(error), by)
}

/// By its cause where that is known, else by its text.
fn explained(subject: String, code: Code, cause: Option<Cause>, text: String, by: Options) -> Finding {
    let Some(cause) = cause else {
        let next = "see whether the server is well, and try again";
        return Finding::wrong(subject, Verdict::Failed, code, text, next);
    };
    let verdict = if cause.is_mistake() {
        Verdict::Mistake
    } else {
        Verdict::Failed
    };
    Finding::wrong(subject, verdict, code, cause.text(), cause.next(by))
}

/// The HTTP status among an error's causes.
fn status(error: &(dyn Error + 'static)) -> Option<u16> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(http) = error.downcast_ref::<HttpError>() {
            return http.status().map(|status| status.as_u16());
        }
        next = error.source();
    }
    None
}
