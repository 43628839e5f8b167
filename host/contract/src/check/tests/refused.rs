//! Rules that would say the same of every result: they are refused when the contract is loaded.

use super::*;

/// The error of a rule over a result with numbers, lists and texts. Empty if there is none.
fn check(rule: &str) -> String {
    let field = |name: &str, ty| Field { name: name.into(), ty };
    let list = |ty| Ty::List(Box::new(ty));
    let result = Some(Ty::Record(vec![
        field("n", Ty::U32),
        field("small", Ty::S8),
        field("f", Ty::F32),
        field("wide", Ty::F64),
        field("rows", list(Ty::F64)),
        field("three", Ty::FixedList(Box::new(Ty::F64), 3)),
    ]));
    let function = FunctionTy { params: vec![field("q", Ty::String)], result };
    let rule = match toml::from_str::<Rule>(rule) {
        Ok(rule) => rule,
        Err(err) => return err.message().to_owned(),
    };
    compile(&[rule], &function).err().map_or_else(String::new, |err| err.to_string())
}

#[track_caller]
fn refuses(rule: &str, says: &str) {
    let said = check(rule);
    assert!(said.contains(says), "{rule}: {said:?}");
}

#[track_caller]
fn accepts(rule: &str) {
    assert_eq!(check(rule), "", "{rule}");
}

#[test]
fn a_number_of_a_setting_is_one_that_decides() {
    for tolerance in ["nan", "inf", "-1", "-0.5"] {
        refuses(
            &format!("sum = {{ items = 'rows[]', total = 'n', tolerance = {tolerance} }}"),
            "it must be a finite number of at least 0",
        );
    }
    accepts("sum = { items = 'rows[]', total = 'n', tolerance = 1 }");
    for bound in ["min = nan", "max = nan", "max = inf", "min = -inf", "min = 0, max = inf"] {
        refuses(&format!("range = {{ field = 'wide', {bound} }}"), "finite numbers");
    }
    refuses("truncation = { list = 'rows', limit = 0 }", "at least 1");
    refuses("range = { field = 'n', max = '1' }", "expected a number");
}

#[test]
fn a_range_lets_some_values_of_its_type_pass_and_some_not() {
    for (range, says) in [
        (
            "field = 'n', max = -5",
            "no value is at most -5, so that every result has a finding: `u32` has 0 to 4294967295",
        ),
        ("field = 'n', min = 5e9", "no value is at least 5000000000"),
        ("field = 'n', min = 1.2, max = 1.8", "no value is 1.2 to 1.8"),
        ("field = 'small', min = 128", "`s8` has -128 to 127"),
        ("field = 'f', min = 1e39", "no value is"),
        ("field = 'n', min = 0", "every value is at least 0, so that the check finds nothing"),
        ("field = 'n', min = -1, max = 4294967295", "every value is -1 to 4294967295"),
        ("field = 'small', min = -128.5", "every value is"),
        ("field = 'f', max = 1e39", "every value is"),
        ("field = 'n'", "give `min`, `max` or both"),
    ] {
        refuses(&format!("range = {{ {range} }}"), says);
    }
    for range in [
        "field = 'n', max = 0",
        "field = 'n', min = 0, max = 4294967294",
        "field = 'n', min = 1.2, max = 2.8",
        "field = 'f', min = 0",
        "field = 'wide', max = 1e300",
    ] {
        accepts(&format!("range = {{ {range} }}"));
    }
}

#[test]
fn a_length_is_one_that_can_differ() {
    refuses("length = { field = 'rows', min = 0 }", "every length is at least 0");
    refuses("length = { field = 'three', max = 3 }", "always has the length 3");
    refuses("empty = { field = 'three', is = 'error' }", "always has the length 3");
    refuses("truncation = { list = 'three', limit = 3 }", "always has the length 3");
    accepts("length = { field = 'rows', min = 0, max = 5 }");
}

#[test]
fn an_age_that_warns_is_shorter_than_one_that_refuses() {
    let freshness =
        |warn: &str, error: &str| format!("freshness = {{ warn_after = '{warn}', error_after = '{error}' }}");
    refuses(&freshness("40d", "4d"), "`warn_after` is never reached");
    refuses(&freshness("4d", "96h"), "`warn_after` is never reached");
    accepts(&freshness("4d", "40d"));
}

#[test]
fn a_rule_declares_a_verdict_that_follows_from_a_finding() {
    refuses("finite = {}\nverdict = 'pass'", "expected one of `warn`, `suspect`, `escalate`, `reject`");
    for verdict in ["warn", "suspect", "escalate", "reject"] {
        accepts(&format!("finite = {{}}\nverdict = '{verdict}'"));
    }
}

#[test]
fn an_expression_reads_what_it_judges() {
    for constant in ["false", "1 < 2", "[1, 2].all(x, x > 0)"] {
        refuses(&format!("relation = {{ that = '{constant}' }}"), "`that` reads no argument");
        refuses(&format!("finite = {{}}\nwhen = '{constant}'"), "`when` reads no argument");
    }
    refuses("echo = { asked = '1', answered = '2' }", "neither `asked` nor `answered`");
    accepts("echo = { asked = '1', answered = 'result.n' }");
    // Texts such as `last month` count from the time of the call.
    accepts("relation = { that = 'period(\"last month\") != \"2009-10\"' }");
    accepts("relation = { that = 'now > timestamp(\"2009-10-01T00:00:00Z\")' }");
}
