//! The least grant for one request, and grants as a registry writes them.

use core::net::IpAddr;

use super::super::written::{list, quoted};
use super::{
    DOWN_BYTES_MAX, Extent, HostPattern, HttpGrant, Method, Network, PathPrefix, REQUESTS_MAX, Scheme,
    SecretPlace, SecretUse, Target, UP_BYTES_MAX, address, method, requests_max,
};

/// The least grant that allows a request, at this address where it is not public. `None` for one that no grant allows: a
/// method that cannot be granted, a host that cannot be written, or a path that servers read differently.
pub fn least(target: &Target, address: Option<IpAddr>) -> Option<HttpGrant> {
    let Target { scheme, host, port, method, path } = target;
    let host = HostPattern::try_from(host.clone()).ok()?;
    let method = Method::try_from(method.clone()).ok()?;
    let addresses: Option<Vec<Network>> = address
        .or_else(|| target.address())
        .filter(|address| !address::is_public(*address))
        .map(|address| Network::try_from(address.to_string()).ok())
        .into_iter()
        .collect();
    Some(HttpGrant {
        host,
        scheme: *scheme,
        port: (*port != scheme.default_port()).then_some(*port),
        methods: [method].into(),
        path: PathPrefix::to_grant(path)?,
        requests_max: requests_max(),
        up_bytes_max: UP_BYTES_MAX,
        down_bytes_max: DOWN_BYTES_MAX,
        headers: Default::default(),
        addresses: addresses?,
        secret: None,
        reason: None,
    })
}

/// The entry that a registry has for an extent, without what has a default.
pub(in crate::grant) fn line(extent: &Extent<'_>) -> String {
    let port = (extent.port != extent.scheme.default_port()).then_some(extent.port);
    format!("{{ {} }}", parts(extent, port).join(", "))
}

fn parts(extent: &Extent<'_>, port: Option<u16>) -> Vec<String> {
    let Extent { host, scheme, port: _, methods, path } = extent;
    let mut parts = vec![format!("host = \"{host}\"")];
    if *scheme != Scheme::default() {
        parts.push(format!("scheme = \"{}\"", scheme.as_str()));
    }
    parts.extend(port.map(|port| format!("port = {port}")));
    if **methods != method::reading() {
        parts.push(format!("methods = {}", list(methods.iter().map(Method::as_str))));
    }
    if **path != PathPrefix::default() {
        parts.push(format!("path = {}", quoted(&path.to_string())));
    }
    parts
}

impl HttpGrant {
    /// The entry as a registry writes it, without what has a default.
    pub fn line(&self) -> String {
        let HttpGrant {
            host: _,
            scheme: _,
            port,
            methods: _,
            path: _,
            requests_max,
            up_bytes_max,
            down_bytes_max,
            headers,
            addresses,
            secret,
            reason,
        } = self;
        let mut parts = parts(&self.extent(), *port);
        let bounds = [
            ("requests_max", u64::from(*requests_max), u64::from(REQUESTS_MAX)),
            ("up_bytes_max", *up_bytes_max, UP_BYTES_MAX),
            ("down_bytes_max", *down_bytes_max, DOWN_BYTES_MAX),
        ];
        let set = bounds.into_iter().filter(|(_, value, default)| value != default);
        parts.extend(set.map(|(name, value, _)| format!("{name} = {value}")));
        if !headers.is_empty() {
            parts.push(format!("headers = {}", list(headers.iter().map(|header| header.as_str()))));
        }
        if !addresses.is_empty() {
            parts.push(format!("addresses = {}", list(addresses.iter().map(Network::to_string))));
        }
        parts.extend(secret.as_ref().map(|secret| format!("secret = {{ {} }}", secret_parts(secret))));
        parts.extend(reason.as_ref().map(|reason| format!("reason = {}", quoted(reason))));
        format!("{{ {} }}", parts.join(", "))
    }
}

fn secret_parts(SecretUse { name, place, format }: &SecretUse) -> String {
    let (key, place) = match place {
        SecretPlace::Header(header) => ("header", header),
        SecretPlace::Query(query) => ("query", query),
    };
    format!("name = {}, {key} = {}, format = {}", quoted(name), quoted(place), quoted(format))
}
