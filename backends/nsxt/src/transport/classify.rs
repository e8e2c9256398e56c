//! What an answer other than success means.
//!
//! Decisions go by status and `error_code`, then by the codes of `related_errors`, never by text. All of them are
//! in one table, [`TABLE`], so that a reader finds a code in one place (NSX-T API guide, error codes of the
//! common, search, switching and IPAM services; nsx-mp-api §1.4).

use std::time::Duration;

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use serde_json::Value;

use super::address::ManagerAddress;
use super::error::CallName;

/// What a failed call means for whoever sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// The object, or one that the body names, does not exist. A delete is thereby done.
    Gone,
    /// `_revision` missing or stale: read, apply again, repeat.
    StaleRevision,
    /// A concurrent change got in the way: read, apply again, repeat.
    Conflict,
    /// The object is used by another one: retire the user first.
    InUse,
    /// Something the call needs is not there yet, or an object of that id is still going: repeat a little later.
    NotYet,
    /// Sent too fast. The pace has been lowered already.
    Throttled {
        /// What the manager asked for, if it did.
        retry_after: Option<Duration>,
    },
    /// The manager is overloaded or starting: another one, or later.
    Unavailable {
        /// What the manager asked for, if it did.
        retry_after: Option<Duration>,
    },
    /// The search index is being built or out of step: repeat the search later.
    SearchBusy,
    /// A page too large for the search: halve `page_size`.
    PageTooLarge,
    /// An address or subnet pool has nothing to give: permanent until the pool changes.
    Exhausted,
    /// Credentials are not accepted. Back off long: an account is locked after a few failures.
    Unauthenticated,
    /// The call is wrong as it stands; repeating it unchanged is useless.
    Permanent,
    /// The call may or may not have been applied: read before anything else.
    Uncertain,
    /// Nothing was sent: repeat at will.
    NeverSent,
}

impl Class {
    /// Whether the same call may succeed later without any change.
    pub fn is_passing(self) -> bool {
        matches!(
            self,
            Self::NotYet
                | Self::Throttled { .. }
                | Self::Unavailable { .. }
                | Self::SearchBusy
                | Self::Uncertain
                | Self::NeverSent
        )
    }
}

/// A row of [`TABLE`]: a status (or any), error codes (or any), and what they mean.
struct Row {
    status: Option<u16>,
    codes: &'static [u64],
    class: Class,
}

const fn row(status: u16, codes: &'static [u64], class: Class) -> Row {
    Row {
        status: Some(status),
        codes,
        class,
    }
}

const fn any_status(codes: &'static [u64], class: Class) -> Row {
    Row {
        status: None,
        codes,
        class,
    }
}

const ANY: &[u64] = &[];
const THROTTLED: Class = Class::Throttled { retry_after: None };
const UNAVAILABLE: Class = Class::Unavailable { retry_after: None };

/// First match wins; rows with codes are looked up before rows for any code.
///
/// A 500, 502 or 504 without a known code comes from a service or proxy that may have passed the call on, so it is
/// uncertain, not refused.
const TABLE: &[Row] = &[
    row(400, &[60508, 60514, 60515], Class::SearchBusy),
    row(400, &[60576, 255], Class::PageTooLarge),
    row(400, &[500045], Class::NotYet),
    row(400, &[500030], Class::InUse),
    row(400, &[500087, 500232, 100148], Class::NotYet),
    row(400, &[500105, 8327], Class::Permanent),
    // The status that comes with the IPAM codes is not documented.
    any_status(&[5109], Class::Exhausted),
    any_status(&[5110, 5123, 5141, 5602, 5015, 5016], Class::Permanent),
    row(400, &[23705], Class::Permanent),
    row(403, &[98, 403], Class::Unauthenticated),
    row(403, &[505], Class::Permanent),
    row(404, &[500090], Class::NotYet),
    row(500, &[98, 99], UNAVAILABLE),
    row(500, &[607, 610], Class::Conflict),
    row(401, ANY, Class::Unauthenticated),
    row(404, ANY, Class::Gone),
    row(408, ANY, Class::Uncertain),
    row(409, ANY, Class::Conflict),
    row(412, ANY, Class::StaleRevision),
    row(429, ANY, THROTTLED),
    row(500, ANY, Class::Uncertain),
    row(502, ANY, Class::Uncertain),
    row(503, ANY, UNAVAILABLE),
    row(504, ANY, Class::Uncertain),
];

