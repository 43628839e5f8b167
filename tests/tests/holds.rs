//! Calls that wait for a person: held durably, decided once, run at the approval, and answered when they are asked for again.

use std::sync::Arc;
use std::time::Duration;

use airlock::backtest::{Backtest, Change};
use airlock::host::{Held, HoldError, Host};
use airlock_journal::holds::{self, Holds, Kept};
use airlock_types::call::{Arguments, Call};
use airlock_types::caller::Caller;
use airlock_types::code::{Code, Ran, Status};
use airlock_types::hold::{Approver, Hold, HoldDecision, Standing};
use airlock_types::reply::Reply;
use serde_json::{Value, json};

use crate::scripted::Stage;

const WIT: &str = "package test:desk;
world desk {
    export book: func(seat: string, note: option<string>) -> result<string, string>;
    export find: func(seat: string) -> result<string, string>;
}";

const WRITES: &str = "[tool.find]\neffects = \"read\"\n[tool.book]\neffects = \"write\"\n";

const REGISTRY: &str = "[tools.desk]\ncomponent = \"desk.wasm\"\n";

const MINUTE_MS: u64 = 60_000;

async fn desk() -> Stage {
    Stage::open(&[("desk", WIT, WRITES)], REGISTRY).await
}

async fn book(stage: &Stage, session: &str, seat: &str) -> Reply {
    stage.call(session, "desk_book", json!({"seat": seat}), Ok(json!("booked"))).await
}

/// A hold: the same seat booked twice in one session.
async fn held(stage: &Stage, session: &str, seat: &str) -> (Reply, String) {
    assert_eq!(book(stage, session, seat).await.code, Code::Ok);
    let held = book(stage, session, seat).await;
    assert_eq!((held.code, held.status), (Code::PolicyDuplicate, Status::Held), "{held:?}");
    let id = held.hold.as_ref().unwrap().id.clone();
    (held, id)
}

async fn decide(stage: &Stage, id: &str, decision: HoldDecision) -> Result<Hold, HoldError> {
    stage.answers(Ok(json!("booked again")));
    let decided = stage.host.decide_hold(id, &Approver::Operator, decision, None).await;
    stage.forget_answers();
    decided
}

async fn fetch(stage: &Stage, id: &str) -> Reply {
    match stage.host.held_reply(&Caller::local(), id, Duration::ZERO).await.unwrap() {
        Held::Ended(reply) => *reply,
        Held::Waiting(hold) => panic!("{hold:?} waits"),
    }
}

fn edit(arguments: Value) -> HoldDecision {
    HoldDecision::Edit { arguments: arguments.as_object().unwrap().clone() }
}

fn message(reply: &Reply) -> &str {
    &reply.error.as_ref().unwrap().message
}

#[tokio::test]
async fn a_held_call_runs_at_its_approval_and_its_reply_is_given_to_the_same_call() {
    let stage = desk().await;
    let (held, id) = held(&stage, "a", "1A").await;
    assert_eq!((held.error.as_ref().unwrap().ran, stage.script.attempts()), (Ran::No, 1));
    for text in
        ["held until a person approves it", "the same call was made before", &id, "send the same call again"]
    {
        assert!(message(&held).contains(text), "{text}: {}", message(&held));
    }
    let again = book(&stage, "a", "1A").await;
    assert_eq!(again.hold.as_ref().unwrap().id, id, "the same call waits in the same hold");
    let hold = decide(&stage, &id, HoldDecision::Approve).await.unwrap();
    assert_eq!((hold.standing, stage.script.attempts()), (Standing::Done, 2));
    let reply = book(&stage, "a", "1A").await;
    assert_eq!((reply.code, &reply.result), (Code::Ok, &Some(json!("booked again"))));
    assert_eq!(stage.script.attempts(), 2, "it was not made a third time");
    let record = stage.host.journal().find(hold.ended_by.as_ref().unwrap()).unwrap().unwrap();
    let of = record.hold.unwrap();
    assert_eq!(
        (of.hold, of.of, of.by),
        (id.clone(), Some(held.record), vec!["operator: approve".to_owned()])
    );
    // Its end was fetched: the same call is a new one.
    let next = book(&stage, "a", "1A").await;
    assert_ne!(next.hold.unwrap().id, id);
}

