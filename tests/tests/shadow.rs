//! `airlock shadow`: suites of recorded calls, nights, gates, reports. `shadow_planted` has the changes that are planted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use airlock_contract::package::{embed, packed};
use airlock_shadow::night::Night;
use airlock_tests::root;
use airlock_tests::services::Services;
use serde_json::{Value, json};

use crate::state_folder::airlock;

/// A registry with recorded calls of two example tools and a suite of them.
pub(crate) struct Shadowed {
    pub(crate) folder: tempfile::TempDir,
}

/// What a verb came to: exit code, and both outputs.
pub(crate) type Done = (i32, String);

/// The month that is asked for.
pub(crate) const MONTH: &str = "2015-03";

impl Shadowed {
    /// The registry, without a call.
    pub(crate) fn without_calls() -> Shadowed {
        let folder = tempfile::tempdir().unwrap();
        let (tools, build) = (root().join("example-tools"), folder.path().join("build"));
        for below in ["build", "data"] {
            std::fs::create_dir(folder.path().join(below)).unwrap();
        }
        for name in ["unit-convert", "sector-metrics", "text-digest"] {
            let file = format!("{name}.wasm");
            std::fs::copy(tools.join("build").join(&file), build.join(&file)).unwrap();
        }
        let data = "data/us-employment.csv";
        std::fs::copy(tools.join(data), folder.path().join(data)).unwrap();
        let entry = |key: &str, file: &str, more: &str| {
            format!("[tools.{key}]\ncomponent = \"build/{file}.wasm\"\nrecord = \"full\"\n{more}\n")
        };
        let files = "grants.files = [{ host = \"data\", guest = \"/data\" }]\ngrants.clock = true\n";
        let entries = [
            entry("unit_convert", "unit-convert", ""),
            entry("sector_metrics", "sector-metrics", files),
            entry("text_digest", "text-digest", ""),
        ];
        std::fs::write(folder.path().join("airlock.toml"), entries.concat()).unwrap();
        Shadowed { folder }
    }

    /// The registry with two calls, and their suite.
    pub(crate) fn new() -> Shadowed {
        let shadowed = Shadowed::without_calls();
        shadowed.call("unit_convert", &json!({"from": "mile", "to": "km", "value": 26.2}));
        shadowed.call("sector_metrics", &json!({"period": MONTH}));
        let (exit, said) = shadowed.shadow(&["capture"], &[]);
        assert_eq!(exit, 0, "{said}");
        shadowed
    }

    /// The same in another folder, to be changed.
    pub(crate) fn copy(&self) -> Shadowed {
        let folder = tempfile::tempdir().unwrap();
        // With the modes of the state folder, and its compiled code.
        let from = self.folder.path().join(".");
        let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(folder.path()).status();
        assert!(copied.unwrap().success());
        Shadowed { folder }
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub(crate) fn call(&self, tool: &str, args: &Value) -> String {
        let called = airlock(&self.path("airlock.toml"), &["call", tool, &args.to_string(), "--json"]);
        let reply: Value = serde_json::from_slice(&called.stdout).unwrap();
        reply["record"].as_str().unwrap().to_owned()
    }

    /// `airlock shadow VERB SUITE MORE`.
    pub(crate) fn shadow(&self, verb: &[&str], more: &[&str]) -> Done {
        let suite = self.path("suite").display().to_string();
        let done = airlock(&self.path("airlock.toml"), &[&["shadow"], verb, &[&suite], more].concat());
        let text =
            [&done.stdout, &done.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
        (done.status.code().unwrap(), text)
    }

    pub(crate) fn run(&self, more: &[&str]) -> Done {
        self.shadow(&["run"], more)
    }

    /// Changes the case of a tool.
    pub(crate) fn edit(&self, tool: &str, change: impl FnOnce(&mut Value)) {
        let mut case = None;
        for entry in std::fs::read_dir(self.path("suite/cases")).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_string_lossy().starts_with(tool) {
                case = Some(path);
            }
        }
        let path = case.unwrap();
        let mut value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut value);
        std::fs::write(&path, value.to_string()).unwrap();
    }

