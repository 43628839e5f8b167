use airlock_contract::ty::Ty;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::compare::{Comparator, Rule};

fn ran(answer: i64) -> Ran {
    Ran { end: Some(End { kind: End::VALUE.into(), detail: json!(answer), fuel: 1 }), ..Ran::default() }
}

fn judged(code: &str) -> Judged {
    Judged { code: code.into(), ..Judged::default() }
}

/// A case in which nothing has changed, with every leg.
fn unchanged() -> Observed {
    Observed {
        same: Ok(ran(1)),
        candidate: Some(Ok(ran(1))),
        live: Some(Ok([ran(1), ran(1)])),
        judged: Some((judged("ok"), judged("ok"))),
        judged_by_candidate: Some(Ok(judged("ok"))),
        reference: Some(json!(1)),
    }
}

/// The legs that differ.
fn changed(observed: &Observed) -> Vec<Leg> {
    let legs = attribute(observed, &Comparators::default());
    legs.into_iter().filter(|(_, shown)| shown.status == Status::Changed).map(|(leg, _)| leg).collect()
}

#[test]
fn each_change_is_seen_in_its_leg_alone() {
    assert!(changed(&unchanged()).is_empty());
    assert_eq!(attribute(&unchanged(), &Comparators::default()).len(), Leg::ALL.len());
    // Another host computes something else in every run.
    let other = Ran { differences: vec!["the outcome is 2, and was 1".into()], ..ran(2) };
    let host = Observed {
        same: Ok(other),
        candidate: Some(Ok(ran(2))),
        live: Some(Ok([ran(2), ran(2)])),
        reference: None,
        ..unchanged()
    };
    assert_eq!(changed(&host), [Leg::Host]);
    let tool = Observed { candidate: Some(Ok(ran(2))), reference: None, ..unchanged() };
    assert_eq!(changed(&tool), [Leg::Tool]);
    let upstream = Observed { live: Some(Ok([ran(2), ran(2)])), reference: None, ..unchanged() };
    assert_eq!(changed(&upstream), [Leg::Upstream]);
    let checks = Observed { judged_by_candidate: Some(Ok(judged("check.implausible"))), ..unchanged() };
    assert_eq!(changed(&checks), [Leg::Checks]);
    let doors = Observed {
        judged: Some((judged("ok"), judged("ok.degraded"))),
        judged_by_candidate: None,
        ..unchanged()
    };
    assert_eq!(changed(&doors), [Leg::Host]);
    let reference = Observed { reference: Some(json!(2)), ..unchanged() };
    assert_eq!(changed(&reference), [Leg::Reference]);
    let left = Observed { candidate: Some(Ok(ran(2))), ..unchanged() };
    assert_eq!(
        changed(&left),
        [Leg::Tool, Leg::Reference],
        "the candidate left the reference, the live run did not"
    );
}

#[test]
fn what_differs_from_one_moment_to_the_next_is_noise() {
    let noisy = |first, second| Observed {
        live: Some(Ok([ran(first), ran(second)])),
        reference: None,
        ..unchanged()
    };
    assert_eq!(changed(&noisy(2, 3)), [Leg::Noise]);
    assert_eq!(changed(&noisy(1, 3)), [Leg::Noise]);
    assert_eq!(changed(&noisy(2, 1)), [Leg::Noise]);
}

#[test]
fn one_live_run_alone_shows_nothing() {
    // Near each other, and on both sides of the distance that is allowed: no noise, and not more than chance.
    let within = Rule {
        tool: "t".into(),
        at: Some(String::new()),
        ty: None,
        with: Comparator::Absolute { within: 10.0 },
    };
    let comparators = Comparators::of(Some(&Ty::S64), [&within]).unwrap();
    for (first, second, status) in [(12, 9, Status::Same), (9, 12, Status::Same), (12, 13, Status::Changed)] {
        let observed = Observed { live: Some(Ok([ran(first), ran(second)])), reference: None, ..unchanged() };
        assert_eq!(attribute(&observed, &comparators)[&Leg::Upstream].status, status, "{first} and {second}");
    }
}

#[test]
fn a_candidate_that_takes_no_recorded_arguments_has_changed() {
    let unchanged = || Observed { reference: None, ..unchanged() };
    let refuses =
        Observed { candidate: Some(Err("the recorded arguments are not valid".into())), ..unchanged() };
    assert_eq!(changed(&refuses), [Leg::Tool]);
    let stops = Ran {
        end: None,
        divergence: Some("no import with these arguments was recorded".into()),
        ..Ran::default()
    };
    assert_eq!(changed(&Observed { candidate: Some(Ok(stops)), ..unchanged() }), [Leg::Tool]);
    let effects = Ran { effects: vec!["http POST".into()], ..ran(1) };
    assert_eq!(changed(&Observed { candidate: Some(Ok(effects)), ..unchanged() }), [Leg::Tool]);
}

#[test]
fn what_could_not_be_run_is_no_change() {
    let broken = Observed { same: Err("no component".into()), ..unchanged() };
    let legs = attribute(&broken, &Comparators::default());
    assert_eq!(
        (legs.len(), legs[&Leg::Host].status),
        (1, Status::NotRun),
        "the others compare with that run"
    );
    let denied = Observed { live: Some(Err("denied".into())), ..unchanged() };
    assert_eq!(attribute(&denied, &Comparators::default())[&Leg::Upstream].status, Status::NotRun);
    assert!(changed(&denied).is_empty());
}

#[test]
fn a_verdict_goes_by_the_order_of_legs() {
    assert_eq!(Verdict::of([]), Verdict::None);
    assert_eq!(Verdict::of([Leg::Noise, Leg::Reference]), Verdict::None);
    assert_eq!(Verdict::of([Leg::Checks, Leg::Upstream]), Verdict::Upstream);
    assert_eq!(Verdict::of(Leg::ALL), Verdict::Host);
}

proptest! {
    #[test]
    fn one_change_has_one_cause(answer in 2i64..1_000, kind in 0usize..5) {
        let planted = match kind {
            0 => (unchanged(), Verdict::None),
            1 => {
                let other = Ran { differences: vec!["other".into()], ..ran(answer) };
                (Observed { same: Ok(other), candidate: Some(Ok(ran(answer))), live: Some(Ok([ran(answer), ran(answer)])), ..unchanged() }, Verdict::Host)
            }
            2 => (Observed { candidate: Some(Ok(ran(answer))), ..unchanged() }, Verdict::Tool),
            3 => (Observed { live: Some(Ok([ran(answer), ran(answer)])), ..unchanged() }, Verdict::Upstream),
            _ => (Observed { judged_by_candidate: Some(Ok(judged(&answer.to_string()))), ..unchanged() }, Verdict::Checks),
        };
        prop_assert_eq!(Verdict::of(changed(&planted.0)), planted.1);
    }
}
