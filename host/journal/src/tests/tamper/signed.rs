//! Entries about retention and exports by a forger who can write the database and has no key; and keys that are lost.

use rusqlite::Connection;

use super::forged::say;
use super::*;
use crate::log::{Entry, Kind, Signed, VerifyingKey, sign, signed};
use airlock_types::digest::sha256_of;

const ID: &str = "00000071-reads";

impl Sample {
    fn key(&self) -> PathBuf {
        self.folder.path().join("journal.db-log-key")
    }

    /// The faults of signatures: number and text.
    fn unsigned(&self) -> Vec<(u64, String)> {
        let faults = self.verify().faults.into_iter();
        faults
            .filter(|fault| fault.what.contains("sign"))
            .filter_map(|fault| Some((fault.number?, fault.what)))
            .collect()
    }
}

/// The number of the only entry about a record.
fn entry_of(connection: &Connection, id: &str) -> u64 {
    connection
        .query_row("SELECT number FROM log WHERE id = ?1", [id], |row| row.get::<_, i64>(0))
        .unwrap()
        .unsigned_abs()
}

/// What an entry says that a server erased and removed.
fn told(id: &str, erased: Option<u64>, removed: Option<u64>) -> String {
    let range =
        |number: Option<u64>| number.map_or("[]".to_owned(), |number| format!("[[{number},{number}]]"));
    format!(
        r#"{{"at_unix_ms":7200000,"by":"server","erased":{},"erased_entries":{},"first":"{id}","kept_bytes":9,"last":"{id}","removed":{},"removed_entries":{},"run":9}}"#,
        u8::from(erased.is_some()),
        range(erased),
        u8::from(removed.is_some()),
        range(removed),
    )
}

/// Removes a record as retention does. Returns what an entry says of it.
fn remove(connection: &Connection, id: &str) -> String {
    let number = entry_of(connection, id);
    for change in [
        "INSERT INTO leaves SELECT number, leaf FROM log WHERE id = ?1",
        "DELETE FROM log WHERE id = ?1",
        "DELETE FROM records WHERE id = ?1",
    ] {
        assert_eq!(connection.execute(change, [id]).unwrap(), 1, "{change}");
    }
    told(id, None, Some(number))
}

/// Erases a record as retention does. Returns what an entry says of it.
fn erase(connection: &Connection, id: &str) -> String {
    let text: String =
        connection.query_row("SELECT record FROM records WHERE id = ?1", [id], |row| row.get(0)).unwrap();
    let mut record = airlock_types::record::read(&text).unwrap();
    record.erase();
    let text = serde_json::to_string(&record).unwrap();
    let change = "UPDATE records SET record = ?2, bytes = octet_length(?2), parts = 0, erased_unix_ms = 7200000 WHERE id = ?1";
    assert_eq!(connection.execute(change, [id, &text]).unwrap(), 1);
    assert_eq!(connection.execute("UPDATE log SET salt = NULL WHERE id = ?1", [id]).unwrap(), 1);
    told(id, Some(entry_of(connection, id)), None)
}

fn size(connection: &Connection) -> u64 {
    store::log::size(connection).unwrap()
}

fn last_prune(connection: &Connection) -> String {
    let last = "SELECT text FROM log WHERE kind = 'prune' ORDER BY number DESC LIMIT 1";
    connection.query_row(last, [], |row| row.get(0)).unwrap()
}

/// The member with the signature of a text.
fn signature(text: &str) -> &str {
    let from = text.find(",\"signature\":").unwrap();
    &text[from..text.len() - 1]
}

