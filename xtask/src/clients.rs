//! `cargo xtask clients`: runs third-party clients against this build, over stdio and HTTP, in both eras of the
//! protocol.
//!
//! Owns the list of clients. What each must see is in `tests/clients`. A client that cannot be installed is reported as
//! skipped, by name. To add one: a function that lists its runs, and a line in `all`.

#![expect(clippy::print_stdout, reason = "its table is what people run it for")]

mod page;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::node::{self, Node};
use crate::python;
use crate::run::{command, target_dir};
use crate::serve::{Served, airlock, registry};

const PYTHON: [&str; 1] = ["mcp==2.3.0"];
const FASTMCP: [&str; 1] = ["fastmcp==4.1.0"];
const LANGGRAPH: [&str; 2] = ["langchain-mcp-adapters==0.3.2", "mcp<2"];
const OPENAI: [&str; 1] = ["openai-agents==0.24.0"];
const PYDANTIC: [&str; 1] = ["pydantic-ai-slim[mcp]==2.66.0"];
const NODE: [&str; 3] = [
    "@modelcontextprotocol/sdk@1.32.2",
    "@modelcontextprotocol/client@2.4.0",
    "@modelcontextprotocol/inspector@2.12.0",
];

/// The choice of clients.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only one group: python, typescript, fastmcp, langgraph, openai-agents, pydantic-ai or curl
    #[arg(long, default_value = "")]
    pub(crate) only: String,
}

/// One client, with one transport and one scenario.
struct Run {
    name: String,
    command: Command,
    /// The exit code that means success.
    exit: i32,
}

enum Outcome {
    Ok,
    Failed(String),
    Skipped(String),
}

/// How clients reach the server.
struct Target<'a> {
    root: &'a Path,
    folder: PathBuf,
    url: String,
    token: String,
}

impl Target<'_> {
    fn registry(&self) -> String {
        self.folder.join("airlock.toml").to_string_lossy().into_owned()
    }

    /// The command line that serves over stdio.
    fn stdio(&self) -> [String; 5] {
        let program = airlock(self.root).to_string_lossy().into_owned();
        [program, "--registry".into(), self.registry(), "serve".into(), "--stdio".into()]
    }

    fn mcp(&self) -> String {
        format!("{}/mcp", self.url)
    }
}

pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let folder = target_dir(root).join("clients/registry");
    let guests = root.join("tests/guests/build");
    // The TypeScript clients drop the progress handler with the answer, so the tools must report well before they
    // return.
    let more = format!(
        "[tools.falls_back]\ncomponent = \"{0}/liar.wasm\"\nfunctions = [\"sector-metrics\"]\n\
         fallback = [\"sector_metrics_quarterly\"]\ngrants.clock = true\n\
         retry = {{ attempts = 4, implausible = true }}\n\
         [tools.loops]\ncomponent = \"{0}/hostile.wasm\"\nfunctions = [\"loop-forever\", \"allocate\"]\n\
         limits.fuel = 1_000_000_000_000_000\n",
        guests.display()
    );
    let token = registry(root, &folder, &more)?;
    // One server for all HTTP clients: it must survive every one of them.
    let mut server = Served::start(
        command(root, &airlock(root).to_string_lossy())
            .arg("--registry")
            .arg(folder.join("airlock.toml"))
            .args(["serve", "--http", "127.0.0.1:0", "--allow-anonymous"]),
    )?;
    let target = Target { root, folder, url: server.url.clone(), token };
    let outcomes = all(&target, &args.only);
    if outcomes.is_empty() {
        bail!("there is no group `{}`", args.only);
    }
    let failed = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Failed(_))).count();
    for (name, outcome) in &outcomes {
        match outcome {
            Outcome::Ok => println!("ok       {name}"),
            Outcome::Skipped(why) => println!("SKIPPED  {name}: {why}"),
            Outcome::Failed(why) => println!("FAILED   {name}:\n{why}"),
        }
    }
    if failed > 0 || !server.lives() {
        bail!(
            "{failed} of {} failed; the server {}",
            outcomes.len(),
            if server.lives() { "lives" } else { "died" }
        );
    }
    Ok(())
}

