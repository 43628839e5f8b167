//! The confinement of the process that makes calls: each rule tried from inside, what still works, and what a reload may
//! ask for.

mod attempts;

use std::collections::BTreeMap;
use std::fs;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use airlock_server::confine;
use airlock_tests::server::Server;
use airlock_tests::upstream::Upstream;
use airlock_tests::{program, root};
use serde_json::{Value, json};

use crate::http::{CONVERT, KM};
use crate::secrets::keep;
use attempts::ATTEMPTS;

pub(crate) const REQUIRE: &str = "[host]\nconfine = \"require\"\n";

/// Whether this kernel has everything that the tests of this file are about. They say why they are skipped.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn has_all(test: &str) -> bool {
    let here = confine::available();
    if !here.is_whole() {
        eprintln!("{test} is skipped: this kernel does not confine all of it: {here}");
    }
    here.is_whole()
}

/// A folder with the registry and what it names, and one beside it that no rule covers.
pub(crate) struct Ground {
    folder: tempfile::TempDir,
}

impl Ground {
    pub(crate) fn new() -> Ground {
        let folder = tempfile::tempdir().unwrap();
        for name in ["own/read", "own/changed", "outside"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let ground = Ground { folder };
        for (name, text) in [
            ("own/read/file", "read"),
            ("own/changed/file", "x"),
            ("own/beside", "x"),
            ("outside/secret", "secret"),
            ("outside/roots.pem", "roots"),
        ] {
            fs::write(ground.at(name), text).unwrap();
        }
        symlink(ground.at("outside/secret"), ground.at("own/read/link")).unwrap();
        ground.put(CONVERT.1, "own/tool.wasm");
        ground
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn put(&self, component: &str, name: &str) {
        fs::copy(root().join(component), self.at(name)).unwrap();
    }

    pub(crate) fn registry(&self, text: &str) -> PathBuf {
        let path = self.at("own/airlock.toml");
        // Replaced at once, as editors do.
        fs::write(self.at("own/new.toml"), text).unwrap();
        fs::rename(self.at("own/new.toml"), &path).unwrap();
        path
    }

    fn granted(&self) -> PathBuf {
        fs::create_dir_all(self.at("own/.airlock")).unwrap();
        self.registry(
            "[tools.tool]\ncomponent = \"tool.wasm\"\ngrants.files = [{ host = \"read\", guest = \"/read\" }, \
             { host = \"changed\", guest = \"/changed\", access = \"read-write\" }]\n",
        )
    }

    /// What the helper program reports in this role.
    fn tried(&self, role: &str) -> BTreeMap<String, String> {
        self.tried_with(role, &[])
    }

    fn tried_with(&self, role: &str, variables: &[(&str, PathBuf)]) -> BTreeMap<String, String> {
        let _stream = UnixListener::bind(self.at("outside/stream")).unwrap();
        let _datagrams = UnixDatagram::bind(self.at("outside/datagrams")).unwrap();
        let socket = format!("airlock-test-{}-{role}", std::process::id());
        let _listening = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&socket).unwrap()).unwrap();
        let mut command = helper();
        command.arg(role).arg(self.granted()).arg(self.at("outside"));
        command.args([&std::process::id().to_string(), &socket]).stdin(Stdio::null());
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said.lines().filter_map(|line| line.split_once('\t')).map(|(a, b)| (a.into(), b.into())).collect()
    }
}

/// The helper program, which tries things from inside.
fn helper() -> Command {
    Command::new(program().with_file_name("confined"))
}

fn assert_tried(
    role: &str,
    tried: &BTreeMap<String, String>,
    expect: impl Fn(&(&str, &str, &str, &str)) -> String,
) {
    for attempt in ATTEMPTS {
        let (found, expect) = (&tried[attempt.0], expect(attempt));
        let holds = match expect.as_str() {
            "?" => true,
            "*" => found != "done",
            number => found == number,
        };
        assert!(holds, "{role}: {}: {found}, expected {expect}", attempt.0);
    }
}

