//! The responses of a host that gets a secret under one grant are searched whatever they answer.

use std::path::Path;

use airlock_tests::schema_faults;
use airlock_tests::upstream::Upstream;
use airlock_types::call::{Arguments, Call};
use airlock_types::code::Code;
use serde_json::{Value, json};

use crate::secrets::{BEARER, K, Raw, VALUE, keep};
use crate::web::{DENIED, Web, call, fetch_with, grant};

fn web() -> Web {
    let web = Web::new();
    keep(web.folder.path(), "k", &format!("{VALUE}\n"));
    web
}

fn echoing() -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\nlast key: {VALUE}", VALUE.len() + 10)
}

/// The entries of grants for a server, in one line.
fn grants(server: &Raw, all: &[&str]) -> String {
    let entry = |more: &&str| {
        let line = server.grant(more);
        line.trim().trim_start_matches("grants.http = [").trim_end_matches(']').to_owned()
    };
    format!("grants.http = [{}]\n", all.iter().map(entry).collect::<Vec<_>>().join(", "))
}

fn assert_ended(reply: &Value, what: &str) {
    assert_eq!(reply["findings"][0]["kind"], "secret.echo", "{what}: {reply}");
    assert!(!reply.to_string().contains("canary"), "{what}: {reply}");
}

#[tokio::test]
async fn a_request_without_the_secret_gets_nothing_of_it_from_the_same_host() {
    let (web, server) = (web(), Raw::answering(&[&echoing()]).await);
    let with = format!(", path = \"/private\"{BEARER}");
    let host = web.open(&format!("{}{K}", grants(&server, &[&with, ", path = \"/status\""]))).await;
    for path in ["/private", "/status"] {
        let args = json!({"url": server.url(path)});
        let (reply, record) = call(&host, "drip", &args, Code::PolicyDenied).await;
        assert!(schema_faults(&reply).is_empty(), "{:?}", schema_faults(&reply));
        assert_ended(&serde_json::to_value(&reply).unwrap(), path);
        assert!(!record.attempts[0].log.contains("last key"), "{path}: {}", record.attempts[0].log);
    }
    assert!(!server.arrived()[1].contains("authorization"), "{:?}", server.arrived());
    assert!(server.arrived().iter().all(|one| one.contains("accept-encoding: identity")));
}

#[tokio::test]
async fn a_tool_without_the_secret_gets_nothing_of_it_from_a_host_that_another_tool_sends_it_to() {
    let (web, server) = (web(), Raw::answering(&[&echoing()]).await);
    let settings = |secret: &str| {
        let other =
            format!("[tools.other]\ncomponent = \"web.wasm\"\nuseful_ms_min = 1\n{}", server.grant(secret));
        format!("{}{other}{K}", server.grant(""))
    };
    let host = web.open(&settings(BEARER)).await;
    let args = json!({"url": server.url("/")});
    let (reply, _) = call(&host, "drip", &args, Code::PolicyDenied).await;
    assert_ended(&serde_json::to_value(&reply).unwrap(), "other tool");
    // Where nobody sends it a secret, what a host says passes.
    let host = web.open(&settings("")).await;
    let (reply, _) = call(&host, "drip", &args, Code::Ok).await;
    assert_eq!(serde_json::to_value(&reply).unwrap()["result"], format!("last key: {VALUE}"));
}

#[tokio::test]
async fn a_tool_that_stays_under_a_newer_file_searches_for_what_another_one_sends_since() {
    let (web, server) = (web(), Raw::answering(&[&echoing()]).await);
    let settings = |secret: &str| {
        let other =
            format!("[tools.other]\ncomponent = \"web.wasm\"\nuseful_ms_min = 1\n{}", server.grant(secret));
        format!("{}{other}{K}", server.grant(""))
    };
    let host = web.open(&settings("")).await;
    let broken = |settings: &str| {
        let file = web.folder.path().join("airlock.toml");
        web.file(settings);
        std::fs::copy(web.folder.path().join("web.wasm"), web.folder.path().join("other.wasm")).unwrap();
        std::fs::write(web.folder.path().join("web.wasm"), "no component").unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.replacen(
            "[tools.other]\ncomponent = \"web.wasm\"",
            "[tools.other]\ncomponent = \"other.wasm\"",
            1,
        );
        std::fs::write(&file, text).unwrap();
        airlock::config::ConfigFile::read(&file).unwrap()
    };
    let code = async || {
        let call = Call::new("web_drip", Arguments::Text(json!({"url": server.url("/")}).to_string().into()));
        host.call(call).await.code
    };
    // The file is as before, and its component is not in order: the older one answers.
    let _ = host.reload(&broken(&settings(""))).await;
    assert_eq!(code().await, Code::Ok);
    let _ = host.reload(&broken(&settings(BEARER))).await;
    assert_eq!(code().await, Code::PolicyDenied);
}

