//! What goes wrong, where and how often.
//!
//! A [`Fault`] is armed for requests of one service whose path begins with a prefix; each matching
//! request uses it up by one. Faults of event streams and of Locket are switches of their own.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A service of the foundation.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// Tokens.
    Uaa,
    /// Cloud Controller.
    Capi,
    /// Cloud Controller's mutual TLS port.
    CapiInternal,
    /// Diego's BBS.
    Bbs,
    /// Policy server for cells and controllers.
    PolicyInternal,
    /// Policy server for people.
    PolicyExternal,
    /// Diego's lock service.
    Locket,
    /// The control API.
    Control,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// 401 as if the token had expired (code 1000).
    InvalidToken,
    /// Every token stops being valid, then the request is served as usual, that is refused.
    RevokeTokens,
    /// 403, code 10003.
    Forbidden,
    /// 404.
    NotFound,
    /// 429, code 10013, `Content-Type: text/plain`, with `Retry-After` in seconds.
    RateLimited(u64),
    /// 429 of the proxy in front: an HTML page.
    RateLimitedHtml,
    /// 500, code 10001.
    ServerError,
    /// 503, code 10015.
    Unavailable,
    /// 503 with an empty body, as a BBS that is elected but not ready.
    NotReady,
    /// Served after a while.
    Slow(Duration),
    /// The body ends after so many bytes, and the connection is cut.
    Truncated(usize),
    /// The connection is cut without an answer.
    Reset,
    /// A list is answered as empty.
    EmptyList,
    /// After the answer the first row of the page is deleted, so that the next page skips one.
    DeleteBetweenPages,
    /// BBS lists: half of the records, and an error beside them.
    PartialList,
}

/// An armed fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Whose requests.
    pub service: Service,
    /// Beginning of the path; empty for all.
    #[serde(default)]
    pub path: String,
    /// Matching requests let through first.
    #[serde(default)]
    pub after: u32,
    /// Matching requests hit; then the fault is gone.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens.
    pub kind: FaultKind,
}

fn once() -> u32 {
    1
}

impl Fault {
    /// A fault for the next request of a service whose path begins so.
    pub fn once(service: Service, path: impl Into<String>, kind: FaultKind) -> Self {
        Self {
            service,
            path: path.into(),
            after: 0,
            times: 1,
            kind,
        }
    }

    /// The same for so many requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// The same after so many requests have passed.
    #[must_use]
    pub fn after(self, after: u32) -> Self {
        Self { after, ..self }
    }
}

/// Faults of event streams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamFaults {
    /// So many of the next events are never sent.
    pub drop: u32,
    /// So many of the next pairs of events are sent in the wrong order.
    pub swap: u32,
    /// Removed events of instances are sent twice.
    pub duplicate_removed: bool,
    /// Changed events of instances repeat the `after` before last as `before`.
    pub stale_before: bool,
    /// Streams end cleanly after so many events.
    pub end_after: Option<u64>,
    /// Streams are accepted and then silent.
    pub silent: bool,
    /// Instance events come before desired ones that wait at the same time.
    pub instances_first: bool,
}

/// Faults of Locket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LocketFaults {
    /// Every answer takes so long; the work is done before.
    pub slow: Duration,
    /// So many of the next answers are lost (the caller's deadline passes); the work is done.
    pub lose_answers: u32,
    /// Every call fails with `Unavailable`, nothing is done.
    pub down: bool,
}

/// Faults of the policy server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyFaults {
    /// The `*_last_updated` endpoints do not exist.
    pub no_change_tokens: bool,
    /// Every policy is listed twice.
    pub duplicates: bool,
    /// The answer carries the experimental egress keys of 2018 to 2021.
    pub legacy_egress: bool,
}

/// All armed faults.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Vec<Fault>,
}

impl Faults {
    pub(crate) fn arm(&mut self, fault: Fault) {
        self.armed.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.armed.clear();
    }

    /// The fault that hits this request, used up by one.
    pub(crate) fn take(&mut self, service: Service, path: &str) -> Option<FaultKind> {
        let hit = self
            .armed
            .iter()
            .position(|fault| fault.service == service && path.starts_with(&fault.path))?;
        let fault = &mut self.armed[hit];
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        let kind = fault.kind;
        fault.times = fault.times.saturating_sub(1);
        if fault.times == 0 {
            self.armed.remove(hit);
        }
        Some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_waits_hits_and_is_gone() {
        let mut faults = Faults::default();
        faults.arm(
            Fault::once(Service::Capi, "/v3/spaces", FaultKind::Reset)
                .after(1)
                .times(2),
        );
        let mut take = || faults.take(Service::Capi, "/v3/spaces?page=2");
        assert_eq!(
            [take(), take(), take(), take()],
            [None, Some(FaultKind::Reset), Some(FaultKind::Reset), None]
        );
    }

    #[test]
    fn a_fault_hits_only_its_path_and_service() {
        let mut faults = Faults::default();
        faults.arm(Fault::once(Service::Capi, "/v3/spaces", FaultKind::Reset));
        assert_eq!(faults.take(Service::Capi, "/v3/apps"), None);
        assert_eq!(faults.take(Service::Uaa, "/v3/spaces"), None);
    }
}
