//! Requests of tools to other hosts: what a grant lets through, and that nothing else leaves. The upstream counts.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};

use airlock::capability::Resolve;
use airlock::config::ConfigFile;
use airlock::host::{Host, OpenError};
use airlock_contract::package::{Packed, embed};
use airlock_journal::Journal;
use airlock_tests::upstream::Upstream;
use airlock_tests::{program, root};
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::Caller;
use airlock_types::code::Code;
use airlock_types::effect::Effect;
use airlock_types::grant::http::host::canonical;
use airlock_types::record::Record;
use airlock_types::reply::Reply;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::{stderr, stdout};

/// What a guest is told of a request that is not granted.
const DENIED: &str = "ErrorCode::HttpRequestDenied";

/// Names and the addresses that they have at each look-up; the last ones stay.
#[derive(Default)]
struct Names(Mutex<BTreeMap<String, Vec<Vec<IpAddr>>>>);

impl Names {
    fn of(names: &[(&str, &[&[&str]])]) -> Arc<Names> {
        let addresses = |list: &&[&str]| list.iter().map(|address| address.parse().unwrap()).collect();
        let entry =
            |(name, lists): &(&str, &[&[&str]])| ((*name).to_owned(), lists.iter().map(addresses).collect());
        Arc::new(Names(Mutex::new(names.iter().map(entry).collect())))
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let mut names = self.0.lock().unwrap();
        let found = match names.get_mut(host) {
            Some(lists) if lists.len() > 1 => Ok(lists.remove(0)),
            Some(lists) => Ok(lists[0].clone()),
            None => Err(io::Error::other("no such name")),
        };
        Box::pin(std::future::ready(found))
    }
}

/// A folder with the fetcher, and names.
struct Web {
    folder: tempfile::TempDir,
    names: Arc<Names>,
    contract: Option<String>,
}

impl Web {
    fn new() -> Web {
        Web { folder: tempfile::tempdir().unwrap(), names: Arc::default(), contract: None }
    }

    fn with_names(names: &[(&str, &[&[&str]])]) -> Web {
        Web { names: Names::of(names), ..Web::new() }
    }

    fn with_contract(contract: &str) -> Web {
        Web { contract: Some(contract.to_owned()), ..Web::new() }
    }

    fn file(&self, settings: &str) -> ConfigFile {
        let bytes = std::fs::read(root().join("tests/guests/build/fetcher.wasm")).unwrap();
        let packed = self.contract.clone().map(|text| Packed { contract: Some(text), ..Packed::default() });
        let bytes = packed.map_or(bytes.clone(), |packed| embed(&bytes, &packed).unwrap());
        std::fs::write(self.folder.path().join("web.wasm"), bytes).unwrap();
        // What is tried must not be paused by what failed before.
        let entry = "[tools.web]\ncomponent = \"web.wasm\"\nuseful_ms_min = 1\nretry.attempts = 3\n";
        std::fs::write(self.folder.path().join("airlock.toml"), format!("{entry}{settings}")).unwrap();
        ConfigFile::read(&self.folder.path().join("airlock.toml")).unwrap()
    }

    async fn try_open(&self, settings: &str) -> Result<Host, OpenError> {
        let builder = Host::builder().registry(self.file(settings)).journal(Journal::memory());
        builder.resolver(self.names.clone()).open().await
    }

    async fn open(&self, settings: &str) -> Host {
        self.try_open(settings).await.unwrap_or_else(|err| panic!("{settings}: {err:?}"))
    }
}

async fn call(host: &Host, function: &str, args: &Value, expect: Code) -> (Reply, Record) {
    let name = format!("web_{function}");
    let reply = host.call(Call::new(&name, Arguments::Text(args.to_string().into()))).await;
    assert_eq!(reply.code, expect, "{args}: {:?}", reply.error);
    host.journal().flush().unwrap();
    let record = host.journal().find(&reply.record).unwrap().unwrap();
    (reply, record)
}

/// Sends a request without headers and body, and returns the response or the error.
async fn fetch(host: &Host, method: &str, url: &str) -> Result<Value, String> {
    fetch_with(host, method, url, &json!([])).await.0
}

