//! `airlock policy`, and what `check` says about grants: through the program, on registries that a reviewer would write.

use std::path::Path;
use std::process::{Command, Output};

use airlock_tests::{program, root};
use serde_json::json;

use crate::keep::{Place, call, example};
use crate::{stderr, stdout};
use airlock_types::code::Code;

fn airlock_in(folder: &Path, args: &[&str]) -> Output {
    Command::new(program()).current_dir(folder).args(args).output().unwrap()
}

/// A folder with the web guest as `web.wasm`, and with this registry.
fn web(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(root().join("tests/guests/build/fetcher.wasm"), folder.path().join("web.wasm")).unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("airlock.toml"), text).unwrap();
    folder
}

#[test]
fn check_names_what_is_odd_about_grants() {
    let folder = web(
        "[tools.web]\ncomponent = \"web.wasm\"\ngrants.config = { zone = \"eu\" }\ngrants.http = [\n\
        { host = \"*.example.com\" },\n{ host = \"*.example.org\", reason = \"one host for each customer\" },\n\
        { host = \"10.0.0.1\" },\n{ host = \"10.0.0.2\", addresses = [\"10.0.0.0/8\"] },\n{ host = \"localhost\", scheme = \"http\" },\n\
        { host = \"api.example.com\", path = \"/v1/\" },\n{ host = \"api.invalid\" },\n]\n\
        grants.files = [{ host = \"data\", guest = \"/data/\" }]\n",
    );
    let output = airlock_in(folder.path(), &["check"]);
    let said = stderr(&output);
    for (kind, line, piece) in [
        ("grant-unrequested", 3, "the value `zone`"),
        ("grant-unrequested", 13, "the folder `/data/`"),
        ("wildcard-without-reason", 5, "`*.example.com`"),
        ("private-without-cidr", 7, "`10.0.0.1`"),
        ("private-without-cidr", 9, "`localhost`"),
        ("path-normalized", 10, "`path = \"/v1/\"` is read as `/v1`"),
        ("host-unmatchable", 11, "`api.invalid`"),
        ("path-normalized", 13, "`guest = \"/data/\"` is read as `/data`"),
    ] {
        let end = format!("({kind}, airlock.toml:{line})");
        assert!(
            said.lines().any(|found| found.ends_with(&end) && found.contains(piece)),
            "{end} {piece}: {said}"
        );
    }
    for fine in ["example.org", "10.0.0.2"] {
        assert!(!said.contains(fine), "{said}");
    }
    assert_eq!(airlock_in(folder.path(), &["check", "--strict"]).status.code(), Some(1));
}

#[test]
fn diff_tells_wider_from_narrower_and_ends_with_3_for_the_wider() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, grants: &str| {
        let text = format!("[tools.web]\ncomponent = \"absent.wasm\"\n{grants}");
        std::fs::write(folder.path().join(name), text).unwrap();
    };
    write("none.toml", "");
    write("one.toml", "grants.http = [{ host = \"a.example\" }]\ngrants.clock = true\n");
    write(
        "less.toml",
        "grants.http = [{ host = \"a.example\", path = \"/v1\" }]\ngrants.clock = \"frozen\"\n",
    );
    write("report.toml", "report = { until = 2027-01-01, grants = { http = [{ host = \"b.example\" }] } }\n");
    write("ann.toml", "[callers.ann]\ntools = [\"web\"]\ngrants.clock = true\n");
    write("eve.toml", "[callers.ann]\ntools = [\"web\"]\n");
    write("all.toml", "[callers.ann]\ntools = [\"*\"]\ngrants.clock = true\n");
    for (old, new, code, pieces) in [
        ("one", "one", 0, &["nothing changed"][..]),
        (
            "none",
            "one",
            3,
            &["added    tools.web.grants.http[https://a.example/]", "added    tools.web.grants.clock"][..],
        ),
        ("one", "none", 0, &["removed  tools.web.grants.clock"][..]),
        ("one", "less", 0, &["narrowed tools.web.grants.clock"][..]),
        ("less", "one", 3, &["widened  tools.web.grants.clock"][..]),
        ("none", "report", 3, &["added    tools.web.report.grants.http[https://b.example/]"][..]),
        ("ann", "eve", 3, &["widened  callers.ann.grants"][..]),
        ("eve", "ann", 0, &["narrowed callers.ann.grants"][..]),
        ("ann", "all", 3, &["widened  callers.ann.tools"][..]),
    ] {
        let (old, new) = (format!("{old}.toml"), format!("{new}.toml"));
        let output = airlock_in(folder.path(), &["policy", "diff", &old, &new]);
        let said = stdout(&output);
        assert_eq!(output.status.code(), Some(code), "{old} {new}: {said}{}", stderr(&output));
        for piece in pieces {
            assert!(said.contains(piece), "{old} {new}: {said}");
        }
    }
    let output = airlock_in(folder.path(), &["policy", "diff", "none.toml", "one.toml", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["wider"], found["changes"].as_array().unwrap().len()), (&json!(true), 2));
}

