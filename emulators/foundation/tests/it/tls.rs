//! TLS: mutual where the platform has it, over the versions of its age.

use diego_wire::bbs::PingResponse;
use diego_wire::locket::FetchRequest;
use diego_wire::locket::locket_client::LocketClient;
use diego_wire::routes::PING;
use foundation_emulator::{Age, Foundation, Options};
use prost::Message;
use reqwest::{Certificate, Identity};
use tonic::transport::{Channel, ClientTlsConfig};

async fn start(age: Age) -> Foundation {
    Foundation::start(Options {
        tls: true,
        age,
        ..Options::default()
    })
    .await
    .unwrap()
}

fn client(foundation: &Foundation, identity: bool) -> reqwest::ClientBuilder {
    let certificates = foundation.certificates().unwrap();
    let ca = Certificate::from_pem(certificates.ca.as_bytes()).unwrap();
    let builder = reqwest::Client::builder()
        .no_proxy()
        .http1_only()
        .tls_certs_only([ca]);
    if !identity {
        return builder;
    }
    let pem = format!("{}{}", certificates.client_cert, certificates.client_key);
    builder.identity(Identity::from_pem(pem.as_bytes()).unwrap())
}

#[tokio::test]
async fn internal_services_ask_for_a_certificate() {
    let foundation = start(Age::Newest).await;
    let (with, without) = (
        client(&foundation, true).build().unwrap(),
        client(&foundation, false).build().unwrap(),
    );
    let url = format!("{}{PING}", foundation.endpoints().bbs[0]);
    let answer = with.post(&url).send().await.unwrap().bytes().await.unwrap();
    assert!(PingResponse::decode(answer).unwrap().available);
    assert!(without.post(&url).send().await.is_err());
    let url = format!(
        "{}/networking/v1/internal/policies",
        foundation.endpoints().policy_internal
    );
    assert_eq!(with.get(&url).send().await.unwrap().status(), 200);
    assert!(without.get(&url).send().await.is_err());
    let url = format!("{}/v3", foundation.endpoints().capi);
    assert_eq!(without.get(url).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_platform_of_2019_speaks_tls_1_2() {
    let foundation = start(Age::Y2019).await;
    let url = format!("{}{PING}", foundation.endpoints().bbs[0]);
    let old = client(&foundation, true)
        .tls_version_max(reqwest::tls::Version::TLS_1_2)
        .build()
        .unwrap();
    assert_eq!(old.post(&url).send().await.unwrap().status(), 200);
    let new = client(&foundation, true)
        .tls_version_min(reqwest::tls::Version::TLS_1_3)
        .build()
        .unwrap();
    assert!(new.post(&url).send().await.is_err());
}

#[tokio::test]
async fn locket_speaks_mutual_tls() {
    let foundation = start(Age::Newest).await;
    let certificates = foundation.certificates().unwrap();
    let tls = |config: ClientTlsConfig| {
        Channel::from_shared(foundation.endpoints().locket.clone())
            .unwrap()
            .tls_config(config)
            .unwrap()
    };
    let config = ClientTlsConfig::new()
        .ca_certificate(tonic::transport::Certificate::from_pem(&certificates.ca))
        .domain_name("locket.service.cf.internal");
    let identity = tonic::transport::Identity::from_pem(&certificates.client_cert, &certificates.client_key);
    let mut client = LocketClient::new(tls(config.clone().identity(identity)).connect().await.unwrap());
    let missing = client.fetch(FetchRequest { key: "x".into() }).await.unwrap_err();
    assert_eq!(missing.message(), "resource-not-found");
    let refused = match tls(config).connect().await {
        Err(_) => true,
        Ok(channel) => {
            let status = LocketClient::new(channel)
                .fetch(FetchRequest { key: "x".into() })
                .await
                .unwrap_err();
            status.message() != "resource-not-found"
        }
    };
    assert!(refused);
}
