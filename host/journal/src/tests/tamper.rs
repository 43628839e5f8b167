//! Tamper evidence: what is changed, dropped, inserted or reordered is found and located.

mod forged;
mod mutate;
mod placed;
mod signed;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::*;
use crate::evidence::{Fault, FaultKind, Verified};
use crate::grade::{Grade, Graded};
use crate::log::{Note, SigningKey};
use crate::retention::{By, Keep};
use mutate::{Draw, Target};

/// Random changes of the property test, each of one copy.
const CHANGES: u64 = 1_000;

/// Minutes of the records that retention removes and erases.
const REMOVED: u64 = 20;
const ERASED: u64 = 50;

const MINUTE: u64 = 60_000;

/// A journal with something of everything, and its tiles.
struct Sample {
    folder: tempfile::TempDir,
}

impl Sample {
    async fn new(records: u64) -> Sample {
        let sample = Sample { folder: tempfile::tempdir().unwrap() };
        let journal = sample.open();
        for minute in 0..records {
            journal.seal(at(minute, "reads"), Durability::Queued).await.unwrap();
            if minute.is_multiple_of(5) {
                journal.intend(at(minute, "writes")).await.unwrap();
                journal.seal(at(minute, "writes"), Durability::Committed).await.unwrap();
            }
            if minute.is_multiple_of(17) {
                grade(&journal, minute);
            }
        }
        // Sealed again with another end; and two calls that run.
        let again = Record { code: Code::HostJournal.into(), ..at(records - 1, "reads") };
        journal.seal(again, Durability::Queued).await.unwrap();
        for id in ["open-0001", "open-0002"] {
            journal.intend(record(id)).await.unwrap();
        }
        let rules = |_: &str| Keep {
            record_ms: Some((records - REMOVED) * MINUTE),
            payload_ms: Some((records - ERASED) * MINUTE),
            ..Keep::default()
        };
        journal.prune(&rules, By::Command, records * MINUTE).unwrap();
        sample.fold(&journal);
        sample
    }

    /// Builds the tiles, and folds the write-ahead log into the database.
    fn fold(&self, journal: &Journal) {
        journal.flush().unwrap();
        journal.checkpoint().unwrap();
        let connection = self.connection();
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    fn tiles(&self) -> PathBuf {
        self.folder.path().join("journal.db-log")
    }

    fn open(&self) -> Journal {
        Journal::open(&self.path(), BYTES_MAX).unwrap()
    }

    fn connection(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }

    /// A copy of all files.
    fn copy(&self) -> Sample {
        let copy = Sample { folder: tempfile::tempdir().unwrap() };
        copy_all(self.folder.path(), copy.folder.path());
        copy
    }

    fn verify(&self) -> Verified {
        self.open().verify(&[], None).unwrap()
    }
}

fn copy_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            fs::set_permissions(&to, fs::Permissions::from_mode(0o700)).unwrap();
            copy_all(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).unwrap();
        }
    }
}

/// A record of a tool that came at this minute. Some have a large value.
fn at(minute: u64, tool: &str) -> Record<Json> {
    let large = if minute.is_multiple_of(11) { "large ".repeat(1_000) } else { String::new() };
    Record {
        tool: tool.into(),
        session: (minute.is_multiple_of(3)).then(|| format!("session {minute}")),
        started_unix_ms: minute * MINUTE,
        ended_unix_ms: minute * MINUTE + 5,
        args: Json::of(&json!({"minute": minute, "large": large})),
        reply: Json::of(&json!({"status": "ok", "result": "a result"})),
        ..record(&format!("{minute:08}-{tool}"))
    }
}

fn grade(journal: &Journal, minute: u64) {
    let note = (minute.is_multiple_of(2)).then_some("a note");
    let graded = Graded::new(Grade::Wrong, "maria", note, 7).unwrap();
    journal.grade(&format!("{minute:08}-reads"), &graded).unwrap();
}

#[tokio::test]
async fn what_was_not_touched_verifies_and_says_what_is_unprotected() {
    let sample = Sample::new(180).await;
    let verified = sample.verify();
    assert_eq!(verified.faults, []);
    assert_eq!((verified.open, verified.lost, verified.owed, verified.before), (2, 0, 0, 0));
    assert_eq!(verified.tiles, Some(verified.entries));
    assert!(verified.removed > 20 && verified.erased > 30, "{verified:?}");
    assert_eq!((verified.exported, verified.agreed.len()), (None, 0));
}

#[tokio::test]
async fn a_thousand_random_changes_are_found_and_located() {
    let sample = Sample::new(180).await;
    let mut kinds = std::collections::BTreeMap::new();
    for seed in 0..CHANGES {
        let copy = sample.copy();
        let target = mutate::change(&copy.path(), &copy.tiles(), &mut Draw::new(seed));
        let verified = copy.verify();
        let is_located = verified.faults.iter().any(|fault| target.is_meant_by(fault));
        assert!(is_located, "seed {seed}: {target:?} is not among {:#?}", verified.faults);
        let Target { what, .. } = target;
        *kinds.entry(what).or_insert(0) += 1;
    }
    // Each kind of change was made.
    assert!(kinds.len() >= 12 && kinds.values().all(|count| *count >= 5), "{kinds:?}");
}

