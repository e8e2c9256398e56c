//! Requests to Cloud Controller: the token, the root document, whole listings.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::error::{CapiError, INVALID_TOKEN};
use super::legacy::{self, LegacyResource};
use super::page::{Page, Run, Unsteady, check_boundary};
use super::resource::{self, Resource, SecurityGroup, sorted_spaces};
use crate::http::{HttpError, Peer, PeerOptions, body, json, send};
use crate::uaa::{ClientCredentials, TokenSource};

/// How to reach Cloud Controller.
#[derive(Clone, Debug)]
pub struct CapiOptions {
    /// The API: the public address or the internal one (9024).
    pub api: PeerOptions,
    /// UAA; `None` takes what the root document names, with the API's certificates.
    pub uaa: Option<PeerOptions>,
    /// Who asks.
    pub client: ClientCredentials,
    /// The internal port (9023) that serves the security groups' change token over mutual TLS.
    pub internal: Option<PeerOptions>,
    /// Limit for one request.
    pub timeout: Duration,
    /// Rows asked for per v3 page; Cloud Controller's limit is 5000.
    pub per_page: u32,
    /// Rows asked for per v2 page; Cloud Controller's limit is 100.
    pub legacy_per_page: u32,
}

impl CapiOptions {
    /// Options with the usual limits.
    pub fn new(api: PeerOptions, client: ClientCredentials) -> Self {
        Self {
            api,
            uaa: None,
            client,
            internal: None,
            timeout: Duration::from_secs(60),
            per_page: 5000,
            legacy_per_page: 100,
        }
    }
}

/// API versions a foundation has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// Whether v3 is there; it is preferred.
    pub v3: bool,
    /// Whether v2 is there; new foundations have it switched off.
    pub v2: bool,
}

/// A value that moves when a security group or a binding changes through v3. Only equality means anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeToken(String);

/// A complete listing: nothing was half read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// All rows, in order of creation.
    pub items: Vec<T>,
    /// The latest `updated_at` among them, on the server's clock; empty under v2.
    pub watermark: String,
    /// The change token that held throughout, where one guards this kind.
    pub token: Option<ChangeToken>,
}

/// A client of one foundation's Cloud Controller. Clones share connections and token.
#[derive(Clone, Debug)]
pub struct CapiClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    api: Peer,
    internal: Option<Peer>,
    options: CapiOptions,
    found: OnceCell<(Versions, TokenSource)>,
}

/// How often a listing is begun that changes while it is read.
const ATTEMPTS: u32 = 3;

impl CapiClient {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// [`CapiError::Tls`] when certificates can't be used.
    pub fn new(options: CapiOptions) -> Result<Self, CapiError> {
        Ok(Self(Arc::new(Inner {
            api: Peer::new(options.api.clone())?,
            internal: options.internal.clone().map(Peer::new).transpose()?,
            options,
            found: OnceCell::new(),
        })))
    }

    /// Which API versions there are, from the root document; read once.
    ///
    /// # Errors
    /// [`CapiError`] when the document can't be read or names no usable API.
    pub async fn versions(&self) -> Result<Versions, CapiError> {
        Ok(self.found().await?.0.clone())
    }

    /// Whether a change token for security groups is configured.
    pub fn has_token(&self) -> bool {
        self.0.internal.is_some()
    }

    async fn found(&self) -> Result<&(Versions, TokenSource), CapiError> {
        self.0.found.get_or_try_init(|| self.discover()).await
    }

    async fn discover(&self) -> Result<(Versions, TokenSource), CapiError> {
        #[derive(Deserialize)]
        struct Root {
            links: std::collections::HashMap<String, Option<Link>>,
        }
        #[derive(Deserialize)]
        struct Link {
            href: String,
        }
        let bytes = self.0.api.get("/", self.0.options.timeout).await?;
        let mut root: Root = json(&bytes, "/")?;
        let mut link = |name: &str| root.links.remove(name).flatten().map(|link| link.href);
        let versions = Versions {
            v3: link("cloud_controller_v3").is_some(),
            v2: link("cloud_controller_v2").is_some(),
        };
        if !versions.v3 && !versions.v2 {
            return Err(CapiError::NoVersion(self.0.options.api.url.to_string()));
        }
        let uaa = self.uaa(link("uaa").or_else(|| link("login")))?;
        Ok((versions, TokenSource::new(uaa, self.0.options.client.clone())))
    }

