//! Secrets as an operator handles them: the registry, `check`, `explain`, `airlock secret`, a reload.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use airlock_tests::program;
use airlock_tests::server::Server;
use airlock_tests::upstream::Upstream;
use serde_json::{Value, json};

use crate::http_out::example;
use crate::secrets::{BEARER, K, VALUE, keep};
use crate::web::{Web, fetch, grant};
use crate::{stderr, stdout};

/// The identity that the documentation of age shows.
const IDENTITY: &str =
    "# of a test\nAGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33\n";

fn said(output: &Output) -> String {
    stdout(output) + &stderr(output)
}

/// Runs the program on a registry in this folder.
fn run(folder: &Path, args: &[&str], input: &str) -> Output {
    let mut command = Command::new(program());
    command.arg("--registry").arg(folder.join("airlock.toml")).args(args);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A verb that reads nothing may have ended.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

const GRANT: &str = "grants.http = [{ host = \"api.example.com\", path = \"/v1\", \
    secret = { name = \"K\", header = \"authorization\", format = \"Bearer {}\" } }]\n";

#[test]
fn a_secret_that_is_declared_and_missing_is_an_error_with_its_mend() {
    let web = Web::new();
    for (entry, words) in [
        (
            "env = \"AIRLOCK_TEST_MISSING\"",
            ["`AIRLOCK_TEST_MISSING` is not set", "before the program starts"],
        ),
        ("file = \"none\"", ["none` cannot be read", "airlock secret set K"]),
        ("file = \"open\"", ["not this user's alone", "chmod 600"]),
        ("age = \"none.age\"\nidentity = \"none\"", ["its identity", "age-keygen -o"]),
        ("age = \"none.age\"\nidentity = \"own\"", ["none.age` cannot be read", "airlock secret set K"]),
        ("age = \"open\"\nidentity = \"own\"", ["cannot be decrypted", "not an age file"]),
        ("age = \"open\"\nidentity = \"open\"", ["not this user's alone", "chmod 600"]),
        (
            "age = \"open\"\nidentity = \"own\"",
            ["write it anew with `airlock secret set K`", "own`: it is not an age file"],
        ),
        (
            "age = \"open\"\nidentity = \"empty\"",
            ["empty`: the file of the identity has no key", "age-keygen"],
        ),
        (
            "age = \"open\"\nidentity = \"garbage\"",
            ["cannot be decrypted with `", "garbage`: identity file contains"],
        ),
        ("file = \"large\"", ["at most 65536 are allowed", "the file holds the value alone"]),
        ("file = \"one\"", ["2 names (hard links)", "remove the other names"]),
    ] {
        std::fs::write(web.folder.path().join("open"), VALUE).unwrap();
        let large = "x".repeat(70_000);
        for (name, content) in
            [("own", IDENTITY), ("empty", ""), ("garbage", "canary\n"), ("large", &large), ("one", VALUE)]
        {
            keep(web.folder.path(), name, content);
        }
        // The other name may be in a folder that a tool is granted.
        let _ = std::fs::hard_link(web.folder.path().join("one"), web.folder.path().join("two"));
        // Used by a tool, and by none.
        for grants in [GRANT, ""] {
            web.file(&format!("{grants}[secrets.K]\n{entry}\n"));
            let checked = run(web.folder.path(), &["check"], "");
            let text = said(&checked);
            assert_eq!(checked.status.code(), Some(1), "{text}");
            assert!(
                text.contains("the secret `K`") && words.iter().all(|word| text.contains(word)),
                "{text}"
            );
            assert!(!text.contains(VALUE), "{text}");
            // Only the tool that uses it is left out.
            let called = run(
                web.folder.path(),
                &["call", "web_repeat", "{\"method\":\"GET\",\"url\":\"x\",\"times\":0}"],
                "",
            );
            assert_eq!(called.status.success(), grants.is_empty(), "{}", said(&called));
        }
    }
    // Who only looks at tools needs no secret.
    web.file(&format!("{GRANT}[secrets.K]\nfile = \"none\"\n"));
    let inspected = run(web.folder.path(), &["inspect", "web_fetch"], "");
    assert!(
        inspected.status.success() && said(&inspected).contains("\"name\":\"K\""),
        "{}",
        said(&inspected)
    );
}

#[test]
fn no_tool_is_granted_a_folder_with_the_file_of_a_secret() {
    let web = Web::new();
    keep(web.folder.path(), "k", VALUE);
    std::fs::create_dir(web.folder.path().join("data")).unwrap();
    let settings =
        |folder: &str| format!("grants.files = [{{ host = \"{folder}\", guest = \"/data\" }}]\n{K}");
    web.file(&settings("data"));
    assert!(run(web.folder.path(), &["check"], "").status.success());
    // Beside the state folder, which no tool may be granted either.
    std::fs::rename(web.folder.path().join("k"), web.folder.path().join("data/k")).unwrap();
    web.file(&settings("data").replace("file = \"k\"", "file = \"data/k\""));
    let refused = run(web.folder.path(), &["check"], "");
    assert!(said(&refused).contains("a file of the secret `K`"), "{}", said(&refused));
    let args = "{\"method\":\"GET\",\"url\":\"x\",\"times\":0}";
    assert!(!run(web.folder.path(), &["call", "web_repeat", args], "").status.success());
}

#[test]
fn check_and_explain_name_secrets_and_show_no_value() {
    let web = Web::new();
    keep(web.folder.path(), "k", VALUE);
    keep(web.folder.path(), "l", VALUE);
    web.file(&format!("{GRANT}{K}[secrets.L]\nfile = \"l\"\n"));
    let checked = run(web.folder.path(), &["check"], "");
    let text = said(&checked);
    for words in [
        "note: `web` sends the secret `K` as the header `authorization` to `https://api.example.com/v1`",
        "note: no grant uses the secret `L`",
    ] {
        assert!(text.contains(words), "{text}");
    }
    let args = "{\"method\":\"GET\",\"url\":\"x\",\"times\":0}";
    let explained = run(web.folder.path(), &["explain", "web_repeat", args], "");
    let line = "the host adds the secret `K` as the header `authorization` to `https://api.example.com/v1`";
    assert!(stdout(&explained).contains(line), "{}", said(&explained));
    let explained = run(web.folder.path(), &["explain", "web_repeat", args, "--json"], "");
    let value: Value = serde_json::from_str(&stdout(&explained)).unwrap();
    assert!(value["secrets"][0].as_str().unwrap().contains("`K`"), "{value}");
    for output in [checked, explained, run(web.folder.path(), &["inspect", "web_repeat", "--json"], "")] {
        assert!(!said(&output).contains("canary"), "{}", said(&output));
    }
}

#[test]
fn a_secret_that_no_request_carries_is_not_said_to_be_sent() {
    let web = Web::new();
    keep(web.folder.path(), "k", VALUE);
    keep(web.folder.path(), "l", VALUE);
    let sent = |name: &str, path: &str| {
        format!(
            "{{ host = \"a.example\", path = \"{path}\", secret = {{ name = \"{name}\", header = \"authorization\" }} }}"
        )
    };
    let grants = format!("grants.http = [\n{},\n{},\n]\n", sent("K", "/"), sent("L", "/v1"));
    web.file(&format!("{grants}{K}[secrets.L]\nfile = \"l\"\n"));
    let checked = said(&run(web.folder.path(), &["check"], ""));
    assert!(
        checked.contains("`web` sends the secret `K`") && !checked.contains("sends the secret `L`"),
        "{checked}"
    );
    assert!(
        checked.contains("its secret `L` is never sent") && checked.contains("(grant-shadowed, "),
        "{checked}"
    );
    let args = "{\"method\":\"GET\",\"url\":\"x\",\"times\":0}";
    let explained = stdout(&run(web.folder.path(), &["explain", "web_repeat", args], ""));
    assert_eq!(explained.matches("the host adds the secret").count(), 1, "{explained}");
    // Two grants that together admit each request of a third one.
    let of = |method: &str| format!("{{ host = \"a.example\", methods = [\"{method}\"] }}");
    let grants = format!("grants.http = [\n{},\n{},\n{},\n]\n", of("GET"), of("HEAD"), sent("K", "/"));
    web.file(&format!("{grants}{K}"));
    let checked = said(&run(web.folder.path(), &["check"], ""));
    assert!(
        checked.contains("its secret `K` is never sent") && !checked.contains("sends the secret `K`"),
        "{checked}"
    );
}

#[test]
fn an_error_of_one_grant_is_shown_at_that_grant() {
    let web = Web::new();
    keep(web.folder.path(), "k", VALUE);
    std::fs::create_dir(web.folder.path().join("data")).unwrap();
    let check = |settings: &str| {
        web.file(settings);
        said(&run(web.folder.path(), &["check"], ""))
    };
    let folder = |host: &str| {
        format!(
            "grants.files = [\n{{ host = \"data\", guest = \"/data\" }},\n{{ host = \"{host}\", guest = \"/x\" }},\n]\n"
        )
    };
    let absent = check(&format!("grants.clock = true\n{}", folder("absent")));
    assert!(absent.contains("airlock.toml:9"), "{absent}");
    let exposed = check(&format!("grants.clock = true\n{}{K}", folder(".")));
    assert!(exposed.contains("airlock.toml:9"), "{exposed}");
    let custom = check("grants.clock = true\ngrants.custom.absent = true\n");
    assert!(custom.contains("airlock.toml:7"), "{custom}");
}

#[test]
fn a_secret_whose_file_is_a_link_is_refused_in_words() {
    let web = Web::new();
    keep(web.folder.path(), "real", VALUE);
    std::os::unix::fs::symlink("real", web.folder.path().join("k")).unwrap();
    web.file(&format!("{GRANT}{K}"));
    let text = said(&run(web.folder.path(), &["check"], ""));
    assert!(text.contains("it is a link") && text.contains("name the regular file itself"), "{text}");
}

#[test]
fn a_secret_is_set_listed_and_removed() {
    let web = Web::new();
    let folder = web.folder.path();
    web.file("");
    // Not declared: it goes below the state folder, and the entry is shown.
    let set = run(folder, &["secret", "set", "NEW"], &format!("{VALUE}\n"));
    assert!(
        set.status.success() && stderr(&set).contains("file = \".airlock/secrets/NEW\""),
        "{}",
        said(&set)
    );
    let stored = folder.join(".airlock/secrets/NEW");
    assert_eq!((mode(&stored), mode(stored.parent().unwrap())), (0o600, 0o700));
    assert!(stdout(&run(folder, &["secret", "list"], "")).contains("NEW"));
    // Declared, in a folder that is not there yet.
    web.file(&format!("{GRANT}[secrets.K]\nfile = \"keys/k\"\n[secrets.NEW]\nfile = \".airlock/secrets/NEW\"\n[secrets.E]\nenv = \"AIRLOCK_TEST_MISSING\"\n"));
    assert!(stdout(&run(folder, &["secret", "list"], "")).contains("keys/k` cannot be read"));
    for _ in 0..2 {
        let set = run(folder, &["secret", "set", "K"], &format!("{VALUE}\r\n"));
        assert!(set.status.success(), "{}", said(&set));
    }
    assert_eq!(std::fs::read_to_string(folder.join("keys/k")).unwrap(), format!("{VALUE}\n"));
    assert_eq!(mode(&folder.join("keys/k")), 0o600);
    let listed = run(folder, &["secret", "list", "--json"], "");
    let value: Value = serde_json::from_str(&stdout(&listed)).unwrap();
    let row = |name: &str| value.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap().clone();
    assert_eq!((&row("K")["used_by"], &row("K")["problem"]), (&json!(["web"]), &Value::Null));
    assert_eq!((&row("NEW")["is_declared"], &row("NEW")["problem"]), (&json!(true), &Value::Null));
    assert!(row("E")["problem"].as_str().unwrap().contains("not set"));
    assert!(!said(&listed).contains("canary"), "{}", said(&listed));
    let removed = run(folder, &["secret", "remove", "K"], "");
    assert!(removed.status.success() && stderr(&removed).contains("still declares"), "{}", said(&removed));
    assert!(!folder.join("keys/k").exists());
    for (args, input, words) in [
        (["secret", "remove", "K"], "", "does not exist"),
        (["secret", "remove", "E"], "", "AIRLOCK_TEST_MISSING"),
        (["secret", "set", "E"], VALUE, "AIRLOCK_TEST_MISSING"),
        (["secret", "set", "../x"], VALUE, "cannot be the name"),
        (["secret", "set", "K"], "", "empty"),
        (["secret", "set", "K"], "canary\n", "fewer than 8"),
        (["secret", "set", "K"], "canary-canary\n\n", "line breaks"),
    ] {
        let refused = run(folder, &args, input);
        assert_eq!(refused.status.code(), Some(1), "{args:?}: {}", said(&refused));
        assert!(said(&refused).contains(words) && !said(&refused).contains("canary-"), "{}", said(&refused));
    }
    assert!(!folder.join("keys/k").exists());
}

/// What is at a path: its content, or that it is a pipe or a folder.
fn at(path: &Path) -> Option<Vec<u8>> {
    let found = std::fs::metadata(path).ok()?;
    Some(if found.is_file() {
        std::fs::read(path).unwrap()
    } else {
        format!("{:?}", found.file_type()).into()
    })
}

#[test]
fn only_the_file_of_a_secret_is_written_or_removed() {
    let web = Web::new();
    let folder = web.folder.path();
    keep(folder, "id", IDENTITY);
    std::fs::create_dir_all(folder.join(".airlock/secrets")).unwrap();
    std::os::unix::fs::symlink("airlock.toml", folder.join("a-link")).unwrap();
    for (name, content) in [
        ("airlock.lock", "x"),
        ("notes", "one\ntwo\n"),
        ("bytes", "\0\u{1}"),
        ("web.wasm.minisig", "x"),
        ("keys", "x"),
        (".airlock/holds.db", "x"),
    ] {
        keep(folder, name, content);
    }
    assert!(Command::new("mkfifo").arg(folder.join("pipe")).status().unwrap().success());
    for (entry, path, words) in [
        ("file = \"airlock.toml\"", "airlock.toml", "it is the registry"),
        ("file = \".airlock/../airlock.toml\"", "airlock.toml", "it is the registry"),
        ("file = \"airlock.lock\"", "airlock.lock", "it is its lock"),
        ("file = \"web.wasm\"", "web.wasm", "it is the component of `web`"),
        ("file = \"web.wasm.minisig\"", "web.wasm.minisig", "it is a signature of the component of `web`"),
        ("age = \"id\"\nidentity = \"id\"", "id", "it is the identity that decrypts `K`"),
        ("file = \"keys\"", "keys", "it is the file of `journal.checkpoint.to`"),
        ("file = \".airlock/holds.db\"", ".airlock/holds.db", "it lies in the state folder"),
        ("file = \".airlock/journal.db\"", ".airlock/journal.db", "it lies in the state folder"),
        ("file = \"notes\"", "notes", "something else than one value"),
        ("file = \"bytes\"", "bytes", "something else than one value"),
        ("file = \"a-link\"", "a-link", "something else than one value"),
        ("file = \"pipe\"", "pipe", "it is not a regular file"),
        ("file = \".\"", "web.wasm", "it is not a regular file"),
    ] {
        web.file(&format!("[journal]\ncheckpoint.to = \"keys\"\n[secrets.K]\n{entry}\n"));
        let before = at(&folder.join(path));
        for args in [["secret", "set", "K"], ["secret", "remove", "K"]] {
            let refused = run(folder, &args, VALUE);
            let said = said(&refused);
            assert_eq!(refused.status.code(), Some(1), "{entry}: {said}");
            assert!(said.contains(words) && said.contains("a file of its own"), "{entry}: {said}");
            assert_eq!(at(&folder.join(path)), before, "{entry}");
        }
    }
}

#[test]
fn an_age_file_is_written_to_its_identity_and_read_with_it() {
    let web = Web::new();
    let folder = web.folder.path();
    web.file(&format!("{GRANT}[secrets.K]\nage = \"k.age\"\nidentity = \"id\"\n"));
    let set = run(folder, &["secret", "set", "K"], VALUE);
    assert!(!set.status.success() && said(&set).contains("age-keygen -o"), "{}", said(&set));
    keep(folder, "id", IDENTITY);
    let set = run(folder, &["secret", "set", "K"], VALUE);
    assert!(set.status.success(), "{}", said(&set));
    let sealed = std::fs::read_to_string(folder.join("k.age")).unwrap();
    assert!(sealed.starts_with("-----BEGIN AGE ENCRYPTED FILE-----") && !sealed.contains("canary"));
    let checked = run(folder, &["check"], "");
    assert!(checked.status.success(), "{}", said(&checked));
    std::fs::write(folder.join("k.age"), sealed.replace("-----END", "A\n-----END")).unwrap();
    let checked = run(folder, &["check"], "");
    assert!(
        said(&checked).contains("cannot be decrypted") && checked.status.code() == Some(1),
        "{}",
        said(&checked)
    );
}

#[tokio::test]
async fn a_reload_reads_a_new_value_and_keeps_the_old_one_where_it_cannot() {
    let (web, upstream) = (Web::new(), Upstream::start().await.unwrap());
    let settings = format!("{}{K}", grant(&upstream, BEARER));
    let folder = web.folder.path();
    keep(folder, "k", VALUE);
    let host = web.open(&settings).await;
    let mut expected = Vec::new();
    for (value, used) in [(VALUE, VALUE), ("second-value", "second-value"), ("short", "second-value")] {
        keep(folder, "k", value);
        host.reload(&web.file(&settings)).await.unwrap();
        fetch(&host, "GET", &upstream.url("/")).await.unwrap();
        expected.push(format!("Bearer {used}"));
    }
    let sent: Vec<_> = upstream.arrived().iter().map(|one| one.header("authorization").to_owned()).collect();
    assert_eq!(sent, expected);
    // A connection of the old value is not used for the new one.
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_of_the_page_of_capabilities_works() {
    let (web, upstream) = (Web::new(), Upstream::start().await.unwrap());
    web.file("");
    let registry = example("### Secrets that a tool never holds", 0);
    let registry = registry.replace("8080", &upstream.port().to_string());
    std::fs::write(web.folder.path().join("airlock.toml"), registry).unwrap();
    let url = format!("http://localhost:{}/any?a=b", upstream.port());
    let args = json!({"method": "GET", "url": url, "times": 1}).to_string();
    let mut command = Command::new(program());
    command.arg("--registry").arg(web.folder.path().join("airlock.toml"));
    command.args(["call", "web_repeat", &args]).env("MARKET_API_KEY", VALUE);
    let called = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let arrived = upstream.arrived();
    assert_eq!(arrived[0].path, "/any?a=b&key=canary%2F7f3a%2B0c9e51d2", "{}", said(&called));
    // The greeting repeats the query.
    assert!(
        said(&called).contains("had a secret in it") && called.status.code() == Some(20),
        "{}",
        said(&called)
    );
    assert!(!said(&called).contains("canary"), "{}", said(&called));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_notices_a_new_value_in_a_file() {
    let (web, upstream) = (Web::new(), Upstream::start().await.unwrap());
    keep(web.folder.path(), "k", VALUE);
    web.file(&format!("{}{K}", grant(&upstream, BEARER)));
    let registry = web.folder.path().join("airlock.toml");
    let server = tokio::task::spawn_blocking(move || Server::start(&registry, &["--allow-anonymous"]))
        .await
        .unwrap()
        .unwrap();
    let args = json!({"method": "GET", "url": upstream.url("/"), "times": 1}).to_string();
    for value in [VALUE, "second-value"] {
        keep(web.folder.path(), "k", value);
        let mut last = String::new();
        // The server looks at its files every few seconds at the latest.
        for _ in 0..200 {
            server.call("web_repeat", args.clone()).send().await.unwrap();
            last = upstream.arrived().last().unwrap().header("authorization").to_owned();
            if last == format!("Bearer {value}") {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        assert_eq!(last, format!("Bearer {value}"));
    }
}
