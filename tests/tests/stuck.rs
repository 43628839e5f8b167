//! Files that block, loads that hang, and processes that write without end: the host keeps serving and ends on SIGTERM.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use airlock::caller::token;
use airlock_tests::server::Server;
use airlock_tests::{program, root};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::http::{CONVERT, DIGEST, KM, LOOPS, registry_in};

fn fifo(path: &Path) {
    let _ = std::fs::remove_file(path);
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// A registry with the hostile guest and a granted folder, and a tool that needs no folder.
fn with_folder(folder: &Path) -> PathBuf {
    let data = folder.join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("file"), "text").unwrap();
    fifo(&data.join("fifo"));
    std::os::unix::fs::symlink("fifo", data.join("link")).unwrap();
    let path = registry_in(folder, "", &[CONVERT, LOOPS]);
    let text = std::fs::read_to_string(&path).unwrap();
    let grant = format!("{text}grants.files = [{{ host = \"{}\", guest = \"/data\" }}]\n", data.display());
    std::fs::write(&path, grant).unwrap();
    path
}

async fn read(server: &Server, path: &str) -> (StatusCode, Value) {
    let answer = server.call("loops_read_file", json!({"path": path}).to_string()).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

fn threads(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/task", server.id())).unwrap().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_would_block_is_not_opened_and_takes_no_thread() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&with_folder(folder.path()), &["--allow-anonymous"]).unwrap();
    let (status, file) = read(&server, "/data/file").await;
    assert_eq!((status, &file["result"]), (StatusCode::OK, &json!("text")), "{file}");
    let before = threads(&server);
    for path in ["/data/fifo", "/data/link"] {
        let reads = futures::future::join_all((0..16).map(|_| read(&server, path))).await;
        for (status, answer) in reads {
            assert_eq!(status, StatusCode::BAD_GATEWAY, "{answer}");
            assert_eq!(answer["reply"]["code"], "tool.error", "{answer}");
        }
    }
    // Fewer than one thread for each call: at most the idle ones of the runtime.
    assert!(threads(&server) <= before + 8, "{} threads, {before} before", threads(&server));
    assert_eq!(read(&server, "/data/file").await.0, StatusCode::OK);
    server.signal("TERM").unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_replaced_by_a_fifo_is_refused_and_others_still_answer() {
    let folder = tempfile::tempdir().unwrap();
    let component = folder.path().join("digest.wasm");
    std::fs::copy(root().join(DIGEST.1), &component).unwrap();
    let path = registry_in(folder.path(), "", &[CONVERT]);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}[tools.text_digest]\ncomponent = \"digest.wasm\"\n")).unwrap();
    let server = Server::start(&path, &["--allow-anonymous"]).unwrap();
    fifo(&component);
    server.await_said("it is not a regular file").await.unwrap();
    assert_eq!(server.call("unit_convert", KM).send().await.unwrap().status(), StatusCode::OK);
    server.signal("TERM").unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

#[test]
fn a_fifo_in_the_place_of_any_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fifo(&at("fifo"));
    let registry = registry_in(folder.path(), "", &[CONVERT]);
    let refused = |args: &[&str], place: &str| {
        let output = Command::new(program()).current_dir(folder.path()).args(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("not a regular file"), "{place}: {said}");
    };
    refused(&["--registry", "fifo", "tools"], "registry");
    fifo(&at("airlock.lock"));
    refused(&["--registry", "airlock.toml", "tools"], "lock");
    refused(&["diff", "airlock.lock", "airlock.lock"], "lock");
    refused(&["inspect", "fifo"], "component");
    let component = at("convert.wasm");
    std::fs::copy(root().join(CONVERT.1), &component).unwrap();
    refused(&["pack", "convert.wasm", "--contract", "fifo"], "contract");
    std::fs::remove_file(at("airlock.lock")).unwrap();
    // A FIFO at the path of the temporary lock must not block, either.
    fifo(&at("airlock.lock.new"));
    fifo(&registry.with_extension("lock.new"));
    let locked = Command::new(program()).arg("--registry").arg(&registry).arg("lock").output().unwrap();
    assert!(locked.status.success(), "{locked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_in_a_fifo_delay_no_caller() {
    let folder = tempfile::tempdir().unwrap();
    fifo(&folder.path().join("keys.json"));
    let (token, digest) = token::new([5; 32]);
    let settings = format!(
        "[oauth]\nissuer = \"https://login.example.com\"\naudience = \"https://tools.example.com\"\n\
         jwks = \"keys.json\"\nscopes = [\"tools\"]\ncaller = \"agents\"\n[callers.agents]\ntools = [\"*\"]\n\
         [callers.dan]\ntools = [\"*\"]\ntokens = [\"{digest}\"]\n"
    );
    let server = Server::start(&registry_in(folder.path(), &settings, &[CONVERT]), &[]).unwrap();
    let call = async |bearer: &str| {
        server.call("unit_convert", KM).bearer_auth(bearer).send().await.unwrap().status()
    };
    // A token in the form of an OAuth server: `{"alg":"RS256","kid":"k"}`, `{}`, and a signature.
    let status = call("eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.e30.AA").await;
    assert!(!status.is_success(), "{status}");
    assert_eq!(call(&token).await, StatusCode::OK);
}

