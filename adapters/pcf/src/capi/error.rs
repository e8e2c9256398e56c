//! What Cloud Controller answers when it doesn't answer what was asked.

use std::time::Duration;

use serde::Deserialize;

use super::Unsteady;
use crate::http::HttpError;
use crate::tls::TlsError;
use crate::uaa::UaaError;

/// Cloud Controller's own description of an error, in its v3 or v2 form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiError {
    /// Number, as in Cloud Controller's error tables; 0 when the body held none.
    pub code: u64,
    /// Name, such as `CF-InvalidAuthToken`.
    pub title: String,
    /// Text for people.
    pub detail: String,
}

/// Number of `CF-InvalidAuthToken`.
pub(super) const INVALID_TOKEN: u64 = 1000;

impl ApiError {
    /// Reads an error body. A proxy's HTML page gives the default.
    pub(super) fn read(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct V3 {
            errors: Vec<V3Item>,
        }
        #[derive(Deserialize)]
        struct V3Item {
            code: u64,
            #[serde(default)]
            title: String,
            #[serde(default)]
            detail: String,
        }
        #[derive(Deserialize)]
        struct V2 {
            code: u64,
            #[serde(default)]
            error_code: String,
            #[serde(default)]
            description: String,
        }
        let v3 = serde_json::from_slice(body).ok().and_then(|V3 { errors }| {
            let first = errors.into_iter().next()?;
            Some((first.code, first.title, first.detail))
        });
        let v2 = || {
            let V2 {
                code,
                error_code,
                description,
            } = serde_json::from_slice(body).ok()?;
            Some((code, error_code, description))
        };
        let (code, title, detail) = v3.or_else(v2).unwrap_or_default();
        Self { code, title, detail }
    }
}

/// Why a request to Cloud Controller brought nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CapiError {
    /// Transport, status or body.
    #[error("Cloud Controller gave no usable answer")]
    Http(#[from] HttpError),
    /// No token.
    #[error("no token for Cloud Controller")]
    Uaa(#[from] UaaError),
    /// Cloud Controller refused with an error of its own.
    #[error("Cloud Controller answered {status} {} ({}: {}){}", .error.title, .error.code, .error.detail, advice(*.status))]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its error.
        error: ApiError,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The listing changed each time while it was read.
    #[error("the listing of {kind} changed while it was read, {attempts} times in a row; trying again later")]
    Unsteady {
        /// What was listed.
        kind: &'static str,
        /// How often it was begun.
        attempts: u32,
        /// What changed the last time.
        #[source]
        source: Unsteady,
    },
    /// The root document offers neither API.
    #[error("{0} offers neither the v3 nor the v2 API; check the address of Cloud Controller")]
    NoVersion(String),
    /// The root document names no UAA and none is configured.
    #[error("no UAA is configured and the root document names none; configure its address")]
    NoUaa,
    /// Certificates that can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

fn advice(status: u16) -> &'static str {
    match status {
        401 => "; check the UAA that Cloud Controller trusts",
        403 => "; the client needs cloud_controller.admin_read_only or cloud_controller.global_auditor",
        _ => "",
    }
}

impl CapiError {
    /// The guide's code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Tls(error) => error.code(),
            _ => crate::codes::CAPI_CONNECTION,
        }
    }

    /// HTTP status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// How long the server asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::Uaa(error) => error.retry_after(),
            Self::Http(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Takes the error body of a refusal apart.
    pub(super) fn from_http(error: HttpError) -> Self {
        match error {
            HttpError::Status {
                status,
                retry_after,
                ref body,
                ..
            } => Self::Refused {
                status: status.as_u16(),
                error: ApiError::read(body),
                retry_after,
            },
            other => Self::Http(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_error_forms_are_read_and_others_survived() {
        let v3 =
            ApiError::read(br#"{"errors":[{"code":10010,"title":"CF-ResourceNotFound","detail":"gone"}]}"#);
        assert_eq!((v3.code, v3.title.as_str()), (10010, "CF-ResourceNotFound"));
        let v2 = ApiError::read(br#"{"code":1000,"error_code":"CF-InvalidAuthToken","description":"bad"}"#);
        assert_eq!(
            (v2.code, v2.title.as_str()),
            (INVALID_TOKEN, "CF-InvalidAuthToken")
        );
        assert_eq!(ApiError::read(b"<html>429</html>"), ApiError::default());
    }
}
