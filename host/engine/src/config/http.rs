//! `[http]` and `[oauth]`: which clients may connect, and how a caller proves its identity.
//!
//! Owns these settings, their defaults and their errors. Must not know how they are enforced: the server does that.

use std::net::SocketAddr;

use serde::Deserialize;

use super::ConfigFile;
use super::origin::{HostPort, KeySource, Origin, has_user};
use airlock_types::diagnostic::Diagnostic;

/// Settings of the HTTP server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct HttpConfig {
    /// The address, unless `serve --http` gives one. Default 127.0.0.1:8787.
    #[serde(deserialize_with = "listen")]
    pub listen: Option<SocketAddr>,
    /// Whether requests without a token may call, as the caller `anonymous`. Default false.
    pub allow_anonymous: bool,
    /// Accepted `Host` names besides those of loopback. Default none.
    pub allowed_hosts: Vec<String>,
    /// Accepted values of `Origin` besides loopback's, as `https://app.example.com`. Default none.
    pub allowed_origins: Vec<String>,
    /// Largest body of a request in bytes. Default 8 MiB.
    pub body_bytes_max: usize,
    /// Time in milliseconds for the head of a request to arrive, and again for its body. Default 10,000.
    pub read_deadline_ms: u64,
    /// Time in milliseconds that a client may leave an answer unread. Default 30,000.
    pub write_deadline_ms: u64,
    /// Connections of authenticated callers. One caller gets at most half of them. At most half are event streams, and
    /// one caller gets at most half of those. Default 1,024.
    pub connections_max: u32,
    /// Further connections whose caller is not authenticated yet, such as probes. One beyond the limit closes the
    /// oldest idle one. Default 256.
    pub strangers_max: u32,
    /// Sessions of MCP's handshake era; one caller gets at most half of them. Default 1,024.
    pub sessions_max: u32,
    /// The former name of `server.drain_ms`; accepted with a warning.
    pub drain_ms: Option<u64>,
}

/// An address to listen at. The error says what to write, which that of the standard library does not.
///
/// # Errors
/// When the text is not an IP address with a port.
pub fn listen_address(text: &str) -> Result<SocketAddr, &'static str> {
    let how = "write an IP address with a port, such as 127.0.0.1:8787; names are not looked up";
    text.parse().map_err(|_| how)
}

fn listen<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(value)?;
    listen_address(&text).map(Some).map_err(serde::de::Error::custom)
}

impl Default for HttpConfig {
    fn default() -> HttpConfig {
        HttpConfig {
            listen: None,
            allow_anonymous: false,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            body_bytes_max: 8 << 20,
            read_deadline_ms: 10_000,
            write_deadline_ms: 30_000,
            connections_max: 1_024,
            strangers_max: 256,
            sessions_max: 1_024,
            drain_ms: None,
        }
    }
}

impl HttpConfig {
    /// Whether a running server with the `other` settings already behaves as these say. `allow_anonymous` may differ,
    /// because callers are looked up again after a reload, and the drain time is compared under its own name.
    pub(crate) fn serves_as(&self, other: &HttpConfig) -> bool {
        let HttpConfig { allow_anonymous, drain_ms, .. } = *other;
        HttpConfig { allow_anonymous, drain_ms, ..self.clone() } == *other
    }
}

/// Airlock as an OAuth 2.1 resource server. Only `leeway_s` has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OauthConfig {
    /// The authorization server, exactly as tokens state it in `iss`.
    pub issuer: String,
    /// This server, exactly as tokens state it in `aud`. Also the `resource` of its metadata (RFC 9728).
    pub audience: String,
    /// Where the issuer's keys are: an `https` URL, or a file relative to the registry.
    pub jwks: KeySource,
    /// Scopes that a token must have, all of them.
    pub scopes: Vec<String>,
    /// The entry under `[callers]` whose rules apply to each subject. Every subject has budgets of its own.
    pub caller: String,
    /// Tolerated difference between clocks, in seconds. Default 30, at most 300.
    #[serde(default = "leeway_s")]
    pub leeway_s: u64,
}

fn leeway_s() -> u64 {
    30
}

/// Largest leeway in seconds: more than the error of any maintained clock. An expired token stays valid for this long.
const LEEWAY_S_MAX: u64 = 300;

pub(super) fn problems(file: &ConfigFile) -> Vec<Diagnostic> {
    let mut problems = http_problems(&file.config.http);
    if let Some(oauth) = &file.config.oauth {
        // All errors point at the table, because its values have no positions of their own.
        let wrong = oauth_problems(file, oauth.get_ref())
            .into_iter()
            .map(|(message, hint)| file.error(oauth.span(), message, "in this table", Some(hint.to_owned())));
        problems.extend(wrong);
    }
    problems
}

