//! Verification: every entry of the log against the row that it is about, the tiles and checkpoints against the log.
//!
//! Reads in transactions of one tile's entries each, so that the database can be written meanwhile. Its memory does not grow
//! with the journal, but for the ranges of what retention took and the calls that are open.

mod entry;
mod gone;
mod row;
mod tables;
mod tree;

use std::collections::BTreeMap;

use data_encoding::BASE64;
use rusqlite::{Connection, params};
use serde::Deserialize;

use super::{StoreError, log, signed};
use crate::evidence::{Exported, FaultKind, Verified};
use crate::log::{Hash, Kind, Note, Tiles, VerifyingKey};
use entry::{Found, Pending};
use gone::Gone;
use tree::Tree;

/// Entries that one transaction checks: those of a tile.
const CHUNK: u64 = 256;

/// Mismatched entries among which it is looked for one that belongs to the place of another.
const REORDERED_MAX: usize = 256;

/// What a log is compared with.
pub(crate) struct Against<'a> {
    /// Locked by the caller; none if there are none.
    pub(crate) tiles: Option<&'a Tiles>,
    /// Checkpoints that were kept elsewhere.
    pub(crate) since: &'a [Note],
    /// The key that must have signed checkpoints; none if it is not known.
    pub(crate) key: Option<&'a VerifyingKey>,
}

/// A verification as it goes on.
struct Verifier<'v> {
    connection: &'v Connection,
    report: Verified,
    gone: Gone,
    /// Intents that no entry ended so far, by number.
    pending: BTreeMap<u64, Pending>,
    /// Entries whose leaf is not theirs: they may belong to another place.
    mismatched: Vec<Found>,
}

/// Verifies a journal.
pub(crate) fn verify(connection: &Connection, against: &Against<'_>) -> Result<Verified, StoreError> {
    let mut verifier = Verifier {
        connection,
        report: Verified { entries: log::size(connection)?, ..Verified::default() },
        gone: Gone::default(),
        pending: BTreeMap::new(),
        mismatched: Vec::new(),
    };
    let mut tree = Tree::new(against, &mut verifier.report);
    let entries = verifier.report.entries;
    let mut first = 0;
    while first < entries {
        let leaves = verifier.chunk(first, entries.min(first + CHUNK))?;
        tree.append(first, &leaves, &mut verifier.report);
        first += CHUNK;
        if leaves.iter().all(Option::is_none) {
            first = verifier.skip(first)?;
        }
    }
    verifier.reordered();
    tree.end(&mut verifier.report);
    verifier.open_intents()?;
    verifier.tables()?;
    let latest = log::latest(connection, Kind::Checkpoint)?;
    verifier.report.exported = latest.and_then(|(_, text)| exported(&text));
    verifier.report.faults.sort_by_key(|fault| (fault.number.is_none(), fault.number, fault.kind));
    Ok(verifier.report)
}

impl Verifier<'_> {
    /// Checks the entries of one tile. Returns the leaf of each, `None` for one that is missing.
    fn chunk(&mut self, first: u64, end: u64) -> Result<Vec<Option<Hash>>, StoreError> {
        let transaction = self.connection.unchecked_transaction()?;
        self.gone.catch_up(self.connection)?;
        let entries = "SELECT number, leaf, kind, id, head, payload, salt, ends, text FROM log
                       WHERE number >= ?1 AND number < ?2 ORDER BY number";
        let mut query = self.connection.prepare_cached(entries)?;
        let mut rows = query.query(params![signed(first), signed(end)])?;
        let mut leaves = vec![None; (end - first) as usize];
        let mut next = first;
        while let Some(row) = rows.next()? {
            let found = Found::of(row)?;
            self.missing(next..found.number);
            next = found.number + 1;
            leaves[(found.number - first) as usize] = found.leaf.as_slice().try_into().ok();
            self.entry(found)?;
        }
        self.missing(next..end);
        drop(rows);
        drop(query);
        transaction.commit()?;
        Ok(leaves)
    }

    /// Passes over entries that are missing, since there may be any number of them. Returns the first one of the next tile that
    /// has one.
    fn skip(&mut self, first: u64) -> Result<u64, StoreError> {
        let next = "SELECT min(number) FROM log WHERE number >= ?1";
        let next: Option<i64> =
            self.connection.prepare_cached(next)?.query_row([signed(first)], |row| row.get(0))?;
        let next = next.map_or(first, |next| next.unsigned_abs() / CHUNK * CHUNK);
        if next > first {
            let what = format!("the entries from {first} to {} are missing", next - 1);
            self.report.fault(FaultKind::Dropped, Some(first), None, what);
        }
        Ok(next)
    }

    fn missing(&mut self, numbers: std::ops::Range<u64>) {
        for number in numbers {
            self.report.fault(FaultKind::Dropped, Some(number), None, "the entry is missing");
        }
    }

    /// Tells of mismatched entries, and which of them belong to the places of others.
    fn reordered(&mut self) {
        let found = std::mem::take(&mut self.mismatched);
        for one in &found {
            let others = found.iter().take(REORDERED_MAX).map(|other| other.number);
            let place = others.filter(|number| *number != one.number).find(|number| one.is_of(*number));
            let id = one.id.as_deref();
            match place {
                Some(place) => {
                    let what = format!("the entry belongs to the place {place}");
                    self.report.fault(FaultKind::Reordered, Some(one.number), id, what);
                }
                None => {
                    let what = "the columns of the entry are not those that its leaf is the hash of";
                    self.report.fault(FaultKind::Edited, Some(one.number), id, what);
                }
            }
        }
    }
}

/// What an entry about an export says.
pub(crate) fn exported(text: &str) -> Option<Exported> {
    #[derive(Deserialize)]
    struct Told {
        at_unix_ms: u64,
        size: u64,
        to: String,
    }
    let Told { at_unix_ms, size, to } = serde_json::from_str(text).ok()?;
    Some(Exported { size, at_unix_ms, to })
}

pub(crate) fn base64(hash: &Hash) -> String {
    BASE64.encode(hash)
}
