//! A tool whose contract publishes other names and forms than those of its types, at every door and in what is kept of a call.

use serde_json::{Value, json};

use airlock_tests::root;
use airlock_tests::server::{Server, answer};

use crate::described::Place;
use crate::{stderr, stdout};

const SETTINGS: &str = "functions = [\"echo-everything\"]\nrecord = \"full\"\n";

const CONTRACT: &str = r#"
effects = "pure"
[tool.echo-everything]
name = "echoEverything"
confidential = ["args.value.maybe", "result.maybe"]
[tool.echo-everything.args.value]
name = "theValue"
open = true
[tool.echo-everything.args."value.small"]
default = -5
unit = "pieces"
[tool.echo-everything.args."value.text"]
json = true
[tool.echo-everything.args."value.maybe"]
name = "phoneNumber"
[tool.echo-everything.args."value.maybe_maybe"]
name = "maybeMaybe"
[tool.echo-everything.args."value.color.light_green"]
value = "light green"
[tool.echo-everything.args."value.permissions.run_as_root"]
value = "run as root"
[tool.echo-everything.args."value.shape.polygon"]
value = "Polygon"
[tool.echo-everything.args."value.shape.polygon[].max_items"]
name = "maxItems"
[tool.echo-everything.args."value.point.max_items"]
name = "maxItems"
[tool.echo-everything.result.small]
unit = "pieces"
[tool.echo-everything.result.text]
json = true
[tool.echo-everything.result.maybe]
name = "phoneNumber"
[tool.echo-everything.result.maybe_maybe]
name = "maybeMaybe"
[tool.echo-everything.result."color.light_green"]
value = "light green"
[tool.echo-everything.result."permissions.run_as_root"]
value = "run as root"
[tool.echo-everything.result."shape.polygon"]
value = "Polygon"
[tool.echo-everything.result."shape.polygon[].max_items"]
name = "maxItems"
[tool.echo-everything.result."point.max_items"]
name = "maxItems"
[[tool.echo-everything.expect]]
range = { field = "point.max_items", max = 100 }
verdict = "suspect"
"#;

/// The component that echoes a value of each type, packed with a contract.
fn packed(contract: &str) -> Result<Place, String> {
    let component = std::fs::read(root().join("tests/guests/build/types.wasm")).unwrap();
    let place = Place::new(&component, SETTINGS);
    std::fs::write(place.path("contract.toml"), contract).unwrap();
    std::fs::write(place.path("plain.wasm"), component).unwrap();
    let output = place.run(&["pack", "one.wasm", "--contract", "contract.toml"]);
    if output.status.success() { Ok(place) } else { Err(stderr(&output)) }
}

/// What an agent sends, without `small`, which has a default.
fn sent() -> Value {
    json!({
        "boolean": true, "large": 7, "real": 2.5, "letter": "x", "text": {"any": ["json", null]}, "bytes": "aGk=",
        "numbers": [1], "pair": [1, "a"], "phoneNumber": "49 170", "maybeMaybe": {"some": 3}, "color": "light green",
        "permissions": ["read", "run as root"], "shape": {"tag": "Polygon", "val": [{"x": 1, "maxItems": 2}]},
        "outcome": {"tag": "ok", "val": 5}, "point": {"x": -1, "maxItems": 9},
    })
}

fn returned() -> Value {
    let mut value = sent();
    value["small"] = json!(-5);
    value
}

fn call(place: &Place, args: &Value) -> Value {
    let output = place.run(&["call", "one", &args.to_string(), "--json"]);
    serde_json::from_str(&stdout(&output)).unwrap_or_else(|err| panic!("{err}: {}", stderr(&output)))
}

