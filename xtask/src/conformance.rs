//! `cargo xtask conformance`: runs the official MCP conformance suite against the real server.
//!
//! Owns the revisions that are tested and the verdict. `suite` installs and runs the suite, `host` runs the program
//! under test, and `report` separates answers of the product from those of test-only fixtures. There is no list of
//! expected failures.

#![expect(clippy::print_stdout, reason = "its report is what people run it for")]

mod host;
mod report;
mod suite;

use std::path::Path;

use anyhow::{Result, ensure};

use crate::guests;
use crate::run::cargo;
use host::Host;
use report::Report;
pub(crate) use suite::Suite;

/// The tested revisions of the protocol, one of each era.
const REVISIONS: [&str; 2] = ["2026-07-28", "2025-11-25"];

/// Builds the workspace and the guests, installs the suite, and runs it.
pub(crate) fn run(root: &Path) -> Result<()> {
    cargo(root, &["build", "--workspace", "--bins"])?;
    guests::run(root, &guests::Args::default())?;
    check(root, &Suite::install(root)?)
}

/// Runs the suite against the current build.
///
/// # Errors
/// When any check fails, required or not.
pub(crate) fn check(root: &Path, suite: &Suite) -> Result<()> {
    let mut failed = Vec::new();
    for revision in REVISIONS {
        // A fresh host for each revision, so that no state is shared.
        let host = Host::start(root)?;
        let outcome = suite.run(host.url(), revision)?;
        let report = Report::new(&outcome.text, &host.end()?)?;
        println!("{revision}\n{report}");
        // Both: the exit code covers required checks only, and the count covers all.
        if report.failed() > 0 || !outcome.success {
            println!("{}", outcome.text);
            failed.push(revision);
        }
    }
    ensure!(failed.is_empty(), "the conformance suite found failures: {}", failed.join(", "));
    Ok(())
}
