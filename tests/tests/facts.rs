//! Relations over what a session has seen: they hold a call against results of earlier ones, and nothing else.

use airlock::backtest::{Backtest, Change};
use airlock_types::code::Code;
use airlock_types::record::Record;
use airlock_types::reply::Reply;
use serde_json::{Value, json};

use crate::scripted::Stage;

const WIT: &str = "package test:desk;
world desk {
    record flight { flight-number: string, price: u32, seats: option<u32> }
    export search: func(date: string) -> result<list<flight>, string>;
    export book: func(flight-number: string, date: string, paid: u32) -> result<string, string>;
}";

const CONTRACT: &str = r#"
[tool.search]
effects = "read"
[tool.search.facts.flight]
key = ["result[].flight_number", "args.date"]
fields = ["price", "seats", "args.date"]
ttl = "1h"
[[tool.search.expect]]
length = { field = "", max = 3 }
verdict = "suspect"

[tool.book]
effects = "write"
changes = ["flight"]
[tool.book.let]
shown = "facts.flight[args.flight_number + ' ' + args.date]"
[[tool.book.require]]
that = "args.paid == shown.price"
message = "pay the price that a search has shown"
"#;

const REGISTRY: &str = "[tools.air]\ncomponent = \"air.wasm\"\n";

const HOUR_MS: u64 = 3_600_000;

async fn desk() -> Stage {
    Stage::open(&[("air", WIT, CONTRACT)], REGISTRY).await
}

fn flights(all: &[(&str, u32)]) -> Result<Value, Value> {
    let one = |(number, price): &(&str, u32)| json!({"flight_number": number, "price": price, "seats": null});
    Ok(all.iter().map(one).collect())
}

async fn search(stage: &Stage, session: &str, all: &[(&str, u32)]) -> Reply {
    stage.call(session, "air_search", json!({"date": "2024-05-20"}), flights(all)).await
}

async fn book(stage: &Stage, session: &str, number: &str, paid: u32) -> Reply {
    let args = json!({"flight_number": number, "date": "2024-05-20", "paid": paid});
    stage.call(session, "air_book", args, Ok(json!("booked"))).await
}

#[track_caller]
fn refused(reply: &Reply, says: &[&str]) {
    assert_eq!(reply.code, Code::ArgsPrecondition, "{reply:?}");
    let message = &reply.error.as_ref().unwrap().message;
    for text in says {
        assert!(message.contains(text), "it does not say {text:?}:\n{message}");
    }
}

fn record(stage: &Stage, reply: &Reply) -> Record {
    stage.host.journal().find(&reply.record).unwrap().unwrap()
}

#[tokio::test]
async fn a_call_is_held_against_what_its_session_has_seen() {
    let stage = desk().await;
    let shown = search(&stage, "a", &[("HAT1", 120), ("HAT2", 80)]).await;
    let wrong = book(&stage, "a", "HAT2", 120).await;
    refused(&wrong, &["shown.price = 80", "args.paid = 120", "Pay the price", "args.paid = 80."]);
    let looked = record(&stage, &wrong).facts.unwrap();
    let [looked] = looked.looked.as_slice() else { panic!("{looked:?}") };
    assert_eq!((looked.name.as_str(), looked.key.as_str()), ("flight", "HAT2 2024-05-20"));
    let seen = looked.seen.as_ref().unwrap();
    assert_eq!(seen.value, json!({"price": 80, "seats": null, "date": "2024-05-20"}));
    assert_eq!((&*seen.record, seen.component.len()), (&*shown.record, 64));
    assert_eq!(seen.until_unix_ms - seen.as_of_unix_ms, HOUR_MS);
    let right = book(&stage, "a", "HAT2", 80).await;
    assert_eq!(right.code, Code::Ok, "{right:?}");
    assert!(record(&stage, &right).facts.is_some());
}

#[tokio::test]
async fn a_call_that_was_cut_off_has_its_changes_forgotten() {
    let stage = desk().await;
    search(&stage, "a", &[("HAT1", 120)]).await;
    let args = json!({"flight_number": "HAT1", "date": "2024-05-20", "paid": 120});
    stage.cut_off("a", "air_book", args).await;
    refused(&book(&stage, "a", "HAT1", 120).await, &["has seen no `flight`"]);
}

