use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn grant(value: serde_json::Value) -> HttpGrant {
    serde_json::from_value(value).unwrap()
}

fn request(mut value: serde_json::Value) -> HttpRequest {
    value["reason"] = json!("figures");
    serde_json::from_value(value).unwrap()
}

fn target(method: &str, url: &str) -> Option<Target> {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    Target::read(method, scheme, authority, path)
}

#[test]
fn a_grant_of_a_host_reads_its_whole_site_over_tls() {
    let grant = grant(json!({"host": "api.example.com"}));
    let admits = |method, url| target(method, url).is_some_and(|target| grant.admits(&target));
    for url in
        ["https://api.example.com/x", "https://API.example.com.:443", "https://api.example.com:0443/x/../y"]
    {
        assert!(admits("GET", url) && admits("HEAD", url), "{url}");
    }
    for (method, url) in [
        ("GET", "http://api.example.com/"),
        ("GET", "https://api.example.com:8443/"),
        ("GET", "https://example.com/"),
        ("GET", "https://xapi.example.com/"),
        ("GET", "https://api.example.com.evil.example/"),
        ("GET", "https://api.example.com@evil.example/"),
        ("GET", "https://evil.example:443@api.example.com/"),
        ("GET", "https://api.example.com:/"),
        ("GET", "https://api.example.com:+443/"),
        ("GET", "https://api.example.com:65979/"),
        ("POST", "https://api.example.com/"),
        ("get", "https://api.example.com/"),
        ("OPTIONS", "https://api.example.com/"),
        ("GET", "ftp://api.example.com/"),
    ] {
        assert!(!admits(method, url), "{method} {url}");
    }
}

#[test]
fn the_host_header_names_a_port_only_where_it_must() {
    let authority = |url| target("GET", url).unwrap().authority();
    assert_eq!(authority("https://A.example:443/"), "a.example");
    assert_eq!(authority("http://a.example:443/"), "a.example:443");
    assert_eq!(authority("http://[::1]:8080/"), "[::1]:8080");
}

#[test]
fn only_the_common_part_of_a_request_and_a_grant_is_effective() {
    let asked = request(json!({"host": "*.example.com", "methods": ["GET", "POST"], "path": "/v1"}));
    let given = json!({"host": "api.example.com", "methods": ["POST", "PUT"], "requests_max": 2});
    let allowed = grant(given).within(&asked.extent()).unwrap();
    let expect = json!({"host": "api.example.com", "methods": ["POST"], "path": "/v1", "requests_max": 2});
    assert_eq!(allowed, grant(expect));
    for given in [
        json!({"host": "api.example.com", "methods": ["PUT"]}),
        json!({"host": "example.com", "methods": ["GET"]}),
        json!({"host": "api.example.com", "scheme": "http"}),
        json!({"host": "api.example.com", "port": 8443}),
        json!({"host": "api.example.com", "path": "/v2"}),
    ] {
        assert_eq!(grant(given.clone()).within(&asked.extent()), None, "{given}");
    }
}

#[test]
fn what_is_missing_is_named_with_the_line_that_grants_it() {
    let asked = request(json!({"host": "api.example.com", "methods": ["GET", "POST"], "path": "/v1"}));
    let lacks = |grants: &[HttpGrant]| {
        missing(std::slice::from_ref(&asked), &effective(std::slice::from_ref(&asked), grants))
    };
    let reads = grant(json!({"host": "api.example.com"}));
    let found = lacks(&[reads]);
    assert_eq!(found[0].asked, "POST https://api.example.com/v1");
    let line =
        "grants.http = [{ host = \"api.example.com\", methods = [\"GET\", \"POST\"], path = \"/v1\" }]";
    assert_eq!(found[0].grant, line);
    assert!(lacks(&[grant(json!({"host": "api.example.com", "methods": ["GET", "POST"]}))]).is_empty());
}

#[test]
fn a_grant_that_can_admit_nothing_is_a_problem() {
    for value in [
        json!({"host": "a.example", "methods": []}),
        json!({"host": "a.example", "requests_max": 0}),
        json!({"host": "a.example", "port": 0}),
    ] {
        let problem = grant(value.clone()).problem().expect("a problem");
        assert!(problem.message.contains("https://a.example"), "{value}: {}", problem.message);
    }
    assert_eq!(grant(json!({"host": "a.example"})).problem(), None);
}

#[test]
fn what_frames_a_message_cannot_be_granted() {
    for header in ["host", "connection", "transfer-encoding", "proxy-authorization", "Cookie"] {
        let value = json!({"host": "a.example", "headers": [header]});
        assert!(serde_json::from_value::<HttpGrant>(value).is_err(), "{header}");
    }
}

#[track_caller]
fn check(old: &serde_json::Value, new: &serde_json::Value, expect: &[(&str, bool)]) {
    let list = |value: &serde_json::Value| -> Vec<HttpRequest> {
        value.as_array().unwrap().iter().cloned().map(request).collect()
    };
    let found = differences(&list(old), &list(new));
    let found: Vec<(String, bool)> = found.iter().map(|one| (one.path.join(" "), one.wider)).collect();
    let expect: Vec<(String, bool)> =
        expect.iter().map(|(path, wider)| ((*path).to_owned(), *wider)).collect();
    assert_eq!(found, expect);
}

