//! Why a connection did not come about, out of an error's causes, in words for people.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError};

/// What an operator can do something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    NobodyListens,
    NameUnknown,
    NoAnswer,
    Unreachable,
    AuthorityUnknown,
    WrongName,
    Expired,
    ClientRefused,
    NoTls,
    Dropped,
}

/// Names of the options that a far end is configured by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) address: &'static str,
    pub(super) ca: &'static str,
    pub(super) client: &'static str,
}

/// The first cause that is known, from the outside in; the innermost of its kind is the nearest to the truth.
pub(super) fn of(error: &(dyn Error + 'static)) -> Option<Cause> {
    let mut found = None;
    let mut next = Some(error);
    while let Some(error) = next {
        found = one(error).or(found);
        next = error.source();
    }
    found
}

fn one(error: &(dyn Error + 'static)) -> Option<Cause> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return tls(error);
    }
    let io = error.downcast_ref::<io::Error>()?;
    // An error that another one is wrapped in is not among its sources.
    match io.get_ref() {
        Some(inner) => of(inner).or_else(|| kind(io)),
        None => kind(io),
    }
}

fn kind(error: &io::Error) -> Option<Cause> {
    Some(match error.kind() {
        io::ErrorKind::ConnectionRefused => Cause::NobodyListens,
        io::ErrorKind::TimedOut => Cause::NoAnswer,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Cause::Unreachable,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionAborted => Cause::Dropped,
        // HTTP/2 keeps of an error below it no more than its text.
        io::ErrorKind::InvalidData if error.to_string().contains("received fatal alert") => {
            Cause::ClientRefused
        }
        // The resolver's errors have no kind of their own.
        _ if error.to_string().contains("lookup address") => Cause::NameUnknown,
        _ => return None,
    })
}

fn tls(error: &rustls::Error) -> Option<Cause> {
    Some(match error {
        rustls::Error::InvalidCertificate(why) => match why {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Cause::WrongName
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Cause::Expired,
            _ => Cause::AuthorityUnknown,
        },
        rustls::Error::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::CertificateRequired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
            | AlertDescription::HandshakeFailure,
        ) => Cause::ClientRefused,
        rustls::Error::InvalidMessage(_) => Cause::NoTls,
        _ => return None,
    })
}

impl Cause {
    /// What is the matter.
    pub(super) fn text(self) -> &'static str {
        match self {
            Cause::NobodyListens => "nobody listens at this address",
            Cause::NameUnknown => "the host's name can't be resolved",
            Cause::NoAnswer => "no answer in time",
            Cause::Unreachable => "there is no route to this address",
            Cause::AuthorityUnknown => "its certificate is signed by an authority that is not trusted here",
            Cause::WrongName => "its certificate is for another name than the configured one",
            Cause::Expired => "its certificate has expired, or is not valid yet",
            Cause::ClientRefused => "it refuses the client certificate",
            Cause::NoTls => "what answers there does not speak TLS",
            Cause::Dropped => "it ends the connection without an answer",
        }
    }

    /// What to do.
    pub(super) fn next(self, by: Options) -> String {
        match self {
            Cause::NobodyListens => format!("check {}, and that the server runs", by.address),
            Cause::NameUnknown => format!("check {}, and this machine's name servers", by.address),
            Cause::NoAnswer | Cause::Unreachable => format!(
                "check {}, and routes and firewalls between this machine and the server",
                by.address
            ),
            Cause::AuthorityUnknown => format!(
                "set {} to the file with the certificate of the authority that signed it",
                by.ca
            ),
            Cause::WrongName => format!("write a name in {} that the certificate bears", by.address),
            Cause::Expired => "renew the server's certificate; check the clocks of both machines".to_owned(),
            Cause::ClientRefused => format!(
                "check {}: the server must know the authority that signed it, and it must not have expired",
                by.client
            ),
            Cause::NoTls => format!("check scheme and port in {}", by.address),
            Cause::Dropped => format!(
                "check the port in {}, and {}: some servers end the connection of a client that they don't know",
                by.address, by.client
            ),
        }
    }

    /// Whether the configuration is the likely culprit, and not the moment.
    pub(super) fn is_mistake(self) -> bool {
        matches!(
            self,
            Cause::AuthorityUnknown | Cause::WrongName | Cause::ClientRefused | Cause::NoTls
        )
    }
}
