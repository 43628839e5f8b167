//! The secrets that the responses of a host are searched for: each that the registry sends there, under whatever grant of
//! whatever tool, and former ones of this process.
//!
//! Owns which they are, and what a request to such a host may not ask for. A service that repeats the key of one request in
//! the response to another would otherwise give it to a tool, or under a grant, that has no secret. Must not know how a
//! value is found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use http::header::{
    ACCEPT_CHARSET, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, IF_RANGE,
    RANGE, TRANSFER_ENCODING,
};
use http::{HeaderMap, Request};

use super::spelling;
use crate::config::Config;
use crate::secret::{Echo, Scan, Secret, Secrets};
use airlock_types::grant::HttpGrant;
use airlock_types::grant::http::HostPattern;

/// Headers by which a request asks for a part of a response, or for another form of it than the search reads. The third is
/// that of a large object store, which prefers it to `range`; the last but one asks for what has changed (RFC 3229).
static PARTS_AND_FORMS: [HeaderName; 5] =
    [RANGE, IF_RANGE, HeaderName::from_static("x-ms-range"), HeaderName::from_static("a-im"), ACCEPT_CHARSET];

/// Beginnings of charsets in which ASCII is itself. In others, such as UTF-16, nothing would be found.
const READ_CHARSETS: [&str; 16] = [
    "utf-8",
    "utf8",
    "us-ascii",
    "ascii",
    "iso-8859-",
    "iso8859",
    "latin",
    "windows-12",
    "windows-874",
    "cp12",
    "koi8",
    "gb",
    "big5",
    "euc-",
    "shift_jis",
    "shift-jis",
];

/// What the responses of one host are searched for.
#[derive(Clone, Debug)]
pub(super) struct Sought(Arc<[Arc<Secret>]>);

/// Most former values of one host that are still searched for. A service keeps the last one or two of a rotation.
const FORMER_MAX: usize = 8;

/// The secrets that this process sends to hosts, and has sent. One for all generations of a host: a call that began before a
/// reload may get the response to one that began after it, and the other way; a tool whose entry is not in order keeps its
/// secret; and a service may keep a value for longer than the registry.
#[derive(Debug, Default)]
pub(crate) struct Watched(Mutex<BTreeMap<String, Sought>>);

impl Watched {
    /// Takes in what a registry sends to each host, as it is loaded. Values of the loads before stay behind it, the latest
    /// first, as former ones.
    pub(crate) fn load(&self, config: &Config, secrets: &Secrets) {
        let mut now: BTreeMap<String, Vec<Arc<Secret>>> = BTreeMap::new();
        for (host, name) in sent(config) {
            // One that cannot be read is former, and its tools keep it.
            now.entry(host).or_default().extend(secrets.get(&name).cloned());
        }
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for host in hosts.keys() {
            now.entry(host.clone()).or_default();
        }
        for (host, mut sought) in now {
            let before = hosts.get(&host).map(|Sought(before)| before.iter()).into_iter().flatten();
            let is_new = |secret: &&Arc<Secret>| !sought.iter().any(|known| known.is_same(secret));
            let former: Vec<_> = before.filter(is_new).take(FORMER_MAX).cloned().collect();
            sought.extend(former);
            if !sought.is_empty() {
                hosts.insert(host, Sought(sought.into()));
            }
        }
    }

    /// What the responses of this host are searched for. `None` where no secret goes to it.
    pub(super) fn at(&self, host: &str) -> Option<Sought> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(host).cloned()
    }
}

/// Each host to which a registry sends a secret, with its name.
fn sent(config: &Config) -> BTreeSet<(String, String)> {
    config.secret_uses().filter_map(|(_, grant)| pair(grant)).collect()
}

fn pair(grant: &HttpGrant) -> Option<(String, String)> {
    match (&grant.host, &grant.secret) {
        (HostPattern::Exact(host), Some(secret)) => Some((host.clone(), secret.name.clone())),
        // No secret goes to the hosts of a wildcard.
        (HostPattern::OneLabelOf(_), _) | (_, None) => None,
    }
}

