//! Hosts, origins and URLs, parsed before they are compared.
//!
//! Owns the only parser of each. Comparing prefixes of text is unsafe: a text that begins like a trusted host may name
//! another one.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use http::uri::Authority;
use serde::Deserialize;
use url::{ParseError, Url};

/// A name or an address with an optional port, as in a `Host` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// The host. A text with a user (`user@host`) is refused.
    pub host: HostName,
    /// The port; none when the text has none.
    pub port: Option<u16>,
}

/// A host. Names compare in lower case, addresses by value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostName {
    /// A DNS name in lower case.
    Name(String),
    /// A literal IPv4 or IPv6 address.
    Address(IpAddr),
}

/// The text is not a host with an optional port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a host with an optional port")]
pub struct NotAHost;

impl HostName {
    /// Whether the host is this machine: `localhost` or a loopback address. No DNS entry can redirect these.
    pub fn is_loopback(&self) -> bool {
        match self {
            HostName::Name(name) => name == "localhost",
            HostName::Address(address) => address.is_loopback(),
        }
    }

    fn parse(text: &str) -> Option<HostName> {
        if let Some(literal) = text.strip_prefix('[') {
            let address: std::net::Ipv6Addr = literal.strip_suffix(']')?.parse().ok()?;
            return Some(HostName::Address(address.into()));
        }
        // Only the four-part form: short forms such as `127.1` stay names and are never loopback.
        if let Ok(address) = text.parse::<std::net::Ipv4Addr>() {
            return Some(HostName::Address(address.into()));
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let is_name = !text.is_empty() && text.len() <= 253 && text.chars().all(fits);
        is_name.then(|| HostName::Name(text.to_ascii_lowercase()))
    }
}

impl FromStr for HostPort {
    type Err = NotAHost;

    fn from_str(text: &str) -> Result<HostPort, NotAHost> {
        // An authority may be `user@host`. The next line refuses it: its host is not at the beginning.
        let authority: Authority = text.parse().map_err(|_| NotAHost)?;
        let rest = text.strip_prefix(authority.host()).ok_or(NotAHost)?;
        let port = match rest.strip_prefix(':') {
            // Checked by hand: `parse` accepts a sign.
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().map_err(|_| NotAHost)?)
            }
            None if rest.is_empty() => None,
            _ => return Err(NotAHost),
        };
        Ok(HostPort { host: HostName::parse(authority.host()).ok_or(NotAHost)?, port })
    }
}

/// An origin as browsers send it: scheme, host and port, without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    is_https: bool,
    /// The host of the page.
    pub host: HostName,
    port: u16,
}

impl FromStr for Origin {
    type Err = NotAHost;

    fn from_str(text: &str) -> Result<Origin, NotAHost> {
        let (scheme, rest) = text.split_once("://").ok_or(NotAHost)?;
        let is_https = scheme.eq_ignore_ascii_case("https");
        if !is_https && !scheme.eq_ignore_ascii_case("http") {
            return Err(NotAHost);
        }
        let HostPort { host, port } = rest.parse()?;
        Ok(Origin { is_https, host, port: port.unwrap_or(if is_https { 443 } else { 80 }) })
    }
}

/// The source of an OAuth server's keys.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum KeySource {
    /// An `https` URL, or an `http` URL with a loopback address.
    Url(Url),
    /// A file, relative to the registry.
    File(PathBuf),
}

impl KeySource {
    /// The path, when the source is a file.
    pub fn file(&self) -> Option<&Path> {
        match self {
            KeySource::File(path) => Some(path),
            KeySource::Url(_) => None,
        }
    }
}

impl TryFrom<String> for KeySource {
    type Error = String;