#[test]
fn each_rule_holds_inside() {
    if !has_all("each_rule_holds_inside") {
        return;
    }
    let tried = Ground::new().tried("host");
    assert_eq!(tried["confinement"], "landlock: enforced, seccomp: enforced");
    assert_tried("host", &tried, |attempt| attempt.1.to_owned());
    for (call, _) in confine::denied() {
        assert_eq!(tried[call], "1", "{call}");
    }
    assert_eq!(tried.len(), 1 + ATTEMPTS.len() + confine::denied().count());
}

#[test]
fn what_starts_compile_processes_reaches_nothing_else() {
    if !has_all("what_starts_compile_processes_reaches_nothing_else") {
        return;
    }
    let tried = Ground::new().tried("starter");
    assert_eq!(tried["confinement"], "landlock: enforced, seccomp: enforced");
    assert_tried("starter", &tried, |attempt| attempt.2.to_owned());
    for (call, _) in confine::denied_to_starter() {
        assert_eq!(tried[call], "1", "{call}");
    }
    assert_eq!(tried.len(), 1 + ATTEMPTS.len() + confine::denied_to_starter().count());
}

#[test]
fn a_home_a_file_of_roots_and_a_library_open_no_folder() {
    if !has_all("a_home_a_file_of_roots_and_a_library_open_no_folder") {
        return;
    }
    let ground = Ground::new();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let library = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..]));
    let library = library.into_iter().find(|path| path.contains("libm.so") || path.contains("libgcc_s.so"));
    fs::copy(library.unwrap(), ground.at("outside/preloaded.so")).unwrap();
    let home = ground.at("own").canonicalize().unwrap();
    let tried = ground.tried_with(
        "host",
        &[
            ("HOME", home),
            ("SSL_CERT_FILE", ground.at("outside/roots.pem")),
            ("LD_PRELOAD", ground.at("outside/preloaded.so")),
        ],
    );
    assert_eq!(tried["read the registry"], "done");
    assert_eq!(tried["read a file beside the registry"], "13");
    assert_eq!(tried["read the roots of the variable"], "done");
    assert_eq!(tried["read a file outside"], "13");
}

#[test]
fn without_confinement_each_attempt_would_succeed() {
    // As another user than root, some are refused by the system itself.
    let is_root = rustix::process::geteuid().is_root();
    let tried = Ground::new().tried("free");
    assert_tried("free", &tried, |attempt| if is_root { attempt.3 } else { &tried[attempt.0] }.to_owned());
    assert_eq!(tried.len(), ATTEMPTS.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_shell_left_open_is_closed_and_no_core_is_dumped() {
    if !has_all("what_the_shell_left_open_is_closed_and_no_core_is_dumped") {
        return;
    }
    let ground = Ground::new();
    let registry = ground.registry(&format!("{REQUIRE}[tools.tool]\ncomponent = \"tool.wasm\"\n"));
    let mut command = Command::new("sh");
    command.args(["-c", "exec 9<\"$0\"; exec \"$@\""]).arg(ground.at("outside/secret")).arg(program());
    command.arg("--registry").arg(&registry).args(["serve", "--http", "127.0.0.1:0", "--allow-anonymous"]);
    let server = tokio::task::spawn_blocking(|| Server::of(command)).await.unwrap().unwrap();
    let starters = crate::confined_reload::children(server.id());
    assert_eq!(starters.len(), 1);
    for process in [server.id(), starters[0]] {
        let of = Path::new("/proc").join(process.to_string());
        let open =
            fs::read_dir(of.join("fd")).unwrap().map(|entry| fs::read_link(entry.unwrap().path()).unwrap());
        let secret = ground.at("outside/secret").canonicalize().unwrap();
        assert!(open.into_iter().all(|path| path != secret));
        let limits = fs::read_to_string(of.join("limits")).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(line.split_whitespace().nth(4), Some("1"), "{line}");
    }
}

#[test]
fn verbs_that_make_no_calls_compile_and_map_nothing() {
    let ground = Ground::new();
    let registry = ground.registry("[tools.tool]\ncomponent = \"tool.wasm\"\n");
    for args in [&["tools"][..], &["export", "--for", "anthropic"], &["explain", "tool", KM]] {
        let (code, said) = airlock(&registry, args);
        assert_eq!(code, Some(0), "{args:?}: {said}");
    }
    let code = || {
        let kept = fs::read_dir(ground.at("own/.airlock/code")).unwrap();
        kept.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "cwasm"))
            .count()
    };
    assert_eq!(code(), 0);
    let (status, said) = airlock(&registry, &["check"]);
    assert_eq!((status, code()), (Some(0), 1), "{said}");
}

