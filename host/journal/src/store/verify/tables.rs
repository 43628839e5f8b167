//! The other way around: rows that no entry is about, and values that are stored apart.

use rusqlite::{Connection, params};

use super::Verifier;
use crate::evidence::FaultKind;
use crate::log::Kind;
use crate::store::log::text;
use crate::store::{StoreError, log};
use airlock_types::digest::sha256;

/// Rows that one statement looks at.
const PAGE: i64 = 1_024;

/// Size of the largest value that is decompressed, in bytes: that of the largest record.
const BODY_BYTES_MAX: usize = 64 << 20;

/// A table whose rows have entries.
struct Rows {
    table: &'static str,
    /// What their entries are about, as SQL.
    id: &'static str,
    kind: Kind,
    /// What it means that there is no entry.
    what: &'static str,
}

const RECORDS: Rows =
    Rows { table: "records", id: "id", kind: Kind::Call, what: "the record was never written" };
const COMMITTED: Rows =
    Rows { table: "committed", id: "id", kind: Kind::Effect, what: "the record was never written" };
const INTENTS: Rows = Rows {
    table: "intents",
    id: "id",
    kind: Kind::Intent,
    what: "the call did not start, or has ended: it is not settled at a start",
};
const GRADED: Rows = Rows {
    table: "graded",
    id: "call || '/grade/' || number",
    kind: Kind::Grade,
    what: "the grade was never given",
};

impl Rows {
    /// Whether the log has an entry about a row of this id that nothing ended.
    fn is_known(&self, connection: &Connection, id: &str) -> Result<bool, StoreError> {
        Ok(!log::standing(connection, id, &[self.kind])?.is_empty())
    }
}

impl Verifier<'_> {
    /// Rows of tables that nothing in the log is about.
    pub(super) fn tables(&mut self) -> Result<(), StoreError> {
        for rows in [RECORDS, COMMITTED, INTENTS, GRADED] {
            self.unknown(&rows)?;
        }
        let before = "SELECT 1 FROM log WHERE number < 0 UNION ALL SELECT 1 FROM leaves WHERE number < 0";
        if self.connection.prepare(before)?.exists([])? {
            self.report.fault(FaultKind::Inserted, None, None, "there are entries before the first one");
        }
        self.orphans()?;
        self.bodies()
    }

    /// Rows about one call that nothing in the log is about.
    pub(super) fn rows_of(&mut self, id: &str) -> Result<(), StoreError> {
        for rows in [RECORDS, COMMITTED, INTENTS] {
            let is_there = format!("SELECT 1 FROM {} WHERE id = ?1", rows.table);
            let is_there = self.connection.prepare_cached(&is_there)?.exists([id])?;
            if is_there && !rows.is_known(self.connection, id)? {
                self.report.fault(FaultKind::Inserted, None, Some(id), rows.what);
            }
        }
        Ok(())
    }

    fn unknown(&mut self, rows: &Rows) -> Result<(), StoreError> {
        let Rows { table, id, .. } = rows;
        let page = format!("SELECT rowid, {id} FROM {table} WHERE rowid >= ?1 ORDER BY rowid LIMIT {PAGE}");
        let mut from = Some(i64::MIN);
        while let Some(first) = from.take() {
            let mut query = self.connection.prepare_cached(&page)?;
            let mut found = query.query([first])?;
            while let Some(row) = found.next()? {
                let number: i64 = row.get(0)?;
                from = number.checked_add(1);
                let id = text(row, 1)?.unwrap_or_default();
                if !rows.is_known(self.connection, &id)? {
                    // The writer puts a row without an id there, to see whether it can write, and never commits it.
                    let named = if id.is_empty() { format!("row {number} of `{table}`") } else { id };
                    self.report.fault(FaultKind::Inserted, None, Some(&named), rows.what);
                }
            }
        }
        Ok(())
    }

    /// Uses of values by records that have none.
    fn orphans(&mut self) -> Result<(), StoreError> {
        let used = "EXISTS (SELECT 1 FROM records WHERE records.id = body_uses.record AND parts > 0)
                    OR EXISTS (SELECT 1 FROM committed WHERE committed.id = body_uses.record AND parts > 0)";
        let orphan = format!("SELECT record FROM body_uses WHERE NOT ({used})");
        let mut query = self.connection.prepare(&orphan)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let id = text(row, 0)?.unwrap_or_default();
            let what = "it uses a value, and no record of this id has one";
            self.report.fault(FaultKind::Inserted, None, Some(&id), what);
        }
        Ok(())
    }

    /// Values that are stored apart: each is what its digest says, and is used.
    fn bodies(&mut self) -> Result<(), StoreError> {
        let next =
            "SELECT number, sha256, bytes, zstd, EXISTS (SELECT 1 FROM body_uses WHERE body = bodies.number)
                    FROM bodies WHERE number >= ?1 ORDER BY number LIMIT 1";
        let mut query = self.connection.prepare(next)?;
        let mut from = Some(i64::MIN);
        while let Some(first) = from.take() {
            let mut rows = query.query(params![first])?;
            let Some(row) = rows.next()? else { return Ok(()) };
            from = row.get::<_, i64>(0)?.checked_add(1);
            let (digest, bytes, is_used): (_, i64, bool) =
                (text(row, 1)?.unwrap_or_default(), row.get(2)?, row.get(4)?);
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).min(BODY_BYTES_MAX);
            let value = zstd::bulk::decompress(row.get_ref(3)?.as_blob().unwrap_or_default(), bytes);
            let is_same = value.is_ok_and(|value| value.len() == bytes && sha256(&value) == digest);
            let id = format!("value {digest}");
            if !is_same {
                self.report.fault(FaultKind::Edited, None, Some(&id), "it is not what was stored apart");
            }
            if !is_used {
                self.report.fault(FaultKind::Inserted, None, Some(&id), "no record uses it");
            }
        }
        Ok(())
    }
}
