//! `airlock shadow run --agent`: an agent program, its queries, and the verdict about it.

use airlock_tests::root;
use serde_json::{Value, json};

use crate::shadow::{MONTH, Shadowed};

/// The agent, with a change.
pub(crate) fn agent(change: &str) -> String {
    format!("python3 '{}' {change}", root().join("tests/clients/agent.py").display())
}

/// Writes two queries with references into the suite.
pub(crate) fn write_queries(shadowed: &Shadowed) {
    let queries = shadowed.path("suite/queries");
    std::fs::create_dir_all(&queries).unwrap();
    let write = |name: &str, text: &str| std::fs::write(queries.join(format!("{name}.toml")), text).unwrap();
    write(
        "distance",
        "format = 1\nquery = \"How far are 26.2 miles in km?\"\n\n[answer]\ntext = \"26.2 miles are 42.165 km.\"\n\n\
         [[path.calls]]\ntool = \"unit_convert\"\nargs = { from = \"mile\", to = \"km\", value = 26.2 }\n",
    );
    write(
        "sectors",
        &format!(
            "format = 1\nquery = \"How many sectors are known of {MONTH}?\"\n\n[answer]\ntext = \"sectors are known of {MONTH}\"\n\
             by = \"contains\"\n\n[path]\nby = \"tools\"\n\n[[path.calls]]\ntool = \"sector_metrics\"\n"
        ),
    );
}

fn with_queries() -> Shadowed {
    let shadowed = Shadowed::new();
    write_queries(&shadowed);
    shadowed
}

/// Runs the suite with an agent: exit code, and the document.
fn document(shadowed: &Shadowed, change: &str, more: &[&str]) -> (i32, Value) {
    let agent = agent(change);
    let (exit, said) = shadowed.run(&[&["--agent", &agent, "--json"], more].concat());
    let from = said.find('{').unwrap_or_else(|| panic!("{said}"));
    let document = serde_json::Deserializer::from_str(&said[from..]).into_iter().next();
    (exit, document.unwrap().unwrap_or_else(|err| panic!("{err}: {said}")))
}

/// The verdicts about the agent and the two tools.
fn verdicts(document: &Value) -> [&str; 3] {
    let night = &document["night"];
    let of =
        |at: &str| night.pointer(at).and_then(Value::as_str).unwrap_or_else(|| panic!("{at}: {document}"));
    [of("/agent/verdict"), of("/tools/unit_convert/verdict"), of("/tools/sector_metrics/verdict")]
}

#[test]
fn an_agent_that_answers_and_calls_as_before_has_no_verdict() {
    let shadowed = with_queries();
    for change in ["", "list"] {
        let (exit, document) = document(&shadowed, change, &[]);
        assert_eq!(verdicts(&document), ["none"; 3], "{document:#}");
        assert_eq!(exit, 0, "{document:#}");
        assert_eq!(document["night"]["agent"]["answers"]["same"], 2, "{document:#}");
        assert_eq!(document["queries"][0]["did"]["calls"][0]["tool"], "unit_convert");
    }
    let left = std::fs::read_dir(shadowed.path(".airlock")).unwrap();
    let left: Vec<String> =
        left.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    assert!(!left.iter().any(|name| name == "agent"), "{left:?}");
    // Nothing of it is in the journal of the registry: two calls were made before.
    let log = crate::state_folder::airlock(&shadowed.path("airlock.toml"), &["log", "--json"]);
    assert_eq!(String::from_utf8_lossy(&log.stdout).lines().count(), 2);
}

#[test]
fn a_changed_agent_has_the_verdict_and_the_tools_have_none() {
    let shadowed = with_queries();
    let told = |change: &str| {
        let (exit, document) = document(&shadowed, change, &[]);
        assert_eq!(verdicts(&document), ["agent", "none", "none"], "{change}: {document:#}");
        assert_eq!(exit, 1, "{change}");
        assert_eq!(document["blocked"][0]["gate"], "agent", "{change}");
        document["night"]["agent"]["drifted"].to_string()
    };
    assert!(told("round1").contains("the answer is \\\"26.2 miles are 42.2 km.\\\""));
    assert!(told("twice").contains("call 2 is `unit_convert"));
    // A call that was not recorded runs where a tool needs no import, and is another path.
    assert!(told("unit").contains("42164.813 m"));
    let settings = std::fs::read_to_string(shadowed.path("suite/suite.toml")).unwrap();
    std::fs::write(shadowed.path("suite/suite.toml"), settings.replace(", \"agent\"", "")).unwrap();
    assert_eq!(document(&shadowed, "round1", &[]).0, 0, "without the gate");
}

