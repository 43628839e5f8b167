//! Calls that were made before and come again after their relations have ceased to hold: they are told what became of the first one.

use airlock_types::call::{Arguments, Call};
use airlock_types::code::{Code, Ran};
use airlock_types::hold::{Approver, HoldDecision, Standing};
use airlock_types::reply::Reply;
use airlock_types::session::SessionKey;
use serde_json::{Value, json};

use crate::scripted::Stage;

const WIT: &str = "package test:desk;
world desk {
    record place { seat: string, price: u32 }
    export find: func(seat: string) -> result<place, string>;
    export book: func(seat: string) -> result<string, string>;
    export wipe: func(seat: string) -> result<string, string>;
}";

const CONTRACT: &str = r#"
[tool.find]
effects = "read"
[tool.find.facts.seat]
key = "result.seat"
fields = ["price"]
ttl = "1h"

[tool.book]
effects = "write"
changes = ["seat"]
[[tool.book.require]]
that = "facts.seat[args.seat].price > 3"
[[tool.book.hold]]
when = "args.seat == '9F'"

[tool.wipe]
effects = "irreversible"
"#;

const REGISTRY: &str = "[tools.desk]\ncomponent = \"desk.wasm\"\n";

/// A desk at which a session has looked for a seat.
async fn desk(seat: &str) -> Stage {
    let stage = Stage::open(&[("desk", WIT, CONTRACT)], REGISTRY).await;
    let place = json!({"seat": seat, "price": 9});
    assert_eq!(stage.call("a", "desk_find", json!({"seat": seat}), Ok(place)).await.code, Code::Ok);
    stage
}

fn booking(seat: &str, key: Option<&str>) -> Call {
    let args = Arguments::Text(json!({"seat": seat}).to_string().into());
    let session = SessionKey::Transport("a".to_owned());
    Call { session, idempotency: key.map(str::to_owned), ..Call::new("desk_book", args) }
}

async fn book(stage: &Stage, seat: &str, key: Option<&str>) -> Reply {
    stage.make(booking(seat, key), Ok(json!("booked"))).await
}

async fn decide(stage: &Stage, held: &Reply, decision: HoldDecision) -> Standing {
    let id = &held.hold.as_ref().unwrap().id;
    stage.answers(Ok(json!("booked")));
    let decided = stage.host.decide_hold(id, &Approver::Operator, decision, None).await;
    stage.forget_answers();
    decided.unwrap().standing
}

fn message(reply: &Reply) -> &str {
    &reply.error.as_ref().unwrap().message
}

#[tokio::test]
async fn a_key_is_answered_although_the_booking_used_up_what_it_was_held_against() {
    let stage = desk("1A").await;
    let first = book(&stage, "1A", Some("k")).await;
    assert_eq!(first.code, Code::Ok);
    let again = book(&stage, "1A", Some("k")).await;
    assert_eq!((again.code, &again.result), (Code::Ok, &first.result), "{again:?}");
    assert_eq!(again.provenance.unwrap().cached.unwrap().record, first.record);
    assert_eq!(stage.script.attempts(), 2);
    // A key that came with nothing is not used up by a call that is refused.
    let refused = book(&stage, "2B", Some("other")).await;
    assert_eq!((refused.code, stage.script.attempts()), (Code::ArgsPrecondition, 2));
    stage.call("a", "desk_find", json!({"seat": "2B"}), Ok(json!({"seat": "2B", "price": 9}))).await;
    assert_eq!(book(&stage, "2B", Some("other")).await.code, Code::Ok);
}

#[tokio::test]
async fn a_hold_is_answered_although_its_call_used_up_what_it_was_held_against() {
    let stage = desk("9F").await;
    let held = book(&stage, "9F", None).await;
    assert_eq!(held.code, Code::PolicyHeld, "{held:?}");
    assert_eq!(decide(&stage, &held, HoldDecision::Approve).await, Standing::Done);
    let again = book(&stage, "9F", None).await;
    assert_eq!((again.code, again.result), (Code::Ok, Some(json!("booked"))));
    assert_eq!(stage.script.attempts(), 2);
}

#[tokio::test]
async fn a_hold_that_waits_or_was_rejected_is_told_after_its_facts_are_gone() {
    let stage = desk("9F").await;
    let held = book(&stage, "9F", None).await;
    stage.clock.later(10 * 60_000);
    // The other seat's booking takes the facts with it.
    stage.call("a", "desk_find", json!({"seat": "1A"}), Ok(json!({"seat": "1A", "price": 9}))).await;
    assert_eq!(book(&stage, "1A", None).await.code, Code::Ok);
    let waits = book(&stage, "9F", None).await;
    assert_eq!(
        (waits.code, &waits.hold.as_ref().unwrap().id),
        (Code::PolicyHeld, &held.hold.as_ref().unwrap().id)
    );
    let reject = HoldDecision::Reject { reason: "too dear".into() };
    assert_eq!(decide(&stage, &held, reject).await, Standing::Rejected);
    let told = book(&stage, "9F", None).await;
    assert_eq!(told.code, Code::PolicyDenied);
    assert!(message(&told).contains("too dear"), "{}", message(&told));
}

