use std::collections::BTreeMap;

use super::*;

fn compile(terms: &[(&str, &str)]) -> (Terms, Vec<(String, ExpressionError)>) {
    Terms::compile(&terms.iter().copied().collect::<BTreeMap<_, _>>(), &scope())
}

#[track_caller]
fn check(terms: &[(&str, &str)], text: &str, expect: Judgement) {
    let (terms, problems) = compile(terms);
    assert!(problems.is_empty(), "{problems:?}");
    let expression = Expression::compile_bool(text, &Scope { terms, ..scope() }.into()).unwrap();
    let (args, result) = values();
    let bindings = Bindings {
        params: &scope().args,
        args: &args,
        result: Some(&result),
        now_unix_ms: None,
        facts: None,
    };
    assert_eq!(expression.eval(&bindings), expect, "{text}");
}

fn because(why: &str) -> Judgement {
    Judgement::Fails(Explanation(why.into()))
}

#[test]
fn a_term_is_its_expression_wherever_it_is_named() {
    let terms = [("total", "sum(result.rows.map(r, r.n))"), ("mean", "total / count(result.rows)")];
    check(&terms, "total == 6 && mean == 2", Judgement::Holds);
    check(&terms, "result.rows.all(r, r.n <= total)", Judgement::Holds);
    // The variable of a macro hides a term of its name.
    check(&terms, "result.rows.all(total, total.n < 4)", Judgement::Holds);
}

#[test]
fn a_term_is_explained_by_its_name() {
    check(&[("total", "sum(result.rows.map(r, r.n))")], "total == 7", because("total = 6"));
    let forward = [("forward", "args.from <= args.to")];
    check(&forward, "forward", because("forward = false, args.from = \"2020-05\", args.to = \"2020-01\""));
    check(
        &forward,
        "result.rows.all(r, forward)",
        because("forward = false, args.from = \"2020-05\", args.to = \"2020-01\""),
    );
}

#[test]
fn a_term_that_cannot_be_is_refused_with_its_name() {
    for (terms, name, says) in [
        (vec![("a", "b + 1"), ("b", "a + 1")], "a", "names itself"),
        (vec![("a", "args.form")], "a", "has no field"),
        (vec![("now", "1")], "now", "cannot be the name"),
        (vec![("a b", "1")], "a b", "cannot be the name"),
        (vec![("in", "1")], "in", "cannot be the name"),
        (vec![("a", "1"), ("b", "a"), ("c", "b"), ("d", "c"), ("e", "d")], "e", "in a chain"),
    ] {
        let (_, problems) = compile(&terms);
        let (found, err) = problems.first().unwrap();
        assert!(found == name && err.message.contains(says), "{terms:?}: {problems:?}");
    }
}

#[test]
fn terms_that_name_each_other_cost_what_they_do_together() {
    let walk = "result.rows.map(r, sum(result.rows.map(q, q.n)))";
    let (_, problems) = compile(&[("wide", walk), ("wider", "[wide, wide]")]);
    assert!(problems.iter().any(|(_, err)| err.message.contains("steps; at most")), "{problems:?}");
}

#[test]
fn a_term_of_the_result_is_not_known_before_it() {
    let (terms, _) = compile(&[("total", "sum(result.rows.map(r, r.n))"), ("twice", "total * 2")]);
    let err = Expression::compile_bool(
        "twice > 0",
        &Scope { terms: terms.clone(), result: None, ..scope() }.into(),
    );
    assert!(err.unwrap_err().message.contains("reads the result"));
    let used = terms.used("twice > 0");
    assert_eq!(used.keys().copied().collect::<Vec<_>>(), ["total", "twice"]);
}

#[test]
fn a_rule_says_which_place_it_is_about() {
    let trip = Ty::Record(vec![field("from", Ty::String), field("to", Ty::String)]);
    let bags = Ty::List(Box::new(Ty::Record(vec![field("weight-kg", Ty::U8)])));
    let args = [field("my-trip", trip), field("bags", bags), field("n", Ty::U32)].into();
    let scope = Scope { args, result: Some(Arc::new(Ty::U32)), ..Scope::default() };
    let terms = BTreeMap::from([("heaviest", "max(args.bags.map(b, b.weight_kg))")]);
    let (terms, _) = Terms::compile(&terms, &scope);
    let scope = Scope { terms, ..scope };
    for (text, place) in [
        ("args.n > 1 && args.n < 9", "n"),
        ("[1, 2].all(n, n < args.n)", "n"),
        ("args.my_trip.from != ''", "my_trip.from"),
        ("args.my_trip.from != args.my_trip.to", "my_trip"),
        ("args.bags.all(b, b.weight_kg < 32)", "bags"),
        ("heaviest < 32", "bags"),
        ("args.bags[0].weight_kg > 0", "bags"),
        ("heaviest < args.n", ""),
        ("args.n < result", ""),
        ("1 < 2", ""),
    ] {
        let found =
            Expression::compile_bool(text, &scope.clone().into()).unwrap().place().unwrap_or_default();
        assert_eq!(found.to_string(), place, "{text}");
    }
}
