//! Comparators that a contract declares, through `airlock shadow run`: which differences are no drift, and whose comparator counts.

use airlock_contract::package::{embed, packed};
use serde_json::json;

use crate::shadow::{MONTH, Shadowed};

/// A mile in meters, as the component has it.
const MILE: f64 = 1_609.344;

/// A registry with a recorded call of each tool, whose contracts have these comparators.
fn recorded(convert: &str, metrics: &str) -> Shadowed {
    let shadowed = Shadowed::without_calls();
    declare(&shadowed, "unit-convert", "convert", convert);
    declare(&shadowed, "sector-metrics", "sector-metrics", metrics);
    shadowed.call("unit_convert", &json!({"from": "mile", "to": "km", "value": 26.2}));
    shadowed.call("sector_metrics", &json!({"period": MONTH}));
    capture(&shadowed);
    shadowed
}

fn capture(shadowed: &Shadowed) {
    let (exit, said) = shadowed.shadow(&["capture"], &[]);
    assert_eq!(exit, 0, "{said}");
}

/// Adds comparators to the contract of a component. Each is a place and how it is compared.
fn declare(shadowed: &Shadowed, component: &str, function: &str, rules: &str) {
    let path = shadowed.path(&format!("build/{component}.wasm"));
    let bytes = std::fs::read(&path).unwrap();
    let mut parts = packed(&bytes).unwrap().unwrap();
    let contract = parts.contract.as_mut().unwrap();
    for rule in rules.lines() {
        let (at, with) = rule.split_once(" = ").unwrap();
        let place = if at == "f64" { "type = \"f64\"".to_owned() } else { format!("at = \"{at}\"") };
        contract.push_str(&format!("\n[[tool.{function}.compare]]\n{place}\nwith = {{ {with} }}\n"));
    }
    std::fs::write(&path, embed(&bytes, &parts).unwrap()).unwrap();
}

/// Makes a mile another one in the component of the registry, or in a copy of it.
fn other_mile(shadowed: &Shadowed, to: &str, meters: f64) -> String {
    let mut bytes = std::fs::read(shadowed.path("build/unit-convert.wasm")).unwrap();
    let at = bytes.windows(8).position(|window| window == MILE.to_le_bytes()).unwrap();
    bytes[at..at + 8].copy_from_slice(&meters.to_le_bytes());
    std::fs::write(shadowed.path(to), bytes).unwrap();
    shadowed.path(to).display().to_string()
}

/// Appends a comparator to the suite.
fn suite_compares(shadowed: &Shadowed, rule: &str) {
    let path = shadowed.path("suite/suite.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}\n[[compare]]\ntool = \"unit_convert\"\n{rule}\n")).unwrap();
}

/// Runs the suite: what it says of the two tools.
fn verdicts(shadowed: &Shadowed, more: &[&str]) -> [String; 2] {
    let (exit, said) = shadowed.run(more);
    let verdict = |tool: &str| {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(tool));
        let verdict = line.unwrap_or_else(|| panic!("{said}")).split_whitespace().next();
        verdict.unwrap_or_default().to_owned()
    };
    let found = ["unit_convert ", "sector_metrics "].map(verdict);
    assert_eq!(exit == 0, found.iter().all(|verdict| verdict == "none"), "{said}");
    found
}

const NONE: [&str; 2] = ["none", "none"];
const TOOL: [&str; 2] = ["tool", "none"];

#[test]
fn an_answer_within_the_comparator_of_the_contract_is_no_drift_and_one_outside_is() {
    for within in ["value = by = \"absolute\", within = 0.5", "f64 = by = \"relative\", within = 0.012"] {
        let shadowed = recorded(within, "");
        assert_eq!(verdicts(&shadowed, &[]), NONE);
        // 41.92 km instead of 42.16, and 39.3: as a candidate, and in the registry.
        for (meters, expected) in [(1_600.0, NONE), (1_500.0, TOOL)] {
            let new = other_mile(&shadowed, "new.wasm", meters);
            let tool = ["--candidate", &new, "--tool", "unit_convert"];
            assert_eq!(shadowed.run(&tool).0, i32::from(expected == TOOL), "{within}: {meters}");
            let copy = shadowed.copy();
            other_mile(&copy, "build/unit-convert.wasm", meters);
            assert_eq!(verdicts(&copy, &[]), expected, "{within}: {meters}");
        }
    }
    // Without one every difference is drift.
    let shadowed = recorded("", "");
    other_mile(&shadowed, "build/unit-convert.wasm", MILE + 0.001);
    assert_eq!(verdicts(&shadowed, &[]), TOOL);
}

