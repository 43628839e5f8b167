//! A client that writes and reads raw lines, for messages that no library would send.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use anyhow::Context as _;
use serde_json::{Value, json};

/// The stateless revision of the protocol.
pub const STATELESS: &str = "2026-07-28";

/// A running server and both ends of its pipes.
pub struct Wire {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Wire {
    /// Starts `airlock serve --stdio` on a registry, with additional environment variables.
    ///
    /// # Errors
    /// When the server does not start.
    pub fn start(registry: &Path, variables: &[(&str, &str)]) -> anyhow::Result<Wire> {
        let mut command = Command::new(crate::program());
        command.arg("--registry").arg(registry).args(["serve", "--stdio"]);
        command.envs(variables.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let stdout = BufReader::new(child.stdout.take().context("no stdout")?);
        Ok(Wire { stdin: child.stdin.take(), stdout, child })
    }

    /// Starts a server and performs the handshake of the older revisions. Returns the answer to `initialize`.
    ///
    /// # Errors
    /// When the server does not start or does not answer.
    pub fn handshake(registry: &Path, revision: &str) -> anyhow::Result<(Wire, Value)> {
        let mut wire = Wire::start(registry, &[])?;
        let client = json!({"name": "wire", "version": "1"});
        let params = json!({"protocolVersion": revision, "capabilities": {}, "clientInfo": client});
        let answer = wire.ask(0, "initialize", params)?;
        wire.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        Ok((wire, answer))
    }

    /// Writes a message.
    ///
    /// # Errors
    /// When the server has exited.
    pub fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        self.send_line(message.to_string().as_bytes())
    }

    /// Writes a line of any bytes.
    ///
    /// # Errors
    /// When the server has exited.
    pub fn send_line(&mut self, line: &[u8]) -> anyhow::Result<()> {
        let stdin = self.stdin.as_mut().context("stdin is closed")?;
        stdin.write_all(line)?;
        stdin.write_all(b"\n")?;
        Ok(stdin.flush()?)
    }

    /// Reads one line, which must be a JSON-RPC message.
    ///
    /// # Errors
    /// When there is no line, or it is not a message.
    pub fn receive(&mut self) -> anyhow::Result<Value> {
        let line = self.receive_line()?;
        let message: Value = serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))?;
        anyhow::ensure!(message["jsonrpc"] == "2.0", "not JSON-RPC: {line}");
        Ok(message)
    }

    /// Reads one line as it is, with its end.
    ///
    /// # Errors
    /// When the server has left.
    pub fn receive_line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        anyhow::ensure!(self.stdout.read_line(&mut line)? > 0, "the server has left");
        Ok(line)
    }

    /// Sends a request and waits for its answer. Other messages in between are dropped.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn ask(&mut self, id: u64, method: &str, params: Value) -> anyhow::Result<Value> {
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        self.answer_to(id)
    }

    /// Waits for the answer to a request that was sent before. Other messages that arrive first are dropped.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn answer_to(&mut self, id: u64) -> anyhow::Result<Value> {
        loop {
            let message = self.receive()?;
            if message["id"] == id {
                return Ok(message);
            }
        }
    }

    /// Closes stdin and waits. Returns the remaining messages and the exit status.
    ///
    /// # Errors
    /// When a line is not a message, or the server cannot be waited for.
    pub fn end(mut self) -> anyhow::Result<(Vec<Value>, ExitStatus)> {
        self.stdin = None;
        let mut rest = Vec::new();
        while !self.stdout.fill_buf()?.is_empty() {
            rest.push(self.receive()?);
        }
        let status = self.child.wait()?;
        Ok((rest, status))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // A failed test must leave no process behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The `_meta` of a request of the stateless revision.
pub fn stateless_meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": STATELESS,
        "io.modelcontextprotocol/clientInfo": {"name": "wire", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}
