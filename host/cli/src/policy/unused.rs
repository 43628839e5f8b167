//! `airlock policy unused`: the grants that no recorded call used, each with its place.

use std::path::Path;

use super::records::{Since, observed};
use crate::Ended;
use crate::print::Printer;
use airlock::policy::unused;
use airlock_types::words::count;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only records of this span of time until now: `30d`, `12h`
    #[arg(long, value_name = "SPAN")]
    since: Option<Since>,
}

pub(super) async fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    for (key, (source, observed)) in observed(registry, args.since, printer).await?.entries {
        if observed.attempts == 0 {
            printer.line(format!("tools.{key}: no record"));
            continue;
        }
        for (rule, at) in unused(&source, &observed) {
            printer.line(format!("{rule} ({at}): not used in {}", count(observed.attempts, "attempt")));
        }
    }
    Ok(0)
}
