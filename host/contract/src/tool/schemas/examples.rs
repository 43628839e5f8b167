//! The `examples` of places, which agents take for values that a call may have.
//!
//! Owns how each is held against the schema of its place, as published. They are taken out before the contract is laid over the
//! types, and put back where the place then is: a published form renames, moves and wraps places.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::{ContractError, Keywords, published};
use crate::manifest::Part;
use crate::path::{Path, Segment};
use crate::published::{Form, Found};
use crate::ty::{Field, Ty};
use crate::validate::Validator;
use airlock_types::place::Place;
use airlock_types::words::got;

const EXAMPLES: &str = "examples";

/// Most places with examples whose schemas share parts with others: each is compiled with all shared parts.
const SHARING_MAX: usize = 256;

/// The key of what stands in the place of examples.
const TAKEN: &str = "airlock-examples";

/// The examples of places, and all keywords.
pub(super) struct Examples<'k> {
    keywords: &'k Keywords,
    /// By what stands in their place.
    taken: BTreeMap<String, &'k Path>,
}

impl<'k> Examples<'k> {
    /// The keywords with a mark in the place of each list of examples. Those of a contract that is known to be right stay.
    pub(super) fn taken(keywords: &'k Keywords, is_known: bool) -> (Cow<'k, Keywords>, Examples<'k>) {
        let mut examples = Examples { keywords, taken: BTreeMap::new() };
        if is_known || !keywords.values().any(|at| at.contains_key(EXAMPLES)) {
            return (Cow::Borrowed(keywords), examples);
        }
        let mut marked = keywords.clone();
        for (path, at) in keywords {
            // What is no list of values is refused by the overlay.
            if at.get(EXAMPLES).and_then(Value::as_array).is_some_and(|all| !all.is_empty()) {
                examples.taken.insert(path.to_string(), path);
                let mark = json!([{TAKEN: path.to_string()}]);
                marked.entry(path.clone()).or_default().insert(EXAMPLES.to_owned(), mark);
            }
        }
        (Cow::Owned(marked), examples)
    }

