//! Certificates and keys, from files or from bytes, checked when they are loaded.
//!
//! BBS, Locket, the policy server and CAPI's internal port want a client certificate; CAPI and UAA only a
//! CA to check theirs against. A broken PEM is reported with its file here, not as a handshake failure
//! later.

use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretSlice};

/// PEM text, from where it is.
#[derive(Clone, Debug)]
pub enum Pem {
    /// A file, read when the material is loaded.
    File(PathBuf),
    /// The text itself, which may hold a private key.
    Bytes(SecretSlice<u8>),
}

impl From<Vec<u8>> for Pem {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<&Path> for Pem {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

/// What a far end's TLS needs.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// CA certificates to check the server against; without any, those of the system.
    pub ca: Vec<Pem>,
    /// Client certificate with its chain, and its key.
    pub identity: Option<(Pem, Pem)>,
    /// Accept any server certificate. For laboratories.
    pub insecure: bool,
}

/// Why certificates or keys can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The file can't be read.
    #[error("can't read {path:?}; check that it exists and that this user may read it")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// There is no certificate in it.
    #[error("{place} holds no valid PEM certificate")]
    NoCertificate {
        /// The file, or what the bytes are for.
        place: String,
    },
    /// There is no private key in it.
    #[error("{place} holds no PEM private key (PKCS#8, PKCS#1 or SEC1, unencrypted)")]
    NoKey {
        /// The file, or what the bytes are for.
        place: String,
    },
    /// Certificate and key are each readable but not usable for TLS.
    #[error("the client certificate and key can't be used together")]
    Unusable(#[source] reqwest::Error),
}

impl TlsError {
    /// The guide's code.
    pub fn code(&self) -> &'static str {
        crate::codes::FILE_ACCESS
    }
}

/// Loaded and checked material.
#[derive(Clone)]
pub struct TlsMaterial {
    roots: Vec<Vec<u8>>,
    identity: Option<(Vec<u8>, SecretSlice<u8>)>,
    insecure: bool,
}

impl std::fmt::Debug for TlsMaterial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsMaterial")
            .field("roots", &self.roots.len())
            .field("identity", &self.identity.is_some())
            .field("insecure", &self.insecure)
            .finish()
    }
}

impl TlsMaterial {
    /// Reads and checks everything the options name.
    ///
    /// # Errors
    /// [`TlsError`] naming the first file that can't be read or used.
    pub fn load(options: &TlsOptions) -> Result<Self, TlsError> {
        let mut roots = Vec::new();
        for pem in &options.ca {
            let bytes = read(pem)?.expose_secret().to_vec();
            certificates(&bytes, || place(pem, "the CA"))?;
            roots.push(bytes);
        }
        let identity = options.identity.as_ref().map(load_identity).transpose()?;
        Ok(Self {
            roots,
            identity,
            insecure: options.insecure,
        })
    }

    pub(crate) fn apply(&self, builder: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder, TlsError> {
        let mut builder = builder.tls_danger_accept_invalid_certs(self.insecure);
        let mut roots = Vec::new();
        for pem in &self.roots {
            roots.extend(reqwest::Certificate::from_pem_bundle(pem).map_err(TlsError::Unusable)?);
        }
        if !roots.is_empty() {
            builder = builder.tls_certs_only(roots);
        }
        if let Some((certificate, key)) = &self.identity {
            let pem = SecretSlice::from([certificate, key.expose_secret()].join(&b'\n'));
            let identity = reqwest::Identity::from_pem(pem.expose_secret()).map_err(TlsError::Unusable)?;
            builder = builder.identity(identity);
        }
        Ok(builder)
    }

    pub(crate) fn tonic(&self, server_name: &str) -> tonic::transport::ClientTlsConfig {
        use tonic::transport::{Certificate, ClientTlsConfig, Identity};
        let tls = ClientTlsConfig::new()
            .domain_name(server_name)
            .ca_certificates(self.roots.iter().map(Certificate::from_pem));
        match &self.identity {
            Some((certificate, key)) => tls.identity(Identity::from_pem(certificate, key.expose_secret())),
            None => tls,
        }
    }
}

fn load_identity((certificate, key): &(Pem, Pem)) -> Result<(Vec<u8>, SecretSlice<u8>), TlsError> {
    let chain = read(certificate)?.expose_secret().to_vec();
    certificates(&chain, || place(certificate, "the client certificate"))?;
    let private = read(key)?;
    PrivateKeyDer::from_pem_slice(private.expose_secret()).map_err(|_| TlsError::NoKey {
        place: place(key, "the client key"),
    })?;
    Ok((chain, private))
}

fn read(pem: &Pem) -> Result<SecretSlice<u8>, TlsError> {
    match pem {
        Pem::Bytes(bytes) => Ok(bytes.clone()),
        Pem::File(path) => std::fs::read(path)
            .map(SecretSlice::from)
            .map_err(|source| TlsError::File {
                path: path.clone(),
                source,
            }),
    }
}

fn certificates(pem: &[u8], place: impl Fn() -> String) -> Result<(), TlsError> {
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        certificate.map_err(|_| TlsError::NoCertificate { place: place() })?;
        count += 1;
    }
    if count == 0 {
        return Err(TlsError::NoCertificate { place: place() });
    }
    Ok(())
}

fn place(pem: &Pem, what: &str) -> String {
    match pem {
        Pem::File(path) => format!("{path:?}"),
        Pem::Bytes(_) => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_with_its_place() {
        let missing = TlsOptions {
            ca: vec![Pem::File("/nonexistent/ca.crt".into())],
            ..Default::default()
        };
        let error = TlsMaterial::load(&missing).expect_err("no such file");
        assert!(error.to_string().contains("/nonexistent/ca.crt"), "{error}");
        assert_eq!(error.code(), "NCP06034");

        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["bbs".into()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let load = |certificate: String, key: String| {
            TlsMaterial::load(&TlsOptions {
                identity: Some((certificate.into_bytes().into(), key.into_bytes().into())),
                ..Default::default()
            })
        };
        assert!(load(certificate.pem(), key.serialize_pem()).is_ok());
        let swapped = load(key.serialize_pem(), certificate.pem());
        assert!(matches!(swapped, Err(TlsError::NoCertificate { .. })));
        let no_key = load(certificate.pem(), certificate.pem());
        assert!(matches!(no_key, Err(TlsError::NoKey { .. })));
    }

    #[test]
    fn debug_shows_no_key() {
        let options = TlsOptions {
            identity: Some((b"cert".to_vec().into(), b"very secret".to_vec().into())),
            ..Default::default()
        };
        assert!(!format!("{options:?}").contains("118"), "{options:?}");
    }
}
