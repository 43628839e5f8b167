//! One outgoing request, as grants see it.

use core::net::IpAddr;

use super::{Scheme, host};

/// One outgoing request, in the form that grants are compared with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// How the host is spoken to.
    pub scheme: Scheme,
    /// The canonical host: lower case, no final dot, IPv4 in four decimal parts, IPv6 in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The method as it is sent.
    pub method: String,
    /// The path as it is sent, without the query.
    pub path: String,
}

impl Target {
    /// Reads the parts of a request. `None` for an authority that is not exactly a host and a port: user information is
    /// how `https://good.example@evil.example` misleads readers.
    pub fn read(method: &str, scheme: &str, authority: &str, path: &str) -> Option<Target> {
        let scheme = match scheme {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => return None,
        };
        if authority.contains('@') {
            return None;
        }
        // The last colon begins the port, unless it stands within an IPv6 literal.
        let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
            Some((host, port)) => {
                (host, port.parse().ok().filter(|_| port.bytes().all(|b| b.is_ascii_digit()))?)
            }
            None => (authority, scheme.default_port()),
        };
        let host = host::canonical(host)?;
        Some(Target { scheme, host, port, method: method.to_owned(), path: path.to_owned() })
    }

    /// The address, for a host that is written as one.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// The `Host` header: the port only where it is not the scheme's.
    pub fn authority(&self) -> String {
        let Target { scheme, host, port, method: _, path: _ } = self;
        if *port == scheme.default_port() { host.clone() } else { format!("{host}:{port}") }
    }
}
