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
        Dialect::OpenAi | Dialect::OpenAiStrict | Dialect::LlamaCpp => all["function"]["parameters"].take(),
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
        Dialect::LlamaCpp => &["multipleOf", "title", "examples", "default", "contentEncoding"],
    }
}

fn check(dialect: Dialect, schema: &Value) {
    let mut exported = exported(dialect, schema);
    let mut found = vec![];
    keywords(&mut exported, &mut found);
    for (keyword, value) in &found {
        assert!(!forbidden(dialect).contains(&keyword.as_str()), "{dialect:?}: {keyword} {value}");
        assert!(*value != json!("null") || dialect != Dialect::GeminiOpenApi, "a null type in {exported}");
        if dialect == Dialect::LlamaCpp
            && ["maxItems", "maxLength", "minItems", "minLength"].contains(&keyword.as_str())
        {
            assert!(value.as_u64().unwrap() < 2000, "{keyword} {value}");
        }
    }
    if dialect.rules().is_some_and(|rules| rules.optional == Optional::Absent) {
        absent(&mut exported);
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

/// Asserts that no optional property can be null, also behind a reference.
fn absent(schema: &mut Value) {
    let defs = schema["$defs"].clone();
    no_optional_null(schema, &defs);
}

fn no_optional_null(schema: &mut Value, defs: &Value) {
    let required = schema["required"].clone();
    let required = |name: &str| required.as_array().is_some_and(|names| names.iter().any(|n| n == name));
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let target = property["$ref"].as_str().and_then(|target| target.strip_prefix("#/$defs/"));
        let property = target.map_or(property, |name| &defs[name]);
        let null = property["nullable"] == true
            || property["anyOf"].as_array().into_iter().flatten().any(|branch| branch["type"] == "null");
        assert!(required(name) || !null, "{name}: {property}");
    }
    schema::children_mut(schema).into_iter().for_each(|child| no_optional_null(child, defs));
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
    insta::assert_snapshot!(n["description"].as_str().unwrap(), @"How many; less than 9; at most 255; at least 1; a multiple of 2");
    assert_eq!(all["properties"]["tags"]["description"], "at most 4 items; at least 2 items");
    assert_eq!(all["properties"]["data"]["anyOf"][0]["description"], "bytes in base64");
}

#[test]
fn writes_null_as_a_keyword_for_openapi() {
    let opt = |ty| Ty::Option(Box::new(ty));
    let all =
        exported(Dialect::GeminiOpenApi, &input(&[field("codes", Ty::List(Box::new(opt(Ty::String))))]));
    let expect = json!({"type": "array", "items": {"type": "string", "nullable": true}});
    assert_eq!(all["properties"]["codes"], expect);
}

#[test]
fn leaves_an_optional_property_out_of_required_and_without_null() {
    let all = exported(Dialect::GeminiOpenApi, &constrained());
    let expect = json!({
        "type": "string", "maxLength": 9, "description": "Code; matching `^[A-Z]+$`",
    });
    assert_eq!(all["properties"]["code"], expect);
    assert_eq!(all["properties"]["at"]["description"], "When (examples: 2026-12-01; format date)");
    assert_eq!(all["required"], json!(["at", "data", "pair", "shape", "tags"]));
}

/// A schema large enough to have definitions, one of them an optional record that is also an item of a list.
fn shared() -> Value {
    let names = (0..60).map(|i| format!("a-rather-long-case-name-{i}")).collect();
    let part = Ty::Record(vec![field("kind", Ty::Enum(names)), field("n", Ty::U8)]);
    let opt = Ty::Option(Box::new(part));
    let optional = (0..12).map(|i| field(&format!("f{i}"), opt.clone()));
    input(&optional.chain([field("all", Ty::List(Box::new(opt.clone())))]).collect::<Vec<_>>())
}

#[test]
fn finds_null_branches_behind_references() {
    let before = shared();
    assert_eq!(before["properties"]["f3"], json!({"$ref": "#/$defs/part_1"}));
    let all = exported(Dialect::AnthropicStrict, &before);
    assert_eq!(all["properties"]["f3"], json!({"$ref": "#/$defs/part_1"}));
    assert_eq!(all["$defs"]["part_1"]["type"], "object");
    // An item of a list cannot be absent, so it stays nullable.
    let item = json!({"anyOf": [{"$ref": "#/$defs/part_1"}, {"type": "null"}]});
    assert_eq!(all["properties"]["all"]["items"], item);
}

#[test]
fn moves_what_grammars_of_llama_cpp_refuse_into_descriptions() {
    let opt = |ty| Ty::Option(Box::new(ty));
    let params = [field("id", Ty::U64), field("note", opt(Ty::String)), field("text", Ty::String)];
    let mut schema = input(&params);
    let mut lay = |path, keywords: Value| {
        overlay(&mut schema, &Path::parse(path).unwrap(), keywords.as_object().unwrap()).unwrap();
    };
    lay("note", json!({"maxLength": 65536, "minLength": 1}));
    lay("text", json!({"maxLength": 2000, "pattern": "[a-z]+"}));
    let tool = definition(Dialect::LlamaCpp, "save", "Saves.", &schema);
    insta::assert_snapshot!(serde_json::to_string_pretty(&tool).unwrap(), @r#"
    {
      "function": {
        "description": "Saves.",
        "name": "save",
        "parameters": {
          "additionalProperties": false,
          "properties": {
            "id": {
              "anyOf": [
                {
                  "description": "at most 18446744073709551615",
                  "minimum": 0,
                  "type": "integer"
                },
                {
                  "description": "the same as a decimal string",
                  "pattern": "^(0|[1-9][0-9]{0,19})$",
                  "type": "string"
                }
              ]
            },
            "note": {
              "description": "at most 65536 characters",
              "minLength": 1,
              "type": "string"
            },
            "text": {
              "description": "at most 2000 characters; matching `[a-z]+`",
              "type": "string"
            }
          },
          "required": [
            "id",
            "text"
          ],
          "type": "object"
        }
      },
      "type": "function"
    }
    "#);
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
    let strict = definition(Dialect::AnthropicStrict, "ping", "Pings.", &none);
    assert_eq!(strict["strict"], true);
}

#[test]
fn gemini_gets_no_object_without_properties() {
    let none = input(&[]);
    for dialect in [Dialect::Gemini, Dialect::GeminiOpenApi] {
        let ping = definition(dialect, "ping", "Pings.", &none);
        assert_eq!(ping, json!({"name": "ping", "description": "Pings."}));
    }
    let one = definition(Dialect::Gemini, "ping", "Pings.", &input(&[field("n", Ty::Bool)]));
    assert_eq!(one["parametersJsonSchema"]["required"], json!(["n"]));
}

#[test]
fn parses_the_names_of_dialects() {
    for dialect in Dialect::ALL {
        assert_eq!(dialect.as_str().parse(), Ok(dialect));
    }
    let error = "mistral".parse::<Dialect>().unwrap_err().to_string();
    let names = "openai, openai-strict, anthropic, anthropic-strict, gemini, gemini-openapi, llama-cpp";
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

/// The limits that tools with these schemas exceed, one a line.
fn limits(dialect: Dialect, tools: &[(&str, Value)]) -> String {
    let found = exceeded(dialect, tools.iter().map(|(name, schema)| (*name, schema)));
    found.iter().map(|limit| format!("{limit}\n")).collect()
}

fn many(n: usize, ty: &Ty) -> Value {
    input(&(0..n).map(|i| field(&format!("f{i}"), ty.clone())).collect::<Vec<_>>())
}

#[test]
fn names_the_limits_that_strict_tools_exceed_together() {
    let opt = Ty::Option(Box::new(Ty::Bool));
    let fits = [("a", many(12, &opt)), ("b", many(12, &opt)), ("c", many(16, &Ty::U64))];
    assert_eq!(limits(Dialect::AnthropicStrict, &fits), "");
    let over = [("a", many(12, &opt)), ("b", many(13, &opt)), ("c", many(17, &Ty::U64))];
    insta::assert_snapshot!(limits(Dialect::AnthropicStrict, &over), @r"
    25 optional parameters in one request, and anthropic-strict accepts 24 (`b` 13, `a` 12): name the tools to export, and export the others with `--for anthropic`, or require more parameters
    17 parameters with union types in one request, and anthropic-strict accepts 16 (`c` 17): name the tools to export, and export the others with `--for anthropic`; variants, bytes and 64-bit integers are unions
    ");
    let tools: Vec<_> = (0..21).map(|_| ("tool", many(1, &Ty::Bool))).collect();
    insta::assert_snapshot!(limits(Dialect::AnthropicStrict, &tools), @"21 strict tools in one request, and anthropic-strict accepts 20: name the tools to export, and export the others with `--for anthropic`");
    assert_eq!(limits(Dialect::Anthropic, &over), "");
}

#[test]
fn names_the_tool_that_exceeds_a_limit_of_openai() {
    let nested = |n: usize| (0..n).fold(Ty::Bool, |ty, _| Ty::List(Box::new(ty)));
    let cases = |n: usize, chars: usize| Ty::Enum((0..n).map(|i| format!("{i:0>chars$}")).collect());
    let fits = [
        ("deep", many(1, &nested(9))),
        ("wide", many(5000, &Ty::Bool)),
        ("cases", many(1, &cases(1000, 15))),
    ];
    assert_eq!(limits(Dialect::OpenAiStrict, &fits), "");
    let over = [
        ("deep", many(1, &nested(10))),
        ("wide", many(5001, &Ty::Bool)),
        ("cases", many(1, &cases(1001, 3))),
        ("text", many(1, &cases(251, 60))),
        ("names", many(9, &cases(111, 121))),
    ];
    insta::assert_snapshot!(limits(Dialect::OpenAiStrict, &over), @r"
    `wide` has 5001 properties, and openai-strict accepts 5000: split the tool, or export it with `--for openai`
    `deep` has 11 levels of nesting, and openai-strict accepts 10: flatten its records and lists, or export it with `--for openai`
    `cases` has 1001 enum values, and openai-strict accepts 1000: take a string in place of the largest enum, or export the tool with `--for openai`
    `text` has 15060 characters in an enum with more than 250 values, and openai-strict accepts 15000: shorten or split the enum, or export the tool with `--for openai`
    ");
}

#[test]
fn counts_levels_through_definitions() {
    let mut ty = Ty::Record(vec![field("a", Ty::U64), field("b", Ty::U64)]);
    for _ in 0..9 {
        ty = Ty::Record(vec![field("a", ty.clone()), field("b", ty)]);
    }
    let schema = many(1, &ty);
    assert!(schema.get("$defs").is_some());
    insta::assert_snapshot!(limits(Dialect::OpenAiStrict, &[("deep", schema)]), @"`deep` has 11 levels of nesting, and openai-strict accepts 10: flatten its records and lists, or export it with `--for openai`");
}

#[test]
fn gemini_wants_a_letter_in_front() {
    insta::assert_snapshot!(limits(Dialect::Gemini, &[("3d", many(1, &Ty::Bool)), ("d3", many(1, &Ty::Bool))]), @"`3d` has 1 digit in front of its name, and gemini accepts 0: rename the tool in the registry");
}
