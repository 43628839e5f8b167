//! MCP over real stdio: both eras, errors, progress, cancellation, and malformed lines.

use std::time::Duration;

use airlock_tests::registry;
use airlock_tests::session::{Session, text};
use airlock_tests::wire::{STATELESS, Wire, stateless_meta};
use rmcp::model::{CallToolRequestParams, ClientRequest, Request};
use rmcp::service::PeerRequestOptions;
use serde_json::{Value, json};

use crate::{airlock, stdout};

fn call(tool: &str, args: Value) -> Value {
    json!({"name": tool, "arguments": args})
}

fn hostile() -> Wire {
    Wire::handshake(&registry("hostile"), "2025-11-25").unwrap().0
}

fn example() -> Wire {
    Wire::handshake(&registry("example"), "2025-11-25").unwrap().0
}

fn conformance() -> Wire {
    Wire::handshake(&registry("tests/conformance/airlock.toml"), "2025-11-25").unwrap().0
}

#[test]
fn lists_tools_in_the_same_order_with_closed_schemas_and_hints() {
    let lists: Vec<Value> = (0..2)
        .map(|_| example().ask(1, "tools/list", json!({})).unwrap()["result"]["tools"].clone())
        .collect();
    assert_eq!(lists[0], lists[1], "the same list at each start, to the byte");
    let tools = lists[0].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert!(names.is_sorted() && names.len() == 5, "{names:?}");
    for tool in tools {
        let input = &tool["inputSchema"];
        assert_eq!(
            (&input["type"], &input["additionalProperties"]),
            (&json!("object"), &json!(false)),
            "{tool}"
        );
        assert_eq!(tool["outputSchema"]["type"], "object", "{tool}");
        assert_eq!(tool["annotations"]["readOnlyHint"], true, "{tool}");
        assert_eq!(tool["annotations"]["destructiveHint"], false, "{tool}");
        assert!(tool["title"].is_string() && tool["description"].is_string(), "{tool}");
    }
}

#[test]
fn good_answers_fit_the_tools_own_output_schema() {
    for (name, calls) in [
        (
            "example",
            vec![
                call("unit_convert", json!({"value": 1, "from": "mile", "to": "km"})),
                call("sector_metrics", json!({"period": "2009-10", "limit": 3})),
                call("sector_metrics_quarterly", json!({"period": "2009"})),
                call("pay_band", json!({"family": "data", "level": "junior", "country": "US"})),
                call("text_digest", json!({"text": "One sentence. And another."})),
            ],
        ),
        (
            "hostile",
            vec![
                call("types_echo_u64", json!({"value": "18446744073709551615"})),
                call("types_echo_variant", json!({"value": {"tag": "circle", "val": 1}})),
                call("types_echo_option_option", json!({"value": {"some": null}})),
                call("types_echo_bytes", json!({"value": {"utf8": "hi"}})),
                call("types_echo_nested_result", json!({"value": [{"tag": "err", "val": "no"}]})),
                call("types_nan", json!({})),
                call("types_nothing", json!({})),
                call("thousandfold", json!({"period": "2009-10"})),
            ],
        ),
    ] {
        let mut wire = Wire::handshake(&registry(name), "2025-11-25").unwrap().0;
        let tools = wire.ask(1, "tools/list", json!({})).unwrap()["result"]["tools"].clone();
        for call in calls {
            let tool = tools.as_array().unwrap().iter().find(|tool| tool["name"] == call["name"]).unwrap();
            let schema = jsonschema::draft202012::new(&tool["outputSchema"]).unwrap();
            let result = wire.ask(2, "tools/call", call.clone()).unwrap()["result"].clone();
            assert_eq!(result["isError"], false, "{call}: {result}");
            let faults: Vec<_> =
                schema.iter_errors(&result["structuredContent"]).map(|err| err.to_string()).collect();
            assert!(faults.is_empty(), "{call}: {faults:?} in {}", result["structuredContent"]);
        }
    }
}

