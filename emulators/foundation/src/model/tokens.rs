//! Tokens of UAA: shaped like JWTs, known by the one who issued them.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokio::time::Instant;

/// A client or user who may ask for tokens.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    pub name: String,
    pub secret: String,
    pub scopes: Vec<String>,
}

/// What a token says.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub client: String,
    pub user: Option<String>,
    pub scopes: Vec<String>,
    pub expires: Instant,
    pub expires_at: i64,
}

/// Clients, users and issued tokens.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub lifetime: Duration,
    pub clients: Vec<Principal>,
    pub users: Vec<Principal>,
    issued: HashMap<String, Token>,
    refresh: HashMap<String, (String, String)>,
}

impl Tokens {
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            clients: Vec::new(),
            users: Vec::new(),
            issued: HashMap::new(),
            refresh: HashMap::new(),
        }
    }

    /// Issues a token.
    pub(crate) fn issue(
        &mut self,
        client: &str,
        user: Option<&Principal>,
        scopes: Vec<String>,
        now: i64,
        id: &str,
    ) -> String {
        let expires_at = now + i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX / 2);
        let subject = user.map_or(client, |user| user.name.as_str());
        let body = json!({
            "jti": id, "sub": subject, "client_id": client, "cid": client, "scope": scopes, "authorities": scopes,
            "iss": "https://uaa.sys.foundation.test/oauth/token", "iat": now, "exp": expires_at,
            "aud": ["cloud_controller", "uaa", "network"], "zid": "uaa",
        });
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let head = encode(br#"{"alg":"RS256","kid":"key-1","typ":"JWT"}"#);
        let token = format!(
            "{head}.{}.{}",
            encode(body.to_string().as_bytes()),
            encode(id.as_bytes())
        );
        let expires = Instant::now() + self.lifetime;
        let user = user.map(|user| user.name.clone());
        self.issued.insert(
            token.clone(),
            Token {
                client: client.to_owned(),
                user,
                scopes,
                expires,
                expires_at,
            },
        );
        token
    }

    pub(crate) fn issue_refresh(&mut self, client: &str, user: &str, id: &str) -> String {
        let token = format!("{id}-r");
        self.refresh
            .insert(token.clone(), (client.to_owned(), user.to_owned()));
        token
    }

    pub(crate) fn refreshed(&self, token: &str) -> Option<(String, String)> {
        self.refresh.get(token).cloned()
    }

    /// The token if it was issued here and still counts.
    pub(crate) fn valid(&self, token: &str) -> Option<&Token> {
        self.issued
            .get(token)
            .filter(|found| Instant::now() < found.expires)
    }

    pub(crate) fn revoke_all(&mut self) {
        self.issued.clear();
    }
}
