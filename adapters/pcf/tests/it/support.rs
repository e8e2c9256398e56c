//! A foundation, and the clients' options for it.

use std::time::Duration;

use foundation_emulator::{AppSpec, Foundation, Options};
use ncp_pcf::http::PeerOptions;
use ncp_pcf::tls::{TlsMaterial, TlsOptions};
use ncp_pcf::uaa::ClientCredentials;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Polls a condition until it holds.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        while !holds() {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}

/// A foundation with an org, a space and an app of so many instances.
pub(crate) async fn with_app(options: Options, instances: i32) -> Foundation {
    let foundation = Foundation::start(options).await.unwrap();
    foundation.create_org("acme").unwrap();
    foundation.create_space("acme", "prod").unwrap();
    let app = AppSpec::new("acme/prod", "shop", instances).env("NCP_SNAT_POOL", "pool-a");
    foundation.push(&app).unwrap();
    foundation
}

pub(crate) fn tls(foundation: &Foundation) -> Option<TlsMaterial> {
    let certificates = foundation.certificates()?;
    let pem = |text: &str| text.as_bytes().to_vec().into();
    let options = TlsOptions {
        ca: vec![pem(&certificates.ca)],
        identity: Some((pem(&certificates.client_cert), pem(&certificates.client_key))),
        insecure: false,
    };
    Some(TlsMaterial::load(&options).unwrap())
}

pub(crate) fn peer(foundation: &Foundation, url: &str) -> PeerOptions {
    PeerOptions {
        tls: tls(foundation),
        ..PeerOptions::new(url.parse().unwrap())
    }
}

/// A far end known by a name that its certificate has, and a list of addresses.
pub(crate) fn named_peer(foundation: &Foundation, name: &str, urls: &[String]) -> PeerOptions {
    let scheme = urls[0].split("://").next().unwrap();
    let mut peer = peer(foundation, &format!("{scheme}://{name}"));
    peer.addresses = urls.iter().map(|url| address(url)).collect();
    peer
}

pub(crate) fn address(url: &str) -> String {
    url.split("://").last().unwrap().to_owned()
}

pub(crate) fn credentials(foundation: &Foundation) -> ClientCredentials {
    let given = foundation.credentials();
    ClientCredentials {
        id: given.client_id,
        secret: given.client_secret.into(),
    }
}
