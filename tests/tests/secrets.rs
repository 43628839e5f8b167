//! Secrets that the host adds to requests: where they go, where they do not, and what comes back.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use airlock_tests::schema_faults;
use airlock_tests::upstream::Upstream;
use airlock_types::code::Code;
use airlock_types::record::Record;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::web::{DENIED, Web, call, fetch, fetch_with, grant, named};

pub(crate) const VALUE: &str = "canary/7f3a+0c9e51d2";

/// The declaration of the secret `K`.
pub(crate) const K: &str = "[secrets.K]\nfile = \"k\"\n";

/// The secret `K` as a bearer token.
pub(crate) const BEARER: &str =
    ", secret = { name = \"K\", header = \"authorization\", format = \"Bearer {}\" }";

/// Writes the value of a secret beside the registry.
pub(crate) fn keep(folder: &Path, name: &str, value: &str) {
    let path = folder.join(name);
    std::fs::write(&path, value).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn web() -> Web {
    let web = Web::new();
    keep(web.folder.path(), "k", &format!("{VALUE}\n"));
    web
}

#[tokio::test]
async fn a_header_carries_the_secret_and_the_guest_gets_the_answer() {
    let (web, upstream) = (web(), Upstream::start().await.unwrap());
    let host = web.open(&format!("{}{K}", grant(&upstream, BEARER))).await;
    let headers = json!([["accept-encoding", "gzip"], ["x-own", "1"]]);
    let (found, record) = fetch_with(&host, "GET", &upstream.url("/a?b=c"), &headers).await;
    assert_eq!(found.unwrap()["body"], "GET /a?b=c");
    let arrived = &upstream.arrived()[0];
    assert_eq!(arrived.header("authorization"), format!("Bearer {VALUE}"));
    assert_eq!((arrived.header("accept-encoding"), arrived.header("x-own")), ("identity", "1"));
    assert!(!format!("{record:?}").contains("canary"), "{record:?}");
}

#[tokio::test]
async fn what_the_guest_sets_in_its_place_is_dropped() {
    let upstream = Upstream::start().await.unwrap();
    let secret = ", secret = { name = \"K\", header = \"X-Key\" }";
    let host = web().open(&format!("{}{K}", grant(&upstream, secret))).await;
    // Servers that hand headers on as variables read these as one name.
    let headers = json!([["x-key", "own"], ["X-KEY", "other"], ["x_key", "third"], ["X.Key", "fourth"]]);
    fetch_with(&host, "GET", &upstream.url("/"), &headers).await.0.unwrap();
    let arrived = &upstream.arrived()[0].headers;
    let values: Vec<_> = arrived.get_all("x-key").iter().cloned().collect();
    assert_eq!(values, [VALUE]);
    assert!(!arrived.contains_key("x_key") && !arrived.contains_key("x.key"), "{arrived:?}");
    // A header that only a grant lets the guest set.
    let both = format!("{BEARER}, headers = [\"authorization\"]");
    let host = web().open(&format!("{}{K}", grant(&upstream, &both))).await;
    let headers = json!([["authorization", "Bearer own"]]);
    fetch_with(&host, "GET", &upstream.url("/"), &headers).await.0.unwrap();
    assert_eq!(upstream.arrived()[1].header("authorization"), format!("Bearer {VALUE}"));
    let host = web().open(&format!("{}{K}", grant(&upstream, BEARER))).await;
    let refused = fetch_with(&host, "GET", &upstream.url("/"), &headers).await.0.unwrap_err();
    assert_eq!(refused, "headers: HeaderError::Forbidden");
}

#[tokio::test]
async fn a_query_parameter_carries_the_secret_once() {
    let (web, server) = (web(), Raw::answering(&["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"]).await);
    let host =
        web.open(&format!("{}{K}", server.grant(", secret = { name = \"K\", query = \"key\" }"))).await;
    let pair = "key=canary%2F7f3a%2B0c9e51d2";
    for (path, expect) in [
        ("/", format!("/?{pair}")),
        ("/a?b=c", format!("/a?b=c&{pair}")),
        ("/a?key=own&b=c&k%65y=own", format!("/a?b=c&{pair}")),
    ] {
        assert_eq!(fetch(&host, "GET", &server.url(path)).await.unwrap()["body"], "ok");
        let line = server.arrived().pop().unwrap();
        assert!(line.starts_with(&format!("GET {expect} HTTP/1.1\r\n")), "{path}: {line}");
    }
}

#[tokio::test]
async fn only_requests_of_its_grant_carry_it() {
    let (upstream, other) = (Upstream::start().await.unwrap(), Upstream::start().await.unwrap());
    let entry = |upstream: &Upstream, more: &str| {
        grant(upstream, more).trim().trim_start_matches("grants.http = [").trim_end_matches(']').to_owned()
    };
    let grants = [
        entry(&upstream, &format!(", path = \"/redirect\"{BEARER}")),
        entry(&upstream, ", methods = [\"GET\", \"POST\"]"),
        entry(&other, ""),
    ];
    let host = web().open(&format!("grants.http = [{}]\n{K}", grants.join(", "))).await;
    for (method, url) in [
        ("GET", upstream.url("/v2")),
        ("GET", upstream.url("/redirect/../v2")),
        ("POST", upstream.url("/redirect")),
        ("GET", other.url("/redirect")),
    ] {
        assert!(fetch(&host, method, &url).await.is_ok(), "{method} {url}");
    }
    // A redirect to another origin is the guest's to follow, and its request is one without the secret.
    let path = format!("/redirect?{}", other.url("/next"));
    assert_eq!(fetch(&host, "GET", &upstream.url(&path)).await.unwrap()["status"], 302);
    fetch(&host, "GET", &other.url("/next")).await.unwrap();
    let arrived = upstream.arrived();
    let with: Vec<&str> =
        arrived.iter().filter(|one| !one.header("authorization").is_empty()).map(|one| &*one.path).collect();
    assert_eq!(with, [path]);
    assert_eq!(other.arrived().len(), 2);
    assert!(other.arrived().iter().all(|one| one.header("authorization").is_empty()));
    // Connections of requests with and without it are not shared.
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn in_clear_text_it_stays_on_this_machine() {
    let upstream = Upstream::at("0.0.0.0:0").await.unwrap();
    // An address that is granted, and not of this machine: of a test network, and no connection is tried.
    let names: &[(&str, &[&[&str]])] = &[
        ("here.example", &[&["127.0.0.1"]]),
        ("there.example", &[&["192.0.2.1"]]),
        ("both.example", &[&["127.0.0.1", "192.0.2.1"]]),
    ];
    for (name, sent) in [("here.example", true), ("there.example", false), ("both.example", false)] {
        let web = Web::with_names(names);
        keep(web.folder.path(), "k", VALUE);
        let plain = named(name, &upstream, "\"127.0.0.0/8\", \"192.0.2.0/24\"");
        let host = web.open(&format!("{}{K}", plain.replace(" }]", &format!("{BEARER} }}]")))).await;
        let found = fetch(&host, "GET", &format!("http://{name}:{}/", upstream.port())).await;
        if sent {
            assert_eq!(found.unwrap()["status"], 200, "{name}");
        } else {
            assert_eq!(found.unwrap_err(), DENIED, "{name}");
        }
    }
    assert_eq!(upstream.connections(), 1);
}

/// A server that answers each request with the same bytes, and keeps what arrives.
pub(crate) struct Raw {
    address: std::net::SocketAddr,
    arrived: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Raw {
    pub(crate) async fn answering(parts: &[&str]) -> Raw {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, arrived) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let (parts, keep): (Vec<String>, _) =
            (parts.iter().map(|&part| part.to_owned()).collect(), arrived.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, parts.clone(), keep.clone()));
            }
        });
        Raw { address, arrived, task }
    }

    pub(crate) fn arrived(&self) -> Vec<String> {
        self.arrived.lock().unwrap().clone()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn grant(&self, more: &str) -> String {
        let port = self.address.port();
        format!(
            "grants.http = [{{ host = \"127.0.0.1\", scheme = \"http\", port = {port}, addresses = [\"127.0.0.1\"]{more} }}]\n"
        )
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, parts: Vec<String>, arrived: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        request.push(byte);
        if request.ends_with(b"\r\n\r\n") {
            arrived.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
            request.clear();
            for part in &parts {
                let written = stream.write_all(part.as_bytes()).await;
                if written.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
        }
    }
}

/// A response in chunks, each of which the host gets as a part of its own.
fn chunked(head: &str, chunks: &[&str], trailers: &str) -> String {
    let chunks: String = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
    format!("HTTP/1.1 200 OK\r\n{head}transfer-encoding: chunked\r\n\r\n{chunks}0\r\n{trailers}\r\n")
}

/// Lets the guest print a response to a request with the secret.
async fn dripped(web: &Web, response: &str, expect: Code) -> (Value, Record) {
    let server = Raw::answering(&[response]).await;
    let host = web.open(&format!("{}{K}", server.grant(BEARER))).await;
    let (reply, record) = call(&host, "drip", &json!({"url": server.url("/")}), expect).await;
    assert!(schema_faults(&reply).is_empty(), "{:?}", schema_faults(&reply));
    (serde_json::to_value(&reply).unwrap(), record)
}

#[tokio::test]
async fn a_response_with_the_value_ends_the_attempt_and_none_of_it_reaches_the_guest() {
    // One folder, so that the component is compiled once.
    let web = web();
    let hex: String = VALUE.bytes().map(|byte| format!("{byte:02x}")).collect();
    let colons =
        hex.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair)).collect::<Vec<_>>().join(":");
    let percent: String = VALUE.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let escaped = VALUE.replace('/', "%2f").replace('+', "%2B");
    for echo in [
        VALUE.to_owned(),
        STANDARD.encode(VALUE),
        URL_SAFE.encode(VALUE),
        hex.to_uppercase(),
        hex,
        percent,
        escaped,
        VALUE.replace('/', "%25252F"),
        VALUE.replace('+', "\\u002B"),
        VALUE.replace('/', "&#47;").replace('+', "&plus;"),
        colons,
        VALUE.replace('/', "\\/"),
    ] {
        let (first, second) = echo.split_at(echo.len() / 2);
        for response in [
            chunked("", &["before ", &echo, " after"], ""),
            chunked("", &["before ", first, second, " after"], ""),
            chunked("", &[&format!("before {first}"), &format!("{second} after")], ""),
            chunked(&format!("x-echo: is {echo}!\r\n"), &["before"], ""),
            chunked("trailer: x-echo\r\n", &["before "], &format!("x-echo: {echo}\r\n")),
        ] {
            let (reply, record) = dripped(&web, &response, Code::PolicyDenied).await;
            let attempt = &record.attempts[0];
            assert_eq!(record.attempts.len(), 1, "not repeated");
            let findings: Vec<_> = attempt.findings.iter().map(|found| &*found.kind).collect();
            assert_eq!(findings, ["secret.echo"], "{response}");
            assert!(attempt.findings[0].expected.contains("`K`"));
            assert!(reply["error"]["message"].as_str().unwrap().contains("had a secret in it"), "{reply}");
            let log = &attempt.log;
            // What came just before it waited with it.
            assert!(!log.contains("part: "), "{response} {log}");
            for text in [log.clone(), format!("{record:?}"), reply.to_string()] {
                assert!(!text.contains(first) && !text.contains(second), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn a_response_without_it_passes_whole_in_each_part() {
    let (most, rest) = VALUE.split_at(VALUE.len() - 1);
    let response = chunked(
        &format!("x-near: {most}\r\n"),
        &["a%", "2", "canary", "/7f", &format!("{most}-{rest}"), most],
        "x-end: 1\r\n",
    );
    let (reply, record) = dripped(&web(), &response, Code::Ok).await;
    assert_eq!(reply["result"], format!("a%2canary/7f{most}-{rest}{most}"));
    let log = &record.attempts[0].log;
    assert!(log.contains(&format!("x-near: {most}")) && log.contains("x-end"), "{log}");
}

#[tokio::test]
async fn a_response_in_a_coding_in_which_nothing_is_found_is_an_error() {
    let (web, body) = (web(), "content-length: 4\r\n\r\nzzzz");
    for head in
        ["content-encoding: gzip", "content-encoding: identity, br", "transfer-encoding: gzip, chunked"]
    {
        let length = if head.starts_with("transfer") { "\r\n4\r\nzzzz\r\n0\r\n\r\n" } else { body };
        let (_, record) = dripped(&web, &format!("HTTP/1.1 200 OK\r\n{head}\r\n{length}"), Code::Ok).await;
        let attempt = &record.attempts[0];
        assert!(
            attempt.log.contains("HttpResponseContentCoding") && !attempt.log.contains("zzzz"),
            "{}",
            attempt.log
        );
        assert_eq!(attempt.denials, ["http"], "{head}");
    }
    for head in ["content-encoding: identity", "content-encoding:"] {
        let (reply, _) = dripped(&web, &format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}"), Code::Ok).await;
        assert_eq!(reply["result"], "zzzz", "{head}");
    }
    // One without a body hides nothing.
    let empty = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(dripped(&web, empty, Code::Ok).await.0["result"], "");
}

#[tokio::test]
async fn a_response_that_breaks_off_within_it_gives_nothing_of_it() {
    let broken = chunked("", &["before canary/7f3a"], "").replace("0\r\n\r\n", "zz");
    let (_, record) = dripped(&web(), &broken, Code::Ok).await;
    let log = &record.attempts[0].log;
    assert!(log.contains("error: ") && !log.contains("canary"), "{log}");
}

#[tokio::test]
async fn a_service_that_encodes_its_url_gives_nothing_of_a_query_secret() {
    let web = web();
    // As the host wrote it, and as services write it again.
    for pair in ["canary%2F7f3a%2B0c9e51d2", "canary%2f7f3a%2b0c9e51d2", "canary/7f3a%2B0c9e51d2"] {
        for before in ["/", "/a", "/ab"] {
            let url = format!("{before}?q=1&key={pair}");
            let hex: String = url.bytes().map(|byte| format!("{byte:02x}")).collect();
            for echo in [STANDARD.encode(&url), URL_SAFE.encode(&url), hex.to_uppercase(), hex] {
                let response = chunked("", &["before ", &echo], "");
                let server = Raw::answering(&[&response]).await;
                let secret = ", secret = { name = \"K\", query = \"key\" }";
                let host = web.open(&format!("{}{K}", server.grant(secret))).await;
                let args = json!({"url": server.url("/a?q=1")});
                let (reply, record) = call(&host, "drip", &args, Code::PolicyDenied).await;
                let reply = serde_json::to_value(&reply).unwrap();
                assert_eq!(reply["findings"][0]["kind"], "secret.echo", "{echo}: {reply}");
                assert!(!record.attempts[0].log.contains(&echo[..8]), "{echo}: {}", record.attempts[0].log);
            }
        }
    }
}

#[tokio::test]
async fn the_borders_of_a_response_do_not_tell_whether_a_guess_begins_the_value() {
    let web = web();
    let sealed = STANDARD.encode(VALUE);
    for guess in [&VALUE[..4], &VALUE[..9], &VALUE[..VALUE.len() - 1], "canary%2F7f", &sealed[..11]] {
        let wrong = "q".repeat(guess.len());
        let body = |guess: &str| format!("not found: /e/{guess}");
        let whole = |guess: &str| {
            format!("HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\n\r\n{}", body(guess).len(), body(guess))
        };
        let parts = |guess: &str| chunked("", &[&body(guess), "\n\n", &body(guess), guess], "x-end: 1\r\n");
        let broken = |guess: &str| parts(guess).replace("0\r\nx-end", "zz");
        let long = |guess: &str| chunked("", &[&"x".repeat(3000), &body(guess)], "");
        let shapes: [&dyn Fn(&str) -> String; 4] = [&whole, &parts, &broken, &long];
        for shape in shapes {
            let mut seen = Vec::new();
            for sent in [guess, &wrong] {
                let (_, record) = dripped(&web, &shape(sent), Code::Ok).await;
                seen.push(record.attempts[0].log.replace(sent, "GUESS"));
            }
            assert_eq!(seen[0], seen[1], "{guess}");
        }
    }
}

#[tokio::test]
async fn the_memory_of_the_guest_never_holds_it() {
    let (web, upstream) = (web(), Upstream::start().await.unwrap());
    let host = web.open(&format!("{}{K}", grant(&upstream, BEARER))).await;
    let texts = [VALUE, "canary/", &STANDARD.encode(VALUE), "0c9e51d2", "seen-by-the-guest"];
    let backwards: Vec<String> = texts.iter().map(|text| text.chars().rev().collect()).collect();
    // The upstream greets with the path, which shows that the guest would find what it holds.
    let path: String = ["/seen-", "by-the-guest"].concat();
    let args = json!({"url": upstream.url(&path), "backwards": backwards});
    let (reply, _) = call(&host, "hunt", &args, Code::Ok).await;
    let found = reply.result.unwrap();
    let counts: Vec<u64> = found.as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect();
    assert_eq!(&counts[..4], [0; 4], "{counts:?}");
    assert!(counts[4] > 0, "{counts:?}");
    assert_eq!(upstream.arrived()[0].header("authorization"), format!("Bearer {VALUE}"));
}

#[tokio::test]
async fn bytes_of_the_secret_are_not_in_the_usage() {
    let upstream = Upstream::start().await.unwrap();
    let mut sent = Vec::new();
    for settings in [grant(&upstream, ""), format!("{}{K}", grant(&upstream, BEARER))] {
        let host = web().open(&settings).await;
        let (_, record) = fetch_with(&host, "GET", &upstream.url("/"), &json!([])).await;
        sent.push(record.attempts[0].usage.up_bytes);
    }
    assert_eq!(sent[0], sent[1]);
}
