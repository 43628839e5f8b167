//! `airlock grade`: whether an answer was right, appended to the journal.

use rusqlite::Connection;
use serde_json::Value;

use crate::http::KM;
use crate::journal::{journal_of, registry_in};
use crate::state_folder::airlock;

#[test]
fn grades_are_appended_and_go_with_their_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), "");
    let called = airlock(&path, &["call", "writes", KM, "--json"]);
    let reply: Value = serde_json::from_slice(&called.stdout).unwrap();
    let id = reply["record"].as_str().unwrap();
    assert!(airlock(&path, &["grade", &id[..23], "right"]).status.success());
    let graded = airlock(&path, &["grade", id, "partly", "--by", "maria", "--note", "another quarter"]);
    assert_eq!(String::from_utf8_lossy(&graded.stdout), format!("{id} of writes is partly\n"));
    let journal = Connection::open(journal_of(folder.path())).unwrap();
    let rows = || -> Vec<String> {
        let mut query = journal
            .prepare("SELECT call || grade || by || coalesce(note, '-') FROM grades ORDER BY number")
            .unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(rows(), [format!("{id}rightlocal-"), format!("{id}partlymariaanother quarter")]);
    journal.execute("UPDATE committed SET erased_unix_ms = 1", []).unwrap();
    assert_eq!(rows()[1], format!("{id}partlymaria-"), "what was erased may be in the note");
    journal.execute("DELETE FROM committed", []).unwrap();
    assert!(rows().is_empty());
}

#[test]
fn what_cannot_be_graded_is_an_error_that_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), "");
    let called = airlock(&path, &["call", "reads", KM, "--json"]);
    let reply: Value = serde_json::from_slice(&called.stdout).unwrap();
    let id = reply["record"].as_str().unwrap();
    let long = "x".repeat(4_001);
    let cases: [(&[&str], &str, i32); 5] = [
        (&["00000000-0000", "right"], "no record `00000000-0000`", 1),
        (&["0000", "right"], "give more of the id", 1),
        (&[id, "fine"], "possible values: right, wrong, partly", 2),
        (&[id, "right", "--by", ""], "1 to 128 characters", 1),
        (&[id, "right", "--note", &long], "1 to 4000 characters", 1),
    ];
    for (args, expected, exit) in cases {
        let graded = airlock(&path, &[&["grade"], args].concat());
        let said = String::from_utf8_lossy(&graded.stderr);
        assert!(said.contains(expected) && graded.status.code() == Some(exit), "{args:?}: {said}");
    }
}
