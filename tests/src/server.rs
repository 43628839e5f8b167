//! Starts a server over HTTP, as an operator would, and sends requests to it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Method, RequestBuilder, Response};
use rmcp::ServiceExt as _;
use rmcp::service::{RoleClient, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::{Value, json};

use crate::wire::{STATELESS, stateless_meta};

/// A running server. Dropping it kills the process.
pub struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    client: reqwest::Client,
    said: Arc<Mutex<String>>,
}

/// Bytes of stderr that are kept; the rest is read and dropped.
const SAID_BYTES_MAX: usize = 1 << 20;

/// How long a connection without a request is used again. A server waits 10 s for the next head.
const IDLE: Duration = Duration::from_secs(5);

impl Server {
    /// Starts `airlock serve --http` on a registry, at a port of the system's choice.
    ///
    /// # Errors
    /// When the server does not start.
    pub fn start(registry: &Path, flags: &[&str]) -> anyhow::Result<Server> {
        let mut command = Command::new(crate::program());
        command.arg("--registry").arg(registry).args(["serve", "--http", "127.0.0.1:0"]).args(flags);
        Server::of(command)
    }

    /// Starts a program that prints the line `listening on URL` on stderr.
    ///
    /// # Errors
    /// When the program does not start.
    pub fn of(mut command: Command) -> anyhow::Result<Server> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("no stderr")?).lines();
        let mut said = String::new();
        let url = loop {
            let Some(line) = lines.next().transpose()? else {
                child.wait()?;
                anyhow::bail!("the server did not start: {said}");
            };
            if let Some(url) = line.strip_prefix("listening on ") {
                break url.to_owned();
            }
            said.push_str(&line);
        };
        let said = Arc::new(Mutex::new(said));
        let kept = said.clone();
        // An unread pipe would fill up and block the server.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut said = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if said.len() < SAID_BYTES_MAX {
                    said.push_str(&line);
                    said.push('\n');
                }
            }
        });
        // Shorter than the server keeps an idle connection: a request must not meet its end.
        let client = reqwest::Client::builder().no_proxy().pool_idle_timeout(IDLE).build()?;
        Ok(Server { child, url, client, said })
    }

    /// The text that the server printed on stderr so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Drops the text that the server printed so far, so that the bound on it begins anew.
    pub fn forget_said(&self) {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Waits until the server has printed this text on stderr.
    ///
    /// # Errors
    /// When it does not print it within 20 s.
    pub async fn await_said(&self, text: &str) -> anyhow::Result<()> {
        for _ in 0..200 {
            if self.said().contains(text) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::bail!("it does not say `{text}`: {}", self.said())
    }

    /// A request to a path of the server.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// Sends a GET request to a path.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> anyhow::Result<Response> {
        Ok(self.request(Method::GET, path).send().await?)
    }

    /// A call over the API; the body is sent unchanged.
    pub fn call(&self, tool: &str, body: impl Into<String>) -> RequestBuilder {
        let request = self.request(Method::POST, &format!("/v1/tools/{tool}/calls"));
        request.header("content-type", "application/json").body(body.into())
    }

    /// A request of MCP's stateless revision.
    pub fn mcp(&self, method: &str, mut params: Value) -> RequestBuilder {
        params["_meta"] = stateless_meta();
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let name = params["name"].as_str().or(params["uri"].as_str());
        self.mcp_stateless(method, name, message)
    }

    /// A message of MCP's stateless revision, as it is.
    pub fn mcp_stateless(&self, method: &str, name: Option<&str>, message: String) -> RequestBuilder {
        let request = self.mcp_message(message);
        let request = request.header("mcp-protocol-version", STATELESS).header("mcp-method", method);
        match name {
            Some(name) => request.header("mcp-name", name),
            None => request,
        }
    }

    /// A message of MCP, as it is.
    pub fn mcp_message(&self, message: String) -> RequestBuilder {
        let request = self.request(Method::POST, "/mcp").body(message);
        let request = request.header("content-type", "application/json");
        request.header("accept", "application/json, text/event-stream")
    }

    /// Connects a client of MCP's handshake era, with or without a bearer token.
    ///
    /// # Errors
    /// When it cannot connect.
    pub async fn client(&self, token: Option<&str>) -> anyhow::Result<RunningService<RoleClient, ()>> {
        let mut config = StreamableHttpClientTransportConfig::with_uri(format!("{}/mcp", self.url));
        if let Some(token) = token {
            config = config.auth_header(token);
        }
        let transport = StreamableHttpClientTransport::with_client(self.client.clone(), config);
        Ok(().serve(transport).await?)
    }

    /// Opens a session of MCP's handshake era. Returns its id.
    ///
    /// # Errors
    /// When there is no session.
    pub async fn session(&self, revision: &str) -> anyhow::Result<String> {
        let client = json!({"name": "raw", "version": "1"});
        let params = json!({"protocolVersion": revision, "capabilities": {}, "clientInfo": client});
        let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        let response = self.mcp_message(initialize.to_string()).send().await?;
        let id = response.headers().get("mcp-session-id").context("no session")?.to_str()?.to_owned();
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        self.mcp_message(initialized.to_string()).header("mcp-session-id", &id).send().await?;
        Ok(id)
    }

    /// Sends a signal to the server: `TERM`, `HUP`.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status()?;
        anyhow::ensure!(sent.success(), "the signal was not sent");
        Ok(())
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the process to end.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub fn wait(mut self) -> anyhow::Result<ExitStatus> {
        Ok(self.child.wait()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A failed test must leave no process behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The JSON-RPC answer in the response to a POST of MCP, which is JSON or an event stream.
///
/// # Errors
/// When the response contains no answer.
pub async fn answer(response: Response) -> anyhow::Result<Value> {
    let status = response.status();
    let text = response.text().await?;
    let events = text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    let mut messages = std::iter::once(text.as_str()).chain(events).filter_map(parsed);
    let last = messages.rfind(|message| message.get("id").is_some_and(|id| !id.is_null()));
    last.with_context(|| format!("no answer in {status}: {text}"))
}

fn parsed(text: &str) -> Option<Value> {
    serde_json::from_str::<Value>(text).ok().filter(Value::is_object)
}
