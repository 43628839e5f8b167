//! What holds in each era of MCP and over each transport: the order of an answer, and answers to their own requests.

use std::path::{Path, PathBuf};

use airlock_tests::registry;
use airlock_tests::server::{Server, answer};
use airlock_tests::wire::{Wire, stateless_meta};
use reqwest::Method;
use serde_json::{Value, json};

use crate::http::{KM, LOOPS, registry_in};
use crate::mcp::await_codes;

/// The start of structured content. A tree would sort `result` before `status`.
const IN_ORDER: &str = r#""structuredContent":{"status":"ok","result":{"unit":"m","value":1000}}"#;

fn convert() -> Value {
    json!({"name": "unit_convert", "arguments": serde_json::from_str::<Value>(KM).unwrap()})
}

fn request(id: u64, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
}

#[test]
fn over_stdio_an_answer_begins_with_its_status() {
    let mut params = convert();
    let mut handshake = Wire::handshake(&registry("example"), "2025-11-25").unwrap().0;
    handshake.send(&request(1, &params)).unwrap();
    let mut stateless = Wire::start(&registry("example"), &[]).unwrap();
    params["_meta"] = stateless_meta();
    stateless.send(&request(1, &params)).unwrap();
    for mut wire in [handshake, stateless] {
        let line = wire.receive_line().unwrap();
        assert!(line.contains(IN_ORDER), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_an_answer_begins_with_its_status() {
    let server = Server::start(&registry("example"), &["--allow-anonymous"]).unwrap();
    let mut sent = vec![server.mcp("tools/call", convert())];
    for revision in ["2025-06-18", "2025-11-25"] {
        let session = server.session(revision).await.unwrap();
        let message = server.mcp_message(request(1, &convert()).to_string());
        sent.push(message.header("mcp-session-id", session));
    }
    for request in sent {
        let text = request.send().await.unwrap().text().await.unwrap();
        assert!(text.contains(IN_ORDER), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_requests_with_one_id_in_one_session_get_their_own_answers() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&registry_in(folder.path(), "", &[LOOPS]), &["--allow-anonymous"]).unwrap();
    let session = server.session("2025-11-25").await.unwrap();
    let sleep = |ms: u32| {
        let params = json!({"name": "loops_sleep", "arguments": {"ms": ms}});
        let message = server.mcp_message(request(1, &params).to_string());
        let request = message.header("mcp-session-id", &session);
        async { answer(request.send().await.unwrap()).await.unwrap() }
    };
    let list = async {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
        let message = server.mcp_message(message).header("mcp-session-id", &session);
        answer(message.send().await.unwrap()).await.unwrap()
    };
    let (long, short, list) = tokio::join!(sleep(1_500), sleep(500), list);
    for (answer, field) in [(&long, "structuredContent"), (&short, "structuredContent"), (&list, "tools")] {
        assert_eq!(answer["id"], 1, "{answer}");
        assert!(!answer["result"][field].is_null(), "{answer}");
    }
    // Each ran as long as it was asked to.
    let ran = |answer: &Value| answer["result"]["_meta"]["dev.airlock/usage"]["wall_us"].as_u64();
    assert!(ran(&long) >= Some(1_500_000) && ran(&short) < Some(1_500_000), "{long} {short}");
}

/// A registry with one tool that is said to write.
fn writes(folder: &Path) -> PathBuf {
    let path = registry_in(folder, "", &[LOOPS]);
    // The last table is that of the tool.
    let text = std::fs::read_to_string(&path).unwrap() + "effects = \"write\"\n";
    std::fs::write(&path, text).unwrap();
    path
}

/// Sessions that others open take nothing from one that its transport holds open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_the_handshake_era_remembers_its_calls_while_others_come() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&writes(folder.path()), &["--allow-anonymous"]).unwrap();
    let sleep = async |session: &str, ms: u32| {
        let params = json!({"name": "loops_sleep", "arguments": {"ms": ms}});
        let message = server.mcp_message(request(1, &params).to_string());
        let answer = answer(message.header("mcp-session-id", session).send().await.unwrap()).await.unwrap();
        answer["result"]["_meta"]["dev.airlock/code"].as_str().unwrap().to_owned()
    };
    let first = server.session("2025-11-25").await.unwrap();
    assert_eq!(sleep(&first, 1).await, "ok");
    for _ in 0..64 {
        let other = server.session("2025-11-25").await.unwrap();
        assert_eq!(sleep(&other, 2).await, "ok");
    }
    assert_eq!(sleep(&first, 1).await, "policy.duplicate");
}

#[test]
fn the_session_of_a_process_remembers_its_calls_while_handles_come() {
    let folder = tempfile::tempdir().unwrap();
    let mut wire = Wire::handshake(&writes(folder.path()), "2025-11-25").unwrap().0;
    let mut sleep = |ms: u32, meta: Value| {
        let params = json!({"name": "loops_sleep", "arguments": {"ms": ms}, "_meta": meta});
        let answer = wire.ask(1, "tools/call", params).unwrap();
        answer["result"]["_meta"]["dev.airlock/code"].as_str().unwrap().to_owned()
    };
    assert_eq!(sleep(1, json!({})), "ok");
    for _ in 0..64 {
        assert_eq!(sleep(2, json!({"dev.airlock/session": "new"})), "ok");
    }
    assert_eq!(sleep(1, json!({})), "policy.duplicate");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_whose_connection_broke_is_there_after_its_call_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&registry_in(folder.path(), "", &[LOOPS]), &["--allow-anonymous"]).unwrap();
    let session = server.session("2025-11-25").await.unwrap();
    let params = json!({"name": "loops_sleep", "arguments": {"ms": 500}});
    let message = server.mcp_message(request(7, &params).to_string());
    let mut cut = message.header("mcp-session-id", &session).send().await.unwrap();
    let first = String::from_utf8(cut.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    let event_id = first.lines().find_map(|line| line.strip_prefix("id:")).unwrap().trim().to_owned();
    drop(cut);
    let state = folder.path().to_owned();
    let codes = tokio::task::spawn_blocking(move || await_codes(&state, 1)).await.unwrap();
    assert_eq!(codes, ["ok"]);
    let resume = |session: &str| {
        let request = server.request(Method::GET, "/mcp").header("accept", "text/event-stream");
        let request = request.header("mcp-protocol-version", "2025-11-25");
        request.header("mcp-session-id", session).header("last-event-id", &event_id).send()
    };
    // More than once: the connection that fetches it can break as well.
    for _ in 0..2 {
        let answer = answer(resume(&session).await.unwrap()).await.unwrap();
        assert_eq!((&answer["id"], &answer["result"]["isError"]), (&json!(7), &json!(false)), "{answer}");
    }
    // Each session has its own.
    let other = server.session("2025-11-25").await.unwrap();
    assert_eq!(resume(&other).await.unwrap().text().await.unwrap(), "");
}