#[test]
fn only_what_was_not_asked_for_before_is_wider() {
    let site = json!([{"host": "*.example.com"}]);
    let part = json!([{"host": "api.example.com", "path": "/v1"}]);
    check(
        &site,
        &part,
        &[("http https://*.example.com/", false), ("http https://api.example.com/v1", false)],
    );
    check(&part, &site, &[("http https://*.example.com/", true), ("http https://api.example.com/v1", false)]);
    let writes = json!([{"host": "*.example.com", "methods": ["GET", "HEAD", "POST"], "optional": true}]);
    check(
        &site,
        &writes,
        &[("http https://*.example.com/ methods", true), ("http https://*.example.com/ optional", true)],
    );
    check(
        &writes,
        &site,
        &[("http https://*.example.com/ methods", false), ("http https://*.example.com/ optional", false)],
    );
    check(&site, &json!([{"host": "*.example.com"}, {"host": "*.example.com"}]), &[("http", true)]);
}

fn pattern() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "example.com",
        "api.example.com",
        "*.example.com",
        "*.api.example.com",
        "127.0.0.1",
    ])
    .prop_map(str::to_owned)
}

fn methods() -> impl Strategy<Value = Vec<String>> {
    prop::sample::subsequence(vec!["GET", "HEAD", "POST", "DELETE"], 1..=3)
        .prop_map(|methods| methods.into_iter().map(str::to_owned).collect())
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["v1", "v2", "data"]), 0..3).prop_map(|segments| {
        if segments.is_empty() {
            "/".to_owned()
        } else {
            segments.iter().fold(String::new(), |mut path, one| {
                let _ = write!(path, "/{one}");
                path
            })
        }
    })
}

prop_compose! {
    fn extent()(host in pattern(), is_plain in any::<bool>(), port in prop::option::of(prop::sample::select(vec![80u16, 443])), methods in methods(), path in path()) -> serde_json::Value {
        json!({"host": host, "scheme": if is_plain { "http" } else { "https" }, "port": port, "methods": methods, "path": path})
    }
}

prop_compose! {
    fn outgoing()(
        host in prop::sample::select(vec!["example.com", "api.example.com", "a.api.example.com", "127.1"]),
        is_plain in any::<bool>(),
        port in prop::sample::select(vec!["", ":80", ":443"]),
        method in prop::sample::select(vec!["GET", "HEAD", "POST", "DELETE", "PUT"]),
        path in path(),
        end in prop::sample::select(vec!["", "/x", "/..", "/%2e%2e/data"]),
    ) -> Target {
        let scheme = if is_plain { "http" } else { "https" };
        Target::read(method, scheme, &format!("{host}{port}"), &format!("{path}{end}")).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn the_intersection_admits_exactly_what_both_sides_admit(asked in extent(), given in extent(), target in outgoing()) {
        let (asked, given) = (request(asked), grant(given));
        let both = asked.extent().admits(&target) && given.admits(&target);
        let allowed = given.within(&asked.extent());
        prop_assert_eq!(allowed.as_ref().is_some_and(|allowed| allowed.admits(&target)), both);
        if let Some(allowed) = allowed {
            prop_assert!(allowed.extent().is_within(&asked.extent()) && allowed.extent().is_within(&given.extent()));
        }
    }
}

#[test]
fn a_secret_is_of_one_host_and_leaves_over_tls_or_to_this_machine() {
    let problem = |mut value: serde_json::Value| {
        value["secret"] = json!({"name": "K", "header": "authorization"});
        grant(value).problem().map(|problem| problem.message)
    };
    assert_eq!(problem(json!({"host": "a.example"})), None);
    let here = json!({"host": "localhost", "scheme": "http", "addresses": ["127.0.0.0/8"]});
    assert_eq!(problem(here.clone()), None);
    for (value, word) in [
        (json!({"host": "*.a.example"}), "wildcard"),
        (json!({"host": "a.example", "scheme": "http"}), "clear text"),
        (json!({"host": "a.example", "scheme": "http", "addresses": ["10.0.0.0/8"]}), "clear text"),
    ] {
        let message = problem(value.clone()).expect("a problem");
        assert!(message.contains(word), "{value}: {message}");
    }
    let with = grant(json!({"host": "a.example", "path": "/v1", "secret": {"name": "K", "query": "key"}}));
    let text = with.secret_text().unwrap();
    assert_eq!(text, "the secret `K` as the query parameter `key` to `https://a.example/v1`");
    let asked = request(json!({"host": "a.example", "path": "/v1/x"}));
    let allowed = &effective(&[asked], std::slice::from_ref(&with))[0].allowed;
    assert_eq!(allowed.secret, with.secret, "what is narrowed keeps its secret");
}

#[test]
fn a_secret_is_not_said_to_be_sent_where_earlier_grants_have_each_method() {
    let secret = json!({"name": "K", "header": "authorization"});
    let texts = |earlier: &[serde_json::Value]| {
        let own = json!({"host": "a.b.example", "path": "/v1", "secret": secret});
        let grants: Vec<_> = earlier.iter().cloned().chain([own]).map(grant).collect();
        secret_texts(grants.iter()).len()
    };
    let [get, head] = ["GET", "HEAD"].map(|method| json!({"host": "a.b.example", "methods": [method]}));
    assert_eq!(texts(std::slice::from_ref(&get)), 1);
    assert_eq!(texts(&[get.clone(), json!({"host": "b.example", "methods": ["HEAD"]})]), 1);
    assert_eq!(
        texts(&[get.clone(), json!({"host": "a.b.example", "path": "/v1/x", "methods": ["HEAD"]})]),
        1
    );
    assert_eq!(texts(&[get.clone(), head]), 0);
    assert_eq!(texts(&[get, json!({"host": "*.b.example", "methods": ["HEAD", "POST"]})]), 0);
}
