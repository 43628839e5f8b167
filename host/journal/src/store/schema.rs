//! The tables, and the migration of older versions.
//!
//! To change the tables: the next `VERSION`, its text in `CREATE`, a step `FROM_N` from the version before, and a folder
//! under `tests/recordings` with a journal of the version before. A step never changes after its release.

use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::{StoreError, adopt, explained, signing, views};

/// Between two tries to have a new database use a write-ahead log.
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// Most of these tries: five seconds, as opening waits elsewhere.
const TRIES_MAX: u32 = 500;

/// Version of the tables, stored in `user_version`.
const VERSION: u32 = 8;

/// Page size of a new file; an older file keeps its own. Records have some kilobytes: large pages waste less space and
/// take fewer writes.
const PAGE_BYTES: u32 = 16 << 10;

// `records` and `committed` have the same columns. The first holds calls that only read, whose oldest records make room;
// the second the others. `record` is the stored form, in `types/record`; the columns before and behind it repeat what
// queries select by. `bytes` counts the record and its values that are stored apart; rows of versions before 5 have none.
// `owner` of an intent is the process that runs the call.
/// The tables of a new database.
const CREATE: &str = "
CREATE TABLE records (
    id TEXT PRIMARY KEY, tool TEXT NOT NULL, started_unix_ms INTEGER NOT NULL, ended_unix_ms INTEGER NOT NULL,
    code TEXT NOT NULL, record TEXT NOT NULL, caller TEXT NOT NULL DEFAULT 'local', session TEXT, bytes INTEGER,
    parts INTEGER NOT NULL DEFAULT 0, erased_unix_ms INTEGER
) STRICT;
CREATE TABLE committed (
    id TEXT PRIMARY KEY, tool TEXT NOT NULL, started_unix_ms INTEGER NOT NULL, ended_unix_ms INTEGER NOT NULL,
    code TEXT NOT NULL, record TEXT NOT NULL, caller TEXT NOT NULL DEFAULT 'local', session TEXT, bytes INTEGER,
    parts INTEGER NOT NULL DEFAULT 0, erased_unix_ms INTEGER
) STRICT;
CREATE TABLE intents (id TEXT PRIMARY KEY, record TEXT NOT NULL, owner TEXT NOT NULL DEFAULT '') STRICT;
";

/// From version 1, which had no callers.
const FROM_1: &str = "ALTER TABLE records ADD COLUMN caller TEXT NOT NULL DEFAULT 'local';";

/// From version 2, which had one table for all calls. Calls that had effects according to their plan move to a table of
/// their own, where they are never removed to make room.
const FROM_2: &str = "
CREATE TABLE effects (
    id TEXT PRIMARY KEY, tool TEXT NOT NULL, started_unix_ms INTEGER NOT NULL, ended_unix_ms INTEGER NOT NULL,
    code TEXT NOT NULL, record TEXT NOT NULL, caller TEXT NOT NULL DEFAULT 'local'
) STRICT;
INSERT INTO effects SELECT * FROM records
    WHERE json_valid(record)
    AND json_extract(record, '$.plan.routes[0].from.effect') IN ('idempotent', 'write', 'irreversible');
DELETE FROM records WHERE id IN (SELECT id FROM effects);
";

/// From version 3, which did not store whose an intent is.
const FROM_3: &str = "ALTER TABLE intents ADD COLUMN owner TEXT NOT NULL DEFAULT '';";

/// From version 4, which had neither sessions nor retention, and stored every value in its record. Nothing is copied: a
/// journal of gigabytes would need as much again in its log.
const FROM_4: &str = "
ALTER TABLE effects RENAME TO committed;
ALTER TABLE records ADD COLUMN session TEXT;
ALTER TABLE records ADD COLUMN bytes INTEGER;
ALTER TABLE records ADD COLUMN parts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE records ADD COLUMN erased_unix_ms INTEGER;
ALTER TABLE committed ADD COLUMN session TEXT;
ALTER TABLE committed ADD COLUMN bytes INTEGER;
ALTER TABLE committed ADD COLUMN parts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE committed ADD COLUMN erased_unix_ms INTEGER;
";

/// What version 5 added beside the columns. `bodies` has each value that is stored apart once, as `zstd`; `body_uses` says which records have
/// it. The triggers remove a body with its last use, and grades with their record, whoever removes the record.
const ADDED_IN_5: &str = "
CREATE TABLE bodies (
    number INTEGER PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, bytes INTEGER NOT NULL, zstd BLOB NOT NULL
) STRICT;
CREATE TABLE body_uses (
    record TEXT NOT NULL, body INTEGER NOT NULL, PRIMARY KEY (record, body)
) STRICT, WITHOUT ROWID;
CREATE INDEX uses_of_body ON body_uses (body);
CREATE TABLE graded (
    number INTEGER PRIMARY KEY AUTOINCREMENT, call TEXT NOT NULL, at_unix_ms INTEGER NOT NULL, grade TEXT NOT NULL,
    by TEXT NOT NULL, note TEXT
) STRICT;
CREATE INDEX grades_of_call ON graded (call);
CREATE TABLE pruned (number INTEGER PRIMARY KEY, at_unix_ms INTEGER NOT NULL, entry TEXT NOT NULL) STRICT;
CREATE TRIGGER records_removed AFTER DELETE ON records WHEN old.parts > 0 BEGIN
    DELETE FROM body_uses WHERE record = old.id;