#[tokio::test]
async fn without_a_key_the_refusal_says_that_the_call_was_made() {
    let stage = desk("1A").await;
    let first = book(&stage, "1A", None).await;
    let again = book(&stage, "1A", None).await;
    assert_eq!((again.code, again.error.as_ref().unwrap().ran), (Code::ArgsPrecondition, Ran::No));
    for text in ["This same call was made before in this session, and succeeded", &first.record] {
        assert!(message(&again).contains(text), "{text}: {}", message(&again));
    }
    let other = book(&stage, "2B", None).await;
    assert!(!message(&other).contains("made before"), "{}", message(&other));
    assert_eq!(stage.script.attempts(), 2);
}

#[tokio::test]
async fn what_a_person_wrote_is_not_the_callers_to_mend() {
    let stage = desk("9F").await;
    let held = book(&stage, "9F", None).await;
    let arguments = json!({"seat": "7C"}).as_object().unwrap().clone();
    assert_eq!(decide(&stage, &held, HoldDecision::Edit { arguments }).await, Standing::Void);
    let told = book(&stage, "9F", None).await;
    assert_eq!((told.code, stage.script.attempts()), (Code::ArgsPrecondition, 1));
    assert!(message(&told).contains("with other arguments than yours"), "{}", message(&told));
    assert!(!message(&told).contains("Fix this"), "{}", message(&told));
}

#[tokio::test]
async fn what_cannot_be_undone_waits_for_a_person_unless_its_operator_waives_that() {
    let wipe = async |registry: &str| {
        let stage = Stage::open(&[("desk", WIT, CONTRACT)], registry).await;
        let reply = stage.call("a", "desk_wipe", json!({"seat": "1A"}), Ok(Value::from("wiped"))).await;
        (stage, reply)
    };
    let (stage, held) = wipe(REGISTRY).await;
    assert_eq!((held.code, stage.script.attempts()), (Code::PolicyHeld, 0));
    assert!(message(&held).contains("what it does cannot be undone"), "{}", message(&held));
    assert_eq!(decide(&stage, &held, HoldDecision::Approve).await, Standing::Done);
    assert_eq!(stage.script.attempts(), 1);
    let (_, ran) = wipe(&format!("{REGISTRY}approval = \"waived\"\n")).await;
    assert_eq!(ran.code, Code::Ok);
    // A rule that holds the call already asks whom it names, and no other one is added.
    let rules = "[[holds]]\neffect = \"write\"\nmessage = \"ask the desk\"\n";
    let (_, held) = wipe(&format!("{rules}{REGISTRY}")).await;
    assert!(
        message(&held).contains("ask the desk") && !message(&held).contains("undone"),
        "{}",
        message(&held)
    );
}

#[tokio::test]
async fn settings_that_can_never_work_are_named() {
    let notes = async |registry: &str| {
        let stage = Stage::open(&[("desk", WIT, CONTRACT), ("other", WIT, CONTRACT)], registry).await;
        stage.host.summary().1.join("\n")
    };
    let other = "[tools.other]\ncomponent = \"other.wasm\"\n";
    for (registry, says) in [
        (
            format!("{REGISTRY}useful_ms_min = 9000\n[host]\ncall_deadline_ms = 9000\n"),
            "`desk_find` is never run",
        ),
        (
            format!("{REGISTRY}fallback = {{ find = [\"other_find\", \"other_find\"] }}\n{other}"),
            "`desk_find` has the fallback `other_find` twice",
        ),
        (
            format!("{REGISTRY}approval = \"waived\"\n"),
            "`desk_book` has `approval = \"waived\"` and is `write`",
        ),
        (
            format!("{REGISTRY}[callers.a]\ntools = [\"desk_fnd\"]\n"),
            "`callers.a.tools` has `desk_fnd`, which is the name of no tool; did you mean `desk_find`",
        ),
        (
            format!(
                "{REGISTRY}[callers.a]\ntools = [\"*\"]\napprove = true\n[[holds]]\ncaller = \"a\"\napprovers = [\"a\"]\n"
            ),
            "`holds[0]` can be approved by nobody",
        ),
    ] {
        let said = notes(&registry).await;
        assert!(said.contains(says), "{says}: {said}");
    }
    let fine = notes(&format!("{REGISTRY}[callers.a]\ntools = [\"desk_*\"]\n")).await;
    assert!(!fine.contains("never run") && !fine.contains("callers.a"), "{fine}");
}
