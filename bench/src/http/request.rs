//! The requests, as bytes.

use std::io::Write as _;
use std::net::TcpStream;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::load;
use crate::server::convert;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    Health,
    Api,
    /// `/mcp` with a session.
    Handshake,
    /// `/mcp` of 2026-07-28.
    Stateless,
}

/// A request, sent again and again, and a text that each answer must contain.
#[derive(Clone, Debug)]
pub(super) struct Request {
    head: String,
    /// The body up to the id of a message, and what follows it; only the second without an id.
    body: (String, String),
    pub(super) expect: &'static [u8],
}

/// The revision whose clients open a session.
const HANDSHAKE: &str = "2025-11-25";

/// The revision without sessions.
const STATELESS: &str = "2026-07-28";

const JSON: &str = "content-type: application/json\r\naccept: application/json, text/event-stream\r\n";

impl Request {
    /// A request to a server that listens at this port of the loopback address.
    pub(super) fn new(port: u16, path: Path, token: Option<&str>) -> Result<Request> {
        let host = format!("HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n");
        let token = token.map_or_else(String::new, |token| format!("authorization: Bearer {token}\r\n"));
        let post = |path: &str, more: &str| format!("POST {path} {host}{JSON}{token}{more}");
        let (call, expect) = (convert(), b"16.09344");
        let message = |params: &Value| {
            let rest = format!(",\"method\":\"tools/call\",\"params\":{params}}}");
            ("{\"jsonrpc\":\"2.0\",\"id\":".to_owned(), rest)
        };
        Ok(match path {
            Path::Health => {
                Request { head: format!("GET /healthz {host}"), body: Default::default(), expect: b"ok" }
            }
            Path::Api => {
                let head = post(&format!("/v1/tools/{}/calls", call.tool), "");
                Request { head, body: (String::new(), call.arguments.to_string()), expect }
            }
            Path::Handshake => {
                let version = format!("mcp-protocol-version: {HANDSHAKE}\r\n");
                let session = session(port, &post("/mcp", ""))?;
                let head = post("/mcp", &format!("{version}mcp-session-id: {session}\r\n"));
                Request { head, body: message(&call.params()), expect }
            }
            Path::Stateless => {
                let headers = format!(
                    "mcp-protocol-version: {STATELESS}\r\nmcp-method: tools/call\r\nmcp-name: {}\r\n",
                    call.tool
                );
                let mut params = call.params();
                params["_meta"] = json!({
                    "io.modelcontextprotocol/protocolVersion": STATELESS,
                    "io.modelcontextprotocol/clientInfo": {"name": "airlock-bench", "version": "1"},
                    "io.modelcontextprotocol/clientCapabilities": {},
                });
                Request { head: post("/mcp", &headers), body: message(&params), expect }
            }
        })
    }

    /// Its bytes, for the connection with this number: open requests of one session must differ in their ids.
    pub(super) fn bytes(&self, connection: usize) -> Vec<u8> {
        let (before, rest) = &self.body;
        let id = if before.is_empty() { String::new() } else { connection.to_string() };
        whole(&self.head, &format!("{before}{id}{rest}"))
    }
}

fn whole(head: &str, body: &str) -> Vec<u8> {
    // A request without a body has no length.
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    format!("{head}{length}\r\n{body}").into_bytes()
}

/// Opens a session and returns its id.
fn session(port: u16, head: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let info = json!({"name": "airlock-bench", "version": "1"});
    let params = json!({"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": info});
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    stream.write_all(&whole(head, &hello.to_string()))?;
    let answer = load::answer(&mut stream)?;
    let answer = String::from_utf8_lossy(&answer);
    let line = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("mcp-session-id").then(|| value.trim().to_owned())
    };
    let session = answer.lines().find_map(line).with_context(|| format!("no session: {answer}"))?;
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let head = format!("{head}mcp-session-id: {session}\r\n");
    stream.write_all(&whole(&head, &ready.to_string()))?;
    load::answer(&mut stream)?;
    Ok(session)
}