#[tokio::test]
async fn what_was_not_seen_or_is_too_old_does_not_count() {
    let stage = desk().await;
    search(&stage, "a", &[("HAT1", 120)]).await;
    refused(
        &book(&stage, "a", "HAT9", 120).await,
        &["has seen no `flight` \"HAT9 2024-05-20\"", "call `air_search`"],
    );
    refused(&book(&stage, "b", "HAT1", 120).await, &["has seen no `flight`"]);
    // A session that is used lives on, and a fact does not.
    for _ in 0..3 {
        stage.clock.later(HOUR_MS / 3 - 1);
        refused(&book(&stage, "a", "HAT1", 1).await, &["shown.price = 120"]);
    }
    stage.clock.later(3);
    refused(&book(&stage, "a", "HAT1", 120).await, &["is from 1 h ago and does not count"]);
    stage.clock.later(HOUR_MS);
    refused(&book(&stage, "a", "HAT1", 120).await, &["has seen no"]);
}

#[tokio::test]
async fn a_stale_fact_says_its_age() {
    let contract = CONTRACT.replace("1h", "5m");
    let stage = Stage::open(&[("air", WIT, &contract)], REGISTRY).await;
    search(&stage, "a", &[("HAT1", 120)]).await;
    stage.clock.later(5 * 60_000);
    let stale = book(&stage, "a", "HAT1", 120).await;
    refused(&stale, &["the `flight` \"HAT1 2024-05-20\" is from 5 m ago", "call `air_search` first"]);
    assert_eq!(stage.script.attempts(), 1, "the booking did not run");
    search(&stage, "a", &[("HAT1", 120)]).await;
    assert_eq!(book(&stage, "a", "HAT1", 120).await.code, Code::Ok);
}

#[tokio::test]
async fn without_a_session_the_declared_choice_holds() {
    let stage = desk().await;
    search(&stage, "", &[("HAT1", 120)]).await;
    refused(&book(&stage, "", "HAT1", 120).await, &["no session, so this cannot be checked", "`new`"]);
    let contract = CONTRACT.replace("message = \"pay", "without_session = \"warn\"\nmessage = \"pay");
    let stage = Stage::open(&[("air", WIT, &contract)], REGISTRY).await;
    let passed = book(&stage, "", "HAT1", 7).await;
    assert_eq!(passed.code, Code::Ok);
    let [finding] = passed.findings.as_slice() else { panic!("{passed:?}") };
    assert_eq!(
        (finding.kind.as_str(), &*finding.got),
        ("facts.unchecked", "no session, so this cannot be checked")
    );
    assert!(passed.notice.unwrap().contains("no session"));
}

#[tokio::test]
async fn a_call_that_changes_facts_makes_them_forgotten() {
    let stage = desk().await;
    search(&stage, "a", &[("HAT1", 120)]).await;
    let args = json!({"flight_number": "HAT1", "date": "2024-05-20", "paid": 120});
    let full = stage.call("a", "air_book", args, Err(json!("no seats"))).await;
    assert_eq!(full.code, Code::ToolError);
    // What the tool says that it did not do changed nothing.
    refused(&book(&stage, "a", "HAT1", 121).await, &["shown.price = 120"]);
    search(&stage, "b", &[("HAT1", 120)]).await;
    assert_eq!(book(&stage, "b", "HAT1", 120).await.code, Code::Ok);
    refused(&book(&stage, "b", "HAT1", 121).await, &["has seen no"]);
}

#[tokio::test]
async fn the_memory_of_a_session_is_bounded() {
    let few = format!("{REGISTRY}[session]\nfacts_max = 2\n");
    let small = format!("{REGISTRY}[session]\nfacts_bytes_max = 450\n");
    for registry in [few, small] {
        let stage = Stage::open(&[("air", WIT, CONTRACT)], &registry).await;
        search(&stage, "a", &[("HAT1", 1)]).await;
        search(&stage, "a", &[("HAT2", 2)]).await;
        search(&stage, "a", &[("HAT3", 3)]).await;
        refused(&book(&stage, "a", "HAT1", 9).await, &["has seen no"]);
        refused(&book(&stage, "a", "HAT2", 9).await, &["shown.price = 2"]);
        refused(&book(&stage, "a", "HAT3", 9).await, &["shown.price = 3"]);
    }
}

#[tokio::test]
async fn a_doubtful_result_gives_no_facts() {
    let stage = desk().await;
    let many = search(&stage, "a", &[("HAT1", 1), ("HAT2", 2), ("HAT3", 3), ("HAT4", 4)]).await;
    assert_eq!(many.code, Code::Degraded);
    refused(&book(&stage, "a", "HAT1", 1).await, &["has seen no"]);
}

