//! What a plan does with answers that are kept.

use super::*;

/// The tool `t`, its kept answers, and then the tool `u` if it is wanted.
fn kept(is_followed: bool) -> Plan {
    let mut inputs = inputs(policy(), 0);
    let tool = inputs.routes[0].clone();
    inputs.routes.push(tool.clone().cached(60_000));
    if is_followed {
        inputs.routes.push(RouteInput { tool: "u".into(), ..tool });
    }
    plan(inputs)
}

/// The step after the called tool failed and its kept answers were looked for.
fn after(plan: &Plan, found: Recalled) -> (Step, Vec<PathStep>) {
    let mut progress = Progress::default();
    plan.next(&mut progress, None, 0);
    let step = plan.next(&mut progress, Some(&fault(Code::LimitFuel)), 10);
    assert_eq!(step, Step::Recall { route: 1 });
    let step = plan.recalled(&mut progress, found, 20);
    (step, progress.take_path().collect())
}

#[test]
fn a_kept_answer_is_accepted_as_degraded() {
    let (step, path) = after(&kept(true), Recalled::Kept { age_ms: 7 });
    let fallback_because = Some(Code::LimitFuel);
    assert_eq!(step, Step::Accept { code: Code::Degraded, fallback_because });
    let found = Recalled::Kept { age_ms: 7 };
    assert_eq!(path.last(), Some(&PathStep::Recalled { tool: "t".into(), found }));
}

#[test]
fn without_one_the_next_route_follows_or_the_call_ends_as_the_tool_did() {
    assert!(matches!(after(&kept(true), Recalled::Nothing).0, Step::Attempt { route: 2, number: 1, .. }));
    let ended = Step::GiveUp { code: Code::LimitFuel, not_run_because: None };
    assert_eq!(after(&kept(false), Recalled::Nothing).0, ended);
}

#[test]
fn one_that_is_too_old_declines_the_call_unless_another_tool_can_answer() {
    let stale = Recalled::Stale { age_ms: 60_001 };
    assert!(matches!(after(&kept(true), stale).0, Step::Attempt { route: 2, .. }));
    let declined = Step::GiveUp { code: Code::Refused, not_run_because: None };
    assert_eq!(after(&kept(false), stale).0, declined);
}

#[test]
fn a_paused_tool_has_its_kept_answers() {
    let mut plan = kept(false);
    plan.routes[0].input.breaker = OPEN;
    let mut progress = Progress::default();
    assert_eq!(plan.next(&mut progress, None, 0), Step::Recall { route: 1 });
    let step = plan.recalled(&mut progress.clone(), Recalled::Kept { age_ms: 7 }, 0);
    assert_eq!(step, Step::Accept { code: Code::Degraded, fallback_because: Some(Code::Overloaded) });
    let step = plan.recalled(&mut progress, Recalled::Nothing, 0);
    assert!(
        matches!(&step, Step::GiveUp { code: Code::Overloaded, not_run_because: Some(why) } if why.contains("paused")),
        "{step:?}"
    );
}

#[test]
fn what_is_kept_costs_no_attempt_and_no_time() {
    let (with, without) = (kept(false), plan(inputs(policy(), 0)));
    assert_eq!(with.worst_case(), without.worst_case());
    assert_eq!(with.routes[0].reserve_ms, 0);
    let said = explain(&with);
    assert!(said.contains("2. else the last answer of t to the same arguments, at most 1m old"), "{said}");
}