#[tokio::test]
async fn what_cannot_be_read_is_located_too() {
    let sample = Sample::new(80).await;
    for (change, id) in [
        ("UPDATE records SET caller = CAST(x'ff' AS TEXT) WHERE id = '00000070-reads'", "00000070-reads"),
        ("UPDATE log SET ends = 'x' WHERE id = '00000070-writes' AND kind = 'effect'", "00000070-writes"),
        ("UPDATE log SET kind = NULL WHERE id = '00000075-writes' AND kind = 'effect'", "00000075-writes"),
        ("UPDATE log SET kind = CAST(x'ff' AS TEXT) WHERE id = '00000071-reads'", "00000071-reads"),
        ("UPDATE graded SET by = CAST(x'ff' AS TEXT) WHERE call = '00000068-reads'", "00000068-reads/grade/"),
    ] {
        let copy = sample.copy();
        assert_eq!(copy.connection().execute(change, []).unwrap(), 1, "{change}");
        let verified = copy.verify();
        let is_located = |fault: &Fault| fault.id.as_ref().is_some_and(|found| found.starts_with(id));
        assert!(verified.faults.iter().any(is_located), "{change}: {:?}", verified.faults);
    }
}

#[tokio::test]
async fn a_shorter_log_agrees_with_older_checkpoints_and_not_with_newer_ones() {
    let sample = Sample { folder: tempfile::tempdir().unwrap() };
    let journal = sample.open();
    for minute in 0..300 {
        journal.seal(at(minute, "reads"), Durability::Queued).await.unwrap();
    }
    sample.fold(&journal);
    let older = journal.checkpoint().unwrap();
    let backup = sample.copy();
    for minute in 300..420 {
        journal.seal(at(minute, "reads"), Durability::Queued).await.unwrap();
    }
    sample.fold(&journal);
    let newer = journal.checkpoint().unwrap();
    assert_eq!((older.checkpoint.size, newer.checkpoint.size), (300, 420));
    drop(journal);
    // The older files in the place of the newer ones: nothing in them is wrong.
    let journal = backup.open();
    let verified = journal.verify(&[], None).unwrap();
    assert_eq!((verified.faults_count, verified.unprotected_from(), verified.entries), (0, 0, 300));
    let verified = journal.verify(&[older.clone(), newer.clone()], None).unwrap();
    assert_eq!((verified.agreed.as_slice(), verified.unprotected_from()), (&[300][..], 300));
    let [fault] = &verified.faults[..] else { panic!("{:?}", verified.faults) };
    assert_eq!((fault.kind, fault.number), (FaultKind::Dropped, Some(300)));
    assert!(fault.what.contains("the entries from 300 to 419 were cut off its end"), "{}", fault.what);
    // Written on from there: another log, and the checkpoint says from where on.
    for minute in 500..700 {
        journal.seal(at(minute, "reads"), Durability::Queued).await.unwrap();
    }
    let verified = journal.verify(&[newer, older], None).unwrap();
    let [fault] = &verified.faults[..] else { panic!("{:?}", verified.faults) };
    assert_eq!(fault.kind, FaultKind::Checkpoint);
    assert!(fault.what.contains("one of the entries from 300 to 419 was changed"), "{}", fault.what);
}

#[tokio::test]
async fn checkpoints_of_another_key_are_told() {
    let sample = Sample::new(80).await;
    let note = sample.open().checkpoint().unwrap();
    let other = SigningKey::open(&sample.folder.path().join("other")).unwrap();
    let verified = sample.open().verify(&[note], Some(other.verifying())).unwrap();
    // The kept one, and the one beside the tiles.
    assert_eq!(verified.faults_count, 2);
    assert!(verified.faults[0].what.contains("is not signed by the key airlock-journal/"));
}

#[tokio::test]
async fn tiles_are_built_anew_and_never_over_those_of_another_log() {
    let sample = Sample::new(180).await;
    let journal = sample.open();
    let before = journal.checkpoint().unwrap();
    fs::remove_dir_all(sample.tiles()).unwrap();
    let after = journal.checkpoint().unwrap();
    assert_eq!(after, before, "Ed25519 signs in one way");
    assert_eq!(journal.verify(&[before], None).unwrap().faults, []);
    drop(journal);
    let connection = sample.connection();
    connection
        .execute("UPDATE log SET leaf = zeroblob(32) WHERE number = (SELECT max(number) FROM log)", [])
        .unwrap();
    let err = sample.open().checkpoint().unwrap_err().to_string();
    assert!(err.contains("are of another log"), "{err}");
}