/// Problems of `[http]`.
fn http_problems(http: &HttpConfig) -> Vec<Diagnostic> {
    let plain = |message: String, hint: &str| Diagnostic::without_place(message, Some(hint.to_owned()));
    let hosts = http.allowed_hosts.iter().filter(|host| host.parse::<HostPort>().is_err()).map(|host| {
        let message = format!("`http.allowed_hosts`: `{host}` is not a host");
        plain(message, "write a name, with a port if any: `tools.example.com`")
    });
    let origins = http.allowed_origins.iter().filter(|origin| origin.parse::<Origin>().is_err());
    let origins = origins.map(|origin| {
        let message = format!("`http.allowed_origins`: `{origin}` is not an origin");
        plain(message, "write scheme and host: `https://app.example.com`, with a port if any")
    });
    hosts.chain(origins).collect()
}

/// Problems of `[oauth]`, each with a hint.
fn oauth_problems(file: &ConfigFile, oauth: &OauthConfig) -> Vec<(String, &'static str)> {
    let OauthConfig { issuer, audience, jwks: _, scopes, caller, leeway_s } = oauth;
    let mut problems = Vec::new();
    // Without the entry every subject would be authenticated and then have no rules.
    if !file.config.callers.keys().any(|name| name.get_ref() == caller) {
        let message = format!("`oauth.caller` is `{caller}`, and there is no `[callers.{caller}]`");
        problems.push((message, "its `tools` and budgets hold for each subject"));
    }
    // An empty value would accept any token that the issuer signs, for whatever service.
    if scopes.is_empty() || issuer.is_empty() || audience.is_empty() {
        let message = "`issuer`, `audience` and `scopes` must not be empty".into();
        problems.push((message, "any token of the issuer's would do"));
    }
    for (name, value) in [("issuer", issuer), ("audience", audience)] {
        if !value.is_empty() && !is_identifier(value) {
            let message = format!("`oauth.{name}` is `{value}`: not a URL of a server");
            problems
                .push((message, "write it as in tokens: `https://login.example.com`, without user or `#`"));
        }
    }
    // The characters of RFC 6749. No token can have another scope, and a quote could end the header that names it.
    let is_scope = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
    for scope in scopes.iter().filter(|scope| scope.is_empty() || !scope.chars().all(is_scope)) {
        problems.push((format!("`oauth.scopes`: `{scope}` is not a scope"), "write one word for each"));
    }
    if *leeway_s > LEEWAY_S_MAX {
        let message = format!("`oauth.leeway_s` is {leeway_s}; it must be at most {LEEWAY_S_MAX}");
        problems.push((message, "expired tokens are valid for so much longer: set the clocks instead"));
    }
    problems
}

/// Whether a token can name a server in this way: by a URL, or by a plain word, which some servers use.
fn is_identifier(text: &str) -> bool {
    if !text.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '\\') {
        return false;
    }
    if !text.contains("//") {
        return true;
    }
    url::Url::parse(text).is_ok_and(|url| {
        ["http", "https"].contains(&url.scheme()) && !has_user(&url) && url.fragment().is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let parsed = ConfigFile::parse(text, "a.toml".as_ref());
        parsed.err().map(|err| err.to_string()).unwrap_or_default()
    }

    fn oauth(line: &str) -> String {
        let lines = [
            "issuer = \"https://login.example.com\"",
            "audience = \"https://tools.example.com/mcp\"",
            "jwks = \"https://login.example.com/keys\"",
            "scopes = [\"tools\"]",
            "caller = \"agents\"",
        ];
        let key = line.split(' ').next().unwrap_or_default();
        let others: Vec<&str> =
            lines.into_iter().filter(|other| key.is_empty() || !other.starts_with(key)).collect();
        said(&format!("[callers.agents]\ntools = []\n[oauth]\n{line}\n{}\n", others.join("\n")))
    }

    #[test]
    fn a_url_is_judged_by_its_host_and_not_by_its_prefix() {
        assert_eq!(oauth(""), "");
        assert_eq!(oauth("jwks = \"http://127.0.0.1:9/keys\""), "");
        assert!(oauth("jwks = \"http://127.0.0.1.evil.example/keys\"").contains("prove nothing"));
        assert!(oauth("audience = \"https://tools.example.com@evil.example/\"").contains("oauth.audience"));
        assert!(oauth("issuer = \"https://login.example.com/#x\"").contains("oauth.issuer"));
        assert!(oauth("issuer = \"https://a\\nb\"").contains("oauth.issuer"));
        assert_eq!(oauth("issuer = \"accounts.example.com\""), "");
    }

    #[test]
    fn reports_problems_of_names_scopes_and_clocks() {
        assert!(said("http.allowed_hosts = [\"https://a.example.com\"]\n").contains("is not a host"));
        assert!(said("http.allowed_hosts = [\"*.example.com\"]\n").contains("is not a host"));
        assert!(
            said("http.allowed_origins = [\"https://user@a.example.com\"]\n").contains("is not an origin")
        );
        assert!(said("http.strangers_max = 0\n").contains("`http.strangers_max` is 0"));
        assert!(oauth("scopes = [\"a b\"]").contains("is not a scope"));
        assert!(oauth("leeway_s = 86400").contains("at most 300"));
    }
}
