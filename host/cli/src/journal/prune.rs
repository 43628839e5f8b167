//! `airlock journal prune`: applies the rules of retention, as a server does every ten minutes.

use std::path::Path;

use crate::print::{Message, Printer};
use crate::{Ended, open};
use airlock::config::ConfigFile;
use airlock::environment::World;
use airlock_journal::retention::{By, Pruned};
use airlock_journal::{Journal, REWRITE_BYTES_MAX};
use airlock_types::environment::{Environment as _, ms};
use airlock_types::words::count;

/// Said where the registry keeps everything.
const NO_RULES: &str = "nothing is erased or removed: the registry sets no `journal.keep`, no `journal.keep_payloads` and no \
                        `journal` of a tool";

/// Said where the file is too large to be rewritten unasked.
const NOT_REWRITTEN: &str = "note: copies of what was erased may be left in the free space of the file, which is too large to be rewritten \
                             unasked: `airlock journal prune --rewrite` does it, takes as much room again, and records wait meanwhile";

/// Whether the file of a journal is larger than what is rewritten unasked.
fn is_large(journal: &Journal) -> bool {
    let bytes = journal.path().and_then(|path| path.metadata().ok()).map_or(0, |found| found.len());
    bytes > REWRITE_BYTES_MAX
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Rewrite the file of the journal, so that no copy of what was erased is left in it; records wait meanwhile
    #[arg(long)]
    rewrite: bool,
}

pub(crate) fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let file = ConfigFile::read(registry)?;
    let rules = file.config.retention();
    if rules.is_all() {
        return Err(Message(NO_RULES.into()).into());
    }
    let journal = open::journal(&file)?;
    let now_unix_ms = ms(World::new().wall());
    let pruned = journal.prune(&|tool| rules.of(tool), By::Command, now_unix_ms)?;
    if args.rewrite {
        journal.rewrite()?;
    } else if !pruned.is_none() && is_large(&journal) {
        printer.note(NOT_REWRITTEN);
    }
    if args.json {
        printer.json(&pruned)?;
        return Ok(0);
    }
    let Pruned { by: _, erased, first, last, removed } = pruned;
    printer.line(format!("{} removed, {erased} erased", count(removed, "record")));
    if let (Some(first), Some(last)) = (first, last) {
        printer.line(format!("from {first} to {last}"));
    }
    Ok(0)
}
