mod exact;
mod refused;

use serde_json::json;

use super::*;

fn compile(rules: &[Rule], function: &FunctionTy) -> Result<Checks, RuleError> {
    Checks::compile(rules, function, &scope(function, Bounds::default(), Terms::default()).into())
}

fn check(rule: &str, values: &[f64]) -> Vec<Finding> {
    let rows = Ty::List(Box::new(Ty::F64));
    let result = Some(Ty::Record(vec![Field { name: "rows".into(), ty: rows }]));
    let rule: Rule = toml::from_str(rule).unwrap();
    let checks = compile(&[rule], &FunctionTy { params: vec![], result }).unwrap();
    let rows = Val::List(values.iter().map(|n| Val::Float64(*n)).collect());
    let result = Val::Record(vec![("rows".into(), rows)]);
    let now_unix_ms = 86_400_000 * 50;
    checks.findings(&Context {
        params: &[],
        args: &[],
        result: &result,
        as_of: Some("1970-01-01"),
        now_unix_ms,
    })
}

#[test]
fn kinds_find_what_they_doubt_and_pass_the_rest() {
    for (rule, good, bad) in [
        ("range = { field = 'rows[]', min = 0, max = 10 }", vec![0.0, 10.0], vec![11.0]),
        ("length = { field = 'rows', max = 1 }", vec![1.0], vec![1.0, 2.0]),
        ("empty = { field = 'rows', is = 'error' }", vec![1.0], vec![]),
        ("order = { list = 'rows', strict = true }", vec![1.0, 2.0], vec![1.0, 1.0]),
        ("truncation = { list = 'rows', limit = 2 }", vec![1.0], vec![1.0, 2.0]),
        ("finite = {}", vec![1.0], vec![f64::NAN]),
    ] {
        assert_eq!(check(rule, &good), vec![], "{rule}");
        assert_eq!(check(rule, &bad).len(), 1, "{rule}");
    }
}

#[test]
fn names_the_factor_and_the_age() {
    let found = check("range = { field = 'rows[]', min = 1, max = 5 }", &[3_000.0]);
    assert_eq!(found[0].expected, "1 to 5 (a thousand times too large?)");
    let found = check("length = { field = 'rows', min = 2 }", &[1.0]);
    assert_eq!((&*found[0].expected, &*found[0].got), ("a length of at least 2", "1"));
    assert_eq!(verdict(&check("freshness = { warn_after = '40d' }", &[])), Verdict::Warn);
}

#[test]
fn no_number_is_in_no_range_with_the_verdict_of_the_range() {
    let found = check("range = { field = 'rows[]', min = 0, max = 10 }\nverdict = 'reject'", &[f64::NAN]);
    assert!(found.iter().any(|found| found.kind == "range" && found.verdict == Verdict::Reject), "{found:?}");
}

#[test]
fn names_the_key_that_is_there_twice() {
    let row = Val::Record(vec![("sector".into(), Val::String("mining".into())), ("end".into(), Val::U8(1))]);
    let fields = [("sector", Ty::String), ("end", Ty::U8)];
    let fields = fields.map(|(name, ty)| Field { name: name.into(), ty }).to_vec();
    let rows = Ty::List(Box::new(Ty::Record(fields)));
    let result = Some(Ty::Record(vec![Field { name: "rows".into(), ty: rows }]));
    let rule: Rule = toml::from_str("unique = { list = 'rows', key = ['sector'] }").unwrap();
    let checks = compile(&[rule], &FunctionTy { params: vec![], result }).unwrap();
    let result = Val::Record(vec![("rows".into(), Val::List(vec![row.clone(), row]))]);
    let found =
        checks.findings(&Context { params: &[], args: &[], result: &result, as_of: None, now_unix_ms: 0 });
    assert_eq!((found[0].path.as_str(), found[0].got.as_str()), ("rows[1]", "mining"));
}

