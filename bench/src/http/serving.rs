//! Servers over HTTP: started, waited for, and ended.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::request::{self, Door};
use crate::clock::now;
use crate::server;

/// Time until another server answers `initialize`. Some load an interpreter and hundreds of modules first.
const READY: Duration = Duration::from_secs(60);

/// What stands for the port in the command of another server.
const PORT: &str = "{port}";

/// A running server. Dropping it ends it.
pub(super) struct Serving {
    child: Child,
    pub(super) port: u16,
}

impl Serving {
    /// Starts a program that says `listening on http://127.0.0.1:PORT` on stderr.
    pub(super) fn start(command: &[String]) -> Result<Serving> {
        let program = command.first().context("there is no command")?;
        let mut child = spawn(command, Stdio::piped())?;
        let stderr = child.stderr.take().context("no stderr")?;
        // From here on an error ends it.
        let mut serving = Serving { child, port: 0 };
        let mut lines = BufReader::new(stderr).lines();
        let mut said = String::new();
        loop {
            let line = lines.next().with_context(|| format!("{program} does not listen: {said}"))??;
            if let Some(port) = line.strip_prefix("listening on http://127.0.0.1:") {
                serving.port = port.trim().parse()?;
                // Read to its end: an unread pipe would fill up and block the server.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(serving);
            }
            said.push_str(&line);
        }
    }

    /// Starts the product on a registry.
    pub(super) fn ours(registry: &Path, flags: &[&str]) -> Result<Serving> {
        let registry = registry.to_string_lossy().into_owned();
        let fixed =
            [server::beside("airlock")?, "--registry".into(), registry, "serve".into(), "--http".into()];
        let flags = ["127.0.0.1:0"].iter().chain(flags).map(|&flag| flag.to_owned());
        Serving::start(&fixed.into_iter().chain(flags).collect::<Vec<_>>())
    }

    /// Starts another server, with a free port in place of `{port}`, and waits until it answers `initialize`.
    pub(super) fn other(command: &[String]) -> Result<Serving> {
        // Free when it is asked for, and no other program of this machine is expected to take it at once.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let command: Vec<String> = command.iter().map(|word| word.replace(PORT, &port.to_string())).collect();
        let mut serving = Serving { child: spawn(&command, Stdio::null())?, port };
        let start = now();
        loop {
            let Err(err) = request::session(Door::open(port)) else { return Ok(serving) };
            if let Some(status) = serving.child.try_wait()? {
                bail!("it ended with {status}");
            }
            if start.elapsed() > READY {
                return Err(err.context("it is not ready"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn spawn(command: &[String], stderr: Stdio) -> Result<Child> {
    let (program, args) = command.split_first().context("there is no command")?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    command.spawn().with_context(|| format!("cannot start {program}"))
}

impl Drop for Serving {
    fn drop(&mut self) {
        // An error means that it has exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
