//! `airlock policy`: compares, suggests, prunes and tests what tools are granted.

mod diff;
mod records;
mod suggest;
mod test;
mod unused;

use std::path::Path;

use super::Ended;
use super::print::Printer;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Compare the grants of two registries; exits with 3 if the new one allows more
    Diff(diff::Args),
    /// Print the least grants that cover what tools used, from the records of their calls
    Suggest(suggest::Args),
    /// List the grants that no recorded call used
    Unused(unused::Args),
    /// Run cases: what a tool asks for, and what policy has to say
    Test(test::Args),
}

pub(super) async fn run(verb: &Verb, registry: &Path, printer: &Printer) -> Ended {
    match verb {
        Verb::Diff(args) => diff::run(args, printer),
        Verb::Suggest(args) => suggest::run(args, registry, printer).await,
        Verb::Unused(args) => unused::run(args, registry, printer).await,
        Verb::Test(args) => test::run(args, registry, printer).await,
    }
}
