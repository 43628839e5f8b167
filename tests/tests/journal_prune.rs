//! Retention: what the registry says is kept, applied by `airlock journal prune` and by a server.

use std::path::Path;
use std::time::Duration;

use airlock_tests::server::Server;
use airlock_types::digest::{hex, sha256_of};
use rusqlite::Connection;
use serde_json::Value;

use crate::http::KM;
use crate::journal::registry_in;
use crate::state_folder::airlock;

fn journal(folder: &Path) -> Connection {
    Connection::open(folder.join(".airlock/journal.db")).unwrap()
}

/// Moves every record back in time.
fn age(folder: &Path, ms: u64) {
    for table in ["records", "committed"] {
        let older = format!("UPDATE {table} SET started_unix_ms = started_unix_ms - {ms}");
        journal(folder).execute(&older, []).unwrap();
    }
}

fn count(folder: &Path, what: &str) -> i64 {
    journal(folder).query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0)).unwrap()
}

fn call(path: &Path, tool: &str) -> String {
    let called = airlock(path, &["call", tool, KM, "--json"]);
    let reply: Value = serde_json::from_slice(&called.stdout).unwrap();
    reply["record"].as_str().unwrap().to_owned()
}

const RULES: &str = "journal = { keep = \"2d\", keep_payloads = \"1h\" }";

#[test]
fn prune_erases_then_removes_and_says_what() {
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), RULES);
    let ids = ["reads", "writes"].map(|tool| call(&path, tool));
    let pruned = airlock(&path, &["journal", "prune"]);
    assert_eq!(String::from_utf8_lossy(&pruned.stdout), "0 records removed, 0 erased\n");
    age(folder.path(), 2 * 3_600_000);
    let pruned = airlock(&path, &["journal", "prune", "--json"]);
    let pruned: Value = serde_json::from_slice(&pruned.stdout).unwrap();
    assert_eq!(
        (&pruned["erased"], &pruned["removed"], &pruned["by"]),
        (&2.into(), &0.into(), &"command".into())
    );
    for id in &ids {
        let shown = airlock(&path, &["show", id, "--json"]);
        let record: Value = serde_json::from_slice(&shown.stdout).unwrap();
        assert!(record["args"].is_null() && record["reply"].is_null(), "{record}");
        assert_eq!((&record["code"], &record["attempts"][0]["code"]), (&"ok".into(), &"ok".into()));
        let said = String::from_utf8_lossy(&shown.stderr);
        assert!(said.contains("retention erased"), "{said}");
        let told = airlock(&path, &["show", id]);
        assert!(String::from_utf8_lossy(&told.stdout).contains("Retention erased what the caller"));
    }
    assert_eq!(
        count(folder.path(), "calls WHERE erased_at IS NOT NULL AND args IS NULL AND effect IS NOT NULL"),
        2
    );
    let unused = airlock(&path, &["policy", "unused"]);
    let said = String::from_utf8_lossy(&unused.stderr);
    assert!(said.contains("what 2 calls used is not known any more: retention erased it"), "{said}");
    age(folder.path(), 2 * 86_400_000);
    let pruned = airlock(&path, &["journal", "prune"]);
    assert!(String::from_utf8_lossy(&pruned.stdout).starts_with("2 records removed, 0 erased\nfrom "));
    assert_eq!((count(folder.path(), "calls"), count(folder.path(), "prunes")), (0, 2));
}

#[test]
fn prune_without_rules_says_which_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), "");
    let pruned = airlock(&path, &["journal", "prune"]);
    let said = String::from_utf8_lossy(&pruned.stderr);
    assert!(!pruned.status.success() && said.contains("`journal.keep_payloads`"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_applies_the_rules_at_its_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), RULES);
    call(&path, "reads");
    age(folder.path(), 3 * 86_400_000);
    call(&path, "writes");
    let server = Server::start(&path, &["--allow-anonymous"]).unwrap();
    for _ in 0..600 {
        if count(folder.path(), "calls") == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(count(folder.path(), "calls WHERE tool = 'writes'"), 1);
    assert_eq!(count(folder.path(), "calls"), 1);
    assert_eq!(count(folder.path(), "prunes WHERE by = 'server' AND removed = 1"), 1);
    drop(server);
}

