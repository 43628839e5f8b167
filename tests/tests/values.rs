//! Values that the operator writes into the registry: a configuration, and variables of the environment.

use airlock::host::Host;
use airlock_types::caller::Caller;
use airlock_types::code::Code;
use airlock_types::effect::Effect;
use serde_json::{Value, json};

use crate::keep::{Place, ask, call, example};
use crate::state_folder::airlock;

const CONFIG: &str = "grants.config = { region = \"eu\", \"page size\" = \"20\" }\n";

#[tokio::test]
async fn a_tool_reads_the_values_of_its_grant_and_no_other() {
    let host = Place::new().open(CONFIG).await;
    let keys = json!({"keys": ["region", "page size", "Region", "", "PATH", "HOME"]});
    let (reply, record) = call(&host, "values", &keys, Code::Ok).await;
    assert_eq!(reply.result, Some(json!(["eu", "20", null, null, null, null])));
    assert_eq!(record.attempts[0].denials, ["config"], "for what is not there");
    let (reply, record) = call(&host, "all_values", &json!({}), Code::Ok).await;
    assert_eq!(reply.result, Some(json!([["page size", "20"], ["region", "eu"]])));
    assert!(record.attempts[0].denials.is_empty());
    // A tool that fails for the lack of a value says so.
    let (reply, _) = call(&host, "need", &json!({"key": "token"}), Code::Trap).await;
    assert!(reply.error.unwrap().message.contains("config"));
    // Nothing is added to the environment, and nothing that the tool does is an effect.
    assert_eq!(ask(&host, "variables", &json!({})).await.unwrap(), json!([[], [], null]));
    assert_eq!(host.visible(&Caller::local()).resolve("keep_need").unwrap().effect, Effect::Pure);
}

#[tokio::test]
async fn without_a_grant_no_key_has_a_value_and_the_environment_is_empty() {
    let host = Place::new().open("grants.clock = true\n").await;
    let (reply, record) = call(&host, "values", &json!({"keys": ["region"]}), Code::Ok).await;
    assert_eq!(
        (reply.result, &*record.attempts[0].denials),
        (Some(json!([null])), &["config".to_owned()][..])
    );
    assert_eq!(ask(&host, "all_values", &json!({})).await.unwrap(), json!([]));
    // The variables of this process, such as `PATH`, are no business of a tool.
    assert_eq!(ask(&host, "variables", &json!({})).await.unwrap(), json!([[], [], null]));
    let notes = host.ungranted().join("\n");
    for piece in ["no key has a value; `grants.config`", "the environment is empty; `grants.env`"] {
        assert!(notes.contains(piece), "{piece}: {notes}");
    }
}

#[tokio::test]
async fn variables_are_those_of_the_grant_and_there_are_no_arguments() {
    let host = Place::new().open("grants.env = { TZ = \"UTC\", EMPTY = \"\" }\n").await;
    let expect = json!([[["EMPTY", ""], ["TZ", "UTC"]], [], null]);
    assert_eq!(ask(&host, "variables", &json!({})).await.unwrap(), expect);
    assert_eq!(ask(&host, "all_values", &json!({})).await.unwrap(), json!([]));
}

#[tokio::test]
async fn a_contract_gets_only_the_keys_that_it_asks_for() {
    let asks = "[[capabilities.config]]\nkey = \"region\"\nreason = \"where to look\"\n\
                [[capabilities.env]]\nkey = \"TZ\"\nreason = \"dates\"\noptional = true\n";
    let place = Place::with_contract(asks);
    let granted = format!("{CONFIG}grants.env = {{ TZ = \"UTC\", LANG = \"C\" }}\n");
    let host = place.open(&granted).await;
    assert_eq!(ask(&host, "all_values", &json!({})).await.unwrap(), json!([["region", "eu"]]));
    assert_eq!(ask(&host, "variables", &json!({})).await.unwrap(), json!([[["TZ", "UTC"]], [], null]));
    // Optional ones may be missing, the others prevent the tool from running.
    let host = place.open(CONFIG).await;
    assert_eq!(ask(&host, "variables", &json!({})).await.unwrap(), json!([[], [], null]));
    let host = place.open("grants.config = { other = \"x\" }\n").await;
    let (_, record) = call(&host, "all_values", &json!({}), Code::PolicyDenied).await;
    assert!(record.attempts.is_empty());
    let line = "asks for config `region` (where to look) and will be denied; to grant it: \
                region = \"VALUE\" (in `tools.keep.grants.config`, within its braces)";
    let (_, warnings) = host.summary();
    assert!(warnings.iter().any(|warning| warning.contains(line)), "{warnings:?}");
}

#[test]
fn one_more_value_goes_where_the_others_are_written() {
    for (grants, line) in [
        (
            "grants.config = { region = \"eu\" }\n",
            "add in `tools.keep.grants.config`, within its braces: zone = \"VALUE\"",
        ),
        ("grants.config.region = \"eu\"\n", "add in `[tools.keep]`: grants.config.zone = \"VALUE\""),
        (
            "[tools.keep.grants.config]\nregion = \"eu\"\n",
            "add in `[tools.keep.grants.config]`: zone = \"VALUE\"",
        ),
    ] {
        let place = Place::new();
        let registry = place.file(grants).path;
        let called = airlock(&registry, &["call", "keep_need", "{\"key\": \"zone\"}", "--json"]);
        let reply: Value = serde_json::from_slice(&called.stdout).unwrap();
        let shown = crate::stdout(&airlock(&registry, &["show", reply["record"].as_str().unwrap()]));
        assert!(shown.contains(line), "{shown}");
    }
}

#[test]
fn a_grant_that_cannot_be_meant_is_refused_with_what_to_write() {
    let large = format!("config = {{ a = \"{}\" }}", "x".repeat(64 << 10));
    for (grant, piece) in [
        ("env = { \"A=B\" = \"c\" }", "`grants.env` has the key `A=B`"),
        ("env = { \"\" = \"c\" }", "`grants.env` has the key ``"),
        ("env = { A = \"a\\u0000b\" }", "`grants.env` has the key `A`"),
        ("config = { \"\" = \"c\" }", "`grants.config` has the key ``"),
        ("config = { a = 1 }", "a string is expected here"),
        ("env = [\"PATH\"]", "a table is expected here"),
        (large.as_str(), "at most 65536 are possible"),
    ] {
        let text = format!("[tools.keep]\ncomponent = \"keeper.wasm\"\ngrants.{grant}\n");
        let said = Place::new().registry(&text).unwrap_err();
        assert!(said.contains(piece), "{piece}: {said}");
    }
}

#[tokio::test]
async fn the_examples_of_the_page_of_capabilities_work() {
    for (heading, function, expect) in [
        ("## Values of the operator: `config`", "all_values", json!([["page-size", "50"], ["region", "eu"]])),
        ("## Variables: `env`", "variables", json!([[["LANG", "C"], ["TZ", "UTC"]], [], null])),
    ] {
        let place = Place::new();
        let text =
            example(heading, 0).replace("report.wasm", "keeper.wasm").replace("tools.report", "tools.keep");
        let file = place.registry(&text).unwrap();
        let host = Host::builder().registry(&file).open().await.unwrap();
        assert_eq!(ask(&host, function, &json!({})).await.unwrap(), expect);
        // The contract asks for something that this registry grants.
        let place = Place::with_contract(&example(heading, 1));
        let file = place.registry(&text).unwrap();
        let host = Host::builder().registry(&file).open().await.unwrap();
        ask(&host, function, &json!({})).await.unwrap();
    }
}
