//! `airlock compile`: the limited process that the host starts for itself.

use std::path::PathBuf;

use super::Ended;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the code goes
    out: PathBuf,
    #[arg(long)]
    cpu_s_max: u64,
    #[arg(long)]
    memory_bytes_max: u64,
    #[arg(long)]
    unoptimized: bool,
}

pub(super) fn run(args: &Args) -> Ended {
    crate::sandbox::compile::worker(&args.out, args.cpu_s_max, args.memory_bytes_max, args.unoptimized)?;
    Ok(0)
}