const TRIED: &str = "[tools.keep]\ncomponent = \"keeper.wasm\"\ngrants = { clock = true, random = true, config = { a = \"1\", b = \"2\" }, keyvalue = { buckets = [\"x\", \"y\"] } }\n";

/// A registry of the keeper whose journal has calls that used the clock, one value and one bucket.
async fn used() -> Place {
    let place = Place::new();
    place.registry(TRIED).unwrap();
    let host = place.open_kept("grants = { clock = true, random = true, config = { a = \"1\", b = \"2\" }, keyvalue = { buckets = [\"x\", \"y\"] } }\n").await;
    call(&host, "now", &json!({}), Code::Ok).await;
    call(&host, "values", &json!({"keys": ["a"]}), Code::Ok).await;
    call(&host, "put", &json!({"bucket": "x", "key": "k", "value": "v"}), Code::Ok).await;
    host.journal().flush().unwrap();
    drop(host);
    place.registry(TRIED).unwrap();
    place
}

#[tokio::test]
async fn suggest_covers_what_was_used_and_no_more_and_unused_lists_the_rest() {
    let place = used().await;
    let folder = place.folder.path();
    let output = airlock_in(folder, &["policy", "suggest"]);
    let said = stdout(&output);
    assert!(output.status.success(), "{}", stderr(&output));
    let printed: toml::Table = toml::from_str(&said).unwrap();
    let expect: toml::Table = toml::from_str(
        "[tools.keep]\ngrants = { clock = true, config = { a = \"1\" }, keyvalue = { buckets = [\"x\"] } }\n",
    )
    .unwrap();
    assert_eq!(printed, expect, "{said}");
    assert!(said.contains("from 3 attempts") && said.contains("1 uses: clock"), "{said}");
    // It is narrower, and the calls that it is made of pass under it.
    let old = place.path("old.toml");
    std::fs::rename(place.path("airlock.toml"), &old).unwrap();
    std::fs::write(
        place.path("airlock.toml"),
        said.replace("[tools.keep]\n", "[tools.keep]\ncomponent = \"keeper.wasm\"\n"),
    )
    .unwrap();
    let diff = airlock_in(folder, &["policy", "diff", "old.toml", "airlock.toml"]);
    assert_eq!(diff.status.code(), Some(0), "{}", stdout(&diff));
    assert!(stdout(&diff).contains("narrowed") && stdout(&diff).contains("removed"), "{}", stdout(&diff));
    for (function, args) in [
        ("keep_now", "{}"),
        ("keep_values", "{\"keys\": [\"a\"]}"),
        ("keep_put", "{\"bucket\": \"x\", \"key\": \"k\", \"value\": \"v\"}"),
    ] {
        let output = airlock_in(folder, &["call", function, args]);
        assert!(output.status.success(), "{function}: {}{}", stdout(&output), stderr(&output));
    }
    std::fs::rename(&old, place.path("airlock.toml")).unwrap();
    let said = stdout(&airlock_in(folder, &["policy", "unused"]));
    for rule in [
        "tools.keep.grants.random (airlock.toml:3)",
        "tools.keep.grants.config.b (airlock.toml:3)",
        "grants.keyvalue.buckets.y",
    ] {
        assert!(said.contains(rule), "{rule}: {said}");
    }
    assert_eq!(said.lines().count(), 3, "{said}");
    // Before the records of the last second there is nothing to go by.
    let said = stdout(&airlock_in(folder, &["policy", "suggest", "--since", "0s"]));
    assert!(said.contains("no record"), "{said}");
    assert!(!airlock_in(folder, &["policy", "suggest", "--since", "soon"]).status.success());
}

