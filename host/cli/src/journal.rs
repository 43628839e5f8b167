//! `airlock journal`: work on the journal as a whole.

mod export;
mod otel;
mod proof;
mod prune;
mod verify;

use std::path::Path;

use super::Ended;
use super::print::Printer;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Sign a checkpoint of the log, and print it
    Checkpoint,
    /// Prove that the log of one checkpoint is the beginning of that of another
    Consistency(proof::ConsistencyArgs),
    /// Print records, oldest first: as they are, or as spans of OpenTelemetry
    Export(export::Args),
    /// Print the public key that the log is signed with
    Key(proof::KeyArgs),
    /// Prove that the record of a call is in the log: prints a proof that can be checked without the journal
    Prove(proof::ProveArgs),
    /// Erase and remove records as the registry says, now
    Prune(prune::Args),
    /// Look for records that were edited, dropped, inserted or reordered
    Verify(verify::Args),
}

pub(super) fn run(verb: &Verb, registry: &Path, printer: &Printer) -> Ended {
    match verb {
        Verb::Checkpoint => proof::checkpoint(registry, printer),
        Verb::Consistency(args) => proof::consistency(args, registry, printer),
        Verb::Export(args) => export::run(args, registry, printer),
        Verb::Key(args) => proof::key(args, registry, printer),
        Verb::Prove(args) => proof::prove(args, registry, printer),
        Verb::Prune(args) => prune::run(args, registry, printer),
        Verb::Verify(args) => verify::run(args, registry, printer),
    }
}
