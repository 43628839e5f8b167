mod mends;

use proptest::prelude::*;
use serde_json::json;

use super::*;

impl Validator {
    fn mended(&self, args: &Value) -> Option<Value> {
        self.refused(args)?.1
    }
}

fn check(schema: &Value, args: Value, expect: &[&str]) {
    let found = Validator::new(schema).unwrap().violations(&args);
    let line = |v: &Violation| {
        let hint = v.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
        format!("{} {}: {}, got {}{hint}", v.code, v.path, v.expected, v.got)
    };
    assert_eq!(found.iter().map(line).collect::<Vec<_>>(), expect);
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn u8() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": 255})
}

fn s64() -> Value {
    json!({"anyOf": [
        {"type": "integer", "minimum": i64::MIN, "maximum": i64::MAX},
        {"type": "string", "pattern": "^-?(0|[1-9][0-9]{0,19})$"},
    ]})
}

fn shape() -> Value {
    let case = |name: &str, val: Value| {
        object(json!({"tag": {"type": "string", "enum": [name]}, "val": val}), &["tag", "val"])
    };
    json!({"anyOf": [case("circle", u8()), object(json!({"tag": {"type": "string", "enum": ["none"]}}), &["tag"])]})
}

#[test]
fn lists_every_fault_at_once() {
    let passenger = object(json!({"age": u8()}), &["age"]);
    let schema = object(
        json!({"departure_date": {"type": "string", "format": "date"}, "passengers": {"type": "array", "items": passenger}}),
        &["departure_date", "passengers"],
    );
    check(
        &schema,
        json!({"dept_date": "2026-12-01", "passengers": [{"age": "twelve"}, {"age": "12"}, {"age": 300}, {}]}),
        &[
            "args.unknown dept_date: `departure_date`, got key \"dept_date\"; did you mean `departure_date` (required, missing)?",
            "args.type passengers[0].age: integer 0–255, got string \"twelve\"",
            "args.type passengers[1].age: integer 0–255, got string \"12\"; send the number 12, not the string",
            "args.constraint passengers[2].age: integer 0–255, got integer 300",
            "args.missing passengers[3].age: integer 0–255, got nothing",
        ],
    );
}

#[test]
fn names_the_key_that_was_meant() {
    let schema = object(json!({"max_items": u8(), "query": {"type": "string"}}), &["query"]);
    check(
        &schema,
        json!({"query": "a", "max-items": 1}),
        &["args.unknown max-items: `max_items`, got key \"max-items\"; did you mean `max_items` (optional)?"],
    );
    check(
        &schema,
        json!({"query": "a", "color": 1}),
        &[
            "args.unknown color: one of max_items, query, got key \"color\"; remove `color`; known: max_items, query",
        ],
    );
    check(
        &object(json!({}), &[]),
        json!({"a": 1}),
        &["args.unknown a: no keys, got key \"a\"; remove `a`: there is nothing to give"],
    );
}

#[test]
fn shows_only_the_branch_that_was_meant() {
    let schema = object(json!({"shape": shape()}), &["shape"]);
    check(
        &schema,
        json!({"shape": {"tag": "circle", "val": -1}}),
        &["args.constraint shape.val: integer 0–255, got integer -1"],
    );
    check(
        &schema,
        json!({"shape": {"tag": "circl"}}),
        &["args.type shape: tag to be one of circle, none, got string \"circl\"; did you mean \"circle\"?"],
    );
    check(
        &schema,
        json!({"shape": "none"}),
        &["args.type shape: tag to be one of circle, none, got string \"none\"; send {\"tag\":\"none\"}"],
    );
    check(
        &schema,
        json!({"shape": {"circle": 3}}),
        &[
            "args.type shape: tag to be one of circle, none, got no tag, object with circle; send {\"tag\":\"circle\",\"val\":3}",
        ],
    );
}

#[test]
fn options_speak_of_their_type_only() {
    let schema = object(json!({"n": {"anyOf": [u8(), {"type": "null"}]}}), &[]);
    check(&schema, json!({"n": null}), &[]);
    check(
        &schema,
        json!({"n": "3"}),
        &["args.type n: integer 0–255, got string \"3\"; send the number 3, not the string"],
    );
}

