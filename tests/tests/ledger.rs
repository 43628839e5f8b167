//! Repeats of calls with effects in one session: a failure is answered, a success is held, and all else runs.

use airlock::backtest::{Backtest, Change};
use airlock_tests::root;
use airlock_types::code::{Code, Ran, Status};
use airlock_types::record::Record;
use airlock_types::reply::Reply;
use serde_json::{Value, json};

use crate::scripted::Stage;

const WIT: &str = "package test:desk;
world desk {
    export find: func(seat: string) -> result<string, string>;
    export book: func(seat: string, note: option<string>) -> result<string, string>;
    export cancel: func(seat: string) -> result<string, string>;
    export rename: func(seat: string) -> result<string, string>;
}";

const FACTS: &str = r#"
[tool.find]
effects = "read"
[tool.find.facts.seat]
key = "result.seat"
fields = []
ttl = "1h"
"#;

const WRITES: &str = "[tool.find]\neffects = \"read\"\n[tool.book]\neffects = \"write\"\n[tool.cancel]\neffects = \"write\"\n\
                      [tool.rename]\neffects = \"write\"\n";

const REGISTRY: &str = "[tools.desk]\ncomponent = \"desk.wasm\"\n";

const MINUTE_MS: u64 = 60_000;

async fn desk() -> Stage {
    Stage::open(&[("desk", WIT, WRITES)], REGISTRY).await
}

async fn call(stage: &Stage, tool: &str, args: Value, answer: Result<&str, &str>) -> Reply {
    let answer = answer.map(Value::from).map_err(Value::from);
    stage.call("a", &format!("desk_{tool}"), args, answer).await
}

fn seat() -> Value {
    json!({"seat": "1A"})
}

fn record(stage: &Stage, reply: &Reply) -> Record {
    stage.host.journal().find(&reply.record).unwrap().unwrap()
}

#[tokio::test]
async fn a_failure_is_answered_from_the_ledger() {
    let stage = desk().await;
    let first = call(&stage, "book", seat(), Err("no such seat")).await;
    let first_error = first.error.as_ref().unwrap();
    assert_eq!((first.code, first_error.ran), (Code::ToolError, Ran::Ran));
    stage.clock.later(2 * MINUTE_MS);
    // Another spelling of the same arguments.
    let again = call(&stage, "book", json!({"note": null, "seat": "1A"}), Ok("booked")).await;
    let error = again.error.as_ref().unwrap();
    assert_eq!((again.code, error.ran, error.retryable), (Code::ToolError, Ran::No, false));
    assert_eq!(stage.script.attempts(), 1);
    assert!(error.decision_id.is_some());
    assert_eq!(error.decision_id, first_error.decision_id);
    for text in ["the same call failed 2 m ago", "no such seat", "will not be run again", &first.record] {
        assert!(error.message.contains(text), "{text}: {}", error.message);
    }
    assert!(!error.message.contains("The tool ran"), "{}", error.message);
    let repeat = record(&stage, &again).repeat.unwrap();
    assert_eq!((repeat.of.as_deref(), &*repeat.how), (Some(&*first.record), "failed"));
    // Ten minutes after it failed it may have another end.
    stage.clock.later(8 * MINUTE_MS);
    assert_eq!(call(&stage, "book", seat(), Ok("booked")).await.code, Code::Ok);
}

