//! `[http]` and `[oauth]`: who may reach the port, and how a caller proves who it is.

use std::net::SocketAddr;

use serde::Deserialize;

use super::ConfigFile;
use crate::diagnostic::Diagnostic;

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
    /// Connections at once; more wait to be accepted. Default 1,024.
    pub connections_max: u32,
    /// Sessions of the protocol's handshake era at once; the next one is turned away. Default 1,024.
    pub sessions_max: u32,
    /// Time for running calls to end after SIGTERM, and over stdio after the end of stdin, in milliseconds. Default
    /// 10,000.
    pub drain_ms: u64,
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
            sessions_max: 1_024,
            drain_ms: 10_000,
        }
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
    pub jwks: String,
    /// The scopes that a token must have, all of them.
    pub scopes: Vec<String>,
    /// The entry under `[callers]` whose rules its callers are held to, each with budgets of its own.
    pub caller: String,
    /// How far clocks may differ, in seconds. Default 30.
    #[serde(default = "leeway_s")]
    pub leeway_s: u64,
}

fn leeway_s() -> u64 {
    30
}

pub(super) fn problems(file: &ConfigFile) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let http = &file.config.http;
    let plain = |message: String, hint: &str| Diagnostic::without_place(message, Some(hint.to_owned()));
    let zeros = [
        ("body_bytes_max", http.body_bytes_max as u64),
        ("read_deadline_ms", http.read_deadline_ms),
        ("write_deadline_ms", http.write_deadline_ms),
        ("connections_max", http.connections_max.into()),
        ("sessions_max", http.sessions_max.into()),
    ];
    for (name, _) in zeros.iter().filter(|(_, value)| *value == 0) {
        problems.push(plain(format!("`http.{name}` is 0"), "leave it out for its default"));
    }
    for origin in &http.allowed_origins {
        let bare = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        if !bare.is_some_and(|rest| !rest.is_empty() && !rest.contains(['/', '*', '?'])) {
            let message = format!("`http.allowed_origins`: `{origin}` is no origin");
            problems
                .push(plain(message, "write scheme and host: `https://app.example.com`, with a port if any"));
        }
    }
    let Some(oauth) = &file.config.oauth else { return problems };
    let mut wrong = |message: String, hint: &str| {
        problems.push(file.error(oauth.span(), message, "in this table", Some(hint.to_owned())));
    };
    let oauth = oauth.get_ref();
    if !file.config.callers.keys().any(|name| *name.get_ref() == oauth.caller) {
        let hint = "its `tools` and budgets hold for each subject";
        wrong(
            format!("`oauth.caller` is `{}`, and there is no `[callers.{}]`", oauth.caller, oauth.caller),
            hint,
        );
    }
    if oauth.jwks.starts_with("http://") && !oauth.jwks.starts_with("http://127.0.0.1") {
        wrong(
            format!("`oauth.jwks` is `{}`: keys that come in the clear prove nothing", oauth.jwks),
            "use `https`",
        );
    }
    if oauth.scopes.is_empty() || oauth.issuer.is_empty() || oauth.audience.is_empty() {
        wrong(
            "`issuer`, `audience` and `scopes` must not be empty".into(),
            "any token of the issuer's would do",
        );
    }
    problems
}
