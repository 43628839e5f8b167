//! Where expressions are easily wrong: text from strangers, the ends of numbers, nulls deep inside, and cost.

use proptest::prelude::*;

use super::super::*;
use super::field;

fn list(item: Ty) -> Ty {
    Ty::List(Box::new(item))
}

fn option(inner: Ty) -> Ty {
    Ty::Option(Box::new(inner))
}

fn scope() -> Scope {
    let point = |n: Ty| {
        Ty::Record(vec![field("n", n), field("pct", option(Ty::F64)), field("tags", list(Ty::String))])
    };
    let shape = vec![
        crate::ty::Case { name: "circle".into(), ty: Some(Ty::F64) },
        crate::ty::Case { name: "none".into(), ty: None },
    ];
    Scope {
        args: vec![
            field("rows", list(point(Ty::U8))),
            field("wide", point(Ty::S64)),
            field("narrow", point(Ty::U8)),
            field("rate", Ty::F32),
            field("nan", Ty::F64),
            field("maybe", option(point(Ty::U8))),
            field("shape", Ty::Variant(shape)),
            field("modes", Ty::Flags(vec!["read".into(), "write".into()])),
            field("mode", Ty::Enum(vec!["fast".into(), "slow".into()])),
            field("prices", Ty::Map(Box::new(Ty::String), Box::new(Ty::U32))),
            field("pair", Ty::Tuple(vec![Ty::U8, Ty::String])),
            field("blob", list(Ty::U8)),
            field("numbers", list(Ty::U32)),
            field("nans", list(Ty::F64)),
            field("text", Ty::String),
        ]
        .into(),
        result: None,
        ..Scope::default()
    }
}

fn point(n: Val, pct: Option<f64>) -> Val {
    let pct = Val::Option(pct.map(|pct| Box::new(Val::Float64(pct))));
    let tags = Val::List(vec![Val::String("a".into())]);
    Val::Record(vec![("n".into(), n), ("pct".into(), pct), ("tags".into(), tags)])
}

fn values(items: u32) -> Vec<Val> {
    let text = |text: &str| Val::String(text.into());
    vec![
        Val::List(vec![point(Val::U8(1), Some(1.0)), point(Val::U8(2), None), point(Val::U8(3), Some(3.0))]),
        point(Val::S64(7), Some(0.0)),
        point(Val::U8(7), Some(-0.0)),
        Val::Float32(0.1),
        Val::Float64(f64::NAN),
        Val::Option(None),
        Val::Variant("circle".into(), Some(Box::new(Val::Float64(2.0)))),
        Val::Flags(vec!["read".into()]),
        Val::Enum("fast".into()),
        Val::Map(vec![(text("a"), Val::U32(1)), (text("b"), Val::U32(2)), (text("a"), Val::U32(3))]),
        Val::Tuple(vec![Val::U8(5), text("five")]),
        Val::List(vec![Val::U8(1), Val::U8(2)]),
        Val::List((0..items).map(Val::U32).collect()),
        Val::List(vec![Val::Float64(f64::NAN)]),
        text("say \"hi\"\n"),
    ]
}

fn judge_with(text: &str, args: &[Val]) -> Judgement {
    let scope = scope();
    let expression =
        Expression::compile_bool(text, &scope.clone().into()).unwrap_or_else(|err| panic!("{text}: {err:?}"));
    expression.eval(&Bindings { params: &scope.args, args, result: None, now_unix_ms: None, facts: None })
}

#[track_caller]
fn holds(text: &str) {
    assert_eq!(judge_with(text, &values(4)), Judgement::Holds, "{text}");
}

#[track_caller]
fn fails(text: &str, why: &str) {
    assert_eq!(judge_with(text, &values(4)), Judgement::Fails(Explanation(why.into())), "{text}");
}

#[track_caller]
fn errs(text: &str, why: &str) {
    // What reads nothing is refused when it is compiled.
    if let Err(err) = Expression::compile_bool(text, &scope().into()) {
        return assert_eq!(err.message, format!("it never has a value: {why}"), "{text}");
    }
    assert_eq!(judge_with(text, &values(4)), Judgement::Error(Explanation(why.into())), "{text}");
}

