//! The official suite, pinned, and what it says.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::node::{self, Node};

const PACKAGE: &str = "@modelcontextprotocol/conformance@0.2.0-alpha.12";

/// The installed suite.
pub(crate) struct Suite(Node);

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
        node::environment(root, "conformance", &[PACKAGE]).map(Suite)
    }

    /// Asks a server for what a revision requires.
    pub(super) fn run(&self, url: &str, revision: &str) -> Result<Outcome> {
        let results = self.0.folder.join("results").join(revision);
        if results.exists() {
            fs::remove_dir_all(&results)?;
        }
        let mut suite = self.0.package("conformance");
        suite.args(["server", "--url", url, "--requirements", revision, "-o"]).arg(&results);
        let output = suite.output().context("cannot run the conformance suite")?;
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        Ok(Outcome { text: text.into_owned(), success: output.status.success() })
    }
}
