//! Idempotency keys of callers: the same call with the same key is made once, and answered as often as it comes.

use std::time::Duration;

use airlock::backtest::{Backtest, Change};
use airlock::caller::token;
use airlock_tests::registry;
use airlock_tests::server::Server;
use airlock_tests::wire::Wire;
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::Caller;
use airlock_types::code::{Code, Ran};
use airlock_types::hold::{Approver, HoldDecision};
use airlock_types::reply::Reply;
use airlock_types::session::SessionKey;
use serde_json::{Value, json};

use crate::callers::two_callers;
use crate::http::{KM, LOOPS, registry_in};
use crate::scripted::Stage;
use crate::state_folder::airlock;

const WIT: &str = "package test:desk;
world desk { export book: func(seat: string) -> result<string, string>; }";

const WRITES: &str = "[tool.book]\neffects = \"write\"\n";

const REGISTRY: &str = "[tools.desk]\ncomponent = \"desk.wasm\"\n";

async fn desk() -> Stage {
    Stage::open(&[("desk", WIT, WRITES)], REGISTRY).await
}

fn keyed(key: &str, seat: &str) -> Call {
    let args = Arguments::Text(json!({"seat": seat}).to_string().into());
    Call { idempotency: Some(key.to_owned()), ..Call::new("desk", args) }
}

async fn book(stage: &Stage, key: &str, seat: &str, answer: Result<&str, &str>) -> Reply {
    stage.make(keyed(key, seat), answer.map(Value::from).map_err(Value::from)).await
}

#[tokio::test]
async fn the_same_call_with_the_same_key_gets_the_stored_reply() {
    let stage = desk().await;
    let first = book(&stage, "k1", "1A", Ok("booked")).await;
    stage.clock.later(5_000);
    let again = book(&stage, "k1", "1A", Ok("booked a second time")).await;
    assert_eq!((again.code, again.result), (Code::Ok, Some(json!("booked"))));
    let cached = again.provenance.unwrap().cached.unwrap();
    assert_eq!((cached.age_ms, cached.record), (5_000, first.record.clone()));
    let repeat = stage.host.journal().find(&again.record).unwrap().unwrap().repeat.unwrap();
    assert_eq!((repeat.of, &*repeat.how), (Some(first.record), "key"));
    assert_eq!(book(&stage, "k2", "1A", Ok("booked")).await.code, Code::Ok);
    assert_eq!(stage.script.attempts(), 2);
}

/// With another key it would run: that it was sent before says nothing.
#[tokio::test]
async fn a_key_or_a_session_that_is_wrong_is_no_repeat_of_a_call() {
    let stage = desk().await;
    for _ in 0..4 {
        let refused = book(&stage, "has space", "1A", Ok("booked")).await;
        let message = refused.error.unwrap().message;
        assert_eq!(refused.code, Code::ArgsIdempotency);
        assert!(message.contains("`Idempotency-Key`") && message.contains("without a key"), "{message}");
        assert!(!message.contains("same call") && !message.contains("same error"), "{message}");
        let call = Call { session: SessionKey::Handle("gone".into()), ..keyed("k", "1A") };
        let unknown = stage.make(call, Ok(json!("booked"))).await;
        let message = unknown.error.unwrap().message;
        assert_eq!(unknown.code, Code::ArgsPrecondition);
        assert!(message.contains("`Airlock-Session`") && message.contains("_meta"), "{message}");
        assert!(!message.contains("same call") && !message.contains("same error"), "{message}");
    }
    book(&stage, "k", "1A", Ok("booked")).await;
    let message = book(&stage, "k", "2B", Ok("booked")).await.error.unwrap().message;
    assert!(message.contains("both would be made"), "{message}");
}

#[tokio::test]
async fn a_failure_is_stored_too_and_a_call_that_did_not_run_is_not() {
    let stage = desk().await;
    let taken = book(&stage, "k1", "1A", Err("taken")).await;
    let again = book(&stage, "k1", "1A", Ok("booked")).await;
    assert_eq!((again.code, again.error), (Code::ToolError, taken.error));
    assert_eq!(stage.script.attempts(), 1);
    // One that is stopped before it runs leaves its key to the next.
    let mut held = keyed("k2", "2B");
    held.session = airlock_types::session::SessionKey::Transport("a".to_owned());
    let first = Call { idempotency: None, ..held.clone() };
    assert_eq!(stage.make(first, Ok(json!("booked"))).await.code, Code::Ok);
    let waits = stage.make(held, Ok(json!("booked"))).await;
    assert_eq!(waits.code, Code::PolicyDuplicate);
    // One that waits for a person keeps it: at the approval it would be made a second time.
    assert_eq!(book(&stage, "k2", "2B", Ok("booked")).await.hold, waits.hold);
    let unknown = || Call { session: SessionKey::Handle("gone".into()), ..keyed("k3", "3C") };
    assert_eq!(stage.make(unknown(), Ok(json!("booked"))).await.code, Code::ArgsPrecondition);
    assert_eq!(book(&stage, "k3", "3C", Ok("booked")).await.code, Code::Ok);
}

