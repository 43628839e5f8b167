use super::super::PROBLEMS_MAX;
use super::*;
use crate::ty::Field;
use crate::ty::Ty;

fn functions() -> Vec<Function> {
    let field = |name: &str, ty| Field { name: name.into(), ty };
    let row = Ty::Record(vec![field("change-pct", Ty::F64)]);
    let result = Ty::Record(vec![field("rows", Ty::List(Box::new(row)))]);
    let params = vec![field("max-items", Ty::U32), field("period", Ty::String)];
    let ty = FunctionTy { params, result: Some(result) };
    vec![Function { interface: None, name: "find".into(), ty: ty.into() }]
}

#[track_caller]
fn refuses(text: &str, says: &[&str]) {
    let bound = Manifest::parse(text, "contract.toml").and_then(|manifest| manifest.bind(&functions()));
    let said = bound.unwrap_err().render(false);
    for piece in says {
        assert!(said.contains(piece), "it does not say {piece:?}:\n{said}");
    }
}

#[test]
fn a_comparator_that_does_not_fit_its_place_is_refused_there() {
    let rule = |at: &str, with: &str| format!("[[tool.find.compare]]\nat = \"{at}\"\nwith = {{ {with} }}\n");
    let near = rule("rows[].change_pct", "by = \"absolute\", within = 0.5");
    let bound =
        Manifest::parse(&near, "contract.toml").and_then(|manifest| manifest.bind(&functions())).unwrap();
    assert_eq!(bound["find"].compare.len(), 1);
    refuses(
        &rule("rows", "by = \"absolute\", within = 0.5"),
        &["contract.toml:1:1", "`absolute` is for numbers"],
    );
    refuses(&rule("rows[].other", "by = \"exact\""), &["`rows[].other` is no place of the answer"]);
    refuses(&format!("{near}{near}"), &["contract.toml:4:1", "`rows[].change_pct` has two comparators"]);
    refuses(&rule("", "by = \"ignore\""), &["the whole answer cannot be ignored"]);
    refuses("[[tool.find.compare]]\nwith = { by = \"exact\" }\n", &["either `at`"]);
}

#[test]
fn an_expression_costs_what_its_arguments_may_hold() {
    let field = |name: &str, ty| Field { name: name.into(), ty };
    let (codes, flights) = (Ty::List(Box::new(Ty::String)), Ty::Record(vec![field("code", Ty::String)]));
    let params = vec![field("flights", Ty::List(Box::new(flights))), field("codes", codes)];
    let functions =
        [Function { interface: None, name: "f".into(), ty: FunctionTy { params, result: None }.into() }];
    let pairs = "args.flights.all(f, args.codes.exists_one(c, c == f.code))";
    let bind = |bounds: &str| {
        let text = format!("{bounds}[[tool.f.require]]\nthat = '{pairs}'\n");
        Manifest::parse(&text, "contract.toml").and_then(|manifest| manifest.bind(&functions)).map(drop)
    };
    assert!(bind("").unwrap_err().render(false).contains("it may cost"));
    let bounds = "[tool.f.args.flights]\nmaxItems = 5\n[tool.f.args.\"codes[]\"]\nmaxLength = 3\n";
    assert!(bind(bounds).is_ok(), "{}", bind(bounds).unwrap_err().render(false));
    assert!(bind("[tool.f.args.flights]\nmaxItems = 900\n").is_err());
    // What fits at the assumed sizes fits with larger bounds, too.
    let wide = "[tool.f.args.codes]\nmaxItems = 5\n[tool.f.args.flights]\nmaxItems = 9_000_000\n";
    assert_eq!(bind(wide).is_ok(), bind("[tool.f.args.codes]\nmaxItems = 5\n").is_ok());
}

#[test]
fn refuses_what_is_not_there_with_place_and_nearest_name() {
    refuses("[tool.fnd]\ntitle = \"x\"\n", &["contract.toml:1", "did you mean `find`?"]);
    refuses("[tool.find.args.max_item]\nminimum = 1\n", &["contract.toml:1", "`max_items`"]);
    refuses("[tool.find.result.\"rows[].change\"]\ndescription = \"x\"\n", &["change_pct"]);
    refuses("[tool.find]\ntitel = \"x\"\n", &["contract.toml:2", "did you mean `title`?"]);
}

#[test]
fn refuses_an_expression_that_does_not_typecheck_at_its_place() {
    let text = "[[tool.find.require]]\nthat = \"args.max_items > 'a'\"\n";
    refuses(text, &["contract.toml:2"]);
    refuses("[[tool.find.require]]\nthat = \"args.max_itms > 1\"\n", &["max_items"]);
}

#[test]
fn refuses_a_relation_that_reads_nothing() {
    for that in ["false", "true", "1 < 2", "[1, 2].exists(x, x > 1)", "fixed"] {
        let text = format!(
            "[tool.find.let]\nfixed = \"[1].all(x, x > 0)\"\n[[tool.find.require]]\nthat = \"{that}\"\n"
        );
        refuses(&text, &["contract.toml:4", "reads no argument, no fact and no time", "or leave it out"]);
    }
}

#[test]
fn reports_everything_at_once() {
    let text = "[tool.find.args.x]\nminimum = 1\n[tool.find.args.y]\nminimum = 1\n[tool.nope]\n";
    refuses(text, &["contract.toml:1", "contract.toml:3", "contract.toml:5"]);
}

#[test]
fn tells_twenty_problems_and_stops_looking() {
    let unknown: String = (0..5_000).map(|i| format!("[tool.f{i}]\n")).collect();
    let paths: String = (0..5_000).map(|i| format!("[tool.find.args.x{i}]\n")).collect();
    for text in [unknown, paths] {
        let bound = Manifest::parse(&text, "contract.toml").and_then(|manifest| manifest.bind(&functions()));
        let problems = bound.unwrap_err();
        assert_eq!(problems.0.len(), PROBLEMS_MAX);
        assert!(problems.render(false).contains("only the first 20"), "{problems}");
    }
}

#[test]
fn refuses_more_programs_than_a_host_compiles() {
    let rule = "[[tool.find.require]]\nthat = \"args.max_items > 1u\"\n";
    refuses(&rule.repeat(257), &["257 relations, rules that hold, terms, checks and facts; at most 256"]);
    let pattern = r#"{ properties = { period = { pattern = "a" } } }, "#;
    let patterns = format!("[tool.find.schema]\nallOf = [{}]\n", pattern.repeat(129));
    refuses(&patterns, &["129 patterns; at most 128"]);
    let example = "[[tool.find.example]]\nargs = { max_items = 1, period = \"a\" }\n";
    refuses(&example.repeat(257), &["257 examples; at most 256"]);
    refuses(&"#".repeat(256 * 1024 + 1), &["262145 bytes; at most 262144"]);
}

#[test]
fn refuses_a_confidential_field_that_is_not_there() {
    let text = "[tool.find]\nconfidential = [\"args.max_item\", \"result.rows[].price\", \"period\"]\n";
    refuses(text, &["contract.toml:2", "did you mean `max_items`?", "`change_pct`", "`args.NAME`"]);
}

#[test]
fn refuses_a_check_of_a_field_that_is_not_there() {
    let text = "[[tool.find.expect]]\nrange = { field = \"rows[].pct\", min = 0 }\n";
    refuses(text, &["contract.toml:", "pct"]);
}
