//! What retention says that it took: the numbers of entries, from the entries about it.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use serde::Deserialize;

use crate::log::Ranges;
use crate::store::{StoreError, signed};

/// The numbers of entries whose rows retention erased or removed.
#[derive(Debug, Default)]
pub(super) struct Gone {
    removed: Ranges,
    /// The first number of each range, its last one, and when.
    erased: BTreeMap<u64, (u64, i64)>,
    /// The number behind the last entry that was read.
    next: u64,
}

#[derive(Deserialize)]
struct Told {
    at_unix_ms: i64,
    #[serde(default)]
    erased_entries: Vec<(u64, u64)>,
    #[serde(default)]
    removed_entries: Ranges,
}

impl Gone {
    /// Reads the entries that were appended since.
    pub(super) fn catch_up(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let newer = "SELECT number, text FROM log WHERE kind = 'prune' AND text IS NOT NULL AND number >= ?1
                     ORDER BY number";
        let mut query = connection.prepare_cached(newer)?;
        let mut rows = query.query(params![signed(self.next)])?;
        while let Some(row) = rows.next()? {
            self.next = row.get::<_, i64>(0)?.unsigned_abs() + 1;
            // One that cannot be read is found where the entry itself is checked.
            let Ok(told) = serde_json::from_str::<Told>(row.get_ref(1)?.as_str().unwrap_or_default()) else {
                continue;
            };
            self.removed.add(&told.removed_entries);
            self.erased
                .extend(told.erased_entries.iter().map(|(first, last)| (*first, (*last, told.at_unix_ms))));
        }
        Ok(())
    }

    pub(super) fn is_removed(&self, number: u64) -> bool {
        self.removed.contains(number)
    }

    /// When the content of an entry was erased.
    pub(super) fn erased_at(&self, number: u64) -> Option<i64> {
        let (_, (last, at)) = self.erased.range(..=number).next_back()?;
        (number <= *last).then_some(*at)
    }
}
