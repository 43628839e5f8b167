//! Fields that a contract marks confidential are in the reply and nowhere else: not in the journal, what is exported from it, logs or
//! traces. With the operator's key they come back as they were.

use std::path::{Path, PathBuf};
use std::process::Command;

use airlock::config::ConfigFile;
use airlock::host::Host;
use airlock_contract::package::{Packed, embed};
use airlock_tests::server::Server;
use airlock_tests::upstream::Upstream;
use airlock_tests::{program, root};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::state_folder::airlock;
use crate::telemetry::{collector, holds};

/// A text, a number, and the key under which they are sealed.
const CANARY: &str = "canary +49 170/c0ffee";
const NUMBER: &str = "48213377";
const IDENTITY: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33\n";
const RECIPIENT: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

const GREET: &str = "[tool.greet]\nconfidential = [\"args.name\", \"result\"]\n";

/// A registry whose tools repeat their confidential arguments wherever a tool can: in results, errors, logs, requests, panics.
fn registry(folder: &Path, upstream: u16, settings: &str) -> PathBuf {
    let pack = |guest: &str, name: &str, contract: &str| {
        let bytes = std::fs::read(root().join(format!("tests/guests/build/{guest}.wasm"))).unwrap();
        let packed = Packed { contract: Some(contract.to_owned()), ..Packed::default() };
        std::fs::write(folder.join(format!("{name}.wasm")), embed(&bytes, &packed).unwrap()).unwrap();
    };
    pack("plain", "plain", &format!("{GREET}[tool.divide]\nconfidential = [\"args.a\"]\n"));
    let doubt = "[[tool.greet.expect]]\nrelation = { that = \"result == 'no'\" }\n";
    pack("plain", "doubt", &format!("{GREET}{doubt}"));
    let message = "confidential = [\"args.message\"]\n";
    let hostile =
        format!("[tool.log-line]\n{message}[tool.panic]\n{message}[tool.print]\nconfidential = [\"args\"]\n");
    pack("hostile", "hostile", &hostile);
    let fetch = "[tool.fetch]\nconfidential = [\"args.url\", \"args.body\", \"result.body\"]\n\
                 [[capabilities.http]]\nhost = \"localhost\"\nscheme = \"http\"\nport = \"any\"\nreason = \"x\"\n";
    pack("fetcher", "web", &fetch.replace("\"any\"", &upstream.to_string()));
    let grant = format!(
        "{{ host = \"localhost\", scheme = \"http\", port = {upstream}, addresses = [\"127.0.0.1\", \"::1\"] }}"
    );
    let tools = format!(
        "[tools.plain]\ncomponent = \"plain.wasm\"\nrecord = \"full\"\n[tools.doubt]\ncomponent = \"doubt.wasm\"\n\
         functions = [\"greet\"]\n[tools.hostile]\ncomponent = \"hostile.wasm\"\n\
         functions = [\"log-line\", \"panic\", \"print\"]\n[tools.web]\ncomponent = \"web.wasm\"\nrecord = \"full\"\n\
         functions = [\"fetch\"]\ngrants.http = [{grant}]\n"
    );
    let path = folder.join("airlock.toml");
    std::fs::write(&path, format!("{settings}\n{tools}")).unwrap();
    path
}

/// The canary as a URL has it.
fn percent() -> String {
    CANARY.replace('+', "%2B").replace(' ', "%20").replace('/', "%2F")
}

fn fetch(upstream: u16) -> (&'static str, String) {
    let url = format!("http://localhost:{upstream}/any?phone={}", percent());
    ("web", json!({"method": "GET", "url": url, "headers": [], "body": ""}).to_string())
}

#[track_caller]
fn assert_clean(what: &str, bytes: &[u8]) {
    let cut = CANARY[..12].to_owned();
    for form in [CANARY.to_owned(), cut, percent(), STANDARD.encode(CANARY), NUMBER.to_owned()] {
        assert!(!holds(bytes, form.as_bytes()), "{what} holds {form}: {}", String::from_utf8_lossy(bytes));
    }
}

fn assert_clean_folder(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.iter().for_each(|path| assert_clean(&path.display().to_string(), &std::fs::read(path).unwrap()));
    files.len() + folders.iter().map(|folder| assert_clean_folder(folder)).sum::<usize>()
}

