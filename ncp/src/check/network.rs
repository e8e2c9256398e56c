//! The managers, each by itself, and the operator's objects on them.

use futures::future::join_all;
use ncp_core::code::Code;
use ncp_nsxt::manager::EnvironmentError;
use ncp_nsxt::transport::{Api, Class, TransportError, Version};
use ncp_pcf::status::chain;

use super::cause::{self, Options};
use super::{Finding, Verdict};
use crate::config::{Config, Login};
use crate::wiring::network::{brief, environment, single};

const OPTIONS: Options = Options {
    address: "[nsx_v3] nsx_api_managers",
    ca: "[nsx_v3] ca_file",
    client: "[nsx_v3] nsx_api_cert_file",
};

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let managers = (0..config.managers.list.len()).map(|index| manager(config, index));
    let mut findings = join_all(managers).await;
    let any = findings
        .iter()
        .any(|f| matches!(f.verdict, Verdict::Good | Verdict::Note));
    findings.extend(if any {
        objects(config).await
    } else {
        vec![Finding::note(
            "objects on NSX",
            "not looked at, since no manager can be worked with",
        )]
    });
    findings
}

async fn manager(config: &Config, index: usize) -> Finding {
    let subject = format!("NSX manager {}", config.managers.list[index].0);
    let api = match single(config, index) {
        Ok(api) => api,
        Err(error) => {
            let next = "correct the option or the file that it names";
            return Finding::wrong(
                subject,
                Verdict::Mistake,
                Code::InvalidNsxConfiguration,
                chain(&error),
                next,
            );
        }
    };
    let status = api.start().await;
    match api.version().await {
        Ok(version) => {
            let rate = status.endpoints.first().map_or(0.0, |one| one.rate);
            release(subject, version, rate, &api)
        }
        Err(error) => refused(config, subject, &error),
    }
}

fn release(subject: String, version: Version, rate: f64, api: &Api) -> Finding {
    let text = format!("version {version}, asked at most {rate:.0} times a second");
    if version.at_least(9, 0) {
        let next = "NSX 9 has no manager API any more; this version of the controller needs 2.3 to 4";
        return Finding::wrong(
            subject,
            Verdict::Mistake,
            Code::InvalidNsxConfiguration,
            text,
            next,
        );
    }
    if !version.at_least(2, 3) {
        return Finding::note(subject, format!("{text}; older than 2.3, which is not tested"));
    }
    let down = api.status().endpoints.into_iter().find(|one| !one.up);
    match down.and_then(|one| one.last_error) {
        Some(why) => Finding::note(subject, format!("{text}; says that it is not well: {why}")),
        None => Finding::good(subject, text),
    }
}

fn refused(config: &Config, subject: String, error: &TransportError) -> Finding {
    let code = Code::NsxConnectionFailed;
    if let Some(cause) = cause::of(error) {
        let verdict = if cause.is_mistake() {
            Verdict::Mistake
        } else {
            Verdict::Failed
        };
        return Finding::wrong(subject, verdict, code, cause.text(), cause.next(OPTIONS));
    }
    match error.class() {
        Class::Unauthenticated => {
            let (text, next) = match config.managers.login {
                Login::Password { .. } => (
                    "it refuses user name and password",
                    "correct [nsx_v3] nsx_api_user and nsx_api_password",
                ),
                Login::Certificate(_) => (
                    "it knows no principal identity with the client certificate",
                    "register the certificate of [nsx_v3] nsx_api_cert_file as a principal identity",
                ),
            };
            Finding::wrong(subject, Verdict::Mistake, code, text, next)
        }
        _ => Finding::wrong(
            subject,
            Verdict::Failed,
            code,
            chain(error),
            "see whether the manager is well, and try again",
        ),
    }
}

async fn objects(config: &Config) -> Vec<Finding> {
    const SUBJECT: &str = "objects on NSX";
    let api = match brief(config) {
        Ok(api) => api,
        // Said for the managers already.
        Err(_) => return Vec::new(),
    };
    api.start().await;
    match environment(config, &api).await {
        Ok(found) => vec![Finding::good(
            SUBJECT,
            format!(
                "tier-0 router, transport zone, {} address blocks, {} pools{}",
                found.container_blocks.len() + found.routed_blocks.len(),
                found.external_pools.len(),
                if found.top_marker.is_some() || found.bottom_marker.is_some() {
                    " and firewall markers are there"
                } else {
                    " are there"
                }
            ),
        )],
        Err(EnvironmentError(failures)) => failures
            .into_iter()
            .map(|failure| {
                let verdict = if failure.code == Code::NsxConnectionFailed {
                    Verdict::Failed
                } else {
                    Verdict::Mistake
                };
                let next = failure.code.next_step();
                Finding::wrong(SUBJECT, verdict, failure.code, failure.message.to_string(), next)
            })
            .collect(),
    }
}
