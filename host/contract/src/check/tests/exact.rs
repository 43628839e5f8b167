//! 64-bit integers in results, which a double would round.

use super::*;

/// Beyond 2^53, where a double has every second integer.
const WIDE: u64 = 9_007_199_254_740_993;

/// The findings of a rule over the `id` of an answer, its `rows` and their `total`. `asked` is the argument `id`.
#[track_caller]
fn check(rule: &str, asked: u64, (id, rows, total): (u64, &[u64], u64)) -> Vec<(String, String)> {
    let field = |name: &str, ty| Field { name: name.into(), ty };
    let params = vec![field("id", Ty::U64)];
    let rows_ty = Ty::List(Box::new(Ty::U64));
    let result = Ty::Record(vec![field("id", Ty::U64), field("rows", rows_ty), field("total", Ty::U64)]);
    let rule: Rule = airlock_types::tables::from_str(rule).unwrap();
    let checks = compile(&[rule], &FunctionTy { params: params.clone(), result: Some(result) }).unwrap();
    let result = Val::Record(vec![
        ("id".into(), Val::U64(id)),
        ("rows".into(), Val::List(rows.iter().map(|n| Val::U64(*n)).collect())),
        ("total".into(), Val::U64(total)),
    ]);
    let args = [Val::U64(asked)];
    let context = Context { params: &params, args: &args, result: &result, as_of: None, now_unix_ms: 0 };
    checks.findings(&context).into_iter().map(|found| (found.expected, found.got)).collect()
}

fn said(expected: &str, got: u64) -> Vec<(String, String)> {
    vec![(expected.to_owned(), got.to_string())]
}

#[test]
fn the_row_of_another_id_is_no_answer() {
    let echo = "echo = { field = 'id', arg = 'id' }";
    assert_eq!(check(echo, WIDE, (WIDE, &[], 0)), []);
    assert_eq!(check(echo, WIDE, (WIDE - 1, &[], 0)), said("9007199254740993", WIDE - 1));
}

#[test]
fn a_bound_beyond_2_to_the_53_is_exact() {
    for (bounds, id, expected) in [
        ("max = 9007199254740992", WIDE, "at most 9007199254740992"),
        ("max = 9007199254740992.0", WIDE, "at most 9007199254740992"),
        ("min = 9007199254740993", WIDE - 1, "at least 9007199254740993"),
        ("min = 1, max = 9223372036854775806", i64::MAX as u64, "1 to 9223372036854775806"),
    ] {
        let rule = format!("range = {{ field = 'id', {bounds} }}");
        assert_eq!(check(&rule, 0, (id, &[], 0)), said(expected, id), "{rule}");
    }
    assert_eq!(check("range = { field = 'id', min = 9007199254740993 }", 0, (WIDE, &[], 0)), []);
    assert_eq!(check("range = { field = 'id', max = 9007199254740992 }", 0, (WIDE - 1, &[], 0)), []);
}

#[test]
fn neighbors_are_in_order_or_not() {
    for (rule, rows, expected) in [
        ("order = { list = 'rows' }", [WIDE, WIDE - 1], Some("at least 9007199254740993")),
        ("order = { list = 'rows', strict = true }", [WIDE - 1, WIDE], None),
        ("order = { list = 'rows', strict = true }", [WIDE, WIDE], Some("more than 9007199254740993")),
        ("order = { list = 'rows', direction = 'descending' }", [WIDE, WIDE - 1], None),
        (
            "order = { list = 'rows', direction = 'descending', strict = true }",
            [WIDE, WIDE],
            Some("less than 9007199254740993"),
        ),
    ] {
        let expected = expected.map_or_else(Vec::new, |expected| said(expected, rows[1]));
        assert_eq!(check(rule, 0, (0, &rows, 0)), expected, "{rule}");
    }
}

#[test]
fn a_total_is_that_of_its_items() {
    let sum = "sum = { items = 'rows[]', total = 'total' }";
    assert_eq!(check(sum, 0, (0, &[WIDE - 1], WIDE)), said("the sum 9007199254740992", WIDE));
    assert_eq!(check(sum, 0, (0, &[WIDE - 1, 1], WIDE)), []);
    // A sum beyond every 64-bit integer.
    assert_eq!(check(sum, 0, (0, &[u64::MAX, 1], 0)), said("the sum 18446744073709551616", 0));
    assert_eq!(
        check("sum = { items = 'rows[]', total = 'total', tolerance = 1 }", 0, (0, &[WIDE - 1], WIDE)),
        []
    );
}

#[test]
fn a_setting_is_on_record_as_it_was_written() {
    let function = FunctionTy { params: vec![], result: Some(Ty::U64) };
    let rule: Rule = toml::from_str("range = { field = '', min = 9007199254740993, max = 1e19 }").unwrap();
    let told = compile(&[rule], &function).unwrap().told();
    assert_eq!(told[0]["range"]["min"], serde_json::json!(WIDE));
    assert_eq!(told[0]["range"]["max"], serde_json::json!(1e19));
}