#[tokio::test]
async fn what_a_person_says_reaches_the_agent_and_nothing_runs() {
    let stage = desk().await;
    for (decision, code, text, standing) in [
        (
            HoldDecision::Reject { reason: "not twice".into() },
            Code::PolicyDenied,
            "a person rejected it: \"not twice\"",
            Standing::Rejected,
        ),
        (
            HoldDecision::Respond { text: "take 2B".into() },
            Code::Refused,
            "a person answers instead: \"take 2B\"",
            Standing::Responded,
        ),
    ] {
        let session = decision.as_str();
        let (_, id) = held(&stage, session, "1A").await;
        let before = stage.script.attempts();
        let hold = decide(&stage, &id, decision.clone()).await.unwrap();
        assert_eq!(hold.standing, standing);
        let reply = book(&stage, session, "1A").await;
        assert_eq!((reply.code, reply.error.as_ref().unwrap().ran), (code, Ran::No));
        assert!(message(&reply).contains(text), "{}", message(&reply));
        assert_eq!(fetch(&stage, &id).await.code, code);
        assert_eq!(stage.script.attempts(), before);
        let again = decide(&stage, &id, HoldDecision::Approve).await;
        assert!(matches!(again, Err(HoldError::Ended(ended)) if ended == standing), "{again:?}");
    }
}

#[tokio::test]
async fn an_edit_runs_with_its_arguments_within_the_schema() {
    let stage = desk().await;
    let (_, id) = held(&stage, "a", "1A").await;
    for wrong in [json!({"seat": 7}), json!({}), json!({"seat": "2B", "row": 1})] {
        let edited = decide(&stage, &id, edit(wrong)).await;
        assert!(matches!(edited, Err(HoldError::Invalid(_))), "{edited:?}");
    }
    let hold = decide(&stage, &id, edit(json!({"seat": "2B"}))).await.unwrap();
    assert_eq!((hold.standing, hold.arguments), (Standing::Done, Some(json!({"seat": "2B"}))));
    let record = stage.host.journal().find(&hold.ended_by.unwrap()).unwrap().unwrap();
    assert_eq!(record.args.unwrap()["seat"], "2B");
    assert_eq!(fetch(&stage, &id).await.result, Some(json!("booked again")));
}

#[tokio::test]
async fn a_time_out_is_a_no() {
    let stage = desk().await;
    let (_, id) = held(&stage, "a", "1A").await;
    stage.clock.later(15 * MINUTE_MS);
    let late = decide(&stage, &id, HoldDecision::Approve).await;
    assert!(matches!(late, Err(HoldError::Ended(Standing::Expired))), "{late:?}");
    let reply = fetch(&stage, &id).await;
    assert!(message(&reply).contains("nobody approved it in time"), "{}", message(&reply));
    assert_eq!((reply.code, stage.script.attempts()), (Code::PolicyDenied, 1));
    // Also for whoever sends the call again and knows no id.
    let (_, other) = held(&stage, "b", "1A").await;
    stage.clock.later(15 * MINUTE_MS);
    let reply = book(&stage, "b", "1A").await;
    assert!(message(&reply).contains("nobody approved it in time"), "{}", message(&reply));
    assert_eq!(stage.host.hold(&other).await.unwrap().standing, Standing::Expired);
    assert_eq!(book(&stage, "b", "1A").await.status, Status::Held, "and then it may be asked anew");
}