    fn uaa(&self, named: Option<String>) -> Result<Peer, CapiError> {
        let options = match &self.0.options.uaa {
            Some(configured) => configured.clone(),
            None => {
                let url = named.and_then(|href| href.parse().ok()).ok_or(CapiError::NoUaa)?;
                PeerOptions {
                    url,
                    addresses: Vec::new(),
                    ..self.0.options.api.clone()
                }
            }
        };
        Ok(Peer::new(options)?)
    }

    /// Sends a GET with the token; a token that is refused as invalid is replaced, once.
    async fn get(&self, path: &str) -> Result<Bytes, CapiError> {
        let tokens = &self.found().await?.1;
        let mut token = tokens.bearer().await?;
        for last in [false, true] {
            let error = match self.get_with(path, &token).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => CapiError::from_http(error),
            };
            let invalid = matches!(&error, CapiError::Refused { status: 401, error, .. }
                if matches!(error.code, 0 | INVALID_TOKEN));
            if last || !invalid {
                return Err(error);
            }
            tokens.refused(&token).await;
            token = tokens.bearer().await?;
        }
        unreachable!("the second round returns")
    }

    async fn get_with(&self, path: &str, token: &http::HeaderValue) -> Result<Bytes, HttpError> {
        let request = self
            .0
            .api
            .client()
            .get(self.0.api.url(path))
            .timeout(self.0.options.timeout)
            .header(AUTHORIZATION, token.clone());
        body(send(request, path).await?, path).await
    }

    /// The security groups' change token; `None` where the foundation has none, or its port is out of
    /// reach, which both mean "may have changed".
    pub async fn change_token(&self) -> Option<ChangeToken> {
        #[derive(Deserialize)]
        struct Answer {
            last_update: String,
        }
        const PATH: &str = "/internal/v4/asg_latest_update";
        let peer = self.0.internal.as_ref()?;
        let read = async {
            let bytes = peer.get(PATH, Duration::from_secs(10)).await?;
            json::<Answer>(&bytes, PATH)
        };
        match read.await {
            Ok(answer) => Some(ChangeToken(answer.last_update)),
            Err(error) => {
                tracing::debug!(
                    error = crate::status::chain(&error),
                    "no change token of security groups"
                );
                None
            }
        }
    }

    /// Lists a v3 kind completely.
    pub(super) async fn list<T: Resource>(&self, guarded: bool) -> Result<Listed<T>, CapiError> {
        self.steadily(T::COLLECTION, || async {
            let token = if guarded { self.change_token().await } else { None };
            self.pass::<T>(token).await
        })
        .await
    }

    /// Rows of a v3 kind that were written at or after a moment of the server's clock. A row skipped
    /// between pages is found by the next full listing.
    pub(super) async fn changed_since<T: Resource>(&self, moment: &str) -> Result<Listed<T>, CapiError> {
        let query = format!("order_by=updated_at&updated_ats[gte]={moment}");
        let mut next = Some(self.first_page(T::COLLECTION, Some(&query)));
        let (mut items, mut watermark) = (Vec::new(), String::new());
        while let Some(path) = next {
            let page = self.page::<T>(&path).await?;
            next = page.next.clone();
            take(page.items, &mut items, &mut watermark);
        }
        Ok(Listed {
            items,
            watermark,
            token: None,
        })
    }

    fn first_page(&self, collection: &str, query: Option<&str>) -> String {
        let base = format!("/v3/{collection}?per_page={}", self.0.options.per_page);
        match query {
            Some(query) => format!("{base}&{query}"),
            None => base,
        }
    }

    async fn page<T: Resource>(&self, path: &str) -> Result<Page<(T, String)>, CapiError> {
        let bytes = self.get(path).await?;
        resource::page(&bytes).map_err(|error| HttpError::unreadable(path, error).into())
    }

    async fn pass<T: Resource>(&self, token: Option<ChangeToken>) -> Result<Listed<T>, Failure> {
        let (mut run, mut total) = (Run::new(), 0);
        let mut next = Some(self.first_page(T::COLLECTION, None));
        while let Some(path) = next {
            let page = self.page::<T>(&path).await?;
            (next, total) = (page.next.clone(), page.total);
            run.add(page, |(row, _)| row.guid())?;
            if token.is_some() && self.change_token().await != token {
                return Err(Unsteady::Token.into());
            }
        }
        if token.is_none() {
            for boundary in run.boundaries() {
                let path = format!("/v3/{}?per_page=1&page={}", T::COLLECTION, boundary.0);
                let bytes = self.get(&path).await?;
                let now = resource::guids(&bytes).map_err(|error| HttpError::unreadable(&path, error))?;
                check_boundary(total, boundary, &now)?;
            }
        }
        let (mut items, mut watermark) = (Vec::new(), String::new());
        take(run.finish()?, &mut items, &mut watermark);
        Ok(Listed {
            items,
            watermark,
            token,
        })
    }

    /// Lists a v2 kind completely, with the bindings of security groups that v2 doesn't inline.
    pub(super) async fn list_legacy<T: LegacyResource + Bind>(&self) -> Result<Listed<T>, CapiError> {
        let query = "order-direction=asc&inline-relations-depth=1";
        let path = format!(
            "{}?results-per-page={}&{query}",
            T::PATH,
            self.0.options.legacy_per_page
        );
        let rows = self
            .steadily(T::PATH, || {
                self.legacy_pass(&path, legacy::page::<T>, |row| row.0.key())
            })
            .await?;
        let mut items = Vec::with_capacity(rows.len());
        for (mut item, pending) in rows {
            for (url, staging) in [(pending.running, false), (pending.staging, true)] {
                if let Some(url) = url {
                    item.bind(self.legacy_members(&url).await?, staging);
                }
            }
            items.push(item);
        }
        Ok(Listed {
            items,
            watermark: String::new(),
            token: None,
        })
    }

    async fn legacy_members(&self, url: &str) -> Result<Vec<String>, CapiError> {
        let path = format!("{url}?results-per-page={}", self.0.options.legacy_per_page);
        self.steadily("bindings", || {
            self.legacy_pass(&path, legacy::guids, String::as_str)
        })
        .await
    }

    async fn legacy_pass<T>(
        &self,
        first: &str,
        read: impl Fn(&[u8]) -> Result<Page<T>, serde_json::Error>,
        key: impl Fn(&T) -> &str,
    ) -> Result<Vec<T>, Failure> {
        let (mut run, mut total) = (Run::new(), 0);
        let mut next = Some(first.to_owned());
        while let Some(path) = next {
            let bytes = self.get(&path).await?;
            let page = read(&bytes).map_err(|error| HttpError::unreadable(&path, error))?;
            (next, total) = (page.next.clone(), page.total);
            run.add(page, &key)?;
        }
        let collection = first.split('?').next().unwrap_or(first);
        for boundary in run.boundaries() {
            let path = format!(
                "{collection}?results-per-page=1&page={}&order-direction=asc",
                boundary.0
            );
            let bytes = self.get(&path).await?;
            let now = legacy::guids(&bytes).map_err(|error| HttpError::unreadable(&path, error))?;
            check_boundary(total, boundary, &now)?;
        }
        Ok(run.finish()?)
    }

    /// Begins a listing again while it changes under the reader.
    async fn steadily<T, F>(&self, kind: &'static str, pass: impl Fn() -> F) -> Result<T, CapiError>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut attempts = 1;
        loop {
            match pass().await {
                Ok(listed) => return Ok(listed),
                Err(Failure::Error(error)) => return Err(error),
                Err(Failure::Unsteady(source)) if attempts == ATTEMPTS => {
                    return Err(CapiError::Unsteady {
                        kind,
                        attempts,
                        source,
                    });
                }
                Err(Failure::Unsteady(source)) => {
                    tracing::debug!(kind, %source, "listing changed while it was read; reading it again");
                    attempts += 1;
                }
            }
        }
    }
}