#[test]
fn what_an_upstream_and_a_reference_may_differ_by_is_in_the_contract_too() {
    let shadowed =
        recorded("value = by = \"absolute\", within = 0.5", "f64 = by = \"absolute\", within = 10");
    let near = shadowed.copy();
    near.edit_data(MONTH, 3);
    assert_eq!(verdicts(&near, &[]), NONE);
    let far = shadowed.copy();
    far.edit_data(MONTH, 3_000);
    assert_eq!(verdicts(&far, &[]), ["none", "upstream"]);
    for (value, exit) in [(42.0, 0), (43.0, 1)] {
        let answer = json!({"tag": "ok", "val": {"value": value, "unit": "km"}});
        shadowed.edit("unit_convert", |case| case["reference"] = json!({"by": "maria", "answer": answer}));
        let (found, said) = shadowed.run(&["--tool", "unit_convert"]);
        assert_eq!(found, exit, "{said}");
        assert_eq!(said.contains("blocked by reference: "), exit == 1, "{said}");
    }
}

#[test]
fn the_comparator_of_the_suite_wins_over_that_of_the_contract_for_its_place() {
    let shadowed = recorded("value = by = \"absolute\", within = 0.5", "");
    let narrower = shadowed.copy();
    other_mile(&narrower, "build/unit-convert.wasm", 1_600.0);
    assert_eq!(verdicts(&narrower, &[]), NONE);
    suite_compares(&narrower, "at = \"value\"\nwith = { by = \"exact\" }");
    assert_eq!(verdicts(&narrower, &[]), TOOL);
    let wider = shadowed.copy();
    other_mile(&wider, "build/unit-convert.wasm", 1_500.0);
    assert_eq!(verdicts(&wider, &[]), TOOL);
    // One for the type leaves that of the contract for the place.
    suite_compares(&wider, "type = \"f64\"\nwith = { by = \"absolute\", within = 5 }");
    assert_eq!(verdicts(&wider, &[]), TOOL);
    suite_compares(&wider, "at = \"value\"\nwith = { by = \"absolute\", within = 5 }");
    assert_eq!(verdicts(&wider, &[]), NONE);
}

#[test]
fn a_candidate_cannot_allow_itself_to_differ() {
    let shadowed = recorded("", "");
    declare(&shadowed, "unit-convert", "convert", "value = by = \"ignore\"");
    // The code is the same: a comparator alone is no drift.
    assert_eq!(verdicts(&shadowed, &[]), NONE);
    other_mile(&shadowed, "build/unit-convert.wasm", 1_600.0);
    assert_eq!(verdicts(&shadowed, &[]), TOOL);
}

#[test]
fn each_case_is_compared_as_the_component_that_it_was_recorded_with_says() {
    let shadowed = Shadowed::without_calls();
    let call =
        |value: f64| shadowed.call("unit_convert", &json!({"from": "mile", "to": "km", "value": value}));
    // The first component has no comparator, the second one has, and what is tried differs from both.
    call(10.0);
    // Its component is kept with the suite.
    capture(&shadowed);
    declare(&shadowed, "unit-convert", "convert", "value = by = \"ignore\"");
    call(20.0);
    capture(&shadowed);
    let new = other_mile(&shadowed, "new.wasm", 1_600.0);
    let (exit, said) = shadowed.run(&["--candidate", &new, "--json", "--no-history"]);
    assert_eq!(exit, 1, "{said}");
    let document: serde_json::Value = serde_json::Deserializer::from_str(&said[said.find('{').unwrap()..])
        .into_iter()
        .next()
        .unwrap()
        .unwrap();
    let statuses =
        document["cases"].as_array().unwrap().iter().map(|case| case["legs"]["tool"]["status"].clone());
    let mut statuses: Vec<String> =
        statuses.map(|status| status.as_str().unwrap_or_else(|| panic!("{said}")).to_owned()).collect();
    statuses.sort();
    assert_eq!(statuses, ["changed", "same"], "{document:#}");
    assert_eq!(document["night"]["tools"]["unit_convert"]["ignored"], 1);
}
