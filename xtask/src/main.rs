//! The project's own chores: `cargo xtask COMMAND`.
//!
//! Owns the list of commands. A new one is a file beside this one and a variant of `Command`.

mod bench;
mod clients;
mod conformance;
mod demo;
mod fuzz;
mod guests;
mod node;
mod python;
mod release;
mod run;
mod serve;
mod soak;
mod test;
mod tidy;
mod toolchain;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Parser;

/// Set-up, guests, demo, tests, benchmarks.
#[derive(Parser)]
#[command(name = "cargo xtask")]
enum Command {
    /// Clients that others wrote, against this build.
    Clients(clients::Args),
    /// Builds every guest from source, as components.
    Guests(guests::Args),
    /// Measures, beside the engine's floor and beside others.
    Bench(bench::Args),
    /// Plays an agent's session over MCP, everything built from source.
    Demo,
    /// The HTTP API against its own OpenAPI document.
    Fuzz(fuzz::Args),
    /// The program as it is shipped: `target/release/airlock`.
    Release(release::Args),
    /// Mixed load over HTTP: bounded memory, no lost reply, no dead tool.
    Soak(soak::Args),
    /// The official MCP conformance suite, against the real server.
    Conformance,
    /// Everything that CI runs.
    Test,
    /// What each module must not know.
    Tidy,
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Clients(args) => clients::run(&root(), &args),
        Command::Guests(args) => guests::run(&root(), &args),
        Command::Bench(args) => bench::run(&root(), &args),
        Command::Demo => demo::run(&root()),
        Command::Fuzz(args) => fuzz::run(&root(), &args),
        Command::Release(args) => release::run(&root(), &args),
        Command::Soak(args) => soak::run(&root(), &args),
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
