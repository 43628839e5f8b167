//! `airlock journal`: work on the journal as a whole.

mod export;
mod otel;
mod prune;

use std::path::Path;

use super::Ended;
use super::print::Printer;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Print records, oldest first: as they are, or as spans of OpenTelemetry
    Export(export::Args),
    /// Erase and remove records as the registry says, now
    Prune(prune::Args),
}

pub(super) fn run(verb: &Verb, registry: &Path, printer: &Printer) -> Ended {
    match verb {
        Verb::Export(args) => export::run(args, registry, printer),
        Verb::Prune(args) => prune::run(args, registry, printer),
    }
}
