use serde_json::json;

use super::*;

/// One argument `a` of this schema, and an optional `b` of the same.
fn hint(schema: &Value, value: Value) -> String {
    let schema = object(json!({"a": schema, "b": schema}), &["a"]);
    let found = Validator::new(&schema).unwrap().violations(&json!({"a": value}));
    assert!(found.iter().filter(|violation| violation.path == "a").count() <= 1, "{found:?}");
    found.first().and_then(|violation| violation.hint.clone()).unwrap_or_default()
}

#[test]
fn text_that_spells_a_list_is_not_one_item() {
    let list = |items: Value| json!({"type": "array", "items": items});
    let (texts, numbers) = (list(json!({"type": "string"})), list(s64()));
    assert_eq!(hint(&texts, json!("['a', 'b']")), r#"send the list ["a","b"], not a text"#);
    assert_eq!(hint(&numbers, json!("[1,2]")), "send the list [1,2], not a text");
    assert_eq!(hint(&numbers, json!("1, 2")), "send the list [1,2], not a text");
    assert_eq!(hint(&texts, json!("a, b")), "send a list with one item for each value, not a text");
    assert_eq!(hint(&texts, json!("[a, b")), "send a list with one item for each value, not a text");
    assert_eq!(hint(&numbers, json!(7)), "send a list with one item: [7]");
    assert_eq!(
        hint(&list(json!({"enum": ["x", "y"]})), json!("x,y")),
        r#"send the list ["x","y"], not a text"#
    );
    let long = format!("[{}1]", "1, ".repeat(3_000));
    assert_eq!(hint(&numbers, json!(long)), "send the list itself, not a text");
}

#[test]
fn a_hint_that_would_be_refused_is_not_given() {
    let options = json!({"type": "string", "enum": ["low", "high"]});
    assert_eq!(hint(&options, json!(7)), "");
    assert_eq!(hint(&options, json!("hihg")), r#"did you mean "high"?"#);
    assert_eq!(hint(&json!({"type": "string", "format": "date"}), json!(true)), "");
    let bounded = json!({"type": "integer", "minimum": i64::MIN, "maximum": i64::MAX});
    assert_eq!(hint(&bounded, json!("9223372036854775808")), "");
    assert_eq!(hint(&bounded, json!("12.5")), "send a whole number");
    assert_eq!(hint(&json!({"type": "number"}), json!("1e999")), "send a finite number");
}

#[test]
fn a_mend_keeps_what_was_written() {
    let (text, integer) = (json!({"type": "string"}), json!({"type": "integer"}));
    for number in ["12345678901234567890123", "5.10"] {
        let number: Value = serde_json::from_str(number).unwrap();
        assert_eq!(hint(&text, number), "send the text itself, in quotes");
    }
    assert_eq!(hint(&json!({"type": "number"}), json!("5.10")), "send the number 5.1, not the string");
    for rounded in ["4.0000000000000000001", "8999999999999999.4", "12345678901234567890123"] {
        assert!(!hint(&integer, json!(rounded)).contains("send the number"), "{rounded}");
        assert!(!hint(&json!({"type": "number"}), json!(rounded)).contains("send the number"), "{rounded}");
    }
    let objects = object(json!({"x": {"type": "integer"}}), &[]);
    assert_eq!(hint(&objects, json!("{\"x\":1,\"x\":2}")), "");
    assert_eq!(hint(&objects, json!("{\"x\":1}")), "send the object {\"x\":1}, not a text");
    assert_eq!(
        hint(&json!({"type": "array"}), json!("[18446744073709551617]")),
        "send a list with one item for each value, not a text"
    );
}

/// What `bytes` and `flags` are published as.
#[test]
fn advice_is_about_the_type_and_names_places_that_are_there() {
    let bytes = json!({"anyOf": [
        {"type": "string", "contentEncoding": "base64"},
        {"type": "object", "properties": {"utf8": {"type": "string"}}, "required": ["utf8"]},
    ]});
    let base64 = "send the bytes as standard base64 with padding, or an object with the text under `utf8`";
    assert_eq!(hint(&bytes, json!([104, 105])), base64);
    let flags = json!({"type": "array", "items": {"enum": ["read", "write"]}});
    let schema = object(json!({"n": flags}), &["n"]);
    let found = Validator::new(&schema).unwrap().violations(&json!({"n": {"read": true}}));
    assert_eq!(found.iter().map(|wrong| wrong.path.as_str()).collect::<Vec<_>>(), ["n"]);
    let rules = json!({"allOf": [{"properties": {"n": {"maxItems": 1}, "m": {"maximum": 5}}}]});
    check(
        &rules,
        json!({"n": [1, 2]}),
        &["args.constraint n: array of at most 1 items, got array of 2 items"],
    );
    check(&rules, json!({"m": 6}), &["args.constraint m: number, at most 5, got integer 6"]);
    let not = json!({"not": {"required": ["n"]}});
    check(
        &not,
        json!({"n": 1}),
        &["args.constraint : a value that is not of {\"required\":[\"n\"]}, got object with n"],
    );
    let twice =
        json!({"anyOf": [{"type": "null"}, {"type": "object", "properties": {"some": {"type": "integer"}}}]});
    let schema = object(json!({"n": twice}), &[]);
    check(&schema, json!({"n": 3}), &["args.type n: {\"some\": integer}, got integer 3"]);
}

#[test]
fn several_values_or_none_where_one_belongs() {
    let number = json!({"type": "number"});
    assert_eq!(hint(&number, json!([1, 2])), "one value belongs here: call once for each");
    assert_eq!(hint(&number, json!([1])), "send the item alone: 1");
    assert_eq!(
        hint(&json!({"enum": ["x", "y"]}), json!("x, y")),
        "one value belongs here: call once for each"
    );
    assert_eq!(hint(&number, json!("")), "give a value: it is required");
    let schema = object(json!({"n": number}), &[]);
    check(&schema, json!({"n": ""}), &["args.type n: number, got string \"\"; leave it out: it is optional"]);
}

#[test]
fn wrapped_arguments_are_unwrapped() {
    let schema = object(json!({"city": {"type": "string"}, "days": u8()}), &["city"]);
    let validator = Validator::new(&schema).unwrap();
    for wrapped in [
        json!({"input": {"city": "Rome", "days": "3"}}),
        json!({"name": "weather", "arguments": "{'city': 'Rome', 'days': 3}"}),
    ] {
        let hint = validator.violations(&wrapped)[0].hint.clone().unwrap_or_default();
        assert!(hint.ends_with("as the arguments themselves"), "{hint}");
        assert_eq!(validator.mended(&wrapped), Some(json!({"city": "Rome", "days": 3})));
    }
    let found = validator.violations(&json!({"params": {"city": 1.5, "days": 300}}));
    assert_eq!(
        found.iter().map(|violation| violation.path.as_str()).collect::<Vec<_>>(),
        ["params", "city", "days"]
    );
}

#[test]
fn names_of_another_case_lose_nothing() {
    let text = || json!({"type": "string"});
    let schema =
        object(json!({"title": text(), "content": text(), "meta_title": text()}), &["title", "content"]);
    let validator = Validator::new(&schema).unwrap();
    let mended = validator.mended(&json!({"Title": "a", "Content": "b", "MetaTitle": "c"}));
    assert_eq!(mended, Some(json!({"title": "a", "content": "b", "meta_title": "c"})));
    // A free name of another case is nearer than one that is present and differs by a letter.
    let lines = object(json!({"line": text(), "lines": text()}), &["line"]);
    let mended = Validator::new(&lines).unwrap().mended(&json!({"line": "a", "Lines": "b"}));
    assert_eq!(mended, Some(json!({"line": "a", "lines": "b"})));
    // Two values for one name: the caller has to choose.
    assert_eq!(validator.mended(&json!({"title": "a", "Title": "b", "content": "c"})), None);
    assert_eq!(validator.mended(&json!({"Title": "a", "TITLE": "b", "content": "c"})), None);
    let found = validator.violations(&json!({"title": "a", "Title": "b", "content": "c"}));
    assert_eq!(found[0].hint.as_deref(), Some("it means the same as `title`: send one of them"));
}

#[test]
fn hints_at_coercions_that_lose_nothing() {
    let list = json!({"type": "array", "items": {"type": "string"}});
    assert_eq!(hint(&json!({"type": "boolean"}), json!("True")), "send true, not the string");
    assert_eq!(hint(&json!({"type": "string"}), json!(5)), "send the string \"5\", not the number");
    assert_eq!(hint(&list, json!("x")), "send a list with one item: [\"x\"]");
    assert_eq!(hint(&list, json!("[\"x\"]")), "send the list [\"x\"], not a text");
    assert_eq!(hint(&json!({"type": "integer"}), json!(1.5)), "send a whole number");
    assert_eq!(
        hint(&json!({"type": "string", "enum": ["one-way", "return"]}), json!("One_Way")),
        "did you mean \"one-way\"?"
    );
    assert_eq!(hint(&json!({"type": "string"}), json!(null)), "give a value: it is required");
}
