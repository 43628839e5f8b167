//! Calls of MCP's stateless revision over HTTP: answered as one JSON document, or by the protocol library, with the same
//! content.

use airlock_tests::server::{Server, answer};
use airlock_tests::wire::{STATELESS, stateless_meta};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::http::{CONVERT, LOOPS, registry_in};

fn open() -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), "", &[CONVERT, LOOPS]);
    let server = Server::start(&path, &["--allow-anonymous"]).unwrap();
    (folder, server)
}

/// A call, whose `_meta` has this in addition.
fn call(server: &Server, name: &str, arguments: Value, more: &Value) -> RequestBuilder {
    let mut meta = stateless_meta();
    for (key, value) in more.as_object().unwrap() {
        meta[key] = value.clone();
    }
    let params = json!({"name": name, "arguments": arguments, "_meta": meta});
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    server.mcp_stateless("tools/call", Some(name), message.to_string())
}

/// The media type and the answer without what differs between two calls.
async fn sent(request: RequestBuilder) -> (String, Value) {
    let response = request.send().await.unwrap();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    let mut answer = answer(response).await.unwrap();
    for meta in ["/result/_meta", "/error/data"] {
        if let Some(meta) = answer.pointer_mut(meta).and_then(Value::as_object_mut) {
            meta.remove("dev.airlock/record").unwrap();
            meta.remove("dev.airlock/usage").unwrap();
        }
    }
    let text = answer.to_string();
    // The texts of failures end with the id of their record.
    let text = text.split("Record: ").next().unwrap().to_owned();
    (kind, Value::String(text))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_progress_is_answered_as_json_and_as_the_library_would() {
    let (_folder, server) = open();
    let wanted = json!({"progressToken": "p"});
    for (name, arguments) in [
        ("unit_convert", json!({"value": 10, "from": "mile", "to": "km"})),
        ("unit_convert", json!({"value": "ten", "from": "mile", "to": "km"})),
        ("unit_convert", json!({"value": 10, "from": "mile", "to": "kg"})),
        ("unit_convert", json!([1])),
    ] {
        let (direct, answer) = sent(call(&server, name, arguments.clone(), &json!({}))).await;
        assert_eq!(direct, "application/json", "{name} {arguments}");
        let (library, same) = sent(call(&server, name, arguments.clone(), &wanted)).await;
        assert_eq!(library, "text/event-stream", "{name} {arguments}");
        assert_eq!(answer, same, "{name} {arguments}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_headers_and_body_contradict_each_other_in_is_refused() {
    let (_folder, server) = open();
    let km = json!({"value": 10, "from": "mile", "to": "km"});
    let params = json!({"name": "unit_convert", "arguments": km, "_meta": stateless_meta()});
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    let with = |headers: &[(&str, &str)]| {
        headers
            .iter()
            .fold(server.mcp_message(message.clone()), |request, (name, value)| request.header(*name, *value))
    };
    let (version, method) = (("mcp-protocol-version", STATELESS), ("mcp-method", "tools/call"));
    for headers in [
        &[version, method, ("mcp-name", "loops")][..],
        &[version, method, ("mcp-name", "unit_convert"), ("mcp-name", "loops")],
        &[version, ("mcp-method", "tools/list"), ("mcp-name", "unit_convert")],
        &[version, method],
        &[version, ("mcp-name", "unit_convert")],
        &[method, ("mcp-name", "unit_convert")],
        &[("mcp-protocol-version", "2025-11-25"), method, ("mcp-name", "unit_convert")],
    ] {
        let response = with(headers).send().await.unwrap();
        assert!(response.status().is_client_error(), "{headers:?}: {}", response.status());
    }
    // The base64 form of a name is one of its spellings.
    let name = ("mcp-name", "=?base64?dW5pdF9jb252ZXJ0?=");
    assert_eq!(with(&[version, method, name]).send().await.unwrap().status(), StatusCode::OK);
}