#[tokio::test]
async fn what_retention_took_is_signed_and_a_forged_entry_about_it_is_found() {
    let sample = Sample::new(80).await;
    assert_eq!(sample.verify().faults, []);
    let other = SigningKey::open(&sample.folder.path().join("other")).unwrap();
    type Forger<'f> = &'f dyn Fn(&Connection, String) -> String;
    let ways: [(&str, Forger<'_>); 5] = [
        ("is not signed with the key of the log", &|_, text| text),
        ("its signature is not one of the key", &|connection, text| {
            let copied = last_prune(connection);
            text.replacen('}', &format!("{}}}", signature(&copied)), 1)
        }),
        ("is signed with another key than that of the log, `airlock-journal/", &|connection, text| {
            sign(&other, Kind::Prune, size(connection), &text).unwrap()
        }),
        // By another key, under the name of that of the log.
        ("its signature is not one of the key", &|connection, text| {
            let signed = sign(&other, Kind::Prune, size(connection), &text).unwrap();
            let copied = last_prune(connection);
            let name = |text: &str| signature(text)[14..].split(' ').next().unwrap().to_owned();
            signed.replace(&name(&signed), &name(&copied))
        }),
        ("its signature is not one of the key", &|_, text| text.replacen('}', ",\"signature\":7}", 1)),
    ];
    for (says, forger) in ways {
        for take in [remove, erase] {
            let copy = sample.copy();
            let connection = copy.connection();
            let told = take(&connection, ID);
            let number = size(&connection);
            let text = forger(&connection, told);
            say(&connection, Kind::Prune, &text);
            drop(connection);
            // Nothing else is wrong, with tiles and without.
            for _ in 0..2 {
                let verified = copy.verify();
                let [fault] = &verified.faults[..] else { panic!("{says}: {:#?}", verified.faults) };
                assert_eq!((fault.kind, fault.number), (FaultKind::Inserted, Some(number)));
                let which = format!("d 1 record, {ID}, and ");
                assert!(fault.what.contains(&which) && fault.what.contains(says), "{says}: {}", fault.what);
                let _ = fs::remove_dir_all(copy.tiles());
            }
        }
    }
}

#[tokio::test]
async fn an_entry_about_what_retention_took_excuses_no_other_entries() {
    let sample = Sample::new(80).await;
    // As in a log that was written anew around an entry of another time.
    let change = "UPDATE leaves SET leaf = zeroblob(32) WHERE number = (SELECT min(number) FROM leaves)";
    assert_eq!(sample.connection().execute(change, []).unwrap(), 1);
    let _ = fs::remove_dir_all(sample.tiles());
    let verified = sample.verify();
    let [fault] = &verified.faults[..] else { panic!("{:#?}", verified.faults) };
    assert!(fault.what.ends_with(", and the entries that it names are others"), "{}", fault.what);
}

#[tokio::test]
async fn a_record_that_a_forger_erased_is_told_where_it_is_looked_at() {
    let sample = Sample::new(80).await;
    let connection = sample.connection();
    let told = erase(&connection, ID);
    let number = size(&connection);
    say(&connection, Kind::Prune, &told);
    let [fault] = &sample.open().faults(ID).unwrap()[..] else { panic!() };
    assert!(
        fault.what.starts_with(&format!("by entry {number} it was erased: it says that")),
        "{}",
        fault.what
    );
    // What retention erased is not.
    assert_eq!(sample.open().faults("00000035-reads").unwrap(), []);
}

#[tokio::test]
async fn a_forged_export_and_a_forged_beginning_are_found() {
    let sample = Sample::new(80).await;
    let journal = sample.open();
    journal.exported(&journal.checkpoint().unwrap(), "file", 1).unwrap();
    assert_eq!(journal.verify(&[], None).unwrap().faults, []);
    drop(journal);
    let connection = sample.connection();
    let number = size(&connection);
    let export = format!(r#"{{"at_unix_ms":9,"origin":"x","root":"","size":{number},"to":"file"}}"#);
    say(&connection, Kind::Checkpoint, &export);
    // One that would cover everything before it, and one by another key.
    let begun = |number: u64| format!(r#"{{"size":{number}}}"#);
    say(&connection, Kind::Key, &begun(number + 1));
    let other = SigningKey::open(&sample.folder.path().join("other")).unwrap();
    let text = sign(&other, Kind::Key, number + 2, &begun(number + 2)).unwrap();
    say(&connection, Kind::Key, &text);
    drop(connection);
    let found = sample.unsigned();
    let says = [
        "it says that a checkpoint left the machine, and is not signed",
        "began to sign, and is not signed",
        "is signed with another key",
    ];
    assert_eq!(found.len(), 3, "{found:?}");
    for (at, says) in says.iter().enumerate() {
        assert_eq!(found[at].0, number + at as u64);
        assert!(found[at].1.contains(says), "{found:?}");
    }
}

/// Makes a journal what a version wrote that signed no entry.
fn age(sample: &Sample) {
    let connection = sample.connection();
    let texts = "SELECT number, kind, text FROM log WHERE text IS NOT NULL";
    let mut query = connection.prepare(texts).unwrap();
    let rows = query
        .query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?)));
    for (number, kind, text) in rows.unwrap().map(Result::unwrap) {
        let text = text.replace(signature(&text), "");
        let head = sha256_of(&[text.as_bytes()]);
        let kind = Kind::named(&kind).unwrap();
        let entry = Entry {
            ends: &[],
            head: Some(head),
            id: None,
            kind,
            number: number.unsigned_abs(),
            payload: None,
        };
        let update = "UPDATE log SET leaf = ?2, head = ?3, text = ?4 WHERE number = ?1";
        connection.execute(update, rusqlite::params![number, entry.leaf(), head, text]).unwrap();
    }
    drop(query);
    connection.pragma_update(None, "user_version", 7).unwrap();
    fs::remove_dir_all(sample.tiles()).unwrap();
}