/// A desk whose bookings wait for a person.
async fn held_desk() -> Stage {
    Stage::open(&[("desk", WIT, WRITES)], &format!("{REGISTRY}[[holds]]\ntools = [\"desk\"]\n")).await
}

async fn decide(stage: &Stage, id: &str, decision: HoldDecision) {
    stage.answers(Ok(json!("booked")));
    stage.host.decide_hold(id, &Approver::Operator, decision, None).await.unwrap();
    stage.forget_answers();
}

#[tokio::test]
async fn the_key_of_a_held_call_has_one_end_whatever_a_person_says() {
    let stage = held_desk().await;
    let reject = HoldDecision::Reject { reason: "no".into() };
    let respond = HoldDecision::Respond { text: "paid by hand".into() };
    for (decision, code, is_fetched) in [
        (reject.clone(), Code::PolicyDenied, true),
        (reject, Code::PolicyDenied, false),
        (respond.clone(), Code::Refused, true),
        (respond, Code::Refused, false),
        (HoldDecision::Approve, Code::Ok, true),
    ] {
        let key = format!("{}{is_fetched}", decision.as_str());
        let waits = book(&stage, &key, &key, Ok("booked")).await;
        let id = waits.hold.unwrap().id;
        let before = stage.script.attempts();
        decide(&stage, &id, decision).await;
        if is_fetched {
            stage.host.held_reply(&Caller::local(), &id, Duration::ZERO).await.unwrap();
        }
        for _ in 0..3 {
            let again = book(&stage, &key, &key, Ok("booked again")).await;
            assert_eq!((again.code, again.hold), (code, None), "{key}");
        }
        assert_eq!(stage.script.attempts(), before + u64::from(code == Code::Ok));
    }
    // A call with another key is another one.
    assert_eq!(book(&stage, "other", "rejecttrue", Ok("booked")).await.code, Code::PolicyHeld);
}

#[tokio::test]
async fn the_key_of_a_held_call_has_one_end_when_nobody_approves_it() {
    let stage = held_desk().await;
    for is_asked_by_id in [true, false] {
        let key = format!("k{is_asked_by_id}");
        let id = book(&stage, &key, &key, Ok("booked")).await.hold.unwrap().id;
        stage.clock.later(15 * 60_000);
        if is_asked_by_id {
            stage.host.held_reply(&Caller::local(), &id, Duration::ZERO).await.unwrap();
        }
        for _ in 0..3 {
            let again = book(&stage, &key, &key, Ok("booked")).await;
            assert_eq!((again.code, again.hold), (Code::PolicyDenied, None));
        }
    }
    assert_eq!(stage.script.attempts(), 0);
}

/// A second hold could be approved beside the first one.
#[tokio::test]
async fn the_key_of_a_held_call_has_one_hold_in_every_session() {
    let stage = held_desk().await;
    let sent = async |session: &str| {
        let session = SessionKey::Transport(session.to_owned());
        stage.make(Call { session, ..keyed("k", "1A") }, Ok(json!("booked"))).await
    };
    let id = sent("a").await.hold.unwrap().id;
    for session in ["b", "a", "c"] {
        assert_eq!(sent(session).await.hold.unwrap().id, id, "{session}");
    }
    decide(&stage, &id, HoldDecision::Approve).await;
    for session in ["b", "a", "c"] {
        assert_eq!(sent(session).await.result, Some(json!("booked")), "{session}");
    }
    assert_eq!(stage.script.attempts(), 1);
}

