//! The foundation's certificate authority and what it signs.
//!
//! Server keys are RSA, since the TLS 1.2 suites of the platform (ECDHE-RSA with AES-GCM) need that; one
//! key serves the whole process, because making one takes long.

use std::sync::{Arc, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use crate::foundation::{Certificates, StartError};

/// Names of the platform's own servers; the address and `localhost` make them good for tests.
const NAMES: [&str; 11] = [
    "localhost",
    "127.0.0.1",
    "api.sys.foundation.test",
    "uaa.sys.foundation.test",
    "uaa.service.cf.internal",
    "cloud-controller-ng.service.cf.internal",
    "bbs.service.cf.internal",
    "*.bbs.service.cf.internal",
    "locket.service.cf.internal",
    "*.locket.service.cf.internal",
    "policy-server.service.cf.internal",
];

/// How a service uses TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The server shows a certificate.
    Server,
    /// Both show one.
    Mutual,
    /// Both, over HTTP/2.
    MutualH2,
}

/// The authority of one foundation.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    server: rcgen::Certificate,
    tls12_only: bool,
}

fn rsa_key() -> Result<&'static KeyPair, rcgen::Error> {
    static KEY: OnceLock<KeyPair> = OnceLock::new();
    match KEY.get() {
        Some(key) => Ok(key),
        None => {
            let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
            Ok(KEY.get_or_init(|| key))
        }
    }
}

impl Authority {
    /// A new authority with its server certificate.
    pub(crate) fn new(tls12_only: bool) -> Result<Self, StartError> {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "foundation CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let mut params = CertificateParams::new(NAMES.map(str::to_owned))?;
        params.distinguished_name.push(DnType::CommonName, "foundation");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let server = params.signed_by(rsa_key()?, &issuer)?;
        Ok(Self {
            issuer,
            server,
            tls12_only,
        })
    }

    /// The authority's certificate, and a client certificate that every service accepts.
    pub(crate) fn certificates(&self) -> Result<Certificates, StartError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "bbs-client");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let client = params.signed_by(&key, &self.issuer)?;
        Ok(Certificates {
            ca: self.issuer.pem(),
            client_cert: client.pem(),
            client_key: key.serialize_pem(),
        })
    }

    pub(crate) fn acceptor(&self, mode: Mode) -> Result<TlsAcceptor, StartError> {
        let provider = Arc::new(provider());
        let versions: &[_] = if self.tls12_only && mode != Mode::Server {
            &[&TLS12]
        } else {
            &[&TLS12, &TLS13]
        };
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions)?;
        let builder = if mode == Mode::Server {
            builder.with_no_client_auth()
        } else {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone())?;
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?,
            )
        };
        let key = PrivateKeyDer::try_from(rsa_key()?.serialize_der()).map_err(StartError::Key)?;
        let mut config = builder.with_single_cert(vec![self.server.der().clone()], key)?;
        if mode == Mode::MutualH2 {
            config.alpn_protocols = vec![b"h2".to_vec()];
        }
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// TLS 1.3 as it is; of TLS 1.2 the two suites of the platform.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| {
        suite.tls13().is_some()
            || matches!(
                suite.suite(),
                CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
                    | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
            )
    });
    provider
}
