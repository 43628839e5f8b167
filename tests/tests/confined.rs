//! The confinement of the process that makes calls: each rule tried from inside, what still works, and what a reload may
//! ask for.

use std::collections::BTreeMap;
use std::fs;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use airlock_server::confine;
use airlock_tests::server::Server;
use airlock_tests::upstream::Upstream;
use airlock_tests::{program, root};
use serde_json::{Value, json};

use crate::http::{CONVERT, KM};
use crate::secrets::keep;

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
        for (name, text) in
            [("own/read/file", "read"), ("own/changed/file", "x"), ("outside/secret", "secret")]
        {
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
        let socket = format!("airlock-test-{}-{role}", std::process::id());
        let _listening = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&socket).unwrap()).unwrap();
        let mut command = helper();
        command.arg(role).arg(self.granted()).arg(self.at("outside"));
        command.args([&std::process::id().to_string(), &socket]).stdin(Stdio::null());
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

/// Each attempt, with its outcome in the process that makes calls, in the one that starts compile processes, and without
/// confinement. 1 is EPERM, 2 ENOENT, 13 EACCES, 14 EFAULT, 22 EINVAL, 25 ENOTTY, 38 ENOSYS; `*` is any but `done`,
/// and `?` is for what depends on the kernel, or on the user.
const ATTEMPTS: &[(&str, &str, &str, &str)] = &[
    ("read a file outside", "13", "13", "done"),
    ("list a folder outside", "13", "13", "done"),
    ("write to a file outside", "13", "13", "done"),
    ("truncate a file outside", "13", "13", "done"),
    ("make a file outside", "13", "13", "done"),
    ("make a folder outside", "13", "13", "done"),
    ("make a link outside", "13", "13", "done"),
    ("move a file outside", "13", "13", "done"),
    ("remove a file outside", "2", "2", "done"),
    ("read through a link", "13", "13", "2"),
    ("write to the registry", "13", "13", "done"),
    ("write to a component", "13", "13", "done"),
    ("make a file beside the registry", "13", "13", "done"),
    ("make a file where a tool reads", "13", "13", "done"),
    ("move a file out", "13", "13", "done"),
    ("make a socket", "13", "13", "done"),
    ("read the memory of another process", "13", "13", "done"),
    ("read the variables of another process", "13", "?", "done"),
    ("signal another process", "1", "1", "done"),
    ("start a program", "1", "13", "done"),
    ("listen at another port", "13", "13", "done"),
    ("connect to another program's abstract socket", "1", "1", "done"),
    ("listen at the port", "done", "13", "done"),
    ("connect over TCP", "done", "13", "done"),
    ("send a datagram", "done", "done", "done"),
    ("read the registry", "done", "13", "done"),
    ("read where a tool reads", "done", "13", "done"),
    ("change where a tool changes", "done", "13", "2"),
    ("change the state folder", "done", "13", "done"),
    ("read the name servers", "done", "13", "done"),
    ("resolve a name", "done", "*", "done"),
    ("read the trusted roots", "done", "13", "done"),
    ("start a thread", "done", "done", "done"),
    ("signal itself", "done", "done", "done"),
    ("open a socket of packets", "1", "1", "done"),
    ("open a socket of cryptography", "1", "1", "?"),
    ("open a socket of a virtual machine", "1", "1", "?"),
    ("open a raw socket", "1", "1", "done"),
    ("open a raw socket of IPv6", "1", "1", "done"),
    ("open a former socket of packets", "1", "1", "?"),
    ("listen to the kernel's events", "1", "1", "done"),
    ("ask for the addresses of this machine", "done", "done", "done"),
    ("make a process", "1", "22", "22"),
    ("make a process in the new way", "38", "22", "22"),
    ("signal another thread", "1", "1", "done"),
    ("read the limits of another process", "1", "done", "done"),
    ("read its own limits", "done", "done", "done"),
    ("type into the terminal", "1", "1", "25"),
    ("use the console", "1", "1", "25"),
];

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
}

#[test]
fn without_confinement_each_attempt_would_succeed() {
    // As another user than root, some are refused by the system itself.
    let is_root = rustix::process::geteuid().is_root();
    let tried = Ground::new().tried("free");
    assert_tried("free", &tried, |attempt| if is_root { attempt.3 } else { &tried[attempt.0] }.to_owned());
    assert_eq!(tried.len(), ATTEMPTS.len());
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
    let here = confine::available().to_string();
    assert!(
        said.contains(&format!("note: `airlock serve` and `airlock call` are confined: {here}")),
        "{said}"
    );
    let state = ground.at("own/.airlock").canonicalize().unwrap();
    assert!(said.contains(&format!("they change {}", state.display())), "{said}");
    // Without it, only how many there are.
    let (_, said) = airlock(&ground.registry(text), &["check"]);
    assert!(said.contains("and change 1 place") && !said.contains("they change"), "{said}");
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
