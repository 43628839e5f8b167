//! What a plan tries again after effects.

use super::*;

fn open(left: Left) -> AttemptEnd {
    AttemptEnd { code: Code::OutcomeUnknown, left, ..fault(Code::Trap) }
}

fn settled(left: Left) -> AttemptEnd {
    AttemptEnd { left, ..fault(Code::Trap) }
}

fn gives_up(step: &Step) -> Code {
    let Step::GiveUp { code, .. } = step else { panic!("{step:?}") };
    *code
}

#[test]
fn a_write_is_repeated_only_with_proof_that_nothing_happened() {
    assert_eq!(attempts(two_routes(Effect::Write), &fault(Code::Trap)).0.len(), 6);
    assert_eq!(attempts(two_routes(Effect::Irreversible), &fault(Code::Trap)).0, ["t", "u"]);
    for (ended, code) in [(settled(Left::Once), Code::Trap), (open(Left::Once), Code::OutcomeUnknown)] {
        let (tools, step) = attempts(two_routes(Effect::Write), &ended);
        assert_eq!((tools, gives_up(&step)), (vec!["t".to_owned()], code), "nor does a fallback run");
    }
}

#[test]
fn an_effect_under_a_key_is_repeated_by_the_same_tool_only() {
    for (ended, code) in [(settled(Left::Again), Code::Trap), (open(Left::Again), Code::OutcomeUnknown)] {
        let (tools, step) = attempts(two_routes(Effect::Idempotent), &ended);
        assert_eq!((tools, gives_up(&step)), (vec!["t".to_owned(); 3], code), "a fallback has another key");
    }
    // What would end the same way is not repeated under a key either.
    let ended = AttemptEnd { ended_by: Code::LimitFuel, ..open(Left::Again) };
    assert_eq!(attempts(two_routes(Effect::Idempotent), &ended).0, ["t"]);
}

fn verifying(after_ms: u64) -> Plan {
    let mut inputs = two_routes(Effect::Write);
    inputs.deadline_ms = 10_000;
    inputs.routes[0].verify =
        Some(Verify { tool: "v".into(), after_ms, attempt_deadline_ms: 700, useful_ms_min: 500 });
    plan(inputs)
}

#[test]
fn an_open_effect_is_asked_about_and_repeated_only_where_it_did_not_happen() {
    let plan = verifying(2_000);
    let mut progress = Progress::default();
    plan.next(&mut progress, None, 0);
    let asks = Step::Verify { route: 0, wait_ms: 2_000, deadline_ms: 700 };
    assert_eq!(plan.next(&mut progress, Some(&open(Left::Once)), 100), asks);
    let step = plan.verified(&mut progress, Verified::NotApplied, Left::Nothing, 2_200);
    assert!(matches!(step, Step::Attempt { route: 0, number: 2, .. }), "{step:?}");
    assert_eq!(plan.next(&mut progress, Some(&open(Left::Once)), 3_000), asks, "about each attempt anew");
    for found in [Verified::Applied, Verified::Unknown] {
        let step = plan.verified(&mut progress.clone(), found, Left::Once, 5_500);
        assert_eq!(gives_up(&step), Code::OutcomeUnknown, "{found:?}");
    }
    // What was answered is not asked about.
    let mut progress = Progress::default();
    plan.next(&mut progress, None, 0);
    assert_eq!(gives_up(&plan.next(&mut progress, Some(&settled(Left::Once)), 100)), Code::Trap);
}

#[test]
fn what_did_not_happen_ends_as_if_nothing_had_left() {
    let plan = verifying(100);
    let mut progress = Progress::default();
    plan.next(&mut progress, None, 0);
    let ended = AttemptEnd { ended_by: Code::LimitFuel, ..open(Left::Once) };
    assert!(matches!(plan.next(&mut progress, Some(&ended), 0), Step::Verify { .. }), "to tell the caller");
    let step = plan.verified(&mut progress, Verified::NotApplied, Left::Nothing, 200);
    assert!(matches!(step, Step::Attempt { route: 1, number: 1, .. }), "a fallback may run: {step:?}");
}

#[test]
fn what_was_answered_beside_it_still_stands() {
    let plan = verifying(100);
    let mut progress = Progress::default();
    plan.next(&mut progress, None, 0);
    plan.next(&mut progress, Some(&open(Left::Once)), 0);
    let step = plan.verified(&mut progress, Verified::NotApplied, Left::Once, 200);
    assert_eq!(gives_up(&step), Code::Trap, "neither another attempt nor a fallback");
}

#[test]
fn nothing_is_asked_without_time_for_an_answer() {
    let mut progress = Progress::default();
    let plan = verifying(9_000);
    plan.next(&mut progress, None, 0);
    let mut late = progress.clone();
    assert!(matches!(plan.next(&mut progress, Some(&open(Left::Once)), 500), Step::Verify { .. }));
    assert_eq!(gives_up(&plan.next(&mut late, Some(&open(Left::Once)), 501)), Code::OutcomeUnknown);
    let why = "it may be asked after 9000 ms, and 499 ms of the call are left then";
    let path: Vec<PathStep> = late.take_path().collect();
    assert!(path.contains(&PathStep::Skipped { tool: "v".into(), why: why.into() }), "{path:?}");
    assert!(explain(&plan).contains("asks v after 9000 ms"));
}

#[test]
fn a_plan_without_a_question_has_the_bytes_that_it_had() {
    let text = String::from_utf8(plan(inputs(policy(), 500)).bytes()).unwrap();
    assert!(!text.contains("verify"), "{text}");
}
