//! The doors of the host. Arguments are sent as text, so that every door gets the same bytes, including those that a
//! client library would not send. Each door returns what it shows to the caller.
//!
//! Owns how each door is called, and what it must show of a reply. To add a door: a kind, and its arms.

use std::path::{Path, PathBuf};
use std::process::Command;

use airlock_types::reply::Reply;
use anyhow::Context as _;
use serde_json::{Value, json};

use crate::server::{Server, answer};
use crate::wire::{Wire, stateless_meta};

/// The last revision of MCP with a handshake.
const HANDSHAKE: &str = "2025-11-25";

/// A kind of door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    McpStdio,
    McpStdioStateless,
    McpHttp,
    McpHttpStateless,
    Api,
    CommandLine,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 6] = [
        Kind::McpStdio,
        Kind::McpStdioStateless,
        Kind::McpHttp,
        Kind::McpHttpStateless,
        Kind::Api,
        Kind::CommandLine,
    ];

    fn is_mcp(self) -> bool {
        !matches!(self, Kind::Api | Kind::CommandLine)
    }

    /// Whether the door can carry these arguments. Within an MCP message, arguments that are not JSON would break the
    /// message.
    pub fn carries(self, args: &str) -> bool {
        !self.is_mcp() || serde_json::from_str::<serde::de::IgnoredAny>(args).is_ok()
    }

    /// What the door must show of a reply, without the values that differ for each call.
    pub fn shows(self, reply: &Reply) -> Value {
        let whole = settled(serde_json::to_value(reply).unwrap_or_default());
        let facts = reply.code.facts();
        match self {
            Kind::Api => {
                let detail = reply.error.as_ref().map(|error| &error.message);
                json!({"envelope": whole, "status": facts.http, "detail": detail})
            }
            Kind::CommandLine => json!({"envelope": whole, "exit": facts.exit}),
            Kind::McpStdio | Kind::McpStdioStateless | Kind::McpHttp | Kind::McpHttpStateless => {
                let shown = if reply.code.has_result() { compact(&whole) } else { error_facts(&whole) };
                json!({"code": reply.code, "text": reply.error.as_ref().map(|error| &error.message), "facts": shown})
            }
        }
    }
}

/// An envelope without the values that differ for each call.
fn settled(mut envelope: Value) -> Value {
    if let Some(envelope) = envelope.as_object_mut() {
        envelope.remove("record");
        let usage = envelope.remove("usage").unwrap_or_default();
        if usage.is_object() {
            envelope.insert("attempts".into(), usage["attempts"].clone());
        }
    }
    envelope
}

/// The compact envelope, which agents get of an answer.
fn compact(whole: &Value) -> Value {
    let mut compact = whole.clone();
    for beside in ["code", "tool", "content", "attempts"] {
        compact.as_object_mut().and_then(|compact| compact.remove(beside));
    }
    // What is so with every answer is left out of the provenance, and with it the provenance if nothing remains.
    if let Some(provenance) = compact["provenance"].as_object_mut() {
        provenance.retain(|key, value| match key.as_str() {
            "component" => false,
            "route" => *value != whole["tool"],
            "attempts" => *value != 1,
            _ => true,
        });
        if provenance.is_empty() {
            compact.as_object_mut().and_then(|compact| compact.remove("provenance"));
        }
    }
    compact
}

/// The contents of `_meta` of an error: the facts of the error without its text, and the related fields of the
/// envelope.
fn error_facts(whole: &Value) -> Value {
    let mut facts = whole["error"].clone();
    let Some(object) = facts.as_object_mut() else { return Value::Null };
    object.remove("message");
    let violations = object.remove("violations").unwrap_or_else(|| json!([]));
    object.insert("errors".into(), violations);
    for beside in ["code", "status", "notice", "attempts", "refusal", "clarify", "findings"] {
        if !whole[beside].is_null() {
            object.insert(beside.into(), whole[beside].clone());
        }
    }
    facts
}

/// An open door.
pub struct Door {
    kind: Kind,
    way: Way,
    calls: u64,
}

enum Way {
    Pipe(Wire),
    Http { server: Server, session: Option<String> },
    Program(PathBuf),
}

impl Door {
    /// Opens a door on a registry.
    ///
    /// # Errors
    /// When the program does not start, or the handshake fails.
    pub async fn open(kind: Kind, registry: &Path) -> anyhow::Result<Door> {
        let serve = || Server::start(registry, &["--allow-anonymous"]);
        let way = match kind {
            Kind::McpStdio => Way::Pipe(Wire::handshake(registry, HANDSHAKE)?.0),
            Kind::McpStdioStateless => Way::Pipe(Wire::start(registry, &[])?),
            Kind::McpHttp => {
                let server = serve()?;
                let session = Some(initialize(&server).await?);
                Way::Http { server, session }
            }
            Kind::McpHttpStateless | Kind::Api => Way::Http { server: serve()?, session: None },
            Kind::CommandLine => Way::Program(registry.to_owned()),
        };
        Ok(Door { kind, way, calls: 0 })
    }

