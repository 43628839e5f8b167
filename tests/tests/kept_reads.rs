//! `cache` of a contract: the answer of a tool that reads is given again in its session, until it is too old or something that it
//! read may have changed.

use std::time::Duration;

use airlock_tests::root;
use airlock_types::code::{Code, Status};
use airlock_types::record::Record;
use airlock_types::reply::Reply;
use serde_json::{Value, json};

use crate::scripted::{Stage, called};

const WIT: &str = "package test:desk;
world desk {
    record seat { seat: string, price: u32 }
    export find: func(seat: string, note: option<string>) -> result<seat, string>;
    export cancel: func(seat: string) -> result<string, string>;
    export rename: func(seat: string) -> result<string, string>;
    export mail: func(seat: string) -> result<string, string>;
}";

const CONTRACT: &str = r#"
[tool.find]
effects = "read"
cache = { max_age = "30s" }
[tool.find.facts.seat]
key = "result.seat"
fields = ["result.price"]
ttl = "1h"
[tool.find.facts.name]
key = "result.seat"
fields = []
ttl = "1h"
[tool.cancel]
effects = "write"
changes = ["seat"]
[tool.rename]
effects = "write"
changes = ["other"]
[tool.mail]
effects = "write"
[tool.mail.facts.other]
key = "args.seat"
fields = []
ttl = "1h"
"#;

const REGISTRY: &str = "[tools.desk]\ncomponent = \"desk.wasm\"\n";

async fn desk() -> Stage {
    Stage::open(&[("desk", WIT, CONTRACT)], REGISTRY).await
}

async fn find(stage: &Stage, session: &str, args: Value, price: u32) -> Reply {
    stage.call(session, "desk_find", args, Ok(json!({"seat": "1A", "price": price}))).await
}

fn seat() -> Value {
    json!({"seat": "1A"})
}

/// The price that an answer has, and the age of one that is given again.
fn told(reply: &Reply) -> (Option<u64>, Option<u64>) {
    assert_eq!((reply.code, reply.status), (Code::Ok, Status::Ok), "{reply:?}");
    let price = reply.result.as_ref().and_then(|result| result["price"].as_u64());
    let cached = reply.provenance.as_ref().and_then(|from| from.cached.as_ref());
    (price, cached.map(|cached| cached.age_ms))
}

#[tokio::test]
async fn the_same_call_of_a_session_is_answered_with_what_was_read() {
    let stage = desk().await;
    let first = find(&stage, "a", seat(), 1).await;
    assert_eq!(told(&first), (Some(1), None));
    stage.clock.later(30_000);
    // Another spelling of the same arguments.
    let again = find(&stage, "a", json!({"note": null, "seat": "1A"}), 2).await;
    assert_eq!(told(&again), (Some(1), Some(30_000)));
    assert_eq!(stage.script.attempts(), 1);
    let cached = again.provenance.as_ref().unwrap().cached.as_ref().unwrap();
    assert_eq!(cached.record, first.record);
    let record: Record = stage.host.journal().find(&again.record).unwrap().unwrap();
    let repeat = record.repeat.unwrap();
    assert_eq!((repeat.of.as_deref(), &*repeat.how), (Some(&*first.record), "cached"));
    assert!(record.attempts.is_empty());
    // What was given again does not become younger.
    stage.clock.later(1);
    assert_eq!(told(&find(&stage, "a", seat(), 3).await), (Some(3), None));
}

#[tokio::test]
async fn other_arguments_sessions_and_failures_are_asked_anew() {
    let stage = desk().await;
    find(&stage, "a", seat(), 1).await;
    assert_eq!(told(&find(&stage, "a", json!({"seat": "1A", "note": "x"}), 2).await), (Some(2), None));
    assert_eq!(told(&find(&stage, "b", seat(), 3).await), (Some(3), None));
    assert_eq!(told(&find(&stage, "", seat(), 4).await), (Some(4), None));
    assert_eq!(told(&find(&stage, "", seat(), 5).await), (Some(5), None), "no session remembers it");
    let other = json!({"seat": "9Z"});
    let failed = stage.call("a", "desk_find", other.clone(), Err(json!("no such seat"))).await;
    assert_eq!(failed.code, Code::ToolError);
    assert_eq!(told(&find(&stage, "a", other, 6).await), (Some(6), None));
}

