//! One entry: its leaf, and what it says of others.

use rusqlite::Row;

use super::{Verifier, gone};
use crate::evidence::{FaultKind, Replaced};
use crate::log::{Entry, Hash, Kind};
use crate::store::log::text;
use crate::store::{StoreError, log, signed};
use airlock_types::digest::sha256_of;

/// Most keys of exported checkpoints that are told.
const KEYS_MAX: usize = 16;

/// A row of the log, as it is found. What has the wrong length stays so that it can be told.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) number: u64,
    pub(super) leaf: Vec<u8>,
    kind: Option<String>,
    pub(super) id: Option<String>,
    head: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
    salt: Option<Vec<u8>>,
    ends: Option<String>,
    text: Option<String>,
}

/// An entry whose leaf is its own.
pub(super) struct Sound {
    pub(super) number: u64,
    pub(super) kind: Kind,
    pub(super) id: String,
    pub(super) head: Option<Hash>,
    pub(super) payload: Option<Hash>,
    pub(super) salt: Option<Vec<u8>>,
    text: Option<String>,
    ends: Vec<u64>,
}

/// An intent that no entry ended yet.
pub(super) struct Pending {
    pub(super) id: String,
    pub(super) head: Option<Hash>,
    pub(super) payload: Option<Hash>,
    pub(super) salt: Option<Vec<u8>>,
}

/// An entry that another one names.
struct Other {
    kind: Kind,
    id: String,
    is_salted: bool,
}

impl Found {
    /// The columns that `of` reads, in their order.
    pub(super) const COLUMNS: &str = "number, leaf, kind, id, head, payload, salt, ends, text";

    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Found> {
        Ok(Found {
            number: row.get::<_, i64>(0)?.unsigned_abs(),
            leaf: row.get(1)?,
            kind: text(row, 2)?,
            id: text(row, 3)?,
            head: row.get(4)?,
            payload: row.get(5)?,
            salt: row.get(6)?,
            ends: text(row, 7)?,
            text: text(row, 8)?,
        })
    }

    /// The entry at a place, if its columns are those of one.
    fn sound(&self, number: u64) -> Option<Sound> {
        let hash = |bytes: &Option<Vec<u8>>| -> Option<Option<Hash>> {
            bytes
                .as_ref()
                .map(|bytes| bytes.as_slice().try_into().ok())
                .map_or(Some(None), |hash| hash.map(Some))
        };
        let ends: Vec<u64> = match &self.ends {
            None => Vec::new(),
            Some(text) => {
                let ends: Vec<u64> = serde_json::from_str(text).ok()?;
                // One form only, as in the entry.
                (!ends.is_empty() && serde_json::to_string(&ends).ok()? == *text).then_some(ends)?
            }
        };
        let kind = Kind::named(self.kind.as_deref()?)?;
        let (head, payload) = (hash(&self.head)?, hash(&self.payload)?);
        let entry = Entry { ends: &ends, head, id: self.id.as_deref(), kind, number, payload };
        (entry.leaf() == self.leaf.as_slice()).then(|| Sound {
            number,
            kind,
            id: self.id.clone().unwrap_or_default(),
            head,
            payload,
            salt: self.salt.clone(),
            text: self.text.clone(),
            ends,
        })
    }

    /// Whether it is the entry of this place.
    pub(super) fn is_of(&self, number: u64) -> bool {
        self.sound(number).is_some()
    }

    /// Whether nothing but number and leaf is left.
    fn is_bare(&self) -> bool {
        let Found { number: _, leaf: _, kind, id, head, payload, salt, ends, text } = self;
        let texts = [kind, id, ends, text].into_iter().all(Option::is_none);
        texts && [head, payload, salt].into_iter().all(Option::is_none)
    }
}

impl Sound {
    /// Whether this is what the payload is the digest of.
    pub(super) fn is_payload(&self, text: &str) -> bool {
        is_payload(self.payload, self.salt.as_deref(), text)
    }

    /// Whether this is what the head is the digest of.
    pub(super) fn is_head(&self, text: &str) -> bool {
        self.head == Some(sha256_of(&[text.as_bytes()]))
    }
}

pub(super) fn is_payload(payload: Option<Hash>, salt: Option<&[u8]>, text: &str) -> bool {
    payload.zip(salt).is_some_and(|(payload, salt)| payload == sha256_of(&[salt, text.as_bytes()]))
}

