//! A tool that sends requests to other hosts, for tests of what leaves.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use airlock::capability::Resolve;
use airlock::config::ConfigFile;
use airlock::host::{Host, OpenError};
use airlock_contract::package::{Packed, embed};
use airlock_journal::Journal;
use airlock_tests::root;
use airlock_tests::upstream::Upstream;
use airlock_types::call::{Arguments, Call};
use airlock_types::code::Code;
use airlock_types::record::Record;
use airlock_types::reply::Reply;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::replay::replays;

/// What a guest is told of a request that is not granted.
pub(crate) const DENIED: &str = "ErrorCode::HttpRequestDenied";

/// Names and the addresses that they have at each look-up; the last ones stay.
#[derive(Default)]
pub(crate) struct Names(Mutex<BTreeMap<String, Vec<Vec<IpAddr>>>>);

impl Names {
    pub(crate) fn of(names: &[(&str, &[&[&str]])]) -> Arc<Names> {
        let addresses = |list: &&[&str]| list.iter().map(|address| address.parse().unwrap()).collect();
        let entry =
            |(name, lists): &(&str, &[&[&str]])| ((*name).to_owned(), lists.iter().map(addresses).collect());
        Arc::new(Names(Mutex::new(names.iter().map(entry).collect())))
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let mut names = self.0.lock().unwrap();
        let found = match names.get_mut(host) {
            Some(lists) if lists.len() > 1 => Ok(lists.remove(0)),
            Some(lists) => Ok(lists[0].clone()),
            None => Err(io::Error::other("no such name")),
        };
        Box::pin(std::future::ready(found))
    }
}

/// A folder with the fetcher, and names.
pub(crate) struct Web {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) names: Arc<Names>,
    pub(crate) contract: Option<String>,
}

impl Web {
    pub(crate) fn new() -> Web {
        Web { folder: tempfile::tempdir().unwrap(), names: Arc::default(), contract: None }
    }

    pub(crate) fn with_names(names: &[(&str, &[&[&str]])]) -> Web {
        Web { names: Names::of(names), ..Web::new() }
    }

    pub(crate) fn with_contract(contract: &str) -> Web {
        Web { contract: Some(contract.to_owned()), ..Web::new() }
    }

    pub(crate) fn file(&self, settings: &str) -> ConfigFile {
        let bytes = std::fs::read(root().join("tests/guests/build/fetcher.wasm")).unwrap();
        let packed = self.contract.clone().map(|text| Packed { contract: Some(text), ..Packed::default() });
        let bytes = packed.map_or(bytes.clone(), |packed| embed(&bytes, &packed).unwrap());
        std::fs::write(self.folder.path().join("web.wasm"), bytes).unwrap();
        // What is tried must not be paused by what failed before.
        let entry = "[tools.web]\ncomponent = \"web.wasm\"\nuseful_ms_min = 1\nretry.attempts = 3\nrecord = \"full\"\n";
        std::fs::write(self.folder.path().join("airlock.toml"), format!("{entry}{settings}")).unwrap();
        ConfigFile::read(&self.folder.path().join("airlock.toml")).unwrap()
    }

    pub(crate) async fn try_open(&self, settings: &str) -> Result<Host, OpenError> {
        let builder = Host::builder().registry(self.file(settings)).journal(Journal::memory());
        builder.resolver(self.names.clone()).open().await
    }

    pub(crate) async fn open(&self, settings: &str) -> Host {
        self.try_open(settings).await.unwrap_or_else(|err| panic!("{settings}: {err:?}"))
    }
}

pub(crate) async fn call(host: &Host, function: &str, args: &Value, expect: Code) -> (Reply, Record) {
    let name = format!("web_{function}");
    let reply = host.call(Call::new(&name, Arguments::Text(args.to_string().into()))).await;
    assert_eq!(reply.code, expect, "{args}: {:?}", reply.error);
    host.journal().flush().unwrap();
    let record = host.journal().find(&reply.record).unwrap().unwrap();
    // Whatever a test is about, what was recorded of its call replays.
    replays(host, &record).await;
    (reply, record)
}

/// Sends a request without headers and body, and returns the response or the error.
pub(crate) async fn fetch(host: &Host, method: &str, url: &str) -> Result<Value, String> {
    fetch_with(host, method, url, &json!([])).await.0
}

pub(crate) async fn fetch_with(
    host: &Host,
    method: &str,
    url: &str,
    headers: &Value,
) -> (Result<Value, String>, Record) {
    let args = json!({"method": method, "url": url, "headers": headers, "body": ""});
    let name = "web_fetch".to_owned();
    let reply = host.call(Call::new(&name, Arguments::Text(args.to_string().into()))).await;
    host.journal().flush().unwrap();
    let record = host.journal().find(&reply.record).unwrap().unwrap();
    replays(host, &record).await;
    let found = match reply.code {
        Code::Ok => Ok(reply.result.unwrap()),
        Code::ToolError => Err(reply.error.unwrap().detail.unwrap().as_str().unwrap().to_owned()),
        other => panic!("{url}: {other} {:?}", reply.error),
    };
    (found, record)
}

/// The grant of an upstream with these further settings.
pub(crate) fn grant(upstream: &Upstream, more: &str) -> String {
    let port = upstream.port();
    format!(
        "grants.http = [{{ host = \"127.0.0.1\", scheme = \"http\", port = {port}, addresses = [\"127.0.0.1\"]{more} }}]\n"
    )
}

/// The grant of a name, at any address of this machine's loopback network.
pub(crate) fn named(host: &str, upstream: &Upstream, networks: &str) -> String {
    let port = upstream.port();
    format!(
        "grants.http = [{{ host = \"{host}\", scheme = \"http\", port = {port}, addresses = [{networks}] }}]\n"
    )
}