#[test]
fn an_error_is_text_and_facts_and_no_structured_content() {
    let result = example().ask(1, "tools/call", call("unit_convert", json!({"value": "x"}))).unwrap();
    let result = &result["result"];
    assert_eq!(result["isError"], true);
    assert!(result.get("structuredContent").is_none(), "{result}");
    assert!(result["content"][0]["text"].as_str().unwrap().contains("was not run"), "{result}");
    let facts = &result["_meta"]["dev.airlock/error"];
    assert_eq!((&facts["ran"], &facts["caller_must_change_args"]), (&json!("no"), &json!(true)));
    assert_eq!(facts["errors"].as_array().unwrap().len(), 3, "{facts}");
}

#[test]
fn a_function_without_a_result_says_that_it_is_done() {
    let result = hostile().ask(1, "tools/call", call("types_nothing", json!({}))).unwrap();
    assert_eq!(result["result"]["content"][0]["text"], "Done. The tool returned no value.");
}

#[test]
fn an_unknown_tool_is_a_protocol_error_with_the_nearest_name_and_a_record() {
    let answer = example().ask(1, "tools/call", call("unit_convret", json!({}))).unwrap();
    assert!(answer["error"]["data"]["dev.airlock/record"].is_string(), "{answer}");
    assert_eq!(answer["error"]["code"], -32602);
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("did you mean `unit_convert`?"), "{message}");
}

#[test]
fn progress_is_sent_to_clients_that_ask_for_it() {
    let mut wire = hostile();
    let mut params = call("thousandfold", json!({"period": "2009-10"}));
    params["_meta"] = json!({"progressToken": "mine"});
    wire.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})).unwrap();
    let mut numbers = Vec::new();
    loop {
        let message = wire.receive().unwrap();
        if message["id"] == 1 {
            break;
        }
        assert_eq!(message["method"], "notifications/progress", "{message}");
        assert_eq!(message["params"]["progressToken"], "mine");
        numbers.push(message["params"]["progress"].as_f64().unwrap());
    }
    assert!(!numbers.is_empty() && numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    wire.send(&json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call("types_nothing", json!({}))}))
        .unwrap();
    assert_eq!(wire.receive().unwrap()["id"], 2, "no progress was requested");
}

#[test]
fn a_tool_reports_progress_and_a_single_attempt_is_not_announced() {
    let mut wire = conformance();
    let mut told = |tool: &str, args: Value| {
        let mut params = call(tool, args);
        params["_meta"] = json!({"progressToken": 7});
        wire.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})).unwrap();
        let mut notes = Vec::new();
        loop {
            let message = wire.receive().unwrap();
            if message["id"] == 1 {
                return notes;
            }
            notes.push(json!([message["params"]["progress"], message["params"]["total"]]));
        }
    };
    let reports = told("test_tool_with_progress", json!({}));
    assert_eq!(json!(reports), json!([[0.0, 100.0], [50.0, 100.0], [100.0, 100.0]]));
    assert!(told("greet", json!({"name": "Ada"})).is_empty());
}

#[test]
fn documents_come_with_an_answer_as_embedded_resources() {
    let mut wire = conformance();
    let answer = wire.ask(1, "tools/call", call("test_embedded_resource", json!({}))).unwrap();
    let expect = json!({
        "type": "resource",
        "resource": {
            "uri": "test://embedded-resource",
            "mimeType": "text/plain",
            "text": "This is an embedded resource content.",
        },
    });
    assert_eq!(answer["result"]["content"][0], expect, "{answer}");
}

