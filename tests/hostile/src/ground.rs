//! Where the attacks take place: one server for all of them, its registry, its folders and its callers.
//!
//! Owns the settings under which everything must hold, and the change from one registry to the next.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use airlock::caller::token;
use airlock_tests::server::Server;
use anyhow::{Context as _, bail};
use serde_json::Value;
use toml::Table;

/// The good tool, which is always there.
pub const HONEST: &str = "unit_convert";

/// Tools that loop. The last ones are for the lateness of a deadline without any other load: the breaker pauses a tool
/// after five calls that fail.
pub(crate) const LOOPING: [&str; 6] = ["looping", "loop_a", "loop_b", "loop_c", "loop_d", "loop_e"];

/// The one of them that counts as writing. From the first such call on the host keeps a file open beside its journal, which
/// must be so before the attacks.
const WRITING: &str = LOOPING[1];

/// Deadline of one attempt unless a case says otherwise.
pub const DEADLINE_MS: u64 = 300;

/// Limits of one compile process.
pub const COMPILE_CPU_S_MAX: u64 = 5;
/// Time by the clock of one compile process. The machine may be shared.
pub const COMPILE_WALL_S_MAX: u64 = 60;
const COMPILE_MEMORY_BYTES_MAX: u64 = 1 << 30;

/// Time in which a registry must be loaded. Each entry is bounded by the compile budget.
const LOAD_MAX: Duration = Duration::from_secs(1_800);

/// Interval of looking whether a registry is loaded.
const LOOK: Duration = Duration::from_millis(100);

/// Small bounds, so that few clients reach them.
const SETTINGS: &str = r#"
[host]
unavailable_tools = "name"
[compile]
cpu_s_max = @cpu@
memory_bytes_max = @memory@
wall_s_max = @wall@

[http]
read_deadline_ms = 1000
write_deadline_ms = 2000
connections_max = 64
strangers_max = 32
sessions_max = 32
body_bytes_max = 262144
"#;

/// The tokens of the callers.
pub struct Tokens {
    /// The honest neighbor.
    pub neighbor: String,
    /// The caller that calls hostile components.
    pub caller: String,
    /// A hostile client with a token.
    pub hostile: String,
    /// Another caller, whose sessions are attacked.
    pub victim: String,
}

/// A server and its folders. Dropping it ends the server and removes the folders.
pub struct Ground {
    /// The server.
    pub server: Server,
    /// The tokens of the callers.
    pub tokens: Tokens,
    folder: tempfile::TempDir,
    callers: String,
}

/// An entry of a registry and its component.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) text: String,
}

/// What every hostile entry begins with.
pub(crate) fn entry(name: &str) -> Table {
    let limits = Table::from_iter([
        ("deadline_ms".to_owned(), toml::Value::Integer(DEADLINE_MS as i64)),
        // Far more than the deadline allows, so that loops end at the deadline unless a case says otherwise.
        ("fuel".to_owned(), toml::Value::Integer(1_000_000_000_000)),
    ]);
    Table::from_iter([
        ("component".to_owned(), format!("{name}.wasm").into()),
        ("retry".to_owned(), Table::from_iter([("attempts".to_owned(), 1.into())]).into()),
        ("limits".to_owned(), limits.into()),
    ])
}

