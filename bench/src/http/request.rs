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
    pub(super) bytes: Vec<u8>,
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
        let token = token.map_or_else(String::new, |token| format!("authorization: Bearer {token}\r\n"));
        let post = |path: &str, headers: &str, body: &Value| {
            let body = body.to_string();
            let length = body.len();
            format!(
                "POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n{JSON}{token}{headers}content-length: {length}\r\n\r\n{body}"
            )
        };
        let call = convert();
        let expect: &[u8] = b"16.09344";
        Ok(match path {
            Path::Health => Request {
                bytes: format!("GET /healthz HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n").into_bytes(),
                expect: b"ok",
            },
            Path::Api => {
                let path = format!("/v1/tools/{}/calls", call.tool);
                Request { bytes: post(&path, "", &call.arguments).into_bytes(), expect }
            }
            Path::Handshake => {
                let version = format!("mcp-protocol-version: {HANDSHAKE}\r\n");
                let session = session(port, |headers, body| post("/mcp", headers, body))?;
                let headers = format!("{version}mcp-session-id: {session}\r\n");
                let body =
                    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call.params()});
                Request { bytes: post("/mcp", &headers, &body).into_bytes(), expect }
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
                let body = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
                Request { bytes: post("/mcp", &headers, &body).into_bytes(), expect }
            }
        })
    }
}

/// Opens a session and returns its id.
fn session(port: u16, post: impl Fn(&str, &Value) -> String) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let info = json!({"name": "airlock-bench", "version": "1"});
    let params = json!({"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": info});
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    stream.write_all(post("", &hello).as_bytes())?;
    let answer = load::answer(&mut stream)?;
    let answer = String::from_utf8_lossy(&answer);
    let line = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("mcp-session-id").then(|| value.trim().to_owned())
    };
    let session = answer.lines().find_map(line).with_context(|| format!("no session: {answer}"))?;
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    stream.write_all(post(&format!("mcp-session-id: {session}\r\n"), &ready).as_bytes())?;
    load::answer(&mut stream)?;
    Ok(session)
}
