//! A confined server that loads again: what its rules cover, what they do not, and the process that starts compile
//! processes for it.

use std::fs;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use airlock_tests::server::Server;
use airlock_tests::{program, root};
use rustix::process::{Resource, Rlimit};
use serde_json::{Value, json};

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
    server.forget_said();
    ground.registry(&file("[tools.d]\ncomponent = \"../elsewhere/t.wasm\"\n"));
    let component = ground.at("elsewhere/t.wasm").canonicalize().unwrap();
    let text = format!("restart needed: `{}` is to be read", component.display());
    server.await_said(&text).await.unwrap();
    server.await_said("airlock.toml:7:13").await.unwrap();
    await_tools(&server, &["a"]).await;
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

/// What `/readyz` says besides that the server is ready.
async fn degraded(server: &Server) -> Value {
    let ready: Value = server.get("/readyz").await.unwrap().json().await.unwrap();
    assert_eq!(ready["status"], "ready", "{ready}");
    ready["degraded"].clone()
}

async fn await_degraded(server: &Server, words: Value) {
    let seen = async {
        while degraded(server).await != words {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let seen = tokio::time::timeout(Duration::from_secs(30), seen).await;
    assert!(seen.is_ok(), "{}: {}", degraded(server).await, server.said());
}

/// An entry of a registry, with what follows its component.
fn entry(key: &str, component: &str, more: &str) -> String {
    format!("[tools.{key}]\ncomponent = \"{component}\"\n{more}")
}

const READ: &str = "grants.files = [{ host = \"read\", guest = \"/read\" }]\n";
const BOTH: &str =
    "grants.files = [{ host = \"read\", guest = \"/read\" }, { host = \"../far\", guest = \"/far\" }]\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_file_takes_away_goes_although_an_entry_is_out_of_reach() {
    if !has_all("what_a_file_takes_away_goes_although_an_entry_is_out_of_reach") {
        return;
    }
    let ground = Ground::new();
    fs::create_dir_all(ground.at("far")).unwrap();
    ground.put(CONVERT.1, "far/t.wasm");
    let tool = |key: &str, more: &str| entry(key, "tool.wasm", more);
    let registry = ground.registry(&[REQUIRE, &tool("a", ""), &tool("b", READ), &tool("c", READ)].concat());
    let server = Server::start(&registry, &["--allow-anonymous"]).unwrap();
    await_tools(&server, &["a", "b", "c"]).await;
    assert_eq!(degraded(&server).await, Value::Null);
    // One is removed, one is granted less, one is granted more, and a new one is in order.
    let far = entry("far", "../far/t.wasm", "");
    ground.registry(&[REQUIRE, &tool("b", ""), &tool("c", BOTH), &tool("new", ""), &far].concat());
    await_degraded(&server, json!(["reload-refused"])).await;
    assert_eq!(tools(&server).await, ["b", "c", "new"]);
    // One that is out of reach and whose grants are taken away is not served any more.
    let less = entry("c", "../far/t.wasm", "");
    ground.registry(&[REQUIRE, &tool("b", ""), &less].concat());
    await_tools(&server, &["b"]).await;
    ground.registry(&[REQUIRE, &tool("a", READ), &tool("b", "")].concat());
    await_tools(&server, &["a", "b"]).await;
    await_degraded(&server, Value::Null).await;
    // Also where the whole file is refused, for a setting that takes a restart.
    let calls = format!("{REQUIRE}calls_max = 7\n");
    ground.registry(&[&calls[..], &tool("b", ""), &tool("new", "")].concat());
    server.await_said("`host.calls_max` changed").await.unwrap();
    await_tools(&server, &["b"]).await;
    assert_eq!(degraded(&server).await, json!(["reload-refused"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_the_state_or_the_registry_that_was_made_anew_takes_a_restart() {
    if !has_all("a_folder_of_the_state_or_the_registry_that_was_made_anew_takes_a_restart") {
        return;
    }
    let ground = Ground::new();
    let text = [REQUIRE, &entry("a", "tool.wasm", "")].concat();
    let server = Server::start(&ground.registry(&text), &["--allow-anonymous"]).unwrap();
    let state = ground.at("own/.airlock");
    fs::rename(&state, ground.at("own/former")).unwrap();
    DirBuilder::new().mode(0o700).create(&state).unwrap();
    ground.registry(&[&text, &entry("b", "tool.wasm", "")[..]].concat());
    let text =
        format!("restart needed: files in `{}` are to be changed", state.canonicalize().unwrap().display());
    server.await_said(&text).await.unwrap();
    // The journal says it, too.
    let answer = ask(&server, "a", serde_json::from_str(KM).unwrap()).await;
    assert_eq!(answer["status"], "ok", "{answer}");
    server.await_said("if its folder was made anew, restart this process").await.unwrap();
    // A new folder of the registry: what its file takes away cannot be known.
    fs::rename(ground.at("own"), ground.at("was")).unwrap();
    fs::create_dir(ground.at("own")).unwrap();
    ground.put(CONVERT.1, "own/tool.wasm");
    ground.registry(REQUIRE);
    server.signal("HUP").unwrap();
    server.await_said("everything that was served stays in force until the restart").await.unwrap();
    assert_eq!(tools(&server).await, ["a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_that_was_removed_is_made_again_within_the_state_folder() {
    if !has_all("a_cache_that_was_removed_is_made_again_within_the_state_folder") {
        return;
    }
    let ground = Ground::new();
    let text = [REQUIRE, &entry("a", "tool.wasm", "")].concat();
    // A second start finds the code of the first, and maps it with the first call.
    for _ in 0..2 {
        let server = Server::start(&ground.registry(&text), &["--allow-anonymous"]).unwrap();
        fs::remove_dir_all(ground.at("own/.airlock/code")).unwrap();
        let answer = ask(&server, "a", serde_json::from_str(KM).unwrap()).await;
        assert_eq!(answer["status"], "ok", "{answer}");
        fs::remove_dir_all(ground.at("own/.airlock/code")).unwrap_or_default();
        ground.registry(&[&text, &entry("b", "tool.wasm", "")[..]].concat());
        await_tools(&server, &["a", "b"]).await;
        let answer = ask(&server, "b", serde_json::from_str(KM).unwrap()).await;
        assert_eq!(answer["status"], "ok", "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kernel_that_confines_files_and_not_ports_refuses_beyond_the_folders_as_well() {
    let name = "a_kernel_that_confines_files_and_not_ports_refuses_beyond_the_folders_as_well";
    if !has_all(name) || !has_strace(name) {
        return;
    }
    let ground = Ground::new();
    fs::create_dir_all(ground.at("far")).unwrap();
    ground.put(CONVERT.1, "far/t.wasm");
    let registry = ground.registry(&entry("a", "tool.wasm", ""));
    let mut command = Command::new("strace");
    // What the kernel says of its version, at the first question: that of Linux 6.2.
    command.args(["--follow-forks", "--output=/dev/null", "--trace=landlock_create_ruleset"]);
    command.arg("--inject=landlock_create_ruleset:retval=3:when=1").arg(program()).arg("--registry");
    command.arg(&registry).args(["serve", "--http", "127.0.0.1:0", "--allow-anonymous"]);
    let server = tokio::task::spawn_blocking(|| Server::of(command)).await.unwrap().unwrap();
    assert!(server.said().contains("landlock: in part: "), "{}", server.said());
    ground.registry(&[entry("a", "tool.wasm", BOTH), entry("b", "../far/t.wasm", "")].concat());
    let component = ground.at("far/t.wasm").canonicalize().unwrap();
    server.await_said(&format!("restart needed: `{}` is to be read", component.display())).await.unwrap();
    let folder = ground.at("far").canonicalize().unwrap();
    server.await_said(&format!("restart needed: `{}` is to be read", folder.display())).await.unwrap();
    assert_eq!(tools(&server).await, ["a"]);
    // It follows the server to its end, and would leave it behind if it were killed itself.
    for traced in children(server.id()) {
        let traced = rustix::process::Pid::from_raw(traced.cast_signed()).unwrap();
        rustix::process::kill_process(traced, rustix::process::Signal::KILL).unwrap();
    }
    server.wait().unwrap();
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn has_strace(test: &str) -> bool {
    let here = Command::new("strace").arg("true").stderr(Stdio::null()).status();
    let here = here.is_ok_and(|status| status.success());
    if !here {
        eprintln!("{test} is skipped: `strace` is not installed, or may follow no process");
    }
    here
}

/// The processes with this parent.
pub(crate) fn children(parent: u32) -> Vec<u32> {
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
    await_degraded(&server, json!(["reload-refused", "compiler-ended"])).await;
    assert_eq!(ask(&server, "tool", serde_json::from_str(KM).unwrap()).await["status"], "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_starts_compile_processes_survives_a_time_without_descriptors() {
    let ground = Ground::new();
    let tool = entry("tool", "tool.wasm", "");
    let server = Server::start(&ground.registry(&tool), &["--allow-anonymous"]).unwrap();
    let starter = rustix::process::Pid::from_raw(children(server.id())[0].cast_signed());
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    let limited = |current: Option<u64>| {
        let limit = Rlimit { current, maximum };
        rustix::process::prlimit(starter, Resource::Nofile, limit).unwrap().current
    };
    let before = limited(Some(10));
    ground.put(DIGEST.1, "own/other.wasm");
    let other = |key: &str| [&tool[..], &entry(key, "other.wasm", "")].concat();
    ground.registry(&other("other"));
    server.await_said("the next reload tries it again").await.unwrap();
    assert_eq!(tools(&server).await, ["tool"]);
    limited(before);
    ground.registry(&other("later"));
    await_tools(&server, &["later", "tool"]).await;
}