    /// Makes a call. Returns what the door shows of it, in the form of [`Kind::shows`].
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn call(&mut self, tool: &str, args: &str) -> anyhow::Result<Value> {
        self.calls += 1;
        let id = self.calls;
        let meta = match self.kind {
            Kind::McpStdioStateless | Kind::McpHttpStateless => format!(r#","_meta":{}"#, stateless_meta()),
            Kind::McpStdio | Kind::McpHttp | Kind::Api | Kind::CommandLine => String::new(),
        };
        let params = format!(r#"{{"name":{},"arguments":{args}{meta}}}"#, json!(tool));
        let message = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{params}}}"#);
        match &mut self.way {
            Way::Pipe(wire) => {
                wire.send_line(message.as_bytes())?;
                told(&wire.answer_to(id)?)
            }
            Way::Http { server, .. } if self.kind == Kind::Api => over_api(server, tool, args).await,
            Way::Http { server, session } => {
                let request = match session {
                    Some(session) => server.mcp_message(message).header("mcp-session-id", &*session),
                    None => server.mcp_stateless("tools/call", Some(tool), message),
                };
                told(&answer(request.send().await?).await?)
            }
            Way::Program(registry) => on_command_line(registry, tool, args),
        }
    }
}

/// Performs the handshake over HTTP. Returns the id of the session.
async fn initialize(server: &Server) -> anyhow::Result<String> {
    let client = json!({"name": "door", "version": "1"});
    let params = json!({"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": client});
    let message = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
    let response = server.mcp_message(message.to_string()).send().await?;
    let session = response.headers().get("mcp-session-id").context("no session")?.to_str()?.to_owned();
    answer(response).await?;
    let message = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    server.mcp_message(message.to_string()).header("mcp-session-id", &session).send().await?;
    Ok(session)
}

/// What an MCP answer shows. Fails if its parts contradict each other.
fn told(answer: &Value) -> anyhow::Result<Value> {
    let (meta, text, error) = match answer.get("error") {
        // An unknown tool is the only outcome that is a protocol error.
        Some(error) => (&error["data"], error["message"].as_str().unwrap_or_default(), true),
        None => {
            let result = &answer["result"];
            let text = result["content"].as_array().and_then(|blocks| blocks.last());
            let text = text.and_then(|block| block["text"].as_str()).unwrap_or_default();
            (&result["_meta"], text, result["isError"] == true)
        }
    };
    let code = &meta["dev.airlock/code"];
    if error {
        let structured = answer["result"].get("structuredContent");
        anyhow::ensure!(structured.is_none(), "an error with structured content: {answer}");
        // The last line is the record's id, which differs for each call.
        let line = format!("\nRecord: {}", meta["dev.airlock/record"].as_str().unwrap_or_default());
        let text = text.strip_suffix(&line).with_context(|| format!("no record in the text: {answer}"))?;
        return Ok(json!({"code": code, "text": text, "facts": meta["dev.airlock/error"]}));
    }
    let structured = &answer["result"]["structuredContent"];
    // A notice is the first line, before the twin, and not in it.
    let mut twin = structured.clone();
    let notice = twin.as_object_mut().and_then(|twin| twin.remove("notice"));
    let text = match notice.as_ref().and_then(Value::as_str) {
        Some(notice) => text
            .strip_prefix(notice)
            .and_then(|text| text.strip_prefix('\n'))
            .with_context(|| format!("no notice in front: {answer}"))?,
        None => text,
    };
    let is_large = text.is_empty() || text.starts_with("The result has ");
    anyhow::ensure!(
        is_large || serde_json::from_str::<Value>(text).ok().as_ref() == Some(&twin),
        "the text twin is another: {answer}"
    );
    Ok(json!({"code": code, "text": null, "facts": settled(structured.clone())}))
}

async fn over_api(server: &Server, tool: &str, args: &str) -> anyhow::Result<Value> {
    let response = server.call(tool, args).send().await?;
    let status = response.status().as_u16();
    let mut body: Value = response.json().await?;
    if let Some(reply) = body.get_mut("reply") {
        let envelope = settled(reply.take());
        return Ok(json!({"envelope": envelope, "status": status, "detail": body["detail"]}));
    }
    Ok(json!({"envelope": settled(body), "status": status, "detail": null}))
}

fn on_command_line(registry: &Path, tool: &str, args: &str) -> anyhow::Result<Value> {
    let mut command = Command::new(crate::program());
    command.arg("--registry").arg(registry).args(["call", tool, args, "--json"]);
    let output = command.output()?;
    let envelope = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok(json!({"envelope": settled(envelope), "exit": output.status.code()}))
}
