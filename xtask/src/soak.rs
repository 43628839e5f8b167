//! `cargo xtask soak`: runs a server under mixed load for a chosen time. CI runs two minutes of it.

use std::path::Path;

use anyhow::Result;

use crate::run::{cargo, command, run_command};

/// The duration.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Minutes of load
    #[arg(long, default_value_t = 30)]
    pub(crate) minutes: u64,
}

pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    cargo(root, &["build", "--quiet", "--workspace", "--bins"])?;
    // The debug build: overflow checks and debug assertions stay on under load.
    let program = root.join("target/debug/soak");
    run_command(command(root, &program.to_string_lossy()).arg((args.minutes * 60).to_string()))
}
