//! `cargo xtask soak`: runs a server under mixed load for a chosen time, and with `--chaos` while things go wrong. CI runs
//! two minutes of each.

use std::path::Path;

use anyhow::Result;

use crate::run::{cargo, command, run_command};

/// The duration.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Minutes of load
    #[arg(long, default_value_t = 30)]
    pub(crate) minutes: u64,
    /// Also lets the disk, the compile processes and the upstream fail, and kills the server
    #[arg(long)]
    pub(crate) chaos: bool,
    /// The order of what goes wrong
    #[arg(long, default_value_t = 1, requires = "chaos")]
    pub(crate) seed: u64,
}

pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    cargo(root, &["build", "--quiet", "--workspace", "--bins"])?;
    // The debug build: overflow checks and debug assertions stay on under load.
    let program = root.join("target/debug").join(if args.chaos { "chaos" } else { "soak" });
    let mut command = command(root, &program.to_string_lossy());
    command.arg((args.minutes * 60).to_string());
    if args.chaos {
        command.arg(args.seed.to_string());
    }
    run_command(&mut command)
}
