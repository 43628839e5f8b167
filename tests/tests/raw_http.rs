//! Malformed requests, written as bytes. A request that two readers could understand differently is refused.

use std::time::Duration;

use airlock_tests::server::Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::http::{CONVERT, registry_in};

/// Sends bytes, ends the sending direction, and reads until the server closes the connection.
async fn raw(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.url.trim_start_matches("http://")).await.unwrap();
    // An error is ignored: the server may answer and close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    let status = answer.strip_prefix("HTTP/1.1 ").or_else(|| answer.strip_prefix("HTTP/1.0 "));
    status.and_then(|rest| rest.get(..3)?.parse().ok()).unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

/// A server that soon closes connections that stay open after an answer.
fn open() -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), "http.read_deadline_ms = 500\n", &[CONVERT]);
    let server = Server::start(&path, &["--allow-anonymous"]).unwrap();
    (folder, server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_names_one_host_in_one_way() {
    let (_folder, server) = open();
    let malformed = [
        "GET PATH HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n",
        "GET PATH HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n\r\n",
        "GET PATH HTTP/1.1\r\nhost: user@localhost\r\n\r\n",
        "GET PATH HTTP/1.1\r\nhost: localhost@evil.example\r\n\r\n",
        "GET PATH HTTP/1.1\r\nhost: localhost:\r\n\r\n",
        "GET PATH HTTP/1.1\r\nhost: localhost:99999\r\n\r\n",
        "GET PATH HTTP/1.1\r\nhost: localhost, evil.example\r\n\r\n",
        "GET PATH HTTP/1.1\r\nhost: localhost/x\r\n\r\n",
        "GET PATH HTTP/1.1\r\nhost: [::1\r\n\r\n",
        "GET PATH HTTP/1.1\r\nhost: \r\n\r\n",
        "GET PATH HTTP/1.1\r\n\r\n",
        "GET http://evil.examplePATH HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "GET http://localhostPATH HTTP/1.1\r\nhost: evil.example\r\n\r\n",
        "GET http://user@localhostPATH HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "GET ftp://localhostPATH HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "CONNECT localhost:80 HTTP/1.1\r\nhost: localhost:80\r\n\r\n",
    ];
    for request in malformed {
        for path in ["/v1/tools", "/mcp", "/healthz", "/nowhere"] {
            let answer = raw(&server, request.replace("PATH", path).as_bytes()).await;
            assert_eq!(status(&answer), 400, "{request:?} {path}: {answer}");
            assert!(
                answer.contains("urn:airlock:malformed") && answer.contains("connection: close"),
                "{answer}"
            );
        }
    }
    for good in ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8787"] {
        let request = format!("GET /v1/tools HTTP/1.1\r\nhost: {good}\r\n\r\n");
        assert_eq!(status(&raw(&server, request.as_bytes()).await), 200, "{good}");
        let request = format!("GET http://{good}/v1/tools HTTP/1.1\r\nhost: {good}\r\n\r\n");
        assert_eq!(status(&raw(&server, request.as_bytes()).await), 200, "{good} as a target");
    }
    for stranger in ["localhost.", "evil.example", "127.0.0.1.evil.example", "[::2]"] {
        let request = format!("GET /v1/tools HTTP/1.1\r\nhost: {stranger}\r\n\r\n");
        assert_eq!(status(&raw(&server, request.as_bytes()).await), 403, "{stranger}");
    }
    assert_eq!(status(&raw(&server, b"GET /healthz HTTP/1.0\r\n\r\n").await), 200, "an old probe");
}

const CALL: &str =
    "POST /v1/tools/unit_convert/calls HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
const ARGS: &str = r#"{"value": 1, "from": "km", "to": "m"}"#;