/// The desk that books, as a component of its own.
const OTHER: &str = "package test:other;
world other {
    export book: func(flight-number: string, date: string, paid: u32) -> result<string, string>;
}";

const NEEDS: &str = r#"
[tool.book]
effects = "write"
[tool.book.needs.flight]
key = "string"
fields = { price = "u32", seats = "u32" }
[[tool.book.require]]
that = "args.paid == facts.flight[args.flight_number + ' ' + args.date].price"
"#;

fn both(settings: &str) -> String {
    format!("{REGISTRY}[tools.desk]\ncomponent = \"desk.wasm\"\n{settings}")
}

#[tokio::test]
async fn facts_of_another_component_count_only_where_the_registry_binds_them() {
    let components = [("air", WIT, CONTRACT), ("desk", OTHER, NEEDS)];
    let bound = both("facts.flight = { from = \"air_search\" }\n");
    let stage = Stage::open(&components, &bound).await;
    search(&stage, "a", &[("HAT1", 120)]).await;
    let args = json!({"flight_number": "HAT1", "date": "2024-05-20", "paid": 120});
    let booked = stage.call("a", "desk", args, Ok(json!("booked"))).await;
    assert_eq!(booked.code, Code::Ok, "{booked:?}");
    for (settings, says) in [
        ("", "name the tool that gives them: `facts.flight"),
        ("facts.flight = { from = \"air_serch\" }\n", "did you mean `air_search`?"),
        ("facts.flight = { from = \"air_book\" }\n", "gives no facts `flight`"),
        (
            "facts.flight = { from = \"air_search\" }\nfacts.fare = { from = \"air_search\" }\n",
            "needs facts `fare`",
        ),
    ] {
        let err = Stage::try_open(&components, &both(settings)).await.err().unwrap();
        assert!(err.contains(says), "{err}");
    }
    let other = NEEDS
        .replace("price = \"u32\"", "price = \"string\"")
        .replace("args.paid ==", "string(args.paid) ==");
    let err =
        Stage::try_open(&[("air", WIT, CONTRACT), ("desk", OTHER, &other)], &bound).await.err().unwrap();
    assert!(err.contains("their `price` is `u32`, and `string` is needed"), "{err}");
}

#[tokio::test]
async fn two_entries_of_one_component_do_not_share_facts() {
    let registry = format!("{REGISTRY}[tools.test]\ncomponent = \"air.wasm\"\n");
    let stage = Stage::open(&[("air", WIT, CONTRACT)], &registry).await;
    let found = stage.call("a", "test_search", json!({"date": "2024-05-20"}), flights(&[("HAT1", 1)])).await;
    assert_eq!(found.code, Code::Ok);
    refused(&book(&stage, "a", "HAT1", 1).await, &["has seen no"]);
}

#[tokio::test]
async fn what_a_contract_says_of_facts_is_checked_against_the_types() {
    for (from, to, says) in [
        ("\"price\", \"seats\"", "\"prize\", \"seats\"", "no field `prize`"),
        ("result[].flight_number", "result.flight_number", "no field `flight_number`"),
        ("[\"result[].flight_number\", \"args.date\"]", "[]", "`key` has no part"),
        ("result[].flight_number", "args.price", "no field `price`"),
        ("shown.price\"", "shown.fare\"", "no field `fare`"),
        ("args.paid == shown.price", "args.date == shown.price", "a string"),
        ("[args.flight_number + ' ' + args.date]", "[args.paid]", "the key of `facts.flight` is a string"),
        ("facts.flight[args.flight_number + ' ' + args.date]", "size(facts.flight)", "looked up one by one"),
        ("facts.flight[", "facts.flights[", "did you mean `flight`?"),
        ("ttl = \"1h\"", "ttl = \"1y\"", "is not a time from"),
        ("changes = [\"flight\"]", "changes = [\"seat\"]", "no function gives facts `seat`"),
        ("[tool.search]", "[tool.search]\nconfidential = [\"result[].price\"]", "is confidential"),
        (
            "length = { field = \"\", max = 3 }",
            "relation = { that = \"args.date in facts.flight\" }",
            "no facts",
        ),
        ("message = \"pay", "without_session = \"ask\"\nmessage = \"pay", "unknown variant"),
    ] {
        assert!(CONTRACT.contains(from), "{from}");
        let contract = CONTRACT.replace(from, to);
        let opened = Stage::try_open(&[("air", WIT, &contract)], REGISTRY).await;
        let err = opened.err().unwrap_or_else(|| panic!("it is accepted: {to}"));
        assert!(err.contains(says), "{to}: {err}");
    }
}