#[track_caller]
fn refuses(text: &str, says: &str, at: &str) {
    let err = Expression::compile_bool(text, &scope().into()).unwrap_err();
    let full = format!("{} {}", err.message, err.hint.clone().unwrap_or_default());
    assert!(full.contains(says), "{text}: {full}");
    assert_eq!(&text[err.span.clone()], at, "{text}: {err:?}");
}

#[test]
fn text_that_would_exhaust_the_stack_is_refused() {
    for text in [
        vec!["1"; 100_000].join("+"),
        format!("args{}", ".a".repeat(100_000)),
        format!("args{} == 1", "[0]".repeat(600)),
        format!("{}1{} == 1", "(".repeat(100_000), ")".repeat(100_000)),
        format!("{} == 1", vec!["1"; 900].join("+")),
        format!("{} == 1", vec!["1"; 500].join("?1:")),
    ] {
        let err = Expression::compile_bool(&text, &scope().into()).unwrap_err();
        assert!(text.get(err.span.clone()).is_some(), "{err:?}");
        assert!(err.message.len() < 300, "{err:?}");
    }
    holds(&format!("{} == 50", vec!["1"; 50].join("+")));
    holds(&vec!["args.rate < 1.0"; 100].join(" && "));
}

#[test]
fn a_fault_of_syntax_is_placed_on_its_line() {
    refuses("args.rate < 1.0\n  && ) ", "does not parse", ") ");
    refuses("args.text == 'é' && ) ", "does not parse", ") ");
    refuses("args.rate <", "does not parse", "");
    refuses("18446744073709551615 > 1", "invalid int literal", "18446744073709551615 > 1");
}

#[test]
fn integers_that_leave_128_bits_are_errors_not_panics() {
    let least = "int('-170141183460469231731687303715884105728')";
    errs(&format!("-{least} > 0"), &format!("`-{least}` has no value"));
    errs(&format!("abs({least}) > 0"), &format!("`abs({least})` has no value"));
    for text in [format!("{least} / -1 > 0"), "1 / 0 == 1 || 1 % 0 == 1".to_owned()] {
        let err = Expression::compile_bool(&text, &scope().into()).unwrap_err();
        assert!(err.message.starts_with("it never has a value: "), "{text}: {err}");
    }
    holds(&format!("{least} == -170141183460469231731687303715884105728.0"));
    holds(&format!("{least} > -170141183460469231731687303715884109999.0 || true"));
    holds("int('170141183460469231731687303715884105727') < 170141183460469231731687303715884105728.0");
    holds("9007199254740993 > 9007199254740992.0 && 9007199254740993 != 9007199254740992.0");
    holds("-1 < -0.5 && -2 < -1.5 && 1 > 0.5");
}

#[test]
fn a_narrow_float_is_the_decimal_that_agents_see() {
    holds("args.rate == 0.1 && args.rate <= 0.1 && args.rate * 10 == 1");
}

#[test]
fn equality_goes_by_number_inside_of_records_and_lists() {
    holds("args.wide == args.narrow");
    holds("args.rows[0].tags == args.wide.tags");
    holds("args.nans != args.nans && args.nan != args.nan");
    holds("args.nans == args.nans || !(args.nans == args.nans)");
    refuses("args.wide == args.text", "is never equal to", "args.wide == args.text");
}

#[test]
fn nulls_on_the_way_are_not_there_and_name_their_item() {
    holds("!has(args.maybe.pct) && has(args.wide.pct)");
    holds("args.maybe == null || args.maybe.n > 3");
    errs("args.maybe.n > 3", "`args.maybe` is null");
    errs("args.rows.all(r, r.pct < 100)", "`args.rows[1].pct` is null");
    fails("args.rows.all(r, r.pct < 2)", "args.rows[2].pct = 3");
    holds("args.rows.exists(r, r.pct > 2)");
    refuses("has(1)", "has", "has(1)");
    refuses("has(1 / 0)", "has", "has(1 / 0)");
    errs("has(args.rows[9].pct)", "`args.rows[9]`: there is no item 9");
}

