//! The views of the journal: the public interface for queries, as `docs/journal.md` describes it.

use std::path::Path;

use airlock_journal::Journal;
use airlock_tests::root;
use rusqlite::Connection;

use crate::recordings;

/// The views of a journal, each with its columns in their order.
fn views(journal: &Connection) -> Vec<(String, Vec<String>)> {
    let mut names =
        journal.prepare("SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY rowid").unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let columns = |name: &str| -> Vec<String> {
        let query = journal.prepare(&format!("SELECT * FROM {name}")).unwrap();
        query.column_names().into_iter().map(str::to_owned).collect()
    };
    names.into_iter().map(|name| (name.clone(), columns(&name))).collect()
}

/// The views of the page, each with the first cells of its table.
fn described() -> Vec<(String, Vec<String>)> {
    let page = std::fs::read_to_string(root().join("docs/journal.md")).unwrap();
    let mut views: Vec<(String, Vec<String>)> = Vec::new();
    for line in page.lines() {
        if let Some(name) = line.strip_prefix("### `").and_then(|rest| rest.strip_suffix('`')) {
            views.push((name.to_owned(), Vec::new()));
        } else if line.starts_with('#') && !views.is_empty() {
            break;
        } else if let (Some(rest), Some((_, columns))) = (line.strip_prefix("| `"), views.last_mut()) {
            columns.push(rest.split_once('`').unwrap().0.to_owned());
        }
    }
    views
}

fn fresh(folder: &Path) -> Connection {
    let path = folder.join("journal.db");
    drop(Journal::open(&path, 1 << 20).unwrap());
    Connection::open(&path).unwrap()
}

#[test]
fn the_page_has_every_column_of_every_view_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(views(&fresh(folder.path())), described());
}

#[test]
fn a_migrated_journal_answers_in_the_same_columns() {
    let folder = tempfile::tempdir().unwrap();
    let journal = recordings::open("schema-4", folder.path());
    drop(journal);
    let connection = Connection::open(folder.path().join("journal.db")).unwrap();
    assert_eq!(views(&connection), described());
    let rows = |sql: &str| -> Vec<String> {
        let mut query = connection.prepare(sql).unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let calls = "SELECT id || ' ' || tool || ' ' || code FROM calls ORDER BY started_unix_ms";
    let listed = std::fs::read_to_string(root().join("tests/recordings/schema-4/calls.txt")).unwrap();
    assert_eq!(rows(calls).join("\n"), listed.trim());
    assert_eq!(
        rows(
            "SELECT effect || ' ' || ruling || ' ' || attempts || ' ' || args FROM calls WHERE tool = 'convert_write'"
        ),
        [r#"write allow 1 {"from":"km","to":"m","value":1}"#]
    );
    assert_eq!(
        rows("SELECT tool || ' ' || try || ' ' || code FROM attempts WHERE trap IS NOT NULL"),
        ["hostile_trap 1 trap", "hostile_trap 2 trap", "hostile_trap 3 trap"]
    );
    assert_eq!(rows("SELECT log FROM attempts WHERE tool = 'hostile_log_line'").len(), 1);
    assert_eq!(rows("SELECT tool || dispatched || settled FROM effects"), ["note_put11"]);
    assert_eq!(rows("SELECT DISTINCT capability FROM denials WHERE tool = 'hostile_now'"), ["clock"]);
    assert!(rows("SELECT kind FROM findings WHERE verdict != 'pass'").contains(&"freshness".to_owned()));
}
