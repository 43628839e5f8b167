//! `cargo xtask soak`: runs a server under mixed load for a chosen time, and with `--chaos` while things go wrong. CI runs
//! two minutes of each, and a few kills among the tests.

use std::path::Path;

use anyhow::Result;

use crate::run::{cargo, command, program, run_command};

/// The duration.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Minutes of load
    #[arg(long, default_value_t = 30)]
    pub(crate) minutes: u64,
    /// Also lets the disk, the compile processes and the upstream fail, and kills the server
    #[arg(long)]
    pub(crate) chaos: bool,
    /// Nothing but this many kills of a server under load, and what its journal has afterwards
    #[arg(long, value_name = "TIMES", conflicts_with_all = ["chaos", "minutes"])]
    pub(crate) kills: Option<u64>,
    /// The order of what goes wrong
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    cargo(root, &["build", "--quiet", "--workspace", "--bins"])?;
    // The debug build: overflow checks and debug assertions stay on under load.
    let is_chaos = args.chaos || args.kills.is_some();
    let program = program(root, if is_chaos { "chaos" } else { "soak" });
    let mut command = command(root, &program.to_string_lossy());
    match args.kills {
        Some(times) => command.args(["kills", &times.to_string()]),
        None => command.arg((args.minutes * 60).to_string()),
    };
    if is_chaos {
        command.arg(args.seed.to_string());
    }
    run_command(&mut command)
}