/// It ran, though the call that ended its hold did not.
#[tokio::test]
async fn a_result_that_is_withheld_is_not_made_again_by_its_key() {
    let check = "[[tool.book.expect]]\nrelation = { that = \"result == 'no'\" }\nverdict = \"escalate\"\n";
    let contract = format!("{WRITES}{check}");
    let stage = Stage::open(&[("desk", WIT, &contract)], REGISTRY).await;
    let id = book(&stage, "k", "1A", Ok("booked")).await.hold.unwrap().id;
    decide(&stage, &id, HoldDecision::Reject { reason: "no".into() }).await;
    for _ in 0..3 {
        let again = book(&stage, "k", "1A", Ok("booked")).await;
        assert_eq!((again.code, again.error.unwrap().ran), (Code::PolicyDenied, Ran::Ran));
    }
    assert_eq!(stage.script.attempts(), 1);
    // One that was approved is delivered, and waits for nobody again.
    let id = book(&stage, "l", "2B", Ok("booked")).await.hold.unwrap().id;
    stage.host.decide_hold(&id, &Approver::Operator, HoldDecision::Approve, None).await.unwrap();
    for _ in 0..3 {
        let again = book(&stage, "l", "2B", Ok("booked")).await;
        assert_eq!((again.result, again.hold), (Some(json!("booked")), None));
    }
    assert_eq!(stage.script.attempts(), 2);
}

#[tokio::test]
async fn what_a_key_decided_says_nothing_about_other_rules() {
    let stage = desk().await;
    book(&stage, "k1", "1A", Ok("booked")).await;
    let again = book(&stage, "k1", "1A", Ok("booked")).await;
    let other = book(&stage, "k1", "1B", Ok("booked")).await;
    let unknown = airlock_types::session::SessionKey::Handle("lost".to_owned());
    let lost = Call { session: unknown, idempotency: None, ..keyed("k1", "1A") };
    let lost = stage.make(lost, Ok(json!("booked"))).await;
    assert_eq!((other.code, lost.code), (Code::ArgsIdempotency, Code::ArgsPrecondition));
    let file = Stage::registry(stage.folder.path(), REGISTRY);
    let backtest = Backtest::open(airlock::Host::builder(), file).await.unwrap();
    for reply in [again, other, lost] {
        let record = stage.host.journal().find(&reply.record).unwrap().unwrap();
        let tested = backtest.test(&record, &|_: &str| Err("nothing is encrypted".to_owned())).await;
        assert_eq!(tested.change, Change::Unknown, "{tested:?}");
    }
}

#[tokio::test]
async fn a_key_is_of_one_call_and_one_caller() {
    let callers = "[callers.ann]\ntools = [\"*\"]\n[callers.local]\ntools = [\"*\"]\n[callers.anonymous]\ntools = [\"*\"]\n";
    let stage = Stage::open(&[("desk", WIT, WRITES)], &format!("{callers}{REGISTRY}")).await;
    book(&stage, "k1", "1A", Ok("booked")).await;
    let other = book(&stage, "k1", "1B", Ok("booked")).await;
    let error = other.error.unwrap();
    assert_eq!((other.code, error.ran, error.retryable), (Code::ArgsIdempotency, Ran::No, false));
    assert!(error.message.contains("came with another tool or other arguments"), "{}", error.message);
    let ann = Call { caller: Caller::named("ann"), ..keyed("k1", "1B") };
    assert_eq!(stage.make(ann, Ok(json!("booked"))).await.code, Code::Ok);
    let stranger = Call { caller: Caller::named("anonymous"), ..keyed("k1", "1B") };
    assert_eq!(stage.make(stranger, Ok(json!("booked"))).await.code, Code::ArgsIdempotency);
    for key in ["", "a b", "é", &"k".repeat(256)] {
        assert_eq!(book(&stage, key, "1A", Ok("booked")).await.code, Code::ArgsIdempotency, "{key}");
    }
    assert_eq!(stage.script.attempts(), 2);
}

#[tokio::test]
async fn a_call_whose_key_is_running_is_a_conflict() {
    let stage = desk().await;
    let (first, second) =
        tokio::join!(book(&stage, "k1", "1A", Ok("booked")), stage.host.call(keyed("k1", "1A")),);
    let error = second.error.unwrap();
    assert_eq!((first.code, second.code), (Code::Ok, Code::PolicyConflict));
    assert_eq!((error.retryable, error.retry_after_ms), (true, Some(1_000)));
    assert_eq!(book(&stage, "k1", "1A", Ok("again")).await.result, Some(json!("booked")));
}