#[test]
fn the_cases_of_enums_and_flags_are_known_in_lists_too() {
    holds("args.mode in ['fast', 'slow'] && 'read' in args.modes && !('write' in args.modes)");
    refuses("args.mode in ['fast', 'slwo']", "did you mean `slow`?", "args.mode in ['fast', 'slwo']");
    refuses("'raed' in args.modes", "did you mean `read`?", "'raed' in args.modes");
    refuses("args.modes == ['wriet']", "did you mean `write`?", "args.modes == ['wriet']");
    holds("args.shape.tag == 'circle' && args.shape.val == 2");
    refuses("args.shape.tag == 'cirlce'", "did you mean `circle`?", "args.shape.tag == 'cirlce'");
}

#[test]
fn maps_and_tuples_can_be_walked() {
    holds("args.prices.all(k, args.prices[k] >= 2) && 'b' in args.prices && size(args.prices) == 3");
    errs("args.prices['z'] == 1", "`args.prices['z']`: there is no item \"z\"");
    fails("args.prices.all(k, args.prices[k] > 2)", "args.prices[\"b\"] = 2");
    holds("args.pair[0] == 5 && args.pair[1] == 'five' && size(args.blob) == 2");
    refuses("args.pair[2] == 5", "2 items", "2");
    holds("args.numbers.map(n, n > 1, n * 2) == [4, 6]");
}

#[test]
fn what_differs_in_kind_does_not_hide_behind_null() {
    refuses("(true ? null : 5) == 'a'", "never equal", "(true ? null : 5) == 'a'");
    refuses("[null, 5, 'a'] == [5]", "a list of", "'a'");
    errs("(args.rate > 1 ? 5 : null) > 3", "`args.rate > 1 ? 5 : null` is null");
}

#[test]
fn an_explanation_writes_variables_out_and_quotes_text() {
    fails("args.rows.all(r, size(r.tags) == 2)", "size(args.rows[0].tags) = 1");
    fails("args.rows.all(r, ['b'].all(t, t in r.tags))", "['b'][0] = \"b\", args.rows[0].tags = a list of 1");
    fails("args.rows.filter(r, r.n > 1).all(q, q.n > 2)", "args.rows.filter(r, r.n > 1)[0].n = 2");
    fails("args.text == 'x'", r#"args.text = "say \"hi\"\n""#);
    fails("args.rate == 2 && args.rate == 3", "args.rate = 0.1");
    fails("args.rate > 1 ? args.rate == 2 : args.pair[0] == 2", "args.rate = 0.1, args.pair[0] = 5");
    let Judgement::Fails(why) = judge_with("args.text == 'x'", &long_text()) else { panic!("it fails") };
    assert!(why.0.chars().count() <= "args.text = ".len() + 62, "{why}");
}

fn long_text() -> Vec<Val> {
    let mut args = values(0);
    args[14] = Val::String("é".repeat(1000));
    args
}

#[test]
fn the_meter_counts_what_the_estimate_could_not_know() {
    let spent = |text: &str, items| {
        let Judgement::Error(why) = judge_with(text, &values(items)) else {
            panic!("{text} was within bounds")
        };
        assert!(why.0.contains("steps"), "{text}: {why}");
    };
    spent("args.numbers.all(n, n >= 0)", 1_000_000);
    spent("args.numbers.all(n, args.numbers != [])", 1_000_000);
    // Equality reads both lists, once for each item.
    spent("args.numbers.all(n, [args.numbers][0] == args.numbers)", 4_000);
}

#[test]
fn looking_up_each_of_many_strings_is_within_the_budget() {
    holds("args.rows.all(r, !(args.text in r.tags)) && args.rows.exists(r, 'a' in r.tags)");
}

#[test]
fn an_index_costs_the_same_wherever_it_points() {
    assert_eq!(judge_with("args.numbers.all(n, args.numbers[n] == n)", &values(50_000)), Judgement::Holds);
}

#[test]
fn values_that_are_missing_or_of_another_type_are_errors() {
    assert!(matches!(judge_with("args.rate > 1", &[]), Judgement::Error(_)));
    let swapped = vec![Val::Bool(true); 15];
    for text in ["args.rate > 1", "args.rows[0].n > 1", "args.rows.all(r, r.n > 1)", "size(args.text) > 1"] {
        assert!(!matches!(judge_with(text, &swapped), Judgement::Holds), "{text}");
    }
}

/// Well-typed terms over the scope, none of which reads an option.
fn number() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(vec!["args.rate", "args.nan", "args.wide.n", "args.narrow.n", "args.pair[0]"])
            .prop_map(str::to_owned),
        any::<i64>().prop_map(|n| format!("({n})")),
        any::<u64>().prop_map(|n| format!("{n}u")),
        Just("1.5".to_owned()),
        Just("size(args.rows)".to_owned()),
    ];
    leaf.prop_recursive(4, 16, 2, |inner| {
        (
            inner.clone(),
            inner,
            prop::sample::select(vec!["+", "-", "*", "/", "%", "max", "min", "abs", "int"]),
        )
            .prop_map(|(a, b, op)| match op {
                "max" | "min" => format!("{op}({a}, {b})"),
                "abs" | "int" => format!("-{op}({a})"),
                op => format!("({a} {op} {b})"),
            })
    })
}

