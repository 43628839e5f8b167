//! A journal that is damaged, of a newer version, or cannot be written: a clear error, no effect without a record, and reads
//! where the operator said so.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use airlock_tests::program;
use airlock_tests::server::Server;
use rusqlite::Connection;
use serde_json::Value;

use crate::http::KM;
use crate::journal::{await_status, call, journal_of, registry_in};
use crate::state_folder::airlock;

const READS: &str = "[journal]\nunavailable = \"reads\"\n";

/// A registry with some records in its journal.
fn used(folder: &Path, settings: &str) -> PathBuf {
    let path = registry_in(folder, settings);
    for tool in ["reads", "writes"] {
        assert!(airlock(&path, &["call", tool, KM]).status.success());
    }
    path
}

/// Gives the tables another version. Returns the one that they had.
fn version(folder: &Path, version: u32) -> u32 {
    let journal = Connection::open(journal_of(folder)).unwrap();
    let own = journal.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    journal.pragma_update(None, "user_version", version).unwrap();
    own
}

/// Overwrites every page but the first.
fn damage(folder: &Path) {
    let path = journal_of(folder);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[16 << 10..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
}

fn said(path: &Path, args: &[&str]) -> String {
    let ended = airlock(path, args);
    assert!(!ended.status.success());
    String::from_utf8(ended.stderr).unwrap()
}

#[test]
fn a_newer_version_stops_a_host_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = used(folder.path(), "");
    version(folder.path(), 99);
    for args in [vec!["call", "reads", KM], vec!["show", "00000000"], vec!["serve", "--stdio"]] {
        let said = said(&path, &args);
        assert!(said.contains("it is of version 99, written by a newer Airlock"), "{said}");
        assert!(said.contains("journal.db") && said.contains("`host.state`"), "{said}");
    }
    let journal = Connection::open(journal_of(folder.path())).unwrap();
    let calls: i64 = journal.query_row("SELECT count(*) FROM calls", [], |row| row.get(0)).unwrap();
    assert_eq!(calls, 2, "it is left as it is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_on_without_a_journal_where_the_operator_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = used(folder.path(), READS);
    let own = version(folder.path(), 99);
    let server = Server::start(&path, &["--allow-anonymous"]).unwrap();
    await_status(&server, "journal-failing").await;
    let read = call(&server, "reads").await;
    assert_eq!(read["code"], "ok", "{read}");
    let refused = call(&server, "writes").await;
    assert_eq!(
        (&refused["code"], &refused["error"]["ran"]),
        (&"host.journal".into(), &"no".into()),
        "{refused}"
    );
    assert!(server.said().contains("calls with effects are refused until it can be"), "{}", server.said());
    version(folder.path(), own);
    await_status(&server, "ready").await;
    assert_eq!(call(&server, "writes").await["code"], "ok");
    let journal = Connection::open(journal_of(folder.path())).unwrap();
    let id = read["record"].as_str().unwrap();
    let kept = "SELECT count(*) FROM calls WHERE id = ?1";
    assert_eq!(
        journal.query_row(kept, [id], |row| row.get::<_, i64>(0)).unwrap(),
        1,
        "it was kept until then"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_pages_are_named_and_no_effect_begins() {
    let folder = tempfile::tempdir().unwrap();
    let path = used(folder.path(), READS);
    let journal = Connection::open(journal_of(folder.path())).unwrap();
    let id: String = journal.query_row("SELECT id FROM calls", [], |row| row.get(0)).unwrap();
    journal.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(journal);
    damage(folder.path());
    let shown = said(&path, &["show", &id]);
    assert!(shown.contains("malformed") && shown.contains("`sqlite3 FILE .recover`"), "{shown}");
    let server = Server::start(&path, &["--allow-anonymous"]).unwrap();
    let refused = call(&server, "writes").await;
    assert_eq!(
        (&refused["code"], &refused["error"]["ran"]),
        (&"host.journal".into(), &"no".into()),
        "{refused}"
    );
    assert_eq!(call(&server, "reads").await["code"], "ok");
    for _ in 0..200 {
        if server.said().contains("`sqlite3 FILE .recover`") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the log does not say what is wrong: {}", server.said());
}

/// What a server without a journal answers stays within its schema, too.
#[test]
fn a_single_call_without_a_journal_says_that_it_is_not_on_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = used(folder.path(), READS);
    version(folder.path(), 99);
    let read = airlock(&path, &["call", "reads", KM, "--json"]);
    let reply: Value = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!(
        (&reply["code"], &reply["findings"][0]["kind"]),
        (&"ok".into(), &"record.lost".into()),
        "{reply}"
    );
    let refused = airlock(&path, &["call", "writes", KM, "--json"]);
    let reply: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(reply["code"], "host.journal", "{reply}");
    assert_eq!(refused.status.code(), Some(70));
}

#[test]
fn a_full_disk_is_named_by_verbs_that_read_and_by_those_that_call() {
    let folder = tempfile::tempdir().unwrap();
    let path = used(folder.path(), "");
    for verb in ["log", "journal verify", "call reads"] {
        // The index of the log cannot grow, as on a full disk. The signal that comes with this bound is ignored.
        let script = format!("trap '' XFSZ; ulimit -f 8; exec \"$0\" --registry \"$1\" {verb}");
        let ended = Command::new("sh").args(["-c", &script]).arg(program()).arg(&path).output().unwrap();
        let said = crate::stderr(&ended);
        assert_eq!(ended.status.code(), Some(70), "{verb}: {said}");
        assert!(said.contains("its disk is full") && said.contains("make room"), "{verb}: {said}");
    }
}

/// Makes a folder read-only, also for root. `None` where a test may not.
fn read_only(folder: &Path) -> Option<impl Drop + use<>> {
    struct Mounted(PathBuf);
    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg(&self.0).status();
        }
    }
    let mount = |args: &[&str]| {
        Command::new("mount").args(args).arg(folder).output().is_ok_and(|ended| ended.status.success())
    };
    let path = folder.to_str().unwrap();
    mount(&["--bind", path]).then(|| Mounted(folder.to_owned())).filter(|_| mount(&["-o", "remount,bind,ro"]))
}

#[test]
fn reads_go_on_where_the_state_folder_is_read_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = used(folder.path(), READS);
    let Some(_mounted) = read_only(&folder.path().join(".airlock")) else { return };
    let read = airlock(&path, &["call", "reads", KM]);
    let text = crate::stderr(&read);
    assert!(read.status.success() && text.contains("cannot be written to"), "{text}");
    assert!(!airlock(&path, &["call", "writes", KM]).status.success());
    assert!(airlock(&path, &["check"]).status.success());
    registry_in(folder.path(), "");
    let text = said(&path, &["call", "reads", KM]);
    assert!(text.contains("journal.db") && text.contains("`journal.unavailable = \"reads\"`"), "{text}");
}
