//! Runs a server of this build over HTTP, for the commands that need one.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::run::{command, program};

/// A running server. Dropping it ends the server.
pub(crate) struct Served {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
}

impl Served {
    /// Starts a program that prints `listening on URL` on stderr.
    pub(crate) fn start(command: &mut Command) -> Result<Served> {
        let mut child =
            command.stderr(Stdio::piped()).spawn().context("build first: `cargo build --workspace`")?;
        let mut lines = BufReader::new(child.stderr.take().context("no stderr")?).lines();
        let url = loop {
            let Some(line) = lines.next().transpose()? else { bail!("the server did not start") };
            if let Some(url) = line.strip_prefix("listening on ") {
                break url.to_owned();
            }
            eprintln_of(&line);
        };
        // An unread pipe would fill up and block the server.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Served { child, url })
    }

    /// Whether the server still runs.
    pub(crate) fn lives(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|ended| ended.is_none())
    }
}

#[expect(clippy::print_stderr, reason = "why a server does not start is for people")]
fn eprintln_of(line: &str) {
    eprintln!("{line}");
}

impl Drop for Served {
    fn drop(&mut self) {
        // An error means that it has exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The path of `airlock` in this build.
pub(crate) fn airlock(root: &Path) -> PathBuf {
    program(root, "airlock")
}

/// Writes a registry to a folder: the example registry, more tools, and one caller. Returns the caller's token.
pub(crate) fn registry(root: &Path, folder: &Path, more: &str) -> Result<String> {
    std::fs::create_dir_all(folder)?;
    let made = command(root, &airlock(root).to_string_lossy()).args(["token", "new", "program"]).output()?;
    let token = String::from_utf8(made.stdout)?.trim().to_owned();
    // `token new` prints the registry's entry to stderr.
    let said = String::from_utf8(made.stderr)?;
    let entry = said.lines().filter(|line| line.starts_with("[callers") || line.contains(" = ["));
    let entry: String = entry.map(|line| format!("{line}\n")).collect();
    let example = root.join("example-tools");
    // Paths become absolute, because the copy is in another folder.
    let text = std::fs::read_to_string(example.join("airlock.toml"))?
        .replace("\"build/", &format!("\"{}/build/", example.display()))
        .replace("host = \"data\"", &format!("host = \"{}/data\"", example.display()));
    std::fs::write(folder.join("airlock.toml"), format!("{text}\n{more}\n{entry}"))?;
    Ok(token)
}
