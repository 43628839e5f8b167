//! Recorded calls under another registry: one TOML file each under `tests/backtest`.
//!
//! A case has two registries, the contracts of components that it packs anew, and calls with what becomes of them. To add
//! one: a file.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use airlock::backtest::{Backtest, Tested};
use airlock::config::ConfigFile;
use airlock::host::Host;
use airlock_contract::package::{Packed, embed};
use airlock_tests::{program, root};
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::Caller;
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What the case shows, as a sentence.
    what: String,
    /// Files of components, by name: that of an example tool, with another contract.
    #[serde(default)]
    packed: BTreeMap<String, Component>,
    /// The registry that answers the calls, and the one that is tried.
    old: String,
    new: String,
    calls: Vec<Called>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Component {
    /// The example tool, or a guest of the tests.
    of: String,
    /// None for the component as it was built.
    contract: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Called {
    tool: String,
    args: String,
    caller: Option<String>,
    was: String,
    change: String,
    /// None where it is not known.
    now: Option<String>,
    /// Text in the reason.
    #[serde(default)]
    why: String,
}

/// The folder of a case, with its registries, components and journal.
struct Place(tempfile::TempDir);

impl Place {
    fn new(case: &Case) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        for (name, Component { of, contract }) in &case.packed {
            let bytes = std::fs::read(built(of)).unwrap();
            let packed = |text: &String| Packed { contract: Some(text.clone()), ..Packed::default() };
            let bytes = contract.as_ref().map_or(bytes.clone(), |text| embed(&bytes, &packed(text)).unwrap());
            std::fs::write(place.path(name), bytes).unwrap();
        }
        std::fs::create_dir(place.path("data")).unwrap();
        std::fs::write(place.path("data/a"), "hello").unwrap();
        for (name, text) in [("old.toml", &case.old), ("new.toml", &case.new)] {
            let text = text.replace("EXAMPLES", &root().join("example-tools").to_string_lossy());
            std::fs::write(place.path(name), text).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }
}

fn built(name: &str) -> std::path::PathBuf {
    let places = ["example-tools/build", "tests/guests/build"].map(|folder| root().join(folder).join(name));
    places.into_iter().find(|path| path.is_file()).unwrap_or_else(|| panic!("no component {name}"))
}

fn cases() -> Vec<(String, Case)> {
    let mut cases: Vec<(String, Case)> = std::fs::read_dir(root().join("tests/backtest"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let case = toml::from_str(&std::fs::read_to_string(&path).unwrap());
            (path.display().to_string(), case.unwrap_or_else(|err| panic!("{}: {err}", path.display())))
        })
        .collect();
    cases.sort_by(|(one, _), (other, _)| one.cmp(other));
    assert!(cases.len() >= 8, "the folder has its cases");
    cases
}

/// Makes the calls under the old registry, and closes its host.
async fn made(path: &Path, case: &Case) -> Vec<String> {
    let host = Host::builder().registry(ConfigFile::read(path).unwrap()).open().await.unwrap();
    let mut ids = Vec::new();
    for Called { tool, args, caller, was, .. } in &case.calls {
        let caller = caller.as_deref().map_or_else(Caller::local, Caller::recorded);
        let call = Call { caller, ..Call::new(tool, Arguments::Text(args.clone().into())) };
        let reply = host.call(call).await;
        assert_eq!(reply.code.as_str(), was, "{}: {tool} {args}: {reply:?}", case.what);
        ids.push(reply.record);
    }
    host.journal().flush().unwrap();
    ids
}

#[tokio::test]
async fn each_case_comes_to_what_it_says() {
    let mut faults = Vec::new();
    for (name, case) in cases() {
        let place = Place::new(&case);
        let ids = made(&place.path("old.toml"), &case).await;
        let journal =
            airlock::host::open_journal(&ConfigFile::read(&place.path("old.toml")).unwrap()).unwrap();
        let new = ConfigFile::read(&place.path("new.toml")).unwrap();
        let backtest =
            Backtest::open(Host::builder(), new).await.unwrap_or_else(|err| panic!("{name}: {err}"));
        for (id, called) in ids.iter().zip(&case.calls) {
            let record = journal.find(id).unwrap().unwrap();
            let tested = backtest.test(&record, &|_| Err("no key".into())).await;
            let Tested { change, was, now, why, .. } = &tested;
            let now = now.map(|code| code.as_str().to_owned());
            let said = (change.as_str(), was.as_str(), now.as_deref());
            let expected = (called.change.as_str(), called.was.as_str(), called.now.as_deref());
            if said != expected || !why.contains(&called.why) {
                faults.push(format!("{name}: {called:?}: {tested:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn airlock(args: &[&str]) -> (i32, String, String) {
    let out = Command::new(program()).args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.code().unwrap(), text(&out.stdout), text(&out.stderr))
}

#[tokio::test]
async fn the_records_may_be_in_a_folder_that_the_other_registry_does_not_name() {
    let text = std::fs::read_to_string(root().join("tests/backtest/a_limit_is_lower.toml")).unwrap();
    let case: Case = toml::from_str(&text).unwrap();
    let place = Place::new(&case);
    let ids = made(&place.path("old.toml"), &case).await;
    let (old, elsewhere) = (place.path("old.toml"), place.path("elsewhere"));
    std::fs::create_dir(&elsewhere).unwrap();
    let new = elsewhere.join("new.toml");
    std::fs::copy(place.path("new.toml"), &new).unwrap();
    // In the program: it is confined as the new registry says, and that one has another state folder.
    let args = ["backtest", "--registry", new.to_str().unwrap(), "--records", old.to_str().unwrap()];
    let (exit, out, err) = airlock(&args);
    assert!(exit == 0 && ids.iter().any(|id| out.contains(id)), "{exit}: {out}{err}");
}

#[tokio::test]
async fn the_verb_tells_by_tool_and_exits_with_3_where_a_stopped_call_would_pass() {
    let case = |name: &str| {
        let text = std::fs::read_to_string(root().join("tests/backtest").join(name)).unwrap();
        toml::from_str::<Case>(&text).unwrap()
    };
    for (name, code, line) in [
        ("a_limit_is_lower.toml", 0, "would end at a limit"),
        ("a_rule_is_weaker.toml", 3, "would no longer be stopped"),
    ] {
        let case = case(name);
        let place = Place::new(&case);
        let ids = made(&place.path("old.toml"), &case).await;
        let (old, new) = (place.path("old.toml"), place.path("new.toml"));
        let args = ["backtest", "--registry", new.to_str().unwrap(), "--records", old.to_str().unwrap()];
        let (exit, out, err) = airlock(&args);
        assert_eq!(exit, code, "{name}: {out}{err}");
        assert!(out.contains(line) && ids.iter().any(|id| out.contains(id)), "{name}: {out}{err}");
        let counted = if ids.len() == 1 { "1 call ".to_owned() } else { format!("{} calls ", ids.len()) };
        assert!(err.contains(&counted), "{name}: {err}");
        // The same folder has both, so that the state folder is the same by default.
        let (exit, out, _) = airlock(&["backtest", "--registry", new.to_str().unwrap(), "--json"]);
        let told: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((exit, &told["calls"]), (code, &Value::from(ids.len())), "{told}");
        let (exit, out, err) =
            airlock(&["backtest", "--registry", new.to_str().unwrap(), "--tool", "none", "--since", "1h"]);
        assert!(exit == 1 && out.is_empty() && err.contains("there is no tool `none`"), "{out}{err}");
    }
}

#[tokio::test]
async fn a_record_that_was_edited_says_nothing_about_its_call() {
    let text = std::fs::read_to_string(root().join("tests/backtest/a_rule_is_weaker.toml")).unwrap();
    let case: Case = toml::from_str(&text).unwrap();
    let place = Place::new(&case);
    made(&place.path("old.toml"), &case).await;
    let new = place.path("new.toml");
    let args = ["backtest", "--registry", new.to_str().unwrap()];
    assert_eq!(airlock(&args).0, 3);
    let journal = rusqlite::Connection::open(place.path(".airlock/journal.db")).unwrap();
    journal
        .execute(
            "UPDATE records SET record = replace(record, '\"caller\":\"local\"', '\"caller\":\"maria\"')",
            [],
        )
        .unwrap();
    let (exit, out, err) = airlock(&args);
    assert!(exit == 0 && out.contains("its record does not match the log"), "{out}{err}");
}

#[tokio::test]
async fn calls_that_are_skipped_use_up_budgets_all_the_same() {
    let text = std::fs::read_to_string(root().join("tests/backtest/a_limit_is_lower.toml")).unwrap();
    let mut case: Case = toml::from_str(&text).unwrap();
    let registry = "[tools.h]\ncomponent = \"hostile.wasm\"\nfunctions = [\"work\"]\n\
         [callers.local]\ntools = [\"*\"]\nbudgets.calls_per_day = 2\n";
    (case.old, case.new) = (registry.to_owned(), registry.to_owned());
    case.packed = BTreeMap::from([(
        "hostile.wasm".to_owned(),
        Component { of: "hostile.wasm".to_owned(), contract: None },
    )]);
    case.calls = ["ok", "ok", "admission.rate"]
        .map(|was| Called {
            tool: "h".to_owned(),
            args: r#"{"rounds": 1}"#.to_owned(),
            caller: None,
            was: was.to_owned(),
            change: String::new(),
            now: None,
            why: String::new(),
        })
        .into();
    let place = Place::new(&case);
    let ids = made(&place.path("old.toml"), &case).await;
    let journal = airlock::host::open_journal(&ConfigFile::read(&place.path("old.toml")).unwrap()).unwrap();
    let test = async |is_altered: bool| {
        let new = ConfigFile::read(&place.path("new.toml")).unwrap();
        let backtest = Backtest::open(Host::builder(), new).await.unwrap();
        let mut changes = Vec::new();
        for (number, id) in ids.iter().enumerate() {
            let mut record = journal.find(id).unwrap().unwrap();
            record.erased_unix_ms = (number == 0).then_some(1);
            let tested = match number {
                0 if is_altered => backtest.altered(&record, "changed"),
                _ => backtest.test(&record, &|_| Err("no key".into())).await,
            };
            changes.push(tested.change.as_str());
        }
        changes
    };
    assert_eq!(test(false).await, ["unknown", "same", "same"]);
    assert_eq!(test(true).await, ["unknown", "same", "same"]);
}