#[test]
fn both_handshakes_and_the_stateless_era_get_the_same_answer() {
    let greet = call("plain_greet", json!({"name": "Ada"}));
    let mut results = Vec::new();
    for revision in ["2025-06-18", "2025-11-25"] {
        let (mut wire, answer) = Wire::handshake(&registry("hostile"), revision).unwrap();
        assert_eq!(answer["result"]["protocolVersion"], revision);
        assert_eq!(answer["result"]["serverInfo"]["name"], "airlock");
        results.push(wire.ask(1, "tools/call", greet.clone()).unwrap());
    }
    let mut wire = Wire::start(&registry("hostile"), &[]).unwrap();
    let discovered = wire.ask(1, "server/discover", json!({"_meta": stateless_meta()})).unwrap();
    let versions = discovered["result"]["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!(STATELESS)), "{discovered}");
    let mut stateless = greet;
    stateless["_meta"] = stateless_meta();
    results.push(wire.ask(2, "tools/call", stateless).unwrap());
    for result in results {
        assert_eq!(result["result"]["structuredContent"]["result"], "Hello, Ada!", "{result}");
    }
}

#[test]
fn a_repeated_argument_is_found_over_stdio_too() {
    let mut wire = example();
    let arguments = r#"{"value": 3, "from": "km", "to": "m", "value": 4}"#;
    let params = format!(r#"{{"name":"unit_convert","arguments":{arguments}}}"#);
    wire.send_line(
        format!(r#"{{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{params}}}"#).as_bytes(),
    )
    .unwrap();
    let answer = wire.receive().unwrap();
    assert_eq!((&answer["id"], &answer["result"]["isError"]), (&json!(9), &json!(true)));
    assert!(answer["result"]["content"][0]["text"].as_str().unwrap().contains("`value`"), "{answer}");
}

#[test]
fn a_malformed_message_is_answered_under_its_id() {
    let mut wire = example();
    wire.send_line(b"neither is this").unwrap();
    let answer = wire.receive().unwrap();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(-32_700)));
    wire.send_line(br#"{"jsonrpc":"2.0","id":9}"#).unwrap();
    let answer = wire.receive().unwrap();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(9), &json!(-32_600)));
}

#[test]
fn a_message_of_20_mb_is_answered_under_its_id_and_the_server_lives() {
    let mut wire = example();
    let long = call("text_digest", json!({"text": "x".repeat(20_000_000)}));
    wire.send_line(format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{long}}}"#).as_bytes())
        .unwrap();
    let answer = wire.receive().unwrap();
    assert_eq!(answer["id"], 7);
    assert!(answer["error"]["message"].as_str().unwrap().contains("larger than 8388608 bytes"), "{answer}");
    let good = wire.ask(8, "tools/call", call("unit_convert", json!({"value": 1, "from": "km", "to": "m"})));
    assert_eq!(good.unwrap()["result"]["structuredContent"]["result"]["value"], 1000.0);
}

/// `receive` accepts only JSON-RPC. The forged answers have the id of an open request.
#[test]
fn output_of_a_guest_is_never_on_the_stdout_of_the_protocol() {
    let mut wire = hostile();
    let forged = r#"{"jsonrpc":"2.0","id":1,"result":{"forged":true}}"#;
    let answer =
        wire.ask(1, "tools/call", call("hostile_print", json!({"out": forged, "err": forged}))).unwrap();
    assert!(answer["result"].get("forged").is_none(), "{answer}");
    let answer = wire.ask(1, "tools/call", call("hostile_print_forever", json!({}))).unwrap();
    assert_eq!(answer["result"]["_meta"]["dev.airlock/code"], "limit.deadline", "{answer}");
    let (rest, _) = wire.end().unwrap();
    assert!(rest.is_empty(), "{rest:?}");
}

#[test]
fn a_schema_over_all_arguments_is_enforced() {
    let mut wire = conformance();
    let mut is_error = |args: Value| {
        let answer = wire.ask(1, "tools/call", call("json_schema_2020_12_tool", args)).unwrap();
        answer["result"]["isError"].clone()
    };
    assert_eq!(is_error(json!({"name": "Ada"})), true);
    assert_eq!(is_error(json!({"contact_method": "phone", "email": "ada@example.com"})), true);
    assert_eq!(is_error(json!({"name": "Ada", "email": "ada@example.com", "phone": null})), false);
}

