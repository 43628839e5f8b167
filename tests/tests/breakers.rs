//! Breakers: which failures pause a tool, for which callers, and which error a caller gets.

use airlock::host::Host;
use airlock_tests::server::{Server, answer};
use airlock_types::code::Code;
use airlock_types::reply::Reply;
use serde_json::{Value, json};

use crate::closed::{Clock, component, go, host};

const CALLERS: &str =
    "[callers.ann]\ntools = [\"*\"]\n[callers.bob]\ntools = [\"*\"]\n[callers.cid]\ntools = [\"*\"]\n";

async fn trap(host: &Host, who: &str, times: usize) {
    for _ in 0..times {
        let reply = host.call(go(who, 1)).await;
        assert_eq!((reply.code, reply.usage.attempts), (Code::Trap, 1), "{reply:?}");
    }
}

fn told(reply: &Reply) -> (&str, Option<u64>) {
    let error = reply.error.as_ref().unwrap();
    (&error.message, error.retry_after_ms)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_whose_arguments_trap_pauses_a_tool_for_itself_alone() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::new(0);
    let host = host(folder.path(), CALLERS, clock.clone()).await;
    trap(&host, "ann", 5).await;
    let paused = host.call(go("ann", 0)).await;
    assert_eq!(paused.code, Code::Overloaded);
    let (message, retry_after_ms) = told(&paused);
    assert!(message.starts_with("`go` is paused for this caller until 2033-05-18T03:33:50Z: "), "{message}");
    assert_eq!(retry_after_ms, Some(30_000));
    assert_eq!(host.call(go("bob", 0)).await.code, Code::Ok, "only that caller is affected");
    clock.advance(30_000);
    assert_eq!(host.call(go("ann", 0)).await.code, Code::Ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_several_callers_that_fail_pause_it_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::new(0);
    let host = host(folder.path(), CALLERS, clock.clone()).await;
    trap(&host, "ann", 3).await;
    trap(&host, "bob", 2).await;
    let paused = host.call(go("cid", 0)).await;
    let (message, retry_after_ms) = told(&paused);
    assert!(message.starts_with("`go` is paused for all callers until 2033-05-18T03:33:50Z: "), "{message}");
    assert_eq!((paused.code, retry_after_ms), (Code::Overloaded, Some(30_000)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_counts_once_however_many_attempts_it_made() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(folder.path(), CALLERS, Clock::new(0)).await;
    // A deadline is transient, so one call makes several attempts.
    for _ in 0..4 {
        let reply = host.call(go("ann", 2)).await;
        assert_eq!((reply.code, reply.usage.attempts), (Code::LimitDeadline, 3), "{reply:?}");
    }
    assert_eq!(host.call(go("ann", 0)).await.code, Code::Ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_and_mcp_say_when_a_paused_tool_may_be_called_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("go.wasm"), component()).unwrap();
    let path = folder.path().join("airlock.toml");
    std::fs::write(&path, "[tools.go]\ncomponent = \"go.wasm\"\n").unwrap();
    let server = Server::start(&path, &["--allow-anonymous"]).unwrap();
    for _ in 0..5 {
        server.call("go", r#"{"mode": 1}"#).send().await.unwrap();
    }
    let paused = server.call("go", r#"{"mode": 0}"#).send().await.unwrap();
    assert_eq!(paused.status().as_u16(), 429);
    let after: u64 = paused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    let problem: Value = paused.json().await.unwrap();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("`go` is paused for this caller until 20"), "{detail}");
    assert_eq!(problem["retry_after_ms"].as_u64().unwrap().div_ceil(1_000), after);
    let params = json!({"name": "go", "arguments": {"mode": 0}});
    let told = answer(server.mcp("tools/call", params).send().await.unwrap()).await.unwrap();
    assert!(told["result"]["_meta"]["dev.airlock/error"]["retry_after_ms"].as_u64().is_some(), "{told}");
    let metrics = server.get("/metrics").await.unwrap().text().await.unwrap();
    for line in ["airlock_breaker_open{tool=\"go\"} 0", "airlock_paused_callers{tool=\"go\"} 1"] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}
