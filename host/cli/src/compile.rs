//! `airlock compile`: the limited process that the host starts for itself.

use super::Ended;
use airlock::sandbox::compile;
use airlock::sandbox::compile::Worker;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The process that starts this one and must not be outlived
    #[arg(long)]
    parent: u32,
    #[arg(long)]
    cpu_s_max: u64,
    #[arg(long)]
    memory_bytes_max: u64,
    #[arg(long)]
    unoptimized: bool,
    /// Try what is forbidden instead, and print what came of it
    #[arg(long)]
    probe: bool,
}

pub(super) fn run(args: &Args) -> Ended {
    let Args { parent, cpu_s_max, memory_bytes_max, unoptimized, probe } = *args;
    let worker = Worker { parent, cpu_s_max, memory_bytes_max, unoptimized };
    if probe {
        compile::probe(&worker)?
    } else {
        compile::work(&worker)?
    }
    Ok(0)
}