#[test]
fn cases_are_decided_as_calls_are_and_name_the_rule() {
    let folder = web(
        "[tools.web]\ncomponent = \"web.wasm\"\nfunctions = [\"fetch\"]\ngrants.http = [\n    { host = \"a.example\", path = \"/v1\" },\n]\n\
        report = { until = \"2999-01-01\", grants = { http = [{ host = \"b.example\" }] } }\n\
        [callers.ann]\ntools = [\"*\"]\ngrants.http = [{ host = \"c.example\" }]\n",
    );
    let cases = "[[case]]\ntool = \"web\"\ndecision = \"allow\"\n\
        [[case]]\ntool = \"web\"\nrequest = { http = \"GET https://a.example/v1/x\" }\ndecision = \"allow\"\nrule = \"tools.web.grants.http[0]\"\n\
        [[case]]\ntool = \"web\"\nrequest = { http = \"GET https://a.example/v2\" }\ndecision = \"deny\"\nrule = \"airlock.toml:5\"\n\
        [[case]]\ntool = \"web\"\nrequest = { http = \"GET https://b.example/\" }\ndecision = \"report\"\n\
        [[case]]\ntool = \"web\"\nrequest = { http = \"POST https://a.example/v1\" }\ndecision = \"deny\"\n\
        [[case]]\ntool = \"web\"\ncaller = \"ann\"\nrequest = { http = \"GET https://a.example/v1\" }\ndecision = \"deny\"\nrule = \"callers.ann.grants.http\"\n";
    std::fs::write(folder.path().join("cases.toml"), cases).unwrap();
    let output = airlock_in(folder.path(), &["policy", "test", "cases.toml"]);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("6 cases, 0 failed"), "{}", stdout(&output));
    // A case that does not hold says what holds, and what would allow it.
    std::fs::write(
        folder.path().join("wrong.toml"),
        "[[case]]\ntool = \"web\"\nrequest = { http = \"GET https://c.example/\" }\ndecision = \"allow\"\n",
    )
    .unwrap();
    let output = airlock_in(folder.path(), &["policy", "test", "wrong.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stdout(&output);
    assert!(
        said.contains("FAIL 1")
            && said.contains("deny")
            && said.contains("grants.http = [{ host = \"c.example\", methods = [\"GET\"] }]"),
        "{said}"
    );
    for broken in [
        "",
        "[[case]]\ntool = \"web\"\ndecision = \"perhaps\"\n",
        "[[case]]\ntool = \"none\"\ndecision = \"deny\"\n",
        "[[case]]\ntool = \"web\"\nrequest = { http = \"a.example\" }\ndecision = \"deny\"\n",
    ] {
        std::fs::write(folder.path().join("broken.toml"), broken).unwrap();
        assert!(!airlock_in(folder.path(), &["policy", "test", "broken.toml"]).status.success(), "{broken}");
    }
}

#[test]
fn the_examples_of_the_page_are_what_it_says() {
    let page = |place| example("## Who gets what", place);
    let folder = web(&page(0));
    let output = airlock_in(folder.path(), &["check"]);
    assert!(
        output.status.success() && !stderr(&output).contains("web` is granted `https"),
        "{}",
        stderr(&output)
    );
    let cases = page(2).replace("tool = \"web\"", "tool = \"web_fetch\"");
    std::fs::write(folder.path().join("cases.toml"), cases).unwrap();
    let output = airlock_in(folder.path(), &["policy", "test", "cases.toml"]);
    assert!(stdout(&output).contains("2 cases, 0 failed"), "{}{}", stdout(&output), stderr(&output));
    let folder = web(&page(1));
    let output = airlock_in(folder.path(), &["check"]);
    assert!(stderr(&output).contains("tries extra grants until 2026-12-31"), "{}", stderr(&output));
}
