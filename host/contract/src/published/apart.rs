//! Cases without a tag: by what their values are told apart, decided when the contract is loaded.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Fields, Form, Untagged};
use crate::path::snake;
use crate::schema;
use crate::ty::{self, Ty};

/// What values of a type can be in JSON.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Bool,
    Number,
    /// One of these texts, or any.
    Text(Option<BTreeSet<String>>),
    List,
    Object(Object),
}

/// What is known of all objects of a type.
#[derive(Clone, Debug, Default)]
pub(super) struct Object {
    /// The keys that each has.
    required: BTreeSet<String>,
    /// The keys that one may have. None if others are ignored.
    known: Option<BTreeSet<String>>,
    /// The texts that a key may have.
    texts: BTreeMap<String, BTreeSet<String>>,
}

impl Shape {
    /// Whether a value can be of both.
    fn overlaps(&self, other: &Shape) -> bool {
        match (self, other) {
            (Shape::Bool, Shape::Bool) | (Shape::Number, Shape::Number) | (Shape::List, Shape::List) => true,
            (Shape::Text(Some(one)), Shape::Text(Some(other))) => !one.is_disjoint(other),
            (Shape::Text(_), Shape::Text(_)) => true,
            (Shape::Object(one), Shape::Object(other)) => {
                !(one.lacks(other) || other.lacks(one) || one.differs(other))
            }
            (Shape::Bool | Shape::Number | Shape::Text(_) | Shape::List | Shape::Object(_), _) => false,
        }
    }

    /// Whether a value is of it, as far as this tells cases apart.
    pub(super) fn takes(&self, value: &Value) -> bool {
        match (self, value) {
            (Shape::Bool, Value::Bool(_))
            | (Shape::Number, Value::Number(_))
            | (Shape::List, Value::Array(_)) => true,
            (Shape::Text(texts), Value::String(text)) => {
                texts.as_ref().is_none_or(|texts| texts.contains(text))
            }
            (Shape::Object(object), Value::Object(members)) => {
                let is = |key: &String, texts: &BTreeSet<String>| {
                    members.get(key).and_then(Value::as_str).is_some_and(|text| texts.contains(text))
                };
                object.required.iter().all(|key| members.contains_key(key))
                    && object.known.as_ref().is_none_or(|known| members.keys().all(|key| known.contains(key)))
                    && object.texts.iter().all(|(key, texts)| is(key, texts))
            }
            (Shape::Bool | Shape::Number | Shape::Text(_) | Shape::List | Shape::Object(_), _) => false,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Shape::Bool => "true or false",
            Shape::Number => "numbers",
            Shape::Text(_) => "strings",
            Shape::List => "arrays",
            Shape::Object(_) => "objects that have no key, or value of a key, that tells them apart",
        }
    }
}

impl Object {
    /// Whether the other one cannot have a key that each of this has.
    fn lacks(&self, other: &Object) -> bool {
        other.known.as_ref().is_some_and(|known| !self.required.is_subset(known))
    }

    /// Whether both have a key with other texts.
    fn differs(&self, other: &Object) -> bool {
        self.texts
            .iter()
            .any(|(key, texts)| other.texts.get(key).is_some_and(|others| texts.is_disjoint(others)))
    }
}

/// The two cases that a value can be of both, with the reason.
pub(super) fn clash(cases: &[Untagged]) -> Option<(&str, &str, &'static str)> {
    let shapes = |case: &Untagged| match &case.shapes {
        Some(shapes) => shapes.clone(),
        None => vec![Shape::Text(Some([case.case.value.clone()].into()))],
    };
    cases.iter().enumerate().find_map(|(at, one)| {
        let mine = shapes(one);
        cases.iter().skip(at + 1).find_map(|other| {
            let theirs = shapes(other);
            let both = mine.iter().find(|shape| theirs.iter().any(|other| shape.overlaps(other)))?;
            Some((one.case.name.as_str(), other.case.name.as_str(), both.name()))
        })
    })
}

