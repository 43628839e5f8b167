//! `airlock replay`: a call, all calls, another component, and the key of the operator.

use airlock_contract::package::{Packed, embed};
use airlock_tests::root;
use serde_json::Value;

use crate::state_folder::airlock;

#[test]
fn the_program_replays_a_call_and_one_of_another_component() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("airlock.toml");
    let tools = root().join("example-tools");
    let text = std::fs::read_to_string(tools.join("airlock.toml")).unwrap();
    let text = text.replace("\"build/", &format!("\"{}/build/", tools.display()));
    let text = text.replace("host = \"data\"", &format!("host = \"{}/data\"", tools.display()));
    std::fs::write(&path, text).unwrap();
    let called = airlock(&path, &["call", "sector_metrics", "{\"period\": \"2015-03\"}", "--json"]);
    let reply: Value = serde_json::from_slice(&called.stdout).unwrap();
    let id = reply["record"].as_str().unwrap();
    let replay = |more: &[&str]| {
        let done = airlock(&path, &[&["replay"], more].concat());
        let text =
            [&done.stdout, &done.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
        (done.status.code(), text)
    };
    let (exit, said) = replay(&[&id[..23]]);
    assert!(exit == Some(0) && said.contains("`sector_metrics`: the same"), "{said}");
    let (exit, said) = replay(&[id, "--json", "--mode", "stub"]);
    assert!(exit == Some(0) && said.contains("\"same\":true"), "{said}");
    let (exit, said) = replay(&["--since", "1h"]);
    assert!(exit == Some(0) && said.contains("1 the same · 0 different · 0 not replayable"), "{said}");
    let other = tools.join("build/sector-metrics-quarterly.wasm");
    let (exit, said) = replay(&[id, "--component", &other.display().to_string()]);
    assert_eq!(exit, Some(1), "{said}");
    assert!(said.contains("at import 1: the guest ended before this import"), "{said}");
    assert!(said.contains("recorded: wasi:") && said.contains("replayed: nothing"), "{said}");
    // Out of order there is no place.
    let (exit, said) = replay(&[id, "--component", &other.display().to_string(), "--mode", "stub"]);
    assert!(exit == Some(1) && !said.contains("at import"), "{said}");
    let (exit, said) = replay(&[id, "--tool", "sector_metrics"]);
    assert!(exit == Some(2) && said.contains("cannot be used with"), "{said}");
    let (exit, said) = replay(&["01234567-89ab"]);
    assert!(exit == Some(1) && said.contains("no record"), "{said}");
    let (exit, said) = replay(&["zzz"]);
    assert!(exit == Some(1) && said.contains("is not the id of a call"), "{said}");
    // Of many, one that does not run is no reason to leave out the others.
    let none = ["--since", "2026-01-01", "--component", "/dev/null"];
    let (exit, said) = replay(&none);
    assert!(exit == Some(0) && said.contains("0 the same · 0 different · 1 not replayable"), "{said}");
}

#[test]
fn a_bisection_names_the_version_that_changed_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (path, tools) = (folder.path().join("airlock.toml"), root().join("example-tools/build"));
    let text = format!(
        "[tools.convert]\ncomponent = \"{}/unit-convert.wasm\"\nrecord = \"full\"\n",
        tools.display()
    );
    std::fs::write(&path, text).unwrap();
    let called =
        airlock(&path, &["call", "convert", "{\"from\": \"km\", \"to\": \"m\", \"value\": 1}", "--json"]);
    let reply: Value = serde_json::from_slice(&called.stdout).unwrap();
    let id = reply["record"].as_str().unwrap();
    // Versions that differ in their contract answer the same; one that takes other arguments does not.
    let built = std::fs::read(tools.join("unit-convert.wasm")).unwrap();
    let versions: Vec<String> = (0..7)
        .map(|number| {
            let rule = if number < 4 { "args.value < 1000.0" } else { "args.value < 0.5" };
            let contract =
                format!("[[tool.convert.require]]\nthat = \"{rule}\"\nmessage = \"version {number}\"\n");
            let packed = Packed { contract: Some(contract), ..Packed::default() };
            let file = folder.path().join(format!("v{number}.wasm"));
            std::fs::write(&file, embed(&built, &packed).unwrap()).unwrap();
            file.display().to_string()
        })
        .collect();
    let bisect = |versions: &[String]| {
        let versions = versions.iter().map(String::as_str);
        let done = airlock(&path, &["bisect", id].into_iter().chain(versions).collect::<Vec<_>>());
        let text =
            [&done.stdout, &done.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
        (done.status.code(), text)
    };
    let (exit, said) = bisect(&versions);
    assert!(exit == Some(3) && said.contains("v4.wasm is the first that answers otherwise"), "{said}");
    // The two ends, and two in between.
    assert!(said.contains("4 of 7 versions tried"), "{said}");
    let (exit, said) = bisect(&versions[..4]);
    assert!(exit == Some(0) && said.contains("v3.wasm answers as") && said.contains("value"), "{said}");
    // A file that is there twice is run once.
    let copied = folder.path().join("copied.wasm").display().to_string();
    std::fs::copy(&versions[0], &copied).unwrap();
    let (exit, said) = bisect(&[versions[0].clone(), copied.clone()]);
    let same = format!("{copied}, the same file as {}: ", versions[0]);
    assert!(exit == Some(0) && said.contains(&same), "{said}");
    let (exit, said) = bisect(&versions[..1]);
    assert!(exit == Some(2), "{said}");
    let (exit, said) = bisect(&[versions[0].clone(), "none.wasm".to_owned()]);
    assert!(exit == Some(1) && said.contains("`none.wasm` cannot be read"), "{said}");
    // A record that was edited is run with a warning.
    let journal = rusqlite::Connection::open(folder.path().join(".airlock/journal.db")).unwrap();
    let edit = "UPDATE records SET record = replace(record, '\"value\":1', '\"value\":2')";
    assert_eq!(journal.execute(edit, []).unwrap(), 1);
    drop(journal);
    let (_, said) = bisect(&versions[..2]);
    assert!(said.contains(&format!("warning: the record `{id}` does not match the log")), "{said}");
    // Another component is no version that answers otherwise.
    let other = tools.join("text-digest.wasm").display().to_string();
    let (exit, said) = bisect(&[versions[0].clone(), other]);
    assert!(exit == Some(1) && said.contains("text-digest.wasm is no version of"), "{said}");
    // With two functions, none of them is the tool that the entry is named after.
    let two = folder.path().join("two.wasm");
    let second = "(core module $n (func (export \"g\"))) (core instance $j (instantiate $n)) \
                  (func (export \"g\") (canon lift (core func $j \"g\")))";
    std::fs::write(&two, crate::described::beside(second)).unwrap();
    let (exit, said) = bisect(&[versions[0].clone(), two.display().to_string()]);
    assert!(
        exit == Some(1) && said.contains("two.wasm is no version of the component of `convert`"),
        "{said}"
    );
    assert!(!said.contains("registry has no tool"), "{said}");
}