    fn try_from(text: String) -> Result<KeySource, String> {
        // Parsed as a URL first: a text that is one must not be opened as a file.
        let url = match Url::parse(&text) {
            Ok(url) => url,
            Err(ParseError::RelativeUrlWithoutBase) if !text.is_empty() => {
                return Ok(KeySource::File(text.into()));
            }
            Err(err) => return Err(format!("`{text}` is neither a URL nor a file: {err}")),
        };
        let is_clear = url.scheme() == "http";
        // Keys without TLS could be replaced on the way.
        if is_clear && !is_loopback(&url) {
            return Err(format!("`{text}`: keys that come in the clear prove nothing; use `https`"));
        }
        if !is_clear && url.scheme() != "https" {
            return Err(format!("`{text}`: write an `https` URL, or the path of a file: `./keys.json`"));
        }
        if has_user(&url) {
            return Err(format!("`{text}`: a URL with a user in it is not accepted; name the host alone"));
        }
        Ok(KeySource::Url(url))
    }
}

impl std::fmt::Display for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            KeySource::Url(url) => url.fmt(f),
            KeySource::File(path) => path.display().fmt(f),
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().and_then(HostName::parse);
    // An address only: the name `localhost` means whatever the hosts file says.
    host.is_some_and(|host| matches!(host, HostName::Address(address) if address.is_loopback()))
}

pub(super) fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_parsed_completely_or_refused() {
        let read = |text: &str| text.parse::<HostPort>().map(|read| (read.host, read.port)).ok();
        let name = |name: &str| HostName::Name(name.into());
        assert_eq!(read("Tools.Example.com:8443"), Some((name("tools.example.com"), Some(8443))));
        assert_eq!(read("[::1]:1"), Some((HostName::Address("::1".parse().unwrap()), Some(1))));
        assert_eq!(read("127.0.0.1"), Some((HostName::Address("127.0.0.1".parse().unwrap()), None)));
        // Short forms of an address are names, and no rule makes them loopback.
        assert_eq!(read("127.1"), Some((name("127.1"), None)));
        assert_eq!(read("localhost."), Some((name("localhost."), None)));
        for wrong in [
            "",
            ":80",
            "user@localhost",
            "localhost@evil.example",
            "@localhost",
            "localhost:",
            "localhost:x",
            "localhost:99999",
            "localhost:+80",
            "a b",
            "localhost/",
            "http://localhost",
            "[::1",
            "::1",
            "[::1]x",
            "[127.0.0.1]",
            "%6cocalhost",
            "localhost,evil.example",
            "localhost#",
            "localhost?x",
            "l\u{f6}calhost",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn origins_are_equal_by_scheme_host_and_port() {
        let read = |text: &str| text.parse::<Origin>().ok();
        assert_eq!(read("https://App.example.com:443"), read("https://app.example.com"));
        assert_ne!(read("http://app.example.com"), read("https://app.example.com"));
        for wrong in
            ["null", "", "file://localhost", "http://localhost/", "http://user@localhost", "http://", "*"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn key_urls_must_be_https_or_loopback() {
        let read = |text: &str| KeySource::try_from(text.to_owned());
        for good in ["https://login.example.com/keys", "http://127.0.0.1:8080/keys", "http://[::1]/keys"] {
            assert!(matches!(read(good), Ok(KeySource::Url(_))), "{good}");
        }
        for file in ["keys.json", "./a/keys.json", "/etc/keys.json"] {
            assert_eq!(read(file), Ok(KeySource::File(file.into())), "{file}");
        }
        for wrong in [
            "http://127.0.0.1.evil.example/keys",
            "http://127.0.0.1@evil.example/keys",
            "http://127.0.0.1:80@evil.example/keys",
            "http://localhost.evil.example/keys",
            "http://[::1].evil.example/keys",
            "HTTP://evil.example/keys",
            "http:\\\\evil.example/keys",
            "http:evil.example",
            "http://evil.example#127.0.0.1",
            "http://127.0.0.1\t.evil.example/",
            "http://0.0.0.0/keys",
            "http://localhost/keys",
            "https://user:secret@login.example.com/keys",
            "https://",
            "file:///etc/keys.json",
            "ftp://127.0.0.1/keys",
            "data:text/plain,x",
            "",
        ] {
            assert!(read(wrong).is_err(), "{wrong}: {:?}", read(wrong));
        }
    }
}
