//! Logs and traces: what they contain, and what they never contain.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use airlock_tests::server::Server;
use airlock_tests::{program, registry};
use axum::body::Bytes;
use serde_json::{Value, json};

use crate::http::KM;

const SECRET: &str = "hunter2-is-a-secret";

#[test]
fn logs_are_json_by_option_and_hold_no_arguments() {
    let args = format!("{{\"text\": \"{SECRET} is in this text. Rates fell.\"}}");
    let output = Command::new(program())
        .arg("--registry")
        .arg(registry("example"))
        .args(["--log", "trace", "--log-format", "json", "call", "text_digest", &args])
        .output()
        .unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(lines.iter().any(|line| line["message"] == "attempt" && line["code"] == "ok"), "{log}");
    assert!(!log.contains(SECRET), "{log}");
}

/// A collector of traces that keeps the bytes that it receives.
pub(crate) async fn collector() -> (String, Arc<Mutex<Vec<u8>>>) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = kept.clone();
    let take = move |body: Bytes| {
        keep.lock().unwrap().extend_from_slice(&body);
        async { "" }
    };
    let app = axum::Router::new().route("/v1/traces", axum::routing::post(take));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, kept)
}

pub(crate) fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_one_span_of_its_callers_trace_and_holds_no_arguments() {
    let (url, kept) = collector().await;
    let server = Server::start(&registry("example"), &["--allow-anonymous", "--otlp", &url]).unwrap();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    let good = server.call("unit_convert", KM).header("traceparent", &traceparent).send().await.unwrap();
    assert_eq!(good.status(), 200);
    let text = format!("{SECRET} is in this text. Rates fell.");
    let mut params = json!({"name": "text_digest", "arguments": {"text": text}});
    params["_meta"] = json!({});
    server.mcp("tools/call", params).send().await.unwrap();
    server.signal("TERM").unwrap();
    tokio::task::spawn_blocking(move || server.wait()).await.unwrap().unwrap();
    let trace: Vec<u8> = (0..16).map(|i| u8::from_str_radix(&trace[2 * i..2 * i + 2], 16).unwrap()).collect();
    for _ in 0..50 {
        if holds(&kept.lock().unwrap(), b"tools/call text_digest") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let sent = kept.lock().unwrap().clone();
    for wanted in [
        "tools/call unit_convert",
        "gen_ai.tool.name",
        "mcp.method.name",
        "airlock.outcome",
        "airlock.record",
    ] {
        assert!(holds(&sent, wanted.as_bytes()), "{wanted}: {}", String::from_utf8_lossy(&sent));
    }
    assert!(holds(&sent, &trace), "the span is in its caller's trace");
    assert!(!holds(&sent, SECRET.as_bytes()));
}
