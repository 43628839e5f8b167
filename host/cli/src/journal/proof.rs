//! `airlock journal checkpoint`, `key`, `prove` and `consistency`: what others can check without the journal.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::print::{Message, Printer};
use crate::{EXIT_NO, Ended, found};
use airlock::config::ConfigFile;
use airlock::file;
use airlock_journal::Journal;
use airlock_journal::log::Note;

/// Size of the largest file of checkpoints in bytes: half a million of them.
const CHECKPOINTS_BYTES_MAX: u64 = 128 << 20;

#[derive(Debug, clap::Args)]
pub(crate) struct ProveArgs {
    /// The record's id as the reply has it, or its beginning
    call: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConsistencyArgs {
    /// A file with the older checkpoint; the last one in it counts
    old: PathBuf,
    /// A file with the newer checkpoint; the last one in it counts
    new: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct KeyArgs {
    /// Make another one in the place of one that was lost. It signs the log as it is: what the log says until then of retention
    /// and exports needs no other signature
    #[arg(long)]
    new: bool,
}

/// The journal of a registry.
pub(super) fn open(registry: &Path) -> anyhow::Result<Journal> {
    crate::open::journal(&ConfigFile::read(registry)?)
}

/// The checkpoints in a file, at least one.
pub(super) fn checkpoints(path: &Path) -> Result<Vec<Note>, Message> {
    let failed = |why: &dyn std::fmt::Display| Message(format!("`{}`: {why}", path.display()));
    let text = file::read_text(path, CHECKPOINTS_BYTES_MAX).map_err(|err| failed(&err))?;
    let notes = Note::read_all(&text).map_err(|err| failed(&err))?;
    if notes.is_empty() { Err(failed(&"it has no checkpoint")) } else { Ok(notes) }
}

pub(crate) fn checkpoint(registry: &Path, printer: &Printer) -> Ended {
    let note = open(registry)?.checkpoint()?;
    printer.line(note.as_str().trim_end());
    Ok(0)
}

pub(crate) fn key(args: &KeyArgs, registry: &Path, printer: &Printer) -> Ended {
    let journal = open(registry)?;
    printer.line(if args.new { journal.new_checkpoint_key()? } else { journal.checkpoint_key()? });
    Ok(0)
}

pub(crate) fn prove(args: &ProveArgs, registry: &Path, printer: &Printer) -> Ended {
    let journal = open(registry)?;
    let record = found::ended(&journal, &args.call, registry)?;
    let Some(proof) = journal.prove(&record.id)? else {
        let what = format!("the record `{}` has no entry in the log", record.id);
        return Err(Message(format!("{what}; `airlock journal verify` says what else is wrong")).into());
    };
    printer.line(proof.to_string().trim_end());
    Ok(0)
}

pub(crate) fn consistency(args: &ConsistencyArgs, registry: &Path, printer: &Printer) -> Ended {
    let last = |path: &Path| checkpoints(path).map(|notes| notes.into_iter().next_back());
    let (old, new) = (last(&args.old)?.context("no checkpoint")?, last(&args.new)?.context("no checkpoint")?);
    match open(registry)?.consistency(&old, &new)? {
        Ok(proof) => {
            printer.json(&proof)?;
            Ok(0)
        }
        Err(why) => {
            printer.note(format!("not consistent: {why}"));
            Ok(EXIT_NO)
        }
    }
}
