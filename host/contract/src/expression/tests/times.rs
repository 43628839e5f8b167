use serde_json::{Map, Value, json};

use super::*;

/// 2024-05-15, 15:00 in New York.
const NOW: u64 = 1_715_799_600_000;

fn scope() -> Scope {
    let leg = Ty::Record(vec![field("day", Ty::String)]);
    let format = |path: &str, format: &str| {
        let keywords: Map<String, Value> = json!({"format": format}).as_object().unwrap().clone();
        (Path::parse(path).unwrap(), keywords)
    };
    let args = [format("out", "date"), format("back", "date"), format("legs[].day", "date")];
    let moments = [format("at", "date-time"), format("until", "date-time")];
    let results = [format("seen", "date-time")];
    Scope {
        args: vec![
            field("out", Ty::String),
            field("back", Ty::Option(Box::new(Ty::String))),
            field("legs", Ty::List(Box::new(leg))),
            field("at", Ty::String),
            field("until", Ty::String),
            field("plain", Ty::String),
            field("nights", Ty::U32),
        ]
        .into(),
        result: Some(Arc::new(Ty::Record(vec![field("seen", Ty::String)]))),
        bounds: Arc::new(Bounds::of(
            &args.into_iter().chain(moments).collect(),
            &results.into_iter().collect(),
        )),
        ..Scope::default()
    }
}

fn judge_at(text: &str, now_unix_ms: Option<u64>) -> Judgement {
    let expression =
        Expression::compile_bool(text, &scope().into()).unwrap_or_else(|err| panic!("{text}: {err:?}"));
    let string = |text: &str| Val::String(text.into());
    let leg = |day: &str| Val::Record(vec![("day".into(), string(day))]);
    let args = [
        string("2024-05-20"),
        Val::Option(Some(Box::new(string("2024-06-01")))),
        Val::List(vec![leg("2024-05-20"), leg("2024-02-29"), leg("2024-05-20")]),
        string("2024-05-20T23:30:00-05:00"),
        string("2024-05-21T05:00:00Z"),
        string("2024-05-20"),
        Val::U32(12),
    ];
    let result = Val::Record(vec![("seen".into(), string("yesterday"))]);
    expression.eval(&Bindings {
        params: &scope().args,
        args: &args,
        result: Some(&result),
        now_unix_ms,
        facts: None,
    })
}

#[track_caller]
fn holds(text: &str) {
    assert_eq!(judge_at(text, Some(NOW)), Judgement::Holds, "{text}");
}

#[track_caller]
fn fails(text: &str, why: &str) {
    assert_eq!(judge_at(text, Some(NOW)), Judgement::Fails(Explanation(why.into())), "{text}");
}

#[track_caller]
fn has_no_value(text: &str, why: &str) {
    // What reads nothing is refused when it is compiled.
    if let Err(err) = Expression::compile_bool(text, &scope().into()) {
        return assert_eq!(err.message, format!("it never has a value: {why}"), "{text}");
    }
    assert_eq!(judge_at(text, Some(NOW)), Judgement::Error(Explanation(why.into())), "{text}");
}

#[track_caller]
fn refuses(text: &str, says: &str) {
    let err = Expression::compile_bool(text, &scope().into()).unwrap_err();
    let full = format!("{} {}", err.message, err.hint.unwrap_or_default());
    assert!(full.contains(says), "{text}: {full}");
}

#[test]
fn declared_dates_compare_add_and_subtract() {
    holds("args.out < args.back && args.out >= '2024-05-01'");
    holds("args.back - args.out == days(args.nights)");
    holds(
        "args.out + days(12) == args.back && days(12) + args.out == args.back && args.back - days(12) == args.out",
    );
    holds("args.out - days(81) == '2024-02-29'");
    holds("min(args.legs.map(l, l.day)) == '2024-02-29' && max(args.out, args.back) == args.back");
    holds("count(distinct(args.legs.map(l, l.day))) == 2 && !args.legs.unique(l, l.day)");
    holds("args.legs.all(l, l.day <= args.out)");
}