/// A component that compiles slowly: it has more functions than can be compiled within the test.
fn slow_component(path: &Path) {
    use wasm_encoder::{
        CodeSection, Component, Function, FunctionSection, Module, ModuleSection, TypeSection, ValType,
    };
    const FUNCTIONS: u32 = 60_000;
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I32]);
    let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
    for _ in 0..FUNCTIONS {
        functions.function(0);
        let mut function = Function::new([]);
        let mut body = function.instructions();
        body.local_get(0);
        for i in 0..40 {
            body.local_get(0).i32_const(i).i32_mul().i32_add();
        }
        body.end();
        code.function(&function);
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    let mut component = Component::new();
    component.section(&ModuleSection(&module));
    std::fs::write(path, component.finish()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_stops_working_while_a_component_loads() {
    let folder = tempfile::tempdir().unwrap();
    let (token, digest) = token::new([6; 32]);
    let dan = |tokens: &str| format!("[callers.dan]\ntools = [\"*\"]\ntokens = [{tokens}]\n");
    let path = registry_in(folder.path(), &dan(&format!("\"{digest}\"")), &[CONVERT]);
    let server = Server::start(&path, &[]).unwrap();
    let call = async || server.call("unit_convert", KM).bearer_auth(&token).send().await.unwrap().status();
    assert_eq!(call().await, StatusCode::OK);
    slow_component(&folder.path().join("slow.wasm"));
    let eve = "[callers.eve]\ntools = [\"*\"]\ntokens = []\n";
    registry_in(folder.path(), &format!("{}{eve}", dan("")), &[CONVERT]);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}[tools.slow]\ncomponent = \"slow.wasm\"\n")).unwrap();
    let mut revoked = false;
    for _ in 0..50 {
        revoked = call().await == StatusCode::UNAUTHORIZED;
        if revoked {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(revoked, "the token still works");
    assert!(!server.said().contains("reloaded"), "the component was loaded already: {}", server.said());
    // The program ends although the load has not.
    server.signal("TERM").unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

/// Reads and writes in a folder without end, until it is dropped.
struct Busy(Arc<AtomicBool>);

impl Busy {
    fn start(folder: &Path) -> Busy {
        let stop = Arc::new(AtomicBool::new(false));
        let reads = |folder: &Path| drop(std::fs::read(folder.join("airlock.toml")));
        let writes = |folder: &Path| std::fs::write(folder.join("junk"), "x").unwrap();
        for work in [reads as fn(&Path), writes] {
            let (stop, folder) = (stop.clone(), folder.to_owned());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    work(&folder);
                    std::thread::yield_now();
                }
            });
        }
        Busy(stop)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_is_not_delayed_by_activity_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (token, digest) = token::new([7; 32]);
    let dan = format!("[callers.dan]\ntools = [\"*\"]\ntokens = [\"{digest}\"]\n");
    let server = Server::start(&registry_in(folder.path(), &dan, &[CONVERT]), &[]).unwrap();
    let call = async || server.call("unit_convert", KM).bearer_auth(&token).send().await.unwrap().status();
    assert_eq!(call().await, StatusCode::OK);
    let _busy = Busy::start(folder.path());
    registry_in(folder.path(), "[callers.dan]\ntools = [\"*\"]\n", &[CONVERT]);
    for _ in 0..100 {
        if call().await == StatusCode::UNAUTHORIZED {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the token still works");
}
