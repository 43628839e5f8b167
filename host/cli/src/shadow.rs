//! `airlock shadow`: recorded cases as a suite, run again each night, and what has changed since.

mod agent;
mod capture;
mod folder;
mod hosts;
mod html;
mod legs;
mod plot;
mod queries;
mod report;
mod run;
mod serve;
mod text;

use std::path::Path;

use super::print::Printer;
use super::{Ended, Threads};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Choose recorded calls, and write them as a suite that can be committed
    Capture(capture::Args),
    /// Run the cases of a suite again, and say for each tool what has changed
    Run(run::Args),
    /// Report on the last night of a suite, and on the trend over its nights
    Report(report::Args),
    /// Serve the tools of a suite over MCP on stdin and stdout, answered from its recordings: for an agent to be tried on
    Serve(serve::Args),
}

pub(super) fn run(verb: &Verb, registry: &Path, printer: &Printer, threads: Threads<'_>) -> Ended {
    match verb {
        Verb::Capture(args) => threads.log(|| capture::run(args, registry, printer)),
        Verb::Run(args) => run::run(args, registry, printer, threads),
        Verb::Serve(args) => serve::run(args, registry, printer, threads),
        Verb::Report(args) => threads.log(|| report::run(args, registry, printer)),
    }
}