fn truth() -> impl Strategy<Value = String> {
    let leaf = (number(), number(), prop::sample::select(vec!["<", "<=", ">", ">=", "==", "!="]))
        .prop_map(|(a, b, op)| format!("{a} {op} {b}"));
    leaf.prop_recursive(3, 8, 2, |inner| {
        (inner.clone(), inner, prop::sample::select(vec!["&&", "||", "all", "exists", "exists_one", "?"]))
            .prop_map(|(a, b, op)| match op {
                "&&" | "||" => format!("({a} {op} !({b}))"),
                "?" => format!("({a} ? {b} : {a})"),
                op => {
                    format!("args.pair[1].contains('{op}') || args.numbers.map(n, n).{op}(x, x > 1 || {a})")
                }
            })
    })
}

proptest! {
    #[test]
    fn well_typed_terms_never_panic_and_never_mistake_a_type(text in truth()) {
        if let Ok(expression) = Expression::compile_bool(&text, &scope().into()) {
            let judged = expression.eval(&Bindings { params: &scope().args, args: &values(3), result: None, now_unix_ms: None, facts: None });
            if let Judgement::Error(why) = judged {
                prop_assert!(why.0.contains("has no value") || why.0.contains("steps"), "{text}: {why}");
            }
        }
    }

    #[test]
    fn tokens_in_any_order_never_panic(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "args", ".", "rows", "r", "(", ")", "[", "]", "{", "}", ",", ":", "?", "!", "-", "==", "<", "&&", "||", "in",
            "has", "all", "size", "null", "1", "1u", "0x", "1.5e", "'é'", "b'x'", "r'", "\"\"\"", "`a`", "\n", "//", " ",
            "\\", "=", "&", "1.", "map", "true",
        ]), 0..24)
    ) {
        let text = tokens.concat();
        if let Err(err) = Expression::compile_bool(&text, &scope().into()) {
            prop_assert!(text.get(err.span.clone()).is_some(), "{text}: {err:?}");
        }
    }

    #[test]
    fn integers_and_floats_compare_as_the_numbers_they_are(a in any::<i64>(), nudge in -2i64..=2) {
        #[expect(clippy::cast_precision_loss, reason = "the rounded float is what is compared")]
        let float = a.saturating_add(nudge) as f64;
        // The float's own integer value decides.
        #[expect(clippy::cast_possible_truncation, reason = "an f64 from an i64 is within i128")]
        let exact = i128::from(a).cmp(&(float as i128));
        let text = format!("({a}) < double('{float}') ? 'l' == args.text : ({a}) > double('{float}') ? 'g' == args.text : 'e' == args.text");
        let mut args = values(0);
        args[14] = Val::String(match exact { std::cmp::Ordering::Less => "l", std::cmp::Ordering::Greater => "g", std::cmp::Ordering::Equal => "e" }.into());
        prop_assert_eq!(judge_with(&text, &args), Judgement::Holds, "{}", text);
    }
}
