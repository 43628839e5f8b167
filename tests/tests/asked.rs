//! An answer to another question, and data of any age, are found: by the contract of the tool that answers, by that of
//! the tool that was called, and by `check`.

use std::path::Path;

use airlock::host::Host;
use airlock_tests::root;
use airlock_types::call::{Arguments, Call};
use airlock_types::code::Code;
use airlock_types::reply::Reply;

use crate::described::Place;
use crate::{stderr, stdout};

/// Found whatever the tool says of what it answers: it is a range of its own figures.
const NEVER_PLAUSIBLE: &str =
    "[[tool.sector-metrics.expect]]\nrange = { field = 'totals.compared', max = 0 }\n";

const PERIOD: &str = "[[tool.sector-metrics.expect]]\n\
    echo = { asked = 'period(args.period)', answered = 'period(result.from + \"..\" + result.until)' }\n";

/// A folder with the quarterly tool under two contracts: `front` has `stand_in` as its fallback.
fn quarterly(front: &str, stand_in: &str) -> Place {
    let component = std::fs::read(root().join("example-tools/build/sector-metrics-quarterly.wasm")).unwrap();
    let place = Place::new(&component, "");
    for (name, contract) in [("front", front), ("stand_in", stand_in)] {
        std::fs::write(place.path("contract.toml"), format!("effects = \"pure\"\n{contract}")).unwrap();
        place.does(&["pack", "one.wasm", "--contract", "contract.toml", "--out", &format!("{name}.wasm")]);
    }
    let registry = "[tools.front]\ncomponent = \"front.wasm\"\nfallback = [\"stand_in\"]\n\
                    [tools.stand_in]\ncomponent = \"stand_in.wasm\"\n";
    std::fs::write(place.path("airlock.toml"), registry).unwrap();
    place
}

async fn ask(registry: &Path, period: &str) -> Reply {
    let host = Host::builder().registry(registry).open().await.unwrap();
    let args = format!(r#"{{"period": "{period}"}}"#);
    host.call(Call::new("front", Arguments::Text(args.into()))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fallback_that_answers_for_another_period_is_found_by_the_contract_of_the_called_tool() {
    let place = quarterly(&format!("{NEVER_PLAUSIBLE}{PERIOD}"), "");
    let registry = place.path("airlock.toml");
    let reply = ask(&registry, "October 2009").await;
    assert_eq!(reply.code, Code::Degraded, "{reply:?}");
    let echo = reply.findings.iter().find(|finding| finding.kind == "echo").unwrap();
    assert_eq!((&*echo.expected, &*echo.got), ("an answer for 2009-10", "one for 2009-10..2009-12"));
    let notice = reply.notice.unwrap();
    assert!(notice.starts_with("Not from `front`") && notice.contains(&echo.expected), "{notice}");
    assert!(notice.contains(&echo.got), "{notice}");
    // The other checks of the called tool are not held against the answer of another.
    assert!(reply.findings.iter().all(|finding| finding.kind != "range"), "{:?}", reply.findings);
    // What was asked is what was answered.
    let reply = ask(&registry, "Q4 2009").await;
    assert_eq!(reply.findings.iter().map(|finding| &*finding.kind).collect::<Vec<_>>(), ["fallback"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_both_contracts_find_is_one_finding() {
    let place = quarterly(&format!("{NEVER_PLAUSIBLE}{PERIOD}"), PERIOD);
    let reply = ask(&place.path("airlock.toml"), "2009-10").await;
    assert_eq!(reply.findings.iter().map(|finding| &*finding.kind).collect::<Vec<_>>(), ["fallback", "echo"]);
}

#[test]
fn check_names_a_tool_whose_data_may_be_of_any_age() {
    let freshness = "[[tool.sector-metrics.expect]]\nfreshness = { warn_after = '40d' }\n";
    let said = stderr(&quarterly("", freshness).run(&["check"]));
    assert!(said.contains("`front` answers with an `as-of` and has no `freshness` check"), "{said}");
    assert!(!said.contains("`stand_in` answers with an `as-of`"), "{said}");
    let strict = quarterly("", freshness).run(&["check", "--strict"]);
    assert_eq!(strict.status.code(), Some(1), "{}{}", stdout(&strict), stderr(&strict));
}

/// The examples show how it is done: each of their tools that has a date says how old it may be.
#[test]
fn check_has_no_warning_for_the_examples() {
    // Of no recorded result: the tables of the examples are of one day, and grow old.
    let checked = crate::airlock("example", &["check", "--strict", "--since", "2100-01-01T00:00:00Z"]);
    assert!(checked.status.success(), "{}{}", stdout(&checked), stderr(&checked));
}
