//! `http`: requests to hosts beyond this one.
//!
//! The pure part: what is requested and granted, how the two meet, and whether one outgoing request lies within them.
//! Owns the defaults of a grant's bounds. The host functions are the engine's, which also resolves names and asks
//! [`address`] about each address that a name has. A secret is a field of [`HttpGrant`]: what is added to a request
//! belongs to the grant that admitted it.

mod access;
pub mod address;
mod extent;
pub mod header;
pub mod host;
mod least;
pub mod method;
pub mod path;
pub mod secret;
mod target;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{GrantProblem, IMPLIED, Missing};
use crate::difference::Difference;
use crate::effect::Effect;
pub use access::{HttpAccess, effect};
pub use address::Network;
pub use extent::Extent;
pub(super) use extent::{is_within, meet};
pub use host::HostPattern;
pub use least::least;
pub(super) use least::line;
pub use method::Method;
pub use path::PathPrefix;
pub use secret::{SecretPlace, SecretUse};
pub use target::Target;

/// The name in registries, contracts, records and replies.
pub const NAME: &str = "http";

/// Requests of one call when a grant does not say: a few pages of a list, and no crawl.
pub const REQUESTS_MAX: u32 = 32;

/// Bytes of request bodies and headers of one call when a grant does not say. Arguments are smaller by default.
pub const UP_BYTES_MAX: u64 = 1 << 20;

/// Bytes of response bodies and headers of one call when a grant does not say: a fraction of a guest's default memory.
pub const DOWN_BYTES_MAX: u64 = 8 << 20;

/// What is wrong with a network that is everywhere.
const EVERYWHERE: &str = "has every address in `addresses`, which turns the check of addresses off";

/// How to write less.
pub const EVERYWHERE_HINT: &str = "public addresses need no entry; write the network that the service is in, such as `10.0.0.0/8`, \
                                   `192.168.0.0/16`, `127.0.0.0/8` or `fc00::/7`";

/// How a host is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Over TLS, with a certificate that is valid for the host.
    #[default]
    Https,
    /// In clear text.
    Http,
}

impl Scheme {
    /// The scheme as URLs spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Https => "https",
            Scheme::Http => "http",
        }
    }

    /// The port of a URL that names none.
    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Https => 443,
            Scheme::Http => 80,
        }
    }
}

/// A header that only a grant lets the guest set. What frames a message or names its host cannot be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuestHeader {
    /// Credentials that the tool holds itself.
    Authorization,
    /// Cookies that the tool holds itself.
    Cookie,
}

impl GuestHeader {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            GuestHeader::Authorization => "authorization",
            GuestHeader::Cookie => "cookie",
        }
    }
}

/// A request for a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpRequest {
    /// A host, or `*.` before one for all names with one more label.
    pub host: HostPattern,
    /// How it is spoken to.
    #[serde(default)]
    pub scheme: Scheme,
    /// The port; without one that of the scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// What the tool sends.
    #[serde(default = "method::reading")]
    pub methods: BTreeSet<Method>,
    /// The part of the host that it needs.
    #[serde(default)]
    pub path: PathPrefix,
    /// Why the tool needs it.
    pub reason: String,
    /// Whether the tool runs without it.
    #[serde(default)]
    pub optional: bool,
}

/// A host that a tool may send requests to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpGrant {
    /// A host, or `*.` before one for all names with one more label.
    pub host: HostPattern,
    /// How it is spoken to.
    #[serde(default)]
    pub scheme: Scheme,
    /// The port; without one that of the scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// What may be sent. Everything but `GET`, `HEAD` and `OPTIONS` counts as an effect on the world.
    #[serde(default = "method::reading")]
    pub methods: BTreeSet<Method>,
    /// Only paths that begin with these segments.
    #[serde(default)]
    pub path: PathPrefix,
    /// Most requests of one call.
    #[serde(default = "requests_max")]
    pub requests_max: u32,
    /// Most bytes that one call sends, headers included.
    #[serde(default = "up_bytes_max")]
    pub up_bytes_max: u64,
    /// Most bytes that one call receives, headers included.
    #[serde(default = "down_bytes_max")]
    pub down_bytes_max: u64,
    /// Headers that the guest may set, of those that it otherwise may not.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub headers: BTreeSet<GuestHeader>,
    /// Networks that the host may have addresses in although they are not public: `10.0.0.0/8`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Network>,
    /// What the host adds to each request. The guest never holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretUse>,
    /// Why it is granted, for a reviewer. A wildcard needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

