//! Open records, free JSON and variants without a tag; and the example of the reference.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{field, refuses_of};
use crate::Val;
use crate::arbitrary::{finite, ty, val_of};
use crate::component::{Function, FunctionDocs};
use crate::lift::lift;
use crate::lower::lower_value;
use crate::manifest::Manifest;
use crate::path::Path;
use crate::published::{Form, Found, Root, Written, form, free, publish};
use crate::schema;
use crate::tool::{Contract, ValidArgs};
use crate::ty::{Case, FunctionTy, Ty};
use crate::validate::Validator;
use airlock_types::canonical;
use airlock_types::code::Code;
use airlock_types::diagnostic::Diagnostics;
use airlock_types::place::Place;
use airlock_types::violation::Violation;

fn case(name: &str, ty: Option<Ty>) -> Case {
    Case { name: name.into(), ty }
}

/// The function of the example in `docs/settings.md`.
pub(super) fn function() -> Function {
    let target = vec![case("id", Some(Ty::U32)), case("code", Some(Ty::String))];
    let meal = field("meal", Ty::Option(Box::new(Ty::String)));
    let params = vec![
        field("departure-date", Ty::String),
        field("passengers", Ty::List(Box::new(Ty::Record(vec![field("first-name", Ty::String)])))),
        field("cabin", Ty::Enum(["economy", "business-plus", "first"].map(str::to_owned).to_vec())),
        field("target", Ty::Variant(target)),
        field("options", Ty::Record(vec![meal])),
        field("filters", Ty::String),
        field("weight", Ty::F64),
    ];
    let result = Some(Ty::Record(vec![field("total-price", Ty::F64)]));
    Function { interface: None, name: "book-flight".into(), ty: FunctionTy { params, result }.into() }
}

pub(super) fn bind(text: &str, function: &Function) -> Result<Contract, String> {
    documented(text, function, &FunctionDocs::default())
}

pub(super) fn documented(text: &str, function: &Function, docs: &FunctionDocs) -> Result<Contract, String> {
    let functions = [function.clone()];
    let prepared = || {
        let manifest = Manifest::parse(text, "contract.toml")?;
        let author = manifest.bind(&functions)?.remove(&functions[0].address()).unwrap();
        Contract::of(&manifest, &functions[0], author, docs)
    };
    prepared().map_err(|problems: Diagnostics| problems.render(false))
}

fn example() -> String {
    let page = include_str!("../../../../../docs/settings.md");
    let from = page.find("[tool.book-flight]").unwrap();
    let text = &page[from..];
    text[..text.find("```").unwrap()].to_owned()
}

fn validate(contract: &Contract, change: Value) -> Result<ValidArgs, Vec<Violation>> {
    let mut args = contract.examples[0].args.as_object().unwrap().clone();
    args.extend(change.as_object().unwrap().clone());
    contract.validate(args, None).map_err(|(violations, _)| violations)
}

