//! TLS set-up: which manager certificates are believed, and the client's own.
//!
//! NSX managers are often installed with a self-signed certificate, and operators give just that as `ca_file`. A
//! strict verifier refuses it when it is marked as a CA ("a CA used as end entity"), so a certificate that is
//! *identical* to one of the file is accepted as it stands, after its name has been checked.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use secrecy::ExposeSecret;
use tokio_rustls::TlsConnector;

use super::error::OptionsError;
use super::options::{Auth, ManagerTrust, Pem};

/// A connector for one manager.
pub(super) fn connector(trust: ManagerTrust<'_>, auth: &Auth) -> Result<TlsConnector, OptionsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = verifier(trust, provider.clone())?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(OptionsError::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match auth {
        Auth::ClientCertificate {
            certificate,
            private_key,
        } => {
            let key = PrivateKeyDer::from_pem_slice(private_key.expose_secret().as_bytes())
                .map_err(|_| unusable_key(certificate, "it is not a private key in PEM"))?;
            builder
                .with_client_auth_cert(certificates(certificate)?, key)
                .map_err(|_| unusable_key(certificate, "it does not belong to the certificate"))?
        }
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn unusable_key(certificate: &Pem, problem: &'static str) -> OptionsError {
    OptionsError::PrivateKey {
        file: certificate.source.clone(),
        problem,
    }
}

fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, OptionsError> {
    let bad = |problem: String| OptionsError::Certificate {
        file: pem.source.clone(),
        problem,
    };
    let all = CertificateDer::pem_slice_iter(&pem.bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad(error.to_string()))?;
    if all.is_empty() {
        Err(bad("no CERTIFICATE block".into()))
    } else {
        Ok(all)
    }
}

fn verifier(
    trust: ManagerTrust<'_>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, OptionsError> {
    let (roots, pinned) = match trust {
        ManagerTrust::Insecure => return Ok(Arc::new(AnyCertificate(provider))),
        ManagerTrust::System => (system_roots()?, Vec::new()),
        ManagerTrust::Bundle(pem) => {
            let all = certificates(pem)?;
            (bundle_roots(pem, &all)?, all)
        }
    };
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|_| OptionsError::NoSystemRoots)?;
    Ok(Arc::new(ChainOrPinned { chain, pinned }))
}

fn bundle_roots(pem: &Pem, all: &[CertificateDer<'static>]) -> Result<RootCertStore, OptionsError> {
    let mut roots = RootCertStore::empty();
    for one in all {
        roots
            .add(one.clone())
            .map_err(|error| OptionsError::Certificate {
                file: pem.source.clone(),
                problem: error.to_string(),
            })?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, OptionsError> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        Err(OptionsError::NoSystemRoots)
    } else {
        Ok(roots)
    }
}

/// A chain to a root, or the very certificate that the operator named.
#[derive(Debug)]
struct ChainOrPinned {
    chain: Arc<WebPkiServerVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for ChainOrPinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.pinned.iter().any(|one| one.as_ref() == end_entity.as_ref()) {
            let parsed = ParsedCertificate::try_from(end_entity)?;
            rustls::client::verify_server_name(&parsed, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        self.chain
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// `insecure = True`: the peer must hold the key of whatever certificate it shows, nothing more.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