impl Sought {
    /// Makes a request ask for a response in which a value can be found: not compressed, and whole. A part of one could
    /// begin within the value, and another one end there. A service may ignore `Range`, so a tool expects the whole.
    pub(super) fn prepare<B>(&self, request: &mut Request<B>) {
        spelling::set(request.headers_mut(), &ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        for name in &PARTS_AND_FORMS {
            spelling::remove(request.headers_mut(), name);
        }
    }

    /// A search in a body.
    pub(super) fn scan(&self) -> Scan {
        Scan::values(&self.0)
    }

    /// Searches the names and values of headers.
    pub(super) fn look(&self, headers: &HeaderMap) -> Result<(), Echo> {
        headers.iter().try_for_each(|(name, value)| {
            Scan::names(&self.0).whole(name.as_str().as_bytes())?;
            self.scan().whole(value.as_bytes())
        })
    }
}

/// The coding or the charset of a body in which nothing would be found: compressed although that was not asked for, or in
/// letters of several bytes.
pub(super) fn unread(headers: &HeaderMap) -> Option<String> {
    coding(headers).or_else(|| charset(headers))
}

/// A charset in which ASCII is not itself.
fn charset(headers: &HeaderMap) -> Option<String> {
    let types = headers.get_all(CONTENT_TYPE).iter();
    let parameters = types.flat_map(|value| value.as_bytes().split(|byte| matches!(byte, b';' | b',')));
    let charsets = parameters.filter_map(|parameter| {
        let text = String::from_utf8_lossy(parameter).to_ascii_lowercase();
        let (name, value) = text.split_once('=')?;
        (name.trim() == "charset").then(|| value.trim().trim_matches(['"', '\'']).to_owned())
    });
    let is_read = |charset: &String| READ_CHARSETS.iter().any(|known| charset.starts_with(known));
    charsets.into_iter().find(|charset| !charset.is_empty() && !is_read(charset))
}

fn coding(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(CONTENT_ENCODING).iter().chain(headers.get_all(TRANSFER_ENCODING));
    let codings = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let mut codings = codings.map(|coding| String::from_utf8_lossy(coding).trim().to_ascii_lowercase());
    codings.find(|coding| !matches!(&**coding, "" | "identity" | "chunked"))
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    const VALUE: &str = "s3cr3t+/= v4lue&X";

    fn sought(values: &[&str]) -> Sought {
        let secret = |(i, value): (usize, &&str)| Arc::new(Secret::of(&format!("K{i}"), value));
        Sought(values.iter().enumerate().map(secret).collect())
    }

    #[test]
    fn a_request_asks_for_the_whole_in_clear_text() {
        let mut request = Request::new(());
        let set = [("accept-encoding", "gzip"), ("accept_encoding", "br"), ("range", "bytes=1-2")];
        for (name, value) in [&set[..], &[("if_range", "x"), ("if-range", "y"), ("x-own", "1")]].concat() {
            request.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        sought(&[VALUE]).prepare(&mut request);
        let kept: Vec<_> = request.headers().iter().map(|(name, value)| (name.as_str(), value)).collect();
        assert_eq!(kept.len(), 2, "{kept:?}");
        assert_eq!(
            (&request.headers()["accept-encoding"], &request.headers()["x-own"]),
            (&HeaderValue::from_static("identity"), &HeaderValue::from_static("1"))
        );
    }

    #[test]
    fn headers_with_a_value_are_found_and_its_secret_is_named() {
        let look = |name: &'static str, value: &str| {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())]);
            sought(&["0ther-s3cret", VALUE]).look(&headers).map_err(|echo| echo.secret.to_string())
        };
        let found = Err("K1".to_owned());
        assert_eq!(look("location", "/a?key=s3cr3t%2B%2F%3D%20v4lue%26"), Ok(()));
        assert_eq!(look("location", "/a?key=s3cr3t%2b%2F=+v4lue%26X&b"), found);
        assert_eq!(look("location", "/a?next=%2Fb%3Fkey%3Ds3cr3t%252B%252F%253D%2520v4lue%2526X"), found);
        assert_eq!(look("x-own", VALUE), found);
        assert_eq!(look("x-own", "a 0ther-s3cret"), Err("K0".to_owned()));
    }

    /// The library writes names in lower case.
    #[test]
    fn a_value_with_capitals_is_found_in_the_name_of_a_header() {
        let sought = sought(&["Sk-LiVe-4Ab9"]);
        let look = |name: &str, value: &str| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            sought.look(&HeaderMap::from_iter([(name, value.parse().unwrap())])).is_err()
        };
        assert!(look("X-Sk-LiVe-4Ab9", "1"));
        // In base64.
        assert!(look("X-U2stTGlWZS00QWI5", "1"));
        assert!(!look("x-own", "sk-live-4ab9"), "in a value the case is kept");
    }

