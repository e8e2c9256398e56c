//! Access tokens of the `client_credentials` grant.
//!
//! The grant has no refresh token: a new one is asked for at 80 % of the lifetime, and at once when a
//! server refuses the present one. A UAA that is down leaves a token that still holds in use. Failures are
//! spaced out here, since every reader of CAPI passes through this one place.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::http::{HttpError, Peer, body, json, send};

/// Who asks for tokens.
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    /// Client id, which must not look like a UUID: Cloud Controller would look for a user of that id.
    pub id: String,
    /// Client secret.
    pub secret: SecretString,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UaaError {
    /// UAA refuses the client.
    #[error(
        "UAA refuses client {client:?} ({reason}); check its id, secret and grant type client_credentials"
    )]
    Refused {
        /// Client id.
        client: String,
        /// UAA's word for it.
        reason: String,
    },
    /// UAA can't be asked.
    #[error("UAA gave no token")]
    Http(#[from] HttpError),
    /// The last attempt failed a moment ago; the next is not due yet.
    #[error("UAA gave no token a moment ago ({last}); the next attempt is in {wait:?}")]
    Waiting {
        /// What the last attempt said.
        last: String,
        /// Time to the next attempt.
        wait: Duration,
    },
    /// The credentials can't be sent.
    #[error("the token can't be sent in a header")]
    Header(#[from] http::header::InvalidHeaderValue),
}

impl UaaError {
    /// The guide's code.
    pub fn code(&self) -> &'static str {
        crate::codes::CAPI_CONNECTION
    }

    /// How long to wait before asking again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Http(error) => error.retry_after(),
            Self::Waiting { wait, .. } => Some(*wait),
            Self::Refused { .. } | Self::Header(_) => None,
        }
    }
}

/// Gives out tokens and renews them.
#[derive(Debug)]
pub struct TokenSource {
    uaa: Peer,
    client: ClientCredentials,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    held: Option<Token>,
    failed: Option<(Instant, String)>,
    backoff: Backoff,
}