#[test]
fn a_result_holds_to_the_keywords_that_are_published_of_it() {
    let field = |name: &str, ty| Field { name: name.into(), ty };
    let ty = Ty::Record(vec![
        field("id", Ty::U64),
        field("rows", Ty::List(Box::new(Ty::Record(vec![field("note", Ty::Option(Box::new(Ty::String)))])))),
    ]);
    let function = FunctionTy { params: vec![], result: Some(ty.clone()) };
    let keywords: BTreeMap<Path, Map<String, Value>> = [
        ("id", json!({"maximum": 9_007_199_254_740_993_u64, "description": "its number"})),
        ("rows[].note", json!({"maxLength": 2, "pattern": "^a"})),
        ("rows", json!({"description": "nothing to hold to"})),
    ]
    .map(|(path, keywords)| (Path::parse(path).unwrap(), keywords.as_object().unwrap().clone()))
    .into();
    for is_known in [false, true] {
        let mut checks = compile(&[], &function).unwrap();
        checks.state(&keywords, &ty, is_known).unwrap();
        // Their findings may quote confidential values, as those of other checks.
        assert!(checks.has("schema"));
        let found = |id: u64, note: Option<&str>| {
            let note = Val::Option(note.map(|note| Box::new(Val::String(note.into()))));
            let rows = Val::List(vec![Val::Record(vec![("note".into(), note)])]);
            let result = &Val::Record(vec![("id".into(), Val::U64(id)), ("rows".into(), rows)]);
            let found =
                checks.findings(&Context { params: &[], args: &[], result, as_of: None, now_unix_ms: 0 });
            found
                .into_iter()
                .map(|one| format!("{} {:?} {}", one.kind, one.verdict, one.path))
                .collect::<Vec<_>>()
        };
        assert_eq!(found(9_007_199_254_740_993, Some("ab")), [""; 0]);
        assert_eq!(found(1, None), [""; 0]);
        assert_eq!(found(9_007_199_254_740_994, Some("ab")), ["schema Reject id"]);
        assert_eq!(found(1, Some("b")), ["schema Reject rows[0].note"]);
    }
}

#[test]
fn all_lists_every_file_sorted() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/check");
    let mut files: Vec<String> = std::fs::read_dir(here)
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| !["age", "rule", "scalar", "schema", "tests"].contains(&name.as_str()))
        .collect();
    files.sort();
    assert_eq!(files, ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>());
}

#[test]
fn of_many_doubts_the_first_are_kept_and_the_rest_counted() {
    let found = check("finite = {}", &[f64::NAN; 1_000]);
    assert_eq!(found.len(), FINDINGS_MAX);
    assert_eq!((found[0].path.as_str(), found[19].got.as_str()), ("rows[0]", "981 more"));
    let found = check("range = { field = 'rows[]', max = 1 }", &[2.0; 21]);
    assert_eq!((&*found[0].expected, &*found[19].got), ("at most 1", "2 more"));
}

#[test]
fn what_is_shown_of_a_value_is_short_and_clean() {
    let long = Val::List(vec![Val::U8(1); 1_000_000]);
    assert!(scalar::shown(&long).chars().count() <= 81);
    let text = Val::String(format!("a\u{202e}\u{1b}[2J{}", "x".repeat(100_000)));
    let doubts = Doubts::from_iter([scalar::doubt(String::new(), "b", scalar::shown(&text))]);
    let one = Compiled {
        told: Compact::Null,
        when: None,
        kind: "range",
        default: Verdict::Warn,
        declared: None,
        check: Box::new(|_| Doubts::default()),
    };
    let finding = one.finding(doubts.kept.into_iter().next().unwrap());
    assert!(finding.got.starts_with("axxx") && finding.got.len() < 100, "{finding:?}");
}

/// A check of a function that is asked for a `period` and answers with `from` and `until`, at the end of 2026-11.
fn answers(rule: &str, asked: Option<&str>, from: &str, until: &str) -> Vec<Finding> {
    let field = |name: &str, ty| Field { name: name.into(), ty };
    let params = vec![field("period", Ty::Option(Box::new(Ty::String)))];
    let result = Some(Ty::Record(vec![field("from", Ty::String), field("until", Ty::String)]));
    let rule: Rule = toml::from_str(rule).unwrap();
    let checks = compile(&[rule], &FunctionTy { params: params.clone(), result }).unwrap();
    let text = |text: &str| Val::String(text.into());
    let args = [Val::Option(asked.map(|asked| Box::new(text(asked))))];
    let result = Val::Record(vec![("from".into(), text(from)), ("until".into(), text(until))]);
    let (as_of, now_unix_ms) = (Some("2015-12-31"), 1_795_680_000_000);
    checks.findings(&Context { params: &params, args: &args, result: &result, as_of, now_unix_ms })
}

