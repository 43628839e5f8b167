//! Hosts: one canonical spelling for each, and the patterns of requests and grants.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Host;

/// Longest name of a host, from DNS.
const NAME_BYTES_MAX: usize = 253;

/// Longest label of a name, from DNS.
const LABEL_BYTES_MAX: usize = 63;

/// The canonical spelling of a host, as URLs are read (WHATWG): `EXAMPLE.com.` is `example.com`, `0x7f.1` is
/// `127.0.0.1`, and names are in Punycode. `None` for what is not a host.
pub fn canonical(host: &str) -> Option<String> {
    // A final dot only says that the name is complete.
    let host = host.strip_suffix('.').unwrap_or(host);
    let canonical = match Host::parse(host).ok()? {
        // Again after decoding: `example.com%2E` ends in a dot, too.
        Host::Domain(name) => name.strip_suffix('.').unwrap_or(&name).to_owned(),
        address => address.to_string(),
    };
    let fits = |label: &str| !label.is_empty() && label.len() <= LABEL_BYTES_MAX;
    let is_literal = canonical.starts_with('[');
    (is_literal || (canonical.len() <= NAME_BYTES_MAX && canonical.split('.').all(fits))).then_some(canonical)
}

/// The hosts of a request or a grant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HostPattern {
    /// This host.
    Exact(String),
    /// Each name of one label before this one: `*.example.com`.
    OneLabelOf(String),
}

/// Text that is not a pattern of hosts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAHost {
    /// A URL or a host with a port.
    #[error(
        "`{0}` is not a host: write the name alone, such as `api.example.com`; `scheme`, `port` and `path` are settings beside it"
    )]
    Url(String),
    /// Anything else.
    #[error(
        "`{0}` is not a host: write a name, an IP address, or `*.example.com` for the names of one more label"
    )]
    Other(String),
    /// A name in other letters, of which some look like those of ASCII.
    #[error(
        "`{0}` has letters beyond ASCII, which can look like others: write its form in Punycode, `{1}`, if that is the host"
    )]
    NotAscii(String, String),
    /// A wildcard that covers the names of other parties.
    #[error("`{0}` would cover the hosts of many parties: write at least two labels after `*.`")]
    TooWide(String),
}

impl TryFrom<String> for HostPattern {
    type Error = NotAHost;

    fn try_from(text: String) -> Result<HostPattern, NotAHost> {
        let (wildcard, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text.as_str()),
        };
        let is_ipv6 = rest.parse::<core::net::Ipv6Addr>().is_ok();
        let rest = if is_ipv6 { format!("[{rest}]") } else { rest.to_owned() };
        // Read by its parts: a pattern in another spelling than requests are compared in would match nothing.
        if rest.contains(['/', '@']) || (rest.contains(':') && !rest.starts_with('[')) {
            return Err(NotAHost::Url(text));
        }
        let Some(host) = canonical(&rest).filter(|_| !rest.contains(['*', '%'])) else {
            return Err(NotAHost::Other(text));
        };
        if !text.is_ascii() {
            let plain = if wildcard { format!("*.{host}") } else { host };
            return Err(NotAHost::NotAscii(text, plain));
        }
        match wildcard {
            false => Ok(HostPattern::Exact(host)),
            true if host.starts_with('[') || host.parse::<core::net::Ipv4Addr>().is_ok() => {
                Err(NotAHost::Other(text))
            }
            true if !host.contains('.') => Err(NotAHost::TooWide(text)),
            true => Ok(HostPattern::OneLabelOf(host)),
        }
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> String {
        pattern.to_string()
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Exact(host) => f.write_str(host),
            HostPattern::OneLabelOf(host) => write!(f, "*.{host}"),
        }
    }
}

impl HostPattern {
    /// Whether a canonical host is one of these.
    pub fn admits(&self, host: &str) -> bool {
        match self {
            HostPattern::Exact(own) => own == host,
            // A name and the rest after its first label: `a.b.example.com` has another rest.
            HostPattern::OneLabelOf(own) => {
                host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == own)
            }
        }
    }

    /// ∩: the one of the two that lies within the other.
    pub fn narrower<'a>(&'a self, other: &'a HostPattern) -> Option<&'a HostPattern> {
        match (self, other) {
            (HostPattern::Exact(host), _) if other.admits(host) => Some(self),
            (_, HostPattern::Exact(host)) if self.admits(host) => Some(other),
            _ => (self == other).then_some(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<&str>) {
        assert_eq!(canonical(text).as_deref(), expect, "{text}");
    }

    #[test]
    fn each_spelling_of_a_host_is_one_text() {
        for spelling in
            ["example.com", "EXAMPLE.com", "example.com.", "ex%61mple.com", "example.com%2E", "ｅxample.com"]
        {
            check(spelling, Some("example.com"));
        }
        for spelling in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "017700000001",
            "127.0.0.1.",
            "１２７.0.0.1",
            "%31%32%37.0.0.1",
        ] {
            check(spelling, Some("127.0.0.1"));
        }
        check("0", Some("0.0.0.0"));
        check("[0:0:0:0:0:0:0:1]", Some("[::1]"));
        check("[::ffff:127.0.0.1]", Some("[::ffff:7f00:1]"));
        check("bücher.example", Some("xn--bcher-kva.example"));
    }

    #[test]
    fn what_is_not_a_host_has_no_spelling() {
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "a@b",
            "a:b",
            "[::1",
            "[fe80::1%25eth0]",
            "256.1.1.1",
            "1.2.3.4.5",
            "a%00b",
            "a\\b",
        ] {
            check(text, None);
        }
        check(&"a".repeat(64), None);
        check(&["a"; 128].join("."), None);
    }

    fn pattern(text: &str) -> HostPattern {
        text.to_owned().try_into().unwrap()
    }

    #[test]
    fn a_wildcard_is_exactly_one_label() {
        let wild = pattern("*.Example.com");
        assert!(wild.admits("api.example.com"));
        for other in [
            "example.com",
            "a.b.example.com",
            ".example.com",
            "apiexample.com",
            "api.example.com.evil.example",
        ] {
            assert!(!wild.admits(other), "{other}");
        }
        assert_eq!(wild.to_string(), "*.example.com");
    }

    #[test]
    fn a_pattern_that_cannot_match_is_refused() {
        for text in [
            "https://a.example",
            "a.example:443",
            "u@a.example",
            "a.example/x",
            "a*.example",
            "*.*.example.com",
            "*",
            "*.com",
            "*.10.0.0.1",
            "*.[::1]",
            "",
            "a%2Eb",
            "b\u{fc}cher.example",
            "*.b\u{fc}cher.example",
            "\u{430}pi.example.com",
            "\u{ff41}.example",
        ] {
            assert!(HostPattern::try_from(text.to_owned()).is_err(), "{text}");
        }
        assert_eq!(pattern("::1"), pattern("[::1]"));
        let said = HostPattern::try_from("*.b\u{fc}cher.example".to_owned()).unwrap_err().to_string();
        assert!(said.contains("`*.xn--bcher-kva.example`"), "{said}");
        assert_eq!(pattern("*.xn--bcher-kva.example").to_string(), "*.xn--bcher-kva.example");
    }
}