#[test]
fn a_tool_that_is_not_there_is_told_from_one_without_calls() {
    let folder = tempfile::tempdir().unwrap();
    let (path, tools) = (folder.path().join("airlock.toml"), root().join("example-tools/build"));
    let text = format!("[tools.convert]\ncomponent = \"{}/unit-convert.wasm\"\n", tools.display());
    std::fs::write(&path, text).unwrap();
    // A call of neither makes the journal.
    airlock(&path, &["call", "other", "{}"]);
    for verb in [["backtest"].as_slice(), &["replay", "--since", "1h"]] {
        for (tool, exit, says) in [("convert", 0, "0 the same"), ("nope", 1, "there is no tool `nope`")] {
            let done = airlock(&path, &[verb, &["--tool", tool]].concat());
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.code() == Some(exit) && said.contains(says), "{verb:?} {tool}: {said}");
        }
    }
}

/// `airlock replay … | head` must not look like a replay that came to the same.
#[test]
fn a_reader_that_closes_the_pipe_does_not_hide_a_failure() {
    use std::process::{Command, Stdio};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("airlock.toml");
    let tools = root().join("example-tools/build");
    std::fs::write(
        &path,
        format!("[tools.unit_convert]\ncomponent = \"{}/unit-convert.wasm\"\n", tools.display()),
    )
    .unwrap();
    // The arguments are refused, so that nothing ran that could be replayed.
    let called = airlock(&path, &["call", "unit_convert", "{}", "--json"]);
    let reply: Value = serde_json::from_slice(&called.stdout).unwrap();
    let id = reply["record"].as_str().unwrap();
    let mut replaying = Command::new(airlock_tests::program())
        .args(["--registry".as_ref(), path.as_os_str(), "replay".as_ref(), id.as_ref()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(replaying.stdout.take());
    assert_eq!(replaying.wait().unwrap().code(), Some(1));
}

#[test]
fn a_tool_whose_entry_does_not_load_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("airlock.toml");
    let component = folder.path().join("unit-convert.wasm");
    std::fs::copy(root().join("example-tools/build/unit-convert.wasm"), &component).unwrap();
    std::fs::write(&path, "[tools.unit_convert]\ncomponent = \"unit-convert.wasm\"\n").unwrap();
    let args = "{\"from\": \"km\", \"to\": \"mile\", \"value\": 1}";
    let called = airlock(&path, &["call", "unit_convert", args, "--json"]);
    let reply: Value = serde_json::from_slice(&called.stdout).unwrap();
    let id = reply["record"].as_str().unwrap();
    std::fs::write(&component, "no component").unwrap();
    let done = airlock(&path, &["replay", id]);
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(
        said.contains("this is not WebAssembly") && said.contains("has no tool `unit_convert`"),
        "{said}"
    );
    assert_eq!(done.status.code(), Some(1), "{said}");
}

#[test]
fn what_is_confidential_is_kept_under_the_key_of_the_operator() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("airlock.toml");
    let tools = root().join("example-tools/build");
    let with = |recipient: &str| {
        let tool = format!("[tools.unit_convert]\ncomponent = \"{}/unit-convert.wasm\"\n", tools.display());
        std::fs::write(&path, format!("[journal]\nrecipient = \"{recipient}\"\n{tool}")).unwrap();
        let done =
            airlock(&path, &["call", "unit_convert", "{\"from\": \"km\", \"to\": \"mile\", \"value\": 1}"]);
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let (exit, said) = with("age1nonsense");
    assert!(exit == Some(1) && said.contains("`journal.recipient` cannot be used"), "{said}");
}
