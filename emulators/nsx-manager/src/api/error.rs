//! NSX's error body, and the numbers the emulator puts into it.
//!
//! Numbers that clients act upon are the documented ones. Where NSX's number isn't public the emulator uses
//! one of its own that collides with none of those, so a client that keys on it by accident is caught.

use http::StatusCode;
use serde_json::{Value, json};

pub(crate) type Result<T> = std::result::Result<T, ApiError>;

/// Module that most answers name.
pub(crate) const COMMON: &str = "common-services";

/// Object of the path doesn't exist (documented).
pub(crate) const NOT_FOUND: u32 = 600;
/// Object that a body names doesn't exist (documented).
pub(crate) const REFERENT_NOT_FOUND: u32 = 202;
/// `_revision` missing or stale.
pub(crate) const STALE: u32 = 206;
/// Body can't be read, or a field has a wrong value (own number).
pub(crate) const INVALID: u32 = 220;
/// Something else still refers to the object (own number).
pub(crate) const IN_USE: u32 = 289;
/// An attachment or an order that clashes with another object (own number).
pub(crate) const CLASH: u32 = 288;
/// Change of an object of the system (own number).
pub(crate) const SYSTEM_OWNED: u32 = 287;
/// Group member already there, or not there (own number).
pub(crate) const MEMBER: u32 = 286;
/// No room in the block (own number; the documents only say "conflict").
pub(crate) const BLOCK_FULL: u32 = 5120;
/// Pool exhausted (documented).
pub(crate) const POOL_EXHAUSTED: u32 = 5109;
/// Address not in the pool (documented).
pub(crate) const NOT_IN_POOL: u32 = 5110;
/// Address already allocated (documented).
pub(crate) const ALLOCATED: u32 = 5141;
/// A pool range that holds allocations was shrunk (documented).
pub(crate) const RANGE_IN_USE: u32 = 5602;
/// A pool subnet that holds allocations was removed (documented).
pub(crate) const SUBNET_IN_USE: u32 = 5015;
/// Address ranges overlap (documented).
pub(crate) const OVERLAP: u32 = 500_105;
/// XSRF token or session wrong (documented).
pub(crate) const XSRF: u32 = 98;
/// Credentials wrong (documented).
pub(crate) const CREDENTIALS: u32 = 403;

/// An answer other than success, with NSX's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: u32,
    pub(crate) module: &'static str,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: u32, message: impl Into<String>) -> Self {
        ApiError {
            status,
            code,
            module: COMMON,
            message: message.into(),
        }
    }

    pub(crate) fn bad(code: u32, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::bad(INVALID, message)
    }

    pub(crate) fn in_use(id: &str, by: &str) -> Self {
        Self::bad(IN_USE, format!("The object {id} cannot be deleted as {by}."))
    }

    pub(crate) fn not_found(what: &str, id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            NOT_FOUND,
            format!("The requested object : {what}/{id} could not be found."),
        )
    }

    pub(crate) fn no_referent(what: &str, id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            REFERENT_NOT_FOUND,
            format!("The {what} {id} named by the body does not exist."),
        )
    }

    pub(crate) fn stale(id: &str, sent: Option<i64>, current: i64) -> Self {
        let sent = sent.map_or("none".to_owned(), |revision| revision.to_string());
        let message =
            format!("The object {id} is at revision {current}, the request carries {sent}; fetch it again.");
        Self::new(StatusCode::PRECONDITION_FAILED, STALE, message)
    }

    pub(crate) fn conflict(id: &str, sent: i64, current: i64) -> Self {
        let message =
            format!("The section {id} is at revision {current}, the request carries {sent}; fetch it again.");
        Self::new(StatusCode::CONFLICT, STALE, message)
    }

    pub(crate) fn no_such_call(path: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            NOT_FOUND,
            format!("There is nothing at {path}."),
        )
    }

    pub(crate) fn module(mut self, module: &'static str) -> Self {
        self.module = module;
        self
    }

    /// The JSON body of the answer.
    pub(crate) fn body(&self) -> Value {
        json!({
            "httpStatus": status_name(self.status),
            "error_code": self.code,
            "module_name": self.module,
            "error_message": self.message,
        })
    }
}

/// NSX's spelling of a status: the reason phrase in capitals and underscores.
pub(crate) fn status_name(status: StatusCode) -> String {
    let reason = status.canonical_reason().unwrap_or("UNKNOWN");
    reason.to_uppercase().replace([' ', '-'], "_")
}