fn requests_max() -> u32 {
    REQUESTS_MAX
}

fn up_bytes_max() -> u64 {
    UP_BYTES_MAX
}

fn down_bytes_max() -> u64 {
    DOWN_BYTES_MAX
}

impl HttpGrant {
    /// The strongest effect that its methods make possible.
    pub fn effect(&self) -> Effect {
        if self.methods.iter().all(Method::reads) { Effect::Read } else { Effect::Write }
    }

    /// What is wrong with the grant on every machine.
    pub(super) fn problem(&self) -> Option<GrantProblem> {
        let (message, hint) = if self.methods.is_empty() {
            ("has no method", "write `methods = [\"GET\"]`, or leave `methods` out for GET and HEAD")
        } else if self.requests_max == 0 {
            ("has `requests_max = 0`", "write at least 1, or leave the grant out")
        } else if self.up_bytes_max == 0 || self.down_bytes_max == 0 {
            (
                "has a bound of 0 bytes, with which every request fails",
                "write at least 1 for `up_bytes_max` and `down_bytes_max`, or leave the grant out",
            )
        } else if address::cover_a_family(&self.addresses) {
            (EVERYWHERE, EVERYWHERE_HINT)
        } else if self.port == Some(0) {
            ("has the port 0", "write the port of the service, or leave `port` out")
        } else {
            self.secret_problem()?
        };
        Some(GrantProblem { message: format!("the grant of `{}` {message}", self.extent()), hint })
    }

    /// What is wrong with its secret, with a hint. A secret is of one origin, and leaves this machine over TLS alone.
    fn secret_problem(&self) -> Option<(&'static str, &'static str)> {
        self.secret.as_ref()?;
        if let HostPattern::OneLabelOf(_) = self.host {
            // The guest would choose which of the names gets it.
            Some((
                "sends a secret to every host of a wildcard",
                "write one grant for each host that gets the secret",
            ))
        } else if self.scheme == Scheme::Http && !self.addresses.iter().any(Network::is_loopback) {
            Some((
                "sends a secret in clear text, which only loopback addresses may get",
                "leave out `scheme = \"http\"`; for a service of this machine write `addresses = [\"127.0.0.1\"]`",
            ))
        } else {
            None
        }
    }

    /// The grants before it that admit each of its requests, the first one for each method, so that none is left for it but
    /// those beyond their bounds. `None` where some are its own. By one method a list covers it only if one grant does.
    pub fn shadowed_by<'g>(
        &self,
        earlier: impl Iterator<Item = &'g HttpGrant> + Clone,
    ) -> Option<Vec<&'g HttpGrant>> {
        let covering = |method: &Method| {
            let of_method = Extent { methods: Cow::Owned([method.clone()].into()), ..self.extent() };
            earlier.clone().find(|earlier| {
                of_method.is_within(&earlier.extent()) && self.headers.is_subset(&earlier.headers)
            })
        };
        self.methods.iter().map(covering).collect()
    }

    /// What the host adds to requests under the grant, in words. Names the secret, never its value.
    pub fn secret_text(&self) -> Option<String> {
        let SecretUse { name, place, format: _ } = self.secret.as_ref()?;
        Some(format!("the secret `{name}` as {place} to `{}`", self.extent()))
    }
}

/// What the host adds to requests under these grants, each once. Without that of a grant which no request is under.
pub fn secret_texts<'g>(grants: impl Iterator<Item = &'g HttpGrant>) -> Vec<String> {
    let mut earlier: Vec<&HttpGrant> = Vec::new();
    let mut texts: Vec<String> = Vec::new();
    for grant in grants {
        let is_new = grant.shadowed_by(earlier.iter().copied()).is_none();
        texts.extend(grant.secret_text().filter(|text| is_new && !texts.contains(text)));
        earlier.push(grant);
    }
    texts
}