    /// Changes a figure of a month in the data.
    pub(crate) fn edit_data(&self, month: &str, by: i64) {
        let path = self.path("data/us-employment.csv");
        let changed = |line: &str| {
            let mut fields: Vec<String> = line.split(',').map(str::to_owned).collect();
            if fields[0].starts_with(month) {
                fields[1] = (fields[1].parse::<i64>().unwrap() + by).to_string();
            }
            fields.join(",")
        };
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<String> = text.lines().map(changed).collect();
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    }

    /// A component of `unit_convert` whose mile has another length.
    pub(crate) fn other_mile(&self, to: &str, meters: f64) -> PathBuf {
        let mut bytes = std::fs::read(root().join("example-tools/build/unit-convert.wasm")).unwrap();
        let (mile, other) = (1_609.344f64.to_le_bytes(), meters.to_le_bytes());
        let at = bytes.windows(mile.len()).position(|window| window == mile).unwrap();
        bytes[at..at + other.len()].copy_from_slice(&other);
        let path = self.path(to);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// A component of `unit_convert` with another check of its results.
    pub(crate) fn other_check(&self, to: &str, check: &str) -> PathBuf {
        let bytes = std::fs::read(root().join("example-tools/build/unit-convert.wasm")).unwrap();
        let mut parts = packed(&bytes).unwrap().unwrap();
        let contract = parts.contract.as_mut().unwrap();
        contract.push_str(&format!("\n[[tool.convert.expect]]\n{check}\n"));
        let path = self.path(to);
        std::fs::write(&path, embed(&bytes, &parts).unwrap()).unwrap();
        path
    }

    fn nights(&self) -> Vec<Night> {
        let mut files: Vec<PathBuf> = match std::fs::read_dir(self.path("suite/history")) {
            Ok(files) => files.map(|file| file.unwrap().path()).collect(),
            Err(_) => Vec::new(),
        };
        files.sort();
        files.iter().map(|file| Night::read(&std::fs::read_to_string(file).unwrap()).unwrap()).collect()
    }
}

/// Every file of a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => drop(found.insert(path.clone(), std::fs::read(&path).unwrap())),
        }
    }
    found
}

#[test]
fn a_suite_is_the_same_each_time_and_an_unchanged_night_passes() {
    let shadowed = Shadowed::new();
    let first = files(&shadowed.path("suite"));
    let (exit, said) = shadowed.shadow(&["capture"], &[]);
    assert!(exit == 0 && said.contains("2 cases of 2 tools"), "{said}");
    assert_eq!(first, files(&shadowed.path("suite")), "the same records give the same bytes");
    for n in 0..2 {
        let (exit, said) = shadowed.run(&[]);
        assert_eq!(exit, 0, "{said}");
        assert!(said.contains("sector_metrics  none") && said.contains("unit_convert  none"), "{said}");
        assert!(
            said.contains("upstream 1 the same, 0 different") && said.contains("no gate blocks"),
            "{said}"
        );
        assert_eq!(shadowed.nights().len(), n + 1);
    }
    // What tries something, or takes a part, is no night.
    for more in [&["--offline"][..], &["--tool", "unit_convert"], &["--no-history"]] {
        assert_eq!(shadowed.run(more).0, 0);
    }
    assert_eq!(shadowed.nights().len(), 2);
}

