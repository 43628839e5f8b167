//! The journal beside other processes, on full disks, and with files of the wrong kind: every answered call is on
//! record, or its reply says that it is not.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use airlock::host::Host;
use airlock_tests::server::Server;
use airlock_tests::{root, schema_faults};
use airlock_types::call::{Arguments, Call};
use reqwest::StatusCode;
use rusqlite::Connection;
use rustix::process::{Pid, Resource, Rlimit};
use serde_json::Value;

use crate::http::KM;
use crate::state_folder::{airlock, mode};

/// A registry with one tool under two names: as it is, and declared as writing, so that its outcome is committed before
/// the answer.
pub(super) fn registry_in(folder: &Path, settings: &str) -> PathBuf {
    let component = root().join("example-tools/build/unit-convert.wasm");
    let text = format!(
        "{settings}\n[tools.reads]\ncomponent = \"{0}\"\n[tools.writes]\ncomponent = \"{0}\"\neffects = \"write\"\n",
        component.display()
    );
    let path = folder.join("airlock.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn open(settings: &str) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), settings);
    let server = Server::start(&path, &["--allow-anonymous"]).unwrap();
    (folder, server)
}

pub(super) fn journal_of(folder: &Path) -> PathBuf {
    folder.join(".airlock/journal.db")
}

/// Calls a tool and returns the envelope of the answer.
pub(super) async fn call(server: &Server, tool: &str) -> Value {
    let mut body: Value = server.call(tool, KM).send().await.unwrap().json().await.unwrap();
    if body.get("reply").is_some() { body["reply"].take() } else { body }
}

fn id(reply: &Value) -> String {
    reply["record"].as_str().unwrap().to_owned()
}

fn recorded(journal: &Path) -> BTreeSet<String> {
    let journal = Connection::open(journal).unwrap();
    let mut ids = journal.prepare("SELECT id FROM calls").unwrap();
    ids.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Waits until the readiness of the server has this status.
pub(super) async fn await_status(server: &Server, status: &str) {
    let mut last = Value::Null;
    for _ in 0..600 {
        last = server.get("/readyz").await.unwrap().json().await.unwrap();
        if last["status"] == status {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the server is {last}");
}

/// Whether a process holds a lock on a file. The kernel's list can miss an entry while other entries change between two
/// reads of it, so it is read again before the result is false. A lock that was released does not reappear.
fn holds_lock(process: u32, file: &Path) -> bool {
    let inode = file.metadata().unwrap().ino();
    let is_it = |line: &str| line.contains(&format!(" {process} ")) && line.contains(&format!(":{inode} "));
    (0..50).any(|_| std::fs::read_to_string("/proc/locks").unwrap().lines().any(is_it))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_readers_of_a_live_journal_lose_no_records() {
    let (folder, server) = open("");
    let journal = journal_of(folder.path());
    let (stop, looks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    // This process is not the server. Closing the last of its connections would delete the log if the server had no
    // lock.
    let outside = {
        let (journal, stop, looks) = (journal.clone(), stop.clone(), looks.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Acquire) {
                recorded(&journal);
                looks.fetch_add(1, Ordering::AcqRel);
            }
        })
    };
    let log = folder.path().join(".airlock/journal.db-wal").metadata().unwrap().ino();
    let mut answered = Vec::new();
    for round in 0..40 {
        for tool in ["reads", "reads", "reads", "writes"] {
            let reply = call(&server, tool).await;
            assert_eq!(reply["code"], "ok", "{reply}");
            answered.push(id(&reply));
        }
        while looks.load(Ordering::Acquire) < round {
            tokio::task::yield_now().await;
        }
        assert!(holds_lock(server.id(), &journal), "round {round}");
    }
    assert!(holds_lock(server.id(), &folder.path().join(".airlock/journal.db-shm")));
    assert_eq!(
        folder.path().join(".airlock/journal.db-wal").metadata().unwrap().ino(),
        log,
        "one log all along"
    );
    server.signal("KILL").unwrap();
    server.wait().unwrap();
    stop.store(true, Ordering::Release);
    outside.join().unwrap();
    // The last call writes, so its record was committed before the answer, and all records queued before it, too.
    let recorded = recorded(&journal);
    let lost: Vec<_> = answered.iter().filter(|id| !recorded.contains(*id)).collect();
    assert!(lost.is_empty(), "{} of {} were lost", lost.len(), answered.len());
}

/// Without the index at its path another process makes its own, and both write as if they were alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_of_the_log_that_was_removed_loses_no_answer() {
    let (folder, server) = open("");
    let journal = journal_of(folder.path());
    let mut answered = vec![id(&call(&server, "writes").await)];
    std::fs::remove_file(folder.path().join(".airlock/journal.db-shm")).unwrap();
    let outside = Connection::open(&journal).unwrap();
    outside.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(outside);
    for tool in ["reads", "writes", "reads", "writes"] {
        let reply = call(&server, tool).await;
        if reply["code"] == "ok" {
            answered.push(id(&reply));
        }
    }
    await_status(&server, "ready").await;
    let last = call(&server, "writes").await;
    assert_eq!(last["code"], "ok", "{last}");
    answered.push(id(&last));
    server.signal("KILL").unwrap();
    server.wait().unwrap();
    let recorded = recorded(&journal);
    let lost: Vec<_> = answered.iter().filter(|id| !recorded.contains(*id)).collect();
    assert!(lost.is_empty(), "{} of {} were lost", lost.len(), answered.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_folder_that_others_can_write_to_takes_no_records_while_serving_either() {
    let (folder, server) = open("");
    let state = folder.path().join(".airlock");
    assert_eq!(call(&server, "writes").await["code"], "ok");
    std::fs::rename(&state, folder.path().join("aside")).unwrap();
    std::fs::create_dir(&state).unwrap();
    mode(&state, 0o777);
    await_refusal(&server).await;
    assert!(!state.join("journal.db").exists(), "nothing is written where others could change it");
}

/// Calls until a call with effects is refused because the journal is full.
async fn await_refusal(server: &Server) {
    for _ in 0..200 {
        if call(server, "writes").await["code"] == "host.journal" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("calls with effects are still answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_database_loses_no_answer_and_starts_no_effect() {
    let (folder, server) = open("");
    let journal = journal_of(folder.path());
    let other = Connection::open(&journal).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut answered = Vec::new();
    for _ in 0..10 {
        let reply = call(&server, "reads").await;
        assert_eq!(reply["code"], "ok", "{reply}");
        assert!(reply.get("findings").is_none(), "it will be on record: {reply}");
        answered.push(id(&reply));
    }
    await_status(&server, "journal-failing").await;
    assert_eq!(server.get("/readyz").await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    let refused = call(&server, "writes").await;
    assert_eq!(
        (&refused["code"], &refused["error"]["ran"]),
        (&"host.journal".into(), &"no".into()),
        "{refused}"
    );
    answered.push(id(&refused));
    other.execute_batch("ROLLBACK").unwrap();
    await_status(&server, "ready").await;
    let reply = call(&server, "writes").await;
    assert_eq!(reply["code"], "ok", "{reply}");
    answered.push(id(&reply));
    let recorded = recorded(&journal);
    assert!(answered.iter().all(|id| recorded.contains(id)), "{} of {}", recorded.len(), answered.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_say_when_the_full_queue_drops_their_record() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::builder().registry(registry_in(folder.path(), "")).open().await.unwrap();
    let other = Connection::open(journal_of(folder.path())).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let call = async |tool: &str| host.call(Call::new(tool, Arguments::Text(KM.into()))).await;
    let mut kept = Vec::new();
    let lost = loop {
        let reply = call("reads").await;
        assert!(schema_faults(&reply).is_empty(), "{:?}", schema_faults(&reply));
        assert_eq!(reply.code.as_str(), "ok");
        if !reply.findings.is_empty() {
            break reply;
        }
        kept.push(reply.record);
        assert!(kept.len() <= 5_000, "it has a bound");
    };
    assert_eq!(lost.findings[0].kind, "record.lost");
    let refused = call("writes").await;
    assert_eq!((refused.code.as_str(), refused.findings[0].kind.as_str()), ("host.journal", "record.lost"));
    assert!(schema_faults(&refused).is_empty(), "{:?}", schema_faults(&refused));
    other.execute_batch("ROLLBACK").unwrap();
    // Until the writer tries again, a look-up returns an error, because queued records are not written yet.
    while host.journal().find(&kept[0]).is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while host.journal().view().waiting > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(kept.iter().all(|id| host.journal().find(id).unwrap().is_some()));
    assert!(host.journal().find(&lost.record).unwrap().is_none());
    assert_eq!(call("writes").await.code.as_str(), "ok");
    assert!(call("reads").await.findings.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_effects_and_loses_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), "");
    // Compile first, because the limit on file sizes would stop it.
    assert!(airlock(&path, &["check"]).status.success());
    let server = Server::start(&path, &["--allow-anonymous"]).unwrap();
    let process = Pid::from_raw(server.id().cast_signed());
    let unlimited = rustix::process::getrlimit(Resource::Fsize);
    let small = Rlimit { current: Some(300 << 10), ..unlimited };
    rustix::process::prlimit(process, Resource::Fsize, small).unwrap();
    let mut answered = Vec::new();
    let mut writes = 0;
    let refused = loop {
        let reply = call(&server, "writes").await;
        answered.push(id(&reply));
        if reply["code"] != "ok" {
            break reply;
        }
        writes += 1;
        assert!(writes < 1_000, "it has a bound");
    };
    assert_eq!(refused["code"], "host.journal", "{refused}");
    await_status(&server, "journal-failing").await;
    for _ in 0..20 {
        let reply = call(&server, "reads").await;
        assert_eq!(reply["code"], "ok", "{reply}");
        answered.push(id(&reply));
    }
    rustix::process::prlimit(process, Resource::Fsize, unlimited).unwrap();
    await_status(&server, "ready").await;
    let reply = call(&server, "writes").await;
    assert_eq!(reply["code"], "ok", "{reply}");
    let recorded = recorded(&journal_of(folder.path()));
    assert!(answered.iter().all(|id| recorded.contains(id)), "{} of {}", recorded.len(), answered.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_a_stuck_journal_exits_after_its_drain_time() {
    let (folder, server) = open("[server]\ndrain_ms = 1000\n");
    let other = Connection::open(journal_of(folder.path())).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let reply = call(&server, "reads").await;
    assert_eq!(reply["code"], "ok");
    server.signal("TERM").unwrap();
    // The database stays locked until the server has exited.
    // The call was answered: that its record is not there must not stay unsaid.
    server.await_said("records of calls that are lost: 1").await.unwrap();
    let left = tokio::task::spawn_blocking(move || server.wait()).await.unwrap().unwrap();
    assert_eq!(left.code(), Some(70));
    drop(other);
}

#[test]
fn a_call_of_the_command_line_says_that_it_is_not_on_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = registry_in(folder.path(), "");
    let good = airlock(&path, &["call", "reads", KM, "--json"]);
    assert!(good.status.success());
    let other = Connection::open(journal_of(folder.path())).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let unrecorded = airlock(&path, &["call", "reads", KM, "--json"]);
    let reply: Value = serde_json::from_slice(&unrecorded.stdout).unwrap();
    assert_eq!(reply["findings"][0]["kind"], "record.lost", "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_stays_within_its_bound_while_it_is_served() {
    let (folder, server) = open("[journal]\nbytes_max = 1_048_576\n");
    let mut writes = Vec::new();
    for _ in 0..10 {
        writes.push(id(&call(&server, "writes").await));
        for _ in 0..100 {
            assert_eq!(call(&server, "reads").await["code"], "ok");
        }
    }
    let reply = call(&server, "writes").await;
    assert_eq!(reply["code"], "ok", "{reply}");
    let journal = journal_of(folder.path());
    let recorded = recorded(&journal);
    assert!(writes.iter().all(|id| recorded.contains(id)), "calls with effects stay");
    assert!(recorded.len() < 1_000, "{}", recorded.len());
    server.signal("TERM").unwrap();
    server.wait().unwrap();
    assert!(journal.metadata().unwrap().len() <= 1 << 20);
}
