//! The laws of published forms, for random types and values, and what a contract may not say.

mod forms;
mod told;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Form, Found, Root, Written, form, place};
use crate::Val;
use crate::arbitrary::{finite, params, val_of};
use crate::component::{Function, FunctionDocs};
use crate::lift::lift;
use crate::path::{Path, Segment, snake};
use crate::tool::Contract;
use crate::ty::{Field, FunctionTy, Ty};
use airlock_types::place::{Place, Step};

/// Every place of a type that can be published under another name, with what a contract would say.
fn renamed(ty: &Ty, at: &Path, found: &mut BTreeMap<Path, Written>) {
    let below = |name: &str| at.then(Segment::Field(snake(name).into_owned()));
    let value = |name: &str| Written { value: Some(format!("the {name}!")), ..Written::default() };
    match ty {
        Ty::Option(inner) => renamed(inner, at, found),
        Ty::List(item) | Ty::FixedList(item, _) => renamed(item, &at.then(Segment::Items), found),
        Ty::Record(fields) => fields.iter().for_each(|field| {
            let name = Some(format!("The{}", field.name.replace('-', "")));
            found.insert(below(&field.name), Written { name, ..Written::default() });
            renamed(&field.ty, &below(&field.name), found);
        }),
        Ty::Enum(names) | Ty::Flags(names) => {
            found.extend(names.iter().map(|name| (below(name), value(name))));
        }
        Ty::Variant(cases) => cases.iter().for_each(|case| {
            found.insert(below(&case.name), value(&case.name));
            case.ty.iter().for_each(|ty| renamed(ty, &below(&case.name), found));
        }),
        _ => {}
    }
}

fn of_params(params: &[Field]) -> Form {
    let mut found = BTreeMap::new();
    renamed(&Ty::Record(params.to_vec()), &Path::default(), &mut found);
    let built = form(Root::Params(params), &found);
    assert!(built.problems.is_empty(), "{:?}", built.problems);
    built.form.unwrap()
}

/// A contract whose arguments and result are published under other names.
fn contract(params: &[Field], is_published: bool) -> Contract {
    let ty = FunctionTy { params: params.to_vec(), result: None };
    let function = Function { interface: None, name: "f".into(), ty: ty.into() };
    let mut author = crate::manifest::ToolContract::default();
    if is_published {
        author.published.args = Some(of_params(params));
    }
    Contract::prepare(&function, author, &FunctionDocs::default()).unwrap()
}

fn call() -> impl Strategy<Value = (Vec<Field>, Vec<Val>)> {
    params().prop_filter("no parameter", |params| !params.is_empty()).prop_flat_map(|params| {
        let vals: Vec<_> = params.iter().map(|field| val_of(&field.ty)).collect();
        vals.prop_map(move |vals| (params.clone(), vals))
    })
}

fn args(params: &[Field], vals: &[Val]) -> Map<String, Value> {
    let each = params.iter().zip(vals);
    each.map(|(field, val)| (snake(&field.name).into_owned(), lift(&field.ty, val).unwrap())).collect()
}