#[test]
fn the_example_of_the_reference_is_a_contract() {
    let contract = bind(&example(), &function()).unwrap();
    assert_eq!(contract.title.as_deref(), Some("bookFlight"));
    let properties = &contract.input_schema()["properties"];
    assert_eq!(properties["filters"], json!({"type": "object", "additionalProperties": {"type": "string"}}));
    assert_eq!(properties["options"].get("additionalProperties"), None);
    let target = json!([{"type": "integer", "minimum": 0, "maximum": u32::MAX}, {"type": "string"}]);
    assert_eq!(properties["target"]["anyOf"], target);
    assert_eq!(properties["weight"]["description"], "in kg");
    assert_eq!(contract.result_schema().unwrap()["properties"]["totalPrice"]["description"], "in EUR");
    let units =
        BTreeMap::from([("args.weight".into(), "kg".into()), ("result.total_price".into(), "EUR".into())]);
    assert_eq!(contract.units(), units);
    let valid = validate(&contract, json!({})).unwrap();
    let text = r#"{"cabin":"economy","departure_date":"2026-12-01","filters":"{}","options":{"meal":null},"#;
    assert!(valid.canonical().starts_with(text), "{}", valid.canonical());
    assert!(valid.canonical().contains(r#""target":{"tag":"id","val":5}"#), "{}", valid.canonical());
}

#[test]
fn keys_that_an_open_record_does_not_have_are_ignored_and_named() {
    let contract = bind(&example(), &function()).unwrap();
    let valid = validate(&contract, json!({"options": {"meal": "fish", "seat": 3}})).unwrap();
    assert_eq!(valid.ignored(), ["`options.seat`"]);
    assert!(!valid.canonical().contains("seat"));
    assert_eq!(validate(&contract, json!({"seat": 3})).unwrap_err()[0].keyword, "additionalProperties");
    // The arguments as a whole, too: a name of WIT is no argument any more.
    let contract = bind(&example().replacen("name = ", "open = true\nname = ", 1), &function()).unwrap();
    let valid = validate(&contract, json!({"seat": 3})).unwrap();
    assert_eq!(valid.ignored(), ["`seat`"]);
    assert!(valid.canonical().contains(r#""departure_date":"2026-12-01""#));
    // But its value was meant for the argument, which has a default.
    let misnamed = validate(&contract, json!({"departure_date": "2001-01-01"})).unwrap_err();
    assert_eq!(misnamed[0].hint.as_deref(), Some("did you mean `departureDate`?"), "{misnamed:?}");
    let mut args = contract.examples[0].args.as_object().unwrap().clone();
    let date = args.remove("departureDate").unwrap();
    args.insert("departure_date".into(), date);
    let (wrong, _) = contract.validate(args, None).unwrap_err();
    assert_eq!((wrong[0].path.as_str(), wrong[0].code), ("departureDate", Code::ArgsMissing));
    assert_eq!(wrong[0].hint.as_deref(), Some("`departure_date` is not its name here"));
}

#[test]
fn free_json_is_held_to_its_schema_and_handed_over_as_text() {
    let contract = bind(&example(), &function()).unwrap();
    let valid = validate(&contract, json!({"filters": {"b": "1", "a": "ü"}})).unwrap();
    assert!(matches!(&valid.values()[5], Val::String(text) if text == r#"{"a":"ü","b":"1"}"#), "{valid:?}");
    let wrong = validate(&contract, json!({"filters": {"b": 1}})).unwrap_err();
    assert_eq!((wrong[0].path.as_str(), wrong[0].keyword.as_str()), ("filters.b", "type"));
    let contract = bind("[tool.book-flight.args.filters]\njson = true\n", &function()).unwrap();
    let free = |filters: Value| {
        let args = json!({"departure_date": "d", "passengers": [], "cabin": "first", "target": {"tag": "id", "val": 1},
            "options": {}, "weight": 1, "filters": filters});
        contract.validate(args.as_object().unwrap().clone(), None).map_err(|(violations, _)| violations)
    };
    assert!(matches!(&free(json!(null)).unwrap().values()[5], Val::String(text) if text == "null"));
    let deep = (0..70).fold(json!(0), |value, _| json!([value]));
    for (value, place, keyword) in [
        (deep, "filters", "maxDepth"),
        (json!([{"cap": 9_007_199_254_740_993_u64}]), "filters[0].cap", "precision"),
        (json!("x".repeat(300_000)), "filters", "maxLength"),
    ] {
        let wrong = free(value).unwrap_err();
        assert_eq!((wrong[0].path.as_str(), wrong[0].keyword.as_str()), (place, keyword));
    }
}

#[test]
fn a_result_that_is_not_the_json_that_is_published_is_rejected() {
    let text = Function {
        ty: FunctionTy { params: vec![], result: Some(Ty::Record(vec![field("free", Ty::String)])) }.into(),
        ..function()
    };
    let table =
        "[tool.book-flight.result.free]\njson = true\nschema = { type = \"array\" }\nname = \"freeJson\"\n";
    let contract = bind(table, &text).unwrap();
    let result = |text: &str| contract.published_result(json!({"free": text}));
    assert_eq!(result("[1, {}]"), (json!({"freeJson": [1, {}]}), vec![]));
    for (text, expected, got) in [
        ("{}", "array", "empty object"),
        ("[1", "the text of JSON", "text that is no JSON, from line 1 column 2"),
        ("[{\"a\":1,\"a\":2}]", "the text of JSON", "JSON that has a key twice, at `[0].a`"),
        (
            "[18446744073709551617]",
            "the text of JSON",
            "JSON with an integer of more digits than a number holds, which belongs in a string",
        ),
    ] {
        let (_, found) = result(text);
        let finding = &found[0];
        assert_eq!((finding.kind.as_str(), finding.path.as_str()), ("json", "freeJson"));
        assert!(finding.expected.contains(expected) && finding.got.contains(got), "{finding:?}");
    }
}

#[test]
fn free_json_that_cannot_be_checked_is_refused() {
    let of = |keys: &str| format!("[tool.book-flight.args.filters]\n{keys}\n");
    refuses_of(
        &of("json = true\nschema = { type = 5 }"),
        &function(),
        &["contract.toml:1", "`schema` cannot be used"],
    );
    let reference = "json = true\nschema = { items = { \"$ref\" = \"#\" } }";
    refuses_of(&of(reference), &function(), &["`schema` has `$ref`"]);
    refuses_of(&of("json = true\nmaxLength = 5"), &function(), &["`maxLength` is for strings"]);
    refuses_of(&of("schema = {}"), &function(), &["`schema` is for strings with `json = true`"]);
    refuses_of("[tool.book-flight.args.weight]\njson = true\n", &function(), &["`json` is for strings"]);
    refuses_of("[tool.book-flight.args.filters]\nopen = true\n", &function(), &["`open` is for records"]);
    refuses_of(
        "[tool.book-flight.args.filters]\nuntagged = true\n",
        &function(),
        &["`untagged` is for variants"],
    );
    refuses_of("[tool.book-flight.args.filters]\nunit = \"kg\"\n", &function(), &["`unit` is for numbers"]);
    refuses_of("[tool.book-flight.args.filters]\njson = 1\n", &function(), &["`json` must be true or false"]);
}

/// A function with a variant without a tag, of these cases.
fn of_cases(cases: Vec<Case>) -> Function {
    let ty = FunctionTy { params: vec![field("it", Ty::Variant(cases))], result: None };
    Function { ty: ty.into(), ..function() }
}

#[test]
fn cases_that_cannot_be_told_apart_are_refused_with_both_names() {
    let record = |names: &[&str], kind: &[&str]| {
        let kind = field("kind", Ty::Enum(kind.iter().map(|case| (*case).to_owned()).collect()));
        Ty::Record(names.iter().map(|name| field(name, Ty::String)).chain([kind]).collect())
    };
    let untagged = "[tool.book-flight.args.it]\nuntagged = true\n";
    let case = |name: &str, ty| case(name, Some(ty));
    for (one, other, both) in [
        (Ty::U8, Ty::F64, "numbers"),
        (Ty::U64, Ty::String, "strings"),
        (Ty::Tuple(vec![Ty::U8]), Ty::List(Box::new(Ty::U8)), "none"),
        (Ty::Tuple(vec![Ty::U8]), Ty::Flags(vec!["x".into()]), "arrays"),
        (record(&["a"], &["x", "y"]), record(&["a"], &["y"]), "objects"),
    ] {
        let function = of_cases(vec![case("one", one), case("two", other)]);
        match both {
            "none" => drop(bind(untagged, &function).unwrap()),
            both => refuses_of(untagged, &function, &["contract.toml:1", "`one` and `two`", both]),
        }
    }
    let function = of_cases(vec![case("one", Ty::U8), case("two", Ty::Option(Box::new(Ty::Bool)))]);
    refuses_of(untagged, &function, &["case `two` cannot be without its tag", "null"]);
    for (one, other) in [
        (record(&["a"], &["x"]), record(&["a"], &["y"])),
        (record(&["a"], &["x"]), record(&["b"], &["x"])),
        (record(&["a"], &["x"]), record(&["a", "b"], &["x"])),
    ] {
        bind(untagged, &of_cases(vec![case("one", one), case("two", other)])).unwrap();
    }
}

/// A variant, its form without a tag, and a value of it. The cases of most variants cannot be told apart; these are left
/// out.
fn untagged() -> impl Strategy<Value = (Ty, Form, Val)> {
    let cases = prop::collection::vec(prop_oneof![Just(None), ty().prop_map(Some)], 1..4);
    cases
        .prop_filter_map("apart", |types| {
            let named = types.into_iter().enumerate().map(|(i, ty)| case(&format!("c{i}"), ty));
            let ty = Ty::Variant(named.collect());
            let written =
                BTreeMap::from([(Path::default(), Written { is_untagged: true, ..Written::default() })]);
            Some((form(Root::Value(&ty), &written).form?, ty))
        })
        .prop_flat_map(|(form, ty)| val_of(&ty).prop_map(move |val| (ty.clone(), form.clone(), val)))
}

fn json() -> impl Strategy<Value = Value> {
    let number = (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::from);
    let float = any::<f64>().prop_map(|n| n % 9_007_199_254_740_991.0);
    let float = float.prop_filter_map("finite", |n| serde_json::Number::from_f64(n).map(Value::Number));
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        float,
        ".{0,8}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let members = prop::collection::btree_map(".{0,4}", inner.clone(), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::Array),
            members.prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn a_value_without_a_tag_is_of_one_case((ty, form, val) in untagged()) {
        prop_assume!(finite(&val));
        let plain = lift(&ty, &val).unwrap();
        let mut published = plain.clone();
        form.outward(&mut published, &Place::Root, &mut Found::default());
        let mut schema = schema::of(&ty, schema::Direction::Input);
        publish(&form, &mut schema, &Path::default(), &mut Vec::new());
        prop_assert!(Validator::new(&schema).unwrap().is_valid(&published), "{published} {schema}");
        let mut again = published;
        form.inward(&mut again, &Place::Root, &mut Found::default());
        prop_assert_eq!(lower_value(&ty, again), Ok(val));
    }

    #[test]
    fn free_json_has_one_text_from_which_it_is_read_again(value in json()) {
        let text = free::text(&value, &Place::Root).unwrap();
        let again = free::value(&text).unwrap();
        prop_assert_eq!(canonical::of(&again), text.as_str());
        prop_assert_eq!(canonical::digest(&again), canonical::digest(&value));
    }
}
