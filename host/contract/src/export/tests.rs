use proptest::prelude::*;

use super::super::path::Path;
use super::super::schema::{input, overlay};
use super::super::ty::{Case, Field, Ty};
use super::super::{arbitrary, schema};
use super::*;

/// Every keyword in a schema. Names under `properties` are not keywords.
fn keywords(schema: &mut Value, found: &mut Vec<(String, Value)>) {
    found.extend(schema.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
    schema::children_mut(schema).into_iter().for_each(|child| keywords(child, found));
}

fn exported(dialect: Dialect, schema: &Value) -> Value {
    let mut all = definition(dialect, "book", "Books.", schema);
    match dialect {
        Dialect::OpenAi | Dialect::OpenAiStrict => all["function"]["parameters"].take(),
        Dialect::Anthropic | Dialect::AnthropicStrict => all["input_schema"].take(),
        Dialect::Gemini => all["parametersJsonSchema"].take(),
        Dialect::GeminiOpenApi => all["parameters"].take(),
    }
}

/// Keywords that the provider refuses or ignores, according to its documentation.
fn forbidden(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::OpenAi | Dialect::Anthropic => &["oneOf", "const"],
        Dialect::OpenAiStrict => {
            &["oneOf", "const", "minLength", "maxLength", "contentEncoding", "examples", "default"]
        }
        Dialect::AnthropicStrict => &[
            "oneOf",
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "multipleOf",
            "minLength",
            "maxLength",
            "pattern",
            "maxItems",
            "prefixItems",
            "contentEncoding",
        ],
        Dialect::Gemini => &[
            "oneOf",
            "const",
            "exclusiveMinimum",
            "multipleOf",
            "pattern",
            "format",
            "prefixItems",
            "examples",
        ],
        Dialect::GeminiOpenApi => &[
            "oneOf",
            "const",
            "$ref",
            "$defs",
            "additionalProperties",
            "exclusiveMinimum",
            "multipleOf",
            "pattern",
            "format",
            "prefixItems",
            "title",
            "examples",
            "contentEncoding",
        ],
    }
}

fn check(dialect: Dialect, schema: &Value) {
    let mut exported = exported(dialect, schema);
    let mut found = vec![];
    keywords(&mut exported, &mut found);
    for (keyword, value) in &found {
        assert!(!forbidden(dialect).contains(&keyword.as_str()), "{dialect:?}: {keyword} {value}");
        assert!(*value != json!("null") || dialect != Dialect::GeminiOpenApi, "a null type in {exported}");
    }
    if dialect == Dialect::OpenAiStrict {
        strict(&mut exported);
    }
}

/// Asserts that every object is closed and requires all its properties.
fn strict(schema: &mut Value) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let names: Vec<_> = properties.keys().cloned().collect();
        assert_eq!(schema["required"], json!(names));
        assert_eq!(schema["additionalProperties"], false);
    }
    schema::children_mut(schema).into_iter().for_each(strict);
}

fn field(name: &str, ty: Ty) -> Field {
    Field { name: name.into(), ty }
}

fn constrained() -> Value {
    let opt = |ty| Ty::Option(Box::new(ty));
    let pair = Ty::Tuple(vec![Ty::U8, Ty::String]);
    let shape = Ty::Variant(vec![
        Case { name: "circle".into(), ty: Some(opt(Ty::F64)) },
        Case { name: "none".into(), ty: None },
    ]);
    let params = [
        field("at", Ty::String),
        field("code", opt(Ty::String)),
        field("data", Ty::List(Box::new(Ty::U8))),
        field("n", opt(Ty::U8)),
        field("pair", pair),
        field("shape", shape),
        field("tags", Ty::List(Box::new(Ty::String))),
    ];
    let mut schema = input(&params);
    let lay = |schema: &mut Value, path, keywords: Value| {
        overlay(schema, &Path::parse(path).unwrap(), keywords.as_object().unwrap()).unwrap();
    };
    lay(&mut schema, "at", json!({"format": "date", "title": "When", "examples": ["2026-12-01"]}));
    lay(&mut schema, "code", json!({"pattern": "^[A-Z]+$", "maxLength": 9, "description": "Code"}));
    lay(
        &mut schema,
        "n",
        json!({"minimum": 1, "exclusiveMaximum": 9, "multipleOf": 2, "description": "How many"}),
    );
    lay(&mut schema, "tags", json!({"minItems": 2, "maxItems": 4}));
    schema
}

