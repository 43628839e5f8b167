//! `cargo xtask deny`: what dependencies may be, by `deny.toml`.
//!
//! Owns the version of cargo-deny and its place below `target`. Licences, bans and sources are read from the lock file and
//! the sources that cargo has; advisories need a database from the network.

#![expect(clippy::print_stdout, reason = "what is skipped is the result")]

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::run::{cargo, command, run_command, target_dir};

/// The version that is installed. A new one may name new faults, so it changes with a commit.
const VERSION: &str = "0.20.2";

/// Options of the command.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Fails where the advisory database cannot be fetched, instead of skipping advisories
    #[arg(long)]
    advisories: bool,
}

/// Checks dependencies.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let program = install(root)?;
    let deny = |args: &[&str]| run_command(command(root, &program.to_string_lossy()).args(args));
    deny(&["check", "bans", "licenses", "sources"])?;
    match deny(&["fetch", "db"]) {
        // What was fetched just now, so that a database of last month never passes for today's.
        Ok(()) => deny(&["check", "--disable-fetch", "advisories"]),
        Err(err) if args.advisories => bail!("the advisory database cannot be fetched: {err:#}"),
        Err(err) => {
            println!("SKIPPED: advisories, because their database cannot be fetched: {err:#}");
            Ok(())
        }
    }
}

/// The program of [`VERSION`], compiled from its sources on the first run.
fn install(root: &Path) -> Result<PathBuf> {
    let folder = target_dir(root).join("tools").join(format!("cargo-deny-{VERSION}"));
    let program = folder.join("bin/cargo-deny");
    if !program.exists() {
        let to = folder.to_string_lossy();
        // Unoptimized: it runs for a second, and compiling it is most of the time.
        let build = ["install", "--quiet", "--locked", "--debug", "--version", VERSION, "--root", &to];
        cargo(root, &[&build[..], &["cargo-deny"]].concat())?;
    }
    Ok(program)
}
