//! The program under test, from its start to its end.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow, ensure};

use crate::run::{command, program};

const PROGRAM: &str = "conformance";
const REGISTRY: &str = "tests/conformance/airlock.toml";

/// A running conformance host.
pub(super) struct Host {
    child: Child,
    /// The host ends when this is closed.
    stdin: Option<ChildStdin>,
    url: String,
    /// Collects the lines that the host prints after its URL.
    rest: JoinHandle<String>,
}

impl Host {
    pub(super) fn start(root: &Path) -> Result<Host> {
        let mut child = command(root, &program(root, PROGRAM).to_string_lossy())
            .arg(root.join(REGISTRY))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{PROGRAM}`"))?;
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().context("the host has no stdout")?);
        let mut url = String::new();
        stdout.read_line(&mut url)?;
        // Its output is read as it comes, so that the host never blocks on a full pipe.
        let rest = std::thread::spawn(move || {
            let mut rest = String::new();
            // An error is ignored: a partial report is still useful, and the exit status shows whether the host failed.
            let _ = stdout.read_to_string(&mut rest);
            rest
        });
        // After the reader started: if the host failed, its output is still drained.
        ensure!(url.starts_with("http://"), "`{PROGRAM}` did not start");
        Ok(Host { child, stdin, url: url.trim().to_owned(), rest })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Ends the host. Returns its lines, which state what answered each request.
    pub(super) fn end(mut self) -> Result<String> {
        drop(self.stdin.take());
        let status = self.child.wait()?;
        ensure!(status.success(), "`{PROGRAM}` ended with {status}");
        self.rest.join().map_err(|_| anyhow!("what `{PROGRAM}` said is lost"))
    }
}
