//! One rule of exit codes for all verbs that read the journal: 1 if the answer is no, 70 if the journal cannot be used.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::Value;

use crate::http::KM;
use crate::journal::{journal_of, registry_in};
use crate::state_folder::{airlock, mode};

/// A registry with a call on record, and the id of that.
fn place(folder: &Path) -> (PathBuf, String) {
    let path = registry_in(folder, "[journal]\nkeep = \"400d\"\n");
    let called = airlock(&path, &["call", "reads", KM, "--json"]);
    let reply: Value = serde_json::from_slice(&called.stdout).unwrap();
    (path, reply["record"].as_str().unwrap().to_owned())
}

/// A version for a bisection.
const COMPONENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/guests/build/plain.wasm");

/// Verbs that look at one call, with its place in the arguments.
fn of_call(id: &str) -> Vec<Vec<&str>> {
    vec![
        vec!["show", id],
        vec!["show", id, "--json"],
        vec!["why", id],
        vec!["replay", id],
        vec!["bisect", id, COMPONENT, COMPONENT],
        vec!["grade", id, "right"],
        vec!["journal", "prove", id],
    ]
}

/// Verbs that look at all of the journal.
fn of_all() -> Vec<Vec<&'static str>> {
    vec![
        vec!["log"],
        vec!["replay", "--since", "1h"],
        vec!["backtest"],
        vec!["journal", "export"],
        vec!["journal", "verify"],
        vec!["journal", "checkpoint"],
        vec!["journal", "key"],
        vec!["journal", "prune"],
        vec!["policy", "unused"],
        vec!["audit"],
    ]
}

fn check(path: &Path, args: &[&str], expected: i32, says: &str) {
    let done = airlock(path, args);
    let said = [&done.stdout, &done.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
    assert!(
        done.status.code() == Some(expected) && said.contains(says),
        "{args:?}: {:?} {said}",
        done.status
    );
}

#[test]
fn verbs_that_read_say_that_there_is_no_journal_and_make_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), "[journal]\nkeep = \"400d\"\n");
    let journal = journal_of(folder.path());
    let state = journal.parent().unwrap();
    let (suite, more) = (folder.path().join("suite"), vec!["policy", "suggest"]);
    let capture = vec!["shadow", "capture", suite.to_str().unwrap()];
    let export = vec!["journal", "export", "--format", "otel"];
    let more = [more, capture, export, vec!["journal", "key", "--new"]];
    let reads = |args: &&Vec<&str>| **args != ["audit"];
    for args in of_call("01a219fa-f3ff").iter().chain(of_all().iter().filter(reads)).chain(&more) {
        check(&path, args, 1, &format!("there is no journal at `{}`", journal.display()));
        check(&path, args, 1, "`host.state`");
        assert!(!state.exists(), "{args:?} made the state folder");
    }
    // These look at tools alone. What they compile or read of components is kept in the state folder.
    for args in [vec!["audit"], vec!["tools"], vec!["check"], vec!["explain", "reads", KM]] {
        check(&path, &args, 0, "");
        check(&path, &["export", "--for", "openai"], 0, "");
        let made = std::fs::read_dir(state).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(made.collect::<Vec<_>>(), ["code"], "{args:?}");
    }
    // A call makes it, and then it is read.
    check(&path, &["call", "reads", KM], 0, "");
    check(&path, &["log"], 0, "reads");
}

#[test]
fn a_journal_that_cannot_be_used_is_70_for_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    let (path, id) = place(folder.path());
    let journal = journal_of(folder.path());
    let whole = std::fs::read(&journal).unwrap();
    for content in
        [b"this is a letter, not a database, and it is long enough to tell".to_vec(), newer(&journal)]
    {
        std::fs::write(&journal, content).unwrap();
        for args in of_call(&id).iter().chain(&of_all()) {
            check(&path, args, 70, "journal");
        }
    }
    std::fs::write(&journal, whole).unwrap();
    check(&path, &["log"], 0, &id[..13]);
}

/// The same journal, as a newer version would have written it.
fn newer(journal: &Path) -> Vec<u8> {
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().join("journal.db");
    std::fs::copy(journal, &path).unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA user_version = 99").unwrap();
    drop(connection);
    std::fs::read(&path).unwrap()
}

/// Makes the file of the key unusable.
type Spoil = fn(&Path);

