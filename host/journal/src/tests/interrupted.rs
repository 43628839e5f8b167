//! Intents without an outcome: of calls that run, and of calls whose process is gone.

use super::*;

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
    drop(journal);
    let journal = Journal::open(&path, BYTES_MAX).unwrap();
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

/// A row of `intents` that a forger writes: of a call that never started, over one that has ended, and of one that is open with
/// another content, another process or the id of another call.
#[tokio::test]
async fn an_intent_that_the_log_does_not_have_is_never_settled() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, BYTES_MAX).unwrap();
    journal.intend(record("11111111")).await.unwrap();
    journal.seal(record("11111111"), Durability::Committed).await.unwrap();
    journal.seal(record("22222222"), Durability::Queued).await.unwrap();
    for id in ["33333333", "44444444", "55555555", "66666666"] {
        journal.intend(record(id)).await.unwrap();
    }
    drop(journal);
    let other = rusqlite::Connection::open(&path).unwrap();
    let forged = serde_json::to_string(&record("11111111")).unwrap().replace("local", "mallory");
    for change in [
        format!("INSERT INTO intents VALUES ('11111111', '{forged}', 'gone')"),
        format!("INSERT INTO intents VALUES ('22222222', '{forged}', 'gone')"),
        "INSERT INTO intents SELECT '77777777', record, owner FROM intents WHERE id = '33333333'".to_owned(),
        "INSERT INTO intents VALUES (CAST(x'ff41' AS TEXT), CAST(x'ff' AS TEXT), CAST(x'ff' AS TEXT))"
            .to_owned(),
        format!("UPDATE intents SET record = '{forged}' WHERE id = '33333333'"),
        "UPDATE intents SET owner = 'gone' WHERE id = '44444444'".to_owned(),
        "UPDATE intents SET record = CAST(x'ff' AS TEXT) WHERE id = '55555555'".to_owned(),
    ] {
        assert_eq!(other.execute(&change, []).unwrap(), 1, "{change}");
    }
    let journal = Journal::open(&path, BYTES_MAX).unwrap();
    let verified = journal.verify(&[], None).unwrap();
    for id in ["11111111", "22222222", "77777777", "33333333", "44444444", "55555555", "\u{fffd}A"] {
        assert!(verified.faults.iter().any(|fault| fault.id.as_deref() == Some(id)), "{id}: {verified:#?}");
    }
    assert_eq!(ids(&journal.settle_interrupted().unwrap()), ["66666666"], "the one that was not touched");
    assert_eq!(journal.find("11111111").unwrap().unwrap().code, "ok");
    assert_eq!(journal.find("22222222").unwrap().unwrap().caller, "local");
    assert_eq!(journal.open_intents().unwrap().len(), 7);
}
