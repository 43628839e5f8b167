//! Hostile clients over stdio, as data: the file `clients/stdio.toml`. Each has a server of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::observe::resident_mib;
use crate::template::expand;

/// Time after which an answer, or the end of the server, counts as lost.
const LOST: Duration = Duration::from_secs(60);

/// The id of the request that a server must still answer.
const AFTER: &str = "still there";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Category {
    case: Vec<StdioCase>,
}

/// A hostile client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StdioCase {
    /// Its name.
    pub name: String,
    /// The harm that it tries, as a sentence.
    pub what: String,
    /// The first column of its row on the page of bounds.
    pub bound: String,
    /// The bytes to send after the handshake: a template. The last line is ended.
    send: String,
    /// Whether the client is gone afterwards. The server must then end by itself; else it must answer a request.
    #[serde(default)]
    leaves: bool,
    /// A text that an answer must contain.
    says: Option<String>,
}

/// All cases over stdio.
///
/// # Errors
/// When the file is not what it should be.
pub fn all() -> anyhow::Result<Vec<StdioCase>> {
    let files = crate::files("clients")?;
    let (name, text) = files.iter().find(|(name, _)| name == "stdio.toml").context("no stdio.toml")?;
    let category: Category = toml::from_str(text).with_context(|| name.clone())?;
    Ok(category.case)
}

/// What the attacks did.
#[derive(Debug, Default)]
pub(crate) struct Growth {
    pub(crate) cases: usize,
    /// Greatest growth of a server.
    pub(crate) memory_mib: u64,
    pub(crate) faults: Vec<String>,
}

/// Runs these clients, each against a server of its own.
pub(crate) fn attack(cases: &[StdioCase]) -> anyhow::Result<Growth> {
    let folder = tempfile::tempdir()?;
    let honest = airlock_tests::root().join("example-tools/build/unit-convert.wasm");
    let registry = folder.path().join("airlock.toml");
    std::fs::write(&registry, format!("[tools.unit_convert]\ncomponent = \"{}\"\n", honest.display()))?;
    let mut growth = Growth { cases: cases.len(), ..Growth::default() };
    for case in cases {
        match run(case, &registry) {
            Ok(grown) => growth.memory_mib = growth.memory_mib.max(grown),
            Err(err) => growth.faults.push(format!("`{}`: {err:#}", case.name)),
        }
    }
    Ok(growth)
}

/// A server, which is killed with this value.
struct Served {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Drop for Served {
    fn drop(&mut self) {
        // A server that does not end must not stay behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    fn start(registry: &std::path::Path) -> anyhow::Result<Served> {
        let mut command = Command::new(airlock_tests::program());
        command.arg("--registry").arg(registry).args(["serve", "--stdio"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let stdout = BufReader::new(child.stdout.take().context("no stdout")?);
        Ok(Served { stdin: child.stdin.take(), lines: lines(stdout), child })
    }

    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let stdin = self.stdin.as_mut().context("stdin is closed")?;
        stdin.write_all(bytes)?;
        Ok(stdin.write_all(b"\n")?)
    }

    /// Waits for the answer to a request. Returns it and the lines before it.
    fn answer(&self, id: &Value) -> anyhow::Result<(Value, Vec<String>)> {
        let mut before = Vec::new();
        loop {
            let line = self.lines.recv_timeout(LOST).context("there is no answer")?;
            let message: Value =
                serde_json::from_str(&line).with_context(|| format!("not JSON: {line:.200}"))?;
            if message["id"] == *id {
                return Ok((message, before));
            }
            before.push(line);
        }
    }

    fn end(mut self) -> anyhow::Result<()> {
        self.stdin = None;
        let until = crate::now() + LOST;
        while crate::now() < until {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the server ended with {status}");
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        anyhow::bail!("the server has not ended")
    }
}

/// The lines of a server, read by a thread of their own: a server that cannot write does not read.
fn lines(stdout: BufReader<ChildStdout>) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Runs one client, and returns the growth of its server in MiB.
fn run(case: &StdioCase, registry: &std::path::Path) -> anyhow::Result<u64> {
    let mut served = Served::start(registry)?;
    let process = served.child.id();
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "hostile", "version": "1"}});
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
    served.write(hello.to_string().as_bytes())?;
    served.answer(&json!(0))?;
    served.write(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)?;
    let before = resident_mib(process, "VmRSS:").context("the server has ended")?;
    served.write(&expand(&case.send)?)?;
    if !case.leaves {
        let ping = json!({"jsonrpc": "2.0", "id": AFTER, "method": "ping"});
        served.write(ping.to_string().as_bytes())?;
        let (answer, lines) = served.answer(&json!(AFTER))?;
        ensure!(answer.get("result").is_some(), "a ping is answered {answer}");
        if let Some(text) = &case.says {
            let said = lines.iter().any(|line| line.contains(text.as_str()));
            ensure!(said, "no answer says {text:?}: {:.400}", lines.join("; "));
        }
    }
    let most = resident_mib(process, "VmHWM:");
    served.end()?;
    // A server that has ended already shows no figure.
    Ok(most.unwrap_or(before).saturating_sub(before))
}
