mod interrupted;
mod listing;
mod parts;
mod retention;
mod sinks;
mod tamper;

use serde_json::json;

use airlock_types::record::FORMAT;

use super::*;
use crate::store::Store;
use airlock_types::code::Code;

const BYTES_MAX: u64 = 64 << 20;

fn record(id: &str) -> Record<Json> {
    Record {
        format: FORMAT,
        id: id.into(),
        tool: "t".into(),
        caller: "local".into(),
        session: None,
        trace: None,
        started_unix_ms: 1,
        ended_unix_ms: 2,
        code: Code::Ok.into(),
        args: Json::of(&json!({"a": 1})),
        component: None,
        decision: None,
        policy: None,
        plan: None,
        path: vec![],
        attempts: vec![],
        reply: None,
        parts: vec![],
        confidential: None,
        facts: None,
        repeat: None,
        hold: None,
        erased_unix_ms: None,
    }
}

#[tokio::test]
async fn what_was_sealed_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, BYTES_MAX).unwrap();
    // More records than the queue has places, some of them with a waiter.
    for i in 0..2_500 {
        let durability = if i % 700 == 0 { Durability::Committed } else { Durability::Queued };
        journal.seal(record(&format!("{i:08}-x")), durability).await.unwrap();
    }
    drop(journal);
    let journal = Journal::open(&path, BYTES_MAX).unwrap();
    for id in (0..2_500).step_by(100).chain([2_499]).map(|i| format!("{i:08}-x")) {
        let found = journal.find(&id).unwrap().unwrap();
        assert_eq!(serde_json::to_value(found).unwrap(), serde_json::to_value(record(&id)).unwrap());
    }
    assert!(journal.find("00007777").unwrap().is_none());
}

#[test]
fn what_is_no_journal_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    std::fs::write(&path, "this is a letter, not a database, and it is long enough to tell").unwrap();
    let err = Journal::open(&path, BYTES_MAX).unwrap_err().to_string();
    assert!(err.contains("journal.db") && err.contains("not a database"), "{err}");
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("this is a letter"));
    let missing = folder.path().join("no/such/journal.db");
    assert!(Journal::open(&missing, BYTES_MAX).unwrap_err().to_string().contains("no/such"));
}

#[tokio::test]
async fn two_processes_can_hold_it_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let (one, two) = (Journal::open(&path, BYTES_MAX).unwrap(), Journal::open(&path, BYTES_MAX).unwrap());
    one.seal(record("11111111"), Durability::Queued).await.unwrap();
    two.seal(record("22222222"), Durability::Committed).await.unwrap();
    assert!(one.find("22222222").unwrap().is_some());
    one.find("11111111").unwrap().unwrap();
    assert!(two.find("11111111").unwrap().is_some());
}

/// A record of the usual size.
fn long(id: &str) -> Record<Json> {
    Record { args: Json::of(&"x".repeat(2_000)), ..record(id) }
}

fn is_recorded(journal: &Journal, id: &str) -> bool {
    journal.find(id).unwrap().is_some()
}

/// Waits for another thread, in small steps.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what}");
}

async fn stands(journal: &Journal, standing: Standing) {
    until(&format!("it does not become {standing:?}"), || journal.view().standing == standing).await;
}

/// Another connection that holds the database, as a backup would.
fn hold(path: &Path) -> rusqlite::Connection {
    let other = rusqlite::Connection::open(path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

#[tokio::test]
async fn what_is_answered_while_the_database_is_held_is_on_record_later_and_effects_do_not_begin() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, BYTES_MAX).unwrap();
    let other = hold(&path);
    journal.seal(record("queued-1"), Durability::Queued).await.unwrap();
    // The first intent waits until the writer reports the failure. The second one is rejected at once.
    for id in ["intent-1", "intent-2"] {
        assert!(matches!(journal.intend(record(id)).await, Err(JournalError::Write(_))));
        assert_eq!(journal.view().standing, Standing::Failing);
    }
    assert!(matches!(journal.find("queued-1"), Err(JournalError::Late)), "it may be there later");
    other.execute_batch("ROLLBACK").unwrap();
    stands(&journal, Standing::Writing).await;
    assert!(is_recorded(&journal, "queued-1"));
    journal.intend(record("intent-3")).await.unwrap();
    assert_eq!(journal.open_intents().unwrap(), ["intent-3"], "a refused call has not begun");
    assert_eq!(journal.view().lost, 0);
}