#[test]
fn a_call_and_its_record_are_in_the_published_form_and_in_that_of_wit() {
    let place = packed(CONTRACT).unwrap();
    let mut value = sent();
    value["stranger"] = json!(1);
    let reply = call(&place, &json!({"theValue": value}));
    assert_eq!((&reply["status"], &reply["result"]), (&json!("ok"), &returned()), "{reply}");
    assert_eq!(reply["findings"][0]["kind"], "args.ignored", "{reply}");
    let id = reply["record"].as_str().unwrap();
    let record: Value = serde_json::from_str(&place.does(&["show", id, "--json"])).unwrap();
    // Canonical: what was not given, or under another name, reads the same.
    let args = &record["args"]["value"];
    assert_eq!((&args["small"], &args["point"]["max_items"]), (&json!(-5), &json!(9)), "{record}");
    assert_eq!(args["text"], r#"{"any":["json",null]}"#);
    assert_eq!(args["shape"]["tag"], "polygon");
    // What is confidential is masked under either name.
    assert!(!record.to_string().contains("49 170"), "{record}");
    assert_ne!(record["reply"]["result"]["phoneNumber"], "49 170");
    // What a violation quotes, too.
    let mut value = sent();
    value["phoneNumber"] = json!(49_170_111);
    let reply = call(&place, &json!({"theValue": value}));
    assert_eq!(reply["error"]["violations"][0]["path"], "theValue.phoneNumber", "{reply}");
    assert!(reply.to_string().contains("49170111"), "{reply}");
    let record = place.does(&["show", reply["record"].as_str().unwrap(), "--json"]);
    assert!(!record.contains("49170111"), "{record}");
}

#[test]
fn a_fallback_answers_in_the_form_of_the_called_tool() {
    let named = |key: &str, more: &str| {
        let place = |side: &str| format!("[tool.echo-record.{side}max_items]\nname = \"{key}\"\n");
        format!("effects = \"pure\"\n{}{}{more}", place("args.value."), place("result."))
            .replace("args.value.max_items", "args.\"value.max_items\"")
    };
    // Its own answer is never believed.
    let reject = "[[tool.echo-record.expect]]\nrange = { field = \"x\", max = 0 }\n";
    let (place, other) = (packed(&named("maxItems", reject)).unwrap(), packed(&named("most", "")).unwrap());
    std::fs::copy(other.path("one.wasm"), place.path("two.wasm")).unwrap();
    let tool = |name: &str, more: &str| {
        format!("[tools.{name}]\ncomponent = \"{name}.wasm\"\nfunctions = [\"echo-record\"]\n{more}")
    };
    let registry = format!("{}{}", tool("one", "fallback = [\"two\"]\n"), tool("two", ""));
    std::fs::write(place.path("airlock.toml"), registry).unwrap();
    let reply = call(&place, &json!({"value": {"x": 1, "maxItems": 3}}));
    assert_eq!(
        (&reply["status"], &reply["provenance"]["route"]),
        (&json!("degraded"), &json!("two")),
        "{reply}"
    );
    assert_eq!(reply["result"], json!({"x": 1, "maxItems": 3}), "{reply}");
}

#[test]
fn a_recorded_call_is_replayed_and_tested_under_other_rules() {
    let place =
        packed(&CONTRACT.replace("confidential = [\"args.value.maybe\", \"result.maybe\"]", "")).unwrap();
    let reply = call(&place, &json!({"theValue": sent()}));
    let id = reply["record"].as_str().unwrap();
    place.does(&["replay", id]);
    let tested = place.does(&["backtest", "--json"]);
    assert!(tested.contains("\"same\""), "{tested}");
    // Under the names of WIT, which the caller never used, the call is the same.
    std::fs::copy(place.path("plain.wasm"), place.path("one.wasm")).unwrap();
    place.does(&["replay", id]);
}

#[test]
fn errors_say_the_published_names() {
    let place = packed(CONTRACT).unwrap();
    let reply = call(&place, &json!({"value": sent()}));
    let message = reply["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("Did you mean `theValue`") || message.contains("did you mean `theValue`"),
        "{message}"
    );
    let mut value = sent();
    value["point"] = json!({"x": 1, "max_items": 3});
    let reply = call(&place, &json!({"theValue": value}));
    let message = reply["error"]["message"].as_str().unwrap();
    assert!(message.contains("`theValue.point.max_items`") && message.contains("`maxItems`"), "{message}");
    // A finding, too.
    let mut value = sent();
    value["point"]["maxItems"] = json!(200);
    let reply = call(&place, &json!({"theValue": value}));
    assert_eq!(
        (&reply["status"], &reply["findings"][0]["path"]),
        (&json!("degraded"), &json!("point.maxItems"))
    );
    // And the name of the tool.
    let output = place.run(&["call", "echoEverything", "{}"]);
    let said = format!("{}{}", stdout(&output), stderr(&output));
    assert!(said.contains("`one`"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_door_shows_and_takes_the_published_form() {
    let place = packed(CONTRACT).unwrap();
    let path = place.path("airlock.toml");
    let flags = ["--allow-anonymous"];
    let server = tokio::task::spawn_blocking(move || Server::start(&path, &flags)).await.unwrap().unwrap();
    let listed = answer(server.mcp("tools/list", json!({})).send().await.unwrap()).await.unwrap();
    let tool = &listed["result"]["tools"][0];
    assert_eq!(tool["title"], "echoEverything", "{listed}");
    let value = &tool["inputSchema"]["properties"]["theValue"];
    assert_eq!(value.get("additionalProperties"), None, "{value}");
    assert_eq!(value["properties"]["color"]["enum"], json!(["red", "light green", "blue"]));
    assert_eq!(value["properties"]["small"]["default"], -5);
    assert!(value["properties"]["small"]["description"].as_str().unwrap().contains("in pieces"), "{value}");
    let output = &tool["outputSchema"]["properties"]["result"]["properties"];
    assert_eq!(output["permissions"]["items"]["enum"], json!(["read", "write", "run as root"]), "{output}");
    let arguments = json!({"theValue": sent()});
    let params = json!({"name": "one", "arguments": arguments});
    let called = answer(server.mcp("tools/call", params).send().await.unwrap()).await.unwrap();
    let structured = &called["result"]["structuredContent"];
    assert_eq!(structured["result"], returned(), "{called}");
    let options = jsonschema::options();
    let schema = options.build(&tool["outputSchema"]).unwrap();
    assert!(schema.is_valid(structured), "{structured}");
    let reply: Value = server.call("one", arguments.to_string()).send().await.unwrap().json().await.unwrap();
    assert_eq!(reply["result"], returned(), "{reply}");
}

#[test]
fn what_opens_a_schema_is_wider() {
    let place = packed(CONTRACT).unwrap();
    let output = place.run(&["diff", "plain.wasm", "one.wasm", "--json"]);
    assert_eq!(output.status.code(), Some(3), "{}{}", stdout(&output), stderr(&output));
    for key in ["name = \"theValue\"", "open = true", "json = true", "default = -5", "value = \"Polygon\""] {
        let table =
            CONTRACT.lines().take_while(|line| *line != key).filter(|line| line.starts_with('[')).last();
        let contract = format!("effects = \"pure\"\n{}\n{key}\n", table.unwrap());
        let (place, other) = (packed("effects = \"pure\"\n").unwrap(), packed(&contract).unwrap());
        let other = other.path("one.wasm").display().to_string();
        let output = place.run(&["diff", "one.wasm", &other]);
        assert_eq!(output.status.code(), Some(3), "{key}: {}{}", stdout(&output), stderr(&output));
    }
}

#[test]
fn a_fallback_in_another_unit_is_refused() {
    let place = packed(CONTRACT).unwrap();
    let other =
        packed(&CONTRACT.replace("result.small]\nunit = \"pieces\"", "result.small]\nunit = \"dozens\""))
            .unwrap();
    std::fs::copy(other.path("one.wasm"), place.path("two.wasm")).unwrap();
    let registry = format!(
        "[tools.one]\ncomponent = \"one.wasm\"\n{SETTINGS}fallback = [\"two\"]\n[tools.two]\ncomponent = \"two.wasm\"\n{SETTINGS}"
    );
    std::fs::write(place.path("airlock.toml"), registry).unwrap();
    let output = place.run(&["check"]);
    let said = format!("{}{}", stdout(&output), stderr(&output));
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("`result.small` is in `dozens` there, and in `pieces` here"), "{said}");
}

#[test]
fn cases_that_need_their_tag_are_named_when_the_contract_is_packed() {
    let said = packed("[tool.echo-variant.args.value]\nuntagged = true\n").err().unwrap();
    assert!(
        said.contains("`polygon` and `labeled` cannot be told apart without a tag: both can be arrays"),
        "{said}"
    );
}
