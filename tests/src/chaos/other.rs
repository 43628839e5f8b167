//! What a process other than the server does with the journal.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use rusqlite::{Connection, OpenFlags};

/// How long it waits for the server, whose groups of records follow each other without a pause under load.
const PATIENCE: Duration = Duration::from_secs(90);

/// Reads or holds a journal, by the arguments of this process: `hold MILLISECONDS`, or `codes`.
///
/// # Errors
/// When it cannot.
pub fn other(journal: &Path, args: &[String]) -> anyhow::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(journal, flags)?;
    connection.busy_timeout(PATIENCE)?;
    match args {
        [what, time_ms] if what == "hold" => hold(&connection, Duration::from_millis(time_ms.parse()?)),
        [what] if what == "codes" => codes(&connection),
        _ => anyhow::bail!("`hold MILLISECONDS` or `codes`"),
    }
}

fn hold(connection: &Connection, time: Duration) -> anyhow::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE").context("the journal cannot be held")?;
    std::thread::sleep(time);
    Ok(connection.execute_batch("ROLLBACK")?)
}

fn codes(connection: &Connection) -> anyhow::Result<()> {
    let mut rows = connection.prepare("SELECT id, code FROM calls")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let (id, code): (String, String) = (row.get(0)?, row.get(1)?);
        anstream::println!("{id} {code}");
    }
    Ok(())
}