/// A plain component does not say which hosts it wants, so it requests those that are granted.
pub(super) fn implied(grants: &[HttpGrant]) -> Vec<HttpRequest> {
    let request = |grant: &HttpGrant| HttpRequest {
        host: grant.host.clone(),
        scheme: grant.scheme,
        port: grant.port,
        methods: grant.methods.clone(),
        path: grant.path.clone(),
        reason: IMPLIED.into(),
        optional: true,
    };
    grants.iter().map(request).collect()
}

/// ∩: what each pair of a grant and a request has in common, in the order of the grants.
pub(super) fn effective(requests: &[HttpRequest], grants: &[HttpGrant]) -> Arc<[HttpAccess]> {
    let pairs = grants.iter().enumerate().flat_map(|(grant, given)| {
        let shared = requests.iter().filter_map(|request| given.within(&request.extent()));
        shared.map(move |allowed| HttpAccess { grant, is_tried: false, allowed })
    });
    pairs.collect()
}

/// The requests of which a method is not granted. A narrower host or path is the operator's choice.
pub(super) fn missing(requests: &[HttpRequest], effective: &[HttpAccess]) -> Vec<Missing> {
    let missing = |request: &HttpRequest| {
        let shared = effective.iter().filter_map(|access| request.extent().meet(&access.allowed.extent()));
        let granted: BTreeSet<Method> = shared.flat_map(|shared| shared.methods.into_owned()).collect();
        let lacking: Vec<&str> = request.methods.difference(&granted).map(Method::as_str).collect();
        (!lacking.is_empty()).then(|| Missing {
            capability: NAME.into(),
            asked: format!("{} {}", lacking.join(", "), request.extent()),
            reason: request.reason.clone(),
            grant: format!("grants.{NAME} = [{}]", line(&request.extent())),
            optional: request.optional,
        })
    };
    requests.iter().filter_map(missing).collect()
}

/// What differs between two lists of requests, by the URLs that they name.
pub(super) fn differences(old: &[HttpRequest], new: &[HttpRequest]) -> Vec<Difference> {
    let (Some(old_urls), Some(new_urls)) = (by_url(old), by_url(new)) else {
        // A URL is requested twice, so which two requests to compare is undefined.
        return Difference::of(&[NAME], &old, &new, true).into_iter().collect();
    };
    let urls: BTreeSet<&String> = old_urls.keys().chain(new_urls.keys()).collect();
    let change = |url: &String| one_url(url, old_urls.get(url).copied(), new_urls.get(url).copied(), old);
    urls.into_iter().flat_map(change).collect()
}

fn by_url(requests: &[HttpRequest]) -> Option<BTreeMap<String, &HttpRequest>> {
    let map: BTreeMap<_, _> =
        requests.iter().map(|request| (request.extent().to_string(), request)).collect();
    (map.len() == requests.len()).then_some(map)
}

fn one_url(
    url: &str,
    old: Option<&HttpRequest>,
    new: Option<&HttpRequest>,
    all_old: &[HttpRequest],
) -> Vec<Difference> {
    let (Some(old), Some(new)) = (old, new) else {
        // A new URL within what was asked for before is not wider.
        let covered = |new: &HttpRequest| all_old.iter().any(|old| new.extent().is_within(&old.extent()));
        let wider = new.is_some_and(|new| !covered(new));
        return Difference::of(&[NAME, url], &old, &new, wider).into_iter().collect();
    };
    // The others are in the URL.
    let HttpRequest { host: _, scheme: _, port: _, path: _, methods, reason, optional } = old;
    let more = !new.methods.is_subset(methods);
    let parts = [
        Difference::of(&[NAME, url, "methods"], methods, &new.methods, more),
        Difference::of(&[NAME, url, "optional"], optional, &new.optional, new.optional),
        // Another reason permits nothing more.
        Difference::of(&[NAME, url, "reason"], reason, &new.reason, false),
    ];
    parts.into_iter().flatten().collect()
}
