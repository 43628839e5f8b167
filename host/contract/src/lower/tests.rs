use serde_json::json;

use super::*;

fn field(name: &str, ty: Ty) -> Field {
    Field { name: name.into(), ty }
}

fn opt(ty: Ty) -> Ty {
    Ty::Option(Box::new(ty))
}

fn list_of(ty: Ty) -> Ty {
    Ty::List(Box::new(ty))
}

fn names(all: &[&str]) -> Vec<String> {
    all.iter().map(|name| (*name).to_owned()).collect()
}

fn check(ty: Ty, given: Value, expect: Val) {
    assert_eq!(lower_value(&ty, given.clone()).unwrap(), expect, "{ty} from {given}");
}

/// Lowering refuses the value with one violation, of this keyword.
fn check_refused(ty: Ty, given: Value, keyword: &str) -> Violation {
    let mut found = lower_value(&ty, given.clone()).unwrap_err();
    assert_eq!(found.len(), 1, "{ty} from {given}: {found:?}");
    assert_eq!(found[0].keyword, keyword, "{ty} from {given}");
    found.remove(0)
}

fn check_hint(ty: Ty, given: Value, expect: &str) {
    assert_eq!(lower_value(&ty, given).unwrap_err()[0].hint.as_deref(), Some(expect), "{ty}");
}