#[tokio::test]
async fn whoever_made_the_call_cannot_approve_it_and_nobody_else_gets_its_reply() {
    let stage = desk().await;
    let (_, id) = held(&stage, "a", "1A").await;
    let own = Approver::Caller(Caller::local());
    let approved = stage.host.decide_hold(&id, &own, HoldDecision::Approve, None).await;
    assert!(matches!(approved, Err(HoldError::NotAllowed(_))), "{approved:?}");
    let wait = Duration::ZERO;
    let foreign = stage.host.held_reply(&Caller::named("other"), &id, wait).await;
    assert!(matches!(foreign, Err(HoldError::Unknown)), "{foreign:?}");
    for wrong in [&id[..20], "", "%", &format!("{}A", &id[..42]), &format!("{id}A")] {
        if *wrong != id {
            let guessed = stage.host.held_reply(&Caller::local(), wrong, wait).await;
            assert!(matches!(guessed, Err(HoldError::Unknown)), "{wrong}: {guessed:?}");
        }
    }
    assert!(matches!(stage.host.held_reply(&Caller::local(), &id, wait).await, Ok(Held::Waiting(_))));
    assert_eq!(stage.host.hold(&id[..12]).await.unwrap().id, id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_approvals_of_one_hold_run_it_once_and_release_no_other() {
    let stage = Arc::new(desk().await);
    let (_, one) = held(&stage, "a", "1A").await;
    let (_, other) = held(&stage, "a", "2B").await;
    stage.answers(Ok(json!("booked again")));
    let approvals = (0..100).map(|_| {
        let (stage, id) = (stage.clone(), one.clone());
        tokio::spawn(async move {
            stage.host.decide_hold(&id, &Approver::Operator, HoldDecision::Approve, None).await.is_ok()
        })
    });
    let approvals: Vec<_> = approvals.collect();
    let mut taken = 0;
    for approval in approvals {
        taken += u32::from(approval.await.unwrap());
    }
    assert_eq!((taken, stage.script.attempts()), (1, 3));
    assert_eq!(stage.host.hold(&other).await.unwrap().standing, Standing::Open);
}

#[tokio::test]
async fn a_restart_loses_no_hold_and_what_has_changed_voids_it() {
    let stage = desk().await;
    let (_, id) = held(&stage, "a", "1A").await;
    let (_, second) = held(&stage, "a", "2B").await;
    let stage = stage.reopened(REGISTRY).await;
    let hold = decide(&stage, &id, HoldDecision::Approve).await.unwrap();
    assert_eq!((hold.standing, stage.script.attempts()), (Standing::Done, 1));
    let stage = stage.reopened(REGISTRY).await;
    assert_eq!(fetch(&stage, &id).await.result, Some(json!("booked again")));
    // Another component under the same name.
    let wit = WIT.replace("seat: string,", "seat: string, row: option<u32>,");
    std::fs::write(stage.folder.path().join("desk.wasm"), crate::authored::component(&wit, Some(WRITES)))
        .unwrap();
    let stage = stage.reopened(REGISTRY).await;
    let hold = decide(&stage, &second, HoldDecision::Approve).await.unwrap();
    assert_eq!((hold.standing, stage.script.attempts()), (Standing::Void, 0));
    let reply = fetch(&stage, &second).await;
    assert!(message(&reply).contains("component has changed"), "{}", message(&reply));
}

#[tokio::test]
async fn a_backtest_holds_each_call_for_itself_and_knows_what_a_person_decided() {
    let stage = desk().await;
    for n in 0..70 {
        let seat = n.to_string();
        let (_, id) = held(&stage, "a", &seat).await;
        let decision = HoldDecision::Reject { reason: String::new() };
        decide(&stage, &id, decision).await.unwrap();
    }
    let (_, id) = held(&stage, "a", "last").await;
    decide(&stage, &id, HoldDecision::Approve).await.unwrap();
    stage.host.journal().flush().unwrap();
    let file = Stage::registry(stage.folder.path(), REGISTRY);
    let backtest = Backtest::open(Host::builder(), file).await.unwrap();
    let mut records = Vec::new();
    stage.host.journal().each(&mut |record| records.push(record.clone())).unwrap();
    // Those that met a hold; the others would have to run.
    records.retain(|record| record.hold.is_some());
    assert_eq!(records.len(), 71 * 2);
    for record in records {
        let tested = backtest.test(&record, &|_| Err(String::new())).await;
        assert_eq!(tested.change, Change::Same, "{tested:?} of {record:?}");
    }
}

#[tokio::test]
async fn a_caller_has_a_bounded_number_of_calls_that_wait() {
    let stage = desk().await;
    for n in 0..64 {
        held(&stage, "a", &n.to_string()).await;
    }
    assert_eq!(book(&stage, "a", "one more").await.code, Code::Ok);
    let full = book(&stage, "a", "one more").await;
    assert_eq!(full.code, Code::Overloaded);
    assert!(message(&full).contains("as many calls wait for that as may"), "{}", message(&full));
    assert_eq!(stage.host.holds(true, 1_000).await.unwrap().len(), 64);
}

#[tokio::test]
async fn confidential_arguments_are_in_no_file_and_end_with_their_process() {
    let contract = format!("{WRITES}confidential = [\"args.note\"]\n");
    let stage = Stage::open(&[("desk", WIT, &contract)], REGISTRY).await;
    let secret = "canary-7731";
    let args = json!({"seat": "1A", "note": secret});
    let call =
        async |stage: &Stage| stage.call("a", "desk_book", args.clone(), Ok(Value::from("booked"))).await;
    assert_eq!(call(&stage).await.code, Code::Ok);
    let id = call(&stage).await.hold.unwrap().id;
    assert_eq!(call(&stage).await.hold.unwrap().id, id);
    assert_eq!(stage.host.hold(&id).await.unwrap().arguments, None);
    let edited = decide(&stage, &id, edit(json!({"seat": "1A"}))).await;
    assert!(matches!(edited, Err(HoldError::NotPossible(_))), "{edited:?}");
    let state = stage.folder.path().join("state");
    stage.host.journal().flush().unwrap();
    for file in walk(stage.folder.path()) {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{} ({})", file.display(), state.display());
    }
    assert_eq!(decide(&stage, &id, HoldDecision::Approve).await.unwrap().standing, Standing::Done);
    assert_eq!(fetch(&stage, &id).await.result, Some(json!("booked again")));
    let id = call(&stage).await.hold.unwrap().id;
    let stage = stage.reopened(REGISTRY).await;
    let hold = decide(&stage, &id, HoldDecision::Approve).await.unwrap();
    assert_eq!((hold.standing, stage.script.attempts()), (Standing::Void, 0));
    assert!(message(&fetch(&stage, &id).await).contains("nowhere else"));
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

const QUOTES: &str = "package test:quotes;
world quotes {
    record quote { price: f64 }
    export order: func(item: string) -> result<quote, string>;
    export look: func(item: string) -> result<quote, string>;
}";

const ESCALATES: &str = r#"
[tool.look]
effects = "read"
[tool.order]
effects = "write"
[[tool.order.expect]]
range = { field = "price", max = 100.0 }
verdict = "escalate"
"#;

#[tokio::test]
async fn a_result_waits_for_a_person_and_is_delivered_or_withheld() {
    let registry = "[tools.quotes]\ncomponent = \"quotes.wasm\"\n";
    let stage = Stage::open(&[("quotes", QUOTES, ESCALATES)], registry).await;
    let order = async |item: &str| {
        stage.call("a", "quotes_order", json!({"item": item}), Ok(json!({"price": 900.0}))).await
    };
    for (decision, code) in [
        (HoldDecision::Approve, Code::Degraded),
        (HoldDecision::Reject { reason: "too dear".into() }, Code::PolicyDenied),
    ] {
        let item = decision.as_str();
        let before = stage.script.attempts();
        let held = order(item).await;
        assert_eq!((held.code, held.error.as_ref().unwrap().ran), (Code::PolicyHeld, Ran::Ran));
        assert_eq!(held.result, None);
        assert!(!serde_json::to_string(&held.error).unwrap().contains("\"price\":900"), "{held:?}");
        let id = held.hold.as_ref().unwrap().id.clone();
        let hold = stage.host.hold(&id).await.unwrap();
        assert!(hold.is_result && hold.rules[0].values[0].contains("900"), "{hold:?}");
        // Nothing of the result is told before.
        assert!(!message(&held).contains("900"), "{}", message(&held));
        // The same call does not make it a second time.
        assert_eq!(order(item).await.hold.unwrap().id, id);
        let decided = decide(&stage, &id, decision).await.unwrap();
        assert_ne!(decided.standing, Standing::Open);
        let reply = order(item).await;
        assert_eq!((reply.code, reply.result.is_some()), (code, code.has_result()), "{reply:?}");
        assert_eq!(stage.script.attempts(), before + 1);
    }
    // What a person says instead, and what keeps a result from being delivered, says that the tool ran.
    let id = order("responded").await.hold.unwrap().id;
    decide(&stage, &id, HoldDecision::Respond { text: "wait".into() }).await.unwrap();
    let reply = fetch(&stage, &id).await;
    assert_eq!((reply.code, reply.error.as_ref().unwrap().ran), (Code::Refused, Ran::Ran));
    let id = order("edited").await.hold.unwrap().id;
    let edited = decide(&stage, &id, edit(json!({"item": "x"}))).await;
    assert!(matches!(edited, Err(HoldError::NotPossible(_))), "{edited:?}");
    // A call that nothing escalates passes.
    let look = stage.call("a", "quotes_look", json!({"item": "x"}), Ok(json!({"price": 900.0}))).await;
    assert_eq!(look.code, Code::Ok);
}

/// A registry with a rule over all tools, and a clock's worth of helpers around one tool.
async fn ruled(rules: &str) -> Stage {
    Stage::open(&[("desk", WIT, WRITES)], &format!("{REGISTRY}{rules}")).await
}

#[tokio::test]
async fn a_call_that_no_rule_holds_any_more_meets_its_own_hold_first() {
    let stage = ruled("[[holds]]\nfirst_use = true\ntools = [\"desk_*\"]\n").await;
    // Without a session no ledger knows of repeats.
    let one = book(&stage, "", "1A").await.hold.unwrap().id;
    let other = book(&stage, "", "2B").await.hold.unwrap().id;
    decide(&stage, &one, HoldDecision::Approve).await.unwrap();
    assert_eq!(stage.script.attempts(), 1);
    assert_eq!(book(&stage, "", "1A").await.result, Some(json!("booked again")));
    assert_eq!(stage.script.attempts(), 1, "it got its answer, and was not made twice");
    // The component is known now: nothing holds the other call any more, and nobody can have it made a second time.
    assert_eq!(book(&stage, "", "2B").await.code, Code::Ok);
    let late = decide(&stage, &other, HoldDecision::Approve).await;
    assert!(matches!(late, Err(HoldError::Ended(Standing::Void))), "{late:?}");
    assert_eq!((fetch(&stage, &other).await.code, stage.script.attempts()), (Code::Ok, 2));
}

#[tokio::test]
async fn a_first_use_is_approved_by_those_whom_its_own_rule_names() {
    let rules = "[[holds]]\ntools = [\"desk_book\"]\n\
                 [[holds]]\nfirst_use = true\ntools = [\"desk_find\"]\napprovers = [\"operator\", \"ann\"]\napprovals = 2\n\
                 [callers.ann]\ntools = []\napprove = true\n";
    let stage = ruled(rules).await;
    let id = book(&stage, "", "1A").await.hold.unwrap().id;
    decide(&stage, &id, HoldDecision::Approve).await.unwrap();
    let found = stage.call("", "desk_find", json!({"seat": "1A"}), Ok(json!("free"))).await;
    assert_eq!((found.code, found.hold.unwrap().approvals), (Code::PolicyHeld, 2));
}

#[tokio::test]
async fn stricter_rules_and_fewer_approvers_bind_what_waits() {
    let callers =
        "[callers.ann]\ntools = []\napprove = true\n[callers.bob]\ntools = []\napprove = APPROVES\n";
    let rules = |approvals: u32, approves: &str| {
        format!(
            "{REGISTRY}[[holds]]\ntools = [\"desk_book\"]\napprovals = {approvals}\n{}",
            callers.replace("APPROVES", approves)
        )
    };
    let stage = Stage::open(&[("desk", WIT, WRITES)], &rules(1, "true")).await;
    let id = book(&stage, "", "1A").await.hold.unwrap().id;
    let stage = stage.reopened(&rules(2, "true")).await;
    let hold = decide(&stage, &id, HoldDecision::Approve).await.unwrap();
    assert_eq!((hold.standing, stage.script.attempts()), (Standing::Void, 0));
    // One whose approver may not approve any more.
    let id = book(&stage, "", "2B").await.hold.unwrap().id;
    let by = |name: &str| Approver::Caller(Caller::named(name));
    let approve = async |stage: &Stage, name: &str| {
        stage.answers(Ok(json!("booked")));
        let decided = stage.host.decide_hold(&id, &by(name), HoldDecision::Approve, None).await;
        stage.forget_answers();
        decided.unwrap().standing
    };
    assert_eq!(approve(&stage, "bob").await, Standing::Open);
    let stage = stage.reopened(&rules(2, "false")).await;
    assert_eq!(approve(&stage, "ann").await, Standing::Open);
    let hold = decide(&stage, &id, HoldDecision::Approve).await.unwrap();
    assert_eq!((hold.standing, stage.script.attempts()), (Standing::Done, 1));
    assert!(hold.decided[0].is_revoked && !hold.decided[1].is_revoked);
}

#[tokio::test]
async fn a_key_of_a_held_call_is_that_of_the_call_which_its_approval_makes() {
    let stage = ruled("[[holds]]\ntools = [\"desk_book\"]\n").await;
    let call = || Call {
        idempotency: Some("k".into()),
        ..Call::new("desk_book", Arguments::Text(r#"{"seat": "1A"}"#.into()))
    };
    let send = async || stage.make(call(), Ok(json!("booked"))).await;
    let id = send().await.hold.unwrap().id;
    assert_eq!(send().await.hold.unwrap().id, id, "as long as it waits");
    decide(&stage, &id, HoldDecision::Approve).await.unwrap();
    // By whichever way the answer was fetched, and however often.
    assert_eq!(fetch(&stage, &id).await.code, Code::Ok);
    for _ in 0..3 {
        let again = send().await;
        assert_eq!((again.code, &again.result), (Code::Ok, &Some(json!("booked again"))), "{again:?}");
    }
    assert_eq!(stage.script.attempts(), 1);
}

#[tokio::test]
async fn a_session_knows_a_call_whose_end_was_fetched_by_its_hold() {
    let stage = ruled("[[holds]]\nfirst_use = true\n").await;
    let id = book(&stage, "a", "1A").await.hold.unwrap().id;
    let hold = decide(&stage, &id, HoldDecision::Approve).await.unwrap();
    fetch(&stage, &id).await;
    let again = book(&stage, "a", "1A").await;
    assert_eq!(again.code, Code::PolicyDuplicate);
    assert!(message(&again).contains(&hold.ended_by.unwrap()), "{}", message(&again));
}

#[tokio::test]
async fn an_edited_call_says_that_it_answers_other_arguments() {
    let stage = desk().await;
    let (_, id) = held(&stage, "a", "1A").await;
    decide(&stage, &id, edit(json!({"seat": "2B"}))).await.unwrap();
    let reply = book(&stage, "a", "1A").await;
    let notice = reply.notice.as_ref().unwrap();
    for text in ["edited", "operator", "2B", "tell your user"] {
        assert!(notice.contains(text), "{text}: {notice}");
    }
}

#[tokio::test]
async fn asking_what_was_decided_is_no_loop() {
    let stage = ruled("[[holds]]\ntools = [\"desk_book\"]\n").await;
    for _ in 0..5 {
        let held = book(&stage, "a", "1A").await;
        assert!(message(&held).starts_with("`desk_book` was not run: it is held"), "{}", message(&held));
    }
}

#[tokio::test]
async fn due_holds_are_ended_and_told_without_being_asked_for() {
    let stage = desk().await;
    let (_, id) = held(&stage, "a", "1A").await;
    stage.clock.later(15 * MINUTE_MS);
    stage.host.end_due_holds().await.unwrap();
    let hold = stage.host.hold(&id).await.unwrap();
    assert_eq!((hold.standing, hold.arguments), (Standing::Expired, None));
    let record = stage.host.journal().find(&hold.ended_by.unwrap()).unwrap().unwrap();
    assert_eq!((&*record.code, record.hold.unwrap().standing.as_deref()), ("policy.denied", Some("expired")));
}

#[tokio::test]
async fn an_approval_whose_process_ended_before_its_call_is_no_approval() {
    let stage = ruled("[[holds]]\ntools = [\"desk_book\"]\n").await;
    for is_asked_by_the_same_call in [true, false] {
        let seat = if is_asked_by_the_same_call { "1A" } else { "2B" };
        let id = book(&stage, "", seat).await.hold.unwrap().id;
        // As a process leaves it that is killed after its decision is on disk.
        let killed = |kept: &mut Kept| {
            (kept.hold.standing, kept.owner) = (Standing::Running, "gone".to_owned());
            kept.hold.ended_by = Some("01890000-0000-7000-8000-000000000000".to_owned());
            Ok::<_, ()>(())
        };
        let store = Holds::at(&stage.folder.path().join(".airlock").join(holds::FILE));
        store.change(&id, killed).unwrap().unwrap().unwrap();
        let reply = if is_asked_by_the_same_call {
            book(&stage, "", seat).await
        } else {
            stage.host.end_due_holds().await.unwrap();
            fetch(&stage, &id).await
        };
        assert_eq!((reply.code, reply.error.as_ref().unwrap().ran), (Code::PolicyDenied, Ran::No));
        assert_eq!(stage.host.hold(&id).await.unwrap().standing, Standing::Void);
    }
    assert_eq!(stage.script.attempts(), 0);
}

#[tokio::test]
async fn an_approval_whose_call_found_no_code_is_not_used_up() {
    let rules = format!("{REGISTRY}[[holds]]\ntools = [\"desk_book\"]\n");
    // Opened a second time, since the code that was compiled by the first is not read before a call needs it.
    let stage = Stage::open(&[("desk", WIT, WRITES)], &rules).await.reopened(&rules).await;
    let id = book(&stage, "a", "1A").await.hold.unwrap().id;
    let component = stage.folder.path().join("desk.wasm");
    let bytes = std::fs::read(&component).unwrap();
    std::fs::remove_file(&component).unwrap();
    std::fs::remove_dir_all(stage.folder.path().join(".airlock/code")).unwrap();
    // By the person who approves it, by them once more, and by the server.
    for who in ["person", "person", "server"] {
        if who == "person" {
            decide(&stage, &id, HoldDecision::Approve).await.unwrap();
        } else {
            stage.host.run_approved_holds().await.unwrap();
        }
        let hold = stage.host.hold(&id).await.unwrap();
        assert_eq!((hold.standing, hold.decided.len(), hold.ended_by), (Standing::Open, 1, None), "{who}");
        let waits = book(&stage, "a", "1A").await;
        assert_eq!(waits.hold.as_ref().unwrap().id, id);
        let says = "It was approved, and found no room to run: it is tried again.";
        assert!(message(&waits).contains(says), "{}", message(&waits));
    }
    assert_eq!(stage.script.attempts(), 0);
    std::fs::write(&component, bytes).unwrap();
    stage.clock.later(MINUTE_MS);
    stage.answers(Ok(json!("booked")));
    stage.host.run_approved_holds().await.unwrap();
    assert_eq!(stage.host.hold(&id).await.unwrap().standing, Standing::Done);
    let reply = book(&stage, "a", "1A").await;
    assert_eq!((reply.code, &reply.result), (Code::Ok, &Some(json!("booked"))));
    assert_eq!(stage.script.attempts(), 1, "it ran once");
}

#[tokio::test]
async fn an_approved_call_that_found_no_room_in_time_says_so() {
    let rules = format!("{REGISTRY}[[holds]]\ntools = [\"desk_book\"]\n");
    let stage = Stage::open(&[("desk", WIT, WRITES)], &rules).await.reopened(&rules).await;
    let id = book(&stage, "a", "1A").await.hold.unwrap().id;
    std::fs::remove_file(stage.folder.path().join("desk.wasm")).unwrap();
    std::fs::remove_dir_all(stage.folder.path().join(".airlock/code")).unwrap();
    decide(&stage, &id, HoldDecision::Approve).await.unwrap();
    stage.clock.later(15 * MINUTE_MS);
    stage.host.run_approved_holds().await.unwrap();
    let ended = book(&stage, "a", "1A").await;
    assert_eq!((ended.code, ended.error.as_ref().unwrap().ran), (Code::PolicyDenied, Ran::No));
    assert!(
        message(&ended).contains("it was approved, and found no room to run in time"),
        "{}",
        message(&ended)
    );
    assert_eq!(stage.host.hold(&id).await.unwrap().standing, Standing::Expired);
}
