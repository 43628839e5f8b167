use serde_json::{Value, json};

use crate::{Imported, import, load};

/// What is made of a function with one argument, `a`, of this schema.
fn made(schema: &Value) -> Imported {
    made_of(&json!({"type": "object", "properties": {"a": schema}}))
}

fn made_of(parameters: &Value) -> Imported {
    import(&json!({"name": "f", "parameters": parameters}).to_string(), "x", &[]).unwrap()
}

fn accepts(made: &Imported, args: Value) -> bool {
    let loaded = load(&made.wit, &made.contract).unwrap();
    let Value::Object(args) = args else { panic!() };
    loaded[0].contract.validate(args, None).is_ok()
}

/// Nothing is loosened, and of these values the first ones alone are accepted.
#[track_caller]
fn check(schema: Value, accepted: &[Value], refused: &[Value]) {
    let made = made(&schema);
    assert_eq!(made.loosened, [], "{}", made.contract);
    for (values, wanted) in [(accepted, true), (refused, false)] {
        for value in values {
            let found = accepts(&made, json!({"a": value}));
            assert_eq!(found, wanted, "{value}\n{}\n{}", made.wit, made.contract);
        }
    }
}

#[track_caller]
fn check_loosened(schema: Value, says: &str) {
    let made = made(&schema);
    let [loosened] = made.loosened.as_slice() else { panic!("{:?}", made.loosened) };
    assert!(loosened.what.contains(says), "{says:?} is not in {loosened:?}");
    assert_eq!(made.left_out, []);
}

#[test]
fn keywords_beside_an_enum_of_texts_apply() {
    let enumerated = |more: Value| {
        let mut schema = json!({"type": "string", "enum": ["a", "bb", "ccc"]});
        schema.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        schema
    };
    check(enumerated(json!({"maxLength": 2})), &[json!("a"), json!("bb")], &[json!("ccc")]);
    check(enumerated(json!({"minLength": 3})), &[json!("ccc")], &[json!("a")]);
    check(enumerated(json!({"pattern": "^[ab]*$"})), &[json!("a"), json!("bb")], &[json!("ccc")]);
    check(json!({"const": "a", "enum": ["a", "b"]}), &[json!("a")], &[json!("b")]);
    check(json!({"const": "a", "enum": ["b"]}), &[], &[json!("a"), json!("b")]);
    let noted = made(&enumerated(json!({"maxLength": 2})));
    assert!(noted.notes[0].what.contains("1 value left out: refused by `maxLength`"), "{:?}", noted.notes);
    check_loosened(enumerated(json!({"minLength": 9})), "`minLength`, which no value of it meets");
    check_loosened(
        enumerated(json!({"pattern": "(?=a)b"})),
        "its `pattern` is none that contracts can check",
    );
    let long: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    check(json!({"type": "string", "enum": long, "maxLength": 2}), &[json!("99")], &[json!("100")]);
}

#[test]
fn keywords_of_objects_and_lists_that_no_type_has_apply() {
    let object = json!({"type": "object", "properties": {"b": {"type": "string"}}, "enum": [{"b": "x"}]});
    check(object, &[json!({"b": "x"})], &[json!({"b": "y"})]);
    let counted = json!({"type": "object", "required": ["b"], "minProperties": 2});
    check(counted, &[json!({"b": 1, "c": 2})], &[json!({"b": 1})]);
    let needed = json!({"type": "object", "properties": {"b": {}, "c": {}}, "dependencies": {"b": ["c"]}});
    check(needed, &[json!({"b": 1, "c": 2}), json!({"c": 2})], &[json!({"b": 1})]);
    let pair = json!({"items": [{"type": "string"}], "additionalItems": false, "type": "array"});
    check(pair, &[json!(["x"])], &[json!(["x", "y"]), json!([1])]);
    let rest = json!({"type": "array", "unevaluatedItems": {"type": "string"}});
    check(rest, &[json!(["x"])], &[json!([1])]);
    let named = json!({"type": "object", "minProperties": 1, "properties": {"default": {"type": "string"}}});
    check(named, &[json!({"default": "x"})], &[json!({"default": 1}), json!({})]);
    check_loosened(json!({"type": "array", "$dynamicRef": "#a"}), "`$dynamicRef` is left out");
}

#[test]
fn what_stands_beside_a_reference_or_a_null_applies() {
    let parameters = |a: Value| json!({"type": "object", "$defs": {"T": {"type": "string", "maxLength": 2}}, "properties": {"a": a}});
    let beside = |more: Value| {
        let mut schema = json!({"$ref": "#/$defs/T"});
        schema.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        made_of(&parameters(schema))
    };
    let made = beside(json!({"maxLength": 3}));
    assert!(accepts(&made, json!({"a": "xx"})) && !accepts(&made, json!({"a": "xxx"})), "{}", made.contract);
    let made = beside(json!({"nullable": true}));
    assert!(made.wit.contains("a: option<string>") && made.contract.contains("maxLength = 2"), "{made:?}");
    let both = json!({"maxLength": 3, "anyOf": [{"type": "string", "maxLength": 2}, {"type": "null"}]});
    check(both, &[json!("xx")], &[json!("xxx")]);
    let default = json!({"type": "string", "nullable": true, "default": "x"});
    assert!(self::made(&default).contract.contains("default = \"x\""), "{}", self::made(&default).contract);
}

#[test]
fn integers_that_a_contract_rounds_are_counted() {
    check_loosened(
        json!({"type": "integer", "maximum": u64::MAX}),
        "`maximum`: `18446744073709551615` is 1.8446744073709552e19",
    );
    check(json!({"type": "integer", "maximum": 1_u64 << 63}), &[json!(1)], &[]);
    let text = r#"{"name": "f", "parameters": {"type": "object", "properties": {
        "a": {"enum": [1, 12345678901234567890123], "default": 12345678901234567890123}}}}"#;
    let made = import(text, "x", &[]).unwrap();
    let [loosened] = made.loosened.as_slice() else { panic!("{:?}", made.loosened) };
    assert!(
        loosened.what.contains("`enum`: `12345678901234567890123` is 1.2345678901234568e22"),
        "{loosened:?}"
    );
}

#[test]
fn a_default_that_its_type_does_not_hold_is_left_out() {
    let cases = [
        json!({"type": "integer", "default": u64::MAX}),
        json!({"type": "integer", "default": 1e30}),
        json!({"type": "integer", "format": "int32", "default": 5_000_000_000_u64}),
        json!({"type": "array", "items": {"type": "integer"}, "default": [u64::MAX]}),
    ];
    for schema in cases {
        let made = made(&schema);
        assert_eq!((made.left_out.len(), made.loosened.len()), (0, 0), "{made:?}");
        assert!(
            made.notes[0].what.contains("its `default` is not one of its own values"),
            "{:?}",
            made.notes
        );
    }
    let made = made(&json!({"type": "integer", "default": 5.0, "examples": [u64::MAX, 7.0]}));
    assert!(made.contract.contains("default = 5\n"), "{}", made.contract);
}
