//! Runs the hostile components and clients. `cargo xtask hostile` builds it and starts it.

use std::process::ExitCode;
use std::time::Duration;

use airlock_hostile::{Plan, run};
use clap::Parser;

/// Runs hostile components and hostile clients against the program of this build.
#[derive(Parser)]
struct Args {
    /// Seed of the random components
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds after which no further round begins; without it everything is run
    #[arg(long)]
    seconds: Option<u64>,
    /// A part of the names of the cases to run, without random components
    #[arg(long)]
    only: Option<String>,
}

/// Random modules, worlds and mutants of a complete run.
const RANDOM: [u64; 3] = [1_000, 500, 500];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    match attack().await {
        Ok(code) => code,
        // Without the way of the error through this program, which is of no use to who gave a wrong name.
        Err(err) => {
            anstream::eprintln!("error: {err:#}");
            ExitCode::FAILURE
        }
    }
}

async fn attack() -> anyhow::Result<ExitCode> {
    let Args { seed, seconds, only } = Args::parse();
    let plan = Plan { seed, random: RANDOM, only, end_after: seconds.map(Duration::from_secs) };
    let report = run(&plan).await?;
    anstream::println!("seed {seed}\n{report}");
    let faults = report.faults();
    for fault in &faults {
        anstream::println!("fault: {fault}");
    }
    let verdict = if faults.is_empty() { "everything held" } else { "something did not hold" };
    anstream::println!("verdict: {verdict}");
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
