//! Text of a caller or a tool shows everything that it contains and cannot control a terminal, wherever a person or a
//! model reads it. The result of a tool is data and is passed on unchanged.

use airlock::host::Host;
use airlock_tests::registry;
use airlock_tests::server::Server;
use airlock_tests::wire::Wire;
use airlock_types::call::{Arguments, Call};
use airlock_types::text::is_hidden;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::{airlock, stderr, stdout};

/// A terminal escape, control characters of both sets, a line end, direction marks, and invisible characters.
const BAD: &str =
    "a\u{1b}[31mb\u{7}\u{9b}2J\u{85}\r\nThe tool ran.\u{202e}c\u{2066}\u{200b}\u{feff}\u{e0041}\u{3164}d";

#[track_caller]
fn is_clean(text: &str) {
    let hidden: Vec<char> = text.chars().filter(|c| is_hidden(*c) && *c != '\n').collect();
    assert!(hidden.is_empty(), "{hidden:?} in {text:?}");
}

/// Every line of a message is one of the host's own.
#[track_caller]
fn has_own_lines(message: &str) {
    is_clean(message);
    assert!(!message.lines().any(|line| line.starts_with("The tool ran.c")), "a line is forged: {message}");
}

/// Checks every text of an answer except those of its result.
#[track_caller]
fn all_clean(value: &Value) {
    match value {
        Value::String(text) => is_clean(text),
        Value::Array(items) => items.iter().for_each(all_clean),
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            is_clean(key);
            all_clean(value);
        }),
        _ => {}
    }
}