#[tokio::test]
async fn a_database_that_is_held_takes_as_many_records_as_there_are_places() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, BYTES_MAX).unwrap();
    let other = hold(&path);
    let mut kept = 0;
    while journal.seal(record(&format!("{kept:08}")), Durability::Queued).await.is_ok() {
        kept += 1;
    }
    assert_eq!(kept, queue::PLACES);
    assert!(!journal.is_full(), "waiting for a place cannot help");
    for i in 0..3_000 {
        journal.seal_now(Box::new(record(&format!("dropped-{i}"))), Durability::Queued);
    }
    assert_eq!(journal.view().waiting, kept + 1_024);
    other.execute_batch("ROLLBACK").unwrap();
    stands(&journal, Standing::Writing).await;
    until("they are written", || journal.view().waiting == 0).await;
    assert!(is_recorded(&journal, "00000000") && is_recorded(&journal, "00002047"));
    assert_eq!(journal.view().lost, 3_000 - 1_024);
}

#[tokio::test]
async fn large_records_take_more_places() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, 1 << 30).unwrap();
    let other = hold(&path);
    let large =
        |i: usize| Record { args: Json::of(&"x".repeat((4 << 20) - 64)), ..record(&format!("{i:08}")) };
    let mut kept = 0;
    while journal.seal(large(kept), Durability::Queued).await.is_ok() {
        kept += 1;
    }
    assert_eq!(kept, 32, "128 MiB");
    other.execute_batch("ROLLBACK").unwrap();
    until("they are written", || journal.view().waiting == 0).await;
    let small = Journal::open(&path, BYTES_MAX).unwrap();
    let err = small.seal(Record { id: "too-large".into(), ..large(0) }, Durability::Queued).await;
    assert!(matches!(err, Ok(())), "a sixteenth of 64 MiB is 4 MiB: {err:?}");
    let larger = Record { args: Json::of(&"x".repeat(5 << 20)), ..record("too-large") };
    let err = small.seal(larger, Durability::Queued).await;
    assert!(matches!(err, Err(JournalError::TooLarge { .. })), "{err:?}");
}

#[tokio::test]
async fn a_record_that_can_never_be_written_does_not_hold_up_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, BYTES_MAX).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    let refusing = "CREATE TRIGGER no BEFORE INSERT ON records WHEN new.id = 'poisoned'
                    BEGIN SELECT raise(ABORT, 'not this one'); END";
    other.execute_batch(refusing).unwrap();
    for id in ["before-1", "poisoned", "behind-1"] {
        journal.seal(record(id), Durability::Queued).await.unwrap();
    }
    assert!(is_recorded(&journal, "before-1") && is_recorded(&journal, "behind-1"));
    assert!(!is_recorded(&journal, "poisoned"));
    assert_eq!((journal.view().lost, journal.view().waiting), (1, 0));
    assert_eq!(journal.view().standing, Standing::Writing);
}

#[tokio::test]
async fn files_that_are_removed_under_it_are_made_anew_and_what_was_committed_last_is_in_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, BYTES_MAX).unwrap();
    journal.seal(record("before-1"), Durability::Committed).await.unwrap();
    for end in ["", "-wal", "-shm"] {
        std::fs::remove_file(format!("{}{end}", path.display())).unwrap();
    }
    journal.seal(record("behind-1"), Durability::Committed).await.unwrap();
    until("it is opened again", || journal.find("behind-1").is_ok()).await;
    assert!(is_recorded(&journal, "behind-1"));
    assert!(!is_recorded(&journal, "before-1"), "that one went with its file");
    // Removes only the log and its index, as another process does when it finds no locks on the database.
    std::fs::remove_file(folder.path().join("journal.db-wal")).unwrap();
    std::fs::remove_file(folder.path().join("journal.db-shm")).unwrap();
    journal.seal(record("behind-2"), Durability::Committed).await.unwrap();
    until("it is opened again", || journal.find("behind-2").is_ok()).await;
    assert!(is_recorded(&journal, "behind-2"));
}

