//! Verification: the schema and the pages of the database, every entry of the log against the row that it is about, the tiles
//! and checkpoints against the log.
//!
//! Reads entries in transactions of one tile each, so that the database can be written meanwhile. Its memory does not grow
//! with the journal, but for the ranges of what retention took and the calls that are open.

mod entry;
mod gone;
mod row;
mod schema;
mod signature;
mod tables;
mod tree;

use std::collections::BTreeMap;

use data_encoding::BASE64;
use rusqlite::{Connection, params};
use serde::Deserialize;

use super::{StoreError, log, signed};
use crate::evidence::{Exported, Fault, FaultKind, Verified};
use crate::log::{Hash, KeyError, Kind, Note, Tiles, VerifyingKey};
use crate::state::StateError;
use entry::{Found, Pending};
use gone::Gone;
use signature::Signatures;
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
    /// The keys that may have signed entries.
    pub(crate) keys: Vec<&'a VerifyingKey>,
    /// Why the key beside the journal cannot be used: a fault, and no reason to look at nothing else.
    pub(crate) unusable: Option<KeyError>,
    /// Why what is in the place of the tiles cannot be used. It is a fault in the same way.
    pub(crate) misplaced: Option<StateError>,
}

/// A verification as it goes on.
struct Verifier<'v> {
    connection: &'v Connection,
    report: Verified,
    gone: Gone,
    signatures: Signatures<'v>,
    /// Intents that no entry ended so far, by number.
    pending: BTreeMap<u64, Pending>,
    /// Entries whose leaf is not theirs: they may belong to another place.
    mismatched: Vec<Found>,
}

/// Verifies a journal.
pub(crate) fn verify(connection: &Connection, against: &Against<'_>) -> Result<Verified, StoreError> {
    let mut verifier = Verifier::new(connection, &against.keys);
    if let Some(err) = &against.unusable {
        verifier.report.fault(FaultKind::Key, None, None, err.to_string());
    }
    if let Some(err) = &against.misplaced {
        verifier.report.fault(FaultKind::Tile, None, None, err.to_string());
    }
    // Nothing can be read from tables that are others.
    if verifier.schema()? {
        let walked = verifier.pages().and_then(|()| verifier.walk(against));
        match walked {
            // Of a database that does not hold together, what was found says more than where the reading ended.
            Err(err) if verifier.report.faults_count > 0 => {
                let what = format!("the rest cannot be checked: {err}");
                verifier.report.fault(FaultKind::Schema, None, None, what);
            }
            walked => walked?,
        }
    }
    Ok(verifier.report.sorted())
}

/// What is wrong with the record, the intent and the grades of one call. Less than a verification: neither the tiles nor the other
/// entries are looked at. Without a key, signatures are not.
pub(crate) fn record(
    connection: &Connection,
    id: &str,
    key: Option<&VerifyingKey>,
) -> Result<Vec<Fault>, StoreError> {
    let keys: Vec<&VerifyingKey> = key.into_iter().collect();
    let mut verifier = Verifier::new(connection, &keys);
    // One state for all of it: retention may erase the record meanwhile, and the call may end.
    let _snapshot = connection.unchecked_transaction()?;
    verifier.gone.catch_up(connection)?;
    verifier.signatures.begin(connection)?;
    // The first one says how many entries are about rows of early versions.
    let entries = format!(
        "SELECT {} FROM log WHERE id = ?1 OR (id > ?1 || '/' AND id < ?1 || '0') OR (number = 0 AND kind = 'before')
         ORDER BY number",
        Found::COLUMNS
    );
    let mut query = connection.prepare_cached(&entries)?;
    let found = query.query_map([id], Found::of)?.collect::<Result<Vec<_>, _>>()?;
    for found in found {
        verifier.erasure(found.number, id)?;
        verifier.entry(found)?;
    }
    verifier.reordered();
    verifier.open_intents()?;
    verifier.rows_of(id)?;
    let mut faults = verifier.report.sorted().faults;
    faults.retain(|fault| fault.id.as_deref().is_some_and(|of| of.starts_with(id)));
    Ok(faults)
}

