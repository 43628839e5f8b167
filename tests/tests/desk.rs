//! A tool that uses files, for tests of what it reaches and changes.

use std::path::{Path, PathBuf};

use airlock::config::ConfigFile;
use airlock::host::{Host, OpenError};
use airlock_contract::package::{Packed, embed};
use airlock_journal::Journal;
use airlock_tests::root;
use airlock_types::call::{Arguments, Call};
use airlock_types::code::Code;
use airlock_types::record::Record;
use airlock_types::reply::Reply;
use serde_json::{Value, json};

use crate::replay::replays;

/// A folder with the scribe, a folder `data` to grant, and a folder `outside` that is never granted.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
    pub(crate) contract: Option<String>,
}

impl Desk {
    pub(crate) fn new() -> Desk {
        let folder = tempfile::tempdir().unwrap();
        for name in ["data", "outside", "tools"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("outside/secret"), "secret").unwrap();
        Desk { folder, contract: None }
    }

    pub(crate) fn with_contract(contract: &str) -> Desk {
        Desk { contract: Some(contract.to_owned()), ..Desk::new() }
    }

    /// A path in the granted folder.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join("data").join(name)
    }

    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.folder.path().join("outside").join(name)
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The text of a file in the granted folder.
    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.data(name)).unwrap()
    }

    /// A registry beside the folders: a tool may not write where the registry is.
    pub(crate) fn registry(&self, settings: &str) -> PathBuf {
        let bytes = std::fs::read(root().join("tests/guests/build/scribe.wasm")).unwrap();
        let packed = self.contract.clone().map(|text| Packed { contract: Some(text), ..Packed::default() });
        let bytes = packed.map_or(bytes.clone(), |packed| embed(&bytes, &packed).unwrap());
        std::fs::write(self.folder.path().join("tools/desk.wasm"), bytes).unwrap();
        let entry = "[tools.desk]\ncomponent = \"desk.wasm\"\nuseful_ms_min = 1\nretry.attempts = 3\nrecord = \"full\"\n";
        let path = self.folder.path().join("tools/airlock.toml");
        std::fs::write(&path, format!("{entry}{settings}")).unwrap();
        path
    }

    pub(crate) async fn try_open(&self, settings: &str) -> Result<Host, OpenError> {
        let file = ConfigFile::read(&self.registry(settings)).unwrap();
        Host::builder().registry(file).journal(Journal::memory()).open().await
    }

    pub(crate) async fn open(&self, settings: &str) -> Host {
        self.try_open(settings).await.unwrap_or_else(|err| panic!("{settings}: {err:?}"))
    }

    /// A host with the folder granted for writing, and these further settings of the grant.
    pub(crate) async fn writable(&self, more: &str) -> Host {
        self.open(&writable(more)).await
    }
}

/// The grant of `data` for writing, with these further settings.
pub(crate) fn writable(more: &str) -> String {
    grant(&format!(", access = \"read-write\"{more}"))
}

/// The grant of `data` with these settings.
pub(crate) fn grant(more: &str) -> String {
    format!("grants.files = [{{ host = \"../data\", guest = \"/data\"{more} }}]\n")
}

pub(crate) async fn call(host: &Host, function: &str, steps: &[Value], expect: Code) -> (Reply, Record) {
    let args = json!({ "steps": steps }).to_string();
    let reply = host.call(Call::new(&format!("desk_{function}"), Arguments::Text(args.into()))).await;
    assert_eq!(reply.code, expect, "{steps:?}: {:?}", reply.error);
    host.journal().flush().unwrap();
    let record = host.journal().find(&reply.record).unwrap().unwrap();
    // Whatever a test is about, what was recorded of its call replays.
    replays(host, &record).await;
    (reply, record)
}

/// Takes the steps, and returns what each gave.
pub(crate) async fn act(host: &Host, steps: &[Value]) -> (Vec<String>, Record) {
    let (reply, record) = call(host, "act", steps, Code::Ok).await;
    (serde_json::from_value(reply.result.unwrap()).unwrap(), record)
}

/// Takes the steps, and expects what each gives.
pub(crate) async fn check(host: &Host, steps: &[(Value, &str)]) -> Record {
    let asked: Vec<Value> = steps.iter().map(|(step, _)| step.clone()).collect();
    let (found, record) = act(host, &asked).await;
    for ((step, expect), found) in steps.iter().zip(&found) {
        assert_eq!(found, expect, "{step}");
    }
    record
}

pub(crate) fn step(tag: &str, val: Value) -> Value {
    json!({ "tag": tag, "val": val })
}

pub(crate) fn place(at: u32, path: &str) -> Value {
    json!({ "at": at, "path": path })
}

/// Opens a path of the first granted folder, as the next descriptor.
pub(crate) fn open(path: &str, how: &str) -> Value {
    open_at(0, path, how)
}

pub(crate) fn open_at(at: u32, path: &str, how: &str) -> Value {
    let how: Vec<&str> = how.split_whitespace().collect();
    step("open", json!({ "at": at, "path": path, "how": how }))
}

pub(crate) fn write(fd: u32, offset: u64, text: &str) -> Value {
    step("write", json!({ "fd": fd, "offset": offset, "text": text }))
}

pub(crate) fn read(fd: u32) -> Value {
    step("read", json!({ "fd": fd, "offset": 0, "bytes": 1000 }))
}

pub(crate) fn resize(fd: u32, bytes: u64) -> Value {
    step("resize", json!({ "fd": fd, "bytes": bytes }))
}

/// Writes through a stream, several times and waiting after each; at the end without an offset.
pub(crate) fn flow(fd: u32, offset: Option<u64>, bytes: u32, times: u32) -> Value {
    step("flow", json!({ "fd": fd, "offset": offset, "bytes": bytes, "times": times }))
}

/// One step on a path of the first granted folder.
pub(crate) fn on(tag: &str, path: &str) -> Value {
    step(tag, place(0, path))
}

pub(crate) fn moving(tag: &str, from: Value, to: Value) -> Value {
    step(tag, json!({ "from": from, "to": to }))
}

pub(crate) fn symlink(target: &str, path: &str) -> Value {
    step("symlink", json!({ "target": target, "at": place(0, path) }))
}

pub(crate) fn times(at: u32, path: &str, keep_link: bool) -> Value {
    let val = json!({ "at": place(at, path), "keep_link": keep_link, "seconds": 7, "nanoseconds": 5 });
    step("times", val)
}
