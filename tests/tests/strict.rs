//! `check --strict`: what a contract promises without effect is named. Each case of `tests/strict` is a contract over one WIT.

use std::fs;

use airlock_tests::root;
use airlock_types::call::{Arguments, Call};
use serde::Deserialize;

use crate::authored;
use crate::described::Place;
use crate::{stderr, stdout};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[expect(dead_code, reason = "for people")]
    what: String,
    contract: String,
    exit: i32,
    says: Vec<String>,
}

#[test]
fn what_has_no_effect_is_named() {
    let folder = root().join("tests/strict");
    let wit = fs::read_to_string(folder.join("world.wit")).unwrap();
    let mut cases = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "toml") {
            continue;
        }
        let name = path.display();
        let case: Case = toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let place = Place::new(&authored::component(&wit, Some(&case.contract)), "");
        let checked = place.run(&["check", "--strict"]);
        let said = stderr(&checked);
        assert_eq!(checked.status.code(), Some(case.exit), "{name}: {}{said}", stdout(&checked));
        case.says.iter().for_each(|says| assert!(said.contains(says), "{name}: no {says:?} in {said}"));
        cases += 1;
    }
    assert!(cases >= 16, "{cases}");
}

/// What only strict checks try costs a plain one nothing.
#[test]
fn a_plain_check_does_not_try_contracts() {
    let wit = fs::read_to_string(root().join("tests/strict/world.wit")).unwrap();
    let contract = "effects = 'pure'\n[[tool.book.hold]]\nwhen = '1 < 2'\n";
    let place = Place::new(&authored::component(&wit, Some(contract)), "");
    assert!(!stderr(&place.run(&["check"])).contains("reads no argument"));
    assert_eq!(place.run(&["check", "--since", "1d"]).status.code(), Some(2));
}

const NEVER_MET: &str = "effects = 'pure'\n\
    [[tool.convert.expect]]\nrange = { field = 'value', max = 1e5 }\nverdict = 'warn'\n\
    [[tool.convert.expect]]\nrelation = { that = 'result.value < 0.0' }\nverdict = 'warn'\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expectation_that_no_recorded_result_met_is_named() {
    let component = fs::read(root().join("example-tools/build/unit-convert.wasm")).unwrap();
    let place = Place::new(&component, "");
    fs::write(place.path("contract.toml"), NEVER_MET).unwrap();
    place.does(&["pack", "one.wasm", "--contract", "contract.toml"]);
    let checked = |since: &[&str]| stderr(&place.run(&[&["check", "--strict"], since].concat()));
    assert!(!checked(&[]).contains("was met by none"), "nothing is on record: {}", checked(&[]));
    {
        let host = airlock::Host::builder().registry(place.path("airlock.toml")).open().await.unwrap();
        for value in ["1", "1000"] {
            let args = format!(r#"{{"value": {value}, "from": "km", "to": "m"}}"#);
            let reply = host.call(Call::new("one", Arguments::Text(args.into()))).await;
            assert!(!reply.findings.is_empty(), "{reply:?}");
        }
    }
    let said = checked(&[]);
    let unmet =
        "`one`: the check `relation` (expected result.value < 0.0) was met by none of 2 recorded results";
    assert!(said.contains(unmet), "{said}");
    assert!(!said.contains("the check `range`"), "one of the results met it: {said}");
    assert!(!checked(&["--since", "2030-01-01"]).contains("was met by none"));
}