#[test]
fn incidents_grades_and_references_are_kept_and_what_tells_of_callers_is_not() {
    let shadowed = Shadowed::without_calls();
    let right = shadowed.call("unit_convert", &json!({"from": "mile", "to": "km", "value": 1}));
    let wrong = shadowed.call("unit_convert", &json!({"from": "mile", "to": "km", "value": 2}));
    for n in 3..20 {
        shadowed.call("unit_convert", &json!({"from": "mile", "to": "km", "value": n}));
    }
    let registry = shadowed.path("airlock.toml");
    assert!(airlock(&registry, &["grade", &right, "right"]).status.success());
    assert!(airlock(&registry, &["grade", &wrong, "wrong"]).status.success());
    let (exit, said) = shadowed.shadow(&["capture"], &["--cases", "4", "--seed", "7"]);
    assert!(
        exit == 0 && said.contains("4 cases of 1 tool") && said.contains("1 kept as incidents"),
        "{said}"
    );
    let cases = files(&shadowed.path("suite/cases"));
    let of = |id: &str| cases.iter().find(|(path, _)| path.display().to_string().contains(id));
    let (_, text) = of(&wrong).unwrap();
    let case: Value = serde_json::from_slice(text).unwrap();
    assert_eq!(case["incident"], "graded wrong");
    assert!(case["record"].get("session").is_none() && case["record"]["reply"].is_null(), "{case}");
    let settings = std::fs::read_to_string(shadowed.path("suite/suite.toml")).unwrap();
    assert!(settings.contains("seed = 7"), "{settings}");
    // A reference that was written by hand outlives the next capture, whatever that chooses.
    shadowed.edit("unit_convert", |case| case["reference"] = json!({"by": "maria", "answer": 1}));
    shadowed.call("unit_convert", &json!({"from": "mile", "to": "km", "value": 30}));
    assert_eq!(shadowed.shadow(&["capture"], &["--cases", "1", "--seed", "9"]).0, 0);
    let kept = files(&shadowed.path("suite/cases")).into_values();
    assert_eq!(kept.filter(|text| String::from_utf8_lossy(text).contains("maria")).count(), 1);
}

#[test]
fn no_case_is_lost_without_a_word_and_no_edited_record_becomes_one() {
    let shadowed = Shadowed::new();
    let edit = "UPDATE records SET record = replace(record, '\"caller\":\"local\"', '\"caller\":\"maria\"')
                WHERE tool = 'unit_convert'";
    let journal = rusqlite::Connection::open(shadowed.path(".airlock/journal.db")).unwrap();
    assert_eq!(journal.execute(edit, []).unwrap(), 1);
    let (exit, said) = shadowed.shadow(&["capture"], &["--keep"]);
    assert!(exit == 0 && said.contains("2 cases of 2 tools"), "{said}");
    assert!(said.contains("1 attempt left out: its record does not match the log"), "{said}");
    let (exit, said) = shadowed.shadow(&["capture"], &[]);
    assert!(exit == 0 && said.contains("1 case of 1 tool"), "{said}");
    assert!(said.contains("1 case of before removed") && said.contains("`unit_convert."), "{said}");
}

#[test]
fn what_was_graded_right_is_no_incident_however_it_ended() {
    let shadowed = Shadowed::without_calls();
    let (from, registry) = (root().join("tests/guests/build/hostile.wasm"), shadowed.path("airlock.toml"));
    std::fs::copy(from, shadowed.path("build/hostile.wasm")).unwrap();
    let text = std::fs::read_to_string(&registry).unwrap();
    let entry =
        "[tools.h]\ncomponent = \"build/hostile.wasm\"\nfunctions = { panic = \"h\" }\nretry.attempts = 1\n";
    std::fs::write(&registry, format!("{text}{entry}")).unwrap();
    let id = shadowed.call("h", &json!({"message": "as it should"}));
    let (exit, said) = shadowed.shadow(&["capture"], &[]);
    assert!(exit == 0 && said.contains("1 kept as incidents"), "{said}");
    assert!(airlock(&registry, &["grade", &id, "right"]).status.success());
    let (exit, said) = shadowed.shadow(&["capture"], &[]);
    assert!(exit == 0 && said.contains("0 kept as incidents"), "{said}");
}

