//! `ncp check`: does what the configuration names answer, and is it what it should be?
//!
//! Everything is asked with the clients that the controller uses, each far end apart and all of them at
//! once, and nothing is changed: no lock is taken, no object written. A [`Finding`] says in plain words
//! what was found and, where something is wrong, the code and what to do.

mod cause;
mod network;
mod platform;

use std::fmt;

use ncp_core::code::Code;

use crate::config::Config;

/// How one thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// It does not answer; that may pass.
    Failed,
    /// The configuration, or what it names, must be mended.
    Mistake,
}

/// What was found of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub subject: String,
    /// How it is.
    pub verdict: Verdict,
    /// Code of what is wrong.
    pub code: Option<Code>,
    /// What was found.
    pub text: String,
    /// What to do.
    pub next: Option<String>,
}

impl Finding {
    fn good(subject: impl Into<String>, text: impl Into<String>) -> Finding {
        Finding {
            subject: subject.into(),
            verdict: Verdict::Good,
            code: None,
            text: text.into(),
            next: None,
        }
    }

    fn note(subject: impl Into<String>, text: impl Into<String>) -> Finding {
        Finding {
            verdict: Verdict::Note,
            ..Finding::good(subject, text)
        }
    }

    fn wrong(
        subject: impl Into<String>,
        verdict: Verdict,
        code: Code,
        text: impl Into<String>,
        next: impl Into<String>,
    ) -> Finding {
        Finding {
            verdict,
            code: Some(code),
            next: Some(next.into()),
            ..Finding::good(subject, text)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.verdict {
            Verdict::Good => "ok   ",
            Verdict::Note => "note ",
            Verdict::Failed | Verdict::Mistake => "FAIL ",
        };
        write!(f, "{sign} {}: ", self.subject)?;
        if let Some(code) = self.code {
            write!(f, "{code} ")?;
        }
        write!(f, "{}", self.text)?;
        match &self.next {
            Some(next) => write!(f, "\n      -> {next}"),
            None => Ok(()),
        }
    }
}

/// Asks everything that the configuration names.
pub async fn reach(config: &Config) -> Vec<Finding> {
    let (mut findings, platform) = tokio::join!(network::look(config), platform::look(config));
    findings.extend(platform);
    findings.extend(platform_sources(config));
    findings
}

/// The worst of all.
pub fn worst(findings: &[Finding]) -> Verdict {
    let rank = |verdict: Verdict| match verdict {
        Verdict::Good => 0,
        Verdict::Note => 1,
        Verdict::Failed => 2,
        Verdict::Mistake => 3,
    };
    let verdicts = findings.iter().map(|finding| finding.verdict);
    verdicts.max_by_key(|v| rank(*v)).unwrap_or(Verdict::Good)
}

/// Without them every app is cut off from its routers, which no other message would tell.
fn platform_sources(config: &Config) -> Option<Finding> {
    config.cf.platform_sources.is_empty().then(|| {
        Finding::wrong(
            "[cf] platform_sources",
            Verdict::Mistake,
            Code::InvalidConfiguration,
            "no network is named from which the platform dials containers, so its routers, TCP routers and SSH \
             proxies would be denied",
            "set platform_sources to their networks, such as 10.0.4.0/24",
        )
    })
}
