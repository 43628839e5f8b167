//! Requests of tools to other hosts: what a grant lets through, and that nothing else leaves. The upstream counts.

use airlock::config::ConfigFile;
use airlock::host::Host;
use airlock_journal::Journal;
use airlock_tests::root;
use airlock_tests::upstream::Upstream;
use airlock_types::code::Code;
use serde_json::json;

use crate::secrets::Raw;
use crate::web::{DENIED, Web, call, fetch, fetch_with, grant, named};

#[tokio::test]
async fn with_a_grant_a_request_arrives_and_is_counted() {
    let (web, upstream) = (Web::new(), Upstream::start().await.unwrap());
    let host = web.open(&grant(&upstream, "")).await;
    let headers = json!([["accept", "text/plain"], ["x-own", "1"]]);
    let (found, record) = fetch_with(&host, "GET", &upstream.url("/hello?a=b"), &headers).await;
    let found = found.unwrap();
    assert_eq!((&found["status"], &found["body"]), (&json!(200), &json!("GET /hello?a=b")));
    let arrived = &upstream.arrived()[0];
    assert_eq!(arrived.header("host"), upstream.address.to_string());
    assert_eq!((arrived.header("x-own"), arrived.header("accept-encoding")), ("1", ""));
    let usage = &record.attempts[0].usage;
    assert_eq!(usage.requests, 1);
    assert!(usage.up_bytes > 30 && usage.down_bytes > 30, "{usage:?}");
    assert!(record.attempts[0].denials.is_empty());
}

