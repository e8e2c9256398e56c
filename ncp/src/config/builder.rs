//! Makes endpoints of loose options, with all that is missing or can't be read put down as mistakes.

use super::endpoints::{
    Endpoint, Foundation, Identity, Locket, Login, Managers, MutualEndpoint, MutualTls, Trust,
};
use super::reader::Reader;
use super::sections::{Cf, Coe, NsxV3};
use super::surroundings::Surroundings;
use super::value::{Address, Secret, WebUrl, Wrong};
use secrecy::SecretString;
use std::path::{Path, PathBuf};

/// Builds endpoints, reporting what is missing or can't be read.
pub(super) struct Builder<'r, 'a> {
    pub(super) reader: &'r mut Reader<'a>,
    pub(super) around: &'r dyn Surroundings,
}

impl Builder<'_, '_> {
    /// The managers of `[nsx_v3]`.
    pub(super) fn managers(&mut self, nsx: &NsxV3) -> Option<Managers> {
        let trusts = self.trusts(nsx);
        let login = self.login(nsx);
        let list = nsx.nsx_api_managers.iter().cloned().zip(trusts).collect();
        Some(Managers { list, login: login? })
    }

    /// One trust for each manager (R-NCP-05).
    fn trusts(&mut self, nsx: &NsxV3) -> Vec<Trust> {
        const KEY: &str = "ca_file";
        let managers = nsx.nsx_api_managers.len();
        if nsx.insecure {
            if !nsx.ca_file.is_empty() {
                let wrong = Wrong::new(
                    "insecure = True makes it useless",
                    "set insecure = False to use it",
                );
                self.reader.notice("nsx_v3", KEY, wrong);
            }
            return vec![Trust::Anyone; managers];
        }
        for file in &nsx.ca_file {
            self.certificate("nsx_v3", KEY, file);
        }
        match nsx.ca_file.as_slice() {
            [] => vec![Trust::System; managers],
            [one] => vec![Trust::File(one.clone()); managers],
            files => {
                if files.len() != managers && managers > 0 {
                    let what = format!("{} files for {managers} managers", files.len());
                    let instead =
                        "name one file for all managers, or one for each in the order of nsx_api_managers";
                    self.reader.wrong("nsx_v3", KEY, Wrong::new(what, instead));
                }
                files.iter().cloned().map(Trust::File).collect()
            }
        }
    }

    fn login(&mut self, nsx: &NsxV3) -> Option<Login> {
        const SECTION: &str = "nsx_v3";
        let identity = self.identity(
            SECTION,
            ("nsx_api_cert_file", nsx.nsx_api_cert_file.as_deref()),
            (
                "nsx_api_private_key_file",
                nsx.nsx_api_private_key_file.as_deref(),
            ),
        );
        if nsx.nsx_api_cert_file.is_some() || nsx.nsx_api_private_key_file.is_some() {
            if nsx.nsx_api_user.is_some() || nsx.nsx_api_password.is_some() {
                let wrong = Wrong::new(
                    "the client certificate goes before user and password",
                    "remove the two",
                );
                self.reader.notice(SECTION, "nsx_api_user", wrong);
            }
            return identity.map(Login::Certificate);
        }
        match (&nsx.nsx_api_user, &nsx.nsx_api_password) {
            (Some(user), Some(password)) => {
                let password = self.secret(SECTION, "nsx_api_password", password)?;
                return Some(Login::Password {
                    user: user.as_str().to_owned(),
                    password,
                });
            }
            (Some(_), None) => self.lacks(SECTION, "nsx_api_password", "nsx_api_user is set without it"),
            (None, Some(_)) => self.lacks(SECTION, "nsx_api_user", "nsx_api_password is set without it"),
            (None, None) => self.lacks(
                SECTION,
                "nsx_api_cert_file",
                "there is neither a client certificate nor a user to log in with",
            ),
        }
        None
    }

