//! Lines on stdin that are not good requests: each gets an answer under the id that is written in it, and the session
//! goes on.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use airlock_tests::wire::{Wire, stateless_meta};
use airlock_tests::{program, registry};
use serde_json::{Value, json};

fn session() -> Wire {
    Wire::handshake(&registry("hostile"), "2025-11-25").unwrap().0
}

/// Sends a line, and expects an error with this id and code. Returns its message.
#[track_caller]
fn refused(wire: &mut Wire, line: &[u8], id: Value, code: i32) -> String {
    wire.send_line(line).unwrap();
    let answer = wire.receive().unwrap();
    let shown = String::from_utf8_lossy(line);
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &json!(code)), "{shown}: {answer}");
    answer["error"]["message"].as_str().unwrap().to_owned()
}

#[test]
fn parameters_of_a_wrong_form_are_named_and_the_method_is_known() {
    let mut wire = session();
    for (method, params, names) in [
        ("tools/call", json!({}), "`name`"),
        ("tools/call", Value::Null, "`name`"),
        ("tools/call", json!({"name": 5, "arguments": {}}), "`name`"),
        ("resources/read", json!({}), "`uri`"),
        ("resources/read", json!({"uri": 5}), "`uri`"),
        ("ping", json!([1]), "object"),
        ("initialize", json!({}), "`protocolVersion`"),
    ] {
        let line = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let said = refused(&mut wire, line.as_bytes(), json!(1), -32_602);
        assert!(said.contains(method) && said.contains(names), "{line}: {said}");
    }
    let meta = airlock_tests::wire::stateless_meta();
    let line =
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"_meta": meta}}).to_string();
    refused(&mut wire, line.as_bytes(), json!(1), -32_601);
    let unknown = br#"{"jsonrpc":"2.0","id":1,"method":"nobody/knows","params":5}"#;
    refused(&mut wire, unknown, json!(1), -32_601);
}

#[test]
fn a_method_that_is_not_served_is_named_whatever_its_parameters() {
    let mut wire = session();
    for (method, params) in [
        ("prompts/list", json!({})),
        ("prompts/get", json!({"name": "a"})),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "a"}, "argument": {"name": "a", "value": ""}}),
        ),
        ("resources/subscribe", json!({"uri": "a:b"})),
        ("resources/unsubscribe", json!({"uri": "a:b"})),
        ("logging/setLevel", json!({"level": "debug"})),
    ] {
        let line = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let said = refused(&mut wire, line.as_bytes(), json!(1), -32_601);
        assert_eq!(said, format!("there is no method `{method}`"));
    }
    let said =
        refused(&mut wire, br#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#, json!(1), -32_602);
    assert!(said.contains("`_meta`") && said.contains("io.modelcontextprotocol/protocolVersion"), "{said}");
}

#[test]
fn arguments_of_a_wrong_form_are_the_inner_door_s_matter() {
    let mut wire = session();
    let params = json!({"name": "types_echo_u64", "arguments": "x"});
    let answer = wire.ask(1, "tools/call", params).unwrap();
    assert_eq!(answer["result"]["isError"], true, "{answer}");
}

#[test]
fn a_first_message_that_lacks_something_is_told_what() {
    let mut wire = Wire::start(&registry("hostile"), &[]).unwrap();
    for params in [json!({}), json!({"protocolVersion": "2025-06-18"})] {
        let line = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}).to_string();
        let said = refused(&mut wire, line.as_bytes(), json!(1), -32_602);
        assert!(said.contains("missing field"), "{said}");
    }
}

