//! Intents without an outcome: of calls that run, and of calls whose process is gone.

use super::*;

/// Makes every open intent one of a process that is gone.
fn kill(path: &Path) {
    let other = rusqlite::Connection::open(path).unwrap();
    other.execute("UPDATE intents SET owner = '0123456789abcdef'", []).unwrap();
}

fn ids(interrupted: &[Interrupted]) -> Vec<&str> {
    interrupted.iter().map(|call| call.id.as_str()).collect()
}

#[tokio::test]
async fn an_intent_of_a_process_that_is_gone_ends_as_unknown_and_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, BYTES_MAX).unwrap();
    for id in ["11111111", "22222222"] {
        journal.intend(record(id)).await.unwrap();
    }
    kill(&path);
    assert!(!journal.find_open("11111111").unwrap().unwrap().is_running);
    // An intent of this process.
    journal.intend(record("33333333")).await.unwrap();
    let settled = journal.settle_interrupted().unwrap();
    assert_eq!(ids(&settled), ["11111111", "22222222"]);
    assert_eq!(
        (settled[0].tool.as_str(), settled[0].caller.as_str(), settled[0].started_unix_ms),
        ("t", "local", 1)
    );
    assert!(journal.settle_interrupted().unwrap().is_empty(), "once");
    let found = journal.find("11111111").unwrap().unwrap();
    assert_eq!((found.code.as_ref(), found.args), ("outcome-unknown", Some(json!({"a": 1}))));
    assert!(journal.find_open("11111111").unwrap().is_none());
    assert_eq!(journal.open_intents().unwrap(), ["33333333"]);
}

#[tokio::test]
async fn an_intent_of_another_open_journal_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let (first, second) =
        (Journal::open(&path, BYTES_MAX).unwrap(), Journal::open(&path, BYTES_MAX).unwrap());
    first.intend(record("11111111")).await.unwrap();
    assert!(second.settle_interrupted().unwrap().is_empty());
    let open = second.find_open("1111111").err().map(|err| err.to_string());
    assert!(open.unwrap().contains("give more of the id"));
    let open = second.find_open("11111111").unwrap().unwrap();
    assert_eq!((open.record.code.as_ref(), open.is_running), ("outcome-unknown", true));
    first.seal(record("11111111"), Durability::Committed).await.unwrap();
    drop(first);
    assert!(second.settle_interrupted().unwrap().is_empty());
    assert_eq!(second.find("11111111").unwrap().unwrap().code, "ok");
    drop(second);
    let files = std::fs::read_dir(folder.path()).unwrap();
    let owners =
        files.filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().contains("-owner-"));
    assert_eq!(owners.count(), 0, "a process that ends leaves no mark");
}

#[tokio::test]
async fn an_intent_that_a_closed_journal_left_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, BYTES_MAX).unwrap();
    journal.intend(record("11111111")).await.unwrap();
    drop(journal);
    let journal = Journal::open(&path, BYTES_MAX).unwrap();
    assert_eq!(ids(&journal.settle_interrupted().unwrap()), ["11111111"]);
}

#[tokio::test]
async fn intents_and_commits_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = Journal::open(&folder.path().join("journal.db"), BYTES_MAX).unwrap();
    for journal in [file, Journal::memory_within(BYTES_MAX)] {
        journal.intend(record("11111111")).await.unwrap();
        journal.seal(record("11111111"), Durability::Committed).await.unwrap();
        assert_eq!((journal.view().intents, journal.view().commits), (1, 2));
    }
}