impl<'v> Verifier<'v> {
    fn new(connection: &'v Connection, keys: &'v [&'v VerifyingKey]) -> Verifier<'v> {
        Verifier {
            connection,
            report: Verified::default(),
            gone: Gone::default(),
            signatures: Signatures::new(keys),
            pending: BTreeMap::new(),
            mismatched: Vec::new(),
        }
    }

    /// Checks everything in the tables.
    fn walk(&mut self, against: &Against<'_>) -> Result<(), StoreError> {
        let entries = self.size()?;
        self.report.entries = entries;
        let begun = self.signatures.begin(self.connection)?;
        self.report.begun = begun.as_ref().map(|(begun, _)| begun.clone());
        let mut tree = Tree::new(against, begun, &mut self.report);
        let mut first = 0;
        while first < entries {
            let leaves = self.chunk(first, entries.min(first + CHUNK))?;
            tree.append(first, &leaves, &mut self.report);
            first += CHUNK;
            if leaves.iter().all(Option::is_none) {
                first = self.skip(first)?;
            }
        }
        self.reordered();
        tree.end(&mut self.report);
        let transaction = self.connection.unchecked_transaction()?;
        self.open_intents()?;
        transaction.commit()?;
        self.tables()?;
        let latest = log::latest(self.connection, Kind::Checkpoint)?;
        self.report.exported = latest.and_then(|(_, text)| exported(&text));
        self.report.other_keys.retain(|key| against.key.is_none_or(|own| own.name() != key));
        Ok(())
    }

    /// Number of entries, without those at places that no entry can have.
    fn size(&mut self) -> Result<u64, StoreError> {
        let last = "SELECT 1 FROM log WHERE number = ?1 UNION ALL SELECT 1 FROM leaves WHERE number = ?1";
        let last = self.connection.prepare(last)?.exists([i64::MAX])?;
        if last {
            let what = "no log is so long";
            self.report.fault(FaultKind::Inserted, Some(i64::MAX.unsigned_abs()), None, what);
        }
        let size = "SELECT coalesce(max(number) + 1, 0) FROM
                    (SELECT max(number) AS number FROM log WHERE number >= 0 AND number < ?1
                     UNION ALL SELECT max(number) FROM leaves WHERE number >= 0 AND number < ?1)";
        let size: i64 = self.connection.query_row(size, [i64::MAX], |row| row.get(0))?;
        Ok(size.unsigned_abs())
    }
}

impl Verifier<'_> {
    /// Checks the entries of one tile. Returns the leaf of each, `None` for one that is missing.
    fn chunk(&mut self, first: u64, end: u64) -> Result<Vec<Option<Hash>>, StoreError> {
        let transaction = self.connection.unchecked_transaction()?;
        self.gone.catch_up(self.connection)?;
        // A removed one has its leaf alone.
        let entries = format!(
            "SELECT {} FROM log WHERE number >= ?1 AND number < ?2
             UNION ALL SELECT number, leaf, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM leaves
             WHERE number >= ?1 AND number < ?2 ORDER BY number",
            Found::COLUMNS
        );
        let mut query = self.connection.prepare_cached(&entries)?;
        let mut rows = query.query(params![signed(first), signed(end)])?;
        let mut leaves = vec![None; (end - first) as usize];
        let mut next = first;
        while let Some(row) = rows.next()? {
            let found = Found::of(row)?;
            self.missing(next..found.number);
            if found.number < next {
                let (number, id) = (Some(found.number), found.id.as_deref());
                self.report.fault(
                    FaultKind::Inserted,
                    number,
                    id,
                    "it is there, and its leaf as that of a removed one, too",
                );
            }
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
        let next = "SELECT min(number) FROM (SELECT min(number) AS number FROM log WHERE number >= ?1 AND number < ?2
                    UNION ALL SELECT min(number) FROM leaves WHERE number >= ?1 AND number < ?2)";
        let next: Option<i64> =
            self.connection.prepare_cached(next)?.query_row([signed(first), i64::MAX], |row| row.get(0))?;
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
