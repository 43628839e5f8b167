//! The tables, and the migration of older versions.

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// Version of the tables, stored in `user_version`.
const VERSION: u32 = 4;

/// Page size of a new file; an older file keeps its own. Records have some kilobytes: large pages waste less space and
/// take fewer writes.
const PAGE_BYTES: u32 = 16 << 10;

/// The columns of both tables of records, `records` and `effects`.
const COLUMNS: &str = "
    id TEXT PRIMARY KEY,
    tool TEXT NOT NULL,
    started_unix_ms INTEGER NOT NULL,
    ended_unix_ms INTEGER NOT NULL,
    code TEXT NOT NULL,
    record TEXT NOT NULL,
    caller TEXT NOT NULL DEFAULT 'local'
";

/// The view `calls` is the public interface for queries. The tables may change with the version.
const VIEW: &str = "
CREATE VIEW calls AS
    SELECT id, datetime(started_unix_ms / 1000, 'unixepoch') AS at, tool, code,
           ended_unix_ms - started_unix_ms AS ms, caller
    FROM records
    UNION ALL
    SELECT id, datetime(started_unix_ms / 1000, 'unixepoch') AS at, tool, code,
           ended_unix_ms - started_unix_ms AS ms, caller
    FROM effects;
";

/// Calls that started and have not ended. `owner` is the process that runs the call.
const INTENTS: &str = "
CREATE TABLE intents (id TEXT PRIMARY KEY, record TEXT NOT NULL, owner TEXT NOT NULL DEFAULT '') STRICT;
";

/// From version 1, which had no callers.
const FROM_1: &str = "ALTER TABLE records ADD COLUMN caller TEXT NOT NULL DEFAULT 'local';";

/// From version 2, which had one table for all calls. Calls that had effects according to their plan move to `effects`,
/// where they are never removed.
const FROM_2: &str = "
INSERT INTO effects SELECT * FROM records
    WHERE json_valid(record)
    AND json_extract(record, '$.plan.routes[0].from.effect') IN ('idempotent', 'write', 'irreversible');
DELETE FROM records WHERE id IN (SELECT id FROM effects);
DROP VIEW calls;
";

/// From version 3, which did not store whose an intent is.
const FROM_3: &str = "ALTER TABLE intents ADD COLUMN owner TEXT NOT NULL DEFAULT '';";

/// Migrates the database to `VERSION`. Refuses a newer version.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), String> {
    let text = |err: rusqlite::Error| err.to_string();
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(text)?;
    if version > VERSION {
        return Err(format!(
            "it is of version {version}, written by a newer Airlock; this one knows up to {VERSION}"
        ));
    }
    // Only a new file can take these settings, and setting them takes the write lock.
    if version == 0 {
        connection.pragma_update(None, "page_size", PAGE_BYTES).map_err(text)?;
        // Allows free pages to be returned to the file system.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(text)?;
    }
    // After the page size, which cannot change once the file is in WAL mode.
    connection.pragma_update(None, "journal_mode", "WAL").map_err(text)?;
    if version < VERSION { migrate(connection).map_err(text) } else { Ok(()) }
}

/// Creates or migrates the tables. Reads the version again inside the transaction, since two processes may open the
/// database at the same time.
fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        table(&transaction, "records")?;
        transaction.execute_batch(INTENTS)?;
    }
    if version == 1 {
        transaction.execute_batch(FROM_1)?;
    }
    if version < 3 {
        table(&transaction, "effects")?;
    }
    if version == 1 || version == 2 {
        transaction.execute_batch(FROM_2)?;
    }
    // After both tables, which it names.
    if version < 3 {
        transaction.execute_batch(VIEW)?;
    }
    if (1..=3).contains(&version) {
        transaction.execute_batch(FROM_3)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

fn table(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    transaction.execute_batch(&format!("CREATE TABLE {name} ({COLUMNS}) STRICT;"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database of version 2, as that version created it.
    const VERSION_2: &str = "
        CREATE TABLE records (id TEXT PRIMARY KEY, tool TEXT NOT NULL, started_unix_ms INTEGER NOT NULL,
            ended_unix_ms INTEGER NOT NULL, code TEXT NOT NULL, record TEXT NOT NULL,
            caller TEXT NOT NULL DEFAULT 'local') STRICT;
        CREATE TABLE intents (id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
        CREATE VIEW calls AS SELECT id FROM records;
        PRAGMA user_version = 2;
        INSERT INTO records VALUES ('a', 't', 1, 2, 'ok', '{\"plan\":{\"routes\":[{\"from\":{\"effect\":\"pure\"}}]}}', 'c');
        INSERT INTO records VALUES ('b', 't', 1, 2, 'ok', '{\"plan\":{\"routes\":[{\"from\":{\"effect\":\"write\"}}]}}', 'c');
        INSERT INTO records VALUES ('c', 't', 1, 2, 'args.type', '{\"plan\":null}', 'c');
        INSERT INTO intents VALUES ('d', '{}');
    ";

    #[test]
    fn an_older_file_keeps_its_records_and_tells_those_with_effects() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(VERSION_2).unwrap();
        migrate(&mut connection).unwrap();
        let ids = |table: &str| -> Vec<String> {
            let mut query = connection.prepare(&format!("SELECT id FROM {table} ORDER BY id")).unwrap();
            query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        assert_eq!(ids("effects"), ["b"]);
        assert_eq!(ids("records"), ["a", "c"]);
        assert_eq!(ids("calls"), ["a", "b", "c"]);
        assert_eq!(ids("intents"), ["d"]);
        let owner = connection.query_row("SELECT owner FROM intents", [], |row| row.get::<_, String>(0));
        assert_eq!(owner.unwrap(), "");
    }
}