#[tokio::test]
async fn other_arguments_another_session_and_a_write_in_between_let_it_through() {
    let stage = desk().await;
    let fail = async || {
        let code = call(&stage, "book", seat(), Err("taken")).await.code;
        (code, stage.script.attempts())
    };
    assert_eq!(fail().await, (Code::ToolError, 1));
    assert_eq!(fail().await, (Code::ToolError, 1));
    let other = json!({"seat": "1A", "note": "window"});
    assert_eq!(call(&stage, "book", other, Err("taken")).await.code, Code::ToolError);
    stage.call("b", "desk_book", seat(), Err(json!("taken"))).await;
    stage.call("", "desk_book", seat(), Err(json!("taken"))).await;
    assert_eq!(stage.script.attempts(), 4);
    // A write that failed changed nothing, and one that succeeded may have.
    call(&stage, "cancel", seat(), Err("not booked")).await;
    assert_eq!(fail().await, (Code::ToolError, 5));
    call(&stage, "cancel", json!({"seat": "2B"}), Ok("done")).await;
    assert_eq!(fail().await, (Code::ToolError, 7));
    call(&stage, "find", seat(), Ok("free")).await;
    assert_eq!(fail().await, (Code::ToolError, 8), "a read changes nothing");
}

#[tokio::test]
async fn a_write_that_was_cut_off_lets_a_failure_through() {
    let stage = desk().await;
    call(&stage, "book", seat(), Err("taken")).await;
    stage.cut_off("a", "desk_cancel", seat()).await;
    assert_eq!(call(&stage, "book", seat(), Ok("booked")).await.code, Code::Ok);
}

#[tokio::test]
async fn a_second_success_is_held() {
    let stage = desk().await;
    let first = call(&stage, "book", seat(), Ok("booked")).await;
    assert_eq!(first.code, Code::Ok);
    let second = call(&stage, "book", seat(), Ok("booked")).await;
    assert_eq!((second.code, second.status), (Code::PolicyDuplicate, Status::Held));
    let error = second.error.as_ref().unwrap();
    assert_eq!(error.ran, Ran::No);
    for text in
        ["succeeded 0 ms ago", &first.record, "held until a person approves it", "send the same call again"]
    {
        assert!(error.message.contains(text), "{text}: {}", error.message);
    }
    assert_eq!(stage.script.attempts(), 1);
    // Nothing says that a write of another tool undid it.
    call(&stage, "rename", seat(), Ok("done")).await;
    assert_eq!(call(&stage, "book", seat(), Ok("booked")).await.code, Code::PolicyDuplicate);
    assert_eq!(call(&stage, "book", json!({"seat": "1B"}), Ok("booked")).await.code, Code::Ok);
    assert_eq!(stage.call("b", "desk_book", seat(), Ok(json!("booked"))).await.code, Code::Ok);
}

#[tokio::test]
async fn a_declared_change_of_what_it_depends_on_lets_a_second_success_through() {
    let state = "record state { seat: string }\n    export find: func(seat: string) -> result<state, string>";
    let wit = WIT.replace("export find: func(seat: string) -> result<string, string>", state);
    let contract = format!(
        "{FACTS}[tool.book]\neffects = \"write\"\nchanges = [\"seat\"]\n[[tool.book.require]]\nthat = \"args.seat in facts.seat\"\n\
         [tool.cancel]\neffects = \"write\"\nchanges = [\"seat\"]\n[tool.rename]\neffects = \"write\"\n"
    );
    let stage = Stage::open(&[("desk", &wit, &contract)], REGISTRY).await;
    let find = async || stage.call("a", "desk_find", seat(), Ok(seat())).await.code;
    assert_eq!(find().await, Code::Ok);
    assert_eq!(call(&stage, "book", seat(), Ok("booked")).await.code, Code::Ok);
    assert_eq!(
        call(&stage, "book", seat(), Ok("booked")).await.code,
        Code::ArgsPrecondition,
        "it is forgotten"
    );
    find().await;
    assert_eq!(call(&stage, "book", seat(), Ok("booked")).await.code, Code::PolicyDuplicate);
    assert_eq!(call(&stage, "cancel", seat(), Ok("done")).await.code, Code::Ok);
    find().await;
    assert_eq!(call(&stage, "book", seat(), Ok("booked")).await.code, Code::Ok);
}