#[test]
fn alternatives_are_listed_when_none_is_near() {
    let bytes = json!({"anyOf": [
        {"type": "string", "contentEncoding": "base64"},
        object(json!({"utf8": {"type": "string"}}), &["utf8"]),
    ]});
    let schema = object(json!({"data": bytes, "n": s64()}), &["data", "n"]);
    check(
        &schema,
        json!({"data": 1, "n": "twelve"}),
        &[
            "args.type data: string in base64 or object, got integer 1",
            "args.type n: integer -9223372036854775808–9223372036854775807, as a number or a decimal string, got string \"twelve\"",
        ],
    );
    check(
        &schema,
        json!({"data": {"text": "a"}, "n": 12}),
        &[
            "args.unknown data.text: one of utf8, got key \"text\"; remove `text`; known: utf8",
            "args.missing data.utf8: string, got nothing",
        ],
    );
}

#[test]
fn null_for_an_optional_argument_is_left_out() {
    let schema = object(json!({"a": {"type": "string"}}), &[]);
    check(&schema, json!({"a": null}), &["args.type a: string, got null; leave it out: it is optional"]);
    assert_eq!(Validator::new(&schema).unwrap().mended(&json!({"a": null})), Some(json!({})));
}

#[test]
fn mends_what_can_be_mended_without_loss() {
    let schema = object(
        json!({"departure_date": {"type": "string"}, "age": u8(), "shape": shape()}),
        &["departure_date"],
    );
    let validator = Validator::new(&schema).unwrap();
    let args = json!({"dept_date": "x", "age": "12", "shape": {"circle": "3"}});
    let expect = json!({"departure_date": "x", "age": 12, "shape": {"tag": "circle", "val": 3}});
    assert_eq!(validator.mended(&args), Some(expect));
    assert_eq!(validator.mended(&json!({"departure_date": "x", "age": "twelve"})), None);
}

#[test]
fn a_long_value_is_never_repeated() {
    let schema = object(json!({"a": {"type": "string", "maxLength": 5}}), &["a"]);
    let found = Validator::new(&schema).unwrap().violations(&json!({"a": "x".repeat(100_000)}));
    assert_eq!(found[0].expected, "string of at most 5 characters");
    assert!(found[0].got.chars().count() <= 60, "{}", found[0].got);
}

#[test]
fn at_most_twenty_faults_are_collected() {
    let schema = object(json!({"a": {"type": "array", "items": u8()}}), &["a"]);
    let args = json!({"a": vec![json!("x"); 1000]});
    assert_eq!(Validator::new(&schema).unwrap().violations(&args).len(), VIOLATIONS_MAX);
    let many: serde_json::Map<_, _> = (0..1000).map(|i| (format!("k{i}"), json!(1))).collect();
    assert_eq!(Validator::new(&schema).unwrap().violations(&Value::Object(many)).len(), VIOLATIONS_MAX);
}

/// Values that the validator accepts and the codec must refuse.
#[test]
fn known_gaps_of_the_first_gate() {
    let valid = |schema: Value, text: &str| {
        Validator::new(&schema).unwrap().is_valid(&serde_json::from_str(text).unwrap())
    };
    assert!(valid(json!({"type": "integer"}), "1.0"));
    assert!(valid(json!({"type": "integer", "minimum": i64::MIN}), "-9223372036854775809"));
    assert!(valid(json!({"type": "string", "format": "iban"}), "\"x\""));
}

#[test]
fn formats_are_checked_and_unknown_ones_reported() {
    let schema = object(
        json!({"d": {"type": "string", "format": "date"}, "i": {"type": "string", "format": "iban"}}),
        &[],
    );
    check(
        &schema,
        json!({"d": "1 May"}),
        &["args.constraint d: string in date format, got string \"1 May\""],
    );
    assert_eq!(Validator::new(&schema).unwrap().unknown_formats(), ["iban"]);
}