#[tokio::test]
async fn a_write_of_what_was_read_ends_it() {
    let stage = desk().await;
    let write = async |tool: &str, seat: &str, answer: Result<&str, &str>| {
        stage.clock.later(1);
        let answer = answer.map(Value::from).map_err(Value::from);
        stage.call("a", &format!("desk_{tool}"), json!({"seat": seat}), answer).await;
        stage.clock.later(1);
    };
    let is_again = async |price: u32| told(&find(&stage, "a", seat(), price).await).1.is_some();
    assert!(!is_again(1).await);
    write("rename", "1A", Ok("done")).await;
    assert!(is_again(2).await, "it changes something else");
    write("cancel", "2B", Err("not booked")).await;
    assert!(is_again(3).await, "it changed nothing");
    write("cancel", "1A", Ok("done")).await;
    assert!(!is_again(4).await);
    assert!(is_again(5).await);
    write("mail", "1A", Ok("sent")).await;
    assert!(!is_again(6).await, "its contract does not say what it changes");
}

#[tokio::test]
async fn a_write_that_was_cut_off_ends_it() {
    let stage = desk().await;
    find(&stage, "a", seat(), 1).await;
    stage.clock.later(1);
    stage.cut_off("a", "desk_cancel", seat()).await;
    stage.clock.later(1);
    assert_eq!(told(&find(&stage, "a", seat(), 2).await), (Some(2), None));
    assert!(told(&find(&stage, "a", seat(), 3).await).1.is_some(), "it does not run any more");
}

/// Also while its record is written.
#[tokio::test]
async fn a_write_ends_it_wherever_its_caller_goes_away() {
    let stage = desk().await;
    for n in 0_u32..40 {
        find(&stage, "a", seat(), n).await;
        stage.clock.later(1);
        let before = stage.script.attempts();
        let call = stage.make(called("a", "desk_cancel", &json!({"seat": n.to_string()})), Ok(json!("done")));
        let is_cut = tokio::time::timeout(Duration::from_micros(250 * u64::from(n)), call).await.is_err();
        stage.forget_answers();
        stage.clock.later(1);
        let has_run = stage.script.attempts() > before;
        let is_again = told(&find(&stage, "a", seat(), 100 + n).await).1.is_some();
        assert_eq!(is_again, !has_run, "round {n}: cut off: {is_cut}");
    }
}

#[tokio::test]
async fn the_same_call_beside_it_ends_it_too() {
    let keeper = root().join("tests/guests/build/keeper.wasm");
    let registry = format!("{REGISTRY}[tools.keep]\ncomponent = {keeper:?}\ngrants.keyvalue = {{}}\n");
    let stage = Stage::open(&[("desk", WIT, CONTRACT)], &registry).await;
    // Only inferred, so that the second one runs.
    assert_eq!(stage.effect("keep_put"), "write");
    let args = json!({"bucket": "", "key": "k", "value": "1"});
    let calls =
        (stage.host.call(called("a", "keep_put", &args)), stage.host.call(called("a", "keep_put", &args)));
    let (mut first, mut second) = (Box::pin(calls.0), Box::pin(calls.1));
    stage.until_begun(first.as_mut()).await;
    stage.until_begun(second.as_mut()).await;
    drop(first);
    stage.clock.later(1);
    find(&stage, "a", seat(), 1).await;
    assert_eq!(told(&find(&stage, "a", seat(), 2).await), (Some(2), None), "the second one runs");
    drop(second);
    stage.clock.later(1);
    assert_eq!(told(&find(&stage, "a", seat(), 3).await), (Some(3), None), "it was cut off");
    assert!(told(&find(&stage, "a", seat(), 4).await).1.is_some());
}

#[tokio::test]
async fn only_tools_that_read_can_have_it() {
    for (contract, says) in [
        (
            "[tool.find]\neffects = \"write\"\ncache = { max_age = \"30s\" }\n",
            "`cache` is for functions that only read",
        ),
        (
            "[tool.find]\neffects = \"read\"\ncache = { max_age = \"2d\" }\n",
            "`2d` is not a time from `1s` to `1d`",
        ),
        ("[tool.find]\ncache = { max = \"2d\" }\n", "unknown field `max`"),
    ] {
        let component = crate::authored::component(WIT, Some(contract));
        let checked = crate::described::Place::new(&component, "").run(&["check"]);
        let said = crate::stderr(&checked);
        assert!(!checked.status.success() && said.contains(says), "{said}");
        assert!(said.contains("(embedded contract):"), "{said}");
    }
    // What the contract does not declare, the registry may.
    let component = crate::authored::component(WIT, Some("[tool.find]\ncache = { max_age = \"30s\" }\n"));
    let checked = crate::described::Place::new(&component, "effects = \"write\"\n").run(&["check"]);
    let said = crate::stderr(&checked);
    assert!(
        !checked.status.success() && said.contains("has `cache`, which is for tools that only read"),
        "{said}"
    );
}
