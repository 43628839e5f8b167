//! The value of a secret is at the upstream and nowhere else: not in answers, logs, traces, metrics, files of the host or
//! the compile process.

use std::path::Path;
use std::process::Command;

use airlock::Compiler;
use airlock::host::Host;
use airlock_tests::server::Server;
use airlock_tests::upstream::Upstream;
use airlock_tests::{program, root};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::secrets::keep;
use crate::telemetry::{collector, holds};
use crate::web::Web;

const CANARY: &str = "canary+c0ffee/5e1f-d00d";

/// The forms of the canary that are looked for.
fn forms() -> [String; 4] {
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent = CANARY.replace('+', "%2B").replace('/', "%2F");
    [CANARY.to_owned(), STANDARD.encode(CANARY), hex, percent]
}

fn assert_clean(what: &str, bytes: &[u8]) {
    for form in forms() {
        assert!(!holds(bytes, form.as_bytes()), "{what} holds {form}: {}", String::from_utf8_lossy(bytes));
    }
}

/// Every file below a folder, and how many there are.
fn assert_clean_folder(folder: &Path) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files += assert_clean_folder(&path);
        } else {
            files += 1;
            let bytes = std::fs::read(&path).unwrap();
            for form in forms() {
                assert!(!holds(&bytes, form.as_bytes()), "{} holds {form}", path.display());
            }
        }
    }
    files
}

/// What the verbs say of each call.
fn assert_clean_verbs(registry: &Path) {
    let airlock = |args: &[&str]| {
        let output = Command::new(program()).arg("--registry").arg(registry).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    };
    let listed = String::from_utf8(airlock(&["log", "--json"]).stdout).unwrap();
    assert!(listed.lines().count() > 3, "{listed}");
    for line in listed.lines() {
        let call: serde_json::Value = serde_json::from_str(line).unwrap();
        let id = call["id"].as_str().unwrap();
        for args in [vec!["show", id], vec!["show", id, "--json"], vec!["why", id]] {
            let shown = airlock(&args);
            assert_clean("`show`", &[shown.stdout, shown.stderr].concat());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_canary_is_at_the_upstream_and_nowhere_else() {
    let (upstream, pem) = Upstream::tls(&["localhost"]).await.unwrap();
    let (otlp, traces) = collector().await;
    let web = Web::new();
    let grant = |path: &str, place: &str| {
        format!(
            "{{ host = \"localhost\", port = {}, path = \"{path}\", addresses = [\"127.0.0.1\", \"::1\"], \
             secret = {{ name = \"CANARY\", {place} }} }}",
            upstream.port()
        )
    };
    // `/redirect?key=…` and the greeting of `/any` repeat the query.
    let grants = [
        grant("/header", "header = \"authorization\", format = \"Bearer {}\""),
        grant("/any", "query = \"key\""),
        grant("/closed", "header = \"x-key\""),
    ];
    web.file(&format!(
        "grants.http = [{}]\n[secrets.CANARY]\nenv = \"AIRLOCK_TEST_CANARY\"\n",
        grants.join(", ")
    ));
    let roots = web.folder.path().join("roots.pem");
    std::fs::write(&roots, pem).unwrap();
    let registry = web.folder.path().join("airlock.toml");
    let mut command = Command::new(program());
    command.arg("--registry").arg(&registry).args(["--log", "trace", "--otlp", &otlp]);
    command.args(["serve", "--http", "127.0.0.1:0", "--allow-anonymous"]);
    command.env("AIRLOCK_TEST_CANARY", CANARY).env("SSL_CERT_FILE", &roots).env_remove("SSL_CERT_DIR");
    let server = tokio::task::spawn_blocking(|| Server::of(command)).await.unwrap().unwrap();
    let url = |path: &str| format!("https://localhost:{}{path}", upstream.port());
    let mut answers = String::new();
    for (function, args) in [
        ("fetch", json!({"method": "GET", "url": url("/header?a=b"), "headers": [], "body": ""})),
        ("fetch", json!({"method": "GET", "url": url("/any?a=b"), "headers": [], "body": ""})),
        ("drip", json!({"url": url("/any?c=d")})),
        ("fetch", json!({"method": "POST", "url": url("/header"), "headers": [], "body": "x"})),
        ("fetch_then_abort", json!({"method": "GET", "url": url("/header")})),
        ("fetch", json!({"method": "GET", "url": "https://localhost:1/header", "headers": [], "body": ""})),
    ] {
        let answer = server.call(&format!("web_{function}"), args.to_string()).send().await.unwrap();
        answers += &format!("{:?}\n{}\n", answer.headers().clone(), answer.text().await.unwrap());
    }
    assert!(answers.contains("GET /header?a=b") && answers.contains("secret.echo"), "{answers}");
    answers += &server.get("/metrics").await.unwrap().text().await.unwrap();
    server.signal("TERM").unwrap();
    let said = tokio::task::spawn_blocking(move || {
        let said = || server.said();
        while !said().contains("attempt") {
            std::thread::yield_now();
        }
        let text = said();
        server.wait().map(|_| text)
    });
    let said = said.await.unwrap().unwrap();
    for (what, bytes) in [("an answer", answers.as_bytes()), ("the log", said.as_bytes())] {
        assert_clean(what, bytes);
    }
    let traces = traces.lock().unwrap().clone();
    assert!(holds(&traces, b"web_fetch"), "there are traces");
    assert_clean("a trace", &traces);
    // The journal with its log, compiled code, the registry.
    assert!(assert_clean_folder(web.folder.path()) >= 4);
    let arrived = upstream.arrived();
    assert!(arrived.iter().any(|one| one.header("authorization") == format!("Bearer {CANARY}")));
    assert!(arrived.iter().any(|one| one.path == format!("/any?a=b&key={}", forms()[3])), "{arrived:?}");
    assert_clean_verbs(&registry);
}

#[tokio::test]
async fn the_compile_process_gets_no_secret() {
    let web = Web::new();
    keep(web.folder.path(), "k", CANARY);
    // A script in place of the program, which keeps what it gets.
    let spy = web.folder.path().join("spy");
    let kept = web.folder.path().join("kept");
    let script = format!(
        "#!/bin/sh\n{{ echo \"$@\"; tr '\\0' '\\n' </proc/$$/environ; echo end; cat; }} >>{}\n",
        kept.display()
    );
    std::fs::write(&spy, script).unwrap();
    std::fs::set_permissions(&spy, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    // A variable that every process has.
    let secrets = "[secrets.K]\nfile = \"k\"\n[secrets.P]\nenv = \"PATH\"\n";
    let grant = |name: &str| {
        format!("{{ host = \"a.example\", secret = {{ name = \"{name}\", header = \"x-key\" }} }}")
    };
    let file = web.file(&format!("grants.http = [{}, {}]\n{secrets}", grant("K"), grant("P")));
    let opened = Host::builder().registry(file).compiler(Compiler::program(spy)).open().await;
    let why = opened.err().unwrap().to_string();
    assert!(!why.contains("secret"), "both could be read: {why}");
    let seen = std::fs::read(&kept).unwrap();
    let component = std::fs::read(root().join("tests/guests/build/fetcher.wasm")).unwrap();
    assert!(holds(&seen, b"end\n") && seen.len() > component.len(), "it got the component");
    assert_clean("the compile process", &seen);
    assert!(!holds(&seen, std::env::var_os("PATH").unwrap().as_encoded_bytes()));
}