async fn fetch_with(
    host: &Host,
    method: &str,
    url: &str,
    headers: &Value,
) -> (Result<Value, String>, Record) {
    let args = json!({"method": method, "url": url, "headers": headers, "body": ""});
    let name = "web_fetch".to_owned();
    let reply = host.call(Call::new(&name, Arguments::Text(args.to_string().into()))).await;
    host.journal().flush().unwrap();
    let record = host.journal().find(&reply.record).unwrap().unwrap();
    let found = match reply.code {
        Code::Ok => Ok(reply.result.unwrap()),
        Code::ToolError => Err(reply.error.unwrap().detail.unwrap().as_str().unwrap().to_owned()),
        other => panic!("{url}: {other} {:?}", reply.error),
    };
    (found, record)
}

/// The grant of an upstream with these further settings.
fn grant(upstream: &Upstream, more: &str) -> String {
    let port = upstream.port();
    format!(
        "grants.http = [{{ host = \"127.0.0.1\", scheme = \"http\", port = {port}, addresses = [\"127.0.0.1\"]{more} }}]\n"
    )
}

/// The grant of a name, at any address of this machine's loopback network.
fn named(host: &str, upstream: &Upstream, networks: &str) -> String {
    let port = upstream.port();
    format!(
        "grants.http = [{{ host = \"{host}\", scheme = \"http\", port = {port}, addresses = [{networks}] }}]\n"
    )
}

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
        [("GET", inside), ("PUT", upstream.url("/v1/./x/../data?/../..")), ("GET", upstream.url("/v1/data"))]
    {
        assert!(fetch(&host, method, &url).await.is_ok(), "{method} {url}");
    }
    assert_eq!(upstream.arrived().len(), 3);
}

/// Spellings of addresses that are not public.
const SPELLINGS: &str = "
    127.0.0.1 127.1 127.0.1 2130706433 0x7f000001 0x7f.1 0177.0.0.1 017700000001 127.0.0.1.
    %31%32%37.0.0.1 0 0.0.0.0 0x0 00000 127.255.255.254 [::1] [0:0:0:0:0:0:0:1] [::] [::ffff:127.0.0.1]
    [::ffff:7f00:1] [::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::7f00:1] [2002:7f00:1::]
    [2001:0:0:0:0:0:80ff:fffe] [::ffff:0:127.0.0.1] [fe80::1] [fc00::1] [fd00:ec2::254] [ff02::1]
    169.254.169.254 0xa9fea9fe 2852039166 [::ffff:169.254.169.254] 100.100.100.200 10.0.0.1 172.16.0.1
    192.168.0.1 168.63.129.16 224.0.0.1 255.255.255.255 198.18.0.1
";

#[tokio::test]
async fn each_spelling_of_an_address_is_checked() {
    let (v4, v6) = (Upstream::start().await.unwrap(), Upstream::at("[::1]:0").await);
    let spellings: Vec<&str> = SPELLINGS.split_whitespace().collect();
    let ports = [v4.port(), v6.as_ref().map_or(80, Upstream::port)];
    // Granted by name, and still not an address that may be reached.
    let granted = spellings.iter().flat_map(|spelling| {
        let host = canonical(spelling).unwrap();
        ports.map(|port| format!("{{ host = \"{host}\", scheme = \"http\", port = {port} }}"))
    });
    let granted = granted.collect::<Vec<_>>().join(", ");
    let host = Web::new().open(&format!("grants.http = [{granted}]\n")).await;
    for spelling in spellings {
        for port in &ports {
            let error = fetch(&host, "GET", &format!("http://{spelling}:{port}/")).await.unwrap_err();
            assert!(error == DENIED || error == "authority", "{spelling}: {error}");
        }
    }
    assert_eq!((v4.connections(), v6.map_or(0, |v6| v6.connections())), (0, 0));
}