#[test]
fn a_changed_tool_or_file_is_not_the_agent() {
    let shadowed = with_queries();
    shadowed.other_mile("build/unit-convert.wasm", 1_600.0);
    shadowed.edit_data(MONTH, 1_000);
    let (exit, document) = document(&shadowed, "", &[]);
    assert_eq!(verdicts(&document), ["none", "tool", "upstream"], "{document:#}");
    assert_eq!(exit, 1);
}

#[test]
fn a_call_that_is_not_recorded_is_an_error_that_says_so() {
    let shadowed = with_queries();
    let query = shadowed.path("suite/queries/sectors.toml");
    let text = std::fs::read_to_string(&query).unwrap();
    std::fs::write(&query, text.replacen(MONTH, "2014-07", 1)).unwrap();
    let (exit, document) = document(&shadowed, "", &["--query", "sectors"]);
    let did = &document["queries"][0]["did"];
    assert!(exit == 1 && did["answer"].as_str().unwrap().starts_with("I cannot tell"), "{did:#}");
    let why = document["night"]["agent"]["drifted"][0]["told"][1].as_str().unwrap();
    assert!(why.starts_with("not recorded: `sector_metrics` with these arguments: no import"), "{why}");
    assert!(document["night"]["tools"].as_object().unwrap().is_empty(), "only the query is run");
}

#[test]
fn trouble_with_an_agent_is_told_and_bounded_and_no_drift() {
    let shadowed = with_queries();
    let told = |change: &str, says: &str| {
        let more = ["--query", "distance", "--agent-seconds", "2"];
        let (exit, document) = document(&shadowed, change, &more);
        let agent = &document["night"]["agent"];
        assert_eq!((&agent["verdict"], &agent["not_run"]), (&json!("none"), &json!(1)), "{document:#}");
        assert_eq!(document["blocked"][0]["gate"], "coverage");
        let why = document["queries"][0]["not_run"].as_str().unwrap();
        assert!(exit == 1 && why.contains(says), "{change}: {why}");
    };
    told("hang", "did not end within 2 s, and was stopped");
    told("die", "ended with exit code 1; it said: no model answers");
    told("killed", "was ended by signal 9");
    told("garbage", "is not UTF-8");
    told("flood", "answered more than 1 MiB");
    told("silent", "ended without an answer");
    let (exit, said) = shadowed.run(&["--agent", "no-such-agent-here"]);
    assert!(
        exit == 1 && said.contains("could not be found") && said.contains("blocked by coverage: agent"),
        "{said}"
    );
}

#[test]
fn the_reports_have_the_agent_and_queries_that_cannot_be_used_say_why() {
    let shadowed = with_queries();
    let (exit, said) = shadowed.run(&["--agent", &agent("round1"), "--agent-runs", "2"]);
    assert!(
        exit == 1 && said.contains("the agent  agent") && said.contains("blocked by agent: agent"),
        "{said}"
    );
    assert!(said.contains("--agent CMD --query distance"), "{said}");
    let page = shadowed.path("page.html");
    assert_eq!(shadowed.shadow(&["report"], &["--html", &page.display().to_string()]).0, 0);
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.contains("id=\"agent\"") && html.contains("answer: distance"), "{html}");
    let (exit, said) = shadowed.shadow(&["report"], &[]);
    assert!(exit == 0 && said.contains("the agent  agent"), "{said}");
    let (exit, said) = shadowed.run(&[]);
    assert!(exit == 0 && said.contains("2 queries are not run: `--agent CMD`"), "{said}");
    let (exit, said) = shadowed.run(&["--agent", "true", "--query", "none"]);
    assert!(exit == 1 && said.contains("no query `none`") && said.contains("queries/NAME.toml"), "{said}");
    std::fs::write(shadowed.path("suite/queries/bad.toml"), "format = 1\nquery = 3\n").unwrap();
    let (exit, said) = shadowed.run(&["--agent", "true"]);
    assert!(exit == 1 && said.contains("queries/bad.toml") && said.contains("expected a string"), "{said}");
}
