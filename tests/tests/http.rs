//! HTTP: both eras of MCP and the API on one port, bounds on requests, and shutdown.

use std::path::{Path, PathBuf};
use std::time::Duration;

use airlock_tests::server::{Server, answer};
use airlock_tests::{registry, root};
use reqwest::{Method, StatusCode};
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::mcp::await_codes;

/// Writes a registry to a folder, with these settings and tools, given as name and component.
pub(crate) fn registry_in(folder: &Path, settings: &str, tools: &[(&str, &str)]) -> PathBuf {
    let mut text = settings.to_owned();
    for (name, component) in tools {
        let component = root().join(component);
        text.push_str(&format!("[tools.{name}]\ncomponent = \"{}\"\n", component.display()));
        if component.ends_with("hostile.wasm") {
            text.push_str("limits.deadline_ms = 20_000\nlimits.fuel = 1_000_000_000_000_000\n");
            text.push_str("grants.clock = true\n");
        }
    }
    let path = folder.join("airlock.toml");
    std::fs::write(&path, text).unwrap();
    path
}

pub(crate) const CONVERT: (&str, &str) = ("unit_convert", "example-tools/build/unit-convert.wasm");
pub(crate) const DIGEST: (&str, &str) = ("text_digest", "example-tools/build/text-digest.wasm");
pub(crate) const LOOPS: (&str, &str) = ("loops", "tests/guests/build/hostile.wasm");
pub(crate) const KM: &str = r#"{"value": 1, "from": "km", "to": "m"}"#;