#[tokio::test]
async fn a_restart_loses_no_key() {
    let stage = desk().await;
    book(&stage, "k1", "1A", Ok("booked")).await;
    let stage = stage.reopened(REGISTRY).await;
    assert_eq!(book(&stage, "k1", "1A", Ok("again")).await.result, Some(json!("booked")));
    assert_eq!(stage.script.attempts(), 0);
    stage.clock.later(86_400_000);
    assert_eq!(book(&stage, "k1", "1A", Ok("again")).await.result, Some(json!("again")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_has_the_key_in_a_header() {
    let folder = tempfile::tempdir().unwrap();
    let (server, ann, _) = two_callers(folder.path(), "");
    let convert = async |value: u32| {
        let args = json!({"value": value, "from": "km", "to": "m"}).to_string();
        let call = server.call("unit_convert", args).bearer_auth(&ann).header("Idempotency-Key", "k1");
        let response = call.send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let (_, first) = convert(1).await;
    let (status, again) = convert(1).await;
    assert_eq!((status, &again["result"]), (200, &first["result"]));
    assert_eq!(again["provenance"]["cached"]["record"], first["record"], "{again}");
    let args = json!({"value": 1, "from": "km", "to": "m"}).to_string();
    let call = || server.call("unit_convert", args.clone()).bearer_auth(&ann);
    let bytes = |bytes: &[u8]| reqwest::header::HeaderValue::from_bytes(bytes).unwrap();
    let [twice, no_text] = [
        call().header("Idempotency-Key", "k1").header("Idempotency-Key", "k2"),
        call().header("Airlock-Session", bytes(b"\xff")),
    ];
    for (request, code) in [(twice, "args.idempotency"), (no_text, "args.precondition")] {
        let said = request.send().await.unwrap().json::<Value>().await.unwrap();
        assert_eq!(said["reply"]["code"], code, "{said}");
    }
    let (status, other) = convert(2).await;
    assert_eq!((status, &other["reply"]["code"]), (422, &json!("args.idempotency")), "{other}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_of_one_folder_make_a_call_once() {
    let folder = tempfile::tempdir().unwrap();
    let (ann, digest) = token::new([1; 32]);
    let settings = format!("[callers.ann]\ntools = [\"*\"]\ntokens = [\"{digest}\"]\n");
    let path = registry_in(folder.path(), &settings, &[LOOPS]);
    // The last table is that of the tool.
    let text = std::fs::read_to_string(&path).unwrap() + "effects = \"write\"\n";
    std::fs::write(&path, text).unwrap();
    let servers = [Server::start(&path, &[]).unwrap(), Server::start(&path, &[]).unwrap()];
    let sent = async |server: &Server, key: &str| {
        let call = server.call("loops_sleep", r#"{"ms": 300}"#).bearer_auth(&ann);
        let response = call.header("Idempotency-Key", key).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    for key in ["k1", "k2", "k3"] {
        let (one, other) = tokio::join!(sent(&servers[0], key), sent(&servers[1], key));
        let mut statuses = [one.0, other.0];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{one:?} {other:?}");
        let first = if one.0 == 200 { one } else { other };
        let (status, again) = sent(&servers[1], key).await;
        assert_eq!((status, &again["provenance"]["cached"]["record"]), (200, &first.1["record"]), "{again}");
    }
}

#[test]
fn mcp_has_the_key_in_meta() {
    let mut wire = Wire::handshake(&registry("example"), "2025-11-25").unwrap().0;
    // The state of this registry stays from one run of the tests to the next.
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().file_name().unwrap().to_str().unwrap().to_owned();
    let mut convert = |key: Value| {
        let args = json!({"value": 1, "from": "km", "to": "m"});
        let params =
            json!({"name": "unit_convert", "arguments": args, "_meta": {"dev.airlock/idempotency_key": key}});
        wire.ask(1, "tools/call", params).unwrap()["result"].clone()
    };
    let first = convert(key.clone().into());
    let again = convert(key.into());
    assert_eq!(again["structuredContent"]["result"], first["structuredContent"]["result"]);
    let provenance = &again["_meta"]["dev.airlock/provenance"];
    assert_eq!(provenance["cached"]["record"], first["_meta"]["dev.airlock/record"], "{again}");
    // What is no text is refused, and not left out.
    let wrong = convert(json!(7));
    assert_eq!(wrong["_meta"]["dev.airlock/code"], "args.idempotency", "{wrong}");
}

/// Of two processes: the key is on disk.
#[test]
fn the_command_line_takes_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = crate::journal::registry_in(folder.path(), "");
    let called = |args: &str| {
        let output = airlock(&path, &["call", "reads", args, "--json", "--idempotency-key", "k1"]);
        (output.status.code(), serde_json::from_slice::<Value>(&output.stdout).unwrap())
    };
    let (first, again) = (called(KM), called(KM));
    assert_eq!((first.0, again.0), (Some(0), Some(0)), "{again:?}");
    assert_eq!(again.1["provenance"]["cached"]["record"], first.1["record"], "{again:?}");
    let (exit, other) = called("{\"from\": \"km\", \"to\": \"mile\", \"value\": 2}");
    assert_eq!((exit, &other["code"]), (Some(10), &json!("args.idempotency")), "{other}");
}
