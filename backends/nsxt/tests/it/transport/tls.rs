//! Which certificates are believed, and the client's own.

use std::sync::Arc;

use ncp_nsxt::transport::{Api, Auth, Class, NoObserver, Options, OptionsError, Pem, Trust};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::manager::{Manager, Seen, ok};

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Certificate and key for a host, signed by an authority.
fn signed(host: &str, issuer: &Issuer) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    (params.signed_by(&key, issuer).unwrap(), key)
}

fn acceptor(certificate: &rcgen::Certificate, key: &KeyPair, clients: Option<&Issuer>) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(issuer) => {
            let mut roots = RootCertStore::empty();
            roots.add(issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = builder
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn pem(text: String) -> Pem {
    Pem {
        source: "ca.pem".into(),
        bytes: text.into_bytes(),
    }
}

fn basic() -> Auth {
    Auth::Basic {
        user: "admin".into(),
        password: "pw".to_owned().into(),
    }
}

fn api(managers: &[&Manager], auth: Auth, trust: Trust) -> Api {
    let managers = managers
        .iter()
        .map(|one| format!("{}", one.address).parse().unwrap())
        .collect();
    Api::new(Options::new(managers, auth, trust), Box::new(NoObserver)).unwrap()
}

fn answer(_: &Seen) -> crate::manager::Reply {
    ok()
}

#[tokio::test]
async fn a_manager_is_believed_only_with_its_own_bundle() {
    let (one_ca, two_ca) = (authority(), authority());
    let (certificate, key) = signed("127.0.0.1", &one_ca);
    let one = Manager::start_tls(acceptor(&certificate, &key, None), answer).await;
    let (certificate, key) = signed("127.0.0.1", &two_ca);
    let two = Manager::start_tls(acceptor(&certificate, &key, None), answer).await;

    let each = Trust::PerManager(vec![pem(one_ca.pem()), pem(two_ca.pem())]);
    let both = api(&[&one, &two], basic(), each);
    both.get("/node", &[]).await.unwrap();
    both.get("/node", &[]).await.unwrap();
    assert_eq!((one.log().len(), two.log().len()), (1, 1));

    let swapped = Trust::PerManager(vec![pem(two_ca.pem()), pem(one_ca.pem())]);
    let error = api(&[&one, &two], basic(), swapped)
        .get("/node", &[])
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::NeverSent);
    let shared = Trust::Bundle(pem(one_ca.pem() + &two_ca.pem()));
    api(&[&one, &two], basic(), shared)
        .get("/node", &[])
        .await
        .unwrap();
    api(&[&one], basic(), Trust::Insecure)
        .get("/node", &[])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_self_signed_certificate_given_as_its_own_bundle_is_believed_for_its_name_alone() {
    for (host, believed) in [("127.0.0.1", true), ("elsewhere.example.com", false)] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let manager = Manager::start_tls(acceptor(&certificate, &key, None), answer).await;
        let api = api(&[&manager], basic(), Trust::Bundle(pem(certificate.pem())));
        assert_eq!(api.get("/node", &[]).await.is_ok(), believed, "{host}");
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_no_password_with_it() {
    let ca = authority();
    let (certificate, key) = signed("127.0.0.1", &ca);
    let manager = Manager::start_tls(acceptor(&certificate, &key, Some(&ca)), answer).await;
    let (own, own_key) = signed("ncp", &ca);
    let auth = Auth::ClientCertificate {
        certificate: pem(own.pem()),
        private_key: own_key.serialize_pem().into(),
    };
    let shown = format!("{auth:?}");
    assert!(!shown.contains("PRIVATE"), "{shown}");
    let trusting = || Trust::Bundle(pem(ca.pem()));
    api(&[&manager], auth, trusting())
        .get("/node", &[])
        .await
        .unwrap();
    assert_eq!(manager.log()[0].header("authorization"), "");
    api(&[&manager], basic(), trusting())
        .get("/node", &[])
        .await
        .unwrap_err();
    assert_eq!(manager.log().len(), 1);
}

#[test]
fn unusable_files_are_named() {
    let managers = || vec!["127.0.0.1".parse().unwrap()];
    let make = |auth, trust| {
        Api::new(Options::new(managers(), auth, trust), Box::new(NoObserver))
            .err()
            .unwrap()
    };
    let error = make(basic(), Trust::Bundle(pem("nonsense".into())));
    assert!(
        matches!(&error, OptionsError::Certificate { file, .. } if file == "ca.pem"),
        "{error}"
    );
    let ca = authority();
    let (own, _) = signed("ncp", &ca);
    let (_, other_key) = signed("ncp", &ca);
    for key in ["hunter2".to_owned(), other_key.serialize_pem()] {
        let auth = Auth::ClientCertificate {
            certificate: pem(own.pem()),
            private_key: key.into(),
        };
        let error = make(auth, Trust::Bundle(pem(ca.pem())));
        assert!(matches!(error, OptionsError::PrivateKey { .. }), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