#[tokio::test]
async fn a_journal_that_is_older_than_signatures_is_signed_once_as_it_is() {
    let sample = Sample::new(80).await;
    age(&sample);
    let text = fs::read_to_string(sample.key()).unwrap();
    let (line, begun) = text.split_once('\n').unwrap();
    assert_eq!(begun, "begun\n");
    fs::write(sample.key(), format!("{line}\n")).unwrap();
    let before = size(&sample.connection());
    let verified = sample.verify();
    let begun = verified.begun.map(|begun| begun.number);
    assert_eq!((verified.faults, begun, verified.entries), (vec![], Some(before), before + 1));
    assert_eq!(fs::read_to_string(sample.key()).unwrap(), text, "it has begun");
    assert_eq!(sample.verify().entries, before + 1, "once");
    let key: VerifyingKey = sample.open().checkpoint_key().unwrap();
    let journal = sample.open();
    journal.prune(&|_| Keep { record_ms: Some(1), ..Keep::default() }, By::Server, 60 * MINUTE).unwrap();
    assert_eq!(journal.verify(&[], None).unwrap().faults, []);
    drop(journal);
    let connection = sample.connection();
    let (number, text) = (size(&connection) - 1, last_prune(&connection));
    assert_eq!(signed(&[&key], Kind::Prune, number, &text), Signed::Valid);

    // A forger writes an entry as of an earlier version, behind and before that in which the key began.
    let told = remove(&connection, ID);
    say(&connection, Kind::Prune, &told);
    drop(connection);
    let behind = sample.copy();
    assert_eq!(behind.unsigned()[0].0, number + 1);
    // The database looks as if it were of that version: what the key signed is gone, and so is that it began.
    behind.connection().execute("DELETE FROM log WHERE kind = 'key' OR text LIKE '%signature%'", []).unwrap();
    behind.connection().pragma_update(None, "user_version", 7).unwrap();
    let found = behind.unsigned();
    assert!(found.iter().any(|(at, what)| *at == number + 1 && what.contains("is not signed")), "{found:?}");
    assert_eq!(behind.verify().begun, None);
    // In the place of an earlier entry.
    let earlier = sample.copy();
    let connection = earlier.connection();
    connection.execute("DELETE FROM log WHERE number = ?1", [(number + 1).cast_signed()]).unwrap();
    let place: i64 = connection
        .query_row(
            "SELECT max(number) FROM log WHERE kind = 'call' AND number < ?1",
            [before.cast_signed()],
            |row| row.get(0),
        )
        .unwrap();
    let id: String =
        connection.query_row("SELECT id FROM log WHERE number = ?1", [place], |row| row.get(0)).unwrap();
    connection.execute("DELETE FROM records WHERE id = ?1", [&id]).unwrap();
    let head = sha256_of(&[told.as_bytes()]);
    let entry = Entry {
        ends: &[],
        head: Some(head),
        id: None,
        kind: Kind::Prune,
        number: place.unsigned_abs(),
        payload: None,
    };
    connection
        .execute(
            "UPDATE log SET kind = 'prune', id = NULL, payload = NULL, salt = NULL, ends = NULL, leaf = ?2, head = ?3, text = ?4 WHERE number = ?1",
            rusqlite::params![place, entry.leaf(), head, told],
        )
        .unwrap();
    drop(connection);
    let found = earlier.unsigned_root();
    assert!(
        found.contains(&format!("entry {before}, with which the key of the log began to sign,")),
        "{found}"
    );
}