fn verb(registry: &Path, args: &[&str]) -> Vec<u8> {
    let output = airlock(registry, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    [output.stdout, output.stderr].concat()
}

fn assert_clean_verbs(registry: &Path, calls: usize) {
    for export in ["jsonl", "otel"] {
        assert_clean(export, &verb(registry, &["journal", "export", "--format", export]));
    }
    let listed = String::from_utf8(verb(registry, &["log", "--json"])).unwrap();
    assert_clean("`log`", listed.as_bytes());
    assert_eq!(listed.lines().count(), calls, "{listed}");
    for line in listed.lines() {
        let call: Value = serde_json::from_str(line).unwrap();
        let id = call["id"].as_str().unwrap();
        for args in [vec!["show", id], vec!["show", id, "--json"], vec!["why", id]] {
            assert_clean("`show`", &verb(registry, &args));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_canary_is_in_the_reply_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start().await.unwrap();
    let (otlp, traces) = collector().await;
    let path = registry(folder.path(), upstream.port(), "");
    let mut command = Command::new(program());
    command.arg("--registry").arg(&path).args(["--log", "trace", "--otlp", &otlp]);
    command.args(["serve", "--http", "127.0.0.1:0", "--allow-anonymous"]);
    let server = tokio::task::spawn_blocking(|| Server::of(command)).await.unwrap().unwrap();
    let named = json!({"name": CANARY}).to_string();
    let message = json!({"message": CANARY}).to_string();
    let number: Value = NUMBER.parse::<u64>().unwrap().into();
    let (web, url) = fetch(upstream.port());
    let calls = [
        ("plain_greet", named.clone(), "ok"),
        ("doubt", named.clone(), "check.implausible"),
        ("plain_divide", json!({"a": number, "b": 0}).to_string(), "tool.error"),
        ("plain_divide", json!({"a": number, "b": 1}).to_string(), "ok"),
        ("hostile_log_line", message.clone(), "ok"),
        ("hostile_print", json!({"out": CANARY, "err": NUMBER}).to_string(), "ok"),
        ("hostile_panic", message, "trap"),
        (web, url, "ok"),
        ("plain_greet", json!({"nam": CANARY}).to_string(), "args."),
        ("plain_greet", json!({"name": [CANARY]}).to_string(), "args."),
        ("plain_greet", json!({"name": "x", CANARY: NUMBER}).to_string(), "args."),
        ("plain_greet", format!("{{\"name\": \"{CANARY}\""), "args."),
        ("plain_divide", json!({"a": CANARY, "b": 1}).to_string(), "args."),
        ("plain_great", named, "resolve.unknown"),
    ];
    let mut answers = String::new();
    for (tool, args, code) in &calls {
        let answer = server.call(tool, args.clone()).send().await.unwrap().text().await.unwrap();
        assert!(answer.contains(&format!("\"code\":\"{code}")), "{tool} {args}: {answer}");
        answers += &answer;
    }
    // The caller is told everything.
    for told in [format!("Hello, {CANARY}!"), format!("\"result\":{NUMBER}"), percent()] {
        assert!(answers.contains(&told), "{told}: {answers}");
    }
    let metrics = server.get("/metrics").await.unwrap().text().await.unwrap();
    server.signal("TERM").unwrap();
    let said = tokio::task::spawn_blocking(move || {
        let said = server.said();
        server.wait().map(|_| said)
    });
    assert_clean("the log", said.await.unwrap().unwrap().as_bytes());
    assert_clean("a metric", metrics.as_bytes());
    let traces = traces.lock().unwrap().clone();
    assert!(holds(&traces, b"plain_greet"), "there are traces");
    assert_clean("a trace", &traces);
    assert!(assert_clean_folder(&folder.path().join(".airlock")) >= 2);
    assert!(upstream.arrived().iter().any(|one| one.path.contains(&percent())), "the upstream got it");
    assert_clean_verbs(&path, calls.len());
    verb(&path, &["journal", "verify"]);
}

/// Calls a tool, and returns its reply.
fn call(path: &Path, tool: &str, args: &str) -> Value {
    let called = airlock(path, &["call", tool, args, "--json"]);
    serde_json::from_slice(&called.stdout).unwrap_or_else(|err| panic!("{err}: {called:?}"))
}

fn shown(path: &Path, id: &str, more: &[&str]) -> Value {
    serde_json::from_slice(&airlock(path, &[&["show", id, "--json"], more].concat()).stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_of_the_operator_gets_everything_back() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start().await.unwrap();
    let settings = format!("[journal]\nrecipient = \"{RECIPIENT}\"");
    let path = registry(folder.path(), upstream.port(), &settings);
    let identity = folder.path().join("key.txt");
    std::fs::write(&identity, IDENTITY).unwrap();
    let identity = identity.display().to_string();
    // What is sealed of the second one is stored apart.
    let long = format!("{CANARY}{}", "x".repeat(20_000));
    let (web, url) = fetch(upstream.port());
    let calls = [
        ("plain_greet", json!({"name": CANARY}).to_string()),
        ("plain_greet", json!({"name": long}).to_string()),
    ];
    for (tool, args) in calls.into_iter().chain([
        (web, url),
        ("doubt", json!({"name": CANARY}).to_string()),
        ("plain_greet", json!({"nam": CANARY}).to_string()),
        ("plain_great", json!({"name": CANARY}).to_string()),
    ]) {
        let reply = call(&path, tool, &args);
        let id = reply["record"].as_str().unwrap();
        let record = shown(&path, id, &[]);
        assert_clean(tool, record.to_string().as_bytes());
        assert!(record["confidential"]["sealed"].as_str().unwrap().contains("AGE ENCRYPTED"), "{record}");
        let opened = shown(&path, id, &["--identity", &identity]);
        assert_eq!(opened["reply"], reply);
        let as_sent: Value = serde_json::from_str(&args).unwrap();
        let args_opened =
            opened["args"].as_str().map_or(opened["args"].clone(), |text| text.parse().unwrap());
        assert_eq!(args_opened, as_sent);
        let told = String::from_utf8(verb(&path, &["show", id])).unwrap();
        assert!(told.contains(&format!("airlock show {id} --identity FILE")), "{told}");
        let why = |more: &[&str]| String::from_utf8(verb(&path, &[&["why", id], more].concat())).unwrap();
        assert_clean("`why`", why(&[]).as_bytes());
        // Opened, there is nothing to hint at.
        assert!(!why(&["--identity", &identity]).contains("--identity FILE"), "{tool}");
        if reply["status"] == "ok" {
            let closed = airlock(&path, &["replay", id]);
            let said = String::from_utf8_lossy(&closed.stdout).into_owned();
            assert!(!closed.status.success() && said.contains("give the identity"), "{said}");
            let said = String::from_utf8(verb(&path, &["replay", id, "--identity", &identity])).unwrap();
            assert!(said.contains("the same"), "{said}");
        }
    }
    assert_clean_folder(&folder.path().join(".airlock"));
    verb(&path, &["journal", "verify"]);
    std::fs::write(&identity, IDENTITY.replace('G', "Z")).unwrap();
    let id = call(&path, "plain_greet", &json!({"name": CANARY}).to_string())["record"].clone();
    let said = airlock(&path, &["show", id.as_str().unwrap(), "--identity", &identity]);
    assert!(!said.status.success() && said.stdout.is_empty(), "{said:?}");
}

#[test]
fn without_a_key_the_record_says_what_is_masked_and_that_no_replay_is_possible() {
    let folder = tempfile::tempdir().unwrap();
    let path = registry(folder.path(), 1, "");
    let reply = call(&path, "plain_divide", &json!({"a": 48_213_377, "b": 2}).to_string());
    let id = reply["record"].as_str().unwrap();
    let record = shown(&path, id, &[]);
    assert_eq!(record["args"]["b"], 2, "what is not confidential stays");
    let mark = record["args"]["a"]["confidential"].as_str().unwrap();
    assert!(mark.starts_with("salted-sha256:"), "{mark}");
    assert_eq!(record["reply"]["result"], reply["result"]);
    assert_eq!(record["confidential"]["fields"], json!(["args.a"]));
    // The same arguments have another digest in each record, so that none can be compared with a guess.
    let again = call(&path, "plain_divide", &json!({"a": 48_213_377, "b": 2}).to_string());
    let again = shown(&path, again["record"].as_str().unwrap(), &[]);
    assert_ne!(record["args"]["a"], again["args"]["a"]);
    assert_eq!(
        (&record["plan"]["args_digest"], &record["plan"]["jitter"]),
        (&json!(""), &json!({"seeded": ""}))
    );
    let told = String::from_utf8(verb(&path, &["show", id])).unwrap();
    assert!(told.contains("`args.a`") && told.contains("no `journal.recipient` was set"), "{told}");
    let replayed = airlock(&path, &["replay", id]);
    let said = String::from_utf8_lossy(&replayed.stdout).into_owned();
    assert!(!replayed.status.success() && said.contains("was not kept: no `journal.recipient`"), "{said}");
    let opened = airlock(&path, &["show", id, "--identity", &path.display().to_string()]);
    assert!(!opened.status.success(), "{opened:?}");
    let inspected = String::from_utf8(verb(&path, &["inspect", "plain_greet"])).unwrap();
    assert!(inspected.contains("args.name, result"), "{inspected}");
}

#[tokio::test]
async fn answers_with_confidential_fields_are_not_kept_for_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = registry(folder.path(), 1, "");
    let text = std::fs::read_to_string(&path).unwrap();
    let cached =
        "functions = [\"greet\"]\neffects = \"read\"\nfallback = [{ cached = \"1d\" }]\n[tools.hostile]";
    std::fs::write(&path, text.replace("functions = [\"greet\"]\n[tools.hostile]", cached)).unwrap();
    let opened = Host::builder().registry(ConfigFile::read(&path).unwrap()).open().await;
    let said = opened.err().unwrap().to_string();
    assert!(said.contains("`doubt` has confidential fields, and a kept answer"), "{said}");
}

#[test]
fn a_suite_has_confidential_calls_as_they_are_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    let path = registry(folder.path(), 1, &format!("[journal]\nrecipient = \"{RECIPIENT}\""));
    let identity = folder.path().join("key.txt");
    std::fs::write(&identity, IDENTITY).unwrap();
    let (identity, suite) = (identity.display().to_string(), folder.path().join("suite"));
    call(&path, "plain_greet", &json!({"name": CANARY}).to_string());
    let suite_arg = suite.display().to_string();
    let said = String::from_utf8(verb(&path, &["shadow", "capture", &suite_arg])).unwrap();
    assert!(said.contains("1 case of 1 tool") && !said.contains("left out"), "{said}");
    assert_clean_folder(&suite);
    let said = verb(&path, &["shadow", "run", &suite_arg, "--identity", &identity]);
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("plain_greet  none") && said.contains("host 1 the same"), "{said}");
    let done = airlock(&path, &["shadow", "run", &suite_arg, "--no-history"]);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.code() == Some(1) && said.contains("blocked by coverage"), "{said}");
    assert!(said.contains("give the identity of `journal.recipient`"), "{said}");
    // Without a recipient nothing is kept to be run again, and it says why.
    let path = registry(folder.path(), 1, "[host]\nstate = \"other\"\n");
    call(&path, "plain_greet", &json!({"name": CANARY}).to_string());
    let done = airlock(&path, &["shadow", "capture", &folder.path().join("none").display().to_string()]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.code() == Some(1) && said.contains("no `journal.recipient` was set"), "{said}");
}