/// Ways to do so, and what is said of each.
const SPOILS: [(Spoil, &str); 5] = [
    (|key| mode(key, 0o644), "others may read it (mode 644), and whoever has it can sign: `chmod 600` it"),
    (|key| std::fs::write(key, "PRIVATE+KEY+airlock").unwrap(), "`airlock journal key --new` makes another"),
    (|key| std::fs::write(key, "").unwrap(), "it is damaged: put a backup in its place"),
    (|key| std::fs::remove_file(key).and_then(|()| std::fs::create_dir(key)).unwrap(), "move it away"),
    (|key| std::fs::remove_file(key).and_then(|()| symlink("/dev/zero", key)).unwrap(), "is a symbolic link"),
];

#[test]
fn a_key_that_cannot_be_used_is_a_fault_and_stops_only_the_verbs_that_sign() {
    for (spoil, says) in SPOILS {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = place(folder.path());
        let key = folder.path().join(".airlock/journal.db-log-key");
        check(&path, &["journal", "checkpoint"], 0, "airlock-journal/");
        let public = String::from_utf8(airlock(&path, &["journal", "key"]).stdout).unwrap();
        spoil(&key);
        for sign in [&["key"][..], &["key", "--new"], &["checkpoint"], &["prune"]] {
            check(&path, &[&["journal"], sign].concat(), 70, says);
            check(&path, &[&["journal"], sign].concat(), 70, "journal.db-log-key` cannot be used: ");
        }
        // Without a key that of the tiles' checkpoint is not known, which is the other fault.
        check(&path, &["journal", "verify"], 1, says);
        check(&path, &["journal", "verify"], 1, "1 entry, 2 faults\n");
        let with_key = ["journal", "verify", "--key", public.trim()];
        check(&path, &with_key, 1, says);
        check(&path, &with_key, 1, "1 entry, 1 fault\n");
    }
}

#[test]
fn a_key_that_others_could_read_is_not_made_a_secret_again_by_a_process_that_is_confined() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = place(folder.path());
    mode(&folder.path().join(".airlock/journal.db-log-key"), 0o644);
    assert!(airlock(&path, &["call", "reads", KM]).status.success());
    check(&path, &["journal", "verify"], 1, "others may read it (mode 644)");
}

#[test]
fn a_call_that_is_not_there_or_not_as_it_was_written_is_1_for_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    let (path, id) = place(folder.path());
    for args in of_call("01234567-89ab") {
        check(&path, &args, 1, "no record `01234567-89ab`");
    }
    let connection = Connection::open(journal_of(folder.path())).unwrap();
    // Its caller is another one than was written.
    let edit = "UPDATE records SET record = replace(record, '\"caller\":\"local\"', '\"caller\":\"maria\"'), caller = 'maria'";
    assert_eq!(connection.execute(edit, []).unwrap(), 1);
    for args in
        [vec!["show", &id], vec!["show", &id, "--json"], vec!["why", &id], vec!["journal", "prove", &id]]
    {
        check(&path, &args, 1, "does not match the log: the record is not the one that was written");
    }
    check(&path, &["replay", &id], 0, "does not match the log");
    check(&path, &["journal", "verify"], 1, "the record is not the one that was written");
    // It is no record any more.
    assert_eq!(connection.execute("UPDATE records SET record = '{}'", []).unwrap(), 1);
    let mut verbs = of_call(&id);
    verbs.extend([
        vec!["replay", "--since", "1h"],
        vec!["backtest"],
        vec!["journal", "export"],
        vec!["policy", "unused"],
        vec!["audit"],
    ]);
    for args in verbs {
        check(&path, &args, 1, &format!("the record `{id}` cannot be read"));
    }
    check(&path, &["log"], 0, &id[..13]);
}

#[test]
fn a_checkpoint_that_the_log_does_not_agree_with_was_given_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = place(folder.path());
    let journal = journal_of(folder.path());
    let (shorter, kept) = (std::fs::read(&journal).unwrap(), folder.path().join("kept.txt"));
    check(&path, &["journal", "verify"], 0, "1 entry, 0 faults");
    assert!(airlock(&path, &["call", "reads", KM]).status.success());
    std::fs::write(&kept, airlock(&path, &["journal", "checkpoint"]).stdout).unwrap();
    std::fs::write(&journal, shorter).unwrap();
    std::fs::remove_dir_all(folder.path().join(".airlock/journal.db-log")).unwrap();
    let kept = kept.display().to_string();
    let done = airlock(&path, &["journal", "verify", "--since", &kept]);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.code() == Some(1) && said.contains("were cut off its end"), "{said}");
    assert!(
        said.contains("does not agree with any given checkpoint")
            && !said.contains("no checkpoint was given"),
        "{said}"
    );
    assert!(said.contains("1 entry, 1 fault\n"), "{said}");
}
