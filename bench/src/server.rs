//! The servers that are measured beside the product: how each is started, and the calls it gets.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Frame;
use crate::clock::now;
use crate::process;
use crate::registry::{Repository, TOOL};

/// A server and the calls that it can be measured with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Its name in the tables.
    pub name: String,
    /// A short description.
    pub what: String,
    /// Whether tools run in a sandbox and not as part of the server.
    #[serde(default)]
    pub sandbox: bool,
    /// The reason when it cannot be measured.
    #[serde(default)]
    pub absent: Option<String>,
    /// The program and its arguments.
    #[serde(default)]
    pub command: Vec<String>,
    /// The call that is measured.
    #[serde(default)]
    pub call: Option<Call>,
    /// A call that sleeps for half a second.
    #[serde(default)]
    pub sleep: Option<Call>,
    /// A call that does not return.
    #[serde(default)]
    pub looping: Option<Call>,
    /// How it serves over HTTP, if it does.
    #[serde(default)]
    pub http: Option<OverHttp>,
}

/// A server over HTTP, at the path `/mcp`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverHttp {
    /// A short description.
    pub what: String,
    /// The program and its arguments, with `{port}` in place of the port.
    pub command: Vec<String>,
}

/// A call: a tool, its arguments and the expected answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The tool's name on this server.
    pub tool: String,
    /// The arguments, as a JSON object.
    pub arguments: Value,
    /// Text that the answer must contain.
    #[serde(default)]
    pub expect: Option<String>,
}

impl Call {
    /// A call without an expected answer.
    pub fn new(tool: &str, arguments: Value) -> Call {
        Call { tool: tool.to_owned(), arguments, expect: None }
    }

    /// The call as a frame for the client.
    pub fn frame(&self) -> Frame {
        Frame::call(&self.tool, &self.arguments)
    }

    /// The parameters of `tools/call`.
    pub fn params(&self) -> Value {
        json!({"name": self.tool, "arguments": self.arguments})
    }
}

impl Server {
    /// The command that starts the server, bound to this number of cores if one is given.
    ///
    /// # Errors
    /// When the server has no command.
    pub fn start(&self, cores: Option<usize>) -> Result<Command> {
        let (program, args) = self.command.split_first().context("there is no command")?;
        let mut command = process::command(Path::new(program), cores);
        command.args(args);
        Ok(command)
    }
}

/// The measured call: ten miles in kilometers.
pub fn convert() -> Call {
    let arguments = json!({"value": 10.0, "from": "mile", "to": "km"});
    Call { expect: Some("16.09344".into()), ..Call::new(TOOL, arguments) }
}

/// The product on a registry: `airlock serve --stdio`.
///
/// # Errors
/// When the program is not beside this one.
pub fn airlock(name: &str, what: &str, registry: &Path) -> Result<Server> {
    let registry = registry.to_string_lossy().into_owned();
    let command = vec![beside("airlock")?, "--registry".into(), registry, "serve".into(), "--stdio".into()];
    Ok(Server {
        name: name.to_owned(),
        what: what.to_owned(),
        sandbox: true,
        absent: None,
        command,
        call: Some(convert()),
        sleep: None,
        looping: None,
        http: None,
    })
}

/// The time of one `airlock call`, from the start of the program to its end.
///
/// # Errors
/// When the call fails.
pub fn call_once(registry: &Path, call: &Call) -> Result<Duration> {
    let mut program = process::command(Path::new(&beside("airlock")?), None);
    program.arg("--registry").arg(registry).args(["call", &call.tool]).arg(call.arguments.to_string());
    let before = now();
    let ended = program.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    let took = before.elapsed();
    ensure!(ended.success(), "`airlock call` ended with {ended}");
    Ok(took)
}

/// The servers of this repository: the client's ceiling, the floor of the protocol library, and the product.
///
/// # Errors
/// When a registry cannot be written.
pub fn own(repository: &Repository) -> Result<Vec<Server>> {
    let echo = |name: &str, what: &str, program: &str| -> Result<Server> {
        // The echo servers convert nothing, so their answers are not checked.
        let call = Call { expect: None, ..convert() };
        // The registry is not used: the command is replaced below.
        let server = airlock(name, what, Path::new(""))?;
        Ok(Server { command: vec![beside(program)?], call: Some(call), sandbox: false, ..server })
    };
    Ok(vec![
        echo("raw echo", "answers without parsing, which shows the client's maximum", "raw-echo")?,
        echo("rmcp echo", "the protocol library alone, without a host", "rmcp-echo")?,
        Server {
            sleep: Some(Call::new("sleep", json!({"ms": 500}))),
            looping: Some(Call::new("looping", json!({}))),
            ..airlock("airlock", "every limit on, every call recorded", &repository.equal()?)?
        },
    ])
}

/// The product with a thousand tools in its registry.
///
/// # Errors
/// When the registry cannot be written.
pub fn thousand(repository: &Repository) -> Result<Server> {
    airlock("airlock, 1,000 tools", "the same with a thousand tools", &repository.many(1_000)?)
}

/// The path of a program in the same folder as this one.
pub(crate) fn beside(name: &str) -> Result<String> {
    let this = std::env::current_exe()?;
    let path: PathBuf = this.with_file_name(name);
    anyhow::ensure!(path.is_file(), "there is no `{}`", path.display());
    Ok(path.to_string_lossy().into_owned())
}
