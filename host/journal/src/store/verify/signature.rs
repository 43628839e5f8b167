//! The signatures of entries about retention, exports and the key itself.
//!
//! Owns which entries need one: those behind the entry with which the key began to sign, and all of them in a log that has no such
//! entry. What is older is covered by that entry, which has the root of everything before it. Must not know what is signed.

use data_encoding::BASE64;
use rusqlite::{Connection, OptionalExtension as _};
use serde::Deserialize;

use super::{Verifier, gone};
use crate::evidence::{Begun, FaultKind};
use crate::log::{Hash, Kind, Signed, VerifyingKey, signed};
use crate::store::log::text;
use crate::store::{StoreError, signed as as_column};

/// Most entries about keys that are looked at for the one with which a key began: a log has one for each key that was lost.
const KEYS_MAX: u32 = 64;

/// The keys that may have signed entries, and the entry with which one of them began.
#[derive(Debug)]
pub(super) struct Signatures<'v> {
    keys: &'v [&'v VerifyingKey],
    begun: Option<u64>,
    /// Whether it was told that there is no key.
    is_told: bool,
}

/// The entry with which a key began, and the root of the entries before it; no root if one of them was missing.
pub(super) type WithRoot = (Begun, Option<Hash>);

impl<'v> Signatures<'v> {
    pub(super) fn new(keys: &'v [&'v VerifyingKey]) -> Signatures<'v> {
        Signatures { keys, begun: None, is_told: false }
    }

    /// Finds the entry with which a key began: the first of the keys that did, its last one if there are several. What is before
    /// an entry without the root of it is not covered, and needs signatures of its own.
    pub(super) fn begin(&mut self, connection: &Connection) -> Result<Option<WithRoot>, StoreError> {
        let last = format!(
            "SELECT number, text FROM log WHERE kind = 'key' AND text IS NOT NULL AND number >= 0
             ORDER BY number DESC LIMIT {KEYS_MAX}"
        );
        let mut query = connection.prepare(&last)?;
        let rows = query.query_map([], |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), text(row, 1)?)))?;
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let begun = self.keys.iter().find_map(|key| {
            let by = |number: u64, text: &str| signed(&[key], Kind::Key, number, text) == Signed::Valid;
            let of_key =
                |(number, text): &&(u64, Option<String>)| by(*number, text.as_deref().unwrap_or_default());
            let (number, text) = rows.iter().find(of_key)?;
            let root = root(text.as_deref().unwrap_or_default());
            Some((Begun { number: *number, key: key.name().to_owned() }, root))
        });
        self.begun = begun.as_ref().and_then(|(begun, root)| root.map(|_| begun.number));
        Ok(begun)
    }

    /// What is wrong with the signature of an entry.
    fn fault(&mut self, kind: Kind, number: u64, text: &str) -> Option<String> {
        if self.begun.is_some_and(|begun| number < begun) {
            return None;
        }
        if self.keys.is_empty() {
            let is_first = !std::mem::replace(&mut self.is_told, true);
            return is_first.then(|| {
                "whether it and later entries like it are signed cannot be checked: the key of the log is missing or unusable, and \
                 none is given"
                    .to_owned()
            });
        }
        let how = match signed(self.keys, kind, number, text) {
            Signed::Valid => return None,
            Signed::Missing => {
                "is not signed with the key of the log: another program wrote it, or the key was missing then"
                    .into()
            }
            Signed::Other(name) => format!("is signed with another key than that of the log, `{name}`"),
            Signed::Wrong => {
                "its signature is not one of the key of the log for this text at this place".to_owned()
            }
        };
        Some(format!("{}, and {how}", says(kind, text)))
    }
}

/// What an entry says.
fn says(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Prune => gone::says(text),
        Kind::Checkpoint => "it says that a checkpoint left the machine".to_owned(),
        Kind::Key => "it says what the log was when its key began to sign".to_owned(),
        Kind::Before
        | Kind::Call
        | Kind::Effect
        | Kind::Intent
        | Kind::Withdrawn
        | Kind::Grade
        | Kind::Gap => "it says something else".to_owned(),
    }
}

/// The root in the text of an entry with which a key began.
fn root(text: &str) -> Option<Hash> {
    #[derive(Deserialize)]
    struct Told {
        root: String,
    }
    let Told { root } = serde_json::from_str(text).ok()?;
    BASE64.decode(root.as_bytes()).ok()?.try_into().ok()
}

impl Verifier<'_> {
    /// What is wrong with the signature of an entry that needs one.
    pub(super) fn signature(&mut self, kind: Kind, number: u64, text: &str) -> Option<(FaultKind, String)> {
        self.signatures.fault(kind, number, text).map(|what| (FaultKind::Inserted, what))
    }

    /// Whether a signed entry about what retention took is about other entries than those of this log: it was taken from the log of
    /// another time. Nothing is computed for what nobody signed, which can name any number of entries.
    pub(super) fn took_others(&self, number: u64, text: &str) -> Option<(FaultKind, String)> {
        let leaves = gone::leaves(text)?;
        if signed(self.signatures.keys, Kind::Prune, number, text) != Signed::Valid {
            return None;
        }
        let is_same = gone::digest(self.connection, text).is_ok_and(|digest| digest == leaves);
        let what = || format!("{}, and the entries that it names are others", says(Kind::Prune, text));
        (!is_same).then(|| (FaultKind::Inserted, what()))
    }

    /// Checks what says that an entry of this id was erased. In a verification of everything that is an entry of its own.
    pub(super) fn erasure(&mut self, number: u64, id: &str) -> Result<(), StoreError> {
        let Some(by) = self.gone.erased_by(number).filter(|_| !self.signatures.keys.is_empty()) else {
            return Ok(());
        };
        let said = "SELECT text FROM log WHERE number = ?1 AND kind = 'prune'";
        let mut said = self.connection.prepare_cached(said)?;
        let said = said.query_row([as_column(by)], |row| text(row, 0)).optional()?;
        let said = said.flatten().unwrap_or_default();
        if let Some((kind, what)) = self.signature(Kind::Prune, by, &said) {
            let what = format!("by entry {by} it was erased: {what}");
            self.report.fault(kind, Some(number), Some(id), what);
        }
        Ok(())
    }
}