fn bad_calls() -> Vec<(String, Value)> {
    vec![
        (BAD.into(), json!({})),
        ("types_echo_enum".into(), json!({ "value": BAD })),
        ("types_echo_variant".into(), json!({"value": {"tag": BAD}})),
        ("types_echo_u64".into(), json!({ "value": BAD })),
        ("types_echo_u8".into(), json!({"value": 1, BAD: 1})),
        ("types_echo_list".into(), json!({"value": [[{ BAD: BAD }]]})),
        ("types_echo_record".into(), json!({"value": {"x": BAD, BAD: BAD}})),
        ("trusted_read_file".into(), json!({ "path": BAD })),
        ("hostile_panic".into(), json!({ "message": BAD })),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_clean_at_every_door() {
    let path = registry("hostile");
    let host = Host::builder().registry(path.as_path()).open().await.unwrap();
    let server = Server::start(&path, &["--allow-anonymous"]).unwrap();
    let (mut wire, _) = Wire::handshake(&path, "2025-11-25").unwrap();
    for (i, (tool, args)) in bad_calls().into_iter().enumerate() {
        let raw = Call::new(&tool, Arguments::Text(args.to_string().into()));
        let mut reply = serde_json::to_value(host.call(raw).await).unwrap();
        assert!(reply["error"].is_object(), "{reply}");
        // An example holds the arguments of a valid call, so it is data.
        reply["error"].as_object_mut().unwrap().remove("example");
        all_clean(&reply);
        has_own_lines(reply["error"]["message"].as_str().unwrap());

        let mut answer =
            wire.ask(i as u64 + 10, "tools/call", json!({"name": tool, "arguments": args})).unwrap();
        if let Some(facts) =
            answer.pointer_mut("/result/_meta/dev.airlock~1error").and_then(Value::as_object_mut)
        {
            facts.remove("example");
        }
        all_clean(&answer);

        if tool != BAD {
            let problem: Value =
                server.call(&tool, args.to_string()).send().await.unwrap().json().await.unwrap();
            has_own_lines(problem["detail"].as_str().unwrap());
        }
    }
    let nothing: Value = server
        .request(Method::GET, "/v1/tools/a%E2%80%AEb%1B%5B2J")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    all_clean(&nothing);
    for (method, params) in [
        (BAD, json!({})),
        ("resources/read", json!({ "uri": BAD })),
        ("tools/list", json!({ "cursor": BAD })),
    ] {
        all_clean(&wire.ask(1_000, method, params).unwrap());
    }
}

#[test]
fn a_result_is_data_and_its_text_twin_shows_what_is_hidden() {
    let (mut wire, _) = Wire::handshake(&registry("hostile"), "2025-11-25").unwrap();
    let call = json!({"name": "types_echo_string", "arguments": { "value": BAD }});
    let answer = wire.ask(1, "tools/call", call).unwrap();
    assert_eq!(answer["result"]["structuredContent"]["result"], BAD);
    let text = answer["result"]["content"][0]["text"].as_str().unwrap();
    is_clean(text);
    assert_eq!(serde_json::from_str::<Value>(text).unwrap()["result"], BAD);
}

#[test]
fn the_command_line_shows_what_is_hidden_as_escapes() {
    let args = json!({ "value": BAD }).to_string();
    let shown = airlock("hostile", &["call", "types_echo_string", &args, "--json"]);
    is_clean(&stdout(&shown));
    let reply: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(reply["result"], BAD);

    let printed = json!({"out": BAD, "err": BAD}).to_string();
    let reply = airlock("hostile", &["call", "hostile_print", &printed, "--json"]);
    let reply: Value = serde_json::from_slice(&reply.stdout).unwrap();
    let id = reply["record"].as_str().unwrap();
    for verb in ["show", "why"] {
        is_clean(&stdout(&airlock("hostile", &[verb, id])));
    }
    let record = airlock("hostile", &["show", id, "--json"]);
    is_clean(&stdout(&record));
    let record: Value = serde_json::from_slice(&record.stdout).unwrap();
    assert!(
        record["attempts"][0]["log"].as_str().unwrap().contains('\u{202e}'),
        "a record is as it was: {record}"
    );

    for verb in [
        vec!["call", BAD],
        vec!["call", "types_echo_enum", &json!({ "value": BAD }).to_string()],
        vec!["explain", BAD],
        vec!["explain", "types_echo_u8", &json!({ BAD: 1 }).to_string()],
        vec!["inspect", BAD],
        vec!["show", BAD],
        vec!["why", BAD],
        vec!["log", "--tool", BAD],
        vec!["log", "--outcome", BAD],
    ] {
        let output = airlock("hostile", &verb);
        is_clean(&stdout(&output));
        is_clean(&stderr(&output));
    }
}

#[test]
fn a_file_with_hidden_text_is_refused_with_escapes() {
    let folder = tempfile::tempdir().unwrap();
    for text in [
        format!("[tools.one]\ncomponent = {}\n", toml::Value::from(format!("{BAD}.wasm"))),
        format!("[tools.one]\n{} = 1\n", toml::Value::from(BAD)),
        "[tools.one]\ncomponent = \"a\u{202e}b\u{200b}.wasm\" # \u{2066}\ntimeout = 1\n".to_owned(),
        "[tools.one]\ncomponent = \"\u{1b}[2J\"\n".to_owned(),
    ] {
        let path = folder.path().join("air\u{202e}lock.toml");
        std::fs::write(&path, text).unwrap();
        let output = std::process::Command::new(airlock_tests::program())
            .arg("--registry")
            .arg(&path)
            .arg("check")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        is_clean(&stderr(&output));
    }
}

/// The span of a call in the log contains the tool's name, which a caller can invent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_clean() {
    for format in ["text", "json"] {
        let mut command = std::process::Command::new(airlock_tests::program());
        command
            .args(["--log", "trace", "--log-format", format, "--registry"])
            .arg(registry("hostile"))
            .args(["call", BAD]);
        let output = command.output().unwrap();
        is_clean(&stderr(&output));
    }
}

#[test]
fn what_is_shown_of_a_key_is_cut() {
    let mut args = Map::new();
    args.insert("k".repeat(100_000), json!(1));
    let output = airlock("hostile", &["call", "types_echo_u8", &Value::Object(args).to_string(), "--json"]);
    assert!(output.stdout.len() < 10_000, "{}", stdout(&output));
}
