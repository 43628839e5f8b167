//! `airlock shadow`: recorded cases as a suite, run again each night, and what has changed since.

mod capture;
mod folder;
mod hosts;
mod html;
mod legs;
mod plot;
mod report;
mod run;
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
}

pub(super) fn run(verb: &Verb, registry: &Path, printer: &Printer, threads: Threads<'_>) -> Ended {
    match verb {
        Verb::Capture(args) => threads.log(|| capture::run(args, registry, printer)),
        Verb::Run(args) => run::run(args, registry, printer, threads),
        Verb::Report(args) => threads.log(|| report::run(args, registry, printer)),
    }
}
