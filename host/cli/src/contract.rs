//! `airlock contract`: makes contracts.

mod import;

use super::Ended;
use super::print::Printer;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Make WIT and contract.toml from a document: OpenAPI 3.0 and 3.1, MCP's tools/list, JSON Schema functions; run again, it keeps edits
    Import(import::Args),
}

pub(super) fn run(verb: &Verb, printer: &Printer) -> Ended {
    match verb {
        Verb::Import(args) => import::run(args, printer),
    }
}
