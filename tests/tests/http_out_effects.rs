//! What requests of tools do: repeated or not, under which key, and how long they are waited for.

use airlock_tests::upstream::Upstream;
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::Caller;
use airlock_types::code::Code;
use airlock_types::effect::Effect;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::web::{DENIED, Web, call, fetch, fetch_with, grant};

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

/// Answers one request, and is then gone with its connection.
async fn answer_once(listener: TcpListener) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        stream.read_buf(&mut read).await.unwrap();
    }
    drop(listener);
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_for_which_no_connection_could_be_made_again_never_left() {
    let mut refused = 0;
    for _ in 0..40 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let settings = format!(
            "grants.http = [{{ host = \"127.0.0.1\", scheme = \"http\", port = {port}, addresses = [\"127.0.0.1\"], \
             methods = [\"POST\"] }}]\n"
        );
        let host = Web::new().open(&settings).await;
        let service = tokio::spawn(answer_once(listener));
        let args =
            json!({"method": "POST", "url": format!("http://127.0.0.1:{port}/"), "times": 2}).to_string();
        let reply = host.call(Call::new("web_repeat", Arguments::Text(args.into()))).await;
        service.await.unwrap();
        let result = reply.result.unwrap();
        assert_eq!(result[0], "200", "{result}");
        // Sent on the kept connection it may have left; refused on a new one it did not.
        if result[1] == "ErrorCode::ConnectionRefused" {
            refused += 1;
            assert_eq!((reply.code, reply.findings.len()), (Code::Ok, 0), "{result}");
        }
    }
    assert!(refused > 0, "the connection is noticed to be closed at least once");
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
