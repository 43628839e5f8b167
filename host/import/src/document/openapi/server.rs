//! Where an HTTP service is: the first server of a document, as the request of a contract.

use std::borrow::Cow;

use serde_json::Value;

use airlock_types::grant::http::PathPrefix;

/// The part of a server's address that a contract asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) scheme: String,
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    /// Below which all requests are; none for any path.
    pub(crate) path: Option<String>,
}

impl Server {
    /// The first server of a document, and what is said of the others and of parts that a contract does not have.
    pub(super) fn of(document: &Value) -> (Option<Server>, Vec<String>) {
        let servers =
            document.get("servers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let Some(first) = servers.first() else { return (None, Vec::new()) };
        let mut said = Vec::new();
        if servers.len() > 1 {
            said.push(format!("requests go to the first of its {} servers alone", servers.len()));
        }
        let url = first.get("url").and_then(Value::as_str).unwrap_or_default();
        let url = url.trim_end_matches('/');
        let filled = filled(url, first);
        if filled != url {
            said.push(format!(
                "its server is `{}`, with the defaults of its variables",
                filled.escape_debug()
            ));
        }
        let server = Server::parse(&filled);
        match &server {
            None => said.push(format!(
                "no request for `http` is made of its server `{}`, which names no host",
                url.escape_debug()
            )),
            Some(Server { path: None, .. }) if has_path(&filled) => {
                said.push(
                    "the path of its server is left out: requests are asked for below any path".to_owned(),
                );
            }
            Some(_) => {}
        }
        (server, said)
    }

    /// None for an address without a scheme and a host, such as `/v2`.
    fn parse(url: &str) -> Option<Server> {
        let (scheme, rest) = url.split_once("://")?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (host, None),
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        if host.is_empty() || !host.chars().all(is_name) || !matches!(scheme, "http" | "https") {
            return None;
        }
        let path = PathPrefix::try_from(format!("/{path}")).ok().map(|path| path.to_string());
        let path = path.filter(|path| path != "/");
        Some(Server { scheme: scheme.to_owned(), host: host.to_owned(), port, path })
    }
}

fn has_path(url: &str) -> bool {
    url.split_once("://").is_some_and(|(_, rest)| rest.contains('/'))
}

/// A template such as `https://{region}.example.com` with the defaults of its variables.
fn filled<'u>(url: &'u str, server: &Value) -> Cow<'u, str> {
    let mut filled = Cow::Borrowed(url);
    let variables = server.get("variables").and_then(Value::as_object);
    for (name, variable) in variables.into_iter().flatten() {
        if let Some(default) = variable.get("default").and_then(Value::as_str) {
            filled = Cow::Owned(filled.replace(&format!("{{{name}}}"), default));
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(servers: Value, wanted: Option<&str>, says: &str) {
        let (server, said) = Server::of(&json!({"servers": servers}));
        let made = server.map(|Server { scheme, host, port, path }| {
            format!("{scheme} {host} {port:?} {}", path.unwrap_or_default())
        });
        assert_eq!(made.as_deref(), wanted);
        assert!(said.join("\n").contains(says) && said.is_empty() == says.is_empty(), "{said:?}");
    }

    #[test]
    fn the_first_server_is_a_request_or_said() {
        check(json!([]), None, "");
        check(json!([{"url": "https://a.example/"}]), Some("https a.example None "), "");
        check(json!([{"url": "http://a.example:80/v1/x"}]), Some("http a.example Some(80) /v1/x"), "");
        check(json!([{"url": "/v2"}]), None, "`/v2`, which names no host");
        check(json!([{"url": "https://{x}.example"}]), None, "names no host");
        check(json!([{"url": "https://a.example:x"}]), None, "names no host");
        check(json!([{"url": "https://a.example/a/../b"}]), Some("https a.example None "), "below any path");
        check(json!([{"url": "https://a.example"}, {}]), Some("https a.example None "), "first of its 2");
        let variables = json!({"x": {"default": "eu"}});
        check(
            json!([{"url": "https://{x}.example", "variables": variables}]),
            Some("https eu.example None "),
            "`https://eu.example`",
        );
    }
}
