//! `cargo xtask conformance`: the official MCP conformance suite against the real server.
//!
//! Owns which revisions are asked for, and what is said of the outcome. `suite` installs and runs the suite, `host`
//! the program that it is run against, `report` tells real answers from test-only ones. No failure is expected: there
//! is no list of those that are.

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

/// The revisions of the protocol, one of each era, whose requirements are asked for.
const REVISIONS: [&str; 2] = ["2026-07-28", "2025-11-25"];

/// Builds what is needed, installs the suite, and runs it.
pub(crate) fn run(root: &Path) -> Result<()> {
    cargo(root, &["build", "--workspace", "--bins"])?;
    guests::run(root, &guests::Args::default())?;
    check(root, &Suite::install(root)?)
}

/// Runs the suite against what is built.
///
/// # Errors
/// When a check fails, of the required ones or of the others.
pub(crate) fn check(root: &Path, suite: &Suite) -> Result<()> {
    let mut failed = Vec::new();
    for revision in REVISIONS {
        // A host for each, so that nothing is left over from the other.
        let host = Host::start(root)?;
        let outcome = suite.run(host.url(), revision)?;
        let report = Report::new(&outcome.text, &host.end()?)?;
        println!("{revision}\n{report}");
        if report.failed() > 0 || !outcome.success {
            println!("{}", outcome.text);
            failed.push(revision);
        }
    }
    ensure!(failed.is_empty(), "the conformance suite found failures: {}", failed.join(", "));
    Ok(())
}
