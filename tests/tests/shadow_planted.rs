//! Planted changes of each kind, and the verdict about each.

use airlock_contract::package::{embed, packed};
use airlock_tests::root;
use serde_json::{Value, json};

use crate::shadow::{MONTH, Shadowed};
use crate::shadow_agent::{agent, write_queries};

/// Changes of each kind in an ordinary run of the tests. `cargo xtask shadow` plants sixty.
const SAMPLE: u32 = 4;

/// Months that no case asks for.
const OTHER_MONTHS: [&str; 3] = ["2007-05", "2009-10", "2012-01"];

/// Plants the n-th change of a kind. Returns what the run is to be told beside the suite.
fn plant(shadowed: &Shadowed, kind: &str, n: u32) -> Vec<String> {
    match kind {
        "none" => harmless(shadowed, n),
        "host" => other_host(shadowed, n),
        "tool" => {
            let to = ["build/unit-convert.wasm", "new.wasm"][n as usize % 2];
            let path = shadowed.other_mile(to, 1_609.344 + f64::from(n + 1) * 0.01);
            return tried(n, &path.display().to_string());
        }
        "upstream" => shadowed.edit_data(MONTH, i64::from(n + 1) * if n.is_multiple_of(2) { 7 } else { -7 }),
        "checks" => {
            let to = ["build/unit-convert.wasm", "new.wasm"][n as usize % 2];
            let max = f64::from(n) * 0.5;
            let verdict = ["warn", "suspect", "reject"][n as usize / 2 % 3];
            let check = format!("range = {{ field = \"value\", max = {max:.1} }}\nverdict = \"{verdict}\"");
            let path = shadowed.other_check(to, &check);
            return tried(n, &path.display().to_string());
        }
        // The program is another one.
        "agent" => {}
        other => panic!("{other}"),
    }
    Vec::new()
}

/// Every second change is in a candidate, the others in the registry.
fn tried(n: u32, path: &str) -> Vec<String> {
    let words = ["--candidate", path, "--tool", "unit_convert"];
    if n.is_multiple_of(2) { Vec::new() } else { words.map(str::to_owned).into() }
}

/// What changes nothing that a tool answers.
fn harmless(shadowed: &Shadowed, n: u32) {
    let registry = shadowed.path("airlock.toml");
    let text = std::fs::read_to_string(&registry).unwrap();
    match n % 4 {
        0 => std::fs::write(&registry, format!("# night {n}\n{text}")).unwrap(),
        1 => shadowed.edit_data(OTHER_MONTHS[n as usize / 4 % 3], i64::from(n)),
        2 => {
            // The same code, with a description that is other: another component by its digest.
            let path = root().join("example-tools/build/unit-convert.wasm");
            let bytes = std::fs::read(path).unwrap();
            let mut parts = packed(&bytes).unwrap().unwrap();
            let contract =
                parts.contract.take().unwrap().replace("Convert units", &format!("Convert units {n}"));
            parts.contract = Some(contract);
            std::fs::write(shadowed.path("build/unit-convert.wasm"), embed(&bytes, &parts).unwrap()).unwrap();
        }
        _ => {
            let other = root().join("example-tools/build/pay-band.wasm");
            let entry = format!("[tools.pay_band_{n}]\ncomponent = \"{}\"\n", other.display());
            std::fs::write(&registry, format!("{text}\n{entry}")).unwrap();
        }
    }
}

/// What a host would have recorded that computes otherwise: of another fuel, another outcome, another judgement, another import.
fn other_host(shadowed: &Shadowed, n: u32) {
    let by = u64::from(n + 1);
    let attempt = |case: &mut Value, change: &dyn Fn(&mut Value)| change(&mut case["record"]["attempts"][0]);
    match n % 4 {
        0 => shadowed.edit("sector_metrics", |case| {
            attempt(case, &|attempt| {
                let fuel = attempt["usage"]["fuel"].as_u64().unwrap();
                attempt["usage"]["fuel"] = json!(fuel + by);
            });
        }),
        1 => shadowed.edit("unit_convert", |case| {
            attempt(case, &|attempt| attempt["recording"]["end_sha256"] = json!(format!("{by:064x}")));
        }),
        2 => shadowed.edit("unit_convert", |case| {
            let code = ["ok.degraded", "check.implausible"][n as usize / 4 % 2];
            attempt(case, &|attempt| attempt["code"] = json!(code));
        }),
        _ => shadowed.edit("sector_metrics", |case| {
            attempt(case, &|attempt| {
                let text = attempt["recording"]["cassette"].as_str().unwrap();
                let mut cassette = airlock_types::cassette::Cassette::read(text).unwrap();
                let at = n as usize / 4 % cassette.entries.len();
                cassette.entries[at].args = json!([format!("/data/other-{n}")]);
                let text = cassette.write();
                attempt["recording"]["sha256"] = json!(airlock_types::digest::sha256(text.as_bytes()));
                attempt["recording"]["cassette"] = json!(text);
            });
        }),
    }
}

/// Plants changes of a kind, and counts the runs whose verdicts are right: one tool has the verdict of the kind, and the others
/// have none.
fn planted(kind: &str, count: u32) -> u32 {
    let shadowed = Shadowed::new();
    write_queries(&shadowed);
    let is_right = |n: &u32| {
        let copy = shadowed.copy();
        let more = plant(&copy, kind, *n);
        // An agent is there each time, and changes where that is planted.
        let agent = agent(if kind == "agent" { CHANGES[*n as usize % CHANGES.len()] } else { "" });
        let always = ["--json", "--no-history", "--agent", &agent];
        let words: Vec<&str> = more.iter().map(String::as_str).chain(always).collect();
        let (exit, said) = copy.run(&words);
        let json = said.find('{').map_or("", |from| &said[from..]);
        let found = serde_json::Deserializer::from_str(json).into_iter::<Value>().next();
        let Some(Ok(found)) = found else { panic!("{kind} {n}: {said}") };
        let tools = found["night"]["tools"].as_object().unwrap();
        let verdicts: Vec<&str> = tools
            .values()
            .chain([&found["night"]["agent"]])
            .map(|tool| tool["verdict"].as_str().unwrap())
            .filter(|one| *one != "none")
            .collect();
        let expected: &[&str] = if kind == "none" { &[] } else { &[kind] };
        verdicts == expected && (exit == 0) == (kind == "none")
    };
    (0..count).filter(is_right).count() as u32
}

const KINDS: [&str; 6] = ["none", "host", "tool", "upstream", "checks", "agent"];

/// Changes of the agent: its answers, and its calls.
const CHANGES: [&str; 6] = ["round1", "twice", "unit", "round0", "round2", "round5"];

#[test]
fn a_sample_of_planted_changes_is_attributed_rightly() {
    for kind in KINDS {
        assert_eq!(planted(kind, SAMPLE), SAMPLE, "{kind}");
    }
}

#[test]
#[ignore = "takes longer; `cargo xtask shadow` runs it"]
#[expect(clippy::print_stderr, reason = "its figures are what it is run for")]
fn sixty_planted_changes_of_each_kind_are_attributed_rightly() {
    for kind in KINDS {
        let right = planted(kind, 60);
        eprintln!("{kind}: {right} of 60");
        assert!(right >= 59, "{kind}: {right} of 60");
    }
}
