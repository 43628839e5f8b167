//! Retention: what the registry says is kept, applied by `airlock journal prune` and by a server.

use std::path::Path;
use std::time::Duration;

use airlock_tests::server::Server;
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
