//! Who asked what: so that a test can say "no requests per app in steady state".

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::faults::Service;

/// Requests kept one by one; older ones live on in the counts.
const KEPT: usize = 50_000;

/// One request that was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestEntry {
    /// Who was asked.
    pub service: Service,
    /// HTTP method, or `gRPC`.
    pub method: String,
    /// Path with its query.
    pub path: String,
    /// HTTP status; 0 if the connection was cut.
    pub status: u16,
}

/// The log and its counts.
#[derive(Debug, Default)]
pub struct RequestLog {
    entries: VecDeque<RequestEntry>,
    counts: BTreeMap<(Service, String), u64>,
}

impl RequestLog {
    /// Notes one request.
    pub fn note(&mut self, entry: RequestEntry) {
        let pattern = format!("{} {}", entry.method, pattern(&entry.path));
        *self.counts.entry((entry.service, pattern)).or_default() += 1;
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// The latest requests, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &RequestEntry> {
        self.entries.iter()
    }

    /// Number of requests by service and `METHOD path`, guids replaced by `:guid`, without queries.
    pub fn counts(&self) -> &BTreeMap<(Service, String), u64> {
        &self.counts
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

fn pattern(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let parts = path.split('/').map(|part| {
        if uuid::Uuid::try_parse(part).is_ok() {
            ":guid"
        } else {
            part
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_by_pattern() {
        let mut log = RequestLog::default();
        for guid in [
            "0b2c1d3e-1111-4222-8333-444455556666",
            "0b2c1d3e-1111-4222-8333-444455556667",
        ] {
            let path = format!("/v3/apps/{guid}/env?x=1");
            log.note(RequestEntry {
                service: Service::Capi,
                method: "GET".into(),
                path,
                status: 200,
            });
        }
        assert_eq!(
            log.counts()[&(Service::Capi, "GET /v3/apps/:guid/env".to_owned())],
            2
        );
        assert_eq!(log.entries().count(), 2);
    }
}
