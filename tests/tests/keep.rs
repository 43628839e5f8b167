//! A tool that keeps pairs, reads values and clocks and draws bytes, for tests of what it is granted.

use std::path::PathBuf;
use std::sync::Arc;

use airlock::config::ConfigFile;
use airlock::host::{Host, OpenError};
use airlock_contract::package::{Packed, embed};
use airlock_journal::Journal;
use airlock_tests::root;
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::Caller;
use airlock_types::code::Code;
use airlock_types::environment::Environment;
use airlock_types::record::Record;
use airlock_types::reply::Reply;
use airlock_types::session::SessionKey;
use serde_json::Value;

use crate::replay::replays;

/// A folder with the keeper, and the state folder of its host.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    contract: Option<String>,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap(), contract: None }
    }

    pub(crate) fn with_contract(contract: &str) -> Place {
        Place { contract: Some(contract.to_owned()), ..Place::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the component and this registry.
    pub(crate) fn registry(&self, text: &str) -> Result<ConfigFile, String> {
        let bytes = std::fs::read(root().join("tests/guests/build/keeper.wasm")).unwrap();
        let packed = self.contract.clone().map(|text| Packed { contract: Some(text), ..Packed::default() });
        let bytes = packed.map_or(bytes.clone(), |packed| embed(&bytes, &packed).unwrap());
        std::fs::write(self.path("keeper.wasm"), bytes).unwrap();
        std::fs::write(self.path("airlock.toml"), text).unwrap();
        ConfigFile::read(&self.path("airlock.toml")).map_err(|err| err.to_string())
    }

    pub(crate) fn file(&self, settings: &str) -> ConfigFile {
        let entry = "[tools.keep]\ncomponent = \"keeper.wasm\"\nuseful_ms_min = 1\nretry.attempts = 3\nrecord = \"full\"\n";
        self.registry(&format!("{entry}{settings}")).unwrap_or_else(|err| panic!("{settings}: {err}"))
    }

    /// Opens a host whose journal and pairs are in the state folder.
    pub(crate) async fn try_open_kept(&self, settings: &str) -> Result<Host, OpenError> {
        Host::builder().registry(self.file(settings)).open().await
    }

    pub(crate) async fn open_kept(&self, settings: &str) -> Host {
        self.try_open_kept(settings).await.unwrap_or_else(|err| panic!("{settings}: {err}"))
    }

    /// Opens a host whose journal and pairs are in memory.
    pub(crate) async fn open(&self, settings: &str) -> Host {
        let builder = Host::builder().registry(self.file(settings)).journal(Journal::memory());
        builder.open().await.unwrap_or_else(|err| panic!("{settings}: {err}"))
    }

    pub(crate) async fn open_at(&self, settings: &str, environment: Arc<dyn Environment>) -> Host {
        let builder = Host::builder().registry(self.file(settings)).journal(Journal::memory());
        let builder = builder.environment(environment);
        builder.open().await.unwrap_or_else(|err| panic!("{settings}: {err}"))
    }
}

/// Whose call.
#[derive(Clone, Default)]
pub(crate) struct From<'a> {
    pub(crate) caller: Option<&'a str>,
    pub(crate) session: SessionKey,
}

/// Calls `keep_FUNCTION`, and looks its record up.
pub(crate) async fn call_from(host: &Host, from: From<'_>, function: &str, args: &Value) -> (Reply, Record) {
    let name = format!("keep_{function}");
    let From { caller, session } = from;
    let caller = caller.map_or_else(Caller::local, Caller::named);
    let call = Call::new(&name, Arguments::Text(args.to_string().into()));
    let reply = host.call(Call { caller, session, ..call }).await;
    host.journal().flush().unwrap();
    let record = host.journal().find(&reply.record).unwrap().unwrap();
    // Whatever a test is about, what was recorded of its call replays.
    replays(host, &record).await;
    (reply, record)
}

pub(crate) async fn call(host: &Host, function: &str, args: &Value, expect: Code) -> (Reply, Record) {
    let (reply, record) = call_from(host, From::default(), function, args).await;
    assert_eq!(reply.code, expect, "{function} {args}: {:?}", reply.error);
    (reply, record)
}

/// The result of a call, or the error of the tool.
pub(crate) async fn answer(
    host: &Host,
    from: From<'_>,
    function: &str,
    args: &Value,
) -> Result<Value, String> {
    let (reply, _) = call_from(host, from, function, args).await;
    match reply.code {
        Code::Ok => Ok(reply.result.unwrap_or_default()),
        Code::ToolError => Err(reply.error.unwrap().detail.unwrap().as_str().unwrap().to_owned()),
        other => panic!("{function} {args}: {other} {:?}", reply.error),
    }
}

pub(crate) async fn ask(host: &Host, function: &str, args: &Value) -> Result<Value, String> {
    answer(host, From::default(), function, args).await
}

/// The text of a block of the page of capabilities: the n-th in TOML after a heading.
pub(crate) fn example(heading: &str, place: usize) -> String {
    let page = std::fs::read_to_string(root().join("docs/capabilities.md")).unwrap();
    let (_, section) = page.split_once(heading).unwrap();
    section.split("```toml\n").nth(place + 1).unwrap().split("```").next().unwrap().to_owned()
}
