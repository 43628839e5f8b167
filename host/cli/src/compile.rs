//! `airlock compile`: the confined process in which the host describes and compiles components.

use super::Ended;
use airlock::sandbox::compile;
use airlock::sandbox::compile::{Task, Worker};
use airlock::sandbox::engine::Backend;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The process that started this one; this one ends with it
    #[arg(long)]
    parent: u32,
    #[arg(long)]
    cpu_s_max: u64,
    #[arg(long)]
    memory_bytes_max: u64,
    #[arg(long)]
    unoptimized: bool,
    /// For the interpreter
    #[arg(long)]
    interpreted: bool,
    /// Describe the component instead, without compiling it
    #[arg(long)]
    describe: bool,
    /// Try every forbidden operation instead, and print the results
    #[arg(long)]
    probe: bool,
}

pub(super) fn run(args: &Args) -> Ended {
    let Args { parent, cpu_s_max, memory_bytes_max, unoptimized, interpreted, describe, probe } = *args;
    let backend = if interpreted { Backend::Interpreter } else { Backend::Native };
    let task = if describe { Task::Describe } else { Task::Compile { unoptimized, backend } };
    let worker = Worker { parent, cpu_s_max, memory_bytes_max, task };
    if probe {
        compile::probe(&worker)?
    } else {
        compile::work(&worker)?
    }
    Ok(0)
}
