//! `cargo xtask hostile`: hostile components and hostile clients against the program. CI runs two minutes of it.

use std::path::Path;

use anyhow::Result;

use crate::run::{cargo, command, program, run_command};

/// Seconds after which the sample of CI begins no further round.
const SAMPLE_S: u64 = 120;

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seed of the random components; the same seed makes the same ones
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds after which no further round begins; without it everything is run
    #[arg(long)]
    seconds: Option<u64>,
    /// A part of the names of the cases to run, without random components
    #[arg(long)]
    only: Option<String>,
}

impl Args {
    /// The sample that CI runs.
    pub(crate) fn sample() -> Args {
        Args { seed: 1, seconds: Some(SAMPLE_S), only: None }
    }
}

pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    cargo(root, &["build", "--quiet", "--workspace", "--bins"])?;
    // The debug build: overflow checks and debug assertions stay on under attack.
    let mut command = command(root, &program(root, "hostile").to_string_lossy());
    command.args(["--seed", &args.seed.to_string()]);
    if let Some(seconds) = args.seconds {
        command.args(["--seconds", &seconds.to_string()]);
    }
    if let Some(only) = &args.only {
        command.args(["--only", only]);
    }
    run_command(&mut command)
}
