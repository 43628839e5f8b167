//! A program that compiles the components of a registry in advance, for an image or a profiler: where `airlock` starts
//! later, the confined compile process is not needed any more. It compiles in its own process, so its components must
//! be trusted.
//!
//! `cargo run -p airlock --features in-process-compiler --example precompile -- airlock.toml`; without an argument it
//! takes `examples/airlock.toml` in the folder of the repository.

#![expect(clippy::print_stdout, reason = "it says what it compiled")]

use std::path::PathBuf;

use airlock::{Compiler, Host, Journal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = std::env::args_os().nth(1).map_or_else(|| "examples/airlock.toml".into(), PathBuf::from);
    let host = Host::builder()
        .registry(registry)
        // The registry's own journal may be in use by a server, and nothing is called here.
        .journal(Journal::memory())
        .compiler(Compiler::in_process_for_trusted_components())
        .open()
        .await?;
    println!("tools compiled: {}", host.summary().0);
    Ok(())
}