impl Ground {
    /// Starts a server with the good tools.
    ///
    /// # Errors
    /// When the server does not start, for instance because the guests are not built.
    pub fn start() -> anyhow::Result<Ground> {
        let folder = tempfile::tempdir()?;
        for name in ["tools", "data", "outside", "tmp"] {
            std::fs::create_dir(folder.path().join(name))?;
        }
        std::fs::write(folder.path().join("outside/secret"), "secret")?;
        let honest = airlock_tests::root().join("example-tools/build/unit-convert.wasm");
        std::fs::copy(&honest, folder.path().join("tools/honest.wasm"))
            .with_context(|| format!("`{}`: run `cargo xtask guests`", honest.display()))?;
        let looping = r#"(component
            (core module $m (func (export "run") (loop br 0)))
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))"#;
        std::fs::write(folder.path().join("tools/looping.wasm"), wat::parse_str(looping)?)?;
        let (callers, tokens) = callers();
        write_registry(folder.path(), &callers, "start", &[])?;
        let mut command = Command::new(airlock_tests::program());
        command.arg("--registry").arg(folder.path().join("tools/airlock.toml"));
        command.args(["serve", "--http", "127.0.0.1:0"]).env("TMPDIR", folder.path().join("tmp"));
        Ok(Ground { server: Server::of(command)?, tokens, folder, callers })
    }

    /// A folder of the ground: `data`, `outside`, `tmp` or `tools`.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Loads a registry with these entries beside the good tools, and removes the components that the last one had.
    /// `mark` is a name that no registry had before. Returns the names of the tools that are served.
    pub(crate) async fn load(&self, mark: &str, entries: &[Entry]) -> anyhow::Result<Vec<String>> {
        for entry in entries {
            std::fs::write(self.component(&entry.name), &entry.bytes)?;
        }
        write_registry(self.folder.path(), &self.callers, mark, entries)?;
        self.server.signal("HUP")?;
        let until = crate::now() + LOAD_MAX;
        while crate::now() < until {
            let served = self.served().await?;
            if served.iter().any(|name| name == mark) {
                return Ok(served);
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("registry `{mark}` is not loaded after {} s: {}", LOAD_MAX.as_secs(), self.server.said())
    }

    /// Removes the components of these entries. They are not in the registry any more.
    pub(crate) fn remove(&self, entries: &[Entry]) -> anyhow::Result<()> {
        entries.iter().try_for_each(|entry| Ok(std::fs::remove_file(self.component(&entry.name))?))
    }

    /// Waits for the end of the server, whose folders stay until then.
    pub(crate) async fn end(self) -> anyhow::Result<ExitStatus> {
        let Ground { server, folder, .. } = self;
        let status = tokio::task::spawn_blocking(move || server.wait()).await??;
        drop(folder);
        Ok(status)
    }

    fn component(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("tools/{name}.wasm"))
    }

    async fn served(&self) -> anyhow::Result<Vec<String>> {
        let request = self.server.request(reqwest::Method::GET, "/v1/tools");
        let listed: Value = request.bearer_auth(&self.tokens.caller).send().await?.json().await?;
        let tools = listed["tools"].as_array().with_context(|| format!("no tools: {listed}"))?;
        Ok(tools.iter().filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect())
    }
}

/// The callers of the registry, and their tokens.
fn callers() -> (String, Tokens) {
    let mut text = String::new();
    let mut caller = |name: &str, seed: u8| {
        let (token, digest) = token::new([seed; 32]);
        text += &format!("[callers.{name}]\ntools = [\"*\"]\ntokens = [\"{digest}\"]\n");
        token
    };
    let tokens = Tokens {
        neighbor: caller("neighbor", 1),
        caller: caller("caller", 2),
        hostile: caller("hostile", 3),
        victim: caller("victim", 4),
    };
    (text, tokens)
}

fn write_registry(folder: &Path, callers: &str, mark: &str, entries: &[Entry]) -> anyhow::Result<()> {
    let mut text = SETTINGS
        .replace("@cpu@", &COMPILE_CPU_S_MAX.to_string())
        .replace("@memory@", &COMPILE_MEMORY_BYTES_MAX.to_string())
        .replace("@wall@", &COMPILE_WALL_S_MAX.to_string());
    text += callers;
    let looping = LOOPING.iter().chain([&mark]).map(|name| (*name, "looping"));
    for (name, component) in looping.chain([(HONEST, "honest")]) {
        let mut entry = entry(name);
        entry.insert("component".into(), format!("{component}.wasm").into());
        if name == WRITING {
            entry.insert("effects".into(), "write".into());
            // From the start: a confined server gains no folder to write to by a reload.
            let grant = [
                ("host", folder.join("data").display().to_string()),
                ("guest", "/data".to_owned()),
                ("access", "read-write".to_owned()),
            ];
            let grant = Table::from_iter(grant.map(|(key, value)| (key.to_owned(), value.into())));
            let files = Table::from_iter([("files".to_owned(), vec![toml::Value::from(grant)].into())]);
            entry.insert("grants".into(), files.into());
        }
        let tools = Table::from_iter([(name.to_owned(), entry.into())]);
        text += &toml::to_string(&Table::from_iter([("tools".to_owned(), tools.into())]))?;
    }
    entries.iter().for_each(|entry| text += &entry.text);
    // Renamed into place, so that no half of it is read.
    let aside = folder.join("tools/airlock.new");
    std::fs::write(&aside, text)?;
    Ok(std::fs::rename(aside, folder.join("tools/airlock.toml"))?)
}
