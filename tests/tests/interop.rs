//! Components that nobody here wrote or that other languages' tools make, under a grant. They need Node, Python and
//! packages from the network, so they run on request: `cargo xtask interop`.

use std::path::{Path, PathBuf};
use std::process::Command;

use airlock_tests::upstream::Upstream;
use airlock_tests::{program, root};
use serde_json::{Value, json};

use crate::stderr;

/// Runs a program in a folder, which must succeed.
fn run(folder: &Path, program: &str, args: &[&str]) {
    let output = Command::new(program).current_dir(folder).args(args).output();
    let output = output.unwrap_or_else(|err| panic!("{program}: {err}"));
    assert!(output.status.success(), "{program} {args:?}: {}", stderr(&output));
}

/// The folder for one kind of packages. Kept from run to run: they are large.
fn packages(name: &str) -> PathBuf {
    let folder = root().join("target/interop").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A folder with the packages of Python, as a virtual environment.
fn python() -> PathBuf {
    let folder = packages("python");
    if !folder.join("venv/bin/pip").exists() {
        run(&folder, "python3", &["-m", "venv", "venv"]);
    }
    let wanted = [
        "componentize-py==0.25.1",
        "hyperlight-sandbox-python-guest==0.8.0",
        "hyperlight-sandbox-javascript-guest==0.8.0",
    ];
    run(&folder, "venv/bin/pip", &[&["install", "--quiet"], &wanted[..]].concat());
    folder.join("venv")
}

/// Copies the sources of a component into a folder, links resolved.
fn sources(name: &str, to: &Path) {
    let from = root().join("tests/interop").join(name);
    run(root(), "cp", &["-RL", from.join(".").to_str().unwrap(), to.to_str().unwrap()]);
}

/// A registry in a folder of its own, and what it answers.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn airlock(&self, args: &[&str]) -> std::process::Output {
        let mut command = Command::new(program());
        command.current_dir(self.0.path()).args(args).output().unwrap()
    }

    fn registry(&self, text: &str) {
        std::fs::write(self.0.path().join("airlock.toml"), text).unwrap();
        let checked = self.airlock(&["check"]);
        assert!(checked.status.success(), "{}", stderr(&checked));
    }

    fn call(&self, tool: &str, args: &Value) -> Value {
        let output = self.airlock(&["call", tool, &args.to_string(), "--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|err| panic!("{err}: {}", stderr(&output)))
    }

    /// Grants a component one server, and calls it with that server and with another one.
    async fn fetches(&self, component: &str, grants: &str, args: impl Fn(u16) -> Value) {
        let [granted, other] = [Upstream::start().await.unwrap(), Upstream::start().await.unwrap()];
        let port = granted.address.port();
        self.registry(&format!(
            "[tools.get]\ncomponent = \"{component}\"\n{grants}grants.http = [{{ host = \"127.0.0.1\", scheme = \"http\", \
             port = {port}, addresses = [\"127.0.0.1\"] }}]\n"
        ));
        let reply = self.call("get", &args(port));
        assert!(reply["result"].as_str().is_some_and(|text| text.starts_with("200 ")), "{reply}");
        let refused = self.call("get", &args(other.address.port()));
        assert_eq!((&refused["code"], other.connections()), (&json!("tool.error"), 0), "{refused}");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains("was refused what it is not granted (http)"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "installs packages of Node"]
async fn a_program_in_javascript_fetches() {
    let folder = packages("javascript");
    run(&folder, "npm", &["install", "--no-audit", "--no-fund", "@bytecodealliance/componentize-js@0.23.0"]);
    sources("js-fetch", &folder);
    let place = Place::new();
    run(&folder, "node", &["build.mjs", &place.path("get.wasm")]);
    let grants = "grants.clock = true\ngrants.random = true\n";
    place.fetches("get.wasm", grants, |port| json!({ "url": format!("http://127.0.0.1:{port}/") })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "installs packages of Python"]
async fn a_program_in_python_sends_a_request() {
    let tools = python().join("bin/componentize-py");
    let tools = tools.to_str().unwrap();
    let place = Place::new();
    sources("py-fetch", place.0.path());
    run(place.0.path(), tools, &["-d", "wit", "-w", "tool", "bindings", "bindings"]);
    let build =
        ["-d", "wit", "-w", "tool", "componentize", "app", "-p", ".", "-p", "bindings", "-o", "get.wasm"];
    run(place.0.path(), tools, &build);
    let args = |port| json!({ "authority": format!("127.0.0.1:{port}"), "path": "/" });
    place.fetches("get.wasm", "grants.random = true\n", args).await;
}

#[test]
#[ignore = "installs packages of Python"]
fn the_guests_of_hyperlight_load() {
    let place = Place::new();
    let find = "import javascript_guest, os, python_guest, shutil, sys\n\
                for module, name in ((python_guest, 'python'), (javascript_guest, 'js')):\n\
                \x20   folder = os.path.join(os.path.dirname(module.__file__), 'resources')\n\
                \x20   shutil.copy(os.path.join(folder, name + '-sandbox.wasm'), sys.argv[1])\n";
    let python = python().join("bin/python");
    run(place.0.path(), python.to_str().unwrap(), &["-c", find, place.0.path().to_str().unwrap()]);
    let entry = |name: &str| {
        format!(
            "[tools.{name}]\ncomponent = \"{name}-sandbox.wasm\"\nimports.\"hyperlight:sandbox/tools\" = \"trap\"\n"
        )
    };
    place.registry(&format!("{}{}", entry("python"), entry("js")));
    let listed = place.airlock(&["tools", "--json"]);
    let tools: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(tools["tools"].as_array().map(Vec::len), Some(2), "{tools}");
}