#[test]
fn each_gate_blocks_for_its_own_kind_of_drift() {
    let blocks = |plant: &dyn Fn(&Shadowed), more: &[&str], gate: &str| {
        let shadowed = Shadowed::new();
        plant(&shadowed);
        let (exit, said) = shadowed.run(more);
        assert_eq!(exit, 1, "{gate}: {said}");
        assert!(said.contains(&format!("blocked by {gate}: ")), "{gate}: {said}");
        let others =
            said.matches("blocked by ").count() - said.matches(&format!("blocked by {gate}: ")).count();
        assert_eq!(others, 0, "{gate}: {said}");
        // The same night passes where the suite does not ask for the gate.
        let settings = std::fs::read_to_string(shadowed.path("suite/suite.toml")).unwrap();
        let without = settings.replace(&format!("\"{gate}\", "), "").replace(&format!(", \"{gate}\""), "");
        assert_ne!(settings, without);
        std::fs::write(shadowed.path("suite/suite.toml"), without).unwrap();
        let (exit, said) = shadowed.run(more);
        assert_eq!(exit, 0, "{gate}: {said}");
    };
    let fuel = |case: &mut Value| case["record"]["attempts"][0]["usage"]["fuel"] = json!(1);
    blocks(&|shadowed| shadowed.edit("unit_convert", fuel), &[], "host");
    blocks(&|shadowed| drop(shadowed.other_mile("build/unit-convert.wasm", 1_600.0)), &[], "tool");
    blocks(&|shadowed| shadowed.edit_data(MONTH, 1_000), &[], "upstream");
    let check = "range = { field = \"value\", max = 1 }\nverdict = \"reject\"";
    blocks(&|shadowed| drop(shadowed.other_check("build/unit-convert.wasm", check)), &[], "checks");
    let reference = json!({"by": "maria", "answer": {"tag": "ok", "val": {"value": 42, "unit": "km"}}});
    let refer = |case: &mut Value| case["reference"] = reference.clone();
    blocks(&|shadowed| shadowed.edit("unit_convert", refer), &[], "reference");
    blocks(
        &|shadowed| {
            shadowed.edit("unit_convert", |case| case["record"]["attempts"][0]["component"] = json!("00"))
        },
        &[],
        "coverage",
    );
    blocks(&changed_for_weeks, &[], "trend");
}

/// Writes nights of which the later ones fail.
fn changed_for_weeks(shadowed: &Shadowed) {
    let (exit, said) = shadowed.run(&[]);
    assert_eq!(exit, 0, "{said}");
    let night = shadowed.nights().remove(0);
    for n in 0..50 {
        let mut night = night.clone();
        night.at = format!("2020-0{}-{:02}T01:00:00Z", 1 + n / 25, 1 + n % 25);
        let figures = &mut night.tools.get_mut("sector_metrics").unwrap().figures;
        figures.insert("failed".into(), if n < 30 { 0.0 } else { 1.0 });
        let file = shadowed.path("suite/history").join(format!("{}.json", night.at.replace(':', "")));
        std::fs::write(file, night.write().unwrap()).unwrap();
    }
}

