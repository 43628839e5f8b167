//! `airlock journal verify`: looks for records that were edited, dropped, inserted or reordered.

use std::path::{Path, PathBuf};

use super::proof::{checkpoints, open};
use crate::print::{Message, Printer};
use crate::{EXIT_NO, Ended};
use airlock_journal::evidence::{Begun, Exported, Fault, FaultKind, Replaced, Verified};
use airlock_journal::log::VerifyingKey;
use airlock_types::words::count;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file with checkpoints that was kept elsewhere: a tail that was cut off is found against them
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
    /// The key that signed checkpoints and entries, as `airlock journal key` printed it; without it the one beside the journal
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, registry: &Path, printer: &Printer) -> Ended {
    let since = args.since.as_deref().map(checkpoints).transpose()?.unwrap_or_default();
    let key = args.key.as_deref().map(str::parse::<VerifyingKey>).transpose();
    let key = key.map_err(|err| Message(err.to_string()))?;
    let verified = open(registry)?.verify(&since, key.as_ref())?;
    if args.json {
        printer.json(&verified)?;
    } else {
        print(&verified, since.len(), printer);
    }
    Ok(if verified.faults_count == 0 { 0 } else { EXIT_NO })
}

fn print(verified: &Verified, given: usize, printer: &Printer) {
    for Fault { kind, number, id, what } in &verified.faults {
        let number = number.map_or(String::new(), |number| format!(" entry {number}"));
        let id = id.as_ref().map_or(String::new(), |id| format!(" {id}"));
        printer.line(format!("{}{number}{id}: {what}", kind.as_str()));
    }
    let more = verified.faults_count - verified.faults.len() as u64;
    if more > 0 {
        printer.line(format!("and {more} more"));
    }
    let Verified { entries, before, removed, erased, open, lost, owed, unreadable, .. } = verified;
    let entries = if *entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") };
    printer.line(format!("{entries}, {}", count(verified.faults_count, "fault")));
    if let Some(root) = &verified.root {
        printer.line(format!("root {root}"));
    }
    let counts = [
        (*before, "entries are about what was there before the log"),
        (*removed, "entries are of records that retention removed"),
        (*erased, "entries are of records that retention erased"),
        (*open, "calls have started and not ended"),
        (*lost, "records were lost and are a gap, as the log says"),
        (
            *owed,
            "records were lost by a process that ended before it had written them, and the log does not say so yet",
        ),
        (*unreadable, "records from before the log cannot be read: only their text is covered"),
    ];
    for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
        printer.line(format!("{count} {what}"));
    }
    for Replaced { id, number, by } in &verified.replaced {
        printer.line(format!("the record {id} of entry {number} was written again, as entry {by}"));
    }
    let more = verified.replaced_count - verified.replaced.len() as u64;
    if more > 0 {
        printer.line(format!("and {more} more records were written again"));
    }
    if let Some(Begun { number, key }) = &verified.begun {
        printer.line(format!(
            "the key of the log, `{key}`, began to sign with entry {number}: what the log says before it of retention and exports was what it \
             found there"
        ));
    }
    for key in &verified.other_keys {
        printer
            .line(format!("earlier checkpoints left the machine that another key signed, that of `{key}`"));
    }
    match verified.tiles {
        Some(size) => printer.line(format!("tiles on disk: {size} entries")),
        None if verified.faults.iter().any(|fault| fault.kind == FaultKind::Tile) => {
            printer.line("tiles on disk: none that can be used; see the faults above");
        }
        None => printer
            .line("tiles on disk: none; a server builds them, and so does `airlock journal checkpoint`"),
    }
    unprotected(verified, given, printer);
}

/// Says what can be cut off or exchanged without a trace.
fn unprotected(verified: &Verified, given: usize, printer: &Printer) {
    match &verified.exported {
        Some(Exported { size, to, at_unix_ms: _ }) => {
            printer.line(format!("the last exported checkpoint is of {size} entries, and went to {to}"));
        }
        None => printer
            .line("no checkpoint has left the machine, as far as the log says (`journal.checkpoint.to`)"),
    }
    match verified.agreed.last() {
        Some(size) => {
            let tail = verified.unprotected;
            printer.line(format!("the first {size} entries are those of a given checkpoint; the {tail} behind them are unprotected"));
        }
        None if given > 0 => printer.line(
            "the log does not agree with any given checkpoint: see the faults above; nothing of it is protected by them",
        ),
        None => printer.line(
            "no checkpoint was given (`--since`): whoever owns the disk could have written all of this anew, or cut off its end",
        ),
    }
}
