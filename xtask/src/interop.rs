//! `cargo xtask interop`: tests that need Node, Python or the network.
//!
//! Owns which programs a test needs. A test whose programs are missing is skipped, and said to be. To add one: an ignored
//! test of the crate `airlock-tests`, and its line in [`TESTS`].

use std::env;
use std::path::Path;

use anyhow::Result;

use crate::guests;
use crate::run::{cargo, command, run_command};

/// The tests, and the programs that each one needs.
const TESTS: [(&str, &[&str]); 8] = [
    ("foreign::arcjet", &["python3", "pip"]),
    ("interop::a_program_in_javascript_fetches", &["node", "npm"]),
    ("interop::a_program_in_python_sends_a_request", &["python3"]),
    ("interop::the_guests_of_hyperlight_load", &["python3"]),
    ("journal_log::pymerkle", &["python3", "pip"]),
    ("signatures_others::openssl", &["python3", "openssl"]),
    ("signatures_others::minisign", &["python3", "minisign"]),
    ("signatures_others::securesystemslib", &["python3", "pip"]),
];

/// Builds everything, and runs the tests whose programs are there.
#[expect(clippy::print_stdout, reason = "what is skipped is the result")]
pub(crate) fn run(root: &Path) -> Result<()> {
    cargo(root, &["build", "--workspace", "--all-targets"])?;
    guests::run(root, &guests::Args::default())?;
    let mut skipped = 0;
    for (test, programs) in TESTS {
        if let Some(missing) = programs.iter().find(|program| !is_installed(program)) {
            println!("skipped: {test} needs `{missing}`");
            skipped += 1;
            continue;
        }
        // The selection of packages decides features: another one than above would compile the engine anew.
        let args = ["test", "--workspace", "--test", "all", "--", "--ignored", "--exact", test];
        run_command(command(root, "cargo").args(args))?;
    }
    println!("{} of {} tests passed, {skipped} skipped", TESTS.len() - skipped, TESTS.len());
    Ok(())
}

/// Whether a program is in a folder of `PATH`.
fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