#[test]
fn a_candidate_is_tried_beside_the_registry_as_a_component_or_a_registry() {
    let shadowed = Shadowed::new();
    let other = shadowed.other_mile("new.wasm", 1_600.0).display().to_string();
    let (exit, said) = shadowed.run(&["--candidate", &other]);
    assert!(exit == 1 && said.contains("name it with `--tool`"), "{said}");
    let (exit, said) = shadowed.run(&["--candidate", &other, "--tool", "unit_convert"]);
    assert!(exit == 1 && said.contains("unit_convert  tool") && said.contains("`value` is 41.92"), "{said}");
    // The command that it prints shows the same.
    let line = said.lines().find_map(|line| line.trim().strip_prefix("shown by: ")).unwrap().to_owned();
    let words: Vec<&str> = line.split(' ').skip(3).collect();
    let done = airlock(&shadowed.path("airlock.toml"), &words);
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.code() == Some(1) && text.contains("`value` is 41.92"), "{line}: {text}");
    let same = root().join("example-tools/build/unit-convert.wasm").display().to_string();
    assert_eq!(shadowed.run(&["--candidate", &same, "--tool", "unit_convert"]).0, 0);
    // A registry in another folder, with other files beside it.
    std::fs::create_dir_all(shadowed.path("next/build")).unwrap();
    let text = std::fs::read_to_string(shadowed.path("airlock.toml")).unwrap();
    let text = text.replace("build/sector", "../build/sector").replace("build/text", "../build/text");
    std::fs::write(shadowed.path("next/airlock.toml"), text.replace("host = \"data\"", "host = \"../data\""))
        .unwrap();
    shadowed.other_mile("next/build/unit-convert.wasm", 1_600.0);
    let next = shadowed.path("next/airlock.toml").display().to_string();
    let (exit, said) = shadowed.run(&["--candidate", &next]);
    assert!(
        exit == 1 && said.contains("unit_convert  tool") && said.contains("sector_metrics  none"),
        "{said}"
    );
    assert!(shadowed.nights().is_empty());
}

#[test]
fn comparators_let_pass_what_the_suite_allows() {
    let shadowed = Shadowed::new();
    shadowed.other_mile("build/unit-convert.wasm", 1_609.345);
    assert_eq!(shadowed.run(&[]).0, 1);
    let settings = std::fs::read_to_string(shadowed.path("suite/suite.toml")).unwrap();
    let with = |rule: &str| {
        std::fs::write(
            shadowed.path("suite/suite.toml"),
            format!("{settings}\n[[compare]]\ntool = \"unit_convert\"\n{rule}\n"),
        )
        .unwrap();
        shadowed.run(&[])
    };
    assert_eq!(with("at = \"value\"\nwith = { by = \"relative\", within = 0.001 }").0, 0);
    assert_eq!(with("type = \"f64\"\nwith = { by = \"absolute\", within = 0.001 }").0, 0);
    assert_eq!(with("at = \"value\"\nwith = { by = \"relative\", within = 1e-9 }").0, 1);
    let (exit, said) = with("at = \"value\"\nwith = { by = \"ignore\" }");
    assert!(exit == 0 && said.contains("1 place not compared"), "{said}");
    let (exit, said) = with("at = \"price\"\nwith = { by = \"ignore\" }");
    assert!(exit == 1 && said.contains("no field `price` among `value`, `unit`"), "{said}");
}

#[test]
fn what_cannot_be_used_says_why_and_what_helps() {
    let shadowed = Shadowed::without_calls();
    let says = |(exit, said): Done, pieces: &[&str]| {
        assert_eq!(exit, 1, "{said}");
        assert!(!said.contains("panicked"), "{said}");
        pieces.iter().for_each(|piece| assert!(said.contains(piece), "no {piece:?} in {said}"));
    };
    says(shadowed.run(&[]), &["is no suite", "airlock shadow capture"]);
    says(shadowed.shadow(&["capture"], &[]), &["there is no journal at"]);
    // Refused before anything ran.
    airlock(&shadowed.path("airlock.toml"), &["call", "unit_convert", "{}"]);
    says(shadowed.shadow(&["capture"], &[]), &["no recorded attempt can be replayed", "record = \"full\""]);
    shadowed.call("unit_convert", &json!({"from": "mile", "to": "km", "value": 1}));
    assert_eq!(shadowed.shadow(&["capture"], &[]).0, 0);
    says(shadowed.shadow(&["report"], &[]), &["has no night yet", "airlock shadow run"]);
    says(shadowed.run(&["--case", "none"]), &["no case `none`", "files in `cases`"]);
    says(shadowed.run(&["--tool", "none"]), &["no case of `none`"]);
    says(shadowed.run(&["--candidate", "/none.wasm"]), &["`/none.wasm` cannot be read"]);
    let settings = shadowed.path("suite/suite.toml");
    let good = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, good.replace("fail_on", "fail")).unwrap();
    says(shadowed.run(&[]), &["suite.toml", "unknown field `fail`"]);
    std::fs::write(&settings, &good).unwrap();
    std::fs::create_dir_all(shadowed.path("suite/history")).unwrap();
    std::fs::write(shadowed.path("suite/history/2020.json"), "{}").unwrap();
    says(shadowed.run(&[]), &["2020.json", "remove it or restore it"]);
    std::fs::remove_file(shadowed.path("suite/history/2020.json")).unwrap();
    shadowed.edit("unit_convert", |case| case["format"] = json!(9));
    says(shadowed.run(&[]), &["cases/unit_convert.", "format 9", "newer Airlock"]);
}

