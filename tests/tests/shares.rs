//! No caller can shut out others: each has a share of connections, event streams, sessions and bodies, and clients
//! without authentication have their own connections.

use std::path::Path;
use std::time::Duration;

use airlock::caller::token;
use airlock_tests::server::{Server, answer};
use futures::FutureExt as _;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::http::{CONVERT, KM, LOOPS, registry_in};

/// A server with the callers `ann` and `bob`, with their tokens.
struct Two {
    server: Server,
    ann: String,
    bob: String,
    registry: std::path::PathBuf,
}

fn settings(http: &str) -> String {
    let callers = [("ann", 1), ("bob", 2)].map(|(name, seed)| {
        let (_, digest) = token::new([seed; 32]);
        format!("[callers.{name}]\ntools = [\"*\"]\ntokens = [\"{digest}\"]\n")
    });
    format!("{http}{}", callers.concat())
}

fn two(folder: &Path, http: &str) -> Two {
    let registry = registry_in(folder, &settings(http), &[CONVERT, LOOPS]);
    let server = Server::start(&registry, &[]).unwrap();
    Two { server, ann: token::new([1; 32]).0, bob: token::new([2; 32]).0, registry }
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.url.trim_start_matches("http://")).await.unwrap()
}

/// Whether the server has closed the connection or closes it soon.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut [0; 64])).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

/// Sends a request on an open connection. Returns the head of the answer and the bytes that came with it.
async fn ask(stream: &mut TcpStream, request: impl AsRef<str>) -> String {
    let request = request.as_ref();
    if stream.write_all(request.as_bytes()).await.is_err() {
        return String::new();
    }
    let mut buffer = vec![0; 64 << 10];
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut buffer)).await;
    let count = read.expect("no answer").unwrap_or(0);
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