/// The schema accepts a value that lowering refuses for this keyword: one of the closed list of differences.
fn check_stricter(ty: Ty, given: Value, keyword: &str) -> Violation {
    let schema = crate::schema::of(&ty, crate::schema::Direction::Input);
    assert!(jsonschema::is_valid(&schema, &given), "{ty} from {given}");
    check_refused(ty, given, keyword)
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn passengers() -> Vec<Field> {
    let passenger = Ty::Record(vec![field("age", Ty::U8), field("full-name", opt(Ty::String))]);
    vec![field("departure-date", Ty::String), field("passengers", list_of(passenger))]
}

fn refused(params: &[Field], args: Value) -> Vec<Violation> {
    let Value::Object(args) = args else { panic!("arguments are an object") };
    lower(params, args).unwrap_err()
}

#[test]
fn is_exact_at_the_edges_of_integers() {
    check(Ty::U8, json!(255), Val::U8(255));
    check(Ty::S8, json!(-128.0), Val::S8(-128));
    check(Ty::S64, json!(i64::MIN), Val::S64(i64::MIN));
    check(Ty::U64, json!(u64::MAX), Val::U64(u64::MAX));
    check(Ty::U64, json!("18446744073709551615"), Val::U64(u64::MAX));
    check(Ty::S64, json!("-9223372036854775808"), Val::S64(i64::MIN));
    check_refused(Ty::U8, json!(256), "maximum");
    check_refused(Ty::S8, json!(-129), "minimum");
    check_refused(Ty::U8, json!(2.5), "type");
    check_refused(Ty::U32, json!("1"), "type");
    check_refused(Ty::S64, json!(u64::MAX), "maximum");
    for text in ["", "-", "+1", "01", "1.0", " 1", "1e3"] {
        check_refused(Ty::S64, json!(text), "pattern");
    }
    check_refused(Ty::U64, json!("-1"), "pattern");
}

#[test]
fn refuses_64_bit_integers_that_a_float_has_rounded() {
    check(Ty::S64, json!(9_007_199_254_740_991.0), Val::S64(9_007_199_254_740_991));
    check_stricter(Ty::S64, parsed("-9223372036854775809"), "precision");
    check_stricter(Ty::S64, json!(1e18), "precision");
    let found = check_refused(Ty::U64, parsed("18446744073709551616"), "precision");
    assert_eq!(
        found.hint.as_deref(),
        Some("Write all digits, as a decimal string, from 0 to 18446744073709551615.")
    );
}

#[test]
fn refuses_decimal_strings_and_floats_out_of_range() {
    check_stricter(Ty::S64, json!("9223372036854775808"), "range");
    check_stricter(Ty::U64, json!("18446744073709551616"), "range");
    check_stricter(Ty::F32, json!(3.5e38), "range");
    check(Ty::F32, json!(3.402_823_466_385_288_6e38), Val::Float32(f32::MAX));
}

#[test]
fn refuses_what_is_not_strict_base64() {
    let bytes = || list_of(Ty::U8);
    let text = Val::List(b"hi".iter().map(|b| Val::U8(*b)).collect());
    check(bytes(), json!("aGk="), text.clone());
    check(bytes(), json!({"utf8": "hi"}), text);
    for given in ["aGk", "aGl=", "a-_=", "aGk=\n", "hello"] {
        check_stricter(bytes(), json!(given), "contentEncoding");
    }
    check_refused(bytes(), json!({"utf8": 1}), "anyOf");
    check_refused(bytes(), json!({"utf8": "", "x": 1}), "anyOf");
    let found = check_refused(bytes(), json!([104, 105]), "type");
    assert_eq!(
        found.hint.as_deref(),
        Some("Send standard base64 with padding, or an object with the text under `utf8`.")
    );
}

#[test]
fn refuses_a_key_that_occurs_twice() {
    let map = || Ty::Map(Box::new(Ty::U64), Box::new(opt(Ty::Bool)));
    let none = || Val::Option(None);
    let two = Val::Map(vec![(Val::U64(7), none()), (Val::U64(8), none())]);
    check(map(), json!([{"key": 7}, {"key": 8, "value": null}]), two);
    let found = check_stricter(map(), json!([{"key": 7}, {"key": "7"}]), "uniqueKeys");
    assert_eq!(found.path, "[1].key");
}

#[test]
fn takes_finite_numbers_only() {
    check(Ty::F64, json!(1), Val::Float64(1.0));
    check(Ty::F64, json!(-0.0), Val::Float64(-0.0));
    check_refused(Ty::F64, json!("NaN"), "type");
    check_refused(Ty::F64, json!(f64::INFINITY), "type");
}

#[test]
fn takes_one_scalar_for_a_char() {
    check(Ty::Char, json!("é"), Val::Char('é'));
    check_refused(Ty::Char, json!(""), "minLength");
    check_refused(Ty::Char, json!("e\u{301}"), "maxLength");
}

#[test]
fn treats_null_and_absent_alike_in_options_only() {
    let record = || Ty::Record(vec![field("max-items", opt(Ty::U8))]);
    let none = Val::Record(vec![("max-items".into(), Val::Option(None))]);
    check(record(), json!({}), none.clone());
    check(record(), json!({"max_items": null}), none);
    check_refused(Ty::U8, json!(null), "type");
}

#[test]
fn keeps_none_and_some_none_apart() {
    let some = |val| Val::Option(Some(Box::new(val)));
    let twice = || opt(opt(Ty::U8));
    check(twice(), json!(null), Val::Option(None));
    check(twice(), json!({"some": null}), some(Val::Option(None)));
    check(twice(), json!({"some": 3}), some(some(Val::U8(3))));
    check_refused(twice(), json!({}), "required");
    check_hint(twice(), json!(3), r#"Wrap it: {"some":3}"#);
}

#[test]
fn takes_cases_by_their_tag() {
    let circle = crate::ty::Case { name: "circle".into(), ty: Some(Ty::U8) };
    let none = crate::ty::Case { name: "none".into(), ty: None };
    let shape = || Ty::Variant(vec![circle.clone(), none.clone()]);
    check(shape(), json!({"tag": "none"}), Val::Variant("none".into(), None));
    let three = Val::Variant("circle".into(), Some(Box::new(Val::U8(3))));
    check(shape(), json!({"tag": "circle", "val": 3}), three);
    check_refused(shape(), json!({"tag": "none", "val": null}), "additionalProperties");
    check_refused(shape(), json!({"tag": "circle"}), "required");
    check_refused(shape(), json!({"val": 3}), "required");
    let found = check_refused(shape(), json!({"tag": "Circle", "val": 3}), "enum");
    assert_eq!((found.path.as_str(), found.expected.as_str()), ("tag", "one of circle, none"));
    assert_eq!(found.hint.as_deref(), Some("did you mean `circle`?"));
    check_hint(shape(), json!("none"), "Send an object with `tag` \"none\" alone.");
    let result = Ty::Result(None, Some(Box::new(Ty::Bool)));
    check(result, json!({"tag": "err", "val": true}), Val::Result(Err(Some(Box::new(Val::Bool(true))))));
}

#[test]
fn takes_flags_as_a_set() {
    let flags = || Ty::Flags(names(&["read", "write", "run"]));
    check(flags(), json!(["run", "read", "run"]), Val::Flags(names(&["read", "run"])));
    check(flags(), json!([]), Val::Flags(vec![]));
    let found = check_refused(flags(), json!(["wriet"]), "enum");
    assert_eq!(found.hint.as_deref(), Some("did you mean `write`?"));
}

#[test]
fn takes_tuples_and_fixed_lists_of_their_length() {
    let pair = || Ty::Tuple(vec![Ty::U8, Ty::Bool]);
    check(pair(), json!([1, true]), Val::Tuple(vec![Val::U8(1), Val::Bool(true)]));
    check_refused(pair(), json!([1]), "minItems");
    check_refused(pair(), json!([1, true, 2]), "maxItems");
    let two = || Ty::FixedList(Box::new(Ty::U8), 2);
    check(two(), json!([1, 2]), Val::FixedLengthList(vec![Val::U8(1), Val::U8(2)]));
    check_refused(two(), json!([1]), "minItems");
}

#[test]
fn says_once_that_a_name_was_misspelled() {
    let found = refused(&passengers(), json!({"dept_date": "2026-12-01", "passengers": []}));
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].code, found[0].pointer.as_str()), (Code::ArgsUnknown, "/dept_date"));
    assert_eq!(found[0].expected, "only departure_date, passengers");
    let hint = found[0].hint.as_deref();
    assert_eq!(hint, Some("did you mean `departure_date` (required, missing)?"));
}

