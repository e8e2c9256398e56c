//! Who is calling: a session, basic authentication, or a client certificate.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, StatusCode};

use super::Shared;
use crate::api::error::{CREDENTIALS, XSRF};
use crate::api::query::Query;
use crate::api::{ApiError, Result};

/// Names that go with client certificates.
#[derive(Debug, Default)]
pub(crate) struct Identities(Mutex<HashMap<Vec<u8>, String>>);

impl Identities {
    /// Lets the holder of the certificate log in under the name.
    pub(crate) fn register(&self, certificate: Vec<u8>, name: String) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(certificate, name);
    }

    pub(crate) fn name(&self, certificate: &[u8]) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(certificate)
            .cloned()
    }
}

#[derive(Debug)]
struct Session {
    user: String,
    token: String,
    /// Number of [`crate::Faults::expire_sessions`] calls before it was made.
    generation: u64,
}

/// The sessions of one manager; another manager knows nothing of them.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, Session>>);

/// A new session: its id and its token.
pub(crate) struct Login {
    pub(crate) id: String,
    pub(crate) token: String,
}

impl Sessions {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a session for a form of `j_username` and `j_password`.
    pub(crate) fn create(&self, shared: &Shared, form: &[u8]) -> Result<Login> {
        let form = Query::parse(&String::from_utf8_lossy(form));
        let (user, password) = (
            form.get("j_username").unwrap_or(""),
            form.get("j_password").unwrap_or(""),
        );
        check(shared, user, password)?;
        let login = Login {
            id: uuid::Uuid::new_v4().simple().to_string(),
            token: uuid::Uuid::new_v4().to_string(),
        };
        let generation = shared.faults.sessions.load(Ordering::Relaxed);
        let session = Session {
            user: user.to_owned(),
            token: login.token.clone(),
            generation,
        };
        self.lock().insert(login.id.clone(), session);
        Ok(login)
    }

    /// Ends the session of the request.
    pub(crate) fn destroy(&self, headers: &HeaderMap) {
        if let Some(id) = session_id(headers) {
            self.lock().remove(id);
        }
    }

    /// Forgets the session of the request; the next call on it is refused.
    pub(crate) fn expire(&self, headers: &HeaderMap) {
        self.destroy(headers);
    }

    fn user(&self, shared: &Shared, headers: &HeaderMap, id: &str) -> Result<String> {
        let sessions = self.lock();
        let generation = shared.faults.sessions.load(Ordering::Relaxed);
        let session = sessions
            .get(id)
            .filter(|session| session.generation == generation);
        let session = session.ok_or_else(|| unknown(headers))?;
        if headers
            .get("x-xsrf-token")
            .is_none_or(|token| token.as_bytes() != session.token.as_bytes())
        {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                XSRF,
                "The XSRF token is missing or wrong.",
            ));
        }
        Ok(session.user.clone())
    }
}

/// A token is checked before its session is, so a client that sends one learns of the end by a wrong token.
fn unknown(headers: &HeaderMap) -> ApiError {
    let message = "The session is unknown or has ended.";
    if headers.contains_key("x-xsrf-token") {
        return ApiError::new(StatusCode::FORBIDDEN, XSRF, message);
    }
    ApiError::new(StatusCode::UNAUTHORIZED, CREDENTIALS, message)
}

/// The caller's name. A session decides before a password, a password before a certificate.
pub(crate) fn caller(
    shared: &Shared,
    sessions: &Sessions,
    headers: &HeaderMap,
    certificate: Option<&str>,
) -> Result<String> {
    if let Some(id) = session_id(headers) {
        return sessions.user(shared, headers, id);
    }
    if let Some(sent) = headers.get(AUTHORIZATION) {
        return basic(shared, sent.as_bytes());
    }
    let refused = || ApiError::new(StatusCode::UNAUTHORIZED, CREDENTIALS, "Log in first.");
    certificate.map(str::to_owned).ok_or_else(refused)
}

fn session_id(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|cookies| cookies.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix("JSESSIONID="))
}

fn basic(shared: &Shared, sent: &[u8]) -> Result<String> {
    let decoded = sent
        .strip_prefix(b"Basic ")
        .and_then(|text| STANDARD.decode(text).ok())
        .unwrap_or_default();
    let decoded = String::from_utf8_lossy(&decoded);
    let (user, password) = decoded.split_once(':').unwrap_or_default();
    check(shared, user, password)?;
    Ok(user.to_owned())
}

fn check(shared: &Shared, user: &str, password: &str) -> Result<()> {
    let known = &shared.credentials;
    if user == known.username && password == known.password {
        return Ok(());
    }
    let message = "The credentials were incorrect or the account specified has been locked.";
    Err(ApiError::new(StatusCode::FORBIDDEN, CREDENTIALS, message))
}
