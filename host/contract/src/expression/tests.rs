use proptest::prelude::*;

mod edges;
mod lists;
mod terms;
mod times;

use super::*;

fn field(name: &str, ty: Ty) -> Field {
    Field { name: name.into(), ty }
}

fn scope() -> Scope {
    let row = Ty::Record(vec![field("name", Ty::String), field("pct", Ty::F64), field("n", Ty::U32)]);
    Scope {
        args: vec![
            field("from", Ty::String),
            field("to", Ty::String),
            field("max-items", Ty::Option(Box::new(Ty::U32))),
            field("big", Ty::U64),
            field("small", Ty::S8),
            field("measure", Ty::Enum(vec!["absolute".into(), "relative".into()])),
        ]
        .into(),
        result: Some(Arc::new(Ty::Record(vec![
            field("rows", Ty::List(Box::new(row))),
            field("total", Ty::F64),
            field("grid", Ty::FixedList(Box::new(Ty::F32), 3)),
        ]))),
        ..Scope::default()
    }
}

fn values() -> (Vec<Val>, Val) {
    let row = |name: &str, pct, n| {
        Val::Record(vec![
            ("name".into(), Val::String(name.into())),
            ("pct".into(), Val::Float64(pct)),
            ("n".into(), Val::U32(n)),
        ])
    };
    let args = vec![
        Val::String("2020-05".into()),
        Val::String("2020-01".into()),
        Val::Option(None),
        Val::U64(u64::MAX),
        Val::S8(-1),
        Val::Enum("absolute".into()),
    ];
    let result = Val::Record(vec![
        ("rows".into(), Val::List(vec![row("a", 1.0, 1), row("b", 2.5, 2), row("c", 150.0, 3)])),
        ("total".into(), Val::Float64(f64::NAN)),
        ("grid".into(), Val::FixedLengthList(vec![Val::Float32(0.5); 3])),
    ]);
    (args, result)
}

fn judge(text: &str) -> Judgement {
    let expression =
        Expression::compile_bool(text, &scope().into()).unwrap_or_else(|err| panic!("{text}: {err:?}"));
    let (args, result) = values();
    expression.eval(&Bindings {
        params: &scope().args,
        args: &args,
        result: Some(&result),
        now_unix_ms: None,
        facts: None,
    })
}

#[track_caller]
fn holds(text: &str) {
    assert_eq!(judge(text), Judgement::Holds, "{text}");
}

#[track_caller]
fn fails(text: &str, why: &str) {
    assert_eq!(judge(text), Judgement::Fails(Explanation(why.into())), "{text}");
}

#[track_caller]
fn refuses(text: &str, says: &str, at: &str) {
    let err = Expression::compile_bool(text, &scope().into()).unwrap_err();
    let full = format!("{} {}", err.message, err.hint.clone().unwrap_or_default());
    assert!(full.contains(says), "{text}: {full}");
    assert_eq!(&text[err.span.clone()], at, "{text}: {err:?}");
}

#[test]
fn numbers_of_all_widths_mix_exactly() {
    holds("args.big > args.small");
    holds("args.big == 18446744073709551615u");
    holds("args.big > 18446744073709551614.0 || args.big < 18446744073709551616.0");
    holds("args.big < 18446744073709551616.0");
    holds("args.small < 0.5 && args.small == -1");
    holds("args.big + 1 > args.big");
    holds("result.rows[0].n + result.rows[1].pct == 3.5");
    holds("7 / 2 == 3 && 7.0 / 2 == 3.5 && 7 % 2 == 1");
}

#[test]
fn nan_holds_in_no_comparison_by_size() {
    fails("result.total < 1.0", "result.total = NaN");
    fails("result.total >= 1.0", "result.total = NaN");
    holds("result.total != result.total");
}

#[test]
fn null_is_trouble_unless_it_is_asked_about() {
    holds("args.max_items == null || args.max_items > 3");
    holds("!has(args.max_items)");
    assert_eq!(judge("args.max_items > 3"), Judgement::Error(Explanation("`args.max_items` is null".into())));
}

#[test]
fn macros_and_functions_work() {
    holds("result.rows.exists(r, r.pct > 100) && result.rows.exists_one(r, r.n == 2)");
    holds("size(result.rows.filter(r, r.n > 1)) == 2 && result.rows.map(r, r.n) == [1, 2, 3]");
    holds("args.from.startsWith('2020') && args.from.matches('^[0-9]{4}-[0-9]{2}$')");
    holds("'absolute' in ['absolute', 'x'] && args.measure == 'absolute'");
    holds("int('12') + 1 == 13 && string(5) == '5' && abs(-2) == 2 && max(1, 2.5) == 2.5");
    holds("result.grid.all(g, g == 0.5) && size(args.from) == 7");
}