/// Why one pass over the pages gave no listing.
enum Failure {
    Error(CapiError),
    Unsteady(Unsteady),
}

impl<E: Into<CapiError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

impl From<Unsteady> for Failure {
    fn from(unsteady: Unsteady) -> Self {
        Self::Unsteady(unsteady)
    }
}

fn take<T>(rows: Vec<(T, String)>, items: &mut Vec<T>, watermark: &mut String) {
    for (item, updated) in rows {
        if updated > *watermark {
            *watermark = updated;
        }
        items.push(item);
    }
}

/// What v2 leaves to follow up.
pub(super) trait Bind {
    fn key(&self) -> &str;
    fn bind(&mut self, _members: Vec<String>, _staging: bool) {}
}

impl Bind for resource::Organization {
    fn key(&self) -> &str {
        self.guid.as_str()
    }
}

impl Bind for resource::Space {
    fn key(&self) -> &str {
        self.guid.as_str()
    }
}

impl Bind for SecurityGroup {
    fn key(&self) -> &str {
        self.guid.as_str()
    }

    fn bind(&mut self, members: Vec<String>, staging: bool) {
        let spaces = sorted_spaces(members.into_iter());
        if staging {
            self.staging_spaces = spaces;
        } else {
            self.running_spaces = spaces;
        }
    }
}
