//! A confined server that loads again: what its rules cover, what they do not, and the process that starts compile
//! processes for it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use airlock_tests::root;
use airlock_tests::server::Server;
use serde_json::Value;

use crate::confined::{Ground, REQUIRE, ask, has_all};
use crate::http::{CONVERT, DIGEST, KM};

/// The names of the tools that are served.
async fn tools(server: &Server) -> Vec<String> {
    let list: Value = server.get("/v1/tools").await.unwrap().json().await.unwrap();
    let tools = list["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

async fn await_tools(server: &Server, names: &[&str]) {
    let seen = async {
        while tools(server).await != names {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let seen = tokio::time::timeout(Duration::from_secs(30), seen).await;
    assert!(seen.is_ok(), "{:?}: {}", tools(server).await, server.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_stays_within_the_folders_of_the_start() {
    if !has_all("a_reload_stays_within_the_folders_of_the_start") {
        return;
    }
    let ground = Ground::new();
    fs::create_dir_all(ground.at("tools/v1")).unwrap();
    fs::create_dir_all(ground.at("tools/v2")).unwrap();
    fs::create_dir_all(ground.at("elsewhere")).unwrap();
    for place in ["tools/v1/t.wasm", "tools/v2/t.wasm", "elsewhere/t.wasm"] {
        ground.put(CONVERT.1, place);
    }
    symlink("v1", ground.at("tools/current")).unwrap();
    let file = |more: &str| {
        let files = "grants.files = [{ host = \"../own/read\", guest = \"/read\" }]\n";
        format!("{REQUIRE}[tools.a]\ncomponent = \"../tools/current/t.wasm\"\n{files}{more}")
    };
    // Another entry has the folder of all versions covered.
    let registry = ground.registry(&file("[tools.z]\ncomponent = \"../tools/none.wasm\"\n"));
    let server = Server::start(&registry, &["--allow-anonymous"]).unwrap();
    await_tools(&server, &["a"]).await;
    // Compiled by a child of the other process: nothing was compiled of this component before.
    ground.put(DIGEST.1, "tools/v2/new.wasm");
    ground.registry(&file("[tools.b]\ncomponent = \"../tools/v2/new.wasm\"\n"));
    await_tools(&server, &["a", "b"]).await;
    // Another folder takes the place of a granted one, and a link leads elsewhere beneath a covered folder.
    fs::rename(ground.at("own/read"), ground.at("own/former")).unwrap();
    fs::create_dir(ground.at("own/read")).unwrap();
    symlink("v2", ground.at("tools/next")).unwrap();
    fs::rename(ground.at("tools/next"), ground.at("tools/current")).unwrap();
    ground.registry(&file("[tools.c]\ncomponent = \"../tools/v2/new.wasm\"\n"));
    await_tools(&server, &["a", "c"]).await;
    // A folder that no rule covers.
    ground.registry(&file("[tools.d]\ncomponent = \"../elsewhere/t.wasm\"\n"));
    let folder = ground.at("elsewhere").canonicalize().unwrap();
    let text = format!("restart needed: files in `{}` are to be read", folder.display());
    server.await_said(&text).await.unwrap();
    assert_eq!(tools(&server).await, ["a", "c"], "what was served is served");
    // For writing, the folder itself must be covered, and not the one around it.
    let writes = "[tools.e]\ncomponent = \"../tools/v2/new.wasm\"\n\
                  grants.files = [{ host = \"../own/changed\", guest = \"/c\", access = \"read-write\" }]\n";
    ground.registry(&file(writes));
    let folder = ground.at("own/changed").canonicalize().unwrap();
    let text = format!("restart needed: files in `{}` are to be changed", folder.display());
    server.await_said(&text).await.unwrap();
    ground.registry(&file("[tools.f]\ncomponent = \"../tools/v2/new.wasm\"\n"));
    await_tools(&server, &["a", "f"]).await;
}

/// The processes with this parent.
fn children(parent: u32) -> Vec<u32> {
    let processes =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_child = |id: &u32| {
        fs::read_to_string(format!("/proc/{id}/status"))
            .is_ok_and(|status| status.contains(&format!("PPid:\t{parent}\n")))
    };
    processes.filter(is_child).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_starts_compile_processes_ends_with_the_server() {
    let ground = Ground::new();
    let registry = ground.registry("[tools.tool]\ncomponent = \"tool.wasm\"\n");
    let server = Server::start(&registry, &["--allow-anonymous"]).unwrap();
    let starters = children(server.id());
    assert_eq!(starters.len(), 1, "{starters:?}");
    let environ = fs::read(format!("/proc/{}/environ", starters[0])).unwrap();
    assert!(environ.is_empty(), "{}", String::from_utf8_lossy(&environ));
    // A signal to both, as of a terminal, leaves it to the host.
    for signal in [rustix::process::Signal::HUP, rustix::process::Signal::TERM] {
        let starter = rustix::process::Pid::from_raw(starters[0].cast_signed()).unwrap();
        rustix::process::kill_process(starter, signal).unwrap();
    }
    fs::copy(root().join(DIGEST.1), ground.at("own/tool.wasm")).unwrap();
    ground.registry("[tools.other]\ncomponent = \"tool.wasm\"\n");
    await_tools(&server, &["other"]).await;
    server.signal("KILL").unwrap();
    server.wait().unwrap();
    let gone = async {
        while Path::new(&format!("/proc/{}", starters[0])).exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), gone).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_what_starts_compile_processes_a_reload_says_what_to_do() {
    let ground = Ground::new();
    let registry = ground.registry("[tools.tool]\ncomponent = \"tool.wasm\"\n");
    let server = Server::start(&registry, &["--allow-anonymous"]).unwrap();
    let starter = rustix::process::Pid::from_raw(children(server.id())[0].cast_signed()).unwrap();
    rustix::process::kill_process(starter, rustix::process::Signal::KILL).unwrap();
    ground.put(DIGEST.1, "own/other.wasm");
    ground.registry("[tools.tool]\ncomponent = \"tool.wasm\"\n[tools.other]\ncomponent = \"other.wasm\"\n");
    server.await_said("restart the server").await.unwrap();
    assert_eq!(tools(&server).await, ["tool"]);
    assert_eq!(ask(&server, "tool", serde_json::from_str(KM).unwrap()).await["status"], "ok");
}