fn get(path: &str, token: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unauthenticated_connections_do_not_displace_callers_or_probes() {
    let folder = tempfile::tempdir().unwrap();
    let Two { server, ann, .. } = two(folder.path(), "http.connections_max = 4\nhttp.strangers_max = 8\n");
    let mut kept = connect(&server).await;
    assert!(ask(&mut kept, get("/v1/tools", &ann)).await.starts_with("HTTP/1.1 200"));
    let mut strangers = Vec::new();
    for round in 0..100 {
        let mut stranger = connect(&server).await;
        // One third sends nothing, one third half a head, one third an invalid token.
        let sent = ["", "GET /v1/tools HTTP/1.1\r\nhost: localhost\r\n", &get("/v1/tools", "airlock_x")]
            [round % 3]
            .to_owned();
        let _ = stranger.write_all(sent.as_bytes()).await;
        strangers.push(stranger);
        if round % 10 == 9 {
            // Each on a connection of its own: one that is kept after a probe is that of a stranger, and may be closed.
            for path in ["/healthz", "/readyz"] {
                let probe = server.request(Method::GET, path).header("connection", "close");
                assert_eq!(probe.send().await.unwrap().status(), StatusCode::OK);
            }
            assert!(ask(&mut kept, get("/v1/tools", &ann)).await.starts_with("HTTP/1.1 200"));
            let fresh = server.call("unit_convert", KM).bearer_auth(&ann).header("connection", "close");
            let fresh = fresh.send().await.unwrap();
            assert_eq!(fresh.status(), StatusCode::OK);
        }
    }
    assert!(is_closed(&mut strangers[0]).await, "the oldest gave way");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_never_authenticates_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let Two { server, ann, .. } = two(folder.path(), "http.read_deadline_ms = 500\n");
    let mut stranger = connect(&server).await;
    // Probes are answered, but they do not authenticate the connection.
    while !ask(&mut stranger, "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.is_empty() {}
    assert!(is_closed(&mut stranger).await);
    let response = server.call("unit_convert", KM).bearer_auth(&ann).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_has_half_of_the_connections() {
    let folder = tempfile::tempdir().unwrap();
    let Two { server, ann, bob, .. } = two(folder.path(), "http.connections_max = 8\n");
    let call =
        "POST /v1/tools/loops_sleep/calls HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let body = r#"{"ms": 15000}"#;
    let busy = format!("{call}authorization: Bearer {ann}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let mut held = Vec::new();
    for _ in 0..12 {
        let mut stream = connect(&server).await;
        stream.write_all(busy.as_bytes()).await.unwrap();
        held.push(stream);
    }
    let mut refused = 0;
    for stream in &mut held {
        let mut head = [0; 12];
        let read = tokio::time::timeout(Duration::from_secs(1), stream.read_exact(&mut head)).await;
        refused += usize::from(matches!(read, Ok(Ok(_))) && head.ends_with(b"429"));
    }
    assert_eq!(refused, 8, "four hold their places");
    for _ in 0..4 {
        let mut stream = connect(&server).await;
        assert!(ask(&mut stream, get("/v1/tools", &bob)).await.starts_with("HTTP/1.1 200"));
        held.push(stream);
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.get(path).await.unwrap().status(), StatusCode::OK, "all connections are taken");
    }
    let again = server.call("unit_convert", KM).bearer_auth(&bob).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::OK, "an idle one of its own gives way");
}

/// Opens a session of the handshake era.
async fn initialize(server: &Server, token: &str) -> Response {
    let client = json!({"name": "t", "version": "1"});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
    let request = server.request(Method::POST, "/mcp").bearer_auth(token).json(&initialize);
    request.header("accept", "application/json, text/event-stream").send().await.unwrap()
}

fn session(response: &Response) -> String {
    response.headers()["mcp-session-id"].to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_has_half_of_the_sessions_and_needs_none_for_the_stateless_era() {
    let folder = tempfile::tempdir().unwrap();
    let Two { server, ann, bob, .. } = two(folder.path(), "http.sessions_max = 4\n");
    let all = (0..12).map(|_| initialize(&server, &ann));
    let opened = futures::future::join_all(all).await;
    let statuses = opened.iter().map(Response::status);
    assert_eq!(statuses.filter(|status| *status == StatusCode::OK).count(), 2, "though they came together");
    let refused = opened.iter().find(|response| !response.status().is_success()).unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    for _ in 0..2 {
        assert_eq!(initialize(&server, &bob).await.status(), StatusCode::OK);
    }
    let list = server.mcp("tools/list", json!({})).bearer_auth(&ann).send().await.unwrap();
    assert!(answer(list).await.unwrap()["result"]["tools"].is_array(), "without a session");
}

async fn stream(server: &Server, token: &str, session: &str) -> Response {
    let request = server.request(Method::GET, "/mcp").bearer_auth(token).header("mcp-session-id", session);
    request.header("accept", "text/event-stream").send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_streams_leave_connections_to_calls_and_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let Two { server, ann, bob, .. } = two(folder.path(), "http.connections_max = 8\n");
    let mut open = Vec::new();
    for (token, count) in [(&ann, 6), (&bob, 6)] {
        let own = session(&initialize(&server, token).await);
        let mut granted = 0;
        for _ in 0..count {
            let response = stream(&server, token, &own).await;
            granted += usize::from(response.status().is_success());
            open.push(response);
        }
        assert_eq!(granted, 2, "a half of the half");
    }
    let listen = server.mcp("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    assert_eq!(listen.bearer_auth(&ann).send().await.unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
    for token in [&ann, &bob] {
        let response = server.call("unit_convert", KM).bearer_auth(token).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    open.clear();
    let own = session(&initialize(&server, &ann).await);
    let mut again = stream(&server, &ann, &own).await;
    while again.status() == StatusCode::TOO_MANY_REQUESTS {
        // The server notices closed streams after a moment.
        again = stream(&server, &ann, &own).await;
    }
    assert_eq!(again.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_the_token_that_opened_it() {
    let folder = tempfile::tempdir().unwrap();
    let Two { server, ann, bob, registry } = two(folder.path(), "");
    let mut own = stream(&server, &ann, &session(&initialize(&server, &ann).await)).await;
    let mut other = stream(&server, &bob, &session(&initialize(&server, &bob).await)).await;
    let text = std::fs::read_to_string(&registry).unwrap();
    let (_, digest) = token::new([1; 32]);
    std::fs::write(&registry, text.replace(&format!("tokens = [\"{digest}\"]"), "tokens = []")).unwrap();
    server.signal("HUP").unwrap();
    let ended = async { while own.chunk().await.is_ok_and(|chunk| chunk.is_some()) {} };
    tokio::time::timeout(Duration::from_secs(30), ended).await.expect("the stream of a revoked token ends");
    let lives = tokio::time::timeout(Duration::from_secs(5), async {
        while other.chunk().await.is_ok_and(|chunk| chunk.is_some()) {}
    });
    assert!(lives.await.is_err(), "another's goes on");
    assert_eq!(initialize(&server, &ann).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_have_a_share_too() {
    let folder = tempfile::tempdir().unwrap();
    let Two { server, ann, bob, .. } = two(folder.path(), "");
    let head = |token: &str| -> String {
        format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: 8388608\r\n\r\n"
        )
    };
    let mut streams = [connect(&server).await, connect(&server).await, connect(&server).await];
    // Together they exceed the caller's share, in any order. The bodies are never sent.
    let asked = streams.iter_mut().map(|stream| ask(stream, head(&ann)).boxed());
    let (answer, _, others) = futures::future::select_all(asked).await;
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
    drop(others);
    let response = server.call("unit_convert", KM).bearer_auth(&bob).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let small: Value = response.json().await.unwrap();
    assert_eq!(small["result"]["value"], 1000.0);
}
