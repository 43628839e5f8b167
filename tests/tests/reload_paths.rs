//! Reload, whichever way what a registry names comes to its place: later than its entry, behind a link, in a new folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use airlock_tests::server::Server;
use airlock_tests::{program, root};
use serde_json::Value;

use crate::http::{CONVERT, DIGEST};

/// A change on a local disk is noticed within two seconds. The rest is for compiling on a busy machine.
const SOON: Duration = Duration::from_secs(10);

async fn tools(server: &Server) -> Vec<String> {
    let list: Value = server.get("/v1/tools").await.unwrap().json().await.unwrap();
    let tools = list["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

/// Asks again and again. Returns whether it was true soon enough.
async fn soon<F: Future<Output = bool>>(is_true: impl Fn() -> F) -> bool {
    let asked = async {
        while !is_true().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(SOON, asked).await.is_ok()
}

#[track_caller]
fn await_tools(server: &Server, names: &[&str]) -> impl Future<Output = ()> {
    let at = std::panic::Location::caller();
    async move {
        let seen = soon(|| async { tools(server).await == names }).await;
        assert!(seen, "{at}: {:?}: {}", tools(server).await, server.said());
    }
}

/// Serves a registry of the converter and of a tool `b` with this component, whose lock accepts changes.
fn served(folder: &Path, component: &str, before: impl FnOnce()) -> Server {
    let path = folder.join("airlock.toml");
    let convert = root().join(CONVERT.1).display().to_string();
    let text = format!("[tools.a]\ncomponent = \"{convert}\"\n[tools.b]\ncomponent = \"{component}\"\n");
    fs::write(&path, text).unwrap();
    let mut lock = Command::new(program());
    let locked = lock.arg("--registry").arg(&path).args(["lock", "--pin", "accept"]).output().unwrap();
    assert!(locked.status.success(), "{}", String::from_utf8_lossy(&locked.stderr));
    before();
    Server::start(&path, &["--allow-anonymous"]).unwrap()
}

/// Puts the component of another tool to a place.
fn put(component: &str, to: &Path) {
    fs::copy(root().join(component), to).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_and_its_folder_may_come_after_their_entry_and_be_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let build = folder.path().join("build");
    fs::create_dir(&build).unwrap();
    put(DIGEST.1, &build.join("b.wasm"));
    let server = served(folder.path(), "build/b.wasm", || fs::remove_dir_all(&build).unwrap());
    await_tools(&server, &["a"]).await;
    fs::create_dir(&build).unwrap();
    put(DIGEST.1, &build.join("b.wasm"));
    await_tools(&server, &["a", "b"]).await;
    fs::remove_dir_all(&build).unwrap();
    fs::create_dir(&build).unwrap();
    put(CONVERT.1, &build.join("b.wasm"));
    await_description(&server, "b", "a").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_may_stand_behind_a_link_that_is_exchanged() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (release, component) in [("r1", DIGEST.1), ("r2", CONVERT.1)] {
        fs::create_dir(at(release)).unwrap();
        put(component, &at(release).join("b.wasm"));
    }
    symlink("r1", at("current")).unwrap();
    let server = served(folder.path(), "current/b.wasm", || {});
    await_tools(&server, &["a", "b"]).await;
    symlink("r2", at("new")).unwrap();
    fs::rename(at("new"), at("current")).unwrap();
    await_description(&server, "b", "a").await;
    // And a change of the file behind the new link.
    put(DIGEST.1, &at("r2").join("b.wasm"));
    let seen = soon(|| async { description(&server, "b").await != description(&server, "a").await }).await;
    assert!(seen, "{}", server.said());
}

async fn description(server: &Server, name: &str) -> Value {
    let list: Value = server.get("/v1/tools").await.unwrap().json().await.unwrap();
    let mut tools = list["tools"].as_array().unwrap().iter();
    tools.find(|tool| tool["name"] == name).map_or(Value::Null, |tool| tool["description"].clone())
}

/// Waits until a tool has the description of another one.
async fn await_description(server: &Server, name: &str, of: &str) {
    let seen = soon(|| async { description(server, name).await == description(server, of).await }).await;
    assert!(seen, "{}: {}", description(server, name).await, server.said());
}