#[test]
fn refuses_schemas_that_do_not_compile() {
    for schema in [json!({"type": "integre"}), json!({"required": 1}), json!({"minimum": "1"})] {
        assert!(matches!(Validator::new(&schema), Err(SchemaError::Malformed(_))), "{schema}");
    }
    assert!(matches!(Validator::new(&json!({"pattern": "(?=a)"})), Err(SchemaError::Pattern(_))));
    assert!(matches!(Validator::new(&json!({"$schema": "x"})), Err(SchemaError::Dialect(_))));
}

#[test]
fn tuples_have_their_length() {
    let pair = json!({"type": "array", "prefixItems": [u8(), {"type": "string"}], "items": false, "minItems": 2, "maxItems": 2});
    let schema = object(json!({"p": pair}), &["p"]);
    check(&schema, json!({"p": ["x", "y"]}), &["args.type p[0]: integer 0–255, got string \"x\""]);
    check(&schema, json!({"p": [1]}), &["args.constraint p: array of 2 items, got array of 1 item"]);
    check(
        &schema,
        json!({"p": [1, "y", 3]}),
        &[
            "args.constraint p: array of 2 items, got array of 3 items",
            "args.type p[2]: nothing here, got integer 3",
        ],
    );
}

#[test]
fn a_branch_is_chosen_without_a_tag_too() {
    let leg = object(json!({"from": {"type": "string"}, "to": {"type": "string"}}), &["from", "to"]);
    let stay = object(json!({"city": {"type": "string"}, "nights": u8()}), &["city", "nights"]);
    let schema = object(json!({"part": {"anyOf": [leg, stay]}}), &["part"]);
    check(
        &schema,
        json!({"part": {"city": "Rome", "nights": 300}}),
        &["args.constraint part.nights: integer 0–255, got integer 300"],
    );
    let both = json!({"oneOf": [{"type": "integer"}, {"minimum": 3}]});
    check(
        &object(json!({"n": both}), &["n"]),
        json!({"n": 5}),
        &["args.constraint n: exactly one of: integer or number, at least 3, got integer 5"],
    );
}

#[test]
fn what_is_said_of_a_large_schema_is_short() {
    let names: Vec<String> = (0..1000).map(|i| format!("name_{i}")).collect();
    let many: serde_json::Map<_, _> = names.iter().map(|name| (name.clone(), u8())).collect();
    let schema = object(json!({"one": {"enum": names}, "all": object(Value::Object(many), &[])}), &["one"]);
    let found = Validator::new(&schema).unwrap().violations(&json!({"one": "x", "all": {"other": 1}}));
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|violation| violation.expected.len() < 300), "{found:?}");
}

#[test]
fn references_are_followed_for_words_too() {
    let schema = json!({"$defs": {"age": u8(), "maybe": {"anyOf": [{"$ref": "#/$defs/age"}, {"type": "null"}]}},
        "type": "object", "properties": {"a": {"$ref": "#/$defs/maybe"}, "b": {"$ref": "#/$defs/age"}}, "required": ["b"]});
    check(
        &schema,
        json!({"a": 300}),
        &["args.constraint a: integer 0–255, got integer 300", "args.missing b: integer 0–255, got nothing"],
    );
}

