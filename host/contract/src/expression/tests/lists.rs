use super::*;

fn scope() -> Scope {
    let leg = Ty::Record(vec![field("code", Ty::String), field("price", Ty::U32), field("weight", Ty::F64)]);
    Scope {
        args: vec![
            field("legs", Ty::List(Box::new(leg))),
            field("marks", Ty::List(Box::new(Ty::Option(Box::new(Ty::S64))))),
            field("floats", Ty::List(Box::new(Ty::F64))),
        ]
        .into(),
        ..Scope::default()
    }
}

fn judge_with(text: &str, floats: &[f64]) -> Judgement {
    let expression =
        Expression::compile_bool(text, &scope().into()).unwrap_or_else(|err| panic!("{text}: {err:?}"));
    let leg = |code: &str, price, weight| {
        Val::Record(vec![
            ("code".into(), Val::String(code.into())),
            ("price".into(), Val::U32(price)),
            ("weight".into(), Val::Float64(weight)),
        ])
    };
    let mark = |n: Option<i64>| Val::Option(n.map(|n| Box::new(Val::S64(n))));
    let args = [
        Val::List(vec![leg("HAT1", 10, 0.5), leg("HAT2", 20, 0.25), leg("HAT1", 30, 1.0)]),
        Val::List(vec![mark(Some(3)), mark(None)]),
        Val::List(floats.iter().map(|n| Val::Float64(*n)).collect()),
    ];
    expression.eval(&Bindings {
        params: &scope().args,
        args: &args,
        result: None,
        now_unix_ms: None,
        facts: None,
    })
}

#[track_caller]
fn holds(text: &str) {
    assert_eq!(judge_with(text, &[]), Judgement::Holds, "{text}");
}

#[track_caller]
fn fails(text: &str, why: &str) {
    assert_eq!(judge_with(text, &[]), Judgement::Fails(Explanation(why.into())), "{text}");
}

#[track_caller]
fn has_no_value(text: &str, why: &str) {
    // What reads nothing is refused when it is compiled.
    if let Err(err) = Expression::compile_bool(text, &scope().into()) {
        return assert_eq!(err.message, format!("it never has a value: {why}"), "{text}");
    }
    assert_eq!(judge_with(text, &[]), Judgement::Error(Explanation(why.into())), "{text}");
}

#[track_caller]
fn refuses(text: &str, says: &str) {
    let err = Expression::compile_bool(text, &scope().into()).unwrap_err();
    assert!(err.message.contains(says), "{text}: {err}");
}

#[test]
fn lists_are_folded() {
    holds("sum(args.legs.map(l, l.price)) == 60 && sum(args.legs.map(l, l.weight)) == 1.75");
    holds("avg(args.legs.map(l, l.price)) == 20 && avg([1, 2]) == 1.5");
    holds("min(args.legs.map(l, l.price)) == 10 && max(args.legs.map(l, l.weight)) == 1");
    holds("size(distinct(args.legs.map(l, l.code))) == 2 && distinct([1, 1.0, 2]) == [1, 2]");
    holds("count(args.legs) == 3 && args.legs.count(l, l.price > 10) == 2");
    holds("args.legs.unique(l, l.price) && !args.legs.unique(l, l.code)");
    holds("sum([]) == 0 && count(distinct(args.marks)) == 2");
}

#[test]
fn integers_are_added_exactly_and_an_overflow_has_no_value() {
    holds("sum([9007199254740992, 1]) == 9007199254740993");
    holds("avg([9007199254740993, 9007199254740993]) == 9007199254740993");
    let big = "(9223372036854775807 * 9223372036854775807 * 2)";
    has_no_value(&format!("sum([{big}, {big}]) > 0"), &format!("`sum([{big}, {big}])` has no value"));
}

#[test]
fn floats_are_added_with_compensation() {
    let judge = |text, floats: &[f64]| judge_with(text, floats);
    assert_eq!(judge("sum(args.floats) == 2.0", &[1.0, 1e100, 1.0, -1e100]), Judgement::Holds);
    assert_eq!(judge("sum(args.floats) == 1.0", &[0.1; 10]), Judgement::Holds);
    assert_eq!(judge("sum(args.floats) > 1.0", &[f64::INFINITY, 1.0]), Judgement::Holds);
    let nan = judge("max(args.floats) > 0.0", &[1.0, f64::NAN]);
    assert_eq!(nan, Judgement::Error(Explanation("`max(args.floats)` has no value".into())));
}

#[test]
fn what_has_no_fold_has_no_value() {
    has_no_value("avg([]) == 0", "`avg([])` has no value");
    has_no_value(
        "max(args.legs.filter(l, false).map(l, l.price)) > 0",
        "`max(args.legs.filter(l, false).map(l, l.price))` has no value",
    );
    has_no_value("sum(args.marks) > 0", "`args.marks[1]` is null");
}

#[test]
fn a_fold_is_explained_by_its_value_and_a_repetition_by_both_items() {
    fails("sum(args.legs.map(l, l.price)) == 61", "sum(args.legs.map(l, l.price)) = 60");
    fails("args.legs.count(l, l.price > 10) <= 1", "args.legs.count(l, l.price > 10) = 2");
    fails("args.legs.unique(l, l.code)", "args.legs[0].code = \"HAT1\", args.legs[2].code = \"HAT1\"");
}

#[test]
fn a_fold_takes_what_it_can_use() {
    refuses("sum(args.legs) > 0", "not numbers");
    refuses("sum(args.legs.map(l, l.code)) > 0", "not numbers");
    refuses("max(args.legs.map(l, l.code)) > 'a'", "not numbers, dates");
    refuses("size(distinct(args.legs)) > 0", "not numbers, strings");
    refuses("args.legs.unique(l, l)", "not a key");
    refuses("sum(args.legs.map(l, l.price), 1) > 0", "other operands");
    refuses("args.legs.all(a, args.legs.all(b, sum(args.legs.map(c, c.price)) > 0))", "at most 2 lists");
}

#[test]
fn a_fold_costs_what_it_walks() {
    let cost = |text: &str| Expression::compile_bool(text, &scope().into()).unwrap().cost();
    assert!(cost("sum(args.floats) > 0.0") > LIST_ITEMS);
    assert!(
        cost("count(distinct(args.legs.map(l, l.code))) > 0") > cost("sum(args.legs.map(l, l.price)) > 0")
    );
    assert!(cost("args.legs.unique(l, l.code)") > cost("args.legs.unique(l, l.price)"));
}

proptest! {
    #[test]
    fn sums_do_not_depend_on_where_they_begin(floats in prop::collection::vec(-1e9f64..1e9, 1..20)) {
        let mut back = floats.clone();
        back.reverse();
        let list = |floats: &[f64]| floats.iter().map(|n| format!("({n:?})")).collect::<Vec<_>>().join(", ");
        let text = format!("abs(sum([{}]) - sum(args.floats)) < 0.000001", list(&back));
        prop_assert_eq!(judge_with(&text, &floats), Judgement::Holds);
    }
}