#[tokio::test]
async fn an_inferred_write_gets_a_warning() {
    let keeper = root().join("tests/guests/build/keeper.wasm");
    let registry = format!("[tools.keep]\ncomponent = {keeper:?}\ngrants.keyvalue = {{}}\n");
    let stage = Stage::open(&[], &registry).await;
    assert_eq!(stage.effect("keep_put"), "write");
    let put = async |value: &str, answer| {
        stage.call("a", "keep_put", json!({"bucket": "", "key": "k", "value": value}), answer).await
    };
    assert_eq!(put("1", Ok(Value::Null)).await.findings, []);
    let second = put("1", Ok(Value::Null)).await;
    let [finding] = second.findings.as_slice() else { panic!("{second:?}") };
    assert_eq!((second.code, finding.kind.as_str()), (Code::Ok, "repeat.done"));
    put("2", Err(json!("full"))).await;
    assert_eq!(put("2", Ok(Value::Null)).await.code, Code::ToolError);
    assert_eq!(stage.script.attempts(), 3);
}

#[tokio::test]
async fn an_idempotent_call_may_succeed_twice() {
    let contract = "effects = \"idempotent\"\n";
    let stage = Stage::open(&[("desk", WIT, contract)], REGISTRY).await;
    for _ in 0..2 {
        let booked = call(&stage, "book", seat(), Ok("booked")).await;
        assert_eq!((booked.code, booked.findings.len()), (Code::Ok, 0));
    }
    let failed = json!({"seat": "9Z"});
    call(&stage, "book", failed.clone(), Err("no such seat")).await;
    assert_eq!(call(&stage, "book", failed, Ok("booked")).await.code, Code::ToolError);
    assert_eq!(stage.script.attempts(), 3);
}

#[tokio::test]
async fn reads_are_never_answered_from_the_ledger() {
    let stage = desk().await;
    for _ in 0..3 {
        call(&stage, "find", seat(), Err("no such seat")).await;
    }
    call(&stage, "find", seat(), Ok("free")).await;
    assert_eq!(call(&stage, "find", seat(), Ok("free")).await.code, Code::Ok);
    assert_eq!(stage.script.attempts(), 5);
}

#[tokio::test]
async fn a_session_remembers_a_bounded_number_of_calls() {
    let registry = format!("{REGISTRY}[session]\ncalls_max = 2\nfailed_ms_max = 60000\n");
    let stage = Stage::open(&[("desk", WIT, WRITES)], &registry).await;
    for n in 0..3 {
        call(&stage, "book", json!({"seat": n.to_string()}), Ok("booked")).await;
    }
    assert_eq!(call(&stage, "book", json!({"seat": "2"}), Ok("booked")).await.code, Code::PolicyDuplicate);
    assert_eq!(call(&stage, "book", json!({"seat": "0"}), Ok("booked")).await.code, Code::Ok);
    call(&stage, "book", json!({"seat": "x"}), Err("taken")).await;
    stage.clock.later(MINUTE_MS);
    call(&stage, "book", json!({"seat": "x"}), Err("taken")).await;
    assert_eq!(stage.script.attempts(), 6);
}

#[tokio::test]
async fn a_backtest_meets_the_ledger_as_it_is_on_record() {
    let stage = desk().await;
    call(&stage, "book", seat(), Err("taken")).await;
    let failed = call(&stage, "book", seat(), Err("taken")).await;
    let other = json!({"seat": "2B"});
    call(&stage, "book", other.clone(), Ok("booked")).await;
    let held = call(&stage, "book", other, Ok("booked")).await;
    let no = |_: &str| Err("nothing is encrypted".to_owned());
    let file = Stage::registry(stage.folder.path(), REGISTRY);
    let backtest = Backtest::open(airlock::Host::builder(), file).await.unwrap();
    for reply in [failed, held] {
        let tested = backtest.test(&record(&stage, &reply), &no).await;
        assert_eq!((tested.change, tested.now), (Change::Same, Some(reply.code)), "{tested:?}");
    }
}