/// The places in a value, as steps.
fn places(value: &Value, at: &[Step], found: &mut Vec<Vec<Step>>) {
    found.push(at.to_vec());
    let below = |step| [at, &[step]].concat();
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, value)| places(value, &below(Step::Key(key.clone())), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, value)| places(value, &below(Step::Index(i)), found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn get<'v>(value: &'v Value, place: &[Step]) -> Option<&'v Value> {
    place.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(at) => value.get(at),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_lowered_is_lifted_to_the_published_form((params, vals) in call()) {
        prop_assume!(vals.iter().all(finite));
        let published = contract(&params, true);
        let sent = published.published_args(args(&params, &vals));
        let valid = published.validate(sent.clone(), None).map_err(|(violations, _)| violations);
        let valid = valid.unwrap_or_else(|violations| panic!("{violations:?}"));
        prop_assert_eq!(valid.values(), vals.as_slice());
        prop_assert_eq!(published.published_args(args(&params, valid.values())), sent);
    }

    #[test]
    fn canonical_arguments_do_not_depend_on_the_spelling((params, vals) in call()) {
        prop_assume!(vals.iter().all(finite));
        let (plain, published) = (contract(&params, false), contract(&params, true));
        let args = args(&params, &vals);
        let one = plain.validate(args.clone(), None).unwrap();
        let other = published.validate(published.published_args(args), None).unwrap();
        prop_assert_eq!(one.canonical(), other.canonical());
    }

    #[test]
    fn places_lead_to_the_same_values((params, vals) in call()) {
        let (form, plain) = (of_params(&params), Value::Object(args(&params, &vals)));
        let mut published = plain.clone();
        form.outward(&mut published, &Place::Root, &mut Found::default());
        let mut found = Vec::new();
        places(&plain, &[], &mut found);
        for place in found {
            let there = get(&published, &form.published_place(&published, &place));
            prop_assert!(there.is_some(), "{place:?} in {published}");
            let same = get(&plain, &place).unwrap();
            // Names and values of cases differ below; what neither holds is the same.
            prop_assert_eq!(same.is_number() || same.is_boolean(), there.unwrap().is_number() || there.unwrap().is_boolean());
        }
    }
}

const TEXT: &str = r#"
[tool.book.args.departure_date]
name = "departureDate"
[tool.book.args."passengers[].first_name"]
name = "firstName"
[tool.book.args.cabin]
default = "economy"
[tool.book.args."cabin.business_plus"]
value = "business plus"
[tool.book.args.contact]
name = "via"
[tool.book.args."contact.by_phone"]
value = "phone"
[tool.book.args."contact.by_phone.country_code"]
name = "countryCode"
minimum = 1
[tool.book.result.total_price]
name = "totalPrice"
[[tool.book.example]]
args = { departureDate = "2026-12-01", passengers = [{ firstName = "Ada" }] }
"#;

fn field(name: &str, ty: Ty) -> Field {
    Field { name: name.into(), ty }
}

fn function() -> Function {
    let option = |ty| Ty::Option(Box::new(ty));
    let passenger = Ty::Record(vec![field("first-name", Ty::String), field("age", option(Ty::U8))]);
    let phone = Ty::Record(vec![field("country-code", Ty::U64), field("number", Ty::String)]);
    let case = |name: &str, ty| crate::ty::Case { name: name.into(), ty };
    let contact = Ty::Variant(vec![case("none", None), case("by-phone", Some(phone))]);
    let params = vec![
        field("departure-date", Ty::String),
        field("passengers", Ty::List(Box::new(passenger))),
        field("cabin", Ty::Enum(vec!["economy".into(), "business-plus".into()])),
        field("contact", option(contact)),
    ];
    let result = Ty::Record(vec![field("total-price", Ty::F64), field("id", Ty::String)]);
    Function { interface: None, name: "book".into(), ty: FunctionTy { params, result: Some(result) }.into() }
}

fn bind(text: &str) -> Result<Contract, String> {
    forms::bind(text, &function())
}

#[track_caller]
fn refuses_of(table: &str, function: &Function, says: &[&str]) {
    let said = forms::bind(table, function).unwrap_err();
    says.iter().for_each(|piece| assert!(said.contains(piece), "it does not say {piece:?}:\n{said}"));
}

#[track_caller]
fn refuses(table: &str, says: &[&str]) {
    refuses_of(table, &function(), says);
}

#[track_caller]
fn violations(args: Value) -> Vec<airlock_types::violation::Violation> {
    let contract = bind(TEXT).unwrap();
    contract.validate(args.as_object().unwrap().clone(), None).unwrap_err().0
}

