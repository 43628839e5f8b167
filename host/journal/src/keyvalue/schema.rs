//! The tables of pairs.

use rusqlite::{Connection, TransactionBehavior};

/// Version of the tables, stored in `user_version`.
const VERSION: u32 = 1;

/// A pair's `id` is its place in the order of listing, which stays while other pairs come and go. `version` is the number
/// of the change that wrote it, which no other change of the file has.
const TABLES: &str = "
CREATE TABLE spaces (
    id INTEGER PRIMARY KEY,
    tool TEXT NOT NULL,
    caller TEXT NOT NULL,
    session TEXT NOT NULL,
    keys INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    written_unix_ms INTEGER NOT NULL,
    UNIQUE (tool, caller, session)
) STRICT;
CREATE TABLE pairs (
    id INTEGER PRIMARY KEY,
    space INTEGER NOT NULL REFERENCES spaces (id) ON DELETE CASCADE,
    bucket TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    version INTEGER NOT NULL,
    UNIQUE (space, bucket, key)
) STRICT;
CREATE INDEX pairs_in_order ON pairs (space, bucket, id);
CREATE TABLE changes (last INTEGER NOT NULL) STRICT;
INSERT INTO changes VALUES (0);
PRAGMA user_version = 1;
";

/// Creates the tables in a new database. Refuses a newer version.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), String> {
    let text = |err: rusqlite::Error| err.to_string();
    let version = known_version(connection)?;
    crate::store::log_ahead(connection).map_err(text)?;
    // A setting of the connection: without it the pairs of a removed space would stay.
    connection.pragma_update(None, "foreign_keys", true).map_err(text)?;
    if version < VERSION { create(connection).map_err(text) } else { Ok(()) }
}

/// Looks at the tables, and lets nothing change them. Refuses another version.
pub(super) fn prepare_to_read(connection: &mut Connection) -> Result<(), String> {
    if known_version(connection)? < VERSION {
        return Err("it has no tables of this version: a tool that is called makes them".to_owned());
    }
    connection.pragma_update(None, "query_only", true).map_err(|err| err.to_string())
}

/// The version of the tables, which is not newer than this one.
fn known_version(connection: &Connection) -> Result<u32, String> {
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0));
    let version: u32 = version.map_err(|err| err.to_string())?;
    if version <= VERSION {
        return Ok(version);
    }
    Err(format!("it is of version {version}, written by a newer Airlock; this one knows up to {VERSION}"))
}

/// Reads the version again inside the transaction, since two processes may open the database at the same time.
fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        transaction.execute_batch(TABLES)?;
    }
    transaction.commit()
}