#[tokio::test]
async fn what_was_sent_before_a_reload_is_found_after_it() {
    for (value, stays) in [("another-value", false), ("short", true)] {
        let (web, server) = (web(), Raw::answering(&[&echoing()]).await);
        let other =
            format!("[tools.other]\ncomponent = \"web.wasm\"\nuseful_ms_min = 1\n{}", server.grant(""));
        let settings = format!("{}{other}{K}", server.grant(BEARER));
        let host = web.open(&settings).await;
        let code = async |tool: &str| {
            let args = json!({"url": server.url("/")}).to_string();
            host.call(Call::new(tool, Arguments::Text(args.into()))).await.code
        };
        assert_eq!(code("web_drip").await, Code::PolicyDenied);
        // A new value, or one that cannot be used, so that the tool stays with the old one.
        keep(web.folder.path(), "k", value);
        let _ = host.reload(&web.file(&settings)).await;
        assert_eq!(code("other_drip").await, Code::PolicyDenied, "{value}");
        assert_eq!(code("web_drip").await, Code::PolicyDenied, "{value}");
        assert_eq!(server.arrived().last().unwrap().contains(VALUE), stays, "{value}");
    }
}

#[tokio::test]
async fn where_grants_overlap_none_sends_its_secret_in_the_place_of_another_one() {
    let (web, server) = (web(), Raw::answering(&["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"]).await);
    keep(web.folder.path(), "l", "other-canary-4711");
    let secrets = format!("{K}[secrets.L]\nfile = \"l\"\n");
    let first = format!(", path = \"/v1\", requests_max = 1{BEARER}");
    for second in [BEARER.replace("\"K\"", "\"L\""), String::new()] {
        let host = web.open(&format!("{}{secrets}", grants(&server, &[&first, &second]))).await;
        let args = json!({"method": "GET", "url": server.url("/v1"), "times": 2});
        let (reply, record) = call(&host, "repeat", &args, Code::Ok).await;
        assert_eq!(reply.result, Some(json!(["200", DENIED])));
        assert!(
            record.attempts[0].denied[0].kind.starts_with("more http"),
            "{:?}",
            record.attempts[0].denied
        );
    }
    // Another grant of the same secret may take over.
    let host = web.open(&format!("{}{secrets}", grants(&server, &[&first, BEARER]))).await;
    let args = json!({"method": "GET", "url": server.url("/v1"), "times": 2});
    let (reply, _) = call(&host, "repeat", &args, Code::Ok).await;
    assert_eq!(reply.result, Some(json!(["200", "200"])));
}

#[tokio::test]
async fn a_tool_cannot_cut_the_echo_of_a_secret_in_two() {
    let (web, upstream) = (web(), Upstream::start().await.unwrap());
    let headers = json!([
        ["range", "bytes=0-20"],
        ["Range", "bytes=21-"],
        ["if_range", "x"],
        ["if-range", "\"e\""],
        ["accept-charset", "utf-16"],
        ["x-ms-range", "bytes=0-20"],
        ["A-IM", "range"]
    ]);
    let sent = async |settings: &str| {
        let host = web.open(settings).await;
        fetch_with(&host, "GET", &upstream.url("/a"), &headers).await.0.unwrap();
        upstream.arrived().pop().unwrap()
    };
    let with = sent(&format!("{}{K}", grant(&upstream, BEARER))).await;
    assert!(
        ["range", "if-range", "if_range", "x-ms-range", "a-im", "accept-charset"]
            .iter()
            .all(|name| !with.headers.contains_key(*name)),
        "{:?}",
        with.headers
    );
    let without = sent(&grant(&upstream, "")).await;
    assert!(without.headers.contains_key("range") && without.headers.contains_key("if-range"));
}

#[tokio::test]
async fn a_value_with_capitals_is_found_in_the_name_of_a_header() {
    let (web, value) = (Web::new(), "Canary-7F3A-0c9E51D2");
    keep(Path::new(web.folder.path()), "k", value);
    for response in [
        format!("HTTP/1.1 200 OK\r\nX-{value}: 1\r\ncontent-length: 2\r\n\r\nok"),
        format!(
            "HTTP/1.1 200 OK\r\ntrailer: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-{value}: 1\r\n\r\n"
        ),
    ] {
        let server = Raw::answering(&[&response]).await;
        let host = web.open(&format!("{}{K}", server.grant(BEARER))).await;
        let (reply, _) = call(&host, "drip", &json!({"url": server.url("/")}), Code::PolicyDenied).await;
        let reply = serde_json::to_value(&reply).unwrap();
        assert_ended(&reply, &response);
        assert!(!reply.to_string().contains("7f3a"), "{reply}");
    }
}