fn open(settings: &str) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), settings, &[CONVERT, LOOPS]);
    let server = Server::start(&path, &["--allow-anonymous"]).unwrap();
    (folder, server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_eras_and_the_api_give_the_same_answer_on_one_port() {
    let server = Server::start(&registry("example"), &["--allow-anonymous"]).unwrap();
    let args: Value = serde_json::from_str(KM).unwrap();
    let api: Value = server.call("unit_convert", KM).send().await.unwrap().json().await.unwrap();
    let params = json!({"name": "unit_convert", "arguments": args});
    let stateless = answer(server.mcp("tools/call", params).send().await.unwrap()).await.unwrap();
    let legacy = server.client(None).await.unwrap();
    let request =
        CallToolRequestParams::new("unit_convert").with_arguments(args.as_object().unwrap().clone());
    let handshake = legacy.call_tool(request).await.unwrap().structured_content.unwrap();
    assert_eq!(api["result"], json!({"value": 1000, "unit": "m"}));
    assert_eq!(stateless["result"]["structuredContent"]["result"], api["result"]);
    assert_eq!(handshake["result"], api["result"]);
    legacy.cancel().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn discovery_and_lists_say_how_long_they_hold() {
    let server = Server::start(&registry("example"), &["--allow-anonymous"]).unwrap();
    let discovered = answer(server.mcp("server/discover", json!({})).send().await.unwrap()).await.unwrap();
    let capabilities = &discovered["result"]["capabilities"];
    assert_eq!(capabilities["tools"]["listChanged"], true, "{discovered}");
    let list = answer(server.mcp("tools/list", json!({})).send().await.unwrap()).await.unwrap();
    let (ttl, scope) = (&list["result"]["ttlMs"], &list["result"]["cacheScope"]);
    assert_eq!((ttl, scope), (&json!(60_000), &json!("private")));
    for (method, cursor) in
        [("tools/list", json!("zzz")), ("tools/list", json!(5)), ("resources/list", json!({}))]
    {
        let no_cursor = server.mcp(method, json!({ "cursor": cursor })).send().await.unwrap();
        assert_eq!(answer(no_cursor).await.unwrap()["error"]["code"], -32602, "{method} {cursor}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_contradict_the_body_are_refused() {
    let server = Server::start(&registry("example"), &["--allow-anonymous"]).unwrap();
    let params = json!({"name": "unit_convert", "arguments": {}});
    let request = server.mcp("tools/call", params);
    let (client, request) = request.build_split();
    let mut request = request.unwrap();
    request.headers_mut().insert("mcp-name", "text_digest".parse().unwrap());
    let response = client.execute(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_hosts_and_origins_are_refused_at_every_path() {
    let server = Server::start(&registry("example"), &["--allow-anonymous"]).unwrap();
    for path in ["/mcp", "/v1/tools", "/metrics", "/.well-known/oauth-protected-resource"] {
        for (header, value) in [("host", "evil.example.com"), ("origin", "http://evil.example.com")] {
            let response = server.request(Method::GET, path).header(header, value).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path} {header}");
        }
    }
    let local = server.request(Method::GET, "/v1/tools").header("origin", "http://localhost:3000");
    assert_eq!(local.send().await.unwrap().status(), StatusCode::OK);
}

async fn problem(request: reqwest::RequestBuilder) -> (u16, String) {
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let status = response.status().as_u16();
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["status"], status, "{problem}");
    (status, problem["type"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_failure_is_a_problem_document() {
    let (_folder, server) = open("http.body_bytes_max = 10_000\n");
    let check = async |request, status: u16, kind: &str| {
        assert_eq!(problem(request).await, (status, format!("urn:airlock:{kind}")));
    };
    check(server.call("unit_convert", "{}"), 422, "args.missing").await;
    check(server.call("unit_convert", "{"), 422, "args.syntax").await;
    check(server.call("unit_convert", r#"{"value":1,"value":2}"#), 422, "args.syntax").await;
    check(server.call("unit_conver", "{}"), 404, "resolve.unknown").await;
    check(server.call("loops_panic", r#"{"message":"x"}"#), 502, "trap").await;
    check(server.call("unit_convert", "x".repeat(20_000)), 413, "body-too-large").await;
    let text = server.call("unit_convert", "{}").header("content-type", "text/plain");
    check(server.request(Method::POST, "/v1/tools/unit_convert/calls").body("{}"), 415, "media-type").await;
    drop(text);
    check(server.request(Method::GET, "/v2"), 404, "no-such-path").await;
    check(server.request(Method::DELETE, "/v1/tools"), 405, "no-such-method").await;
}

/// Sends bytes and reads until the server closes the connection.
async fn raw(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.url.trim_start_matches("http://")).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_sent_request_times_out_and_does_not_delay_others() {
    let (_folder, server) = open("http.read_deadline_ms = 500\nhttp.connections_max = 8\n");
    let head = b"POST /v1/tools/unit_convert/calls HTTP/1.1\r\nhost: localhost\r\n";
    let body = [&head[..], b"content-type: application/json\r\ncontent-length: 100\r\n\r\n{"].concat();
    let halves: Vec<_> = (0..3).map(|i| raw(&server, if i == 0 { head } else { &body })).collect();
    let halves = futures::future::join_all(halves);
    let good = async {
        let response = server.call("unit_convert", KM).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "while others dawdle");
    };
    let (answers, ()) = tokio::join!(halves, good);
    assert!(answers[1].starts_with("HTTP/1.1 408"), "{}", answers[1]);
    assert!(answers[0].is_empty() || answers[0].starts_with("HTTP/1.1 408"), "{}", answers[0]);
}

/// More connections than are allowed: the others wait to be accepted, and all are served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_do_not_starve_the_others() {
    let (_folder, server) = open("http.read_deadline_ms = 500\nhttp.connections_max = 2\n");
    let address = server.url.trim_start_matches("http://").to_owned();
    let mut idle = Vec::new();
    for _ in 0..4 {
        idle.push(TcpStream::connect(&address).await.unwrap());
    }
    let response = server.call("unit_convert", KM).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_disconnects_ends_its_guest() {
    let (folder, server) = open("");
    let stateless = server.mcp("tools/call", json!({"name": "loops_loop_forever", "arguments": {}}));
    for request in [stateless, server.call("loops_loop_forever", "{}")] {
        let gone = tokio::time::timeout(Duration::from_millis(300), request.send());
        // The head of the answer may have come already. What matters is that the client disconnects.
        drop(gone.await);
    }
    let state = folder.path().to_owned();
    let codes = tokio::task::spawn_blocking(move || await_codes(&state, 2)).await.unwrap();
    assert_eq!(codes, ["cancelled", "cancelled"]);
    await_running(&server, 0).await;
    let response = server.call("unit_convert", KM).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_running_calls_and_the_server() {
    let (folder, server) = open("");
    let running = server.call("loops_work", r#"{"rounds": 400000000}"#).send();
    let looping = server.call("loops_loop_forever", "{}").timeout(Duration::from_secs(30)).send();
    let stop = async {
        await_running(&server, 2).await;
        server.signal("TERM").unwrap();
    };
    let (finished, _, ()) = tokio::join!(running, looping, stop);
    assert_eq!(finished.unwrap().status(), StatusCode::OK, "what could end in time was answered");
    let status = tokio::task::spawn_blocking(move || server.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
    let mut codes = await_codes(folder.path(), 2);
    codes.sort();
    assert_eq!(codes, ["cancelled", "ok"]);
}

/// Large answers that the client does not read stay in their connections and hold no worker and no guest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_does_not_delay_others_and_is_disconnected() {
    let (_folder, server) = open("http.write_deadline_ms = 1_000\n");
    let body = r#"{"bytes": 900000}"#;
    let request = format!(
        "POST /v1/tools/loops_flood/calls HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut slow = Vec::new();
    for _ in 0..12 {
        let mut stream = TcpStream::connect(server.url.trim_start_matches("http://")).await.unwrap();
        // Several answers on one connection: more than the kernel's buffers hold.
        for _ in 0..8 {
            stream.write_all(request.as_bytes()).await.unwrap();
        }
        slow.push(stream);
    }
    await_running(&server, 0).await;
    let response = server.call("unit_convert", KM).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "while the slow client does not read");
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), slow[0].read_to_end(&mut rest));
    // The server closed the connection before all eight answers were written.
    let _ = read.await.unwrap();
    assert!(rest.len() < 8 * 900_000, "{}", rest.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_lists_come_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..250).map(|i| format!("convert_{i:03}")).collect();
    let tools: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), CONVERT.1)).collect();
    let server = Server::start(&registry_in(folder.path(), "", &tools), &["--allow-anonymous"]).unwrap();
    let client = server.client(None).await.unwrap();
    let listed = client.list_all_tools().await.unwrap();
    assert!(listed.iter().map(|tool| tool.name.as_ref()).eq(names.iter().map(String::as_str)));
    let first = answer(server.mcp("tools/list", json!({})).send().await.unwrap()).await.unwrap();
    assert_eq!(first["result"]["tools"].as_array().unwrap().len(), 100);
    let cursor = json!({"cursor": first["result"]["nextCursor"]});
    for made_up in ["%", "eyJ", "\0", "9999999999", "convert_099", ""] {
        let refused = server.mcp("tools/list", json!({ "cursor": made_up })).send().await.unwrap();
        assert_eq!(answer(refused).await.unwrap()["error"]["code"], -32602, "{made_up}");
    }
    client.cancel().await.unwrap();
    // In another server, in which the last tool of the page is not there any more, the list goes on after its place.
    drop(server);
    let server = Server::start(
        &registry_in(folder.path(), "", &[&tools[..99], &tools[100..]].concat()),
        &["--allow-anonymous"],
    );
    let server = server.unwrap();
    let gone = server.mcp("tools/list", cursor).send().await.unwrap();
    assert_eq!(answer(gone).await.unwrap()["result"]["tools"][0]["name"], "convert_100");
}

async fn await_running(server: &Server, count: u32) {
    for _ in 0..100 {
        let metrics = server.get("/metrics").await.unwrap().text().await.unwrap();
        if metrics.contains(&format!("airlock_running {count}\n")) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the calls never ran");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_result_is_linked_and_can_be_read_by_its_caller() {
    let (_folder, server) = open("");
    let params = json!({"name": "loops_flood", "arguments": {"bytes": 100_000}});
    let called = answer(server.mcp("tools/call", params).send().await.unwrap()).await.unwrap();
    let blocks = called["result"]["content"].as_array().unwrap();
    let link = blocks.iter().find(|block| block["type"] == "resource_link").unwrap();
    assert!(blocks.iter().all(|block| block.to_string().len() < 6_000), "the text is not the whole result");
    let uri = link["uri"].as_str().unwrap();
    let read = answer(server.mcp("resources/read", json!({"uri": uri})).send().await.unwrap()).await.unwrap();
    let text = read["result"]["contents"][0]["text"].as_str().unwrap();
    let result: Value = serde_json::from_str(text).unwrap();
    assert_eq!(result, called["result"]["structuredContent"]["result"]);
    let other = json!({"uri": "airlock://records/00000000-0000-0000-0000-000000000000/result"});
    let missing = answer(server.mcp("resources/read", other).send().await.unwrap()).await.unwrap();
    assert!(missing["error"]["message"].as_str().unwrap().contains("no resource"), "{missing}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_tell_outcomes_and_never_arguments() {
    let (_folder, server) = open("");
    for body in [KM, r#"{"value":"a-secret-argument"}"#] {
        server.call("unit_convert", body).send().await.unwrap();
    }
    server.call("a-name-that-anybody-made-up", "{}").send().await.unwrap();
    let text = server.get("/metrics").await.unwrap().text().await.unwrap();
    assert!(text.contains("airlock_calls_total{tool=\"unit_convert\",outcome=\"ok\"} 1"), "{text}");
    assert!(text.contains("airlock_calls_total{tool=\"\",outcome=\"resolve.unknown\"} 1"), "{text}");
    assert!(!text.contains("secret") && !text.contains("made-up") && text.ends_with("# EOF\n"), "{text}");
    assert_eq!(server.get("/healthz").await.unwrap().status(), StatusCode::OK);
    assert_eq!(server.get("/readyz").await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_openapi_document_has_every_tool_with_its_exact_schemas() {
    let server = Server::start(&registry("example"), &["--allow-anonymous"]).unwrap();
    let document: Value = server.get("/v1/openapi.json").await.unwrap().json().await.unwrap();
    let listed: Value = server.get("/v1/tools").await.unwrap().json().await.unwrap();
    for tool in listed["tools"].as_array().unwrap() {
        let path = format!("/v1/tools/{}/calls", tool["name"].as_str().unwrap());
        let body = &document["paths"][&path]["post"]["requestBody"]["content"]["application/json"];
        assert_eq!(body["schema"], tool["input_schema"]);
    }
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
}

/// The places in a document that are null, but for those where a value of the caller's data stands.
fn nulls(value: &Value, place: &str) -> Vec<String> {
    let is_data = |key: &str| ["const", "default", "enum", "examples"].contains(&key);
    match value {
        Value::Null => vec![place.to_owned()],
        Value::Array(items) => items.iter().flat_map(|item| nulls(item, place)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(key, _)| !is_data(key));
            fields.flat_map(|(key, value)| nulls(value, &format!("{place}/{key}"))).collect()
        }
        _ => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_openapi_document_has_no_nulls_and_every_status_that_a_path_can_give() {
    let (_folder, server) = open("");
    for name in ["hostile", "example"] {
        let other = Server::start(&registry(name), &["--allow-anonymous"]).unwrap();
        let document: Value = other.get("/v1/openapi.json").await.unwrap().json().await.unwrap();
        assert_eq!(nulls(&document, ""), Vec::<String>::new());
    }
    let document: Value = server.get("/v1/openapi.json").await.unwrap().json().await.unwrap();
    assert_eq!(nulls(&document, ""), Vec::<String>::new());
    for (path, methods) in document["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            assert!(operation["summary"].is_string(), "{path}");
            for status in ["401", "404", "429", "503"] {
                assert!(operation["responses"][status].is_object(), "{path}: {status}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_is_not_utf_8_is_a_problem() {
    let (_folder, server) = open("");
    let (get, post) = (Method::GET, Method::POST);
    for (method, path) in [
        (&get, "/v1/tools/%ff"),
        (&get, "/v1/holds/%ff"),
        (&get, "/v1/holds/%ff/result"),
        (&get, "/v1/holds/%ff/reply"),
        (&post, "/v1/holds/%ff/approve"),
        (&post, "/v1/holds/a/%ff"),
        (&post, "/v1/calls/%ff/grade"),
        (&post, "/v1/tools/%ff/calls"),
    ] {
        let request = server.request(method.clone(), path).header("content-type", "application/json");
        let response = request.body("{}").send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
        let problem: Value = response.json().await.unwrap();
        assert_eq!((&problem["status"], &problem["type"]), (&json!(404), &json!("urn:airlock:no-such-path")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_method_of_the_protocol_that_is_not_served_is_told_as_such() {
    let (_folder, server) = open("");
    for (method, params) in [("prompts/list", json!({})), ("prompts/get", json!({"name": "a"}))] {
        let refused = answer(server.mcp(method, params).send().await.unwrap()).await.unwrap();
        let message = format!("there is no method `{method}`");
        assert_eq!(refused["error"], json!({"code": -32601, "message": message}), "{refused}");
    }
}
