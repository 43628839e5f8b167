//! A secret as the requests of one grant carry it.
//!
//! Added once a request is admitted and the addresses of its host are checked. The secret wins: what the guest set in its
//! place is dropped. `watched` searches the response for it.

use std::fmt;
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Request, Uri};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::spelling;
use crate::secret::Secret;
use airlock_types::grant::http::{SecretPlace, SecretUse};

/// A secret of a grant.
pub(super) struct Attached {
    secret: Arc<Secret>,
    place: Place,
}

enum Place {
    Header(HeaderName, HeaderValue),
    Query {
        name: String,
        /// Name and value, encoded.
        pair: Zeroizing<String>,
    },
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.secret.fmt(f)
    }
}

impl Attached {
    /// `None` for what cannot be a header, which the rules of names and values exclude.
    pub(super) fn new(written: &SecretUse, secret: &Arc<Secret>) -> Option<Attached> {
        let text = Zeroizing::new(written.formatted(secret.expose()));
        let place = match &written.place {
            SecretPlace::Header(name) => {
                let mut value = HeaderValue::from_str(&text).ok()?;
                // Libraries then show it as `Sensitive`.
                value.set_sensitive(true);
                Place::Header(name.parse().ok()?, value)
            }
            SecretPlace::Query(name) => {
                let pair = Zeroizing::new(format!("{}={}", encoded(name), encoded(&text)));
                Place::Query { name: name.clone(), pair }
            }
        };
        Some(Attached { secret: secret.clone(), place })
    }

    /// The name, by which connections are kept apart.
    pub(super) fn name(&self) -> &Arc<str> {
        self.secret.name()
    }

    /// Adds the secret to a request. `None` if the request would be no request with it.
    pub(super) fn attach<B>(&self, request: &mut Request<B>) -> Option<()> {
        match &self.place {
            Place::Header(name, value) => spelling::set(request.headers_mut(), name, value.clone()),
            Place::Query { name, pair } => {
                let target = request.uri().path_and_query()?;
                *request.uri_mut() = with_parameter(target, name, pair)?;
            }
        }
        Some(())
    }
}

/// Percent-encoded, with a space as `%20`, which every server decodes.
fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// A target with this parameter, and no other one of its name.
fn with_parameter(target: &PathAndQuery, name: &str, pair: &str) -> Option<Uri> {
    let kept =
        target.query().unwrap_or_default().split('&').filter(|part| !part.is_empty() && !sets(part, name));
    let query: Vec<&str> = kept.chain([pair]).collect();
    let target = Zeroizing::new(format!("{}?{}", target.path(), query.join("&")));
    Uri::builder().path_and_query(target.as_str()).build().ok()
}

/// Whether a part of a query sets a parameter, also for a server that takes `;` for a separator.
fn sets(part: &str, name: &str) -> bool {
    let mut names = part.split(';').filter_map(|one| form_urlencoded::parse(one.as_bytes()).next());
    let name = folded(name);
    names.any(|(found, _)| folded(&found) == name)
}

/// A parameter's name as the laxest servers compare it: without case, with these characters alike, as in names that become
/// variables, and of a list its name.
fn folded(name: &str) -> String {
    let name = ["[]", "[0]"].into_iter().find_map(|index| name.strip_suffix(index)).unwrap_or(name);
    let lower = name.chars().flat_map(char::to_lowercase);
    lower.map(|one| if matches!(one, '.' | ' ' | '-') { '_' } else { one }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "s3cr3t+/= v4lue&x";

    fn attached(written: serde_json::Value) -> Attached {
        let written: SecretUse = serde_json::from_value(written).unwrap();
        Attached::new(&written, &Arc::new(Secret::of("K", VALUE))).unwrap()
    }

    fn sent(written: serde_json::Value, target: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).unwrap();
        attached(written).attach(&mut request).unwrap();
        request
    }

    #[test]
    fn a_header_replaces_what_the_guest_set() {
        let written = serde_json::json!({"name": "K", "header": "x-key", "format": "Key {}"});
        let headers =
            [("x-key", "own"), ("X-Key", "other"), ("x_key", "third"), ("x.key", "fourth"), ("x-own", "1")];
        let request = sent(written, "/a?b", &headers);
        let keys: Vec<_> = request.headers().get_all("x-key").iter().collect();
        assert_eq!(keys, [&format!("Key {VALUE}")]);
        assert!(keys[0].is_sensitive() && !format!("{:?}", request.headers()).contains("s3cr3t"));
        assert_eq!(request.headers().len(), 2, "no other spelling is left: {:?}", request.headers());
        assert_eq!(
            (request.headers()["x-own"].as_bytes(), request.uri().to_string().as_str()),
            (&b"1"[..], "/a?b")
        );
    }

    #[test]
    fn a_parameter_replaces_each_that_a_server_would_take_for_it() {
        let pair = "key=s3cr3t%2B%2F%3D%20v4lue%26x";
        let check = |target: &str, kept: &str| {
            let request = sent(serde_json::json!({"name": "K", "query": "key"}), target, &[]);
            assert_eq!(request.uri().to_string(), format!("{kept}{pair}"), "{target}");
        };
        check("/a", "/a?");
        check("/a?", "/a?");
        check("/a?b=c&d", "/a?b=c&d&");
        for other in ["key=own", "key", "%6bey=own", "ke%79", "key=own;b=c", "b=c;key=own"] {
            check(&format!("/a?{other}"), "/a?");
            check(&format!("/a?b=1&{other}&keys=2&c=key"), "/a?b=1&keys=2&c=key&");
        }
        for other in ["KEY=own", "Key", "key[]=own", "key%5B%5D=own", "key%5b0]=own", "b=c;KEY[]=own"] {
            check(&format!("/a?{other}"), "/a?");
        }
        check("/a?key[1]=2&key[a]=b&[]=1", "/a?key[1]=2&key[a]=b&[]=1&");
        for name in ["api_key", "api-key", "API.Key"] {
            for other in
                ["API_KEY", "api.key", "api%20key", "api+key", "api-key", "api_key[]", "Api%2EKey[0]"]
            {
                let written = serde_json::json!({"name": "K", "query": name});
                let request = sent(written, &format!("/a?{other}=own&apikey=1"), &[]);
                let query = request.uri().query().unwrap();
                assert!(!query.contains("own") && query.starts_with("apikey=1&"), "{name}: {query}");
            }
        }
    }
}
