//! How one manager is told who calls: nothing beyond TLS, Basic, or a session of its own.
//!
//! A session belongs to the manager that made it, so each endpoint has its own [`Credentials`] and nothing is
//! shared. A session is made when it is first needed and again, once per call, when the manager no longer knows
//! it. Of many calls that find it stale together one makes the new one and the others wait for it.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use url::form_urlencoded;

use super::error::OptionsError;
use super::options::Auth;

/// Where sessions are made.
pub(super) const CREATE: &str = "/api/session/create";
/// Accounts are locked after a few failures; refused credentials are not tried again before this has passed.
pub(super) const HOLD: Duration = Duration::from_secs(60);

const XSRF: HeaderName = HeaderName::from_static("x-xsrf-token");

/// What a manager asks for with each call.
pub(super) enum Credentials {
    /// The client certificate says it all.
    Certificate,
    /// The same header on each call.
    Basic(HeaderValue),
    /// A session, made from this form.
    Session { form: SecretString, live: Mutex<Live> },
}

/// The present session and how many there were before it.
#[derive(Default)]
pub(super) struct Live {
    pub(super) serial: u64,
    pub(super) session: Option<Arc<Session>>,
}

/// A session that a manager has opened.
pub(super) struct Session {
    pub(super) serial: u64,
    cookie: HeaderValue,
    token: Option<HeaderValue>,
}

impl Credentials {
    pub(super) fn new(auth: &Auth) -> Result<Self, OptionsError> {
        match auth {
            Auth::ClientCertificate { .. } => Ok(Self::Certificate),
            Auth::Basic { user, password } => {
                let pair = format!("{user}:{}", password.expose_secret());
                let value = secret_value(&format!("Basic {}", STANDARD.encode(pair)));
                value.map(Self::Basic).ok_or(OptionsError::Credentials)
            }
            Auth::Session { user, password } => {
                let form = form_urlencoded::Serializer::new(String::new())
                    .append_pair("j_username", user)
                    .append_pair("j_password", password.expose_secret())
                    .finish();
                Ok(Self::Session {
                    form: form.into(),
                    live: Mutex::default(),
                })
            }
        }
    }

    /// Whether refused credentials count against an account.
    pub(super) fn can_lock_account(&self) -> bool {
        !matches!(self, Self::Certificate)
    }

    /// Adds what identifies the caller.
    pub(super) fn sign(&self, headers: &mut HeaderMap, session: Option<&Session>) {
        if let Self::Basic(value) = self {
            headers.insert(AUTHORIZATION, value.clone());
        }
        if let Some(session) = session {
            headers.insert(COOKIE, session.cookie.clone());
            if let Some(token) = &session.token {
                headers.insert(XSRF, token.clone());
            }
        }
    }
}

impl Session {
    /// Reads the answer of [`CREATE`]; `None` if it sets no session cookie.
    pub(super) fn read(serial: u64, headers: &HeaderMap) -> Option<Self> {
        let id = headers
            .get_all(SET_COOKIE)
            .iter()
            .find_map(|value| session_id(value.to_str().ok()?))?;
        let cookie = secret_value(&format!("JSESSIONID={id}"))?;
        let token = headers.get(&XSRF).cloned().map(|mut token| {
            token.set_sensitive(true);
            token
        });
        Some(Self {
            serial,
            cookie,
            token,
        })
    }
}

fn session_id(cookie: &str) -> Option<&str> {
    let (name, value) = cookie.split(';').next()?.trim().split_once('=')?;
    (name.trim() == "JSESSIONID" && !value.is_empty()).then(|| value.trim())
}

/// A header value that no debug output shows.
fn secret_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_session_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, HeaderValue::from_static("route=1; Path=/"));
        headers.append(
            SET_COOKIE,
            HeaderValue::from_static("JSESSIONID=A1=; Path=/; Secure; HttpOnly"),
        );
        headers.append(XSRF, HeaderValue::from_static("t0ken"));
        let session = Session::read(1, &headers).unwrap();
        let mut signed = HeaderMap::new();
        let auth = Auth::Session {
            user: "a".into(),
            password: "p&=".to_owned().into(),
        };
        let credentials = Credentials::new(&auth).unwrap();
        credentials.sign(&mut signed, Some(&session));
        assert_eq!(signed[COOKIE], "JSESSIONID=A1=");
        assert_eq!(signed[XSRF], "t0ken");
        let shown = format!("{signed:?}");
        assert!(!shown.contains("A1") && !shown.contains("t0ken"), "{shown}");
        let Credentials::Session { form, .. } = credentials else {
            panic!("a session was asked for")
        };
        assert_eq!(form.expose_secret(), "j_username=a&j_password=p%26%3D");
    }

    #[test]
    fn an_answer_without_the_cookie_is_no_session() {
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, HeaderValue::from_static("JSESSIONID=; Path=/"));
        assert!(Session::read(1, &headers).is_none());
    }
}
