//! The project's own chores: `cargo xtask COMMAND`.
//!
//! Owns the list of commands. A new one is a file beside this one and a variant of `Command`.

mod conformance;
mod demo;
mod guests;
mod run;
mod test;
mod tidy;
mod toolchain;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Parser;

/// Set-up, guests, demo, tests.
#[derive(Parser)]
#[command(name = "cargo xtask")]
enum Command {
    /// Builds every guest from source, as components.
    Guests(guests::Args),
    /// Plays an agent's session over MCP, everything built from source.
    Demo,
    /// The official MCP conformance suite, against the real server.
    Conformance,
    /// Everything that CI runs.
    Test,
    /// What each module must not know.
    Tidy,
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Guests(args) => guests::run(&root(), &args),
        Command::Demo => demo::run(&root()),
        Command::Conformance => conformance::run(&root()),
        Command::Test => test::run(&root()),
        Command::Tidy => tidy::run(&root()),
    }
}

/// The repository's folder: the parent of this crate's.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
