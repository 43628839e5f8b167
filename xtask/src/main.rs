//! Development tasks of the project: `cargo xtask COMMAND`.
//!
//! Owns the list of commands. To add one: a file beside this one, and a variant of `Command`.

mod bench;
mod bfcl;
mod clients;
mod conformance;
mod demo;
mod deny;
mod fuzz;
mod fuzz_api;
mod guests;
mod hostile;
mod interop;
mod node;
mod python;
mod release;
mod replay;
mod run;
mod serve;
mod shadow;
mod soak;
mod test;
mod tidy;
mod toolchain;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Parser;

/// Builds guests, runs tests, benchmarks and the demo.
#[derive(Parser)]
#[command(name = "cargo xtask")]
enum Command {
    /// Runs third-party clients against this build.
    Clients(clients::Args),
    /// Builds every guest from source as a component.
    Guests(guests::Args),
    /// Measures calls, and compares with the bare engine and other servers.
    Bench(bench::Args),
    /// Imports the function documents of the Berkeley Function Calling Leaderboard, and counts what is kept of them.
    Bfcl,
    /// Builds everything from source and plays an agent's session over MCP.
    Demo,
    /// Checks licences, versions and sources of dependencies, and advisories where their database can be fetched.
    Deny(deny::Args),
    /// Runs the fuzz targets: untrusted bytes of each kind.
    Fuzz(fuzz::Args),
    /// Tests the HTTP API against its own OpenAPI document.
    FuzzApi(fuzz_api::Args),
    /// Runs hostile components and hostile clients against the program.
    Hostile(hostile::Args),
    /// Runs the tests that need Node, Python or the network, where these are installed.
    Interop,
    /// Builds the program as it is shipped: `target/release/airlock`.
    Release(release::Args),
    /// Records a thousand calls of the example tools, and replays each.
    Replay,
    /// Plants changes of each kind and looks at the verdicts, and simulates nights without a change.
    Shadow,
    /// Runs mixed load over HTTP: memory must stay bounded, every call gets a reply, no tool stops working.
    Soak(soak::Args),
    /// Runs the official MCP conformance suite against the real server.
    Conformance,
    /// Runs everything that CI runs.
    Test,
    /// Checks what each module may import.
    Tidy,
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Clients(args) => clients::run(&root(), &args),
        Command::Guests(args) => guests::run(&root(), &args),
        Command::Bench(args) => bench::run(&root(), &args),
        Command::Bfcl => bfcl::run(&root()),
        Command::Demo => demo::run(&root()),
        Command::Deny(args) => deny::run(&root(), &args),
        Command::Fuzz(args) => fuzz::run(&root(), &args),
        Command::FuzzApi(args) => fuzz_api::run(&root(), &args),
        Command::Hostile(args) => hostile::run(&root(), &args),
        Command::Release(args) => release::run(&root(), &args),
        Command::Replay => replay::run(&root()),
        Command::Shadow => shadow::run(&root()),
        Command::Soak(args) => soak::run(&root(), &args),
        Command::Conformance => conformance::run(&root()),
        Command::Interop => interop::run(&root()),
        Command::Test => test::run(&root()),
        Command::Tidy => tidy::run(&root()),
    }
}

/// The repository's folder, which is the parent of this crate's folder.
fn root() -> PathBuf {
    // From the compiled-in path and not the working folder, so that a command works from any folder.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