const PERIODS: &str = "echo = { asked = 'period(args.period, \"month\")', answered = 'period(result.from + \"..\" + result.until)' }";

#[test]
fn an_answer_for_another_period_is_found_however_the_period_is_spelled() {
    for asked in ["2009-10", "October 2009", "10/2009", "2009-10-01"] {
        assert_eq!(answers(PERIODS, Some(asked), "2009-10", "2009-10"), vec![], "{asked}");
        let found = answers(PERIODS, Some(asked), "2009-10", "2009-12");
        assert_eq!((found[0].kind.as_str(), found[0].verdict), ("echo", Verdict::Suspect));
        assert_eq!(found[0].expected, "an answer for 2009-10");
        assert_eq!(found[0].got, "one for 2009-10..2009-12");
    }
    assert_eq!(answers(PERIODS, Some("last month"), "2026-10", "2026-10"), vec![]);
    assert_eq!(
        answers(PERIODS, Some("last month"), "2015-12", "2015-12")[0].expected,
        "an answer for 2026-10"
    );
}

#[test]
fn where_nothing_is_asked_nothing_has_to_be_repeated() {
    for asked in [None, Some("latest")] {
        assert_eq!(answers(PERIODS, asked, "2009-10", "2009-12"), vec![], "{asked:?}");
    }
    let found = answers(PERIODS, Some("2009"), "", "");
    assert_eq!(found[0].got, "one that names none");
}

#[test]
fn an_echo_has_one_of_its_two_forms() {
    let params = vec![Field { name: "n".into(), ty: Ty::U8 }];
    let function =
        FunctionTy { params, result: Some(Ty::Record(vec![Field { name: "s".into(), ty: Ty::String }])) };
    for (rule, says) in [
        ("echo = { field = 's' }", "`field` and `arg`, or `asked` and `answered`"),
        ("echo = { field = 's', arg = 'n', asked = 'args.n', answered = 'result.s' }", "or `asked`"),
        ("echo = { asked = 'args.n', answered = 'result.s' }", "two kinds"),
        ("echo = { asked = 'args.n', answered = 'result.t' }", "`answered`: "),
        ("echo = { asked = '[args.n]', answered = 'result.s' }", "a number, a string or a truth value"),
        ("finite = {}\nwhen = 'args.m > 1'", "`when`: "),
    ] {
        let rule: Rule = toml::from_str(rule).unwrap();
        let err = compile(&[rule], &function).unwrap_err().to_string();
        assert!(err.contains(says), "{err}");
    }
}

#[test]
fn a_check_applies_unless_its_condition_is_false() {
    let rule =
        "freshness = { warn_after = '62d' }\nverdict = 'suspect'\nwhen = '!args.period.matches(\"[0-9]\")'";
    assert_eq!(answers(rule, Some("2009-10"), "", ""), vec![]);
    let found = answers(rule, Some("last month"), "", "");
    assert_eq!((found[0].expected.as_str(), found[0].verdict), ("data at most 62d old", Verdict::Suspect));
    // A condition without a value excuses nothing.
    assert_eq!(answers(rule, None, "", "").len(), 1);
}

#[test]
fn only_what_compares_question_and_answer_holds_for_the_answer_of_another_tool() {
    let rules = ["echo = { field = 'a', arg = 'a' }", "range = { field = 'a', max = 1 }"];
    let rules = rules.map(|rule| toml::from_str::<Rule>(rule).unwrap());
    let params = vec![Field { name: "a".into(), ty: Ty::U8 }];
    let function = FunctionTy { params: params.clone(), result: Some(Ty::Record(params.clone())) };
    let checks = compile(&rules, &function).unwrap();
    let result = Val::Record(vec![("a".into(), Val::U8(3))]);
    let context =
        Context { params: &params, args: &[Val::U8(2)], result: &result, as_of: None, now_unix_ms: 0 };
    assert_eq!(checks.findings(&context).len(), 2);
    assert_eq!(checks.of_any_answer(&context).iter().map(|found| &*found.kind).collect::<Vec<_>>(), ["echo"]);
}