/// Installs the packages of a group of clients and lists its runs.
type Group = fn(&Target<'_>) -> Result<Vec<Run>>;

/// Runs all groups. The packages of a group are installed only when it runs.
fn all(target: &Target<'_>, only: &str) -> Vec<(String, Outcome)> {
    let groups: [(&str, Group); 7] = [
        ("python", python_sdk),
        ("typescript", typescript),
        ("fastmcp", fastmcp),
        ("langgraph", |target| framework(target, "langgraph", "LangGraph", &LANGGRAPH)),
        ("openai-agents", |target| framework(target, "openai_agents", "OpenAI Agents SDK", &OPENAI)),
        ("pydantic-ai", |target| framework(target, "pydantic_ai", "pydantic-ai", &PYDANTIC)),
        ("curl", curl),
    ];
    let mut outcomes = Vec::new();
    for (name, runs) in groups.into_iter().filter(|(name, _)| name.contains(only)) {
        match runs(target) {
            Err(err) => outcomes.push((name.to_owned(), Outcome::Skipped(format!("{err:#}")))),
            Ok(runs) => outcomes.extend(runs.into_iter().map(|run| (run.name.clone(), outcome(run)))),
        }
    }
    outcomes
}

fn outcome(mut run: Run) -> Outcome {
    match run.command.output() {
        Err(err) => Outcome::Failed(err.to_string()),
        Ok(output) if output.status.code() == Some(run.exit) => Outcome::Ok,
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said).into_owned();
            // The end of the output, where scripts print what went wrong.
            let tail: Vec<&str> = said.lines().rev().take(15).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            Outcome::Failed(format!("{}\n{}", output.status, tail.join("\n")))
        }
    }
}

fn script(target: &Target<'_>, name: &str) -> PathBuf {
    target.root.join("tests/clients").join(name)
}

fn python_sdk(target: &Target<'_>) -> Result<Vec<Run>> {
    let bin = python::environment(target.root, "clients/python", &PYTHON)?;
    let mut runs = Vec::new();
    for era in ["legacy", "auto"] {
        let new = |how: &str, words: &[String]| {
            let mut command = command(target.root, &bin.join("python").to_string_lossy());
            command.arg(script(target, "scenario.py")).arg(era).args(words);
            Run { name: format!("python mcp 2.3.0 · {how} · {era}"), command, exit: 0 }
        };
        runs.push(new("stdio", &[vec!["--".to_owned()], target.stdio().to_vec()].concat()));
        runs.push(new("http", &[target.mcp()]));
        runs.push(new("http with a token", &[target.mcp(), target.token.clone()]));
    }
    Ok(runs)
}

fn typescript(target: &Target<'_>) -> Result<Vec<Run>> {
    let node = node::environment(target.root, "clients", &NODE)?;
    // Node resolves packages from the folder of the script.
    let scenario = node.folder.join("scenario.mjs");
    std::fs::copy(script(target, "scenario.mjs"), &scenario)?;
    let mut runs = Vec::new();
    for (sdk, version, era) in
        [("v1", "1.32.2", "legacy"), ("v2", "2.4.0", "legacy"), ("v2", "2.4.0", "auto")]
    {
        let new = |how: &str, words: &[String]| {
            let mut command = node.run(&scenario);
            command.args([sdk, era]).args(words);
            Run { name: format!("typescript {version} · {how} · {era}"), command, exit: 0 }
        };
        runs.push(new("stdio", &[vec!["--".to_owned()], target.stdio().to_vec()].concat()));
        runs.push(new("http", &[target.mcp()]));
        runs.push(new("http with a token", &[target.mcp(), target.token.clone()]));
    }
    runs.extend(inspector(target, &node));
    Ok(runs)
}

