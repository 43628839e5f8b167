//! `Host` and `Origin`: a web page must not reach a local server by a name that it controls.
//!
//! Owns the check against DNS rebinding. Loopback's names are always good; others are the operator's.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::uri::Authority;
use http::{HeaderMap, Uri, header};

use super::Door;
use crate::api::problem;
use crate::config::HttpConfig;

/// The names under which this server may be asked.
pub(super) struct Names {
    hosts: Vec<String>,
    origins: Vec<String>,
    address: IpAddr,
}

impl Names {
    pub(super) fn new(http: &HttpConfig, address: SocketAddr) -> Names {
        let lower = |names: &[String]| names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Names {
            hosts: lower(&http.allowed_hosts),
            origins: lower(&http.allowed_origins),
            address: address.ip(),
        }
    }

    /// What is wrong with a request's names.
    fn fault(&self, uri: &Uri, headers: &HeaderMap) -> Option<String> {
        let host = headers.get(header::HOST).map(|host| host.to_str().unwrap_or_default());
        let Some(host) = host.or_else(|| uri.authority().map(Authority::as_str)) else {
            return Some("the request names no host".into());
        };
        if !self.is_host(host) {
            return Some("this server is not known by that host; `http.allowed_hosts` adds a name".into());
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let ok = |origin: &http::HeaderValue| origin.to_str().is_ok_and(|origin| self.is_origin(origin));
        (!origins.all(ok)).then(|| "pages of that origin may not ask; `http.allowed_origins` adds one".into())
    }

    fn is_host(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let Ok(authority) = host.parse::<Authority>() else { return false };
        is_loopback(authority.host())
            || self.is_own_address(authority.host())
            || self.hosts.iter().any(|name| *name == host || *name == authority.host())
    }

    /// An address cannot be rebound, unlike a name.
    fn is_own_address(&self, host: &str) -> bool {
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        address.is_ok_and(|address| address == self.address || self.address.is_unspecified())
    }

    fn is_origin(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        let Ok(uri) = origin.parse::<Uri>() else { return false };
        let is_local = uri.scheme_str().is_some_and(|scheme| ["http", "https"].contains(&scheme))
            && uri.host().is_some_and(is_loopback);
        is_local || self.origins.contains(&origin)
    }
}

fn is_loopback(host: &str) -> bool {
    ["localhost", "127.0.0.1", "[::1]"].contains(&host)
}

pub(super) async fn check(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    match door.names.fault(request.uri(), request.headers()) {
        Some(fault) => problem::forbidden(&fault),
        None => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: Option<&str>, origin: Option<&str>) -> bool {
        let http = HttpConfig {
            allowed_hosts: vec!["tools.example.com".into(), "other.example.com:8443".into()],
            allowed_origins: vec!["https://app.example.com".into()],
            ..HttpConfig::default()
        };
        let names = Names::new(&http, "10.1.2.3:8787".parse().unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            value.and_then(|value| headers.insert(name, value.parse().unwrap()));
        }
        names.fault(&Uri::from_static("/mcp"), &headers).is_none()
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
        {
            assert!(!check(Some("localhost"), Some(origin)), "{origin}");
        }
    }
}
