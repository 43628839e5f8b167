//! The requests, as bytes.

use std::io::Write as _;
use std::ops::Range;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::answer;
use super::load::Link;
use crate::server::Call;

/// Where requests go: a port of the loopback address, and the token that they carry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Door<'d> {
    pub(super) port: u16,
    pub(super) token: Option<&'d str>,
}

/// How a message of MCP is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    /// With a session that begins with a handshake.
    Handshake,
    /// As of 2026-07-28.
    Stateless,
}

/// A request, sent again and again, and a text that each answer must contain.
#[derive(Clone, Debug)]
pub(super) struct Request {
    head: String,
    /// The body up to the id of a message, and what follows it; only the second without an id.
    body: (String, String),
    pub(super) expect: String,
}

/// A request on one connection, with another id each time.
pub(super) struct Sent<'r> {
    request: &'r Request,
    bytes: Vec<u8>,
    /// Where the id stands.
    at: Option<Range<usize>>,
    next: u64,
}

/// The revision whose clients open a session.
const HANDSHAKE: &str = "2025-11-25";

/// The revision without sessions.
const STATELESS: &str = "2026-07-28";

/// The first id. All ids have as many digits, so a request keeps its length.
const FIRST_ID: u64 = 100_000_000;

/// Ids of one connection: more than a turn has requests. One session must not see an id twice while it may remember the
/// first.
const IDS: u64 = 1_000_000;

const JSON: &str = "content-type: application/json\r\naccept: application/json, text/event-stream\r\n";

impl<'d> Door<'d> {
    /// Without a token.
    pub(super) fn open(port: u16) -> Door<'d> {
        Door { port, token: None }
    }

    /// A head up to its length, with these headers in addition.
    fn head(self, start: &str, more: &str) -> String {
        let token = self.token.map_or_else(String::new, |token| format!("authorization: Bearer {token}\r\n"));
        format!("{start} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n{token}{more}", self.port)
    }
}

impl Request {
    /// `/healthz` of the product.
    pub(super) fn health(door: Door<'_>) -> Request {
        Request { head: door.head("GET /healthz", ""), body: Default::default(), expect: "ok".into() }
    }

    /// A call over the product's `/v1`.
    pub(super) fn api(door: Door<'_>, call: &Call) -> Request {
        let head = door.head(&format!("POST /v1/tools/{}/calls", call.tool), JSON);
        let body = (String::new(), call.arguments.to_string());
        Request { head, body, expect: call.expect.clone().unwrap_or_default() }
    }

    /// A call over `/mcp` of any server.
    ///
    /// # Errors
    /// When the server does not open a session.
    pub(super) fn mcp(door: Door<'_>, era: Era, call: &Call) -> Result<Request> {
        let mut params = call.params();
        let headers = match era {
            Era::Handshake => session(door)?,
            Era::Stateless => {
                params["_meta"] = json!({
                    "io.modelcontextprotocol/protocolVersion": STATELESS,
                    "io.modelcontextprotocol/clientInfo": {"name": "airlock-bench", "version": "1"},
                    "io.modelcontextprotocol/clientCapabilities": {},
                });
                let tool = &call.tool;
                format!("mcp-protocol-version: {STATELESS}\r\nmcp-method: tools/call\r\nmcp-name: {tool}\r\n")
            }
        };
        let rest = format!(",\"method\":\"tools/call\",\"params\":{params}}}");
        Ok(Request {
            head: door.head("POST /mcp", &format!("{JSON}{headers}")),
            body: ("{\"jsonrpc\":\"2.0\",\"id\":".to_owned(), rest),
            expect: call.expect.clone().unwrap_or_default(),
        })
    }

    /// The request as the connection with this number sends it: open requests of one session must differ in their ids.
    pub(super) fn on(&self, connection: usize) -> Sent<'_> {
        let (before, rest) = &self.body;
        let next = FIRST_ID + connection as u64 * IDS;
        let id = if before.is_empty() { String::new() } else { next.to_string() };
        let bytes = whole(&self.head, &format!("{before}{id}{rest}"));
        let end = bytes.len() - rest.len();
        let at = (!id.is_empty()).then(|| end - id.len()..end);
        Sent { request: self, bytes, at, next }
    }
}