END;
CREATE TRIGGER committed_removed AFTER DELETE ON committed WHEN old.parts > 0 BEGIN
    DELETE FROM body_uses WHERE record = old.id;
END;
CREATE TRIGGER records_erased AFTER UPDATE OF parts ON records WHEN old.parts > 0 AND new.parts = 0 BEGIN
    DELETE FROM body_uses WHERE record = old.id;
END;
CREATE TRIGGER committed_erased AFTER UPDATE OF parts ON committed WHEN old.parts > 0 AND new.parts = 0 BEGIN
    DELETE FROM body_uses WHERE record = old.id;
END;
CREATE TRIGGER records_grades AFTER DELETE ON records BEGIN
    DELETE FROM graded WHERE call = old.id;
END;
CREATE TRIGGER committed_grades AFTER DELETE ON committed BEGIN
    DELETE FROM graded WHERE call = old.id;
END;
CREATE TRIGGER records_notes AFTER UPDATE OF erased_unix_ms ON records BEGIN
    UPDATE graded SET note = NULL WHERE call = old.id;
END;
CREATE TRIGGER committed_notes AFTER UPDATE OF erased_unix_ms ON committed BEGIN
    UPDATE graded SET note = NULL WHERE call = old.id;
END;
CREATE TRIGGER body_unused AFTER DELETE ON body_uses BEGIN
    DELETE FROM bodies WHERE number = old.body
        AND NOT EXISTS (SELECT 1 FROM body_uses WHERE body = old.body);
END;
";

/// What version 6 added: the log over everything else, and how many records each process accounted for. A row of `log` is an
/// entry; that of a removed record keeps `number` and `leaf`. `text` is the content of entries that are about no other row.
const ADDED_IN_6: &str = "
CREATE TABLE log (
    number INTEGER PRIMARY KEY, leaf BLOB NOT NULL, kind TEXT, id TEXT, head BLOB, payload BLOB, salt BLOB, ends TEXT,
    text TEXT
) STRICT;
CREATE INDEX log_of_id ON log (id) WHERE id IS NOT NULL;
CREATE INDEX log_told ON log (kind, number) WHERE text IS NOT NULL;
CREATE INDEX log_runs ON log (text ->> '$.run') WHERE kind = 'prune';
CREATE TABLE processes (owner TEXT PRIMARY KEY, accounted INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// What version 6 took away, after its rows became entries of the log.
const REMOVED_IN_6: &str = "DROP TABLE pruned;";

/// The indexes of `airlock log`, added in version 6: what calls are listed by, in the order of their ids, which begin with their
/// time. A record is appended at the right end of its index, whatever its tool and caller are; an index for each filter would
/// change as many pages as there are tools and callers. A filter that matches hardly anything reads the index to its end, in
/// order and without a row: a million calls have about 100 MB of it.
const LISTED_IN_6: &str = "
CREATE INDEX records_listed ON records (id, tool, code, caller, session);
CREATE INDEX committed_listed ON committed (id, tool, code, caller, session);
";

/// What version 7 added: the leaves of removed records in a table of their own, dense and of a known size, so that they need not
/// count as records do.
const ADDED_IN_7: &str = "CREATE TABLE leaves (number INTEGER PRIMARY KEY, leaf BLOB NOT NULL) STRICT;";

/// From version 6, in which the leaves of removed records were rows of `log`.
const FROM_6: &str = "
INSERT INTO leaves SELECT number, leaf FROM log WHERE coalesce(kind, id, head, payload, salt, ends, text) IS NULL
    ORDER BY number;
DELETE FROM log WHERE coalesce(kind, id, head, payload, salt, ends, text) IS NULL;
";

// From version 7, which signed no entry, nothing changes in the tables: the key of the log begins when the journal is opened. The
// version keeps programs away that would write entries without a signature.

/// Migrates the database to `VERSION`. Refuses a newer version.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), String> {
    let text = |err: rusqlite::Error| explained(&err);
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(text)?;
    if version > VERSION {
        return Err(format!(
            "it is of version {version}, written by a newer Airlock; this one knows up to {VERSION}: update this one, or name \
             another folder as `host.state`"
        ));
    }
    // Only a new file can take these settings, and setting them takes the write lock.
    if version == 0 {
        connection.pragma_update(None, "page_size", PAGE_BYTES).map_err(text)?;
        // Allows free pages to be returned to the file system.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(text)?;
    }
    // After the page size, which cannot change once the file is in WAL mode.
    log_ahead(connection).map_err(text)?;
    let migrated = if version < VERSION { migrate(connection) } else { Ok(()) };
    // A file that is locked or full says so itself.
    let is_other = |err: &StoreError| {
        version > 0
            && matches!(err, StoreError::Sqlite(err)
                if err.sqlite_error_code().is_none_or(|code| code == ErrorCode::Unknown))
    };
    migrated.map_err(|err| match is_other(&err) {
        true => {
            let err = err.to_string();
            // Behind it are the statements.
            let what = err.lines().next().unwrap_or_default().trim_end_matches(" in ");
            format!(
                "it says that it is of version {version}, and its tables are not those of that version: {what}. Nothing was changed; \
                 put a backup in its place, or move it away"
            )
        }
        false => err.to_string(),
    })
}

