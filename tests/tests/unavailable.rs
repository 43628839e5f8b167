//! Tools that can never run are not offered to agents, or named as such.

use airlock_tests::wire::Wire;
use serde_json::{Value, json};

use crate::described::{Place, beside};

/// A component that asks for the clock, in an entry with these settings.
fn place(settings: &str) -> Place {
    let place = Place::new(&beside(""), settings);
    let contract =
        "[capabilities.clock]\nreason = \"to know the day\"\n[tool.f]\ndescription = \"Says the day.\"\n";
    std::fs::write(place.path("contract.toml"), contract).unwrap();
    place.does(&["pack", "one.wasm", "--contract", "contract.toml"]);
    place
}

/// The description of each tool that an agent is offered, and the text of a call of the first.
fn offered(place: &Place) -> (Vec<String>, String) {
    let mut wire = Wire::handshake(&place.path("airlock.toml"), "2025-11-25").unwrap().0;
    let tools = wire.ask(1, "tools/list", json!({})).unwrap()["result"]["tools"].clone();
    let described = |tool: &Value| tool["description"].as_str().unwrap().to_owned();
    let called = wire.ask(2, "tools/call", json!({"name": "one", "arguments": {}})).unwrap();
    let text = called["result"]["content"][0]["text"].as_str().unwrap().to_owned();
    (tools.as_array().unwrap().iter().map(described).collect(), text)
}

#[test]
fn a_tool_without_a_grant_that_it_needs_is_not_offered() {
    let place = place("");
    let (offered, text) = offered(&place);
    assert_eq!(offered, Vec::<String>::new());
    assert!(text.contains("needs what it was not granted: clock"), "{text}");
    // The operator sees it.
    assert!(place.does(&["tools"]).contains("UNAVAILABLE: it needs what it is not granted (clock)"));
    assert_eq!(place.does(&["export", "--for", "openai"]).trim(), "[]");
}

#[test]
fn a_setting_names_it_instead() {
    let place = place("[host]\nunavailable_tools = \"name\"\n");
    let (offered, _) = offered(&place);
    let said = "UNAVAILABLE: it needs what it is not granted (clock); only the operator can change this. Says the day.";
    assert_eq!(offered, [said]);
}

#[test]
fn a_tool_that_can_run_is_offered_as_it_is() {
    let (offered, _) = offered(&place("grants.clock = true\n"));
    assert_eq!(offered, ["Says the day."]);
}
