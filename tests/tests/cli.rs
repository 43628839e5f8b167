//! The command line, run as a user runs it.

use std::io::Read as _;
use std::process::{Command, Stdio};

use airlock_tests::{program, registry, root};
use serde_json::Value;

use crate::{airlock, stderr, stdout};

fn json(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|err| panic!("{err}: {}", stderr(output)))
}

#[test]
fn tools_lists_them_as_one_json_document() {
    let tools = json(&airlock("example", &["tools", "--json"]));
    let names: Vec<_> = tools["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect();
    assert_eq!(
        names,
        ["pay_band", "sector_metrics", "sector_metrics_quarterly", "text_digest", "unit_convert"]
    );
    for tool in tools["tools"].as_array().unwrap() {
        assert!(tool["title"].is_string() && tool["effects"].is_string(), "{tool}");
        assert!(!tool["description"].as_str().unwrap().is_empty(), "{tool}");
    }
}

#[test]
fn a_call_prints_the_envelope_and_its_record_can_be_shown() {
    let output = airlock(
        "example",
        &["call", "unit_convert", r#"{"value": 10, "from": "km", "to": "mile"}"#, "--json"],
    );
    let reply = json(&output);
    assert_eq!((output.status.code(), &reply["status"]), (Some(0), &Value::from("ok")), "{reply}");
    let shown = airlock("example", &["show", reply["record"].as_str().unwrap(), "--json"]);
    assert_eq!(json(&shown)["code"], "ok");
}

#[test]
fn exit_codes_are_those_of_the_table() {
    for (registry, tool, args, exit) in [
        ("example", "unit_convert", "{}", 10),
        ("example", "no_such_tool", "{}", 10),
        ("example", "unit_convert", "{not json", 10),
        ("hostile", "hostile_loop_forever", "{}", 30),
    ] {
        let output = airlock(registry, &["call", tool, args, "--json"]);
        assert_eq!(output.status.code(), Some(exit), "{tool} {args}: {}", stdout(&output));
    }
    assert_eq!(airlock("example", &["no-such-verb"]).status.code(), Some(2));
    assert_eq!(airlock("no/such.toml", &["tools"]).status.code(), Some(1));
    assert_eq!(airlock("example", &["explain", "no_such_tool"]).status.code(), Some(10));
    assert_eq!(airlock("example", &["serve"]).status.code(), Some(2));
    for asked in ["--help", "--version"] {
        assert_eq!(airlock("example", &[asked]).status.code(), Some(0));
    }
}

#[test]
fn input_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("airlock.toml"), "").unwrap();
    for (path, verb) in [
        (registry("example"), ["call", "unit_convert", "-"]),
        (folder.path().join("airlock.toml"), ["secret", "set", "K"]),
    ] {
        let stdin = std::fs::File::open(folder.path()).unwrap();
        let output =
            Command::new(program()).arg("--registry").arg(path).args(verb).stdin(stdin).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{verb:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("stdin cannot be read: Is a directory"), "{}", stderr(&output));
    }
}