fn size(path: &Path) -> u64 {
    path.metadata().unwrap().len()
}

#[tokio::test]
async fn a_lower_bound_shrinks_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, BYTES_MAX).unwrap();
    for i in 0..4_000 {
        journal.seal(long(&format!("{i:08}")), Durability::Queued).await.unwrap();
    }
    assert!(is_recorded(&journal, "00000000"));
    drop(journal);
    let before = size(&path);
    assert!(before > 8 << 20, "{before}");
    let journal = Journal::open(&path, 4 << 20).unwrap();
    until("it shrinks", || {
        // The file itself shrinks when the log is folded into it.
        let outside = rusqlite::Connection::open(&path).unwrap();
        let _ = outside.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        size(&path) <= 4 << 20
    })
    .await;
    assert!(is_recorded(&journal, "00003999") && !is_recorded(&journal, "00000000"));
}

#[tokio::test]
async fn closing_waits_for_a_database_that_is_held_and_not_forever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, BYTES_MAX).unwrap();
    let other = hold(&path);
    journal.seal(record("lost-one"), Durability::Queued).await.unwrap();
    journal.close_within(Duration::ZERO);
    assert!(!journal.close());
    // Closing does not wait for the thread forever, so it may count the record a moment later.
    until("the record counts as lost", || journal.view().lost == 1).await;
    other.execute_batch("ROLLBACK").unwrap();
    assert!(journal.seal(record("too-late"), Durability::Queued).await.is_err());
    journal.seal_now(Box::new(record("too-late")), Durability::Queued);
    assert_eq!(journal.view().lost, 2);
    drop(journal);
    let journal = Journal::open(&path, BYTES_MAX).unwrap();
    let other = hold(&path);
    journal.seal(record("kept-one"), Durability::Queued).await.unwrap();
    let released = std::thread::spawn(move || other.execute_batch("ROLLBACK"));
    assert!(journal.close());
    released.join().unwrap().unwrap();
    assert!(is_recorded(&Journal::open(&path, BYTES_MAX).unwrap(), "kept-one"));
}

#[test]
fn a_reader_that_stays_stops_the_log_at_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut store = Store::open(&path).unwrap();
    store.write(|connection| store::intend(connection, &record("intent-1"), "")).unwrap();
    let reader = rusqlite::Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM calls").unwrap();
    for i in 0..20 {
        store.write(|connection| store::intend(connection, &long(&format!("{i:08}")), "")).unwrap();
    }
    assert!(store.fold(1 << 30).is_ok());
    let pinned = store.fold(100 << 10).unwrap_err();
    assert!(pinned.to_string().contains("end that reader"), "{pinned}");
    reader.execute_batch("COMMIT").unwrap();
    store.fold(100 << 10).unwrap();
}

/// The inodes on which this process holds POSIX locks.
fn locked_inodes() -> Vec<u64> {
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let of_this = locks.lines().filter(|line| line.contains(&format!(" {} ", std::process::id())));
    of_this.filter_map(|line| line.split(' ').find_map(|word| word.split(':').nth(2))?.parse().ok()).collect()
}

#[tokio::test]
async fn opening_it_again_in_one_process_keeps_the_locks() {
    use std::os::unix::fs::MetadataExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, BYTES_MAX).unwrap();
    journal.seal(record("11111111"), Durability::Committed).await.unwrap();
    let (main, shm) =
        (path.metadata().unwrap().ino(), folder.path().join("journal.db-shm").metadata().unwrap().ino());
    drop(Journal::open(&path, BYTES_MAX).unwrap());
    let second = Journal::open(&path, BYTES_MAX).unwrap();
    second.find("11111111").unwrap();
    if Path::new("/proc/locks").exists() {
        assert!(locked_inodes().contains(&main), "the lock on the database");
        assert!(locked_inodes().contains(&shm), "the lock on the log's index");
    }
}