impl Sample {
    /// What the root of a key's beginning says.
    fn unsigned_root(&self) -> String {
        let faults = self.verify().faults;
        let found = faults.iter().find(|fault| fault.kind == FaultKind::Checkpoint);
        found.unwrap_or_else(|| panic!("{faults:#?}")).what.clone()
    }
}

#[tokio::test]
async fn a_lost_key_is_told_and_never_replaced_in_silence() {
    let sample = Sample::new(80).await;
    let journal = sample.open();
    let old = journal.checkpoint().unwrap();
    journal.exported(&old, "file", 1).unwrap();
    assert_eq!(journal.verify(&[], None).unwrap().other_keys, [""; 0]);
    assert!(
        journal
            .new_checkpoint_key()
            .unwrap_err()
            .to_string()
            .contains("only in the place of one that was lost")
    );
    fs::remove_file(sample.key()).unwrap();
    let prune =
        || journal.prune(&|_| Keep { record_ms: Some(1), ..Keep::default() }, By::Server, 60 * MINUTE);
    let records = || -> i64 {
        sample.connection().query_row("SELECT count(*) FROM records", [], |row| row.get(0)).unwrap()
    };
    let before = records();
    let said = |errors: [JournalError; 4], says: &str| {
        for err in errors.map(|err| err.to_string()) {
            assert!(err.contains(says) && err.contains("put it back from a backup"), "{err}");
            assert!(err.contains("`airlock journal key --new`"), "{err}");
        }
    };
    let errors = || {
        [
            journal.checkpoint().unwrap_err(),
            journal.checkpoint_key().unwrap_err(),
            prune().unwrap_err(),
            journal.exported(&old, "file", 1).unwrap_err(),
        ]
    };
    said(errors(), "is missing, and the checkpoint in");
    assert!(journal.new_checkpoint_key().unwrap_err().to_string().contains("move that folder away"));
    fs::remove_dir_all(sample.tiles()).unwrap();
    said(errors(), "is missing, and what the log says of retention and exports is signed with it");
    assert!(!sample.key().exists() && records() == before);
    // One fault, and not one for each entry.
    let [fault] = &journal.verify(&[], None).unwrap().faults[..] else { panic!() };
    assert!(
        fault.what.contains("the key of the log is missing or unusable, and none is given"),
        "{}",
        fault.what
    );
    // A new beginning, as the errors say: the old checkpoints are those of another key.
    journal.new_checkpoint_key().unwrap();
    journal.checkpoint().unwrap();
    prune().unwrap();
    let verified = journal.verify(&[], None).unwrap();
    assert_eq!((verified.faults, verified.other_keys), (vec![], vec![old.checkpoint.origin.clone()]));
    assert!(verified.begun.is_some() && records() < before);
    let [fault] = &journal.verify(&[old], None).unwrap().faults[..] else { panic!() };
    assert!(fault.what.contains("another key was in its place then"), "{}", fault.what);
}

#[tokio::test]
async fn another_key_in_the_place_of_that_of_the_log_is_told() {
    let sample = Sample::new(80).await;
    let journal = sample.open();
    let old = journal.checkpoint().unwrap();
    fs::remove_file(sample.key()).unwrap();
    SigningKey::open(&sample.key()).unwrap();
    let err = journal.checkpoint().unwrap_err().to_string();
    assert!(err.contains(&format!("signed by the key of `{}`", old.checkpoint.origin)), "{err}");
    let found = sample.unsigned();
    let says = format!("is signed with another key than that of the log, `{}`", old.checkpoint.origin);
    assert!(found.iter().any(|(_, what)| what.contains(&says)), "{found:?}");
}

#[tokio::test]
async fn records_make_room_without_a_key_and_verification_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let sample = Sample { folder };
    let journal = Journal::open(&sample.path(), 1 << 20).unwrap();
    let key = fs::read(sample.key()).unwrap();
    fs::write(sample.key(), "damaged").unwrap();
    for minute in 0..1_200 {
        journal.seal(at(minute, "reads"), Durability::Committed).await.unwrap_or_default();
        journal.seal(at(minute, "more"), Durability::Queued).await.unwrap();
    }
    journal.flush().unwrap();
    assert!(journal.view().removed > 0);
    fs::write(sample.key(), key).unwrap();
    let found = sample.unsigned();
    assert!(!found.is_empty() && found[0].1.contains("the key was missing then"), "{found:?}");
}