#[test]
fn leaves_no_keyword_that_a_provider_refuses() {
    for dialect in Dialect::ALL {
        check(dialect, &constrained());
    }
}

#[test]
fn says_dropped_constraints_in_words_once() {
    let all = exported(Dialect::AnthropicStrict, &constrained());
    let n = &all["properties"]["n"];
    assert_eq!(n["anyOf"][0]["description"], "less than 9; at most 255; at least 1; a multiple of 2");
    assert_eq!(all["properties"]["tags"]["description"], "at most 4 items; at least 2 items");
    assert_eq!(all["properties"]["data"]["anyOf"][0]["description"], "bytes in base64");
}

#[test]
fn writes_null_as_a_keyword_for_openapi() {
    let all = exported(Dialect::GeminiOpenApi, &constrained());
    let expect = json!({
        "type": "string", "maxLength": 9, "nullable": true,
        "description": "Code; matching `^[A-Z]+$`",
    });
    assert_eq!(all["properties"]["code"], expect);
    assert_eq!(all["properties"]["at"]["description"], "When (examples: 2026-12-01; format date)");
}

#[test]
fn writes_a_tuple_as_a_list_where_it_must() {
    let all = exported(Dialect::Gemini, &constrained());
    let pair = &all["properties"]["pair"];
    assert_eq!(pair["items"]["anyOf"][1], json!({"type": "string"}));
    assert_eq!((&pair["minItems"], &pair["maxItems"]), (&json!(2), &json!(2)));
    assert_eq!(pair["description"], "array of 2 items: integer 0–255; string");
}

#[test]
fn requires_everything_in_strict_mode() {
    let all = exported(Dialect::OpenAiStrict, &constrained());
    assert_eq!(all["required"], json!(["at", "code", "data", "n", "pair", "shape", "tags"]));
    assert_eq!(all["properties"]["shape"]["anyOf"][0]["required"], json!(["tag", "val"]));
}

#[test]
fn writes_each_envelope() {
    let none = json!({"type": "object", "properties": {}, "additionalProperties": false});
    let openai = definition(Dialect::OpenAi, "ping", "Pings.", &none);
    let function = json!({"name": "ping", "description": "Pings.", "parameters": none, "strict": false});
    assert_eq!(openai, json!({"type": "function", "function": function}));
    let anthropic = definition(Dialect::Anthropic, "ping", "Pings.", &none);
    assert_eq!(anthropic, json!({"name": "ping", "description": "Pings.", "input_schema": none}));
    let gemini = definition(Dialect::Gemini, "ping", "Pings.", &none);
    assert_eq!(gemini, json!({"name": "ping", "description": "Pings.", "parametersJsonSchema": none}));
    let strict = definition(Dialect::AnthropicStrict, "ping", "Pings.", &none);
    assert_eq!(strict["strict"], true);
}

#[test]
fn parses_the_names_of_dialects() {
    for dialect in Dialect::ALL {
        assert_eq!(dialect.as_str().parse(), Ok(dialect));
    }
    let error = "mistral".parse::<Dialect>().unwrap_err().to_string();
    let names = "openai, openai-strict, anthropic, anthropic-strict, gemini, gemini-openapi";
    assert_eq!(error, format!("unknown dialect `mistral`: one of {names}"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_schema_fits_every_dialect(params in arbitrary::params()) {
        for dialect in Dialect::ALL {
            check(dialect, &input(&params));
        }
    }
}