fn look_up(status: u16, code: Option<u64>) -> Option<Class> {
    let fits = |row: &&Row| {
        row.status.is_none_or(|wanted| wanted == status)
            && match code {
                Some(code) => row.codes.contains(&code),
                None => row.codes.is_empty(),
            }
    };
    TABLE.iter().find(fits).map(|row| row.class)
}

/// One entry of `related_errors`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    /// `error_code`.
    pub error_code: Option<u64>,
    /// `module_name`.
    pub module: Option<String>,
    /// `error_message`.
    pub message: String,
}

/// An answer of a manager other than success.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{manager} refused {call}: {status}{}: {message}", code_text(.error_code, .module))]
pub struct Refusal {
    /// The call.
    pub call: CallName,
    /// Who answered.
    pub manager: ManagerAddress,
    /// HTTP status.
    pub status: StatusCode,
    /// `error_code`, absent when the answer came from a proxy in between.
    pub error_code: Option<u64>,
    /// `module_name`.
    pub module: Option<String>,
    /// `error_message`, or the beginning of a body that isn't JSON.
    pub message: String,
    /// `related_errors`.
    pub related: Vec<Related>,
    /// `Retry-After`, if it came in seconds.
    pub retry_after: Option<Duration>,
}

fn code_text(code: &Option<u64>, module: &Option<String>) -> String {
    match (code, module) {
        (Some(code), Some(module)) => format!(" (error {code} of {module})"),
        (Some(code), None) => format!(" (error {code})"),
        _ => String::new(),
    }
}

/// Longest text taken from an error body; a proxy's HTML page must not fill a log.
const MESSAGE_LIMIT: usize = 400;