#[test]
fn takes_kebab_case_as_a_hint_only() {
    let found = refused(&passengers(), json!({"departure-date": "", "passengers": []}));
    let hint = found[0].hint.as_deref();
    assert_eq!(hint, Some("did you mean `departure_date` (required, missing)?"));
}

#[test]
fn lists_every_violation_with_its_place() {
    let passengers = json!([{"age": "twelve"}, {"age": 300, "full_name": 7}]);
    let args = json!({"passengers": passengers, "x": 1});
    let found = refused(&self::passengers(), args);
    let lines: Vec<_> =
        found.iter().map(|v| format!("{}: expected {}, got {}", v.path, v.expected, v.got)).collect();
    let expect = [
        r#"passengers[0].age: expected integer 0–255, got string "twelve""#,
        "passengers[1].age: expected integer 0–255, got integer 300",
        "passengers[1].full_name: expected string, got integer 7",
        "x: expected only departure_date, passengers, got integer 1",
        "departure_date: expected string, got nothing",
    ];
    assert_eq!(lines, expect);
    assert_eq!(found[0].pointer, "/passengers/0/age");
    assert_eq!(found[4].code, Code::ArgsMissing);
}

#[test]
fn stops_at_twenty_violations() {
    let found = lower_value(&list_of(Ty::U8), json!([1])).unwrap_err();
    assert_eq!(found.len(), 1);
    let found = lower_value(&list_of(Ty::Bool), Value::from(vec![1; 1000])).unwrap_err();
    assert_eq!(found.len(), 20);
}

#[test]
fn hints_at_a_lossless_change() {
    check_hint(Ty::U8, json!("12"), "Send it without the quotes: 12");
    check_hint(Ty::Bool, json!("true"), "Send it without the quotes: true");
    check_hint(Ty::String, json!(12), r#"Put it in quotes: "12""#);
    check_hint(list_of(Ty::String), json!("a"), r#"Put it in a list: ["a"]"#);
    check_hint(list_of(Ty::U16), json!("[1, 2]"), "Send it without the quotes: [1,2]");
    check_hint(Ty::Enum(names(&["economy", "first"])), json!("Economy"), "did you mean `economy`?");
    let found = check_refused(Ty::U8, json!("twelve"), "type");
    assert_eq!(found.hint, None);
}