#[tokio::test]
async fn erased_and_removed_records_leave_proofs_valid() {
    let sample = Sample { folder: tempfile::tempdir().unwrap() };
    let journal = sample.open();
    for minute in 0..300 {
        journal.seal(at(minute, "reads"), Durability::Queued).await.unwrap();
    }
    let proof = journal.prove("00000007-reads").unwrap().unwrap();
    assert!(proof.holds() && proof.entry.contains("\"id\":\"00000007-reads\""));
    let rules = |_: &str| Keep { payload_ms: Some(MINUTE), ..Keep::default() };
    journal.prune(&rules, By::Server, 1_000 * MINUTE).unwrap();
    let later = journal.prove("00000007-reads").unwrap().unwrap();
    assert_eq!((&later.entry, later.index), (&proof.entry, proof.index));
    assert!(later.holds() && later.note.checkpoint.size > proof.note.checkpoint.size);
    assert!(journal.consistency(&proof.note, &later.note).unwrap().is_ok());
    let rules = |_: &str| Keep { record_ms: Some(MINUTE), ..Keep::default() };
    journal.prune(&rules, By::Server, 1_000 * MINUTE).unwrap();
    assert!(journal.prove("00000007-reads").unwrap().is_none(), "there is nothing to prove");
    let last = journal.checkpoint().unwrap();
    let verified = journal.verify(&[proof.note.clone(), later.note, last.clone()], None).unwrap();
    assert_eq!((verified.faults_count, verified.agreed.len(), verified.removed), (0, 3, 300));
    assert!(journal.consistency(&proof.note, &last).unwrap().is_ok());
    let swapped = journal.consistency(&last, &proof.note).unwrap().unwrap_err();
    assert!(swapped.contains("the old checkpoint has 1 to 300 entries"), "{swapped}");
}

#[tokio::test]
async fn an_export_is_on_record() {
    let sample = Sample::new(80).await;
    let journal = sample.open();
    assert!(journal.last_export().unwrap().is_none());
    let note: Note = journal.checkpoint().unwrap();
    journal.exported(&note, "https://example.com", 1_234).unwrap();
    let (exported, is_all) = journal.last_export().unwrap().unwrap();
    assert_eq!((exported.size, exported.at_unix_ms, is_all), (note.checkpoint.size, 1_234, true));
    journal.seal(at(900, "reads"), Durability::Committed).await.unwrap();
    assert!(!journal.last_export().unwrap().unwrap().1);
    let verified = journal.verify(&[note], None).unwrap();
    assert_eq!((verified.faults_count, verified.exported), (0, Some(exported)));
}

#[tokio::test]
async fn records_that_a_killed_process_owed_are_a_gap() {
    let sample = Sample { folder: tempfile::tempdir().unwrap() };
    drop(sample.open());
    let mut killed = crate::owner::Owner::new(&sample.path(), std::sync::Arc::default());
    killed.id(0).unwrap();
    (0..3).for_each(|_| killed.owed().add_one(0));
    drop(killed);
    let journal = sample.open();
    let verified = journal.verify(&[], None).unwrap();
    assert_eq!((verified.owed, verified.lost), (3, 0));
    journal.settle_interrupted().unwrap();
    let verified = journal.verify(&[], None).unwrap();
    assert_eq!((verified.owed, verified.lost, verified.faults_count), (0, 3, 0));
    journal.settle_interrupted().unwrap();
    assert_eq!(journal.verify(&[], None).unwrap().lost, 3, "told once");
}

#[tokio::test]
async fn a_head_of_another_form_is_attested_anew() {
    let sample = Sample { folder: tempfile::tempdir().unwrap() };
    let journal = sample.open();
    // Written as by a version whose heads had another form: an entry that commits to another head.
    let mut store = Store::open(&sample.path()).unwrap();
    store
        .write(|connection| {
            let record = store::Sealing::Plain(Box::new(at(1, "reads")));
            store::seal(connection, &record, Durability::Queued, &mut store::log::Next::default())?;
            let text: String = connection
                .query_row("SELECT record FROM records", [], |row| row.get(0))
                .map_err(store::StoreError::from)?;
            connection.execute("DELETE FROM log", []).map_err(store::StoreError::from)?;
            let new = store::log::New {
                head: Some("another form"),
                payload: Some(&text),
                ..store::log::New::of(crate::log::Kind::Call, "00000001-reads")
            };
            store::log::append(connection, new)
        })
        .unwrap();
    assert_eq!(journal.verify(&[], None).unwrap().faults, []);
    let rules = |_: &str| Keep { payload_ms: Some(MINUTE), ..Keep::default() };
    journal.prune(&rules, By::Server, 100 * MINUTE).unwrap();
    let verified = journal.verify(&[], None).unwrap();
    assert_eq!((verified.faults, verified.entries), (vec![], 3));
}
