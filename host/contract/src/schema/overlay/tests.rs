use serde_json::json;

use super::super::{field, input};
use super::*;
use crate::ty::{Field, Ty};

fn opt(ty: Ty) -> Ty {
    Ty::Option(Box::new(ty))
}

fn list(ty: Ty) -> Ty {
    Ty::List(Box::new(ty))
}

fn params() -> Vec<Field> {
    let row = Ty::Record(vec![field("price", &opt(Ty::F64)), field("twice", &opt(opt(Ty::U8)))]);
    let age = field("age", &Ty::U8);
    let cabin = field("cabin", &Ty::Enum(vec!["economy".into(), "first".into()]));
    vec![
        age,
        cabin,
        field("data", &list(Ty::U8)),
        field("id", &opt(Ty::U64)),
        field("q", &Ty::String),
        field("rows", &list(row)),
    ]
}

fn laid(path: &str, keywords: Value) -> Result<Value, String> {
    let mut schema = input(&params());
    let keywords = keywords.as_object().unwrap();
    overlay(&mut schema, &Path::parse(path).unwrap(), keywords).map_err(|e| e.to_string())?;
    Ok(schema["properties"].take())
}

fn check_refused(path: &str, keywords: Value, expect: &str) {
    assert_eq!(laid(path, keywords).unwrap_err(), expect);
}

#[test]
fn puts_a_constraint_without_repeating_it_in_words() {
    let all = laid("age", json!({"minimum": 1, "description": "Age in years"})).unwrap();
    let expect = json!({
        "type": "integer", "minimum": 1, "maximum": 255,
        "description": "Age in years",
    });
    assert_eq!(all["age"], expect);
}

#[test]
fn looks_through_options_and_lists() {
    let all = laid("rows[].price", json!({"exclusiveMinimum": 0, "description": "Price"})).unwrap();
    let price = &all["rows"]["items"]["properties"]["price"];
    assert_eq!(price["description"], "Price");
    assert_eq!(price["anyOf"][0]["exclusiveMinimum"], 0);
    let all = laid("rows[].twice", json!({"maximum": 9})).unwrap();
    let twice = &all["rows"]["items"]["properties"]["twice"];
    assert_eq!(twice["anyOf"][1]["properties"]["some"]["anyOf"][0]["maximum"], 9);
}

#[test]
fn puts_numbers_on_the_integer_branch_of_64_bits() {
    let all = laid("id", json!({"minimum": 5})).unwrap();
    assert_eq!(all["id"]["anyOf"][0]["anyOf"][0]["minimum"], 5);
}

#[test]
fn lays_over_shared_parts_at_one_place_only() {
    let names = (0..400).map(|i| format!("a-long-case-name-{i}")).collect();
    let part = Ty::Record(vec![field("kind", &Ty::Enum(names)), field("n", &Ty::U8)]);
    let mut schema = input(&[field("a", &part), field("b", &part)]);
    let keywords = json!({"maximum": 9});
    overlay(&mut schema, &Path::parse("a.n").unwrap(), keywords.as_object().unwrap()).unwrap();
    assert_eq!(schema["properties"]["a"]["properties"]["n"]["maximum"], 9);
    assert_eq!(schema["$defs"]["part_1"]["properties"]["n"]["maximum"], 255);
}

#[test]
fn looks_through_shared_options_of_options() {
    let names = (0..400).map(|i| format!("a-long-case-name-{i}")).collect();
    let part = opt(opt(Ty::Record(vec![field("kind", &Ty::Enum(names)), field("n", &Ty::S64)])));
    let mut schema = input(&[field("a", &part), field("b", &part), field("c", part.as_option().unwrap())]);
    let keywords = json!({"maximum": 9});
    overlay(&mut schema, &Path::parse("a.n").unwrap(), keywords.as_object().unwrap()).unwrap();
    let some = &schema["properties"]["a"]["anyOf"][1]["properties"]["some"]["anyOf"][0];
    assert_eq!(some["properties"]["n"]["anyOf"][0]["maximum"], 9);
    assert!(schema["properties"]["b"].get("$ref").is_some());
}

#[test]
fn refuses_to_widen_the_type() {
    check_refused(
        "age",
        json!({"minimum": -1}),
        "`minimum` -1 is wider than `minimum` 0: a constraint may only tighten",
    );
    check_refused(
        "age",
        json!({"exclusiveMaximum": 300}),
        "`exclusiveMaximum` 300 is wider than `maximum` 255: a constraint may only tighten",
    );
    check_refused(
        "cabin",
        json!({"enum": ["business"]}),
        "`enum` \"business\" is wider than `enum` [\"economy\",\"first\"]: a constraint may only tighten",
    );
}

#[test]
fn refuses_what_leaves_no_value() {
    let text = "`minimum` 300 contradicts `maximum` 255: no value is left";
    check_refused("age", json!({"minimum": 300}), text);
    let text = "`exclusiveMinimum` 255 contradicts `maximum` 255: no value is left";
    check_refused("age", json!({"exclusiveMinimum": 255}), text);
}

#[test]
fn refuses_what_does_not_fit_the_type() {
    check_refused("age", json!({"minLength": 1}), "`minLength` does not fit an integer");
    check_refused("cabin", json!({"pattern": "^e"}), "`pattern` does not fit an enum");
    check_refused("data", json!({"minLength": 1}), "`minLength` does not fit a choice of forms");
    check_refused("q", json!({"maxItems": 1}), "`maxItems` does not fit a string");
}

#[test]
fn refuses_keywords_that_are_not_ours() {
    check_refused("q", json!({"minLen": 1}), "unknown keyword `minLen`: did you mean `minLength`?");
    check_refused(
        "q",
        json!({"format": "phone"}),
        "`format` must be one of the formats that are checked, not string \"phone\"",
    );
    check_refused("q", json!({"pattern": "("}), "`pattern` must be a regular expression, not string \"(\"");
    check_refused("nope", json!({}), "no field `nope` among `age`, `cabin`, `data`, `id`, `q`, `rows`");
}

#[test]
fn a_header_stands_on_an_argument_that_is_always_there() {
    let all = laid("q", json!({"x-mcp-header": "Query"})).unwrap();
    assert_eq!(all["q"]["x-mcp-header"], "Query");
    check_refused("id", json!({"x-mcp-header": "Id"}), "`x-mcp-header` does not fit a choice of forms");
    check_refused(
        "rows[].price",
        json!({"x-mcp-header": "P"}),
        "`x-mcp-header` does not fit what is inside an array",
    );
    check_refused("data", json!({"x-mcp-header": "D"}), "`x-mcp-header` does not fit a choice of forms");
    let spaced = laid("q", json!({"x-mcp-header": "a b"})).unwrap_err();
    assert!(spaced.starts_with("`x-mcp-header` must be a part of a header's name"), "{spaced}");
}

#[test]
fn a_header_is_named_once() {
    let mut schema = input(&params());
    let mut lay = |path: &str, header: &str| {
        let keywords = json!({"x-mcp-header": header});
        overlay(&mut schema, &Path::parse(path).unwrap(), keywords.as_object().unwrap())
            .map_err(|e| e.to_string())
    };
    assert_eq!(lay("q", "Name"), Ok(()));
    assert_eq!(lay("age", "name"), Err("`x-mcp-header` is already set here".into()));
}