#[tokio::test]
async fn a_name_reaches_nothing_while_one_of_its_addresses_is_not_public() {
    let upstream = Upstream::start().await.unwrap();
    let names: &[(&str, &[&[&str]])] = &[
        ("loop.example", &[&["127.0.0.1"]]),
        ("six.example", &[&["::1"]]),
        ("any.example", &[&["0.0.0.0"]]),
        ("mapped.example", &[&["::ffff:127.0.0.1"]]),
        ("nat.example", &[&["64:ff9b::7f00:1"]]),
        ("sixtofour.example", &[&["2002:7f00:1::1"]]),
        ("teredo.example", &[&["2001:0:7f00:1::1"]]),
        ("meta.example", &[&["169.254.169.254"]]),
        ("ula.example", &[&["fd00:ec2::254"]]),
        ("mixed.example", &[&["8.8.8.8", "127.0.0.1"]]),
        ("mixedback.example", &[&["127.0.0.1", "8.8.8.8"]]),
        ("none.example", &[&[]]),
    ];
    let web = Web::with_names(names);
    for (name, _) in names {
        let host = web.open(&named(name, &upstream, "")).await;
        let (found, record) =
            fetch_with(&host, "GET", &format!("http://{name}:{}/", upstream.port()), &json!([])).await;
        let error = found.unwrap_err();
        if *name == "none.example" {
            assert!(error.contains("DnsError"), "{error}");
        } else {
            assert_eq!(error, DENIED, "{name}");
            assert_eq!(record.attempts[0].denials, ["http"], "{name}");
        }
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn a_name_that_moves_is_checked_again_and_finds_no_kept_connection() {
    let upstream = Upstream::at("0.0.0.0:0").await.unwrap();
    let web = Web::with_names(&[(
        "api.example",
        &[&["127.0.0.1"], &["127.0.0.1"], &["127.0.0.2"], &["127.0.0.1"]],
    )]);
    let host = web.open(&named("api.example", &upstream, "\"127.0.0.1\"")).await;
    let url = format!("http://api.example:{}/", upstream.port());
    let args = json!({"method": "GET", "url": url, "times": 4});
    let (reply, _) = call(&host, "repeat", &args, Code::Ok).await;
    assert_eq!(reply.result, Some(json!(["200", "200", DENIED, "200"])));
    assert_eq!((upstream.connections(), upstream.arrived().len()), (1, 3));
    assert_eq!(upstream.arrived()[0].header("host"), format!("api.example:{}", upstream.port()));
    // To another address that is allowed goes another connection.
    let web = Web::with_names(&[("api.example", &[&["127.0.0.1"], &["127.0.0.2"]])]);
    let host = web.open(&named("api.example", &upstream, "\"127.0.0.0/8\"")).await;
    let args = json!({"method": "GET", "url": url, "times": 3});
    call(&host, "repeat", &args, Code::Ok).await;
    assert_eq!(upstream.connections(), 3);
}

#[tokio::test]
async fn the_next_address_is_tried_where_one_refuses_to_connect() {
    let upstream = Upstream::start().await.unwrap();
    let web = Web::with_names(&[("api.example", &[&["127.0.0.9", "127.0.0.1"]])]);
    let host = web.open(&named("api.example", &upstream, "\"127.0.0.0/8\"")).await;
    let found = fetch(&host, "GET", &format!("http://api.example:{}/", upstream.port())).await;
    assert_eq!(found.unwrap()["status"], 200);
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
    let (reply, record) = call(&host, "upload", &args(101_000), Code::ToolError).await;
    let error = reply.error.unwrap();
    assert!(error.message.contains("HttpRequestBodySize"), "{}", error.message);
    assert_eq!(record.attempts[0].denials, ["http"]);
    assert!(record.attempts[0].usage.up_bytes <= 100_000);
    assert!(upstream.arrived().iter().skip(1).all(|arrived| arrived.body == 0), "it never arrived whole");
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
async fn a_request_that_reads_is_repeated_within_the_bounds_of_the_call() {
    let upstream = Upstream::start().await.unwrap();
    let host = Web::new().open(&grant(&upstream, "")).await;
    let args = json!({"method": "GET", "url": upstream.url("/")});
    let (_, record) = call(&host, "fetch_then_abort", &args, Code::Trap).await;
    assert_eq!((record.attempts.len(), upstream.arrived().len()), (3, 3));
    let host = Web::new().open(&grant(&upstream, ", requests_max = 2")).await;
    let (_, record) = call(&host, "fetch_then_abort", &args, Code::Trap).await;
    assert_eq!((record.attempts.len(), upstream.arrived().len()), (3, 5));
}

#[tokio::test]
async fn a_request_that_writes_is_sent_once() {
    let upstream = Upstream::start().await.unwrap();
    let host = Web::new().open(&grant(&upstream, ", methods = [\"GET\", \"POST\", \"PATCH\"]")).await;
    for (sent, method) in ["POST", "PATCH"].into_iter().enumerate() {
        let args = json!({"method": method, "url": upstream.url("/")});
        let (_, record) = call(&host, "fetch_then_abort", &args, Code::Trap).await;
        assert_eq!((record.attempts.len(), upstream.arrived().len()), (1, sent + 1), "{method}");
        assert_eq!(upstream.arrived()[sent].header("idempotency-key"), "");
    }
    // Reading by the same tool leaves no mark.
    let args = json!({"method": "GET", "url": upstream.url("/")});
    let (_, record) = call(&host, "fetch_then_abort", &args, Code::Trap).await;
    assert_eq!(record.attempts.len(), 3);
}

#[tokio::test]
async fn a_write_that_never_left_may_be_tried_again() {
    let upstream = Upstream::start().await.unwrap();
    let gone = grant(&upstream, ", methods = [\"POST\"]");
    let args = json!({"method": "POST", "url": upstream.url("/")});
    drop(upstream);
    let host = Web::new().open(&gone).await;
    let (_, record) = call(&host, "fetch_then_abort", &args, Code::Trap).await;
    assert_eq!(record.attempts.len(), 3, "a refused connection changed nothing");
}

#[tokio::test]
async fn an_idempotent_tool_sends_the_same_key_with_each_attempt_of_a_call() {
    let upstream = Upstream::start().await.unwrap();
    let settings =
        format!("effects = \"idempotent\"\n{}", grant(&upstream, ", methods = [\"GET\", \"PUT\"]"));
    let host = Web::new().open(&settings).await;
    let args = json!({"method": "PUT", "url": upstream.url("/")});
    let (_, record) = call(&host, "fetch_then_abort", &args, Code::Trap).await;
    call(&host, "fetch_then_abort", &args, Code::Trap).await;
    let keys: Vec<String> =
        upstream.arrived().iter().map(|arrived| arrived.header("idempotency-key").to_owned()).collect();
    assert_eq!((record.attempts.len(), keys.len()), (3, 6), "{keys:?}");
    assert!(keys[0].len() > 30 && keys[..3].iter().all(|key| *key == keys[0]), "{keys:?}");
    assert!(keys[3] != keys[0] && keys[3..].iter().all(|key| *key == keys[3]), "{keys:?}");
    // Two effects of one attempt have two keys, and reading has none.
    let args = json!({"method": "PUT", "url": upstream.url("/"), "times": 2});
    call(&host, "repeat", &args, Code::Ok).await;
    let arrived = upstream.arrived();
    assert_ne!(arrived[6].header("idempotency-key"), arrived[7].header("idempotency-key"));
    fetch(&host, "GET", &upstream.url("/")).await.unwrap();
    assert_eq!(upstream.arrived()[8].header("idempotency-key"), "");
    // A key of the tool's own stays, and proves nothing to the host.
    let own = json!([["idempotency-key", "own"]]);
    fetch_with(&host, "PUT", &upstream.url("/"), &own).await.0.unwrap();
    assert_eq!(upstream.arrived()[9].header("idempotency-key"), "own");
}

#[tokio::test]
async fn the_methods_of_a_grant_say_which_effects_a_tool_has() {
    let upstream = Upstream::start().await.unwrap();
    let reads = grant(&upstream, ", methods = [\"GET\", \"HEAD\", \"OPTIONS\"]");
    let writes = grant(&upstream, ", methods = [\"GET\", \"POST\"]");
    for (settings, effect, is_open_world) in
        [("", Effect::Pure, false), (&reads, Effect::Read, true), (&writes, Effect::Write, true)]
    {
        let host = Web::new().open(settings).await;
        let tools = host.visible(&Caller::local());
        let tool = tools.resolve("web_fetch").unwrap();
        assert_eq!((tool.effect, tool.is_open_world), (effect, is_open_world), "{settings}");
    }
    // An operator who says that the tool only reads is taken at that word.
    let host = Web::new().open(&format!("effects = \"read\"\n{writes}")).await;
    assert_eq!(fetch(&host, "POST", &upstream.url("/")).await.unwrap_err(), DENIED);
    assert_eq!(upstream.connections(), 0);
    assert!(fetch(&host, "GET", &upstream.url("/")).await.is_ok());
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
async fn a_deadline_says_which_host_it_waited_for() {
    let upstream = Upstream::start().await.unwrap();
    let host = Web::new().open(&format!("limits.deadline_ms = 300\n{}", grant(&upstream, ""))).await;
    for path in ["/slow", "/pause"] {
        let args = json!({"url": upstream.url(path)});
        let (reply, _) = call(&host, "download", &args, Code::LimitDeadline).await;
        let message = reply.error.unwrap().message;
        assert!(message.contains("it was waiting for `127.0.0.1`"), "{path}: {message}");
    }
}

#[tokio::test]
async fn the_times_that_a_guest_sets_are_kept() {
    let upstream = Upstream::start().await.unwrap();
    let host = Web::new().open(&grant(&upstream, "")).await;
    let args = |path: &str, connect: u64, head: u64, part: u64| json!({"url": upstream.url(path), "connect_ms": connect, "head_ms": head, "part_ms": part});
    for (args, error) in [
        (args("/slow", 5_000, 50, 5_000), "HttpResponseTimeout"),
        (args("/slow", 5_000, 0, 5_000), "HttpResponseTimeout"),
        (args("/pause", 5_000, 5_000, 50), "timeout"),
    ] {
        let (reply, _) = call(&host, "hurry", &args, Code::ToolError).await;
        let message = reply.error.unwrap().message;
        assert!(message.contains(error), "{args}: {message}");
    }
    call(&host, "hurry", &args("/", 5_000, 5_000, 5_000), Code::Ok).await;
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
fn example(heading: &str, place: usize) -> String {
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

/// Calls the fetcher by the program, which trusts this root alone.
fn trusting(web: &Web, settings: &str, trusted: &str, url: &str) -> String {
    web.file(settings);
    let roots = web.folder.path().join("roots.pem");
    std::fs::write(&roots, trusted).unwrap();
    let args = json!({"method": "GET", "url": url, "headers": [], "body": ""}).to_string();
    let mut command = Command::new(program());
    command.arg("--registry").arg(web.folder.path().join("airlock.toml")).args(["call", "web_fetch", &args]);
    let output = command.env("SSL_CERT_FILE", roots).env_remove("SSL_CERT_DIR").output().unwrap();
    stdout(&output) + &stderr(&output)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_the_certificate_is_checked_for_the_name() {
    let (upstream, root) = Upstream::tls(&["localhost"]).await.unwrap();
    let (other, other_root) = Upstream::tls(&["other.example"]).await.unwrap();
    let settings = |upstream: &Upstream| {
        format!(
            "grants.http = [{{ host = \"localhost\", port = {}, addresses = [\"127.0.0.1\", \"::1\"] }}]\n",
            upstream.port()
        )
    };
    let url = |upstream: &Upstream| format!("https://localhost:{}/secret", upstream.port());
    let web = Web::new();
    let good = trusting(&web, &settings(&upstream), &root, &url(&upstream));
    assert!(good.contains("GET /secret"), "{good}");
    assert_eq!(upstream.arrived()[0].header("host"), format!("localhost:{}", upstream.port()));
    for (upstream, trusted) in [(&upstream, &other_root), (&other, &other_root)] {
        let bad = trusting(&web, &settings(upstream), trusted, &url(upstream));
        assert!(bad.contains("TlsCertificateError"), "{bad}");
    }
    assert_eq!((upstream.arrived().len(), other.arrived().len()), (1, 0));
    // A machine without roots says so when the tool is loaded.
    let none = trusting(&web, &settings(&upstream), "", &url(&upstream));
    assert!(none.contains("no trusted certificates") && none.contains("SSL_CERT_FILE"), "{none}");
}