fn chunked() -> String {
    format!("{:x}\r\n{ARGS}\r\n0\r\n\r\n", ARGS.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_ends_in_one_place() {
    let (_folder, server) = open();
    for coding in [
        "transfer-encoding: chunked, chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: identity, chunked",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: xchunked",
        "transfer-encoding: chunked;x=1",
        "transfer-encoding: ",
        "transfer-encoding: \"chunked\"",
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5, 6",
        "content-length: +5",
        "content-length: -1",
        "content-length: 0x5",
        "content-length: 99999999999999999999999",
    ] {
        let answer = raw(&server, format!("{CALL}{coding}\r\n\r\n{}", chunked()).as_bytes()).await;
        assert_eq!(status(&answer), 400, "{coding}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "what follows is no request: {answer}");
    }
    let answer =
        raw(&server, format!("{CALL}Transfer-Encoding: Chunked\r\n\r\n{}", chunked()).as_bytes()).await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!(
        status(
            &raw(&server, b"POST /mcp HTTP/1.0\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
                .await
        ),
        400
    );
}

/// RFC 9112 allows a server to read such a request by its transfer coding if it closes the connection afterwards. Bytes
/// that remain by the content length are never taken as a second request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_length_beside_a_transfer_coding_smuggles_nothing() {
    let (_folder, server) = open();
    let second = "GET /v1/tools HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for (first, then) in [
        ("content-length: 4", "transfer-encoding: chunked"),
        ("transfer-encoding: chunked", "content-length: 4"),
    ] {
        let request = format!("{CALL}{first}\r\n{then}\r\n\r\n{}{second}", chunked());
        let answer = raw(&server, request.as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_heads_and_chunks_are_refused() {
    let (_folder, server) = open();
    let get = |more: &str| format!("GET /v1/tools HTTP/1.1\r\nhost: localhost\r\n{more}\r\n");
    let many = "x: y\r\n".repeat(200);
    let large = format!("x: {}\r\n", "y".repeat(100_000));
    for (more, expected) in [
        ("x: a\r\n b\r\n", 400),
        ("x : a\r\n", 400),
        ("x\u{e9}: a\r\n", 400),
        ("x: a\u{0}b\r\n", 400),
        ("x: a\rb\r\n", 400),
        (": a\r\n", 400),
        ("no colon\r\n", 400),
        (&many, 431),
        (&large, 431),
    ] {
        let answer = raw(&server, get(more).as_bytes()).await;
        assert_eq!(status(&answer), expected, "{:?}: {answer}", &more[..more.len().min(20)]);
    }
    for body in
        ["z\r\n", "-1\r\n", "ffffffffffffffffff\r\n", &format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(100_000))]
    {
        let answer = raw(&server, format!("{CALL}transfer-encoding: chunked\r\n\r\n{body}").as_bytes()).await;
        assert_eq!(status(&answer), 400, "{:?}: {answer}", &body[..body.len().min(20)]);
    }
}

/// Paths are compared as they are written, so no other spelling bypasses a check.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_has_one_spelling() {
    let (_folder, server) = open();
    for path in
        ["/%6dcp", "//mcp", "/mcp/", "/healthz/../mcp", "/v1/%74ools", "/MCP", "*", "/v1//tools", "/mcp%00"]
    {
        let answer = raw(
            &server,
            format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n").as_bytes(),
        )
        .await;
        assert!([400, 404].contains(&status(&answer)), "{path}: {answer}");
    }
    for name in ["..%2f..%2fmetrics", "%00", "%ff", "unit_convert%0d%0ax:y"] {
        let answer =
            raw(&server, format!("GET /v1/tools/{name} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes())
                .await;
        assert!([400, 404].contains(&status(&answer)), "{name}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_protocol_is_spoken_on_the_port() {
    let (_folder, server) = open();
    let upgrade = "GET /v1/tools HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n";
    let answer = raw(&server, upgrade.as_bytes()).await;
    assert!(
        status(&answer) == 200 && !answer.contains("HTTP/1.1 101"),
        "an offer that is not taken: {answer}"
    );
    for bytes in [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\r\n\r\n",
    ] {
        let answer = raw(&server, bytes).await;
        assert!(answer.is_empty() || [400, 505].contains(&status(&answer)), "{answer}");
    }
}
