//! Addresses of managers as operators write them in `nsx_api_managers`.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

/// How a manager is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// TLS; the only scheme a real manager offers.
    Https,
    /// Plain text; for emulators on the same machine.
    Http,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }
}

/// Scheme, host and port of one manager.
///
/// Parsed from `host`, `host:port`, an IPv6 address with or without brackets, or a URL without path.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ManagerAddress {
    scheme: Scheme,
    host: Host<String>,
    port: u16,
}

impl ManagerAddress {
    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Host name or address, IPv6 without brackets, as a resolver or a certificate check wants it.
    pub fn host(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        }
    }

    /// TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host:port` for the `Host` header, with brackets around IPv6.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub(super) fn from_url(url: &Url) -> Result<Self, AddressError> {
        let bad = |reason| AddressError {
            given: url.to_string(),
            reason,
        };
        let scheme = match url.scheme() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => return Err(bad("the scheme must be https (or http for an emulator)")),
        };
        let host = url.host().ok_or_else(|| bad("there is no host"))?.to_owned();
        let port = url
            .port_or_known_default()
            .ok_or_else(|| bad("there is no port"))?;
        Ok(Self { scheme, host, port })
    }
}

impl FromStr for ManagerAddress {
    type Err = AddressError;

    fn from_str(given: &str) -> Result<Self, AddressError> {
        let trimmed = given.trim();
        let bad = |reason| AddressError {
            given: printable(trimmed),
            reason,
        };
        let text = if trimmed.contains("://") {
            trimmed.to_owned()
        } else if trimmed.parse::<std::net::Ipv6Addr>().is_ok() {
            format!("https://[{trimmed}]")
        } else {
            format!("https://{trimmed}")
        };
        let url = Url::parse(&text).map_err(|_| bad("it is neither host[:port] nor a URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad(
                "user and password belong in nsx_api_user and nsx_api_password",
            ));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(bad("it must not have a path, only host and port"));
        }
        Self::from_url(&url).map_err(|error| bad(error.reason))
    }
}

/// What an error may show of an address: nothing before an `@`, where a password could be.
fn printable(given: &str) -> String {
    match given.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => given.to_owned(),
    }
}

impl fmt::Display for ManagerAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{}:{}", self.scheme.name(), self.host, self.port)
    }
}

impl fmt::Debug for ManagerAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// An address that can't be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("manager address \"{given}\" can't be used: {reason}")]
pub struct AddressError {
    given: String,
    reason: &'static str,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_form_is_understood() {
        let cases = [
            ("10.0.0.1", "https://10.0.0.1:443"),
            (" nsx.example.com:8443 ", "https://nsx.example.com:8443"),
            ("https://nsx.example.com", "https://nsx.example.com:443"),
            ("http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
            ("fd00::1", "https://[fd00::1]:443"),
            ("[fd00::1]:8443", "https://[fd00::1]:8443"),
        ];
        for (given, expected) in cases {
            assert_eq!(
                given.parse::<ManagerAddress>().unwrap().to_string(),
                expected,
                "{given}"
            );
        }
    }

    #[test]
    fn a_host_is_given_without_brackets_and_an_authority_with_them() {
        let address: ManagerAddress = "[fd00::1]:8443".parse().unwrap();
        assert_eq!(address.host(), "fd00::1");
        assert_eq!(address.authority(), "[fd00::1]:8443");
    }

    #[test]
    fn nonsense_is_refused_and_a_password_is_not_repeated() {
        for given in ["", "ftp://nsx", "nsx/api/v1", "nsx:99999", "https://nsx?x=1"] {
            assert!(given.parse::<ManagerAddress>().is_err(), "{given}");
        }
        let error = "https://admin:hunter2@nsx"
            .parse::<ManagerAddress>()
            .unwrap_err()
            .to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
