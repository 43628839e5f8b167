//! What holds in each era of MCP and over each transport: the order of an answer, and answers to their own requests.

use airlock_tests::registry;
use airlock_tests::server::{Server, answer};
use airlock_tests::wire::{Wire, stateless_meta};
use serde_json::{Value, json};

use crate::http::{KM, LOOPS, registry_in};

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