#[derive(Clone, Debug)]
struct Token {
    header: HeaderValue,
    renew: Instant,
    expires: Instant,
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(deserialize_with = "secret")]
    access_token: SecretString,
    expires_in: u64,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl TokenSource {
    /// Tokens for a client from this UAA. Nothing is asked for yet.
    pub fn new(uaa: Peer, client: ClientCredentials) -> Self {
        let backoff = Backoff::new(
            Duration::from_secs(1),
            Duration::from_secs(60),
            client.id.len() as u64,
        );
        Self {
            uaa,
            client,
            state: Mutex::new(State {
                held: None,
                failed: None,
                backoff,
            }),
        }
    }

    /// The value of an `Authorization` header, marked as sensitive.
    ///
    /// # Errors
    /// [`UaaError`] when there is neither a token that holds nor a new one to be had.
    pub async fn bearer(&self) -> Result<HeaderValue, UaaError> {
        let mut state = self.state.lock().await;
        let now = Instant::now();
        if let Some(token) = state.held.as_ref().filter(|token| now < token.renew) {
            return Ok(token.header.clone());
        }
        match self.renew(&mut state, now).await {
            Ok(header) => Ok(header),
            Err(error) => match state.held.as_ref().filter(|token| now < token.expires) {
                Some(token) => Ok(token.header.clone()),
                None => Err(error),
            },
        }
    }

    /// A server refused this token: the next caller gets a new one. A token got since then stays.
    pub async fn refused(&self, header: &HeaderValue) {
        let mut state = self.state.lock().await;
        if state.held.as_ref().is_some_and(|token| token.header == header) {
            state.held = None;
        }
    }

    async fn renew(&self, state: &mut State, now: Instant) -> Result<HeaderValue, UaaError> {
        if let Some((until, last)) = state.failed.as_ref().filter(|(until, _)| now < *until) {
            return Err(UaaError::Waiting {
                last: last.clone(),
                wait: *until - now,
            });
        }
        match self.ask(now).await {
            Ok(token) => {
                let header = token.header.clone();
                state.held = Some(token);
                state.failed = None;
                state.backoff.reset();
                Ok(header)
            }
            Err(error) => {
                let wait = state.backoff.next_delay_at_least(error.retry_after());
                state.failed = Some((Instant::now() + wait, error.to_string()));
                Err(error)
            }
        }
    }

    async fn ask(&self, now: Instant) -> Result<Token, UaaError> {
        const PATH: &str = "/oauth/token";
        let request = self
            .uaa
            .client()
            .post(self.uaa.url(PATH))
            .timeout(Duration::from_secs(10))
            .header(AUTHORIZATION, self.basic()?)
            .header(ACCEPT, "application/json")
            .form(&[("grant_type", "client_credentials"), ("token_format", "jwt")]);
        let answer = send(request, PATH).await.map_err(|error| self.classify(error))?;
        let bytes = body(answer, PATH).await?;
        let answer: TokenAnswer = json(&bytes, PATH)?;
        // Counted from before the request, so that a slow answer errs on the short side.
        let lifetime = Duration::from_secs(answer.expires_in);
        Ok(Token {
            header: sensitive(&format!("bearer {}", answer.access_token.expose_secret()))?,
            renew: now + lifetime.mul_f64(0.8),
            expires: now + lifetime,
        })
    }

    fn basic(&self) -> Result<HeaderValue, UaaError> {
        let pair = format!("{}:{}", self.client.id, self.client.secret.expose_secret());
        Ok(sensitive(&format!("Basic {}", STANDARD.encode(pair)))?)
    }

    fn classify(&self, error: HttpError) -> UaaError {
        let HttpError::Status { status, body, .. } = &error else {
            return error.into();
        };
        if !matches!(status.as_u16(), 400 | 401) {
            return error.into();
        }
        let reason = match serde_json::from_slice::<ErrorAnswer>(body) {
            Ok(said) => format!("{}: {}", said.error, said.error_description),
            Err(_) => status.to_string(),
        };
        UaaError::Refused {
            client: self.client.id.clone(),
            reason,
        }
    }
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

fn sensitive(text: &str) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let mut header = HeaderValue::from_str(text)?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::testing::{Script, Server};

    fn source(server: &Server) -> TokenSource {
        let client = ClientCredentials {
            id: "ncp".into(),
            secret: "s3cret".into(),
        };
        TokenSource::new(server.peer(), client)
    }

    fn token(name: &str, seconds: u64) -> Script {
        Script::json(
            200,
            &format!(r#"{{"access_token":"{name}","token_type":"bearer","expires_in":{seconds}}}"#),
        )
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    // The clock is paused only between requests: a paused clock would run into the request's time-out
    // while the socket is waited for.
    #[tokio::test]
    async fn a_token_is_kept_for_four_fifths_of_its_life() {
        let server = Server::start(vec![token("one", 100), token("two", 100)]).await;
        let source = source(&server);
        assert_eq!(source.bearer().await.unwrap(), "bearer one");
        tokio::time::pause();
        pass(79).await;
        assert_eq!(source.bearer().await.unwrap(), "bearer one");
        pass(2).await;
        tokio::time::resume();
        assert_eq!(source.bearer().await.unwrap(), "bearer two");
        let requests = server.requests();
        assert_eq!(requests.len(), 2);
        assert!(
            requests[0].contains("authorization: Basic bmNwOnMzY3JldA=="),
            "{}",
            requests[0]
        );
        assert!(requests[0].contains("grant_type=client_credentials"));
    }

    #[tokio::test]
    async fn a_uaa_that_is_down_leaves_a_token_that_holds_in_use() {
        let server = Server::start(vec![token("one", 100), Script::json(503, "{}")]).await;
        let source = source(&server);
        source.bearer().await.unwrap();
        tokio::time::pause();
        pass(90).await;
        tokio::time::resume();
        assert_eq!(source.bearer().await.unwrap(), "bearer one");
        assert_eq!(
            source.bearer().await.unwrap(),
            "bearer one",
            "not asked again at once"
        );
        assert_eq!(server.requests().len(), 2);
        tokio::time::pause();
        pass(11).await;
        tokio::time::resume();
        assert!(source.bearer().await.is_err(), "expired");
    }

    #[tokio::test]
    async fn a_refused_token_is_replaced_once_and_a_refused_client_waits() {
        let refused = Script::json(
            401,
            r#"{"error":"invalid_client","error_description":"Bad credentials"}"#,
        );
        let server = Server::start(vec![token("one", 100), refused]).await;
        let source = source(&server);
        let first = source.bearer().await.unwrap();
        source.refused(&HeaderValue::from_static("bearer other")).await;
        assert_eq!(source.bearer().await.unwrap(), first, "another token was meant");
        source.refused(&first).await;
        let error = source.bearer().await.expect_err("refused");
        assert!(error.to_string().contains("Bad credentials"), "{error}");
        assert!(!error.to_string().contains("s3cret"));
        assert!(matches!(source.bearer().await, Err(UaaError::Waiting { .. })));
        assert_eq!(server.requests().len(), 2);
    }

    #[test]
    fn debug_shows_no_secret() {
        let client = ClientCredentials {
            id: "ncp".into(),
            secret: "s3cret".into(),
        };
        assert!(!format!("{client:?}").contains("s3cret"));
        let header = sensitive("bearer s3cret").unwrap();
        assert!(!format!("{header:?}").contains("s3cret"));
    }
}
