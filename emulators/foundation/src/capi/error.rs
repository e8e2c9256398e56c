//! Errors in Cloud Controller's words. Source: `errors/v2.yml`, `errors/v3.yml`.

use crate::model::error::WorldError;
use crate::serve;
use crate::web::Reply;

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    status: u16,
    code: u32,
    title: &'static str,
    detail: String,
}

impl ApiError {
    fn new(status: u16, code: u32, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            title,
            detail: detail.into(),
        }
    }

    pub(crate) fn not_authenticated() -> Self {
        Self::new(401, 10002, "CF-NotAuthenticated", "Authentication error")
    }

    pub(crate) fn invalid_token() -> Self {
        Self::new(401, 1000, "CF-InvalidAuthToken", "Invalid Auth Token")
    }

    pub(crate) fn not_authorized() -> Self {
        Self::new(
            403,
            10003,
            "CF-NotAuthorized",
            "You are not authorized to perform the requested action",
        )
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(404, 10010, "CF-ResourceNotFound", format!("{what} not found"))
    }

    pub(crate) fn unknown_request() -> Self {
        Self::new(404, 10000, "CF-NotFound", "Unknown request")
    }

    pub(crate) fn bad_parameter(detail: impl Into<String>) -> Self {
        Self::new(
            400,
            10005,
            "CF-BadQueryParameter",
            format!("The query parameter is invalid: {}", detail.into()),
        )
    }

    pub(crate) fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(422, 10008, "CF-UnprocessableEntity", detail)
    }

    pub(crate) fn unparsable() -> Self {
        Self::new(
            400,
            1001,
            "CF-MessageParseError",
            "Request invalid due to parse error: invalid request body",
        )
    }

    pub(crate) fn reply(&self, v2: bool) -> Reply {
        serve::error(self.status, self.code, self.title, &self.detail, v2)
    }
}

impl From<WorldError> for ApiError {
    fn from(error: WorldError) -> Self {
        match error {
            WorldError::NotFound { kind, .. } => {
                let mut letters = kind.chars();
                let kind: String = letters
                    .next()
                    .into_iter()
                    .flat_map(char::to_uppercase)
                    .chain(letters)
                    .collect();
                Self::not_found(&kind)
            }
            WorldError::Exists { kind, name } => {
                Self::unprocessable(format!("The {kind} name is taken: {name}"))
            }
            other => Self::unprocessable(other.to_string()),
        }
    }
}