    /// The endpoints of `[cf]`.
    pub(super) fn foundation(&mut self, coe: &Coe, cf: &Cf) -> Option<Foundation> {
        let uaa = self.endpoint("uaa_ca_file", &cf.uaa_url, cf.uaa_ca_file.as_deref());
        let capi = self.endpoint("capi_ca_file", &cf.capi_url, cf.capi_ca_file.as_deref());
        let client = self.client(cf);
        let internal = cf.capi_internal_url.as_ref().map(|url| {
            let files = [
                &cf.capi_internal_ca_cert,
                &cf.capi_internal_client_cert,
                &cf.capi_internal_client_key,
            ];
            self.mutual("capi_internal", std::slice::from_ref(url), files)
        });
        let bbs = self.mutual(
            "bbs",
            &cf.bbs_urls,
            [&cf.bbs_ca_cert, &cf.bbs_client_cert, &cf.bbs_client_key],
        );
        let policy = [&cf.policy_ca_cert, &cf.policy_client_cert, &cf.policy_client_key];
        let policy = self.mutual("policy", std::slice::from_ref(&cf.policy_server_url), policy);
        let locket = self.locket(coe, cf);
        let (client_id, client_secret) = client?;
        Some(Foundation {
            uaa,
            client_id,
            client_secret,
            capi,
            capi_internal: match internal {
                Some(internal) => Some(internal?),
                None => None,
            },
            bbs: bbs?,
            policy_server: policy?,
            locket: locket?,
        })
    }

    fn client(&mut self, cf: &Cf) -> Option<(String, SecretString)> {
        if cf.uaa_client_id.is_none() {
            self.lacks(
                "cf",
                "uaa_client_id",
                "Cloud Controller is read in the name of a UAA client",
            );
        }
        if cf.uaa_client_secret.is_none() {
            self.lacks(
                "cf",
                "uaa_client_secret",
                "Cloud Controller is read in the name of a UAA client",
            );
        }
        let secret = cf
            .uaa_client_secret
            .as_ref()
            .and_then(|s| self.secret("cf", "uaa_client_secret", s));
        Some((cf.uaa_client_id.as_ref()?.as_str().to_owned(), secret?))
    }

    fn endpoint(&mut self, ca_key: &str, url: &WebUrl, ca: Option<&Path>) -> Endpoint {
        let trust = ca.filter(|_| url.is_tls()).map_or(Trust::System, |file| {
            self.certificate("cf", ca_key, file);
            Trust::File(file.to_owned())
        });
        Endpoint {
            url: url.clone(),
            trust,
        }
    }

    /// An endpoint whose three file options are `<name>_ca_cert`, `<name>_client_cert`, `<name>_client_key`.
    fn mutual(
        &mut self,
        name: &str,
        urls: &[WebUrl],
        files: [&Option<PathBuf>; 3],
    ) -> Option<MutualEndpoint> {
        let tls = match urls.iter().find(|url| url.is_tls()) {
            Some(url) => Some(self.mutual_tls(name, &url.to_string(), files)?),
            None => None,
        };
        Some(MutualEndpoint {
            urls: urls.to_vec(),
            tls,
        })
    }

    fn mutual_tls(&mut self, name: &str, peer: &str, files: [&Option<PathBuf>; 3]) -> Option<MutualTls> {
        let keys = ["ca_cert", "client_cert", "client_key"].map(|end| format!("{name}_{end}"));
        for (key, _) in keys.iter().zip(files).filter(|(_, file)| file.is_none()) {
            self.lacks("cf", key, &format!("{peer} asks for a client certificate"));
        }
        let [ca, cert, key] = files.map(Option::as_deref);
        if let Some(ca) = ca {
            self.certificate("cf", &keys[0], ca);
        }
        if let Some(cert) = cert {
            self.certificate("cf", &keys[1], cert);
        }
        if let Some(key) = key {
            self.private_key("cf", &keys[2], key);
        }
        Some(MutualTls {
            ca: ca?.to_owned(),
            identity: Identity {
                cert: cert?.to_owned(),
                key: key?.to_owned(),
            },
        })
    }

