//! Addresses, URLs and networks.
//!
//! One rule holds for all endpoints: without TLS only to this machine. Credentials never cross a
//! wire in the clear, and the emulators of a sandbox need no certificates.

use super::{Value, Wrong};
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use url::{Host, Url};

/// Whether a host is this machine whatever the resolver says.
fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}

/// An `https://` URL, or an `http://` URL of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebUrl(Url);

impl WebUrl {
    /// The URL.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Whether it needs certificates.
    pub fn is_tls(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Value for WebUrl {
    fn kind() -> String {
        "URL, https://…; http://… only for this machine".into()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let instead = "write https://<host>[:<port>]";
        let url = Url::parse(text).map_err(|e| Wrong::new(format!("this is no URL: {e}"), instead))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Wrong::new(
                "the URL contains credentials",
                "use the options for user and password",
            ));
        }
        let host = url
            .host()
            .ok_or_else(|| Wrong::new(format!("{text:?} names no host"), instead))?;
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if is_loopback(&host) => Ok(Self(url)),
            "http" => Err(Wrong::new(
                format!("{text:?} would be spoken without encryption"),
                instead,
            )),
            _ => Err(Wrong::new(format!("{text:?} is not a web address"), instead)),
        }
    }
}

/// `<host>:<port>` of a server that speaks something else than HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Name or address; IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Address {
    /// Whether it is this machine whatever the resolver says.
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(ip) => ip.is_loopback(),
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        }
    }

    /// The address to listen on, when the host is a number.
    pub fn socket(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.host.parse().ok()?, self.port))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Value for Address {
    fn kind() -> String {
        "<host>:<port>".into()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let wrong = || {
            Wrong::new(
                format!("{text:?} is no host and port"),
                "write <host>:<port>, IPv6 in brackets",
            )
        };
        let (host, port) = host_port(text).ok_or_else(wrong)?;
        Ok(Self {
            host,
            port: port.ok_or_else(wrong)?,
        })
    }
}

/// Splits `host[:port]`. A host with colons must be in brackets.
fn host_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (
                host,
                if rest.is_empty() {
                    None
                } else {
                    Some(rest.strip_prefix(':')?)
                },
            )
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(plain) {
        return None;
    }
    let port = match port.map(str::parse::<u16>) {
        None => None,
        Some(Ok(port)) if port > 0 => Some(port),
        Some(_) => return None,
    };
    Some((host.to_owned(), port))
}

/// One NSX manager (R-CFG-08 `nsx_api_managers`): always HTTPS, port 443 unless given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager(Url);

impl Manager {
    /// Root of the manager's API, without a path.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Whether it is spoken to over TLS. Only a manager on this machine may be otherwise.
    pub fn is_tls(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Value for Manager {
    fn kind() -> String {
        "<host>[:<port>] (HTTPS, port 443 unless given)".into()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let instead = "write <host>[:<port>], IPv6 in brackets";
        if text.starts_with('<') {
            return Err(Wrong::new(format!("{text} is the sample's placeholder"), instead));
        }
        // Later versions of the original take a scheme; so do files written for them.
        let url = if text.contains("://") {
            WebUrl::parse(text)?.0
        } else {
            let (host, port) =
                host_port(text).ok_or_else(|| Wrong::new(format!("{text:?} is no host"), instead))?;
            let address = Address {
                host,
                port: port.unwrap_or(443),
            };
            Url::parse(&format!("https://{address}/"))
                .map_err(|e| Wrong::new(format!("{text:?}: {e}"), instead))?
        };
        if url.path() != "/" || url.query().is_some() {
            return Err(Wrong::new(format!("{text:?} has a path"), instead));
        }
        Ok(Self(url))
    }
}

impl Value for IpNet {
    fn kind() -> String {
        "network in CIDR notation".into()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(IpNet::from(ip));
        }
        let net: IpNet = text.parse().map_err(|_| {
            Wrong::new(
                format!("{text:?} is no network"),
                "write <address>/<prefix length>",
            )
        })?;
        if net != net.trunc() {
            return Err(Wrong::new(
                format!("{text} has bits beyond its prefix"),
                format!("write {}", net.trunc()),
            ));
        }
        Ok(net)
    }
}

/// Where the platform itself dials containers from: routers, TCP routers, SSH proxies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformSource(IpNet);

impl PlatformSource {
    /// Their network.
    pub fn network(&self) -> IpNet {
        self.0
    }
}

impl Value for PlatformSource {
    fn kind() -> String {
        <IpNet as Value>::kind()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        if text.starts_with("group:") {
            return Err(Wrong::new(
                format!(
                    "{text:?} would be a group of the manager, which this version can't take as a source"
                ),
                "write the networks or addresses of its members, such as 10.0.4.0/24",
            ));
        }
        <IpNet as Value>::parse(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn managers_are_https_with_a_default_port() {
        let cases = [
            ("10.0.0.1", "https://10.0.0.1/"),
            ("nsx.example.org:8443", "https://nsx.example.org:8443/"),
            ("[fd00::1]", "https://[fd00::1]/"),
            ("[fd00::1]:444", "https://[fd00::1]:444/"),
            ("https://nsx", "https://nsx/"),
            ("http://127.0.0.1:9080", "http://127.0.0.1:9080/"),
        ];
        for (text, want) in cases {
            assert_eq!(Manager::parse(text).unwrap().to_string(), want);
        }
        for text in [
            "<ip_address>",
            "http://10.0.0.1",
            "nsx:0",
            "nsx:x",
            "fd00::1",
            "a b",
            "nsx/api",
            "[fd00::1]:0",
        ] {
            assert!(Manager::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn urls_are_encrypted_unless_local() {
        for text in [
            "https://api.example.org",
            "http://localhost:8080",
            "http://[::1]:1",
        ] {
            assert!(WebUrl::parse(text).is_ok(), "{text}");
        }
        for text in [
            "http://api.example.org",
            "ftp://h",
            "api.example.org",
            "http://127.0.0.1.example.org",
        ] {
            assert!(WebUrl::parse(text).is_err(), "{text}");
        }
        let wrong = WebUrl::parse("https://admin:hunter2@h").unwrap_err();
        assert!(!format!("{wrong:?}").contains("hunter2"));
    }

    #[test]
    fn a_platform_source_is_a_network() {
        assert!(PlatformSource::parse("10.0.0.0/8").is_ok());
        let refused = PlatformSource::parse("group:routers").unwrap_err();
        assert!(refused.instead.contains("networks"), "{refused:?}");
        for text in ["10.0.0.0/33", "routers", "group:", "10.0.0.1/8"] {
            assert!(PlatformSource::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_have_a_port() {
        assert_eq!(Address::parse("locket:8891").unwrap().to_string(), "locket:8891");
        assert!(Address::parse("127.0.0.1:1").unwrap().is_loopback());
        assert!(Address::parse("locket").is_err());
    }
}