    /// Puts the examples back, each held against the schema where it stands. `plain` gives the type and the plain form of one, where
    /// the codec takes it.
    pub(super) fn put(
        &self,
        schema: &mut Value,
        part: fn(Path) -> Part,
        plain: impl Fn(&Path, &Value) -> Option<(&'k Ty, Value)>,
    ) -> Result<(), ContractError> {
        if self.taken.is_empty() {
            return Ok(());
        }
        let (defs, mut sharing) = (schema.get("$defs").cloned(), 0);
        self.walk(schema, &mut |path, mut schema| {
            if let (Some(defs), true) = (&defs, shares(&schema)) {
                sharing += 1;
                schema["$defs"] = defs.clone();
            }
            let held = match sharing > SHARING_MAX {
                false => self.hold(path, &schema, &plain),
                true => Err(format!(
                    "more than {SHARING_MAX} places of large types have `examples`; leave some out"
                )),
            };
            held.map_err(|reason| ContractError::Keyword {
                path: path.to_string(),
                part: part(path.clone()),
                reason,
            })
        })
    }

    /// Whether all examples of a place are valid there, by its schema.
    fn hold(
        &self,
        path: &Path,
        schema: &Value,
        plain: &impl Fn(&Path, &Value) -> Option<(&'k Ty, Value)>,
    ) -> Result<(), String> {
        let validator = Validator::new(schema).map_err(|err| err.to_string())?;
        self.of(path).as_array().into_iter().flatten().try_for_each(|value| {
            let holds = published::holds(&validator, value, plain(path, value), (path, self.keywords));
            holds.map_err(|why| format!("the example {} is not valid: {why}", got(value)))
        })
    }

    fn of(&self, path: &Path) -> &Value {
        self.keywords.get(path).and_then(|at| at.get(EXAMPLES)).unwrap_or(&Value::Null)
    }

    /// Calls `hold` with the schema of each place that has examples, once they are back.
    fn walk(
        &self,
        schema: &mut Value,
        hold: &mut dyn FnMut(&Path, Value) -> Result<(), ContractError>,
    ) -> Result<(), ContractError> {
        match schema {
            Value::Object(keywords) => {
                keywords.values_mut().try_for_each(|below| self.walk(below, hold))?;
                let mark = keywords.get(EXAMPLES).and_then(|all| all.get(0)?.get(TAKEN)?.as_str());
                let Some(path) = mark.and_then(|mark| self.taken.get(mark).copied()) else { return Ok(()) };
                keywords.insert(EXAMPLES.to_owned(), self.of(path).clone());
                hold(path, keywords.clone().into())
            }
            Value::Array(items) => items.iter_mut().try_for_each(|below| self.walk(below, hold)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }
}

/// Whether a schema refers to parts that it shares with others.
fn shares(schema: &Value) -> bool {
    match schema {
        Value::Object(keywords) => keywords.contains_key("$ref") || keywords.values().any(shares),
        Value::Array(items) => items.iter().any(shares),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The type of a place in the arguments, and the plain form of a value there. `None` inside of a case: its form is only known with the
/// value around it.
pub(super) fn plain<'t>(
    form: Option<&Form>,
    (path, params): (&Path, &'t [Field]),
    value: &Value,
) -> Option<(&'t Ty, Value)> {
    let ty = path.resolve_params(params).ok()?;
    let mut plain = value.clone();
    if let Some(form) = form_at(form, path.steps())? {
        form.inward(&mut plain, &Place::Root, &mut Found::default());
    }
    Some((ty, plain))
}

/// The form at the end of a path, if it has one. The outer `None` means that this is not known.
fn form_at<'f>(form: Option<&'f Form>, steps: &[Segment]) -> Option<Option<&'f Form>> {
    let Some((step, rest)) = steps.split_first() else { return Some(form) };
    match form {
        Some(Form::Some(inner)) => form_at(Some(inner), steps),
        Some(form @ (Form::Record(_) | Form::Items(_))) => form_at(form.step(step).1, rest),
        Some(Form::Cases(_) | Form::Untagged(_) | Form::Json(_)) => None,
        None => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::component::{Function, FunctionDocs};
    use crate::manifest::Manifest;
    use crate::tool::Contract;
    use crate::ty::{Case, Field, FunctionTy, Ty};

    /// The contract of a function whose arguments and result have the same field of each type, or what is wrong with it.
    fn bind(text: &str) -> Result<Contract, String> {
        let field = |name: &str, ty| Field { name: name.into(), ty };
        let list = |ty| Ty::List(Box::new(ty));
        let card = Ty::Record(vec![field("number", Ty::String), field("max-amount", Ty::U64)]);
        let pay = Ty::Variant(vec![
            Case { name: "card".into(), ty: Some(card.clone()) },
            Case { name: "cash".into(), ty: None },
        ]);
        let fields = vec![
            field("flag", Ty::Bool),
            field("maybe", Ty::Option(Box::new(Ty::F64))),
            field("wide", Ty::U64),
            field("data", list(Ty::U8)),
            field("cabin", Ty::Enum(vec!["first".into(), "last-row".into()])),
            field("cards", list(card.clone())),
            field("card", card),
            field("pay", pay),
            field("free", Ty::String),
        ];
        let ty = FunctionTy { params: fields.clone(), result: Some(Ty::Record(fields)) };
        let functions = [Function { interface: None, name: "f".into(), ty: ty.into() }];
        let manifest = Manifest::parse(text, "contract.toml").map_err(|err| err.render(false))?;
        let mut bound = manifest.bind(&functions).map_err(|err| err.render(false))?;
        let said = bound.remove("f").unwrap();
        let docs = FunctionDocs::default();
        Contract::of(&manifest, &functions[0], said, &docs).map_err(|err| err.render(false))
    }

    #[track_caller]
    fn accepts(text: &str) -> Contract {
        bind(text).unwrap_or_else(|said| panic!("{text}\n{said}"))
    }

    #[track_caller]
    fn refuses(text: &str, says: &[&str]) {
        let said = bind(text).unwrap_err();
        says.iter().for_each(|says| assert!(said.contains(says), "no {says:?} in {said}"));
    }

    fn at(place: &str, keywords: &str) -> String {
        format!("[tool.f.{place}]\n{keywords}\n")
    }

    #[test]
    fn an_example_that_its_place_refuses_is_no_example() {
        for (place, keywords, says) in [
            (
                "args.flag",
                "examples = [true, 'nope']",
                "the example string \"nope\" is not valid: expected boolean",
            ),
            ("args.wide", "examples = [5]\nmaximum = 4", "expected"),
            // A decimal string passes the schema, and only the codec or the exact comparison refuses it.
            ("args.wide", "examples = ['5']\nmaximum = 4", "expected maximum 4"),
            ("args.wide", "examples = ['99999999999999999999']", "expected"),
            ("args.data", "examples = ['?']", "expected"),
            ("args.'cards[].number'", "examples = [1]", "expected string"),
            ("args.cards", "examples = [[{ number = 'a' }]]", "max_amount"),
            ("args.'pay.card.number'", "examples = [1]", "expected string"),
            ("result.wide", "examples = ['x']", "expected"),
            ("result.flag", "examples = [1]", "expected boolean"),
        ] {
            refuses(&at(place, keywords), &["contract.toml:1", says]);
        }
        refuses(
            &(at("args.card", "examples = [{ number = 'a', max_amount = '5' }]")
                + &at("args.'card.max_amount'", "maximum = 4")),
            &["contract.toml:1", "expected maximum 4"],
        );
    }

    #[test]
    fn examples_that_are_valid_are_shown_as_they_are() {
        let examples = "examples = [{ number = 'a', max_amount = '5' }]";
        let schema = accepts(&at("args.card", examples)).input_schema();
        assert_eq!(schema["properties"]["card"]["examples"], json!([{"number": "a", "max_amount": "5"}]));
        for (place, keywords) in [
            ("args.maybe", "examples = [1, 2.5]"),
            ("args.data", "examples = ['aGk=', { utf8 = 'hi' }]"),
            ("args.'pay.card.number'", "examples = ['a']"),
            ("result.maybe", "examples = ['NaN', 1]"),
        ] {
            let contract = accepts(&at(place, keywords));
            let shown = [contract.input_schema(), contract.result_schema().unwrap()];
            assert!(!shown.iter().any(|schema| schema.to_string().contains(super::TAKEN)), "{shown:?}");
            assert!(shown.iter().any(|schema| schema.to_string().contains("examples")), "{shown:?}");
        }
    }

    #[test]
    fn examples_are_in_the_published_form() {
        let renamed = at("args.'card.max_amount'", "name = 'maxAmount'\ndefault = 3")
            + &at("args.'cabin.last_row'", "value = 'last row'")
            + &at("args.'pay.card.number'", "name = 'No'\nexamples = ['a']");
        let with = |place: &str, keywords: &str| renamed.clone() + &at(place, keywords);
        let schema =
            accepts(&with("args.card", "examples = [{ number = 'a', maxAmount = 5 }]")).input_schema();
        assert_eq!(schema["properties"]["card"]["examples"][0]["maxAmount"], 5);
        accepts(&with("args.cabin", "examples = ['last row']"));
        accepts(&with("args.free", "json = true\nexamples = [{ a = [1] }]"));
        refuses(
            &with("args.card", "examples = [{ number = 'a', max_amount = 5 }]"),
            &["contract.toml:9", "not valid"],
        );
        refuses(&with("args.cabin", "examples = ['last-row']"), &["contract.toml:9", "last row"]);
        refuses(
            &with("args.free", "json = true\nschema = { type = 'array' }\nexamples = [{}]"),
            &["expected array"],
        );
    }

    #[test]
    fn a_default_is_within_the_exact_bounds_of_its_place() {
        accepts(&at("args.wide", "default = '4'\nmaximum = 4"));
        refuses(
            &at("args.wide", "default = '5'\nmaximum = 4"),
            &["the `default` is not valid: expected maximum 4"],
        );
    }

    #[test]
    fn a_number_that_json_does_not_have_is_no_value() {
        for key in ["examples = [nan]", "examples = [{ a = -inf }]", "default = nan", "enum = [1, inf]"] {
            refuses(&at("args.maybe", key), &["contract.toml:1", "is not finite (`nan` or `inf`)"]);
        }
        refuses(
            &at("schema", "not = { properties = { maybe = { enum = [nan] } } }"),
            &["`not` has a number"],
        );
        let example = "[[tool.f.example]]\nargs = { maybe = nan }\n";
        refuses(example, &["contract.toml:1", "`args` has a number"]);
    }

    /// A choice is compared by value in each form of a 64-bit integer.
    #[test]
    fn a_choice_of_floats_without_a_fraction_is_one_of_integers() {
        let contract = accepts(&at("args.wide", "enum = [1.0, 2.0]"));
        let judged = |wide: Value| {
            let card = json!({"number": "a", "max_amount": 1});
            let args = json!({
                "flag": true, "wide": wide, "data": "", "cabin": "first", "cards": [], "card": card,
                "pay": {"tag": "cash"}, "free": "",
            });
            contract.validate(args.as_object().unwrap().clone(), None).is_ok()
        };
        for (wide, is_valid) in
            [(json!(1), true), (json!("2"), true), (json!(2.0), true), (json!("3"), false)]
        {
            assert_eq!(judged(wide.clone()), is_valid, "{wide}");
        }
        refuses(
            &at("args.wide", "multipleOf = 0.1"),
            &["`multipleOf` must be a whole number where the value is an integer"],
        );
    }
}