#[test]
fn the_server_leaves_when_stdin_ends() {
    let (rest, status) = example().end().unwrap();
    assert!(status.success() && rest.is_empty(), "{status}: {rest:?}");
}

/// The record of the looping call must end as cancelled, long before its deadline.
#[test]
fn a_cancelled_call_ends_its_guest() {
    let state = tempfile::tempdir().unwrap();
    let path = patient_registry(state.path());
    let mut wire = Wire::handshake(&path, "2025-11-25").unwrap().0;
    let params = call("loops_loop_forever", json!({}));
    wire.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let cancel = json!({"requestId": 1, "reason": "no longer wanted"});
    wire.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel})).unwrap();
    assert_eq!(await_codes(state.path(), 1), ["cancelled"]);
    let listed = wire.ask(2, "tools/list", json!({})).unwrap();
    assert!(listed["result"]["tools"].is_array(), "the server lives");
    let (rest, status) = wire.end().unwrap();
    assert!(status.success(), "{status}: {rest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_library_client_cancels_as_well() {
    let state = tempfile::tempdir().unwrap();
    let session = Session::start(&patient_registry(state.path())).await.unwrap();
    let params = CallToolRequestParams::new("loops_loop_forever".to_owned());
    let request = ClientRequest::CallToolRequest(Request::new(params));
    let handle =
        session.client().send_cancellable_request(request, PeerRequestOptions::default()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    handle.cancel(Some("no longer wanted".into())).await.unwrap();
    let folder = state.path().to_owned();
    let codes = tokio::task::spawn_blocking(move || await_codes(&folder, 1)).await.unwrap();
    assert_eq!(codes, ["cancelled"]);
    let result = session.call("loops_allocate", json!({"bytes": 10})).await.unwrap();
    assert!(text(&result).contains("\"ok\""), "{}", text(&result));
    session.end().await.unwrap();
}

/// A server that ends while a call is open records that call, too.
#[test]
fn a_call_that_the_end_of_stdin_cancels_is_on_record() {
    let state = tempfile::tempdir().unwrap();
    let mut wire = Wire::handshake(&patient_registry(state.path()), "2025-11-25").unwrap().0;
    let params = call("loops_loop_forever", json!({}));
    wire.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    wire.end().unwrap();
    assert_eq!(await_codes(state.path(), 1), ["cancelled"]);
}

/// A registry with one guest that may loop for longer than any test waits.
fn patient_registry(folder: &std::path::Path) -> std::path::PathBuf {
    let component = airlock_tests::root().join("tests/guests/build/hostile.wasm");
    let text = format!(
        "server.drain_ms = 100\n[tools.loops]\ncomponent = \"{}\"\nlimits.deadline_ms = 20_000\nlimits.fuel = 1_000_000_000_000_000\n",
        component.display()
    );
    let path = folder.join("airlock.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// Waits up to five seconds for this number of records, and returns their codes.
pub(crate) fn await_codes(folder: &std::path::Path, count: usize) -> Vec<String> {
    let mut codes = Vec::new();
    // Long enough for a machine that is busy with other tests.
    for _ in 0..200 {
        codes = codes_of(&folder.join(".airlock/journal.db")).unwrap_or_default();
        if codes.len() >= count {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    codes
}

fn codes_of(journal: &std::path::Path) -> rusqlite::Result<Vec<String>> {
    let journal = rusqlite::Connection::open(journal)?;
    let mut rows = journal.prepare("SELECT code FROM calls ORDER BY id")?;
    rows.query_map([], |row| row.get(0))?.collect()
}

#[test]
fn a_reply_over_mcp_can_be_looked_up_by_its_record() {
    let mut wire = example();
    let answer = wire.ask(1, "tools/call", call("unit_convert", json!({}))).unwrap();
    wire.end().unwrap();
    let id = answer["result"]["_meta"]["dev.airlock/record"].as_str().unwrap().to_owned();
    let shown = airlock("example", &["show", &id]);
    assert!(stdout(&shown).contains("args.missing"), "{}", stdout(&shown));
}