/// What the published values of a type can be.
///
/// # Errors
/// With the reason, if they can be anything or nothing.
pub(super) fn shapes(ty: &Ty, form: Option<&Form>) -> Result<Vec<Shape>, &'static str> {
    let texts = |texts: Vec<String>| vec![Shape::Text(Some(texts.into_iter().collect()))];
    Ok(match (ty, form) {
        (Ty::Option(_), _) => return Err("its payload may be null: make the variant optional instead"),
        (_, Some(Form::Json(_))) => return Err("its payload is any JSON"),
        (_, Some(Form::Untagged(cases))) => {
            let unit = |case: &Untagged| texts(vec![case.case.value.clone()]);
            cases.iter().flat_map(|case| case.shapes.clone().unwrap_or_else(|| unit(case))).collect()
        }
        (Ty::Bool, _) => vec![Shape::Bool],
        // Beyond 2^53 they are strings.
        (Ty::S64 | Ty::U64, _) => vec![Shape::Number, Shape::Text(None)],
        (Ty::S8 | Ty::U8 | Ty::S16 | Ty::U16 | Ty::S32 | Ty::U32 | Ty::F32 | Ty::F64, _) => {
            vec![Shape::Number]
        }
        (Ty::Char | Ty::String, _) => vec![Shape::Text(None)],
        (Ty::List(item), _) if **item == Ty::U8 => {
            let utf8: BTreeSet<String> = ["utf8".to_owned()].into();
            let object = Object { required: utf8.clone(), known: Some(utf8), texts: BTreeMap::new() };
            vec![Shape::Text(None), Shape::Object(object)]
        }
        (Ty::List(_) | Ty::FixedList(..) | Ty::Map(..) | Ty::Tuple(_) | Ty::Flags(_), _) => vec![Shape::List],
        (Ty::Enum(names), form) => texts(names.iter().map(|name| value(name, form)).collect()),
        (Ty::Record(fields), Some(Form::Record(form))) => vec![Shape::Object(record(fields, Some(form)))],
        (Ty::Record(fields), _) => vec![Shape::Object(record(fields, None))],
        (Ty::Variant(_) | Ty::Result(..), form) => {
            schema::cases(ty).into_iter().map(|(name, payload)| tagged(&value(name, form), payload)).collect()
        }
    })
}

/// What is published in the place of a case.
fn value(name: &str, form: Option<&Form>) -> String {
    let Some(Form::Cases(cases)) = form else { return name.to_owned() };
    cases.iter().find(|case| case.name == name).map_or_else(|| name.to_owned(), |case| case.value.clone())
}

fn tagged(tag: &str, payload: Option<&Ty>) -> Shape {
    let val = payload.map(|_| "val".to_owned());
    let known: BTreeSet<String> = ["tag".to_owned()].into_iter().chain(val).collect();
    let texts = [("tag".to_owned(), [tag.to_owned()].into())].into();
    Shape::Object(Object { required: ["tag".to_owned()].into(), known: Some(known), texts })
}

fn record(fields: &[ty::Field], form: Option<&Fields>) -> Object {
    let mut object = Object::default();
    let mut known = BTreeSet::new();
    for field in fields {
        let name = snake(&field.name);
        let published = form.and_then(|form| form.by_name(&name));
        let key = published.map_or_else(|| name.to_string(), |field| field.key.clone());
        known.insert(key.clone());
        if field.ty.as_option().is_some() || published.is_some_and(|field| field.default.is_some()) {
            continue;
        }
        if let Ty::Enum(names) = &field.ty {
            let form = published.and_then(|field| field.form.as_ref());
            object.texts.insert(key.clone(), names.iter().map(|name| value(name, form)).collect());
        }
        object.required.insert(key);
    }
    let is_open = form.is_some_and(|form| form.open.is_some());
    Object { known: (!is_open).then_some(known), ..object }
}
