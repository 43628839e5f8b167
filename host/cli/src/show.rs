//! `airlock show ID`: prints the record of a call.

use std::path::Path;

use super::Ended;
use super::print::{Message, Printer};
use airlock::config::ConfigFile;
use airlock::host;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The record's id as the reply has it, or its beginning: twelve characters tell records of the same minute apart
    id: String,
}

pub(super) async fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let file = ConfigFile::read(registry)?;
    // The journal alone, without a host: a record must be readable even if a component of the registry is broken.
    let journal = host::open_journal(&file)?;
    let found = journal.find(&args.id).map_err(|err| Message(err.to_string()))?;
    if let Some(record) = found {
        if record.erased_unix_ms.is_some() {
            printer.note("note: retention erased what the call and its tools said; this is what is left");
        }
        printer.json(&record)?;
        return Ok(0);
    }
    // A call with effects is in the journal from before it starts.
    let open = journal.find_open(&args.id).map_err(|err| Message(err.to_string()))?;
    let Some(call) = open else {
        return Err(Message(format!(
            "no record `{}` in the journal of {}; the id is the `record` of a reply",
            args.id,
            registry.display()
        ))
        .into());
    };
    printer.note(if call.is_running {
        "note: the call is still running; this is what was known when it started"
    } else {
        "note: the process of the call ended while it ran, so that its outcome is unknown; this is what was known when it \
         started"
    });
    printer.json(&call.record)?;
    Ok(0)
}
