//! The database itself: tables, indexes, views and triggers as this version makes them, and whether its pages hold together.
//!
//! Views and triggers could show or do something else, and lists of calls are read from indexes alone. Must not know what is in
//! the tables.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::Verifier;
use crate::evidence::FaultKind;
use crate::store::log::text;
use crate::store::{StoreError, prune, schema};

/// What kind of object it is, and its name.
type Name = (String, String);

/// The objects of a schema, each with its text; a table has its form, since texts of tables that were migrated differ.
type Objects = BTreeMap<Name, String>;

/// Columns and keys of a table, one on a line.
const FORM: [&str; 3] = [
    "SELECT format('column %s', concat_ws(' ', cid, name, type, \"notnull\", dflt_value, pk, hidden))
     FROM pragma_table_xinfo(?1) ORDER BY cid",
    "SELECT format('table %s', concat_ws(' ', type, wr, strict)) FROM pragma_table_list(?1) WHERE schema = 'main'",
    // The name of an index that SQLite makes for a key follows the first name of the table.
    "SELECT format('key %s', concat_ws(' ', i.origin, i.\"unique\", c.seqno, c.cid, c.\"desc\", c.coll, c.key))
     FROM pragma_index_list(?1) AS i, pragma_index_xinfo(i.name) AS c WHERE i.origin <> 'c' ORDER BY i.origin, c.seqno",
];

impl Verifier<'_> {
    /// Compares the schema with that of a new journal. Returns whether the tables are the same.
    pub(super) fn schema(&mut self) -> Result<bool, StoreError> {
        let mut made = Connection::open_in_memory()?;
        schema::prepare(&mut made).map_err(StoreError::Open)?;
        let needed = objects(&made)?;
        // Retention makes more indexes at its first use.
        prune::index(&made)?;
        let known = objects(&made)?;
        let found = objects(self.connection)?;
        let mut are_tables = true;
        for (name, text) in &known {
            let what = match found.get(name) {
                Some(found) if found == text => continue,
                None if !needed.contains_key(name) => continue,
                Some(_) => "it is another one",
                None => "it is missing",
            };
            are_tables &= name.0 != "table";
            self.differs(name, what, &mend(name, text));
        }
        for name in found.keys().filter(|name| !known.contains_key(*name)) {
            // A view of somebody else shows what it likes under a name of its own. A trigger changes rows.
            if name.0 != "view" {
                let (kind, name_of) = name;
                let drop =
                    format!("`DROP {} {name_of}` in the `sqlite3` shell removes it", kind.to_uppercase());
                self.differs(name, "it is not of the journal", &drop);
            }
        }
        Ok(are_tables)
    }

    fn differs(&mut self, (kind, name): &Name, what: &str, mend: &str) {
        let id = format!("{kind} `{name}`");
        self.report.fault(FaultKind::Schema, None, Some(&id), format!("{what}; {mend}"));
    }

    /// Looks whether pages hold together, and whether indexes have what is in their tables. Reads one state of each table, in which
    /// the write-ahead log cannot be folded back. SQLite names a hundred faults of each table at most.
    pub(super) fn pages(&mut self) -> Result<(), StoreError> {
        let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'
                      AND name IN ('bodies', 'body_uses', 'committed', 'graded', 'intents', 'leaves', 'log', 'processes', 'records')";
        let mut tables = self.connection.prepare(tables)?;
        let tables = tables.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        for table in tables {
            let mut check = self.connection.prepare(&format!("PRAGMA integrity_check({table})"))?;
            let mut rows = check.query([])?;
            while let Some(row) = rows.next()? {
                let said = text(row, 0)?.unwrap_or_default();
                if said != "ok" {
                    let mend = if said.contains("index") {
                        "`REINDEX` in the `sqlite3` shell builds indexes anew"
                    } else {
                        "put a backup in the place of the journal; `sqlite3 FILE .recover` prints what can still be read"
                    };
                    let id = format!("table `{table}`");
                    self.report.fault(FaultKind::Schema, None, Some(&id), format!("{said}; {mend}"));
                }
            }
        }
        Ok(())
    }
}

/// How to mend an object that is missing or another one.
fn mend((kind, name): &Name, text: &str) -> String {
    match kind.as_str() {
        "table" => "nothing else was checked; put a backup in the place of the journal".to_owned(),
        "index" => format!("`DROP INDEX IF EXISTS {name}; {text}` in the `sqlite3` shell mends it"),
        _ => format!(
            "drop it in the `sqlite3` shell, and make it with the text that a new journal has for it \
             (`SELECT sql FROM sqlite_schema WHERE name = '{name}'`)"
        ),
    }
}

fn objects(connection: &Connection) -> Result<Objects, StoreError> {
    // What begins so is SQLite's own.
    let objects = "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite~_%' ESCAPE '~'";
    let mut query = connection.prepare(objects)?;
    let mut rows = query.query([])?;
    let mut objects = Objects::new();
    while let Some(row) = rows.next()? {
        let column = |column| text(row, column).map(Option::unwrap_or_default);
        let name = (column(0)?, column(1)?);
        let text = if name.0 == "table" { form(connection, &name.1)? } else { column(2)? };
        objects.insert(name, text);
    }
    Ok(objects)
}

/// The form of a table.
fn form(connection: &Connection, table: &str) -> Result<String, StoreError> {
    let mut form = String::new();
    for part in FORM {
        let mut query = connection.prepare_cached(part)?;
        let mut rows = query.query([table])?;
        while let Some(row) = rows.next()? {
            form.push_str(&text(row, 0)?.unwrap_or_default());
            form.push('\n');
        }
    }
    Ok(form)
}
