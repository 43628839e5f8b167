//! Whose pairs they are: each space has its own, counted against its own quota.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::KeyValueError;

/// How long the pairs of a session stay after the last change, in milliseconds. Sessions end earlier, with their process
/// or unused; nothing reads these pairs then.
const SESSION_KEPT_MS: u64 = 24 * 60 * 60 * 1_000;

/// Most sessions of one caller that have pairs in one tool. As many as a caller may have open: one more removes the pairs
/// of the one that was written to longest ago.
const SESSIONS_PER_CALLER_MAX: u64 = 64;

/// Most expired sessions whose pairs one change removes, so that it does not hold the file for long.
const EXPIRED_AT_ONCE: u64 = 16;

/// Whose pairs: those of a tool, of one of its callers, or of one session of a caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// The tool.
    pub tool: String,
    /// The caller; empty where all share the pairs.
    pub caller: String,
    /// The session; empty where the pairs do not end with one.
    pub session: String,
}

/// How much a space may hold, and how many spaces of a tool there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Most keys.
    pub keys_max: u64,
    /// Most bytes of keys and values.
    pub bytes_max: u64,
    /// Most bytes of one value.
    pub value_bytes_max: u64,
    /// Most callers or sessions with pairs.
    pub spaces_max: u64,
}

/// A space as it is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    pub(super) id: i64,
    pub(super) keys: u64,
    pub(super) bytes: u64,
}

impl Space {
    /// The stored space; `None` for one without pairs.
    pub(super) fn find(&self, connection: &Connection) -> Result<Option<Stored>, KeyValueError> {
        let find = "SELECT id, keys, bytes FROM spaces WHERE tool = ?1 AND caller = ?2 AND session = ?3";
        let found = connection
            .prepare_cached(find)?
            .query_row(params![self.tool, self.caller, self.session], |row| {
                Ok(Stored { id: row.get(0)?, keys: count(row, 1)?, bytes: count(row, 2)? })
            });
        Ok(found.optional()?)
    }

    /// The stored space, made if it is missing.
    pub(super) fn make(
        &self,
        connection: &Connection,
        quota: Quota,
        now_ms: u64,
    ) -> Result<Stored, KeyValueError> {
        if let Some(stored) = self.find(connection)? {
            return Ok(stored);
        }
        self.make_room(connection, quota, now_ms)?;
        let insert = "INSERT INTO spaces (tool, caller, session, keys, bytes, written_unix_ms) VALUES (?1, ?2, ?3, 0, 0, ?4)";
        connection.prepare_cached(insert)?.execute(params![
            self.tool,
            self.caller,
            self.session,
            signed(now_ms)
        ])?;
        Ok(Stored { id: connection.last_insert_rowid(), keys: 0, bytes: 0 })
    }

    /// Makes room for one more space of the tool.
    fn make_room(&self, connection: &Connection, quota: Quota, now_ms: u64) -> Result<(), KeyValueError> {
        let expired = "DELETE FROM spaces WHERE id IN
            (SELECT id FROM spaces WHERE session <> '' AND written_unix_ms < ?1 ORDER BY written_unix_ms LIMIT ?2)";
        let since = signed(now_ms.saturating_sub(SESSION_KEPT_MS));
        connection.prepare_cached(expired)?.execute(params![since, signed(EXPIRED_AT_ONCE)])?;
        let (query, bound) = if self.session.is_empty() {
            if self.caller.is_empty() {
                // The only space of its kind.
                return Ok(());
            }
            (
                "SELECT count(*) FROM spaces WHERE tool = ?1 AND session = '' AND caller <> ''",
                quota.spaces_max,
            )
        } else {
            self.leave_oldest(connection)?;
            ("SELECT count(*) FROM spaces WHERE tool = ?1 AND session <> ''", quota.spaces_max)
        };
        let spaces = connection.prepare_cached(query)?.query_row([&self.tool], |row| count(row, 0))?;
        if spaces < bound { Ok(()) } else { Err(KeyValueError::Spaces(bound)) }
    }

    /// Removes the oldest session of the caller that is one too many with a new one.
    fn leave_oldest(&self, connection: &Connection) -> Result<(), KeyValueError> {
        let oldest = "DELETE FROM spaces WHERE id IN
            (SELECT id FROM spaces WHERE tool = ?1 AND caller = ?2 AND session <> ''
             ORDER BY written_unix_ms DESC LIMIT -1 OFFSET ?3)";
        let kept = signed(SESSIONS_PER_CALLER_MAX - 1);
        connection.prepare_cached(oldest)?.execute(params![self.tool, self.caller, kept])?;
        Ok(())
    }
}

impl Stored {
    /// Writes the counts after a change. A space without keys is removed, so that it does not count as one.
    pub(super) fn update(self, connection: &Connection, now_ms: u64) -> Result<(), KeyValueError> {
        if self.keys == 0 {
            connection.prepare_cached("DELETE FROM spaces WHERE id = ?1")?.execute([self.id])?;
            return Ok(());
        }
        let update = "UPDATE spaces SET keys = ?2, bytes = ?3, written_unix_ms = ?4 WHERE id = ?1";
        connection.prepare_cached(update)?.execute(params![
            self.id,
            signed(self.keys),
            signed(self.bytes),
            signed(now_ms)
        ])?;
        Ok(())
    }
}

/// A count as SQLite stores it.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count of a row.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.unsigned_abs())
}