#[test]
fn agents_see_the_published_schema() {
    let contract = bind(TEXT).unwrap();
    let properties = &contract.input_schema()["properties"];
    let names: Vec<_> = properties.as_object().unwrap().keys().collect();
    assert_eq!(names, ["cabin", "departureDate", "passengers", "via"]);
    assert_eq!(contract.input_schema()["required"], json!(["departureDate", "passengers"]));
    let cabin = json!({"anyOf": [{"type": "string", "enum": ["economy", "business plus"]}, {"type": "null"}], "default": "economy"});
    assert_eq!(properties["cabin"], cabin);
    assert_eq!(properties["passengers"]["items"]["required"], json!(["firstName"]));
    let phone = &properties["via"]["anyOf"][0]["anyOf"][1]["properties"];
    assert_eq!(phone["tag"]["enum"], json!(["phone"]));
    assert_eq!(phone["val"]["properties"]["countryCode"]["anyOf"][0]["minimum"], json!(1));
    let result = contract.result_schema().unwrap();
    assert_eq!(result["required"], json!(["totalPrice", "id"]));
}

#[test]
fn doc_comments_of_cases_have_the_published_values() {
    let functions = [function()];
    let bound = crate::manifest::Manifest::parse(TEXT, "contract.toml").and_then(|it| it.bind(&functions));
    let author = bound.unwrap().remove(&functions[0].address()).unwrap();
    let said = "The class.\n- economy: at the back\n- business-plus: in front";
    let docs = FunctionDocs {
        args: [("cabin".into(), said.into())].into_iter().collect(),
        ..FunctionDocs::default()
    };
    let contract = Contract::prepare(&functions[0], author, &docs).unwrap();
    let shown = "The class.\n- economy: at the back\n- business plus: in front";
    assert_eq!(contract.input_schema()["properties"]["cabin"]["description"], shown);
}

