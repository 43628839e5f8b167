//! Checks `Host` and `Origin`, so that a web page cannot reach a local server by a DNS name that it controls.
//!
//! Owns the protection against DNS rebinding. Loopback names are always accepted; others are configured by the
//! operator.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, header};

use super::Door;
use crate::api::problem;
use airlock::config::HttpConfig;
pub(super) use airlock::config::origin::{HostName, HostPort, Origin};

/// The accepted names of this server.
pub(super) struct Names {
    hosts: Vec<HostPort>,
    origins: Vec<Origin>,
    address: IpAddr,
}

impl Names {
    pub(super) fn new(http: &HttpConfig, address: SocketAddr) -> Names {
        // The entries were validated when the config was loaded, so none is dropped here.
        let hosts = http.allowed_hosts.iter().filter_map(|host| host.parse().ok()).collect();
        let origins = http.allowed_origins.iter().filter_map(|origin| origin.parse().ok()).collect();
        Names { hosts, origins, address: address.ip() }
    }

    /// Describes a rejected name. The form check before this one ensures that a request has exactly one host.
    pub(super) fn fault(&self, headers: &HeaderMap) -> Option<String> {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse().ok());
        let Some(host) = host else { return Some("the request names no host".into()) };
        if !self.is_host(&host) {
            return Some("this server is not known by that host; `http.allowed_hosts` adds a name".into());
        }
        // Programs usually send no `Origin`, so its absence is accepted. A web page cannot suppress it in a
        // cross-origin POST.
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let ok = |origin: &http::HeaderValue| origin.to_str().is_ok_and(|origin| self.is_origin(origin));
        (!origins.all(ok)).then(|| "pages of that origin may not ask; `http.allowed_origins` adds one".into())
    }

    fn is_host(&self, asked: &HostPort) -> bool {
        let is_this =
            |own: &HostPort| own.host == asked.host && (own.port.is_none() || own.port == asked.port);
        asked.host.is_loopback() || self.is_own_address(&asked.host) || self.hosts.iter().any(is_this)
    }

    /// An IP address is accepted because DNS rebinding needs a name.
    fn is_own_address(&self, host: &HostName) -> bool {
        let HostName::Address(address) = host else { return false };
        *address == self.address || self.address.is_unspecified()
    }

    pub(super) fn is_origin(&self, origin: &str) -> bool {
        let Ok(origin) = origin.parse::<Origin>() else { return false };
        origin.host.is_loopback() || self.origins.contains(&origin)
    }
}

pub(super) async fn check(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    match door.names.fault(request.headers()) {
        Some(fault) => problem::forbidden(&fault),
        None => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: Option<&str>, origin: Option<&str>) -> bool {
        let mut http = HttpConfig::default();
        http.allowed_hosts = vec!["tools.example.com".into(), "other.example.com:8443".into()];
        http.allowed_origins = vec!["https://app.example.com".into()];
        let names = Names::new(&http, "10.1.2.3:8787".parse().unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            value.and_then(|value| headers.insert(name, value.parse().unwrap()));
        }
        names.fault(&headers).is_none()
    }

    #[test]
    fn a_host_is_loopback_the_address_or_allowed() {
        for host in ["localhost:8787", "127.0.0.1", "[::1]:8787", "LOCALHOST", "10.1.2.3:8787"] {
            assert!(check(Some(host), None), "{host}");
        }
        for host in ["tools.example.com", "tools.example.com:443", "other.example.com:8443"] {
            assert!(check(Some(host), None), "{host}");
        }
        for host in ["evil.example.com", "localhost.evil.com", "10.1.2.4", "other.example.com", "", "a b"] {
            assert!(!check(Some(host), None), "{host}");
        }
        for host in ["evil@localhost", "localhost@evil.example.com", "127.0.0.1.evil.com", "localhost."] {
            assert!(!check(Some(host), None), "{host}");
        }
        assert!(!check(None, None));
    }

    #[test]
    fn an_origin_is_a_local_page_or_allowed() {
        for origin in
            ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:1", "https://app.example.com"]
        {
            assert!(check(Some("localhost"), Some(origin)), "{origin}");
        }
        for origin in
            ["http://evil.example.com", "null", "file://localhost", "https://app.example.com:444", ""]
                .into_iter()
                .chain([
                    "http://localhost@evil.example.com",
                    "http://127.0.0.1.evil.com",
                    "http://app.example.com",
                ])
        {
            assert!(!check(Some("localhost"), Some(origin)), "{origin}");
        }
    }
}