#[test]
fn a_failing_rule_is_explained_by_the_values_that_decided_it() {
    fails("args.from <= args.to && size(result.rows) > 0", "args.from = \"2020-05\", args.to = \"2020-01\"");
    fails("result.rows.all(r, r.pct <= 100)", "result.rows[2].pct = 150");
    fails("result.rows.exists(r, r.pct > 200)", "size(result.rows) = 3");
    fails("size(result.rows) == 4", "size(result.rows) = 3");
    fails("!(args.small < 0)", "args.small = -1");
    // Where a literal decided, there are still values to tell, or the outcome.
    fails("args.small < 0 && false", "args.small = -1");
    fails("1 > 2", "false");
}

#[test]
fn refuses_what_is_not_there_or_does_not_mix() {
    refuses("args.form < 'x'", "did you mean `from`?", "args.form");
    refuses("arg.from < 'x'", "did you mean `args`?", "arg");
    refuses("1 + 'a' == 2", "cannot be computed", "1 + 'a'");
    refuses("args.from > 3", "cannot be compared by size", "args.from > 3");
    refuses("args.measure == 'absolut'", "did you mean `absolute`?", "args.measure == 'absolut'");
    refuses("sze(args.from) > 1", "did you mean `size`?", "sze(args.from)");
    refuses("args.big + 1", "not a truth value", "args.big + 1");
    refuses("args.from.matches(args.to)", "written out", "args.to");
    refuses("args.from.matches('(')", "does not parse", "'('");
    refuses("args.from.matches('(a|b){1000}')", "repeats more than", "'(a|b){1000}'");
    assert!(
        Expression::compile_bool("args.from <", &scope().into())
            .unwrap_err()
            .message
            .contains("does not parse")
    );
}

#[test]
fn refuses_what_may_cost_too_much_with_the_estimate() {
    let cost = |text: &str| Expression::compile_bool(text, &scope().into());
    assert!(cost("result.rows.all(r, r.pct < 100)").unwrap().cost() < COST_MAX);
    let err = cost("result.rows.all(r, result.rows.exists(q, q.n == r.n))").unwrap_err();
    assert!(err.message.contains("steps; at most 1000000"), "{err:?}");
    let err = cost("result.grid.all(a, result.grid.all(b, result.grid.all(c, a + b < c)))").unwrap_err();
    assert!(err.message.contains("at most 2 lists"), "{err:?}");
}

fn sources() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("args.from".to_owned()),
        Just("args.big".to_owned()),
        Just("args.max_items".to_owned()),
        Just("result.rows".to_owned()),
        Just("result.total".to_owned()),
        Just("r.pct".to_owned()),
        Just("null".to_owned()),
        Just("'x'".to_owned()),
        (-3i64..99).prop_map(|n| n.to_string()),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            (two.clone(), prop::sample::select(vec!["+", "-", "/", "==", "<", "&&", "||", "in"]))
                .prop_map(|((a, b), op)| format!("({a} {op} {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            inner.clone().prop_map(|a| format!("size({a})")),
            two.prop_map(|(a, b)| format!("{a}.all(r, {b})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_compiles_can_be_judged(text in sources()) {
        if let Ok(expression) = Expression::compile_bool(&text, &scope().into()) {
            let (args, result) = values();
            let bindings = Bindings { params: &scope().args, args: &args, result: Some(&result), now_unix_ms: None, facts: None };
            if let Judgement::Error(why) = expression.eval(&bindings) {
                prop_assert!(!why.0.contains("is not a"), "a type error at run time: {text}: {why}");
            }
        }
    }

    #[test]
    fn no_text_breaks_the_checker(text in "\\PC{0,40}") {
        let _ = Expression::compile_bool(&text, &scope().into());
    }
}

#[test]
fn a_short_text_does_not_name_a_large_type_again_and_again() {
    let scope = Scope {
        args: [field("a", Ty::Tuple(vec![Ty::Bool; 5_000]))].into(),
        result: None,
        ..Scope::default()
    };
    let once = "args.a == args.a";
    let scope = scope.into();
    assert!(Expression::compile_bool(once, &scope).is_ok());
    let often = Expression::compile_bool(&[once; 20].join(" && "), &scope).unwrap_err();
    assert!(often.message.contains("more than 100000 parts"), "{often}");
}

#[test]
fn a_period_is_compared_by_its_canonical_text() {
    for text in [
        "period('May 2020') == period(args.from)",
        "period(args.from + '..' + args.from) == '2020-05'",
        "period(args.from, 'year') == '2020'",
        "period('soon') == null",
        // The inner door has no clock.
        "period('last month') == null",
    ] {
        assert_eq!(judge(text), Judgement::Holds, "{text}");
    }
    let Judgement::Fails(why) = judge("period(args.from) == period(args.to)") else { panic!("it holds") };
    assert!(why.0.contains("period(args.from) = \"2020-05\""), "{why}");
    for (text, says) in [
        ("period(args.big) == ''", "not a string"),
        ("period(args.from, 'week') == ''", "`\"month\"`"),
        ("period(args.from, args.to) == ''", "`\"month\"`"),
    ] {
        let err = Expression::compile_bool(text, &scope().into()).unwrap_err();
        assert!(err.message.contains(says), "{text}: {err}");
    }
}