pub(crate) async fn ask(server: &Server, tool: &str, args: Value) -> Value {
    let answer = server.call(tool, args.to_string()).send().await.unwrap();
    answer.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_use_files_hosts_pairs_and_secrets_as_before() {
    if !has_all("tools_use_files_hosts_pairs_and_secrets_as_before") {
        return;
    }
    let ground = Ground::new();
    let (upstream, pem) = Upstream::tls(&["localhost"]).await.unwrap();
    for guest in ["scribe", "fetcher", "keeper"] {
        ground.put(&format!("tests/guests/build/{guest}.wasm"), &format!("own/{guest}.wasm"));
    }
    fs::write(ground.at("own/roots.pem"), pem).unwrap();
    keep(&ground.at("own"), "key", "s3cr3t-value");
    let registry = ground.registry(&format!(
        "{REQUIRE}[secrets.K]\nfile = \"key\"\n\
         [tools.desk]\ncomponent = \"scribe.wasm\"\n\
         grants.files = [{{ host = \"changed\", guest = \"/data\", access = \"read-write\" }}]\n\
         [tools.keep]\ncomponent = \"keeper.wasm\"\ngrants.keyvalue = {{}}\n\
         [tools.web]\ncomponent = \"fetcher.wasm\"\n\
         grants.http = [{{ host = \"localhost\", port = {}, addresses = [\"127.0.0.1\", \"::1\"], \
         secret = {{ name = \"K\", header = \"authorization\" }} }}]\n",
        upstream.port()
    ));
    let mut command = Command::new(program());
    command.arg("--registry").arg(&registry).args(["serve", "--http", "127.0.0.1:0", "--allow-anonymous"]);
    command.env("SSL_CERT_FILE", ground.at("own/roots.pem")).env_remove("SSL_CERT_DIR");
    let server = tokio::task::spawn_blocking(|| Server::of(command)).await.unwrap().unwrap();
    let steps = json!([crate::desk::open("a", "create write"), crate::desk::write(1, 0, "hello")]);
    let written = ask(&server, "desk_act", json!({"steps": steps})).await;
    assert_eq!(written["status"], "ok", "{written}");
    assert_eq!(fs::read_to_string(ground.at("own/changed/a")).unwrap(), "hello");
    let put = ask(&server, "keep_put", json!({"bucket": "default", "key": "a", "value": "1"})).await;
    assert_eq!(put["status"], "ok", "{put}");
    let url = format!("https://localhost:{}/a", upstream.port());
    let fetched =
        ask(&server, "web_fetch", json!({"method": "GET", "url": url, "headers": [], "body": ""})).await;
    assert_eq!(fetched["status"], "ok", "{fetched}");
    assert_eq!(upstream.arrived()[0].header("authorization"), "s3cr3t-value");
    let ready: Value = server.get("/readyz").await.unwrap().json().await.unwrap();
    let confinement = json!({"landlock": "enforced", "seccomp": "enforced"});
    assert_eq!(ready, json!({"status": "ready", "confinement": confinement}));
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    assert!(status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t1"), "{status}");
    server.signal("TERM").unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

fn airlock(registry: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(program()).arg("--registry").arg(registry).args(args).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn check_says_what_is_confined() {
    let ground = Ground::new();
    let text = "[tools.tool]\ncomponent = \"tool.wasm\"\n";
    let (code, said) = airlock(&ground.registry(text), &["check", "--verbose"]);
    assert_eq!(code, Some(0), "{said}");
    let here = confine::available();
    let confined = format!("note: `airlock serve` and `airlock call` are confined: {here}");
    assert_eq!(said.contains(&confined), here.landlock.is_in_force() || here.seccomp.is_in_force(), "{said}");
    let state = ground.at("own/.airlock").canonicalize().unwrap();
    let changed = format!("they change {}", state.display());
    assert_eq!(said.contains(&changed), here.landlock.is_in_force(), "{said}");
    // Without it, only how many there are.
    let (_, said) = airlock(&ground.registry(text), &["check"]);
    let counted = said.contains("and change 1 place") && !said.contains("they change");
    assert_eq!(counted, here.landlock.is_in_force(), "{said}");
    let (code, said) = airlock(&ground.registry(&format!("[host]\nconfine = \"off\"\n{text}")), &["check"]);
    assert!(code == Some(0) && said.contains("nothing confines"), "{said}");
    let (_, said) = airlock(&ground.registry(&format!("{REQUIRE}{text}")), &["check"]);
    assert_eq!(said.contains("this process is not confined"), !confine::available().is_whole(), "{said}");
    let (code, said) = airlock(&ground.registry(&format!("[host]\nconfine = \"on\"\n{text}")), &["check"]);
    assert!(code == Some(1) && said.contains("`auto`, `require`"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_kernel_without_landlock_auto_warns_and_require_refuses() {
    if !has_all("on_a_kernel_without_landlock_auto_warns_and_require_refuses") {
        return;
    }
    let ground = Ground::new();
    let text = "[tools.tool]\ncomponent = \"tool.wasm\"\n";
    let on_it = |registry: &Path, args: &[&str]| {
        let mut command = helper();
        command.arg("without-landlock").arg(program()).arg("--registry").arg(registry).args(args);
        command
    };
    let registry = ground.registry(text);
    let command = on_it(&registry, &["serve", "--http", "127.0.0.1:0", "--allow-anonymous"]);
    let server = tokio::task::spawn_blocking(|| Server::of(command)).await.unwrap().unwrap();
    let why = "the kernel has none, or does not let this process use it";
    assert!(server.said().contains(&format!("not wholly confined: landlock: {why}, seccomp: enforced")));
    let ready: Value = server.get("/readyz").await.unwrap().json().await.unwrap();
    assert_eq!(ready["confinement"], json!({"landlock": why, "seccomp": "enforced"}));
    assert_eq!(ask(&server, "tool", serde_json::from_str(KM).unwrap()).await["status"], "ok");
    let checked = on_it(&registry, &["check", "--strict"]).output().unwrap();
    let said = String::from_utf8(checked.stderr).unwrap();
    assert!(checked.status.code() == Some(1) && said.contains("does not confine all of it"), "{said}");
    let registry = ground.registry(&format!("{REQUIRE}{text}"));
    for args in [&["serve", "--stdio"][..], &["call", "tool", KM], &["check"]] {
        let refused = on_it(&registry, args).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains(&format!("this process is not confined: landlock: {why}")), "{args:?}: {said}");
    }
}

#[tokio::test]
async fn an_embedding_program_that_is_not_confined_is_refused_where_it_is_required() {
    let ground = Ground::new();
    let registry = ground.registry(&format!("{REQUIRE}[tools.tool]\ncomponent = \"tool.wasm\"\n"));
    let opened = airlock::Host::builder().registry(registry).open().await;
    let refused = opened.err().unwrap();
    assert!(refused.is_refusal(), "{refused}");
    assert!(refused.to_string().contains("the program does not confine itself"), "{refused}");
}

#[test]
fn a_single_call_is_confined_as_well() {
    if !has_all("a_single_call_is_confined_as_well") {
        return;
    }
    let ground = Ground::new();
    ground.put("tests/guests/build/hostile.wasm", "own/loops.wasm");
    let registry = ground.registry(&format!(
        "{REQUIRE}[tools.loops]\ncomponent = \"loops.wasm\"\nlimits.deadline_ms = 20_000\n\
         limits.fuel = 1_000_000_000_000_000\ngrants.clock = true\n"
    ));
    let mut command = Command::new(program());
    command.arg("--registry").arg(&registry).args(["call", "loops_spin", "{}"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = Path::new("/proc").join(child.id().to_string()).join("status");
    // Confined before its first thread: with more than one, it must be.
    let confined = loop {
        let text = fs::read_to_string(&status).unwrap();
        if !text.contains("Threads:\t1\n") {
            break text.contains("Seccomp:\t2");
        }
        assert!(child.try_wait().unwrap().is_none(), "the call ended");
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(confined);
    let (code, said) = airlock(&ground.granted(), &["call", "tool", KM]);
    assert_eq!(code, Some(0), "{said}");
}