impl Verifier<'_> {
    /// Checks one entry with the row that it is about.
    pub(super) fn entry(&mut self, found: Found) -> Result<(), StoreError> {
        let (number, is_removed) = (found.number, self.gone.is_removed(found.number));
        if found.is_bare() {
            self.report.removed += 1;
            if !is_removed {
                let what = "what it was about was removed, and retention does not say so";
                self.report.fault(FaultKind::Dropped, Some(number), None, what);
            }
            return Ok(());
        }
        let Some(entry) = found.sound(number) else {
            self.mismatched.push(found);
            if self.mismatched.len() > 4 * super::REORDERED_MAX {
                self.reordered();
            }
            return Ok(());
        };
        if is_removed {
            let what = "retention removed what it was about, and it is there again";
            self.report.fault(FaultKind::Inserted, Some(number), Some(&entry.id), what);
            return Ok(());
        }
        self.report.erased += u64::from(self.gone.erased_at(number).is_some());
        self.ended(&entry)?;
        if let Some(what) = self.fault(&entry)? {
            let id = (!entry.id.is_empty()).then_some(entry.id.as_str());
            self.report.fault(what.0, Some(number), id, what.1);
        }
        Ok(())
    }

    /// What is wrong with what an entry is about.
    fn fault(&mut self, entry: &Sound) -> Result<Option<(FaultKind, String)>, StoreError> {
        let edited = |what: &str| Some((FaultKind::Edited, what.to_owned()));
        // A column that the leaf does not cover has no content of its own.
        if entry.payload.is_none() && entry.salt.is_some() {
            return Ok(edited("it has a salt, and nothing that is salted"));
        }
        match entry.kind {
            Kind::Call | Kind::Effect | Kind::Grade | Kind::Intent | Kind::Withdrawn
                if entry.text.is_some() =>
            {
                Ok(edited("it has a text, which entries of its kind do not have"))
            }
            Kind::Call => self.record(entry, "records"),
            Kind::Effect => self.record(entry, "committed"),
            Kind::Grade => self.grade(entry),
            Kind::Intent => {
                let Sound { number, id, head, payload, salt, .. } = entry;
                let pending = Pending { id: id.clone(), head: *head, payload: *payload, salt: salt.clone() };
                self.pending.insert(*number, pending);
                Ok(None)
            }
            Kind::Withdrawn => Ok(None),
            Kind::Before | Kind::Prune | Kind::Gap | Kind::Checkpoint | Kind::Key => Ok(self.told(entry)),
        }
    }

    /// An entry whose content is in the log itself.
    fn told(&mut self, entry: &Sound) -> Option<(FaultKind, String)> {
        let text = entry.text.as_deref().unwrap_or_default();
        if !entry.is_head(text) {
            return Some((FaultKind::Edited, "its text is not the one that was written".to_owned()));
        }
        let told: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        match entry.kind {
            Kind::Gap => {
                // Entries of this kind are not signed: a forged one must not cancel the loss that another one tells of.
                self.report.lost = self.report.lost.saturating_add(told["lost"].as_u64().unwrap_or(0));
            }
            Kind::Checkpoint => {
                self.signed(&told);
                return self.signature(entry.kind, entry.number, text);
            }
            Kind::Prune => {
                let fault = gone::fault(entry.number, text).map(|what| (FaultKind::Edited, what));
                let fault = fault.or_else(|| self.signature(entry.kind, entry.number, text));
                return fault.or_else(|| self.took_others(entry.number, text));
            }
            Kind::Key if told["size"].as_u64() != Some(entry.number) => {
                let what = "it is not about the entries before it";
                return Some((FaultKind::Edited, what.to_owned()));
            }
            Kind::Key => return self.signature(entry.kind, entry.number, text),
            Kind::Before if entry.number == 0 => {
                let counts = told.as_object().into_iter().flatten();
                let counts = counts.filter_map(|(_, count)| count.as_u64());
                self.report.before = counts.fold(0, u64::saturating_add);
            }
            Kind::Before => {
                let what = "only the first entry is about what was there before the log";
                return Some((FaultKind::Inserted, what.to_owned()));
            }
            Kind::Call | Kind::Effect | Kind::Intent | Kind::Withdrawn | Kind::Grade => {}
        }
        None
    }

    /// Notes whose key signed a checkpoint that was exported. Entries of early versions do not say it.
    fn signed(&mut self, told: &serde_json::Value) {
        let keys = &mut self.report.other_keys;
        if let Some(origin) = told["origin"].as_str()
            && keys.len() < KEYS_MAX
            && !keys.iter().any(|key| key == origin)
        {
            keys.push(origin.to_owned());
        }
    }

    /// Checks what an entry says that it ended: earlier entries about the same id, of kinds that one of its kind can end.
    fn ended(&mut self, entry: &Sound) -> Result<(), StoreError> {
        for ended in &entry.ends {
            let (number, id) = (entry.number, Some(entry.id.as_str()).filter(|id| !id.is_empty()));
            let other = self.other(*ended)?.filter(|_| *ended < number);
            let fitting = other.filter(|other| other.id == entry.id && entry.kind.may_end(other.kind));
            let Some(other) = fitting else {
                let what = format!(
                    "it says that it ended entry {ended}, which is not one that a `{}` of this id can end",
                    entry.kind.as_str()
                );
                self.report.fault(FaultKind::Inserted, Some(number), id, what);
                continue;
            };
            self.pending.remove(ended);
            if other.is_salted {
                let what = format!("entry {number} ended it, and it has a salt still");
                self.report.fault(FaultKind::Edited, Some(*ended), id, what);
            }
            // An entry without a payload attests again what retention left of the same record.
            if other.kind != Kind::Intent && entry.payload.is_some() {
                self.report.replaced(Replaced { id: entry.id.clone(), number: *ended, by: number });
            }
        }
        Ok(())
    }

    /// What an entry says that it is, whether or not it was written so: that is found where the entry itself is checked.
    fn other(&self, number: u64) -> Result<Option<Other>, StoreError> {
        let other = "SELECT kind, id, salt IS NOT NULL FROM log WHERE number = ?1";
        let mut query = self.connection.prepare_cached(other)?;
        let mut rows = query.query([signed(number)])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let (Some(kind), Some(id)) = (text(row, 0)?, text(row, 1)?) else { return Ok(None) };
        let is_salted = row.get(2)?;
        Ok(Kind::named(&kind).map(|kind| Other { kind, id, is_salted }))
    }

    /// Whether no later entry ended this one.
    pub(super) fn is_standing(&self, entry: &Sound) -> Result<bool, StoreError> {
        Ok(log::standing(self.connection, &entry.id, &[entry.kind])?.contains(&entry.number))
    }
}
