//! Looks up one call by its id or the beginning of it.
//!
//! Owns what is said of an id that is none, or of which there is no call. Must not know what is done with the call.

use std::path::Path;

use super::print::{Message, Printer};
use super::{EXIT_NO, open, sealed};
use airlock::config::ConfigFile;
use airlock_journal::Journal;
use airlock_journal::evidence::Fault;
use airlock_journal::grade::Given;
use airlock_journal::listing::PREFIX_CHARS_MIN;
use airlock_journal::telling::{Stand, plain};
use airlock_types::record::Record;

/// Most characters of an id that an error repeats.
const SHOWN_CHARS_MAX: usize = 80;

/// A call on record.
pub(super) struct Found {
    pub(super) record: Record,
    pub(super) stand: Stand,
    pub(super) grades: Vec<Given>,
    /// What in it is not as the log has it.
    faults: Vec<Fault>,
}

impl Found {
    /// Looks into the journal alone, without a host: a record must be readable even if a component of the registry is broken.
    pub(super) fn look(id: &str, registry: &Path) -> anyhow::Result<Found> {
        check(id)?;
        let journal = open::journal(&ConfigFile::read(registry)?)?;
        let (record, stand) = match journal.find(id)? {
            Some(record) => (record, Stand::Ended),
            // A call with effects is in the journal from before it starts.
            None => {
                let call = journal.find_open(id)?.ok_or_else(|| missing(id, registry))?;
                (call.record, if call.is_running { Stand::Running } else { Stand::Interrupted })
            }
        };
        let (grades, faults) = (journal.grades(&record.id)?, journal.faults(&record.id)?);
        Ok(Found { record, stand, grades, faults })
    }

    /// The call with what is confidential in it, if an identity is given.
    pub(super) fn opened(mut self, identity: Option<&Path>) -> anyhow::Result<Found> {
        if let Some(identity) = identity {
            let identity = sealed::identity(identity)?;
            let opened = self.record.opened(|text| sealed::open(text.as_bytes(), &identity));
            self.record = opened.map_err(|err| Message(err.to_string()))?.with_bounds();
        }
        Ok(self)
    }

    /// Says on stderr what is not as the log has it. Returns the exit code of a verb that tells the call: 1 if there is something,
    /// since what it told is not what was recorded.
    pub(super) fn end(&self, printer: &Printer) -> u8 {
        tell_faults(&self.faults, &self.record.id, printer);
        if self.faults.is_empty() { 0 } else { EXIT_NO }
    }

    /// Says on stderr how what is confidential in the call can be shown, if it is kept.
    pub(super) fn note_sealed(&self, printer: &Printer) {
        let sealed = self.record.confidential.as_ref().map(|confidential| confidential.sealed.as_str());
        if sealed.is_some_and(|sealed| !sealed.is_empty()) {
            printer.note("note: what is confidential in the call is encrypted to `journal.recipient`: `--identity FILE` shows it");
        }
    }

    /// Says on stderr, beside a record as JSON, where the call stands.
    pub(super) fn note(&self, printer: &Printer) {
        match self.stand {
            Stand::Ended if self.record.erased_unix_ms.is_some() => {
                printer
                    .note("note: retention erased what the call and its tools said; this is what is left");
            }
            Stand::Ended => {}
            Stand::Running => {
                printer
                    .note("note: the call is still running; this is what was known when it started");
            }
            Stand::Interrupted => printer.note(
                "note: the process of the call ended while it ran, so that its outcome is unknown; this is what was known \
                 when it started",
            ),
        }
    }
}

/// A call that has ended, for verbs that do something with its record.
pub(super) fn ended(journal: &Journal, id: &str, registry: &Path) -> anyhow::Result<Record> {
    check(id)?;
    if let Some(record) = journal.find(id)? {
        return Ok(record);
    }
    let what = match journal.find_open(id)? {
        Some(_) => {
            Message(format!("the call `{id}` has not ended: `airlock show {id}` says where it stands"))
        }
        None => missing(id, registry),
    };
    Err(what.into())
}

/// Says on stderr what of a call is not as the log has it.
pub(super) fn tell_faults(faults: &[Fault], id: &str, printer: &Printer) {
    for Fault { what, .. } in faults {
        printer.note(format!("warning: the record `{id}` does not match the log: {what}"));
    }
    if !faults.is_empty() {
        printer.note("note: `airlock journal verify` says what else was changed");
    }
}

fn missing(id: &str, registry: &Path) -> Message {
    let how = format!("no record `{id}` in the journal of {}", registry.display());
    Message(format!("{how}; the id is the `record` of a reply, and `airlock log` lists them"))
}

/// Whether a text can be the beginning of an id. Told apart from an id without a record: another text helps here, and
/// another journal there.
pub(super) fn check(id: &str) -> Result<(), Message> {
    let is_id = !id.is_empty() && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    let shown = plain(id, SHOWN_CHARS_MAX);
    if !is_id {
        return Err(Message(format!(
            "`{shown}` is not the id of a call: ids have the digits 0 to 9, the letters a to f and dashes, such as \
             `01a219fa-f3ff`; the id is the `record` of a reply, and `airlock log` lists them"
        )));
    }
    if id.len() < PREFIX_CHARS_MIN {
        return Err(Message(format!(
            "`{shown}` is too short: give more of the id, {PREFIX_CHARS_MIN} characters or more"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(id: &str) -> String {
        check(id).map_or_else(|err| err.to_string(), |()| "it is one".to_owned())
    }

    #[test]
    fn what_is_no_id_is_told_from_too_little_of_one() {
        for id in ["", "zzz", "zzzzzzzzzzzz", "../01a219fa", "01A219FA-F3FF", "\u{202e}01a219fa"] {
            assert!(said(id).contains("is not the id of a call"), "{id}: {}", said(id));
        }
        assert!(said("01a2").contains("give more of the id, 8 characters or more"));
        for id in ["01a219fa", "01a219fa-f3ff-7a7c-95a0-5768104ee00c"] {
            assert_eq!(said(id), "it is one");
        }
        assert!(said(&"z".repeat(1 << 20)).chars().count() < 400);
    }
}
