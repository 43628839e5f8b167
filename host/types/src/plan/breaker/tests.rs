use super::*;

const FAILED: Code = Code::Trap;
const GONE: Code = Code::ToolUnavailable;
const FINE: Code = Code::Ok;

/// The breakers after these calls, all at the same moment.
fn after(calls: &[(&'static str, Code)]) -> Breakers<&'static str> {
    let mut breakers = Breakers::default();
    calls.iter().for_each(|(caller, code)| breakers.record(caller, *code, 0));
    breakers
}

fn of_one(codes: &[Code]) -> Breakers<&'static str> {
    after(&codes.iter().map(|code| ("a", *code)).collect::<Vec<_>>())
}

fn open(remaining_ms: u64, scope: Scope) -> BreakerView {
    BreakerView::Open { remaining_ms, scope }
}

#[test]
fn a_callers_own_opens_at_half_of_at_least_five() {
    let view = |codes: &[Code]| of_one(codes).view(&"a", 0);
    assert_eq!(view(&[FAILED; 4]), BreakerView::Closed);
    assert_eq!(view(&[FINE, FINE, FAILED, FAILED]), BreakerView::Closed);
    assert_eq!(view(&[FINE, FINE, FINE, FAILED, FAILED]), BreakerView::Closed);
    assert_eq!(view(&[FINE, FINE, FAILED, FAILED, FAILED]), open(30_000, Scope::Caller));
    let long = [[FINE; 20].as_slice(), &[FAILED; 9]].concat();
    assert_eq!(view(&long), BreakerView::Closed);
    assert_eq!(view(&[long.as_slice(), &[FAILED]].concat()), open(30_000, Scope::Caller));
}

#[test]
fn one_caller_alone_takes_a_tool_from_nobody_else() {
    let breakers = of_one(&[FAILED; 60]);
    assert_eq!(breakers.view(&"a", 0), open(30_000, Scope::Caller));
    assert_eq!(breakers.view(&"b", 0), BreakerView::Closed);
    assert_eq!((breakers.is_open_for_all(0), breakers.paused_callers(0)), (false, 1));
}

#[test]
fn failed_calls_of_several_callers_open_it_for_all() {
    let breakers = after(&[("a", FAILED), ("b", FAILED), ("a", FAILED), ("b", FAILED), ("a", FAILED)]);
    assert_eq!(breakers.view(&"c", 0), open(30_000, Scope::AllCallers));
    let breakers = after(&[("a", FAILED), ("b", FAILED), ("a", FAILED), ("b", FAILED)]);
    assert_eq!(breakers.view(&"c", 0), BreakerView::Closed, "four calls say nothing");
}

#[test]
fn one_accident_of_another_caller_is_not_enough() {
    let mut calls = vec![("a", FAILED); 10];
    calls.extend([("b", FINE); 8]);
    calls.push(("b", FAILED));
    assert_eq!(after(&calls).view(&"c", 0), BreakerView::Closed);
}

#[test]
fn a_fault_of_the_upstream_is_everybodys() {
    let breakers = of_one(&[GONE; 5]);
    assert_eq!(breakers.view(&"b", 0), open(30_000, Scope::AllCallers));
    let mixed = of_one(&[GONE, FAILED, FAILED, FAILED, FAILED]);
    assert_eq!(mixed.view(&"b", 0), BreakerView::Closed, "most were the caller's own");
}

#[test]
fn what_says_nothing_about_health_does_not_count() {
    let silent = [
        Code::ToolError,
        Code::ToolThrottled,
        Code::Refused,
        Code::Overloaded,
        Code::Cancelled,
        Code::HostInternal,
    ];
    let breakers = of_one(&silent.repeat(10));
    assert_eq!((breakers.view(&"a", 0), breakers.callers.len()), (BreakerView::Closed, 0));
}

#[test]
fn two_probes_close_it_and_a_failed_one_opens_it_for_longer() {
    let mut breakers = of_one(&[FAILED; 5]);
    assert_eq!(breakers.view(&"a", 30_000), BreakerView::Probing);
    breakers.record(&"a", FAILED, 30_000);
    assert_eq!(breakers.view(&"a", 30_000), open(60_000, Scope::Caller));
    breakers.record(&"a", FINE, 90_000);
    assert_eq!(breakers.view(&"a", 90_000), BreakerView::Probing);
    breakers.record(&"a", FINE, 90_000);
    assert_eq!(breakers.view(&"a", 90_000), BreakerView::Closed);
}

#[test]
fn one_callers_failed_probe_does_not_keep_a_tool_from_all() {
    let mut breakers = after(&[("a", FAILED), ("b", FAILED), ("a", FAILED), ("b", FAILED), ("a", FAILED)]);
    for _ in 0..10 {
        breakers.record(&"a", FAILED, 30_000);
    }
    assert_eq!(breakers.view(&"c", 30_000), BreakerView::Probing);
    breakers.record(&"c", FINE, 30_000);
    breakers.record(&"c", FINE, 30_000);
    assert_eq!(breakers.view(&"c", 30_000), BreakerView::Closed);
    let mut gone = of_one(&[GONE; 5]);
    gone.record(&"a", GONE, 30_000);
    assert_eq!(gone.view(&"c", 30_000), open(60_000, Scope::AllCallers));
}

#[test]
fn it_never_opens_for_longer_than_five_minutes() {
    let mut breakers = of_one(&[FAILED; 5]);
    let mut now = 0;
    for _ in 0..20 {
        let BreakerView::Open { remaining_ms, .. } = breakers.view(&"a", now) else { panic!("{breakers:?}") };
        assert!(remaining_ms <= 300_000);
        now += remaining_ms;
        breakers.record(&"a", FAILED, now);
    }
}

#[test]
fn callers_are_bounded_and_the_one_that_loses_least_goes() {
    let mut breakers = Breakers::default();
    for _ in 0..5 {
        breakers.record(&usize::MAX, FAILED, 0);
    }
    for caller in 0..3 * CALLERS_MAX {
        breakers.record(&caller, FINE, caller as u64);
    }
    assert_eq!(breakers.callers.len(), CALLERS_MAX);
    assert_eq!(breakers.view(&usize::MAX, 0), open(30_000, Scope::Caller));
}

#[test]
fn as_many_calls_try_a_paused_tool_as_close_it_again() {
    let mut own = of_one(&[FAILED; 5]);
    assert!(!own.begin_probe(&"a", 29_999), "it is paused");
    assert!(own.begin_probe(&"a", 30_000) && own.begin_probe(&"a", 30_000));
    assert!(!own.begin_probe(&"a", 30_000));
    assert!(own.begin_probe(&"b", 30_000), "it is not paused for another caller");
    own.end_probe(&"a");
    assert!(own.begin_probe(&"a", 30_000));
    own.record(&"a", FAILED, 30_000);
    own.end_probe(&"a");
    assert!(!own.begin_probe(&"a", 30_000), "it is paused again");
    let mut shared = of_one(&[GONE; 5]);
    assert!(shared.begin_probe(&"a", 30_000) && shared.begin_probe(&"b", 30_000));
    assert!(!shared.begin_probe(&"c", 30_000), "those of all callers count");
    shared.record(&"a", FINE, 30_000);
    shared.record(&"b", FINE, 30_000);
    assert!(shared.begin_probe(&"c", 30_000), "it is closed");
}