impl Sent<'_> {
    /// The bytes of the next request.
    pub(super) fn next(&mut self) -> &[u8] {
        self.next += 1;
        if let Some(at) = &self.at {
            // As many digits as there were, so that this cannot fail.
            let _ = write!(&mut self.bytes[at.clone()], "{}", self.next);
        }
        &self.bytes
    }

    /// Fails unless this is the answer to the last request.
    pub(super) fn check(&self, answer: &[u8]) -> Result<()> {
        let id = self.at.as_ref().map_or(&[][..], |at| &self.bytes[at.clone()]);
        let expect = self.request.expect.as_bytes();
        let expected = [expect, id];
        // A search for nothing would find no window.
        let count = if id.is_empty() { 1 } else { 2 };
        answer::check(answer, &expected[..count])
    }
}

fn whole(head: &str, body: &str) -> Vec<u8> {
    // A request without a body has no length.
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    format!("{head}{length}\r\n{body}").into_bytes()
}

/// Opens a session and returns the headers of what belongs to it. A server may give no id.
///
/// # Errors
/// When `initialize` is not answered with a result.
pub(super) fn session(door: Door<'_>) -> Result<String> {
    let info = json!({"name": "airlock-bench", "version": "1"});
    let params = json!({"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": info});
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    let mut link = Link::new(door.port);
    let answer = link.exchange(&whole(&door.head("POST /mcp", JSON), &hello.to_string()))?;
    let version = version(&answer::body(answer));
    let version = version.with_context(|| format!("`initialize`: {}", answer::shown(answer)))?;
    let mut headers = format!("mcp-protocol-version: {version}\r\n");
    if let Some(id) = answer::header_of(answer, "mcp-session-id") {
        headers.push_str(&format!("mcp-session-id: {id}\r\n"));
    }
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let answer =
        link.exchange(&whole(&door.head("POST /mcp", &format!("{JSON}{headers}")), &ready.to_string()))?;
    ensure!(answer.starts_with(b"HTTP/1.1 2"), "`notifications/initialized`: {}", answer::shown(answer));
    Ok(headers)
}

/// The revision that a server chose, out of one JSON message or an event stream with it.
fn version(body: &[u8]) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    let messages = body.lines().map(|line| line.strip_prefix("data:").unwrap_or(line));
    messages.chain([body]).find_map(|text| {
        let message: Value = serde_json::from_str(text).ok()?;
        Some(message["result"]["protocolVersion"].as_str()?.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_another_id_and_the_same_length() {
        let call = Call { expect: Some("km".into()), ..Call::new("convert", json!({"to": "km"})) };
        let request = Request::mcp(Door { port: 1, token: None }, Era::Stateless, &call).unwrap();
        let (mut one, mut other) = (request.on(0), request.on(1));
        let bytes = [one.next().to_vec(), one.next().to_vec(), other.next().to_vec()];
        let id = |bytes: &[u8]| {
            let body = answer::body(&[b"HTTP/1.1 200 OK\r\n", bytes].concat());
            serde_json::from_slice::<Value>(&body).unwrap()["id"].as_u64().unwrap()
        };
        assert_eq!(bytes.each_ref().map(|bytes| id(bytes)), [100_000_001, 100_000_002, 101_000_001]);
        let answer = |id: u64| format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nkm {id}");
        assert!(one.check(answer(100_000_002).as_bytes()).is_ok());
        assert!(one.check(answer(100_000_001).as_bytes()).is_err());
    }

    #[test]
    fn the_revision_is_read_from_json_and_from_events() {
        let message = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18"}}"#;
        let events = format!("id: 0\r\ndata:\r\n\r\nevent: message\r\ndata: {message}\r\n\r\n");
        for text in [message, &events] {
            assert_eq!(version(text.as_bytes()).as_deref(), Some("2025-06-18"), "{text}");
        }
        assert_eq!(version(b"data: {}\n\n"), None);
    }
}