#[test]
fn what_a_fallback_says_that_fails_in_the_place_of_a_marked_tool_is_masked() {
    let folder = tempfile::tempdir().unwrap();
    let path = registry(folder.path(), 1, "");
    let built = std::fs::read(root().join("tests/guests/build/hostile.wasm")).unwrap();
    for (name, contract) in
        [("marked", "[tool.read-file]\nconfidential = [\"result\"]\n"), ("other", "[tool.read-file]\n")]
    {
        let packed = Packed { contract: Some(contract.to_owned()), ..Packed::default() };
        std::fs::write(folder.path().join(format!("{name}.wasm")), embed(&built, &packed).unwrap()).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let tools = "[tools.a]\ncomponent = \"marked.wasm\"\nfunctions = { read-file = \"a\" }\nlimits.fuel = 1\nfallback = [\"b\"]\n\
                 [tools.b]\ncomponent = \"other.wasm\"\nfunctions = { read-file = \"b\" }\n";
    std::fs::write(&path, format!("{text}{tools}")).unwrap();
    let reply = call(&path, "a", &json!({"path": "/somewhere/else"}).to_string());
    assert_eq!(reply["code"], "tool.error", "{reply:#}");
    let words = reply["error"]["detail"].as_str().unwrap();
    assert!(words.len() > 4, "{reply:#}");
    let record = shown(&path, reply["record"].as_str().unwrap(), &[]);
    assert_eq!(record["attempts"].as_array().unwrap().last().unwrap()["route"], "b", "{record:#}");
    assert!(!record["reply"]["error"].to_string().contains(words), "{record:#}");
}