fn anything() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(vec![
        "tag",
        "val",
        "circle",
        "data",
        "n",
        "p",
        "shape",
        "utf8",
        "max-items",
        "x y",
    ]);
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|n| json!(n)),
        "\\PC{0,80}".prop_map(Value::from),
        prop::sample::select(vec!["circle", "none", "12", "{}", "[1]"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..5)
                .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

/// Schemas with every keyword that the walk handles itself, and some that it delegates.
fn schemas() -> Vec<Value> {
    let tagged = json!({"anyOf": [
        object(json!({"tag": {"enum": ["a"]}, "val": {"$ref": "#/$defs/n"}}), &["tag"]),
        object(json!({"tag": {"const": "b"}}), &["tag"]),
        object(json!({"tag": {"enum": ["c"]}, "val": shape()}), &["tag", "val"]),
    ]});
    let untagged = json!({"oneOf": [
        {"type": "object", "required": ["n"], "properties": {"n": u8()}},
        {"type": "object", "required": ["p"], "additionalProperties": u8()},
        {"type": ["array", "null"], "maxItems": 2, "items": {"anyOf": [u8(), {"minLength": 2}]}},
        {"type": "string", "minLength": 3, "pattern": "^[a-c1-9]"},
    ]});
    let whole = json!({
        "$defs": {"n": {"type": "number", "exclusiveMinimum": -1.5, "exclusiveMaximum": 1e18, "multipleOf": 0.5}},
        "type": "object", "minProperties": 1, "maxProperties": 3, "dependentRequired": {"p": ["n"]},
        "properties": {"shape": tagged, "data": untagged, "tag": {"enum": [1, "x", null, [1.0], {"n": 1}]},
            "n": {"$ref": "#/$defs/n"}, "val": {"const": 12}, "utf8": {"uniqueItems": true, "contains": {"type": "null"}}},
        "if": {"required": ["val"]}, "then": {"required": ["n"]}, "else": {"allOf": [{"not": {"required": ["utf8"]}}]},
    });
    let patterns = json!({"patternProperties": {"^[a-n]": {"$ref": "#/$defs/s"}}, "additionalProperties": {"type": "array"},
        "properties": {"p": true, "shape": false}, "propertyNames": {"maxLength": 5}, "$defs": {"s": {"type": ["string", "null"]}}});
    let rest = json!({"allOf": [{"properties": {"n": {}}}], "unevaluatedProperties": u8(),
        "dependentSchemas": {"tag": {"minProperties": 2}}, "properties": {"val": {"prefixItems": [u8()], "items": shape()}}});
    let many: Vec<String> = (0..50).map(|i| format!("{i}")).collect();
    let list = json!({"anyOf": [{"enum": many}, {"type": "object"}, {"type": "array", "minItems": 1, "items": {"format": "date"}}]});
    vec![whole, patterns, rest, list]
}

proptest! {
    /// Compares the validator with the walk on the same schemas.
    #[test]
    fn the_walk_finds_a_fault_where_the_validator_rejects(args in anything()) {
        for schema in schemas() {
            let validator = Validator::new(&schema).unwrap();
            let Compiled { schema, parts, .. } = validator.compiled().unwrap();
            let found = walk::faults(schema, parts, &args);
            prop_assert_eq!(found.is_empty(), validator.is_valid(&args), "{} {}: {:?}", schema, args, found);
            prop_assert!(found.len() <= VIOLATIONS_MAX);
        }
    }

    #[test]
    fn what_is_rejected_has_reasons_and_what_is_mended_is_valid(args in anything()) {
        let properties = json!({"shape": {"anyOf": [shape(), {"type": "null"}]}, "n": s64(), "max_items": u8(),
            "p": {"type": "array", "prefixItems": [u8(), shape()], "items": false},
            "data": {"anyOf": [{"type": "string"}, object(json!({"utf8": {"type": "string"}}), &["utf8"])]}});
        let validator = Validator::new(&object(properties.clone(), &["n", "max_items"])).unwrap();
        let found = validator.violations(&args);
        prop_assert_eq!(found.is_empty(), validator.is_valid(&args));
        prop_assert!(found.len() <= VIOLATIONS_MAX);
        prop_assert!(found.iter().all(|violation| violation.got.chars().count() <= 60 && violation.keyword != "schema"));
        let mended = validator.mended(&args);
        prop_assert!(mended.as_ref().is_none_or(|mended| validator.is_valid(mended)));
        for (name, value) in mended.as_ref().and_then(Value::as_object).into_iter().flatten() {
            // A value that was valid at its place is never another one.
            let alone = Validator::new(&properties[name]).unwrap();
            let given = args.get(name).filter(|given| alone.is_valid(given));
            prop_assert!(given.is_none_or(|given| given == value), "{} became {}", args, mended.clone().unwrap());
        }
        prop_assert_eq!(found, validator.violations(&args));
    }
}

#[test]
fn a_validator_that_rests_judges_as_before() {
    let schema = json!({"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"]});
    let mut validator = Validator::new(&schema).unwrap();
    let args = [json!({"a": 1}), json!({"a": 3}), json!({})];
    let before = args.each_ref().map(|args| validator.violations(args));
    validator.rest();
    assert_eq!(args.each_ref().map(|args| validator.violations(args)), before);
    assert!(before[0].is_empty() && !before[1].is_empty() && !before[2].is_empty());
}