/// Removes a record as retention does, with an entry that a program without the key writes. Returns the number of the entry.
fn forge(folder: &Path, id: &str) -> i64 {
    let journal = journal(folder);
    let at: i64 = journal.query_row("SELECT number FROM log WHERE id = ?1", [id], |row| row.get(0)).unwrap();
    for change in [
        "INSERT INTO leaves SELECT number, leaf FROM log WHERE id = ?1",
        "DELETE FROM log WHERE id = ?1",
        "DELETE FROM records WHERE id = ?1",
    ] {
        assert_eq!(journal.execute(change, [id]).unwrap(), 1);
    }
    let size = "SELECT max(number) + 1 FROM (SELECT number FROM log UNION ALL SELECT number FROM leaves)";
    let number: i64 = journal.query_row(size, [], |row| row.get(0)).unwrap();
    let text = format!(
        r#"{{"at_unix_ms":1,"by":"server","erased":0,"erased_entries":[],"first":"{id}","kept_bytes":42,"last":"{id}","removed":1,"removed_entries":[[{at},{at}]],"run":1}}"#
    );
    let head = sha256_of(&[text.as_bytes()]);
    let entry = format!(r#"{{"head":"{}","kind":"prune","number":{number}}}"#, hex(&head));
    let leaf = sha256_of(&[&[0], entry.as_bytes()]);
    let insert = "INSERT INTO log (number, leaf, kind, head, text) VALUES (?1, ?2, 'prune', ?3, ?4)";
    journal.execute(insert, rusqlite::params![number, leaf, head, text]).unwrap();
    number
}

/// Runs a verb of `airlock journal`. Returns its exit code and all that it said.
fn verb(registry: &Path, args: &[&str]) -> (i32, String) {
    let done = airlock(registry, &[&["journal"], args].concat());
    let text = [&done.stdout, &done.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
    (done.status.code().unwrap(), text)
}

#[test]
fn a_record_that_another_program_removed_is_found_and_one_that_retention_removed_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), RULES);
    let run = |args: &[&str]| verb(&path, args);
    call(&path, "reads");
    age(folder.path(), 3 * 86_400_000);
    let id = call(&path, "reads");
    let (exit, said) = run(&["prune"]);
    assert!(exit == 0 && said.starts_with("1 record removed"), "{said}");
    let (exit, said) = run(&["verify"]);
    assert!(exit == 0 && said.starts_with("3 entries, 0 faults\n"), "{said}");
    let number = forge(folder.path(), &id);
    let (exit, said) = run(&["verify"]);
    let fault = format!(
        "inserted entry {number}: it says that retention removed 1 record, {id}, and is not signed with the key of the log: another \
         program wrote it, or the key was missing then\n4 entries, 1 fault\n"
    );
    assert!(exit == 1 && said.starts_with(&fault), "{said}");
}

#[test]
fn retention_without_its_key_removes_nothing_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), RULES);
    let run = |args: &[&str]| verb(&path, args);
    let aged = || {
        call(&path, "reads");
        age(folder.path(), 3 * 86_400_000);
    };
    aged();
    assert_eq!(run(&["prune"]).0, 0);
    let (exit, said) = run(&["key", "--new"]);
    assert!(
        exit == 70 && said.contains("is there, and another is made only in the place of one that was lost"),
        "{said}"
    );
    aged();
    let key = folder.path().join(".airlock/journal.db-log-key");
    let old = run(&["key"]).1;
    std::fs::remove_file(&key).unwrap();
    let (exit, said) = run(&["prune"]);
    assert!(
        exit == 70
            && said.contains("put it back from a backup")
            && said.contains("`airlock journal key --new`"),
        "{said}"
    );
    assert!(!key.exists() && count(folder.path(), "calls") == 1);
    let (exit, said) = run(&["verify"]);
    assert!(
        exit == 1 && said.contains("the key of the log is missing or unusable, and none is given"),
        "{said}"
    );
    let (_, said) = run(&["verify", "--key", old.trim()]);
    assert!(!said.contains("sign"), "{said}");
    let (exit, new) = run(&["key", "--new"]);
    assert!(exit == 0 && new.starts_with("airlock-journal/") && new != old, "{new}");
    let (exit, said) = run(&["prune"]);
    assert!(exit == 0 && said.starts_with("1 record removed"), "{said}");
    let (exit, said) = run(&["verify"]);
    assert!(exit == 0 && said.contains("began to sign with entry 3"), "{said}");
    let name = new.split('+').next().unwrap();
    assert!(said.contains(&format!("the key of the log, `{name}`, began")), "{said}");
}
