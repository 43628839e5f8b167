//! The host inside another program: each setting of the builder takes effect.

use std::path::{Path, PathBuf};

use airlock::host::{Host, OpenError};
use airlock_journal::{Journal, JournalError};
use airlock_tests::root;
use airlock_types::call::{Arguments, Call};
use airlock_types::code::Code;

use crate::http::KM;

/// A registry with one tool twice, the second time as one that writes.
fn registry_in(folder: &Path, more: &str) -> PathBuf {
    let component = root().join("example-tools/build/unit-convert.wasm");
    let text = format!(
        "[tools.reads]\ncomponent = \"{0}\"\n[tools.writes]\ncomponent = \"{0}\"\neffects = \"write\"\n{more}",
        component.display()
    );
    let path = folder.join("airlock.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn call(tool: &str) -> Call {
    Call::new(tool, Arguments::Text(KM.into()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_in_memory_are_found_and_leave_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry_in(folder.path(), "");
    let host = Host::builder().registry(registry).journal(Journal::memory()).open().await.unwrap();
    for tool in ["reads", "writes"] {
        let reply = host.call(call(tool)).await;
        assert_eq!(reply.code, Code::Ok, "{reply:?}");
        let record = host.journal().find(&reply.record).unwrap().unwrap();
        assert_eq!((&*record.code, &*record.tool), ("ok", tool));
        assert_eq!(record.reply.unwrap(), serde_json::to_value(&reply).unwrap());
    }
    assert!(host.journal().open_intents().unwrap().is_empty());
    assert!(!folder.path().join(".airlock/journal.db").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_registry_bounds_a_journal_in_memory_too() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry_in(folder.path(), "[journal]\nbytes_max = 1048576\n");
    let host = Host::builder().registry(registry).journal(Journal::memory()).open().await.unwrap();
    let mut begun = 0;
    let last = loop {
        let reply = host.call(call("writes")).await;
        if reply.code != Code::Ok {
            break reply;
        }
        begun += 1;
    };
    assert!(last.code == Code::HostJournal && begun > 100, "{begun}: {last:?}");
    assert_eq!(host.call(call("reads")).await.code, Code::Ok, "what only reads goes on");
    assert_eq!(host.trouble(), Some("journal-full"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_tool_is_given_the_folder_of_a_journal_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let records = folder.path().join("records");
    std::fs::create_dir(&records).unwrap();
    let grant = |host: &str| format!("grants.files = [{{ host = \"{host}\", guest = \"/data\" }}]\n");
    let open = async |registry| Host::builder().registry(registry).journal(records.join("r.db")).open().await;
    let refused = open(registry_in(folder.path(), &grant("records"))).await.err().unwrap().to_string();
    assert!(
        refused.contains("the folder of the journal") && refused.contains("records of all calls"),
        "{refused}"
    );
    let host = open(registry_in(folder.path(), "")).await.unwrap();
    let reply = host.call(call("reads")).await;
    assert!(host.journal().find(&reply.record).unwrap().is_some());
    assert!(records.join("r.db").exists() && !folder.path().join(".airlock/journal.db").exists());
    // A reload asks again.
    let file = airlock::config::ConfigFile::read(&registry_in(folder.path(), &grant("records"))).unwrap();
    host.reload(&file).await.unwrap();
    assert!(host.problems().unwrap().to_string().contains("the folder of the journal"));
    let reply = host.call(call("reads")).await;
    assert_eq!(reply.code, airlock::Code::Ok, "it stays as it was: {reply:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_in_a_folder_that_is_missing_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry_in(folder.path(), "");
    let path = folder.path().join("no/such.db");
    let err = Host::builder().registry(registry).journal(path).open().await.err().unwrap();
    assert!(matches!(&err, OpenError::Journal(JournalError::Open { .. })), "{err}");
    assert!(err.to_string().contains("no/such.db"), "{err}");
}
