//! `[http]` and `[oauth]`: who may reach the port, and how a caller proves who it is.

use std::net::SocketAddr;

use serde::Deserialize;

use super::ConfigFile;
use super::origin::{HostPort, KeySource, Origin, has_user};
use airlock_types::diagnostic::Diagnostic;

/// Serving over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// The address, where `serve --http` does not say one. Default 127.0.0.1:8787.
    pub listen: Option<SocketAddr>,
    /// Whether whoever reaches the port may call, as the caller `anonymous`. Default false.
    pub allow_anonymous: bool,
    /// Names under which the server may be asked (`Host`), besides loopback's. Default none.
    pub allowed_hosts: Vec<String>,
    /// Web pages that may ask (`Origin`), besides loopback's: `https://app.example.com`. Default none.
    pub allowed_origins: Vec<String>,
    /// Bytes of one request's body. Default 8 MiB.
    pub body_bytes_max: usize,
    /// Time for a request's head, and for its body, to come in, in milliseconds. Default 10,000.
    pub read_deadline_ms: u64,
    /// Time that a client may leave the answer unread, in milliseconds. Default 30,000.
    pub write_deadline_ms: u64,
    /// Connections of callers at once, at most half of them one caller's; at most half of them event streams, and of
    /// those half one caller's. Default 1,024.
    pub connections_max: u32,
    /// Connections besides those that have not shown who calls, probes among them; one more, and the oldest idle one
    /// is closed. Default 256.
    pub strangers_max: u32,
    /// Sessions of the protocol's handshake era at once, at most half of them one caller's. Default 1,024.
    pub sessions_max: u32,
    /// The former name of `server.drain_ms`; accepted with a warning.
    pub drain_ms: Option<u64>,
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
    /// Whether a server that was started with the other settings does what these say: callers are looked up anew after
    /// a reload, and the drain time is compared under its own name.
    pub(crate) fn serves_as(&self, other: &HttpConfig) -> bool {
        let HttpConfig { allow_anonymous, drain_ms, .. } = *other;
        HttpConfig { allow_anonymous, drain_ms, ..self.clone() } == *other
    }
}

/// Airlock as an OAuth 2.1 resource server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OauthConfig {
    /// The authorization server, as it writes itself into `iss`.
    pub issuer: String,
    /// This server, as tokens name it in `aud`, and as its metadata (RFC 9728) calls the resource.
    pub audience: String,
    /// The issuer's keys: an `https` URL, or a file relative to the registry.
    pub jwks: KeySource,
    /// The scopes that a token must have, all of them.
    pub scopes: Vec<String>,
    /// The entry under `[callers]` whose rules its callers are held to, each with budgets of its own.
    pub caller: String,
    /// How far clocks may differ, in seconds. Default 30, at most 300.
    #[serde(default = "leeway_s")]
    pub leeway_s: u64,
}

fn leeway_s() -> u64 {
    30
}

/// More than clocks that are set at all differ by; a token would live that much longer.
const LEEWAY_S_MAX: u64 = 300;

pub(super) fn problems(file: &ConfigFile) -> Vec<Diagnostic> {
    let mut problems = http_problems(&file.config.http);
    if let Some(oauth) = &file.config.oauth {
        let wrong = oauth_problems(file, oauth.get_ref())
            .into_iter()
            .map(|(message, hint)| file.error(oauth.span(), message, "in this table", Some(hint.to_owned())));
        problems.extend(wrong);
    }
    problems
}

fn http_problems(http: &HttpConfig) -> Vec<Diagnostic> {
    let plain = |message: String, hint: &str| Diagnostic::without_place(message, Some(hint.to_owned()));
    let zeros = [
        ("body_bytes_max", http.body_bytes_max as u64),
        ("read_deadline_ms", http.read_deadline_ms),
        ("write_deadline_ms", http.write_deadline_ms),
        ("connections_max", http.connections_max.into()),
        ("strangers_max", http.strangers_max.into()),
        ("sessions_max", http.sessions_max.into()),
    ];
    let zeros = zeros.iter().filter(|(_, value)| *value == 0);
    let zeros = zeros.map(|(name, _)| plain(format!("`http.{name}` is 0"), "leave it out for its default"));
    let hosts = http.allowed_hosts.iter().filter(|host| host.parse::<HostPort>().is_err()).map(|host| {
        let message = format!("`http.allowed_hosts`: `{host}` is no host");
        plain(message, "write a name, with a port if any: `tools.example.com`")
    });
    let origins = http.allowed_origins.iter().filter(|origin| origin.parse::<Origin>().is_err());
    let origins = origins.map(|origin| {
        let message = format!("`http.allowed_origins`: `{origin}` is no origin");
        plain(message, "write scheme and host: `https://app.example.com`, with a port if any")
    });
    zeros.chain(hosts).chain(origins).collect()
}

fn oauth_problems(file: &ConfigFile, oauth: &OauthConfig) -> Vec<(String, &'static str)> {
    let OauthConfig { issuer, audience, jwks: _, scopes, caller, leeway_s } = oauth;
    let mut problems = Vec::new();
    if !file.config.callers.keys().any(|name| name.get_ref() == caller) {
        let message = format!("`oauth.caller` is `{caller}`, and there is no `[callers.{caller}]`");
        problems.push((message, "its `tools` and budgets hold for each subject"));
    }
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
    // RFC 6749 has these characters; a scope with others is in no token, and could end the header it is told in.
    let is_scope = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
    for scope in scopes.iter().filter(|scope| scope.is_empty() || !scope.chars().all(is_scope)) {
        problems.push((format!("`oauth.scopes`: `{scope}` is no scope"), "write one word for each"));
    }
    if *leeway_s > LEEWAY_S_MAX {
        let message = format!("`oauth.leeway_s` is {leeway_s}; it must be at most {LEEWAY_S_MAX}");
        problems.push((message, "expired tokens are valid for so much longer: set the clocks instead"));
    }
    problems
}

/// Whether tokens can name a server so: a URL, or a plain word, which some servers call themselves by.
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
    fn a_url_is_judged_by_its_host_and_not_by_its_beginning() {
        assert_eq!(oauth(""), "");
        assert_eq!(oauth("jwks = \"http://127.0.0.1:9/keys\""), "");
        assert!(oauth("jwks = \"http://127.0.0.1.evil.example/keys\"").contains("prove nothing"));
        assert!(oauth("audience = \"https://tools.example.com@evil.example/\"").contains("oauth.audience"));
        assert!(oauth("issuer = \"https://login.example.com/#x\"").contains("oauth.issuer"));
        assert!(oauth("issuer = \"https://a\\nb\"").contains("oauth.issuer"));
        assert_eq!(oauth("issuer = \"accounts.example.com\""), "");
    }

    #[test]
    fn says_what_is_wrong_with_names_scopes_and_clocks() {
        assert!(said("http.allowed_hosts = [\"https://a.example.com\"]\n").contains("is no host"));
        assert!(said("http.allowed_hosts = [\"*.example.com\"]\n").contains("is no host"));
        assert!(said("http.allowed_origins = [\"https://user@a.example.com\"]\n").contains("is no origin"));
        assert!(said("http.strangers_max = 0\n").contains("`http.strangers_max` is 0"));
        assert!(oauth("scopes = [\"a b\"]").contains("is no scope"));
        assert!(oauth("leeway_s = 86400").contains("at most 300"));
    }
}
