//! `airlock show CALL`: tells one call, or prints its record.

use std::path::{Path, PathBuf};

use super::Ended;
use super::found::Found;
use super::page::Page;
use super::print::Printer;
use airlock_journal::telling;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The record's id as the reply has it, or its beginning: twelve characters tell records of the same minute apart
    #[arg(value_name = "CALL")]
    id: String,
    /// Print the whole record as one JSON document
    #[arg(long)]
    json: bool,
    /// The age identity of `journal.recipient`: shows what is confidential in the call
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

pub(super) async fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let found = Found::look(&args.id, registry)?.opened(args.identity.as_deref())?;
    if args.json {
        found.note(printer);
        printer.json(&found.record)?;
        return Ok(found.end(printer));
    }
    let mut page = Page::new(printer);
    page.told(&telling::show(&found.record, found.stand, &found.grades));
    page.end();
    if args.identity.is_none() {
        found.note_sealed(printer);
    }
    Ok(found.end(printer))
}
