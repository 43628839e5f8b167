//! What retention says that it took: the numbers of entries, from the entries about it.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use serde::Deserialize;

use crate::grade::GRADES_MAX;
use crate::log::Ranges;
use crate::store::{StoreError, log, signed};
use airlock_types::words::count;

/// The numbers of entries whose rows retention erased or removed.
#[derive(Debug, Default)]
pub(super) struct Gone {
    removed: Ranges,
    /// The first number of each range, and what was said of it.
    erased: BTreeMap<u64, Erased>,
    /// The number behind the last entry that was read.
    next: u64,
}

/// A range of entries whose content was erased.
#[derive(Clone, Copy, Debug)]
struct Erased {
    last: u64,
    at_unix_ms: i64,
    /// The number of the entry that says so.
    by: u64,
}

/// What an entry says. Those that are older than the log have no numbers of entries.
#[derive(Deserialize)]
struct Told {
    at_unix_ms: i64,
    #[serde(default)]
    erased: u64,
    #[serde(default)]
    erased_entries: Ranges,
    first: Option<String>,
    last: Option<String>,
    leaves: Option<String>,
    #[serde(default)]
    removed: u64,
    #[serde(default)]
    removed_entries: Ranges,
}

/// Most entries that one record has with its grades: those of its intents and of itself, which may have been written more than once.
const RECORD_ENTRIES_MAX: u64 = GRADES_MAX as u64 + 28;

/// What is wrong with the entry at this place, which says what retention took.
pub(super) fn fault(number: u64, text: &str) -> Option<String> {
    let Ok(told) = serde_json::from_str::<Told>(text) else {
        return Some("it does not say what retention took".to_owned());
    };
    let Told { at_unix_ms: _, erased, erased_entries, first, last, leaves: _, removed, removed_entries } =
        &told;
    let is_any = erased_entries.last().or(removed_entries.last()).is_some();
    let is_named = first.as_ref().zip(last.as_ref()).is_some_and(|(first, last)| first <= last);
    if is_any && !is_named {
        return Some("it does not say which records retention took".to_owned());
    }
    let both = [("erased", erased, erased_entries), ("removed", removed, removed_entries)];
    both.into_iter().find_map(|(took, records, entries)| {
        let count = entries.count();
        if entries.last().is_some_and(|last| last >= number) {
            return Some(format!("it says that retention {took} entries that come after it"));
        }
        // Each entry that is gone is that of a record, or of a grade that went with its record.
        (count > records.saturating_mul(RECORD_ENTRIES_MAX)).then(|| {
            format!("it says that retention {took} {records} records, and names {count} of their entries")
        })
    })
}

/// What an entry says of the leaves of the entries that it names; none in those of versions before 8.
pub(super) fn leaves(text: &str) -> Option<String> {
    serde_json::from_str::<Told>(text).ok()?.leaves
}

/// What the log has of them.
pub(super) fn digest(connection: &Connection, text: &str) -> Result<String, StoreError> {
    let told: Told = serde_json::from_str(text).map_err(|_| StoreError::Json)?;
    Ok(log::digest_of(connection, &[&told.erased_entries, &told.removed_entries])?)
}

/// What an entry says that retention took, in words.
pub(super) fn says(text: &str) -> String {
    let Ok(Told { erased, first, last, removed, .. }) = serde_json::from_str::<Told>(text) else {
        return "it says what retention took".to_owned();
    };
    let took = match (removed, erased) {
        (removed, 0) => format!("removed {}", count(removed, "record")),
        (0, erased) => format!("erased {}", count(erased, "record")),
        (removed, erased) => format!("removed {} and erased {erased}", count(removed, "record")),
    };
    let which = first.zip(last).map_or(String::new(), |(first, last)| match first == last {
        true => format!(", {first}"),
        false => format!(", from {first} to {last}"),
    });
    format!("it says that retention {took}{which}")
}

impl Gone {
    /// Reads the entries that were appended since.
    pub(super) fn catch_up(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let newer = "SELECT number, text FROM log WHERE kind = 'prune' AND text IS NOT NULL AND number >= ?1
                     ORDER BY number";
        let mut query = connection.prepare_cached(newer)?;
        let mut rows = query.query(params![signed(self.next)])?;
        while let Some(row) = rows.next()? {
            let by = row.get::<_, i64>(0)?.unsigned_abs();
            self.next = by + 1;
            // One that cannot be read is found where the entry itself is checked.
            let Ok(told) = serde_json::from_str::<Told>(row.get_ref(1)?.as_str().unwrap_or_default()) else {
                continue;
            };
            self.removed.add(&told.removed_entries);
            let at_unix_ms = told.at_unix_ms;
            let ranges = told.erased_entries.iter();
            self.erased.extend(ranges.map(|(first, last)| (first, Erased { last, at_unix_ms, by })));
        }
        Ok(())
    }

    pub(super) fn is_removed(&self, number: u64) -> bool {
        self.removed.contains(number)
    }

    /// When the content of an entry was erased.
    pub(super) fn erased_at(&self, number: u64) -> Option<i64> {
        self.erased(number).map(|erased| erased.at_unix_ms)
    }

    /// The number of the entry that says that the content of an entry was erased.
    pub(super) fn erased_by(&self, number: u64) -> Option<u64> {
        self.erased(number).map(|erased| erased.by)
    }

    fn erased(&self, number: u64) -> Option<&Erased> {
        let (_, erased) = self.erased.range(..=number).next_back()?;
        (number <= erased.last).then_some(erased)
    }
}