#[test]
fn a_line_that_cannot_be_read_is_answered_under_its_id() {
    let mut wire = session();
    let deep = [br#"{"_meta":{"x":"#.as_slice(), &[b'['; 200], &[b']'; 200], b"}}"].concat();
    let list = |params: &[u8]| {
        [br#"{"jsonrpc":"2.0","id":7,"method":"tools/list","params":"#.as_slice(), params, b"}"].concat()
    };
    refused(&mut wire, b"{\"params\":{\"q\":\"caf\xe9\"},\"id\":\"a\"}", json!("a"), -32_700);
    refused(&mut wire, br#"{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"#, json!(7), -32_700);
    refused(&mut wire, b"Welcome to bash", Value::Null, -32_700);
    refused(&mut wire, b"[]", Value::Null, -32_600);
    refused(&mut wire, &list(br#"{"cursor":"\ud83d"}"#), json!(7), -32_602);
    refused(&mut wire, &list(br#"{"cursor":5}"#), json!(7), -32_602);
    refused(&mut wire, &list(br#"{"_meta":{"x":1e999}}"#), json!(7), -32_602);
    refused(&mut wire, &list(&deep), json!(7), -32_602);
    assert_eq!(wire.ask(8, "ping", json!({})).unwrap()["result"], json!({}));
}

#[test]
fn an_id_that_is_none_is_refused_and_a_good_one_comes_back() {
    let mut wire = session();
    let ping = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
    for id in ["null", "true", "[1]", "{\"a\":1}"] {
        refused(&mut wire, ping(id).as_bytes(), Value::Null, -32_600);
    }
    for id in ["1.5", "18446744073709551615"] {
        let written: Value = serde_json::from_str(id).unwrap();
        refused(&mut wire, ping(id).as_bytes(), written, -32_600);
    }
    for id in ["0", "-1", "\"\"", "\"1\"", "9223372036854775807"] {
        wire.send_line(ping(id).as_bytes()).unwrap();
        let answer = wire.receive().unwrap();
        assert_eq!((answer["id"].to_string().as_str(), &answer["result"]), (id, &json!({})), "{answer}");
    }
}

#[test]
fn of_two_requests_with_one_id_each_is_answered() {
    let mut wire = session();
    let call = |tool: &str, arguments: Value| {
        let params = json!({"name": tool, "arguments": arguments});
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    };
    wire.send(&call("trusted_sleep", json!({"ms": 300}))).unwrap();
    wire.send(&call("trusted_sleep", json!({"ms": 300}))).unwrap();
    wire.send(&call("types_echo_u64", json!({"value": "77"}))).unwrap();
    let (answers, status) = wire.end().unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(answers.len(), 3, "{answers:?}");
    assert!(
        answers.iter().all(|answer| answer["id"] == 1 && answer["result"]["isError"] == false),
        "{answers:?}"
    );
}

/// The first requests of a client without a handshake are in one write, so they come before rmcp's service has begun.
#[test]
fn of_two_first_requests_with_one_id_each_is_answered() {
    let mut wire = Wire::start(&registry("hostile"), &[]).unwrap();
    let call = |value: &str| {
        let params =
            json!({"name": "types_echo_u64", "arguments": {"value": value}, "_meta": stateless_meta()});
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string()
    };
    wire.send_line(["1", "2", "3"].map(call).join("\n").as_bytes()).unwrap();
    let (answers, status) = wire.end().unwrap();
    assert!(status.success(), "{status}");
    let mut results: Vec<String> =
        answers.iter().map(|answer| answer["result"]["structuredContent"]["result"].to_string()).collect();
    results.sort();
    assert_eq!(results, ["1", "2", "3"], "{answers:?}");
    assert!(answers.iter().all(|answer| answer["id"] == 1), "{answers:?}");
}

#[test]
fn a_cancellation_ends_all_requests_with_its_id() {
    let mut wire = session();
    let params = json!({"name": "trusted_sleep", "arguments": {"ms": 60_000}});
    for _ in 0..2 {
        wire.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})).unwrap();
    }
    let cancel = json!({"requestId": 1});
    wire.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel})).unwrap();
    // The drain at the end would wait for calls that still run.
    let (answers, status) = wire.end().unwrap();
    assert!(status.success() && answers.is_empty(), "{status} {answers:?}");
}

/// Runs a server on these bytes of stdin. Returns its stdout; it must exit with 0.
fn served(stdin: &[u8]) -> Vec<Value> {
    let mut command = Command::new(program());
    command.arg("--registry").arg(registry("hostile")).args(["serve", "--stdio"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}: {said}");
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn hello() -> String {
    let client = json!({"name": "lines", "version": "1"});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).to_string()
}

#[test]
fn marks_ends_and_blank_lines_around_messages_do_not_matter() {
    let ready = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    for (before, end) in [("\u{feff}", "\n"), ("\u{feff}", "\r\n"), ("", "\r\n"), ("\n\r\n  \n", "\n")] {
        // The last line has no end.
        let answers = served(format!("{before}{}{end}{ready}{end}{ping}", hello()).as_bytes());
        let ids: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
        assert_eq!(ids, [0, 1], "{before:?} {end:?}: {answers:?}");
    }
}

#[test]
fn a_stray_notification_before_the_handshake_and_no_handshake_at_all_are_no_failures() {
    let stray = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#;
    let answers = served(format!("{stray}\n{}\n", hello()).as_bytes());
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers[0]["result"]["protocolVersion"].is_string(), "{answers:?}");
    for stdin in ["", "\n", stray] {
        assert_eq!(served(stdin.as_bytes()), [] as [Value; 0], "{stdin:?}");
    }
}

#[test]
fn the_revision_with_batches_is_not_offered() {
    let (_wire, answer) = Wire::handshake(&registry("hostile"), "2025-03-26").unwrap();
    let agreed = answer["result"]["protocolVersion"].as_str();
    assert!(agreed.is_some_and(|agreed| agreed != "2025-03-26"), "{answer}");
}