#[tokio::test]
async fn without_a_grant_a_component_loads_and_each_request_is_refused() {
    let upstream = Upstream::start().await.unwrap();
    for settings in ["", "grants.clock = true\n"] {
        let host = Web::new().open(settings).await;
        let (found, record) = fetch_with(&host, "GET", &upstream.url("/"), &json!([])).await;
        assert_eq!(found.unwrap_err(), DENIED);
        assert_eq!(record.attempts[0].denials, ["http"]);
        let args = json!({"method": "GET", "url": upstream.url("/"), "times": 5});
        let (reply, record) = call(&host, "repeat", &args, Code::Ok).await;
        assert_eq!(reply.result, Some(json!(vec![DENIED; 5])));
        assert_eq!(record.attempts[0].denials, ["http"], "noted once");
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn just_outside_of_a_grant_nothing_leaves() {
    let (upstream, other) = (Upstream::start().await.unwrap(), Upstream::start().await.unwrap());
    let more = ", path = \"/v1/data\", methods = [\"GET\", \"PUT\"]";
    let host = Web::new().open(&grant(&upstream, more)).await;
    let (inside, port) = (upstream.url("/v1/data/x"), upstream.port());
    for (method, url) in [
        ("POST", inside.clone()),
        ("HEAD", inside.clone()),
        ("get", inside.clone()),
        ("CONNECT", inside.clone()),
        ("GET", inside.replace("http:", "https:")),
        ("GET", other.url("/v1/data/x")),
        ("GET", format!("http://localhost:{port}/v1/data/x")),
        ("GET", format!("http://127.0.0.2:{port}/v1/data/x")),
        ("GET", format!("http://[::1]:{port}/v1/data/x")),
        ("GET", format!("http://[::ffff:127.0.0.1]:{port}/v1/data/x")),
        ("GET", format!("http://127.0.0.1:{port}@evil.example/v1/data/x")),
        ("GET", format!("http://user@127.0.0.1:{port}/v1/data/x")),
        ("GET", "http://127.0.0.1/v1/data/x".to_owned()),
        ("GET", upstream.url("/")),
        ("GET", upstream.url("/v1/database")),
        ("GET", upstream.url("/v1/data/../admin")),
        ("GET", upstream.url("/v1/x/../data/y")),
        ("GET", upstream.url("/v1/./data/x")),
        ("GET", upstream.url("/v1/x/%2e%2e/data/y")),
        ("GET", upstream.url("/v1/data/%2e%2e/admin")),
        ("GET", upstream.url("/v1/data/..%2fadmin")),
        ("GET", upstream.url("/v1/data/%252e%252e%252fadmin")),
        ("GET", upstream.url("/v1/data/..\\admin")),
        ("GET", upstream.url("/v1/data/..;/admin")),
        ("GET", upstream.url("/v1//data/x")),
        ("GET", upstream.url("//v1/data/x")),
        ("GET", upstream.url("?/v1/data/x")),
    ] {
        let error = fetch(&host, method, &url).await.unwrap_err();
        // What the engine's library does not take for a request does not reach the grants.
        assert!(error == DENIED || error == "path" || error == "authority", "{method} {url}: {error}");
    }
    assert_eq!((upstream.connections(), other.connections()), (0, 0));
    for (method, url) in
        [("GET", inside), ("PUT", upstream.url("/v1/data/./x/..?/../..")), ("GET", upstream.url("/v1/data"))]
    {
        assert!(fetch(&host, method, &url).await.is_ok(), "{method} {url}");
    }
    assert_eq!(upstream.arrived().len(), 3);
}

#[tokio::test]
async fn a_wildcard_is_one_label_and_connections_are_of_one_name() {
    let upstream = Upstream::start().await.unwrap();
    let here: &[&[&str]] = &[&["127.0.0.1"]];
    let web = Web::with_names(&[
        ("a.x.example", here),
        ("b.x.example", here),
        ("x.example", here),
        ("a.b.x.example", here),
    ]);
    let host = web.open(&named("*.x.example", &upstream, "\"127.0.0.0/8\"")).await;
    let url = |name: &str| format!("http://{name}:{}/", upstream.port());
    for name in ["a.x.example", "A.X.Example.", "b.x.example"] {
        assert!(fetch(&host, "GET", &url(name)).await.is_ok(), "{name}");
    }
    for name in ["x.example", "a.b.x.example", "ax.example"] {
        assert_eq!(fetch(&host, "GET", &url(name)).await.unwrap_err(), DENIED, "{name}");
    }
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn a_redirect_is_shown_and_not_followed() {
    let (upstream, other) = (Upstream::start().await.unwrap(), Upstream::start().await.unwrap());
    let host = Web::new().open(&grant(&upstream, "")).await;
    for target in [other.url("/"), "http://169.254.169.254/latest/".to_owned(), "/hello".to_owned()] {
        let found = fetch(&host, "GET", &upstream.url(&format!("/redirect?{target}"))).await.unwrap();
        assert_eq!(found["status"], 302);
        assert!(found["headers"].as_array().unwrap().contains(&json!(["location", target])), "{found}");
    }
    assert_eq!((upstream.arrived().len(), other.connections()), (3, 0));
}

#[tokio::test]
async fn headers_that_are_not_the_guests_are_refused() {
    let upstream = Upstream::start().await.unwrap();
    let host = Web::new().open(&grant(&upstream, "")).await;
    for name in [
        "host",
        "Host",
        "connection",
        "keep-alive",
        "proxy-authorization",
        "proxy-anything",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
        "authorization",
        "Authorization",
        "cookie",
        "x-forwarded-for",
        "x_forwarded_for",
        "X_Http_Method_Override",
        "x-http_method-override",
        "content_length",
        "transfer_encoding",
        "proxy_authorization",
    ] {
        let (found, _) = fetch_with(&host, "GET", &upstream.url("/"), &json!([[name, "x"]])).await;
        assert_eq!(found.unwrap_err(), "headers: HeaderError::Forbidden", "{name}");
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn credentials_go_only_where_the_grant_of_the_request_has_them() {
    let (upstream, other) = (Upstream::start().await.unwrap(), Upstream::start().await.unwrap());
    let entry = |upstream: &Upstream, more: &str| {
        grant(upstream, more).trim().trim_start_matches("grants.http = [").trim_end_matches(']').to_owned()
    };
    let with = entry(&upstream, ", headers = [\"authorization\"]");
    let host = Web::new().open(&format!("grants.http = [{with}, {}]\n", entry(&other, ""))).await;
    let headers = json!([["authorization", "Bearer own"]]);
    let (found, _) = fetch_with(&host, "GET", &upstream.url("/"), &headers).await;
    assert_eq!(found.unwrap()["status"], 200);
    assert_eq!(upstream.arrived()[0].header("authorization"), "Bearer own");
    let (found, _) = fetch_with(&host, "GET", &other.url("/"), &headers).await;
    assert_eq!(found.unwrap_err(), DENIED);
    let (found, _) = fetch_with(&host, "GET", &upstream.url("/"), &json!([["cookie", "a=b"]])).await;
    assert_eq!(found.unwrap_err(), "headers: HeaderError::Forbidden");
    assert_eq!((upstream.arrived().len(), other.connections()), (1, 0));
}

#[tokio::test]
async fn one_request_more_than_granted_is_refused() {
    let upstream = Upstream::start().await.unwrap();
    let host = Web::new().open(&grant(&upstream, ", requests_max = 3")).await;
    let args = json!({"method": "GET", "url": upstream.url("/"), "times": 4});
    let (reply, record) = call(&host, "repeat", &args, Code::Ok).await;
    assert_eq!(reply.result, Some(json!(["200", "200", "200", DENIED])));
    assert_eq!(
        (record.attempts[0].usage.requests, &*record.attempts[0].denials),
        (3, &["http".to_owned()][..])
    );
    // The bound is of one call.
    call(&host, "repeat", &args, Code::Ok).await;
    assert_eq!((upstream.arrived().len(), upstream.connections()), (6, 1));
    let args = json!({"urls": [upstream.url("/"), upstream.url("/"), upstream.url("/"), upstream.url("/")]});
    let (reply, _) = call(&host, "fetch_all", &args, Code::Ok).await;
    assert_eq!(reply.result, Some(json!(["200", "200", "200", DENIED])));
}

#[tokio::test]
async fn no_more_bytes_than_granted_go_up() {
    let upstream = Upstream::start().await.unwrap();
    let host = Web::new().open(&grant(&upstream, ", methods = [\"POST\"], up_bytes_max = 100_000")).await;
    let args = |bytes: u64| json!({"url": upstream.url("/"), "bytes": bytes});
    let (_, record) = call(&host, "upload", &args(99_000), Code::Ok).await;
    assert_eq!(upstream.arrived()[0].body, 99_000);
    assert!(record.attempts[0].usage.up_bytes > 99_000);
    // What had left until then cannot be taken back.
    let (reply, record) = call(&host, "upload", &args(101_000), Code::OutcomeUnknown).await;
    let error = reply.error.unwrap();
    assert!(error.message.contains("HttpRequestBodySize"), "{}", error.message);
    assert_eq!(record.attempts[0].denials, ["http"]);
    assert!(record.attempts[0].usage.up_bytes <= 100_000);
    assert!(upstream.arrived().iter().skip(1).all(|arrived| arrived.body == 0), "it never arrived whole");
}

#[tokio::test]
async fn what_no_response_has_counts_as_it_comes_in() {
    const BOUND: u64 = 100_000;
    let ok = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let hint = format!("HTTP/1.1 103 Early Hints\r\nlink: {}\r\n\r\n", "x".repeat(400));
    for (flood, fits) in [
        // Informational responses, of which each is small.
        (hint.repeat(2_000), false),
        // The size of a chunk that never ends.
        (format!("{ok}{}", "0".repeat(1 << 20)), false),
        // Chunks whose framing is five times what they hold.
        (format!("{ok}{}0\r\n\r\n", "1\r\nx\r\n".repeat(30_000)), false),
        // The same, within the bound.
        (format!("{}{ok}{}0\r\n\r\n", hint.repeat(20), "1\r\nx\r\n".repeat(5_000)), true),
    ] {
        let server = Raw::answering(&[&flood]).await;
        let host = Web::new().open(&server.grant(&format!(", down_bytes_max = {BOUND}"))).await;
        let args = json!({"url": server.url("/")});
        let expect = if fits { Code::Ok } else { Code::ToolError };
        let (_, record) = call(&host, "download", &args, expect).await;
        let attempt = &record.attempts[0];
        if fits {
            assert_eq!(attempt.usage.down_bytes, flood.len() as u64);
            assert!(attempt.denials.is_empty());
        } else {
            // What one read brings beyond the bound has come in, too.
            assert!(
                (BOUND + 1..BOUND + (128 << 10)).contains(&attempt.usage.down_bytes),
                "{:?}",
                attempt.usage
            );
            assert_eq!((&*attempt.denials, record.attempts.len()), (&["http".to_owned()][..], 1));
        }
    }
}

#[tokio::test]
async fn no_more_bytes_than_granted_come_down() {
    let upstream = Upstream::start().await.unwrap();
    let host = Web::new().open(&grant(&upstream, ", down_bytes_max = 300_000")).await;
    let args = |path: &str| json!({"url": upstream.url(path)});
    let (reply, _) = call(&host, "download", &args("/large?299000"), Code::Ok).await;
    assert_eq!(reply.result, Some(json!(299_000)));
    let (_, record) = call(&host, "download", &args("/large?301000"), Code::ToolError).await;
    assert_eq!(record.attempts[0].denials, ["http"]);
    // Headers count, too.
    let host = Web::new().open(&grant(&upstream, ", down_bytes_max = 1_000")).await;
    call(&host, "download", &args("/headers?800"), Code::Ok).await;
    call(&host, "download", &args("/headers?1000"), Code::ToolError).await;
    // A head beyond the host's own bound ends the request, whatever is granted.
    let host = Web::new().open(&grant(&upstream, "")).await;
    call(&host, "download", &args("/headers?100000"), Code::ToolError).await;
}

#[tokio::test]
async fn a_contract_gets_only_what_it_asks_for() {
    let upstream = Upstream::start().await.unwrap();
    let asks = format!(
        "effects = \"write\"\n[[capabilities.http]]\nhost = \"127.0.0.1\"\nscheme = \"http\"\nport = {}\nmethods = [\"GET\"]\n\
         path = \"/v1\"\nreason = \"figures\"\n",
        upstream.port()
    );
    let web = Web::with_contract(&asks);
    let host = web.open(&grant(&upstream, ", methods = [\"GET\", \"POST\"]")).await;
    assert!(fetch(&host, "GET", &upstream.url("/v1/x")).await.is_ok());
    assert_eq!(fetch(&host, "GET", &upstream.url("/v2/x")).await.unwrap_err(), DENIED);
    assert_eq!(fetch(&host, "POST", &upstream.url("/v1/x")).await.unwrap_err(), DENIED);
    // Without the grant it does not run, and the operator reads what would grant it.
    let host = web.open("").await;
    let args = json!({"url": upstream.url("/v1/x")});
    let (_, record) = call(&host, "download", &args, Code::PolicyDenied).await;
    assert!(record.attempts.is_empty());
    let (_, warnings) = host.summary();
    let line = format!(
        "grants.http = [{{ host = \"127.0.0.1\", scheme = \"http\", port = {}, methods = [\"GET\"], path = \"/v1\" }}]",
        upstream.port()
    );
    assert!(warnings.iter().any(|warning| warning.contains(&line)), "{warnings:?}");
    assert_eq!(upstream.arrived().len(), 1);
}

#[tokio::test]
async fn a_connection_that_its_host_closed_is_not_used_again() {
    let upstream = Upstream::start().await.unwrap();
    let host = Web::new().open(&grant(&upstream, "")).await;
    let args = json!({"method": "GET", "url": upstream.url("/close"), "times": 3});
    let (reply, _) = call(&host, "repeat", &args, Code::Ok).await;
    assert_eq!(reply.result, Some(json!(["200", "200", "200"])));
    assert_eq!(upstream.connections(), 3);
}

#[tokio::test]
async fn a_grant_that_cannot_be_meant_is_refused_with_what_to_write() {
    for (grant, pieces) in [
        ("host = \"https://api.example.com/\"", "is not a host: write the name alone"),
        ("host = \"*.com\"", "would cover the hosts of many parties"),
        ("host = \"api.example.com\", methods = [\"get\"]", "write it in capital letters"),
        ("host = \"api.example.com\", methods = [\"CONNECT\"]", "cannot be granted"),
        ("host = \"api.example.com\", methods = []", "has no method"),
        ("host = \"api.example.com\", path = \"v1\"", "is not a path"),
        ("host = \"api.example.com\", path = \"/v1/../x\"", "is not a path"),
        ("host = \"api.example.com\", addresses = [\"10.0.0.1/8\"]", "of the network `10.0.0.0/8`"),
        ("host = \"api.example.com\", addresses = [\"internal\"]", "is not a network"),
        ("host = \"api.example.com\", addresses = [\"0.0.0.0/1\", \"128.0.0.0/1\"]", "has every address"),
        (
            "host = \"api.example.com\", addresses = [\"::/1\", \"8000::/2\", \"c000::/2\"]",
            "has every address",
        ),
        ("host = \"api.example.com\", headers = [\"host\"]", "expected `authorization` or `cookie`"),
        ("host = \"api.example.com\", scheme = \"ftp\"", "expected `https` or `http`"),
        ("host = \"api.example.com\", requests_max = 0", "requests_max = 0"),
        ("host = \"api.example.com\", follow = true", "unknown field `follow`"),
    ] {
        let web = Web::new();
        let path = web.folder.path().join("airlock.toml");
        std::fs::write(
            &path,
            format!("[tools.web]\ncomponent = \"web.wasm\"\ngrants.http = [{{ {grant} }}]\n"),
        )
        .unwrap();
        let text = ConfigFile::read(&path).unwrap_err().to_string();
        assert!(text.contains(pieces), "{grant}: {text}");
    }
}

/// The text of the first block of this language in the page of capabilities, after a heading.
pub(crate) fn example(heading: &str, place: usize) -> String {
    let page = std::fs::read_to_string(root().join("docs/capabilities.md")).unwrap();
    let (_, section) = page.split_once(heading).unwrap();
    section.split("```toml\n").nth(place + 1).unwrap().split("```").next().unwrap().to_owned()
}

#[tokio::test]
async fn the_example_of_the_page_of_capabilities_works() {
    let upstream = Upstream::start().await.unwrap();
    let web = Web::with_names(&[
        ("localhost", &[&["127.0.0.1"]]),
        ("api.example.com", &[&["10.0.0.1"]]),
        ("tickets.example.com", &[&["127.0.0.1"]]),
    ]);
    web.file("");
    let path = web.folder.path().join("airlock.toml");
    let registry = example("## Requests to other hosts: `http`", 0);
    std::fs::write(&path, registry.replace("8080", &upstream.port().to_string())).unwrap();
    let file = ConfigFile::read(&path).unwrap();
    let host = Host::builder().registry(&file).journal(Journal::memory()).resolver(web.names.clone());
    let host = host.open().await.unwrap();
    let local = |path: &str| format!("http://localhost:{}{path}", upstream.port());
    assert_eq!(fetch(&host, "GET", &local("/any")).await.unwrap()["status"], 200);
    for (method, url) in [
        ("POST", local("/any").as_str()),
        // The addresses of these names are not public here.
        ("GET", "https://api.example.com/v1/quotes/today"),
        ("POST", "https://tickets.example.com/v2/tickets"),
        ("GET", "https://api.example.com/v1/other"),
    ] {
        assert_eq!(fetch(&host, method, url).await.unwrap_err(), DENIED, "{method} {url}");
    }
    assert_eq!(upstream.arrived().len(), 1);
    // The contract asks for something that the registry can grant.
    let contract = format!("effects = \"read\"\n{}", example("## Requests to other hosts: `http`", 1));
    let web = Web { contract: Some(contract), ..web };
    let host = web.open("grants.http = [{ host = \"api.example.com\" }]\n").await;
    assert_eq!(host.summary().1.iter().filter(|warning| warning.contains("will be denied")).count(), 0);
}