#[test]
fn a_default_is_part_of_the_canonical_arguments() {
    let contract = bind(TEXT).unwrap();
    let canonical = |extra: Value| {
        let mut args = json!({"departureDate": "d", "passengers": []});
        args.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let valid = contract.validate(args.as_object().unwrap().clone(), None);
        valid.map_err(|(violations, _)| violations).unwrap().canonical().to_owned()
    };
    let text = r#"{"cabin":"economy","contact":null,"departure_date":"d","passengers":[]}"#;
    for same in [json!({}), json!({"cabin": null}), json!({"cabin": "economy"}), json!({"via": null})] {
        assert_eq!(canonical(same), text);
    }
    let other =
        json!({"cabin": "business plus", "via": {"tag": "phone", "val": {"countryCode": 44, "number": "1"}}});
    assert!(
        canonical(other)
            .contains(r#""cabin":"business-plus","contact":{"tag":"by-phone","val":{"country_code":44"#)
    );
}

#[test]
fn violations_name_what_is_published() {
    let wrong = violations(json!({"departure_date": "2026-12-01", "passengers": [{"first_name": "Ada"}]}));
    let hints: Vec<_> = wrong.iter().map(|one| (one.path.as_str(), one.hint.as_deref())).collect();
    assert_eq!(hints[0].0, "departure_date");
    assert!(hints[0].1.unwrap().contains("`departureDate`"), "{hints:?}");
    assert!(hints[1].1.unwrap().contains("`firstName`"), "{hints:?}");
    // One that the codec finds, behind a case.
    let args = json!({"departureDate": "d", "passengers": [],
        "via": {"tag": "phone", "val": {"countryCode": "99999999999999999999", "number": ""}}});
    let wrong = violations(args);
    assert_eq!(
        (wrong[0].path.as_str(), wrong[0].pointer.as_str()),
        ("via.val.countryCode", "/via/val/countryCode")
    );
    // One that only values have: a decimal string is no number to the schema.
    let args = json!({"departureDate": "d", "passengers": [], "via": {"tag": "phone", "val": {"countryCode": "0", "number": ""}}});
    assert_eq!(violations(args)[0].path, "via.val.countryCode");
}

#[test]
fn the_spelling_of_wit_is_mended_to_the_published_one() {
    let contract = bind(TEXT).unwrap();
    let wrong = json!({"departure_date": "2026-12-01", "passengers": [{"first_name": "Ada"}]});
    let right = json!({"departureDate": "2026-12-01", "passengers": [{"firstName": "Ada"}]});
    let (_, mended) = contract.validate(wrong.as_object().unwrap().clone(), None).unwrap_err();
    assert_eq!(contract.mended(mended, crate::tool::Moment::without_session(0)), Some(right));
}

#[test]
fn a_name_means_one_thing() {
    refuses(
        "[tool.book.args.departure_date]\nname = \"cabin\"\n",
        &["contract.toml:1", "`departure_date`: `cabin` is the name of another field, `cabin`"],
    );
    refuses(
        "[tool.book.args.cabin]\nname = \"x\"\n[tool.book.args.contact]\nname = \"x\"\n",
        &["contract.toml:3", "two of them are published as `x`"],
    );
    refuses(
        "[tool.book.args.\"cabin.economy\"]\nvalue = \"business-plus\"\n",
        &["contract.toml:1", "another case"],
    );
}

#[test]
fn keys_are_for_what_has_them() {
    refuses("[tool.book.args.\"cabin.first\"]\nvalue = \"x\"\n", &["contract.toml:1", "`business_plus`"]);
    refuses("[tool.book.args.cabin]\nvalue = \"x\"\n", &["`value` is for the cases"]);
    refuses("[tool.book.args.\"passengers[]\"]\nname = \"x\"\n", &["`name` is for parameters"]);
    refuses("[tool.book.args.\"cabin.economy\"]\nminimum = 1\n", &["a case without a payload"]);
    refuses("[tool.book.args.cabin]\nname = 5\n", &["contract.toml:1", "`name` must be a text"]);
    refuses("[tool.book.args.cabin]\nname = \"a`b\"\n", &["without quotes"]);
    refuses("[tool.book.result.id]\ndefault = \"x\"\n", &["a result has every field"]);
}

#[test]
fn a_default_that_its_type_refuses_is_refused() {
    refuses(
        "[tool.book.args.cabin]\ndefault = \"first\"\n",
        &["`cabin`: the `default` is not valid", "economy"],
    );
    // What the schema accepts and the codec does not.
    refuses(
        "[tool.book.args.\"contact.by_phone.country_code\"]\ndefault = \"99999999999999999999\"\n",
        &["the `default` is not valid"],
    );
}

#[test]
fn relations_are_explained_by_the_published_names() {
    let relation = "[[tool.book.require]]\nthat = \"args.departure_date != 'never'\"\n";
    let contract = bind(&format!("{TEXT}{relation}")).unwrap();
    let args = json!({"departureDate": "never", "passengers": []});
    let wrong = contract.validate(args.as_object().unwrap().clone(), None).unwrap_err().0;
    assert_eq!(wrong[0].path, "departureDate");
    assert_eq!(wrong[0].expected, "args.departureDate != 'never'");
    assert_eq!(wrong[0].got, "args.departureDate = \"never\"");
    let form = contract.args_form().unwrap();
    let text = "args.departure_dates, xargs.departure_date, args.departure_date.x";
    let published = "args.departure_dates, xargs.departure_date, args.departureDate.x";
    assert_eq!(form.published_text("args", text), published);
}

#[test]
fn findings_name_what_is_published() {
    let contract = bind(TEXT).unwrap();
    let (result, found) = contract.published_result(json!({"id": "1", "total_price": 5}));
    assert_eq!(found, []);
    assert_eq!(result, json!({"id": "1", "totalPrice": 5}));
    assert_eq!(contract.plain_result(result.clone()), json!({"id": "1", "total_price": 5}));
    let steps = place::steps("total_price");
    assert_eq!(contract.result_form().unwrap().published_place(&result, &steps), place::steps("totalPrice"));
}
