//! Journals of released versions stay readable, even when the types that wrote them change.
//!
//! A recording is a folder under `tests/recordings`: `journal.db` as a version left it, and `calls.txt` with a line for
//! each call: id, tool, outcome code; `schema-6` and later ones also have a checkpoint of their log, with the key. `format-N` has records of an old form, `schema-N` tables of an old version. To add
//! one: a new folder. Existing ones never change.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use airlock_journal::Journal;
use airlock_journal::evidence::Verified;
use airlock_journal::log::Note;
use airlock_tests::root;
use airlock_types::record::v3::FORMAT;

const BYTES_MAX: u64 = 64 << 20;

/// Opens a copy, because opening a journal may update its tables to the newest version.
pub(super) fn open(recording: &str, folder: &Path) -> Journal {
    let path = folder.join("journal.db");
    std::fs::copy(root().join("tests/recordings").join(recording).join("journal.db"), &path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    Journal::open(&path, BYTES_MAX).unwrap()
}

fn check(recording: &str) {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(recording, folder.path());
    let calls = root().join("tests/recordings").join(recording).join("calls.txt");
    let calls = std::fs::read_to_string(calls).unwrap();
    assert!(calls.lines().count() > 10, "a recording of hardly anything proves nothing");
    for line in calls.lines() {
        let [id, tool, code] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let record = journal.find(id).unwrap().unwrap_or_else(|| panic!("{line} is not there"));
        assert_eq!((record.format, &*record.id, &*record.tool, &*record.code), (FORMAT, id, tool, code));
        assert_eq!(record.reply.unwrap()["code"], code, "{line}");
        let ran = !record.attempts.is_empty();
        assert_eq!(ran, record.plan.is_some(), "{line}");
        assert!(!ran || record.path.len() >= 2, "{line}");
        assert!(record.args.is_some() && record.started_unix_ms <= record.ended_unix_ms, "{line}");
    }
}

#[test]
fn journals_of_format_2_stay_readable() {
    check("format-2");
}

#[test]
fn journals_of_format_3_stay_readable() {
    check("format-3");
}

#[test]
fn journals_with_tables_of_version_4_stay_readable() {
    check("schema-4");
}

#[test]
fn journals_with_tables_of_version_5_stay_readable() {
    check("schema-5");
}

#[test]
fn a_record_of_a_newer_format_says_so() {
    let err = airlock_types::record::read(r#"{"format": 4, "what": "else"}"#).unwrap_err();
    assert!(err.to_string().contains("format 4, written by a newer Airlock"), "{err}");
}

/// Checks a recording that has a log, with its checkpoint and the key of it. Returns how many of its entries were there.
fn verify(recording: &str) -> (Verified, u64) {
    check(recording);
    let folder = tempfile::tempdir().unwrap();
    let journal = open(recording, folder.path());
    let read = |name: &str| {
        std::fs::read_to_string(root().join("tests/recordings").join(recording).join(name)).unwrap()
    };
    let kept = Note::read_all(&read("checkpoint.txt")).unwrap();
    let key = read("key.txt").trim().parse().unwrap();
    let verified = journal.verify(&kept, Some(&key)).unwrap();
    let size = kept[0].checkpoint.size;
    assert_eq!((&verified.faults, &verified.agreed), (&vec![], &vec![size]));
    // Without the key, whose checkpoint is not compared then.
    assert_eq!(journal.verify(&[], None).unwrap().faults, []);
    (verified, size)
}

#[test]
fn journals_with_tables_of_version_6_stay_readable_and_verify() {
    verify("schema-6");
}

#[test]
fn journals_with_tables_of_version_7_stay_readable_and_verify() {
    let (verified, size) = verify("schema-7");
    assert!(verified.removed > 0 && verified.erased > 0 && verified.exported.is_some(), "{verified:?}");
    // What it says of retention has no signature: the key that is made now signs what is there.
    assert_eq!((verified.begun.map(|begun| begun.number), verified.entries), (Some(size), size + 1));
}
