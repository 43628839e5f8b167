//! `airlock why CALL`: tells why a call ended as it did.

use std::path::{Path, PathBuf};

use super::Ended;
use super::found::Found;
use super::page::Page;
use super::print::Printer;
use airlock_journal::telling;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The record's id as the reply has it, or its beginning
    #[arg(value_name = "CALL")]
    id: String,
    /// The age identity of `journal.recipient`: shows what is confidential in the call
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

pub(super) async fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let found = Found::look(&args.id, registry)?.opened(args.identity.as_deref())?;
    let mut page = Page::new(printer);
    page.told(&telling::why(&found.record, found.stand, &found.grades));
    page.end();
    if args.identity.is_none() {
        found.note_sealed(printer);
    }
    Ok(found.end(printer))
}