#[test]
fn a_closed_pipe_is_not_a_panic() {
    let mut child = Command::new(program())
        .arg("--registry")
        .arg(registry("example"))
        .args(["tools", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn output_that_is_lost_is_an_error() {
    for verb in [
        &["tools"][..],
        &["check"],
        &["--help"],
        &["call", "--help"],
        &["--version"],
        &["call", "unit_convert", r#"{"value": 1, "from": "km", "to": "mile"}"#],
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(program());
        let command = command.arg("--registry").arg(registry("example")).args(verb).stdout(full);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(70), "{verb:?}: {}", stderr(&output));
        assert!(
            stderr(&output).contains("cannot be written to stdout: No space left"),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn explain_prints_the_plan_without_running_anything() {
    let output = airlock("example", &["explain", "sector_metrics"]);
    let text = stdout(&output);
    assert!(text.contains("sector_metrics_quarterly"), "{text}{}", stderr(&output));
    let same = airlock("example", &["explain", "sector_metrics"]);
    assert_eq!(text, stdout(&same), "the same question, the same plan");
}

#[test]
fn explain_refuses_what_call_refuses_and_omits_the_same_fallbacks() {
    let folder = tempfile::tempdir().unwrap();
    let build = root().join("example-tools/build");
    let text = format!(
        "[tools.front]\ncomponent = \"{0}/sector-metrics.wasm\"\nfallback = [\"ungranted\"]\ngrants.clock = true\n\
         grants.files = [{{ host = \"{0}/../data\", guest = \"/data\" }}]\n\
         [tools.ungranted]\ncomponent = \"{0}/sector-metrics.wasm\"\n",
        build.display()
    );
    let registry = folder.path().join("airlock.toml");
    std::fs::write(&registry, text).unwrap();
    let airlock =
        |args: &[&str]| Command::new(program()).arg("--registry").arg(&registry).args(args).output().unwrap();
    let denied = airlock(&["explain", "ungranted"]);
    let said = stdout(&denied);
    assert!(said.starts_with("decision: deny\n- `files` is not granted (/data"), "{said}");
    assert!(said.contains("grant it with") && !said.contains("worst case"), "{said}");
    let call = airlock(&["call", "ungranted", r#"{"period": "2009-10"}"#]);
    assert_eq!((denied.status.code(), call.status.code()), (Some(20), Some(20)));
    let allowed = airlock(&["explain", "front"]);
    let said = stdout(&allowed);
    assert!(
        said.starts_with("decision: allow\n- `files` is granted") && said.contains("worst case"),
        "{said}"
    );
    assert!(!said.contains("ungranted"), "a fallback that may not run is no part of the plan: {said}");
}

#[test]
fn inspect_shows_what_is_asked_for_and_granted() {
    let shown = json(&airlock("example", &["inspect", "sector_metrics", "--json"]));
    assert_eq!(shown["granted"]["files"][0]["guest"], "/data");
    assert_eq!(shown["missing"], Value::Array(vec![]));
    let text = stdout(&airlock("example", &["inspect", "unit_convert"]));
    assert!(text.contains("unit_convert") && text.contains("exports"), "{text}");
}

#[test]
fn inspect_says_of_each_import_who_grants_it_and_what_it_reaches() {
    let text = stdout(&airlock("hostile", &["inspect", "hostile_now"]));
    for (import, standing) in [
        ("wasi:clocks/wall-clock@", "needs `grants.clock`: reads the time and waits"),
        (
            "wasi:filesystem/preopens@",
            "needs `grants.files`: reads the folders that are granted, and writes where that is granted",
        ),
        ("wasi:cli/stdout@", "always there, prints into the record of the call"),
        ("wasi:io/streams@", "always there, reaches nothing"),
        ("wasi:logging/logging", "always there, writes into the record of the call"),
    ] {
        let line = text.lines().find(|line| line.trim().starts_with(import));
        assert!(line.is_some_and(|line| line.ends_with(standing)), "{import}: {text}");
    }
}

#[test]
fn export_speaks_every_dialect() {
    let dialects =
        ["openai", "openai-strict", "anthropic", "anthropic-strict", "gemini", "gemini-openapi", "llama-cpp"];
    for dialect in dialects {
        let tools = json(&airlock("example", &["export", "--for", dialect]));
        assert_eq!(tools.as_array().unwrap().len(), 5, "{dialect}");
    }
    assert_eq!(airlock("example", &["export", "--for", "klingon"]).status.code(), Some(2));
    let one = json(&airlock("example", &["export", "--for", "gemini", "pay_band"]));
    assert_eq!((one.as_array().unwrap().len(), &one[0]["name"]), (1, &Value::from("pay_band")));
}

#[test]
fn export_check_names_the_published_limits_that_tools_exceed() {
    let fits = airlock("example", &["export", "--check", "--for", "anthropic-strict"]);
    assert_eq!(stdout(&fits), "5 tools within the published limits of anthropic-strict\n");
    // The component with all types of WIT has more unions than Anthropic compiles.
    let over = airlock("hostile", &["export", "--check", "--for", "anthropic-strict"]);
    assert_eq!(over.status.code(), Some(1), "{}", stdout(&over));
    assert!(stdout(&over).contains(" parameters with union types in one request"), "{}", stdout(&over));
    assert!(airlock("hostile", &["export", "--check", "--for", "anthropic"]).status.success());
    // A name that no tool has is an error: its client would miss the tool.
    let one = airlock("example", &["export", "--check", "--for", "openai-strict", "pay_bnd"]);
    assert_eq!(one.status.code(), Some(1));
    assert!(stderr(&one).contains("did you mean `pay_band`?"), "{}", stderr(&one));
}

#[test]
fn check_passes_on_the_example_registry() {
    // What other tests recorded does not count: the tables of the examples are of one day, and grow old.
    let output = airlock("example", &["check", "--strict", "--since", "2100-01-01T00:00:00Z"]);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
}