#[test]
fn points_in_time_compare_whatever_their_offset() {
    // As texts the order would be the other way round.
    holds("args.at < args.until && args.until - args.at == minutes(30)");
    holds("date(args.at) == '2024-05-20' && date(args.until) == '2024-05-21'");
    holds(
        "args.at + hours(1) - minutes(30) == args.until && hours(24) == days(1) && seconds(60) == minutes(1)",
    );
}

#[test]
fn declared_dates_are_strings_as_well() {
    holds("args.out.startsWith('2024') && args.out + 'T00:00' == '2024-05-20T00:00' && size(args.out) == 10");
    holds("args.out == args.plain && args.out in ['2024-05-20']");
    holds("date(args.plain) == args.out && timestamp('2024-05-21T00:00:00-05:00') == args.until");
}

#[test]
fn the_time_is_that_of_the_call() {
    holds("today('America/New_York') == '2024-05-15' && args.out - today('UTC') == days(5)");
    holds("now == timestamp('2024-05-15T19:00:00Z') && date(now) == today('UTC')");
    assert_eq!(judge_at("today('Asia/Tokyo') == '2024-05-16'", Some(NOW)), Judgement::Holds);
    fails("args.out < today('UTC')", "args.out = \"2024-05-20\", today('UTC') = 2024-05-15");
    fails("now > args.at", "now = 2024-05-15T19:00:00Z, args.at = \"2024-05-20T23:30:00-05:00\"");
    let unknown = judge_at("args.out >= today('UTC')", None);
    assert_eq!(unknown, Judgement::Error(Explanation("`today('UTC')` is not known here".into())));
}

#[test]
fn a_rule_says_whether_it_reads_the_time() {
    let reads = |text: &str| Expression::compile_bool(text, &scope().into()).unwrap().reads_time();
    assert!(reads("args.out >= today('UTC')") && reads("args.legs.exists(l, timestamp(l.day) > now)"));
    assert!(!reads("args.out >= '2024-01-01'") && !reads("period('last month') == null"));
}

#[test]
fn what_is_no_date_has_no_value() {
    has_no_value(
        "timestamp(result.seen) < now",
        "`timestamp(result.seen)`: \"yesterday\" is not a date and time",
    );
    has_no_value("result.seen < now", "`result.seen`: \"yesterday\" is not a date and time");
    has_no_value("args.out + hours(1) > args.out", "`args.out + hours(1)`: a date moves by whole days");
    has_no_value("args.out + days(1000000000) > args.out", "`args.out + days(1000000000)` has no value");
    has_no_value("args.out < args.out + days(1.5)", "`days(1.5)` has no value");
    has_no_value("date('2024-5-1') > args.out", "`date('2024-5-1')`: \"2024-5-1\" is not a date");
}

#[test]
fn dates_do_not_mix_with_other_values() {
    refuses("args.out < '2024-13-01'", "`2024-13-01` is not a date");
    refuses("args.out < args.at", "`date(…)`");
    refuses("args.plain < today('UTC')", "write `date(args.plain)`");
    refuses("args.nights < today('UTC')", "not a date");
    refuses("args.out - 3 == args.out", "not a date");
    refuses("args.out * 2 == args.out", "cannot be computed");
    refuses("days(1) - args.out == days(1)", "cannot be taken");
    refuses("days(1) == 1", "never equal");
    refuses("args.out + days('1') == args.out", "not a number");
    refuses("today('EST5') == args.out", "IANA");
    refuses("today(args.plain) == args.out", "not a time zone");
}

proptest! {
    #[test]
    fn a_date_moves_there_and_back(days in -700_000i64..700_000) {
        let text = format!("args.out + days({days}) - days({days}) == args.out");
        prop_assert_eq!(judge_at(&text, None), Judgement::Holds);
    }
}