impl Refusal {
    /// Reads an error answer. Bodies of NSX's reverse proxy may be plain text, HTML or empty (nsx-mp-api §1.6).
    pub(super) fn read(
        call: CallName,
        manager: ManagerAddress,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Self {
        let parsed = serde_json::from_slice::<Value>(body)
            .ok()
            .filter(Value::is_object);
        let (error_code, module, message) = match &parsed {
            Some(object) => (code_of(object), text(object, "module_name"), message_of(object)),
            None => (None, None, plain(body)),
        };
        Self {
            call,
            manager,
            status,
            error_code,
            module,
            message,
            related: parsed.as_ref().map(related_of).unwrap_or_default(),
            retry_after: retry_after(headers),
        }
    }

    /// What it means.
    pub fn class(&self) -> Class {
        let status = self.status.as_u16();
        let codes = self
            .error_code
            .into_iter()
            .chain(self.related.iter().filter_map(|one| one.error_code));
        let class = codes
            .map(|code| look_up(status, Some(code)))
            .find(Option::is_some)
            .flatten()
            .or_else(|| look_up(status, None))
            .unwrap_or(Class::Permanent);
        match class {
            Class::Throttled { .. } => Class::Throttled {
                retry_after: self.retry_after,
            },
            Class::Unavailable { .. } => Class::Unavailable {
                retry_after: self.retry_after,
            },
            other => other,
        }
    }

    /// Whether a new session may cure it: 401, or 403 with the code of a wrong XSRF token or of an old session.
    pub(super) fn wants_session(&self) -> bool {
        self.class() == Class::Unauthenticated
    }
}

fn code_of(object: &Value) -> Option<u64> {
    let code = &object["error_code"];
    code.as_u64().or_else(|| code.as_str()?.parse().ok())
}

fn text(object: &Value, field: &str) -> Option<String> {
    object[field].as_str().map(clip)
}

fn message_of(object: &Value) -> String {
    ["error_message", "details", "message"]
        .into_iter()
        .find_map(|field| text(object, field))
        .unwrap_or_default()
}

fn related_of(object: &Value) -> Vec<Related> {
    let entries = object["related_errors"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    entries
        .iter()
        .map(|one| Related {
            error_code: code_of(one),
            module: text(one, "module_name"),
            message: message_of(one),
        })
        .collect()
}

fn plain(body: &[u8]) -> String {
    clip(String::from_utf8_lossy(body).trim())
}

fn clip(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse::<u64>()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use http::{HeaderValue, Method};

    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        let call = CallName {
            method: Method::POST,
            path: "/logical-ports".into(),
        };
        let status = StatusCode::from_u16(status).unwrap();
        Refusal::read(
            call,
            "nsx".parse().unwrap(),
            status,
            &HeaderMap::new(),
            body.as_bytes(),
        )
    }

    fn class(status: u16, code: u64) -> Class {
        refusal(status, &format!("{{\"error_code\":{code}}}")).class()
    }

    #[test]
    fn each_documented_answer_has_its_class() {
        let cases = [
            (400, 60508, Class::SearchBusy),
            (400, 60514, Class::SearchBusy),
            (400, 60515, Class::SearchBusy),
            (400, 60576, Class::PageTooLarge),
            (400, 255, Class::PageTooLarge),
            (400, 500045, Class::NotYet),
            (400, 500030, Class::InUse),
            (400, 500087, Class::NotYet),
            (400, 500232, Class::NotYet),
            (400, 100148, Class::NotYet),
            (400, 500105, Class::Permanent),
            (400, 8327, Class::Permanent),
            (400, 5109, Class::Exhausted),
            (409, 5109, Class::Exhausted),
            (404, 5109, Class::Exhausted),
            (400, 5141, Class::Permanent),
            (400, 23705, Class::Permanent),
            (400, 1, Class::Permanent),
            (401, 0, Class::Unauthenticated),
            (403, 98, Class::Unauthenticated),
            (403, 403, Class::Unauthenticated),
            (403, 505, Class::Permanent),
            (403, 1, Class::Permanent),
            (404, 202, Class::Gone),
            (404, 600, Class::Gone),
            (404, 500090, Class::NotYet),
            (405, 0, Class::Permanent),
            (409, 7, Class::Conflict),
            (412, 604, Class::StaleRevision),
            (429, 102, Class::Throttled { retry_after: None }),
            (500, 98, Class::Unavailable { retry_after: None }),
            (500, 99, Class::Unavailable { retry_after: None }),
            (500, 607, Class::Conflict),
            (500, 610, Class::Conflict),
            (500, 1, Class::Uncertain),
            (502, 1, Class::Uncertain),
            (503, 1, Class::Unavailable { retry_after: None }),
            (504, 1, Class::Uncertain),
        ];
        for (status, code, expected) in cases {
            assert_eq!(class(status, code), expected, "{status} with {code}");
        }
    }

    #[test]
    fn a_related_code_decides_when_the_outer_one_is_unknown() {
        let body = r#"{"error_code":4711,"related_errors":[{"error_code":1},{"error_code":5109}]}"#;
        assert_eq!(refusal(400, body).class(), Class::Exhausted);
        let body = r#"{"error_code":500030,"related_errors":[{"error_code":5109}]}"#;
        assert_eq!(refusal(400, body).class(), Class::InUse);
    }

    #[test]
    fn a_full_error_body_is_read() {
        let read = refusal(
            404,
            r#"{"httpStatus":"NOT_FOUND","error_code":600,"module_name":"common-services",
                "error_message":"gone","related_errors":[{"error_code":"8327","error_message":"why"}]}"#,
        );
        assert_eq!(
            (read.error_code, read.module.as_deref()),
            (Some(600), Some("common-services"))
        );
        assert_eq!(read.related[0].error_code, Some(8327));
        let shown = read.to_string();
        assert!(
            shown.contains("POST /logical-ports") && shown.contains("error 600 of common-services"),
            "{shown}"
        );
    }

    #[test]
    fn bodies_that_are_not_json_keep_their_status_and_a_short_text() {
        let page = format!("<html>{}</html>", "x".repeat(5000));
        for body in ["", "Too many requests", "[1,2]", "null", page.as_str()] {
            let read = refusal(429, body);
            assert_eq!(read.class(), Class::Throttled { retry_after: None });
            assert!(read.message.chars().count() <= MESSAGE_LIMIT + 1);
        }
    }

    #[test]
    fn retry_after_in_seconds_is_kept() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
        let call = CallName {
            method: Method::GET,
            path: "/node".into(),
        };
        let read = Refusal::read(
            call,
            "nsx".parse().unwrap(),
            StatusCode::SERVICE_UNAVAILABLE,
            &headers,
            b"",
        );
        assert_eq!(
            read.class(),
            Class::Unavailable {
                retry_after: Some(Duration::from_secs(7))
            }
        );
    }
}
