//! The other way around: rows that no entry is about, values that are stored apart, and the schema.

use rusqlite::{Connection, params};

use super::Verifier;
use crate::evidence::FaultKind;
use crate::store::{StoreError, schema};
use airlock_types::digest::sha256;

/// Rows that one statement looks at.
const PAGE: i64 = 1_024;

/// Size of the largest value that is decompressed, in bytes: that of the largest record.
const BODY_BYTES_MAX: usize = 64 << 20;

impl Verifier<'_> {
    /// Rows of tables that nothing in the log is about.
    pub(super) fn tables(&mut self) -> Result<(), StoreError> {
        let logged = |kind: &str, id: &str| {
            format!("EXISTS (SELECT 1 FROM log WHERE log.id = {id} AND log.kind = '{kind}')")
        };
        let used = "EXISTS (SELECT 1 FROM records WHERE records.id = body_uses.record AND parts > 0)
                    OR EXISTS (SELECT 1 FROM committed WHERE committed.id = body_uses.record AND parts > 0)";
        let graded = "graded.call || '/grade/' || graded.number";
        let tables = [
            ("records", "id", logged("call", "records.id"), "the record was never written"),
            ("committed", "id", logged("effect", "committed.id"), "the record was never written"),
            ("intents", "id", logged("intent", "intents.id"), "the call never started"),
            ("graded", graded, logged("grade", graded), "the grade was never given"),
        ];
        for (table, id, is_known, what) in tables {
            self.unknown(table, id, &is_known, what)?;
        }
        if self.connection.prepare("SELECT 1 FROM log WHERE number < 0")?.exists([])? {
            self.report.fault(FaultKind::Inserted, None, None, "there are entries before the first one");
        }
        let orphan = format!("SELECT record FROM body_uses WHERE NOT ({used})");
        let mut query = self.connection.prepare(&orphan)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let id: String = row.get(0)?;
            let what = "it uses a value, and no record of this id has one";
            self.report.fault(FaultKind::Inserted, None, Some(&id), what);
        }
        self.bodies()?;
        self.schema()
    }

    fn unknown(&mut self, table: &str, id: &str, is_known: &str, what: &str) -> Result<(), StoreError> {
        let page = format!(
            "SELECT rowid, {id}, {is_known} FROM {table} WHERE rowid > ?1 ORDER BY rowid LIMIT {PAGE}"
        );
        let mut last = i64::MIN;
        loop {
            let mut query = self.connection.prepare_cached(&page)?;
            let mut rows = query.query([last])?;
            let before = last;
            while let Some(row) = rows.next()? {
                last = row.get(0)?;
                // What the writer puts there to see whether it can write has no id.
                if let (id, false) = (row.get::<_, String>(1)?, row.get(2)?)
                    && !id.is_empty()
                {
                    self.report.fault(FaultKind::Inserted, None, Some(&id), what);
                }
            }
            if last == before {
                return Ok(());
            }
        }
    }

    /// Values that are stored apart: each is what its digest says, and is used.
    fn bodies(&mut self) -> Result<(), StoreError> {
        let next =
            "SELECT number, sha256, bytes, zstd, EXISTS (SELECT 1 FROM body_uses WHERE body = bodies.number)
                    FROM bodies WHERE number > ?1 ORDER BY number LIMIT 1";
        let mut query = self.connection.prepare(next)?;
        let mut last = i64::MIN;
        loop {
            let mut rows = query.query(params![last])?;
            let Some(row) = rows.next()? else { return Ok(()) };
            last = row.get(0)?;
            let (digest, bytes, is_used): (String, i64, bool) = (row.get(1)?, row.get(2)?, row.get(4)?);
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
    }

    /// Views and triggers, which could show or do something else.
    fn schema(&mut self) -> Result<(), StoreError> {
        let mut made = Connection::open_in_memory()?;
        schema::prepare(&mut made).map_err(StoreError::Open)?;
        let expected = texts(&made)?;
        let found = texts(self.connection)?;
        for (name, text) in &expected {
            match found.iter().find(|(other, _)| other == name) {
                Some((_, found)) if found == text => {}
                Some(_) => self.report.fault(FaultKind::Schema, None, Some(name), "it is another one"),
                None => self.report.fault(FaultKind::Schema, None, Some(name), "it is missing"),
            }
        }
        // A view of somebody else shows what it likes under a name of its own. A trigger changes rows.
        for (name, _) in found.iter().filter(|(name, _)| name.starts_with("trigger")) {
            if !expected.iter().any(|(expected, _)| expected == name) {
                self.report.fault(FaultKind::Schema, None, Some(name), "it is not of the journal");
            }
        }
        Ok(())
    }
}

/// The views and triggers, each with its text.
fn texts(connection: &Connection) -> Result<Vec<(String, String)>, StoreError> {
    let texts = "SELECT type || ' `' || name || '`', sql FROM sqlite_schema WHERE type IN ('view', 'trigger') ORDER BY name";
    let mut query = connection.prepare(texts)?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
