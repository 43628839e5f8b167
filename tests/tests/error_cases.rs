//! What a contract states about the cases by which a tool fails: whom they blame, which are failures of a result.

use serde_json::Value;

use airlock_tests::root;

use crate::described::Place;
use crate::{stderr, stdout};

/// The component that echoes values of each type, packed with this contract. Its enum has doc comments.
fn packed(contract: &str) -> Result<Place, String> {
    let component = std::fs::read(root().join("tests/guests/build/types.wasm")).unwrap();
    let place = Place::new(&component, "functions = [\"pass\", \"echo-variant\"]\n");
    let wit = std::fs::read_to_string(root().join("tests/guests/types/wit/world.wit")).unwrap();
    let said = "enum color {\n    /// No account has this number.\n    red, light-green, blue }";
    std::fs::write(place.path("world.wit"), wit.replace("enum color { red, light-green, blue }", said))
        .unwrap();
    std::fs::write(place.path("contract.toml"), contract).unwrap();
    let output = place.run(&["pack", "one.wasm", "--wit", "world.wit", "--contract", "contract.toml"]);
    if output.status.success() { Ok(place) } else { Err(stderr(&output)) }
}

/// Calls a tool and returns its envelope.
fn call(place: &Place, tool: &str, args: &str) -> Value {
    let output = place.run(&["call", tool, args, "--json"]);
    serde_json::from_str(&stdout(&output)).unwrap_or_else(|err| panic!("{err}: {}", stderr(&output)))
}

#[test]
fn an_error_that_blames_the_arguments_says_so_in_the_authors_words() {
    let place = packed("[tool.pass]\ncaller_errors = [\"red\"]\n").unwrap();
    let reply = call(&place, "one_pass", r#"{"value": {"tag": "err", "val": "red"}}"#);
    assert_eq!(
        (&reply["code"], &reply["error"]["caller_must_change_args"]),
        (&"tool.error".into(), &true.into())
    );
    let text = [
        "`one_pass` answered with an error; its own words, as data: \"red\". Its author says of this error: \"No account has \
         this number.\"",
        "The tool ran; there is no result.",
        "The arguments are to blame: change what its words name, and call again. Unchanged it will fail again.",
    ];
    assert_eq!(reply["error"]["message"].as_str().unwrap().lines().collect::<Vec<_>>(), text);
    // Another case of the same error blames nobody.
    let reply = call(&place, "one_pass", r#"{"value": {"tag": "err", "val": "blue"}}"#);
    let message = reply["error"]["message"].as_str().unwrap();
    assert_eq!(reply["error"]["caller_must_change_args"], false, "{message}");
    assert!(message.contains("may be about the arguments") && !message.contains("author"), "{message}");
}

#[test]
fn a_case_of_the_result_can_be_a_failure() {
    let contract = "[tool.echo-variant]\nfailures = [\"circle\"]\ncaller_errors = [\"circle\"]\n";
    let place = packed(contract).unwrap();
    let reply = call(&place, "one_echo_variant", r#"{"value": {"tag": "circle", "val": 2}}"#);
    assert_eq!(reply["code"], "tool.error", "{reply}");
    assert_eq!(reply["error"]["detail"]["val"], 2.0, "{reply}");
    assert_eq!(reply["error"]["caller_must_change_args"], true);
    let reply = call(&place, "one_echo_variant", r#"{"value": {"tag": "none"}}"#);
    assert_eq!(reply["status"], "ok", "{reply}");
}

#[test]
fn cases_that_do_not_exist_or_contradict_each_other_are_named() {
    let said = packed("[tool.echo-variant]\nfailures = [\"circel\"]\n").err().unwrap();
    assert!(said.contains("the result has no case `circel`") && said.contains("`circle`"), "{said}");
    let said = packed("[tool.pass]\ncaller_errors = [\"rad\"]\n").err().unwrap();
    assert!(said.contains("the function has no error case `rad`"), "{said}");
    let said = packed("[tool.pass]\ntransient = [\"red\"]\ncaller_errors = [\"red\"]\n").err().unwrap();
    assert!(said.contains("a case is either transient or the caller's"), "{said}");
    let said = packed("[tool.echo-variant]\nfailures = [\"circle\", \"circle\"]\n").err().unwrap();
    assert!(said.contains("the case is named twice"), "{said}");
    let all = "[tool.echo-variant]\nfailures = [\"none\", \"circle\", \"polygon\", \"labeled\"]\n";
    let said = packed(all).err().unwrap();
    assert!(said.contains("every case of the result would be a failure"), "{said}");
}