/// Creates or migrates the tables. Reads the version again inside the transaction, since two processes may open the
/// database at the same time.
fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == VERSION {
        return Ok(());
    }
    // Views of the version before: a table that a view names cannot be renamed safely.
    for view in views::NAMES {
        let is_there = "SELECT 1 FROM sqlite_schema WHERE type = 'view' AND name = ?1";
        if transaction.prepare(is_there)?.exists([view])? {
            transaction.execute_batch(&format!("DROP VIEW {view}"))?;
        }
    }
    if version == 0 {
        transaction.execute_batch(CREATE)?;
    } else {
        let steps = [FROM_1, FROM_2, FROM_3, FROM_4];
        for step in steps.iter().skip(version as usize - 1) {
            transaction.execute_batch(step)?;
        }
    }
    if version < 5 {
        transaction.execute_batch(ADDED_IN_5)?;
    }
    if version < 7 {
        // Before the log of an older journal is made, which looks there for its last entry.
        transaction.execute_batch(ADDED_IN_7)?;
    }
    if version < 6 {
        transaction.execute_batch(ADDED_IN_6)?;
        transaction.execute_batch(LISTED_IN_6)?;
        adopt::adopt(&transaction)?;
        transaction.execute_batch(REMOVED_IN_6)?;
    }
    if version < 7 {
        transaction.execute_batch(FROM_6)?;
    }
    // After the tables, which they name.
    transaction.execute_batch(views::CREATE)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    // In this transaction: a log of this version that has entries has had a key.
    signing::make_missing(&transaction);
    Ok(transaction.commit()?)
}

/// Has a database use a write-ahead log. SQLite does not wait for another process here, which may open a new file at the same
/// moment: it is asked again until it does.
pub(crate) fn log_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let set = || connection.pragma_update(None, "journal_mode", "WAL");
    let is_busy = |done: &rusqlite::Result<()>| {
        done.as_ref().is_err_and(|err| err.sqlite_error_code() == Some(ErrorCode::DatabaseBusy))
    };
    for _ in 0..TRIES_MAX {
        let done = set();
        if !is_busy(&done) {
            return done;
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
    set()
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

    fn migrated(sql: &str) -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(sql).unwrap();
        migrate(&mut connection).unwrap();
        connection
    }

    #[test]
    fn an_older_file_keeps_its_records_and_tells_those_with_effects() {
        let connection = migrated(VERSION_2);
        let ids = |table: &str| -> Vec<String> {
            let mut query = connection.prepare(&format!("SELECT id FROM {table} ORDER BY id")).unwrap();
            query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        assert_eq!(ids("committed"), ["b"]);
        assert_eq!(ids("records"), ["a", "c"]);
        assert_eq!(ids("calls"), ["a", "b", "c"]);
        assert_eq!(ids("intents"), ["d"]);
        let owner = connection.query_row("SELECT owner FROM intents", [], |row| row.get::<_, String>(0));
        assert_eq!(owner.unwrap(), "");
    }

    /// Everything in the schema, without the texts, which `ALTER` writes in another form.
    fn shape(connection: &Connection) -> Vec<(String, String, String)> {
        let sql = "SELECT s.type, s.name, group_concat(c.cid || c.name || c.type || c.\"notnull\" || c.pk)
                   FROM sqlite_schema AS s LEFT JOIN pragma_table_info(s.name) AS c GROUP BY s.name ORDER BY s.name";
        let mut query = connection.prepare(sql).unwrap();
        let rows = query.query_map([], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?.unwrap_or_default()))
        });
        // The name of an index that SQLite makes for a key follows the table's first name.
        rows.unwrap().map(Result::unwrap).filter(|(_, name, _)| !name.starts_with("sqlite_auto")).collect()
    }

    #[test]
    fn a_file_that_is_not_of_its_version_says_so_and_stays_as_it_is() {
        for version in [1, 3, 5] {
            let mut connection = Connection::open_in_memory().unwrap();
            migrate(&mut connection).unwrap();
            let before = shape(&connection);
            connection.pragma_update(None, "user_version", version).unwrap();
            let said = prepare(&mut connection).unwrap_err();
            let of = format!("it says that it is of version {version}, and its tables are not");
            assert!(said.starts_with(&of) && said.contains("a backup"), "{said}");
            assert_eq!(shape(&connection), before);
        }
    }

    #[test]
    fn a_migrated_file_has_the_shape_of_a_new_one() {
        assert_eq!(shape(&migrated(VERSION_2)), shape(&migrated("")));
    }
}