/// The findings of the contract of a function from `month` to its `from`, `until` and `rows`.
fn of_contract(text: &str, month: Option<&str>, until: &str, now: &str) -> Vec<Finding> {
    let field = |name: &str, ty| Field { name: name.into(), ty };
    let params = vec![field("month", Ty::Option(Box::new(Ty::String)))];
    let result = Some(Ty::Record(vec![field("from", Ty::String), field("until", Ty::String)]));
    let function = crate::component::Function {
        interface: None,
        name: "sales".into(),
        ty: FunctionTy { params: params.clone(), result }.into(),
    };
    let functions = [function];
    let bound = crate::manifest::Manifest::parse(text, "contract.toml").and_then(|it| it.bind(&functions));
    let mut contracts = bound.unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let checks = contracts.remove(&functions[0].address()).unwrap().checks.unwrap();
    let month = Val::Option(month.map(|month| Box::new(Val::String(month.into()))));
    let text = |name: &str, text: &str| (name.to_owned(), Val::String(text.into()));
    let result = Val::Record(vec![text("from", "2009-10-01"), text("until", until)]);
    let now_unix_ms = u64::try_from(parse_rfc3339_ms(now).unwrap()).unwrap();
    checks.findings(&Context { params: &params, args: &[month], result: &result, as_of: None, now_unix_ms })
}

const ANSWERS: &str = "[tool.sales]\n\
    answers = { asked = 'period(args.month)', answered = 'period(result.from + \"..\" + result.until)' }\n\
    [[tool.sales.expect]]\nfreshness = { of = 'answered', warn_after = '40d', error_after = '400d' }\n\
    [[tool.sales.expect]]\nrelation = { that = 'answered != null' }\n";

#[test]
fn what_was_asked_and_what_was_answered_are_terms_of_every_rule() {
    assert_eq!(of_contract(ANSWERS, Some("October 2009"), "2009-10-31", "2009-11-20"), vec![]);
    assert_eq!(of_contract(ANSWERS, None, "2009-12-31", "2010-01-01"), vec![]);
    let found = of_contract(ANSWERS, Some("October 2009"), "2009-12-31", "2010-01-01");
    assert_eq!(found.len(), 1);
    assert_eq!((&*found[0].kind, &*found[0].expected), ("echo", "an answer for 2009-10"));
    assert_eq!((&*found[0].got, found[0].verdict), ("one for 2009-10..2009-12", Verdict::Suspect));
}

#[test]
fn data_of_a_period_is_as_old_as_its_last_day() {
    let found = |until: &str, now: &str| -> Vec<(Verdict, String)> {
        let found = of_contract(ANSWERS, None, until, now).into_iter();
        found.map(|finding| (finding.verdict, finding.got)).collect()
    };
    assert_eq!(found("2009-10-31", "2009-12-31"), [(Verdict::Warn, "2009-10".to_owned())]);
    assert_eq!(found("2009-10-31", "2011-12-31"), [(Verdict::Reject, "2009-10".to_owned())]);
    // A period that goes on.
    assert_eq!(found("2009-12-31", "2009-12-05"), []);
    // One that is still to come.
    assert_eq!(found("2009-12-31", "2009-09-05"), [(Verdict::Suspect, "2009-10..2009-12".to_owned())]);
}

#[test]
fn only_what_names_a_time_has_an_age() {
    let rule = |of: &str| format!("freshness = {{ of = \"{of}\", warn_after = '1d' }}");
    let function = FunctionTy { params: vec![], result: Some(Ty::U32) };
    let compiled = |of: &str| compile(&[toml::from_str(&rule(of)).unwrap()], &function);
    assert!(compiled("result + 1").unwrap_err().message.contains("`of` must be a date"));
    assert!(compiled("timestamp('2009-10-01T00:00:00Z')").is_ok());
    assert!(compiled("reslt").unwrap_err().message.contains("`of`: "));
    assert_eq!(check(&rule("timestamp('1970-02-01T12:00:00Z')"), &[]).len(), 1);
    assert_eq!(check(&rule("date('1970-02-19')"), &[]), vec![]);
}
