//! A call as callers state it, and its successful answer.

use bytes::Bytes;
use http::{Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::deadline::Deadline;
use super::error::{CallName, TransportError};

/// What stays as it is in a query value. NSX wants `%20` for a space, never `+`.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b':')
    .remove(b'/')
    .remove(b',')
    .remove(b'*');
/// What stays as it is in one segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Root of paths that name none.
const MANAGER_ROOT: &str = "/api/v1";

/// Writes an id into a path so that it stays one segment, whatever it holds.
pub fn escape_segment(id: &str) -> String {
    utf8_percent_encode(id, SEGMENT).to_string()
}

/// One call. A write can't be made without a [`Deadline`].
///
/// Paths are below `/api/v1` unless they begin with `/api/` or `/policy/`.
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    body: Option<Bytes>,
    fence: Option<Deadline>,
    overwrite: bool,
}

impl Request {
    /// A read.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path.into(), None, None)
    }

    /// A POST that changes nothing, such as `?action=list_with_rules`; treated as a read.
    pub fn reading_post(path: impl Into<String>, body: Option<&Value>) -> Self {
        Self::new(Method::POST, path.into(), body, None)
    }

    /// A create or an action.
    pub fn post(path: impl Into<String>, body: Option<&Value>, fence: Deadline) -> Self {
        Self::new(Method::POST, path.into(), body, Some(fence))
    }

    /// A replacement of a whole object.
    pub fn put(path: impl Into<String>, body: &Value, fence: Deadline) -> Self {
        Self::new(Method::PUT, path.into(), Some(body), Some(fence))
    }

    /// A removal.
    pub fn delete(path: impl Into<String>, fence: Deadline) -> Self {
        Self::new(Method::DELETE, path.into(), None, Some(fence))
    }

    /// Adds a query parameter; values are escaped here.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Adds query parameters.
    #[must_use]
    pub fn with_all(mut self, query: &[(&str, &str)]) -> Self {
        self.query.extend(
            query
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        self
    }

    /// Sends `X-Allow-Overwrite: true`, by which a super-user may change what another principal protects.
    #[must_use]
    pub fn overwriting(mut self) -> Self {
        self.overwrite = true;
        self
    }

    fn new(method: Method, path: String, body: Option<&Value>, fence: Option<Deadline>) -> Self {
        let body = body.map(|value| Bytes::from(value.to_string()));
        Self {
            method,
            path,
            query: Vec::new(),
            body,
            fence,
            overwrite: false,
        }
    }

    /// The name for messages.
    pub fn name(&self) -> CallName {
        CallName {
            method: self.method.clone(),
            path: self.path.clone(),
        }
    }

    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn body(&self) -> Option<&Bytes> {
        self.body.as_ref()
    }

    pub(super) fn fence(&self) -> Option<Deadline> {
        self.fence
    }

    pub(super) fn is_write(&self) -> bool {
        self.fence.is_some()
    }

    pub(super) fn overwrites(&self) -> bool {
        self.overwrite
    }

    /// Path and query as they go into the request line.
    pub(super) fn target(&self) -> String {
        let rooted = self.path.starts_with("/api/") || self.path.starts_with("/policy/");
        let mut target = format!("{}{}", if rooted { "" } else { MANAGER_ROOT }, self.path);
        let mut separator = if target.contains('?') { '&' } else { '?' };
        for (name, value) in &self.query {
            target.push(separator);
            target.extend(utf8_percent_encode(name, QUERY));
            target.push('=');
            target.extend(utf8_percent_encode(value, QUERY));
            separator = '&';
        }
        target
    }
}

/// A successful answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// 200, 201, 202 or 204.
    pub status: StatusCode,
    /// The body as it came; empty after most deletes.
    pub body: Bytes,
    pub(super) call: CallName,
}

impl Response {
    /// The body read as `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, TransportError> {
        serde_json::from_slice(&self.body).map_err(|source| TransportError::Unreadable {
            call: self.call.clone(),
            source,
        })
    }

    /// The body as a JSON value; `null` when it is empty.
    pub fn value(&self) -> Result<Value, TransportError> {
        if self.body.is_empty() {
            Ok(Value::Null)
        } else {
            self.json()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_values_are_escaped_as_nsx_reads_them() {
        let request = Request::get("/search").with("query", r"tags.scope:ncp\/cluster AND tags.tag:a+b&c");
        assert_eq!(
            request.target(),
            "/api/v1/search?query=tags.scope:ncp%5C/cluster%20AND%20tags.tag:a%2Bb%26c"
        );
    }

    #[test]
    fn paths_with_a_root_of_their_own_keep_it_and_a_given_query_is_continued() {
        assert_eq!(
            Request::get("/policy/api/v1/infra").target(),
            "/policy/api/v1/infra"
        );
        assert_eq!(Request::get("/api/session/x").target(), "/api/session/x");
        assert_eq!(
            Request::get("/pools?action=ALLOCATE").with("a", "b").target(),
            "/api/v1/pools?action=ALLOCATE&a=b"
        );
    }

    #[test]
    fn an_id_stays_one_segment() {
        assert_eq!(escape_segment("a/../b c"), "a%2F..%2Fb%20c");
    }
}
