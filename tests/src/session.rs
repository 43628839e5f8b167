//! A session over MCP with a server that this process starts, as a client of the product would start it.

use std::path::Path;

use anyhow::Context as _;
use rmcp::ServiceExt as _;
use rmcp::model::{CallToolRequestParams, CallToolResult, JsonObject, Tool};
use rmcp::service::{RoleClient, RunningService};
use rmcp::transport::TokioChildProcess;
use serde_json::Value;

/// A connected client with its server.
pub struct Session {
    client: RunningService<RoleClient, ()>,
}

impl Session {
    /// Starts `airlock serve --stdio` on a registry and connects to it.
    ///
    /// # Errors
    /// When the server does not start, or does not speak MCP.
    pub async fn start(registry: &Path) -> anyhow::Result<Session> {
        Session::start_with(registry, &[]).await
    }

    /// Like [`Session::start`], with these variables in the server's environment.
    ///
    /// # Errors
    /// When the server does not start, or does not speak MCP.
    pub async fn start_with(registry: &Path, variables: &[(&str, &str)]) -> anyhow::Result<Session> {
        let mut command = tokio::process::Command::new(crate::program());
        command.arg("--registry").arg(registry).args(["serve", "--stdio"]);
        command.envs(variables.iter().copied());
        let transport = TokioChildProcess::new(command).context("cannot start `airlock serve`")?;
        let client = ().serve(transport).await.context("cannot connect to `airlock serve`")?;
        Ok(Session { client })
    }

    /// The tools that the server lists.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn tools(&self) -> anyhow::Result<Vec<Tool>> {
        Ok(self.client.list_all_tools().await?)
    }

    /// Calls a tool.
    ///
    /// # Errors
    /// For errors of the protocol, such as an unknown tool.
    pub async fn call(&self, tool: &str, args: Value) -> anyhow::Result<CallToolResult> {
        let arguments: JsonObject = serde_json::from_value(args)?;
        let request = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        Ok(self.client.call_tool(request).await?)
    }

    /// The client, for requests that only some tests make.
    pub fn client(&self) -> &RunningService<RoleClient, ()> {
        &self.client
    }

    /// Ends the session. The server ends with its stdin.
    ///
    /// # Errors
    /// When the client's task was lost.
    pub async fn end(self) -> anyhow::Result<()> {
        self.client.cancel().await?;
        Ok(())
    }
}

/// The text blocks of a result, joined by line breaks.
pub fn text(result: &CallToolResult) -> String {
    let blocks = result.content.iter().filter_map(|block| block.as_text());
    blocks.map(|text| text.text.as_str()).collect::<Vec<_>>().join("\n")
}
