//! The official suite, pinned to one version, and its output.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::node::{self, Node};

const PACKAGE: &str = "@modelcontextprotocol/conformance@0.2.0-alpha.12";

/// The installed suite.
pub(crate) struct Suite(Node);

/// The output of the suite, and whether every required check passed.
pub(super) struct Outcome {
    pub(super) text: String,
    pub(super) success: bool,
}

impl Suite {
    /// Installs the suite if it is missing.
    ///
    /// # Errors
    /// When Python is missing, or a package registry cannot be reached.
    pub(crate) fn install(root: &Path) -> Result<Suite> {
        node::environment(root, "conformance", &[PACKAGE]).map(Suite)
    }

    /// Runs the checks of one revision against a server.
    pub(super) fn run(&self, url: &str, revision: &str) -> Result<Outcome> {
        let results = self.0.folder.join("results").join(revision);
        // Old results would be taken for scenarios of this run.
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