#[test]
fn the_page_has_no_script_and_shows_texts_as_text() {
    let shadowed = Shadowed::new();
    changed_for_weeks(&shadowed);
    let mut night = shadowed.nights().remove(0);
    night.at = "2030-01-01T01:00:00Z".into();
    night.candidate = None;
    let tool = night.tools.get_mut("unit_convert").unwrap();
    tool.drifted.push(airlock_shadow::night::Drifted {
        case: "unit_convert.x".into(),
        leg: airlock_shadow::leg::Leg::Tool,
        status: airlock_shadow::leg::Status::Changed,
        told: vec!["`value` is <script>alert(1)</script>, and was 1".into()],
    });
    std::fs::write(shadowed.path("suite/history/2030-01-01T010000Z.json"), night.write().unwrap()).unwrap();
    let page = shadowed.path("page.html");
    let (exit, said) = shadowed.shadow(&["report"], &["--html", &page.display().to_string()]);
    assert!(exit == 0 && said.contains("52 nights"), "{said}");
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;"), "{html}");
    assert!(!html.contains("http://") && !html.contains("https://"), "it loads nothing");
    assert!(
        html.contains("<polyline") && html.contains("alarm at night") && html.contains("default-src 'none'")
    );
    let (exit, said) = shadowed.shadow(&["report"], &[]);
    assert!(exit == 0 && said.contains("trend: `failed` of sector_metrics has changed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn live_legs_read_the_world_and_change_nothing_and_no_secret_is_in_a_suite() {
    let services = Services::start("canary-of-the-figures").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let registry = services.registry(folder.path()).unwrap();
    let key = folder.path().join("figures.key");
    std::fs::write(&key, "canary-of-the-figures").unwrap();
    crate::state_folder::mode(&key, 0o600);
    let text = std::fs::read_to_string(&registry).unwrap();
    std::fs::write(&registry, text.replace("env = \"FIGURES_KEY\"", "file = \"figures.key\"")).unwrap();
    let shadowed = Shadowed { folder };
    let submit = json!({"reference": "REQ-1", "role": "analyst", "amount": 50_000, "currency": "EUR", "reason": "band"});
    let (said, handed_in) = tokio::task::block_in_place(|| {
        shadowed.call("market_figures", &json!({"series": "construction", "month": "2015-12"}));
        shadowed.call("submit_recommendation", &submit);
        let (exit, said) = shadowed.shadow(&["capture"], &[]);
        assert!(exit == 0 && said.contains("2 cases of 2 tools"), "{said}");
        for (path, bytes) in files(&shadowed.path("suite")) {
            assert!(!String::from_utf8_lossy(&bytes).contains("canary-of"), "{}", path.display());
        }
        let before = services.keys().len();
        let (exit, said) = shadowed.run(&[]);
        assert_eq!(exit, 0, "{said}");
        assert_eq!(services.keys().len(), before + 2, "two live runs of the tool that reads");
        (said, services.handed_in("REQ-1"))
    });
    assert_eq!(handed_in, 1, "no effect of a night leaves: {said}");
    services.set_down(true);
    let (exit, said) = tokio::task::block_in_place(|| shadowed.run(&[]));
    assert!(exit == 1 && said.contains("market_figures  upstream"), "{said}");
    assert!(said.contains("submit_recommendation  none"), "{said}");
}
