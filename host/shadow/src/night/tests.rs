use super::*;
use crate::suite::Gate;

fn result(case: &str, legs: &[(Leg, Status)]) -> CaseResult {
    let shown = |status| Shown { status, told: vec!["it differs".into()] };
    CaseResult {
        case: case.into(),
        tool: "t".into(),
        legs: legs.iter().map(|(leg, status)| (*leg, shown(*status))).collect(),
        answer: None,
        live: None,
    }
}

fn night(legs: &[(Leg, Status)]) -> Night {
    Night::of(
        "2026-11-27T01:00:00Z",
        None,
        &[result("a", &[(Leg::Host, Status::Same)]), result("b", legs)],
        &BTreeMap::new(),
    )
}

fn gates(night: &Night, trends: &BTreeMap<(String, String), Trend>) -> Vec<Gate> {
    blocked(night, trends, &Gate::ALL.into()).into_iter().map(|blocked| blocked.gate).collect()
}

#[test]
fn each_gate_blocks_for_its_leg_and_for_no_other() {
    let none = BTreeMap::new();
    for (leg, gate) in [
        (Leg::Host, Gate::Host),
        (Leg::Tool, Gate::Tool),
        (Leg::Upstream, Gate::Upstream),
        (Leg::Checks, Gate::Checks),
        (Leg::Reference, Gate::Reference),
    ] {
        let night = night(&[(leg, Status::Changed)]);
        assert_eq!(gates(&night, &none), [gate]);
        let others: BTreeSet<Gate> = Gate::ALL.into_iter().filter(|other| *other != gate).collect();
        assert!(blocked(&night, &none, &others).is_empty(), "{gate:?} is not asked for");
    }
    assert!(gates(&night(&[(Leg::Noise, Status::Changed)]), &none).is_empty(), "noise is no drift");
    assert_eq!(gates(&night(&[(Leg::Upstream, Status::NotRun)]), &none), [Gate::Coverage]);
}

#[test]
fn a_trend_blocks_and_one_of_a_candidate_does_not() {
    let figures: Vec<f64> = (0..60).map(|night| if night < 30 { 0.0 } else { 1.0 }).collect();
    let trend = Trend::of("t", &figures);
    assert!(trend.alarm.is_some());
    let trends = BTreeMap::from([(("t".to_owned(), "changed".to_owned()), trend)]);
    let quiet = night(&[]);
    assert_eq!(gates(&quiet, &trends), [Gate::Trend]);
    assert!(gates(&Night { candidate: Some("new.wasm".into()), ..quiet }, &trends).is_empty());
}

#[test]
fn figures_are_means_and_go_into_trends_from_a_date_on() {
    let live = |is_changed, fuel| Some(Live { is_changed, is_failed: false, fuel });
    let results = [(true, 1.0), (false, 3.0)]
        .map(|(changed, fuel)| CaseResult { live: live(changed, fuel), ..result("a", &[]) });
    let nights: Vec<Night> = ["2026-11-25T01:00:00Z", "2026-11-26T01:00:00Z", "2026-11-27T01:00:00Z"]
        .iter()
        .map(|at| Night::of(at, None, &results, &BTreeMap::new()))
        .collect();
    let figures = &nights[0].tools["t"].figures;
    assert_eq!((figures["changed"], figures["failed"], figures["fuel"]), (0.5, 0.0, 2.0));
    let key = ("t".to_owned(), "fuel".to_owned());
    assert_eq!(trends(&nights, None)[&key].figures.len(), 3);
    assert_eq!(trends(&nights, Some("2026-11-26"))[&key].figures.len(), 2);
    assert!(trends(&[Night { candidate: Some("c".into()), ..nights[0].clone() }], None).is_empty());
}

#[test]
fn a_night_is_read_as_it_was_written_and_a_damaged_one_is_not() {
    let night = night(&[(Leg::Tool, Status::Changed)]);
    assert_eq!(night.tools["t"].verdict, Verdict::Tool);
    assert_eq!(Night::read(&night.write().unwrap()).unwrap(), night);
    assert!(
        Night::read(&night.write().unwrap().replace("\"format\": 1", "\"format\": 2"))
            .unwrap_err()
            .contains("format 2")
    );
    assert!(Night::read("{}").is_err());
}

#[test]
fn what_is_told_is_bounded_and_the_verdict_comes_first() {
    let many: Vec<CaseResult> =
        (0..50).map(|n| result(&n.to_string(), &[(Leg::Upstream, Status::Changed)])).collect();
    let mut many = many;
    many.push(result("host", &[(Leg::Host, Status::Changed)]));
    let night = Night::of("2026-11-27T01:00:00Z", None, &many, &BTreeMap::new());
    let tool = &night.tools["t"];
    assert_eq!(
        (tool.verdict, tool.drifted.len(), tool.drifted[0].case.as_str()),
        (Verdict::Host, DRIFTED_MAX, "host")
    );
}