#[tokio::test]
async fn a_backtest_judges_by_the_facts_on_record() {
    let stage = desk().await;
    search(&stage, "a", &[("HAT1", 120)]).await;
    let wrong = book(&stage, "a", "HAT1", 100).await;
    let unseen = book(&stage, "a", "HAT2", 100).await;
    let records = [record(&stage, &wrong), record(&stage, &unseen)];
    let no = |_: &str| Err("nothing is encrypted".to_owned());
    let tested = async |contract: &str| {
        let bytes = crate::authored::component(WIT, Some(contract));
        std::fs::write(stage.folder.path().join("air.wasm"), bytes).unwrap();
        let file = Stage::registry(stage.folder.path(), REGISTRY);
        let backtest = Backtest::open(airlock::Host::builder(), file).await.unwrap();
        let [wrong, unseen] = &records;
        [backtest.test(wrong, &no).await, backtest.test(unseen, &no).await]
    };
    let tested = async |contract: &str| tested(contract).await.map(|tested| (tested.change, tested.why));
    let check = async |contract: &str, changes: [Change; 2]| {
        let tested = tested(contract).await;
        assert_eq!(tested.clone().map(|(change, _)| change), changes, "{tested:?}");
    };
    check(CONTRACT, [Change::Same; 2]).await;
    // What it paid is enough now, so it would run, and its component, which has no code, would abort; what it looked up and did not see still stops
    // the other one.
    let weaker = CONTRACT.replace("args.paid == shown", "args.paid >= 90 && 90 <= shown");
    check(&weaker, [Change::Passes, Change::Same]).await;
    // Whether the session had seen another key is not on record.
    let other = CONTRACT.replace("args.flight_number + ' '", "args.flight_number + '  '");
    check(&other, [Change::Unknown; 2]).await;
}

/// The page's blocks of this language, in order.
fn blocks(language: &str) -> Vec<String> {
    let page = std::fs::read_to_string(airlock_tests::root().join("docs/sessions.md")).unwrap();
    let parts = page.split("```").skip(1).step_by(2);
    parts.filter_map(|block| block.strip_prefix(&format!("{language}\n"))).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_page_about_sessions_works_as_it_says() {
    let wit = "package doc:air;
world air {
    record flight { number: string, price: u32, seats: u32 }
    record found { flights: list<flight> }
    export search: func(date: string) -> found;
    export book: func(number: string, date: string, paid: u32) -> result<string, string>;
}";
    let toml = blocks("toml");
    let [contract, needs, binding] = toml.as_slice() else { panic!("{toml:?}") };
    let desk = "package doc:desk;
world desk { export book: func(number: string, paid: u32) -> result<string, string>; }";
    let needs = format!(
        "{needs}[[tool.book.require]]\nthat = \"args.paid == facts.flight[args.number + ' 2024-05-20'].price\"\n"
    );
    let registry = format!("{REGISTRY}{binding}");
    let stage = Stage::open(&[("air", wit, contract), ("desk", desk, &needs)], &registry).await;
    let book = async |paid: u32| {
        let args = json!({"number": "AB1", "date": "2024-05-20", "paid": paid});
        stage.call("a", "air_book", args, Ok(json!("booked"))).await
    };
    let unseen = book(80).await.error.unwrap().message;
    let [shown] = &*blocks("text") else { panic!("one error is shown") };
    assert_eq!(unseen.trim(), shown.trim());
    let found = json!({"flights": [{"number": "AB1", "price": 80, "seats": 2}]});
    stage.call("a", "air_search", json!({"date": "2024-05-20"}), Ok(found)).await;
    let wrong = book(120).await;
    refused(&wrong, &["args.paid = 120, flight.price = 80", "args.paid = 80."]);
    let other = stage.call("a", "desk", json!({"number": "AB1", "paid": 80}), Ok(json!("booked"))).await;
    assert_eq!(other.code, Code::Ok, "{other:?}");
    assert_eq!(book(80).await.code, Code::Ok);
    let shown =
        airlock_journal::telling::show(&record(&stage, &wrong), airlock_journal::telling::Stand::Ended, &[]);
    let shown = shown.to_string();
    assert!(shown.contains("`flight` \"AB1 2024-05-20\", as of 2024-05-15"), "{shown}");
}