    /// Locket takes the same certificate as the BBS where the platform gives out only one.
    fn locket(&mut self, coe: &Coe, cf: &Cf) -> Option<Locket> {
        let own = [&cf.locket_ca_cert, &cf.locket_client_cert, &cf.locket_client_key];
        let tls = if own.iter().any(|file| file.is_some()) {
            Some(self.mutual_tls("locket", "Locket", own)?)
        } else if cf.locket_addresses.iter().all(Address::is_loopback) {
            None
        } else {
            // Reported once, by the BBS, when it is missing or wrong there.
            Some(MutualTls {
                ca: cf.bbs_ca_cert.clone()?,
                identity: Identity {
                    cert: cf.bbs_client_cert.clone()?,
                    key: cf.bbs_client_key.clone()?,
                },
            })
        };
        let key = cf.lock_key.as_ref().map_or_else(
            || format!("ncp/{}", coe.cluster.as_str()),
            |k| k.as_str().to_owned(),
        );
        Some(Locket {
            addresses: cf.locket_addresses.clone(),
            tls,
            key,
        })
    }

    /// A certificate and its key, or neither.
    pub(super) fn identity(
        &mut self,
        section: &str,
        cert: (&str, Option<&Path>),
        key: (&str, Option<&Path>),
    ) -> Option<Identity> {
        match (cert.1, key.1) {
            (Some(cert_file), Some(key_file)) => {
                self.certificate(section, cert.0, cert_file);
                self.private_key(section, key.0, key_file);
                Some(Identity {
                    cert: cert_file.to_owned(),
                    key: key_file.to_owned(),
                })
            }
            (Some(_), None) => {
                self.lacks(section, key.0, &format!("{} is set without it", cert.0));
                None
            }
            (None, Some(_)) => {
                self.lacks(section, cert.0, &format!("{} is set without it", key.0));
                None
            }
            (None, None) => None,
        }
    }

    fn secret(&mut self, section: &str, key: &str, secret: &Secret) -> Option<SecretString> {
        secret
            .fetch(self.around)
            .map_err(|wrong| self.reader.wrong(section, key, wrong))
            .ok()
    }

    fn certificate(&mut self, section: &str, key: &str, file: &Path) {
        self.pem(
            section,
            key,
            file,
            &["-----BEGIN CERTIFICATE-----"],
            "certificate",
        );
    }

    fn private_key(&mut self, section: &str, key: &str, file: &Path) {
        let kinds = [
            "-----BEGIN PRIVATE KEY-----",
            "-----BEGIN RSA PRIVATE KEY-----",
            "-----BEGIN EC PRIVATE KEY-----",
        ];
        self.pem(section, key, file, &kinds, "private key without a passphrase");
    }

    /// Looks for the block only; whether it is sound is for the TLS library to say.
    fn pem(&mut self, section: &str, key: &str, file: &Path, blocks: &[&str], what: &str) {
        let wrong = match self.around.file(file) {
            Ok(text) if blocks.iter().any(|block| text.contains(block)) => return,
            Ok(_) => Wrong::new(
                format!("{} holds no {what} in PEM form", file.display()),
                format!("name a file with a block {}", blocks[0]),
            ),
            Err(e) => Wrong::new(
                format!("{} can't be read: {e}", file.display()),
                "name a file that this user can read",
            ),
        };
        self.reader.wrong(section, key, wrong);
    }

    /// Reports an option that is needed because of `why`.
    pub(super) fn lacks(&mut self, section: &str, key: &str, why: &str) {
        self.reader.wrong(
            section,
            key,
            Wrong::new(format!("not set, yet {why}"), format!("set {key}")),
        );
    }
}