    #[test]
    fn a_charset_in_which_nothing_is_found_is_noticed() {
        let check = |kind: &'static str, expect: Option<&str>| {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
            assert_eq!(unread(&headers).as_deref(), expect, "{kind}");
        };
        for read in [
            "text/html",
            "text/html; charset=UTF-8",
            "a/b;charset=\"iso-8859-15\"",
            "a/b; x=y; Charset=gb18030",
        ] {
            check(read, None);
        }
        check("text/plain; charset=utf-16le", Some("utf-16le"));
        check("text/plain;x=y; CHARSET=\"cp037\"", Some("cp037"));
        check("text/plain; charset=UTF-7", Some("utf-7"));
    }

    #[test]
    fn former_values_are_sought_behind_those_of_the_registry() {
        let config = |name: &str| -> Config {
            let grant =
                format!("{{ host = \"a.example\", secret = {{ name = \"{name}\", header = \"x-key\" }} }}");
            toml::from_str(&format!("[tools.web]\ncomponent = \"w\"\ngrants.http = [{grant}]\n")).unwrap()
        };
        let watched = Watched::default();
        let found = |text: &str| {
            watched.at("a.example").is_some_and(|sought| sought.scan().whole(text.as_bytes()).is_err())
        };
        watched.load(&config("K"), &Secrets::of([("K", "value-number-0")]));
        watched.load(&config("K"), &Secrets::of([("K", "value-number-0")]));
        assert_eq!(
            watched.at("a.example").map(|sought| sought.0.len()),
            Some(1),
            "the same one is no former one"
        );
        assert!(watched.at("b.example").is_none());
        // One that cannot be read, and a registry that sends none.
        watched.load(&config("K"), &Secrets::default());
        watched.load(&toml::from_str("").unwrap(), &Secrets::default());
        assert!(found("value-number-0"));
        for i in 1..=FORMER_MAX + 1 {
            watched.load(&config("K"), &Secrets::of([("K", &format!("value-number-{i}"))]));
        }
        assert!(!found("value-number-0") && found("value-number-1") && found("value-number-9"));
    }

    #[test]
    fn a_coding_that_hides_the_value_is_noticed() {
        let check = |headers: &[(HeaderName, &'static str)], expect: Option<&str>| {
            let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
            assert_eq!(coding(&headers.collect()).as_deref(), expect);
        };
        for plain in ["", "identity", " Identity ,", "chunked"] {
            check(&[(CONTENT_ENCODING, plain), (TRANSFER_ENCODING, "chunked")], None);
        }
        check(&[], None);
        check(&[(CONTENT_ENCODING, "identity, GZip")], Some("gzip"));
        check(&[(CONTENT_ENCODING, "identity"), (CONTENT_ENCODING, "br")], Some("br"));
        check(&[(TRANSFER_ENCODING, "deflate, chunked")], Some("deflate"));
    }
}