/// The Inspector's command line: schemas checked against what providers accept, calls, errors, and load.
fn inspector(target: &Target<'_>, node: &Node) -> Vec<Run> {
    let stdio: Vec<String> = target.stdio().to_vec();
    let http = |era: &str| -> Vec<String> {
        let words = [&target.mcp(), "--transport", "http", "--protocol-era", era];
        words.map(str::to_owned).to_vec()
    };
    let convert = ["--method", "tools/call", "--tool-name", "unit_convert", "--tool-args-json"];
    let good = r#"{"value":1,"from":"km","to":"m"}"#;
    let run = |name: &str, words: Vec<String>, more: &[&str], exit: i32| {
        let mut command = node.package("mcp-inspector");
        command.arg("--cli").args(words).args(more);
        Run { name: format!("inspector 2.12.0 · {name}"), command, exit }
    };
    let list = ["--method", "tools/list", "--strict"];
    let with = |args: &'static str| [&convert[..], &[args]].concat();
    vec![
        run("stdio · strict list", stdio.clone(), &list, 0),
        run("http legacy · strict list", http("legacy"), &list, 0),
        run("http modern · strict list", http("modern"), &list, 0),
        run("stdio · call", stdio, &[&convert[..], &[good]].concat(), 0),
        run("http modern · call", http("modern"), &[&convert[..], &[good]].concat(), 0),
        run("http legacy · bad call", http("legacy"), &with(r#"{"value":"x"}"#), 5),
        run(
            "http modern · load",
            http("modern"),
            &[&convert[..], &[good, "--load", "--load-requests", "200", "--load-concurrency", "8"]].concat(),
            0,
        ),
    ]
}

/// The FastMCP client: connects, lists and calls.
fn fastmcp(target: &Target<'_>) -> Result<Vec<Run>> {
    let bin = python::environment(target.root, "clients/fastmcp", &FASTMCP)?;
    let new = |how: &str, words: &[String]| {
        let mut command = command(target.root, &bin.join("python").to_string_lossy());
        command.arg(script(target, "fastmcp.py")).args(words);
        Run { name: format!("{} · {how}", FASTMCP[0]), command, exit: 0 }
    };
    Ok(vec![new("stdio", &target.stdio()), new("http", &[target.mcp()])])
}

/// The snippets of `docs/clients.md` for an agent framework: each connects, and then its check lists and calls. No model
/// is involved.
fn framework(target: &Target<'_>, name: &str, heading: &str, packages: &[&str]) -> Result<Vec<Run>> {
    let bin = python::environment(target.root, &format!("clients/{name}"), packages)?;
    let snippets = snippets(target, heading, "python")?;
    let mut runs = Vec::new();
    for (how, snippet) in ["stdio", "http with a token"].into_iter().zip(&snippets) {
        let file = target.folder.join(format!("{name}-{}.py", how.replace(' ', "-")));
        std::fs::write(&file, snippet)?;
        let mut command = command(target.root, &bin.join("python").to_string_lossy());
        command.arg(script(target, "snippet.py")).arg(file).arg(script(target, &format!("{name}.py")));
        runs.push(Run { name: format!("{} · {how}", packages[0]), command, exit: 0 });
    }
    Ok(runs)
}

/// The commands of `docs/clients.md` for programs without MCP.
fn curl(target: &Target<'_>) -> Result<Vec<Run>> {
    let shell = |snippet: &String| {
        let mut command = command(target.root, "bash");
        // `-f` lets curl fail for a response of 400 and above.
        command.args(["-e", "-c", &snippet.replace("curl ", "curl -sf ")]);
        Run { name: "curl".to_owned(), command, exit: 0 }
    };
    Ok(snippets(target, "Programs without MCP", "")?.iter().map(shell).collect())
}

/// The snippets of a section of `docs/clients.md`, with what they connect to.
fn snippets(target: &Target<'_>, heading: &str, language: &str) -> Result<Vec<String>> {
    let page = std::fs::read_to_string(target.root.join("docs/clients.md"))?;
    let found = page::blocks(&page, heading, language);
    if found.is_empty() {
        bail!("docs/clients.md has no snippet under `{heading}`");
    }
    let program = airlock(target.root);
    let fill = [&*program.to_string_lossy(), &target.registry(), &target.url, &target.token];
    Ok(found.iter().map(|snippet| page::filled(snippet, fill)).collect())
}
