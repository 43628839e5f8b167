//! The requests that an entry means: the dimensions in which requests and grants are compared.
//!
//! Owns ∩ and ⊆ of requests to other hosts, for the author's side, the operator's and the caller's alike. Both are exact.
//! A host pattern lies within another only as a whole, since a wildcard has more names than any list; and so does a path,
//! since below each there are more. So a list allows all requests of an entry by one method only if one entry of the list
//! does.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use super::address::{self, Network};
use super::{HostPattern, HttpGrant, HttpRequest, Method, PathPrefix, Scheme, Target};

/// The requests that an entry means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent<'a> {
    /// The hosts.
    pub host: &'a HostPattern,
    /// How they are spoken to.
    pub scheme: Scheme,
    /// The port.
    pub port: u16,
    /// What may be sent.
    pub methods: Cow<'a, BTreeSet<Method>>,
    /// The first segments of the path.
    pub path: &'a PathPrefix,
}

impl<'a> Extent<'a> {
    /// The extent of an entry without a port means that of its scheme.
    pub(in crate::grant) fn new(
        host: &'a HostPattern,
        scheme: Scheme,
        port: Option<u16>,
        methods: &'a BTreeSet<Method>,
        path: &'a PathPrefix,
    ) -> Extent<'a> {
        let port = port.unwrap_or_else(|| scheme.default_port());
        Extent { host, scheme, port, methods: Cow::Borrowed(methods), path }
    }

    /// ⊆: whether each request within it lies within the other.
    pub fn is_within(&self, other: &Extent<'_>) -> bool {
        let Extent { host, scheme, port, methods, path } = self;
        (*scheme, *port) == (other.scheme, other.port)
            && host.narrower(other.host) == Some(host)
            && path.longer(other.path) == Some(path)
            && methods.is_subset(&other.methods)
    }

    /// ∩: the requests within both. `None` where there is none.
    pub fn meet(&self, other: &Extent<'a>) -> Option<Extent<'a>> {
        let Extent { host, scheme, port, methods, path } = self;
        let methods: BTreeSet<Method> = methods.intersection(&other.methods).cloned().collect();
        if methods.is_empty() || (*scheme, *port) != (other.scheme, other.port) {
            return None;
        }
        let (host, path) = (host.narrower(other.host)?, path.longer(other.path)?);
        Some(Extent { host, scheme: *scheme, port: *port, methods: Cow::Owned(methods), path })
    }

    /// Whether an outgoing request lies within it.
    pub fn admits(&self, target: &Target) -> bool {
        let Extent { host, scheme, port, methods, path } = self;
        (*scheme, *port) == (target.scheme, target.port)
            && host.admits(&target.host)
            && methods.iter().any(|method| method.as_str() == target.method)
            && path.admits(&target.path)
    }

    /// Whether requests to a host are within it, whatever they are otherwise.
    pub fn has_host(&self, host: &str) -> bool {
        self.host.admits(host)
    }
}

impl fmt::Display for Extent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Extent { host, scheme, port, methods: _, path } = self;
        write!(f, "{}://{host}", scheme.as_str())?;
        if *port != scheme.default_port() {
            write!(f, ":{port}")?;
        }
        write!(f, "{path}")
    }
}

impl HttpRequest {
    /// The requests that it asks for.
    pub fn extent(&self) -> Extent<'_> {
        let HttpRequest { host, scheme, port, methods, path, reason: _, optional: _ } = self;
        Extent::new(host, *scheme, *port, methods, path)
    }
}

impl HttpGrant {
    /// The requests that it allows. Bounds, addresses, headers and the secret are beside it.
    pub fn extent(&self) -> Extent<'_> {
        let HttpGrant { host, scheme, port, methods, path, .. } = self;
        Extent::new(host, *scheme, *port, methods, path)
    }

    /// Whether an outgoing request lies within it.
    pub fn admits(&self, target: &Target) -> bool {
        self.extent().admits(target)
    }

    /// ∩: its part within other requests.
    pub fn within(&self, other: &Extent<'_>) -> Option<HttpGrant> {
        let Extent { host, methods, path, .. } = self.extent().meet(other)?;
        let (host, methods, path) = (host.clone(), methods.into_owned(), path.clone());
        Some(HttpGrant { host, methods, path, ..self.clone() })
    }

    /// ∩: what both allow.
    pub fn meet(&self, other: &HttpGrant) -> Option<HttpGrant> {
        let shared = self.within(&other.extent())?;
        // Destructured without `..`, here and below: a new part must be compared.
        let HttpGrant {
            host: _,
            scheme: _,
            port: _,
            methods: _,
            path: _,
            requests_max,
            up_bytes_max,
            down_bytes_max,
            headers,
            addresses,
            secret,
            reason: _,
        } = other;
        Some(HttpGrant {
            requests_max: shared.requests_max.min(*requests_max),
            up_bytes_max: shared.up_bytes_max.min(*up_bytes_max),
            down_bytes_max: shared.down_bytes_max.min(*down_bytes_max),
            headers: shared.headers.intersection(headers).copied().collect(),
            addresses: address::shared(&shared.addresses, addresses),
            secret: shared.secret.clone().filter(|own| secret.as_ref() == Some(own)),
            ..shared
        })
    }

    /// ⊆ but for the addresses: whether all else that it allows is allowed by the other.
    fn is_within_but_for_addresses(&self, other: &HttpGrant) -> bool {
        let HttpGrant {
            host: _,
            scheme: _,
            port: _,
            methods: _,
            path: _,
            requests_max,
            up_bytes_max,
            down_bytes_max,
            headers,
            addresses: _,
            secret,
            reason: _,
        } = self;
        self.extent().is_within(&other.extent())
            && *requests_max <= other.requests_max
            && *up_bytes_max <= other.up_bytes_max
            && *down_bytes_max <= other.down_bytes_max
            && headers.is_subset(&other.headers)
            && (secret.is_none() || *secret == other.secret)
    }
}

/// ∩: what both lists allow.
pub(in crate::grant) fn meet(left: &[HttpGrant], right: &[HttpGrant]) -> Vec<HttpGrant> {
    left.iter().flat_map(|one| right.iter().filter_map(move |other| one.meet(other))).collect()
}

/// ⊆: whether a list allows all that a grant does. Each method may be allowed by another grant of the list. The addresses
/// of all grants that admit a request count together, as they do for requests.
pub(in crate::grant) fn is_within(grant: &HttpGrant, list: &[HttpGrant]) -> bool {
    grant.methods.iter().all(|method| {
        let of_method = HttpGrant { methods: [method.clone()].into(), ..grant.clone() };
        let above: Vec<&HttpGrant> =
            list.iter().filter(|other| of_method.is_within_but_for_addresses(other)).collect();
        let addresses: Vec<Network> =
            above.iter().flat_map(|other| other.addresses.iter().copied()).collect();
        !above.is_empty() && address::is_within(&grant.addresses, &addresses)
    })
}
